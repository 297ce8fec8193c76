/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes in the ledger's queue: kept aside with a code, or a document that PostgreSQL takes as jsonb (no NUL in it, sayable as JSON). The
 * first byte chooses the content type. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/sink/sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = { "application/json", "application/msgpack", "", "text/plain" };
    static struct sn_schemas *schemas;
    struct sn_error err = { .code = "" };
    struct sn_sink_message message = { .routing_key = "applied.olt-7" };
    json_t *doc = NULL;
    char *text;

    if (schemas == NULL && sn_schemas_load(&schemas, &err) < 0)
        abort();
    if (size == 0)
        return 0;
    message.content_type = types[data[0] == '{' ? 0 : data[0] % 4];
    message.body = (const char *)data + (data[0] == '{' ? 0 : 1);
    message.len = size - (data[0] == '{' ? 0 : 1);
    if (sn_sink_read(sn_schemas_get(schemas, SN_SCHEMA_RESULT), &message, &doc, &err) != 0) {
        require(err.code[0] != '\0' && err.text[0] != '\0' && doc == NULL);
        for (const char *c = err.text; *c != '\0'; c++)
            require((unsigned char)*c >= 0x20 && *c != 0x7f);
        return 0;
    }
    text = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
    require(json_is_object(doc) && text != NULL && strstr(text, "\\u0000") == NULL);
    free(text);
    json_decref(doc);
    return 0;
}
