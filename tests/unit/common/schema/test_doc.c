/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/schema/doc.h"

static const struct sn_doc_limits message = SN_DOC_LIMITS_MESSAGE;

struct row {
    const char *what;
    const char *data;
    size_t len;
    const char *code; /* NULL: loads */
    const char *json; /* what was loaded, compact, keys sorted */
};
#define BYTES(text) (text), sizeof(text) - 1

static void check_rows(const struct row *rows, size_t n, enum sn_doc_format format, const struct sn_doc_limits *limits)
{
    for (size_t i = 0; i < n; i++) {
        const struct row *row = &rows[i];
        struct sn_error err = { 0 };
        json_t *doc = NULL;
        int rc = sn_doc_load(row->data, row->len, format, limits, &doc, &err);
        char *text;

        if (row->code != NULL) {
            if (rc == 0)
                fail_msg("%s was loaded", row->what);
            if (strcmp(err.code, row->code) != 0)
                fail_msg("%s: %s instead of %s (%s)", row->what, err.code, row->code, err.text);
            assert_null(doc);
            continue;
        }
        if (rc < 0)
            fail_msg("%s: %s: %s", row->what, err.code, err.text);
        text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
        assert_string_equal(text, row->json);
        free(text);
        json_decref(doc);
    }
}

static void json_is_loaded_within_limits(void **state)
{
    static const struct row rows[] = {
        { "an object", BYTES("{\"a\": [1, 2.5, true, null, \"x\"]}"), NULL, "{\"a\":[1,2.5,true,null,\"x\"]}" },
        { "a scalar", BYTES(" 7 "), NULL, "7" },
        { "reals without a fraction", BYTES("[1.0, -2e2, 25e-2, {\"a\": 3.0}]"), NULL, "[1,-200,0.25,{\"a\":3}]" },
        { "a real alone", BYTES("4.0"), NULL, "4" },
        { "the largest integer", BYTES("9007199254740991"), NULL, "9007199254740991" },
        { "the smallest integer", BYTES("-9007199254740991"), NULL, "-9007199254740991" },
        { "one more", BYTES("[9007199254740992]"), "document.number", NULL },
        { "one less", BYTES("{\"a\":-9007199254740992}"), "document.number", NULL },
        { "beyond 64 bits", BYTES("[99999999999999999999]"), "document.number", NULL },
        { "beyond a double", BYTES("[1e999]"), "document.number", NULL },
        { "NaN", BYTES("[NaN]"), "document.syntax", NULL },
        { "nothing", BYTES(""), "document.syntax", NULL },
        { "two documents", BYTES("{} {}"), "document.syntax", NULL },
        { "a duplicate key", BYTES("{\"a\":1,\"b\":{\"c\":1,\"c\":2}}"), "document.duplicate-key", NULL },
        { "an escaped NUL", BYTES("[\"a\\u0000b\"]"), "document.encoding", NULL },
        { "an escaped NUL in a key", BYTES("{\"a\\u0000b\":1}"), "document.encoding", NULL },
        { "a raw NUL", BYTES("[\"a\0b\"]"), "document.syntax", NULL },
        { "Latin-1", BYTES("[\"a\xf1o\"]"), "document.encoding", NULL },
        { "overlong UTF-8", BYTES("[\"\xc0\xaf\"]"), "document.encoding", NULL },
        { "UTF-8", BYTES("[\"a\xc3\xb1o\"]"), NULL, "[\"a\xc3\xb1o\"]" },
        { "a byte order mark", BYTES("\xef\xbb\xbf{}"), "document.syntax", NULL },
        { "16 levels", BYTES("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), NULL, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]" },
        { "17 levels", BYTES("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), "document.too-deep", NULL },
    };

    (void)state;
    check_rows(rows, sizeof rows / sizeof rows[0], SN_DOC_JSON, &message);
}

static void msgpack_is_loaded_within_limits(void **state)
{
    static const struct row rows[] = {
        { "nil, booleans", BYTES("\x93\xc0\xc2\xc3"), NULL, "[null,false,true]" },
        { "fixint", BYTES("\x93\x00\x7f\xe0"), NULL, "[0,127,-32]" },
        { "uint8 to uint64", BYTES("\x94\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\x00\x1f\xff\xff\xff\xff\xff\xff"),
          NULL, "[255,65535,4294967295,9007199254740991]" },
        { "int8 to int64", BYTES("\x94\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\xff\xe0\x00\x00\x00\x00\x00\x01"),
          NULL, "[-128,-32768,-2147483648,-9007199254740991]" },
        { "uint64 beyond 2^53 - 1", BYTES("\xcf\x00\x20\x00\x00\x00\x00\x00\x00"), "document.number", NULL },
        { "int64 below -(2^53 - 1)", BYTES("\xd3\xff\xe0\x00\x00\x00\x00\x00\x00"), "document.number", NULL },
        { "float32, float64", BYTES("\x92\xca\x3f\x00\x00\x00\xcb\x3f\xd0\x00\x00\x00\x00\x00\x00"), NULL,
          "[0.5,0.25]" },
        { "a float without a fraction", BYTES("\xcb\x40\x08\x00\x00\x00\x00\x00\x00"), NULL, "3" },
        { "NaN", BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"), "document.number", NULL },
        { "infinity", BYTES("\xca\x7f\x80\x00\x00"), "document.number", NULL },
        { "fixstr",
          BYTES("\xa3"
                "abc"),
          NULL, "\"abc\"" },
        { "str8, str16, str32",
          BYTES("\x93\xd9\x01"
                "a\xda\x00\x01"
                "b\xdb\x00\x00\x00\x01"
                "c"),
          NULL, "[\"a\",\"b\",\"c\"]" },
        { "array16, map16",
          BYTES("\xdc\x00\x01\xde\x00\x01\xa1"
                "a\x01"),
          NULL, "[{\"a\":1}]" },
        { "array32, map32",
          BYTES("\xdd\x00\x00\x00\x01\xdf\x00\x00\x00\x01\xd9\x01"
                "a\x01"),
          NULL, "[{\"a\":1}]" },
        { "a duplicate key",
          BYTES("\x82\xa1"
                "a\x01\xd9\x01"
                "a\x02"),
          "document.duplicate-key", NULL },
        { "a key that is no string", BYTES("\x81\x01\x02"), "document.syntax", NULL },
        { "binary",
          BYTES("\xc4\x01"
                "a"),
          "document.syntax", NULL },
        { "an extension", BYTES("\xd4\x01\x00"), "document.syntax", NULL },
        { "the unused type", BYTES("\xc1"), "document.syntax", NULL },
        { "nothing", BYTES(""), "document.syntax", NULL },
        { "trailing bytes", BYTES("\xc0\xc0"), "document.syntax", NULL },
        { "a cut number", BYTES("\xcf\x00\x00"), "document.syntax", NULL },
        { "a cut string",
          BYTES("\xa5"
                "abc"),
          "document.syntax", NULL },
        { "a string of 4 GiB",
          BYTES("\xdb\xff\xff\xff\xff"
                "abc"),
          "document.syntax", NULL },
        { "an array of 2^32 - 1", BYTES("\xdd\xff\xff\xff\xff"), "document.syntax", NULL },
        { "a map of 2^32 - 1", BYTES("\xdf\xff\xff\xff\xff"), "document.syntax", NULL },
        { "a NUL",
          BYTES("\xa3"
                "a\0b"),
          "document.encoding", NULL },
        { "not UTF-8", BYTES("\xa2\xc0\xaf"), "document.encoding", NULL },
        { "16 levels", BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"), NULL,
          "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]" },
        { "17 levels", BYTES("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01"),
          "document.too-deep", NULL },
    };

    (void)state;
    check_rows(rows, sizeof rows / sizeof rows[0], SN_DOC_MSGPACK, &message);
}

static void every_cut_of_a_msgpack_text_is_refused(void **state)
{
    static const char whole[] = "\x82\xa1"
                                "a\x93\xcd\x01\x00\xca\x3f\x00\x00\x00\xd9\x03"
                                "abc\xa1"
                                "b\xde\x00\x01\xa1"
                                "c\xc0";
    struct sn_error err;
    json_t *doc = NULL;

    (void)state;
    for (size_t len = 0; len < sizeof whole - 1; len++) {
        char *exact = malloc(len + 1); /* so that the sanitizer sees a read beyond the end */
        assert_non_null(exact);
        memcpy(exact, whole, len);
        exact = realloc(exact, len > 0 ? len : 1);
        assert_int_equal(sn_doc_load(exact, len, SN_DOC_MSGPACK, &message, &doc, &err), -1);
        assert_string_equal(err.code, "document.syntax");
        free(exact);
    }
    assert_int_equal(sn_doc_load(whole, sizeof whole - 1, SN_DOC_MSGPACK, &message, &doc, &err), 0);
    json_decref(doc);
}

static void sizes_are_bounded(void **state)
{
    static const struct sn_doc_limits tight = { .bytes_max = 24, .nodes_max = 4, .depth_max = 3 };
    static const struct row json_rows[] = {
        { "4 values", BYTES("[1,2,3]"), NULL, "[1,2,3]" },
        { "5 values", BYTES("[1,2,3,4]"), "document.too-large", NULL },
        { "24 bytes", BYTES("\"aaaaaaaaaaaaaaaaaaaaaa\""), NULL, "\"aaaaaaaaaaaaaaaaaaaaaa\"" },
        { "25 bytes", BYTES("\"aaaaaaaaaaaaaaaaaaaaaaa\""), "document.too-large", NULL },
    };
    static const struct row msgpack_rows[] = {
        { "4 values", BYTES("\x93\x01\x02\x03"), NULL, "[1,2,3]" },
        { "5 values", BYTES("\x94\x01\x02\x03\x04"), "document.too-large", NULL },
        { "25 bytes",
          BYTES("\xb8"
                "aaaaaaaaaaaaaaaaaaaaaaaa"),
          "document.too-large", NULL },
    };

    (void)state;
    check_rows(json_rows, sizeof json_rows / sizeof json_rows[0], SN_DOC_JSON, &tight);
    check_rows(msgpack_rows, sizeof msgpack_rows / sizeof msgpack_rows[0], SN_DOC_MSGPACK, &tight);
}

/* What stands near a fault may be a password. */
static void errors_name_the_place_and_not_the_text(void **state)
{
    static const char near[] = "{\"password\": \"hunter2\", \"password\": \"hunter2\"}";
    static const char number[] = "{\"a\": [0, {\"hunter\": 9007199254740993}]}";
    struct sn_error err;
    json_t *doc = NULL;

    (void)state;
    assert_int_equal(sn_doc_load(near, sizeof near - 1, SN_DOC_JSON, &message, &doc, &err), -1);
    assert_null(strstr(err.text, "hunter2"));
    assert_non_null(strstr(err.text, "byte "));
    assert_int_equal(sn_doc_load(number, sizeof number - 1, SN_DOC_JSON, &message, &doc, &err), -1);
    assert_non_null(strstr(err.text, "/a/1/hunter"));
    assert_null(strstr(err.text, "9007199254740993"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_loaded_within_limits),           cmocka_unit_test(msgpack_is_loaded_within_limits),
        cmocka_unit_test(every_cut_of_a_msgpack_text_is_refused), cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(errors_name_the_place_and_not_the_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
