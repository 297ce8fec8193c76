/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "common/schema/schema.h"

extern const char sn_embed_schemas_event_v1_schema_json[];
extern const char sn_embed_schemas_result_v1_schema_json[];
extern const char sn_embed_schemas_ctl_v1_schema_json[];
extern const char sn_embed_schemas_inventory_v1_schema_json[];

struct sn_schemas {
    struct sn_schema *by_id[SN_SCHEMA_COUNT];
};

int sn_schemas_load(struct sn_schemas **ret, struct sn_error *err)
{
    static const struct {
        const char *name;
        const char *text;
    } table[SN_SCHEMA_COUNT] = {
        [SN_SCHEMA_EVENT] = { "event/v1", sn_embed_schemas_event_v1_schema_json },
        [SN_SCHEMA_RESULT] = { "result/v1", sn_embed_schemas_result_v1_schema_json },
        [SN_SCHEMA_CTL] = { "ctl/v1", sn_embed_schemas_ctl_v1_schema_json },
        [SN_SCHEMA_INVENTORY] = { "inventory/v1", sn_embed_schemas_inventory_v1_schema_json },
    };
    struct sn_schemas *all = calloc(1, sizeof *all);

    if (all == NULL)
        return sn_error_oom(err);
    for (size_t i = 0; i < SN_SCHEMA_COUNT; i++) {
        if (sn_schema_compile(table[i].text, strlen(table[i].text), &all->by_id[i], err) < 0) {
            (void)sn_error_prefix(err, "%s", table[i].name);
            sn_schemas_free(all);
            return -1;
        }
    }
    *ret = all;
    return 0;
}

void sn_schemas_free(struct sn_schemas *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < SN_SCHEMA_COUNT; i++)
        sn_schema_free(s->by_id[i]);
    free(s);
}

const struct sn_schema *sn_schemas_get(const struct sn_schemas *s, enum sn_schema_id id)
{
    return s->by_id[id];
}
