/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"
#include "worker/job/converge.h"
#include "worker/job/finish.h"
#include "worker/job/record.h"
#include "worker/job/result.h"
#include "worker/metrics.h"

/* Of one reply, in the journal: long lists are cut, the transcript has its own limit. */
#define JOURNAL_TEXT_MAX 8192
/* Of a reply that nobody understands, in the letter: enough for a fixture. */
#define RAW_MAX 32768

/* One visit: everything the loop's callbacks need. */
struct visit {
    struct sn_lane_thread *t;
    struct sn_fleet *fleet;
    struct sn_job *job;
    struct sn_step *step;
    char owner[SN_NS_MAX + 32];
    struct sn_record_who who;
    struct sn_want want;
    json_t *record; /* as it stands in the store */
    json_t *rivals;
    json_t *claims;
    json_t *old;
    json_t *memo;
    int64_t deadline_ms;
    int64_t op_started_ms;
    unsigned failures; /* sn_json_failures() when the visit began */
    struct sn_step_ask ask; /* of the write in hand */
    bool heard; /* the target itself answered */
    bool tried; /* written to though its gate is closed */
    struct sn_device *asked; /* who was asked last, when it was not the step's own target */
};

/* ---- the loop's callbacks ---- */

static void refuse(const struct visit *v, enum sn_step_say said, const char *other, struct sn_verdict *ret)
{
    switch (said) {
    case SN_STEP_SUPERSEDED:
        sn_verdict_set(ret, SN_SUPERSEDED, "core.superseded", "a newer event was accepted: %s", other);
        sn_verdict_arg(ret, "by", other);
        return;
    case SN_STEP_CONFLICT:
        sn_verdict_set(ret, SN_CONFLICT, "core.claimed-by-other", "%s is claimed by %s", v->step->aspect, other);
        sn_verdict_arg(ret, "other", other);
        sn_verdict_arg(ret, "target", v->step->target->id);
        return;
    case SN_STEP_UNSURE:
        sn_verdict_set(ret, SN_LOST, "core.store-unsure", "the hot copy of the records is not whole");
        return;
    case SN_STEP_LOST:
        sn_verdict_set(ret, SN_LOST, "core.ownership-lost", "%s is owned by %s now", v->job->device->target->id, other);
        return;
    case SN_STEP_OK:
        break;
    }
}

/* Who writes: the fields of a step that every entry of the journal has. */
static struct sn_step_ask identity_of(const struct visit *v)
{
    return (struct sn_step_ask){ .owner = v->owner, .ref = v->job->event->ref, .generation = v->job->event->generation,
                                 .event = v->job->event->id, .run = v->job->run, .worker = v->fleet->conf.worker,
                                 .routing_uid = v->job->device->target->uid, .epoch = v->job->epoch,
                                 .uid = v->step->target->uid };
}

static void gate_is_closed(const struct sn_step *s, struct sn_verdict *ret)
{
    sn_verdict_set(ret, SN_UNREACHABLE, "core.gate-closed", "the gate of %s is closed", s->target->id);
    sn_verdict_arg(ret, "target", s->target->id);
}

/* A target that does not answer is not written to, but for one try after each failed probe: not every NAS answers a made-up question. */
static bool may_try(struct visit *v)
{
    struct sn_device *d = v->step->device;
    bool open;

    (void)pthread_mutex_lock(&d->lock);
    open = sn_gate_is_open(&d->gate);
    v->tried = v->tried || (!open && sn_gate_take_trial(&d->gate));
    (void)pthread_mutex_unlock(&d->lock);
    return open || v->tried;
}

/* Did an allocation of a tree fail since the visit began? Then something that it rests on may be missing: it starts again. */
static bool ran_out(const struct visit *v)
{
    return sn_json_failures() != v->failures;
}

static void before_write(void *arg, const struct sn_op *op, struct sn_verdict *ret)
{
    struct visit *v = arg;
    struct sn_buf text = SN_BUF_INIT;
    struct sn_error err;
    enum sn_step_say said;
    char other[64];
    char id[32];
    json_t *intent;

    (void)SN_FAILPOINT("write.before-admit", op->line);
    v->asked = NULL;
    if (!sn_fleet_may_write(v->fleet, v->job->device, v->job->epoch)) {
        sn_verdict_set(ret, SN_LOST, "core.lease-lost", "the lease of %s is over", v->job->device->target->id);
        return;
    }
    if (sn_device_is_paused(v->step->device) && !(v->step->undo && sn_device_may_save(v->step->device))) {
        sn_verdict_set(ret, SN_TRANSIENT_DEVICE, "person.pause", "a person paused %s", v->step->target->id);
        return;
    }
    if (v->step->driver->probe != NULL && !may_try(v)) {
        gate_is_closed(v->step, ret);
        return;
    }
    intent = sn_record_intent(v->record, &v->who, v->step->aspect, v->step->key, v->memo);
    sn_job_clean_text(v->fleet, op->line, strlen(op->line), &text);
    v->ask = identity_of(v);
    v->ask.record = intent;
    v->ask.claims = v->step->kind == SN_GONE ? NULL : v->claims;
    v->ask.shared = v->want.shared;
    v->ask.dirty = v->step->driver->commit_policy == SN_COMMIT_BATCH;
    v->ask.seq = v->job->seq++;
    v->ask.text = sn_buf_str(&text);
    if (intent != NULL && v->ask.claims != NULL)
        (void)json_object_set(intent, "claims", v->claims); /* so that the index can be made again from the ledger */
    if (text.failed || ran_out(v)) { /* what the driver read may lack something: nothing is written because of it */
        sn_verdict_set(ret, SN_LOST, "core.store-unsure", "out of memory");
    } else if (sn_store_step(v->t->store, &v->ask, &said, other, id, &err) != 0) {
        sn_verdict_set(ret, SN_LOST, "core.store-unsure", "%s", err.text);
    } else if (said != SN_STEP_OK) {
        refuse(v, said, other, ret);
    } else {
        sn_job_journaled(v->job, id);
        json_decref(v->step->record);
        v->step->record = json_incref(intent);
        if (v->ask.dirty)
            (void)atomic_fetch_add(&v->step->device->unsaved, 1);
        (void)SN_FAILPOINT("write.journaled", op->line);
    }
    json_decref(intent);
    sn_buf_fini(&text);
}

static bool is_session_dead(enum sn_class c)
{
    return c == SN_UNKNOWN || c == SN_UNREACHABLE || c == SN_AUTH || c == SN_LOST;
}

/* What an answer says of the target itself, for its gate. */
static void take_notice(struct visit *v, const struct sn_reply *reply)
{
    v->asked = reply->at != NULL ? sn_fleet_device(v->fleet, reply->at->id) : NULL;
    if (reply->verdict.class != SN_OK || reply->heard == SN_HEARD_OTHER || v->asked != NULL)
        return;
    if (reply->heard == SN_HEARD_NOBODY) {
        sn_fleet_gate_closed(v->fleet, v->step->device, &reply->verdict);
        return;
    }
    v->heard = true;
    if (v->tried)
        sn_fleet_gate_opened(v->fleet, v->step->device, "a job was answered");
    v->tried = false;
}

static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct visit *v = arg;
    int64_t now = sn_clock_mono_ms();
    int64_t deadline;
    int64_t started;

    v->op_started_ms = now;
    v->asked = NULL;
    v->step->ops++;
    reply->unsent = true;
    if (now >= v->deadline_ms) {
        sn_verdict_set(&reply->verdict, SN_TRANSIENT_DEVICE, "core.visit-deadline", "%s took longer than a visit may take",
                       v->step->target->id);
        return;
    }
    if (sn_lane_session(v->t, v->deadline_ms, &reply->verdict) != 0)
        return;
    reply->unsent = false;
    started = sn_clock_mono_ms(); /* of the exchange: a login takes nothing from its time */
    v->t->last_used_ms = started;
    deadline = started + v->step->driver->op_timeout_ms(v->step->target, op);
    v->step->driver->exchange(v->t->session, want, op, deadline < v->deadline_ms ? deadline : v->deadline_ms, reply);
    sn_measure_observe(v->fleet->metrics, SN_MEASURE_EXCHANGE_SECONDS, v->step->driver->name, (double)(sn_clock_mono_ms() - started) / 1000);
    if (op->kind == SN_WRITE && SN_FAILPOINT("write.executed", op->line)) {
        int fd = v->step->driver->fd(v->t->session);
        if (fd >= 0)
            (void)shutdown(fd, SHUT_RDWR);
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "core.failpoint", "cut by a failure point");
    }
    if (is_session_dead(reply->verdict.class))
        sn_lane_close_session(v->t, 0);
    take_notice(v, reply);
}

/* What was said, so that it is known also when this process dies now: a write was journaled before it was sent, a read is journaled with its
 * answer. A store that is away costs a line of the journal, not the job: the transcript has it too. */
static void journal(struct visit *v, const struct sn_op *op, const char *said, struct sn_buf *text)
{
    int ms = (int)(sn_clock_mono_ms() - v->op_started_ms);
    struct sn_error err;
    char id[32];

    if (op->kind == SN_READ) {
        struct sn_buf line = SN_BUF_INIT;
        int rc;
        v->ask = identity_of(v);
        v->ask.seq = v->job->seq++;
        sn_job_clean_text(v->fleet, op->line, strlen(op->line), &line);
        rc = sn_store_journal(v->t->store, &v->ask, ">", "", 0, sn_buf_str(&line), id, &err);
        sn_buf_fini(&line);
        if (rc != 0)
            return;
        sn_job_journaled(v->job, id);
        (void)SN_FAILPOINT("read.journaled", op->line);
    }
    if (text->len > JOURNAL_TEXT_MAX)
        text->data[sn_job_cut_at(text->data, JOURNAL_TEXT_MAX)] = '\0';
    if (sn_store_journal(v->t->store, &v->ask, "<", said, ms, sn_buf_str(text), id, &err) == 0)
        sn_job_journaled(v->job, id);
}

static bool is_unsent(const struct sn_reply *reply)
{
    return reply->unsent || reply->verdict.class == SN_LOST;
}

/* What the exec_log says of an exchange: of a write also that it did not leave, where somebody may look for it on the device. */
static const char *verdict_word(const struct sn_op *op, const struct sn_reply *reply, const struct sn_verdict *verdict)
{
    return op->kind == SN_WRITE && is_unsent(reply) ? "not-sent" : sn_class_word(verdict->class);
}

/* A list of lines as sent and as answered. */
static void after(void *arg, const struct sn_op *op, const struct sn_reply *reply, const struct sn_verdict *verdict)
{
    struct visit *v = arg;
    struct sn_buf text = SN_BUF_INIT;
    const char *said = verdict_word(op, reply, verdict);

    sn_job_note(v->job, v->fleet, v->step->target->id, ">", op->line, "");
    if (reply->text.len > 0)
        sn_job_clean_text(v->fleet, reply->text.data, reply->text.len, &text);
    else if (verdict->text[0] != '\0')
        sn_buf_adds(&text, verdict->text);
    sn_job_note(v->job, v->fleet, v->step->target->id, "<", sn_buf_str(&text), said);
    if (verdict->class == SN_BUG && v->job->raw.len == 0 && reply->text.len > 0)
        sn_buf_add(&v->job->raw, reply->text.data, reply->text.len < RAW_MAX ? reply->text.len : RAW_MAX);
    if (!v->job->dry && ((op->kind == SN_WRITE && is_unsent(reply)) || reply->verdict.class != SN_UNREACHABLE)) {
        journal(v, op, said, &text);
        if (op->kind == SN_WRITE)
            (void)SN_FAILPOINT("write.answered", op->line);
        else
            (void)SN_FAILPOINT("read.answered", op->line);
    }
    sn_buf_fini(&text);
}

static int remember(void *arg, const json_t *memo)
{
    struct visit *v = arg;
    struct sn_error err;
    json_t *record = sn_record_intent(v->record, &v->who, v->step->aspect,
                                      v->step->driver->commit_policy == SN_COMMIT_NONE ? NULL : v->step->key, memo);
    int rc = -1;

    if (record != NULL && v->claims != NULL && v->step->kind != SN_GONE)
        (void)json_object_set(record, "claims", v->claims);
    if (record != NULL && !v->job->dry)
        rc = sn_store_record(v->t->store, v->owner, v->job->event->generation, v->step->target->uid, record, NULL, &err);
    json_decref(record);
    (void)SN_FAILPOINT("memo.kept", v->who.ref);
    return v->job->dry ? 0 : rc;
}

/* ---- one visit ---- */

static int open_visit(struct visit *v, struct sn_lane_thread *t, struct sn_job *job, struct sn_error *err)
{
    struct sn_step *s = &job->steps[job->at];
    struct sn_event *ev = job->event;

    memset(v, 0, sizeof(*v));
    v->failures = sn_json_failures();
    v->t = t;
    v->fleet = sn_lane_fleet(t->lane);
    v->job = job;
    v->step = s;
    v->deadline_ms = sn_clock_mono_ms() + v->fleet->conf.job_deadline_ms;
    sn_job_owner(job, v->owner, sizeof(v->owner));
    v->who = (struct sn_record_who){ .generation = ev->generation, .rev = ev->rev, .event = ev->id, .ref = ev->ref,
                                     .epoch = job->epoch, .run = job->run };
    if (s->driver->claims != NULL && (v->claims = s->driver->claims(s->key)) == NULL)
        return sn_error_oom(err); /* without its claims a write would be anybody's */
    t->holds = true;
    if (sn_store_look(t->store,
                      &(struct sn_look_ask){ .owner = v->owner, .uid = s->target->uid, .claims = v->claims,
                                             .worker = v->fleet->conf.worker, .thread = t->name, .event = job->dry ? "" : ev->id },
                      &v->record, &v->rivals, err) != 0)
        return -1;
    v->old = sn_record_old_forms(v->record, s->driver, s->aspect, s->key);
    v->memo = sn_record_memo(v->record, ev->rev);
    s->created = s->created || (s->kind == SN_BE && sn_record_is_fresh(v->record, ev->id));
    v->want = (struct sn_want){ .kind = s->kind, .aspect = s->aspect, .ref = ev->ref, .owner = v->owner,
                                .generation = ev->generation, .rev = ev->rev, .suspended = s->suspended,
                                .shared = ev->shared, .fresh = s->created,
                                .away = s->driver->probe != NULL && !sn_device_is_open(s->device), .since_ms = sn_clock_wall_ms(),
                                .service = s->kind == SN_GONE ? NULL : ev->service, .key = s->key, .old = v->old,
                                .rivals = v->rivals, .target = s->target };
    if (v->old == NULL || v->memo == NULL)
        return sn_error_oom(err);
    return 0;
}

static void close_visit(struct visit *v)
{
    json_decref(v->record);
    json_decref(v->rivals);
    json_decref(v->claims);
    json_decref(v->old);
    json_decref(v->memo);
}

/* Natural keys of old forms that the new form does not have (an address that was changed), or all when the thing is gone. */
static json_t *no_longer_ours(const struct visit *v)
{
    const struct sn_driver *driver = v->step->driver;
    json_t *list = json_array();
    size_t i;
    json_t *form;

    if (driver->claims == NULL)
        return list;
    json_array_foreach (v->old, i, form) {
        json_t *claims = driver->claims(form); /* no memory: the old claim stays until the next event */
        size_t k;
        json_t *claim;
        json_array_foreach (claims, k, claim) {
            size_t m;
            json_t *kept;
            bool ours = false;
            json_array_foreach (v->claims, m, kept)
                ours = ours || json_equal(kept, claim);
            if (!ours)
                (void)json_array_append(list, claim);
        }
        json_decref(claims);
    }
    if (v->step->kind == SN_GONE)
        (void)json_array_extend(list, v->claims);
    return list;
}

/* The record after a verified visit. */
static int settle_record(struct visit *v, struct sn_error *err)
{
    struct sn_step *s = v->step;
    bool stateless = s->driver->commit_policy == SN_COMMIT_NONE;
    json_t *record;
    json_t *unclaim;
    int rc;

    if (s->kind != SN_BE && s->kind != SN_GONE && json_object_size(v->memo) == 0 && v->record == NULL)
        return 0;
    if (stateless)
        record = sn_record_intent(NULL, &v->who, s->aspect, NULL, v->memo);
    else
        record = sn_record_settled(v->record, &v->who, s->driver, s->aspect, s->key, s->kind == SN_GONE, v->memo);
    unclaim = no_longer_ours(v);
    if (record != NULL && s->kind == SN_BE && v->claims != NULL)
        (void)json_object_set(record, "claims", v->claims);
    if (record == NULL || unclaim == NULL || ran_out(v)) {
        rc = sn_error_oom(err);
    } else {
        rc = sn_store_record(v->t->store, v->owner, v->job->event->generation, s->target->uid,
                             sn_record_is_empty(record) ? NULL : record, unclaim, err);
        (void)SN_FAILPOINT("record.settled", v->who.ref);
        json_decref(s->record);
        s->record = json_incref(record);
    }
    json_decref(record);
    json_decref(unclaim);
    return rc;
}

static json_t *plan_of(const struct sn_ops *ops)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ops->n; i++) {
        char mark[2] = { ops->v[i].mark, '\0' };
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "mark", mark, "line", ops->v[i].line, "mode", ops->v[i].mode));
    }
    return list;
}

/* The step is over for now; where does the job go? */
static void proceed(struct sn_lane_thread *t, struct sn_job *job)
{
    const struct sn_verdict *cause = NULL;
    const struct sn_step *postponed = NULL;
    struct sn_step *s;

    for (;;) {
        job->at = sn_recipe_next(job, job->at);
        if (job->at >= job->steps_n)
            break;
        s = &job->steps[job->at];
        if (job->dry && (s->commit || s->settle_ms > 0)) {
            s->state = SN_STEP_SKIPPED;
            continue;
        }
        job->after = SN_THEN_STEP;
        if (s->settle_ms > 0) {
            job->after = SN_THEN_WAIT;
            job->wake_ms = sn_clock_mono_ms() + s->settle_ms;
            s->settle_ms = 0;
        }
        return;
    }
    if (job->dry) {
        job->after = SN_THEN_PUBLISH;
        return;
    }
    for (int i = 0; i < job->steps_n; i++) {
        if (job->steps[i].state == SN_STEP_FAILED && cause == NULL)
            cause = &job->steps[i].verdict;
        if (job->steps[i].state == SN_STEP_POSTPONED && postponed == NULL)
            postponed = &job->steps[i]; /* the cause; later ones found its gate closed */
    }
    if (cause == NULL && postponed != NULL) {
        sn_finish_ladder(t, job, &postponed->verdict, postponed->target->id, false);
        return;
    }
    sn_finish(t, job, sn_result_outcome(job), cause);
}

/* A secondary target cannot be had now: what does not depend on it is done nevertheless. */
static void postpone(struct sn_lane_thread *t, struct sn_job *job, struct sn_step *s)
{
    s->state = SN_STEP_POSTPONED;
    /* the user's rows come before everything: nothing is granted without them, nor taken away for good */
    if (strcmp(s->aspect, "user") == 0) {
        for (int i = job->at + 1; i < job->steps_n; i++) {
            if (!job->steps[i].commit && job->steps[i].state == SN_STEP_OPEN)
                job->steps[i].state = SN_STEP_SKIPPED;
        }
    }
    proceed(t, job);
}

static void fail(struct visit *v)
{
    struct sn_job *job = v->job;
    struct sn_step *s = v->step;

    s->state = SN_STEP_FAILED;
    sn_fleet_gate_failure(v->fleet, s->device, s->verdict.code, job->event->ref);
    sn_recipe_failed(job);
    proceed(v->t, job);
}

/* The ladder while there are attempts; then this target has failed for good, with all that follows from it (undo, save). */
static void spend_attempt(struct visit *v)
{
    if (sn_settle_level(v->job->attempt + 1, v->fleet->conf.attempts_max, 0) < 0)
        fail(v);
    else
        sn_finish_ladder(v->t, v->job, &v->step->verdict, v->step->target->id, true);
}

static void act(struct visit *v)
{
    struct sn_job *job = v->job;
    struct sn_step *s = v->step;
    bool routing = s->device == job->device;
    enum sn_action action = sn_settle(s->verdict.class, routing ? SN_SCOPE_ROUTING : SN_SCOPE_SECONDARY);

    sn_log(v->fleet->log, SN_LOG_INFO, "job", "step", "event", job->event->id, "target", s->target->id, "class",
           sn_class_word(s->verdict.class), "code", s->verdict.code, "action", sn_action_word(action), "why", s->verdict.text, NULL);
    if (strcmp(s->verdict.code, "core.gate-closed") == 0) { /* it is closed already, or open again by now */
        postpone(v->t, job, s);
        return;
    }
    switch (action) {
    case SN_ACT_NEXT:
        proceed(v->t, job);
        return;
    case SN_ACT_LADDER:
        spend_attempt(v);
        return;
    case SN_ACT_GATE:
    case SN_ACT_POSTPONE:
    case SN_ACT_GATE_PERSON:
        sn_fleet_gate_closed(v->fleet, v->asked != NULL ? v->asked : s->device, &s->verdict);
        if (routing)
            sn_finish_give_back(v->t, job);
        else
            postpone(v->t, job, s);
        return;
    case SN_ACT_FAIL:
        fail(v);
        return;
    case SN_ACT_SUPERSEDED:
        sn_finish(v->t, job, "superseded", &s->verdict);
        return;
    case SN_ACT_GIVE_BACK:
    case SN_ACTION_COUNT:
        break;
    }
    /* the lease may be whole again in a moment (Redis was slow): then asking again is cheaper than a redelivery */
    if (strcmp(s->verdict.code, "core.store-unsure") == 0) {
        struct sn_error err;
        (void)sn_error_set(&err, s->verdict.code, "%s", s->verdict.text);
        sn_finish_again(v->fleet, job, &err);
        return;
    }
    sn_finish_give_back(v->t, job);
}

/* While the secrets of this visit are still known: what a target says may repeat them, and it is told later. */
static void mask(struct visit *v, struct sn_converged *c)
{
    struct sn_buf text = SN_BUF_INIT;

    sn_job_mask(v->fleet, c->holds);
    sn_job_mask(v->fleet, c->reality);
    sn_job_mask(v->fleet, c->verdict.args);
    sn_redact_apply(v->fleet->redact, &text, c->verdict.text, strlen(c->verdict.text));
    (void)snprintf(c->verdict.text, sizeof(c->verdict.text), "%s", text.failed ? "" : sn_buf_str(&text));
    sn_buf_fini(&text);
}

static void take_outcome(struct visit *v, struct sn_converged *c)
{
    struct sn_step *s = v->step;

    s->wrote = s->wrote || c->wrote;
    s->evidence = c->evidence;
    json_decref(s->holds);
    json_decref(s->reality);
    s->holds = json_incref(c->holds);
    s->reality = json_incref(c->reality);
    s->read_ms = sn_clock_mono_ms();
    sn_verdict_copy(&s->verdict, &c->verdict);
}

/* What is seen to be gone may be somebody else's at once (two contracts that swap their ONUs wait for each other). The record keeps its key until
 * the save: after a restart the thing is back, with our mark, and ours to remove. */
static int give_up_claims(struct visit *v, struct sn_error *err)
{
    json_t *record;
    int rc;

    if (v->step->kind != SN_GONE || v->record == NULL || json_array_size(v->claims) == 0)
        return 0;
    record = sn_record_intent(v->record, &v->who, v->step->aspect, v->step->key, v->memo);
    if (record == NULL)
        return sn_error_oom(err);
    rc = sn_store_record(v->t->store, v->owner, v->job->event->generation, v->step->target->uid, record, v->claims, err);
    (void)SN_FAILPOINT("record.unclaimed", v->who.ref);
    json_decref(record);
    return rc;
}

static void done(struct visit *v)
{
    struct sn_error err;
    bool batch = v->step->driver->commit_policy == SN_COMMIT_BATCH;

    /* a running configuration is forgotten by a restart: its record shrinks when it is saved (sn_visit_saved) */
    if (!v->job->dry && (batch ? give_up_claims(v, &err) : settle_record(v, &err)) != 0) {
        sn_finish_again(v->fleet, v->job, &err);
        return;
    }
    v->step->state = SN_STEP_DONE;
    v->step->session = v->t->session_n;
    if (v->heard) {
        (void)pthread_mutex_lock(&v->step->device->lock);
        sn_gate_success(&v->step->device->gate, atomic_load(&v->step->device->unsaved) == 0);
        (void)pthread_mutex_unlock(&v->step->device->lock);
    }
    proceed(v->t, v->job);
}

static void later(struct visit *v, int64_t later_ms)
{
    int64_t now = sn_clock_mono_ms();

    if (v->job->later_since_ms == 0)
        v->job->later_since_ms = now;
    /* before the delivery is held too long and comes again as a new job, which would not know */
    if (now - v->job->later_since_ms > v->fleet->conf.hold_max_ms / 2) {
        spend_attempt(v);
        return;
    }
    v->job->after = SN_THEN_WAIT;
    v->job->wake_ms = now + later_ms;
}

static void carry_out(struct visit *v)
{
    struct sn_converge_io io = { .arg = v, .dry = v->job->dry, .rounds_max = v->fleet->conf.rounds_max, .before_write = before_write,
                                 .exchange = exchange, .after = after, .remember = remember };
    struct sn_converged c;

    sn_converge(v->step->driver, &v->want, v->memo, &io, &c);
    mask(v, &c);
    take_outcome(v, &c);
    if (!v->job->dry && (ran_out(v) || strcmp(c.verdict.code, SN_CODE_OOM) == 0)) { /* it says nothing of the target */
        struct sn_error err;
        (void)sn_error_oom(&err);
        sn_finish_again(v->fleet, v->job, &err);
        sn_converged_fini(&c);
        return;
    }
    if (c.what == SN_CONVERGED_LATER && !v->job->dry) {
        later(v, c.later_ms);
        sn_converged_fini(&c);
        return;
    }
    v->job->later_since_ms = 0;
    if (c.what == SN_CONVERGED_WOULD_CHANGE) {
        json_decref(v->step->plan);
        v->step->plan = plan_of(&c.ops);
        sn_job_mask(v->fleet, v->step->plan);
    }
    if (c.what != SN_CONVERGED_FAILED) {
        done(v);
    } else if (v->job->dry) {
        v->step->state = SN_STEP_FAILED;
        proceed(v->t, v->job);
    } else {
        act(v);
    }
    sn_converged_fini(&c);
}

void sn_visit_step(struct sn_lane_thread *t, struct sn_job *job)
{
    struct visit v;
    struct sn_error err;

    t->routing = job->device;
    t->epoch = job->epoch;
    if (open_visit(&v, t, job, &err) != 0)
        sn_finish_again(sn_lane_fleet(t->lane), job, &err);
    else
        carry_out(&v);
    close_visit(&v);
    t->routing = NULL;
}

/* Is the step one of those whose result the save of this device keeps? */
static bool is_kept_by_save(const struct sn_job *job, const struct sn_step *s)
{
    return !s->commit && s->state == SN_STEP_DONE && s->device == job->steps[job->at].device;
}

/* The first step that was last read in an earlier session: it and its like are open again. False when there is none. */
static bool look_again(const struct sn_lane_thread *t, struct sn_job *job)
{
    int first = -1;

    for (int i = job->at - 1; i >= 0; i--) {
        if (!is_kept_by_save(job, &job->steps[i]) || job->steps[i].session == t->session_n)
            continue;
        job->steps[i].state = SN_STEP_OPEN;
        first = i;
    }
    if (first < 0)
        return false;
    job->at = first;
    job->after = SN_THEN_STEP;
    return true;
}

static int settle_step(struct sn_lane_thread *t, struct sn_job *job, int i, struct sn_error *err)
{
    struct visit v;
    int at = job->at;
    int rc;

    job->at = i;
    rc = open_visit(&v, t, job, err) == 0 ? settle_record(&v, err) : -1;
    close_visit(&v);
    job->at = at;
    return rc;
}

void sn_visit_saved(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_error err;

    if (look_again(t, job))
        return;
    for (int i = 0; i < job->at; i++) {
        if (is_kept_by_save(job, &job->steps[i]) && settle_step(t, job, i, &err) != 0) {
            sn_finish_again(sn_lane_fleet(t->lane), job, &err);
            return;
        }
    }
    job->steps[job->at].state = SN_STEP_DONE;
    proceed(t, job);
}

void sn_visit_gate_closed(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_step *s = &job->steps[job->at];

    if (!job->dry && s->device == job->device) {
        sn_finish_give_back(t, job);
        return;
    }
    gate_is_closed(s, &s->verdict);
    if (job->dry) {
        s->state = SN_STEP_FAILED;
        proceed(t, job);
        return;
    }
    postpone(t, job, s);
}
