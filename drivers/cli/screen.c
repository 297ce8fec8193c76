/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/cli/screen.h"

#include <stdio.h>
#include <string.h>

void sn_cli_screen_init(struct sn_cli_screen *s, const struct sn_cli_dialect *dialect)
{
    memset(s, 0, sizeof(*s));
    s->dialect = dialect;
    s->text.max = SN_CLI_TEXT_MAX;
    s->echoed = true;
}

void sn_cli_screen_fini(struct sn_cli_screen *s)
{
    sn_buf_fini(&s->text);
}

static void note_seen(struct sn_cli_screen *s, char c)
{
    if (s->seen_len == sizeof(s->seen)) {
        /* The echo is at most one line long: the older half can never be part of it. */
        size_t half = sizeof(s->seen) / 2;

        memmove(s->seen, s->seen + half, sizeof(s->seen) - half);
        s->seen_len -= half;
        s->seen_async = s->seen_async > half ? s->seen_async - half : 0;
    }
    s->seen[s->seen_len++] = c;
}

void sn_cli_screen_begin(struct sn_cli_screen *s, const char *command)
{
    size_t n = 0;

    sn_buf_fini(&s->text);
    s->text.max = SN_CLI_TEXT_MAX;
    (void)snprintf(s->command, sizeof(s->command), "%s", command);
    for (const char *c = s->command; *c != '\0'; c++) {
        if (*c != ' ')
            s->wanted[n++] = *c;
    }
    s->wanted_len = n;
    s->echoed = n == 0;
    s->seen_len = 0;
    for (size_t i = 0; i < s->len; i++) {
        if (s->line[i] != ' ')
            note_seen(s, s->line[i]);
    }
    s->repeated = 0;
    s->repeating = false;
    s->answer[0] = '\0';
    s->question = NULL;
    s->keep_async = false;
    s->prompted = false;
}

/* Is the end of `seen` the echo of our command, at the start of a line or right after a prompt? The device may have broken it
 * into lines anywhere; a word like "save" inside a message is no echo. */
static bool is_echo(const struct sn_cli_screen *s)
{
    char host[SN_CLI_HOST_MAX], mode[SN_CLI_MODE_MAX];
    size_t i = s->seen_len, left = s->wanted_len, start;

    while (left > 0 && i > 0) {
        char c = s->seen[--i];

        if (c == '\n')
            continue;
        if (c != s->wanted[left - 1])
            return false;
        left--;
    }
    if (left > 0)
        return false;
    start = i;
    while (start > 0 && s->seen[start - 1] != '\n')
        start--;
    return start == i || sn_cli_prompt(s->dialect, s->seen + start, i - start, s->host, host, mode) != NULL;
}

/* True when the line belongs to the command that a device repeats after a completion question. */
static bool is_repeat(struct sn_cli_screen *s, const char *line, size_t len)
{
    size_t at = s->repeated;

    for (size_t i = 0; i < len; i++) {
        if (line[i] == ' ')
            continue;
        if (at >= s->wanted_len || line[i] != s->wanted[at])
            return false;
        at++;
    }
    s->repeated = at;
    if (at == s->wanted_len)
        s->repeating = false;
    return true;
}

/* Unsolicited text: true when the line belongs to it. */
static bool is_async(struct sn_cli_screen *s, const char *line, size_t len)
{
    if (s->async != NULL) {
        if (sn_cli_glob(s->async->end, line, len))
            s->async = NULL;
        return true;
    }
    for (const struct sn_cli_async *a = s->dialect->asyncs; a->begin != NULL; a++) {
        if (!sn_cli_glob(a->begin, line, len))
            continue;
        if (a->end != NULL)
            s->async = a;
        return true;
    }
    return false;
}

static bool is_blank(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] != ' ')
            return false;
    }
    return true;
}

/* Is the line a prompt of this host? Sets host and mode. */
static bool take_prompt(struct sn_cli_screen *s, size_t len)
{
    char host[SN_CLI_HOST_MAX], mode[SN_CLI_MODE_MAX];

    if (sn_cli_prompt(s->dialect, s->line, len, s->host, host, mode) == NULL)
        return false;
    memcpy(s->host, host, sizeof(s->host));
    memcpy(s->mode, mode, sizeof(s->mode));
    s->async = NULL; /* a block that never ended */
    return true;
}

/* A whole line stands in s->line: does it belong to the reply? */
static bool is_reply(struct sn_cli_screen *s, size_t len)
{
    if (s->echoed && take_prompt(s, len)) {
        /* Text that nobody asked for follows the prompt on its heels: the reply was over. */
        s->prompted = true;
        return false;
    }
    if (is_async(s, s->line, len)) {
        s->seen_len = s->seen_async; /* an echo may go on after it */
        return s->keep_async;
    }
    if (!s->echoed)
        return false;
    if (s->prompted)
        return s->keep_async;
    if (s->text.len == 0 && is_blank(s->line, len))
        return false;
    if (s->answer[0] != '\0') {
        bool ours = sn_cli_glob(s->answer, s->line, len);

        s->answer[0] = '\0';
        if (ours)
            return false;
    }
    if (s->repeating) {
        if (is_repeat(s, s->line, len))
            return false;
        s->repeating = false;
    } else if (s->dialect->repeat_head != NULL && s->text.len == 0 && s->repeated == 0 && s->wanted_len > 0 &&
               sn_cli_glob(s->dialect->repeat_head, s->line, len)) {
        s->repeating = true;
        return false;
    }
    return true;
}

static void finish_line(struct sn_cli_screen *s)
{
    size_t len = s->len;

    while (len > 0 && s->line[len - 1] == ' ')
        len--;
    if (is_reply(s, len)) {
        sn_buf_add(&s->text, s->line, len);
        sn_buf_adds(&s->text, "\n");
    }
    s->len = 0;
    s->col = 0;
}

/* The cursor's line ends (CR or LF): the place where an echo is recognised. */
static void check_echo(struct sn_cli_screen *s)
{
    if (s->echoed || s->async != NULL || !is_echo(s))
        return;
    s->echoed = true;
    s->len = 0;
    s->col = 0;
}

static void put(struct sn_cli_screen *s, char c)
{
    if (s->col >= sizeof(s->line))
        finish_line(s); /* longer than any line that a device prints: cut it in two */
    while (s->len < s->col)
        s->line[s->len++] = ' ';
    s->line[s->col++] = c;
    if (s->col > s->len)
        s->len = s->col;
    if (!s->echoed && c != ' ')
        note_seen(s, c);
}

static void control_sequence(struct sn_cli_screen *s, char final)
{
    size_t n = s->parameter == 0 ? 1 : s->parameter;

    switch (final) {
    case 'C': /* cursor right: some vendors make columns with it */
        s->col = s->col + n < sizeof(s->line) ? s->col + n : sizeof(s->line) - 1;
        break;
    case 'D': /* cursor left: erasing, and decoration of the echo */
        s->col = s->col > n ? s->col - n : 0;
        break;
    case 'K':
        if (s->col < s->len)
            s->len = s->col;
        break;
    default: /* colours and the like */
        break;
    }
}

static bool escape_byte(struct sn_cli_screen *s, unsigned char c)
{
    switch (s->escape) {
    case SN_CLI_ESC_NONE:
        if (c != 0x1b)
            return false;
        s->escape = SN_CLI_ESC_START;
        return true;
    case SN_CLI_ESC_START:
        s->escape = c == '[' ? SN_CLI_ESC_CSI : SN_CLI_ESC_NONE;
        s->parameter = 0;
        return true;
    case SN_CLI_ESC_CSI:
        if (c >= '0' && c <= '9') {
            if (s->parameter < SN_CLI_LINE_MAX)
                s->parameter = s->parameter * 10 + (unsigned)(c - '0');
        } else if (c >= 0x40 && c <= 0x7e) {
            s->escape = SN_CLI_ESC_NONE;
            control_sequence(s, (char)c);
        } else if (c < 0x20 || c > 0x7e) {
            s->escape = SN_CLI_ESC_NONE; /* broken off */
            return false;
        }
        return true;
    }
    return false;
}

void sn_cli_screen_feed(struct sn_cli_screen *s, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (escape_byte(s, c))
            continue;
        switch (c) {
        case '\n':
            check_echo(s);
            finish_line(s);
            if (!s->echoed) {
                note_seen(s, '\n');
                if (s->async == NULL)
                    s->seen_async = s->seen_len;
            }
            break;
        case '\r':
            /* Erasing (a pager's line is empty by now) or the half of a line's end. In the middle of text it is noise: a terminal would
             * overwrite what the device meant to say. */
            check_echo(s);
            if (is_blank(s->line, s->len))
                s->col = 0;
            break;
        case '\b':
            if (s->col > 0)
                s->col--;
            break;
        case '\t':
            do
                put(s, ' ');
            while (s->col % 8 != 0);
            break;
        default:
            if (c >= 0x20 && c != 0x7f)
                put(s, (char)c);
            break;
        }
    }
}

enum sn_cli_reached sn_cli_screen_reached(struct sn_cli_screen *s)
{
    s->question = NULL;
    if (!s->echoed)
        return SN_CLI_RUNNING;
    if (take_prompt(s, s->len) || s->prompted)
        return SN_CLI_PROMPT;
    if (s->len == 0)
        return SN_CLI_RUNNING;
    if (s->dialect->pager != NULL && sn_cli_glob(s->dialect->pager, s->line, s->len))
        return SN_CLI_PAGER;
    for (const struct sn_cli_question *q = s->dialect->questions; q->ask != NULL; q++) {
        if (sn_cli_glob(q->ask, s->line, s->len) && sn_cli_glob(q->only, s->command, strlen(s->command))) {
            s->question = q;
            return SN_CLI_QUESTION;
        }
    }
    return SN_CLI_RUNNING;
}

void sn_cli_screen_answered(struct sn_cli_screen *s, const char *answer)
{
    (void)snprintf(s->answer, sizeof(s->answer), "%s", answer);
    s->len = 0;
    s->col = 0;
    s->question = NULL;
}

const char *sn_cli_screen_text(struct sn_cli_screen *s)
{
    while (s->text.len > 0 && (s->text.data[s->text.len - 1] == '\n' || s->text.data[s->text.len - 1] == ' '))
        s->text.data[--s->text.len] = '\0';
    return sn_buf_str(&s->text);
}
