/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a lane does with a job: admission at the front lane, then one visit a step, then the final word.
 * Each call leaves the decision in job->after (and wake_ms), the lane carries it on. Thread: the lane's.
 */
#ifndef SN_WORKER_JOB_VISIT_H
#define SN_WORKER_JOB_VISIT_H

#include "worker/job/job.h"
#include "worker/lane/lane.h"

/* Front lane: is it new, the newest, allowed? Which steps? */
void sn_visit_admit(struct sn_lane_thread *t, struct sn_job *job);
/* steps[at] at its target. */
void sn_visit_step(struct sn_lane_thread *t, struct sn_job *job);
/* The group was saved in the lane's present session. What was read in it is on the disk: steps[at] (a commit) is done. What was read in an
 * earlier one is read again: between two sessions the device may have restarted with an older configuration. */
void sn_visit_saved(struct sn_lane_thread *t, struct sn_job *job);
/* steps[at] cannot be visited now: its gate is closed. */
void sn_visit_gate_closed(struct sn_lane_thread *t, struct sn_job *job);

#endif
