/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker in memory behind the functions of worker/broker that the ring calls: queues, deliveries, confirms, lost links, and books that
 * balance. What it finds wrong (a message settled twice on its link, two different outcomes of one event) it counts in `faults` and says.
 * It stands in for the library only: the real broker has its own tests (tests/system/test_broker.py).
 * Thread: everything is behind one lock.
 */
#ifndef SN_TESTS_STRESS_BROKER_H
#define SN_TESTS_STRESS_BROKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/broker/broker.h"

#define EVENTS_MAX 4096

enum place { READY, DELIVERED, SETTLED };

struct message {
    struct message *next;
    enum place place;
    int64_t not_before_ms;
    uint64_t link;
    uint64_t tag;
    char queue[96];
    char id[64];
    struct sn_headers headers;
    char *body;
    size_t len;
};

/* What became of one event. */
struct fate {
    char id[64];
    char contract[32];
    int64_t generation;
    char outcome[16]; /* "" = none yet */
    int said;         /* how often */
};

struct broker {
    pthread_mutex_t lock;
    struct message *first;
    struct message **last;
    struct fate fates[EVENTS_MAX];
    int fates_n;
    atomic_int faults;
    unsigned return_every; /* each n-th publication is returned; 0 = none */
    atomic_uint published;
};

/* One worker's connections. */
struct sn_consumer {
    struct broker *broker;
    const struct sn_consumer_ops *ops;
    void *arg;
    pthread_t thread;
    pthread_cond_t woken;  /* with broker->lock */
    bool wakes;
    bool stopping;
    bool lose_link;
    uint64_t link;
    uint64_t tag;
    char wanted[32][96];
    int wanted_n;
};

struct sn_publisher {
    struct broker *broker;
    pthread_t thread;
    pthread_cond_t woken; /* with broker->lock */
    struct sn_publication *first;
    struct sn_publication **last;
    bool stopping;
};

void broker_init(struct broker *b);
void broker_fini(struct broker *b);
/* A new event, with its fate to be known later. The body is copied. */
void broker_publish(struct broker *b, const char *queue, const char *id, const char *contract, int64_t generation, const char *body);
/* Messages that are not settled, and events without an outcome. */
void broker_open(struct broker *b, int *ret_messages, int *ret_events);
/* Something is wrong: counted and said. */
void broker_fault(struct broker *b, const char *what, const char *which);

void consumer_start(struct sn_consumer *c, struct broker *b, const struct sn_consumer_ops *ops, void *arg);
void consumer_stop(struct sn_consumer *c);
/* The link breaks: what it delivered and nobody settled is ready again. */
void consumer_lose_link(struct sn_consumer *c);
void publisher_start(struct sn_publisher *p, struct broker *b);
/* What was not confirmed yet is told so. */
void publisher_stop(struct sn_publisher *p);
/* The same for what was sent after its end. */
void publisher_fini(struct sn_publisher *p);

#endif
