/* SPDX-License-Identifier: Apache-2.0 */
/* What a session sends: prompts, pages, slow lines and noise. */
#include <stdio.h>
#include <string.h>

#include "fault.h"
#include "session_priv.h"

#define MORE "  ---- More ( Press 'Q' to break ) ----"
#define MORE_ERASE "\033[37D                                     \033[37D" /* 37 spaces: the two before stay */

void on_slow(struct timer *t)
{
    struct session *s = SIM_OF(t, struct session, slow_timer);
    if (s->slow.len > 0) {
        s->term->write(s->term, s->slow.p, 1);
        text_drop(&s->slow, 1);
    }
    if (s->slow.len > 0) {
        timer_start(s->olt->sim->loop, t, s->slow_ms);
    } else {
        s->slow_ms = 0;
        if (s->closes) {
            s->term->close(s->term, TERM_END_CLEAN);
        }
    }
}

void session_write(struct session *s, const char *p, size_t len)
{
    if (s->term == NULL || s->phase == PHASE_DEAD || len == 0) {
        return;
    }
    if (s->slow_ms == 0) {
        s->term->write(s->term, p, len);
        return;
    }
    text_add(&s->slow, p, len);
    if (s->slow_timer.slot == 0) {
        timer_start(s->olt->sim->loop, &s->slow_timer, s->slow_ms);
    }
}

void session_puts(struct session *s, const char *text)
{
    session_write(s, text, strlen(text));
}

size_t prompt_text(const struct session *s, char *out, size_t size)
{
    const struct console *c = &s->console;
    const char *host = s->olt->hostname;
    int len = 0;
    switch (c->mode) {
    case MODE_USER:
        len = snprintf(out, size, "%s>", host);
        break;
    case MODE_ENABLE:
        len = snprintf(out, size, "%s#", host);
        break;
    case MODE_CONFIG:
        len = snprintf(out, size, "%s(config)#", host);
        break;
    case MODE_GPON:
        len = snprintf(out, size, "%s(config-if-gpon-%u/%u)#", host, c->frame, c->slot);
        break;
    }
    return (size_t)len;
}

void session_prompt(struct session *s)
{
    char prompt[160];
    s->phase = PHASE_PROMPT;
    s->line_len = 0;
    s->column = prompt_text(s, prompt, sizeof prompt);
    if (!s->console.no_blank) {
        session_puts(s, "\r\n");
    }
    s->console.no_blank = false;
    session_puts(s, prompt);
    if (s->console.save_started) {
        s->console.save_started = false;
        session_notice(s, "  It will take several minutes to save configuration file, please wait...\r\n");
    }
}

static void finish(struct session *s)
{
    text_clear(&s->page);
    s->page_at = 0;
    if (s->closes) {
        s->phase = PHASE_DEAD;
        if (s->slow.len == 0) {
            s->term->close(s->term, TERM_END_CLEAN);
        }
        return;
    }
    session_prompt(s);
}

/* Shows up to `lines` lines (0: all) and asks for more when something is left. */
static void show_lines(struct session *s, unsigned lines)
{
    const char *p = s->page.p;
    size_t end = s->page_at;
    for (unsigned n = 0; end < s->page.len && (lines == 0 || n < lines); n++) {
        const char *nl = memchr(p + end, '\n', s->page.len - end);
        end = nl != NULL ? (size_t)(nl - p) + 1 : s->page.len;
    }
    if (end > s->page_at) {
        session_write(s, p + s->page_at, end - s->page_at);
    }
    s->page_at = end;
    if (end < s->page.len) {
        session_puts(s, MORE);
        s->phase = PHASE_PAGER;
    } else {
        finish(s);
    }
}

void session_show(struct session *s, struct text *out)
{
    text_free(&s->page);
    s->page = *out;
    *out = (struct text){0};
    s->page_at = 0;
    if (s->page.p == NULL) {
        text_str(&s->page, "");
    }
    show_lines(s, s->console.page_lines > 1 && !s->no_more ? s->console.page_lines - 1 : 0);
}

void pager_key(struct session *s, char c)
{
    if (c == ' ') {
        session_puts(s, MORE_ERASE);
        show_lines(s, s->console.page_lines > 1 ? s->console.page_lines - 1 : 0);
    } else if (c == '\r' || c == '\n') {
        session_puts(s, MORE_ERASE);
        show_lines(s, 1);
    } else if (c == 'q' || c == 'Q' || c == 3) {
        session_puts(s, MORE_ERASE);
        finish(s);
    }
}
