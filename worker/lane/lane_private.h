/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of worker/lane only.
 * Thread: the lane's own threads; what is marked (lock) under the lane's lock, which is never held over another one.
 */
#ifndef SN_WORKER_LANE_LANE_PRIVATE_H
#define SN_WORKER_LANE_LANE_PRIVATE_H

#include "worker/lane/lane.h"

struct sn_lane {
    struct sn_fleet *fleet;
    struct sn_device *device;       /* NULL: front */
    int event_fd;                   /* semaphore: one count per thing to do */
    pthread_mutex_t lock;
    struct sn_job_list express;     /* (lock) */
    struct sn_job_list bulk;        /* (lock) */
    struct sn_order *orders;        /* (lock) */
    struct sn_order **orders_last;  /* (lock) */
    bool stopping;                  /* (lock) */
    bool drain;                     /* (lock) */
    struct sn_lane_thread *threads;
    int threads_n;
    /* group commit; only the exclusive lane's thread */
    struct sn_job_list unsaved;
    int64_t unsaved_since_ms;       /* monotonic; 0 = nothing */
    atomic_int unsaved_n;           /* for others to read */
    int64_t save_not_before_ms;     /* after a failed save */
    char save_code[SN_CODE_MAX];    /* why the last save failed, as those who wait were told; "" = it did not */
    int64_t stray_since_ms;         /* unsaved writes that no job in the group asks for; 0 = none */
};

/* Saves when it is due; true when something was done. */
bool sn_lane_save_if_due(struct sn_lane_thread *t, bool now);
/* When sn_lane_save_if_due() has something to do by itself; INT64_MAX = never. */
int64_t sn_lane_save_due_ms(const struct sn_lane *lane);
/* May this worker find out whether the device is back? Its lock is held. */
bool sn_lane_may_probe(const struct sn_device *d);
/* Probes a closed gate when it is time; true when something was done. */
bool sn_lane_probe_if_due(struct sn_lane_thread *t);
/* Where the job goes after a visit. */
void sn_lane_carry_on(struct sn_lane_thread *t, struct sn_job *job);

#endif
