/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of the ledger's schema. Each file of worker/sink/migrations is one version, applied once, in its own
 * transaction, under an advisory lock (several ledger roles may start at the same time). Blocking; the thread that owns
 * the connection.
 * Thread: the connection's; blocking, at most timeout_ms a statement.
 */
#ifndef SN_WORKER_SINK_MIGRATE_H
#define SN_WORKER_SINK_MIGRATE_H

#include "common/base/error.h"
#include "common/pg/pg.h"

/* The version that this program was built with. */
int sn_migrate_latest(void);
/* Brings the schema up to date and makes the partitions of the months ahead. *ret_applied (may be NULL) counts the new
 * versions. A database newer than the program is left alone and is no error: versions only ever add. */
int sn_migrate(struct sn_pg *pg, int timeout_ms, int *ret_applied, struct sn_error *err) SN_MUSTCHECK;
/* Errors: ledger.schema-old when the database is older than the program. */
int sn_migrate_check(struct sn_pg *pg, int timeout_ms, struct sn_error *err) SN_MUSTCHECK;
/* Partitions of exec_log for the months ahead; to be called once a day. */
int sn_migrate_partitions(struct sn_pg *pg, int timeout_ms, struct sn_error *err) SN_MUSTCHECK;

#endif
