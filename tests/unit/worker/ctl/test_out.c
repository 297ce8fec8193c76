/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "worker/ctl/out.h"

static const struct sn_column THREE[] = { { "id", false, false }, { "text", false, true }, { "n", true, false } };

static void expect_text(struct sn_out *o, const char *text)
{
    assert_false(o->buf.failed);
    assert_string_equal(sn_buf_str(&o->buf), text);
    sn_buf_fini(&o->buf);
}

static struct sn_table *three_rows(void)
{
    struct sn_table *t = sn_table_new(THREE, 3);

    sn_table_cell(t, SN_STYLE_PLAIN, "olt-7");
    sn_table_cell(t, SN_STYLE_PLAIN, "a text that is rather long and may be cut");
    sn_table_cell(t, SN_STYLE_PLAIN, "7");
    sn_table_cell(t, SN_STYLE_PLAIN, "router-10");
    sn_table_cell(t, SN_STYLE_PLAIN, NULL);
    sn_table_cellf(t, SN_STYLE_PLAIN, "%d", 1234);
    return t;
}

static void test_table_lines_up(void **state)
{
    struct sn_out o = { .width = 100 };

    (void)state;
    sn_table_print(three_rows(), &o, "  ");
    expect_text(&o, "  id         text                                          n\n"
                    "  olt-7      a text that is rather long and may be cut     7\n"
                    "  router-10  -                                          1234\n");
}

static void test_narrow_table_cuts_what_may_be_cut(void **state)
{
    struct sn_out o = { .width = 44 };

    (void)state;
    sn_table_print(three_rows(), &o, "");
    expect_text(&o, "id         text                            n\n"
                    "olt-7      a text that is rather long…     7\n"
                    "router-10  -                            1234\n");
}

static void test_narrower_table_drops_columns_from_the_right_but_no_id(void **state)
{
    struct sn_out o = { .width = 33 }, tiny = { .width = 5 };

    (void)state;
    sn_table_print(three_rows(), &o, "");
    expect_text(&o, "id         text\n"
                    "olt-7      a text that is rath…\n"
                    "router-10  -\n");
    sn_table_print(three_rows(), &tiny, "");
    expect_text(&tiny, "id\nolt-7\nrouter-10\n");
}

static void test_foreign_text_is_escaped_everywhere(void **state)
{
    static const char evil[] = "a\x1b[31mb\nc\xe2\x80\xae";
    struct sn_out o = { .width = 100 };
    struct sn_table *t = sn_table_new(THREE, 3);

    (void)state;
    sn_out_put(&o, SN_STYLE_PLAIN, evil);
    sn_out_text(&o, "|%s|", evil);
    sn_out_text(&o, "\n");
    expect_text(&o, "a\\x1b[31mb\\x0ac\\xe2\\x80\\xae|a\\x1b[31mb\nc\\xe2\\x80\\xae|\n");
    for (int i = 0; i < 3; i++)
        sn_table_cell(t, SN_STYLE_PLAIN, evil);
    sn_table_print(t, &o, "");
    assert_null(strchr(sn_buf_str(&o.buf), '\x1b'));
    sn_buf_clear(&o.buf);
    sn_out_block(&o, "> ", "one\r\ntwo\x07\nthree");
    expect_text(&o, "> one\n> two\\x07\n> three\n");
}

static void test_a_cut_never_splits_an_escape_or_a_character(void **state)
{
    const struct sn_column one[] = { { "t", false, true } };

    (void)state;
    for (int width = 20; width < 34; width++) {
        struct sn_out o = { .width = width };
        struct sn_table *t = sn_table_new(one, 1);
        const char *line;
        size_t len;

        sn_table_cell(t, SN_STYLE_PLAIN, "\x01\x02\x03\x04 \xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\xc3\xb1\x05\x06");
        sn_table_print(t, &o, "");
        line = strchr(sn_buf_str(&o.buf), '\n') + 1;
        len = strcspn(line, "\n");
        assert_true(sn_out_columns(line) - 4 <= width); /* the newline counts as \x0a */
        assert_null(strstr(line, "\\x0…"));
        assert_null(strstr(line, "\\x…"));
        assert_null(strstr(line, "\\…"));
        assert_null(memmem(line, len, "\xc3…", 4));
        sn_buf_fini(&o.buf);
    }
}

static void test_colour_only_when_asked_and_never_alone(void **state)
{
    struct sn_out plain = { .width = 80 }, coloured = { .width = 80, .colour = true };

    (void)state;
    sn_out_put(&plain, sn_style_of("dead"), "dead");
    expect_text(&plain, "dead");
    sn_out_put(&coloured, sn_style_of("dead"), "dead");
    sn_out_put(&coloured, sn_style_of("no word of ours"), " x");
    expect_text(&coloured, "\x1b[31mdead\x1b[0m x");
}

static void test_times_are_local(void **state)
{
    char out[SN_WHEN_MAX];
    const int64_t at = 1795406409123; /* 2026-11-23T04:00:09.123Z */

    (void)state;
    assert_int_equal(setenv("TZ", "America/Caracas", 1), 0);
    tzset();
    sn_when_full(at, out);
    assert_string_equal(out, "2026-11-23 00:00:09 -04:00");
    sn_when_short(at, at + 60000, out);
    assert_string_equal(out, "00:00:09");
    sn_when_short(at, at + 86400000, out);
    assert_string_equal(out, "11-23 00:00:09");
    sn_when_short(at, at + 86400000LL * 60, out);
    assert_string_equal(out, "2026-11-23 00:00");
    sn_when_full(0, out);
    assert_string_equal(out, "-");
}

static void test_durations_and_generations(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = { { 0, "0.0 s" },       { 420, "0.4 s" },       { 9999, "9.9 s" },           { 12000, "12 s" },
                  { 200000, "3m 20s" }, { 21480000, "5h 58m" }, { 12 * 86400000LL, "12 d" }, { -1, "-" } };
    char out[SN_WHEN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sn_duration(cases[i].ms, out);
        assert_string_equal(out, cases[i].text);
    }
    sn_generation(18, 0, out);
    assert_string_equal(out, "18");
    sn_generation(1795406409123, 1795406409123, out);
    assert_string_equal(out, "00:00:09");
}

static void test_words_of_a_document(void **state)
{
    json_t *doc = json_pack("{s:s, s:f, s:i, s:b, s:n, s:[], s:s, s:[i,s], s:[{s:i, s:n}], s:{s:s}}", "run", "online",
                            "rx_dbm", -21.42, "onu", 5, "up", 1, "x", "y", "z", "", "l", 1, "two", "flows", "gem", 1,
                            "none", "place", "port", "0/1/3");
    struct sn_buf b = SN_BUF_INIT;

    (void)state;
    sn_json_words(doc, &b);
    assert_string_equal(sn_buf_str(&b),
                        "run online, rx_dbm -21.4, onu 5, up true, l 1 + two, flows (gem 1), place (port 0/1/3)");
    sn_buf_fini(&b);
    assert_string_equal(sn_json_text(doc, "onu"), "");
    assert_string_equal(sn_json_text(NULL, "onu"), "");
    assert_int_equal(sn_json_number(doc, "run"), 0);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_lines_up),
        cmocka_unit_test(test_narrow_table_cuts_what_may_be_cut),
        cmocka_unit_test(test_narrower_table_drops_columns_from_the_right_but_no_id),
        cmocka_unit_test(test_foreign_text_is_escaped_everywhere),
        cmocka_unit_test(test_a_cut_never_splits_an_escape_or_a_character),
        cmocka_unit_test(test_colour_only_when_asked_and_never_alone),
        cmocka_unit_test(test_times_are_local),
        cmocka_unit_test(test_durations_and_generations),
        cmocka_unit_test(test_words_of_a_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
