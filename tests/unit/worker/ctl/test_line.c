/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/ctl/ctl.h"

/* The words live as long as the line that points into them: the caller's block. */
static int parse(struct sn_line *line, struct sn_error *err, const char *const *words)
{
    static char program[] = "silverctl";
    static char *argv[16];
    int argc = 0;

    for (argv[argc++] = program; *words != NULL; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    return sn_line_parse(argc, argv, line, err);
}
#define PARSE(line, err, ...) parse(line, err, (const char *const[]){ __VA_ARGS__, NULL })

static void test_finds_commands_of_one_and_two_words(void **state)
{
    struct sn_line line;
    struct sn_error err;

    (void)state;
    assert_int_equal(PARSE(&line, &err, "event", "3f2a", "--raw"), 0);
    assert_string_equal(line.command->name, "event");
    assert_true(line.args.given[SN_FLAG_RAW]);
    assert_int_equal(line.args.n, 1);
    assert_string_equal(line.args.words[0], "3f2a");
    assert_int_equal(PARSE(&line, &err, "--json", "device", "pause", "olt-7", "--why=fibra", "--until", "2h"), 0);
    assert_string_equal(line.command->name, "device pause");
    assert_true(line.json);
    assert_string_equal(line.args.value[SN_FLAG_WHY], "fibra");
    assert_string_equal(line.args.value[SN_FLAG_UNTIL], "2h");
}

static void test_settings_and_words_behind_two_dashes(void **state)
{
    struct sn_line line;
    struct sn_error err;

    (void)state;
    assert_int_equal(PARSE(&line, &err, "--broker.port=5673", "publish", "--", "--wait", "-"), 0);
    assert_int_equal(line.settings_n, 1);
    assert_string_equal(line.settings[0], "broker.port=5673");
    assert_false(line.args.given[SN_FLAG_WAIT]);
    assert_int_equal(line.args.n, 2);
    assert_string_equal(line.args.words[0], "--wait");
}

static void test_refuses_what_makes_no_sense(void **state)
{
    struct sn_line line;
    struct sn_error err;

    (void)state;
#define REFUSED(expected_code, part, ...)                      \
    do {                                                       \
        assert_int_equal(PARSE(&line, &err, __VA_ARGS__), -1); \
        assert_string_equal(err.code, expected_code);          \
        assert_non_null(strstr(err.text, part));               \
        assert_int_equal(sn_ctl_exit_of(&err), SN_EXIT_USAGE); \
    } while (0)
    REFUSED("usage.command", "frobnicate", "frobnicate");
    REFUSED("usage.command", "device", "device");
    REFUSED("usage.command", "which command", "--json");
    REFUSED("usage.words", "event ID|REF|last", "event");
    REFUSED("usage.words", "b", "event", "a", "b");
    REFUSED("usage.option", "--frob", "event", "a", "--frob");
    REFUSED("usage.option", "event has no option --wait", "event", "a", "--wait");
    REFUSED("usage.option", "--limit wants a value", "contract", "a", "--limit");
    REFUSED("usage.option", "--raw takes no value", "event", "a", "--raw=yes");
    REFUSED("usage.option", "-x", "event", "-x");
}

static void test_help_needs_no_words(void **state)
{
    struct sn_line line;
    struct sn_error err;
    struct sn_out out = { .width = 100 };

    (void)state;
    assert_int_equal(PARSE(&line, &err, "--help"), 0);
    assert_null(line.command);
    assert_int_equal(PARSE(&line, &err, "plan", "--help"), 0);
    sn_line_help(&out, line.command, line.group);
    assert_non_null(strstr(sn_buf_str(&out.buf), "usage: silverctl plan FILE"));
    assert_non_null(strstr(sn_buf_str(&out.buf), "--exit-code"));
    assert_null(strstr(sn_buf_str(&out.buf), "--bulk"));
    sn_buf_fini(&out.buf);
}

static void test_help_after_the_first_word_lists_its_commands(void **state)
{
    struct sn_line line;
    struct sn_error err;
    struct sn_out out = { .width = 100 };

    (void)state;
    assert_int_equal(PARSE(&line, &err, "device", "--help"), 0);
    sn_line_help(&out, line.command, line.group);
    assert_non_null(strstr(sn_buf_str(&out.buf), "device record DEVICE"));
    assert_null(strstr(sn_buf_str(&out.buf), "dlq list"));
    sn_buf_fini(&out.buf);
    REFUSED("usage.command", "silverctl device --help lists them", "device");
    REFUSED("usage.command", "there is no command devic", "devic", "--help");
}

static void test_every_command_is_whole(void **state)
{
    (void)state;
    for (const struct sn_command *c = sn_commands; c->name != NULL; c++) {
        assert_non_null(c->run);
        assert_true(strlen(c->help) > 10);
        assert_in_range(c->words_min, 0, c->words_max);
        assert_int_equal(c->flags >> SN_FLAG_COUNT, 0);
    }
}

static void test_exit_codes_of_errors(void **state)
{
    static const struct {
        const char *code;
        int exit;
    } cases[] = {
        { "event.not-found", SN_EXIT_NOT_FOUND },  { "device.not-found", SN_EXIT_NOT_FOUND },
        { "event.shape", SN_EXIT_INVALID },        { "document.syntax", SN_EXIT_INVALID },
        { "broker.connect", SN_EXIT_UNREACHABLE }, { "broker.unroutable", SN_EXIT_UNREACHABLE },
        { "pg.unreachable", SN_EXIT_UNREACHABLE }, { "store.unsure", SN_EXIT_UNREACHABLE },
        { "owner.none", SN_EXIT_UNREACHABLE },     { "wait.timeout", SN_EXIT_RUNNING },
        { "owner.timeout", SN_EXIT_RUNNING },      { "config.unknown-key", SN_EXIT_CONFIG },
        { "inventory.shape", SN_EXIT_CONFIG },     { "usage.words", SN_EXIT_USAGE },
        { "usage.timeout", SN_EXIT_USAGE },        { "huawei.busy", SN_EXIT_OUTCOME },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sn_error err;
        (void)sn_error_set(&err, cases[i].code, "x");
        assert_int_equal(sn_ctl_exit_of(&err), cases[i].exit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_commands_of_one_and_two_words),
        cmocka_unit_test(test_settings_and_words_behind_two_dashes),
        cmocka_unit_test(test_refuses_what_makes_no_sense),
        cmocka_unit_test(test_help_needs_no_words),
        cmocka_unit_test(test_help_after_the_first_word_lists_its_commands),
        cmocka_unit_test(test_every_command_is_whole),
        cmocka_unit_test(test_exit_codes_of_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
