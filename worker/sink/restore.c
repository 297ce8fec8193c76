/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/restore.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"

/* Unix milliseconds, as the fleet counts. */
#define MS(column) "(extract(epoch FROM " column ") * 1000)::bigint"

static int run(struct sn_pg *pg, const char *sql, int timeout_ms, struct sn_error *err)
{
    struct sn_pg_error pgerr;

    if (sn_pg_exec(pg, sql, 0, NULL, sn_clock_mono_ms() + timeout_ms, &pgerr) == 0)
        return 0;
    *err = pgerr.error;
    return -1;
}

static const char *text_of(const struct sn_pg_result *rows, size_t row, size_t column)
{
    const char *text = sn_pg_text(rows, row, column);
    return text != NULL ? text : "";
}

static int64_t number_of(const struct sn_pg_result *rows, size_t row, size_t column)
{
    return strtoll(text_of(rows, row, column), NULL, 10);
}

static int give_contract(const struct sn_pg_result *rows, size_t i, const struct sn_restore_ops *ops, void *arg,
                         struct sn_error *err)
{
    json_error_t why;
    const char *text = text_of(rows, i, 6);
    json_t *records = sn_json_load(text, strlen(text), 0, &why);
    int rc;

    if (records == NULL)
        return sn_error_set(err, "ledger.unreadable", "records of a contract cannot be read: %s", why.text);
    rc = ops->contract(arg,
                       &(struct sn_restored_contract){ .ns = text_of(rows, i, 0),
                                                       .contract_id = text_of(rows, i, 1),
                                                       .ref = text_of(rows, i, 2),
                                                       .generation = number_of(rows, i, 3),
                                                       .rev = text_of(rows, i, 4),
                                                       .event = text_of(rows, i, 5),
                                                       .records = records },
                       err);
    json_decref(records);
    return rc;
}

static int contracts(struct sn_pg *pg, int timeout_ms, const struct sn_restore_ops *ops, void *arg,
                     struct sn_error *err)
{
    size_t n;

    if (run(pg,
            "DECLARE restore NO SCROLL CURSOR FOR "
            "SELECT c.ns, c.contract_id, c.ref, c.generation, c.rev, c.event, coalesce((SELECT "
            "jsonb_agg(jsonb_build_object('uid', r.uid, 'record', r.record) ORDER BY r.uid) "
            "FROM silver.record r WHERE (r.ns, r.contract_id) = (c.ns, c.contract_id) AND r.record IS NOT NULL), '[]') "
            "FROM silver.contract c ORDER BY c.ns, c.contract_id",
            timeout_ms, err) != 0)
        return -1;
    do {
        struct sn_pg_result rows = { 0 };
        struct sn_pg_error pgerr;
        int rc = 0;

        if (sn_pg_query(pg, "FETCH 500 FROM restore", 0, NULL, sn_clock_mono_ms() + timeout_ms, &rows, &pgerr) != 0) {
            *err = pgerr.error;
            return -1;
        }
        n = sn_pg_rows(&rows);
        for (size_t i = 0; i < n && rc == 0; i++)
            rc = give_contract(&rows, i, ops, arg, err);
        sn_pg_result_fini(&rows);
        if (rc != 0)
            return -1;
    } while (n > 0);
    return 0;
}

static int gates(struct sn_pg *pg, int timeout_ms, const struct sn_restore_ops *ops, void *arg, struct sn_error *err)
{
    struct sn_pg_result rows = { 0 };
    struct sn_pg_error pgerr;
    int rc = 0;

    if (sn_pg_query(pg,
                    "SELECT uid, target, code, why, by, " MS("since") ", " MS(
                        "until") " FROM silver.gate "
                                 "WHERE state = 'closed' AND (until IS NULL OR until > now()) ORDER BY uid",
                    0, NULL, sn_clock_mono_ms() + timeout_ms, &rows, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    for (size_t i = 0; i < sn_pg_rows(&rows) && rc == 0; i++)
        rc = ops->gate(arg,
                       &(struct sn_restored_gate){ .uid = text_of(&rows, i, 0),
                                                   .target = text_of(&rows, i, 1),
                                                   .code = text_of(&rows, i, 2),
                                                   .why = text_of(&rows, i, 3),
                                                   .by = text_of(&rows, i, 4),
                                                   .since_ms = number_of(&rows, i, 5),
                                                   .until_ms = number_of(&rows, i, 6) },
                       err);
    sn_pg_result_fini(&rows);
    return rc;
}

int sn_ledger_restore(struct sn_pg *pg, int timeout_ms, const struct sn_restore_ops *ops, void *arg,
                      struct sn_error *err)
{
    int rc = -1;

    if (run(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", timeout_ms, err) == 0 &&
        contracts(pg, timeout_ms, ops, arg, err) == 0 && gates(pg, timeout_ms, ops, arg, err) == 0)
        rc = 0;
    sn_pg_rollback(pg, sn_clock_mono_ms() + timeout_ms);
    return rc;
}
