/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries one want through a real session of a driver, for tests: job (JSON) on stdin, what happened (JSON) on stdout.
 *
 *   {"target": {inventory entry with driver, address, credentials, …}, "kind": "BE" | "GONE" | "LOOK", "ref": "CT-1",
 *    "suspended": false, "shared": false, "service": {…}, "key": {…}, "old": […], "rivals": […], "memo": {…},
 *    "dry": false, "save": true, "hold_fd": false,
 *    "inventory": path of a YAML file that the target's links lead to,
 *    "aspect", "owner", "generation", "rev", "since_ms", "args": as in struct sn_want}
 *   → {"end": "done", "code": "", "writes": n, "lines": [[mark, line], …], "holds", "reality", "key", "memo", "save": {class, code},
 *      "open": {class, code, text}, "replies": [[line, class, code, text], …], "leaked_files": 0}
 *
 * `lose_lease_after`: n = may_write() says no after n writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>

#include "common/base/clock.h"
#include "drivers/driver.h"
#include "tests/unit/drivers/conformance/conformance.h"

struct drive {
    json_t *job, *out;
    struct sn_target target;
    struct sn_driver_env env;
    const struct sn_driver *driver;
    struct sn_want want;
    void *session;
    json_t *key;
    json_int_t writes_left;
    json_t *replies;
    struct sn_secret_store *secrets;
    struct sn_schemas *schemas;
    struct sn_inventory *inventory;
};

static const char *text_of(const json_t *o, const char *name, const char *fallback)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s == NULL ? fallback : s;
}

static json_t *verdict_json(const struct sn_verdict *v)
{
    return json_pack("{s:s, s:s, s:s, s:O?}", "class", sn_class_word(v->class), "code", v->code, "text", v->text, "args",
                     v->args);
}

static bool may_write(void *arg)
{
    struct drive *d = arg;

    return d->writes_left-- > 0;
}

static int open_session(struct drive *d, const char *name)
{
    struct sn_verdict verdict = {0};
    int rc = d->driver->open(&d->env, sn_clock_mono_ms() + 30000, &d->session, &verdict);

    if (rc < 0)
        d->session = NULL;
    json_object_set_new(d->out, name, verdict_json(&verdict));
    sn_verdict_fini(&verdict);
    return rc;
}

/* A lost session is opened again before the next read, as the lane does. */
static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct drive *d = arg;
    int64_t deadline = sn_clock_mono_ms() + d->driver->op_timeout_ms(&d->target, op);

    if (d->session == NULL && open_session(d, "reopen") < 0) {
        sn_verdict_set(&reply->verdict, SN_UNREACHABLE, "test.open", "cannot open again");
        return;
    }
    d->driver->exchange(d->session, want, op, deadline, reply);
    json_array_append_new(d->replies, json_pack("[s, s, s, s%]", op->line, sn_class_word(reply->verdict.class),
                                                reply->verdict.code, sn_buf_str(&reply->text), reply->text.len));
    if (reply->verdict.class == SN_UNKNOWN || reply->verdict.class == SN_UNREACHABLE) {
        d->driver->close(d->session, 0);
        d->session = NULL;
    }
}

static void make_want(struct drive *d)
{
    const char *kind = text_of(d->job, "kind", "BE");
    struct sn_want *w = &d->want;
    struct sn_error err;

    w->kind = strcmp(kind, "GONE") == 0    ? SN_GONE
              : strcmp(kind, "LOOK") == 0  ? SN_LOOK
              : strcmp(kind, "SINCE") == 0 ? SN_SINCE
                                           : SN_BE;
    w->aspect = text_of(d->job, "aspect", d->driver->aspects[0]);
    w->ref = text_of(d->job, "ref", "CT-1");
    w->owner = text_of(d->job, "owner", "test/1");
    w->generation = json_integer_value(json_object_get(d->job, "generation"));
    w->rev = text_of(d->job, "rev", "rev");
    w->since_ms = json_integer_value(json_object_get(d->job, "since_ms"));
    w->args = json_object_get(d->job, "args");
    w->suspended = json_is_true(json_object_get(d->job, "suspended"));
    w->shared = json_is_true(json_object_get(d->job, "shared"));
    w->service = json_object_get(d->job, "service");
    w->target = &d->target;
    w->old = json_object_get(d->job, "old");
    w->rivals = json_object_get(d->job, "rivals");
    d->key = json_incref(json_object_get(d->job, "key"));
    if (d->key == NULL && d->driver->key(w, &d->key, &err) < 0) {
        json_object_set_new(d->out, "code", json_string(err.code));
        json_object_set_new(d->out, "end", json_string("key"));
    }
    w->key = d->key;
}

static void save(struct drive *d)
{
    struct sn_reply reply = {.text = SN_BUF_INIT};
    int64_t ms = json_integer_value(json_object_get(d->job, "save_ms"));

    if (d->session == NULL || d->driver->commit_policy != SN_COMMIT_BATCH || json_is_false(json_object_get(d->job, "save")))
        return;
    d->driver->commit(d->session, sn_clock_mono_ms() + (ms > 0 ? ms : 20000), &reply);
    json_object_set_new(d->out, "save", verdict_json(&reply.verdict));
    sn_reply_fini(&reply);
}

static void carry(struct drive *d)
{
    static const char *const ends[] = {"done", "stuck", "later", "refused", "no-effect", "would-write"};
    struct conform_world world = {.exchange = exchange, .arg = d, .dry = json_is_true(json_object_get(d->job, "dry"))};
    struct conform_run run;
    json_t *memo = json_object_get(d->job, "memo");

    memo = memo != NULL ? json_incref(memo) : json_object();
    conform_carry(d->driver, &d->want, &world, memo, &run);
    json_object_set_new(d->out, "end", json_string(ends[run.end]));
    json_object_set_new(d->out, "class", json_string(sn_class_word(run.verdict.class)));
    json_object_set_new(d->out, "code", json_string(run.verdict.code));
    json_object_set_new(d->out, "text", json_string(run.verdict.text));
    json_object_set_new(d->out, "evidence", json_string(sn_evidence_word(run.evidence)));
    json_object_set_new(d->out, "writes", json_integer((json_int_t)run.writes));
    json_object_set_new(d->out, "reads", json_integer((json_int_t)run.reads));
    json_object_set(d->out, "lines", run.lines);
    json_object_set(d->out, "key", d->key);
    if (run.holds != NULL)
        json_object_set(d->out, "holds", run.holds);
    if (run.reality != NULL)
        json_object_set(d->out, "reality", run.reality);
    json_object_set_new(d->out, "memo", memo);
    if (run.writes > 0)
        save(d);
    conform_run_fini(&run);
}

static int open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (dir != NULL && readdir(dir) != NULL)
        n++;
    if (dir != NULL)
        (void)closedir(dir);
    return n;
}

static void test_drive(void **state)
{
    struct drive *d = *state;
    int before = open_files();

    make_want(d);
    if (d->key != NULL && open_session(d, "open") == 0)
        carry(d);
    if (d->session != NULL)
        d->driver->close(d->session, sn_clock_mono_ms() + 5000);
    json_object_set_new(d->out, "leaked_files", json_integer(open_files() - before));
}

/* The inventory that the job names, for links between targets. */
static int load_inventory(struct drive *d)
{
    const char *path = json_string_value(json_object_get(d->job, "inventory"));
    struct sn_error err = {0};

    if (path == NULL)
        return 0;
    if (sn_schemas_load(&d->schemas, &err) < 0 || sn_inventory_load_file(path, d->schemas, &d->inventory, &err) < 0) {
        fprintf(stderr, "drive: %s\n", err.text);
        return -1;
    }
    d->env.inventory = d->inventory;
    return 0;
}

static int prepare(struct drive *d)
{
    const struct sn_secret_conf conf = {.timeout_ms = 1000};
    const json_t *limit;
    struct sn_error err;

    d->job = json_loadf(stdin, 0, NULL);
    d->out = json_object();
    d->replies = json_array();
    d->target.conf = json_object_get(d->job, "target");
    d->driver = sn_driver_find(text_of(d->target.conf, "driver", "huawei-smartax"));
    if (d->job == NULL || d->target.conf == NULL || d->driver == NULL)
        return -1;
    (void)snprintf(d->target.id, sizeof(d->target.id), "%s", text_of(d->target.conf, "id", "target"));
    limit = json_object_get(d->job, "lose_lease_after");
    d->writes_left = limit != NULL ? json_integer_value(limit) : 1000000;
    if (sn_secret_store_new(&conf, NULL, &d->secrets, &err) < 0)
        return -1;
    d->env = (struct sn_driver_env){.secrets = d->secrets, .target = &d->target, .may_write = may_write, .may_write_arg = d};
    return load_inventory(d);
}

int main(void)
{
    struct drive d = {0};
    struct CMUnitTest tests[] = {cmocka_unit_test_prestate(test_drive, &d)};
    char *text;
    int failed;

    if (prepare(&d) < 0) {
        fputs("drive: a job with a target and a known driver is expected on stdin\n", stderr);
        return 64;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_object_set_new(d.out, "failed", json_boolean(failed != 0));
    json_object_set_new(d.out, "replies", d.replies);
    text = json_dumps(d.out, JSON_ENCODE_ANY);
    if (text != NULL)
        puts(text);
    free(text);
    json_decref(d.out);
    json_decref(d.key);
    json_decref(d.job);
    sn_secret_store_free(d.secrets);
    sn_inventory_unref(d.inventory);
    sn_schemas_free(d.schemas);
    return failed;
}
