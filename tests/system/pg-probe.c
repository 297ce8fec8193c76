/* SPDX-License-Identifier: Apache-2.0 */
/*
 * common/pg for tests: one command (JSON) a line on stdin, one answer a line on stdout.
 *
 *   {"open": {"host", "port", "database", "user", "password"}, "timeout_ms"}   → {"class": "ok"} or {"class", "sqlstate", "code", "text"}
 *   {"sql": "…", "params": […], "timeout_ms"}  → {"class": "ok", "rows": [[…]], "affected": n} or the error, "broken": bool
 *   {"idle": true}                             → {"dead": bool}
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/pg/pg.h"

#define PARAMS_MAX 8

static const char *text_of(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static json_t *error_json(const struct sn_pg_error *err)
{
    static const char *const classes[] = { [SN_PG_OTHER] = "other",           [SN_PG_UNREACHABLE] = "unreachable",
                                           [SN_PG_LOST] = "lost",             [SN_PG_AUTH] = "auth",
                                           [SN_PG_PRIVILEGE] = "privilege",   [SN_PG_RETRY] = "retry",
                                           [SN_PG_CONSTRAINT] = "constraint", [SN_PG_BUSY] = "busy" };
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "class", classes[err->class], "sqlstate", err->sqlstate, "constraint",
                     err->constraint, "code", err->error.code, "text", err->error.text);
}

static json_t *open_pg(const json_t *conf, int64_t deadline_ms, struct sn_pg **pg)
{
    struct sn_pg_conf c = { .host = text_of(conf, "host"),
                            .port = (int)json_integer_value(json_object_get(conf, "port")),
                            .database = text_of(conf, "database"),
                            .user = text_of(conf, "user"),
                            .password = text_of(conf, "password") };
    struct sn_pg_error err;

    sn_pg_close(*pg);
    *pg = NULL;
    return sn_pg_open(&c, deadline_ms, pg, &err) == 0 ? json_pack("{s:s}", "class", "ok") : error_json(&err);
}

static json_t *rows_json(const struct sn_pg_result *r)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < sn_pg_rows(r); i++) {
        json_t *row = json_array();
        const char *text;
        for (size_t k = 0; k < 3; k++) {
            text = sn_pg_text(r, i, k);
            (void)json_array_append_new(row, text != NULL ? json_string(text) : json_null());
        }
        (void)json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *run(struct sn_pg *pg, const json_t *command, int64_t deadline_ms)
{
    const json_t *list = json_object_get(command, "params");
    const char *params[PARAMS_MAX] = { NULL };
    struct sn_pg_result r = { 0 };
    struct sn_pg_error err;
    json_t *answer;

    for (size_t i = 0; i < json_array_size(list) && i < PARAMS_MAX; i++)
        params[i] = json_string_value(json_array_get(list, i));
    if (sn_pg_query(pg, text_of(command, "sql"), json_array_size(list), params, deadline_ms, &r, &err) == 0)
        answer = json_pack("{s:s, s:o, s:I}", "class", "ok", "rows", rows_json(&r), "affected", (json_int_t)sn_pg_affected(&r));
    else
        answer = error_json(&err);
    (void)json_object_set_new(answer, "broken", json_boolean(sn_pg_broken(pg)));
    sn_pg_result_fini(&r);
    return answer;
}

int main(void)
{
    struct sn_pg *pg = NULL;
    char line[65536];

    while (fgets(line, sizeof(line), stdin) != NULL) {
        json_t *command = json_loads(line, 0, NULL);
        const json_t *conf = json_object_get(command, "open");
        const json_t *timeout = json_object_get(command, "timeout_ms");
        int64_t deadline = sn_clock_mono_ms() + (timeout != NULL ? json_integer_value(timeout) : 10000);
        json_t *answer;
        char *text;
        if (conf != NULL)
            answer = open_pg(conf, deadline, &pg);
        else if (pg == NULL)
            answer = json_pack("{s:s}", "class", "closed");
        else if (json_object_get(command, "idle") != NULL)
            answer = sn_pg_idle(pg) != 0 ? json_pack("{s:b, s:i}", "dead", 1, "fd", sn_pg_fd(pg)) : json_pack("{s:b}", "dead", 0);
        else
            answer = run(pg, command, deadline);
        text = json_dumps(answer, 0);
        puts(text);
        (void)fflush(stdout);
        free(text);
        json_decref(answer);
        json_decref(command);
    }
    sn_pg_close(pg);
    return 0;
}
