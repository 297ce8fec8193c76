/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One interpreter of JSON Schema (draft-07), for events, results, commands and the inventory alike.
 *
 * It knows the keywords that our schemas use; a schema with an unknown keyword does not compile (a rule that is not
 * understood must not pass as a rule that holds). `$` in a pattern matches the end only; patterns run in PCRE2 with
 * limits.
 * `$ref` points into the same document only. Annotations ($comment, title, description, default, examples, $id,
 * $schema) are allowed. A compiled schema is immutable and shared by threads.
 * Thread: one compiles and frees, any checks.
 */
#ifndef SN_COMMON_SCHEMA_SCHEMA_H
#define SN_COMMON_SCHEMA_SCHEMA_H

#include <jansson.h>
#include <stdbool.h>

#include "common/base/error.h"

struct sn_schema;

/* The first violation found, in document order. */
struct sn_violation {
    char path[256]; /* JSON pointer into the instance, escaped for terminals */
    char rule[128]; /* keyword and what it demands: `maxLength 63`, `required serial`, `additionalProperties` */
    bool out_of_memory; /* nothing is said of the instance: it could not be looked at */
};

/* text: the schema as JSON (embedded at build time, or a file). */
int sn_schema_compile(const char *text, size_t len, struct sn_schema **ret_schema, struct sn_error *err) SN_MUSTCHECK;
void sn_schema_free(struct sn_schema *schema);
/* True when the instance has the shape; otherwise *ret_violation (may be NULL) says where and why. */
bool sn_schema_check(const struct sn_schema *schema, const json_t *instance, struct sn_violation *ret_violation);
/* The same, but properties that the schema does not know are let through (`additionalProperties: false` is not
 * applied): what a reader asks that may be older than the writer. Check says no and this says yes = the only fault is
 * an unknown property. */
bool sn_schema_check_known(const struct sn_schema *schema, const json_t *instance, struct sn_violation *ret_violation);

/* The schemas of the product (schemas/<name>/v1/schema.json), compiled from the text embedded in the program. */
enum sn_schema_id { SN_SCHEMA_EVENT, SN_SCHEMA_RESULT, SN_SCHEMA_CTL, SN_SCHEMA_INVENTORY, SN_SCHEMA_COUNT };
struct sn_schemas; /* all of them */
int sn_schemas_load(struct sn_schemas **ret, struct sn_error *err) SN_MUSTCHECK;
void sn_schemas_free(struct sn_schemas *s);
const struct sn_schema *sn_schemas_get(const struct sn_schemas *s, enum sn_schema_id id);

#endif
