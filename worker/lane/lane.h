/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lane is the only thread that talks to its target (a bounded pool of them for a shared target), and keeps its session warm.
 * The front lane belongs to no target: admission. A lane never waits for a confirm and never for another lane.
 *
 * What a lane does, in this order: orders (pause, test, record), probes of a closed gate, a save that is due, express jobs, bulk
 * jobs; otherwise it reads what an idle session says.
 * Thread: main starts, stops and frees lanes; push, hurry, order, wake, left and counts any; what takes a struct sn_lane_thread only
 * that thread.
 */
#ifndef SN_WORKER_LANE_LANE_H
#define SN_WORKER_LANE_LANE_H

#include <pthread.h>

#include "worker/fleet/fleet.h"
#include "worker/job/job.h"

/* One thread of a lane, with what belongs to it alone. */
struct sn_lane_thread {
    struct sn_lane *lane;
    char name[80];          /* within the worker: what it has in hand is on record under it */
    bool holds;             /* there may be something on record */
    pthread_t thread;
    struct sn_store *store;
    struct sn_secret_store *secrets; /* scope: what this job's or order's exchanges resolve is masked until it is over */
    void *session;          /* of the lane's driver; NULL = none */
    uint64_t session_n;     /* how many were opened: names the latest one */
    int64_t last_used_ms;   /* monotonic */
    const struct sn_device *routing; /* under whose ownership the thread writes now; NULL = it may not */
    int64_t epoch;
};

/* An order of a person or of the keeper, carried on the lane's thread between jobs. */
struct sn_order {
    struct sn_order *next;
    void (*run)(struct sn_lane_thread *t, void *arg); /* frees arg */
    void *arg;
};

/* device NULL = the front lane. Starts `threads` threads. */
int sn_lane_start(struct sn_fleet *fleet, struct sn_device *device, int threads, struct sn_lane **ret, struct sn_error *err) SN_MUSTCHECK;
/* Takes the job; any thread. */
void sn_lane_push(struct sn_lane *lane, struct sn_job *job);
/* The job is taken as soon as one that is not bulk, in whichever lane it waits or will wait. Any thread. */
void sn_lane_hurry(struct sn_job *job);
/* Takes the order; any thread; run by the first thread that is free. -1 when there is no memory, or the lane was asked to stop: the caller
 * keeps arg. */
int sn_lane_order(struct sn_lane *lane, void (*run)(struct sn_lane_thread *t, void *arg), void *arg);
void sn_lane_wake(struct sn_lane *lane);
/* A job of this lane's device is on its way no more: a save group that waited for it may be complete. Any thread. */
void sn_lane_left(struct sn_lane *lane);
/* The first half of sn_lane_stop(), without waiting: so that many lanes say good-bye to their devices at the same time. */
void sn_lane_ask_to_stop(struct sn_lane *lane, bool drain);
/* Finishes what is in hand (save included when `drain`), gives the rest back, closes the sessions, joins. */
void sn_lane_stop(struct sn_lane *lane, bool drain);
void sn_lane_free(struct sn_lane *lane);
/* Jobs that wait: ready, and unsaved. */
void sn_lane_counts(struct sn_lane *lane, int *ret_ready, int *ret_unsaved);
struct sn_fleet *sn_lane_fleet(const struct sn_lane *lane);
struct sn_device *sn_lane_device(const struct sn_lane *lane);

/* Session of this thread: opened when there is none. 0, or -1 and the verdict. */
int sn_lane_session(struct sn_lane_thread *t, int64_t deadline_ms, struct sn_verdict *ret);
/* Says good-bye within grace_ms (0 = cut). */
void sn_lane_close_session(struct sn_lane_thread *t, int64_t grace_ms);

#endif
