/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal that a former owner left: every command that it sent, and the replies that it saw, are published as progress results
 * of the run in which they were sent, before the new owner starts. So the transcript survives its sender.
 * Thread: the keeper's; confirms arrive on the publisher's thread.
 */
#ifndef SN_WORKER_FLEET_ORPHANS_H
#define SN_WORKER_FLEET_ORPHANS_H

#include "worker/fleet/fleet.h"

struct sn_orphans;
struct sn_orphans *sn_orphans_new(struct sn_fleet *fleet); /* NULL on memory */
void sn_orphans_free(struct sn_orphans *o);
/* Reads the journal of the device and hands one progress result a run to the publisher. */
int sn_orphans_publish(struct sn_orphans *o, struct sn_store *store, const char *device_id, const char *uid,
                       struct sn_error *err) SN_MUSTCHECK;
/* Drops from the journal what was confirmed since. */
void sn_orphans_trim(struct sn_orphans *o, struct sn_store *store);

#endif
