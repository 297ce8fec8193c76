/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any JSON against every schema of the product; and any JSON as a schema (it compiles or it does not) against itself.
 * What passes the strict check passes the tolerant one too.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/schema/doc.h"
#include "common/schema/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sn_schemas *schemas;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;
    struct sn_schema *own = NULL;
    struct sn_violation violation;
    struct sn_error err;
    json_t *doc = NULL;

    if (schemas == NULL && sn_schemas_load(&schemas, &err) < 0)
        abort();
    if (sn_doc_load(data, size, SN_DOC_JSON, &limits, &doc, &err) < 0)
        return 0;
    for (int id = 0; id < SN_SCHEMA_COUNT; id++) {
        const struct sn_schema *schema = sn_schemas_get(schemas, (enum sn_schema_id)id);
        bool strict = sn_schema_check(schema, doc, &violation);
        if (strict ? !sn_schema_check_known(schema, doc, NULL) : violation.rule[0] == '\0')
            abort();
    }
    if (sn_schema_compile((const char *)data, size, &own, &err) == 0) {
        (void)sn_schema_check(own, doc, &violation);
        sn_schema_free(own);
    }
    json_decref(doc);
    return 0;
}
