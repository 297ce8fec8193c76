/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger role: silver.ledger -> PostgreSQL. The truth of what became of every event (tables:
 * worker/sink/migrations).
 *
 * Two threads. The consumer's only takes messages in; the writer's puts a batch of them into one transaction and
 * acknowledges them after the commit. While PostgreSQL is away nothing is acknowledged and nothing is lost: the broker
 * keeps what the prefetch does not hold, the writer reconnects with backoff. A message that is not a result (syntax,
 * shape, or refused by the tables' own rules) is kept aside in silver.ledger_bad with its reason and acknowledged: it
 * never blocks the others. Every message may come again, in any order: the rules are in silver.take()
 * (migrations/0002-functions.sql).
 * Thread: main makes, starts, stops and frees it; sn_ledger_state() any.
 */
#ifndef SN_WORKER_SINK_LEDGER_H
#define SN_WORKER_SINK_LEDGER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/pg/pg.h"
#include "common/schema/schema.h"
#include "worker/broker/broker.h"

/* Borrowed; must outlive the ledger. */
struct sn_ledger_conf {
    const struct sn_broker_conf *broker;
    const struct sn_schema *result_schema; /* result/v1: results and people's gates */
    const struct sn_pg_conf *database;     /* role silver_ledger */
    const char *queue;                     /* NULL = "silver.ledger" */
    int prefetch;                          /* unacknowledged messages at most; also the largest batch */
    bool migrate;                          /* bring the schema up to date; false = refuse to write to an older one */
    int timeout_ms;                        /* connect, and each statement */
    int reconnect_min_ms;                  /* of the database, jittered exponential backoff */
    int reconnect_max_ms;
    int give_back_ms; /* database away for so long: what was taken in goes back to the broker */
};

struct sn_ledger;
int sn_ledger_new(const struct sn_ledger_conf *conf, const struct sn_log *log, struct sn_ledger **ret,
                  struct sn_error *err) SN_MUSTCHECK;
/* Starts both threads. */
int sn_ledger_start(struct sn_ledger *l, struct sn_error *err) SN_MUSTCHECK;
/* The batch in hand is committed and acknowledged unless the database is away (then it goes back to the broker, as does
 * what waits). Takes timeout_ms at most, plus the good-bye of the broker's link. Joins both threads. */
void sn_ledger_stop(struct sn_ledger *l);
void sn_ledger_free(struct sn_ledger *l);

/* For health and metrics. Any thread. */
struct sn_ledger_state {
    bool broker_up, database_up;
    char why[256];        /* why one of them is down, "" when both are up */
    size_t waiting;       /* messages taken in and not committed */
    int64_t written, bad; /* since the start */
    int64_t last_turn_ms; /* monotonic, of the writer */
    int64_t last_commit_ms;
    int64_t skew_ms;      /* the database's clock minus ours, when it was connected */
};
void sn_ledger_state(struct sn_ledger *l, struct sn_ledger_state *ret);

#endif
