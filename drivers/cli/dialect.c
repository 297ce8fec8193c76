/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/cli/dialect.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define HOST_MAX 64
#define MODE_MAX 63
#define DEPTH_MAX 8
#define MARKER_INDENT_MAX 4 /* deeper stands a customer's description that was wrapped */

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static void trim(const char **text, size_t *len)
{
    while (*len > 0 && ((*text)[0] == ' ' || (*text)[0] == '\t')) {
        (*text)++;
        (*len)--;
    }
    while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
        (*len)--;
}

bool sn_cli_glob(const char *glob, const char *text, size_t len)
{
    const char *star = NULL;
    size_t i = 0, mark = 0;

    trim(&text, &len);
    while (i < len) {
        if (*glob == '*') {
            star = ++glob;
            mark = i;
        } else if (*glob != '\0' && lower(*glob) == lower(text[i])) {
            glob++;
            i++;
        } else if (star != NULL) {
            glob = star;
            i = ++mark;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

static bool host_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

/* Does text[0..len) fit a pattern with at most one `*`? The star takes at least one character, no blank and no parenthesis.
 * Case counts: prompts and modes are exact. */
static bool fits(const char *pattern, const char *text, size_t len, const char **ret_star, size_t *ret_len)
{
    const char *star = strchr(pattern, '*');
    size_t head, tail;

    *ret_star = "";
    *ret_len = 0;
    if (star == NULL)
        return strlen(pattern) == len && memcmp(pattern, text, len) == 0;
    head = (size_t)(star - pattern);
    tail = strlen(star + 1);
    if (len <= head + tail || memcmp(pattern, text, head) != 0 || memcmp(star + 1, text + len - tail, tail) != 0)
        return false;
    *ret_star = text + head;
    *ret_len = len - head - tail;
    for (size_t i = 0; i < *ret_len; i++) {
        if (strchr(" ()", (*ret_star)[i]) != NULL)
            return false;
    }
    return true;
}

static int fill(const char *pattern, const char *star, size_t star_len, char *out, size_t size)
{
    const char *at = strchr(pattern, '*');
    int n;

    if (at == NULL)
        n = snprintf(out, size, "%s", pattern);
    else
        n = snprintf(out, size, "%.*s%.*s%s", (int)(at - pattern), pattern, (int)star_len, star, at + 1);
    return n < 0 || (size_t)n >= size ? -1 : 0;
}

const struct sn_cli_mode *sn_cli_prompt(const struct sn_cli_dialect *d, const char *line, size_t len, const char *host,
                                        char *ret_host, char *ret_mode)
{
    size_t n = 0;
    const char *star;
    size_t star_len;

    while (len > 0 && line[len - 1] == ' ')
        len--;
    while (n < len && host_char(line[n]))
        n++;
    if (n == 0 || n > HOST_MAX || n == len)
        return NULL;
    if (host != NULL && host[0] != '\0' && (strlen(host) != n || memcmp(host, line, n) != 0))
        return NULL;
    for (const struct sn_cli_mode *m = d->modes; m->name != NULL; m++) {
        if (!fits(m->prompt, line + n, len - n, &star, &star_len))
            continue;
        if (fill(m->name, star, star_len, ret_mode, MODE_MAX + 1) < 0)
            return NULL;
        memcpy(ret_host, line, n);
        ret_host[n] = '\0';
        return m;
    }
    return NULL;
}

static const struct sn_cli_mode *mode_row(const struct sn_cli_dialect *d, const char *name, const char **ret_star,
                                          size_t *ret_len)
{
    for (const struct sn_cli_mode *m = d->modes; m->name != NULL; m++) {
        if (fits(m->name, name, strlen(name), ret_star, ret_len))
            return m;
    }
    return NULL;
}

int sn_cli_way(const struct sn_cli_dialect *d, const char *from, const char *to, char *out, size_t size)
{
    const char *step = to;

    if (strcmp(from, to) == 0)
        return 0;
    /* Is `from` an ancestor of `to`? Then go down one level, else leave. */
    for (int depth = 0; step != NULL && depth < DEPTH_MAX; depth++) {
        const char *star;
        size_t star_len;
        const struct sn_cli_mode *m = mode_row(d, step, &star, &star_len);

        if (m == NULL || m->enter == NULL)
            break;
        if (m->parent != NULL && strcmp(m->parent, from) == 0)
            return fill(m->enter, star, star_len, out, size) < 0 ? -1 : 1;
        step = m->parent;
    }
    {
        const char *star;
        size_t star_len;
        const struct sn_cli_mode *m = mode_row(d, from, &star, &star_len);
        int n;

        if (m == NULL || m->leave == NULL)
            return -1;
        n = snprintf(out, size, "%s", m->leave);
        return n < 0 || (size_t)n >= size ? -1 : 1;
    }
}

static const char *line_end(const char *text)
{
    const char *nl = strchr(text, '\n');

    return nl == NULL ? text + strlen(text) : nl;
}

/* The marker's length when the line begins a refusal, else 0. Only the start of a line counts: customers' texts contain words
 * like "error". */
static size_t marker_length(const struct sn_cli_dialect *d, const char *line, size_t len)
{
    size_t indent = 0;

    while (indent < len && line[indent] == ' ')
        indent++;
    if (indent > MARKER_INDENT_MAX)
        return 0;
    for (size_t i = 0; d->markers[i] != NULL; i++) {
        size_t n = strlen(d->markers[i]);

        if (sn_cli_glob(d->markers[i], line, len))
            return n > 0 && d->markers[i][n - 1] == '*' ? n - 1 : n;
    }
    return 0;
}

/* Joins the refusal's line and those that continue it (the device wraps at its own width). */
static void join(const struct sn_cli_dialect *d, const char *line, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (bool first = true; *line != '\0'; first = false) {
        const char *end = line_end(line), *text = line;
        size_t len = (size_t)(end - line), room = size - used, marker;
        int n;

        marker = marker_length(d, text, len);
        trim(&text, &len);
        if (len == 0 || (!first && marker > 0))
            break;
        if (first) {
            size_t skip = marker < len ? marker : len;

            text += skip;
            len -= skip;
            trim(&text, &len);
        }
        n = snprintf(out + used, room, "%s%.*s", used > 0 ? " " : "", (int)len, text);
        if (n < 0 || (size_t)n >= room)
            break;
        used += (size_t)n;
        line = *end == '\0' ? end : end + 1;
    }
}

const struct sn_cli_fault *sn_cli_judge(const struct sn_cli_dialect *d, const char *text, bool bare, char *joined,
                                        size_t size)
{
    char buf[512];

    for (const char *line = text; *line != '\0';) {
        const char *end = line_end(line), *at = line;
        size_t len = (size_t)(end - line);
        bool marked = marker_length(d, line, len) > 0;

        trim(&at, &len);
        if (marked || (bare && len > 0)) {
            join(d, line, buf, sizeof(buf));
            if (joined != NULL)
                (void)snprintf(joined, size, "%s", buf);
            for (const struct sn_cli_fault *f = d->faults; f->text != NULL; f++) {
                if (sn_cli_glob(f->text, buf, strlen(buf)))
                    return f;
            }
            if (marked)
                return &d->unknown_fault;
        }
        line = *end == '\0' ? end : end + 1;
    }
    if (joined != NULL && size > 0)
        joined[0] = '\0';
    return NULL;
}
