/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last words on a job, from whichever lane has it: outcome claimed in the store (once per event and replay), result published,
 * copies for the ladder, follow-up events. Each leaves job->after = SN_THEN_PUBLISH (or AGAIN, GIVE_BACK); the acknowledgement comes when the
 * last confirm has arrived. Order: claim -> publish -> ack; whoever loses the claim says what was claimed.
 * Thread: the job's owner: a lane, and the consume thread for sn_finish_tell_run().
 */
#ifndef SN_WORKER_JOB_FINISH_H
#define SN_WORKER_JOB_FINISH_H

#include "worker/job/job.h"
#include "worker/job/recipe.h"
#include "worker/lane/lane.h"

/* The event as it may lie on a broker's disk: inline secrets sealed, headers as they came. NULL on memory. */
struct sn_publication *sn_finish_copy(const struct sn_job *job, const char *exchange, const char *key);
/* Final outcome. cause may be NULL. */
void sn_finish(struct sn_lane_thread *t, struct sn_job *job, const char *outcome, const struct sn_verdict *cause);
/* The store was unsure: the whole job once more, soon. A plan ends instead, with this cause. */
void sn_finish_again(const struct sn_fleet *fleet, struct sn_job *job, const struct sn_error *err);
/* Not ours any more, or a gate closed: to the broker, untouched. The run is marked as paused. */
void sn_finish_give_back(struct sn_lane_thread *t, struct sn_job *job);
/* A run that ends without an outcome: what was said to devices, as a progress result. Nothing when nothing was said. The job's owner. */
void sn_finish_tell_run(struct sn_fleet *fleet, struct sn_job *job);
/* A copy to the retry ladder, with a progress result that says what is waited for. spend: an attempt is spent (false = only waiting). When
 * nothing is left to spend, the caller lets the step fail instead. */
void sn_finish_ladder(struct sn_lane_thread *t, struct sn_job *job, const struct sn_verdict *cause, const char *target, bool spend);
/* Done on the network, not yet saved; why: what stood in the way of a save, NULL = nothing yet. Does not end the job. */
void sn_finish_tell_unsaved(struct sn_lane_thread *t, struct sn_job *job, const struct sn_verdict *why);
/* The result that was claimed before, once more. */
void sn_finish_stored(struct sn_lane_thread *t, struct sn_job *job, char *stored);
/* Events for places that this job cannot visit. */
void sn_finish_follow_ups(struct sn_lane_thread *t, struct sn_job *job, const struct sn_follow_ups *follow);

#endif
