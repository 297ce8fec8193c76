/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record of one contract on one target: what we may hold there, and what was acknowledged.
 *
 *   {"generation": 9, "rev": "…", "event": "…", "ref": "CT-1", "keys": [{"aspect": "onu", "key": {…}}…], "created_here": "<event>"|null,
 *    "memo": {…}, "memo_rev": "…", "epoch": 40, "run": 2, "claims": ["onu/…"]}
 *
 * keys grows before the first write (the intent) and shrinks after a verified visit, of a running configuration after the save that keeps it:
 * between the two it names old and new places, so that whoever continues can clean both. Pure functions on JSON; new references are returned. Thread: any.
 */
#ifndef SN_WORKER_JOB_RECORD_H
#define SN_WORKER_JOB_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/driver.h"

struct sn_record_who {
    int64_t generation;
    const char *rev;
    const char *event;
    const char *ref;
    int64_t epoch;
    int run;
};

/* The record before a write that may make or leave `key`: old (may be NULL) plus that key. NULL on memory. */
json_t *sn_record_intent(const json_t *old, const struct sn_record_who *who, const char *aspect, const json_t *key,
                         const json_t *memo);
/* After a verified visit: BE keeps exactly `key` among the forms of its thing; GONE drops it and its forms. NULL on memory. */
json_t *sn_record_settled(const json_t *old, const struct sn_record_who *who, const struct sn_driver *driver, const char *aspect,
                          const json_t *key, bool gone, const json_t *memo);
/* No key left and nothing to remember: the record may go. */
bool sn_record_is_empty(const json_t *record);
/* Did this contract hold nothing here before this event? */
bool sn_record_is_fresh(const json_t *record, const char *event);
/* Forms of the thing `key` that the record names, without `key` itself: array of keys. NULL on memory. */
json_t *sn_record_old_forms(const json_t *record, const struct sn_driver *driver, const char *aspect, const json_t *key);
/* Keys of this aspect (NULL = any) that are another thing than `key` (NULL = all): array of {"aspect", "key"}. NULL on memory. */
json_t *sn_record_other_things(const json_t *record, const struct sn_driver *driver, const char *aspect, const json_t *key);
/* memo of this rev, or {} when it belongs to another one. NULL on memory. */
json_t *sn_record_memo(const json_t *record, const char *rev);

#endif
