/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop:
 *
 *     ask until nothing is unknown; change until nothing differs; after every change everything is unknown again
 *
 * sn_converge() carries one want to one target. It has no I/O of its own: exchanges, admission and journal are the caller's
 * (struct sn_converge_io), so that the same loop runs a job, a plan and a test. It guarantees:
 *  - no write before the caller's before_write() said yes to this very op;
 *  - a list ends at the first reply that is not ok;
 *  - `have` is wiped after every list that wrote, and after every lost reply: DONE after a write is DONE after a re-read;
 *  - the same write list asked for twice since the link was last lost, or rounds_max rounds since then, ends as class permanent, code
 *    core.no-effect; a link that is lost again and again ends as class unreachable;
 *  - memo is handed to remember() before the op after the one that changed it;
 *  - with dry set, no write is carried: it stops before the first one and says what it would have been.
 * Thread: the caller's.
 */
#ifndef SN_WORKER_JOB_CONVERGE_H
#define SN_WORKER_JOB_CONVERGE_H

#include "drivers/driver.h"

struct sn_converge_io {
    void *arg;
    bool dry;
    int rounds_max;
    /* May this write go out? SN_OK, or SN_LOST, SN_SUPERSEDED, SN_CONFLICT. The intent and the journal entry are on record when it says SN_OK. */
    void (*before_write)(void *arg, const struct sn_op *op, struct sn_verdict *ret);
    /* Carries the op (opening a session when there is none) and fills the reply. */
    void (*exchange)(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply);
    /* The op is over; verdict is what absorb() said (or the transport). For journal and transcript. */
    void (*after)(void *arg, const struct sn_op *op, const struct sn_reply *reply, const struct sn_verdict *verdict);
    /* memo has changed: into the record, now. -1 = it could not be kept, stop. */
    int (*remember)(void *arg, const json_t *memo);
};

enum sn_converged_what { SN_CONVERGED_DONE, SN_CONVERGED_LATER, SN_CONVERGED_FAILED, SN_CONVERGED_WOULD_CHANGE };

struct sn_converged {
    enum sn_converged_what what;
    bool wrote;                /* this call carried at least one write */
    enum sn_evidence evidence; /* DONE */
    int64_t later_ms;          /* LATER */
    struct sn_verdict verdict; /* FAILED, LATER: why */
    struct sn_ops ops;         /* WOULD_CHANGE: the writes that would come next */
    json_t *holds;             /* what the target holds, as last read; may be NULL */
    json_t *reality;           /* may be NULL */
};
void sn_converged_fini(struct sn_converged *c);

/* memo: read and written in place. ret is overwritten. */
void sn_converge(const struct sn_driver *driver, const struct sn_want *want, json_t *memo, const struct sn_converge_io *io,
                 struct sn_converged *ret);

#endif
