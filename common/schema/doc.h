/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads foreign bytes (JSON, msgpack) or trusted YAML into a jansson tree, within limits.
 *
 * Syntax only: well-formed UTF-8, no duplicate keys, bounded depth, size, numbers of nodes; integers within
 * +-(2^53 - 1); no NaN, no infinity, no msgpack ext or bin. Shape is the schema's business (schema.h), meaning is the
 * caller's. On failure err->code is one of document.syntax, document.too-large, document.too-deep,
 * document.duplicate-key, document.encoding, document.number and the text names the place (JSON pointer or byte
 * offset). Thread: any.
 */
#ifndef SN_COMMON_SCHEMA_DOC_H
#define SN_COMMON_SCHEMA_DOC_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/error.h"

struct sn_doc_limits {
    size_t bytes_max;
    size_t nodes_max;
    unsigned depth_max;
};
#define SN_DOC_LIMITS_MESSAGE                                      \
    {                                                              \
        .bytes_max = 64 * 1024, .nodes_max = 4096, .depth_max = 16 \
    }
#define SN_DOC_LIMITS_FILE                                                   \
    {                                                                        \
        .bytes_max = 16 * 1024 * 1024, .nodes_max = 1000000, .depth_max = 16 \
    }

enum sn_doc_format { SN_DOC_JSON, SN_DOC_MSGPACK };

/* *ret_doc: a new reference, written only on success. */
int sn_doc_load(const void *data, size_t len, enum sn_doc_format format, const struct sn_doc_limits *limits,
                json_t **ret_doc, struct sn_error *err) SN_MUSTCHECK;

/* The same for a YAML text (libyaml; plain scalars are resolved as in the JSON schema of YAML 1.2). *ret_lines maps a
 * JSON pointer to the line it stands on (an object {"/targets/0/id": 12}); new reference; may be NULL when not wanted.
 */
int sn_doc_load_yaml(const void *data, size_t len, const struct sn_doc_limits *limits, json_t **ret_doc,
                     json_t **ret_lines, struct sn_error *err) SN_MUSTCHECK;

#endif
