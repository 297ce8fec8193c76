/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit and gate probes: what a lane does of its own accord. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"
#include "worker/job/finish.h"
#include "worker/job/visit.h"
#include "worker/lane/lane_private.h"

/* A save that was not seen to end is tried again after this: it is no job's attempt. */
#define SAVE_RETRY_MS 2000
/* Of a target that has no limits.save_ms of its own. */
#define SAVE_TIMEOUT_MS 300000

static int64_t save_timeout_ms(const struct sn_target *target)
{
    return sn_json_number_or(json_object_get(target->conf, "limits"), "save_ms", SAVE_TIMEOUT_MS);
}

static int64_t save_every_ms(const struct sn_lane *lane)
{
    int64_t own = lane->device->target->save_every_ms;

    return own > 0 ? own : lane->fleet->conf.save_every_ms;
}

/* Full, or nothing else of this device is under way that could join. */
static bool is_complete(const struct sn_lane *lane)
{
    const struct sn_device *d = lane->device;

    return lane->unsaved.n >= d->target->batch_max || atomic_load(&d->in_hand) <= lane->unsaved.n;
}

static bool is_due(const struct sn_lane *lane, int64_t now)
{
    if (lane->unsaved.n == 0 || now < lane->save_not_before_ms)
        return false;
    return is_complete(lane) || now - lane->unsaved_since_ms >= save_every_ms(lane);
}

int64_t sn_lane_save_due_ms(const struct sn_lane *lane)
{
    int64_t due;

    if (lane->device == NULL || lane->device->driver->commit_policy != SN_COMMIT_BATCH)
        return INT64_MAX;
    if (lane->unsaved.n > 0)
        due = is_complete(lane) ? 0 : lane->unsaved_since_ms + save_every_ms(lane); /* who leaves meanwhile wakes us: sn_lane_left() */
    else if (lane->stray_since_ms != 0)
        due = lane->stray_since_ms + save_every_ms(lane);
    else
        return INT64_MAX;
    return due > lane->save_not_before_ms ? due : lane->save_not_before_ms;
}

/* A device that is busy or was not seen to end is asked again soon, and those who wait for the save hear why. One that refuses, or says what
 * nobody understands, is left alone like one that cannot be reached: its gate says so, and the probes' backoff spares it. */
static void not_saved(struct sn_lane_thread *t, const struct sn_verdict *v)
{
    struct sn_lane *lane = t->lane;
    struct sn_device *d = lane->device;
    bool asks_again = v->class == SN_TRANSIENT_DEVICE || v->class == SN_UNKNOWN || v->class == SN_LOST || v->class == SN_OK;

    sn_log(lane->fleet->log, SN_LOG_WARN, "lane", "not saved", "device", d->target->id, "code", v->code, "why", v->text, NULL);
    if (v->class != SN_OK && v->class != SN_TRANSIENT_DEVICE)
        sn_lane_close_session(t, 0);
    if (!asks_again)
        sn_fleet_gate_closed(lane->fleet, d, v);
    if (strcmp(lane->save_code, v->code) == 0)
        return;
    (void)snprintf(lane->save_code, sizeof(lane->save_code), "%s", v->code);
    for (struct sn_job *job = lane->unsaved.first; job != NULL; job = job->next)
        sn_finish_tell_unsaved(t, job, v);
}

/* Saves the running configuration and says so to the store. 0, or -1: still dirty. */
static int save(struct sn_lane_thread *t)
{
    struct sn_lane *lane = t->lane;
    struct sn_device *d = lane->device;
    struct sn_reply reply = { 0 };
    struct sn_error err;
    int64_t deadline = sn_clock_mono_ms() + save_timeout_ms(d->target);
    int64_t epoch = atomic_load(&d->epoch);
    int written = atomic_load(&d->unsaved);
    bool dirty = true;
    int rc = -1;

    if (sn_store_dirty(t->store, d->target->uid, &dirty, &err) == 0 && !dirty && written == 0)
        return 0;
    t->routing = d; /* asked once more right before the line leaves: a login may have taken its time */
    t->epoch = epoch;
    if (!sn_fleet_may_write(lane->fleet, d, epoch) || sn_lane_session(t, deadline, &reply.verdict) != 0)
        goto out;
    (void)SN_FAILPOINT("save.before", d->target->id);
    d->driver->commit(t->session, deadline, &reply);
    t->last_used_ms = sn_clock_mono_ms();
    (void)SN_FAILPOINT("save.after", d->target->id);
    if (reply.verdict.class == SN_OK && sn_store_clean(t->store, d->target->uid, epoch, &err) == 0) {
        (void)SN_FAILPOINT("save.recorded", d->target->id);
        (void)atomic_fetch_sub(&d->unsaved, written);
        rc = 0;
    }
out:
    t->routing = NULL;
    if (rc != 0) {
        not_saved(t, &reply.verdict);
    } else {
        char n[16];
        (void)snprintf(n, sizeof(n), "%d", lane->unsaved.n);
        sn_log(lane->fleet->log, SN_LOG_INFO, "lane", "saved", "device", d->target->id, "jobs", n, NULL);
        (void)pthread_mutex_lock(&d->lock);
        sn_gate_success(&d->gate, true);
        (void)pthread_mutex_unlock(&d->lock);
        lane->save_code[0] = '\0';
    }
    sn_reply_fini(&reply);
    return rc;
}

/* Its delivery is somebody else's by now, or soon would be. */
static bool must_go_back(const struct sn_job *job, const void *arg)
{
    const int64_t *since = arg;

    return atomic_load(&job->lost) || job->received_ms < *since;
}

/* What was written is on record (the device stays dirty), the jobs come again. match NULL: all of them. */
static void give_back_unsaved(struct sn_lane_thread *t, bool (*match)(const struct sn_job *job, const void *arg), const void *arg)
{
    struct sn_lane *lane = t->lane;
    struct sn_job *job;

    while ((job = sn_job_list_take(&lane->unsaved, match, arg)) != NULL) {
        atomic_store(&lane->unsaved_n, lane->unsaved.n);
        sn_job_enter(job, SN_JOB_VISITING);
        sn_finish_give_back(t, job);
        sn_lane_carry_on(t, job);
    }
}

/* The save failed and is tried again; nothing stays unacknowledged for ever because of it. */
static void save_later(struct sn_lane_thread *t)
{
    int64_t now = sn_clock_mono_ms();
    int64_t since = now - t->lane->fleet->conf.hold_max_ms;

    if (sn_device_may_save(t->lane->device)) /* else the gate says when */
        t->lane->save_not_before_ms = now + SAVE_RETRY_MS;
    give_back_unsaved(t, must_go_back, &since);
}

/* Writes whose job went elsewhere to wait (the ladder, another worker's event): nobody asks for their save, a reboot would undo them all the
 * same. True when something was done. */
static bool save_stray_writes(struct sn_lane_thread *t)
{
    struct sn_lane *lane = t->lane;
    int64_t now = sn_clock_mono_ms();

    if (atomic_load(&lane->device->unsaved) == 0 || !sn_device_may_save(lane->device) || !atomic_load(&lane->device->owned)) {
        lane->stray_since_ms = 0;
        return false;
    }
    if (lane->stray_since_ms == 0)
        lane->stray_since_ms = now;
    if (now - lane->stray_since_ms < save_every_ms(lane) || now < lane->save_not_before_ms)
        return false;
    lane->stray_since_ms = 0;
    if (save(t) != 0)
        lane->save_not_before_ms = sn_clock_mono_ms() + SAVE_RETRY_MS;
    return true;
}

bool sn_lane_save_if_due(struct sn_lane_thread *t, bool now)
{
    struct sn_lane *lane = t->lane;
    struct sn_job_list group;
    struct sn_job *job;

    if (lane->device == NULL || lane->device->driver->commit_policy != SN_COMMIT_BATCH)
        return false;
    if (lane->unsaved.n == 0)
        return save_stray_writes(t);
    /* A closed gate forbids the save too; and of a device that is not ours any more the new owner saves what we wrote. */
    if (!sn_device_may_save(lane->device) || !atomic_load(&lane->device->owned)) {
        give_back_unsaved(t, NULL, NULL);
        return true;
    }
    if (!now && !is_due(lane, sn_clock_mono_ms()))
        return false;
    if (save(t) != 0) {
        save_later(t);
        return false;
    }
    lane->save_not_before_ms = 0;
    group = lane->unsaved;
    if (group.n == 0)
        group.last = &group.first;
    sn_job_list_init(&lane->unsaved);
    atomic_store(&lane->unsaved_n, 0);
    while ((job = sn_job_list_pop(&group)) != NULL) {
        sn_job_enter(job, SN_JOB_VISITING);
        sn_visit_saved(t, job);
        sn_lane_carry_on(t, job);
    }
    return true;
}

bool sn_lane_may_probe(const struct sn_device *d)
{
    return d->own == SN_OWN_READY || !sn_device_is_exclusive(d);
}

bool sn_lane_probe_if_due(struct sn_lane_thread *t)
{
    struct sn_lane *lane = t->lane;
    struct sn_device *d = lane->device;
    struct sn_verdict v = { 0 };
    int64_t now = sn_clock_mono_ms();
    int64_t deadline = now + lane->fleet->conf.connect_timeout_ms;
    bool due;
    bool over;

    if (d == NULL)
        return false;
    (void)pthread_mutex_lock(&d->lock);
    due = sn_gate_probe_due(&d->gate, now) && sn_lane_may_probe(d);
    if (due)
        d->gate.probe_at_ms = now + lane->fleet->conf.gate.probe_max_ms; /* the other threads of a pool need not probe too */
    over = d->gate.state == SN_GATE_PERSON && d->gate.until_ms > 0 && sn_clock_wall_ms() >= d->gate.until_ms;
    if (over)
        sn_gate_open_by_person(&d->gate);
    (void)pthread_mutex_unlock(&d->lock);
    if (over) {
        sn_log(lane->fleet->log, SN_LOG_INFO, "gate", "open: the pause is over", "device", d->target->id, NULL);
        sn_fleet_update_consuming(lane->fleet, d);
    }
    if (!due)
        return over;
    if (sn_lane_session(t, deadline, &v) == 0 && (d->driver->probe == NULL || d->driver->probe(t->session, deadline, &v) == 0))
        sn_fleet_gate_opened(lane->fleet, d, "probe answered");
    else if (v.class != SN_LOST)
        sn_fleet_probe_failed(lane->fleet, d, &v);
    sn_verdict_fini(&v);
    return true;
}
