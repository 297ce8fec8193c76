/* SPDX-License-Identifier: Apache-2.0 */
/* One console of one OLT: line editor, questions, pager, prompts, faults. It knows nothing of SSH: it is fed bytes and
 * writes bytes to a `struct term`, which an SSH channel or the relay provides. */
#ifndef SIM_SESSION_H
#define SIM_SESSION_H

#include "model.h"
#include "parser.h"

enum term_end {
    TERM_END_CLEAN, /* the device said good-bye: flush, then close */
    TERM_END_CUT    /* the link breaks: nothing more is sent */
};

/* What a session writes to; owned by the connection, outlives the session. */
struct term {
    void (*write)(struct term *t, const char *p, size_t len);
    /* Asks for the end; the connection later frees the session from the loop, never from within this call. */
    void (*close)(struct term *t, enum term_end end);
};

/* The mode of a session, as the handlers of commands see and change it. */
struct console {
    enum mode mode;
    unsigned frame, slot; /* in MODE_GPON */
    bool smart, interactive, events;
    unsigned page_lines; /* 0: no paging */
    unsigned idle_s;     /* 0: never logged out */
    bool no_blank;       /* no blank line before the next prompt */
    bool save_started;   /* print the notice of a save after the next prompt */
};

/* Begins a console: banner and prompt, or the refusal of the session quota. Never NULL; session_free() ends it. */
struct session *session_open(struct olt *olt, struct term *term);
/* A console without a line, for commands typed by the control socket; frees itself with session_free(). */
struct session *session_open_silent(struct olt *olt, enum mode mode, unsigned frame, unsigned slot);
void session_free(struct session *s);
void session_input(struct session *s, const char *p, size_t len);
/* Breaks the link. */
void session_cut(struct session *s);
/* Text that the device prints unasked. */
void session_notice(struct session *s, const char *text);
/* Runs one line at once, without echo, questions, latency or faults; what it says is added to out. */
const char *session_run(struct session *s, const char *line, struct text *out);

struct session *session_next(const struct session *s);
unsigned session_number(const struct session *s);
struct olt *session_olt(const struct session *s);
struct console *session_console(struct session *s);
/* Is this OLT's session quota used up? */
bool session_quota_full(const struct olt *olt);

#endif
