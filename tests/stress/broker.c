/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/text.h"

#define PREFETCH 8

void broker_fault(struct broker *b, const char *what, const char *which)
{
    (void)atomic_fetch_add(&b->faults, 1);
    (void)fprintf(stderr, "fault: %s: %s\n", what, which);
}

void broker_init(struct broker *b)
{
    memset(b, 0, sizeof(*b));
    (void)pthread_mutex_init(&b->lock, NULL);
    b->last = &b->first;
}

void broker_fini(struct broker *b)
{
    while (b->first != NULL) {
        struct message *m = b->first;
        b->first = m->next;
        free(m->body);
        free(m);
    }
    (void)pthread_mutex_destroy(&b->lock);
}

/* lock is held */
static struct message *add(struct broker *b, const char *queue, const char *id, const char *body, size_t len)
{
    struct message *m = calloc(1, sizeof(*m));

    if (m == NULL || (m->body = malloc(len + 1)) == NULL)
        abort();
    memcpy(m->body, body, len);
    m->body[len] = '\0';
    m->len = len;
    (void)snprintf(m->queue, sizeof(m->queue), "%s", queue);
    (void)snprintf(m->id, sizeof(m->id), "%s", id);
    *b->last = m;
    b->last = &m->next;
    return m;
}

static void new_fate(struct broker *b, const char *id, const char *contract, int64_t generation)
{
    struct fate *f = &b->fates[b->fates_n++];

    if (b->fates_n >= EVENTS_MAX)
        abort();
    (void)snprintf(f->id, sizeof(f->id), "%s", id);
    (void)snprintf(f->contract, sizeof(f->contract), "%s", contract);
    f->generation = generation;
}

void broker_publish(struct broker *b, const char *queue, const char *id, const char *contract, int64_t generation, const char *body)
{
    (void)pthread_mutex_lock(&b->lock);
    (void)add(b, queue, id, body, strlen(body));
    new_fate(b, id, contract, generation);
    (void)pthread_mutex_unlock(&b->lock);
}

void broker_open(struct broker *b, int *ret_messages, int *ret_events)
{
    *ret_messages = 0;
    *ret_events = 0;
    (void)pthread_mutex_lock(&b->lock);
    for (const struct message *m = b->first; m != NULL; m = m->next)
        (*ret_messages)++;
    for (int i = 0; i < b->fates_n; i++)
        *ret_events += b->fates[i].outcome[0] == '\0';
    (void)pthread_mutex_unlock(&b->lock);
}

/* ---- consumer ---- */

static void wake(struct sn_consumer *c)
{
    c->wakes = true;
    (void)pthread_cond_signal(&c->woken);
}

static int wanted_at(const struct sn_consumer *c, const char *queue)
{
    for (int i = 0; i < c->wanted_n; i++) {
        if (strcmp(c->wanted[i], queue) == 0)
            return i;
    }
    return -1;
}

void sn_consumer_want(struct sn_consumer *c, const char *queue, int prefetch)
{
    (void)prefetch;
    (void)pthread_mutex_lock(&c->broker->lock);
    if (wanted_at(c, queue) < 0 && c->wanted_n < 32)
        (void)snprintf(c->wanted[c->wanted_n++], sizeof(c->wanted[0]), "%s", queue);
    wake(c);
    (void)pthread_mutex_unlock(&c->broker->lock);
}

void sn_consumer_unwant(struct sn_consumer *c, const char *queue)
{
    int i;

    (void)pthread_mutex_lock(&c->broker->lock);
    i = wanted_at(c, queue);
    if (i >= 0)
        memmove(c->wanted[i], c->wanted[--c->wanted_n], sizeof(c->wanted[0]));
    (void)pthread_mutex_unlock(&c->broker->lock);
}

/* lock is held */
static void take_away(struct broker *b, struct message **at)
{
    struct message *m = *at;

    *at = m->next;
    if (m->next == NULL)
        b->last = at;
    free(m->body);
    free(m);
}

static void settle(struct sn_consumer *c, uint64_t link, uint64_t tag, enum place place)
{
    struct message **at;

    (void)pthread_mutex_lock(&c->broker->lock);
    if (link == c->link) {
        for (at = &c->broker->first; *at != NULL && ((*at)->place != DELIVERED || (*at)->link != link || (*at)->tag != tag); at = &(*at)->next)
            continue;
        if (*at == NULL)
            broker_fault(c->broker, "settled twice, or never delivered", place == READY ? "nack" : "ack");
        else if (place == READY)
            (*at)->place = READY;
        else
            take_away(c->broker, at);
        wake(c);
    }
    (void)pthread_mutex_unlock(&c->broker->lock);
}

void sn_consumer_ack(struct sn_consumer *c, uint64_t link, uint64_t tag)
{
    settle(c, link, tag, SETTLED);
}

void sn_consumer_nack(struct sn_consumer *c, uint64_t link, uint64_t tag)
{
    settle(c, link, tag, READY);
}

void sn_consumer_wake(struct sn_consumer *c)
{
    (void)pthread_mutex_lock(&c->broker->lock);
    wake(c);
    (void)pthread_mutex_unlock(&c->broker->lock);
}

void consumer_lose_link(struct sn_consumer *c)
{
    (void)pthread_mutex_lock(&c->broker->lock);
    c->lose_link = true;
    wake(c);
    (void)pthread_mutex_unlock(&c->broker->lock);
}

void sn_delivery_free(struct sn_delivery *d)
{
    if (d != NULL)
        free(d->body);
    free(d);
}

/* How many messages of each wanted queue this link holds. */
static void count_held(const struct sn_consumer *c, int held[32])
{
    memset(held, 0, 32 * sizeof(*held));
    for (const struct message *m = c->broker->first; m != NULL; m = m->next) {
        int i = m->place == DELIVERED && m->link == c->link ? wanted_at(c, m->queue) : -1;
        if (i >= 0)
            held[i]++;
    }
}

/* The next message for this consumer, as a delivery; NULL when there is none. lock is held. */
static struct sn_delivery *deliver(struct sn_consumer *c, int64_t now)
{
    int held[32];

    count_held(c, held);
    for (struct message *m = c->broker->first; m != NULL; m = m->next) {
        struct sn_delivery *d;
        int i = m->place == READY && m->not_before_ms <= now ? wanted_at(c, m->queue) : -1;
        if (i < 0 || held[i] >= PREFETCH)
            continue;
        d = calloc(1, sizeof(*d));
        if (d == NULL || (d->body = malloc(m->len + 1)) == NULL)
            abort();
        memcpy(d->body, m->body, m->len + 1);
        d->len = m->len;
        d->full_len = m->len;
        d->headers = m->headers;
        d->link = m->link = c->link;
        d->tag = m->tag = ++c->tag;
        (void)snprintf(d->queue, sizeof(d->queue), "%s", m->queue);
        (void)snprintf(d->content_type, sizeof(d->content_type), "application/json");
        (void)snprintf(d->message_id, sizeof(d->message_id), "%.63s", m->id);
        m->place = DELIVERED;
        return d;
    }
    return NULL;
}

/* The link is another one now; lock is held. */
static void break_link(struct sn_consumer *c)
{
    for (struct message *m = c->broker->first; m != NULL; m = m->next) {
        if (m->place == DELIVERED && m->link == c->link)
            m->place = READY;
    }
    c->link++;
}

static void wait_for(struct sn_consumer *c, int64_t until_ms)
{
    struct timespec ts = { .tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000 };

    while (!c->wakes && !c->stopping && pthread_cond_timedwait(&c->woken, &c->broker->lock, &ts) != ETIMEDOUT)
        continue;
    c->wakes = false;
}

static void *consume(void *arg)
{
    struct sn_consumer *c = arg;
    struct sn_delivery *d;
    int64_t due;

    (void)pthread_mutex_lock(&c->broker->lock);
    while (!c->stopping) {
        if (c->lose_link) {
            uint64_t old = c->link;
            c->lose_link = false;
            break_link(c);
            (void)pthread_mutex_unlock(&c->broker->lock);
            c->ops->link_down(c->arg, old, "cut by the test");
            (void)pthread_mutex_lock(&c->broker->lock);
        }
        d = deliver(c, sn_clock_mono_ms());
        (void)pthread_mutex_unlock(&c->broker->lock);
        if (d != NULL)
            c->ops->delivered(c->arg, d);
        due = c->ops->turn(c->arg, sn_clock_mono_ms());
        (void)pthread_mutex_lock(&c->broker->lock);
        if (d == NULL)
            wait_for(c, due > 0 && due < sn_clock_mono_ms() + 50 ? due : sn_clock_mono_ms() + 50);
    }
    break_link(c);
    (void)pthread_mutex_unlock(&c->broker->lock);
    return NULL;
}

static void new_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

void consumer_start(struct sn_consumer *c, struct broker *b, const struct sn_consumer_ops *ops, void *arg)
{
    c->broker = b;
    c->ops = ops;
    c->arg = arg;
    c->stopping = false;
    c->wanted_n = 0;
    c->link = ((uint64_t)(uintptr_t)c << 8) + (c->link & 0xff) + 1; /* no two consumers name a link alike */
    new_cond(&c->woken);
    if (pthread_create(&c->thread, NULL, consume, c) != 0)
        abort();
}

void consumer_stop(struct sn_consumer *c)
{
    (void)pthread_mutex_lock(&c->broker->lock);
    c->stopping = true;
    wake(c);
    (void)pthread_mutex_unlock(&c->broker->lock);
    (void)pthread_join(c->thread, NULL);
}

/* ---- publisher ---- */

struct sn_publication *sn_publication_new(const char *exchange, const char *routing_key, char *body_owned, size_t len)
{
    struct sn_publication *p = calloc(1, sizeof(*p));

    if (p == NULL || sn_text_copy(p->exchange, sizeof(p->exchange), exchange) != 0 ||
        sn_text_copy(p->routing_key, sizeof(p->routing_key), routing_key) != 0)
        abort();
    p->body = body_owned;
    p->len = len;
    return p;
}

void sn_publication_free(struct sn_publication *p)
{
    if (p != NULL)
        free(p->body);
    free(p);
}

void sn_publisher_send(struct sn_publisher *p, struct sn_publication *pub)
{
    (void)pthread_mutex_lock(&p->broker->lock);
    pub->next = NULL;
    *p->last = pub;
    p->last = &pub->next;
    (void)pthread_cond_signal(&p->woken);
    (void)pthread_mutex_unlock(&p->broker->lock);
}

/* lock is held */
static void note_result(struct broker *b, const struct sn_publication *pub)
{
    json_t *r = json_loads(pub->body, 0, NULL);
    const char *event = json_string_value(json_object_get(r, "event"));
    const char *state = json_string_value(json_object_get(r, "state"));
    const char *outcome = json_string_value(json_object_get(r, "outcome"));

    for (int i = 0; event != NULL && state != NULL && outcome != NULL && strcmp(state, "final") == 0 && i < b->fates_n; i++) {
        struct fate *f = &b->fates[i];
        if (strcmp(f->id, event) != 0)
            continue;
        f->said++;
        if (f->outcome[0] != '\0' && strcmp(f->outcome, outcome) != 0)
            broker_fault(b, "an event has two outcomes", event);
        (void)snprintf(f->outcome, sizeof(f->outcome), "%s", outcome);
    }
    json_decref(r);
}

/* lock is held */
static void store(struct broker *b, const struct sn_publication *pub)
{
    struct message *m;
    char queue[96];

    if (strcmp(pub->exchange, "silver.results") == 0) {
        note_result(b, pub);
        return;
    }
    if (strcmp(pub->exchange, "silver.events") == 0)
        (void)snprintf(queue, sizeof(queue), "silver.device.%.64s", strrchr(pub->routing_key, '.') + 1);
    else
        (void)snprintf(queue, sizeof(queue), "%.95s", pub->routing_key);
    m = add(b, queue, pub->message_id, pub->body, pub->len);
    m->headers = pub->headers;
    m->not_before_ms = sn_clock_mono_ms() + pub->delay_level_ms;
}

static void end(struct sn_publication *pub, enum sn_published outcome)
{
    if (pub->done != NULL)
        pub->done(pub->arg, outcome);
    sn_publication_free(pub);
}

static void *publish(void *arg)
{
    struct sn_publisher *p = arg;
    struct broker *b = p->broker;

    (void)pthread_mutex_lock(&b->lock);
    for (;;) {
        struct sn_publication *pub = p->first;
        enum sn_published outcome = SN_PUBLISHED_CONFIRMED;
        unsigned n;
        if (pub == NULL && p->stopping)
            break;
        if (pub == NULL) {
            (void)pthread_cond_wait(&p->woken, &b->lock);
            continue;
        }
        p->first = pub->next;
        if (p->first == NULL)
            p->last = &p->first;
        n = atomic_fetch_add(&b->published, 1) + 1;
        if (p->stopping)
            outcome = SN_PUBLISHED_STOPPED;
        else if (b->return_every != 0 && n % b->return_every == 0)
            outcome = SN_PUBLISHED_RETURNED;
        else
            store(b, pub);
        (void)pthread_mutex_unlock(&b->lock);
        end(pub, outcome);
        (void)pthread_mutex_lock(&b->lock);
    }
    (void)pthread_mutex_unlock(&b->lock);
    return NULL;
}

void publisher_start(struct sn_publisher *p, struct broker *b)
{
    p->broker = b;
    p->first = NULL;
    p->last = &p->first;
    p->stopping = false;
    new_cond(&p->woken);
    if (pthread_create(&p->thread, NULL, publish, p) != 0)
        abort();
}

void publisher_stop(struct sn_publisher *p)
{
    (void)pthread_mutex_lock(&p->broker->lock);
    p->stopping = true;
    (void)pthread_cond_signal(&p->woken);
    (void)pthread_mutex_unlock(&p->broker->lock);
    (void)pthread_join(p->thread, NULL);
}

void publisher_fini(struct sn_publisher *p)
{
    while (p->first != NULL) { /* sent too late */
        struct sn_publication *pub = p->first;
        p->first = pub->next;
        end(pub, SN_PUBLISHED_STOPPED);
    }
}

/* ---- queues are there when they are used ---- */

int sn_broker_client_open(const struct sn_broker_conf *conf, struct sn_broker_client **ret, struct sn_error *err)
{
    (void)conf;
    (void)err;
    *ret = NULL;
    return 0;
}

void sn_broker_client_close(struct sn_broker_client *c)
{
    (void)c;
}

int sn_topology_device(struct sn_broker_client *c, const char *device_id, struct sn_error *err)
{
    (void)c;
    (void)device_id;
    (void)err;
    return 0;
}
