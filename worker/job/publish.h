/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job and the confirms that it waits for. job->confirms starts at one, the ring's own hold: however fast confirms are, the job
 * is not acknowledged before its lane gave that hold up.
 * Thread: the job's owner; its confirms are counted down on the publisher's thread.
 */
#ifndef SN_WORKER_JOB_PUBLISH_H
#define SN_WORKER_JOB_PUBLISH_H

#include "worker/fleet/fleet.h"
#include "worker/job/job.h"

/* Sends pub (taken; NULL = memory was short) and counts its confirm. When it is not confirmed, job->unconfirmed is set and everything is said
 * again. The job's owner. */
void sn_job_publish(struct sn_job *job, struct sn_fleet *fleet, struct sn_publication *pub);
/* The same for a copy of the job's message, to a queue in which it goes on: once it is confirmed (job->copied) the delivery is acknowledged
 * whatever else was refused. Else each repetition would make one copy more. */
void sn_job_publish_copy(struct sn_job *job, struct sn_fleet *fleet, struct sn_publication *pub);
/* Gives up the ring's hold. The job is not the caller's any more: with the last confirm it goes back to the dispatcher. */
void sn_job_release(struct sn_job *job, struct sn_fleet *fleet);

#endif
