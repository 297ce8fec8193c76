/* SPDX-License-Identifier: Apache-2.0 */
#include "common/inventory/inventory.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/config/yaml_file.h"
#include "common/inventory/meaning.h"

#define BATCH_MAX_DEFAULT 16

struct sn_inventory {
    atomic_uint refs;
    json_t *doc;
    size_t count;
    struct sn_target *targets;       /* in the order of the file */
    const struct sn_target **by_id;  /* sorted */
    const struct sn_target **by_uid; /* sorted */
};

static int compare_id(const void *a, const void *b)
{
    return strcmp((*(const struct sn_target *const *)a)->id, (*(const struct sn_target *const *)b)->id);
}

static int compare_uid(const void *a, const void *b)
{
    return strcmp((*(const struct sn_target *const *)a)->uid, (*(const struct sn_target *const *)b)->uid);
}

/* A text of the entry; the schema has checked that it is one. */
static int copy_text(char *out, size_t size, const json_t *value)
{
    const char *text = json_string_value(value);

    return text == NULL ? -1 : sn_text_copy(out, size, text);
}

static int fill_target(const struct sn_yaml_file *file, size_t i, const json_t *entry, struct sn_target *t,
                       struct sn_error *err)
{
    const json_t *uid = json_object_get(entry, "uid");
    const json_t *batch = json_object_get(entry, "batch_max");
    char pointer[48];

    (void)snprintf(pointer, sizeof(pointer), "/targets/%zu", i);
    /* the lengths are the schema's; a schema that allows more must not make us cut */
    if (copy_text(t->id, sizeof(t->id), json_object_get(entry, "id")) != 0 ||
        copy_text(t->uid, sizeof(t->uid), uid != NULL ? uid : json_object_get(entry, "id")) != 0 ||
        copy_text(t->driver, sizeof(t->driver), json_object_get(entry, "driver")) != 0)
        return sn_yaml_file_fault(file, pointer, err, "inventory.shape", "id, uid or driver is not a short text");
    t->batch_max = batch != NULL ? (int)json_integer_value(batch) : BATCH_MAX_DEFAULT;
    t->sessions_max = (int)json_integer_value(json_object_get(entry, "sessions_max"));
    t->save_every_ms = json_integer_value(json_object_get(entry, "save_every_ms"));
    t->idle_close_ms = json_integer_value(json_object_get(entry, "idle_close_ms"));
    t->maintenance = json_is_true(json_object_get(entry, "maintenance"));
    t->line = sn_yaml_file_line(file, pointer);
    t->conf = entry;
    return 0;
}

static int index_targets(struct sn_inventory *inv)
{
    inv->by_id = calloc(inv->count + 1, sizeof(const struct sn_target *));
    inv->by_uid = calloc(inv->count + 1, sizeof(const struct sn_target *));
    if (inv->by_id == NULL || inv->by_uid == NULL)
        return -1;
    for (size_t i = 0; i < inv->count; i++) {
        inv->by_id[i] = &inv->targets[i];
        inv->by_uid[i] = &inv->targets[i];
    }
    qsort(inv->by_id, inv->count, sizeof(const struct sn_target *), compare_id);
    qsort(inv->by_uid, inv->count, sizeof(const struct sn_target *), compare_uid);
    return 0;
}

/* Takes over file->doc. */
static int build(struct sn_yaml_file *file, const struct sn_schemas *schemas, struct sn_inventory **ret,
                 struct sn_error *err)
{
    struct sn_violation violation;
    struct sn_inventory *inv;
    const json_t *entries;

    if (!sn_schema_check(sn_schemas_get(schemas, SN_SCHEMA_INVENTORY), file->doc, &violation))
        return violation.out_of_memory ? sn_error_oom(err) :
               sn_yaml_file_fault(file, violation.path, err, "inventory.shape", "%s", violation.rule);
    inv = calloc(1, sizeof(*inv));
    if (inv == NULL)
        return sn_error_oom(err);
    atomic_init(&inv->refs, 1);
    inv->doc = json_incref(file->doc);
    entries = json_object_get(inv->doc, "targets");
    inv->count = json_array_size(entries);
    inv->targets = calloc(inv->count + 1, sizeof(*inv->targets));
    if (inv->targets == NULL) {
        sn_error_oom(err);
        goto fail;
    }
    for (size_t i = 0; i < inv->count; i++) {
        if (fill_target(file, i, json_array_get(entries, i), &inv->targets[i], err) != 0)
            goto fail;
    }
    if (index_targets(inv) != 0) {
        sn_error_oom(err);
        goto fail;
    }
    if (sn_inventory_check_meaning(inv, file, err) != 0)
        goto fail;
    *ret = inv;
    return 0;
fail:
    sn_inventory_unref(inv);
    return -1;
}

int sn_inventory_load_file(const char *path, const struct sn_schemas *schemas, struct sn_inventory **ret,
                           struct sn_error *err)
{
    struct sn_yaml_file file;
    int rc;

    if (sn_yaml_file_read(path, "inventory", &file, err) != 0)
        return -1;
    rc = build(&file, schemas, ret, err);
    sn_yaml_file_fini(&file);
    return rc;
}

int sn_inventory_load_text(const char *text, size_t len, const struct sn_schemas *schemas, struct sn_inventory **ret,
                           struct sn_error *err)
{
    struct sn_yaml_file file;
    int rc;

    if (sn_yaml_file_parse("inventory", "inventory", text, len, &file, err) != 0)
        return -1;
    rc = build(&file, schemas, ret, err);
    sn_yaml_file_fini(&file);
    return rc;
}

struct sn_inventory *sn_inventory_ref(struct sn_inventory *inv)
{
    atomic_fetch_add_explicit(&inv->refs, 1, memory_order_relaxed);
    return inv;
}

void sn_inventory_unref(struct sn_inventory *inv)
{
    if (inv == NULL || atomic_fetch_sub_explicit(&inv->refs, 1, memory_order_acq_rel) != 1)
        return;
    json_decref(inv->doc);
    free(inv->targets);
    free(inv->by_id);
    free(inv->by_uid);
    free(inv);
}

size_t sn_inventory_count(const struct sn_inventory *inv)
{
    return inv->count;
}

const struct sn_target *sn_inventory_at(const struct sn_inventory *inv, size_t i)
{
    return i < inv->count ? &inv->targets[i] : NULL;
}

static const struct sn_target *find(const struct sn_target **index, size_t count, const char *name, size_t offset)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = strcmp(name, (const char *)index[mid] + offset);
        if (order == 0)
            return index[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct sn_target *sn_inventory_by_id(const struct sn_inventory *inv, const char *id)
{
    return find(inv->by_id, inv->count, id, offsetof(struct sn_target, id));
}

const struct sn_target *sn_inventory_by_uid(const struct sn_inventory *inv, const char *uid)
{
    return find(inv->by_uid, inv->count, uid, offsetof(struct sn_target, uid));
}

const json_t *sn_target_plan(const struct sn_target *t, const char *plan_code)
{
    return json_object_get(json_object_get(t->conf, "plans"), plan_code);
}
