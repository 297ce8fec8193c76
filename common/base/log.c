/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"

/* A pipe that is full for so long has nobody at its other end: the line is dropped. */
#define STUCK_READER_MS 50

static const char *const LEVEL_NAMES[] = { "error", "warn", "info", "debug" };

/* Quoted when needed; with `json` always quoted and with JSON's own escapes for quote and backslash. */
static void add_value(struct sn_buf *line, struct sn_redact *redact, const char *value, bool json)
{
    struct sn_buf clean = SN_BUF_INIT;
    struct sn_buf safe = SN_BUF_INIT;
    const char *p;
    bool quote;

    if (value == NULL)
        value = "-";
    sn_redact_apply(redact, &clean, value, strlen(value));
    sn_buf_add_escaped(&safe, sn_buf_str(&clean), clean.len);
    p = clean.failed || safe.failed ? "out of memory" : sn_buf_str(&safe);
    quote = json || *p == '\0' || strpbrk(p, " \"=\\") != NULL;
    if (quote)
        sn_buf_adds(line, "\"");
    for (; *p != '\0'; p++) {
        if (quote && (*p == '"' || *p == '\\'))
            sn_buf_adds(line, "\\");
        sn_buf_add(line, p, 1);
    }
    if (quote)
        sn_buf_adds(line, "\"");
    sn_buf_fini(&clean);
    sn_buf_fini(&safe);
}

static void add_field(struct sn_buf *line, const struct sn_log *log, const char *key, const char *value)
{
    if (log->json)
        sn_buf_addf(line, ",\"%s\":", key);
    else
        sn_buf_addf(line, " %s=", key);
    add_value(line, log->redact, value, log->json);
}

/* A line that cannot be written has nowhere to be reported; a reader that does not read must not hold up a thread that has a lease. */
static void put(int fd, const char *line, size_t len)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    ssize_t n;

    if (poll(&p, 1, STUCK_READER_MS) == 0)
        return;
    do {
        n = write(fd, line, len);
    } while (n < 0 && errno == EINTR);
}

void sn_log_keep_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", O_RDWR); /* takes the lowest number that is free: this one */
    }
}

void sn_log(const struct sn_log *log, enum sn_log_level level, const char *area, const char *text, ...)
{
    struct sn_buf line = SN_BUF_INIT;
    char now[SN_TIME_TEXT_MAX];
    const char *key;
    va_list ap;

    if (log == NULL || level > log->level)
        return;
    sn_clock_format_utc(sn_clock_wall_ms(), now);
    if (log->json)
        sn_buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"area\":\"%s\",\"text\":", now, LEVEL_NAMES[level],
                    area);
    else
        sn_buf_addf(&line, "%s %s %s ", now, LEVEL_NAMES[level], area);
    add_value(&line, log->redact, text, log->json);
    va_start(ap, text);
    while ((key = va_arg(ap, const char *)) != NULL)
        add_field(&line, log, key, va_arg(ap, const char *));
    va_end(ap);
    sn_buf_adds(&line, log->json ? "}\n" : "\n");
    if (!line.failed)
        put(log->fd, line.data, line.len);
    sn_buf_fini(&line);
}
