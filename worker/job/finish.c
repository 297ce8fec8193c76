/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/finish.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"
#include "worker/job/publish.h"
#include "worker/job/result.h"
#include "worker/metrics.h"

static const char *event_id(const struct sn_job *job)
{
    return job->event != NULL ? job->event->id : job->refusal.id;
}

static const char *routing_of(const struct sn_job *job)
{
    const char *r = job->event != NULL ? job->event->routing : job->refusal.routing;

    return r[0] != '\0' ? r : "none";
}

static void publish_result(struct sn_fleet *fleet, struct sn_job *job, char *text, const char *outcome)
{
    char key[160];
    struct sn_publication *pub;

    (void)snprintf(key, sizeof(key), "%s.%s", outcome, routing_of(job));
    if (text == NULL) {
        atomic_store(&job->unconfirmed, true);
        return;
    }
    pub = sn_publication_new("silver.results", key, text, strlen(text));
    if (pub != NULL) {
        (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
        (void)snprintf(pub->type, sizeof(pub->type), "silver.result/1");
        if (job->delivery != NULL)
            memcpy(pub->headers.traceparent, job->delivery->headers.traceparent, sizeof(pub->headers.traceparent));
    }
    sn_job_publish(job, fleet, pub);
}

void sn_finish_again(const struct sn_fleet *fleet, struct sn_job *job, const struct sn_error *err)
{
    if (job->dry) { /* who asked waits, and may ask again */
        sn_verdict_set(&job->cause, SN_LOST, err->code, "%s", err->text);
        job->after = SN_THEN_PUBLISH;
        return;
    }
    sn_log(fleet->log, SN_LOG_WARN, "job", "the store is unsure, asking again", "event", event_id(job), "code", err->code,
           "why", err->text, NULL);
    job->after = SN_THEN_AGAIN;
    job->wake_ms = sn_clock_mono_ms() + fleet->conf.store_retry_ms;
}

void sn_finish_tell_run(struct sn_fleet *fleet, struct sn_job *job)
{
    struct sn_result_say say = { .cause = &job->cause };

    if (job->run > 0 && !job->dry && json_array_size(job->entries) > 0)
        publish_result(fleet, job, sn_result_text(job, fleet, &say), "progress");
}

void sn_finish_give_back(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    struct sn_error err;

    /* when the store is away too, the run counts as a crash: harmless, three are allowed */
    if (job->run > 0 && !job->dry && sn_store_pause_run(t->store, job->event->id, &err) != 0)
        sn_log(job->log, SN_LOG_WARN, "job", "the pause of a run is not on record", "event", job->event->id, "why", err.text, NULL);
    (void)SN_FAILPOINT("run.paused", job->event != NULL ? job->event->ref : "");
    sn_finish_tell_run(fleet, job);
    job->after = SN_THEN_GIVE_BACK;
}

/* Every run that ends here passes this once: final, or on the ladder. */
static void tell_outcome(const struct sn_fleet *fleet, const struct sn_job *job, bool final, const char *outcome,
                         const struct sn_verdict *cause)
{
    char ms[24];
    char run[16];

    sn_measure_add(fleet->metrics, SN_MEASURE_OUTCOMES, outcome, 1);
    if (final && job->delivery != NULL && job->delivery->published_ms > 0)
        sn_measure_observe(fleet->metrics, SN_MEASURE_EVENT_SECONDS, outcome,
                           (double)(sn_clock_wall_ms() - job->delivery->published_ms) / 1000);
    (void)snprintf(ms, sizeof(ms), "%lld", (long long)(sn_clock_mono_ms() - job->received_ms));
    (void)snprintf(run, sizeof(run), "%d", job->run);
    sn_log(fleet->log, SN_LOG_INFO, "job", "outcome", "event", event_id(job), "outcome", outcome, "contract",
           job->event != NULL ? job->event->ref : "-", "device", routing_of(job), "type",
           job->event != NULL ? job->event->type : "-", "run", run, "ms", ms, "evidence",
           sn_evidence_word(sn_result_evidence(job)), "code", cause != NULL ? cause->code : "", "why",
           cause != NULL ? cause->text : "", NULL);
}

/* Claims the outcome. True = go on and publish `text`; false = job->after says what to do, or *ret_stored is to be said. */
static bool claim(struct sn_lane_thread *t, struct sn_job *job, const char *outcome, const char *stored, char **ret_stored)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    const char *uid = job->device != NULL ? job->device->target->uid : "";
    struct sn_error err;
    enum sn_claim said;

    *ret_stored = NULL;
    (void)SN_FAILPOINT("claim.before", job->event->ref);
    if (sn_store_claim(t->store, job->event->id, job->replay, uid, fleet->conf.worker, job->epoch, outcome, stored, &said, ret_stored,
                       &err) != 0) {
        sn_finish_again(fleet, job, &err);
        return false;
    }
    (void)SN_FAILPOINT("claim.after", job->event->ref);
    switch (said) {
    case SN_CLAIM_CLAIMED:
        return true;
    case SN_CLAIM_STORED:
        return false;
    case SN_CLAIM_UNSURE:
        (void)sn_error_set(&err, "store.unsure", "the hot copy of the records is not whole");
        sn_finish_again(fleet, job, &err);
        return false;
    case SN_CLAIM_LOST:
        break;
    }
    sn_finish_give_back(t, job);
    return false;
}

/* Every other outcome comes after the save; what a superseded event wrote is saved with the newer one's changes. */
static bool is_saved(const struct sn_job *job, const char *outcome)
{
    bool saved = true;

    for (int i = 0; strcmp(outcome, "superseded") == 0 && i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        saved = saved && !(s->wrote && s->driver->commit_policy == SN_COMMIT_BATCH && atomic_load(&s->device->unsaved) > 0);
    }
    return saved;
}

void sn_finish(struct sn_lane_thread *t, struct sn_job *job, const char *outcome, const struct sn_verdict *cause)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    struct sn_result_say say = { .final = true, .outcome = outcome, .saved = is_saved(job, outcome), .cause = cause,
                                 .letter = strcmp(outcome, "dead") == 0 };
    char *stored = NULL;
    char *said_before = NULL;

    (void)snprintf(job->outcome, sizeof(job->outcome), "%s", outcome);
    /* an event that was never admitted claims nothing: its result is the same each time it comes */
    if (job->event != NULL && job->run > 0) {
        stored = sn_result_stored(job, fleet, &say);
        if (stored == NULL || !claim(t, job, outcome, stored, &said_before)) {
            if (stored == NULL) {
                struct sn_error err;
                (void)sn_error_oom(&err);
                sn_finish_again(fleet, job, &err);
            }
            free(stored);
            if (said_before != NULL)
                sn_finish_stored(t, job, said_before);
            return;
        }
        free(stored);
    }
    tell_outcome(fleet, job, true, outcome, cause);
    job->after = SN_THEN_PUBLISH;
    publish_result(fleet, job, sn_result_text(job, fleet, &say), outcome);
}

void sn_finish_stored(struct sn_lane_thread *t, struct sn_job *job, char *stored)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    json_t *r = sn_json_load(stored, strlen(stored), 0, NULL);
    const char *outcome = json_string_value(json_object_get(r, "outcome"));

    sn_finish_tell_run(fleet, job); /* a stored result has no transcript: what this run said to devices would be nowhere */
    (void)snprintf(job->outcome, sizeof(job->outcome), "%s", outcome != NULL ? outcome : "unchanged");
    job->after = SN_THEN_PUBLISH;
    publish_result(fleet, job, stored, job->outcome);
    json_decref(r);
}

void sn_finish_tell_unsaved(struct sn_lane_thread *t, struct sn_job *job, const struct sn_verdict *why)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    struct sn_result_say say = { .waiting = job->steps[job->at].target->id, .waiting_since_ms = sn_clock_wall_ms(), .cause = why };

    publish_result(fleet, job, sn_result_text(job, fleet, &say), "progress");
}

struct sn_publication *sn_finish_copy(const struct sn_job *job, const char *exchange, const char *key)
{
    char *body = sn_json_dumps(job->event->body, JSON_COMPACT);
    struct sn_publication *pub = body != NULL ? sn_publication_new(exchange, key, body, strlen(body)) : NULL;

    if (pub == NULL)
        return NULL;
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    (void)snprintf(pub->type, sizeof(pub->type), "%s", job->event->type);
    (void)snprintf(pub->message_id, sizeof(pub->message_id), "%s", job->event->id);
    pub->headers = job->delivery->headers;
    pub->headers.first_death[0] = '\0';
    return pub;
}

/* Waiting spends nothing, but it waits longer the longer it has waited: the level that fits the age. */
static int level_of_age(const struct sn_fleet *fleet, int64_t age_ms)
{
    int level = 0;

    while (level < 4 && fleet->conf.ladder.level_ms[level + 1] <= age_ms)
        level++;
    return level;
}

void sn_finish_ladder(struct sn_lane_thread *t, struct sn_job *job, const struct sn_verdict *cause, const char *target, bool spend)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    int64_t now = sn_clock_wall_ms();
    int64_t said = job->delivery->headers.first_failed; /* a header: whoever may publish may write it */
    int64_t first = said > 0 && said < now ? said : now;
    struct sn_result_say say = { .cause = cause, .waiting = target, .waiting_since_ms = first };
    int level = spend ? sn_settle_level(job->attempt + 1, INT_MAX, sn_random_below(3)) : level_of_age(fleet, now - first);
    const char *origin = job->delivery->headers.origin[0] != '\0' ? job->delivery->headers.origin : job->delivery->queue;
    struct sn_publication *pub;
    struct sn_error err;

    if (sn_store_pause_run(t->store, job->event->id, &err) != 0) {
        sn_finish_again(fleet, job, &err);
        return;
    }
    (void)SN_FAILPOINT("run.paused", job->event->ref);
    pub = sn_finish_copy(job, "silver.retry", origin);
    if (pub != NULL) {
        pub->delay_level_ms = fleet->conf.ladder.level_ms[level];
        pub->headers.attempt = job->attempt + (spend ? 1 : 0);
        pub->headers.first_failed = first;
        (void)snprintf(pub->headers.origin, sizeof(pub->headers.origin), "%s", origin);
        (void)snprintf(pub->headers.code, sizeof(pub->headers.code), "%s", cause->code);
    }
    tell_outcome(fleet, job, false, spend ? "retry" : "waiting", cause);
    job->after = SN_THEN_PUBLISH;
    publish_result(fleet, job, sn_result_text(job, fleet, &say), "progress");
    (void)SN_FAILPOINT("ladder.before-copy", job->event->ref);
    sn_job_publish_copy(job, fleet, pub);
}

/* The result names the place and the event that removes what is left there. */
static void note_follow_up(struct sn_job *job, const struct sn_device *device, const char *id)
{
    json_t *t = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s}, s:n, s:n, s:i}", "target", device->target->id, "uid",
                          device->target->uid, "driver", device->driver->name, "want", "gone", "outcome", "pending", "evidence", "none",
                          "code", "core.follow-up", "args", "event", id, "holds", "reality", "ops", 0);

    if (job->follow_ups == NULL)
        job->follow_ups = json_array();
    if (t != NULL)
        (void)json_array_append_new(job->follow_ups, t);
}

void sn_finish_follow_ups(struct sn_lane_thread *t, struct sn_job *job, const struct sn_follow_ups *follow)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);

    for (int i = 0; i < follow->n; i++) {
        const struct sn_target *target = follow->v[i].device->target;
        const struct sn_event *ev = job->event;
        char id[SN_UUID_TEXT_MAX];
        char key[160];
        char when[SN_TIME_TEXT_MAX];
        char name[128];
        json_t *body;
        char *text;
        struct sn_publication *pub;

        (void)snprintf(name, sizeof(name), "cleanup/%s/%d", target->uid, job->replay);
        sn_event_derive_id(ev->id, name, id);
        sn_clock_format_utc(sn_clock_wall_ms(), when);
        body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:O, s:O, s:{s:s, s:s, s:O}}", "schema", "silver.event/1", "id", id, "type",
                         "contract.cleanup", "parent", ev->id, "occurred_at", when, "generation", (json_int_t)ev->generation,
                         "source", json_object_get(ev->body, "source"), "contract", json_object_get(ev->body, "contract"),
                         "cleanup", "device", target->id, "uid", target->uid, "keys", follow->v[i].keys);
        text = body != NULL ? sn_json_dumps(body, JSON_COMPACT) : NULL;
        json_decref(body);
        (void)snprintf(key, sizeof(key), "contract.cleanup.%s", target->id);
        pub = text != NULL ? sn_publication_new("silver.events", key, text, strlen(text)) : NULL;
        if (pub != NULL) {
            (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
            (void)snprintf(pub->type, sizeof(pub->type), "contract.cleanup");
            (void)snprintf(pub->message_id, sizeof(pub->message_id), "%s", id);
        }
        sn_job_note(job, fleet, target->id, "!", "left behind there: removed by an event of its own", id);
        note_follow_up(job, follow->v[i].device, id);
        sn_job_publish(job, fleet, pub);
    }
}
