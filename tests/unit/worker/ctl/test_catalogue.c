/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/ctl/catalogue.h"

static void expect_filled(const char *sentence, const json_t *args, const char *text)
{
    struct sn_buf b = SN_BUF_INIT;

    sn_cause_fill(sentence, args, &b);
    assert_string_equal(sn_buf_str(&b), text);
    sn_buf_fini(&b);
}

static void test_arguments_are_put_in_and_escaped(void **state)
{
    json_t *args = json_pack("{s:s, s:i, s:s, s:n}", "target", "olt-7", "count", 5, "said", "no\x1b[2J\n", "none");

    (void)state;
    expect_filled("%{target} said %{said}, %{count} times", args, "olt-7 said no\\x1b[2J\\x0a, 5 times");
    expect_filled("%{missing} and %{none}", args, "<missing> and <none>");
    expect_filled("100 % {x} %{unended", args, "100 % {x} %{unended");
    expect_filled("%{target}", NULL, "<target>");
    json_decref(args);
}

static void test_an_argument_is_not_read_as_a_sentence(void **state)
{
    json_t *args = json_pack("{s:s, s:s}", "a", "%{b}", "b", "never");

    (void)state;
    expect_filled("[%{a}]", args, "[%{b}]");
    json_decref(args);
}

static void test_every_row_is_found_and_whole(void **state)
{
    (void)state;
    assert_true(sn_cause_count() > 100);
    for (size_t i = 0; i < sn_cause_count(); i++) {
        const struct sn_cause *c = sn_cause_at(i);
        assert_ptr_equal(sn_cause_find(c->code), c);
        assert_true(strlen(c->happened) > 5 && strlen(c->holds) > 5 && strlen(c->todo) > 5);
        assert_true(i == 0 || strcmp(sn_cause_at(i - 1)->code, c->code) < 0);
    }
    assert_null(sn_cause_find("no.such-code"));
    assert_null(sn_cause_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments_are_put_in_and_escaped),
        cmocka_unit_test(test_an_argument_is_not_read_as_a_sentence),
        cmocka_unit_test(test_every_row_is_found_and_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
