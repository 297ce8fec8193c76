/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger role alone, for tests/system/test_ledger.py: its settings come as one JSON object in LEDGER_HOST, it runs
 * until SIGTERM and ends with 0 after an orderly stop. With "restore": true it prints what would go back into Redis
 * instead, a line each.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/schema/schema.h"
#include "worker/sink/ledger.h"
#include "worker/sink/restore.h"

static const char *text(const json_t *settings, const char *key)
{
    const char *value = json_string_value(json_object_get(settings, key));
    return value != NULL ? value : "";
}

static int number(const json_t *settings, const char *key)
{
    return (int)json_integer_value(json_object_get(settings, key));
}

static int print(json_t *line)
{
    char *dumped = json_dumps(line, JSON_COMPACT | JSON_SORT_KEYS);

    if (dumped != NULL)
        (void)puts(dumped);
    free(dumped);
    json_decref(line);
    return 0;
}

static int print_contract(void *arg, const struct sn_restored_contract *c, struct sn_error *err)
{
    (void)arg;
    (void)err;
    return print(json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:O}", "ns", c->ns, "contract_id", c->contract_id, "ref",
                           c->ref, "generation", (json_int_t)c->generation, "rev", c->rev, "event", c->event, "records",
                           c->records));
}

static int print_gate(void *arg, const struct sn_restored_gate *g, struct sn_error *err)
{
    (void)arg;
    (void)err;
    return print(json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "gate", g->uid, "code", g->code, "why", g->why, "by",
                           g->by, "since", (json_int_t)g->since_ms, "until", (json_int_t)g->until_ms));
}

static int restore(const struct sn_pg_conf *database, struct sn_error *err)
{
    static const struct sn_restore_ops ops = { .contract = print_contract, .gate = print_gate };
    struct sn_pg_error pgerr;
    struct sn_pg *pg;
    int rc;

    if (sn_pg_open(database, sn_clock_mono_ms() + 5000, &pg, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    rc = sn_ledger_restore(pg, 5000, &ops, NULL, err);
    sn_pg_close(pg);
    return rc;
}

static int run(const json_t *settings, const struct sn_schemas *schemas, const sigset_t *signals, struct sn_error *err)
{
    const struct sn_log log = { .level = SN_LOG_INFO, .fd = 2 };
    const struct sn_broker_conf broker = { .host = "127.0.0.1",
                                           .port = number(settings, "amqp_port"),
                                           .vhost = text(settings, "vhost"),
                                           .user = text(settings, "amqp_user"),
                                           .password = text(settings, "amqp_password"),
                                           .name = "ledger-host",
                                           .heartbeat_s = 5,
                                           .connect_timeout_ms = 3000,
                                           .rpc_timeout_ms = 3000,
                                           .confirm_timeout_ms = 5000,
                                           .reconnect_min_ms = 20,
                                           .reconnect_max_ms = 200 };
    const struct sn_pg_conf database = { .host = "127.0.0.1",
                                         .port = number(settings, "pg_port"),
                                         .database = "silver",
                                         .user = "silver_ledger",
                                         .password = text(settings, "pg_password") };
    const struct sn_ledger_conf conf = { .broker = &broker,
                                         .result_schema = sn_schemas_get(schemas, SN_SCHEMA_RESULT),
                                         .database = &database,
                                         .prefetch = number(settings, "prefetch"),
                                         .migrate = !json_is_false(json_object_get(settings, "migrate")),
                                         .timeout_ms = number(settings, "timeout_ms"),
                                         .reconnect_min_ms = 20,
                                         .reconnect_max_ms = 200,
                                         .give_back_ms = number(settings, "give_back_ms") };
    struct sn_ledger *ledger;
    int received;

    if (json_is_true(json_object_get(settings, "restore")))
        return restore(&database, err);
    if (sn_ledger_new(&conf, &log, &ledger, err) != 0)
        return -1;
    if (sn_ledger_start(ledger, err) != 0) {
        sn_ledger_free(ledger);
        return -1;
    }
    (void)sigwait(signals, &received);
    sn_ledger_stop(ledger);
    sn_ledger_free(ledger);
    return 0;
}

int main(void)
{
    const char *given = getenv("LEDGER_HOST");
    json_t *settings = json_loads(given != NULL ? given : "", 0, NULL);
    struct sn_schemas *schemas = NULL;
    struct sn_error err = { 0 };
    sigset_t signals;
    int rc;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    if (settings == NULL || sn_schemas_load(&schemas, &err) != 0)
        rc = -1;
    else
        rc = run(settings, schemas, &signals, &err);
    if (rc != 0)
        (void)fprintf(stderr, "ledger-host: %s\n", settings == NULL ? "LEDGER_HOST is not JSON" : err.text);
    sn_schemas_free(schemas);
    json_decref(settings);
    return rc == 0 ? 0 : 1;
}
