/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology as tables; declaring, checking and describing all read them. What a guarantee needs is an argument, not
 * a policy: a policy can be missing in a restored broker (docs/protocols/rabbitmq.md, "Topology").
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/broker/client.h"

struct exchange_row {
    const char *name;
    const char *type;
    const char *alternate; /* takes what no binding takes; NULL = the publisher gets it back */
};

static const struct exchange_row EXCHANGES[] = {
    { "silver.intake", "fanout", NULL }, { "silver.events", "topic", "silver.intake" },
    { "silver.retry", "headers", NULL }, { "silver.return", "direct", "silver.intake" },
    { "silver.results", "topic", NULL }, { "silver.ctl", "direct", NULL },
};

enum { N_EXCHANGES = sizeof(EXCHANGES) / sizeof(EXCHANGES[0]), ARGS_MAX = 8, BINDINGS_MAX = 4, LEVELS = 5 };

/* Returns are counted by the broker, crashes by us: this limit keeps the order of requeued messages, it is no policy.
 */
/* Nobody shall lose a result or an unroutable event by a count (RabbitMQ 4 drops after 20 unless told otherwise). */
enum { KEEP_DELIVERY_LIMIT = 1000000 };

struct arg {
    const char *name;
    const char *text; /* NULL = number */
    int64_t number;
    bool boolean; /* number is a truth value */
};

struct binding {
    const char *exchange;
    char key[256];
    int64_t delay_ms; /* header silver-delay of a headers exchange, 0 = none */
};

struct queue_plan {
    char name[96];
    struct arg args[ARGS_MAX];
    int nargs;
    struct binding bindings[BINDINGS_MAX];
    int nbindings;
};

/* ---- plans ---- */

static void arg_text(struct queue_plan *q, const char *name, const char *text)
{
    q->args[q->nargs++] = (struct arg){ .name = name, .text = text };
}

static void arg_number(struct queue_plan *q, const char *name, int64_t number)
{
    q->args[q->nargs++] = (struct arg){ .name = name, .number = number };
}

static void arg_true(struct queue_plan *q, const char *name)
{
    q->args[q->nargs++] = (struct arg){ .name = name, .number = 1, .boolean = true };
}

/* Dead letters are handed over only when the target confirmed; without reject-publish the broker falls back to
 * at-most-once. */
static void arg_dead_letters(struct queue_plan *q, const char *exchange)
{
    arg_text(q, "x-dead-letter-exchange", exchange);
    arg_text(q, "x-dead-letter-strategy", "at-least-once");
    arg_text(q, "x-overflow", "reject-publish");
}

static void bind_to(struct queue_plan *q, const char *exchange, const char *prefix, const char *name, int64_t delay_ms)
{
    struct binding *b = &q->bindings[q->nbindings++];
    char key[sizeof(b->key)];

    /* name may be q's own: printing from a struct into itself is undefined */
    (void)snprintf(key, sizeof(key), "%s%s", prefix, name);
    memcpy(b->key, key, sizeof(key));
    b->exchange = exchange;
    b->delay_ms = delay_ms;
}

static void plan_begin(struct queue_plan *q, const char *fmt, const char *name)
{
    memset(q, 0, sizeof(*q));
    (void)snprintf(q->name, sizeof(q->name), "%s%s", fmt, name);
    arg_text(q, "x-queue-type", "quorum");
}

static void plan_intake(struct queue_plan *q)
{
    plan_begin(q, "silver.intake", "");
    arg_number(q, "x-delivery-limit", KEEP_DELIVERY_LIMIT);
    bind_to(q, "silver.intake", "", "", 0);
}

static void plan_ledger(struct queue_plan *q)
{
    plan_begin(q, "silver.ledger", "");
    arg_number(q, "x-delivery-limit", KEEP_DELIVERY_LIMIT);
    bind_to(q, "silver.results", "#", "", 0);
}

/* The name holds the delay: another ladder makes other queues and the old ones run empty by themselves. */
static void plan_level(struct queue_plan *q, int64_t delay_ms)
{
    char name[32];

    if (delay_ms % 1000 == 0)
        (void)snprintf(name, sizeof(name), "%llds", (long long)(delay_ms / 1000));
    else
        (void)snprintf(name, sizeof(name), "%lldms", (long long)delay_ms);
    plan_begin(q, "silver.retry.", name);
    arg_number(q, "x-message-ttl", delay_ms);
    arg_dead_letters(q, "silver.return"); /* no x-dead-letter-routing-key: the key stays the queue of origin */
    bind_to(q, "silver.retry", "", "", delay_ms);
}

static void plan_device(struct queue_plan *q, const char *device_id, bool bulk)
{
    char name[80];

    (void)snprintf(name, sizeof(name), "%s%s", device_id, bulk ? ".bulk" : "");
    plan_begin(q, "silver.device.", name);
    arg_true(q, "x-single-active-consumer");
    arg_number(q, "x-delivery-limit", SN_DEVICE_DELIVERY_LIMIT);
    arg_dead_letters(q, "silver.intake");
    if (bulk) {
        bind_to(q, "silver.events", "bulk.*.", device_id, 0);
    } else {
        bind_to(q, "silver.events", "contract.*.", device_id, 0);
        bind_to(q, "silver.events", "command.*.", device_id, 0);
    }
    bind_to(q, "silver.return", "", q->name, 0);
}

/* The i-th queue of the topology; false after the last. */
static bool plan_at(size_t i, const struct sn_ladder *ladder, const char *const *device_ids, struct queue_plan *q)
{
    size_t device;

    if (i == 0)
        plan_intake(q);
    else if (i == 1)
        plan_ledger(q);
    else if (i < 2 + LEVELS)
        plan_level(q, ladder->level_ms[i - 2]);
    if (i < 2 + LEVELS)
        return true;
    device = (i - 2 - LEVELS) / 2;
    for (size_t k = 0; device_ids != NULL && k <= device; k++) {
        if (device_ids[k] == NULL)
            return false;
    }
    if (device_ids == NULL)
        return false;
    plan_device(q, device_ids[device], (i - 2 - LEVELS) % 2 == 1);
    return true;
}

static int check_ladder(const struct sn_ladder *ladder, struct sn_error *err)
{
    for (int i = 0; i < LEVELS; i++) {
        if (ladder->level_ms[i] < 1 || ladder->level_ms[i] > INT32_MAX ||
            (i > 0 && ladder->level_ms[i] <= ladder->level_ms[i - 1]))
            return sn_error_set(err, "config.ladder",
                                "retry level %d: %lld ms is not more than the level before (or over 24 days)", i + 1,
                                (long long)ladder->level_ms[i]);
    }
    return 0;
}

/* ---- to the broker ---- */

static int declare_exchange(struct sn_broker_client *c, const struct exchange_row *row, bool passive,
                            struct sn_error *err)
{
    amqp_table_entry_t alternate = { .key = amqp_cstring_bytes("alternate-exchange") };
    amqp_exchange_declare_t m = { .exchange = amqp_cstring_bytes(row->name),
                                  .type = amqp_cstring_bytes(row->type),
                                  .passive = passive,
                                  .durable = 1 };

    if (row->alternate != NULL) {
        alternate.value.kind = AMQP_FIELD_KIND_UTF8;
        alternate.value.value.bytes = amqp_cstring_bytes(row->alternate);
        m.arguments = (amqp_table_t){ .num_entries = 1, .entries = &alternate };
    }
    return sn_client_rpc(c, AMQP_EXCHANGE_DECLARE_METHOD, &m, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL, err);
}

static void encode_args(const struct queue_plan *q, amqp_table_entry_t *entries, amqp_table_t *ret)
{
    memset(entries, 0, sizeof(*entries) * ARGS_MAX);
    for (int i = 0; i < q->nargs; i++) {
        const struct arg *a = &q->args[i];
        amqp_field_value_t *v = &entries[i].value;

        entries[i].key = amqp_cstring_bytes(a->name);
        if (a->text != NULL) {
            v->kind = AMQP_FIELD_KIND_UTF8;
            v->value.bytes = amqp_cstring_bytes(a->text);
        } else if (a->boolean) {
            v->kind = AMQP_FIELD_KIND_BOOLEAN;
            v->value.boolean = 1;
        } else {
            v->kind = AMQP_FIELD_KIND_I64;
            v->value.i64 = a->number;
        }
    }
    *ret = (amqp_table_t){ .num_entries = q->nargs, .entries = entries };
}

static int declare_queue(struct sn_broker_client *c, const struct queue_plan *q, bool passive, struct sn_error *err)
{
    amqp_table_entry_t entries[ARGS_MAX];
    amqp_queue_declare_t m = { .queue = amqp_cstring_bytes(q->name), .passive = passive, .durable = 1 };

    encode_args(q, entries, &m.arguments);
    return sn_client_rpc(c, AMQP_QUEUE_DECLARE_METHOD, &m, AMQP_QUEUE_DECLARE_OK_METHOD, NULL, err);
}

static int bind_queue(struct sn_broker_client *c, const struct queue_plan *q, const struct binding *b,
                      struct sn_error *err)
{
    amqp_table_entry_t delay = { .key = amqp_cstring_bytes("silver-delay") };
    amqp_queue_bind_t m = { .queue = amqp_cstring_bytes(q->name),
                            .exchange = amqp_cstring_bytes(b->exchange),
                            .routing_key = amqp_cstring_bytes(b->key) };

    if (b->delay_ms > 0) {
        delay.value.kind = AMQP_FIELD_KIND_I64;
        delay.value.value.i64 = b->delay_ms;
        m.arguments = (amqp_table_t){ .num_entries = 1, .entries = &delay };
    }
    return sn_client_rpc(c, AMQP_QUEUE_BIND_METHOD, &m, AMQP_QUEUE_BIND_OK_METHOD, NULL, err);
}

static int apply_queue(struct sn_broker_client *c, const struct queue_plan *q, struct sn_error *err)
{
    if (declare_queue(c, q, false, err) != 0)
        return sn_error_prefix(err, "queue %s", q->name);
    for (int i = 0; i < q->nbindings; i++) {
        if (bind_queue(c, q, &q->bindings[i], err) != 0)
            return sn_error_prefix(err, "binding of queue %s to %s", q->name, q->bindings[i].exchange);
    }
    return 0;
}

int sn_topology_base(struct sn_broker_client *c, const struct sn_ladder *ladder, struct sn_error *err)
{
    struct queue_plan q;

    if (check_ladder(ladder, err) != 0)
        return -1;
    for (int i = 0; i < N_EXCHANGES; i++) {
        if (declare_exchange(c, &EXCHANGES[i], false, err) != 0)
            return sn_error_prefix(err, "exchange %s", EXCHANGES[i].name);
    }
    for (size_t i = 0; plan_at(i, ladder, NULL, &q); i++) {
        if (apply_queue(c, &q, err) != 0)
            return -1;
    }
    return 0;
}

static bool device_id_ok(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return n >= 1 && n <= 63 && id[n] == '\0' && id[0] != '_' && id[0] != '-';
}

int sn_topology_device(struct sn_broker_client *c, const char *device_id, struct sn_error *err)
{
    struct queue_plan q;

    /* A dot or a wildcard in the id would bind other devices' keys. */
    if (!device_id_ok(device_id))
        return sn_error_set(err, "inventory.device-id", "\"%.80s\" is no device id", device_id);
    for (int bulk = 0; bulk < 2; bulk++) {
        plan_device(&q, device_id, bulk);
        if (apply_queue(c, &q, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- checking ---- */

/* An existing thing is declared again with our arguments: that changes nothing and the broker says which argument
 * differs. 0 = equal, 1 = said a difference, -1 = error. */
static int judge(int found, int equal, struct sn_error *err, const char *kind, const char *name,
                 void (*say)(void *arg, const char *line), void *arg)
{
    char line[SN_ERROR_TEXT_MAX + 200];

    if (found == 0 && equal == 0)
        return 0;
    if (found != 0 && strcmp(err->code, "broker.no-queue") == 0)
        (void)snprintf(line, sizeof(line), "%s %s is missing", kind, name);
    else if (strcmp(err->code, "broker.topology-differs") == 0)
        (void)snprintf(line, sizeof(line), "%s %s differs: %s", kind, name, err->text);
    else
        return -1;
    say(arg, line);
    return 1;
}

int sn_topology_check(struct sn_broker_client *c, const struct sn_ladder *ladder, const char *const *device_ids,
                      void (*say)(void *arg, const char *line), void *arg, struct sn_error *err)
{
    struct queue_plan q;
    int differences = 0;

    if (check_ladder(ladder, err) != 0)
        return -1;
    for (int i = 0; i < N_EXCHANGES; i++) {
        int found = declare_exchange(c, &EXCHANGES[i], true, err);
        int equal = found == 0 ? declare_exchange(c, &EXCHANGES[i], false, err) : 0;
        int n = judge(found, equal, err, "exchange", EXCHANGES[i].name, say, arg);
        if (n < 0)
            return -1;
        differences += n;
    }
    for (size_t i = 0; plan_at(i, ladder, device_ids, &q); i++) {
        int found = declare_queue(c, &q, true, err);
        int equal = found == 0 ? declare_queue(c, &q, false, err) : 0;
        int n = judge(found, equal, err, "queue", q.name, say, arg);
        if (n < 0)
            return -1;
        differences += n;
    }
    return differences;
}

/* ---- describing ---- */

static json_t *describe_queue(const struct queue_plan *q)
{
    json_t *args = json_object();
    json_t *bindings = json_array();

    for (int i = 0; i < q->nargs; i++) {
        const struct arg *a = &q->args[i];
        json_t *value = a->text != NULL ? json_string(a->text) : a->boolean ? json_true() : json_integer(a->number);
        (void)json_object_set_new(args, a->name, value);
    }
    for (int i = 0; i < q->nbindings; i++) {
        const struct binding *b = &q->bindings[i];
        json_t *row = json_pack("{s:s, s:s}", "exchange", b->exchange, "key", b->key);
        if (b->delay_ms > 0)
            (void)json_object_set_new(row, "silver-delay", json_integer(b->delay_ms));
        (void)json_array_append_new(bindings, row);
    }
    return json_pack("{s:s, s:o, s:o}", "name", q->name, "arguments", args, "bindings", bindings);
}

json_t *sn_topology_describe(const struct sn_ladder *ladder, const char *const *device_ids)
{
    json_t *exchanges = json_array();
    json_t *queues = json_array();
    struct queue_plan q;

    for (int i = 0; i < N_EXCHANGES; i++) {
        json_t *row = json_pack("{s:s, s:s}", "name", EXCHANGES[i].name, "type", EXCHANGES[i].type);
        if (EXCHANGES[i].alternate != NULL)
            (void)json_object_set_new(row, "alternate-exchange", json_string(EXCHANGES[i].alternate));
        (void)json_array_append_new(exchanges, row);
    }
    for (size_t i = 0; plan_at(i, ladder, device_ids, &q); i++)
        (void)json_array_append_new(queues, describe_queue(&q));
    return json_pack("{s:o, s:o}", "exchanges", exchanges, "queues", queues);
}
