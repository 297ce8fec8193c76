/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a session, shared by session.c (dialogue), editor.c (bytes in) and pager.c (bytes out). */
#ifndef SIM_SESSION_PRIV_H
#define SIM_SESSION_PRIV_H

#include "command.h"
#include "session.h"

enum phase {
    PHASE_PROMPT,  /* a command line is being typed */
    PHASE_SMART,   /* a { } question is open */
    PHASE_CONFIRM, /* a (y/n) question is open */
    PHASE_PAGER,   /* --- More --- */
    PHASE_BUSY,    /* a command runs; what is typed waits */
    PHASE_LOGIN,   /* asks for name and password again */
    PHASE_DEAD     /* silent or closing */
};

struct session {
    struct session *next;
    struct olt *olt;
    struct term *term; /* NULL: silent console */
    unsigned number;
    struct console console;
    enum phase phase;
    bool counted, left; /* counted as open; left by quit */
    /* in */
    struct text typed; /* not yet looked at */
    bool pumping, after_cr;
    unsigned escape;   /* place inside an escape sequence */
    char line[LINE_MAX_BYTES + 1];
    size_t line_len, column;
    /* the command in hand */
    char command_line[2 * LINE_MAX_BYTES + 2];
    char answer[LINE_MAX_BYTES + 1];
    unsigned wrong_answers;
    const struct command *command;
    struct parsed parsed;
    char include[80]; /* `| include TEXT` */
    bool no_more;     /* `| no-more` */
    bool asked;       /* the smart question was answered: re-echo the command */
    bool named;       /* at a login: the password is next */
    struct timer run_timer, idle_timer;
    /* out */
    struct text page; /* output not yet shown */
    size_t page_at;
    bool closes;      /* close when all is shown */
    struct text slow; /* bytes that drip */
    unsigned slow_ms;
    struct timer slow_timer;
    struct text late; /* the answer that a silence holds back */
};

/* pager.c */
void session_write(struct session *s, const char *p, size_t len);
void session_puts(struct session *s, const char *text);
/* Shows a command's output page by page, then the prompt. Takes over the bytes of out. */
void session_show(struct session *s, struct text *out);
void pager_key(struct session *s, char c);
void session_prompt(struct session *s);
size_t prompt_text(const struct session *s, char *out, size_t size);
void on_slow(struct timer *t);

/* editor.c */
/* Handles what was typed as far as the phase allows. */
void session_pump(struct session *s);

/* session.c */
void session_ask_name(struct session *s); /* a login begins anew */
void session_enter(struct session *s);   /* the line is complete */
void session_restart_idle(struct session *s);
/* Emits the alarm block of a fault. */
void alarm_text(const struct olt *olt, struct text *out);

#endif
