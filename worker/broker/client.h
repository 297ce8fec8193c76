/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The blocking client's request, for topology.c; private to this folder.
 * Thread: the one that opened the client; blocking.
 */
#ifndef SN_WORKER_BROKER_CLIENT_H
#define SN_WORKER_BROKER_CLIENT_H

#include "worker/broker/amqp.h"

/* As sn_amqp_call(), on the client's ask channel: a refusal leaves the client usable. */
int sn_client_rpc(struct sn_broker_client *c, amqp_method_number_t id, void *method, amqp_method_number_t reply_id,
                  const void **ret_reply, struct sn_error *err) SN_MUSTCHECK;

#endif
