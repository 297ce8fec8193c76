/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/lane/lane.h"

const char *sn_job_state_word(enum sn_job_state s)
{
    static const char *const words[] = {
#define X(name, word) word,
        SN_JOB_STATES(X)
#undef X
    };
    return (unsigned)s < SN_JOB_STATE_COUNT ? words[s] : "?";
}

#define BIT(s) (1u << (s))

bool sn_job_may_enter(enum sn_job_state from, enum sn_job_state to)
{
    /* whatever becomes of a link or a lease, the lane that has the job says so: it leaves a lane only by VISITING */
    static const unsigned ways[SN_JOB_STATE_COUNT] = {
        [SN_JOB_RECEIVED] = BIT(SN_JOB_BEHIND) | BIT(SN_JOB_QUEUED) | BIT(SN_JOB_PUBLISHING),
        [SN_JOB_BEHIND] = BIT(SN_JOB_QUEUED) | BIT(SN_JOB_GIVEN_BACK),
        [SN_JOB_QUEUED] = BIT(SN_JOB_VISITING),
        [SN_JOB_VISITING] = BIT(SN_JOB_QUEUED) | BIT(SN_JOB_TIMED) | BIT(SN_JOB_UNSAVED) | BIT(SN_JOB_PUBLISHING) |
                            BIT(SN_JOB_GIVEN_BACK),
        [SN_JOB_TIMED] = BIT(SN_JOB_QUEUED) | BIT(SN_JOB_PUBLISHING) | BIT(SN_JOB_GIVEN_BACK),
        [SN_JOB_UNSAVED] = BIT(SN_JOB_VISITING),
        [SN_JOB_PUBLISHING] = BIT(SN_JOB_ACKED) | BIT(SN_JOB_TIMED) | BIT(SN_JOB_GIVEN_BACK),
    };
    return (unsigned)from < SN_JOB_STATE_COUNT && (ways[from] & BIT(to)) != 0;
}

static void tell_failpoint(const struct sn_job *job)
{
    static const char *const points[] = {
#define X(name, word) "job." word,
        SN_JOB_STATES(X)
#undef X
    };
    (void)SN_FAILPOINT(points[job->state], job->event != NULL ? job->event->ref : "");
}

void sn_job_enter(struct sn_job *job, enum sn_job_state state)
{
    const char *id = job->event != NULL ? job->event->id : job->refusal.id;

    if (!sn_job_may_enter(job->state, state))
        sn_log(job->log, SN_LOG_ERROR, "job", "illegal change of state", "event", id, "from",
               sn_job_state_word(job->state), "to", sn_job_state_word(state), NULL);
    else
        sn_log(job->log, SN_LOG_DEBUG, "job", "state", "event", id, "from", sn_job_state_word(job->state), "to",
               sn_job_state_word(state), NULL);
    job->state = state;
    tell_failpoint(job);
}

struct sn_job *sn_job_new(struct sn_delivery *delivery, struct sn_event *event, struct sn_inventory *inv, const struct sn_log *log)
{
    struct sn_job *job = calloc(1, sizeof(*job));

    if (job == NULL || (job->entries = json_array()) == NULL) {
        free(job);
        sn_delivery_free(delivery);
        sn_event_free(event);
        return NULL;
    }
    atomic_init(&job->confirms, 1);
    job->state = SN_JOB_RECEIVED;
    job->log = log;
    job->delivery = delivery;
    job->event = event;
    job->inventory = sn_inventory_ref(inv);
    job->received_ms = sn_clock_mono_ms();
    tell_failpoint(job);
    return job;
}

void sn_job_drop_steps(struct sn_job *job)
{
    for (int i = 0; i < job->steps_n; i++) {
        struct sn_step *s = &job->steps[i];
        sn_verdict_fini(&s->verdict);
        json_decref(s->key);
        json_decref(s->holds);
        json_decref(s->reality);
        json_decref(s->record);
        json_decref(s->plan);
    }
    memset(job->steps, 0, sizeof(job->steps));
    job->steps_n = 0;
    job->at = 0;
}

void sn_job_free(struct sn_job *job)
{
    if (job == NULL)
        return;
    sn_job_drop_steps(job);
    sn_verdict_fini(&job->cause);
    json_decref(job->entries);
    json_decref(job->follow_ups);
    sn_buf_fini(&job->raw);
    free(job->journal);
    sn_event_free(job->event);
    sn_delivery_free(job->delivery);
    sn_inventory_unref(job->inventory);
    free(job);
}

void sn_job_journaled(struct sn_job *job, const char *id)
{
    if (job->journal_n == job->journal_cap) {
        size_t cap = job->journal_cap > 0 ? job->journal_cap * 2 : 32;
        void *more = reallocarray(job->journal, cap, sizeof(*job->journal));
        if (more == NULL)
            return;
        job->journal = more;
        job->journal_cap = cap;
    }
    (void)snprintf(job->journal[job->journal_n++], sizeof(*job->journal), "%s", id);
}

void sn_job_flow(struct sn_job *job, bool flows)
{
    if (job->flows == flows || job->device == NULL || job->dry)
        return;
    job->flows = flows;
    (void)atomic_fetch_add(&job->device->in_hand, flows ? 1 : -1);
    if (!flows && job->device->lane != NULL)
        sn_lane_left(job->device->lane);
}

void sn_job_owner(const struct sn_job *job, char *out, size_t size)
{
    (void)snprintf(out, size, "%s/%s", job->event->ns, job->event->contract_id);
}

void sn_job_list_init(struct sn_job_list *l)
{
    l->first = NULL;
    l->last = &l->first;
    l->n = 0;
}

void sn_job_list_push(struct sn_job_list *l, struct sn_job *job)
{
    job->next = NULL;
    *l->last = job;
    l->last = &job->next;
    l->n++;
}

struct sn_job *sn_job_list_pop(struct sn_job_list *l)
{
    return sn_job_list_take(l, NULL, NULL);
}

struct sn_job *sn_job_list_take(struct sn_job_list *l, bool (*match)(const struct sn_job *job, const void *arg), const void *arg)
{
    for (struct sn_job **p = &l->first; *p != NULL; p = &(*p)->next) {
        struct sn_job *job = *p;
        if (match != NULL && !match(job, arg))
            continue;
        *p = job->next;
        if (l->last == &job->next)
            l->last = p;
        l->n--;
        job->next = NULL;
        return job;
    }
    return NULL;
}

/* A skew heap: merging walks down the right sides and swaps the sides on the way, which keeps them short in the long run. */
static struct sn_job *merge(struct sn_job *a, struct sn_job *b)
{
    struct sn_job *root = NULL;
    struct sn_job **at = &root;

    while (a != NULL && b != NULL) {
        struct sn_job *first = b->wake_ms < a->wake_ms ? b : a;
        struct sn_job *second = first == a ? b : a;
        *at = first;
        a = first->later[1];
        b = second;
        first->later[1] = first->later[0];
        at = &first->later[0];
    }
    *at = a != NULL ? a : b;
    return root;
}

void sn_job_heap_push(struct sn_job **heap, struct sn_job *job)
{
    job->later[0] = NULL;
    job->later[1] = NULL;
    *heap = merge(*heap, job);
}

struct sn_job *sn_job_heap_pop(struct sn_job **heap)
{
    struct sn_job *first = *heap;

    if (first != NULL)
        *heap = merge(first->later[0], first->later[1]);
    return first;
}
