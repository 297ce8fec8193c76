/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as msgpack: within the limits, what is loaded can be said as JSON, and reads back as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/schema/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;
    static const struct sn_doc_limits wide = { .bytes_max = 1024 * 1024, .nodes_max = 4096, .depth_max = 16 };
    struct sn_error err = { 0 };
    json_t *doc = NULL;
    json_t *again = NULL;
    char *text;

    if (sn_doc_load(data, size, SN_DOC_MSGPACK, &limits, &doc, &err) < 0) {
        if (strncmp(err.code, "document.", 9) != 0 || doc != NULL)
            abort();
        return 0;
    }
    text = json_dumps(doc, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    if (text == NULL || sn_doc_load(text, strlen(text), SN_DOC_JSON, &wide, &again, &err) < 0 ||
        !json_equal(doc, again))
        abort();
    free(text);
    json_decref(doc);
    json_decref(again);
    return 0;
}
