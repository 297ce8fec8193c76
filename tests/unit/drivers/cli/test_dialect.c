/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/drivers/cli/dialect_x.h"

static bool glob(const char *pattern, const char *text)
{
    return sn_cli_glob(pattern, text, strlen(text));
}

static void test_glob(void **state)
{
    (void)state;
    assert_true(glob("abc", "  ABC \t"));
    assert_true(glob("*", ""));
    assert_true(glob("a*c*e", "abXcdYe"));
    assert_true(glob("*aab", "aaaab"));
    assert_false(glob("a*c", "abcd"));
    assert_false(glob("abc", "abcd"));
    assert_false(glob("abc*d", "abc"));
    assert_false(glob("", "a"));
    assert_true(glob("{*<cr>*}:", "{ <cr>||<K> }:"));
}

static void prompt_is(const char *line, const char *host, const char *mode)
{
    char ret_host[65] = "", ret_mode[64] = "";
    const struct sn_cli_mode *m = sn_cli_prompt(&x_dialect, line, strlen(line), host, ret_host, ret_mode);

    if (mode == NULL) {
        assert_null(m);
        return;
    }
    assert_non_null(m);
    assert_string_equal(ret_mode, mode);
}

static void test_prompts(void **state)
{
    (void)state;
    prompt_is("MA5608T>", NULL, "user");
    prompt_is("POP03_OLT-1.x#", NULL, "enable");
    prompt_is("MA5608T(config)#", "MA5608T", "config");
    prompt_is("MA5608T(config-if-gpon-0/1)#  ", "MA5608T", "interface gpon 0/1");
    prompt_is("MA5608T(config-gpon-lineprofile-10)#", "", "other");
    /* not prompts */
    prompt_is(" MA5608T#", NULL, NULL);
    prompt_is("OTHER#", "MA5608T", NULL);
    prompt_is("MA5608T", NULL, NULL);
    prompt_is("#", NULL, NULL);
    prompt_is("a customer #", NULL, NULL);
    prompt_is("MA5608T(config-if-gpon-0/1 x)#", NULL, NULL);
    prompt_is("MA5608T(config-if-gpon-)#", NULL, "other");
    prompt_is("MA5608T(x)(y)#", NULL, NULL);
}

static void way_is(const char *from, const char *to, const char *line)
{
    char out[128] = "";
    int rc = sn_cli_way(&x_dialect, from, to, out, sizeof(out));

    if (line == NULL) {
        assert_true(rc <= 0);
        return;
    }
    assert_int_equal(rc, 1);
    assert_string_equal(out, line);
}

static void test_ways(void **state)
{
    (void)state;
    way_is("config", "config", NULL);
    way_is("user", "config", "enable");
    way_is("enable", "interface gpon 0/1", "config");
    way_is("config", "interface gpon 0/1", "interface gpon 0/1");
    way_is("interface gpon 0/1", "interface gpon 0/2", "quit");
    way_is("interface gpon 0/1", "enable", "quit");
    way_is("other", "config", "quit");
    way_is("user", "nowhere", NULL);
    way_is("nowhere", "config", NULL);
}

static void judged(const char *text, bool bare, const char *code, const char *said)
{
    char joined[256] = "x";
    const struct sn_cli_fault *f = sn_cli_judge(&x_dialect, text, bare, joined, sizeof(joined));

    if (code == NULL) {
        assert_null(f);
        assert_string_equal(joined, "");
        return;
    }
    assert_non_null(f);
    assert_string_equal(f->code, code);
    assert_string_equal(joined, said);
}

static void test_refusals(void **state)
{
    (void)state;
    judged("  Failure: VLAN does not exist\n", false, "x.vlan", "VLAN does not exist");
    judged("some text\n  Failure: this configured object\n  is strange\n\nmore\n", false, "x.unknown",
           "this configured object is strange");
    judged("  Failure: has some service virtual\n  ports\n", false, "x.in-use", "has some service virtual ports");
    judged("        ^\n  % Unknown command, the error locates at '^'\n", false, "x.unknown",
           "Unknown command, the error locates at '^'");
    /* a customer's text is no refusal; without a marker only known texts of a write count */
    judged("  Description : Failure: in the wiring\n  0/1/0 5 error invalid 5% x\n", false, NULL, NULL);
    judged("  Description : a long one that is\n                Failure: wrapped\n", false, NULL, NULL);
    judged("  VLAN does not exist\n", false, NULL, NULL);
    judged("  VLAN does not exist\n", true, "x.vlan", "VLAN does not exist");
    judged("  all is well\n", true, NULL, NULL);
    judged("", true, NULL, NULL);
    /* a second refusal does not continue the first */
    judged("  Failure: busy\n  Failure: VLAN does not exist", false, "x.busy", "busy");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glob),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
