/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/device.h"

struct sn_gate sn_device_gate(struct sn_device *d)
{
    struct sn_gate copy;

    (void)pthread_mutex_lock(&d->lock);
    copy = d->gate;
    (void)pthread_mutex_unlock(&d->lock);
    return copy;
}

bool sn_device_is_open(struct sn_device *d)
{
    struct sn_gate gate = sn_device_gate(d);

    return sn_gate_is_open(&gate);
}

bool sn_device_is_paused(struct sn_device *d)
{
    return sn_device_gate(d).state == SN_GATE_PERSON;
}

bool sn_device_may_save(struct sn_device *d)
{
    struct sn_gate gate = sn_device_gate(d);

    return sn_gate_may_save(&gate);
}

bool sn_device_is_ours(struct sn_device *d)
{
    bool ours;

    (void)pthread_mutex_lock(&d->lock);
    ours = !sn_device_is_exclusive(d) || d->own != SN_OWN_NONE;
    (void)pthread_mutex_unlock(&d->lock);
    return ours;
}
