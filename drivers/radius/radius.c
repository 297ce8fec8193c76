/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/radius/radius.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

void sn_radius_keep(char *out, size_t size, const char *in)
{
    if (sn_text_copy(out, size, in) != 0)
        out[0] = '\0';
}

bool sn_radius_name_ok(const char *name)
{
    size_t len = strlen(name);
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@.-_: /";
    return len > 0 && len < SN_RADIUS_NAME_MAX && strspn(name, safe) == len;
}

void sn_radius_rate(char out[SN_RADIUS_RATE_MAX], int64_t up_kbps, int64_t down_kbps)
{
    (void)snprintf(out, SN_RADIUS_RATE_MAX, "%" PRId64 "k/%" PRId64 "k", up_kbps, down_kbps);
}

void sn_radius_suspend_read(const json_t *server_conf, struct sn_radius_suspend *ret)
{
    const json_t *garden = json_object_get(server_conf, "garden");
    int64_t up = sn_json_number_or(garden, "up_kbps", 512);
    int64_t down = sn_json_number_or(garden, "down_kbps", 512);

    memset(ret, 0, sizeof(*ret));
    ret->garden = strcmp(sn_json_text(server_conf, "suspend"), "garden") == 0;
    if (!ret->garden) {
        (void)snprintf(ret->group, sizeof(ret->group), "silver-suspended");
        return;
    }
    if (sn_text_copy(ret->address_list, sizeof(ret->address_list), sn_json_text(garden, "address_list")) != 0 ||
        ret->address_list[0] == '\0')
        (void)snprintf(ret->address_list, sizeof(ret->address_list), "suspended");
    sn_radius_rate(ret->rate, up, down);
    (void)snprintf(ret->group, sizeof(ret->group), "silver-suspended@%s@%" PRId64 "/%" PRId64, ret->address_list, up, down);
}

int sn_radius_secret(const struct sn_secret_store *secrets, const json_t *value, const char *what, struct sn_secret *ret,
                     struct sn_verdict *verdict)
{
    struct sn_error err = { 0 };

    memset(ret, 0, sizeof(*ret));
    if (value == NULL) {
        sn_verdict_set(verdict, SN_PERMANENT, "secret.missing", "%s is not configured", what);
        sn_verdict_arg(verdict, "what", what);
        return -1;
    }
    if (sn_secret_resolve_json(secrets, value, ret, &err) == 0)
        return 0;
    /* A vault that is away is waited for; a secret that is not there needs a person. */
    if (strcmp(err.code, "secret.unreachable") == 0)
        sn_verdict_set(verdict, SN_UNREACHABLE, err.code, "%s: %s", what, err.text);
    else
        sn_verdict_set(verdict, SN_PERMANENT, err.code, "%s: %s", what, err.text);
    sn_verdict_arg(verdict, "what", what);
    return -1;
}

void sn_radius_verdict(struct sn_verdict *verdict, const struct sn_pg_error *err, bool committing)
{
    const char *text = err->error.text;

    switch (err->class) {
    case SN_PG_UNREACHABLE:
        sn_verdict_set(verdict, SN_UNREACHABLE, "radius.sql-unreachable", "RADIUS database: %s", text);
        break;
    case SN_PG_LOST:
        if (committing)
            sn_verdict_set(verdict, SN_UNKNOWN, "radius.sql-lost", "RADIUS database, while committing: %s", text);
        else
            sn_verdict_set(verdict, SN_UNREACHABLE, "radius.sql-lost", "RADIUS database: %s", text);
        break;
    case SN_PG_AUTH:
        sn_verdict_set(verdict, SN_AUTH, "radius.sql-auth", "RADIUS database: %s", text);
        break;
    case SN_PG_PRIVILEGE: /* every job would fail alike: the gate closes until a person has applied the script */
        sn_verdict_set(verdict, SN_AUTH, "radius.sql-not-prepared", "RADIUS database: %s; apply deploy/sql/radius-*.sql",
                       text);
        break;
    case SN_PG_RETRY: /* deadlock, serialization: rolled back, nobody is to blame. Read and done again at once */
        sn_verdict_set(verdict, SN_AGAIN, "radius.sql-retry", "RADIUS database: %s", text);
        break;
    case SN_PG_BUSY:
        sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "radius.sql-busy", "RADIUS database: %s", text);
        break;
    case SN_PG_CONSTRAINT:
    case SN_PG_OTHER:
        sn_verdict_set(verdict, SN_PERMANENT, "radius.sql-refused", "RADIUS database: %s", text);
        break;
    }
    sn_verdict_arg(verdict, "reason", text);
}

/* A statement goes on when its client is gone, until it touches the socket: each turn of a target whose table is locked would leave one
 * behind, until nobody gets a connection. The server's limit ends before ours, so that its word arrives. */
static int set_limits(struct sn_pg *pg, const json_t *sql, int64_t deadline_ms, struct sn_pg_error *err)
{
    char limit[24];
    const char *const params[] = { limit };

    sn_radius_limit(limit, sn_json_number_or(sql, "timeout_ms", SN_RADIUS_TIMEOUT_MS));
    return sn_pg_exec(pg, "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $1, false)", 1, params, deadline_ms,
                      err);
}

void sn_radius_limit(char out[24], int64_t left_ms)
{
    (void)snprintf(out, 24, "%" PRId64, left_ms > 8 ? left_ms - left_ms / 8 : 1);
}

int sn_radius_open(const struct sn_target *server, const struct sn_secret_store *secrets, int64_t deadline_ms,
                   struct sn_pg **ret_pg, struct sn_verdict *verdict)
{
    const json_t *sql = json_object_get(server->conf, "sql");
    const json_t *password = json_object_get(sql, "password");
    struct sn_pg_conf conf = {
        .host = sn_json_text(sql, "address"),
        .port = (int)sn_json_number_or(sql, "port", 5432),
        .database = sn_json_text(sql, "database"),
        .user = sn_json_text(sql, "user"),
        .sslmode = json_string_value(json_object_get(sql, "sslmode")),
        .sslrootcert = json_string_value(json_object_get(sql, "sslrootcert")),
    };
    struct sn_secret secret = { 0 };
    struct sn_pg *pg = NULL;
    struct sn_pg_error err;
    int rc = -1;

    if (conf.host[0] == '\0' || conf.database[0] == '\0' || conf.user[0] == '\0') {
        sn_verdict_set(verdict, SN_PERMANENT, "radius.sql-not-configured", "%s has no sql.address, sql.database or sql.user",
                       server->id);
        return -1;
    }
    if (password != NULL && sn_radius_secret(secrets, password, "sql.password", &secret, verdict) != 0)
        return -1;
    conf.password = secret.data;
    rc = sn_pg_open(&conf, deadline_ms, &pg, &err);
    sn_secret_fini(&secret);
    if (rc == 0)
        rc = set_limits(pg, sql, deadline_ms, &err);
    if (rc == 0) {
        *ret_pg = pg;
    } else {
        sn_pg_close(pg);
        sn_radius_verdict(verdict, &err, false);
    }
    return rc;
}
