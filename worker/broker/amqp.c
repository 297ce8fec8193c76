/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/amqp.h"

#include <amqp_tcp_socket.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CHANNEL_MAX = 8,
    FRAME_MAX = 131072,    /* what we ask for and send */
    FRAME_TAKEN = 1 << 20, /* what we accept, see tune() */
    GOODBYE_MS = 1000,
    FRAME_EXTRA = 8, /* header and end of a frame */
};

static struct timeval timeval_of(int ms)
{
    return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };
}

static int dead(struct sn_error *err, const char *what, int status)
{
    return sn_error_set(err, "broker.link-lost", "%s: %s", what, amqp_error_string2(status));
}

bool sn_amqp_alive(const struct sn_amqp *a)
{
    return a->state != NULL && amqp_get_sockfd(a->state) >= 0;
}

int sn_amqp_fd(const struct sn_amqp *a)
{
    return a->state != NULL ? amqp_get_sockfd(a->state) : -1;
}

/* ---- opening and closing ---- */

static void format_close(char *out, size_t size, int code, amqp_bytes_t text)
{
    (void)snprintf(out, size, "%d %.*s", code, (int)text.len, text.len > 0 ? (const char *)text.bytes : "");
}

void sn_amqp_close_text(const struct sn_amqp_event *ev, char *out, size_t size)
{
    const amqp_channel_close_t *c = ev->method; /* connection.close begins with the same two members */

    format_close(out, size, c->reply_code, c->reply_text);
}

static int rpc_error(const amqp_rpc_reply_t *r, const char *code, const char *what, struct sn_error *err)
{
    char text[300];

    if (r->reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        return sn_error_set(err, code, "%s: %s", what, amqp_error_string2(r->library_error));
    if (r->reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && r->reply.decoded != NULL) {
        const amqp_channel_close_t *c = r->reply.decoded;
        format_close(text, sizeof(text), c->reply_code, c->reply_text);
        return sn_error_set(err, code, "%s: %s", what, text);
    }
    return sn_error_set(err, code, "%s: no answer", what);
}

/* A peer that is gone or does not read must not hold our send for ever: the library itself waits without limit for a
 * full socket. */
static void set_socket_limits(int fd, int heartbeat_s)
{
    unsigned timeout_ms = heartbeat_s > 0 ? (unsigned)heartbeat_s * 2000U : 20000U;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static int login(struct sn_amqp *a, const struct sn_broker_conf *conf, const char *role, struct sn_error *err)
{
    static const char *const CAPABILITIES[] = { "consumer_cancel_notify", "connection.blocked", "publisher_confirms",
                                                "basic.nack" };
    enum { N = sizeof(CAPABILITIES) / sizeof(CAPABILITIES[0]) };
    amqp_table_entry_t caps[N] = { 0 };
    amqp_table_entry_t props[3] = { 0 };
    char name[128];
    amqp_rpc_reply_t r;

    for (int i = 0; i < N; i++) {
        caps[i].key = amqp_cstring_bytes(CAPABILITIES[i]);
        caps[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
        caps[i].value.value.boolean = 1;
    }
    (void)snprintf(name, sizeof(name), "%s %s", conf->name != NULL ? conf->name : "silver", role);
    props[0].key = amqp_cstring_bytes("capabilities");
    props[0].value.kind = AMQP_FIELD_KIND_TABLE;
    props[0].value.value.table = (amqp_table_t){ .num_entries = N, .entries = caps };
    props[1].key = amqp_cstring_bytes("connection_name");
    props[1].value.kind = AMQP_FIELD_KIND_UTF8;
    props[1].value.value.bytes = amqp_cstring_bytes(name);
    props[2].key = amqp_cstring_bytes("product");
    props[2].value.kind = AMQP_FIELD_KIND_UTF8;
    props[2].value.value.bytes = amqp_cstring_bytes("silver-netops");
    r = amqp_login_with_properties(a->state, conf->vhost, CHANNEL_MAX, FRAME_MAX, conf->heartbeat_s,
                                   &(amqp_table_t){ .num_entries = 3, .entries = props }, AMQP_SASL_METHOD_PLAIN,
                                   conf->user, conf->password);
    if (r.reply_type != AMQP_RESPONSE_NORMAL)
        return rpc_error(&r, "broker.login", "login", err);
    return 0;
}

/* The broker forwards a message's headers in one frame of any size (its own x-death may push them over the agreed
 * maximum), and the library calls a longer frame broken data: such a message would kill each link that it is delivered
 * on. So more is accepted than was agreed; what is sent stays within FRAME_MAX. */
static int tune(struct sn_amqp *a, struct sn_error *err)
{
    int status =
        amqp_tune_connection(a->state, amqp_get_channel_max(a->state), FRAME_TAKEN, amqp_get_heartbeat(a->state));

    return status == AMQP_STATUS_OK ? 0 : dead(err, "tune", status);
}

static void note_version(struct sn_amqp *a)
{
    const amqp_table_t *t = amqp_get_server_properties(a->state);

    for (int i = 0; t != NULL && i < t->num_entries; i++) {
        const amqp_table_entry_t *e = &t->entries[i];
        if (e->key.len == 7 && memcmp(e->key.bytes, "version", 7) == 0 && e->value.kind == AMQP_FIELD_KIND_UTF8)
            sn_amqp_copy(a->version, sizeof(a->version), e->value.value.bytes);
    }
}

int sn_amqp_open(struct sn_amqp *a, const struct sn_broker_conf *conf, const char *role, struct sn_error *err)
{
    struct timeval connect_timeout = timeval_of(conf->connect_timeout_ms);
    struct timeval rpc_timeout = timeval_of(conf->rpc_timeout_ms);
    amqp_socket_t *socket;
    int status;

    memset(a, 0, sizeof(*a));
    a->state = amqp_new_connection();
    socket = a->state != NULL ? amqp_tcp_socket_new(a->state) : NULL;
    if (socket == NULL) {
        (void)sn_error_oom(err);
        goto fail;
    }
    status = amqp_socket_open_noblock(socket, conf->host, conf->port, &connect_timeout);
    if (status != AMQP_STATUS_OK) {
        (void)sn_error_set(err, "broker.connect", "RabbitMQ at %s:%d: %s", conf->host, conf->port,
                           amqp_error_string2(status));
        goto fail;
    }
    set_socket_limits(amqp_get_sockfd(a->state), conf->heartbeat_s);
    if (amqp_set_handshake_timeout(a->state, &connect_timeout) != AMQP_STATUS_OK ||
        amqp_set_rpc_timeout(a->state, &rpc_timeout) != AMQP_STATUS_OK) {
        (void)sn_error_set(err, "broker.connect", "timeouts of the broker connection are out of range");
        goto fail;
    }
    if (login(a, conf, role, err) != 0 || tune(a, err) != 0 || sn_amqp_channel(a, SN_AMQP_WORK, err) != 0)
        goto fail_named;
    note_version(a);
    return 0;
fail_named:
    (void)sn_error_prefix(err, "RabbitMQ at %s:%d", conf->host, conf->port);
fail:
    sn_amqp_close(a, false);
    return -1;
}

void sn_amqp_close(struct sn_amqp *a, bool polite)
{
    if (a->state == NULL)
        return;
    if (polite && sn_amqp_alive(a) && !a->blocked) { /* a blocked connection is not read: no goodbye would come */
        struct timeval timeout = timeval_of(GOODBYE_MS);
        (void)amqp_set_rpc_timeout(a->state, &timeout);
        (void)amqp_connection_close(a->state, AMQP_REPLY_SUCCESS);
    }
    (void)amqp_destroy_connection(a->state);
    free(a->event.body);
    memset(a, 0, sizeof(*a));
}

/* ---- receiving ---- */

static int answer_close(struct sn_amqp *a, const struct sn_amqp_event *ev, struct sn_error *err)
{
    char text[300];
    amqp_channel_close_ok_t channel_ok = { 0 };
    amqp_connection_close_ok_t connection_ok = { 0 };

    if (ev->id == AMQP_CHANNEL_CLOSE_METHOD)
        return sn_amqp_send(a, ev->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &channel_ok, err);
    sn_amqp_close_text(ev, text, sizeof(text));
    (void)amqp_send_method(a->state, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &connection_ok);
    return sn_error_set(err, "broker.link-lost", "the broker closed the connection: %s", text);
}

static int take_method(struct sn_amqp *a, const amqp_frame_t *f, struct sn_error *err)
{
    struct sn_amqp_event *ev = &a->event;

    *ev = (struct sn_amqp_event){ .channel = f->channel,
                                  .id = f->payload.method.id,
                                  .method = f->payload.method.decoded };
    switch (ev->id) {
    case AMQP_BASIC_DELIVER_METHOD:
    case AMQP_BASIC_RETURN_METHOD:
        a->content = true;
        a->header_seen = false;
        a->body_seen = 0;
        return 0;
    case AMQP_CONNECTION_CLOSE_METHOD:
    case AMQP_CHANNEL_CLOSE_METHOD:
        return answer_close(a, ev, err) == 0 ? 1 : -1;
    case AMQP_CONNECTION_BLOCKED_METHOD:
        a->blocked = true;
        return 1;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        a->blocked = false;
        return 1;
    default:
        return 1;
    }
}

/* Header and body of the message that the method before announced. 1 when it is whole. */
static int take_content(struct sn_amqp *a, const amqp_frame_t *f, struct sn_error *err)
{
    struct sn_amqp_event *ev = &a->event;

    if (f->channel != ev->channel || f->frame_type != (a->header_seen ? AMQP_FRAME_BODY : AMQP_FRAME_HEADER))
        return sn_error_set(err, "broker.link-lost", "the broker broke off a message");
    if (!a->header_seen) {
        a->header_seen = true;
        ev->props = f->payload.properties.decoded;
        ev->full_len = f->payload.properties.body_size;
        ev->body = malloc((size_t)(ev->full_len < SN_BODY_MAX ? ev->full_len : SN_BODY_MAX) + 1);
        if (ev->body == NULL)
            return sn_error_oom(err);
    } else {
        size_t n = f->payload.body_fragment.len;
        size_t room = SN_BODY_MAX - ev->len;

        if (n > ev->full_len - a->body_seen)
            return sn_error_set(err, "broker.link-lost", "the broker sent more of a message than it announced");
        a->body_seen += n;
        memcpy(ev->body + ev->len, f->payload.body_fragment.bytes, n < room ? n : room);
        ev->len += n < room ? n : room;
    }
    ev->body[ev->len] = '\0';
    if (a->body_seen < ev->full_len)
        return 0;
    a->content = false;
    return 1;
}

int sn_amqp_next(struct sn_amqp *a, int timeout_ms, const struct sn_amqp_event **ret, struct sn_error *err)
{
    struct timeval timeout = timeval_of(timeout_ms);
    amqp_frame_t frame;
    int done = 0;

    if (!a->content) {
        free(a->event.body);
        memset(&a->event, 0, sizeof(a->event));
        amqp_maybe_release_buffers(a->state); /* all that was decoded before; not while a message is half received */
    }
    while (done == 0) {
        int status = amqp_simple_wait_frame_noblock(a->state, &frame, &timeout);
        if (status == AMQP_STATUS_TIMEOUT)
            return 0;
        if (status != AMQP_STATUS_OK)
            return dead(err, "connection to the broker", status);
        if (a->content)
            done = take_content(a, &frame, err);
        else if (frame.frame_type == AMQP_FRAME_METHOD)
            done = take_method(a, &frame, err);
        else
            return sn_error_set(err, "broker.link-lost", "the broker sent content that nobody announced");
    }
    *ret = &a->event;
    return done;
}

char *sn_amqp_take_body(struct sn_amqp *a, size_t *ret_len)
{
    char *body = a->event.body;

    *ret_len = a->event.len;
    a->event.body = NULL;
    return body;
}

/* ---- sending ---- */

int sn_amqp_send(struct sn_amqp *a, amqp_channel_t channel, amqp_method_number_t id, void *method, struct sn_error *err)
{
    int status = amqp_send_method(a->state, channel, id, method);

    return status == AMQP_STATUS_OK ? 0 : dead(err, "sending to the broker", status);
}

static const char *code_of_close(int reply_code)
{
    switch (reply_code) {
    case AMQP_NOT_FOUND:
        return "broker.no-queue";
    case AMQP_PRECONDITION_FAILED:
        return "broker.topology-differs";
    default:
        return "broker.refused";
    }
}

int sn_amqp_call(struct sn_amqp *a, amqp_channel_t channel, amqp_method_number_t id, void *method,
                 amqp_method_number_t reply_id, const void **ret_reply, struct sn_error *err)
{
    amqp_method_number_t replies[] = { reply_id, 0 };
    amqp_channel_close_ok_t ok = { 0 };
    struct sn_error again;
    amqp_rpc_reply_t r;

    if (!sn_amqp_alive(a))
        return sn_error_set(err, "broker.link-lost", "the connection to the broker is closed");
    r = amqp_simple_rpc(a->state, channel, id, replies, method);
    if (r.reply_type == AMQP_RESPONSE_NORMAL) {
        if (ret_reply != NULL)
            *ret_reply = r.reply.decoded;
        return 0;
    }
    if (r.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION || r.reply.id != AMQP_CHANNEL_CLOSE_METHOD)
        return rpc_error(&r, "broker.link-lost", "request to the broker", err);
    (void)rpc_error(&r, code_of_close(((const amqp_channel_close_t *)r.reply.decoded)->reply_code),
                    "the broker refused", err);
    if (sn_amqp_send(a, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, &again) != 0 ||
        sn_amqp_channel(a, channel, &again) != 0)
        *err = again;
    return -1;
}

int sn_amqp_channel(struct sn_amqp *a, amqp_channel_t channel, struct sn_error *err)
{
    amqp_channel_open_t open = { 0 };

    return sn_amqp_call(a, channel, AMQP_CHANNEL_OPEN_METHOD, &open, AMQP_CHANNEL_OPEN_OK_METHOD, NULL, err);
}

int sn_amqp_channel_confirms(struct sn_amqp *a, struct sn_error *err)
{
    amqp_confirm_select_t select = { 0 };

    return sn_amqp_call(a, SN_AMQP_WORK, AMQP_CONFIRM_SELECT_METHOD, &select, AMQP_CONFIRM_SELECT_OK_METHOD, NULL, err);
}

static void set_text(amqp_basic_properties_t *p, amqp_flags_t flag, amqp_bytes_t *field, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    *field = amqp_cstring_bytes(text);
    p->_flags |= flag;
}

static int send_body(struct sn_amqp *a, const char *body, size_t len)
{
    int status = AMQP_STATUS_OK;

    for (size_t done = 0; done < len && status == AMQP_STATUS_OK;) {
        size_t left = len - done;
        amqp_frame_t f = { .frame_type = AMQP_FRAME_BODY, .channel = SN_AMQP_WORK };

        f.payload.body_fragment.len = left < FRAME_MAX - FRAME_EXTRA ? left : FRAME_MAX - FRAME_EXTRA;
        f.payload.body_fragment.bytes = (void *)(uintptr_t)(body + done);
        done += f.payload.body_fragment.len;
        status = amqp_send_frame(a->state, &f);
    }
    return status;
}

/* Not amqp_basic_publish(): once nothing was received for two heartbeats it waits for ever for bytes of the broker. */
int sn_amqp_publish(struct sn_amqp *a, const struct sn_publication *pub, uint64_t seq, const char *reply_to,
                    struct sn_error *err)
{
    amqp_basic_publish_t m = { .exchange = amqp_cstring_bytes(pub->exchange),
                               .routing_key = amqp_cstring_bytes(pub->routing_key),
                               .mandatory = !pub->transient };
    amqp_basic_properties_t p = { ._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                                            AMQP_BASIC_TIMESTAMP_FLAG };
    amqp_frame_t header = { .frame_type = AMQP_FRAME_HEADER, .channel = SN_AMQP_WORK };
    struct sn_amqp_headers headers;
    int status;

    sn_headers_encode(&pub->headers, pub->delay_level_ms, seq, &headers);
    p.headers = headers.table;
    p.delivery_mode = pub->transient ? 1 : 2;
    p.timestamp = (uint64_t)(pub->published_ms / 1000);
    set_text(&p, AMQP_BASIC_CONTENT_TYPE_FLAG, &p.content_type, pub->content_type);
    set_text(&p, AMQP_BASIC_TYPE_FLAG, &p.type, pub->type);
    set_text(&p, AMQP_BASIC_MESSAGE_ID_FLAG, &p.message_id, pub->message_id);
    set_text(&p, AMQP_BASIC_CORRELATION_ID_FLAG, &p.correlation_id, pub->correlation_id);
    set_text(&p, AMQP_BASIC_REPLY_TO_FLAG, &p.reply_to, reply_to);
    header.payload.properties.class_id = AMQP_BASIC_CLASS;
    header.payload.properties.body_size = pub->len;
    header.payload.properties.decoded = &p;
    status = amqp_send_method(a->state, SN_AMQP_WORK, AMQP_BASIC_PUBLISH_METHOD, &m);
    if (status == AMQP_STATUS_OK)
        status = amqp_send_frame(a->state, &header);
    if (status == AMQP_STATUS_OK)
        status = send_body(a, pub->body, pub->len);
    return status == AMQP_STATUS_OK ? 0 : dead(err, "publishing", status);
}

void sn_amqp_cork(struct sn_amqp *a, bool on)
{
    int value = on;
    int fd = sn_amqp_fd(a);

    if (fd >= 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

const char *sn_amqp_version_warning(const char *version)
{
    int major, minor, patch;

    if (sscanf(version, "%d.%d.%d", &major, &minor, &patch) != 3)
        return NULL;
    if (major < 3 || (major == 3 && minor < 10))
        return "RabbitMQ before 3.10 has neither message TTL nor at-least-once dead lettering on quorum queues";
    if (major == 3 && minor == 13 && patch <= 2)
        return "RabbitMQ 3.13.0 to 3.13.2 drops rejected messages as dead-letter cycles";
    if (major == 4 && minor == 3 && patch <= 5)
        return "RabbitMQ 4.3.0 to 4.3.5 may stop a queue for ever after consumer_timeout: keep it far above the "
               "longest job";
    return NULL;
}
