/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the three loaders (doc.c, doc_msgpack.c, doc_yaml.c). Nobody else includes this.
 * Documents are new references, errors document.*. Thread: any, no state.
 */
#ifndef SN_COMMON_SCHEMA_DOC_INTERNAL_H
#define SN_COMMON_SCHEMA_DOC_INTERNAL_H

#include <stdint.h>

#include "common/schema/doc.h"

#define SN_DOC_INTEGER_MAX 9007199254740991LL /* 2^53 - 1: what every JSON reader holds exactly */

/* A number within our range as a json integer or real; a real without a fraction becomes an integer, so that nobody
 * reads 0 out of 1.0. Returns NULL with *err set when it is out of range or not finite; where: pointer or offset for
 * the text. */
json_t *sn_doc_integer(int64_t value, const char *where, struct sn_error *err);
json_t *sn_doc_real(double value, const char *where, struct sn_error *err);

int sn_doc_load_msgpack(const unsigned char *data, size_t len, const struct sn_doc_limits *limits, json_t **ret_doc,
                        struct sn_error *err) SN_MUSTCHECK;

#endif
