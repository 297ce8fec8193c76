/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inventory: what targets exist and how they are reached. YAML, checked against schemas/inventory/v1, then for
 * meaning (ids and uids unique, addresses unique, links resolve); each fault names its line. Immutable and counted: a
 * reload makes a new one, jobs keep the one they started with. Addresses and credentials come from here, never from a
 * message. Thread: any (atomic reference count).
 */
#ifndef SN_COMMON_INVENTORY_INVENTORY_H
#define SN_COMMON_INVENTORY_INVENTORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/schema/schema.h"

struct sn_target {
    char id[64];     /* [a-z0-9][a-z0-9_-]{0,62}; may be renamed */
    char uid[64];    /* immutable: keys in Redis and the ledger; defaults to the id */
    char driver[32]; /* folder name of the driver */
    int line;        /* where it stands in the file */
    int batch_max;   /* 1..256, default 16: prefetch and group commit */
    int sessions_max;      /* at most so many lanes; 0 = as its driver says */
    int64_t save_every_ms; /* 0 = as the worker's options say; so below */
    int64_t idle_close_ms;
    bool maintenance;
    const json_t *conf; /* the whole entry, borrowed from the inventory; drivers read their own options from it */
};

struct sn_inventory;

/* Texts read `<file>:<line>: targets[3].port: maximum 65535`. Errors: inventory.unreadable, inventory.syntax (YAML),
 * inventory.shape (schema), inventory.duplicate-id, inventory.duplicate-uid, inventory.duplicate-address,
 * inventory.link. */
int sn_inventory_load_file(const char *path, const struct sn_schemas *schemas, struct sn_inventory **ret,
                           struct sn_error *err) SN_MUSTCHECK;
int sn_inventory_load_text(const char *text, size_t len, const struct sn_schemas *schemas, struct sn_inventory **ret,
                           struct sn_error *err) SN_MUSTCHECK;
struct sn_inventory *sn_inventory_ref(struct sn_inventory *inv);
void sn_inventory_unref(struct sn_inventory *inv);

size_t sn_inventory_count(const struct sn_inventory *inv);
const struct sn_target *sn_inventory_at(const struct sn_inventory *inv, size_t i);
/* NULL when absent. Borrowed from the inventory. */
const struct sn_target *sn_inventory_by_id(const struct sn_inventory *inv, const char *id);
const struct sn_target *sn_inventory_by_uid(const struct sn_inventory *inv, const char *uid);

/* The plan mapping of a target: conf.plans.<plan code> or NULL when the target maps none by that name. Borrowed. */
const json_t *sn_target_plan(const struct sn_target *t, const char *plan_code);

#endif
