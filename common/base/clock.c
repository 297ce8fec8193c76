/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

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

/* Reads exactly `digits` decimal digits at *p and steps over them; -1 when they are not there or out of range. */
static int take_number(const char **p, int digits, int min, int max)
{
    int value = 0;

    for (int i = 0; i < digits; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return -1;
        value = value * 10 + (**p - '0');
    }
    return value < min || value > max ? -1 : value;
}

static bool take_char(const char **p, char upper, char lower)
{
    if (**p != upper && **p != lower)
        return false;
    (*p)++;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int DAYS[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && leap ? 29 : DAYS[month - 1];
}

/* strptime() is no help here: it takes spaces, short numbers and the 31st of February. */
static bool take_date_time(const char **p, struct tm *ret_tm)
{
    int year = take_number(p, 4, 0, 9999);
    int month = year < 0 || !take_char(p, '-', '-') ? -1 : take_number(p, 2, 1, 12);
    int day = month < 0 || !take_char(p, '-', '-') ? -1 : take_number(p, 2, 1, days_of_month(year, month));
    int hour = day < 0 || !take_char(p, 'T', 't') ? -1 : take_number(p, 2, 0, 23);
    int minute = hour < 0 || !take_char(p, ':', ':') ? -1 : take_number(p, 2, 0, 59);
    int second = minute < 0 || !take_char(p, ':', ':') ? -1 : take_number(p, 2, 0, 60);

    if (second < 0)
        return false;
    ret_tm->tm_year = year - 1900;
    ret_tm->tm_mon = month - 1;
    ret_tm->tm_mday = day;
    ret_tm->tm_hour = hour;
    ret_tm->tm_min = minute;
    ret_tm->tm_sec = second;
    return true;
}

static bool take_zone(const char **p, int *ret_offset_min)
{
    char sign = **p;
    int hours;
    int minutes;

    *ret_offset_min = 0;
    if (take_char(p, 'Z', 'z'))
        return true;
    if (!take_char(p, '+', '-'))
        return false;
    hours = take_number(p, 2, 0, 23);
    minutes = hours < 0 || !take_char(p, ':', ':') ? -1 : take_number(p, 2, 0, 59);
    *ret_offset_min = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
    return minutes >= 0;
}

int sn_clock_parse_utc(const char *text, int64_t *ret_ms)
{
    struct tm tm = { 0 };
    const char *p = text;
    int64_t ms = 0;
    int offset_min;

    if (!take_date_time(&p, &tm))
        return -1;
    if (take_char(&p, '.', '.')) {
        int64_t unit = 100;
        if (*p < '0' || *p > '9')
            return -1;
        for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
            ms += unit * (*p - '0');
    }
    if (!take_zone(&p, &offset_min) || *p != '\0')
        return -1;
    *ret_ms = ((int64_t)timegm(&tm) - (int64_t)offset_min * 60) * 1000 + ms;
    return 0;
}

int sn_clock_left_ms(int64_t deadline_mono_ms, int64_t now_mono_ms)
{
    int64_t left;

    if (deadline_mono_ms <= now_mono_ms)
        return 0;
    if (__builtin_sub_overflow(deadline_mono_ms, now_mono_ms, &left))
        return INT32_MAX;
    return left > INT32_MAX ? INT32_MAX : (int)left;
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
    (void)snprintf(out, SN_UUID_TEXT_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
