/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as YAML: a tree with a line for every member, or an error with a place. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const json_t *value)
{
    size_t n = 1;
    const char *name;
    json_t *member;

    for (size_t i = 0; i < json_array_size(value); i++)
        n += count(json_array_get(value, i));
    json_object_foreach((json_t *)value, name, member) n += count(member);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sn_doc_limits limits = { .bytes_max = 64 * 1024, .nodes_max = 4096, .depth_max = 16 };
    struct sn_error err = { 0 };
    json_t *doc = NULL;
    json_t *lines = NULL;

    if (sn_doc_load_yaml(data, size, &limits, &doc, &lines, &err) < 0) {
        if (strncmp(err.code, "document.", 9) != 0 || err.text[0] == '\0' || doc != NULL || lines != NULL)
            abort();
        return 0;
    }
    if (json_object_size(lines) != count(doc))
        abort();
    json_decref(doc);
    json_decref(lines);
    return 0;
}
