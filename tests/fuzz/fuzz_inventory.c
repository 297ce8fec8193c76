/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an inventory: refused with a code and a place, or targets whose ids are safe and found again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/inventory/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static int is_id(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(text);
}

static void check_target(const struct sn_inventory *inv, const struct sn_target *t)
{
    require(is_id(t->id) && t->uid[0] != '\0' && is_id(t->driver) && t->line > 0 && t->batch_max >= 1 && t->batch_max <= 256);
    require(json_is_object(t->conf));
    require(sn_inventory_by_id(inv, t->id) == t && sn_inventory_by_uid(inv, t->uid) == t);
    (void)sn_target_plan(t, "FTTH-100");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sn_schemas *schemas;
    struct sn_inventory *inv = NULL;
    struct sn_error err = { .code = "" };

    if (schemas == NULL && sn_schemas_load(&schemas, &err) < 0)
        abort();
    if (sn_inventory_load_text((const char *)data, size, schemas, &inv, &err) != 0) {
        require(strncmp(err.code, "inventory.", strlen("inventory.")) == 0 && err.text[0] != '\0' && inv == NULL);
        for (const char *c = err.text; *c != '\0'; c++)
            require((unsigned char)*c >= 0x20 && *c != 0x7f);
        return 0;
    }
    for (size_t i = 0; i < sn_inventory_count(inv); i++)
        check_target(inv, sn_inventory_at(inv, i));
    require(sn_inventory_by_id(inv, "no such id") == NULL);
    sn_inventory_unref(inv);
    return 0;
}
