/* SPDX-License-Identifier: Apache-2.0 */
#include "common/schema/doc.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/json.h"
#include "common/schema/doc_internal.h"

json_t *sn_doc_integer(int64_t value, const char *where, struct sn_error *err)
{
    json_t *number;

    if (value > SN_DOC_INTEGER_MAX || value < -SN_DOC_INTEGER_MAX) {
        (void)sn_error_set(err, "document.number", "%s: the integer is beyond 2^53 - 1", where);
        return NULL;
    }
    number = json_integer(value);
    if (number == NULL)
        (void)sn_error_oom(err);
    return number;
}

json_t *sn_doc_real(double value, const char *where, struct sn_error *err)
{
    json_t *number;

    if (!isfinite(value)) {
        (void)sn_error_set(err, "document.number", "%s: the number is not finite", where);
        return NULL;
    }
    if (floor(value) == value && fabs(value) <= (double)SN_DOC_INTEGER_MAX)
        return sn_doc_integer((int64_t)value, where, err);
    number = json_real(value);
    if (number == NULL)
        (void)sn_error_oom(err);
    return number;
}

/* --- JSON: jansson reads, then the tree is held against the limits --- */

struct walk {
    const struct sn_doc_limits *limits;
    struct sn_error *err;
    size_t nodes;
};

/* The place as a JSON pointer, for the error text; kept on the stack of the recursion. */
struct step {
    const struct step *parent;
    const char *name;
    size_t index;
};

static void add_pointer(struct sn_buf *out, const struct step *at)
{
    if (at->parent == NULL)
        return;
    add_pointer(out, at->parent);
    if (at->name == NULL)
        sn_buf_addf(out, "/%zu", at->index);
    else
        sn_buf_addf(out, "/%.64s", at->name);
}

static int walk_fault(struct walk *w, const struct step *at, const char *code, const char *what)
{
    struct sn_buf pointer = SN_BUF_INIT;

    add_pointer(&pointer, at);
    (void)sn_error_set(w->err, code, "%s: %s", pointer.len > 0 ? sn_buf_str(&pointer) : "the document", what);
    sn_buf_fini(&pointer);
    return -1;
}

/* Gives in *replacement another value to put in this place, or NULL. */
static int walk_number(struct walk *w, const json_t *value, const struct step *at, json_t **replacement)
{
    struct sn_error number_err;
    json_t *number;

    if (json_is_integer(value) && json_integer_value(value) <= SN_DOC_INTEGER_MAX &&
        json_integer_value(value) >= -SN_DOC_INTEGER_MAX)
        return 0;
    if (json_is_integer(value))
        return walk_fault(w, at, "document.number", "the integer is beyond 2^53 - 1");
    number = sn_doc_real(json_real_value(value), "", &number_err);
    if (number == NULL)
        return walk_fault(w, at, number_err.code, "a number that cannot be held");
    if (json_is_real(number))
        json_decref(number);
    else
        *replacement = number;
    return 0;
}

static int walk_value(struct walk *w, json_t *value, const struct step *at, unsigned depth, json_t **replacement);

static int walk_members(struct walk *w, json_t *value, const struct step *at, unsigned depth)
{
    void *it = json_object_iter(value);

    for (; it != NULL; it = json_object_iter_next(value, it)) {
        struct step here = { .parent = at, .name = json_object_iter_key(it) };
        json_t *other = NULL;
        if (walk_value(w, json_object_iter_value(it), &here, depth + 1, &other) < 0)
            return -1;
        if (other != NULL && json_object_iter_set_new(value, it, other) < 0)
            return sn_error_oom(w->err);
    }
    return 0;
}

static int walk_value(struct walk *w, json_t *value, const struct step *at, unsigned depth, json_t **replacement)
{
    w->nodes += 1;
    if (w->nodes > w->limits->nodes_max)
        return walk_fault(w, at, "document.too-large", "too many values");
    if (depth > w->limits->depth_max)
        return walk_fault(w, at, "document.too-deep", "nested too deeply");
    if (json_is_number(value))
        return walk_number(w, value, at, replacement);
    if (json_is_object(value))
        return walk_members(w, value, at, depth);
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        struct step here = { .parent = at, .index = i };
        json_t *other = NULL;
        if (walk_value(w, json_array_get(value, i), &here, depth + 1, &other) < 0)
            return -1;
        if (other != NULL && json_array_set_new(value, i, other) < 0)
            return sn_error_oom(w->err);
    }
    return 0;
}

/* jansson's own text quotes what stands near the fault, which may be a password: only its code is used. */
static int json_fault(const json_error_t *where, struct sn_error *err)
{
    static const struct {
        enum json_error_code from;
        const char *code;
        const char *what;
    } table[] = {
        { json_error_duplicate_key, "document.duplicate-key", "a key stands twice in one object" },
        { json_error_stack_overflow, "document.too-deep", "nested too deeply" },
        { json_error_invalid_utf8, "document.encoding", "not UTF-8" },
        { json_error_null_character, "document.encoding", "a NUL character" },
        { json_error_null_byte_in_key, "document.encoding", "a NUL character in a key" },
        { json_error_numeric_overflow, "document.number", "a number is too big" },
        { json_error_premature_end_of_input, "document.syntax", "the text ends too early" },
        { json_error_end_of_input_expected, "document.syntax", "something follows the document" },
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].from == json_error_code(where))
            return sn_error_set(err, table[i].code, "byte %d: %s", where->position, table[i].what);
    }
    return sn_error_set(err, "document.syntax", "byte %d: not JSON", where->position);
}

static int load_json(const char *data, size_t len, const struct sn_doc_limits *limits, json_t **ret_doc,
                     struct sn_error *err)
{
    struct walk w = { .limits = limits, .err = err };
    const struct step root = { 0 };
    json_error_t where;
    json_t *other = NULL;
    json_t *doc = sn_json_load(data, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);

    if (doc == NULL)
        return errno == ENOMEM ? sn_error_oom(err) : json_fault(&where, err);
    if (walk_value(&w, doc, &root, 0, &other) < 0) {
        json_decref(doc);
        return -1;
    }
    if (other != NULL) {
        json_decref(doc);
        doc = other;
    }
    *ret_doc = doc;
    return 0;
}

int sn_doc_load(const void *data, size_t len, enum sn_doc_format format, const struct sn_doc_limits *limits,
                json_t **ret_doc, struct sn_error *err)
{
    if (len > limits->bytes_max)
        return sn_error_set(err, "document.too-large", "%zu bytes, at most %zu are read", len, limits->bytes_max);
    if (format == SN_DOC_MSGPACK)
        return sn_doc_load_msgpack(data, len, limits, ret_doc, err);
    return load_json(data, len, limits, ret_doc, err);
}
