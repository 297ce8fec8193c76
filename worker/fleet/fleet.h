/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all threads of one worker share: settings, the devices of the inventory, the lease, the roads out. Made by main before the
 * first thread starts and freed after the last one ended; immutable but for what is atomic or has its own lock.
 * Thread: any, except init and fini (main).
 */
#ifndef SN_WORKER_FLEET_FLEET_H
#define SN_WORKER_FLEET_FLEET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/log.h"
#include "common/event/event.h"
#include "common/inventory/inventory.h"
#include "common/secret/secret.h"
#include "worker/broker/broker.h"
#include "worker/fleet/device.h"
#include "worker/fleet/gate.h"
#include "worker/fleet/store.h"

struct sn_dispatch;
struct sn_lane;

struct sn_fleet_conf {
    char worker[128];         /* <name>/<8 hex of start> */
    char name[64];
    struct sn_store_conf store;
    struct sn_broker_conf broker;
    struct sn_ladder ladder;
    struct sn_gate_conf gate;
    int64_t store_check_ms;    /* the store's policy and clock are looked at so often */
    int64_t session_ttl_ms;
    int64_t session_margin_ms; /* a lease is over for us so much earlier than for Redis */
    int64_t settle_ms;         /* session_settle */
    int64_t save_every_ms;
    int64_t idle_close_ms;
    int64_t job_deadline_ms;   /* of one visit to one target */
    int64_t connect_timeout_ms;
    int64_t hold_max_ms;
    int64_t store_retry_ms;    /* the store was unsure: ask again after this */
    int attempts_max;
    int rounds_max;
    int crash_max;
    int pool_threads;          /* lanes of a shared target */
    int front_threads;
    size_t log_bytes;          /* transcript of one run */
};

struct sn_fleet {
    struct sn_fleet_conf conf;
    const struct sn_log *log;
    struct sn_redact *redact;
    struct sn_metrics *metrics; /* of worker/metrics.h; NULL = nothing is measured */
    const struct sn_secret_store *secrets;
    struct sn_event_policy policy;
    struct sn_inventory *inventory;
    struct sn_device *devices;
    size_t devices_n;
    struct sn_publisher *publisher;
    struct sn_consumer *consumer;
    struct sn_dispatch *dispatch;
    struct sn_lane *front;          /* admission: belongs to no target */
    atomic_llong lease_until_ms;    /* monotonic; 0 = no lease */
    atomic_llong skew_ms;           /* the store's clock minus ours, as last seen */
    atomic_bool unsure;             /* the store does not answer: nothing is written anywhere */
    atomic_bool stopping;           /* nothing new is begun */
    atomic_bool halted;             /* nothing more is written: what was sent is answered, the rest goes back */
    atomic_ullong jobs_done;
};

/* Devices of fleet->inventory, which is set before. Refuses a driver that is not built in, with the line. */
int sn_fleet_init(struct sn_fleet *fleet, struct sn_error *err) SN_MUSTCHECK;
void sn_fleet_fini(struct sn_fleet *fleet);
struct sn_device *sn_fleet_device(const struct sn_fleet *fleet, const char *id);
struct sn_device *sn_fleet_device_by_uid(const struct sn_fleet *fleet, const char *uid);

/* May something of this routing device be written now? The last check before bytes leave. Any thread. */
bool sn_fleet_may_write(const struct sn_fleet *fleet, const struct sn_device *routing, int64_t epoch);

/* Tells the consumer what to consume: owned, ready, gate open, not stopping. Any thread. */
void sn_fleet_update_consuming(struct sn_fleet *fleet, struct sn_device *device);

/* Gate changes: log, metric, what the consumer is told. The keeper writes the copy in Redis at its next turn. Any thread. */
void sn_fleet_gate_closed(struct sn_fleet *fleet, struct sn_device *device, const struct sn_verdict *cause);
/* A job failed for good; closes the gate when it was one equal failure too many. */
void sn_fleet_gate_failure(struct sn_fleet *fleet, struct sn_device *device, const char *code, const char *contract);
void sn_fleet_gate_opened(struct sn_fleet *fleet, struct sn_device *device, const char *why);
/* The probe of a closed gate failed: asked again later, or only after a person has looked. */
void sn_fleet_probe_failed(struct sn_fleet *fleet, struct sn_device *device, const struct sn_verdict *cause);

#endif
