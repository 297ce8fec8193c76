/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target as this worker lives with it: inventory entry, driver, gate, ownership, lane. Made by sn_fleet_init(), never removed
 * while the process lives.
 * Thread: any. `lock` guards everything that is marked (l), and may be held while the consumer's lock is taken, never the other way
 * round; atomics are read by lanes without it. own, ready_ms, rival, rival_seen_alive and orphans_read are written by the keeper
 * alone, which therefore reads them without the lock.
 */
#ifndef SN_WORKER_FLEET_DEVICE_H
#define SN_WORKER_FLEET_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/inventory/inventory.h"
#include "drivers/driver.h"
#include "worker/fleet/gate.h"

struct sn_lane;

enum sn_own_state {
    SN_OWN_NONE,    /* somebody else's, or nobody's yet */
    SN_OWN_WAITING, /* claimed; the first byte waits until ready_ms */
    SN_OWN_READY,
};

struct sn_device {
    struct sn_inventory *inventory; /* own reference: keeps target alive */
    const struct sn_target *target;
    const struct sn_driver *driver;
    struct sn_lane *lane;
    int wake_fd;                    /* the lane's eventfd, -1 = no lane; set before its threads start */

    pthread_mutex_t lock;
    struct sn_gate gate;            /* (l) */
    enum sn_own_state own;          /* (l) */
    int64_t ready_ms;               /* (l) monotonic */
    char rival[128];                /* (l) who owns it when we do not */
    bool rival_seen_alive;          /* (l) we watched its session: its expiry needs no further wait */
    bool consuming;                 /* (l) what the consumer was last told */
    bool orphans_read;              /* (l) the journal of former owners was published */

    atomic_bool declared;           /* its queues exist, as far as we know */
    atomic_bool owned;              /* own == READY, for the check before a write */
    atomic_llong epoch;
    int session_fd;                 /* (l) of the exclusive lane's session, -1 = none: the keeper shuts it down */
    atomic_int in_hand;             /* jobs of its queues that are on their way through lanes */
    atomic_int unsaved;             /* writes since the last verified save */
    atomic_llong warm_since_ms;     /* wall clock, 0 = no session */
};

/* The gate as it is now. */
struct sn_gate sn_device_gate(struct sn_device *d);
bool sn_device_is_open(struct sn_device *d);
bool sn_device_is_paused(struct sn_device *d); /* until a person opens it, or the brake */
bool sn_device_may_save(struct sn_device *d);
/* May this worker have sessions with it? An exclusive device has few, often one: whoever does not own it leaves it to the owner, for
 * reading too. */
bool sn_device_is_ours(struct sn_device *d);
/* Its lane has opened a session with this socket: kept, so that it can be cut. False: not ours any more, the session must be closed. */
bool sn_device_opened(struct sn_device *d, int fd);
/* Its lane closes the session next: the number of the socket may be another's then. */
void sn_device_closes(struct sn_device *d);
/* Nothing more is sent or received by the session, if there is one; its lane notices. True = there was none. Any thread. */
bool sn_device_cut(struct sn_device *d);
/* Its lane looks at the device again. Any thread. */
void sn_device_wake(const struct sn_device *d);

static inline bool sn_device_is_exclusive(const struct sn_device *d)
{
    return d->driver->sessions_max == 1;
}

#endif
