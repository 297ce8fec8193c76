/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML to a tree with the line of each value. A subset: one document, no anchors, no aliases (they can blow a small
 * text up to any size), no tags, no merge keys; plain scalars as in the JSON schema of YAML 1.2, so that `no`, `on` and
 * `0644` stay text. The parse is driven event by event, because the composed document of libyaml loses duplicate keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/base/buf.h"
#include "common/schema/doc_internal.h"

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    const struct sn_doc_limits *limits;
    struct sn_error *err;
    size_t nodes;
    json_t *lines;      /* pointer -> line */
    struct sn_buf path; /* pointer of the current value */
};

static int read_node(struct yaml_reader *r, unsigned depth, json_t **ret) SN_MUSTCHECK;

static int fault(struct yaml_reader *r, const char *code, const char *what)
{
    return sn_error_set(r->err, code, "line %zu: %s", r->event.start_mark.line + 1, what);
}

static int next_event(struct yaml_reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const char *what = r->parser.problem != NULL ? r->parser.problem : "not YAML";
        const char *code = r->parser.error == YAML_READER_ERROR ? "document.encoding" : "document.syntax";
        size_t line = r->parser.problem_mark.line + 1;
        if (r->parser.error == YAML_MEMORY_ERROR)
            return sn_error_oom(r->err);
        if (r->parser.error == YAML_READER_ERROR)
            return sn_error_set(r->err, code, "byte %zu: %s", r->parser.problem_offset, what);
        return sn_error_set(r->err, code, "line %zu: %s", line, what);
    }
    r->has_event = true;
    return 0;
}

static int note_line(struct yaml_reader *r, size_t line)
{
    if (r->path.failed || json_object_set_new(r->lines, sn_buf_str(&r->path), json_integer((json_int_t)line + 1)) < 0)
        return sn_error_oom(r->err);
    return 0;
}

static size_t path_push(struct yaml_reader *r, const char *name)
{
    size_t before = r->path.len;

    sn_buf_adds(&r->path, "/");
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == '~')
            sn_buf_adds(&r->path, "~0");
        else if (*p == '/')
            sn_buf_adds(&r->path, "~1");
        else
            sn_buf_add(&r->path, p, 1);
    }
    return before;
}

static void path_pop(struct yaml_reader *r, size_t before)
{
    if (r->path.data != NULL && before <= r->path.len) {
        r->path.len = before;
        r->path.data[before] = '\0';
    }
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?; *ret_integer when there is neither fraction nor exponent. */
static bool is_number(const char *text, bool *ret_integer)
{
    const char *p = text + (*text == '-');

    *ret_integer = true;
    if (*p == '0')
        p++;
    else if (*p >= '1' && *p <= '9')
        p += strspn(p, "0123456789");
    else
        return false;
    if (*p == '.') {
        size_t digits = strspn(p + 1, "0123456789");
        if (digits == 0)
            return false;
        *ret_integer = false;
        p += 1 + digits;
    }
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '+' || p[1] == '-');
        *ret_integer = false;
        if (strspn(p, "0123456789") == 0)
            return false;
        p += strspn(p, "0123456789");
    }
    return *p == '\0';
}

static json_t *plain_scalar(struct yaml_reader *r, const char *text, size_t len)
{
    char where[40];
    bool integer;

    (void)snprintf(where, sizeof where, "line %zu", r->event.start_mark.line + 1);
    if (len == 0 || strcmp(text, "null") == 0)
        return json_null();
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        return json_boolean(text[0] == 't');
    if (is_number(text, &integer)) {
        if (!integer)
            return sn_doc_real(strtod(text, NULL), where, r->err);
        if (len > 17) {
            (void)fault(r, "document.number", "the integer is beyond 2^53 - 1");
            return NULL;
        }
        return sn_doc_integer(strtoll(text, NULL, 10), where, r->err);
    }
    return json_stringn(text, len);
}

static int read_scalar(struct yaml_reader *r, json_t **ret)
{
    const char *text = (const char *)r->event.data.scalar.value;
    size_t len = r->event.data.scalar.length;

    if (memchr(text, '\0', len) != NULL)
        return fault(r, "document.encoding", "a NUL character");
    r->err->code[0] = '\0';
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        *ret = plain_scalar(r, text, len);
    else
        *ret = json_stringn(text, len);
    if (*ret != NULL)
        return 0;
    return r->err->code[0] != '\0' ? -1 : sn_error_oom(r->err);
}

static int refuse_decoration(struct yaml_reader *r, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor != NULL)
        return fault(r, "document.syntax", "anchors are not read here");
    if (tag != NULL)
        return fault(r, "document.syntax", "tags are not read here");
    return 0;
}

/* The current event is the key. */
static int read_pair(struct yaml_reader *r, json_t *object, unsigned depth)
{
    char *name;
    size_t line = r->event.start_mark.line;
    size_t before;
    json_t *value = NULL;
    int rc = -1;

    if (r->event.type != YAML_SCALAR_EVENT)
        return fault(r, "document.syntax", "a key must be plain text");
    if (refuse_decoration(r, r->event.data.scalar.anchor, r->event.data.scalar.tag) < 0)
        return -1;
    name = strndup((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
    if (name == NULL)
        return sn_error_oom(r->err);
    before = path_push(r, name);
    if (strlen(name) != r->event.data.scalar.length)
        (void)fault(r, "document.encoding", "a NUL character in a key");
    else if (json_object_get(object, name) != NULL)
        (void)fault(r, "document.duplicate-key", "a key stands twice in one mapping");
    else if (note_line(r, line) == 0 && next_event(r) == 0 && read_node(r, depth + 1, &value) == 0)
        rc = json_object_set_new(object, name, value) < 0 ? sn_error_oom(r->err) : 0;
    path_pop(r, before);
    free(name);
    return rc;
}

static int read_mapping(struct yaml_reader *r, unsigned depth, json_t **ret)
{
    json_t *object = json_object();

    if (object == NULL)
        return sn_error_oom(r->err);
    for (;;) {
        if (next_event(r) < 0)
            break;
        if (r->event.type == YAML_MAPPING_END_EVENT) {
            *ret = object;
            return 0;
        }
        if (read_pair(r, object, depth) < 0)
            break;
    }
    json_decref(object);
    return -1;
}

static int read_sequence(struct yaml_reader *r, unsigned depth, json_t **ret)
{
    json_t *array = json_array();

    if (array == NULL)
        return sn_error_oom(r->err);
    for (;;) {
        json_t *value = NULL;
        char index[24];
        size_t before;
        if (next_event(r) < 0)
            break;
        if (r->event.type == YAML_SEQUENCE_END_EVENT) {
            *ret = array;
            return 0;
        }
        (void)snprintf(index, sizeof index, "%zu", json_array_size(array));
        before = path_push(r, index);
        if (note_line(r, r->event.start_mark.line) < 0 || read_node(r, depth + 1, &value) < 0)
            break;
        path_pop(r, before);
        if (json_array_append_new(array, value) < 0) {
            (void)sn_error_oom(r->err);
            break;
        }
    }
    json_decref(array);
    return -1;
}

/* The current event begins the value. */
static int read_node(struct yaml_reader *r, unsigned depth, json_t **ret)
{
    r->nodes += 1;
    if (r->nodes > r->limits->nodes_max)
        return fault(r, "document.too-large", "too many values");
    if (depth > r->limits->depth_max)
        return fault(r, "document.too-deep", "nested too deeply");
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        if (refuse_decoration(r, r->event.data.scalar.anchor, r->event.data.scalar.tag) < 0)
            return -1;
        return read_scalar(r, ret);
    case YAML_SEQUENCE_START_EVENT:
        if (refuse_decoration(r, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag) < 0)
            return -1;
        return read_sequence(r, depth, ret);
    case YAML_MAPPING_START_EVENT:
        if (refuse_decoration(r, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag) < 0)
            return -1;
        return read_mapping(r, depth, ret);
    case YAML_ALIAS_EVENT:
        return fault(r, "document.syntax", "aliases are not read here");
    default:
        return fault(r, "document.syntax", "a value is missing");
    }
}

static int read_stream(struct yaml_reader *r, json_t **ret)
{
    if (next_event(r) < 0 || next_event(r) < 0) /* stream start; document start */
        return -1;
    if (r->event.type != YAML_DOCUMENT_START_EVENT)
        return fault(r, "document.syntax", "the text is empty");
    if (next_event(r) < 0 || note_line(r, r->event.start_mark.line) < 0 || read_node(r, 0, ret) < 0)
        return -1;
    if (next_event(r) < 0 || next_event(r) < 0) /* document end; stream end */
        goto failed;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0;
    (void)fault(r, "document.syntax", "a second document follows");
failed:
    json_decref(*ret);
    *ret = NULL;
    return -1;
}

int sn_doc_load_yaml(const void *data, size_t len, const struct sn_doc_limits *limits, json_t **ret_doc,
                     json_t **ret_lines, struct sn_error *err)
{
    struct yaml_reader r = { .limits = limits, .err = err };
    json_t *doc = NULL;
    int rc = -1;

    if (len > limits->bytes_max)
        return sn_error_set(err, "document.too-large", "%zu bytes, at most %zu are read", len, limits->bytes_max);
    if (!yaml_parser_initialize(&r.parser))
        return sn_error_oom(err);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, data, len);
    r.lines = json_object();
    if (r.lines == NULL) {
        (void)sn_error_oom(err);
        goto out;
    }
    rc = read_stream(&r, &doc);
    if (rc < 0)
        goto out;
    *ret_doc = doc;
    if (ret_lines != NULL) {
        *ret_lines = r.lines;
        r.lines = NULL;
    }

out:
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    json_decref(r.lines);
    sn_buf_fini(&r.path);
    return rc;
}
