/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/metrics.h"

int sn_fleet_init(struct sn_fleet *fleet, struct sn_error *err)
{
    size_t n = sn_inventory_count(fleet->inventory);

    fleet->devices = calloc(n > 0 ? n : 1, sizeof(*fleet->devices));
    if (fleet->devices == NULL)
        return sn_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        struct sn_device *d = &fleet->devices[i];
        d->target = sn_inventory_at(fleet->inventory, i);
        d->driver = sn_driver_find(d->target->driver);
        if (d->driver == NULL)
            return sn_error_set(err, "inventory.unknown-driver", "line %d: %s: this build has no driver %s", d->target->line,
                                d->target->id, d->target->driver);
        d->inventory = sn_inventory_ref(fleet->inventory);
        (void)pthread_mutex_init(&d->lock, NULL);
        d->session_fd = -1;
        d->wake_fd = -1;
        fleet->devices_n++;
    }
    return 0;
}

void sn_fleet_fini(struct sn_fleet *fleet)
{
    for (size_t i = 0; i < fleet->devices_n; i++) {
        (void)pthread_mutex_destroy(&fleet->devices[i].lock);
        sn_inventory_unref(fleet->devices[i].inventory);
    }
    free(fleet->devices);
    fleet->devices = NULL;
    fleet->devices_n = 0;
}

/* The devices stand in the order of the inventory. */
static struct sn_device *device_of(const struct sn_fleet *fleet, const struct sn_target *target)
{
    return target != NULL ? &fleet->devices[target - sn_inventory_at(fleet->inventory, 0)] : NULL;
}

struct sn_device *sn_fleet_device(const struct sn_fleet *fleet, const char *id)
{
    return device_of(fleet, sn_inventory_by_id(fleet->inventory, id));
}

struct sn_device *sn_fleet_device_by_uid(const struct sn_fleet *fleet, const char *uid)
{
    return device_of(fleet, sn_inventory_by_uid(fleet->inventory, uid));
}

bool sn_fleet_may_write(const struct sn_fleet *fleet, const struct sn_device *routing, int64_t epoch)
{
    return sn_clock_mono_ms() < atomic_load(&fleet->lease_until_ms) && !atomic_load(&fleet->unsure) && !atomic_load(&fleet->halted) &&
           routing != NULL && atomic_load(&routing->owned) && atomic_load(&routing->epoch) == epoch;
}

static void queue_names(const struct sn_device *d, char express[96], char bulk[96])
{
    (void)snprintf(express, 96, "silver.device.%s", d->target->id);
    (void)snprintf(bulk, 96, "silver.device.%s.bulk", d->target->id);
}

void sn_fleet_update_consuming(struct sn_fleet *fleet, struct sn_device *d)
{
    char express[96];
    char bulk[96];
    bool should;
    bool changes;

    queue_names(d, express, bulk);
    /* the lock is held over the calls, so that two threads cannot tell the consumer opposite things in the wrong order */
    (void)pthread_mutex_lock(&d->lock);
    should = d->own == SN_OWN_READY && sn_gate_is_open(&d->gate) && !d->target->maintenance &&
             !atomic_load(&fleet->stopping) && !atomic_load(&fleet->unsure);
    changes = should != d->consuming;
    if (changes) {
        d->consuming = should;
        if (should) {
            sn_consumer_want(fleet->consumer, express, d->target->batch_max);
            sn_consumer_want(fleet->consumer, bulk, d->target->batch_max);
        } else {
            sn_consumer_unwant(fleet->consumer, express);
            sn_consumer_unwant(fleet->consumer, bulk);
        }
    }
    (void)pthread_mutex_unlock(&d->lock);
    if (changes)
        sn_device_wake(d); /* a session to be closed, a probe that has a time now */
}

void sn_fleet_gate_closed(struct sn_fleet *fleet, struct sn_device *d, const struct sn_verdict *cause)
{
    enum sn_gate_state before;
    bool news;

    (void)pthread_mutex_lock(&d->lock);
    before = d->gate.state;
    if (cause->class == SN_AUTH)
        news = sn_gate_close_person(&d->gate, cause->code, cause->text, "", 0, sn_clock_wall_ms());
    else
        news = sn_gate_close(&d->gate, &fleet->conf.gate, cause->code, cause->text, cause->class == SN_TRANSIENT_DEVICE,
                             sn_clock_mono_ms(), sn_clock_wall_ms(), sn_random_below(1000));
    news = news || d->gate.state != before;
    (void)pthread_mutex_unlock(&d->lock);
    if (before == SN_GATE_OPEN)
        sn_measure_add(fleet->metrics, SN_MEASURE_DEVICE_GATE_CLOSINGS, d->target->id, 1);
    if (news)
        sn_log(fleet->log, SN_LOG_WARN, "gate", before == SN_GATE_OPEN ? "closed" : "closed still", "device", d->target->id,
               "code", cause->code, "why", cause->text, NULL);
    (void)SN_FAILPOINT("gate.closed", d->target->id);
    sn_fleet_update_consuming(fleet, d);
}

void sn_fleet_gate_failure(struct sn_fleet *fleet, struct sn_device *d, const char *code, const char *contract)
{
    bool closed;

    (void)pthread_mutex_lock(&d->lock);
    closed = sn_gate_failure(&d->gate, &fleet->conf.gate, code, contract, sn_clock_wall_ms());
    (void)pthread_mutex_unlock(&d->lock);
    if (!closed)
        return;
    sn_measure_add(fleet->metrics, SN_MEASURE_DEVICE_GATE_CLOSINGS, d->target->id, 1);
    sn_log(fleet->log, SN_LOG_ERROR, "gate", "closed until a person looks: equal failures", "device", d->target->id, "code", code, NULL);
    sn_fleet_update_consuming(fleet, d);
}

void sn_fleet_probe_failed(struct sn_fleet *fleet, struct sn_device *d, const struct sn_verdict *cause)
{
    bool news;

    if (cause->class == SN_AUTH) {
        sn_fleet_gate_closed(fleet, d, cause);
        return;
    }
    (void)pthread_mutex_lock(&d->lock);
    news = sn_gate_probe_failed(&d->gate, &fleet->conf.gate, cause->code, cause->text, cause->class == SN_TRANSIENT_DEVICE,
                                sn_clock_mono_ms(), sn_random_below(1000));
    (void)pthread_mutex_unlock(&d->lock);
    if (news)
        sn_log(fleet->log, SN_LOG_WARN, "gate", "closed still", "device", d->target->id, "code", cause->code, "why", cause->text, NULL);
}

void sn_fleet_gate_opened(struct sn_fleet *fleet, struct sn_device *d, const char *why)
{
    (void)pthread_mutex_lock(&d->lock);
    sn_gate_open_after_probe(&d->gate);
    (void)pthread_mutex_unlock(&d->lock);
    sn_log(fleet->log, SN_LOG_INFO, "gate", "open", "device", d->target->id, "why", why, NULL);
    (void)SN_FAILPOINT("gate.opened", d->target->id);
    sn_fleet_update_consuming(fleet, d);
}
