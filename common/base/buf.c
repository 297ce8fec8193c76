/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

static bool reserve(struct sn_buf *b, size_t more)
{
    size_t need;
    size_t cap;
    char *data;

    if (b->failed || __builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
        goto fail;
    if (b->max != 0 && need > b->max + 1)
        goto fail;
    if (need <= b->cap)
        return true;
    cap = b->cap < 256 ? 256 : b->cap;
    while (cap < need) {
        if (__builtin_mul_overflow(cap, 2, &cap))
            goto fail;
    }
    /* not realloc(): it would leave a copy of a secret behind */
    data = malloc(cap);
    if (data == NULL)
        goto fail;
    if (b->data != NULL) {
        memcpy(data, b->data, b->len);
        explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    b->data = data;
    b->cap = cap;
    return true;
fail:
    b->failed = true;
    return false;
}

void sn_buf_add(struct sn_buf *b, const void *data, size_t len)
{
    if (!reserve(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void sn_buf_adds(struct sn_buf *b, const char *text)
{
    sn_buf_add(b, text, strlen(text));
}

void sn_buf_addf(struct sn_buf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
        return;
    }
    if (!reserve(b, (size_t)n))
        return;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void sn_buf_add_escaped(struct sn_buf *b, const char *data, size_t len)
{
    size_t need = sn_text_escaped_size(data, len);

    if (!reserve(b, need))
        return;
    b->len += sn_text_escape(b->data + b->len, need + 1, data, len);
}

const char *sn_buf_str(const struct sn_buf *b)
{
    return b->data != NULL ? b->data : "";
}

void sn_buf_consume(struct sn_buf *b, size_t len)
{
    if (len > b->len)
        len = b->len;
    if (len == 0)
        return;
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
    b->data[b->len] = '\0';
}

void sn_buf_clear(struct sn_buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void sn_buf_fini(struct sn_buf *b)
{
    if (b->data != NULL) {
        explicit_bzero(b->data, b->cap);
        free(b->data);
    }
    b->data = NULL;
    b->len = 0;
    b->cap = 0;
    b->failed = false;
}
