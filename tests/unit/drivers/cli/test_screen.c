/* SPDX-License-Identifier: Apache-2.0 */
/* Each dialogue is fed whole and byte by byte: the result must be the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/cli/screen.h"
#include "tests/unit/drivers/cli/dialect_x.h"

static enum sn_cli_reached feed(struct sn_cli_screen *s, const char *text, bool bytes)
{
    size_t len = strlen(text);

    for (size_t i = 0; bytes && i < len; i++) {
        sn_cli_screen_feed(s, text + i, 1);
        if (i + 1 < len)
            (void)sn_cli_screen_reached(s);
    }
    if (!bytes)
        sn_cli_screen_feed(s, text, len);
    return sn_cli_screen_reached(s);
}

/* A session at "HOST(config)#" that sends `command` and gets `answer`. */
static void reply_is(const char *command, const char *answer, enum sn_cli_reached reached, const char *text)
{
    for (int bytes = 0; bytes < 2; bytes++) {
        struct sn_cli_screen s;

        sn_cli_screen_init(&s, &x_dialect);
        assert_int_equal(feed(&s, "\r\nBanner\r\n\r\nHOST(config)#", bytes), SN_CLI_PROMPT);
        assert_string_equal(s.host, "HOST");
        assert_string_equal(s.mode, "config");
        sn_cli_screen_begin(&s, command);
        assert_int_equal(sn_cli_screen_reached(&s), SN_CLI_RUNNING);
        assert_int_equal(feed(&s, answer, bytes), reached);
        assert_string_equal(sn_cli_screen_text(&s), text);
        sn_cli_screen_fini(&s);
    }
}

static void test_echo_and_prompt_are_cut(void **state)
{
    (void)state;
    reply_is("display x", "display x\r\n  one\r\n\r\n  two\r\n\r\nHOST(config)#", SN_CLI_PROMPT, "  one\n\n  two");
    reply_is("service-port 1", "service-port 1\r\n\r\nHOST(config)#", SN_CLI_PROMPT, "");
    /* no prompt yet */
    reply_is("display x", "display x\r\n  HOST(config)#", SN_CLI_RUNNING, "");
    reply_is("display x", "display x\r\n  one\r\nOTHER(config)#", SN_CLI_RUNNING, "  one");
}

static void test_echo_is_broken_and_decorated(void **state)
{
    (void)state;
    reply_is("display long command", "display lo\r\nng comm\r\nand\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
    reply_is("display long command", "disp \033[1Dlay long com \033[1Dmand\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
    reply_is("display x", "\adis\033[0mplay\r x\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
    reply_is("display x", "display x\r\n  a stray\r return\r\nHOST(config)#", SN_CLI_PROMPT, "  a stray return");
}

static void test_text_before_the_echo_is_none_of_the_reply(void **state)
{
    (void)state;
    /* a stale prompt, an alarm, a late line of a save: none of them is our command or its end */
    reply_is("save", "\r\nHOST(config)#\r\n  saved successfully or not\r\nHOST(config)#save\r\nok\r\nHOST(config)#", SN_CLI_PROMPT,
             "ok");
    reply_is("save", "\r\n  please save\r\n  do not\r\nHOST(config)#save\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
    reply_is("config", "\r\n  x\r\n\r\nHOST(config)#config\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
    reply_is("quit", "\r\n\r\nHOST(config)#", SN_CLI_RUNNING, "");
    reply_is("display x", "\r\n  note without a prompt after it\r\ndisplay x\r\nok\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
}

static void test_unsolicited_blocks_are_removed(void **state)
{
    (void)state;
    static const char alarm[] = "\r\n  ! 1[2024-01-01 00:00:00+00:00]:\r\n\r\n  ALARM 1 FAULT\r\n  Failure: of something else\r\n"
                                "  --- END\r\n";
    char text[1024];

    (void)snprintf(text, sizeof(text), "display x\r\n  one%s  two\r\nHOST(config)#", alarm);
    reply_is("display x", text, SN_CLI_PROMPT, "  one\n  two");
    /* before the echo, and in the middle of it, with and without a new prompt */
    (void)snprintf(text, sizeof(text), "%s\r\nHOST(config)#display x\r\nok\r\nHOST(config)#", alarm);
    reply_is("display x", text, SN_CLI_PROMPT, "ok");
    (void)snprintf(text, sizeof(text), "displ%sHOST(config)#display x\r\nok\r\nHOST(config)#", alarm);
    reply_is("display x", text, SN_CLI_PROMPT, "ok");
    (void)snprintf(text, sizeof(text), "displ%say x\r\nok\r\nHOST(config)#", alarm);
    reply_is("display x", text, SN_CLI_PROMPT, "ok");
    /* a block that never ends does not swallow the prompt */
    reply_is("display x", "display x\r\nok\r\n  ! 1[2024]:\r\n  ALARM\r\n\r\nHOST(config)#", SN_CLI_PROMPT, "ok");
}

static void test_prompt_with_text_on_its_heels(void **state)
{
    (void)state;
    reply_is("save", "save\r\n  one\r\nHOST(config)#\r\n  It will take a while\r\n", SN_CLI_PROMPT, "  one");
    reply_is("save", "save\r\n  one\r\nHOST(config-if-gpon-0/1)#\r\n  Warning\r\n\r\nHOST(config-if-gpon-0/1)#", SN_CLI_PROMPT, "  one");
}

static void test_pagers_of_three_vendors(void **state)
{
    static const char *const erase[] = {
        "\033[37D                                     \033[37D", /* Huawei */
        "\0\b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\b", /* V-SOL, after its NUL */
        "\r                                        \r",          /* ZTE */
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(erase) / sizeof(erase[0]); i++) {
        struct sn_cli_screen s;

        sn_cli_screen_init(&s, &x_dialect);
        sn_cli_screen_begin(&s, "display x");
        assert_int_equal(feed(&s, "display x\r\n  one\r\n  ---- More ( Press 'Q' to break ) ----", true), SN_CLI_PAGER);
        sn_cli_screen_answered(&s, "");
        assert_int_equal(sn_cli_screen_reached(&s), SN_CLI_RUNNING);
        assert_int_equal(feed(&s, erase[i], true), SN_CLI_RUNNING);
        assert_int_equal(feed(&s, "  two\r\nHOST#", true), SN_CLI_PROMPT);
        assert_string_equal(sn_cli_screen_text(&s), "  one\n  two");
        sn_cli_screen_fini(&s);
    }
}

static void test_completion_question_and_repeated_command(void **state)
{
    struct sn_cli_screen s;

    (void)state;
    sn_cli_screen_init(&s, &x_dialect);
    sn_cli_screen_begin(&s, "display ont autofind all");
    assert_int_equal(feed(&s, "display ont autofind all\r\n{ <cr>||<K> }:", true), SN_CLI_QUESTION);
    assert_string_equal(s.question->answer, "");
    sn_cli_screen_answered(&s, "");
    assert_int_equal(feed(&s, "\r\n\r\n  Command:\r\n          display ont\r\n autofind all\r\n  Number : 1\r\nHOST#", true),
                     SN_CLI_PROMPT);
    assert_string_equal(sn_cli_screen_text(&s), "  Number : 1");
    sn_cli_screen_fini(&s);
    reply_is("display x", "display x\r\n{ frame<U> }:", SN_CLI_QUESTION, "");
    /* the word in a reply that nobody asked about is text */
    reply_is("display x", "display x\r\n  a\r\n  Command:\r\n  b\r\nHOST(config)#", SN_CLI_PROMPT, "  a\n  Command:\n  b");
}

static void test_echo_of_an_answer_is_dropped(void **state)
{
    struct sn_cli_screen s;

    (void)state;
    sn_cli_screen_init(&s, &x_dialect);
    sn_cli_screen_begin(&s, "quit");
    assert_int_equal(feed(&s, "quit\r\nAre you sure to log out? (y/n)[n]:", false), SN_CLI_QUESTION);
    assert_string_equal(s.question->answer, "y");
    sn_cli_screen_answered(&s, "y");
    (void)feed(&s, "y\r\n  bye\r\n", false);
    assert_string_equal(sn_cli_screen_text(&s), "  bye");
    sn_cli_screen_fini(&s);
}

static void test_question_belongs_to_its_command(void **state)
{
    (void)state;
    reply_is("display x", "display x\r\n log out? (y/n)[n]:", SN_CLI_QUESTION, ""); /* the row that refuses */
    for (int i = 0; i < 2; i++) {
        struct sn_cli_screen s;

        sn_cli_screen_init(&s, &x_dialect);
        if (i == 1)
            sn_cli_screen_begin(&s, "display x");
        assert_int_equal(feed(&s, i == 1 ? "display x\r\nDo you agree:" : "Do you agree:", false),
                         i == 1 ? SN_CLI_RUNNING : SN_CLI_QUESTION);
        sn_cli_screen_fini(&s);
    }
}

static void test_columns_by_cursor_movement(void **state)
{
    (void)state;
    reply_is("show x", "show x\r\na\033[4Cb\r\n\tc\r\nHOST(config)#", SN_CLI_PROMPT, "a    b\n        c");
}

static void test_reply_has_a_limit(void **state)
{
    struct sn_cli_screen s;
    char block[4096];

    (void)state;
    memset(block, 'x', sizeof(block));
    sn_cli_screen_init(&s, &x_dialect);
    sn_cli_screen_begin(&s, "a");
    sn_cli_screen_feed(&s, "a\r\n", 3);
    for (size_t i = 0; i < SN_CLI_TEXT_MAX / sizeof(block) - 2; i++)
        sn_cli_screen_feed(&s, block, sizeof(block));
    assert_false(s.text.failed);
    for (int i = 0; i < 8; i++)
        sn_cli_screen_feed(&s, block, sizeof(block));
    assert_true(s.text.failed);
    /* the next command begins afresh */
    sn_cli_screen_begin(&s, "b");
    sn_cli_screen_feed(&s, "\nb\r\nok\r\nHOST#", 12);
    assert_string_equal(sn_cli_screen_text(&s), "ok");
    sn_cli_screen_fini(&s);
}

static void test_any_bytes(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int run = 0; run < 300; run++) {
        struct sn_cli_screen s;

        sn_cli_screen_init(&s, &x_dialect);
        sn_cli_screen_begin(&s, "display x");
        for (int i = 0; i < 3000; i++) {
            static const char often[] = "\r\n\033[[[9DCK \b-!#>({:";
            char c;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            c = (seed >> 60) < 10 ? often[(seed >> 40) % (sizeof(often) - 1)] : (char)(seed >> 33);
            sn_cli_screen_feed(&s, &c, 1);
            if (sn_cli_screen_reached(&s) == SN_CLI_PAGER)
                sn_cli_screen_answered(&s, "");
            assert_true(s.len <= sizeof(s.line) && s.col <= sizeof(s.line));
        }
        sn_cli_screen_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_and_prompt_are_cut),
        cmocka_unit_test(test_echo_is_broken_and_decorated),
        cmocka_unit_test(test_text_before_the_echo_is_none_of_the_reply),
        cmocka_unit_test(test_unsolicited_blocks_are_removed),
        cmocka_unit_test(test_prompt_with_text_on_its_heels),
        cmocka_unit_test(test_pagers_of_three_vendors),
        cmocka_unit_test(test_completion_question_and_repeated_command),
        cmocka_unit_test(test_echo_of_an_answer_is_dropped),
        cmocka_unit_test(test_question_belongs_to_its_command),
        cmocka_unit_test(test_columns_by_cursor_movement),
        cmocka_unit_test(test_reply_has_a_limit),
        cmocka_unit_test(test_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
