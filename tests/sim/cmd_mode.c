/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that move or set up the session, and the save. */
#include "command.h"

enum command_result refuse(struct text *out, const char *failure)
{
    text_line(out, "  Failure: %s", failure);
    return CMD_REFUSED;
}

static enum command_result go(struct session *s, enum mode mode)
{
    session_console(s)->mode = mode;
    return CMD_DONE;
}

enum command_result run_enable(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    return go(s, MODE_ENABLE);
}

enum command_result run_disable(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    return go(s, MODE_USER);
}

enum command_result run_config(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    return go(s, MODE_CONFIG);
}

enum command_result run_interface(struct session *s, const struct parsed *p, struct text *out)
{
    struct console *c = session_console(s);
    struct place at = arg_of(p, "fs")->place;
    if (olt_board(session_olt(s), at.frame, at.slot) == NULL) {
        return refuse(out, "The board does not exist"); /* [K] */
    }
    c->frame = at.frame;
    c->slot = at.slot;
    return go(s, MODE_GPON);
}

enum command_result run_quit(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    enum mode mode = session_console(s)->mode;
    if (mode == MODE_GPON) {
        return go(s, MODE_CONFIG);
    }
    if (mode == MODE_CONFIG) {
        return go(s, MODE_ENABLE);
    }
    if (mode == MODE_ENABLE && session_olt(s)->quit_to_user) {
        return go(s, MODE_USER);
    }
    text_line(out, "\r\n  Configuration console exit, please retry to log on");
    return CMD_LOGOUT;
}

enum command_result run_return(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    return go(s, MODE_ENABLE);
}

enum command_result run_smart_off(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    session_console(s)->smart = false;
    return CMD_DONE;
}

enum command_result run_smart_on(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    session_console(s)->smart = true;
    return CMD_DONE;
}

enum command_result run_interactive_off(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    session_console(s)->interactive = false;
    return CMD_DONE;
}

enum command_result run_interactive_on(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    session_console(s)->interactive = true;
    return CMD_DONE;
}

/* Bare `scroll` switches paging off; with a number it sets the page. */
enum command_result run_scroll(struct session *s, const struct parsed *p, struct text *out)
{
    (void)out;
    session_console(s)->page_lines = arg_number(p, "lines");
    return CMD_DONE;
}

enum command_result run_infoswitch(struct session *s, const struct parsed *p, struct text *out)
{
    (void)out;
    const char *state = arg_text(p, "state");
    session_console(s)->events = state[1] == 'n' || state[1] == 'N'; /* on, not off */
    return CMD_DONE;
}

enum command_result run_idle_off(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    session_console(s)->idle_s = 0;
    return CMD_DONE;
}

enum command_result run_idle(struct session *s, const struct parsed *p, struct text *out)
{
    (void)out;
    session_console(s)->idle_s = arg_number(p, "minutes") * 60;
    return CMD_DONE;
}

/* The prompt returns at once, without its blank line; the end of the save is told later. */
enum command_result run_save(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    (void)out;
    struct console *c = session_console(s);
    c->no_blank = true;
    c->save_started = true;
    olt_save_begin(session_olt(s), session_number(s), "save");
    return CMD_DONE;
}
