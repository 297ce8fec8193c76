/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owner's side of silver.ctl: requests of people (schemas/ctl/v1), carried through the lanes, because an account often allows one
 * session only. Requests arrive on the consume thread, answers leave through the publisher.
 * Thread: main makes and frees it; requests are handled on the consume thread, their orders run on lane threads.
 */
#ifndef SN_WORKER_CONTROL_CONTROL_H
#define SN_WORKER_CONTROL_CONTROL_H

#include "worker/fleet/fleet.h"
#include "worker/fleet/keeper.h"

struct sn_control;
int sn_control_new(struct sn_fleet *fleet, struct sn_keeper *keeper, struct sn_control **ret, struct sn_error *err) SN_MUSTCHECK;
void sn_control_free(struct sn_control *c);
/* Handler for sn_dispatch_on_ctl(); takes the delivery. */
void sn_control_handle(void *arg, struct sn_delivery *request);

#endif
