/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/clock.h"

static const char KEY[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

static const char INVENTORY[] = "schema: silver.inventory/1\n"
                                "targets:\n"
                                "  - {id: olt-1, driver: \"null\", batch_max: 8}\n"
                                "  - {id: olt-2, driver: \"null\", batch_max: 8}\n"
                                "  - {id: olt-3, driver: \"null\", batch_max: 8}\n"
                                "  - {id: olt-4, driver: \"null\", batch_max: 8}\n"
                                "  - {id: server, driver: \"null\"}\n";

/* ---- a device that watches ---- */

/* The null driver's session, and a socket for the keeper to cut. */
struct session {
    void *inner;
    struct network *network;
    int device;
    int fd;
    int peer;
    bool cut;
    struct sn_driver_env env;
};

static struct network *the_network; /* drivers get no argument of their own; set before the threads start */

static int watch_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    struct session *s = calloc(1, sizeof(*s));
    int pair[2];

    if (s == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    s->network = the_network;
    s->device = strcmp(env->target->id, "server") == 0 ? OLTS : atoi(env->target->id + 4) - 1;
    s->fd = pair[0];
    s->peer = pair[1];
    s->env = *env;
    if (sn_driver_find("null")->open(env, deadline_ms, &s->inner, verdict) != 0)
        abort();
    *ret_session = s;
    return 0;
}

static void watch_close(void *session, int64_t deadline_ms)
{
    struct session *s = session;

    sn_driver_find("null")->close(s->inner, deadline_ms);
    (void)close(s->fd);
    (void)close(s->peer);
    (void)sched_yield(); /* the numbers are free: whoever still holds one hits another's connection */
    free(s);
}

static int watch_fd(void *session)
{
    return ((struct session *)session)->fd;
}

static void enter(struct network *n, const struct session *s, int contract)
{
    if (atomic_fetch_add(&n->on_device[s->device], 1) != 0 && s->device != OLTS)
        broker_fault(&n->broker, "two threads on an exclusive device", s->env.target->id);
    if (contract >= 0 && atomic_fetch_add(&n->on_contract[contract], 1) != 0)
        broker_fault(&n->broker, "two lanes with one contract", s->env.target->id);
}

static void write_is_in_order(struct network *n, int contract, const struct sn_want *want)
{
    long long last = atomic_load(&n->generation[contract]);

    (void)atomic_fetch_add(&n->writes, 1);
    if (want->generation < last)
        broker_fault(&n->broker, "an older generation is written after a newer one", want->ref);
    atomic_store(&n->generation[contract], want->generation);
}

static void watch_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms, struct sn_reply *reply)
{
    struct session *s = session;
    struct network *n = s->network;
    int contract = want->generation == PLAN_GENERATION ? -1 : atoi(want->ref + 3) % CONTRACTS;
    struct pollfd p = { .fd = s->fd, .events = POLLIN };

    enter(n, s, contract);
    if (poll(&p, 1, sn_random_below(3) == 0 ? 2 : 0) > 0) { /* an exchange takes its time */
        sn_verdict_set(&reply->verdict, SN_UNREACHABLE, "stress.cut", "the socket was shut down");
    } else if (n->fail_every != 0 && (atomic_fetch_add(&n->exchanges, 1) + 1) % n->fail_every == 0) {
        sn_verdict_set(&reply->verdict, SN_UNREACHABLE, "stress.broken", "the link broke");
    } else {
        if (contract >= 0 && op->kind == SN_WRITE && s->env.may_write(s->env.may_write_arg))
            write_is_in_order(n, contract, want);
        sn_driver_find("null")->exchange(s->inner, want, op, deadline_ms, reply);
    }
    if (contract >= 0)
        (void)atomic_fetch_sub(&n->on_contract[contract], 1);
    (void)atomic_fetch_sub(&n->on_device[s->device], 1);
}

static void watch_commit(void *session, int64_t deadline_ms, struct sn_reply *reply)
{
    struct session *s = session;

    (void)deadline_ms;
    if (atomic_fetch_add(&s->network->on_device[s->device], 1) != 0)
        broker_fault(&s->network->broker, "a save while another thread is on the device", s->env.target->id);
    sn_buf_adds(&reply->text, "saved");
    (void)atomic_fetch_sub(&s->network->on_device[s->device], 1);
}

static struct sn_driver exclusive;
static struct sn_driver saved;
static struct sn_driver pooled;

static void make_drivers(void)
{
    exclusive = *sn_driver_find("null");
    exclusive.open = watch_open;
    exclusive.close = watch_close;
    exclusive.fd = watch_fd;
    exclusive.exchange = watch_exchange;
    saved = exclusive;
    saved.commit_policy = SN_COMMIT_BATCH;
    saved.commit = watch_commit;
    pooled = exclusive;
    pooled.sessions_max = 4;
}

/* ---- a worker ---- */

void network_init(struct network *n)
{
    struct sn_error err;

    memset(n, 0, sizeof(*n));
    server_start(&n->redis);
    broker_init(&n->broker);
    assert_int_equal(sn_schemas_load(&n->schemas, &err), 0);
    the_network = n;
    make_drivers();
}

void network_fini(struct network *n)
{
    broker_fini(&n->broker);
    sn_schemas_free(n->schemas);
    server_stop(&n->redis);
}

static void configure(struct worker *w, const char *name, int64_t ttl_ms)
{
    struct sn_fleet_conf *c = &w->fleet.conf;

    (void)snprintf(c->name, sizeof(c->name), "%s", name);
    (void)snprintf(c->worker, sizeof(c->worker), "%s/%08x", name, sn_random_below(UINT32_MAX));
    c->store = (struct sn_store_conf){ .host = "127.0.0.1", .port = w->network->redis.port, .timeout_ms = 1000 };
    c->ladder = (struct sn_ladder){ { 20, 40, 60, 80, 100 } };
    c->gate = (struct sn_gate_conf){ .probe_min_ms = 10, .probe_max_ms = 50, .equal_failures = 0 };
    c->store_check_ms = 60000;
    c->session_ttl_ms = ttl_ms;
    c->session_margin_ms = ttl_ms / 5;
    c->settle_ms = 20;
    c->save_every_ms = 200;
    c->idle_close_ms = 60000;
    c->job_deadline_ms = 10000;
    c->connect_timeout_ms = 1000;
    c->hold_max_ms = 60000;
    c->store_retry_ms = 20;
    c->attempts_max = 1000;
    c->rounds_max = 12;
    c->crash_max = 1000;
    c->pool_threads = 4;
    c->front_threads = 3;
    c->log_bytes = 65536;
}

static void open_secrets(struct worker *w)
{
    char path[128];
    struct sn_secret_conf conf = { .fleet_key_file = path, .timeout_ms = 1000 };
    struct sn_error err;
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/fleet.key", w->network->redis.folder);
    f = fopen(path, "w");
    assert_non_null(f);
    (void)fputs(KEY, f);
    (void)fclose(f);
    w->redact = sn_redact_new();
    assert_int_equal(sn_secret_store_new(&conf, w->redact, &w->secrets, &err), 0);
}

static void make_fleet(struct worker *w)
{
    struct sn_fleet *f = &w->fleet;
    struct sn_store *store = sn_store_new(&f->conf.store);
    char server[SN_STORE_SERVER_MAX];
    struct sn_error err;
    bool whole;

    f->log = &w->log;
    f->redact = w->redact;
    f->secrets = w->secrets;
    f->policy = (struct sn_event_policy){ .schemas = w->network->schemas, .fleet_key = sn_secret_hash_key(w->secrets),
                                          .seal_public = sn_secret_seal_public(w->secrets), .secrets = w->secrets,
                                          .inline_secrets = true };
    assert_int_equal(sn_inventory_load_text(INVENTORY, strlen(INVENTORY), w->network->schemas, &f->inventory, &err), 0);
    assert_int_equal(sn_fleet_init(f, &err), 0);
    for (size_t i = 0; i < f->devices_n; i++)
        f->devices[i].driver = i == OLTS ? &pooled : i == OLTS - 1 ? &saved : &exclusive;
    assert_int_equal(sn_dispatch_new(f, &f->dispatch, &err), 0);
    f->consumer = &w->consumer;
    f->publisher = &w->publisher;
    assert_int_equal(sn_store_is_whole(store, &whole, &err), 0);
    sn_store_server(store, server);
    assert_int_equal(sn_store_set_whole(store, server, &err), 0);
    sn_store_free(store);
}

void worker_start(struct worker *w, struct network *n, const char *name, int64_t ttl_ms)
{
    struct sn_fleet *f = &w->fleet;
    struct sn_error err;

    memset(w, 0, sizeof(*w));
    w->network = n;
    w->log = (struct sn_log){ .level = SN_LOG_ERROR, .fd = 2 };
    if (getenv("STRESS_LOG") != NULL)
        w->log.level = SN_LOG_DEBUG;
    open_secrets(w);
    configure(w, name, ttl_ms);
    make_fleet(w);
    assert_int_equal(sn_lane_start(f, NULL, f->conf.front_threads, &f->front, &err), 0);
    for (size_t i = 0; i < f->devices_n; i++) {
        struct sn_device *d = &f->devices[i];
        assert_int_equal(sn_lane_start(f, d, d->driver->sessions_max, &d->lane, &err), 0);
    }
    publisher_start(&w->publisher, &n->broker);
    consumer_start(&w->consumer, &n->broker, &sn_dispatch_ops, f->dispatch);
    assert_int_equal(sn_keeper_start(f, "{\"name\":\"stress\"}", &w->keeper, &err), 0);
}

static bool is_drained(void *arg)
{
    struct worker *w = arg;

    sn_consumer_wake(&w->consumer);
    return sn_dispatch_in_hand(w->fleet.dispatch) == 0;
}

void worker_stop(struct worker *w, bool drain)
{
    struct sn_fleet *f = &w->fleet;

    atomic_store(&f->stopping, true);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_fleet_update_consuming(f, &f->devices[i]);
    if (drain)
        wait_for(is_drained, w, 20000, "the worker to be drained");
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_ask_to_stop(f->devices[i].lane, drain);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_stop(f->devices[i].lane, drain);
    sn_lane_stop(f->front, drain);
    sn_keeper_stop(w->keeper);
    publisher_stop(&w->publisher);
    consumer_stop(&w->consumer);
    sn_keeper_free(w->keeper);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_free(f->devices[i].lane);
    sn_lane_free(f->front);
    publisher_fini(&w->publisher);
    sn_dispatch_free(f->dispatch);
    sn_fleet_fini(f);
    sn_inventory_unref(f->inventory);
    sn_secret_store_free(w->secrets);
    sn_redact_free(w->redact);
}

void worker_pause(struct worker *w, struct sn_device *d)
{
    (void)pthread_mutex_lock(&d->lock);
    (void)sn_gate_close_person(&d->gate, "person.pause", "stress", "ops", 0, sn_clock_wall_ms());
    (void)pthread_mutex_unlock(&d->lock);
    sn_fleet_update_consuming(&w->fleet, d);
    sn_keeper_wake(w->keeper);
}

void worker_resume(struct worker *w, struct sn_device *d)
{
    (void)pthread_mutex_lock(&d->lock);
    sn_gate_open_by_person(&d->gate);
    (void)pthread_mutex_unlock(&d->lock);
    sn_fleet_update_consuming(&w->fleet, d);
    sn_keeper_wake(w->keeper);
    sn_lane_wake(d->lane);
}

void wait_for(bool (*condition)(void *arg), void *arg, int64_t timeout_ms, const char *what)
{
    int64_t deadline = sn_clock_mono_ms() + timeout_ms;

    while (!condition(arg)) {
        if (sn_clock_mono_ms() > deadline)
            fail_msg("waited %lld ms for %s, in vain", (long long)timeout_ms, what);
        (void)poll(NULL, 0, 5);
    }
}
