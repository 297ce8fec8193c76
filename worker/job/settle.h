/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a job after a verdict: class x scope decides, in one table (settle.c), tested row by row.
 * Pure. Thread: any.
 */
#ifndef SN_WORKER_JOB_SETTLE_H
#define SN_WORKER_JOB_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/verdict.h"

/* Is the target the one whose queue the job came from (its lane waits with it), or another one on the way? */
enum sn_scope { SN_SCOPE_ROUTING, SN_SCOPE_SECONDARY };

#define SN_ACTIONS(X)                                                                                                   \
    X(SN_ACT_NEXT, "next")             /* go on with the next step */                                                   \
    X(SN_ACT_LADDER, "ladder")         /* a copy waits on the retry ladder, one attempt is spent */                     \
    X(SN_ACT_POSTPONE, "postpone")     /* a copy waits on the ladder, nothing is spent */                               \
    X(SN_ACT_GATE, "gate")             /* the target's gate closes and probes; the job goes back to its queue */        \
    X(SN_ACT_GATE_PERSON, "gate-person") /* the gate closes until a person opens it */                                  \
    X(SN_ACT_FAIL, "fail")             /* this target will not have it: dead, with what holds per target */             \
    X(SN_ACT_SUPERSEDED, "superseded") /* final */                                                                      \
    X(SN_ACT_GIVE_BACK, "give-back")   /* not ours any more: untouched to the broker, no outcome from us */

enum sn_action {
#define X(name, word) name,
    SN_ACTIONS(X)
#undef X
    SN_ACTION_COUNT
};

const char *sn_action_word(enum sn_action a);

enum sn_action sn_settle(enum sn_class class, enum sn_scope scope);

/* Level of the retry ladder (0..4) for the attempt that was just spent (1-based), with jitter: one of the neighbours. random in [0, 3). -1 = the
 * attempts are used up. */
int sn_settle_level(int attempt, int attempts_max, unsigned random);

#endif
