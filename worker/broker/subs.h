/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queues that the consumer wants, and how far each is; private to this folder. Sends on the link, never waits.
 *
 *     idle → asking (is it there?) → [binding, own queues] → starting (basic.consume sent) → active → cancelling → idle
 *
 * The question goes out on the ask channel, where a 404 disturbs nobody. A lost link makes all idle again, and what is
 * wanted begins anew. The consumer tag is the queue's name. Thread: the consumer's.
 */
#ifndef SN_WORKER_BROKER_SUBS_H
#define SN_WORKER_BROKER_SUBS_H

#include "worker/broker/amqp.h"

#include <uthash.h>

enum sn_sub_state { SN_SUB_IDLE, SN_SUB_ASKING, SN_SUB_BINDING, SN_SUB_STARTING, SN_SUB_ACTIVE, SN_SUB_CANCELLING };

/* One queue that is, or was, wanted. Lives as long as the consumer. */
struct sn_sub {
    char queue[96];
    enum sn_sub_state state;
    bool wanted;
    bool own; /* declared by us: exclusive, auto-delete, no acks */
    bool said_missing;
    int prefetch;
    char exchange[96]; /* of an own queue */
    char key[256];
    int ttl_ms;
    uint64_t asked;    /* order of the unanswered request on the ask channel, 0 = none */
    int64_t ask_at_ms; /* not before */
    uint64_t started;  /* order of the unanswered basic.consume, 0 = none */
    int failures;      /* links in a row that ended at it */
    size_t unacked;
    int64_t moved_ms; /* last delivery, or ack, or start, or last look of the watchdog */
    int stall_seen;   /* looks in a row that found ready messages and no delivery */
    int stalls;       /* links in a row that were dropped for it */
    UT_hash_handle hh;
};

struct sn_subs {
    struct sn_sub *table;
    struct sn_amqp *link;
    const struct sn_log *log;
    int stall_ms;
    uint64_t asked_last, started_last;
    bool reopening; /* the ask channel */
};

/* NULL when unknown. */
struct sn_sub *sn_subs_find(struct sn_subs *t, const void *queue, size_t len);
/* Finds or makes; NULL on memory or when the name does not fit. */
struct sn_sub *sn_subs_get(struct sn_subs *t, const char *queue);
/* The link is gone. */
void sn_subs_forget_link(struct sn_subs *t, int64_t now_ms);
void sn_subs_fini(struct sn_subs *t);

/* Sends what is due: questions for wanted queues, looks of the watchdog. */
int sn_subs_turn(struct sn_subs *t, int64_t now_ms, struct sn_error *err) SN_MUSTCHECK;
/* When the next of those is due, at most `until`. */
int64_t sn_subs_due(const struct sn_subs *t, int64_t until_ms);
int sn_subs_cancel(struct sn_subs *t, struct sn_sub *s, struct sn_error *err) SN_MUSTCHECK;
/* Events: answers and close of the ask channel, consume-ok and cancel-ok. -1 = the link is to be dropped. */
int sn_subs_handle(struct sn_subs *t, const struct sn_amqp_event *ev, int64_t now_ms,
                   struct sn_error *err) SN_MUSTCHECK;

#endif
