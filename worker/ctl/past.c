/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/past.h"

#include <stdio.h>
#include <string.h>

/* The database makes the documents: their keys stand here, beside the columns they come from. */
#define UTC(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

#define EVENT_DOCUMENT                                                                                                  \
    "jsonb_build_object('event', e.id, 'parent', e.parent, 'type', e.type, 'ns', e.ns, 'contract_id', e.contract_id, "  \
    "'ref', e.ref, 'generation', e.generation, 'by', e.source_user, 'routing', e.routing, 'state', e.state, "           \
    "'outcome', e.outcome, 'evidence', e.evidence, 'saved', e.saved, 'code', e.code, 'args', e.args, "                  \
    "'waiting', e.waiting, 'run', e.run, 'replay', e.replay, 'attempt', e.attempt, 'worker', e.worker, "                \
    "'epoch', e.epoch, 'published', " UTC("e.published_at") ", 'started', " UTC("e.started_at") ", 'finished', "        \
    UTC("e.finished_at") ", 'recorded', " UTC("e.recorded_at") ", 'username', "                                         \
    "(SELECT c.wanted->>'username' FROM silver.contract c WHERE (c.ns, c.contract_id) = (e.ns, e.contract_id)))"

#define LETTER_DOCUMENT                                                                                                 \
    "jsonb_build_object('event', l.event, 'replay', l.replay, 'code', l.code, 'args', l.args, 'target', l.target, "     \
    "'driver', l.driver, 'state', l.state, 'died_at', " UTC("l.died_at") ", 'ref', e.ref, 'type', e.type, 'device', "   \
    "e.routing, 'generation', e.generation, 'attempt', e.attempt, 'username', (SELECT c.wanted->>'username' "           \
    "FROM silver.contract c WHERE (c.ns, c.contract_id) = (e.ns, e.contract_id)))"

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
            return sn_error_set(err, "ledger.no-tables", "the ledger has no tables yet: its role makes them when it starts");
        *err = pgerr.error;
        return sn_error_prefix(err, "ledger");
    }
    if (sn_pg_text(&rows, 0, 0) != NULL) {
        *ret = json_loads(sn_pg_text(&rows, 0, 0), JSON_DECODE_ANY, &why);
        if (*ret == NULL)
            rc = sn_error_set(err, "ledger.unreadable", "the ledger answered what is no JSON: %s", why.text);
    }
    sn_pg_result_fini(&rows);
    return rc;
}

static bool is_id_prefix(const char *name)
{
    size_t len = strlen(name);
    return len >= 4 && len < SN_UUID_TEXT_MAX && strspn(name, "0123456789abcdef-") == len;
}

/* The ids that a name may mean, newest first, at most 5, as an array. */
static int candidates(struct sn_pg *pg, const char *name, int timeout_ms, json_t **ret, struct sn_error *err)
{
    const char *const params[] = { name };

    if (strcmp(name, "last") == 0)
        return ask(pg, "SELECT coalesce(jsonb_agg(id), '[]') FROM (SELECT id FROM silver.event "
                       "ORDER BY recorded_at DESC, id LIMIT 1) e", 0, NULL, timeout_ms, ret, err);
    if (is_id_prefix(name)) {
        if (ask(pg, "SELECT coalesce(jsonb_agg(id), '[]') FROM (SELECT id FROM silver.event "
                    "WHERE id::text LIKE $1 || '%' ORDER BY recorded_at DESC LIMIT 5) e", 1, params, timeout_ms, ret, err) != 0)
            return -1;
        if (json_array_size(*ret) > 0)
            return 0;
        json_decref(*ret);
    }
    return ask(pg, "SELECT coalesce(jsonb_agg(id), '[]') FROM (SELECT id FROM silver.event WHERE ref = $1 "
                   "ORDER BY recorded_at DESC, id LIMIT 1) e", 1, params, timeout_ms, ret, err);
}

int sn_past_event_id(struct sn_pg *pg, const char *name, int timeout_ms, char ret[SN_UUID_TEXT_MAX], struct sn_error *err)
{
    json_t *ids = NULL;
    int rc = -1;

    if (candidates(pg, name, timeout_ms, &ids, err) != 0)
        return -1;
    if (json_array_size(ids) == 0)
        (void)sn_error_set(err, "event.not-found", "the ledger knows no event %s", name);
    else if (json_array_size(ids) > 1)
        (void)sn_error_set(err, "usage.ambiguous", "%s is the beginning of several events: %.8s, %.8s…: give more of it", name,
                           json_string_value(json_array_get(ids, 0)), json_string_value(json_array_get(ids, 1)));
    else {
        (void)snprintf(ret, SN_UUID_TEXT_MAX, "%s", json_string_value(json_array_get(ids, 0)));
        rc = 0;
    }
    json_decref(ids);
    return rc;
}

int sn_past_event(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err)
{
    const char *const params[] = { id };
    static const char sql[] =
        "SELECT " EVENT_DOCUMENT " || jsonb_build_object("
        "'targets', coalesce(nullif(r.result->'targets', 'null'), '[]'), 'reality', r.result->'reality', 'truncated', "
        "r.result->'truncated', 'trace', r.result->'trace', 'path', r.result->'path', 'rule', r.result->'rule', "
        "'runs', (SELECT coalesce(jsonb_agg(jsonb_build_object('run', n.run, 'state', n.state, 'outcome', n.outcome, 'worker', "
        "n.worker, 'epoch', n.epoch, 'started', " UTC("n.started_at") ", 'finished', " UTC("n.finished_at") ") ORDER BY n.run), "
        "'[]') FROM silver.run n WHERE n.event = e.id), "
        "'log', (SELECT coalesce(jsonb_agg(jsonb_build_object('run', x.run, 'seq', x.seq, 'at', " UTC("x.at") ", 'target', "
        "x.target, 'dir', x.dir, 'text', x.text, 'verdict', x.verdict) ORDER BY x.run, x.seq), '[]') "
        "FROM (SELECT * FROM silver.exec_log WHERE event = e.id ORDER BY run, seq LIMIT 5000) x), "
        "'letters', (SELECT coalesce(jsonb_agg(jsonb_build_object('replay', l.replay, 'code', l.code, 'state', l.state, 'died_at', "
        UTC("l.died_at") ") ORDER BY l.replay), '[]') FROM silver.letter l WHERE l.event = e.id)) "
        "FROM silver.event e LEFT JOIN silver.run r ON (r.event, r.run) = (e.id, e.run) WHERE e.id = $1::uuid";

    if (ask(pg, sql, 1, params, timeout_ms, ret, err) != 0)
        return -1;
    return *ret != NULL ? 0 : sn_error_set(err, "event.not-found", "the ledger knows no event %s", id);
}

int sn_past_outcome(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err)
{
    const char *const params[] = { id };

    if (ask(pg, "SELECT " EVENT_DOCUMENT " FROM silver.event e WHERE id = $1::uuid", 1, params, timeout_ms, ret, err) != 0)
        return -1;
    return *ret != NULL ? 0 : sn_error_set(err, "event.not-found", "the ledger knows no event %s yet", id);
}

/* ---- contracts ---- */

/* (ns, contract_id) that a name may mean, as an array of pairs. Events are asked too: a contract whose events were all refused
 * has no row of its own. */
static int contract_of(struct sn_pg *pg, const char *name, int timeout_ms, json_t **ret, struct sn_error *err)
{
    const char *const params[] = { name };

    return ask(pg,
               "SELECT coalesce(jsonb_agg(jsonb_build_array(ns, contract_id)), '[]') FROM ("
               "SELECT ns, contract_id FROM silver.contract WHERE ref = $1 OR contract_id = $1 OR ns || '/' || contract_id = $1 "
               "UNION SELECT ns, contract_id FROM silver.event WHERE ref = $1 AND ns IS NOT NULL AND contract_id IS NOT NULL "
               "LIMIT 5) c",
               1, params, timeout_ms, ret, err);
}

int sn_past_contract(struct sn_pg *pg, const char *name, int limit, int timeout_ms, json_t **ret, struct sn_error *err)
{
    static const char sql[] =
        "SELECT jsonb_build_object('ns', $1::text, 'contract_id', $2::text, 'ref', coalesce("
        "(SELECT ref FROM silver.event WHERE (ns, contract_id) = ($1, $2) AND ref <> '' ORDER BY recorded_at DESC LIMIT 1), ''), "
        "'generation', c.generation, 'newest', c.event, 'wanted', c.wanted, "
        "'targets', (SELECT coalesce(jsonb_agg(jsonb_build_object('target', r.target, 'uid', r.uid, 'generation', r.generation, "
        "'keys', r.keys, 'outcome', r.outcome, 'evidence', r.evidence, 'holds', r.holds, 'reality', r.reality, 'event', r.event, "
        "'at', " UTC("r.at") ") ORDER BY r.target), '[]') FROM silver.record r WHERE (r.ns, r.contract_id) = ($1, $2)), "
        "'events', (SELECT coalesce(jsonb_agg(" EVENT_DOCUMENT " ORDER BY coalesce(e.published_at, e.recorded_at) DESC, e.id), "
        "'[]') FROM (SELECT * FROM silver.event WHERE (ns, contract_id) = ($1, $2) "
        "ORDER BY coalesce(published_at, recorded_at) DESC, id LIMIT $3::integer) e)) "
        "FROM (SELECT 1) one LEFT JOIN silver.contract c ON (c.ns, c.contract_id) = ($1, $2)";
    json_t *found = NULL;
    char count[16];
    int rc = -1;

    if (contract_of(pg, name, timeout_ms, &found, err) != 0)
        return -1;
    (void)snprintf(count, sizeof(count), "%d", limit);
    if (json_array_size(found) == 0)
        (void)sn_error_set(err, "contract.not-found", "the ledger knows no contract %s", name);
    else if (json_array_size(found) > 1)
        (void)sn_error_set(err, "usage.ambiguous", "%s is a contract of several sources (%s, %s): give <system>/<database>/<id>",
                           name, json_string_value(json_array_get(json_array_get(found, 0), 0)),
                           json_string_value(json_array_get(json_array_get(found, 1), 0)));
    else {
        const json_t *pair = json_array_get(found, 0);
        rc = ask(pg, sql, 3,
                 (const char *const[]){ json_string_value(json_array_get(pair, 0)), json_string_value(json_array_get(pair, 1)),
                                        count },
                 timeout_ms, ret, err);
    }
    json_decref(found);
    return rc;
}

/* ---- letters ---- */

int sn_past_letters(struct sn_pg *pg, const char *cause, const char *device, int limit, int timeout_ms, json_t **ret,
                    struct sn_error *err)
{
    char count[16];

    (void)snprintf(count, sizeof(count), "%d", limit);
    return ask(pg,
               "WITH open AS (SELECT " LETTER_DOCUMENT " AS letter, l.died_at, l.event FROM silver.letter l "
               "JOIN silver.event e ON e.id = l.event WHERE l.state = 'open' AND ($1::text IS NULL OR l.code = $1) "
               "AND ($2::text IS NULL OR $2 IN (e.routing, l.target))) "
               "SELECT jsonb_build_object('count', (SELECT count(*) FROM open), 'letters', (SELECT coalesce(jsonb_agg(letter "
               "ORDER BY died_at DESC, event), '[]') FROM (SELECT * FROM open ORDER BY died_at DESC, event LIMIT $3::integer) o))",
               3, (const char *const[]){ cause, device, count }, timeout_ms, ret, err);
}

int sn_past_letter_groups(struct sn_pg *pg, int timeout_ms, json_t **ret, struct sn_error *err)
{
    return ask(pg,
               "WITH open AS (SELECT l.*, coalesce(nullif(l.target, ''), e.routing) AS device FROM silver.letter l "
               "JOIN silver.event e ON e.id = l.event WHERE l.state = 'open') "
               "SELECT jsonb_build_object('count', (SELECT count(*) FROM open), 'groups', (SELECT coalesce(jsonb_agg(g ORDER BY "
               "(g->>'count')::integer DESC, g->>'code'), '[]') FROM (SELECT jsonb_build_object('code', code, 'driver', driver, "
               "'count', count(*), 'devices', array_agg(DISTINCT device ORDER BY device), 'first', " UTC("min(died_at)") ", 'last', "
               UTC("max(died_at)") ", 'newest', (array_agg(event ORDER BY died_at DESC))[1], 'args', "
               "(array_agg(args ORDER BY died_at DESC))[1]) AS g FROM open GROUP BY code, driver) groups))",
               0, NULL, timeout_ms, ret, err);
}

int sn_past_device(struct sn_pg *pg, const char *uid, int limit, int timeout_ms, json_t **ret, struct sn_error *err)
{
    char count[16];

    (void)snprintf(count, sizeof(count), "%d", limit);
    return ask(pg,
               "SELECT jsonb_build_object('contracts', (SELECT count(*) FROM silver.record "
               "WHERE uid = $1 AND keys <> '[]'), 'letters', (SELECT count(*) FROM silver.letter l WHERE l.state = 'open' "
               "AND l.target IN (SELECT target FROM silver.record WHERE uid = $1 UNION SELECT $1)), "
               "'log', (SELECT coalesce(jsonb_agg(jsonb_build_object('event', x.event, 'run', x.run, 'at', " UTC("x.at") ", 'dir', "
               "x.dir, 'text', x.text, 'verdict', x.verdict) ORDER BY x.at, x.seq), '[]') FROM (SELECT * FROM silver.exec_log "
               "WHERE uid = $1 ORDER BY at DESC, seq DESC LIMIT $2::integer) x))",
               2, (const char *const[]){ uid, count }, timeout_ms, ret, err);
}
