/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker in a process: fleet, lanes, dispatch and keeper as silverd starts and stops them, on a real Redis, with the test's broker and
 * devices of the test's own. A device watches those who use it: two threads at once on an exclusive one, two lanes at once with one
 * contract, an older generation after a newer one are faults of the broker's book.
 * Thread: made, started and stopped by main.
 */
#ifndef SN_TESTS_STRESS_WORLD_H
#define SN_TESTS_STRESS_WORLD_H

#include "broker.h"
#include "server.h"
#include "worker/fleet/keeper.h"
#include "worker/job/dispatch.h"
#include "worker/job/job.h"
#include "worker/lane/lane.h"

#define CONTRACTS 40
#define PLAN_GENERATION 1006 /* of plans: they only read, beside whatever is under way for their contract */
#define OLTS 4 /* three that are saved by nobody, the last one in groups */
#define DEVICES (OLTS + 1)

/* What outlives a worker. */
struct network {
    struct broker broker;
    struct server redis;
    struct sn_schemas *schemas;
    atomic_int on_device[DEVICES]; /* threads in an exchange there */
    atomic_int on_contract[CONTRACTS];
    atomic_llong generation[CONTRACTS];
    atomic_int writes;
    unsigned fail_every; /* each n-th exchange finds the link broken; 0 = none */
    atomic_uint exchanges;
};

struct worker {
    struct network *network;
    struct sn_fleet fleet;
    struct sn_log log;
    struct sn_redact *redact;
    struct sn_secret_store *secrets;
    struct sn_consumer consumer;
    struct sn_publisher publisher;
    struct sn_keeper *keeper;
};

void network_init(struct network *n);
void network_fini(struct network *n);
/* with_broker: consumer and publisher turn; else only keeper and lanes do. driver NULL: the watching one. */
void worker_start(struct worker *w, struct network *n, const char *name, int64_t ttl_ms);
/* drain: what is in hand is finished first; else lanes end with whatever they hold. */
void worker_stop(struct worker *w, bool drain);
/* As an operator does it. */
void worker_pause(struct worker *w, struct sn_device *d);
void worker_resume(struct worker *w, struct sn_device *d);

/* Waits for the condition, at most so long; what it waits for is said when it fails. */
void wait_for(bool (*condition)(void *arg), void *arg, int64_t timeout_ms, const char *what);

#endif
