/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/subs.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

enum {
    ASK_AGAIN_MS = 1000,     /* a queue that is missing, or held by a dying link */
    STALL_CONFIRM_MS = 1000, /* ready messages must be seen twice, this far apart */
    STALLS_MAX = 5,          /* the patience doubles so often */
    START_FAILURES_MAX = 6,  /* ASK_AGAIN_MS doubles so often */
};

/* ---- table ---- */

struct sn_sub *sn_subs_find(struct sn_subs *t, const void *queue, size_t len)
{
    struct sn_sub *s;

    HASH_FIND(hh, t->table, queue, len, s);
    return s;
}

struct sn_sub *sn_subs_get(struct sn_subs *t, const char *queue)
{
    struct sn_sub *s = sn_subs_find(t, queue, strlen(queue));

    if (s != NULL)
        return s;
    s = calloc(1, sizeof(*s));
    if (s == NULL || sn_text_copy(s->queue, sizeof(s->queue), queue) != 0) {
        free(s);
        return NULL;
    }
    HASH_ADD_STR(t->table, queue, s);
    return s;
}

/* The link ended before the broker answered a basic.consume: it may have ended because of it (a queue without a leader,
 * or in exclusive use), and the first unanswered one is the suspect. It begins later and later, so that it does not
 * take the others down each time. */
static void put_off_suspect(struct sn_subs *t, int64_t now_ms)
{
    struct sn_sub *suspect = NULL;

    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        if (s->started != 0 && (suspect == NULL || s->started < suspect->started))
            suspect = s;
    }
    if (suspect == NULL)
        return;
    suspect->ask_at_ms = now_ms + ((int64_t)ASK_AGAIN_MS << suspect->failures);
    if (suspect->failures < START_FAILURES_MAX)
        suspect->failures++;
    sn_log(t->log, SN_LOG_WARN, "broker", "the link ended while this queue's consumer was started; it is put off",
           "queue", suspect->queue, NULL);
}

void sn_subs_forget_link(struct sn_subs *t, int64_t now_ms)
{
    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next)
        s->ask_at_ms = 0;
    put_off_suspect(t, now_ms);
    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        s->state = SN_SUB_IDLE;
        s->asked = 0;
        s->started = 0;
        s->unacked = 0;
        s->stall_seen = 0;
    }
    t->reopening = false;
}

void sn_subs_fini(struct sn_subs *t)
{
    struct sn_sub *s, *next;

    HASH_ITER(hh, t->table, s, next)
    {
        HASH_DEL(t->table, s);
        free(s);
    }
}

/* ---- asking and consuming ---- */

static bool may_ask(const struct sn_sub *s)
{
    return s->wanted && s->state == SN_SUB_IDLE;
}

/* The broker may deliver now: if it has messages and does not, it has stalled. */
static bool is_watched(const struct sn_sub *s)
{
    return s->state == SN_SUB_ACTIVE && !s->own && s->unacked < (size_t)s->prefetch;
}

static int ask(struct sn_subs *t, struct sn_sub *s, struct sn_error *err)
{
    amqp_table_entry_t ttl = { .key = amqp_cstring_bytes("x-message-ttl") };
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(s->queue), .passive = !s->own, .exclusive = s->own, .auto_delete = s->own
    };

    if (s->own) {
        ttl.value.kind = AMQP_FIELD_KIND_I32;
        ttl.value.value.i32 = s->ttl_ms;
        m.arguments = (amqp_table_t){ .num_entries = 1, .entries = &ttl };
    }
    s->asked = ++t->asked_last;
    return sn_amqp_send(t->link, SN_AMQP_ASK, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

static int ask_bind(struct sn_subs *t, struct sn_sub *s, struct sn_error *err)
{
    amqp_queue_bind_t m = { .queue = amqp_cstring_bytes(s->queue),
                            .exchange = amqp_cstring_bytes(s->exchange),
                            .routing_key = amqp_cstring_bytes(s->key) };

    s->state = SN_SUB_BINDING;
    s->asked = ++t->asked_last;
    return sn_amqp_send(t->link, SN_AMQP_ASK, AMQP_QUEUE_BIND_METHOD, &m, err);
}

static int start(struct sn_subs *t, struct sn_sub *s, int64_t now_ms, struct sn_error *err)
{
    amqp_basic_qos_t qos = { .prefetch_count = (uint16_t)(s->prefetch < UINT16_MAX ? s->prefetch : UINT16_MAX) };
    amqp_basic_consume_t m = { .queue = amqp_cstring_bytes(s->queue),
                               .consumer_tag = amqp_cstring_bytes(s->queue),
                               .no_ack = s->own };

    s->state = SN_SUB_STARTING;
    s->started = ++t->started_last;
    s->moved_ms = now_ms;
    s->stall_seen = 0;
    /* Without `global` the limit holds for each consumer that is started after it. */
    if (sn_amqp_send(t->link, SN_AMQP_WORK, AMQP_BASIC_QOS_METHOD, &qos, err) != 0)
        return -1;
    return sn_amqp_send(t->link, SN_AMQP_WORK, AMQP_BASIC_CONSUME_METHOD, &m, err);
}

int sn_subs_cancel(struct sn_subs *t, struct sn_sub *s, struct sn_error *err)
{
    amqp_basic_cancel_t m = { .consumer_tag = amqp_cstring_bytes(s->queue) };

    if (s->state == SN_SUB_ASKING || s->state == SN_SUB_BINDING)
        s->state = SN_SUB_IDLE; /* the answer is still counted */
    if (s->state != SN_SUB_STARTING && s->state != SN_SUB_ACTIVE)
        return 0;
    s->state = SN_SUB_CANCELLING;
    return sn_amqp_send(t->link, SN_AMQP_WORK, AMQP_BASIC_CANCEL_METHOD, &m, err);
}

static int ask_for_wanted(struct sn_subs *t, int64_t now_ms, struct sn_error *err)
{
    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        if (!may_ask(s) || s->asked != 0 || now_ms < s->ask_at_ms)
            continue;
        s->state = SN_SUB_ASKING;
        if (ask(t, s, err) != 0)
            return -1;
    }
    return 0;
}

/* Answers on the ask channel come in the order of the requests: the oldest one is meant. */
static struct sn_sub *oldest_asked(struct sn_subs *t)
{
    struct sn_sub *oldest = NULL;

    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        if (s->asked != 0 && (oldest == NULL || s->asked < oldest->asked))
            oldest = s;
    }
    return oldest;
}

/* How long this queue may be silent. It doubles each time that dropping the link did not help: somebody else may be its
 * active consumer, which declare-ok does not tell (it counts active ones only). */
static int64_t patience_ms(const struct sn_subs *t, const struct sn_sub *s)
{
    return (int64_t)t->stall_ms << s->stalls;
}

/* The watchdog's look: the queue has room in our prefetch and has messages, twice. Other consumers of a queue without
 * single-active may rightly be fed instead. */
static int judge_stall(struct sn_subs *t, struct sn_sub *s, const amqp_queue_declare_ok_t *m, int64_t now_ms,
                       struct sn_error *err)
{
    int64_t patience = patience_ms(t, s);

    s->moved_ms = now_ms;
    if (m->message_count == 0 || m->consumer_count > 1) {
        s->stall_seen = 0;
        return 0;
    }
    if (++s->stall_seen < 2) {
        s->moved_ms = now_ms - patience + (patience < STALL_CONFIRM_MS ? patience : STALL_CONFIRM_MS);
        return 0;
    }
    if (s->stalls < STALLS_MAX)
        s->stalls++;
    return sn_error_set(err, "broker.stalled", "queue %s holds %u messages and delivered none for %lld ms", s->queue,
                        m->message_count, (long long)patience);
}

static int look_for_stalls(struct sn_subs *t, int64_t now_ms, struct sn_error *err)
{
    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        if (!is_watched(s) || s->asked != 0 || now_ms - s->moved_ms < patience_ms(t, s))
            continue;
        if (ask(t, s, err) != 0)
            return -1;
    }
    return 0;
}

static int answered(struct sn_subs *t, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    struct sn_sub *s = oldest_asked(t);

    if (s == NULL)
        return sn_error_set(err, "broker.link-lost", "the broker answered what was not asked");
    s->asked = 0;
    s->said_missing = false;
    if (s->state == SN_SUB_ACTIVE && ev->id == AMQP_QUEUE_DECLARE_OK_METHOD)
        return judge_stall(t, s, ev->method, now_ms, err);
    if (s->state == SN_SUB_ASKING && s->own)
        return ask_bind(t, s, err);
    if (s->state == SN_SUB_ASKING || s->state == SN_SUB_BINDING)
        return start(t, s, now_ms, err);
    return 0;
}

/* The ask channel was closed: the oldest request is refused, those behind it were never read. */
static int ask_refused(struct sn_subs *t, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    struct sn_sub *refused = oldest_asked(t);
    amqp_channel_open_t open = { 0 };
    char text[SN_ERROR_TEXT_MAX];

    sn_amqp_close_text(ev, text, sizeof(text));
    for (struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        s->asked = 0;
        if (s->state == SN_SUB_ASKING || s->state == SN_SUB_BINDING)
            s->state = SN_SUB_IDLE;
    }
    if (refused != NULL) {
        refused->ask_at_ms = now_ms + ASK_AGAIN_MS;
        refused->moved_ms = now_ms;
        if (!refused->said_missing)
            sn_log(t->log, SN_LOG_WARN, "broker", "queue cannot be consumed; it is tried again", "queue",
                   refused->queue, "why", text, NULL);
        refused->said_missing = true;
    }
    t->reopening = true;
    return sn_amqp_send(t->link, SN_AMQP_ASK, AMQP_CHANNEL_OPEN_METHOD, &open, err);
}

/* ---- for the consumer ---- */

int sn_subs_turn(struct sn_subs *t, int64_t now_ms, struct sn_error *err)
{
    if (t->reopening)
        return 0;
    if (ask_for_wanted(t, now_ms, err) != 0)
        return -1;
    return look_for_stalls(t, now_ms, err);
}

int64_t sn_subs_due(const struct sn_subs *t, int64_t until_ms)
{
    if (t->reopening)
        return until_ms;
    for (const struct sn_sub *s = t->table; s != NULL; s = s->hh.next) {
        int64_t at_ms = until_ms;
        if (s->asked == 0 && may_ask(s))
            at_ms = s->ask_at_ms;
        else if (s->asked == 0 && is_watched(s))
            at_ms = s->moved_ms + patience_ms(t, s);
        if (at_ms < until_ms)
            until_ms = at_ms;
    }
    return until_ms;
}

static int started(struct sn_subs *t, const struct sn_amqp_event *ev, int64_t now_ms)
{
    const amqp_basic_consume_ok_t *m = ev->method;
    struct sn_sub *s = sn_subs_find(t, m->consumer_tag.bytes, m->consumer_tag.len);

    if (s != NULL && (s->state == SN_SUB_STARTING || s->state == SN_SUB_CANCELLING)) {
        s->started = 0;
        s->failures = 0;
        s->moved_ms = now_ms;
        if (s->state == SN_SUB_STARTING)
            s->state = SN_SUB_ACTIVE;
    }
    return 0;
}

static int cancelled(struct sn_subs *t, const struct sn_amqp_event *ev)
{
    const amqp_basic_cancel_ok_t *m = ev->method;
    struct sn_sub *s = sn_subs_find(t, m->consumer_tag.bytes, m->consumer_tag.len);

    if (s != NULL && s->state == SN_SUB_CANCELLING)
        s->state = SN_SUB_IDLE;
    return 0;
}

int sn_subs_handle(struct sn_subs *t, const struct sn_amqp_event *ev, int64_t now_ms, struct sn_error *err)
{
    switch (ev->id) {
    case AMQP_BASIC_CONSUME_OK_METHOD:
        return started(t, ev, now_ms);
    case AMQP_BASIC_CANCEL_OK_METHOD:
        return cancelled(t, ev);
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
        return answered(t, ev, now_ms, err);
    case AMQP_CHANNEL_OPEN_OK_METHOD:
        t->reopening = false;
        return 0;
    case AMQP_CHANNEL_CLOSE_METHOD:
        return ask_refused(t, ev, now_ms, err);
    default:
        return 0;
    }
}
