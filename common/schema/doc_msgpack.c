/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack to a tree, byte by byte (docs/protocols/messages.md: the subset that JSON can say). No library: one that
 * builds the whole object first allocates what a hostile length says, and tells no place.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/schema/doc_internal.h"

struct reader {
    const unsigned char *data;
    size_t len;
    size_t at;
    size_t nodes;
    const struct sn_doc_limits *limits;
    struct sn_error *err;
};

static int read_value(struct reader *r, unsigned depth, json_t **ret) SN_MUSTCHECK;

static int fault(struct reader *r, const char *code, const char *what)
{
    return sn_error_set(r->err, code, "byte %zu: %s", r->at, what);
}

/* Reads a big-endian number of 1, 2, 4 or 8 bytes. */
static int read_bytes(struct reader *r, size_t count, uint64_t *ret)
{
    uint64_t value = 0;

    if (r->len - r->at < count)
        return fault(r, "document.syntax", "the text ends too early");
    for (size_t i = 0; i < count; i++)
        value = value << 8 | r->data[r->at++];
    *ret = value;
    return 0;
}

static int read_unsigned(struct reader *r, size_t count, json_t **ret)
{
    uint64_t value;

    if (read_bytes(r, count, &value) < 0)
        return -1;
    if (value > (uint64_t)SN_DOC_INTEGER_MAX)
        return fault(r, "document.number", "the integer is beyond 2^53 - 1");
    *ret = json_integer((json_int_t)value);
    return *ret == NULL ? sn_error_oom(r->err) : 0;
}

static int read_signed(struct reader *r, size_t count, json_t **ret)
{
    uint64_t value;
    int64_t number;

    if (read_bytes(r, count, &value) < 0)
        return -1;
    if (count == 1)
        number = (int8_t)value;
    else if (count == 2)
        number = (int16_t)value;
    else if (count == 4)
        number = (int32_t)value;
    else
        number = (int64_t)value;
    if (number > SN_DOC_INTEGER_MAX || number < -SN_DOC_INTEGER_MAX)
        return fault(r, "document.number", "the integer is beyond 2^53 - 1");
    *ret = json_integer(number);
    return *ret == NULL ? sn_error_oom(r->err) : 0;
}

static int read_real(struct reader *r, size_t count, json_t **ret)
{
    char where[48];
    uint64_t bits;
    double value;

    if (read_bytes(r, count, &bits) < 0)
        return -1;
    if (count == 4) {
        uint32_t bits32 = (uint32_t)bits;
        float single;
        memcpy(&single, &bits32, sizeof single);
        value = (double)single;
    } else {
        memcpy(&value, &bits, sizeof value);
    }
    (void)snprintf(where, sizeof where, "byte %zu", r->at);
    *ret = sn_doc_real(value, where, r->err);
    return *ret == NULL ? -1 : 0;
}

/* Points into the data; UTF-8 without NUL. */
static int read_text(struct reader *r, size_t len, const char **ret_text)
{
    const char *text = (const char *)r->data + r->at;

    if (r->len - r->at < len)
        return fault(r, "document.syntax", "the text ends too early");
    if (len > 0 && memchr(text, '\0', len) != NULL)
        return fault(r, "document.encoding", "a NUL character");
    if (!sn_text_is_utf8(text, len))
        return fault(r, "document.encoding", "not UTF-8");
    r->at += len;
    *ret_text = text;
    return 0;
}

static int read_string(struct reader *r, size_t len, json_t **ret)
{
    const char *text;

    if (read_text(r, len, &text) < 0)
        return -1;
    *ret = json_stringn(text, len);
    return *ret == NULL ? sn_error_oom(r->err) : 0;
}

/* The length of a string by its type byte; -1 when it is not a string. */
static int read_string_header(struct reader *r, size_t *ret_len)
{
    uint64_t len;
    uint64_t type;

    if (read_bytes(r, 1, &type) < 0)
        return -1;
    if (type >= 0xa0 && type <= 0xbf)
        len = type & 0x1f;
    else if (type < 0xd9 || type > 0xdb)
        return fault(r, "document.syntax", "a key must be a string");
    else if (read_bytes(r, (size_t)1 << (type - 0xd9), &len) < 0)
        return -1;
    *ret_len = (size_t)len;
    return 0;
}

static int read_member(struct reader *r, json_t *object, unsigned depth)
{
    const char *name = NULL;
    size_t len = 0;
    json_t *value = NULL;

    if (read_string_header(r, &len) < 0 || read_text(r, len, &name) < 0)
        return -1;
    if (json_object_getn(object, name, len) != NULL)
        return fault(r, "document.duplicate-key", "a key stands twice in one object");
    if (read_value(r, depth + 1, &value) < 0)
        return -1;
    if (json_object_setn_new(object, name, len, value) < 0)
        return sn_error_oom(r->err);
    return 0;
}

static int read_map(struct reader *r, uint64_t count, unsigned depth, json_t **ret)
{
    json_t *object = json_object();

    if (object == NULL)
        return sn_error_oom(r->err);
    for (uint64_t i = 0; i < count; i++) {
        if (read_member(r, object, depth) < 0) {
            json_decref(object);
            return -1;
        }
    }
    *ret = object;
    return 0;
}

static int read_array(struct reader *r, uint64_t count, unsigned depth, json_t **ret)
{
    json_t *array = json_array();

    if (array == NULL)
        return sn_error_oom(r->err);
    for (uint64_t i = 0; i < count; i++) {
        json_t *value;
        if (read_value(r, depth + 1, &value) < 0) {
            json_decref(array);
            return -1;
        }
        if (json_array_append_new(array, value) < 0) {
            json_decref(array);
            return sn_error_oom(r->err);
        }
    }
    *ret = array;
    return 0;
}

/* A string, array or map whose length follows in `count` bytes. Arrays and maps grow with what is really read. */
static int read_long(struct reader *r, char kind, size_t count, unsigned depth, json_t **ret)
{
    uint64_t len;

    if (read_bytes(r, count, &len) < 0)
        return -1;
    if (kind == 's')
        return read_string(r, (size_t)len, ret);
    return kind == 'a' ? read_array(r, len, depth, ret) : read_map(r, len, depth, ret);
}

static int read_typed(struct reader *r, unsigned type, unsigned depth, json_t **ret)
{
    switch (type) {
    case 0xc0:
        *ret = json_null();
        return 0;
    case 0xc2:
        *ret = json_false();
        return 0;
    case 0xc3:
        *ret = json_true();
        return 0;
    case 0xca:
        return read_real(r, 4, ret);
    case 0xcb:
        return read_real(r, 8, ret);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return read_unsigned(r, (size_t)1 << (type - 0xcc), ret);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return read_signed(r, (size_t)1 << (type - 0xd0), ret);
    case 0xd9:
    case 0xda:
    case 0xdb:
        return read_long(r, 's', (size_t)1 << (type - 0xd9), depth, ret);
    case 0xdc:
        return read_long(r, 'a', 2, depth, ret);
    case 0xdd:
        return read_long(r, 'a', 4, depth, ret);
    case 0xde:
        return read_long(r, 'm', 2, depth, ret);
    case 0xdf:
        return read_long(r, 'm', 4, depth, ret);
    default: /* bin, ext, 0xc1: nothing that JSON could say */
        r->at -= 1;
        return fault(r, "document.syntax", "a type that is not read here");
    }
}

static int read_value(struct reader *r, unsigned depth, json_t **ret)
{
    uint64_t type;

    r->nodes += 1;
    if (r->nodes > r->limits->nodes_max)
        return fault(r, "document.too-large", "too many values");
    if (depth > r->limits->depth_max)
        return fault(r, "document.too-deep", "nested too deeply");
    if (read_bytes(r, 1, &type) < 0)
        return -1;
    if (type <= 0x7f || type >= 0xe0) {
        *ret = json_integer((int8_t)type);
        return *ret == NULL ? sn_error_oom(r->err) : 0;
    }
    if (type <= 0x8f)
        return read_map(r, type & 0x0f, depth, ret);
    if (type <= 0x9f)
        return read_array(r, type & 0x0f, depth, ret);
    if (type <= 0xbf)
        return read_string(r, type & 0x1f, ret);
    return read_typed(r, (unsigned)type, depth, ret);
}

int sn_doc_load_msgpack(const unsigned char *data, size_t len, const struct sn_doc_limits *limits, json_t **ret_doc,
                        struct sn_error *err)
{
    struct reader r = { .data = data, .len = len, .limits = limits, .err = err };
    json_t *doc;

    if (read_value(&r, 0, &doc) < 0)
        return -1;
    if (r.at != r.len) {
        json_decref(doc);
        return fault(&r, "document.syntax", "something follows the document");
    }
    *ret_doc = doc;
    return 0;
}
