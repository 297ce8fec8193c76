/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RabbitMQ as the rest of the worker sees it. Only this folder includes amqp.h. Facts: docs/protocols/rabbitmq.md.
 *
 * Three users of the broker, each with its own connection (a connection belongs to one thread):
 *  - the consumer: deliveries in, acknowledgements out. It reconnects by itself and consumes again what was wanted;
 *    deliveries of a lost link are dead: their acks are dropped, never sent on the new link.
 *  - the publisher: publications in, confirms out. mandatory; return-before-ack = RETURNED. It repeats after a lost
 *    link or a nack until confirmed (what is published is idempotent by its own key), so a caller never has to.
 *  - the client: silverctl and short-lived work (declare topology): blocking calls with deadlines.
 * Thread: said at each of the three; the topology's functions are the client's.
 */
#ifndef SN_WORKER_BROKER_BROKER_H
#define SN_WORKER_BROKER_BROKER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/log.h"

/* Borrowed strings; must outlive the connection objects. */
struct sn_broker_conf {
    const char *host;
    int port;
    const char *vhost;
    const char *user;
    const char *password;
    const char *name; /* connection_name shown to the broker's operators */
    int heartbeat_s;
    int connect_timeout_ms;
    int rpc_timeout_ms;
    int confirm_timeout_ms; /* no confirm for so long = the link is dead */
    int reconnect_min_ms;   /* jittered exponential backoff */
    int reconnect_max_ms;
    int stall_ms; /* consumer: messages are ready, nothing was delivered for so long = drop the link; 0 = 60000 */
};

/* Longer bodies are cut on receipt: nothing that is meant for us is near it. */
#define SN_BODY_MAX ((size_t)1 << 20)

/* ---- consumer ---- */

/* Headers of ours; integers are 0 and strings "" when absent. x-death and friends are never read, but for the reason of
 * the first death. */
/* A device queue throws a message out that was taken back more often than this (docs/protocols/rabbitmq.md). */
#define SN_DEVICE_DELIVERY_LIMIT 1000

struct sn_headers {
    int64_t attempt;      /* silver-attempt: attempts that were spent */
    int64_t first_failed; /* silver-first-failed, Unix ms */
    char origin[96];      /* silver-origin: queue that a retry returns to */
    char code[SN_CODE_MAX];
    char replay[64]; /* silver-replay: request/n */
    char traceparent[64];
    char first_death[32]; /* x-first-death-reason: "delivery_limit" marks poison */
    int64_t deliveries;   /* x-delivery-count: how often the broker has taken this copy back; 0 at first */
};

struct sn_delivery {
    uint64_t link; /* which connection it came on: an ack for another one is dropped */
    uint64_t tag;
    bool redelivered;
    char queue[96];
    char routing_key[256];
    char content_type[64];
    char message_id[64];
    char reply_to[256];
    char correlation_id[64];
    int64_t published_ms; /* timestamp property in ms, 0 when absent */
    struct sn_headers headers;
    char *body; /* owned, NUL-terminated */
    size_t len;
    uint64_t full_len; /* more than len when the body was over SN_BODY_MAX and was cut: to be rejected */
};
/* Wipes the body (it may hold a secret). Safe on NULL. */
void sn_delivery_free(struct sn_delivery *d);

struct sn_consumer;

/* Called on the consumer's thread. */
struct sn_consumer_ops {
    void (*delivered)(void *arg, struct sn_delivery *d); /* takes ownership */
    void (*link_up)(void *arg, uint64_t link);
    void (*link_down)(void *arg, uint64_t link, const char *why); /* every delivery of this link is lost */
    /* The broker cancelled a consumer (queue deleted): the consumer has already declared the link dead; informative. */
    void (*cancelled)(void *arg, const char *queue);
    /* Once a turn, at least when due: timers. Returns the monotonic time of the next wanted call, 0 = none. */
    int64_t (*turn)(void *arg, int64_t now_ms);
};

int sn_consumer_new(const struct sn_broker_conf *conf, const struct sn_consumer_ops *ops, void *arg,
                    const struct sn_log *log, struct sn_consumer **ret, struct sn_error *err) SN_MUSTCHECK;
/* The thread's body: connects, consumes, reconnects, until sn_consumer_stop(); what was asked for before the stop is
 * sent, then it closes politely and returns. While it connects, turn() waits (connect_timeout_ms, and the resolver's
 * time when host is a name). On a small stack it runs on a thread of its own (docs/protocols/rabbitmq.md, "Client
 * library"). */
void sn_consumer_run(struct sn_consumer *c);
/* Any thread, returns at once: */
/* Consume it, now and after each reconnect; a queue that is missing is tried again until it is there. Another prefetch
 * holds from the next start on. */
void sn_consumer_want(struct sn_consumer *c, const char *queue, int prefetch);
/* Cancel, without waiting. What was delivered stays valid; what still comes is given back by the consumer itself. */
void sn_consumer_unwant(struct sn_consumer *c, const char *queue);
void sn_consumer_ack(struct sn_consumer *c, uint64_t link, uint64_t tag);
/* Hand-over: the cancel and the acks leave in one write, in that order, so that the next owner gets the next message
 * and nothing comes here in between. Only when every job of this queue is done: the next owner is fed at once. link and
 * tags of an older link: only the cancel is sent. queue NULL = only acks. */
void sn_consumer_ack_and_unwant(struct sn_consumer *c, uint64_t link, const uint64_t *tags, size_t n,
                                const char *queue);
void sn_consumer_nack(struct sn_consumer *c, uint64_t link, uint64_t tag); /* give back untouched (requeue) */
/* An exclusive auto-delete queue of our own, bound to exchange with key, declared anew on each link and consumed
 * without acknowledgement (acks for its deliveries are ignored). Missing exchange or a name still held by a dying link:
 * tried again. */
void sn_consumer_own_queue(struct sn_consumer *c, const char *queue, const char *exchange, const char *key, int ttl_ms);
void sn_consumer_wake(struct sn_consumer *c); /* turn() is called soon */
void sn_consumer_stop(struct sn_consumer *c);
void sn_consumer_free(struct sn_consumer *c);
/* For health: link is up; monotonic ms of the last turn; why it is down ("" when up). */
bool sn_consumer_state(struct sn_consumer *c, int64_t *ret_last_turn_ms, char *ret_why, size_t size);

/* ---- publisher ---- */

enum sn_published {
    SN_PUBLISHED_CONFIRMED,
    SN_PUBLISHED_RETURNED, /* nobody takes it: no binding, no queue */
    SN_PUBLISHED_STOPPED,  /* the publisher was stopped before it knew */
};

/* All owned by the publisher after sn_publisher_send(). */
struct sn_publication {
    struct sn_publication *next;
    char exchange[96];
    char routing_key[256];
    char content_type[64];
    char type[64];
    char message_id[64];
    char correlation_id[64];
    struct sn_headers headers;
    int64_t delay_level_ms; /* silver-delay header for silver.retry, 0 = none */
    bool transient;         /* delivery_mode 1, no mandatory: replies of the ctl road */
    char *body;
    size_t len;
    /* Called once, on the publisher's thread (STOPPED for what was sent too late: by sn_publisher_free()); the
     * publication is freed after it. May be NULL. */
    void (*done)(void *arg, enum sn_published outcome);
    void *arg;
    int64_t published_ms; /* timestamp property; 0 = the first time of sending */
    /* Filled in by the publisher. */
    uint64_t seq;
    int64_t sent_ms;
    int64_t not_before_ms;
    bool returned;
};
/* NULL on memory or when a name does not fit; the body is taken in any case (freed on NULL). */
struct sn_publication *sn_publication_new(const char *exchange, const char *routing_key, char *body_owned, size_t len);
void sn_publication_free(struct sn_publication *p);

struct sn_publisher;
int sn_publisher_new(const struct sn_broker_conf *conf, const struct sn_log *log, struct sn_publisher **ret,
                     struct sn_error *err) SN_MUSTCHECK;
void sn_publisher_run(struct sn_publisher *p);                              /* the thread's body */
void sn_publisher_send(struct sn_publisher *p, struct sn_publication *pub); /* any thread, returns at once */
/* Stops when everything queued is confirmed, or at the deadline (monotonic ms; then done() is called with STOPPED). */
void sn_publisher_stop(struct sn_publisher *p, int64_t deadline_ms);
void sn_publisher_free(struct sn_publisher *p);
/* True when everything flows; else ret_why says why not: no link, blocked by an alarm, a publication that is refused.
 */
bool sn_publisher_state(struct sn_publisher *p, size_t *ret_waiting, int64_t *ret_last_turn_ms, char *ret_why,
                        size_t size);

/* ---- client: one thread at a time; deadlines are monotonic ms ---- */

struct sn_broker_client;
int sn_broker_client_open(const struct sn_broker_conf *conf, struct sn_broker_client **ret,
                          struct sn_error *err) SN_MUSTCHECK;
void sn_broker_client_close(struct sn_broker_client *c);
/* Publishes and waits for the confirm. err->code broker.unroutable when returned. Takes ownership of pub. */
int sn_broker_client_publish(struct sn_broker_client *c, struct sn_publication *pub, int64_t deadline_ms,
                             struct sn_error *err) SN_MUSTCHECK;
/* Sends a ctl request (direct reply-to) and waits for replies: calls on_reply for each JSON reply until it returns true
 * (last). */
int sn_broker_client_call(struct sn_broker_client *c, const char *exchange, const char *routing_key,
                          const json_t *request, int64_t deadline_ms, bool (*on_reply)(void *arg, const json_t *reply),
                          void *arg, struct sn_error *err) SN_MUSTCHECK;
/* Ready messages and consumers of a queue; err->code broker.no-queue when absent. */
int sn_broker_client_queue(struct sn_broker_client *c, const char *queue, int *ret_ready, int *ret_consumers,
                           struct sn_error *err) SN_MUSTCHECK;

/* ---- topology ---- */

struct sn_ladder {
    int64_t level_ms[5];
};
/* Everything that does not depend on a device: exchanges, intake, ledger, levels, ctl. Idempotent. What exists with
 * other arguments: broker.topology-differs, with the argument's name. */
int sn_topology_base(struct sn_broker_client *c, const struct sn_ladder *ladder, struct sn_error *err) SN_MUSTCHECK;
/* silver.device.<id> and its .bulk with their bindings. Idempotent. */
int sn_topology_device(struct sn_broker_client *c, const char *device_id, struct sn_error *err) SN_MUSTCHECK;
/* Compares exchanges and queues with their arguments without changing anything; each difference as one line through
 * say(). Bindings cannot be read over AMQP: base and device make them anew. Returns the number of differences, -1 on
 * error. device_ids ends with NULL; may be NULL. */
int sn_topology_check(struct sn_broker_client *c, const struct sn_ladder *ladder, const char *const *device_ids,
                      void (*say)(void *arg, const char *line), void *arg, struct sn_error *err) SN_MUSTCHECK;
/* The table that both work from, as JSON (silverctl topology). New reference. */
json_t *sn_topology_describe(const struct sn_ladder *ladder, const char *const *device_ids);

#endif
