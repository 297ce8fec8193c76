/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping, buffers and errors: what comes from outside stays inside its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *in;
    const char *out;
} ESCAPES[] = {
    { "plain", "plain" },
    { "", "" },
    { "a\nb\r\tc", "a\\x0ab\\x0d\\x09c" },
    { "\x1b[31mred\x7f", "\\x1b[31mred\\x7f" },
    { "ni\xc3\xb1o \xe2\x82\xac \xf0\x9f\x99\x82", "ni\xc3\xb1o \xe2\x82\xac \xf0\x9f\x99\x82" },
    { "c1 \xc2\x9b", "c1 \\xc2\\x9b" },     /* CSI as one C1 character */
    { "nbsp \xc2\xa0", "nbsp \xc2\xa0" },   /* the first character after C1 */
    { "bad \xff\xc3(", "bad \\xff\\xc3(" }, /* no start byte; no continuation */
    { "over \xc0\xaf \xe0\x80\xaf", "over \\xc0\\xaf \\xe0\\x80\\xaf" },
    { "surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80" },
    { "above \xf4\x90\x80\x80", "above \\xf4\\x90\\x80\\x80" },
    { "cut \xe2\x82", "cut \\xe2\\x82" },
    { "bidi \xe2\x80\xae"
      "abc",
      "bidi \\xe2\\x80\\xae"
      "abc" }, /* right-to-left override */
    { "isolate \xe2\x81\xa6", "isolate \\xe2\\x81\\xa6" },
    { "line \xe2\x80\xa8", "line \\xe2\\x80\\xa8" },
    { "dash \xe2\x80\x94", "dash \xe2\x80\x94" }, /* a neighbour of the marks above that is harmless */
    { "back\\slash", "back\\slash" },
};

static void escape_shows_what_cannot_be_shown(void **state)
{
    char out[128];

    (void)state;
    for (size_t i = 0; i < COUNT(ESCAPES); i++) {
        size_t n = sn_text_escape(out, sizeof(out), ESCAPES[i].in, strlen(ESCAPES[i].in));
        assert_string_equal(out, ESCAPES[i].out);
        assert_int_equal(n, strlen(ESCAPES[i].out));
        assert_int_equal(sn_text_escaped_size(ESCAPES[i].in, strlen(ESCAPES[i].in)), n);
    }
    sn_text_escape(out, sizeof(out), "a\0b", 3);
    assert_string_equal(out, "a\\x00b");
}

static void escape_never_splits(void **state)
{
    char guard[32];

    (void)state;
    for (size_t size = 1; size <= 21; size++) {
        memset(guard, '#', sizeof(guard));
        size_t n = sn_text_escape(guard, size,
                                  "a\n\xe2\x82\xac"
                                  "b\xe2\x80\xae",
                                  9);
        const char *expected = size <= 1   ? ""
                               : size <= 5 ? "a"
                               : size <= 8 ? "a\\x0a"
                               : size <= 9 ? "a\\x0a\xe2\x82\xac"
                                           : "a\\x0a\xe2\x82\xac"
                                             "b";
        assert_string_equal(guard, expected);
        assert_int_equal(n, strlen(expected));
        assert_int_equal(guard[size], '#');
    }
    assert_int_equal(sn_text_escape(guard, 0, "abc", 3), 0);
}

static void utf8_is_judged_strictly(void **state)
{
    static const char *const GOOD[] = { "",
                                        "abc",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const BAD[] = { "\x80",
                                       "\xbf",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xc3",
                                       "\xe2\x82",
                                       "\xf0\x9f\x99",
                                       "\xe2\x28\xa1" };

    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++)
        assert_true(sn_text_is_utf8(GOOD[i], strlen(GOOD[i])));
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_false(sn_text_is_utf8(BAD[i], strlen(BAD[i])));
}

static void copy_fits_or_refuses(void **state)
{
    char out[4] = "xyz";

    (void)state;
    assert_int_equal(sn_text_copy(out, sizeof(out), "abc"), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(sn_text_copy(out, sizeof(out), "abcd"), -1);
    assert_string_equal(out, "");
    assert_int_equal(sn_text_copy(out, 0, ""), -1);
}

static void buffer_grows_and_formats(void **state)
{
    struct sn_buf b = SN_BUF_INIT;

    (void)state;
    assert_string_equal(sn_buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        sn_buf_addf(&b, "%04d", i);
    assert_false(b.failed);
    assert_int_equal(b.len, 4000);
    assert_memory_equal(b.data + 3996, "0999", 5);
    sn_buf_consume(&b, 3996);
    assert_string_equal(sn_buf_str(&b), "0999");
    sn_buf_add(&b, NULL, 0);
    sn_buf_add_escaped(&b, "\n", 1);
    assert_string_equal(sn_buf_str(&b), "0999\\x0a");
    sn_buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_string_equal(sn_buf_str(&b), "");
    sn_buf_fini(&b);
    sn_buf_fini(&b);
}

static void buffer_ceiling_is_sticky_and_exact(void **state)
{
    struct sn_buf b = SN_BUF_INIT_MAX(8);

    (void)state;
    sn_buf_adds(&b, "12345678");
    assert_false(b.failed);
    sn_buf_adds(&b, "9");
    assert_true(b.failed);
    assert_string_equal(sn_buf_str(&b), "12345678");
    sn_buf_consume(&b, 4);
    assert_true(b.failed); /* room came back, but a piece is missing */
    sn_buf_adds(&b, "x");
    assert_string_equal(sn_buf_str(&b), "5678");
    sn_buf_consume(&b, 4);
    assert_true(b.failed);
    sn_buf_clear(&b);
    assert_false(b.failed);
    sn_buf_add_escaped(&b, "abcd\n", 5); /* exactly eight bytes when escaped */
    assert_false(b.failed);
    assert_string_equal(sn_buf_str(&b), "abcd\\x0a");
    sn_buf_addf(&b, "%s", "y");
    assert_true(b.failed);
    sn_buf_fini(&b);
}

static void buffer_refuses_absurd_lengths(void **state)
{
    struct sn_buf b = SN_BUF_INIT;

    (void)state;
    sn_buf_adds(&b, "abc");
    sn_buf_add(&b, "abc", SIZE_MAX - 2);
    assert_true(b.failed);
    assert_string_equal(sn_buf_str(&b), "abc");
    sn_buf_fini(&b);
}

static void error_text_is_cut_escaped_and_prefixed(void **state)
{
    struct sn_error err;
    char long_text[2000];

    (void)state;
    assert_int_equal(sn_error_set(&err, "config.unknown-key", "key %s", "a\nb"), -1);
    assert_string_equal(err.code, "config.unknown-key");
    assert_string_equal(err.text, "key a\\x0ab");
    assert_int_equal(sn_error_prefix(&err, "file\t%d", 7), -1);
    assert_string_equal(err.text, "file\\x097: key a\\x0ab");
    assert_string_equal(err.code, "config.unknown-key");
    sn_error_set(&err, err.code, "again: %s", err.text); /* from itself */
    assert_string_equal(err.text, "again: file\\x097: key a\\x0ab");
    assert_string_equal(err.code, "config.unknown-key");

    memset(long_text, 'x', sizeof(long_text));
    long_text[sizeof(long_text) - 1] = '\0';
    sn_error_set(&err, long_text, "%s", long_text);
    assert_int_equal(strlen(err.code), SN_CODE_MAX - 1);
    assert_int_equal(strlen(err.text), SN_ERROR_TEXT_MAX - 1);
    sn_error_prefix(&err, "%s", long_text);
    assert_int_equal(strlen(err.text), SN_ERROR_TEXT_MAX - 1);
    assert_int_equal(sn_error_oom(&err), -1);
    assert_string_equal(err.code, "process.out-of-memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escape_shows_what_cannot_be_shown), cmocka_unit_test(escape_never_splits),
        cmocka_unit_test(utf8_is_judged_strictly),           cmocka_unit_test(copy_fits_or_refuses),
        cmocka_unit_test(buffer_grows_and_formats),          cmocka_unit_test(buffer_ceiling_is_sticky_and_exact),
        cmocka_unit_test(buffer_refuses_absurd_lengths),     cmocka_unit_test(error_text_is_cut_escaped_and_prefixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
