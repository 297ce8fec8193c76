/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs out while drivers look, judge and plan: the loop ends where it should, or the visit knows that something is missing
 * (sn_json_failures(), or a verdict that says so) and starts again. The worlds are those of the drivers' own tests, and do not fail.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/json.h"
#include "drivers/freeradius-sql/freeradius_sql.h"
#include "drivers/huawei-smartax/huawei-smartax.h"
#include "drivers/radius-session/radius_session.h"
#include "tests/unit/alloc/alloc.h"
#include "tests/unit/drivers/huawei-smartax/fake_olt.h"
#include "worker/job/converge.h"

#define SN "4857544311E70E9A"
#define OWNER "odoo/prod/1"
#define NOW INT64_C(1795406400000)

struct bench {
    const struct sn_driver *driver;
    struct fake_olt olt;
    const char *data;      /* of a database: what a read answers before the first write, and after it */
    const char *data_after;
    bool written;
    struct sn_target target;
    struct sn_want want;
    unsigned failures;
    struct sn_converge_io io;
};

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);

    if (value == NULL)
        fail_msg("%s", text);
    return value;
}

/* As the visit does it: nothing is written when something may be missing. */
static void before_write(void *arg, const struct sn_op *op, struct sn_verdict *ret)
{
    const struct bench *b = arg;

    (void)op;
    if (sn_json_failures() != b->failures)
        sn_verdict_set(ret, SN_LOST, "core.store-unsure", "out of memory");
}

static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct bench *b = arg;

    alloc_pause();
    if (b->data == NULL) {
        fake_olt_exchange(&b->olt, want, op, reply);
    } else if (op->kind == SN_READ) {
        reply->data = parse(b->written ? b->data_after : b->data);
    } else {
        b->written = true;
        reply->data = parse("{\"answer\": \"ack\", \"cause\": 0, \"name\": \"\", \"sent\": 1, \"zero_ma\": false}");
    }
    alloc_resume();
}

static void after(void *arg, const struct sn_op *op, const struct sn_reply *reply, const struct sn_verdict *verdict)
{
    (void)arg;
    (void)op;
    (void)reply;
    (void)verdict;
}

static int remember(void *arg, const json_t *memo)
{
    (void)arg;
    (void)memo;
    return 0;
}

static bool holds_it(const struct bench *b)
{
    if (b->data != NULL)
        return b->written;
    return b->olt.n_onts == 1 && strcmp(b->olt.onts[0].sn, SN) == 0 && strcmp(b->olt.onts[0].desc, "CT-17071") == 0 && b->olt.n_flows == 1 &&
           b->olt.flows[0].vlan == 100;
}

static enum alloc_end converge(void *arg)
{
    struct bench *b = arg;
    struct sn_converged c;
    json_t *key = NULL;
    json_t *memo;
    struct sn_error err = { 0 };
    enum alloc_end end = ALLOC_ERROR;

    memset(&b->olt, 0, sizeof(b->olt));
    b->written = false;
    b->failures = sn_json_failures();
    alloc_pause();
    memo = json_object();
    alloc_resume();
    if (b->driver->key(&b->want, &key, &err) != 0) {
        assert_true(sn_json_failures() != b->failures || sn_error_is_oom(&err));
        json_decref(memo);
        return ALLOC_ERROR;
    }
    b->want.key = key;
    sn_converge(b->driver, &b->want, memo, &b->io, &c);
    if (c.what == SN_CONVERGED_DONE && sn_json_failures() == b->failures) {
        assert_true(holds_it(b));
        end = ALLOC_RIGHT;
    } else if (sn_json_failures() == b->failures && strcmp(c.verdict.code, SN_CODE_OOM) != 0) {
        fail_msg("%d %s: %s", (int)c.what, c.verdict.code, c.verdict.text);
    }
    sn_converged_fini(&c);
    b->want.key = NULL;
    json_decref(key);
    json_decref(memo);
    return end;
}

static void run(struct bench *b, const char *service, const char *conf)
{
    json_t *s = parse(service);
    json_t *c = parse(conf);
    json_t *none = json_array();

    b->target.conf = c;
    (void)snprintf(b->target.id, sizeof(b->target.id), "target-1");
    b->want.ref = "CT-17071";
    b->want.owner = OWNER;
    b->want.generation = 2;
    b->want.rev = "r";
    b->want.since_ms = NOW;
    b->want.service = s;
    b->want.old = b->want.rivals = none;
    b->want.target = &b->target;
    b->io = (struct sn_converge_io){ .arg = b, .rounds_max = 12, .before_write = before_write, .exchange = exchange, .after = after, .remember = remember };
    alloc_try_each(converge, b, 1);
    json_decref(s);
    json_decref(c);
    json_decref(none);
}

static void an_onu(void **state)
{
    struct bench b = { .driver = &sn_driver_huawei_smartax, .want = { .kind = SN_BE, .aspect = "onu" } };

    (void)state;
    run(&b,
        "{\"plan\": {\"code\": \"F\", \"down_kbps\": 100000, \"up_kbps\": 50000}, \"onu\": {\"serial\": \"" SN "\", \"frame\": 0, \"slot\": 1,"
        " \"port\": 3, \"line_profile\": \"10\", \"service_profile\": \"10\", \"services\": [{\"name\": \"i\", \"gemport\": 1, \"vlan\": 100}]}}",
        "{}");
}

#define USER_READ(fence, holder, rows, ok, groups, plan)                                                                         \
    "{\"fence\": " fence ", \"holder\": " holder ", \"password\": {\"rows\": " rows ", \"ok\": " ok "}, \"check\": [], \"reply\": []," \
    " \"groups\": " groups ", \"plan\": {\"check\": [], \"reply\": " plan "}, \"suspend\": {\"check\": [], \"reply\": []},"    \
    " \"address_holder\": null, \"open\": 0, \"sessions\": []}"

static void a_radius_user(void **state)
{
    struct bench b = { .driver = &sn_driver_freeradius_sql,
                       .want = { .kind = SN_BE, .aspect = "user" },
                       .data = USER_READ("null", "null", "0", "false", "[]", "[]"),
                       .data_after = USER_READ("{\"generation\": 2, \"rev\": \"r\", \"username\": \"ana@isp\"}", "\"" OWNER "\"", "1", "true",
                                               "[{\"group\": \"FTTH-100@50000/100000\", \"priority\": 10}]",
                                               "[{\"attribute\": \"Mikrotik-Rate-Limit\", \"value\": \"50000k/100000k\"}]") };

    (void)state;
    run(&b,
        "{\"state\": \"active\", \"plan\": {\"code\": \"FTTH-100\", \"up_kbps\": 50000, \"down_kbps\": 100000},"
        " \"access\": {\"username\": \"ana@isp\", \"password\": \"canary\"}}",
        "{}");
}

#define SESSIONS_READ(rows, open)                                                                                                       \
    "{\"now_ms\": 1795406400000, \"fence\": {\"generation\": 2, \"changed_ms\": 1795406399000, \"redial_ms\": null}, \"holder\": \"" OWNER "\"," \
    " \"refused\": true, \"open\": " open ", \"sessions\": " rows "}"

static void a_session_that_is_cut(void **state)
{
    struct bench b = { .driver = &sn_driver_radius_session,
                       .want = { .kind = SN_GONE, .aspect = "session", .suspended = true },
                       .data = SESSIONS_READ("[{\"row\": 1, \"id\": \"81a00010\", \"nas\": \"10.0.0.1\", \"framed\": null, \"start_ms\": 1795406000000}]", "1"),
                       .data_after = SESSIONS_READ("[]", "0") };

    (void)state;
    run(&b, "{\"state\": \"suspended\", \"plan\": {\"code\": \"P\", \"up_kbps\": 500, \"down_kbps\": 2000}, \"access\": {\"username\": \"ana@isp\"}}",
        "{\"nas_address\": \"10.0.0.1\", \"radius\": \"radius-1\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_onu),
        cmocka_unit_test(a_radius_user),
        cmocka_unit_test(a_session_that_is_cut),
    };
    return cmocka_run_group_tests(tests, alloc_setup, NULL);
}
