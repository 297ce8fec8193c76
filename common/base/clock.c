/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t sn_clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t sn_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

void sn_clock_format_utc(int64_t wall_ms, char out[SN_TIME_TEXT_MAX])
{
    int64_t ms = ((wall_ms % 1000) + 1000) % 1000;
    time_t t = (time_t)((wall_ms - ms) / 1000);
    struct tm tm;
    char date[24];

    if (gmtime_r(&t, &tm) == NULL || strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        (void)snprintf(out, SN_TIME_TEXT_MAX, "-");
        return;
    }
    (void)snprintf(out, SN_TIME_TEXT_MAX, "%s.%03dZ", date, (int)ms);
}

int sn_clock_parse_utc(const char *text, int64_t *ret_ms)
{
    struct tm tm = { 0 };
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int64_t ms = 0;
    int64_t offset_min = 0;

    if (p == NULL)
        return -1;
    if (*p == '.') {
        int64_t unit = 100;
        p++;
        if (*p < '0' || *p > '9')
            return -1;
        for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
            ms += unit * (*p - '0');
    }
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else {
        int hours;
        int minutes;
        char sign = *p;
        int used = 0;
        if ((sign != '+' && sign != '-') || sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5)
            return -1;
        offset_min = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
        p += 6;
    }
    if (*p != '\0')
        return -1;
    *ret_ms = ((int64_t)timegm(&tm) - offset_min * 60) * 1000 + ms;
    return 0;
}

int sn_clock_left_ms(int64_t deadline_mono_ms, int64_t now_mono_ms)
{
    int64_t left = deadline_mono_ms - now_mono_ms;

    if (left <= 0)
        return 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

void sn_random_bytes(void *out, size_t len)
{
    unsigned char *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}

uint32_t sn_random_below(uint32_t below)
{
    uint32_t limit = UINT32_MAX - UINT32_MAX % below;
    uint32_t value;

    do {
        sn_random_bytes(&value, sizeof(value));
    } while (value >= limit);
    return value % below;
}

void sn_uuid_make(char out[SN_UUID_TEXT_MAX])
{
    unsigned char b[16];

    sn_random_bytes(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(out, SN_UUID_TEXT_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
                   b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
