/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet's present as people want to see it, read from Redis: who owns what, who lives, what is closed, what is
 * unsaved. Reads only. Thread: the store's.
 */
#ifndef SN_WORKER_FLEET_SURVEY_H
#define SN_WORKER_FLEET_SURVEY_H

#include <jansson.h>

#include "worker/fleet/store.h"

/* {"owner": {"worker", "epoch", "alive", "released"} | null, "gate": {"state", "lock", "code", "why", "by", "since",
 * "until", "probe"} | null, "unsaved": {"epoch", "since", "writes"} | null}; times are Unix ms. New reference. */
int sn_survey_device(struct sn_store *s, const char *uid, json_t **ret, struct sn_error *err) SN_MUSTCHECK;
/* Live workers: what each says of itself in its session, plus "worker": its id. Sorted by id. New reference. */
int sn_survey_workers(struct sn_store *s, json_t **ret, struct sn_error *err) SN_MUSTCHECK;

#endif
