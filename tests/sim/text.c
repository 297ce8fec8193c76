/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL) {
        abort();
    }
    return p;
}

char *sim_strdup(const char *s)
{
    size_t len = strlen(s) + 1;
    char *copy = sim_alloc(len);
    memcpy(copy, s, len);
    return copy;
}

void sim_grow(void **list, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return;
    }
    size_t more = *cap == 0 ? 8 : *cap * 2;
    void *p = realloc(*list, more * size);
    if (p == NULL) {
        abort();
    }
    *list = p;
    *cap = more;
}

static void text_room(struct text *t, size_t len)
{
    size_t need = t->len + len + 1;
    if (need <= t->cap) {
        return;
    }
    size_t cap = t->cap == 0 ? 128 : t->cap;
    while (cap < need) {
        cap *= 2;
    }
    char *p = realloc(t->p, cap);
    if (p == NULL) {
        abort();
    }
    t->p = p;
    t->cap = cap;
}

void text_add(struct text *t, const char *p, size_t len)
{
    text_room(t, len);
    if (len > 0) {
        memcpy(t->p + t->len, p, len);
    }
    t->len += len;
    t->p[t->len] = '\0';
}

void text_str(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

__attribute__((nonnull, format(printf, 2, 0))) static void text_vfmt(struct text *t, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    if (len < 0) {
        abort();
    }
    text_room(t, (size_t)len);
    vsnprintf(t->p + t->len, (size_t)len + 1, fmt, again);
    t->len += (size_t)len;
    va_end(again);
}

void text_fmt(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vfmt(t, fmt, ap);
    va_end(ap);
}

void text_line(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vfmt(t, fmt, ap);
    va_end(ap);
    text_add(t, "\r\n", 2);
}

void text_drop(struct text *t, size_t len)
{
    if (len >= t->len) {
        text_clear(t);
        return;
    }
    memmove(t->p, t->p + len, t->len - len);
    t->len -= len;
    t->p[t->len] = '\0';
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->p != NULL) {
        t->p[0] = '\0';
    }
}

void text_free(struct text *t)
{
    free(t->p);
    *t = (struct text){0};
}
