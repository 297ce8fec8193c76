/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/text.h"

#include <stdint.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at in, 0 when there is none (RFC 3629, table of well-formed sequences). */
static size_t sequence_length(const unsigned char *in, size_t len)
{
    size_t need;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;

    if (in[0] < 0x80)
        return 1;
    if (in[0] >= 0xc2 && in[0] <= 0xdf)
        need = 2;
    else if (in[0] >= 0xe0 && in[0] <= 0xef)
        need = 3;
    else if (in[0] >= 0xf0 && in[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (len < need)
        return 0;
    if (in[0] == 0xe0)
        low = 0xa0;
    else if (in[0] == 0xed)
        high = 0x9f;
    else if (in[0] == 0xf0)
        low = 0x90;
    else if (in[0] == 0xf4)
        high = 0x8f;
    if (in[1] < low || in[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (in[i] < 0x80 || in[i] > 0xbf)
            return 0;
    }
    return need;
}

/* Characters that change how the text around them is shown: line and paragraph separator, marks, embeddings, overrides
 * and isolates of the writing direction (U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069). */
static bool changes_display(const unsigned char *p)
{
    if (p[0] != 0xe2)
        return false;
    if (p[1] == 0x80)
        return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
    return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

/* Length of the character at in when it may be shown as it is, 0 when its bytes must be escaped; *ret_span is how many
 * bytes that decision covers. */
static size_t plain_length(const unsigned char *in, size_t len, size_t *ret_span)
{
    size_t n = sequence_length(in, len);

    *ret_span = n == 0 ? 1 : n;
    if (n == 0 || in[0] < 0x20 || in[0] == 0x7f)
        return 0;
    if (n == 2 && in[0] == 0xc2 && in[1] < 0xa0)
        return 0;
    return n == 3 && changes_display(in) ? 0 : n;
}

size_t sn_text_escape(char *out, size_t size, const char *in, size_t len)
{
    static const char HEX[] = "0123456789abcdef";
    const unsigned char *p = (const unsigned char *)in;
    size_t used = 0;
    size_t span;

    if (size == 0)
        return 0;
    for (size_t i = 0; i < len; i += span) {
        size_t n = plain_length(p + i, len - i, &span);
        if (size - used <= (n > 0 ? n : 4 * span))
            break;
        if (n > 0) {
            memcpy(out + used, p + i, n);
            used += n;
            continue;
        }
        for (size_t k = 0; k < span; k++) {
            out[used++] = '\\';
            out[used++] = 'x';
            out[used++] = HEX[p[i + k] >> 4];
            out[used++] = HEX[p[i + k] & 0x0f];
        }
    }
    out[used] = '\0';
    return used;
}

size_t sn_text_escaped_size(const char *in, size_t len)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t need = 0;
    size_t span;

    for (size_t i = 0; i < len; i += span) {
        size_t n = plain_length(p + i, len - i, &span);
        if (__builtin_add_overflow(need, n > 0 ? n : 4 * span, &need))
            return SIZE_MAX;
    }
    return need;
}

bool sn_text_is_utf8(const char *in, size_t len)
{
    const unsigned char *p = (const unsigned char *)in;

    for (size_t i = 0; i < len;) {
        size_t n = sequence_length(p + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

int sn_text_copy(char *out, size_t size, const char *in)
{
    size_t len = strlen(in);

    if (len >= size) {
        if (size > 0)
            out[0] = '\0';
        return -1;
    }
    memcpy(out, in, len + 1);
    return 0;
}
