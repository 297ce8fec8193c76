/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/amqp.h"

#include <string.h>

/* The one list of our headers: both directions work from it. */
struct header_row {
    const char *name;
    size_t offset; /* in struct sn_headers */
    size_t size;   /* of a text field, 0 = int64 */
    bool read_only;
};
#define TEXT(field) offsetof(struct sn_headers, field), sizeof(((struct sn_headers *)0)->field)
#define NUMBER(field) offsetof(struct sn_headers, field), 0
static const struct header_row ROWS[] = {
    { "silver-attempt", NUMBER(attempt), false },
    { "silver-first-failed", NUMBER(first_failed), false },
    { "silver-origin", TEXT(origin), false },
    { "silver-code", TEXT(code), false },
    { "silver-replay", TEXT(replay), false },
    { "traceparent", TEXT(traceparent), false },
    /* Written by the broker only: sent by a client it may be believed and the message dropped as a cycle. */
    { "x-first-death-reason", TEXT(first_death), true },
    { "x-delivery-count", NUMBER(deliveries), true },
};
#undef TEXT
#undef NUMBER

static const char DELAY[] = "silver-delay";
static const char SEQ[] = "silver-seq";

void sn_amqp_copy(char *out, size_t size, amqp_bytes_t in)
{
    out[0] = '\0';
    if (in.len == 0 || in.len >= size || memchr(in.bytes, '\0', in.len) != NULL)
        return;
    memcpy(out, in.bytes, in.len);
    out[in.len] = '\0';
}

static amqp_table_entry_t *add(struct sn_amqp_headers *h, const char *name)
{
    amqp_table_entry_t *e = &h->entry[h->table.num_entries++];

    memset(e, 0, sizeof(*e));
    e->key = amqp_cstring_bytes(name);
    return e;
}

static void add_number(struct sn_amqp_headers *h, const char *name, int64_t value)
{
    amqp_table_entry_t *e = add(h, name);

    e->value.kind = AMQP_FIELD_KIND_I64;
    e->value.value.i64 = value;
}

static void add_text(struct sn_amqp_headers *h, const char *name, const char *value)
{
    amqp_table_entry_t *e = add(h, name);

    e->value.kind = AMQP_FIELD_KIND_UTF8;
    e->value.value.bytes = amqp_cstring_bytes(value);
}

_Static_assert(sizeof(ROWS) / sizeof(ROWS[0]) + 2 <= SN_AMQP_HEADERS_MAX, "every row, silver-delay and silver-seq fit");

void sn_headers_encode(const struct sn_headers *h, int64_t delay_level_ms, uint64_t seq, struct sn_amqp_headers *ret)
{
    ret->table.num_entries = 0;
    ret->table.entries = ret->entry;
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const char *field = (const char *)h + ROWS[i].offset;
        int64_t number;

        if (ROWS[i].read_only)
            continue;
        if (ROWS[i].size > 0) {
            if (*field != '\0')
                add_text(ret, ROWS[i].name, field);
            continue;
        }
        memcpy(&number, field, sizeof(number));
        if (number != 0)
            add_number(ret, ROWS[i].name, number);
    }
    if (delay_level_ms > 0)
        add_number(ret, DELAY, delay_level_ms);
    add_number(ret, SEQ, (int64_t)seq);
}

/* Any integer kind: publishers in other languages choose the shortest. 0 when it is none. */
static int64_t number_of(const amqp_field_value_t *v)
{
    switch (v->kind) {
    case AMQP_FIELD_KIND_I8:
        return v->value.i8;
    case AMQP_FIELD_KIND_U8:
        return v->value.u8;
    case AMQP_FIELD_KIND_I16:
        return v->value.i16;
    case AMQP_FIELD_KIND_U16:
        return v->value.u16;
    case AMQP_FIELD_KIND_I32:
        return v->value.i32;
    case AMQP_FIELD_KIND_U32:
        return v->value.u32;
    case AMQP_FIELD_KIND_I64:
        return v->value.i64;
    case AMQP_FIELD_KIND_U64:
        return v->value.u64 > INT64_MAX ? 0 : (int64_t)v->value.u64;
    default:
        return 0;
    }
}

static bool is_named(const amqp_table_entry_t *e, const char *name)
{
    return e->key.len == strlen(name) && memcmp(e->key.bytes, name, e->key.len) == 0;
}

static void decode_entry(const amqp_table_entry_t *e, struct sn_headers *ret)
{
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        char *field = (char *)ret + ROWS[i].offset;
        int64_t number;

        if (!is_named(e, ROWS[i].name))
            continue;
        if (ROWS[i].size == 0) {
            number = number_of(&e->value);
            memcpy(field, &number, sizeof(number));
        } else if (e->value.kind == AMQP_FIELD_KIND_UTF8 || e->value.kind == AMQP_FIELD_KIND_BYTES) {
            sn_amqp_copy(field, ROWS[i].size, e->value.value.bytes);
        }
        return;
    }
}

void sn_headers_decode(const amqp_table_t *table, struct sn_headers *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (int i = 0; i < table->num_entries; i++)
        decode_entry(&table->entries[i], ret);
}

uint64_t sn_headers_seq(const amqp_basic_properties_t *props)
{
    if ((props->_flags & AMQP_BASIC_HEADERS_FLAG) == 0)
        return 0;
    for (int i = 0; i < props->headers.num_entries; i++) {
        const amqp_table_entry_t *e = &props->headers.entries[i];
        if (is_named(e, SEQ))
            return (uint64_t)number_of(&e->value);
    }
    return 0;
}
