/* SPDX-License-Identifier: Apache-2.0 */
/* What the two RADIUS drivers share: what an error of the database means for the job, names and rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "drivers/radius/radius.h"

static void each_class_of_the_database_has_its_verdict(void **state)
{
    static const struct {
        enum sn_pg_class pg;
        bool committing;
        enum sn_class class;
        const char *code;
    } rows[] = {
        { SN_PG_UNREACHABLE, false, SN_UNREACHABLE, "radius.sql-unreachable" },
        { SN_PG_UNREACHABLE, true, SN_UNREACHABLE, "radius.sql-unreachable" },
        { SN_PG_LOST, false, SN_UNREACHABLE, "radius.sql-lost" }, /* before COMMIT nothing was done */
        { SN_PG_LOST, true, SN_UNKNOWN, "radius.sql-lost" },      /* after it nobody knows: the next step is to read */
        { SN_PG_AUTH, false, SN_AUTH, "radius.sql-auth" },
        { SN_PG_PRIVILEGE, false, SN_AUTH, "radius.sql-not-prepared" },
        { SN_PG_RETRY, false, SN_AGAIN, "radius.sql-retry" },
        { SN_PG_RETRY, true, SN_AGAIN, "radius.sql-retry" }, /* a deadlock at the commit is rolled back, and known to be */
        { SN_PG_BUSY, false, SN_TRANSIENT_DEVICE, "radius.sql-busy" },
        { SN_PG_CONSTRAINT, false, SN_PERMANENT, "radius.sql-refused" },
        { SN_PG_OTHER, false, SN_PERMANENT, "radius.sql-refused" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sn_pg_error err = { .class = rows[i].pg, .error = { .code = "pg.test", .text = "the server's words" } };
        struct sn_verdict verdict = { 0 };

        print_message("row %zu\n", i);
        sn_radius_verdict(&verdict, &err, rows[i].committing);
        assert_int_equal(verdict.class, rows[i].class);
        assert_string_equal(verdict.code, rows[i].code);
        assert_non_null(strstr(verdict.text, "the server's words"));
        assert_string_equal(json_string_value(json_object_get(verdict.args, "reason")), "the server's words");
        sn_verdict_fini(&verdict);
    }
}

static void a_secret_that_is_not_there_needs_a_person(void **state)
{
    struct sn_verdict verdict = { 0 };
    struct sn_secret secret;

    (void)state;
    assert_int_equal(sn_radius_secret(NULL, NULL, "coa.secret", &secret, &verdict), -1);
    assert_int_equal(verdict.class, SN_PERMANENT);
    assert_string_equal(verdict.code, "secret.missing");
    assert_string_equal(json_string_value(json_object_get(verdict.args, "what")), "coa.secret");
    sn_verdict_fini(&verdict);
}

static void names_are_those_that_freeradius_looks_up_as_they_are(void **state)
{
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {
        { "ana@isp", true },     { "Ana.Perez-7_a", true }, { "a", true }, { "ana isp:1/2", true },
        { "", false },           { "ana'--", false },       { "ana\\", false }, { "ana=2a", false },
        { "ana\n", false },      { "a\xc3\xb1o", false },
        { "123456789012345678901234567890123456789012345678901234567890123", true },
        { "1234567890123456789012345678901234567890123456789012345678901234", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(sn_radius_name_ok(rows[i].name), rows[i].ok);
    }
}

static void a_rate_says_upload_first(void **state)
{
    char rate[SN_RADIUS_RATE_MAX];

    (void)state;
    sn_radius_rate(rate, 50000, 100000);
    assert_string_equal(rate, "50000k/100000k");
}

static void what_does_not_fit_counts_as_absent(void **state)
{
    char out[5] = "old";

    (void)state;
    sn_radius_keep(out, sizeof(out), "1234");
    assert_string_equal(out, "1234");
    sn_radius_keep(out, sizeof(out), "12345"); /* half a name is another name */
    assert_string_equal(out, "");
}

static void a_garden_is_named_by_its_content(void **state)
{
    json_t *reject = json_pack("{s:s}", "suspend", "reject");
    json_t *garden = json_pack("{s:s, s:{s:s, s:i, s:i}}", "suspend", "garden", "garden", "address_list", "morosos", "up_kbps", 512,
                               "down_kbps", 1024);
    struct sn_radius_suspend suspend;

    (void)state;
    sn_radius_suspend_read(reject, &suspend);
    assert_false(suspend.garden);
    assert_string_equal(suspend.group, "silver-suspended");
    sn_radius_suspend_read(garden, &suspend);
    assert_true(suspend.garden);
    assert_string_equal(suspend.address_list, "morosos");
    assert_string_equal(suspend.rate, "512k/1024k");
    assert_string_equal(suspend.group, "silver-suspended@morosos@512/1024");
    json_decref(reject);
    json_decref(garden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_of_the_database_has_its_verdict),
        cmocka_unit_test(a_secret_that_is_not_there_needs_a_person),
        cmocka_unit_test(names_are_those_that_freeradius_looks_up_as_they_are),
        cmocka_unit_test(a_rate_says_upload_first),
        cmocka_unit_test(what_does_not_fit_counts_as_absent),
        cmocka_unit_test(a_garden_is_named_by_its_content),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
