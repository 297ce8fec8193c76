/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken for a person's request, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "worker/control/request.h"

#define ID "\"schema\": \"silver.ctl/1\", \"id\": \"3f2a91c4-0000-4000-8000-000000000001\""
#define SOON "\"deadline\": \"2026-11-23T04:00:30.000Z\""
#define PAUSE "\"what\": \"device-pause\", \"device\": \"olt-7\", \"by\": \"ana\""

static int read_text(void **state, const char *text, struct sn_request *ret, struct sn_error *err)
{
    return sn_request_read(*state, text, strlen(text), ret, err);
}

static void a_request_is_read_whole(void **state)
{
    struct sn_request r;
    struct sn_error err;

    assert_int_equal(read_text(state, "{" ID ", " PAUSE ", " SOON ", \"args\": {\"why\": \"new card\"}}", &r, &err), 0);
    assert_string_equal(r.id, "3f2a91c4-0000-4000-8000-000000000001");
    assert_string_equal(r.what, "device-pause");
    assert_string_equal(r.device, "olt-7");
    assert_string_equal(r.by, "ana");
    assert_int_equal(r.deadline_ms, INT64_C(1795406430000));
    assert_string_equal(json_string_value(json_object_get(r.args, "why")), "new card");
    sn_request_fini(&r);
    assert_null(r.args);
}

static void a_question_to_the_worker_needs_no_device_and_no_arguments(void **state)
{
    struct sn_request r;
    struct sn_error err;

    assert_int_equal(read_text(state, "{" ID ", \"what\": \"worker-show\", " SOON "}", &r, &err), 0);
    assert_string_equal(r.device, "");
    assert_string_equal(r.by, "");
    assert_null(r.args);
    sn_request_fini(&r);
}

static void what_is_no_request_is_refused(void **state)
{
    static const struct {
        const char *text, *code;
    } rows[] = {
        { "", "document." },
        { "{", "document." },
        { "[]", "document.shape" },
        { "{" ID ", " PAUSE "}", "document.shape" },                                     /* no deadline */
        { "{" ID ", " PAUSE ", " SOON ", \"extra\": 1}", "document.shape" },
        { "{" ID ", " PAUSE ", " SOON ", \"kind\": \"answer\"}", "document.shape" },     /* a reply */
        { "{" ID ", " PAUSE ", " SOON ", \"output\": \"gate\"}", "document.shape" },     /* what silverctl prints */
        { "{" ID ", \"what\": \"device-pause\", \"device\": \"olt-7\", " SOON "}", "document.shape" }, /* by nobody */
        { "{" ID ", \"what\": \"device-pause\", \"device\": \"olt.*\", \"by\": \"ana\", " SOON "}", "document.shape" },
        { "{" ID ", " PAUSE ", " SOON ", \"args\": {\"why\": \"\\u001b[2J\"}}", "document.shape" },
        { "{" ID ", " PAUSE ", \"deadline\": \"2026-02-30T04:00:00Z\"}", "document.shape" }, /* no such day */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sn_request r;
        struct sn_error err = { .code = "" };

        print_message("%s\n", rows[i].text);
        assert_int_equal(read_text(state, rows[i].text, &r, &err), -1);
        assert_memory_equal(err.code, rows[i].code, strlen(rows[i].code));
        assert_null(r.args);
    }
}

static int set_up(void **state)
{
    struct sn_error err;
    struct sn_schemas *schemas = NULL;

    if (sn_schemas_load(&schemas, &err) != 0)
        return -1;
    *state = schemas;
    return 0;
}

static int tear_down(void **state)
{
    sn_schemas_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_whole),
        cmocka_unit_test(a_question_to_the_worker_needs_no_device_and_no_arguments),
        cmocka_unit_test(what_is_no_request_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
