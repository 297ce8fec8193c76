/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the hot copy of the records whole. Redis without its sentinel (a flush, a failover, the first start) stops every write of the
 * fleet; this thread of the ledger role then waits until the ledger has drained its queue, writes records, claims and people's gates back
 * and sets the sentinel.
 * Thread: main starts it, and stops it: that joins, after the look in hand.
 */
#ifndef SN_WORKER_SINK_HEAL_H
#define SN_WORKER_SINK_HEAL_H

#include "worker/fleet/store.h"
#include "worker/sink/ledger.h"

/* Borrowed; must outlive the healer. */
struct sn_heal_conf {
    struct sn_store_conf store;
    const struct sn_pg_conf *database;
    const struct sn_broker_conf *broker;
    int look_every_ms;
    int timeout_ms;
};

struct sn_heal;
int sn_heal_start(const struct sn_heal_conf *conf, struct sn_ledger *ledger, const struct sn_log *log, struct sn_heal **ret,
                  struct sn_error *err) SN_MUSTCHECK;
void sn_heal_stop(struct sn_heal *h);

#endif
