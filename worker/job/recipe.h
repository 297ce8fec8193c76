/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which wants, at which targets, in which order: one table (recipe.c), derived from service.state, never from the event's type.
 * Pure: needs the event, the inventory's devices and the contract's records. Thread: any.
 */
#ifndef SN_WORKER_JOB_RECIPE_H
#define SN_WORKER_JOB_RECIPE_H

#include "worker/fleet/fleet.h"
#include "worker/job/job.h"

/* A place on a target that this job cannot visit (another OLT's queue): it gets an event of its own. */
struct sn_follow_up {
    const struct sn_device *device;
    json_t *keys; /* own reference: array of {"aspect", "key"} */
};
#define SN_FOLLOW_UPS_MAX 8
struct sn_follow_ups {
    struct sn_follow_up v[SN_FOLLOW_UPS_MAX];
    int n;
};
void sn_follow_ups_fini(struct sn_follow_ups *f);

/* Fills job->steps. records: {uid: record}. -1: *ret says why this event cannot be carried out (dead: device unknown, section not supported…). */
int sn_recipe_build(struct sn_job *job, const struct sn_fleet *fleet, const json_t *records, struct sn_follow_ups *ret_follow_ups,
                    struct sn_verdict *ret) SN_MUSTCHECK;

/* After steps[at] failed for good: which later steps are not done any more, and, for a first activation, the removal of what this
 * event created. */
void sn_recipe_failed(struct sn_job *job);

/* Next step to visit from steps[from] on; steps_n when there is none. */
int sn_recipe_next(const struct sn_job *job, int from);

#endif
