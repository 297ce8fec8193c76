/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the ledger back, to rebuild the hot copy in Redis when it is not whole (flush, failover, first start).
 *
 * One snapshot (a read-only repeatable-read transaction), streamed through a cursor: memory does not grow with the ISP.
 * The caller first lets the ledger drain its queue (sn_ledger_state(): nothing waits, and the broker says the queue is
 * empty), then restores, then sets the sentinel. Blocking; the thread that owns the connection.
 * Thread: the connection's, the callbacks too; blocking, at most timeout_ms a statement.
 */
#ifndef SN_WORKER_SINK_RESTORE_H
#define SN_WORKER_SINK_RESTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/pg/pg.h"

/* Borrowed for the time of the call. */
struct sn_restored_contract {
    const char *ns;
    const char *contract_id;
    const char *ref;
    int64_t generation; /* highest accepted */
    const char *rev;
    const char *event;
    const json_t
        *records; /* array of {uid, record}: the record as the worker wrote it; targets without one are left out */
};

/* A gate that a person closed and that is closed now. Times are Unix ms, until_ms 0 = until somebody opens it. */
struct sn_restored_gate {
    const char *uid;
    const char *target;
    const char *code;
    const char *why;
    const char *by;
    int64_t since_ms;
    int64_t until_ms;
};

struct sn_restore_ops {
    /* 0 = go on, -1 = stop; then err is handed up. */
    int (*contract)(void *arg, const struct sn_restored_contract *contract, struct sn_error *err);
    int (*gate)(void *arg, const struct sn_restored_gate *gate, struct sn_error *err);
};
int sn_ledger_restore(struct sn_pg *pg, int timeout_ms, const struct sn_restore_ops *ops, void *arg,
                      struct sn_error *err) SN_MUSTCHECK;

#endif
