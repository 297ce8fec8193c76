/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the ledger share: schema, writing, reading back. Only worker/sink includes this.
 * Thread: writing is the ledger's writer's, who owns the connection; the rest any, no state.
 */
#ifndef SN_WORKER_SINK_SINK_H
#define SN_WORKER_SINK_SINK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/pg/pg.h"
#include "common/schema/schema.h"

/* One message of the ledger's queue. The strings are borrowed from the delivery. */
struct sn_sink_message {
    const char *body;
    size_t len;
    const char *content_type;
    const char *routing_key;
};

enum sn_sink_wrote {
    SN_SINK_DONE,        /* every message is in the tables, or kept aside: acknowledge all */
    SN_SINK_UNAVAILABLE, /* the database did not take them, for a reason of its own: try again later */
};

/* Writes n messages, idempotent. *ret_bad counts those that were kept aside. On UNAVAILABLE err says why. Blocking, at
 * most timeout_ms for each statement. */
enum sn_sink_wrote sn_sink_write(struct sn_pg *pg, const struct sn_schema *schema,
                                 const struct sn_sink_message *messages, size_t n, int timeout_ms, size_t *ret_bad,
                                 struct sn_error *err);

/* Loads one message and judges its shape. -1: it is not for the ledger, err says why. *ret: new reference. */
int sn_sink_read(const struct sn_schema *schema, const struct sn_sink_message *message, json_t **ret,
                 struct sn_error *err) SN_MUSTCHECK;

/* "applied.olt-7" -> "olt-7"; "" when there is no device in it. Borrowed from the key. */
const char *sn_sink_device_of(const char *routing_key);

#endif
