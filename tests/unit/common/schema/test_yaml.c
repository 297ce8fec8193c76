/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/schema/doc.h"

static const struct sn_doc_limits file = SN_DOC_LIMITS_FILE;

static void plain_values_are_those_of_json(void **state)
{
    static const struct {
        const char *yaml;
        const char *json;
    } rows[] = {
        { "a: 1", "{\"a\":1}" },
        { "[0, -7, 2.5, 1.0, 1e3]", "[0,-7,2.5,1,1000]" },
        { "[true, false, null, ~, yes, no, on, off, True]",
          "[true,false,null,\"~\",\"yes\",\"no\",\"on\",\"off\",\"True\"]" },
        { "[0644, 0x10, 1_000, +1, .5, 5., 1:30, -, 12-3]",
          "[\"0644\",\"0x10\",\"1_000\",\"+1\",\".5\",\"5.\",\"1:30\",\"-\",\"12-3\"]" },
        { "[\"1\", '2', \"true\"]", "[\"1\",\"2\",\"true\"]" },
        { "a:\nb: \"\"", "{\"a\":null,\"b\":\"\"}" },
        { "- a: [1]\n  b: {c: d}\n- |\n  two\n  lines\n", "[{\"a\":[1],\"b\":{\"c\":\"d\"}},\"two\\nlines\\n\"]" },
        { "null: {x: 1}\n1: one", "{\"null\":{\"x\":1},\"1\":\"one\"}" },
        { "<<: 1", "{\"<<\":1}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sn_error err = { 0 };
        json_t *doc = NULL;
        char *text;
        if (sn_doc_load_yaml(rows[i].yaml, strlen(rows[i].yaml), &file, &doc, NULL, &err) < 0)
            fail_msg("%s: %s", rows[i].yaml, err.text);
        text = json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY);
        assert_string_equal(text, rows[i].json);
        free(text);
        json_decref(doc);
    }
}

static void what_could_surprise_is_refused(void **state)
{
    static const struct {
        const char *yaml;
        const char *code;
        const char *text;
    } rows[] = {
        { "a: &x 1", "document.syntax", "line 1: anchors" },
        { "a: 1\nb: *x", "document.syntax", "line 2: aliases" },
        { "a: &x [1]\nb: *x", "document.syntax", "line 1: anchors" },
        { "a: !!str 1", "document.syntax", "line 1: tags" },
        { "!!map {a: 1}", "document.syntax", "line 1: tags" },
        { "- !local [1]", "document.syntax", "line 1: tags" },
        { "a: 1\n\na: 2", "document.duplicate-key", "line 3: " },
        { "[a]: 1", "document.syntax", "line 1: a key" },
        { "a: 1\n---\nb: 2", "document.syntax", "line 2: a second document" },
        { "", "document.syntax", "empty" },
        { "a: [1", "document.syntax", "line " },
        { "a:\n\t- 1", "document.syntax", "line 2" },
        { "a: \"x\\0y\"", "document.encoding", "line 1" },
        { "\"x\\0y\": 1", "document.encoding", "line 1" },
        { "a: 9007199254740992", "document.number", "line 1" },
        { "a: 123456789012345678901234567890", "document.number", "line 1" },
        { "a: 1e999", "document.number", "line 1" },
        { "a: \xff", "document.encoding", "byte 3" },
        { "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "document.too-deep", "line 1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sn_error err = { 0 };
        json_t *doc = NULL;
        json_t *lines = NULL;
        if (sn_doc_load_yaml(rows[i].yaml, strlen(rows[i].yaml), &file, &doc, &lines, &err) == 0)
            fail_msg("%s was loaded", rows[i].yaml);
        if (strcmp(err.code, rows[i].code) != 0 || strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s: %s: %s", rows[i].yaml, err.code, err.text);
        assert_null(doc);
        assert_null(lines);
    }
}

static void each_value_has_its_line(void **state)
{
    static const char text[] = "# comment\n"
                               "schema: x\n"
                               "targets:\n"
                               "  - id: olt-7\n"
                               "    plans:\n"
                               "      \"a/b~c\": {p: 1}\n"
                               "  - id:\n"
                               "      olt-8\n";
    static const struct {
        const char *pointer;
        int line;
    } rows[] = {
        { "", 2 },
        { "/schema", 2 },
        { "/targets", 3 },
        { "/targets/0", 4 },
        { "/targets/0/plans", 5 },
        { "/targets/0/plans/a~1b~0c", 6 },
        { "/targets/0/plans/a~1b~0c/p", 6 },
        { "/targets/1", 7 },
        { "/targets/1/id", 7 },
    };
    struct sn_error err;
    json_t *doc = NULL;
    json_t *lines = NULL;

    (void)state;
    assert_int_equal(sn_doc_load_yaml(text, sizeof text - 1, &file, &doc, &lines, &err), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json_integer_value(json_object_get(lines, rows[i].pointer)) != rows[i].line)
            fail_msg("%s is on line %d", rows[i].pointer,
                     (int)json_integer_value(json_object_get(lines, rows[i].pointer)));
    }
    json_decref(doc);
    json_decref(lines);
}

static void sizes_are_bounded(void **state)
{
    static const struct sn_doc_limits tight = { .bytes_max = 20, .nodes_max = 3, .depth_max = 4 };
    struct sn_error err;
    json_t *doc = NULL;

    (void)state;
    assert_int_equal(sn_doc_load_yaml("[1, 2, 3]", 9, &tight, &doc, NULL, &err), -1);
    assert_string_equal(err.code, "document.too-large");
    assert_int_equal(sn_doc_load_yaml("aaaaaaaaaaaaaaaaaaaaa", 21, &tight, &doc, NULL, &err), -1);
    assert_string_equal(err.code, "document.too-large");
    assert_int_equal(sn_doc_load_yaml("[1, 2]", 6, &tight, &doc, NULL, &err), 0);
    json_decref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_values_are_those_of_json),
        cmocka_unit_test(what_could_surprise_is_refused),
        cmocka_unit_test(each_value_has_its_line),
        cmocka_unit_test(sizes_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
