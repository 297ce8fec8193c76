/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "worker/broker/amqp.h"
#include "worker/broker/command.h"
#include "worker/broker/subs.h"

enum {
    EVENTS_PER_TURN = 256,
    STALL_DEFAULT_MS = 60000,
    WHY_MAX = SN_ERROR_TEXT_MAX,
    STACK_MIN = 7 << 20, /* bytes */
};

/* Times are said with four digits of the year; a later one is no time. */
#define YEAR_10000_S UINT64_C(253402300800)

/* A delivery that nobody settled yet. */
struct held {
    uint64_t tag;
    struct sn_sub *sub;
    UT_hash_handle hh;
};

struct sn_consumer {
    const struct sn_broker_conf *conf;
    struct sn_consumer_ops ops;
    void *arg;
    const struct sn_log *log;
    int wake_fd;

    /* The consumer's thread only. */
    struct sn_amqp link;
    uint64_t link_no; /* of the link that is up, or was last */
    struct sn_subs subs;
    struct held *held;
    struct sn_backoff backoff;
    int64_t connect_at_ms;
    int64_t up_ms; /* since when the link is up */
    char last_logged[WHY_MAX];

    /* Shared, under lock. */
    pthread_mutex_t lock;
    struct sn_command_list inbox;
    bool lost_command;
    bool stopping;
    int64_t last_turn_ms;
    char why[WHY_MAX];
};

void sn_delivery_free(struct sn_delivery *d)
{
    if (d == NULL)
        return;
    if (d->body != NULL)
        explicit_bzero(d->body, d->len);
    free(d->body);
    free(d);
}

/* ---- link ---- */

static void set_why(struct sn_consumer *c, const char *why)
{
    pthread_mutex_lock(&c->lock);
    (void)snprintf(c->why, sizeof(c->why), "%s", why);
    pthread_mutex_unlock(&c->lock);
}

static void forget_link(struct sn_consumer *c)
{
    struct held *h, *next_held;

    HASH_ITER(hh, c->held, h, next_held)
    {
        HASH_DEL(c->held, h);
        free(h);
    }
    sn_subs_forget_link(&c->subs, sn_clock_mono_ms());
}

static void link_lost(struct sn_consumer *c, const struct sn_error *err)
{
    bool was_up = c->link.state != NULL;

    sn_amqp_close(&c->link, false);
    forget_link(c);
    if (was_up && sn_clock_mono_ms() - c->up_ms > c->conf->reconnect_max_ms)
        c->backoff.step_ms = 0; /* it lived: this is no flapping */
    c->connect_at_ms = sn_clock_mono_ms() + sn_backoff_next(&c->backoff, sn_random_below(UINT32_MAX));
    set_why(c, err->text);
    if (was_up || strcmp(c->last_logged, err->text) != 0) {
        (void)snprintf(c->last_logged, sizeof(c->last_logged), "%s", err->text);
        sn_log(c->log, SN_LOG_WARN, "broker", "no connection to the broker", "connection", "consume", "why", err->text,
               NULL);
    }
    if (was_up && c->ops.link_down != NULL)
        c->ops.link_down(c->arg, c->link_no, err->text);
}

static void connect_when_due(struct sn_consumer *c, int64_t now_ms)
{
    const char *warning;
    struct sn_amqp link;
    struct sn_error err;

    if (c->link.state != NULL || now_ms < c->connect_at_ms)
        return;
    if (sn_amqp_open(&link, c->conf, "consume", &err) != 0) {
        link_lost(c, &err);
        return;
    }
    if (sn_amqp_channel(&link, SN_AMQP_ASK, &err) != 0) {
        sn_amqp_close(&link, false);
        link_lost(c, &err);
        return;
    }
    c->link = link;
    c->link_no++;
    c->up_ms = sn_clock_mono_ms();
    set_why(c, "");
    c->last_logged[0] = '\0';
    sn_log(c->log, SN_LOG_INFO, "broker", "connected to the broker", "connection", "consume", "version", link.version,
           NULL);
    warning = sn_amqp_version_warning(link.version);
    if (warning != NULL)
        sn_log(c->log, SN_LOG_WARN, "broker", warning, "version", link.version, NULL);
    if (c->ops.link_up != NULL)
        c->ops.link_up(c->arg, c->link_no);
}

/* ---- deliveries ---- */

static struct sn_delivery *delivery_of(struct sn_consumer *c, const struct sn_amqp_event *ev)
{
    const amqp_basic_deliver_t *m = ev->method;
    const amqp_basic_properties_t *p = ev->props;
    struct sn_delivery *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->link = c->link_no;
    d->tag = m->delivery_tag;
    d->redelivered = m->redelivered != 0;
    sn_amqp_copy(d->queue, sizeof(d->queue), m->consumer_tag);
    sn_amqp_copy(d->routing_key, sizeof(d->routing_key), m->routing_key);
    if (p->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG)
        sn_amqp_copy(d->content_type, sizeof(d->content_type), p->content_type);
    if (p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG)
        sn_amqp_copy(d->message_id, sizeof(d->message_id), p->message_id);
    if (p->_flags & AMQP_BASIC_REPLY_TO_FLAG)
        sn_amqp_copy(d->reply_to, sizeof(d->reply_to), p->reply_to);
    if (p->_flags & AMQP_BASIC_CORRELATION_ID_FLAG)
        sn_amqp_copy(d->correlation_id, sizeof(d->correlation_id), p->correlation_id);
    if ((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) && p->timestamp < YEAR_10000_S)
        d->published_ms = (int64_t)p->timestamp * 1000;
    if (p->_flags & AMQP_BASIC_HEADERS_FLAG)
        sn_headers_decode(&p->headers, &d->headers);
    d->full_len = ev->full_len;
    d->body = sn_amqp_take_body(&c->link, &d->len);
    return d;
}

static int delivered(struct sn_consumer *c, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    const amqp_basic_deliver_t *m = ev->method;
    struct sn_sub *s = sn_subs_find(&c->subs, m->consumer_tag.bytes, m->consumer_tag.len);
    struct sn_delivery *d;
    struct held *h;

    if (s == NULL || (s->state != SN_SUB_ACTIVE && s->state != SN_SUB_STARTING)) {
        /* It was on its way when we cancelled. */
        amqp_basic_nack_t back = { .delivery_tag = m->delivery_tag, .requeue = 1 };
        return s != NULL && s->own ? 0 : sn_amqp_send(&c->link, SN_AMQP_WORK, AMQP_BASIC_NACK_METHOD, &back, err);
    }
    s->moved_ms = now_ms;
    s->stall_seen = 0;
    s->stalls = 0;
    h = s->own ? NULL : calloc(1, sizeof(*h));
    d = delivery_of(c, ev);
    if (d == NULL || (h == NULL && !s->own)) {
        sn_delivery_free(d);
        free(h);
        return sn_error_oom(err);
    }
    if (h != NULL) {
        h->tag = d->tag;
        h->sub = s;
        HASH_ADD(hh, c->held, tag, sizeof(h->tag), h);
        s->unacked++;
    }
    c->ops.delivered(c->arg, d);
    return 0;
}

static int cancelled_by_broker(struct sn_consumer *c, const struct sn_amqp_event *ev, struct sn_error *err)
{
    const amqp_basic_cancel_t *m = ev->method;
    struct sn_sub *s = sn_subs_find(&c->subs, m->consumer_tag.bytes, m->consumer_tag.len);

    (void)sn_error_set(err, "broker.link-lost", "the broker cancelled the consumer of queue %s",
                       s != NULL ? s->queue : "?");
    link_lost(c, err);
    if (s != NULL && c->ops.cancelled != NULL)
        c->ops.cancelled(c->arg, s->queue);
    return 0;
}

static int handle(struct sn_consumer *c, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    char text[WHY_MAX];

    switch (ev->id) {
    case AMQP_BASIC_DELIVER_METHOD:
        return delivered(c, ev, now_ms, err);
    case AMQP_BASIC_CANCEL_METHOD:
        return cancelled_by_broker(c, ev, err);
    case AMQP_CHANNEL_CLOSE_METHOD:
        if (ev->channel == SN_AMQP_ASK)
            return sn_subs_handle(&c->subs, ev, now_ms, err);
        sn_amqp_close_text(ev, text, sizeof(text));
        return sn_error_set(err, "broker.link-lost", "the broker closed the channel: %s", text);
    default:
        return sn_subs_handle(&c->subs, ev, now_ms, err);
    }
}

static int receive(struct sn_consumer *c, int64_t now_ms, struct sn_error *err)
{
    const struct sn_amqp_event *ev;

    for (int i = 0; i < EVENTS_PER_TURN && c->link.state != NULL; i++) {
        int n = sn_amqp_next(&c->link, 0, &ev, err);
        if (n <= 0)
            return n;
        if (handle(c, ev, now_ms, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- commands ---- */

static int want(struct sn_consumer *c, const struct sn_command *k)
{
    struct sn_sub *s = sn_subs_get(&c->subs, k->queue);

    if (s == NULL) {
        sn_log(c->log, SN_LOG_ERROR, "broker", "queue cannot be wanted: no memory", "queue", k->queue, NULL);
        return 0;
    }
    s->wanted = true;
    s->prefetch = k->prefetch;
    s->own = k->kind == SN_COMMAND_OWN_QUEUE;
    if (s->own) {
        (void)snprintf(s->exchange, sizeof(s->exchange), "%s", k->exchange);
        (void)snprintf(s->key, sizeof(s->key), "%s", k->key);
        s->ttl_ms = k->ttl_ms;
    }
    return 0;
}

static int unwant(struct sn_consumer *c, const char *queue, struct sn_error *err)
{
    struct sn_sub *s = sn_subs_find(&c->subs, queue, strlen(queue));

    if (s == NULL)
        return 0;
    s->wanted = false;
    s->said_missing = false;
    return c->link.state != NULL ? sn_subs_cancel(&c->subs, s, err) : 0;
}

/* Only what this link delivered and nobody settled yet: for anything else the broker would close the channel. */
static int settle(struct sn_consumer *c, uint64_t link, uint64_t tag, bool back, struct sn_error *err)
{
    amqp_basic_ack_t ack = { .delivery_tag = tag };
    amqp_basic_nack_t nack = { .delivery_tag = tag, .requeue = 1 };
    struct held *h;

    if (c->link.state == NULL || link != c->link_no)
        return 0;
    HASH_FIND(hh, c->held, &tag, sizeof(tag), h);
    if (h == NULL)
        return 0;
    if (h->sub->unacked == (size_t)h->sub->prefetch)
        h->sub->moved_ms = sn_clock_mono_ms(); /* only from now on may the broker deliver again */
    h->sub->unacked--;
    c->backoff.step_ms = 0; /* the link is of use */
    HASH_DEL(c->held, h);
    free(h);
    if (back)
        return sn_amqp_send(&c->link, SN_AMQP_WORK, AMQP_BASIC_NACK_METHOD, &nack, err);
    return sn_amqp_send(&c->link, SN_AMQP_WORK, AMQP_BASIC_ACK_METHOD, &ack, err);
}

static int obey(struct sn_consumer *c, const struct sn_command *k, struct sn_error *err)
{
    switch (k->kind) {
    case SN_COMMAND_WANT:
    case SN_COMMAND_OWN_QUEUE:
        return want(c, k);
    case SN_COMMAND_UNWANT:
        return unwant(c, k->queue, err);
    case SN_COMMAND_NACK:
        return settle(c, k->link, k->tags[0], true, err);
    case SN_COMMAND_ACK:
        /* The cancel goes first: with the acks first the broker hands out one more message, takes it back because the
         * consumer is gone, and the next owner gets it after its successor. What is acked here is done, so that it
         * does no harm when the next owner begins before the acks arrive (they follow in the same write). */
        if (k->queue[0] != '\0' && unwant(c, k->queue, err) != 0)
            return -1;
        for (size_t i = 0; i < k->ntags; i++) {
            if (settle(c, k->link, k->tags[i], false, err) != 0)
                return -1;
        }
        return 0;
    }
    return 0;
}

/* False when the loop shall end; what was asked for before the stop has been sent. */
static bool obey_all(struct sn_consumer *c, int64_t now_ms)
{
    struct sn_command_list list;
    struct sn_command *k;
    struct sn_error err;
    bool lost, stopping;

    sn_wake_clear(c->wake_fd);
    pthread_mutex_lock(&c->lock);
    list = c->inbox;
    c->inbox = (struct sn_command_list){ 0 };
    lost = c->lost_command;
    c->lost_command = false;
    stopping = c->stopping;
    c->last_turn_ms = now_ms;
    pthread_mutex_unlock(&c->lock);
    sn_amqp_cork(&c->link, true); /* a cancel and the acks behind it leave together */
    while ((k = sn_command_pop(&list)) != NULL) {
        if (obey(c, k, &err) != 0)
            link_lost(c, &err); /* the rest still has to be noted: wants outlive the link */
        free(k);
    }
    sn_amqp_cork(&c->link, false);
    if (lost) {
        (void)sn_error_oom(&err);
        link_lost(c, &err);
    }
    return !stopping;
}

/* ---- the loop ---- */

static int wait_ms(struct sn_consumer *c, int64_t now_ms, int64_t turn_at_ms)
{
    /* A third of the heartbeat: the library sends it (due at a half) only while we are in it. */
    int64_t until = now_ms + (c->conf->heartbeat_s > 0 ? c->conf->heartbeat_s * 1000 / 3 : 1000);

    if (turn_at_ms > 0 && turn_at_ms < until)
        until = turn_at_ms;
    if (c->link.state == NULL) {
        if (c->connect_at_ms < until)
            until = c->connect_at_ms;
        return sn_clock_left_ms(until, now_ms);
    }
    return sn_clock_left_ms(sn_subs_due(&c->subs, until), now_ms);
}

/* One turn on a link that is up. */
static int work(struct sn_consumer *c, int64_t now_ms, struct sn_error *err)
{
    if (receive(c, now_ms, err) != 0)
        return -1;
    if (c->link.state == NULL) /* cancelled by the broker */
        return 0;
    return sn_subs_turn(&c->subs, now_ms, err);
}

static void *run(void *arg)
{
    struct sn_consumer *c = arg;
    int64_t now_ms = sn_clock_mono_ms();
    struct sn_error err;

    while (obey_all(c, now_ms)) {
        int64_t turn_at_ms = 0;
        connect_when_due(c, now_ms);
        if (c->link.state != NULL && work(c, now_ms, &err) != 0)
            link_lost(c, &err);
        if (c->ops.turn != NULL)
            turn_at_ms = c->ops.turn(c->arg, now_ms);
        sn_wake_poll(c->wake_fd, &c->link, wait_ms(c, now_ms, turn_at_ms));
        now_ms = sn_clock_mono_ms();
    }
    sn_amqp_close(&c->link, true);
    forget_link(c);
    set_why(c, "stopped");
    return NULL;
}

static size_t stack_size(void)
{
    pthread_attr_t attr;
    size_t size = 0;

    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        (void)pthread_attr_getstacksize(&attr, &size);
        pthread_attr_destroy(&attr);
    }
    return size;
}

/* The library decodes headers by recursion: a message whose tables are nested as deep as a frame allows takes 2 to 4 MB
 * of stack, and would kill the process again at each redelivery. */
void sn_consumer_run(struct sn_consumer *c)
{
    pthread_attr_t attr;
    pthread_t thread;
    int failed;

    if (stack_size() >= STACK_MIN) {
        (void)run(c);
        return;
    }
    pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_MIN);
    failed = pthread_create(&thread, &attr, run, c);
    pthread_attr_destroy(&attr);
    if (failed == 0)
        (void)pthread_join(thread, NULL);
    else
        sn_log(c->log, SN_LOG_ERROR, "broker", "the consumer cannot run: no thread", "why", strerror(failed), NULL);
}

int sn_consumer_new(const struct sn_broker_conf *conf, const struct sn_consumer_ops *ops, void *arg,
                    const struct sn_log *log, struct sn_consumer **ret, struct sn_error *err)
{
    struct sn_consumer *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return sn_error_oom(err);
    if (sn_wake_new(&c->wake_fd, err) != 0) {
        free(c);
        return -1;
    }
    c->conf = conf;
    c->ops = *ops;
    c->arg = arg;
    c->log = log;
    c->subs = (struct sn_subs){ .link = &c->link,
                                .log = log,
                                .stall_ms = conf->stall_ms > 0 ? conf->stall_ms : STALL_DEFAULT_MS };
    c->backoff = (struct sn_backoff){ .min_ms = conf->reconnect_min_ms, .max_ms = conf->reconnect_max_ms };
    (void)snprintf(c->why, sizeof(c->why), "not connected yet");
    pthread_mutex_init(&c->lock, NULL);
    *ret = c;
    return 0;
}

void sn_consumer_free(struct sn_consumer *c)
{
    struct sn_command *k;

    if (c == NULL)
        return;
    while ((k = sn_command_pop(&c->inbox)) != NULL)
        free(k);
    forget_link(c);
    sn_subs_fini(&c->subs);
    pthread_mutex_destroy(&c->lock);
    (void)close(c->wake_fd);
    free(c);
}

/* ---- any thread ---- */

/* A command that cannot be stored must not be lost in silence: without its ack a message would hang for ever, so the
 * link is dropped and the broker delivers again. */
static void post(struct sn_consumer *c, struct sn_command *k)
{
    bool wake = true;

    pthread_mutex_lock(&c->lock);
    if (k == NULL) {
        c->lost_command = true;
    } else {
        wake = c->inbox.head == NULL;
        sn_command_push(&c->inbox, k);
    }
    pthread_mutex_unlock(&c->lock);
    if (wake)
        sn_wake_set(c->wake_fd);
}

void sn_consumer_want(struct sn_consumer *c, const char *queue, int prefetch)
{
    struct sn_command *k = sn_command_new(SN_COMMAND_WANT, queue, 0);

    if (k != NULL)
        k->prefetch = prefetch > 0 ? prefetch : 1;
    post(c, k);
}

void sn_consumer_own_queue(struct sn_consumer *c, const char *queue, const char *exchange, const char *key, int ttl_ms)
{
    struct sn_command *k = sn_command_new(SN_COMMAND_OWN_QUEUE, queue, 0);

    if (k != NULL) {
        k->prefetch = 1;
        k->ttl_ms = ttl_ms;
        (void)snprintf(k->exchange, sizeof(k->exchange), "%s", exchange);
        (void)snprintf(k->key, sizeof(k->key), "%s", key);
    }
    post(c, k);
}

void sn_consumer_unwant(struct sn_consumer *c, const char *queue)
{
    post(c, sn_command_new(SN_COMMAND_UNWANT, queue, 0));
}

static void post_tags(struct sn_consumer *c, enum sn_command_kind kind, uint64_t link, const uint64_t *tags, size_t n,
                      const char *queue)
{
    struct sn_command *k = sn_command_new(kind, queue, n);

    if (k != NULL) {
        k->link = link;
        for (size_t i = 0; i < n; i++)
            k->tags[i] = tags[i];
    }
    post(c, k);
}

void sn_consumer_ack(struct sn_consumer *c, uint64_t link, uint64_t tag)
{
    post_tags(c, SN_COMMAND_ACK, link, &tag, 1, NULL);
}

void sn_consumer_ack_and_unwant(struct sn_consumer *c, uint64_t link, const uint64_t *tags, size_t n, const char *queue)
{
    post_tags(c, SN_COMMAND_ACK, link, tags, n, queue);
}

void sn_consumer_nack(struct sn_consumer *c, uint64_t link, uint64_t tag)
{
    post_tags(c, SN_COMMAND_NACK, link, &tag, 1, NULL);
}

void sn_consumer_stop(struct sn_consumer *c)
{
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    pthread_mutex_unlock(&c->lock);
    sn_wake_set(c->wake_fd);
}

void sn_consumer_wake(struct sn_consumer *c)
{
    sn_wake_set(c->wake_fd);
}

bool sn_consumer_state(struct sn_consumer *c, int64_t *ret_last_turn_ms, char *ret_why, size_t size)
{
    bool up;

    pthread_mutex_lock(&c->lock);
    *ret_last_turn_ms = c->last_turn_ms;
    (void)snprintf(ret_why, size, "%s", c->why);
    up = c->why[0] == '\0';
    pthread_mutex_unlock(&c->lock);
    return up;
}
