/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "worker/sink/migrate.h"
#include "worker/sink/sink.h"

static const struct sn_schema *result_schema(void **state)
{
    return sn_schemas_get(*state, SN_SCHEMA_RESULT);
}

static int set_up(void **state)
{
    struct sn_error err;
    struct sn_schemas *schemas;

    if (sn_schemas_load(&schemas, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    *state = schemas;
    return 0;
}

static int tear_down(void **state)
{
    sn_schemas_free(*state);
    return 0;
}

static int read_text(void **state, const char *text, const char *type, struct sn_error *err)
{
    const struct sn_sink_message m = {
        .body = text, .len = strlen(text), .content_type = type, .routing_key = "applied.olt-7"
    };
    json_t *doc = NULL;
    int rc = sn_sink_read(result_schema(state), &m, &doc, err);

    json_decref(doc);
    return rc;
}

#define EVENT "\"event\": \"3f2a91c4-0000-4000-8000-000000000001\""
#define PROGRESS "{\"schema\": \"silver.result/1\", " EVENT ", \"run\": 1, \"state\": \"progress\", \"outcome\": null"

static void test_takes_results_and_gates(void **state)
{
    struct sn_error err;

    assert_int_equal(read_text(state, PROGRESS "}", "application/json", &err), 0);
    assert_int_equal(read_text(state, PROGRESS "}", "", &err), 0);
    assert_int_equal(
        read_text(state,
                  "{\"schema\": \"silver.gate/1\", \"uid\": \"olt-7\", \"target\": \"olt-7\", \"state\": \"open\", "
                  "\"since\": \"2026-11-23T04:00:00Z\"}",
                  "application/json", &err),
        0);
}

static void test_lets_fields_of_newer_workers_pass(void **state)
{
    struct sn_error err;

    assert_int_equal(read_text(state, PROGRESS ", \"invented_later\": {\"a\": 1}}", "application/json", &err), 0);
}

static void test_says_why_a_message_is_no_result(void **state)
{
    static const struct {
        const char *text;
        const char *type;
        const char *code;
        const char *says;
    } cases[] = {
        { "", "application/json", "document.syntax", "" },
        { "{", "application/json", "document.syntax", "" },
        { "\xc1", "application/msgpack", "document.syntax", "" },
        { "{\"a\": 1, \"a\": 2}", "application/json", "document.duplicate-key", "a" },
        { "[]", "application/json", "result.shape", "" },
        { "{\"schema\": \"silver.event/1\"}", "application/json", "result.shape", "/schema" },
        { PROGRESS ", \"epoch\": -1}", "application/json", "result.shape", "/epoch" },
        { "{\"schema\": \"silver.result/1\", " EVENT ", \"run\": 1, \"state\": \"final\", \"outcome\": \"applied\"}",
          "application/json", "result.shape", "" },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sn_error err = { 0 };
        assert_int_equal(read_text(state, cases[i].text, cases[i].type, &err), -1);
        assert_string_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.text, cases[i].says));
    }
}

static void test_size_has_an_end(void **state)
{
    struct sn_error err;
    size_t size = 600 * 1024;
    char *text = test_malloc(size + 1);

    memset(text, ' ', size);
    text[0] = '[';
    text[size - 1] = ']';
    text[size] = '\0';
    assert_int_equal(read_text(state, text, "application/json", &err), -1);
    assert_string_equal(err.code, "document.too-large");
    test_free(text);
}

static void test_device_stands_behind_the_first_dot(void **state)
{
    (void)state;
    assert_string_equal(sn_sink_device_of("applied.olt-7"), "olt-7");
    assert_string_equal(sn_sink_device_of("applied."), "");
    assert_string_equal(sn_sink_device_of("applied"), "");
}

static void test_versions_are_counted(void **state)
{
    (void)state;
    assert_int_equal(sn_migrate_latest(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_results_and_gates),
        cmocka_unit_test(test_lets_fields_of_newer_workers_pass),
        cmocka_unit_test(test_says_why_a_message_is_no_result),
        cmocka_unit_test(test_size_has_an_end),
        cmocka_unit_test(test_device_stands_behind_the_first_dot),
        cmocka_unit_test(test_versions_are_counted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
