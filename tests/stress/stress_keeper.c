/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two workers want the same devices: claims, renewals, losses, cuts of sockets, pauses and probes, while lanes open and close sessions.
 * At no moment may both write to a device; no socket but that of a lost session is ever shut down.
 */
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
#include "world.h"

#define TTL_MS 400
#define WORKERS 2

struct quarrel {
    struct network network;
    struct worker workers[WORKERS];
    atomic_bool stop;
    atomic_int sessions;    /* that orders found open, or opened */
    atomic_int refused;     /* because the device was not theirs */
    atomic_int seen_owned;  /* moments at which somebody might write */
    atomic_int victims;
};

/* ---- who may write ---- */

/* First one, then the other, then the first again under the same epoch: true three times means that both might write at once. */
static void both_may_write(struct quarrel *q, size_t i)
{
    struct sn_fleet *a = &q->workers[0].fleet;
    struct sn_fleet *b = &q->workers[1].fleet;
    int64_t epoch_a = atomic_load(&a->devices[i].epoch);
    int64_t epoch_b = atomic_load(&b->devices[i].epoch);
    bool first = sn_fleet_may_write(a, &a->devices[i], epoch_a);
    bool other = sn_fleet_may_write(b, &b->devices[i], epoch_b);

    if (first || other)
        (void)atomic_fetch_add(&q->seen_owned, 1);
    if (first && other && sn_fleet_may_write(a, &a->devices[i], epoch_a))
        broker_fault(&q->network.broker, "two workers may write", a->devices[i].target->id);
}

static void *observe(void *arg)
{
    struct quarrel *q = arg;

    while (!atomic_load(&q->stop)) {
        for (size_t i = 0; i < OLTS; i++)
            both_may_write(q, i);
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

/* ---- sessions ---- */

static void use_session(struct sn_lane_thread *t, void *arg)
{
    struct quarrel *q = arg;
    struct sn_verdict v = { 0 };

    if (sn_lane_session(t, sn_clock_mono_ms() + 1000, &v) == 0)
        (void)atomic_fetch_add(&q->sessions, 1);
    else
        (void)atomic_fetch_add(&q->refused, 1);
    sn_verdict_fini(&v);
    if (sn_random_below(2) == 0)
        sn_lane_close_session(t, 0);
}

static void close_gate(struct worker *w, struct sn_device *d)
{
    struct sn_verdict v = { 0 };

    sn_verdict_set(&v, SN_UNREACHABLE, "stress.closed", "for a moment");
    sn_fleet_gate_closed(&w->fleet, d, &v);
    sn_verdict_fini(&v);
}

static void *order(void *arg)
{
    struct quarrel *q = arg;

    while (!atomic_load(&q->stop)) {
        struct worker *w = &q->workers[sn_random_below(WORKERS)];
        struct sn_device *d = &w->fleet.devices[sn_random_below(DEVICES)];
        assert_int_equal(sn_lane_order(d->lane, use_session, q), 0);
        if (sn_random_below(50) == 0) {
            worker_pause(w, d);
            worker_resume(w, d);
        }
        if (sn_random_below(20) == 0)
            close_gate(w, d);
        (void)poll(NULL, 0, 1);
    }
    return NULL;
}

/* Connections of somebody else: their numbers are those that sessions have just given back. */
static void *be_a_victim(void *arg)
{
    struct quarrel *q = arg;

    while (!atomic_load(&q->stop)) {
        int pair[2];
        struct pollfd p = { .events = POLLIN };
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        p.fd = pair[0];
        if (poll(&p, 1, 1) != 0)
            broker_fault(&q->network.broker, "somebody else's connection was shut down", "");
        (void)close(pair[0]);
        (void)close(pair[1]);
        (void)atomic_fetch_add(&q->victims, 1);
    }
    return NULL;
}

/* ---- Redis ---- */

static void *forget(void *arg)
{
    struct quarrel *q = arg;

    while (!atomic_load(&q->stop)) {
        char words[128];
        switch (sn_random_below(6)) {
        case 0: /* an owner record is gone, as after a flush */
            (void)snprintf(words, sizeof(words), "DEL sn:1:o:olt-%u", sn_random_below(OLTS) + 1);
            break;
        case 1: /* it is somebody's who does not live any more */
            (void)snprintf(words, sizeof(words), "HSET sn:1:o:olt-%u worker gone epoch 1 released 0", sn_random_below(OLTS) + 1);
            break;
        case 2:
        case 3: /* silent for a while, also longer than a session lives: whoever comes first has the devices */
            (void)snprintf(words, sizeof(words), "CLIENT PAUSE %u ALL", 50 + sn_random_below(600));
            break;
        default:
            (void)snprintf(words, sizeof(words), "PING");
            sn_keeper_wake(q->workers[sn_random_below(WORKERS)].keeper);
            break;
        }
        server_command(&q->network.redis, words);
        (void)poll(NULL, 0, (int)(20 + sn_random_below(200)));
    }
    return NULL;
}

static void one_writer_and_no_stranger_cut(void **state)
{
    static struct quarrel q;
    void *(*const parts[])(void *) = { observe, order, order, be_a_victim, be_a_victim, forget };
    pthread_t threads[sizeof(parts) / sizeof(parts[0])];

    (void)state;
    network_init(&q.network);
    worker_start(&q.workers[0], &q.network, "ana", TTL_MS);
    worker_start(&q.workers[1], &q.network, "bea", TTL_MS);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, parts[i], &q), 0);
    (void)poll(NULL, 0, 6000);
    atomic_store(&q.stop, true);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        (void)pthread_join(threads[i], NULL);
    worker_stop(&q.workers[0], true);
    worker_stop(&q.workers[1], true);
    print_message("sessions %d, refused %d, moments with a writer %d, victims %d\n", atomic_load(&q.sessions), atomic_load(&q.refused),
                  atomic_load(&q.seen_owned), atomic_load(&q.victims));
    assert_true(atomic_load(&q.sessions) > 10);
    assert_true(atomic_load(&q.refused) > 10);
    assert_true(atomic_load(&q.seen_owned) > 10);
    assert_int_equal(atomic_load(&q.network.broker.faults), 0);
    network_fini(&q.network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_writer_and_no_stranger_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
