/* SPDX-License-Identifier: Apache-2.0 */
/* The device's line editor: echo, erase, help key, end of line. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "session_priv.h"

#define TYPED_MAX 65536
#define SCREEN_COLUMNS 80

static bool in_quotes(const struct session *s)
{
    bool quoted = false;
    for (size_t i = 0; i < s->line_len; i++) {
        quoted ^= s->line[i] == '"';
    }
    return quoted;
}

static void echo(struct session *s, char c)
{
    session_write(s, &c, 1);
    s->column++;
    if (s->olt->echo_wrap && s->column % SCREEN_COLUMNS == 0) {
        session_puts(s, "\r\n");
    } else if (s->olt->echo_quirk && s->column % 20 == 0) {
        session_puts(s, " \033[1D");
    }
}

/* `?` outside quotes is the help key: it answers at once and the line goes on. */
static void help_key(struct session *s)
{
    char prompt[160];
    prompt_text(s, prompt, sizeof prompt);
    session_puts(s, "?\r\n  % There is no matched command\r\n\r\n");
    session_puts(s, prompt);
    session_write(s, s->line, s->line_len);
}

static void erase_key(struct session *s)
{
    if (s->line_len > 0) {
        s->line_len--;
        s->column -= s->column > 0;
        session_puts(s, "\b \b");
    }
}

static void break_key(struct session *s)
{
    s->line_len = 0;
    session_puts(s, "\r\n");
    if (s->phase == PHASE_LOGIN) {
        session_ask_name(s);
    } else {
        session_prompt(s);
    }
}

/* An alarm may come between the prompt and the echo of what is typed. */
static void alarm_before_echo(struct session *s)
{
    const struct fault *due =
        s->phase == PHASE_PROMPT && s->line_len == 0 ? fault_take(s->olt, "alarm_echo", NULL) : NULL;
    if (due != NULL && (s->console.events || !fault_flag(due, "obeys_infoswitch", false))) {
        struct text alarm = {0};
        alarm_text(s->olt, &alarm);
        session_write(s, alarm.p, alarm.len);
        text_free(&alarm);
    }
}

static void edit_key(struct session *s, char c)
{
    if (s->escape > 0) { /* ESC [ … letter: arrows and the like do nothing here */
        bool ends = (s->escape > 1 || c != '[') && c >= '@' && c <= '~';
        s->escape = ends ? 0 : s->escape + 1;
        return;
    }
    if (c == '\033') {
        s->escape = 1;
    } else if (c == '\r' || c == '\n') {
        s->line[s->line_len] = '\0';
        session_puts(s, "\r\n");
        session_enter(s);
    } else if (c == 3) {
        break_key(s);
    } else if (c == '\b' || c == 127) {
        erase_key(s);
    } else if (c == 21) { /* Ctrl-U */
        while (s->line_len > 0) {
            erase_key(s);
        }
    } else if (c == '?' && s->phase == PHASE_PROMPT && !in_quotes(s)) {
        help_key(s);
    } else if (c < ' ' || c > '~') {
        return; /* the editor takes printable ASCII only */
    } else if (s->line_len == LINE_MAX_BYTES) {
        session_puts(s, "\a");
    } else {
        alarm_before_echo(s);
        s->line[s->line_len++] = c;
        echo(s, c);
    }
}

void session_pump(struct session *s)
{
    if (s->pumping) {
        return; /* a command that needs no time is run from inside this loop */
    }
    s->pumping = true;
    size_t done = 0;
    while (done < s->typed.len && s->phase != PHASE_BUSY && s->phase != PHASE_DEAD) {
        char c = s->typed.p[done++];
        bool follows_cr = s->after_cr && c == '\n';
        s->after_cr = c == '\r';
        if (follows_cr) {
            continue;
        }
        if (s->phase == PHASE_PAGER) {
            pager_key(s, c);
        } else {
            edit_key(s, c);
        }
    }
    text_drop(&s->typed, done);
    s->pumping = false;
}

void session_input(struct session *s, const char *p, size_t len)
{
    if (s->phase == PHASE_DEAD || s->typed.len + len > TYPED_MAX) {
        return;
    }
    session_restart_idle(s);
    text_add(&s->typed, p, len);
    session_pump(s);
}
