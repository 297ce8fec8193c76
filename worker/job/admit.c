/* SPDX-License-Identifier: Apache-2.0 */
/* The front lane's half of visit.h: admission. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"
#include "worker/job/finish.h"
#include "worker/job/visit.h"

/* A run starts from nothing: steps of an earlier attempt in this process are forgotten. */
static void reset(struct sn_job *job)
{
    sn_job_drop_steps(job);
    sn_buf_fini(&job->raw);
    json_decref(job->follow_ups);
    job->follow_ups = NULL;
    job->undoing = false;
    atomic_store(&job->unconfirmed, false);
}

static void refused(struct sn_lane_thread *t, struct sn_job *job)
{
    const struct sn_event_refusal *r = &job->refusal;
    struct sn_verdict v = { 0 };

    sn_verdict_set(&v, SN_INVALID, r->code, "%s: %s", r->path, r->rule);
    sn_verdict_arg(&v, "path", r->path);
    sn_verdict_arg(&v, "rule", r->rule);
    sn_finish(t, job, r->dead ? "dead" : "rejected", &v);
    sn_verdict_fini(&v);
}

static void end_with(struct sn_lane_thread *t, struct sn_job *job, const char *outcome, const char *code, const char *by,
                     const char *text)
{
    struct sn_verdict v = { 0 };

    sn_verdict_set(&v, SN_PERMANENT, code, "%s", text);
    if (by[0] != '\0')
        sn_verdict_arg(&v, "by", by);
    sn_finish(t, job, outcome, &v);
    sn_verdict_fini(&v);
}

static void unknown_device(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_verdict v = { 0 };

    sn_verdict_set(&v, SN_PERMANENT, "inventory.unknown-device", "%s is not in the inventory", job->event->routing);
    sn_verdict_arg(&v, "device", job->event->routing);
    if (job->dry) {
        sn_verdict_copy(&job->cause, &v);
        job->after = SN_THEN_PUBLISH;
    } else {
        sn_finish(t, job, "dead", &v);
    }
    sn_verdict_fini(&v);
}

/* True when the job is to run. */
static bool ask_admission(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    bool cleanup = strcmp(job->event->type, "contract.cleanup") == 0;
    char owner[SN_NS_MAX + 32];
    struct sn_admit_reply said;
    struct sn_error err;

    sn_job_owner(job, owner, sizeof(owner));
    t->holds = true;
    if (sn_store_admit(t->store,
                       &(struct sn_admit_ask){ .event = job->event->id, .replay = job->replay, .owner = owner,
                                               .generation = job->event->generation, .rev = cleanup ? "" : job->event->rev,
                                               .worker = fleet->conf.worker, .thread = t->name },
                       &said, &err) != 0) {
        sn_finish_again(fleet, job, &err);
        return false;
    }
    if (said.run > 0 || job->run == 0) /* what is not run now keeps the number of the run that spoke to devices */
        job->run = said.run > 0 ? said.run : 1;
    switch (said.what) {
    case SN_ADMIT_RUN:
        job->prior_wrote = said.wrote;
        if (said.crashes < fleet->conf.crash_max)
            return true;
        end_with(t, job, "dead", "core.crashed", "", "three runs of this event ended with their process");
        return false;
    case SN_ADMIT_DONE:
        sn_finish_stored(t, job, said.result);
        return false;
    case SN_ADMIT_STALE:
        job->after = SN_THEN_PUBLISH; /* a late copy of an earlier life: nothing to say, only to acknowledge */
        return false;
    case SN_ADMIT_SUPERSEDED:
        end_with(t, job, "superseded", "core.superseded", said.by, "a newer event of this contract was accepted");
        return false;
    case SN_ADMIT_REUSED:
        end_with(t, job, "rejected", "event.generation-reused", said.by, "another event with other content has this generation");
        return false;
    case SN_ADMIT_FOREIGN:
        job->run = 0; /* it claims nothing: the id has its outcome already, or gets it from its own event */
        end_with(t, job, "rejected", "event.id-reused", said.by, "this id belongs to another event");
        return false;
    case SN_ADMIT_UNSURE:
        break;
    }
    (void)sn_error_set(&err, "store.unsure", "the hot copy of the records is not whole");
    sn_finish_again(fleet, job, &err);
    return false;
}

static void build_steps(struct sn_lane_thread *t, struct sn_job *job)
{
    struct sn_fleet *fleet = sn_lane_fleet(t->lane);
    struct sn_follow_ups follow = { .n = 0 };
    struct sn_verdict why = { 0 };
    struct sn_error err;
    char owner[SN_NS_MAX + 32];
    json_t *records = NULL;
    unsigned failures = sn_json_failures();
    int built;

    sn_job_owner(job, owner, sizeof(owner));
    if (sn_store_records(t->store, owner, &records, &err) != 0) {
        sn_finish_again(fleet, job, &err);
        return;
    }
    built = sn_recipe_build(job, fleet, records, &follow, &why);
    if (sn_json_failures() != failures) { /* a step may be missing, or lack its key */
        (void)sn_error_oom(&err);
        sn_finish_again(fleet, job, &err);
    } else if (built != 0) {
        sn_verdict_copy(&job->cause, &why);
        if (job->dry)
            job->after = SN_THEN_PUBLISH;
        else
            sn_finish(t, job, "dead", &why);
    } else {
        if (!job->dry)
            sn_finish_follow_ups(t, job, &follow);
        job->after = SN_THEN_STEP;
        job->at = sn_recipe_next(job, 0);
        if (job->at >= job->steps_n) {
            if (job->dry)
                job->after = SN_THEN_PUBLISH;
            else
                sn_finish(t, job, "unchanged", NULL);
        }
    }
    sn_follow_ups_fini(&follow);
    sn_verdict_fini(&why);
    json_decref(records);
}

void sn_visit_admit(struct sn_lane_thread *t, struct sn_job *job)
{
    bool thrown_out;

    reset(job);
    if (job->started_wall_ms == 0)
        job->started_wall_ms = sn_clock_wall_ms();
    if (job->event == NULL) {
        refused(t, job);
        return;
    }
    thrown_out = job->delivery != NULL && strcmp(job->delivery->headers.first_death, "delivery_limit") == 0;
    if (thrown_out)
        job->device = NULL; /* whoever reads the intake ends it, the owner or not */
    job->epoch = job->device != NULL ? atomic_load(&job->device->epoch) : 0;
    (void)SN_FAILPOINT("admit.before", job->event->ref);
    if (!job->dry && !ask_admission(t, job))
        return;
    (void)SN_FAILPOINT("admit.after", job->event->ref);
    if (thrown_out)
        end_with(t, job, "dead", "core.delivery-limit", "", "the broker delivered this message too many times without an end");
    else if (job->device == NULL)
        unknown_device(t, job);
    else
        build_steps(t, job);
}
