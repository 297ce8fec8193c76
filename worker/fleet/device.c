/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/device.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"

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

static bool is_ours(const struct sn_device *d)
{
    return !sn_device_is_exclusive(d) || d->own != SN_OWN_NONE;
}

bool sn_device_is_ours(struct sn_device *d)
{
    bool ours;

    (void)pthread_mutex_lock(&d->lock);
    ours = is_ours(d);
    (void)pthread_mutex_unlock(&d->lock);
    return ours;
}

bool sn_device_opened(struct sn_device *d, int fd)
{
    bool ours;

    (void)pthread_mutex_lock(&d->lock);
    ours = is_ours(d);
    if (ours && sn_device_is_exclusive(d)) {
        d->session_fd = fd;
        atomic_store(&d->warm_since_ms, sn_clock_wall_ms());
    }
    (void)pthread_mutex_unlock(&d->lock);
    return ours;
}

void sn_device_closes(struct sn_device *d)
{
    if (!sn_device_is_exclusive(d))
        return;
    (void)pthread_mutex_lock(&d->lock);
    d->session_fd = -1;
    atomic_store(&d->warm_since_ms, 0);
    (void)pthread_mutex_unlock(&d->lock);
}

bool sn_device_cut(struct sn_device *d)
{
    bool none;

    /* the lock is held over the call: a descriptor that its lane closes meanwhile may be another connection's a moment later */
    (void)pthread_mutex_lock(&d->lock);
    none = d->session_fd < 0;
    if (!none)
        (void)shutdown(d->session_fd, SHUT_RDWR);
    (void)pthread_mutex_unlock(&d->lock);
    return none;
}

void sn_device_wake(const struct sn_device *d)
{
    uint64_t one = 1;
    ssize_t n;

    if (d->wake_fd < 0)
        return;
    do {
        n = write(d->wake_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}
