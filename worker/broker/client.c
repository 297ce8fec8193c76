/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"

struct sn_broker_client {
    struct sn_amqp link;
    uint64_t seq;
    bool replies; /* consuming from amq.rabbitmq.reply-to */
};

static const char REPLY_TO[] = "amq.rabbitmq.reply-to";

int sn_broker_client_open(const struct sn_broker_conf *conf, struct sn_broker_client **ret, struct sn_error *err)
{
    struct sn_broker_client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return sn_error_oom(err);
    if (sn_amqp_open(&c->link, conf, "client", err) != 0 || sn_amqp_channel(&c->link, SN_AMQP_ASK, err) != 0 ||
        sn_amqp_channel_confirms(&c->link, err) != 0) {
        sn_broker_client_close(c);
        return -1;
    }
    *ret = c;
    return 0;
}

void sn_broker_client_close(struct sn_broker_client *c)
{
    if (c == NULL)
        return;
    sn_amqp_close(&c->link, true);
    free(c);
}

int sn_client_rpc(struct sn_broker_client *c, amqp_method_number_t id, void *method, amqp_method_number_t reply_id,
                  const void **ret_reply, struct sn_error *err)
{
    return sn_amqp_call(&c->link, SN_AMQP_ASK, id, method, reply_id, ret_reply, err);
}

/* Waits for the next event of the work channel. 0, or -1 (also when the time is up). */
static int wait_event(struct sn_broker_client *c, int64_t deadline_ms, const struct sn_amqp_event **ret,
                      struct sn_error *err)
{
    for (;;) {
        int n = sn_amqp_next(&c->link, sn_clock_left_ms(deadline_ms, sn_clock_mono_ms()), ret, err);
        char text[300];

        if (n < 0)
            return -1;
        if (n == 0) {
            if (c->link.blocked)
                return sn_error_set(err, "broker.timeout", "the broker accepts no publications (memory or disk alarm)");
            return sn_error_set(err, "broker.timeout", "the broker did not answer in time");
        }
        if ((*ret)->id != AMQP_CHANNEL_CLOSE_METHOD)
            return 0;
        sn_amqp_close_text(*ret, text, sizeof(text));
        if (sn_amqp_channel(&c->link, SN_AMQP_WORK, err) != 0 || sn_amqp_channel_confirms(&c->link, err) != 0)
            return -1;
        c->seq = 0;
        c->replies = false;
        return sn_error_set(err, "broker.refused", "the broker refused: %s", text);
    }
}

/* Handles ack, nack and return of publication c->seq. 1 = confirmed, 0 = something else, -1 = not taken. */
static int judge_confirm(struct sn_broker_client *c, const struct sn_amqp_event *ev, bool *returned,
                         struct sn_error *err)
{
    switch (ev->id) {
    case AMQP_BASIC_RETURN_METHOD:
        *returned = *returned || sn_headers_seq(ev->props) == c->seq;
        return 0;
    case AMQP_BASIC_NACK_METHOD:
        if (((const amqp_basic_nack_t *)ev->method)->delivery_tag != c->seq)
            return 0; /* of one whose time was up */
        return sn_error_set(err, "broker.refused", "the broker did not take the message");
    case AMQP_BASIC_ACK_METHOD:
        if (((const amqp_basic_ack_t *)ev->method)->delivery_tag != c->seq)
            return 0;
        if (*returned)
            return sn_error_set(err, "broker.unroutable", "nobody takes the message: no queue for it");
        return 1;
    default:
        return 0;
    }
}

int sn_broker_client_publish(struct sn_broker_client *c, struct sn_publication *pub, int64_t deadline_ms,
                             struct sn_error *err)
{
    const struct sn_amqp_event *ev;
    bool returned = false;
    int done = 0;

    if (pub->published_ms == 0)
        pub->published_ms = sn_clock_wall_ms();
    if (sn_amqp_publish(&c->link, pub, ++c->seq, NULL, err) != 0)
        done = -1;
    while (done == 0)
        done = wait_event(c, deadline_ms, &ev, err) != 0 ? -1 : judge_confirm(c, ev, &returned, err);
    sn_publication_free(pub);
    return done == 1 ? 0 : -1;
}

static int consume_replies(struct sn_broker_client *c, struct sn_error *err)
{
    amqp_basic_consume_t m = { .queue = amqp_cstring_bytes(REPLY_TO), .no_ack = 1 };

    if (c->replies)
        return 0;
    if (sn_amqp_call(&c->link, SN_AMQP_WORK, AMQP_BASIC_CONSUME_METHOD, &m, AMQP_BASIC_CONSUME_OK_METHOD, NULL, err) !=
        0)
        return -1;
    c->replies = true;
    return 0;
}

/* 1 = that was the last reply, 0 = go on. Replies to an earlier request that came late are passed over. */
static int take_reply(const struct sn_amqp_event *ev, const char *correlation_id,
                      bool (*on_reply)(void *arg, const json_t *reply), void *arg, struct sn_error *err)
{
    char got[64] = "";
    json_error_t why;
    json_t *reply;
    bool last;

    if (ev->props->_flags & AMQP_BASIC_CORRELATION_ID_FLAG)
        sn_amqp_copy(got, sizeof(got), ev->props->correlation_id);
    if (strcmp(got, correlation_id) != 0)
        return 0;
    reply = sn_json_load(ev->body, ev->len, JSON_REJECT_DUPLICATES, &why);
    if (reply == NULL)
        return sn_error_set(err, "ctl.bad-reply", "the worker's reply is not JSON: %s", why.text);
    last = on_reply(arg, reply);
    json_decref(reply);
    return last ? 1 : 0;
}

static struct sn_publication *request_of(const char *exchange, const char *routing_key, const json_t *request,
                                         struct sn_error *err)
{
    char *body = sn_json_dumps(request, JSON_COMPACT);
    struct sn_publication *pub = body != NULL ? sn_publication_new(exchange, routing_key, body, strlen(body)) : NULL;

    if (pub == NULL) {
        (void)sn_error_oom(err);
        return NULL;
    }
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    sn_uuid_make(pub->correlation_id);
    pub->published_ms = sn_clock_wall_ms();
    return pub;
}

int sn_broker_client_call(struct sn_broker_client *c, const char *exchange, const char *routing_key,
                          const json_t *request, int64_t deadline_ms, bool (*on_reply)(void *arg, const json_t *reply),
                          void *arg, struct sn_error *err)
{
    struct sn_publication *pub = request_of(exchange, routing_key, request, err);
    const struct sn_amqp_event *ev;
    bool returned = false;
    int done = 0;

    if (pub == NULL)
        return -1;
    if (consume_replies(c, err) != 0 || sn_amqp_publish(&c->link, pub, ++c->seq, REPLY_TO, err) != 0)
        done = -1;
    while (done == 0) {
        if (wait_event(c, deadline_ms, &ev, err) != 0)
            done = -1;
        else if (ev->id == AMQP_BASIC_DELIVER_METHOD)
            done = take_reply(ev, pub->correlation_id, on_reply, arg, err);
        else if (judge_confirm(c, ev, &returned, err) < 0)
            done = -1;
    }
    sn_publication_free(pub);
    return done == 1 ? 0 : -1;
}

int sn_broker_client_queue(struct sn_broker_client *c, const char *queue, int *ret_ready, int *ret_consumers,
                           struct sn_error *err)
{
    amqp_queue_declare_t m = { .queue = amqp_cstring_bytes(queue), .passive = 1 };
    const amqp_queue_declare_ok_t *ok;
    const void *reply;

    if (sn_client_rpc(c, AMQP_QUEUE_DECLARE_METHOD, &m, AMQP_QUEUE_DECLARE_OK_METHOD, &reply, err) != 0)
        return -1;
    ok = reply;
    *ret_ready = ok->message_count > INT32_MAX ? INT32_MAX : (int)ok->message_count;
    *ret_consumers = ok->consumer_count > INT32_MAX ? INT32_MAX : (int)ok->consumer_count;
    return 0;
}
