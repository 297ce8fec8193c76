/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/lane/lane.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "worker/job/dispatch.h"
#include "worker/job/finish.h"
#include "worker/job/publish.h"
#include "worker/job/visit.h"
#include "worker/lane/lane_private.h"

/* Everything that concerns a lane wakes it, or has a time of its own (next_due_ms). Beside that it looks: */
#define QUIET_TURN_MS 10000 /* in any case */
#define WATCH_TURN_MS 1000  /* while its gate is closed or a pool has sessions: what happens to them may have woken another thread */

struct sn_fleet *sn_lane_fleet(const struct sn_lane *lane)
{
    return lane->fleet;
}

struct sn_device *sn_lane_device(const struct sn_lane *lane)
{
    return lane->device;
}

static void poke(struct sn_lane *lane, int n)
{
    uint64_t count = (uint64_t)n;
    ssize_t w;

    do {
        w = write(lane->event_fd, &count, sizeof(count));
    } while (w < 0 && errno == EINTR);
}

void sn_lane_wake(struct sn_lane *lane)
{
    poke(lane, 1);
}

static bool hurries(const struct sn_job *job, const void *arg)
{
    (void)arg;
    return atomic_load(&job->hurries);
}

void sn_lane_hurry(struct sn_job *job)
{
    atomic_store(&job->hurries, true); /* where it waits, next_job() sees it */
}

void sn_lane_left(struct sn_lane *lane)
{
    if (atomic_load(&lane->unsaved_n) > 0)
        poke(lane, 1);
}

void sn_lane_push(struct sn_lane *lane, struct sn_job *job)
{
    sn_job_enter(job, SN_JOB_QUEUED);
    (void)pthread_mutex_lock(&lane->lock);
    sn_job_list_push(job->bulk ? &lane->bulk : &lane->express, job);
    (void)pthread_mutex_unlock(&lane->lock);
    poke(lane, 1);
}

int sn_lane_order(struct sn_lane *lane, void (*run)(struct sn_lane_thread *t, void *arg), void *arg)
{
    struct sn_order *o = calloc(1, sizeof(*o));
    bool taken;

    if (o == NULL)
        return -1;
    o->run = run;
    o->arg = arg;
    (void)pthread_mutex_lock(&lane->lock);
    taken = !lane->stopping;
    if (taken) {
        *lane->orders_last = o;
        lane->orders_last = &o->next;
    }
    (void)pthread_mutex_unlock(&lane->lock);
    if (!taken) {
        free(o);
        return -1;
    }
    poke(lane, 1);
    return 0;
}

void sn_lane_counts(struct sn_lane *lane, int *ret_ready, int *ret_unsaved)
{
    (void)pthread_mutex_lock(&lane->lock);
    *ret_ready = lane->express.n + lane->bulk.n;
    (void)pthread_mutex_unlock(&lane->lock);
    *ret_unsaved = atomic_load(&lane->unsaved_n);
}

/* ---- session ---- */

static bool may_write(void *arg)
{
    const struct sn_lane_thread *t = arg;

    return sn_fleet_may_write(t->lane->fleet, t->routing, t->epoch); /* nobody's errand: no write */
}

static int not_ours(const struct sn_device *d, struct sn_verdict *ret)
{
    sn_verdict_set(ret, SN_LOST, "core.ownership-lost", "%s is not this worker's any more", d->target->id);
    return -1;
}

int sn_lane_session(struct sn_lane_thread *t, int64_t deadline_ms, struct sn_verdict *ret)
{
    struct sn_device *d = t->lane->device;
    struct sn_fleet *fleet = t->lane->fleet;
    int64_t connect_by = sn_clock_mono_ms() + fleet->conf.connect_timeout_ms;
    struct sn_driver_env env = { .target = d->target, .inventory = d->inventory, .secrets = t->secrets,
                                 .redact = fleet->redact, .may_write = may_write, .may_write_arg = t };

    if (t->session != NULL)
        return 0;
    if (!sn_device_is_ours(d))
        return not_ours(d, ret);
    if (d->driver->open(&env, connect_by < deadline_ms ? connect_by : deadline_ms, &t->session, ret) != 0) {
        t->session = NULL;
        return -1;
    }
    if (!sn_device_opened(d, d->driver->fd(t->session))) { /* lost during the login, when the keeper had no socket to shut down */
        d->driver->close(t->session, 0);
        t->session = NULL;
        return not_ours(d, ret);
    }
    t->session_n++;
    t->last_used_ms = sn_clock_mono_ms();
    return 0;
}

void sn_lane_close_session(struct sn_lane_thread *t, int64_t grace_ms)
{
    struct sn_device *d = t->lane->device;

    if (t->session == NULL)
        return;
    sn_device_closes(d);
    d->driver->close(t->session, grace_ms > 0 ? sn_clock_mono_ms() + grace_ms : 0);
    t->session = NULL;
}

/* ---- where a job goes ---- */

static void keep_unsaved(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_lane *lane = t->lane;

    sn_job_enter(job, SN_JOB_UNSAVED);
    if (lane->unsaved.n == 0)
        lane->unsaved_since_ms = sn_clock_mono_ms();
    sn_job_list_push(&lane->unsaved, job);
    atomic_store(&lane->unsaved_n, lane->unsaved.n);
}

void sn_lane_carry_on(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_fleet *fleet = t->lane->fleet;
    struct sn_step *next;

    switch (job->after) {
    case SN_THEN_STEP:
        next = &job->steps[job->at];
        sn_lane_push(next->device->lane, job);
        return;
    case SN_THEN_PUBLISH:
        sn_job_flow(job, false);
        sn_job_enter(job, SN_JOB_PUBLISHING);
        sn_job_release(job, fleet);
        return;
    case SN_THEN_GIVE_BACK:
        sn_job_flow(job, false);
        sn_job_release(job, fleet);
        return;
    case SN_THEN_WAIT:
    case SN_THEN_AGAIN:
        sn_job_flow(job, false);
        sn_dispatch_return(fleet->dispatch, job);
        return;
    }
}

/* A target behind another one that is asked elsewhere what it holds (probe() in drivers/driver.h) is visited though it does not answer:
 * what needs no write there ends well, and what does waits. A person's word keeps everybody out. */
static bool may_visit(struct sn_device *d, const struct sn_job *job)
{
    return sn_device_is_open(d) || (d->driver->probe != NULL && d != job->device && !sn_device_is_paused(d));
}

/* What has failed is taken back and saved though the brake closed the gate: the failures that closed it have to end. */
static bool may_go_on(struct sn_device *d, const struct sn_job *job)
{
    const struct sn_step *s = &job->steps[job->at];

    return s->commit || s->undo ? sn_device_may_save(d) : may_visit(d, job);
}

/* Admitted under an ownership that is over: the new owner has it, and perhaps a session too. */
static bool is_disowned(const struct sn_job *job)
{
    return !job->dry && (!atomic_load(&job->device->owned) || atomic_load(&job->device->epoch) != job->epoch);
}

/* The broker takes a delivery that stays unacknowledged for a stuck consumer's: what a lane came to too late goes to the back of its queue. */
static bool waited_too_long(const struct sn_lane *lane, const struct sn_job *job)
{
    return !job->dry && sn_clock_mono_ms() - job->received_ms > lane->fleet->conf.hold_max_ms;
}

/* One job: admission at the front, a visit or a place in the save group at a target. */
static void take_job(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_lane *lane = t->lane;

    sn_job_enter(job, SN_JOB_VISITING);
    if (atomic_load(&job->lost)) {
        /* the broker has given it to somebody already; this copy must not touch anything more */
        sn_finish_give_back(t, job);
    } else if (waited_too_long(lane, job)) {
        job->after = lane->device == NULL ? SN_THEN_AGAIN : SN_THEN_WAIT; /* the dispatcher sees how long it was held */
        job->wake_ms = 0;
    } else if (lane->device == NULL) {
        sn_visit_admit(t, job);
    } else if (is_disowned(job)) {
        sn_finish_give_back(t, job);
    } else if (!may_go_on(lane->device, job)) {
        sn_visit_gate_closed(t, job);
    } else if (job->steps[job->at].commit) {
        if (atomic_load(&lane->device->unsaved) > 0)
            sn_finish_tell_unsaved(t, job, NULL);
        keep_unsaved(t, job);
        return;
    } else {
        sn_visit_step(t, job);
    }
    sn_lane_carry_on(t, job);
}

static struct sn_job *next_job(struct sn_lane *lane)
{
    struct sn_job *job;

    (void)pthread_mutex_lock(&lane->lock);
    job = sn_job_list_pop(&lane->express);
    if (job == NULL)
        job = sn_job_list_take(&lane->bulk, hurries, NULL);
    if (job == NULL)
        job = sn_job_list_pop(&lane->bulk);
    (void)pthread_mutex_unlock(&lane->lock);
    return job;
}

static struct sn_order *next_order(struct sn_lane *lane)
{
    struct sn_order *o;

    (void)pthread_mutex_lock(&lane->lock);
    o = lane->orders;
    if (o != NULL) {
        lane->orders = o->next;
        if (lane->orders == NULL)
            lane->orders_last = &lane->orders;
    }
    (void)pthread_mutex_unlock(&lane->lock);
    return o;
}

/* ---- the thread ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t idle_close_ms(const struct sn_lane *lane)
{
    int64_t own = lane->device->target->idle_close_ms;

    return own > 0 ? own : lane->fleet->conf.idle_close_ms;
}

static int64_t next_due_ms(const struct sn_lane_thread *t, int64_t now)
{
    struct sn_lane *lane = t->lane;
    int64_t due = now + QUIET_TURN_MS;
    struct sn_device *d = lane->device;

    if (d == NULL)
        return due;
    (void)pthread_mutex_lock(&d->lock);
    if (!sn_gate_is_open(&d->gate) || (t->session != NULL && lane->threads_n > 1))
        due = now + WATCH_TURN_MS;
    if (d->gate.state == SN_GATE_PROBING && sn_lane_may_probe(d))
        due = earlier(due, d->gate.probe_at_ms);
    (void)pthread_mutex_unlock(&d->lock);
    if (t->session != NULL)
        due = earlier(due, t->last_used_ms + idle_close_ms(lane) + 1);
    return earlier(due, sn_lane_save_due_ms(lane));
}

/* What waits for a save or for a time is in nobody's hand: should the process die now, it was not the reason. A store that is away is not
 * asked twice: one crash more is counted then, three are allowed. */
static void put_down(struct sn_lane_thread *t)
{
    struct sn_error err;

    if (t->holds && sn_store_put_down(t->store, t->lane->fleet->conf.worker, t->name, &err) != 0)
        sn_log(t->lane->fleet->log, SN_LOG_DEBUG, "lane", "what a thread has in hand is not on record", "why", err.text, NULL);
    t->holds = false;
}

/* Waits for something to do; reads what an idle session says meanwhile. */
static void wait_turn(struct sn_lane_thread *t)
{
    struct sn_lane *lane = t->lane;
    int64_t now = sn_clock_mono_ms();
    int fd = t->session != NULL ? lane->device->driver->fd(t->session) : -1;
    struct pollfd p[2] = { { .fd = lane->event_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    int n = poll(p, fd >= 0 ? 2 : 1, sn_clock_left_ms(next_due_ms(t, now), now));
    uint64_t one;

    if (n > 0 && (p[0].revents & POLLIN) != 0) {
        ssize_t r = read(lane->event_fd, &one, sizeof(one)); /* another thread of the pool may have been faster */
        (void)r;
    }
    /* a target that says something to a driver that does not listen has said good-bye */
    if (n > 0 && fd >= 0 && p[1].revents != 0 &&
        (lane->device->driver->idle == NULL || lane->device->driver->idle(t->session) != 0))
        sn_lane_close_session(t, 0);
    now = sn_clock_mono_ms();
    if (t->session != NULL && !sn_device_is_ours(lane->device))
        sn_lane_close_session(t, 0);
    if (t->session != NULL && sn_device_is_paused(lane->device))
        sn_lane_close_session(t, 500); /* each thread of a pool has a session of its own */
    if (t->session != NULL && now - t->last_used_ms > idle_close_ms(lane))
        sn_lane_close_session(t, 1000);
}

/* Everything that waits goes back to the broker: the lane ends. */
static void give_all_back(struct sn_lane_thread *t)
{
    struct sn_job *job;

    while ((job = next_job(t->lane)) != NULL) {
        sn_job_enter(job, SN_JOB_VISITING);
        sn_finish_give_back(t, job);
        sn_lane_carry_on(t, job);
    }
    while ((job = sn_job_list_pop(&t->lane->unsaved)) != NULL) {
        sn_job_enter(job, SN_JOB_VISITING);
        sn_finish_give_back(t, job);
        sn_lane_carry_on(t, job);
    }
    atomic_store(&t->lane->unsaved_n, 0);
}

static bool stopping(struct sn_lane *lane, bool *ret_drain)
{
    bool stop;

    (void)pthread_mutex_lock(&lane->lock);
    stop = lane->stopping;
    *ret_drain = lane->drain;
    (void)pthread_mutex_unlock(&lane->lock);
    return stop;
}

/* Carries an order out; false when there is none. */
static bool obey(struct sn_lane_thread *t)
{
    struct sn_order *o = next_order(t->lane);

    if (o == NULL)
        return false;
    o->run(t, o->arg);
    free(o);
    return true;
}

static void *run(void *arg)
{
    struct sn_lane_thread *t = arg;
    struct sn_lane *lane = t->lane;
    bool drain = false;

    while (!stopping(lane, &drain)) {
        struct sn_job *job;
        sn_secret_scope_end(t->secrets);
        if (obey(t))
            continue;
        if (sn_lane_probe_if_due(t) || sn_lane_save_if_due(t, false))
            continue;
        job = next_job(lane);
        if (job != NULL) {
            take_job(t, job);
            continue;
        }
        put_down(t);
        wait_turn(t);
    }
    while (obey(t)) /* none is taken any more */
        continue;
    if (drain)
        (void)sn_lane_save_if_due(t, true);
    give_all_back(t);
    sn_lane_close_session(t, drain ? 2000 : 0);
    return NULL;
}

int sn_lane_start(struct sn_fleet *fleet, struct sn_device *device, int threads, struct sn_lane **ret, struct sn_error *err)
{
    struct sn_lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL)
        return sn_error_oom(err);
    lane->fleet = fleet;
    lane->device = device;
    lane->orders_last = &lane->orders;
    (void)pthread_mutex_init(&lane->lock, NULL);
    sn_job_list_init(&lane->express);
    sn_job_list_init(&lane->bulk);
    sn_job_list_init(&lane->unsaved);
    lane->threads = calloc((size_t)threads, sizeof(*lane->threads));
    lane->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (lane->threads == NULL || lane->event_fd < 0) {
        (void)sn_error_set(err, "process.resources", "a lane cannot be made: %s", strerror(errno));
        sn_lane_free(lane);
        return -1;
    }
    if (device != NULL)
        device->wake_fd = lane->event_fd;
    *ret = lane;
    for (int i = 0; i < threads; i++) {
        struct sn_lane_thread *t = &lane->threads[i];
        t->lane = lane;
        (void)snprintf(t->name, sizeof(t->name), "%s/%d", device != NULL ? device->target->uid : "front", i);
        t->store = sn_store_new(&fleet->conf.store);
        if (t->store == NULL || sn_secret_scope_new(fleet->secrets, &t->secrets, err) != 0 ||
            pthread_create(&t->thread, NULL, run, t) != 0) {
            sn_store_free(t->store);
            sn_secret_store_free(t->secrets);
            t->store = NULL;
            t->secrets = NULL;
            return sn_error_set(err, "process.resources", "a lane's thread cannot be started");
        }
        lane->threads_n++;
    }
    return 0;
}

void sn_lane_ask_to_stop(struct sn_lane *lane, bool drain)
{
    if (lane == NULL)
        return;
    (void)pthread_mutex_lock(&lane->lock);
    lane->stopping = true;
    lane->drain = drain;
    (void)pthread_mutex_unlock(&lane->lock);
    poke(lane, lane->threads_n + 1);
}

void sn_lane_stop(struct sn_lane *lane, bool drain)
{
    if (lane == NULL)
        return;
    sn_lane_ask_to_stop(lane, drain);
    for (int i = 0; i < lane->threads_n; i++)
        (void)pthread_join(lane->threads[i].thread, NULL);
}

void sn_lane_free(struct sn_lane *lane)
{
    if (lane == NULL)
        return;
    for (int i = 0; i < lane->threads_n; i++) {
        sn_store_free(lane->threads[i].store);
        sn_secret_store_free(lane->threads[i].secrets);
    }
    if (lane->event_fd >= 0)
        (void)close(lane->event_fd);
    (void)pthread_mutex_destroy(&lane->lock);
    free(lane->threads);
    free(lane);
}
