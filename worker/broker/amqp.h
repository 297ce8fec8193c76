/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One AMQP connection without the traps of librabbitmq 0.11 (docs/protocols/rabbitmq.md, "Client library"); private to
 * this folder.
 *
 * Everything arrives through sn_amqp_next(), one event at a time and in the order of the wire, without ever waiting
 * inside a half received message. After any -1 the link is dead: sn_amqp_close() it and open a new one. Thread: one
 * thread per struct sn_amqp.
 */
#ifndef SN_WORKER_BROKER_AMQP_H
#define SN_WORKER_BROKER_AMQP_H

#include <amqp.h>
#include <amqp_framing.h>

#include "worker/broker/broker.h"

/* Channels of every link: work carries deliveries or publications; ask is used for what the broker may answer by
 * closing the channel (a queue that does not exist), so that the work is not disturbed. */
enum { SN_AMQP_WORK = 1, SN_AMQP_ASK = 2 };

struct sn_amqp_event {
    amqp_channel_t channel;
    amqp_method_number_t id;
    const void *method;                   /* decoded; valid until the next call */
    const amqp_basic_properties_t *props; /* of deliver and return; valid until the next call */
    char *body; /* of deliver and return: NUL-terminated; belongs to the link until taken (set to NULL) */
    size_t len;
    uint64_t full_len; /* as announced; more than len when the body was over SN_BODY_MAX and was cut */
};

struct sn_amqp {
    amqp_connection_state_t state; /* NULL when closed */
    bool blocked;                  /* the broker takes no publications now (memory or disk alarm) */
    bool content;                  /* event is being assembled */
    bool header_seen;
    uint64_t body_seen;
    struct sn_amqp_event event;
    char version[32]; /* of the broker */
};

/* Connects, logs in, opens channel SN_AMQP_WORK. role is appended to the connection's name. Safe on a closed struct
 * only. */
int sn_amqp_open(struct sn_amqp *a, const struct sn_broker_conf *conf, const char *role,
                 struct sn_error *err) SN_MUSTCHECK;
/* polite: says goodbye and waits for the answer (a second at most). Safe on a closed one. */
void sn_amqp_close(struct sn_amqp *a, bool polite);
/* -1 once the library has closed the socket. */
int sn_amqp_fd(const struct sn_amqp *a);

/* 1 = *ret is an event, 0 = nothing within timeout_ms, -1 = the link is dead. Heartbeats are sent and judged in here,
 * connection.close is answered and becomes -1, blocked is kept, channel.close is answered and handed out. */
int sn_amqp_next(struct sn_amqp *a, int timeout_ms, const struct sn_amqp_event **ret,
                 struct sn_error *err) SN_MUSTCHECK;
char *sn_amqp_take_body(struct sn_amqp *a, size_t *ret_len);

/* Sends one method without waiting for an answer. */
int sn_amqp_send(struct sn_amqp *a, amqp_channel_t channel, amqp_method_number_t id, void *method,
                 struct sn_error *err) SN_MUSTCHECK;
/* Sends one method and waits for its answer. A channel.close as the answer is -1 with err->code broker.no-queue (404),
 * broker.topology-differs (406) or broker.refused; the link lives and the channel was opened anew (sn_amqp_alive()). */
int sn_amqp_call(struct sn_amqp *a, amqp_channel_t channel, amqp_method_number_t id, void *method,
                 amqp_method_number_t reply_id, const void **ret_reply, struct sn_error *err) SN_MUSTCHECK;
bool sn_amqp_alive(const struct sn_amqp *a);
/* Opens a channel and waits (also anew after the broker closed it). */
int sn_amqp_channel(struct sn_amqp *a, amqp_channel_t channel, struct sn_error *err) SN_MUSTCHECK;
/* Turns confirms on for channel SN_AMQP_WORK. */
int sn_amqp_channel_confirms(struct sn_amqp *a, struct sn_error *err) SN_MUSTCHECK;
/* basic.publish with header silver-seq = seq (a return is matched by it). reply_to may be NULL. */
int sn_amqp_publish(struct sn_amqp *a, const struct sn_publication *pub, uint64_t seq, const char *reply_to,
                    struct sn_error *err) SN_MUSTCHECK;
/* While corked, what is sent is gathered; uncorking sends it in as few segments as possible. */
void sn_amqp_cork(struct sn_amqp *a, bool on);

/* "404 NOT_FOUND - no queue …" of a channel.close or connection.close event. */
void sn_amqp_close_text(const struct sn_amqp_event *ev, char *out, size_t size);
/* "" when the string does not fit or holds a NUL: half a name is no name. */
void sn_amqp_copy(char *out, size_t size, amqp_bytes_t in);
/* What is known to go wrong with this version of the broker, or NULL. */
const char *sn_amqp_version_warning(const char *version);

/* ---- headers.c: pure ---- */

enum { SN_AMQP_HEADERS_MAX = 10 };
struct sn_amqp_headers {
    amqp_table_entry_t entry[SN_AMQP_HEADERS_MAX];
    amqp_table_t table;
};
/* Borrows the strings of *h. */
void sn_headers_encode(const struct sn_headers *h, int64_t delay_level_ms, uint64_t seq, struct sn_amqp_headers *ret);
void sn_headers_decode(const amqp_table_t *table, struct sn_headers *ret);
/* silver-seq of a returned message, 0 when absent. */
uint64_t sn_headers_seq(const amqp_basic_properties_t *props);

/* ---- wake.c: a queue between threads wakes the poll of its reader ---- */

int sn_wake_new(int *ret_fd, struct sn_error *err) SN_MUSTCHECK;
void sn_wake_set(int fd);
void sn_wake_clear(int fd);
/* Waits until the link or the wake has something, at most timeout_ms. link may be closed. */
void sn_wake_poll(int wake_fd, const struct sn_amqp *link, int timeout_ms);

/* Jittered exponential backoff: each wait is between half and the whole of a step that doubles. Pure. */
struct sn_backoff {
    int min_ms, max_ms;
    int step_ms; /* 0 = begin anew */
};
int sn_backoff_next(struct sn_backoff *b, uint32_t random);

#endif
