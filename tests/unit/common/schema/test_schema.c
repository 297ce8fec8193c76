/* SPDX-License-Identifier: Apache-2.0 */
/* What the test suite of JSON Schema does not ask: refusals to compile, places and rules of violations, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/schema/schema.h"

static struct sn_schema *compile(const char *text)
{
    struct sn_schema *schema = NULL;
    struct sn_error err = { 0 };

    if (sn_schema_compile(text, strlen(text), &schema, &err) < 0)
        fail_msg("%s: %s: %s", text, err.code, err.text);
    return schema;
}

static json_t *parse(const char *text)
{
    json_t *doc = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(doc);
    return doc;
}

static void what_is_not_understood_does_not_compile(void **state)
{
    static const struct {
        const char *schema;
        const char *code;
        const char *text;
    } rows[] = {
        { "{\"maxLenght\": 3}", "schema.keyword", "\"maxLenght\"" },
        { "{\"format\": \"ipv4\"}", "schema.keyword", "\"format\"" },
        { "{\"properties\": {\"a\": {\"formta\": 1}}}", "schema.keyword", "#/properties/a: " },
        { "{\"definitions\": {\"unused\": {\"x\": 1}}}", "schema.keyword", "#/definitions/unused: " },
        { "{\"properties\": {\"a\": {\"$ref\": \"#/definitions/b\", \"maxLenght\": 1}}, \"definitions\": {\"b\": "
          "true}}",
          "schema.keyword", "\"maxLenght\"" },
        { "{\"properties\": {\"a\": {\"$id\": \"b\"}}}", "schema.keyword", "$id" },
        { "{\"$ref\": \"other.json#/a\"}", "schema.reference", "other.json" },
        { "{\"$ref\": \"#/definitions/none\"}", "schema.reference", "nothing is there" },
        { "{\"$ref\": 1}", "schema.reference", "" },
        { "{\"pattern\": \"(\"}", "schema.pattern", "#/pattern" },
        { "{\"pattern\": \"\\\\C\"}", "schema.pattern", "" },
        { "{\"patternProperties\": {\"[\": true}}", "schema.pattern", "" },
        { "{\"type\": \"text\"}", "schema.value", "#/type" },
        { "{\"type\": []}", "schema.value", "" },
        { "{\"minLength\": -1}", "schema.value", "" },
        { "{\"maxItems\": \"3\"}", "schema.value", "" },
        { "{\"multipleOf\": 0}", "schema.value", "" },
        { "{\"required\": [1]}", "schema.value", "" },
        { "{\"allOf\": []}", "schema.value", "" },
        { "{\"allOf\": {}}", "schema.value", "" },
        { "{\"properties\": [1]}", "schema.value", "" },
        { "{\"items\": 1}", "schema.value", "" },
        { "[]", "schema.value", "" },
        { "{\"type\": \"object\", \"type\": \"array\"}", "schema.syntax", "line 1" },
        { "{", "schema.syntax", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sn_schema *schema = NULL;
        struct sn_error err = { 0 };
        if (sn_schema_compile(rows[i].schema, strlen(rows[i].schema), &schema, &err) == 0)
            fail_msg("%s compiled", rows[i].schema);
        if (strcmp(err.code, rows[i].code) != 0 || strstr(err.text, rows[i].text) == NULL)
            fail_msg("%s: %s: %s", rows[i].schema, err.code, err.text);
        assert_null(schema);
    }
}

static void a_violation_has_place_and_rule(void **state)
{
    static const struct {
        const char *schema;
        const char *instance;
        const char *path;
        const char *rule;
    } rows[] = {
        { "{\"type\": \"object\"}", "[]", "", "type object" },
        { "{\"type\": [\"string\", \"null\"]}", "1", "", "type string|null" },
        { "{\"enum\": [\"a\", 1, null]}", "\"b\"", "", "enum a|1|null" },
        { "{\"const\": 1}", "2", "", "const 1" },
        { "{\"required\": [\"a\", \"b\"]}", "{\"a\": 1}", "", "required b" },
        { "{\"properties\": {\"a\": {\"items\": {\"maximum\": 3}}}}", "{\"a\": [1, 4, 5]}", "/a/1", "maximum 3" },
        { "{\"properties\": {\"a/b~c\": {\"minLength\": 2}}}", "{\"a/b~c\": \"x\"}", "/a~1b~0c", "minLength 2" },
        { "{\"additionalProperties\": false}", "{\"a\\u001b\": 1}", "/a\\x1b", "additionalProperties" },
        { "{\"properties\": {\"a\": false}}", "{\"a\": 1}", "/a", "not allowed here" },
        { "{\"propertyNames\": {\"maxLength\": 1}}", "{\"ab\": 1}", "/ab", "maxLength 1" },
        { "{\"dependencies\": {\"a\": [\"b\"]}}", "{\"a\": 1}", "", "dependencies a needs b" },
        { "{\"if\": {\"required\": [\"a\"]}, \"then\": {\"required\": [\"b\"]}}", "{\"a\": 1}", "", "required b" },
        { "{\"anyOf\": [{\"type\": \"string\"}, {\"minimum\": 3}]}", "1", "", "anyOf" },
        { "{\"oneOf\": [true, true]}", "1", "", "oneOf" },
        { "{\"not\": {\"type\": \"integer\"}}", "1", "", "not" },
        { "{\"uniqueItems\": true}", "[1, {\"a\": 2}, {\"a\": 2.0}]", "", "uniqueItems" },
        { "{\"contains\": {\"const\": 3}}", "[1, 2]", "", "contains" },
        /* the first in document order, not in the schema's */
        { "{\"properties\": {\"a\": {\"type\": \"string\"}, \"b\": {\"type\": \"string\"}}}", "{\"b\": 1, \"a\": 1}",
          "/b", "type string" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sn_schema *schema = compile(rows[i].schema);
        struct sn_violation violation = { .path = "left over", .rule = "left over" };
        json_t *instance = parse(rows[i].instance);
        assert_false(sn_schema_check(schema, instance, &violation));
        assert_string_equal(violation.path, rows[i].path);
        assert_string_equal(violation.rule, rows[i].rule);
        assert_false(sn_schema_check(schema, instance, NULL));
        json_decref(instance);
        sn_schema_free(schema);
    }
}

static bool judge(const char *schema_text, const char *instance_text)
{
    struct sn_schema *schema = compile(schema_text);
    json_t *instance = parse(instance_text);
    bool ok = sn_schema_check(schema, instance, NULL);

    json_decref(instance);
    sn_schema_free(schema);
    return ok;
}

static void dollar_matches_the_end_only(void **state)
{
    (void)state;
    assert_true(judge("{\"pattern\": \"^[a-z]+$\"}", "\"abc\""));
    assert_false(judge("{\"pattern\": \"^[a-z]+$\"}", "\"abc\\n\""));
    assert_false(judge("{\"pattern\": \"^[a-z]+$\"}", "\"abc\\nabc\""));
    assert_false(judge("{\"patternProperties\": {\"^x$\": true}, \"additionalProperties\": false}", "{\"x\\n\": 1}"));
}

static void lengths_are_code_points(void **state)
{
    (void)state;
    assert_true(judge("{\"minLength\": 4, \"maxLength\": 4}", "\"a\xc3\xb1o\xf0\x9f\x8d\x8b\""));
    assert_false(judge("{\"maxLength\": 3}", "\"a\xc3\xb1o\xf0\x9f\x8d\x8b\""));
    assert_true(judge("{\"pattern\": \"^.{2}$\"}", "\"\xc3\xb1\xf0\x9f\x8d\x8b\""));
}

static void unknown_properties_can_be_told_from_other_faults(void **state)
{
    struct sn_schema *schema = compile("{\"properties\": {\"a\": {\"properties\": {\"n\": {\"type\": \"integer\"}},"
                                       "\"additionalProperties\": false}}, \"additionalProperties\": false}");
    struct sn_violation violation;
    json_t *unknown = parse("{\"a\": {\"m\": 1}}");
    json_t *both = parse("{\"z\": 1, \"a\": {\"n\": \"x\"}}");
    json_t *fine = parse("{\"a\": {\"n\": 1}}");

    (void)state;
    assert_false(sn_schema_check(schema, unknown, &violation));
    assert_string_equal(violation.path, "/a/m");
    assert_true(sn_schema_check_known(schema, unknown, NULL));
    assert_false(sn_schema_check(schema, both, NULL));
    assert_false(sn_schema_check_known(schema, both, &violation));
    assert_string_equal(violation.path, "/a/n");
    assert_true(sn_schema_check_known(schema, fine, NULL));
    json_decref(unknown);
    json_decref(both);
    json_decref(fine);
    sn_schema_free(schema);
}

/* Bounds: the answer is no, and it comes soon. */
static void hostile_work_is_bounded(void **state)
{
    struct sn_schema *endless = compile("{\"$ref\": \"#\"}");
    struct sn_schema *twofold =
        compile("{\"definitions\": {\"a\": {\"anyOf\": [{\"$ref\": \"#/definitions/a\"}, "
                "{\"$ref\": \"#/definitions/a\"}]}}, \"allOf\": [{\"$ref\": \"#/definitions/a\"}]}");
    struct sn_schema *backtracking = compile("{\"pattern\": \"^(a+)+$\"}");
    struct sn_schema *negated = compile("{\"not\": {\"pattern\": \"^(a+)+$\"}}");
    struct sn_violation violation;
    struct sn_schema *unique = compile("{\"uniqueItems\": true}");
    json_t *one = json_integer(1);
    json_t *list = json_array();
    char text[64];
    json_t *many;

    (void)state;
    memset(text, 'a', sizeof text - 2);
    text[sizeof text - 2] = '!';
    text[sizeof text - 1] = '\0';
    many = json_string(text);
    assert_false(sn_schema_check(endless, one, &violation));
    assert_string_equal(violation.rule, "limit depth");
    assert_false(sn_schema_check(twofold, one, &violation));
    assert_string_equal(violation.rule, "limit depth");
    assert_false(sn_schema_check(backtracking, many, &violation));
    assert_string_equal(violation.rule, "limit pattern");
    assert_false(sn_schema_check(negated, many, &violation)); /* a bound is no proof that the pattern does not match */
    assert_string_equal(violation.rule, "limit pattern");
    for (int i = 0; i < 12000; i++)
        assert_int_equal(json_array_append_new(list, json_integer(i)), 0);
    assert_false(sn_schema_check(unique, list, &violation));
    assert_string_equal(violation.rule, "limit steps");
    json_decref(list);
    sn_schema_free(unique);
    json_decref(one);
    json_decref(many);
    sn_schema_free(endless);
    sn_schema_free(twofold);
    sn_schema_free(backtracking);
    sn_schema_free(negated);
}

static void the_products_schemas_compile(void **state)
{
    struct sn_schemas *all = NULL;
    struct sn_error err = { 0 };

    (void)state;
    if (sn_schemas_load(&all, &err) < 0)
        fail_msg("%s: %s", err.code, err.text);
    for (int id = 0; id < SN_SCHEMA_COUNT; id++) {
        json_t *nothing = json_object();
        assert_non_null(sn_schemas_get(all, (enum sn_schema_id)id));
        assert_false(sn_schema_check(sn_schemas_get(all, (enum sn_schema_id)id), nothing, NULL));
        json_decref(nothing);
    }
    sn_schemas_free(all);
    sn_schemas_free(NULL);
    sn_schema_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_understood_does_not_compile),
        cmocka_unit_test(a_violation_has_place_and_rule),
        cmocka_unit_test(dollar_matches_the_end_only),
        cmocka_unit_test(lengths_are_code_points),
        cmocka_unit_test(unknown_properties_can_be_told_from_other_faults),
        cmocka_unit_test(hostile_work_is_bounded),
        cmocka_unit_test(the_products_schemas_compile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
