/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a schema document into nodes; refuses whatever it does not understand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/text.h"
#include "common/schema/rules.h"

#define COMPILE_DEPTH_MAX 64
/* A pattern that needs more than this on a value of our sizes is a fault, not a match. */
#define MATCH_LIMIT 200000
#define MATCH_HEAP_KIB 1024

struct compiler {
    struct sn_schema *schema;
    struct sn_error *err;
    unsigned depth;
    char path[384]; /* where in the schema, for errors */
    size_t path_len;
};

static int compile_node(struct compiler *c, const json_t *source, struct sn_node **ret) SN_MUSTCHECK;

static int fault(struct compiler *c, const char *code, const char *what, const char *detail)
{
    return sn_error_set(c->err, code, "schema #%s: %s%s", c->path, what, detail);
}

static size_t push(struct compiler *c, const char *name)
{
    size_t before = c->path_len;
    int n = snprintf(c->path + before, sizeof c->path - before, "/%s", name);

    if (n > 0)
        c->path_len = before + (size_t)n < sizeof c->path ? before + (size_t)n : sizeof c->path - 1;
    return before;
}

static void pop(struct compiler *c, size_t before)
{
    c->path_len = before;
    c->path[before] = '\0';
}

static int compile_at(struct compiler *c, const char *name, const json_t *source, struct sn_node **ret)
{
    size_t before = push(c, name);

    if (compile_node(c, source, ret) < 0)
        return -1;
    pop(c, before);
    return 0;
}

static int compile_list(struct compiler *c, const json_t *value, struct sn_node_list *list)
{
    size_t len = json_array_size(value);

    if (!json_is_array(value) || len == 0)
        return fault(c, "schema.value", "must be a list of schemas", "");
    list->nodes = calloc(len, sizeof *list->nodes);
    if (list->nodes == NULL)
        return sn_error_oom(c->err);
    for (; list->len < len; list->len++) {
        char index[24];
        (void)snprintf(index, sizeof index, "%zu", list->len);
        if (compile_at(c, index, json_array_get(value, list->len), &list->nodes[list->len]) < 0)
            return -1;
    }
    return 0;
}

/* `$` only at the very end; a character is a code point; ECMA's \uXXXX. */
static int compile_pattern(struct compiler *c, const char *text, pcre2_code **ret)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    uint32_t options =
        PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_ALT_BSUX | PCRE2_NO_AUTO_CAPTURE;

    *ret = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, options, &code, &offset, NULL);
    if (*ret == NULL && code == PCRE2_ERROR_HEAP_FAILED)
        return sn_error_oom(c->err);
    return *ret != NULL ? 0 : fault(c, "schema.pattern", "not a pattern: ", text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct sn_member_rule *)a)->name, ((const struct sn_member_rule *)b)->name);
}

/* Letters, digits and `_` that every match begins with: `^x_[a-z]+$` -> 2. */
static size_t literal_prefix(const char *pattern)
{
    size_t len;

    if (pattern[0] != '^' || strchr(pattern, '|') != NULL)
        return 0;
    len = strspn(pattern + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return len > 0 && strchr("?*+{", pattern[1 + len]) != NULL && pattern[1 + len] != '\0' ? len - 1 : len;
}

static int compile_members(struct compiler *c, const json_t *value, struct sn_member_rules *list, bool patterns)
{
    const char *name;
    json_t *source;

    if (!json_is_object(value))
        return fault(c, "schema.value", "must be an object of schemas", "");
    list->rules = calloc(json_object_size(value) + 1, sizeof *list->rules);
    if (list->rules == NULL)
        return sn_error_oom(c->err);
    json_object_foreach((json_t *)value, name, source)
    {
        struct sn_member_rule *rule = &list->rules[list->len++];
        rule->name = name;
        if (patterns && compile_pattern(c, name, &rule->pattern) < 0)
            return -1;
        rule->prefix_len = patterns ? literal_prefix(name) : 0;
        if (compile_at(c, name, source, &rule->node) < 0)
            return -1;
    }
    if (!patterns)
        qsort(list->rules, list->len, sizeof *list->rules, by_name);
    return 0;
}

static bool is_name_list(const json_t *value)
{
    if (!json_is_array(value))
        return false;
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i)))
            return false;
    }
    return true;
}

/* --- one function a keyword ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unsigned bits;
} type_names[] = {
    { "null", SN_TYPE_NULL },       { "boolean", SN_TYPE_BOOLEAN },
    { "integer", SN_TYPE_INTEGER }, { "number", SN_TYPE_NUMBER | SN_TYPE_INTEGER },
    { "string", SN_TYPE_STRING },   { "array", SN_TYPE_ARRAY },
    { "object", SN_TYPE_OBJECT },
};

static int add_type(struct compiler *c, struct sn_node *node, const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && i < sizeof type_names / sizeof type_names[0]; i++) {
        if (strcmp(type_names[i].name, json_string_value(name)) == 0) {
            node->types |= type_names[i].bits;
            return 0;
        }
    }
    return fault(c, "schema.value", "not a type", "");
}

static int on_type(struct compiler *c, struct sn_node *node, const json_t *value)
{
    node->type_names = value;
    if (!json_is_array(value))
        return add_type(c, node, value);
    if (json_array_size(value) == 0)
        return fault(c, "schema.value", "no type in the list", "");
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (add_type(c, node, json_array_get(value, i)) < 0)
            return -1;
    }
    return 0;
}

static int on_enum(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!json_is_array(value))
        return fault(c, "schema.value", "must be a list", "");
    node->enumeration = value;
    return 0;
}

static int on_const(struct compiler *c, struct sn_node *node, const json_t *value)
{
    (void)c;
    node->constant = value;
    return 0;
}

static int read_count(struct compiler *c, const json_t *value, int64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return fault(c, "schema.value", "must be an integer, 0 or more", "");
    *ret = json_integer_value(value);
    return 0;
}

#define COUNT_KEYWORD(function, field)                                                 \
    static int function(struct compiler *c, struct sn_node *node, const json_t *value) \
    {                                                                                  \
        return read_count(c, value, &node->field);                                     \
    }
COUNT_KEYWORD(on_min_length, length_min)
COUNT_KEYWORD(on_max_length, length_max)
COUNT_KEYWORD(on_min_items, items_min)
COUNT_KEYWORD(on_max_items, items_max)
COUNT_KEYWORD(on_min_properties, properties_min)
COUNT_KEYWORD(on_max_properties, properties_max)

static int read_number(struct compiler *c, const json_t *value, const json_t **ret)
{
    if (!json_is_number(value))
        return fault(c, "schema.value", "must be a number", "");
    *ret = value;
    return 0;
}

#define NUMBER_KEYWORD(function, field)                                                \
    static int function(struct compiler *c, struct sn_node *node, const json_t *value) \
    {                                                                                  \
        return read_number(c, value, &node->field);                                    \
    }
NUMBER_KEYWORD(on_minimum, minimum)
NUMBER_KEYWORD(on_maximum, maximum)
NUMBER_KEYWORD(on_exclusive_minimum, exclusive_minimum)
NUMBER_KEYWORD(on_exclusive_maximum, exclusive_maximum)

static int on_multiple_of(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!json_is_number(value) || json_number_value(value) <= 0)
        return fault(c, "schema.value", "must be a number above 0", "");
    node->multiple_of = value;
    return 0;
}

static int on_pattern(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!json_is_string(value))
        return fault(c, "schema.value", "must be a string", "");
    node->pattern_text = json_string_value(value);
    return compile_pattern(c, node->pattern_text, &node->pattern);
}

static int on_items(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!json_is_array(value))
        return compile_node(c, value, &node->items);
    node->items_tuple = true;
    return json_array_size(value) == 0 ? 0 : compile_list(c, value, &node->tuple);
}

static int on_unique(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!json_is_boolean(value))
        return fault(c, "schema.value", "must be true or false", "");
    node->unique = json_is_true(value);
    return 0;
}

static int on_required(struct compiler *c, struct sn_node *node, const json_t *value)
{
    if (!is_name_list(value))
        return fault(c, "schema.value", "must be a list of names", "");
    node->required = value;
    return 0;
}

static int on_properties(struct compiler *c, struct sn_node *node, const json_t *value)
{
    return compile_members(c, value, &node->properties, false);
}

static int on_pattern_properties(struct compiler *c, struct sn_node *node, const json_t *value)
{
    return compile_members(c, value, &node->pattern_properties, true);
}

static int on_dependencies(struct compiler *c, struct sn_node *node, const json_t *value)
{
    struct sn_member_rules *list = &node->dependencies;
    const char *name;
    json_t *entry;

    if (!json_is_object(value))
        return fault(c, "schema.value", "must be an object", "");
    list->rules = calloc(json_object_size(value) + 1, sizeof *list->rules);
    if (list->rules == NULL)
        return sn_error_oom(c->err);
    json_object_foreach((json_t *)value, name, entry)
    {
        struct sn_member_rule *rule = &list->rules[list->len++];
        rule->name = name;
        if (is_name_list(entry))
            rule->names = entry;
        else if (compile_at(c, name, entry, &rule->node) < 0)
            return -1;
    }
    return 0;
}

/* Every definition is compiled, also an unused one: an unknown keyword must not hide in it. */
static int on_definitions(struct compiler *c, struct sn_node *node, const json_t *value)
{
    const char *name;
    json_t *source;
    struct sn_node *unused;

    (void)node;
    if (!json_is_object(value))
        return fault(c, "schema.value", "must be an object of schemas", "");
    json_object_foreach((json_t *)value, name, source)
    {
        if (compile_at(c, name, source, &unused) < 0)
            return -1;
    }
    return 0;
}

#define NODE_KEYWORD(function, field)                                                  \
    static int function(struct compiler *c, struct sn_node *node, const json_t *value) \
    {                                                                                  \
        return compile_node(c, value, &node->field);                                   \
    }
NODE_KEYWORD(on_additional_items, additional_items)
NODE_KEYWORD(on_contains, contains)
NODE_KEYWORD(on_additional_properties, additional_properties)
NODE_KEYWORD(on_property_names, property_names)
NODE_KEYWORD(on_not, negated)
NODE_KEYWORD(on_if, condition)
NODE_KEYWORD(on_then, consequence)
NODE_KEYWORD(on_else, alternative)

#define LIST_KEYWORD(function, field)                                                  \
    static int function(struct compiler *c, struct sn_node *node, const json_t *value) \
    {                                                                                  \
        return compile_list(c, value, &node->field);                                   \
    }
LIST_KEYWORD(on_all_of, all_of)
LIST_KEYWORD(on_any_of, any_of)
LIST_KEYWORD(on_one_of, one_of)

/* One step of a JSON pointer in a URI fragment: %XX, then ~1 and ~0 (RFC 6901, sections 4 and 6). */
static int unescape_step(const char *in, size_t len, char *out, size_t size)
{
    size_t used = 0;
    char plain[256];
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned value;
        char ch = in[i];
        if (ch == '%') {
            char hex[3] = { i + 1 < len ? in[i + 1] : '\0', i + 2 < len ? in[i + 2] : '\0', '\0' };
            if (strspn(hex, "0123456789abcdefABCDEF") != 2 || sscanf(hex, "%2x", &value) != 1 || value == 0)
                return -1;
            ch = (char)value;
            i += 2;
        }
        if (n + 1 >= sizeof plain)
            return -1;
        plain[n++] = ch;
    }
    for (size_t i = 0; i < n; i++) {
        char ch = plain[i];
        if (ch == '~') {
            if (i + 1 >= n || (plain[i + 1] != '0' && plain[i + 1] != '1'))
                return -1;
            ch = plain[++i] == '0' ? '~' : '/';
        }
        if (used + 1 >= size)
            return -1;
        out[used++] = ch;
    }
    out[used] = '\0';
    return 0;
}

static const json_t *resolve(const json_t *document, const char *pointer)
{
    const json_t *at = document;

    while (*pointer == '/' && at != NULL) {
        char step[256];
        size_t len = strcspn(pointer + 1, "/");
        if (unescape_step(pointer + 1, len, step, sizeof step) < 0)
            return NULL;
        if (json_is_array(at))
            at = step[0] != '\0' && strspn(step, "0123456789") == strlen(step)
                     ? json_array_get(at, strtoul(step, NULL, 10))
                     : NULL;
        else
            at = json_object_get(at, step);
        pointer += 1 + len;
    }
    return *pointer == '\0' ? at : NULL;
}

static int on_ref(struct compiler *c, struct sn_node *node, const json_t *value)
{
    const char *text = json_string_value(value);
    const json_t *target;

    if (text == NULL || text[0] != '#' || (text[1] != '\0' && text[1] != '/'))
        return fault(c, "schema.reference", "not a reference into this document: ", text != NULL ? text : "");
    target = resolve(c->schema->document, text + 1);
    if (target == NULL)
        return fault(c, "schema.reference", "nothing is there: ", text);
    return compile_node(c, target, &node->ref);
}

static int on_annotation(struct compiler *c, struct sn_node *node, const json_t *value)
{
    (void)c;
    (void)node;
    (void)value;
    return 0;
}

/* An `$id` below the root would move the base of references: not understood, so not accepted. */
static int on_id(struct compiler *c, struct sn_node *node, const json_t *value)
{
    (void)value;
    return node->source == c->schema->document ? 0 : fault(c, "schema.keyword", "unknown keyword ", "\"$id\" (inner)");
}

static const struct keyword {
    const char *name;
    int (*compile)(struct compiler *c, struct sn_node *node, const json_t *value);
} keywords[] = {
    { "type", on_type },
    { "enum", on_enum },
    { "const", on_const },
    { "minLength", on_min_length },
    { "maxLength", on_max_length },
    { "pattern", on_pattern },
    { "minimum", on_minimum },
    { "maximum", on_maximum },
    { "exclusiveMinimum", on_exclusive_minimum },
    { "exclusiveMaximum", on_exclusive_maximum },
    { "multipleOf", on_multiple_of },
    { "items", on_items },
    { "additionalItems", on_additional_items },
    { "minItems", on_min_items },
    { "maxItems", on_max_items },
    { "uniqueItems", on_unique },
    { "contains", on_contains },
    { "required", on_required },
    { "minProperties", on_min_properties },
    { "maxProperties", on_max_properties },
    { "properties", on_properties },
    { "patternProperties", on_pattern_properties },
    { "additionalProperties", on_additional_properties },
    { "propertyNames", on_property_names },
    { "dependencies", on_dependencies },
    { "definitions", on_definitions },
    { "allOf", on_all_of },
    { "anyOf", on_any_of },
    { "oneOf", on_one_of },
    { "not", on_not },
    { "if", on_if },
    { "then", on_then },
    { "else", on_else },
    { "$ref", on_ref },
    { "$id", on_id },
    { "$schema", on_annotation },
    { "$comment", on_annotation },
    { "title", on_annotation },
    { "description", on_annotation },
    { "default", on_annotation },
    { "examples", on_annotation },
    { "readOnly", on_annotation },
    { "writeOnly", on_annotation },
};

static const struct keyword *find_keyword(const char *name)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    }
    return NULL;
}

static int compile_keywords(struct compiler *c, struct sn_node *node)
{
    const char *name;
    json_t *value;
    bool only_ref = json_object_get(node->source, "$ref") != NULL;

    json_object_foreach((json_t *)node->source, name, value)
    {
        const struct keyword *keyword = find_keyword(name);
        size_t before;

        if (keyword == NULL) {
            char quoted[80];
            (void)snprintf(quoted, sizeof quoted, "\"%.60s\"", name);
            return fault(c, "schema.keyword", "unknown keyword ", quoted);
        }
        if (only_ref && keyword->compile != on_ref && keyword->compile != on_definitions)
            continue; /* draft-07, section 8.3: a reference stands alone */
        before = push(c, name);
        if (keyword->compile(c, node, value) < 0)
            return -1;
        pop(c, before);
    }
    return 0;
}

static struct sn_node *node_add(struct sn_schema *schema, const json_t *source)
{
    struct sn_node *node;

    if (schema->nodes.len == schema->nodes_cap) {
        size_t cap = schema->nodes_cap == 0 ? 64 : schema->nodes_cap * 2;
        struct sn_node **grown = realloc(schema->nodes.nodes, cap * sizeof *grown);
        if (grown == NULL)
            return NULL;
        schema->nodes.nodes = grown;
        schema->nodes_cap = cap;
    }
    node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->source = source;
    node->length_min = node->length_max = -1;
    node->items_min = node->items_max = -1;
    node->properties_min = node->properties_max = -1;
    schema->nodes.nodes[schema->nodes.len++] = node;
    return node;
}

/* A subschema is compiled once, however many references lead to it; it is listed before its keywords are read, so that
 * a cycle finds it. (true and false are shared values in jansson and carry no keywords: each use gets its own node.) */
static int compile_node(struct compiler *c, const json_t *source, struct sn_node **ret)
{
    struct sn_node *node;
    int rc = 0;

    for (size_t i = 0; json_is_object(source) && i < c->schema->nodes.len; i++) {
        if (c->schema->nodes.nodes[i]->source == source) {
            *ret = c->schema->nodes.nodes[i];
            return 0;
        }
    }
    if (!json_is_object(source) && !json_is_boolean(source))
        return fault(c, "schema.value", "must be a schema (an object, true or false)", "");
    if (c->depth >= COMPILE_DEPTH_MAX)
        return fault(c, "schema.depth", "nested too deeply", "");
    node = node_add(c->schema, source);
    if (node == NULL)
        return sn_error_oom(c->err);
    node->always = json_is_true(source);
    node->never = json_is_false(source);
    c->depth += 1;
    if (json_is_object(source))
        rc = compile_keywords(c, node);
    c->depth -= 1;
    *ret = node;
    return rc;
}

int sn_schema_compile(const char *text, size_t len, struct sn_schema **ret_schema, struct sn_error *err)
{
    struct sn_schema *schema = calloc(1, sizeof *schema);
    struct compiler c = { .schema = schema, .err = err };
    json_error_t where;

    if (schema == NULL)
        return sn_error_oom(err);
    schema->document = sn_json_load(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (schema->document == NULL) {
        if (errno == ENOMEM)
            (void)sn_error_oom(err);
        else
            (void)sn_error_set(err, "schema.syntax", "line %d: %s", where.line, where.text);
        goto failed;
    }
    schema->limits = pcre2_match_context_create(NULL);
    if (schema->limits == NULL) {
        (void)sn_error_oom(err);
        goto failed;
    }
    (void)pcre2_set_match_limit(schema->limits, MATCH_LIMIT);
    (void)pcre2_set_depth_limit(schema->limits, MATCH_LIMIT);
    (void)pcre2_set_heap_limit(schema->limits, MATCH_HEAP_KIB);
    if (compile_node(&c, schema->document, &schema->root) < 0)
        goto failed;
    *ret_schema = schema;
    return 0;

failed:
    sn_schema_free(schema);
    return -1;
}

static void members_free(struct sn_member_rules *list)
{
    for (size_t i = 0; i < list->len; i++)
        pcre2_code_free(list->rules[i].pattern);
    free(list->rules);
}

void sn_schema_free(struct sn_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < schema->nodes.len; i++) {
        struct sn_node *node = schema->nodes.nodes[i];
        pcre2_code_free(node->pattern);
        members_free(&node->properties);
        members_free(&node->pattern_properties);
        members_free(&node->dependencies);
        free(node->tuple.nodes);
        free(node->all_of.nodes);
        free(node->any_of.nodes);
        free(node->one_of.nodes);
        free(node);
    }
    free(schema->nodes.nodes);
    pcre2_match_context_free(schema->limits);
    json_decref(schema->document);
    free(schema);
}
