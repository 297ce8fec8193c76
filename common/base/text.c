/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/text.h"

#include <stdio.h>
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

size_t sn_text_escape(char *out, size_t size, const char *in, size_t len)
{
    const unsigned char *p = (const unsigned char *)in;
    size_t used = 0;

    if (size == 0)
        return 0;
    for (size_t i = 0; i < len;) {
        size_t n = sequence_length(p + i, len - i);
        bool control = n == 0 || p[i] < 0x20 || p[i] == 0x7f || (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0);
        if (control) {
            if (size - used <= 4)
                break;
            (void)snprintf(out + used, 5, "\\x%02x", p[i]);
            used += 4;
            i += 1;
            continue;
        }
        if (size - used <= n)
            break;
        memcpy(out + used, p + i, n);
        used += n;
        i += n;
    }
    out[used] = '\0';
    return used;
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
