/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: one thread with its own Redis connection. It keeps the session alive, claims devices, judges the lease by the monotonic
 * clock from before the renewal was sent, and when the lease is over it cuts the lanes' sockets: a lane that hangs in a device's reply
 * cannot be asked. It also publishes what former owners left in the journal, and keeps Redis' copy of the gates.
 * Thread: main starts, stops and frees it; the rest any.
 */
#ifndef SN_WORKER_FLEET_KEEPER_H
#define SN_WORKER_FLEET_KEEPER_H

#include "worker/fleet/fleet.h"

struct sn_keeper;
/* session_json: what others read of this worker ({name, since, http, version}). */
int sn_keeper_start(struct sn_fleet *fleet, const char *session_json, struct sn_keeper **ret, struct sn_error *err) SN_MUSTCHECK;
/* Another turn soon (a gate changed). Any thread. */
void sn_keeper_wake(struct sn_keeper *k);
/* Stops claiming, leaves release notes for devices whose lanes are stopped, ends the session. Joins. */
void sn_keeper_stop(struct sn_keeper *k);
void sn_keeper_free(struct sn_keeper *k);
/* For health. */
int64_t sn_keeper_last_turn_ms(const struct sn_keeper *k);
void sn_keeper_why(struct sn_keeper *k, char *out, size_t size);

#endif
