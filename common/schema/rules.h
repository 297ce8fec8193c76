/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the JSON Schema interpreter: what compile.c builds and check.c walks. Nobody else includes this.
 *
 * A compiled schema is a set of nodes, one for each subschema of the document; `$ref` is an edge, so the graph may have
 * cycles. Nodes and their tables belong to the struct sn_schema and live as long as it does; json_t pointers are
 * borrowed from its document.
 * Thread: one while it is compiled; afterwards nothing changes and any thread reads. A walk keeps what it needs on its stack.
 */
#ifndef SN_COMMON_SCHEMA_RULES_H
#define SN_COMMON_SCHEMA_RULES_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <jansson.h>
#include <pcre2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/schema/schema.h"

/* Types as bits; an integer is a number too. */
enum sn_type_bit {
    SN_TYPE_NULL = 1,
    SN_TYPE_BOOLEAN = 2,
    SN_TYPE_INTEGER = 4,
    SN_TYPE_NUMBER = 8,
    SN_TYPE_STRING = 16,
    SN_TYPE_ARRAY = 32,
    SN_TYPE_OBJECT = 64
};

struct sn_node;

struct sn_node_list {
    struct sn_node **nodes;
    size_t len;
};

/* One member of `properties`, `patternProperties` or `dependencies`. */
struct sn_member_rule {
    const char *name;     /* property, or the pattern's text */
    pcre2_code *pattern;  /* patternProperties only */
    size_t prefix_len;    /* so many literal characters follow the pattern's `^`: a cheap no for most names */
    struct sn_node *node; /* NULL for a dependency that is a list of names */
    const json_t *names;  /* dependencies only */
};

struct sn_member_rules {
    struct sn_member_rule *rules;
    size_t len;
};

struct sn_node {
    const json_t *source; /* identity: the subschema in the document */
    bool always;          /* boolean schema `true` */
    bool never;           /* boolean schema `false` */
    struct sn_node *ref;  /* `$ref`: everything beside it is ignored (draft-07, section 8.3) */

    unsigned types;           /* 0 = any */
    const json_t *type_names; /* one, or a list: for the violation */
    const json_t *enumeration;
    const json_t *constant;

    int64_t length_min, length_max; /* -1 = no rule */
    int64_t items_min, items_max;
    int64_t properties_min, properties_max;
    const json_t *minimum, *maximum, *exclusive_minimum, *exclusive_maximum, *multiple_of;
    pcre2_code *pattern;
    const char *pattern_text;

    struct sn_node *items; /* one schema for all */
    bool items_tuple;
    struct sn_node_list tuple; /* one schema for each place */
    struct sn_node *additional_items;
    struct sn_node *contains;
    bool unique;

    const json_t *required;
    struct sn_member_rules properties; /* sorted by name */
    struct sn_member_rules pattern_properties;
    struct sn_member_rules dependencies;
    struct sn_node *additional_properties;
    struct sn_node *property_names;

    struct sn_node_list all_of, any_of, one_of;
    struct sn_node *negated, *condition, *consequence, *alternative;
};

struct sn_schema {
    json_t *document;
    struct sn_node *root;
    struct sn_node_list nodes; /* every node, for the end */
    size_t nodes_cap;
    pcre2_match_context *limits; /* shared by all checks: only read */
};

/* Equality of JSON Schema: 1 and 1.0 are the same number. *steps is spent, one a value; at 0 the answer is false. */
bool sn_value_equal(const json_t *a, const json_t *b, unsigned *steps);
/* -1, 0, 1 as a is below, equal to, above b; both must be numbers. */
int sn_value_compare(const json_t *a, const json_t *b);
/* True for an integer, or a real without a fraction. */
bool sn_value_is_integer(const json_t *value);
/* draft-07 6.2.1; divisor > 0. */
bool sn_value_is_multiple(const json_t *value, const json_t *divisor);

#endif
