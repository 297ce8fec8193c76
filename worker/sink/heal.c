/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/heal.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/sink/restore.h"

#define SAY_AGAIN_MS 10000 /* the same reason is logged so often at most */

struct sn_heal {
    struct sn_heal_conf conf;
    struct sn_ledger *ledger;
    const struct sn_log *log;
    struct sn_store *store;
    pthread_t thread;
    int event_fd;
    atomic_bool stop;
    int64_t said_ms;
    int contracts;
    int gates;
};

static int put_contract(void *arg, const struct sn_restored_contract *c, struct sn_error *err)
{
    struct sn_heal *h = arg;
    json_t *by_uid = json_object();
    char owner[200];
    size_t i;
    json_t *item;
    int rc;

    if (by_uid == NULL)
        return sn_error_oom(err);
    (void)snprintf(owner, sizeof(owner), "%s/%s", c->ns, c->contract_id);
    json_array_foreach (c->records, i, item) {
        json_t *record = json_object_get(item, "record");
        if (json_is_object(json_object_get(record, "record")))
            record = json_object_get(record, "record");
        if (json_is_object(record))
            (void)json_object_set(by_uid, json_string_value(json_object_get(item, "uid")), record);
    }
    rc = sn_store_restore(h->store, owner, c->generation, c->rev, c->event, c->ref, by_uid, err);
    json_decref(by_uid);
    h->contracts++;
    return rc;
}

static int put_gate(void *arg, const struct sn_restored_gate *g, struct sn_error *err)
{
    struct sn_heal *h = arg;
    json_t *gate = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "state", "closed", "lock", "person", "code", g->code, "why", g->why,
                             "by", g->by, "since", (json_int_t)g->since_ms, "until", (json_int_t)g->until_ms);
    int rc;

    if (gate == NULL)
        return sn_error_oom(err);
    rc = sn_store_gate_put(h->store, g->uid, gate, err);
    json_decref(gate);
    h->gates++;
    return rc;
}

/* Everything that was said so far is in the tables: else an old record would come back. */
static int drained(struct sn_heal *h, struct sn_error *err)
{
    struct sn_broker_client *client;
    struct sn_ledger_state state;
    int ready = 0;
    int consumers;
    int rc;

    if (sn_broker_client_open(h->conf.broker, &client, err) != 0)
        return -1;
    rc = sn_broker_client_queue(client, "silver.ledger", &ready, &consumers, err);
    sn_broker_client_close(client);
    sn_ledger_state(h->ledger, &state);
    if (rc == 0 && (ready > 0 || state.waiting > 0 || !state.database_up || !state.broker_up))
        rc = sn_error_set(err, "ledger.not-drained", "%d results are not in the ledger yet", ready + (int)state.waiting);
    return rc;
}

static int heal(struct sn_heal *h, const char *server, struct sn_error *err)
{
    static const struct sn_restore_ops ops = { .contract = put_contract, .gate = put_gate };
    struct sn_pg_error pgerr;
    struct sn_pg *pg;
    int rc;

    if (drained(h, err) != 0)
        return -1;
    if (sn_pg_open(h->conf.database, sn_clock_mono_ms() + h->conf.timeout_ms, &pg, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    h->contracts = 0;
    h->gates = 0;
    rc = sn_ledger_restore(pg, h->conf.timeout_ms, &ops, h, err);
    sn_pg_close(pg);
    (void)SN_FAILPOINT("heal.before-whole", "");
    return rc == 0 ? sn_store_set_whole(h->store, server, err) : -1;
}

static void look(struct sn_heal *h)
{
    struct sn_error err;
    bool whole = true;
    char server[SN_STORE_SERVER_MAX];
    char contracts[16];
    char gates[16];
    int64_t now = sn_clock_mono_ms();

    if (sn_store_is_whole(h->store, &whole, &err) != 0)
        return; /* the keeper of every worker says so already */
    if (whole)
        return;
    sn_store_server(h->store, server);
    if (heal(h, server, &err) != 0) {
        if (h->said_ms == 0 || now - h->said_ms > SAY_AGAIN_MS) {
            sn_log(h->log, SN_LOG_WARN, "heal", "records are not written back yet", "code", err.code, "why", err.text, NULL);
            h->said_ms = now;
        }
        return;
    }
    (void)snprintf(contracts, sizeof(contracts), "%d", h->contracts);
    (void)snprintf(gates, sizeof(gates), "%d", h->gates);
    sn_log(h->log, SN_LOG_INFO, "heal", "records written back: Redis is whole", "contracts", contracts, "gates", gates, NULL);
}

static void *run(void *arg)
{
    struct sn_heal *h = arg;

    while (!atomic_load(&h->stop)) {
        struct pollfd p = { .fd = h->event_fd, .events = POLLIN };
        look(h);
        (void)poll(&p, 1, h->conf.look_every_ms);
    }
    return NULL;
}

int sn_heal_start(const struct sn_heal_conf *conf, struct sn_ledger *ledger, const struct sn_log *log, struct sn_heal **ret,
                  struct sn_error *err)
{
    struct sn_heal *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return sn_error_oom(err);
    h->conf = *conf;
    h->ledger = ledger;
    h->log = log;
    h->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    h->store = sn_store_new(&conf->store);
    if (h->event_fd < 0 || h->store == NULL || pthread_create(&h->thread, NULL, run, h) != 0) {
        if (h->event_fd >= 0)
            (void)close(h->event_fd);
        sn_store_free(h->store);
        free(h);
        return sn_error_set(err, "process.resources", "the healer cannot be started");
    }
    *ret = h;
    return 0;
}

void sn_heal_stop(struct sn_heal *h)
{
    uint64_t one = 1;
    ssize_t n;

    if (h == NULL)
        return;
    atomic_store(&h->stop, true);
    n = write(h->event_fd, &one, sizeof(one));
    (void)n;
    (void)pthread_join(h->thread, NULL);
    (void)close(h->event_fd);
    sn_store_free(h->store);
    free(h);
}
