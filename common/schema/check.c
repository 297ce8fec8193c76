/* SPDX-License-Identifier: Apache-2.0 */
/* Holds an instance against a compiled schema. Allocates nothing but PCRE2's match data, once a check. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "common/schema/rules.h"

/* Bounds for what a hostile instance can make us do: references may be circular, alternatives may multiply. Far above
 * what any file of the permitted size needs. */
#define CHECK_DEPTH_MAX 200
#define CHECK_STEPS_MAX 50000000u

static const char MEMORY[] = "memory"; /* a bound of its own: ours, not the instance's */

struct check {
    const struct sn_schema *schema;
    pcre2_match_data *match;
    struct sn_violation *report;    /* NULL inside anyOf, oneOf, not, if, contains: there a failure is an answer */
    struct sn_violation *last_word; /* the report of the whole check */
    bool known_only;                /* let `additionalProperties: false` pass */
    bool broken;                    /* a bound was hit: nothing can be said, so the instance does not pass */
    unsigned depth;
    unsigned steps;
};

/* Where we are in the instance; on the stack of the recursion. */
struct place {
    const struct place *parent;
    const char *name; /* member, or NULL for an element */
    size_t index;
};

static bool check_node(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at);

static void add_pointer(struct sn_buf *out, const struct place *at)
{
    if (at == NULL || at->parent == NULL)
        return;
    add_pointer(out, at->parent);
    sn_buf_adds(out, "/");
    if (at->name == NULL) {
        sn_buf_addf(out, "%zu", at->index);
        return;
    }
    for (const char *p = at->name; *p != '\0'; p++) {
        if (*p == '~')
            sn_buf_adds(out, "~0");
        else if (*p == '/')
            sn_buf_adds(out, "~1");
        else
            sn_buf_add(out, p, 1);
    }
}

static bool violation(struct check *c, const struct place *at, const char *fmt, ...) SN_PRINTF(3, 4);

/* Notes the first violation; always false, so that callers return it. The value itself is never quoted. */
static bool violation(struct check *c, const struct place *at, const char *fmt, ...)
{
    struct sn_buf pointer = SN_BUF_INIT;
    char rule[512];
    va_list args;

    if (c->report == NULL || c->report->rule[0] != '\0')
        return false;
    va_start(args, fmt);
    (void)vsnprintf(rule, sizeof rule, fmt, args);
    va_end(args);
    add_pointer(&pointer, at);
    (void)sn_text_escape(c->report->path, sizeof c->report->path, sn_buf_str(&pointer), pointer.len);
    (void)sn_text_escape(c->report->rule, sizeof c->report->rule, rule, strlen(rule));
    sn_buf_fini(&pointer);
    return false;
}

/* Ends the whole check, also from inside an alternative. */
static bool broken(struct check *c, const struct place *at, const char *what)
{
    struct sn_violation *report = c->report;

    c->report = c->last_word;
    (void)violation(c, at, "limit %s", what);
    c->report->out_of_memory = strcmp(what, MEMORY) == 0;
    c->report = report;
    c->broken = true;
    return false;
}

/* The answer of a subschema without a report. */
static bool holds(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    struct sn_violation *report = c->report;
    bool ok;

    c->report = NULL;
    ok = check_node(c, node, value, at);
    c->report = report;
    return ok;
}

static bool matches(struct check *c, const pcre2_code *pattern, const char *text, size_t len, const struct place *at)
{
    int rc;

    if (c->match == NULL)
        c->match = pcre2_match_data_create(1, NULL);
    if (c->match == NULL)
        return broken(c, at, MEMORY);
    rc = pcre2_match(pattern, (PCRE2_SPTR)text, len, 0, 0, c->match, c->schema->limits);
    if (rc >= 0)
        return true;
    if (rc == PCRE2_ERROR_NOMATCH)
        return false;
    return broken(c, at, rc == PCRE2_ERROR_NOMEMORY ? MEMORY : "pattern");
}

static unsigned type_bits(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return SN_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return SN_TYPE_BOOLEAN;
    case JSON_INTEGER:
        return SN_TYPE_INTEGER;
    case JSON_REAL:
        return sn_value_is_integer(value) ? SN_TYPE_INTEGER : SN_TYPE_NUMBER;
    case JSON_STRING:
        return SN_TYPE_STRING;
    case JSON_ARRAY:
        return SN_TYPE_ARRAY;
    case JSON_OBJECT:
        return SN_TYPE_OBJECT;
    }
    return 0;
}

static bool equal(struct check *c, const json_t *a, const json_t *b, const struct place *at)
{
    bool same = sn_value_equal(a, b, &c->steps);

    return c->steps == 0 ? broken(c, at, "steps") : same;
}

static void add_scalar(struct sn_buf *out, const json_t *value)
{
    char *text = sn_json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    sn_buf_adds(out, json_is_string(value) ? json_string_value(value) : text != NULL ? text : "?");
    free(text);
}

/* What the schema permits, as far as it fits: `enum a|b|c`, `type array|null`, `const 1`. */
static bool choice_violation(struct check *c, const char *keyword, const json_t *permitted, const struct place *at)
{
    struct sn_buf list = SN_BUF_INIT;

    if (!json_is_array(permitted))
        add_scalar(&list, permitted);
    for (size_t i = 0; json_is_array(permitted) && i < json_array_size(permitted); i++) {
        if (i > 0)
            sn_buf_adds(&list, "|");
        add_scalar(&list, json_array_get(permitted, i));
    }
    (void)violation(c, at, "%s %s", keyword, sn_buf_str(&list));
    sn_buf_fini(&list);
    return false;
}

static bool check_any_type(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    if (node->types != 0 && (node->types & type_bits(value)) == 0)
        return choice_violation(c, "type", node->type_names, at);
    if (node->constant != NULL && !equal(c, node->constant, value, at))
        return choice_violation(c, "const", node->constant, at);
    if (node->enumeration != NULL) {
        bool found = false;
        for (size_t i = 0; !found && i < json_array_size(node->enumeration); i++)
            found = equal(c, json_array_get(node->enumeration, i), value, at);
        if (!found)
            return choice_violation(c, "enum", node->enumeration, at);
    }
    return true;
}

static bool check_number(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    if (node->minimum != NULL && sn_value_compare(value, node->minimum) < 0)
        return violation(c, at, "minimum %.15g", json_number_value(node->minimum));
    if (node->maximum != NULL && sn_value_compare(value, node->maximum) > 0)
        return violation(c, at, "maximum %.15g", json_number_value(node->maximum));
    if (node->exclusive_minimum != NULL && sn_value_compare(value, node->exclusive_minimum) <= 0)
        return violation(c, at, "exclusiveMinimum %.15g", json_number_value(node->exclusive_minimum));
    if (node->exclusive_maximum != NULL && sn_value_compare(value, node->exclusive_maximum) >= 0)
        return violation(c, at, "exclusiveMaximum %.15g", json_number_value(node->exclusive_maximum));
    if (node->multiple_of != NULL && !sn_value_is_multiple(value, node->multiple_of))
        return violation(c, at, "multipleOf %.15g", json_number_value(node->multiple_of));
    return true;
}

static bool check_string(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    const char *text = json_string_value(value);
    size_t len = json_string_length(value);

    if (node->length_min >= 0 || node->length_max >= 0) {
        int64_t points = 0;
        for (size_t i = 0; i < len; i++)
            points += ((unsigned char)text[i] & 0xc0) != 0x80;
        if (points < node->length_min)
            return violation(c, at, "minLength %lld", (long long)node->length_min);
        if (node->length_max >= 0 && points > node->length_max)
            return violation(c, at, "maxLength %lld", (long long)node->length_max);
    }
    if (node->pattern != NULL && !matches(c, node->pattern, text, len, at))
        return violation(c, at, "pattern %s", node->pattern_text);
    return true;
}

static bool is_unique(struct check *c, const json_t *value, const struct place *at)
{
    size_t len = json_array_size(value);

    for (size_t i = 1; i < len; i++) {
        for (size_t j = 0; j < i; j++) {
            if (equal(c, json_array_get(value, i), json_array_get(value, j), at))
                return false;
            if (c->broken)
                return false;
        }
    }
    return true;
}

static bool check_elements(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    bool contained = false;

    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *element = json_array_get(value, i);
        struct place here = { .parent = at, .index = i };
        const struct sn_node *rule = node->items;

        if (node->items_tuple)
            rule = i < node->tuple.len ? node->tuple.nodes[i] : node->additional_items;
        if (rule != NULL && !check_node(c, rule, element, &here))
            return false;
        if (node->contains != NULL && !contained)
            contained = holds(c, node->contains, element, &here);
    }
    if (node->contains != NULL && !contained)
        return violation(c, at, "contains");
    return true;
}

static bool check_array(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    int64_t len = (int64_t)json_array_size(value);

    if (len < node->items_min)
        return violation(c, at, "minItems %lld", (long long)node->items_min);
    if (node->items_max >= 0 && len > node->items_max)
        return violation(c, at, "maxItems %lld", (long long)node->items_max);
    if (!check_elements(c, node, value, at))
        return false;
    if (node->unique && !is_unique(c, value, at))
        return violation(c, at, "uniqueItems");
    return true;
}

static const struct sn_node *find_property(const struct sn_node *node, const char *name)
{
    size_t low = 0;
    size_t high = node->properties.len;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, node->properties.rules[mid].name);
        if (order == 0)
            return node->properties.rules[mid].node;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static bool check_name(struct check *c, const struct sn_node *rule, const char *name, const struct place *here)
{
    json_t *text = json_string(name);
    bool ok;

    if (text == NULL)
        return broken(c, here, MEMORY);
    ok = check_node(c, rule, text, here);
    json_decref(text);
    return ok;
}

static bool check_member(struct check *c, const struct sn_node *node, const char *name, const json_t *value,
                         const struct place *here)
{
    const struct sn_node *rule = find_property(node, name);
    bool known = rule != NULL;

    if (node->property_names != NULL && !check_name(c, node->property_names, name, here))
        return false;
    if (rule != NULL && !check_node(c, rule, value, here))
        return false;
    for (size_t i = 0; i < node->pattern_properties.len; i++) {
        const struct sn_member_rule *member = &node->pattern_properties.rules[i];
        if (strncmp(name, member->name + 1, member->prefix_len) != 0)
            continue;
        if (!matches(c, member->pattern, name, strlen(name), here)) {
            if (c->broken)
                return false;
            continue;
        }
        known = true;
        if (!check_node(c, member->node, value, here))
            return false;
    }
    if (known || node->additional_properties == NULL)
        return true;
    if (node->additional_properties->never)
        return c->known_only || violation(c, here, "additionalProperties");
    return check_node(c, node->additional_properties, value, here);
}

static bool check_dependencies(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    for (size_t i = 0; i < node->dependencies.len; i++) {
        const struct sn_member_rule *rule = &node->dependencies.rules[i];
        if (json_object_get(value, rule->name) == NULL)
            continue;
        if (rule->node != NULL && !check_node(c, rule->node, value, at))
            return false;
        for (size_t k = 0; rule->names != NULL && k < json_array_size(rule->names); k++) {
            const char *name = json_string_value(json_array_get(rule->names, k));
            if (json_object_get(value, name) == NULL)
                return violation(c, at, "dependencies %s needs %s", rule->name, name);
        }
    }
    return true;
}

static bool check_object(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    int64_t len = (int64_t)json_object_size(value);
    const char *name;
    json_t *member;

    if (len < node->properties_min)
        return violation(c, at, "minProperties %lld", (long long)node->properties_min);
    if (node->properties_max >= 0 && len > node->properties_max)
        return violation(c, at, "maxProperties %lld", (long long)node->properties_max);
    for (size_t i = 0; node->required != NULL && i < json_array_size(node->required); i++) {
        const char *wanted = json_string_value(json_array_get(node->required, i));
        if (json_object_get(value, wanted) == NULL)
            return violation(c, at, "required %s", wanted);
    }
    json_object_foreach((json_t *)value, name, member)
    {
        struct place here = { .parent = at, .name = name };
        if (!check_member(c, node, name, member, &here))
            return false;
    }
    return check_dependencies(c, node, value, at);
}

static bool check_combined(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    size_t holding = 0;
    bool any = node->any_of.len == 0;

    for (size_t i = 0; i < node->all_of.len; i++) {
        if (!check_node(c, node->all_of.nodes[i], value, at))
            return false;
    }
    for (size_t i = 0; !any && i < node->any_of.len; i++)
        any = holds(c, node->any_of.nodes[i], value, at);
    if (!any)
        return violation(c, at, "anyOf");
    for (size_t i = 0; i < node->one_of.len; i++)
        holding += holds(c, node->one_of.nodes[i], value, at);
    if (node->one_of.len > 0 && holding != 1)
        return violation(c, at, "oneOf");
    if (node->negated != NULL && holds(c, node->negated, value, at))
        return violation(c, at, "not");
    if (node->condition != NULL) {
        const struct sn_node *branch = holds(c, node->condition, value, at) ? node->consequence : node->alternative;
        if (branch != NULL && !check_node(c, branch, value, at))
            return false;
    }
    return true;
}

static bool check_rules(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    if (!check_any_type(c, node, value, at))
        return false;
    if (json_is_number(value) && !check_number(c, node, value, at))
        return false;
    if (json_is_string(value) && !check_string(c, node, value, at))
        return false;
    if (json_is_array(value) && !check_array(c, node, value, at))
        return false;
    if (json_is_object(value) && !check_object(c, node, value, at))
        return false;
    return check_combined(c, node, value, at);
}

static bool check_node(struct check *c, const struct sn_node *node, const json_t *value, const struct place *at)
{
    bool ok;

    if (c->broken)
        return false;
    if (node->always)
        return true;
    if (node->never)
        return violation(c, at, "not allowed here");
    if (c->depth >= CHECK_DEPTH_MAX)
        return broken(c, at, "depth");
    if (c->steps == 0)
        return broken(c, at, "steps");
    c->steps -= 1;
    c->depth += 1;
    ok = node->ref != NULL ? check_node(c, node->ref, value, at) : check_rules(c, node, value, at);
    c->depth -= 1;
    return ok && !c->broken;
}

static bool check_with(const struct sn_schema *schema, const json_t *instance, bool known_only,
                       struct sn_violation *ret_violation)
{
    struct sn_violation unused;
    struct check c = { .schema = schema, .known_only = known_only, .steps = CHECK_STEPS_MAX };
    const struct place root = { 0 };
    bool ok;

    c.report = c.last_word = ret_violation != NULL ? ret_violation : &unused;
    memset(c.report, 0, sizeof *c.report);
    ok = check_node(&c, schema->root, instance, &root);
    pcre2_match_data_free(c.match);
    return ok;
}

bool sn_schema_check(const struct sn_schema *schema, const json_t *instance, struct sn_violation *ret_violation)
{
    return check_with(schema, instance, false, ret_violation);
}

bool sn_schema_check_known(const struct sn_schema *schema, const json_t *instance, struct sn_violation *ret_violation)
{
    return check_with(schema, instance, true, ret_violation);
}
