/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the schema cannot say of an inventory; not for other folders.
 * Thread: the one that loads.
 */
#ifndef SN_COMMON_INVENTORY_MEANING_H
#define SN_COMMON_INVENTORY_MEANING_H

#include "common/config/yaml_file.h"
#include "common/inventory/inventory.h"

/* Ids, uids and addresses are unique, links resolve. Errors: inventory.duplicate-id, inventory.duplicate-uid,
 * inventory.duplicate-address, inventory.link. */
int sn_inventory_check_meaning(const struct sn_inventory *inv, const struct sn_yaml_file *file,
                               struct sn_error *err) SN_MUSTCHECK;

#endif
