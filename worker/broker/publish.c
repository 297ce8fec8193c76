/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "worker/broker/amqp.h"
#include "worker/broker/window.h"

enum {
    SENT_MAX = 1024, /* unconfirmed publications */
    SENT_BYTES_MAX =
        4 << 20, /* and their bytes: a blocked broker stops reading, and what it does not read sits in the socket */
    EVENTS_PER_TURN = 512,
    REFUSED_WAIT_MS = 1000, /* a publication that was refused (nack) is repeated after so long */
    WHY_MAX = SN_ERROR_TEXT_MAX,
};

static const char NOT_YET[] = "not connected yet";

struct sn_publisher {
    const struct sn_broker_conf *conf;
    const struct sn_log *log;
    int wake_fd;

    /* The publisher's thread only. */
    struct sn_amqp link;
    struct sn_window window;
    struct sn_backoff backoff;
    int64_t connect_at_ms;
    int64_t up_ms; /* since when the link is up, 0 = it is not */
    bool was_blocked;
    char down[WHY_MAX];    /* why there is no link, "" = there is one */
    char refused[WHY_MAX]; /* why publications wait although there is one, "" = none does */

    /* Shared, under lock. */
    pthread_mutex_t lock;
    struct sn_publication_list inbox;
    bool stopping;
    int64_t stop_at_ms;
    size_t waiting; /* in the window */
    int64_t last_turn_ms;
    char why[WHY_MAX];
};

/* ---- publications ---- */

struct sn_publication *sn_publication_new(const char *exchange, const char *routing_key, char *body_owned, size_t len)
{
    struct sn_publication *p = calloc(1, sizeof(*p));

    if (p == NULL || sn_text_copy(p->exchange, sizeof(p->exchange), exchange) != 0 ||
        sn_text_copy(p->routing_key, sizeof(p->routing_key), routing_key) != 0) {
        free(p);
        if (body_owned != NULL)
            explicit_bzero(body_owned, len);
        free(body_owned);
        return NULL;
    }
    p->body = body_owned;
    p->len = len;
    return p;
}

void sn_publication_free(struct sn_publication *p)
{
    if (p == NULL)
        return;
    if (p->body != NULL)
        explicit_bzero(p->body, p->len);
    free(p->body);
    free(p);
}

static void finish(struct sn_publication *p, enum sn_published outcome)
{
    if (p->done != NULL)
        p->done(p->arg, outcome);
    sn_publication_free(p);
}

/* ---- link ---- */

/* The same trouble again and again is one line. */
static void trouble(struct sn_publisher *p, char *kept, const char *text, const char *why)
{
    if (strcmp(kept, why) == 0)
        return;
    (void)snprintf(kept, WHY_MAX, "%s", why);
    sn_log(p->log, SN_LOG_WARN, "broker", text, "connection", "publish", "why", why, NULL);
}

static void link_lost(struct sn_publisher *p, const struct sn_error *err)
{
    sn_amqp_close(&p->link, false);
    sn_window_reset(&p->window);
    if (p->up_ms > 0 && sn_clock_mono_ms() - p->up_ms > p->conf->reconnect_max_ms)
        p->backoff.step_ms = 0; /* it lived: this is no flapping */
    p->up_ms = 0;
    p->was_blocked = false;
    p->connect_at_ms = sn_clock_mono_ms() + sn_backoff_next(&p->backoff, sn_random_below(UINT32_MAX));
    trouble(p, p->down, "no connection to the broker", err->text);
}

static void connect_when_due(struct sn_publisher *p, int64_t now_ms)
{
    struct sn_error err;

    if (p->link.state != NULL || now_ms < p->connect_at_ms)
        return;
    if (sn_amqp_open(&p->link, p->conf, "publish", &err) != 0 || sn_amqp_channel_confirms(&p->link, &err) != 0) {
        link_lost(p, &err);
        return;
    }
    p->down[0] = '\0';
    p->up_ms = sn_clock_mono_ms();
    sn_log(p->log, SN_LOG_INFO, "broker", "connected to the broker", "connection", "publish", "version",
           p->link.version, NULL);
}

/* ---- events ---- */

static const char REFUSED[] = "the broker refuses a publication; it is kept and tried again";

static void settle(struct sn_publisher *p, uint64_t tag, bool multiple, bool refused, int64_t now_ms)
{
    struct sn_publication_list out = { 0 };
    struct sn_publication *pub;

    sn_window_settle(&p->window, tag, multiple, &out);
    p->backoff.step_ms = 0; /* the link is of use */
    while ((pub = sn_list_pop(&out)) != NULL) {
        if (refused) {
            trouble(p, p->refused, REFUSED, "basic.nack: the queue is full or cannot store it now");
            sn_window_postpone(&p->window, pub, now_ms + REFUSED_WAIT_MS);
        } else
            finish(pub, pub->returned ? SN_PUBLISHED_RETURNED : SN_PUBLISHED_CONFIRMED);
    }
}

/* Closed for one publication: an exchange that does not exist, no permission, too long. Only that one is put off. */
static int channel_closed(struct sn_publisher *p, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    const struct sn_publication *culprit;
    char text[WHY_MAX];

    sn_amqp_close_text(ev, text, sizeof(text));
    culprit = sn_window_accuse(&p->window, now_ms + p->conf->reconnect_max_ms);
    if (culprit != NULL)
        trouble(p, p->refused, REFUSED, text);
    if (sn_amqp_channel(&p->link, SN_AMQP_WORK, err) != 0)
        return -1;
    return sn_amqp_channel_confirms(&p->link, err);
}

static int handle(struct sn_publisher *p, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    switch (ev->id) {
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *m = ev->method;
        settle(p, m->delivery_tag, m->multiple, false, now_ms);
        return 0;
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *m = ev->method;
        settle(p, m->delivery_tag, m->multiple, true, now_ms);
        return 0;
    }
    case AMQP_BASIC_RETURN_METHOD:
        sn_window_returned(&p->window, sn_headers_seq(ev->props));
        return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
        return channel_closed(p, ev, now_ms, err);
    default:
        return 0;
    }
}

static int receive(struct sn_publisher *p, int64_t now_ms, struct sn_error *err)
{
    const struct sn_amqp_event *ev;
    int n = 0;

    for (int i = 0; i < EVENTS_PER_TURN; i++) {
        n = sn_amqp_next(&p->link, 0, &ev, err);
        if (n <= 0)
            break;
        if (handle(p, ev, now_ms, err) != 0)
            return -1;
    }
    if (n < 0)
        return -1;
    if (p->link.blocked != p->was_blocked) {
        p->was_blocked = p->link.blocked;
        sn_window_restart_clock(&p->window, now_ms);
        sn_log(p->log, p->link.blocked ? SN_LOG_WARN : SN_LOG_INFO, "broker",
               p->link.blocked ? "the broker accepts no publications" : "the broker accepts publications again", NULL);
    }
    return 0;
}

static int send_ready(struct sn_publisher *p, int64_t now_ms, struct sn_error *err)
{
    struct sn_publication *pub;
    int result = 0;

    if (p->link.blocked || p->window.ready.head == NULL)
        return 0;
    sn_amqp_cork(&p->link, true);
    while (result == 0 && (pub = sn_window_next(&p->window, now_ms)) != NULL) {
        if (pub->published_ms == 0)
            pub->published_ms = sn_clock_wall_ms();
        result = sn_amqp_publish(&p->link, pub, pub->seq, NULL, err);
    }
    sn_amqp_cork(&p->link, false);
    return result;
}

static int check_confirms(struct sn_publisher *p, int64_t now_ms, struct sn_error *err)
{
    int64_t oldest = sn_window_oldest(&p->window);

    if (oldest == 0 || p->link.blocked || now_ms - oldest < p->conf->confirm_timeout_ms)
        return 0;
    return sn_error_set(err, "broker.link-lost", "no confirm for %d ms", p->conf->confirm_timeout_ms);
}

/* ---- the loop ---- */

/* True when the loop shall end. */
static bool take_inbox(struct sn_publisher *p, int64_t now_ms)
{
    bool end;

    sn_wake_clear(p->wake_fd);
    pthread_mutex_lock(&p->lock);
    for (struct sn_publication *pub; (pub = sn_list_pop(&p->inbox)) != NULL;)
        sn_list_push(&p->window.ready, pub);
    p->last_turn_ms = now_ms;
    p->waiting = sn_window_count(&p->window);
    end = p->stopping && (p->waiting == 0 || now_ms >= p->stop_at_ms);
    pthread_mutex_unlock(&p->lock);
    return end;
}

static const char *why_now(const struct sn_publisher *p)
{
    if (p->link.state == NULL)
        return p->down[0] != '\0' ? p->down : NOT_YET;
    return p->link.blocked ? "the broker accepts no publications (memory or disk alarm)" : p->refused;
}

/* What others see is brought up to date, too. */
static int wait_ms(struct sn_publisher *p, int64_t now_ms, int64_t due_ms)
{
    /* A third of the heartbeat: the library sends it (due at a half) only while we are in it. */
    int64_t until = now_ms + (p->conf->heartbeat_s > 0 ? p->conf->heartbeat_s * 1000 / 3 : 1000);
    int64_t oldest = sn_window_oldest(&p->window);

    if (due_ms > 0 && due_ms < until)
        until = due_ms;
    if (p->link.state == NULL && p->connect_at_ms < until)
        until = p->connect_at_ms;
    if (oldest > 0 && !p->link.blocked && oldest + p->conf->confirm_timeout_ms < until)
        until = oldest + p->conf->confirm_timeout_ms;
    if (p->window.later.count == 0)
        p->refused[0] = '\0';
    pthread_mutex_lock(&p->lock);
    (void)snprintf(p->why, sizeof(p->why), "%s", why_now(p));
    p->waiting = sn_window_count(&p->window);
    if (p->stopping && p->waiting == 0)
        until = now_ms;
    else if (p->stopping && p->stop_at_ms < until)
        until = p->stop_at_ms;
    pthread_mutex_unlock(&p->lock);
    return sn_clock_left_ms(until, now_ms);
}

/* One turn on a link that is up. Returns when what was put off is due (0 = nothing), -1 = the link is lost. */
static int64_t work(struct sn_publisher *p, int64_t now_ms, struct sn_error *err)
{
    int64_t due_ms;

    if (receive(p, now_ms, err) != 0)
        return -1;
    due_ms = sn_window_due(&p->window, now_ms); /* after receive(), which puts off, and before sending */
    if (send_ready(p, now_ms, err) != 0 || check_confirms(p, now_ms, err) != 0)
        return -1;
    return due_ms;
}

void sn_publisher_run(struct sn_publisher *p)
{
    struct sn_error err;
    int64_t now_ms = sn_clock_mono_ms();

    while (!take_inbox(p, now_ms)) {
        int64_t due_ms = 0;
        connect_when_due(p, now_ms);
        if (p->link.state != NULL && (due_ms = work(p, now_ms, &err)) < 0)
            link_lost(p, &err);
        sn_wake_poll(p->wake_fd, &p->link, wait_ms(p, now_ms, due_ms));
        now_ms = sn_clock_mono_ms();
    }
    sn_amqp_close(&p->link, true);
    for (struct sn_publication *pub; sn_window_reset(&p->window), (pub = sn_list_pop(&p->window.ready)) != NULL;)
        finish(pub, SN_PUBLISHED_STOPPED);
    for (struct sn_publication *pub; (pub = sn_list_pop(&p->window.later)) != NULL;)
        finish(pub, SN_PUBLISHED_STOPPED);
    pthread_mutex_lock(&p->lock);
    (void)snprintf(p->why, sizeof(p->why), "stopped");
    p->waiting = 0;
    pthread_mutex_unlock(&p->lock);
}

/* ---- any thread ---- */

int sn_publisher_new(const struct sn_broker_conf *conf, const struct sn_log *log, struct sn_publisher **ret,
                     struct sn_error *err)
{
    struct sn_publisher *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return sn_error_oom(err);
    if (sn_wake_new(&p->wake_fd, err) != 0) {
        free(p);
        return -1;
    }
    p->conf = conf;
    p->log = log;
    p->backoff = (struct sn_backoff){ .min_ms = conf->reconnect_min_ms, .max_ms = conf->reconnect_max_ms };
    p->window.max_count = SENT_MAX;
    p->window.max_bytes = SENT_BYTES_MAX;
    (void)snprintf(p->why, sizeof(p->why), "%s", NOT_YET);
    pthread_mutex_init(&p->lock, NULL);
    *ret = p;
    return 0;
}

void sn_publisher_send(struct sn_publisher *p, struct sn_publication *pub)
{
    bool first;

    pthread_mutex_lock(&p->lock);
    first = p->inbox.head == NULL;
    sn_list_push(&p->inbox, pub);
    pthread_mutex_unlock(&p->lock);
    if (first)
        sn_wake_set(p->wake_fd);
}

void sn_publisher_stop(struct sn_publisher *p, int64_t deadline_ms)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    p->stop_at_ms = deadline_ms;
    pthread_mutex_unlock(&p->lock);
    sn_wake_set(p->wake_fd);
}

void sn_publisher_free(struct sn_publisher *p)
{
    if (p == NULL)
        return;
    for (struct sn_publication *pub; (pub = sn_list_pop(&p->inbox)) != NULL;)
        finish(pub, SN_PUBLISHED_STOPPED);
    pthread_mutex_destroy(&p->lock);
    (void)close(p->wake_fd);
    free(p);
}

bool sn_publisher_state(struct sn_publisher *p, size_t *ret_waiting, int64_t *ret_last_turn_ms, char *ret_why,
                        size_t size)
{
    bool up;

    pthread_mutex_lock(&p->lock);
    *ret_waiting = p->waiting + p->inbox.count;
    *ret_last_turn_ms = p->last_turn_ms;
    (void)snprintf(ret_why, size, "%s", p->why);
    up = p->why[0] == '\0';
    pthread_mutex_unlock(&p->lock);
    return up;
}
