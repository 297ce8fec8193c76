/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consume thread's half of the ring: deliveries become jobs, one in flight per contract; jobs come back to wait for a time, to be
 * acknowledged or to be given back.
 * Thread: main makes, connects and frees it; sn_dispatch_ops are called on the consume thread; the rest any.
 */
#ifndef SN_WORKER_JOB_DISPATCH_H
#define SN_WORKER_JOB_DISPATCH_H

#include "worker/fleet/fleet.h"
#include "worker/job/job.h"

struct sn_dispatch;
int sn_dispatch_new(struct sn_fleet *fleet, struct sn_dispatch **ret, struct sn_error *err) SN_MUSTCHECK;
void sn_dispatch_free(struct sn_dispatch *d);
/* Callbacks for sn_consumer_new(); arg is the dispatch. */
extern const struct sn_consumer_ops sn_dispatch_ops;

/* A lane is through with the job for now (job->after says what next). Any thread. */
void sn_dispatch_return(struct sn_dispatch *d, struct sn_job *job);
/* The last confirm of the job's publications arrived (or it needs none): acknowledge. Any thread. */
void sn_dispatch_confirmed(struct sn_dispatch *d, struct sn_job *job);
/* A dry job (plan) from the ctl road. Any thread. */
void sn_dispatch_plan(struct sn_dispatch *d, struct sn_job *job);
/* Deliveries in hand, for shutdown and health. Any thread. */
int sn_dispatch_in_hand(struct sn_dispatch *d);
int64_t sn_dispatch_oldest_ms(struct sn_dispatch *d);
/* What becomes of a ctl request: worker/control takes it, on the consume thread. Set by main before the first one can come. */
void sn_dispatch_on_ctl(struct sn_dispatch *d, void (*handle)(void *arg, struct sn_delivery *request), void *arg);

#endif
