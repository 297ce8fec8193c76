/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements. Values are parameters; nothing is ever built into SQL text. Facts: docs/protocols/freeradius-sql.md.
 */
#include "drivers/freeradius-sql/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"

/* One statement, hence one snapshot. $1 user, $2 contract, $3 plan group, $4 suspend group, $5 address or NULL, $6 password or NULL.
 * Passwords are compared where they lie: no row's password leaves the database. */
static const char READ_USER[] =
    "SELECT json_build_object("
    " 'fence', (SELECT json_build_object('generation', generation, 'rev', rev, 'username', username)"
    "           FROM silver_fence WHERE contract = $2),"
    " 'holder', (SELECT contract FROM silver_fence WHERE username = $1),"
    " 'password', (SELECT json_build_object('rows', count(*), 'ok', count(*) = 1 AND coalesce(bool_and("
    "              lower(attribute) = 'cleartext-password' AND op = ':=' AND value = $6), false))"
    "              FROM radcheck WHERE username = $1 AND lower(attribute) LIKE '%password%'),"
    " 'check', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'op', op, 'value', value)), '[]')"
    "           FROM (SELECT attribute, op, value FROM radcheck WHERE username = $1"
    "                 AND lower(attribute) NOT LIKE '%password%' ORDER BY id LIMIT 64) c),"
    " 'reply', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'op', op, 'value', value)), '[]')"
    "           FROM (SELECT attribute, op, value FROM radreply WHERE username = $1 ORDER BY id LIMIT 64) r),"
    " 'groups', (SELECT coalesce(json_agg(json_build_object('group', groupname, 'priority', priority)), '[]')"
    "            FROM (SELECT groupname, priority FROM radusergroup WHERE username = $1 ORDER BY priority, id LIMIT 64) g),"
    " 'plan', json_build_object("
    "   'check', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'value', value)), '[]')"
    "             FROM (SELECT attribute, value FROM radgroupcheck WHERE groupname = $3 ORDER BY id LIMIT 64) pc),"
    "   'reply', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'value', value)), '[]')"
    "             FROM (SELECT attribute, value FROM radgroupreply WHERE groupname = $3 ORDER BY id LIMIT 64) pr)),"
    " 'suspend', json_build_object("
    "   'check', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'value', value)), '[]')"
    "             FROM (SELECT attribute, value FROM radgroupcheck WHERE groupname = $4 ORDER BY id LIMIT 64) sc),"
    "   'reply', (SELECT coalesce(json_agg(json_build_object('attribute', attribute, 'value', value)), '[]')"
    "             FROM (SELECT attribute, value FROM radgroupreply WHERE groupname = $4 ORDER BY id LIMIT 64) sr)),"
    " 'address_holder', (SELECT username FROM radreply WHERE attribute = 'Framed-IP-Address' AND value = $5"
    "                    AND username <> $1 ORDER BY username LIMIT 1),"
    " 'open', (SELECT count(*) FROM radacct WHERE username = $1 AND acctstoptime IS NULL),"
    " 'sessions', (SELECT coalesce(json_agg(json_build_object('id', acctsessionid, 'nas', host(nasipaddress))), '[]')"
    "              FROM (SELECT acctsessionid, nasipaddress FROM radacct WHERE username = $1 AND acctstoptime IS NULL"
    "                    ORDER BY acctstarttime LIMIT 4) s))";

/* A transaction in the making. The first failure fills reply->verdict; later statements are then skipped. */
struct tx {
    struct sn_pg *pg;
    int64_t deadline_ms;
    struct sn_reply *reply;
    bool failed;
};

static int64_t tx_run(struct tx *tx, const char *sql, size_t n, const char *const params[], struct sn_pg_result *keep)
{
    struct sn_pg_result own = { 0 };
    struct sn_pg_result *r = keep != NULL ? keep : &own;
    struct sn_pg_error err;
    int64_t affected = 0;

    if (tx->failed)
        return 0;
    if (sn_pg_query(tx->pg, sql, n, params, tx->deadline_ms, r, &err) == 0) {
        affected = sn_pg_affected(r);
    } else {
        tx->failed = true;
        if (err.class == SN_PG_CONSTRAINT && strcmp(err.constraint, "silver_fence_username_key") == 0)
            sn_verdict_set(&tx->reply->verdict, SN_CONFLICT, "freeradius-sql.username-taken",
                           "another contract took this user name meanwhile");
        else
            sn_radius_verdict(&tx->reply->verdict, &err, false);
    }
    sn_pg_result_fini(&own);
    return affected;
}
#define TX(tx, sql, ...)                                                                                                \
    tx_run((tx), (sql), sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(const char *), (const char *const[]){ __VA_ARGS__ }, NULL)

static bool may_write(const struct sn_driver_env *env, struct sn_verdict *verdict)
{
    if (env->may_write == NULL || env->may_write(env->may_write_arg))
        return true;
    sn_verdict_set(verdict, SN_LOST, "core.lease-lost", "not sent, the lease is over");
    return false;
}

/* Locks of one transaction are taken in the order of their numbers, so that two transactions cannot wait for each other. The number is that
 * of the plain name, so that other programs of the ISP can take the same lock. A server-side limit frees the locks when we are gone. */
static void tx_begin(struct tx *tx, const struct frsql_goal *g)
{
    char limit[24];

    sn_radius_limit(limit, sn_clock_left_ms(tx->deadline_ms, sn_clock_mono_ms()));
    (void)tx_run(tx, "BEGIN", 0, NULL, NULL);
    (void)TX(tx, "SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true), "
                 "set_config('idle_in_transaction_session_timeout', $1, true)", limit);
    (void)TX(tx, "SELECT pg_advisory_xact_lock(k) FROM (SELECT DISTINCT hashtextextended(name, 0) AS k"
                 " FROM unnest(ARRAY[$1, $2, $3, $4]::text[]) AS name WHERE name <> '' ORDER BY k) AS locks",
             g->username, g->group, g->suspended ? g->suspend.group : "", g->address);
}

/* Raises the fence: the contract now holds the user `holds`, or lets the user `lets_go` go (one of them is NULL; another user that it
 * holds stays held). False when a newer generation stands there, or a statement failed before.
 *
 * changed_at is clock_timestamp(), not now(): the transaction may have waited for its locks, and a login meanwhile saw the old rows. While
 * the user was served, a login may be in flight that read the old rows and is accounted for only later, hence the ten seconds. Where
 * nobody was served, no session can have older values; accounting counts in whole seconds, hence the one second. */
static bool tx_fence(struct tx *tx, const struct sn_want *want, const char *holds, const char *lets_go, enum frsql_change change)
{
    static const char *const words[] = { [FRSQL_CHANGE_NONE] = "none", [FRSQL_CHANGE_FRESH] = "fresh",
                                         [FRSQL_CHANGE_SERVED] = "served", [FRSQL_CHANGE_REDIAL] = "redial" };
    char generation[24];
    int64_t n;

    (void)snprintf(generation, sizeof(generation), "%" PRId64, want->generation);
    n = TX(tx, "INSERT INTO silver_fence AS f (contract, generation, rev, username, changed_at, redial_at)"
               " SELECT $1, $2::bigint, $3, $4,"
               "  CASE $5 WHEN 'none' THEN to_timestamp(0) WHEN 'fresh' THEN clock_timestamp() - interval '1 s'"
               "          ELSE clock_timestamp() + interval '10 s' END,"
               "  CASE $5 WHEN 'redial' THEN clock_timestamp() + interval '10 s' END"
               " ON CONFLICT (contract) DO UPDATE SET generation = excluded.generation, rev = excluded.rev,"
               "  username = CASE WHEN $6::text IS NULL THEN excluded.username"
               "                  WHEN f.username = $6::text THEN NULL ELSE f.username END,"
               "  changed_at = CASE $5 WHEN 'none' THEN f.changed_at ELSE excluded.changed_at END,"
               "  redial_at = CASE $5 WHEN 'redial' THEN excluded.redial_at ELSE f.redial_at END"
               " WHERE f.generation <= excluded.generation",
           want->owner, generation, want->rev != NULL ? want->rev : "", holds, words[change], lets_go);
    if (tx->failed)
        return false;
    if (n == 0) {
        tx->failed = true;
        sn_verdict_set(&tx->reply->verdict, SN_SUPERSEDED, "freeradius-sql.superseded",
                       "a newer generation of this contract was written meanwhile");
    }
    return n != 0;
}

static void tx_delete_user(struct tx *tx, const char *username)
{
    (void)TX(tx, "DELETE FROM radcheck WHERE username = $1", username);
    (void)TX(tx, "DELETE FROM radreply WHERE username = $1", username);
    (void)TX(tx, "DELETE FROM radusergroup WHERE username = $1", username);
}

/* Rows of a user name that this contract held before: our own fence is the proof that they are ours. */
static void tx_delete_renamed(struct tx *tx, const struct sn_want *want, const struct frsql_goal *g)
{
    struct sn_pg_result r = { 0 };
    const char *old;

    (void)tx_run(tx, "SELECT username FROM silver_fence WHERE contract = $1 FOR UPDATE", 1, (const char *const[]){ want->owner }, &r);
    old = sn_pg_text(&r, 0, 0);
    if (old != NULL && strcmp(old, g->username) != 0)
        tx_delete_user(tx, old);
    sn_pg_result_fini(&r);
}

static void tx_address_free(struct tx *tx, const struct frsql_goal *g)
{
    struct sn_pg_result r = { 0 };

    if (g->address[0] == '\0')
        return;
    (void)tx_run(tx, "SELECT username FROM radreply WHERE attribute = 'Framed-IP-Address' AND value = $1 AND username <> $2 LIMIT 1",
                 2, (const char *const[]){ g->address, g->username }, &r);
    if (!tx->failed && sn_pg_rows(&r) > 0) {
        tx->failed = true;
        sn_verdict_set(&tx->reply->verdict, SN_CONFLICT, "freeradius-sql.address-taken", "another user has this address");
        sn_verdict_arg(&tx->reply->verdict, "holder", sn_pg_text(&r, 0, 0));
        sn_verdict_arg(&tx->reply->verdict, "address", g->address);
    }
    sn_pg_result_fini(&r);
}

/* A group is made whole or not at all, and never changed: whoever holds its lock sees it missing and makes it. */
static bool tx_group_missing(struct tx *tx, const char *group)
{
    struct sn_pg_result r = { 0 };
    bool missing;

    (void)tx_run(tx, "SELECT 1 FROM radgroupreply WHERE groupname = $1 UNION ALL"
                     " SELECT 1 FROM radgroupcheck WHERE groupname = $1 LIMIT 1", 1, (const char *const[]){ group }, &r);
    missing = !tx->failed && sn_pg_rows(&r) == 0;
    sn_pg_result_fini(&r);
    return missing;
}

static void tx_group_check(struct tx *tx, const char *group, const char *attribute, const char *value)
{
    (void)TX(tx, "INSERT INTO radgroupcheck (groupname, attribute, op, value) VALUES ($1, $2, ':=', $3)", group, attribute, value);
}

static void tx_group_reply(struct tx *tx, const char *group, const char *attribute, const char *op, const char *value)
{
    (void)TX(tx, "INSERT INTO radgroupreply (groupname, attribute, op, value) VALUES ($1, $2, $3, $4)", group, attribute, op, value);
}

static void tx_groups(struct tx *tx, const struct frsql_goal *g)
{
    char number[24];

    if (g->group[0] != '\0' && tx_group_missing(tx, g->group)) {
        (void)snprintf(number, sizeof(number), "%" PRId64, g->simultaneous_use);
        if (g->simultaneous_use > 0)
            tx_group_check(tx, g->group, "Simultaneous-Use", number);
        tx_group_reply(tx, g->group, "Mikrotik-Rate-Limit", "=", g->rate);
    }
    if (!g->suspended || !tx_group_missing(tx, g->suspend.group))
        return;
    if (g->suspend.garden) {
        tx_group_reply(tx, g->suspend.group, "Mikrotik-Address-List", ":=", g->suspend.address_list);
        tx_group_reply(tx, g->suspend.group, "Mikrotik-Rate-Limit", ":=", g->suspend.rate);
    } else {
        tx_group_check(tx, g->suspend.group, "Auth-Type", "Reject");
        tx_group_reply(tx, g->suspend.group, "Reply-Message", ":=", "Service suspended");
    }
}

/* The tables have no unique keys: what is ours is deleted and inserted anew. Other attributes of the user stay. */
static void tx_user_rows(struct tx *tx, const struct frsql_goal *g, const char *password)
{
    char priority[16];

    if (password != NULL) {
        (void)TX(tx, "DELETE FROM radcheck WHERE username = $1 AND lower(attribute) LIKE '%password%'", g->username);
        (void)TX(tx, "INSERT INTO radcheck (username, attribute, op, value) VALUES ($1, 'Cleartext-Password', ':=', $2)",
                 g->username, password);
    }
    (void)TX(tx, "DELETE FROM radcheck WHERE username = $1 AND lower(attribute) IN ('auth-type', 'simultaneous-use')", g->username);
    (void)TX(tx, "DELETE FROM radreply WHERE username = $1 AND lower(attribute) IN"
                 " ('framed-ip-address', 'mikrotik-rate-limit', 'mikrotik-address-list')", g->username);
    if (g->address[0] != '\0')
        (void)TX(tx, "INSERT INTO radreply (username, attribute, op, value) VALUES ($1, 'Framed-IP-Address', ':=', $2)",
                 g->username, g->address);
    (void)TX(tx, "DELETE FROM radusergroup WHERE username = $1 AND ($2 <> '' OR groupname = $3)", g->username, g->group,
             g->suspend.group);
    (void)snprintf(priority, sizeof(priority), "%d", FRSQL_PLAN_PRIORITY);
    if (g->group[0] != '\0')
        (void)TX(tx, "INSERT INTO radusergroup (username, groupname, priority) VALUES ($1, $2, $3::int)", g->username, g->group,
                 priority);
    (void)snprintf(priority, sizeof(priority), "%d", FRSQL_SUSPEND_PRIORITY);
    if (g->suspended)
        (void)TX(tx, "INSERT INTO radusergroup (username, groupname, priority) VALUES ($1, $2, $3::int)", g->username,
                 g->suspend.group, priority);
}

static void tx_end(struct tx *tx, const struct sn_driver_env *env, const struct sn_op *op)
{
    struct sn_pg_error err;

    if (!tx->failed && !may_write(env, &tx->reply->verdict))
        tx->failed = true;
    if (!tx->failed && SN_FAILPOINT("freeradius-sql.before-commit", op->line)) {
        tx->failed = true;
        sn_verdict_set(&tx->reply->verdict, SN_UNREACHABLE, "radius.sql-lost", "link cut before COMMIT");
    }
    if (tx->failed) {
        sn_pg_rollback(tx->pg, tx->deadline_ms);
        return;
    }
    if (sn_pg_exec(tx->pg, "COMMIT", 0, NULL, tx->deadline_ms, &err) != 0) {
        sn_radius_verdict(&tx->reply->verdict, &err, true);
        sn_pg_rollback(tx->pg, tx->deadline_ms);
        return;
    }
    if (SN_FAILPOINT("freeradius-sql.after-commit", op->line)) {
        sn_verdict_set(&tx->reply->verdict, SN_UNKNOWN, "radius.sql-lost", "link cut after COMMIT was sent");
        return;
    }
    sn_buf_adds(&tx->reply->text, "committed");
}

static void write_be(struct tx *tx, const struct sn_driver_env *env, const struct sn_want *want, const struct frsql_goal *g,
                     const struct sn_op *op)
{
    const json_t *value = json_object_get(json_object_get(want->service, "access"), "password");
    struct sn_secret password = { 0 };
    bool rows = ((unsigned)op->n[0] & FRSQL_DIFF_LOGIN) != 0;

    if (g->has_password && sn_radius_secret(env->secrets, value, "access.password", &password, &tx->reply->verdict) != 0)
        return;
    tx_begin(tx, g);
    tx_address_free(tx, g);
    tx_delete_renamed(tx, want, g);
    if (tx_fence(tx, want, g->username, NULL, (enum frsql_change)op->n[3]) && rows) {
        tx_groups(tx, g);
        tx_user_rows(tx, g, password.data);
    }
    tx_end(tx, env, op);
    sn_secret_fini(&password);
}

static void write_gone(struct tx *tx, const struct sn_driver_env *env, const struct sn_want *want, const struct frsql_goal *g,
                       const struct sn_op *op)
{
    bool remove = op->n[0] != 0;

    tx_begin(tx, g);
    if (tx_fence(tx, want, NULL, g->username, remove ? FRSQL_CHANGE_FRESH : FRSQL_CHANGE_NONE) && remove)
        tx_delete_user(tx, g->username);
    tx_end(tx, env, op);
}

static void read_user(struct sn_pg *pg, const struct sn_driver_env *env, const struct sn_want *want, const struct frsql_goal *g,
                      int64_t deadline_ms, struct sn_reply *reply)
{
    const json_t *value = json_object_get(json_object_get(want->service, "access"), "password");
    struct sn_secret password = { 0 };
    struct sn_pg_result r = { 0 };
    struct sn_pg_error err;
    const char *text;

    if (g->has_password && sn_radius_secret(env->secrets, value, "access.password", &password, &reply->verdict) != 0)
        return;
    const char *const params[] = { g->username, want->owner, g->group, g->suspend.group,
                                   g->address[0] != '\0' ? g->address : NULL, password.data };
    if (sn_pg_query(pg, READ_USER, 6, params, deadline_ms, &r, &err) != 0) {
        sn_radius_verdict(&reply->verdict, &err, false);
    } else if ((text = sn_pg_text(&r, 0, 0)) != NULL) {
        sn_buf_adds(&reply->text, text);
        reply->data = sn_json_load(text, strlen(text), JSON_REJECT_DUPLICATES, NULL);
    }
    sn_pg_result_fini(&r);
    sn_secret_fini(&password);
}

void frsql_exchange(struct sn_pg *pg, const struct sn_driver_env *env, const struct sn_want *want, const struct sn_op *op,
                    int64_t deadline_ms, struct sn_reply *reply)
{
    struct tx tx = { .pg = pg, .deadline_ms = deadline_ms, .reply = reply };
    struct frsql_goal g;

    if (frsql_goal_read(want, &g, &reply->verdict) != 0)
        return;
    if (op->verb == FRSQL_BE && op->n[1] == 0)
        g.address[0] = '\0'; /* given up: another user has it */
    if (op->kind == SN_WRITE && !may_write(env, &reply->verdict))
        return;
    switch ((enum frsql_verb)op->verb) {
    case FRSQL_READ:
        read_user(pg, env, want, &g, deadline_ms, reply);
        break;
    case FRSQL_BE:
        write_be(&tx, env, want, &g, op);
        break;
    case FRSQL_GONE:
        write_gone(&tx, env, want, &g, op);
        break;
    }
}
