/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/out.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/text.h"

static const char *const style_codes[] = {
    [SN_STYLE_PLAIN] = "",        [SN_STYLE_GOOD] = "\x1b[32m", [SN_STYLE_DIM] = "\x1b[90m",
    [SN_STYLE_WARN] = "\x1b[33m", [SN_STYLE_BAD] = "\x1b[31m",  [SN_STYLE_BOLD] = "\x1b[1m",
};

enum sn_style sn_style_of(const char *word)
{
    static const struct {
        const char *word;
        enum sn_style style;
    } table[] = {
        { "applied", SN_STYLE_GOOD },
        { "ok", SN_STYLE_GOOD },
        { "open", SN_STYLE_GOOD },
        { "observed", SN_STYLE_GOOD },
        { "unchanged", SN_STYLE_DIM },
        { "superseded", SN_STYLE_DIM },
        { "discarded", SN_STYLE_DIM },
        { "again", SN_STYLE_DIM },
        { "acknowledged", SN_STYLE_WARN },
        { "progress", SN_STYLE_WARN },
        { "unknown", SN_STYLE_WARN },
        { "not-sent", SN_STYLE_WARN },
        { "unreachable", SN_STYLE_WARN },
        { "transient-job", SN_STYLE_WARN },
        { "transient-device", SN_STYLE_WARN },
        { "conflict", SN_STYLE_WARN },
        { "dead", SN_STYLE_BAD },
        { "rejected", SN_STYLE_BAD },
        { "closed", SN_STYLE_BAD },
        { "permanent", SN_STYLE_BAD },
        { "auth", SN_STYLE_BAD },
        { "bug", SN_STYLE_BAD },
        { "invalid", SN_STYLE_BAD },
        { "stuck", SN_STYLE_BAD },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(word, table[i].word) == 0)
            return table[i].style;
    }
    return SN_STYLE_PLAIN;
}

/* ---- text ---- */

static void addv(struct sn_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void addv(struct sn_buf *b, const char *fmt, va_list ap)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, ap) < 0) {
        b->failed = true;
        return;
    }
    for (const char *at = text; *at != '\0';) { /* an argument may be foreign: only our newlines pass as they are */
        size_t len = strcspn(at, "\n");
        sn_buf_add_escaped(b, at, len);
        sn_buf_add(b, "\n", at[len] == '\n');
        at += len + (at[len] == '\n');
    }
    free(text);
}

void sn_out_text(struct sn_out *o, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    addv(&o->buf, fmt, ap);
    va_end(ap);
}

static void style_on(struct sn_out *o, enum sn_style style)
{
    if (o->colour && style != SN_STYLE_PLAIN)
        sn_buf_adds(&o->buf, style_codes[style]);
}

static void style_off(struct sn_out *o, enum sn_style style)
{
    if (o->colour && style != SN_STYLE_PLAIN)
        sn_buf_adds(&o->buf, "\x1b[0m");
}

void sn_out_put(struct sn_out *o, enum sn_style style, const char *text)
{
    style_on(o, style);
    sn_buf_add_escaped(&o->buf, text, strlen(text));
    style_off(o, style);
}

/* Characters of escaped text: bytes that do not continue a UTF-8 sequence. */
static int columns_of(const char *escaped)
{
    int n = 0;

    for (; *escaped != '\0'; escaped++)
        n += ((unsigned char)*escaped & 0xc0) != 0x80;
    return n;
}

int sn_out_columns(const char *text)
{
    struct sn_buf b = SN_BUF_INIT;
    int n;

    sn_buf_add_escaped(&b, text, strlen(text));
    n = columns_of(sn_buf_str(&b));
    sn_buf_fini(&b);
    return n;
}

static void spaces(struct sn_buf *b, int n)
{
    for (; n > 0; n--)
        sn_buf_add(b, " ", 1);
}

void sn_out_pad(struct sn_out *o, enum sn_style style, const char *text, int width)
{
    int missing = abs(width) - sn_out_columns(text);

    if (width < 0)
        spaces(&o->buf, missing);
    sn_out_put(o, style, text);
    if (width > 0)
        spaces(&o->buf, missing);
}

void sn_out_block(struct sn_out *o, const char *indent, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        size_t shown = len > 0 && text[len - 1] == '\r' ? len - 1 : len;

        sn_buf_adds(&o->buf, indent);
        sn_buf_add_escaped(&o->buf, text, shown);
        sn_buf_adds(&o->buf, "\n");
        text += len + (text[len] == '\n');
    }
}

int sn_out_flush(struct sn_out *o, FILE *to)
{
    int rc = 0;

    if (o->buf.failed || (o->buf.len > 0 && fwrite(o->buf.data, 1, o->buf.len, to) != o->buf.len) || fflush(to) != 0)
        rc = -1;
    sn_buf_clear(&o->buf);
    return rc;
}

/* ---- small forms ---- */

void sn_when_full(int64_t wall_ms, char out[SN_WHEN_MAX])
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    char zone[8];
    size_t n;

    if (wall_ms <= 0 || localtime_r(&t, &tm) == NULL) {
        (void)snprintf(out, SN_WHEN_MAX, "-");
        return;
    }
    n = strftime(out, SN_WHEN_MAX, "%Y-%m-%d %H:%M:%S ", &tm);
    (void)strftime(zone, sizeof(zone), "%z", &tm); /* +hhmm */
    (void)snprintf(out + n, SN_WHEN_MAX - n, "%.3s:%.2s", zone, zone + 3);
}

void sn_when_short(int64_t wall_ms, int64_t now_ms, char out[SN_WHEN_MAX])
{
    time_t t = (time_t)(wall_ms / 1000), now = (time_t)(now_ms / 1000);
    struct tm tm, today;

    if (wall_ms <= 0 || localtime_r(&t, &tm) == NULL || localtime_r(&now, &today) == NULL) {
        (void)snprintf(out, SN_WHEN_MAX, "-");
        return;
    }
    if (tm.tm_yday == today.tm_yday && tm.tm_year == today.tm_year)
        (void)strftime(out, SN_WHEN_MAX, "%H:%M:%S", &tm);
    else if (tm.tm_year == today.tm_year)
        (void)strftime(out, SN_WHEN_MAX, "%m-%d %H:%M:%S", &tm);
    else
        (void)strftime(out, SN_WHEN_MAX, "%Y-%m-%d %H:%M", &tm);
}

void sn_duration(int64_t ms, char out[SN_WHEN_MAX])
{
    int64_t s = ms / 1000;

    if (ms < 0)
        (void)snprintf(out, SN_WHEN_MAX, "-");
    else if (ms < 10000)
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64 ".%" PRId64 " s", s, ms % 1000 / 100);
    else if (s < 60)
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64 " s", s);
    else if (s < 3600)
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64 "m %02" PRId64 "s", s / 60, s % 60);
    else if (s < 48 * 3600)
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64 "h %02" PRId64 "m", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64 " d", s / 86400);
}

void sn_generation(int64_t generation, int64_t now_ms, char out[SN_WHEN_MAX])
{
    const int64_t year_2020 = 1577836800000;

    if (generation >= year_2020)
        sn_when_short(generation, now_ms, out);
    else
        (void)snprintf(out, SN_WHEN_MAX, "%" PRId64, generation);
}

/* ---- documents ---- */

static void add_value(const json_t *value, struct sn_buf *out);

static void add_members(const json_t *object, struct sn_buf *out)
{
    const char *key;
    json_t *value;
    bool first = true;

    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
            (json_is_string(value) && json_string_length(value) == 0))
            continue; /* nothing is said of it */
        if (!first)
            sn_buf_adds(out, ", ");
        first = false;
        sn_buf_adds(out, key);
        sn_buf_adds(out, " ");
        add_value(value, out);
    }
}

/* A device may have named what is in it, but how deep it goes was bounded when it was loaded. */
static void add_value(const json_t *value, struct sn_buf *out)
{
    json_t *element;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_STRING:
        sn_buf_add(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_REAL:
        sn_buf_addf(out, "%.1f", json_real_value(value));
        break;
    case JSON_INTEGER:
        sn_buf_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_ARRAY:
        json_array_foreach (value, i, element) {
            sn_buf_adds(out, i > 0 ? " + " : "");
            add_value(element, out);
        }
        break;
    case JSON_OBJECT:
        sn_buf_adds(out, "(");
        add_members(value, out);
        sn_buf_adds(out, ")");
        break;
    default:
        sn_buf_adds(out, json_is_true(value) ? "true" : json_is_false(value) ? "false" : "-");
    }
}

void sn_json_words(const json_t *object, struct sn_buf *out)
{
    add_members(object, out);
}
