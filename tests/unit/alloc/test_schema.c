/* SPDX-License-Identifier: Apache-2.0 */
/* Memory runs out while documents are read and held against schemas: never another document, never another judgement. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/schema/doc.h"
#include "common/schema/schema.h"
#include "tests/unit/alloc/alloc.h"

static const char TEXT[] = "{\"a\": [1, 2.5, 3.0, \"text\", null, true, {\"b\": {\"c\": [[], {}]}}], \"long name of a member\": \"ñandú\", \"n\": -7}";
static const char YAML[] = "a: [1, 2.5, 3.0, text, null, true, {b: {c: [[], {}]}}]\nlong name of a member: \"ñandú\"\nn: -7\n";
static const unsigned char MSGPACK[] = { 0x83, 0xa1, 'a', 0x97, 0x01, 0xcb, 0x40, 0x04, 0, 0, 0, 0, 0, 0, 0xcb, 0x40, 0x08, 0, 0, 0, 0, 0, 0,
                                         0xa4, 't', 'e', 'x', 't', 0xc0, 0xc3, 0x81, 0xa1, 'b', 0x81, 0xa1, 'c', 0x92, 0x90, 0x80,
                                         0xb5, 'l', 'o', 'n', 'g', ' ', 'n', 'a', 'm', 'e', ' ', 'o', 'f', ' ', 'a', ' ', 'm', 'e', 'm', 'b', 'e', 'r',
                                         0xa7, 0xc3, 0xb1, 'a', 'n', 'd', 0xc3, 0xba, 0xa1, 'n', 0xd0, 0xf9 };

struct reading {
    json_t *expected;
    int (*load)(json_t **ret, struct sn_error *err);
};

static int load_json(json_t **ret, struct sn_error *err)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;

    return sn_doc_load(TEXT, strlen(TEXT), SN_DOC_JSON, &limits, ret, err);
}

static int load_msgpack(json_t **ret, struct sn_error *err)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;

    return sn_doc_load(MSGPACK, sizeof(MSGPACK), SN_DOC_MSGPACK, &limits, ret, err);
}

static int load_yaml(json_t **ret, struct sn_error *err)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_FILE;
    json_t *lines = NULL;
    int rc = sn_doc_load_yaml(YAML, strlen(YAML), &limits, ret, &lines, err);

    if (rc == 0) {
        assert_int_equal(json_integer_value(json_object_get(lines, "/n")), 3);
        assert_int_equal(json_integer_value(json_object_get(lines, "/a/6/b/c/1")), 1);
    }
    json_decref(lines);
    return rc;
}

static enum alloc_end read_document(void *arg)
{
    const struct reading *r = arg;
    struct sn_error err = { 0 };
    json_t *doc = NULL;

    if (r->load(&doc, &err) != 0) {
        assert_null(doc);
        if (strcmp(err.code, "process.out-of-memory") != 0) fail_msg("%s %s", err.code, err.text); /* not the document's fault */
        return ALLOC_ERROR;
    }
    alloc_pause();
    if (!json_equal(doc, r->expected))
        fail_msg("%s", json_dumps(doc, 0));
    alloc_resume();
    json_decref(doc);
    return ALLOC_RIGHT;
}

static void a_document_is_read_whole_or_not(void **state)
{
    static int (*const LOADERS[])(json_t **ret, struct sn_error *err) = { load_json, load_msgpack, load_yaml };
    struct sn_error err;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct reading r = { .load = LOADERS[i] };
        assert_int_equal(r.load(&r.expected, &err), 0);
        alloc_try_each(read_document, &r, 1);
        json_decref(r.expected);
    }
}

/* Every keyword that keeps something. */
static const char SCHEMA[] =
    "{\"$schema\": \"http://json-schema.org/draft-07/schema#\", \"type\": \"object\", \"required\": [\"a\"], \"additionalProperties\": false,"
    "\"propertyNames\": {\"pattern\": \"^[a-z]+$\"},"
    "\"properties\": {\"a\": {\"$ref\": \"#/definitions/name\"}, \"b\": {\"type\": [\"array\", \"null\"], \"items\": {\"enum\": [1, \"x\", null]},"
    " \"uniqueItems\": true, \"contains\": {\"const\": 1}}, \"c\": {\"items\": [{\"type\": \"string\"}], \"additionalItems\": false},"
    " \"d\": {\"anyOf\": [{\"minimum\": 3}, {\"type\": \"string\"}], \"not\": {\"const\": 4}}, \"e\": {\"if\": {\"type\": \"string\"},"
    " \"then\": {\"pattern\": \"^e\"}, \"else\": {\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 0}]}}},"
    "\"patternProperties\": {\"^x[a-z]*$\": {\"type\": \"integer\"}}, \"dependencies\": {\"b\": [\"a\"]},"
    "\"definitions\": {\"name\": {\"type\": \"string\", \"pattern\": \"^[a-z]{2,8}$\", \"maxLength\": 8}}}";

static const struct {
    const char *text;
    const char *path;
    const char *rule; /* NULL: it has the shape */
} INSTANCES[] = {
    { "{\"a\": \"name\", \"b\": [1, \"x\"], \"c\": [\"t\"], \"d\": 5, \"e\": \"eve\", \"xy\": 7}", "", NULL },
    { "{\"a\": \"name\", \"d\": 4}", "/d", "not" },
    { "{\"a\": \"NAME\"}", "/a", "pattern ^[a-z]{2,8}$" },
    { "{\"a\": \"name\", \"b\": [2]}", "/b/0", "enum 1|x|null" },
    { "{\"a\": \"name\", \"b\": 7}", "/b", "type array|null" },
    { "{\"a\": \"name\", \"xy\": \"7\"}", "/xy", "type integer" },
    { "{\"a\": \"name\", \"zz\": 1}", "/zz", "additionalProperties" },
};

static enum alloc_end compile_schema(void *arg)
{
    struct sn_schema *schema = NULL;
    struct sn_error err = { 0 };
    json_t *bad = arg;

    if (sn_schema_compile(SCHEMA, strlen(SCHEMA), &schema, &err) != 0) {
        assert_null(schema);
        assert_string_equal(err.code, "process.out-of-memory");
        return ALLOC_ERROR;
    }
    alloc_pause();
    assert_false(sn_schema_check(schema, bad, NULL));
    alloc_resume();
    sn_schema_free(schema);
    return ALLOC_RIGHT;
}

static void a_schema_is_compiled_whole_or_not(void **state)
{
    json_t *bad = json_loads(INSTANCES[1].text, 0, NULL);

    (void)state;
    alloc_try_each(compile_schema, bad, 1);
    json_decref(bad);
}

struct judging {
    const struct sn_schema *schema;
    json_t *instance;
    const char *path;
    const char *rule;
};

static enum alloc_end judge(void *arg)
{
    const struct judging *j = arg;
    struct sn_violation v = { 0 };
    bool ok = sn_schema_check(j->schema, j->instance, &v);

    if (v.out_of_memory) {
        assert_false(ok);
        return ALLOC_ERROR;
    }
    assert_int_equal(ok, j->rule == NULL);
    if (ok)
        return ALLOC_RIGHT;
    /* the place and what is permitted may be told shorter, never otherwise */
    assert_true(strcmp(v.rule, j->rule) == 0 || strncmp(v.rule, j->rule, strcspn(j->rule, " ")) == 0);
    return strcmp(v.rule, j->rule) == 0 && strcmp(v.path, j->path) == 0 ? ALLOC_RIGHT : ALLOC_ERROR;
}

static void a_judgement_is_right_or_none(void **state)
{
    struct sn_schema *schema = NULL;
    struct sn_error err;

    (void)state;
    assert_int_equal(sn_schema_compile(SCHEMA, strlen(SCHEMA), &schema, &err), 0);
    for (size_t i = 0; i < sizeof(INSTANCES) / sizeof(INSTANCES[0]); i++) {
        struct judging j = { .schema = schema, .path = INSTANCES[i].path, .rule = INSTANCES[i].rule };
        j.instance = json_loads(INSTANCES[i].text, 0, NULL);
        assert_non_null(j.instance);
        alloc_try_each(judge, &j, 1);
        json_decref(j.instance);
    }
    sn_schema_free(schema);
}

static enum alloc_end load_schemas(void *arg)
{
    struct sn_schemas *all = NULL;
    struct sn_error err = { 0 };

    (void)arg;
    if (sn_schemas_load(&all, &err) != 0) {
        assert_null(all);
        assert_string_equal(err.code, "process.out-of-memory");
        return ALLOC_ERROR;
    }
    assert_non_null(sn_schemas_get(all, SN_SCHEMA_RESULT));
    sn_schemas_free(all);
    return ALLOC_RIGHT;
}

static void the_schemas_of_the_product_load_or_not(void **state)
{
    (void)state;
    alloc_try_each(load_schemas, NULL, 97);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_read_whole_or_not),
        cmocka_unit_test(a_schema_is_compiled_whole_or_not),
        cmocka_unit_test(a_judgement_is_right_or_none),
        cmocka_unit_test(the_schemas_of_the_product_load_or_not),
    };
    return cmocka_run_group_tests(tests, alloc_setup, NULL);
}
