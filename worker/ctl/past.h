/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the ledger says, as documents (read-only role). Times are UTC text, keys English. Blocking, within timeout_ms a
 * query. Errors: event.not-found, contract.not-found, usage.ambiguous, ledger.no-tables, ledger.unreadable, pg.*.
 * Thread: the connection's.
 */
#ifndef SN_WORKER_CTL_PAST_H
#define SN_WORKER_CTL_PAST_H

#include <jansson.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/pg/pg.h"

/* name: a unique prefix of an event id, a contract's ref (its newest event), or "last". */
int sn_past_event_id(struct sn_pg *pg, const char *name, int timeout_ms, char ret[SN_UUID_TEXT_MAX],
                     struct sn_error *err) SN_MUSTCHECK;
/* The output `event` of ctl/v1: {"event", "state", "outcome", …, "targets", "runs", "log", "letters"}. New reference;
 * for the others below too. */
int sn_past_event(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err) SN_MUSTCHECK;
/* The event without runs, transcript and letters, or event.not-found: what publish --wait looks at. */
int sn_past_outcome(struct sn_pg *pg, const char *id, int timeout_ms, json_t **ret, struct sn_error *err) SN_MUSTCHECK;
/* name: ref, contract id, or <ns>/<contract id>. {"ref", "ns", "contract_id", "wanted", "targets", "events"}. */
int sn_past_contract(struct sn_pg *pg, const char *name, int limit, int timeout_ms, json_t **ret,
                     struct sn_error *err) SN_MUSTCHECK;
/* Open letters, newest first; cause and device may be NULL. {"letters": […], "count": n}. */
int sn_past_letters(struct sn_pg *pg, const char *cause, const char *device, int limit, int timeout_ms, json_t **ret,
                    struct sn_error *err) SN_MUSTCHECK;
/* {"groups": […], "count": n}. */
int sn_past_letter_groups(struct sn_pg *pg, int timeout_ms, json_t **ret, struct sn_error *err) SN_MUSTCHECK;
/* {"contracts": n, "letters": n, "log": [newest exchanges]} of a target: by its uid, and its id, by which letters name
 * it. */
int sn_past_device(struct sn_pg *pg, const char *uid, const char *id, int limit, int timeout_ms, json_t **ret,
                   struct sn_error *err) SN_MUSTCHECK;

#endif
