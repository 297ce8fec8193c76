/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker says of itself over HTTP: /healthz (loops turn; ?verbose = why nothing moves), /readyz, /metrics. The
 * state of broker, Redis and devices are facts and metrics, never a failed probe: a restart repairs none of them.
 * Thread: the HTTP server's; reads atomics and takes device locks briefly.
 */
#ifndef SN_WORKER_HEALTH_H
#define SN_WORKER_HEALTH_H

#include "common/http/http.h"
#include "worker/fleet/fleet.h"
#include "worker/fleet/keeper.h"
#include "worker/sink/ledger.h"

/* Borrowed parts of the process; those of a role that it does not have are NULL. */
struct sn_health {
    struct sn_fleet *fleet;
    struct sn_keeper *keeper;
    struct sn_ledger *ledger;
    struct sn_metrics *metrics;
    int64_t stall_ms;               /* a loop that did not turn for so long is stuck */
    struct sn_http_route routes[3]; /* filled by sn_health_serve() */
};

/* Serves; *ret is stopped with sn_http_server_stop(). health must outlive it. */
int sn_health_serve(struct sn_health *health, const char *address, int port, struct sn_http_server **ret,
                    struct sn_error *err) SN_MUSTCHECK;

#endif
