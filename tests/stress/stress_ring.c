/* SPDX-License-Identifier: Apache-2.0 */
/* The job's way consume -> front lane -> lanes -> publish -> consume, while links break, people pause, owners change and lanes end. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/event/event.h"
#include "world.h"

#define GENERATIONS (PLAN_GENERATION - 1000)
#define FINISH_MS 60000

/* Orders and plans: each is carried out once. */
struct tally {
    struct worker *w;
    atomic_int asked;
    atomic_int done;
    atomic_bool stop;
    atomic_int chaos;
};

static void event_text(int contract, int generation, char *out, size_t size)
{
    (void)snprintf(out, size,
                   "{\"schema\":\"silver.event/1\",\"id\":\"00000000-0000-4000-8000-%06d%06d\",\"type\":\"contract.plan_changed\","
                   "\"occurred_at\":\"2026-11-23T04:00:00Z\",\"generation\":%d,\"source\":{\"system\":\"odoo\",\"database\":\"prod\"},"
                   "\"contract\":{\"id\":%d,\"ref\":\"CT-%d\"},\"service\":{\"state\":\"active\","
                   "\"plan\":{\"code\":\"FTTH\",\"down_kbps\":%d,\"up_kbps\":1000},"
                   "\"access\":{\"server\":\"server\",\"username\":\"u%d\",\"password\":\"secret-%d\"},"
                   "\"onu\":{\"device\":\"olt-%d\",\"serial\":\"HWTC%08d\",\"frame\":0,\"slot\":1,\"port\":1,\"line_profile\":\"10\","
                   "\"service_profile\":\"10\",\"services\":[{\"name\":\"i\",\"gemport\":1,\"vlan\":100}]}}}",
                   contract, generation, 1000 + generation, contract + 1, contract, 1000 + generation, contract, contract,
                   contract % OLTS + 1, contract);
}

/* Every generation of every contract, in no order. */
static void publish_all(struct network *n)
{
    static bool out[CONTRACTS][GENERATIONS];

    memset(out, 0, sizeof(out));
    for (int left = CONTRACTS * GENERATIONS; left > 0;) {
        int c = (int)sn_random_below(CONTRACTS);
        int g = (int)sn_random_below(GENERATIONS);
        char text[2048];
        char id[64];
        char queue[64];
        char ref[32];
        if (out[c][g])
            continue;
        out[c][g] = true;
        left--;
        event_text(c, g, text, sizeof(text));
        (void)snprintf(id, sizeof(id), "00000000-0000-4000-8000-%06d%06d", c, g);
        (void)snprintf(queue, sizeof(queue), "silver.device.olt-%d%s", c % OLTS + 1, sn_random_below(2) == 0 ? ".bulk" : "");
        (void)snprintf(ref, sizeof(ref), "CT-%d", c);
        broker_publish(&n->broker, queue, id, ref, g, text);
    }
}

static bool all_finished(void *arg)
{
    int messages;
    int events;

    broker_open(arg, &messages, &events);
    return messages == 0 && events == 0;
}

static void check_fates(struct network *n)
{
    for (int i = 0; i < n->broker.fates_n; i++) {
        const struct fate *f = &n->broker.fates[i];
        bool newest = f->generation == GENERATIONS - 1;
        if (strcmp(f->outcome, "applied") != 0 && strcmp(f->outcome, "unchanged") != 0 &&
            (newest || strcmp(f->outcome, "superseded") != 0))
            broker_fault(&n->broker, f->outcome[0] != '\0' ? f->outcome : "no outcome", f->id);
    }
    assert_int_equal(atomic_load(&n->broker.faults), 0);
}

/* ---- what happens meanwhile ---- */

static void counted(struct sn_lane_thread *t, void *arg)
{
    struct tally *all = arg;

    (void)t;
    (void)atomic_fetch_add(&all->done, 1);
}

/* `device test`: a session, between two jobs. */
static void look(struct sn_lane_thread *t, void *arg)
{
    struct sn_verdict v = { 0 };

    (void)sn_lane_session(t, sn_clock_mono_ms() + 1000, &v);
    sn_verdict_fini(&v);
    counted(t, arg);
}

static void planned(void *arg, struct sn_job *job)
{
    struct tally *all = arg;

    (void)job;
    (void)atomic_fetch_add(&all->done, 1);
}

static void plan(struct tally *all)
{
    struct sn_fleet *f = &all->w->fleet;
    struct sn_event_refusal refusal;
    struct sn_event *event = NULL;
    char text[2048];
    struct sn_job *job;

    event_text((int)sn_random_below(CONTRACTS), GENERATIONS, text, sizeof(text));
    if (sn_event_read(&f->policy, text, strlen(text), "application/json", NULL, &event, &refusal) != 0) {
        broker_fault(&all->w->network->broker, refusal.rule, refusal.path);
        return;
    }
    job = sn_job_new(NULL, event, f->inventory, f->log);
    job->dry = true;
    job->dry_done = planned;
    job->dry_arg = all;
    job->device = sn_fleet_device(f, event->routing);
    (void)atomic_fetch_add(&all->asked, 1);
    sn_dispatch_plan(f->dispatch, job);
}

static void order(struct tally *all, struct sn_device *d)
{
    bool front = sn_random_below(8) == 0;

    (void)atomic_fetch_add(&all->asked, 1);
    if (sn_lane_order(front ? all->w->fleet.front : d->lane, front || sn_random_below(8) == 0 ? counted : look, all) != 0)
        (void)atomic_fetch_sub(&all->asked, 1);
}

static void read_state(struct worker *w, struct sn_device *d)
{
    char why[256];
    int ready;
    int unsaved;

    sn_lane_counts(d->lane, &ready, &unsaved);
    (void)sn_device_gate(d);
    (void)sn_dispatch_in_hand(w->fleet.dispatch);
    (void)sn_dispatch_oldest_ms(w->fleet.dispatch);
    (void)sn_keeper_last_turn_ms(w->keeper);
    sn_keeper_why(w->keeper, why, sizeof(why));
}

static void *disturb(void *arg)
{
    struct tally *all = arg;
    struct worker *w = all->w;

    while (!atomic_load(&all->stop)) {
        struct sn_device *d = &w->fleet.devices[sn_random_below(DEVICES)];
        char words[64];
        switch (sn_random_below(40)) {
        case 0:
            consumer_lose_link(&w->consumer);
            break;
        case 1:
        case 2:
            worker_pause(w, d);
            (void)poll(NULL, 0, (int)sn_random_below(10));
            worker_resume(w, d);
            break;
        case 3:
            (void)snprintf(words, sizeof(words), "DEL sn:1:o:%.40s", d->target->uid);
            server_command(&w->network->redis, words);
            break;
        case 4:
        case 5:
            sn_keeper_wake(w->keeper);
            break;
        case 6:
            plan(all);
            break;
        case 7:
        case 8:
        case 9:
            order(all, d);
            break;
        default:
            read_state(w, d);
            break;
        }
        (void)atomic_fetch_add(&all->chaos, 1);
        (void)poll(NULL, 0, 3);
    }
    return NULL;
}

static bool all_carried_out(void *arg)
{
    struct tally *all = arg;

    return atomic_load(&all->done) == atomic_load(&all->asked);
}

/* Disturbs the worker for a while; no order or plan is forgotten. */
static void live(struct worker *w, int64_t ms, bool settle)
{
    struct tally all = { .w = w };
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, disturb, &all), 0);
    (void)poll(NULL, 0, (int)ms);
    atomic_store(&all.stop, true);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    if (settle)
        wait_for(all_carried_out, &all, 20000, "all orders and plans");
    else
        wait_for(all_carried_out, &all, 20000, "the orders of a worker that is about to be stopped");
}

static void nothing_is_lost_and_nothing_twice(void **state)
{
    static struct network n;
    struct worker w;

    (void)state;
    network_init(&n);
    n.broker.return_every = 97;
    n.fail_every = 211;
    worker_start(&w, &n, "ring", 500);
    publish_all(&n);
    live(&w, 4000, true);
    wait_for(all_finished, &n.broker, FINISH_MS, "every message and every event");
    worker_stop(&w, true);
    assert_true(atomic_load(&n.writes) >= CONTRACTS);
    check_fates(&n);
    network_fini(&n);
}

/* Lanes end with jobs in every state; the next worker of the same fleet ends what they left. */
static void lanes_that_end_lose_nothing(void **state)
{
    static struct network n;
    struct worker w;

    (void)state;
    network_init(&n);
    publish_all(&n);
    for (int life = 0; life < 3; life++) {
        worker_start(&w, &n, "ends", 500);
        live(&w, 700, false);
        worker_stop(&w, false);
    }
    worker_start(&w, &n, "last", 500);
    wait_for(all_finished, &n.broker, FINISH_MS, "every message and every event");
    worker_stop(&w, true);
    check_fates(&n);
    network_fini(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_nothing_twice),
        cmocka_unit_test(lanes_that_end_lose_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
