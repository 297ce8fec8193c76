/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/past.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"

/* The database makes the documents: worker/ctl/sql. */
extern const char sn_embed_worker_ctl_sql_candidates_sql[];
extern const char sn_embed_worker_ctl_sql_contract_names_sql[];
extern const char sn_embed_worker_ctl_sql_contract_sql[];
extern const char sn_embed_worker_ctl_sql_device_sql[];
extern const char sn_embed_worker_ctl_sql_event_sql[];
extern const char sn_embed_worker_ctl_sql_letter_groups_sql[];
extern const char sn_embed_worker_ctl_sql_letters_sql[];

#define CANDIDATES_MAX "5"

/* First column of the first row as a document. *ret stays NULL when there is no row. */
static int ask(struct sn_pg *pg, const char *sql, size_t n, const char *const params[], int timeout_ms, json_t **ret,
               struct sn_error *err)
{
    struct sn_pg_result rows = { 0 };
    struct sn_pg_error pgerr;
    json_error_t why;
    int rc = 0;

    *ret = NULL;
    if (sn_pg_query(pg, sql, n, params, sn_clock_mono_ms() + timeout_ms, &rows, &pgerr) != 0) {
        if (strcmp(pgerr.sqlstate, "42P01") == 0 || strcmp(pgerr.sqlstate, "3F000") == 0)
            return sn_error_set(err, "ledger.no-tables",
                                "the ledger has no tables yet: its role makes them when it starts");
        *err = pgerr.error;
        return sn_error_prefix(err, "ledger");
    }
    if (sn_pg_text(&rows, 0, 0) != NULL) {
        *ret = sn_json_load(sn_pg_text(&rows, 0, 0), strlen(sn_pg_text(&rows, 0, 0)), JSON_DECODE_ANY, &why);
        if (*ret == NULL)
            rc = sn_error_set(err, "ledger.unreadable", "the ledger answered what is no JSON: %s", why.text);
    }
    sn_pg_result_fini(&rows);
    return rc;
}

static const char *count_text(int count, char out[16])
{
    (void)snprintf(out, 16, "%d", count);
    return out;
}

/* ---- events ---- */

static bool is_id_prefix(const char *name)
{
    size_t len = strlen(name);
    return len >= 4 && len < SN_UUID_TEXT_MAX && strspn(name, "0123456789abcdef-") == len;
}

/* The ids that a name may mean, newest first. A ref means its newest event; it may look like the beginning of an id. */
static int candidates(struct sn_pg *pg, const char *name, int timeout_ms, json_t **ret, struct sn_error *err)
{
    const char *const text = sn_embed_worker_ctl_sql_candidates_sql;

    if (strcmp(name, "last") == 0)
        return ask(pg, text, 3, (const char *const[]){ NULL, NULL, "1" }, timeout_ms, ret, err);
    if (is_id_prefix(name)) {
        if (ask(pg, text, 3, (const char *const[]){ name, NULL, CANDIDATES_MAX }, timeout_ms, ret, err) != 0)
            return -1;
        if (json_array_size(*ret) > 0)
            return 0;
        json_decref(*ret);
    }
    return ask(pg, text, 3, (const char *const[]){ NULL, name, "1" }, timeout_ms, ret, err);
}

int sn_past_event_id(struct sn_pg *pg, const char *name, int timeout_ms, char ret[SN_UUID_TEXT_MAX],
                     struct sn_error *err)
{
    json_t *ids = NULL;
    int rc = -1;

    if (candidates(pg, name, timeout_ms, &ids, err) != 0)
        return -1;
    if (json_array_size(ids) == 0)
        (void)sn_error_set(err, "event.not-found", "the ledger knows no event %s", name);
    else if (json_array_size(ids) > 1)
        (void)sn_error_set(err, "usage.ambiguous", "%s is the beginning of several events (%s, %s): give more of it",
                           name, json_string_value(json_array_get(ids, 0)), json_string_value(json_array_get(ids, 1)));
    else {
        (void)snprintf(ret, SN_UUID_TEXT_MAX, "%s", json_string_value(json_array_get(ids, 0)));
        rc = 0;
    }
    json_decref(ids);
    return rc;
}

int sn_past_event(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err)
{
    if (ask(pg, sn_embed_worker_ctl_sql_event_sql, 1, (const char *const[]){ id }, timeout_ms, ret, err) != 0)
        return -1;
    return *ret != NULL ? 0 : sn_error_set(err, "event.not-found", "the ledger knows no event %s", id);
}

int sn_past_outcome(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err)
{
    if (ask(pg, "SELECT silver.event_document(e) FROM silver.event e WHERE id = $1::uuid", 1,
            (const char *const[]){ id }, timeout_ms, ret, err) != 0)
        return -1;
    return *ret != NULL ? 0 : sn_error_set(err, "event.not-found", "the ledger knows no event %s yet", id);
}

/* ---- contracts ---- */

static const char *name_at(const json_t *pairs, size_t i, size_t part)
{
    return json_string_value(json_array_get(json_array_get(pairs, i), part));
}

int sn_past_contract(struct sn_pg *pg, const char *name, int limit, int timeout_ms, json_t **ret, struct sn_error *err)
{
    json_t *found = NULL;
    char count[16];
    int rc = -1;

    if (ask(pg, sn_embed_worker_ctl_sql_contract_names_sql, 1, (const char *const[]){ name }, timeout_ms, &found,
            err) != 0)
        return -1;
    if (json_array_size(found) == 0)
        (void)sn_error_set(err, "contract.not-found", "the ledger knows no contract %s", name);
    else if (json_array_size(found) > 1)
        (void)sn_error_set(err, "usage.ambiguous",
                           "%s is a contract of several sources (%s, %s): give <system>/<database>/<id>", name,
                           name_at(found, 0, 0), name_at(found, 1, 0));
    else
        rc = ask(pg, sn_embed_worker_ctl_sql_contract_sql, 3,
                 (const char *const[]){ name_at(found, 0, 0), name_at(found, 0, 1), count_text(limit, count) },
                 timeout_ms, ret, err);
    json_decref(found);
    return rc;
}

/* ---- letters, devices ---- */

int sn_past_letters(struct sn_pg *pg, const char *cause, const char *device, int limit, int timeout_ms, json_t **ret,
                    struct sn_error *err)
{
    char count[16];
    return ask(pg, sn_embed_worker_ctl_sql_letters_sql, 3,
               (const char *const[]){ cause, device, count_text(limit, count) }, timeout_ms, ret, err);
}

int sn_past_letter_groups(struct sn_pg *pg, int timeout_ms, json_t **ret, struct sn_error *err)
{
    return ask(pg, sn_embed_worker_ctl_sql_letter_groups_sql, 0, NULL, timeout_ms, ret, err);
}

int sn_past_device(struct sn_pg *pg, const char *uid, const char *id, int limit, int timeout_ms, json_t **ret,
                   struct sn_error *err)
{
    char count[16];
    return ask(pg, sn_embed_worker_ctl_sql_device_sql, 3, (const char *const[]){ uid, id, count_text(limit, count) },
               timeout_ms, ret, err);
}
