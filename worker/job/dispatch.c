/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/dispatch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/job/finish.h"
#include "worker/job/publish.h"
#include "worker/lane/lane.h"
#include "worker/metrics.h"

/* A publication that nobody took is said again after this. */
#define UNCONFIRMED_RETRY_MS 2000

/* One contract with a job in flight. */
struct contract {
    char owner[SN_NS_MAX + 32];
    struct sn_job *lead;        /* the one in flight */
    struct sn_job_list behind;
    int express_behind;         /* of them; they must not wait for a bill run to come round to those before them */
    UT_hash_handle hh;
};

struct sn_dispatch {
    struct sn_fleet *fleet;
    struct contract *contracts; /* uthash */
    struct sn_job *all;         /* every job that has a delivery, the oldest first */
    struct sn_job **all_last;
    struct sn_job *timed;       /* a heap: the one that is due first */
    void (*on_ctl)(void *arg, struct sn_delivery *request);
    void *on_ctl_arg;

    pthread_mutex_t lock;
    struct sn_job_list inbox;   /* (lock) from lanes and publisher */
    atomic_int in_hand;
    atomic_llong oldest_ms;     /* monotonic arrival of the oldest, 0 = none */
};

int sn_dispatch_new(struct sn_fleet *fleet, struct sn_dispatch **ret, struct sn_error *err)
{
    struct sn_dispatch *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return sn_error_oom(err);
    d->fleet = fleet;
    d->all_last = &d->all;
    sn_job_list_init(&d->inbox);
    (void)pthread_mutex_init(&d->lock, NULL);
    *ret = d;
    return 0;
}

static void unlist(struct sn_dispatch *d, struct sn_job *job)
{
    if (job->all_prev == NULL)
        return;
    *job->all_prev = job->all_next;
    if (job->all_next != NULL)
        job->all_next->all_prev = job->all_prev;
    else
        d->all_last = job->all_prev;
    job->all_prev = NULL;
    (void)atomic_fetch_sub(&d->in_hand, 1);
}

static void enlist(struct sn_dispatch *d, struct sn_job *job)
{
    job->all_next = NULL;
    job->all_prev = d->all_last;
    *d->all_last = job;
    d->all_last = &job->all_next;
    (void)atomic_fetch_add(&d->in_hand, 1);
}

void sn_dispatch_free(struct sn_dispatch *d)
{
    struct contract *c;
    struct contract *next;

    if (d == NULL)
        return;
    HASH_ITER(hh, d->contracts, c, next) {
        HASH_DEL(d->contracts, c);
        free(c);
    }
    while (d->all != NULL) {
        struct sn_job *job = d->all;
        unlist(d, job);
        sn_job_free(job);
    }
    (void)pthread_mutex_destroy(&d->lock);
    free(d);
}

int sn_dispatch_in_hand(struct sn_dispatch *d)
{
    return atomic_load(&d->in_hand);
}

int64_t sn_dispatch_oldest_ms(struct sn_dispatch *d)
{
    return atomic_load(&d->oldest_ms);
}

void sn_dispatch_on_ctl(struct sn_dispatch *d, void (*handle)(void *arg, struct sn_delivery *request), void *arg)
{
    d->on_ctl = handle;
    d->on_ctl_arg = arg;
}

/* ---- from other threads ---- */

static void post(struct sn_dispatch *d, struct sn_job *job)
{
    (void)pthread_mutex_lock(&d->lock);
    sn_job_list_push(&d->inbox, job);
    (void)pthread_mutex_unlock(&d->lock);
    sn_consumer_wake(d->fleet->consumer);
}

void sn_dispatch_return(struct sn_dispatch *d, struct sn_job *job)
{
    post(d, job);
}

void sn_dispatch_confirmed(struct sn_dispatch *d, struct sn_job *job)
{
    post(d, job);
}

void sn_dispatch_plan(struct sn_dispatch *d, struct sn_job *job)
{
    job->after = SN_THEN_STEP;
    post(d, job);
}

/* ---- jobs begin ---- */

static void to_front(struct sn_dispatch *d, struct sn_job *job)
{
    sn_job_flow(job, true);
    sn_lane_push(d->fleet->front, job);
}

static void lead(struct sn_dispatch *d, struct contract *c, struct sn_job *job)
{
    c->lead = job;
    job->leads = true;
    if (c->express_behind > 0)
        sn_lane_hurry(job);
    to_front(d, job);
}

/* One in flight per contract: later ones wait behind it, in the order of their arrival. */
static void begin(struct sn_dispatch *d, struct sn_job *job)
{
    char owner[SN_NS_MAX + 32];
    struct contract *c;

    if (job->event == NULL || job->dry) {
        to_front(d, job);
        return;
    }
    sn_job_owner(job, owner, sizeof(owner));
    HASH_FIND_STR(d->contracts, owner, c);
    if (c != NULL) {
        sn_job_enter(job, SN_JOB_BEHIND);
        sn_job_list_push(&c->behind, job);
        if (!job->bulk) {
            c->express_behind++;
            sn_lane_hurry(c->lead);
        }
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        /* without a place to queue behind it, order is the record's business alone */
        to_front(d, job);
        return;
    }
    (void)snprintf(c->owner, sizeof(c->owner), "%s", owner);
    sn_job_list_init(&c->behind);
    HASH_ADD_STR(d->contracts, owner, c);
    lead(d, c, job);
}

static void next_of_contract(struct sn_dispatch *d, struct sn_job *job)
{
    char owner[SN_NS_MAX + 32];
    struct contract *c;
    struct sn_job *next;

    if (!job->leads)
        return;
    job->leads = false;
    sn_job_owner(job, owner, sizeof(owner));
    HASH_FIND_STR(d->contracts, owner, c);
    if (c == NULL)
        return;
    next = sn_job_list_pop(&c->behind);
    if (next == NULL) {
        HASH_DEL(d->contracts, c);
        free(c);
        return;
    }
    if (!next->bulk)
        c->express_behind--;
    lead(d, c, next);
}

static int replay_of(const char *header, char request[64])
{
    const char *slash = strrchr(header, '/');
    int n = slash != NULL ? (int)strtol(slash + 1, NULL, 10) : 0;

    (void)snprintf(request, 64, "%.*s", slash != NULL ? (int)(slash - header) : 0, header);
    return n > 0 ? n : 0;
}

/* Headers are as foreign as the body: whoever may publish may write them. */
static int attempts_of(const struct sn_headers *headers, int attempts_max)
{
    if (headers->attempt < 0)
        return 0;
    return headers->attempt < attempts_max ? (int)headers->attempt : attempts_max;
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text);
    size_t b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

/* A copy, sealed like every copy of ours, confirmed into a queue; then this delivery is acknowledged. */
static void copy_to_queue(struct sn_dispatch *d, struct sn_job *job, const char *queue)
{
    struct sn_publication *pub = sn_finish_copy(job, "", queue);

    job->after = SN_THEN_PUBLISH;
    sn_job_enter(job, SN_JOB_PUBLISHING);
    sn_job_publish_copy(job, d->fleet, pub);
    sn_job_release(job, d->fleet);
}

/* A message in the intake that a device of the inventory waits for: on to its queue, where its owner takes it. Not what the delivery limit
 * threw out of there: that ends here. */
static bool forward(struct sn_dispatch *d, struct sn_job *job)
{
    char queue[96];

    if (strcmp(job->delivery->queue, "silver.intake") != 0 || job->event == NULL || job->device == NULL ||
        strcmp(job->delivery->headers.first_death, "delivery_limit") == 0)
        return false;
    (void)snprintf(queue, sizeof(queue), "silver.device.%s%s", job->device->target->id,
                   strncmp(job->delivery->routing_key, "bulk.", 5) == 0 ? ".bulk" : "");
    copy_to_queue(d, job, queue);
    return true;
}

static void delivered(void *arg, struct sn_delivery *delivery)
{
    struct sn_dispatch *d = arg;
    struct sn_fleet *fleet = d->fleet;
    struct sn_event *event = NULL;
    struct sn_event_refusal refusal;
    struct sn_job *job;
    uint64_t link = delivery->link;
    uint64_t tag = delivery->tag;

    if (strncmp(delivery->queue, "silver.ctl.", 11) == 0) {
        if (d->on_ctl != NULL)
            d->on_ctl(d->on_ctl_arg, delivery);
        else
            sn_delivery_free(delivery);
        sn_consumer_ack(fleet->consumer, link, tag);
        return;
    }
    memset(&refusal, 0, sizeof(refusal));
    if (sn_event_read(&fleet->policy, delivery->body, delivery->len, delivery->content_type, delivery->message_id, &event,
                      &refusal) != 0)
        event = NULL;
    if (event == NULL && strcmp(refusal.code, SN_CODE_OOM) == 0) {
        sn_log(fleet->log, SN_LOG_ERROR, "job", "no memory to read a message: given back", "queue", delivery->queue, NULL);
        sn_delivery_free(delivery);
        sn_consumer_nack(fleet->consumer, link, tag);
        return;
    }
    job = sn_job_new(delivery, event, fleet->inventory, fleet->log);
    if (job == NULL) {
        sn_consumer_nack(fleet->consumer, link, tag); /* no memory: the broker keeps it */
        return;
    }
    job->refusal = refusal;
    job->attempt = attempts_of(&delivery->headers, fleet->conf.attempts_max);
    job->replay = replay_of(delivery->headers.replay, job->replay_request);
    job->bulk = ends_with(delivery->queue, ".bulk");
    if (event != NULL) {
        job->device = sn_fleet_device(fleet, event->routing);
        if (event->disagrees)
            sn_measure_add(fleet->metrics, SN_MEASURE_TYPE_DISAGREES, event->type, 1);
    }
    enlist(d, job);
    if (!forward(d, job))
        begin(d, job);
}

/* ---- jobs end ---- */

static void finish_dry(struct sn_job *job)
{
    job->dry_done(job->dry_arg, job);
    sn_job_free(job);
}

struct drop {
    char uid[64];
    size_t n;
    char (*ids)[32];
};

/* Front lane. A journal that is not dropped is published once more by the next owner: a repetition, no loss. */
static void drop_journal(struct sn_lane_thread *t, void *arg)
{
    struct drop *drop = arg;
    struct sn_error err;

    (void)SN_FAILPOINT("journal.before-drop", drop->uid);
    for (size_t i = 0; i < drop->n;) {
        const char *ids[50];
        size_t n = 0;
        while (n < 50 && i < drop->n)
            ids[n++] = drop->ids[i++];
        if (sn_store_journal_drop(t->store, drop->uid, ids, n, &err) != 0) {
            sn_log(sn_lane_fleet(t->lane)->log, SN_LOG_DEBUG, "journal", "not trimmed", "device", drop->uid, "why", err.text, NULL);
            break;
        }
    }
    (void)SN_FAILPOINT("journal.dropped", drop->uid);
    free(drop->ids);
    free(drop);
}

static void trim_journal(struct sn_dispatch *d, struct sn_job *job)
{
    struct drop *drop;

    if (job->journal_n == 0 || job->device == NULL || (drop = calloc(1, sizeof(*drop))) == NULL)
        return;
    (void)snprintf(drop->uid, sizeof(drop->uid), "%s", job->device->target->uid);
    drop->n = job->journal_n;
    drop->ids = job->journal;
    job->journal = NULL;
    job->journal_n = 0;
    if (sn_lane_order(d->fleet->front, drop_journal, drop) != 0) {
        free(drop->ids);
        free(drop);
    }
}

static void acknowledge(struct sn_dispatch *d, struct sn_job *job)
{
    if (!atomic_load(&job->unconfirmed))
        trim_journal(d, job);
    sn_job_enter(job, SN_JOB_ACKED);
    sn_consumer_ack(d->fleet->consumer, job->delivery->link, job->delivery->tag);
    (void)atomic_fetch_add(&d->fleet->jobs_done, 1);
    next_of_contract(d, job);
    unlist(d, job);
    sn_job_free(job);
}

static void give_back(struct sn_dispatch *d, struct sn_job *job)
{
    if (!atomic_load(&job->unconfirmed))
        trim_journal(d, job);
    sn_job_enter(job, SN_JOB_GIVEN_BACK);
    if (!atomic_load(&job->lost))
        sn_consumer_nack(d->fleet->consumer, job->delivery->link, job->delivery->tag);
    next_of_contract(d, job);
    unlist(d, job);
    sn_job_free(job);
}

struct ended {
    char event[SN_UUID_TEXT_MAX];
};

/* Front lane. A run whose end is not on record counts as a crash: harmless, three are allowed. */
static void pause_run(struct sn_lane_thread *t, void *arg)
{
    struct ended *e = arg;
    struct sn_error err;

    if (sn_store_pause_run(t->store, e->event, &err) != 0)
        sn_log(sn_lane_fleet(t->lane)->log, SN_LOG_DEBUG, "journal", "the pause of a run is not on record", "event", e->event, "why",
               err.text, NULL);
    free(e);
}

/* The run ends here without an outcome: what was said to devices goes to the ledger before its journal is trimmed, and its end is no crash. */
static void end_run(struct sn_dispatch *d, struct sn_job *job)
{
    struct ended *e;

    if (job->run == 0 || job->dry)
        return;
    sn_finish_tell_run(d->fleet, job);
    if ((e = calloc(1, sizeof(*e))) == NULL)
        return;
    (void)snprintf(e->event, sizeof(e->event), "%s", job->event->id);
    if (sn_lane_order(d->fleet->front, pause_run, e) != 0)
        free(e);
}

/* Gives the ring's hold up; the job is given back when no confirm is awaited any more (until then the publisher knows it). */
static void leave(struct sn_dispatch *d, struct sn_job *job)
{
    end_run(d, job);
    job->after = SN_THEN_GIVE_BACK;
    sn_job_release(job, d->fleet);
}

/* Held too long: the broker would take it for a stuck consumer's. It waits on at the back of its own queue, nothing is spent. */
static void to_the_back(struct sn_dispatch *d, struct sn_job *job)
{
    sn_log(job->log, SN_LOG_INFO, "job", "held too long: to the back of its queue", "event",
           job->event != NULL ? job->event->id : job->refusal.id, "queue", job->delivery->queue, NULL);
    if (job->event == NULL) {
        leave(d, job); /* what could not be read could not be sealed */
        return;
    }
    end_run(d, job);
    copy_to_queue(d, job, job->delivery->queue);
}

static bool is_held_too_long(const struct sn_dispatch *d, const struct sn_job *job)
{
    return !job->dry && sn_clock_mono_ms() - job->received_ms > d->fleet->conf.hold_max_ms;
}

static void sleep_until(struct sn_dispatch *d, struct sn_job *job, int64_t wake_ms)
{
    if (atomic_load(&job->lost) || (atomic_load(&d->fleet->stopping) && !job->dry)) {
        leave(d, job);
        return;
    }
    job->wake_ms = wake_ms;
    sn_job_enter(job, SN_JOB_TIMED);
    sn_job_heap_push(&d->timed, job);
}

static void wait_until(struct sn_dispatch *d, struct sn_job *job, int64_t wake_ms)
{
    if (is_held_too_long(d, job) && !atomic_load(&job->lost) && !atomic_load(&d->fleet->stopping))
        to_the_back(d, job);
    else
        sleep_until(d, job, wake_ms);
}

/* Its queue is still ours to consume: what is given back is delivered again in the same moment, and counted against the delivery limit. */
static bool comes_back_at_once(const struct sn_dispatch *d, const struct sn_job *job)
{
    bool consuming;

    if (job->device == NULL || atomic_load(&job->lost) || atomic_load(&d->fleet->stopping))
        return false;
    (void)pthread_mutex_lock(&job->device->lock);
    consuming = job->device->consuming;
    (void)pthread_mutex_unlock(&job->device->lock);
    return consuming;
}

/* Then it rests a while before it goes: whatever turned it away (an owner record that is being renewed) has time to pass. */
static void rest(struct sn_dispatch *d, struct sn_job *job)
{
    job->resting = true;
    job->wake_ms = sn_clock_mono_ms() + d->fleet->conf.store_retry_ms;
    sn_job_enter(job, SN_JOB_TIMED);
    sn_job_heap_push(&d->timed, job);
}

/* Waiting must not wear a message out: long before the broker throws it out for having been taken back so often, a new copy takes its place. */
static bool is_worn(const struct sn_dispatch *d, const struct sn_job *job)
{
    return job->event != NULL && !atomic_load(&job->lost) && !atomic_load(&d->fleet->stopping) &&
           job->delivery->headers.deliveries >= SN_DEVICE_DELIVERY_LIMIT / 2;
}

static void renew_copy(struct sn_dispatch *d, struct sn_job *job)
{
    sn_log(job->log, SN_LOG_INFO, "job", "taken back often: a new copy takes its place", "event", job->event->id, "queue",
           job->delivery->queue, NULL);
    atomic_store(&job->confirms, 1);
    copy_to_queue(d, job, job->delivery->queue);
}

/* A job came back from a lane or from the publisher. */
static void take_back(struct sn_dispatch *d, struct sn_job *job)
{
    if (job->dry && job->after == SN_THEN_PUBLISH) {
        finish_dry(job);
        return;
    }
    if (job->dry && job->state == SN_JOB_RECEIVED) {
        begin(d, job);
        return;
    }
    switch (job->after) {
    case SN_THEN_PUBLISH:
        if (!atomic_load(&job->unconfirmed) || atomic_load(&job->copied)) {
            acknowledge(d, job);
            return;
        }
        /* refused or returned: admission says the stored result again. Never at once, however long the job was held: nobody took it a
         * moment ago, and would not take a copy now. */
        atomic_store(&job->confirms, 1);
        job->after = SN_THEN_AGAIN;
        sleep_until(d, job, sn_clock_mono_ms() + UNCONFIRMED_RETRY_MS);
        return;
    case SN_THEN_WAIT:
    case SN_THEN_AGAIN:
        wait_until(d, job, job->wake_ms);
        return;
    case SN_THEN_STEP:
    case SN_THEN_GIVE_BACK:
        break;
    }
    if (job->dry)
        finish_dry(job);
    else if (is_worn(d, job))
        renew_copy(d, job);
    else if (comes_back_at_once(d, job))
        rest(d, job);
    else
        give_back(d, job);
}

/* A job that waited for a time waits no more. */
static void wake(struct sn_dispatch *d, struct sn_job *job)
{
    if (job->resting) {
        give_back(d, job);
    } else if (atomic_load(&job->lost)) {
        leave(d, job);
    } else if (job->after == SN_THEN_AGAIN) {
        if (is_held_too_long(d, job))
            to_the_back(d, job);
        else if (!forward(d, job))
            to_front(d, job);
    } else {
        sn_job_flow(job, true);
        sn_lane_push(job->steps[job->at].device->lane, job);
    }
}

/* The jobs that wait for a time and whose link is gone wait for nothing any more. */
static void wake_lost(struct sn_dispatch *d)
{
    struct sn_job *waiting = d->timed;
    struct sn_job *job;

    d->timed = NULL;
    while ((job = sn_job_heap_pop(&waiting)) != NULL) {
        if (atomic_load(&job->lost))
            wake(d, job);
        else
            sn_job_heap_push(&d->timed, job);
    }
}

static int64_t turn(void *arg, int64_t now)
{
    struct sn_dispatch *d = arg;
    struct sn_job *job;

    for (;;) {
        (void)pthread_mutex_lock(&d->lock);
        job = sn_job_list_pop(&d->inbox);
        (void)pthread_mutex_unlock(&d->lock);
        if (job == NULL)
            break;
        take_back(d, job);
    }
    while (d->timed != NULL && d->timed->wake_ms <= now)
        wake(d, sn_job_heap_pop(&d->timed));
    atomic_store(&d->oldest_ms, d->all != NULL ? d->all->received_ms : 0);
    return d->timed != NULL ? d->timed->wake_ms : 0;
}

static void link_up(void *arg, uint64_t link)
{
    struct sn_dispatch *d = arg;

    (void)link;
    sn_log(d->fleet->log, SN_LOG_INFO, "broker", "link up", NULL);
}

/* What this link delivered is somebody else's again: nothing new is started for it. What a lane has in hand ends by itself; the claim and
 * the record keep a second run from doing it twice. */
static void link_down(void *arg, uint64_t link, const char *why)
{
    struct sn_dispatch *d = arg;
    struct contract *c;
    struct contract *next;

    sn_log(d->fleet->log, SN_LOG_WARN, "broker", "link down", "why", why, NULL);
    for (struct sn_job *job = d->all; job != NULL; job = job->all_next) {
        if (job->delivery->link == link)
            atomic_store(&job->lost, true);
    }
    wake_lost(d);
    HASH_ITER(hh, d->contracts, c, next) {
        struct sn_job_list keep;
        struct sn_job *job;
        sn_job_list_init(&keep);
        while ((job = sn_job_list_pop(&c->behind)) != NULL) {
            if (!atomic_load(&job->lost)) {
                sn_job_list_push(&keep, job);
                continue;
            }
            if (!job->bulk)
                c->express_behind--;
            leave(d, job);
        }
        while ((job = sn_job_list_pop(&keep)) != NULL)
            sn_job_list_push(&c->behind, job);
    }
}

static void cancelled(void *arg, const char *queue)
{
    struct sn_dispatch *d = arg;
    char id[SN_DEVICE_ID_MAX];
    struct sn_device *device;

    sn_log(d->fleet->log, SN_LOG_ERROR, "broker", "the broker cancelled a consumer: was the queue deleted?", "queue", queue, NULL);
    if (strncmp(queue, "silver.device.", 14) != 0)
        return;
    (void)snprintf(id, sizeof(id), "%.*s", (int)strcspn(queue + 14, "."), queue + 14);
    device = sn_fleet_device(d->fleet, id);
    if (device != NULL)
        atomic_store(&device->declared, false); /* the keeper makes it again */
}

const struct sn_consumer_ops sn_dispatch_ops = {
    .delivered = delivered,
    .link_up = link_up,
    .link_down = link_down,
    .cancelled = cancelled,
    .turn = turn,
};
