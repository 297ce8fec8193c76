/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

extern const char sn_embed_worker_sink_migrations_0001_tables_sql[];
extern const char sn_embed_worker_sink_migrations_0002_functions_sql[];

/* The version is the place in this list, counted from 1. Only ever append: what was applied is never edited. */
static const char *const migrations[] = {
    sn_embed_worker_sink_migrations_0001_tables_sql,
    sn_embed_worker_sink_migrations_0002_functions_sql,
};
#define LATEST ((int)(sizeof(migrations) / sizeof(migrations[0])))

#define MONTHS_AHEAD "3"

int sn_migrate_latest(void)
{
    return LATEST;
}

static int run(struct sn_pg *pg, const char *sql, const char *value, int timeout_ms, struct sn_error *err)
{
    struct sn_pg_error pgerr;
    const char *const params[] = { value };

    if (sn_pg_exec(pg, sql, value != NULL ? 1 : 0, params, sn_clock_mono_ms() + timeout_ms, &pgerr) == 0)
        return 0;
    *err = pgerr.error;
    return -1;
}

static int ask_number(struct sn_pg *pg, const char *sql, int timeout_ms, int *ret, struct sn_error *err)
{
    struct sn_pg_error pgerr;
    struct sn_pg_result rows = { 0 };
    const char *text;

    if (sn_pg_query(pg, sql, 0, NULL, sn_clock_mono_ms() + timeout_ms, &rows, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    text = sn_pg_text(&rows, 0, 0);
    *ret = text != NULL ? (int)strtol(text, NULL, 10) : 0;
    sn_pg_result_fini(&rows);
    return 0;
}

/* A reader sees everything but the bodies of strange messages (whoever sent them, nothing is known of what is in them).
 * Asked anew at each start: the role may have been made after the tables. */
static int grant_reader(struct sn_pg *pg, int timeout_ms, struct sn_error *err)
{
    return run(pg,
               "DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'silver_reader') THEN "
               "GRANT USAGE ON SCHEMA silver TO silver_reader; "
               "GRANT SELECT ON ALL TABLES IN SCHEMA silver TO silver_reader; "
               "REVOKE SELECT ON silver.ledger_bad FROM silver_reader; "
               "GRANT SELECT (id, received_at, routing_key, reason, times) ON silver.ledger_bad TO silver_reader; "
               "END IF; END $$",
               NULL, timeout_ms, err);
}

static int apply(struct sn_pg *pg, int version, int timeout_ms, struct sn_error *err)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", version);
    if (run(pg, "SELECT pg_temp.script($1)", migrations[version - 1], timeout_ms, err) != 0 ||
        run(pg, "INSERT INTO silver.migration (version) VALUES ($1::integer)", text, timeout_ms, err) != 0)
        return sn_error_prefix(err, "migration %d of the ledger", version);
    return 0;
}

/* Everything in one transaction: either the schema is at the latest version, or as it was. A statement with parameters
 * holds one command only, so that a file of many is run by a function that lives as long as this session. */
static int migrate_in_transaction(struct sn_pg *pg, int timeout_ms, int *applied, struct sn_error *err)
{
    int version;

    if (run(pg, "SET LOCAL client_min_messages = warning", NULL, timeout_ms, err) !=
            0 || /* "already exists, skipping" */
        run(pg, "SELECT pg_advisory_xact_lock(hashtextextended('silver.migration', 0))", NULL, timeout_ms, err) != 0 ||
        run(pg, "CREATE SCHEMA IF NOT EXISTS silver", NULL, timeout_ms, err) != 0 ||
        run(pg,
            "CREATE TABLE IF NOT EXISTS silver.migration (version integer PRIMARY KEY, "
            "applied_at timestamptz NOT NULL DEFAULT now())",
            NULL, timeout_ms, err) != 0 ||
        run(pg,
            "CREATE OR REPLACE FUNCTION pg_temp.script(text) RETURNS void LANGUAGE plpgsql "
            "AS 'BEGIN EXECUTE $1; END'",
            NULL, timeout_ms, err) != 0 ||
        ask_number(pg, "SELECT coalesce(max(version), 0) FROM silver.migration", timeout_ms, &version, err) != 0)
        return -1;
    for (; version < LATEST; version++) {
        if (apply(pg, version + 1, timeout_ms, err) != 0)
            return -1;
        (*applied)++;
    }
    if (grant_reader(pg, timeout_ms, err) != 0)
        return -1;
    return sn_migrate_partitions(pg, timeout_ms, err);
}

int sn_migrate(struct sn_pg *pg, int timeout_ms, int *ret_applied, struct sn_error *err)
{
    int applied = 0;

    if (run(pg, "BEGIN", NULL, timeout_ms, err) != 0)
        return -1;
    if (migrate_in_transaction(pg, timeout_ms, &applied, err) != 0 || run(pg, "COMMIT", NULL, timeout_ms, err) != 0) {
        sn_pg_rollback(pg, sn_clock_mono_ms() + timeout_ms);
        return -1;
    }
    if (ret_applied != NULL)
        *ret_applied = applied;
    return 0;
}

int sn_migrate_check(struct sn_pg *pg, int timeout_ms, struct sn_error *err)
{
    int version = 0;

    if (ask_number(pg, "SELECT max(version) FROM silver.migration", timeout_ms, &version, err) != 0)
        return -1;
    if (version < LATEST)
        return sn_error_set(err, "ledger.schema-old", "the ledger's schema has version %d and this program needs %d",
                            version, LATEST);
    return 0;
}

int sn_migrate_partitions(struct sn_pg *pg, int timeout_ms, struct sn_error *err)
{
    return run(pg, "SELECT silver.make_partitions(" MONTHS_AHEAD ")", NULL, timeout_ms, err);
}
