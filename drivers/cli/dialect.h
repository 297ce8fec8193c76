/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How one vendor's command line talks: the table that a CLI driver brings to the engine (cli.h).
 *
 * Everything here is constant data, so that a dialect can be read like the vendor's manual. Texts are matched by globs:
 * `*` stands for any run of characters, everything else for itself, letters in any case; a glob covers the whole line, which
 * is trimmed of blanks before. Sources of each row: docs/protocols/<vendor>.md.
 * Thread: any, constant.
 */
#ifndef SN_DRIVERS_CLI_DIALECT_H
#define SN_DRIVERS_CLI_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#include "drivers/verdict.h"

/* One mode of the command line. In name, prompt and enter a single `*` stands for the same text: "interface gpon *" is entered
 * by "interface gpon 0/1" and shows "(config-if-gpon-0/1)#". The prompt is what follows the host name. */
struct sn_cli_mode {
    const char *name;   /* as in sn_op.mode; NULL ends the table; the first row that fits a prompt wins */
    const char *prompt;
    const char *parent; /* mode from which `enter` is sent; NULL: the mode after login */
    const char *enter;  /* NULL: never entered on purpose */
    const char *leave;  /* back towards the parent; NULL with the root */
};

/* A question in the middle of a command. The first row that fits answers; a question that fits no row waits until the
 * deadline, hence every dialect ends with rows that refuse (answer NULL) whatever looks like a question. */
struct sn_cli_question {
    const char *ask;    /* the last line; NULL ends the table */
    const char *only;   /* the command it belongs to: "*" any, "" the login */
    const char *answer; /* sent with Enter; NULL: Ctrl-C, the job fails */
};

/* Stands for credential.enable_password in the column `answer`; without one the question is refused. */
extern const char sn_cli_enable_password[];

/* Text that the device prints whenever it likes. */
struct sn_cli_async {
    const char *begin; /* NULL ends the table */
    const char *end;   /* last line of the block; NULL: `begin` is the whole of it */
};

/* A refusal and what it means. */
struct sn_cli_fault {
    const char *text; /* after the marker, continuation lines joined; NULL ends the table */
    enum sn_class class;
    int id;           /* the driver's own number, so that it can tell cases apart; 0 = nothing special */
    const char *code;
};

struct sn_cli_step {
    const char *mode;
    const char *line; /* NULL ends the table */
};

struct sn_cli_dialect {
    const char *name;
    const char *newline; /* what Enter sends */
    const struct sn_cli_mode *modes;
    const char *pager;
    const char *pager_answer;
    const struct sn_cli_question *questions;
    const struct sn_cli_async *asyncs;
    const char *repeat_head; /* after a completion question the device repeats the command under this line; may be NULL */
    const char *const *markers;   /* lines that begin a refusal: "Failure:*"; NULL-terminated */
    const struct sn_cli_fault *faults;
    struct sn_cli_fault unknown_fault; /* a marker, but no row */
    const char *const *quota;     /* login texts: too many sessions */
    const char *const *refused;   /* login texts: wrong name or password */
    const char *const *logged_out; /* last lines of a session that is over while the link is not: the device asks for the login again */
    const struct sn_cli_step *prepare; /* after login; refusals are tolerated */
    const char *logout;           /* sent until the device hangs up */
    struct sn_cli_step save;
    const char *save_done;        /* the line that says that the save is complete */
    const char *save_busy;        /* text that may stand in any reply while saving: not a refusal of `save` itself */
};

/* True when the glob covers text[0..len) trimmed of blanks. */
bool sn_cli_glob(const char *glob, const char *text, size_t len);

/* The prompt that a line is, if it is one. host: NULL or "" accepts any name. Returns the mode's row or NULL; ret_host (65 bytes)
 * and ret_mode (64 bytes, the `*` filled in) are written on success. */
const struct sn_cli_mode *sn_cli_prompt(const struct sn_cli_dialect *d, const char *line, size_t len, const char *host,
                                        char *ret_host, char *ret_mode);

/* The next line to send on the way from one mode to another: 1 and out filled, 0 = there, -1 = no way known. */
int sn_cli_way(const struct sn_cli_dialect *d, const char *from, const char *to, char *out, size_t size);

/* The first refusal in a cleaned reply, NULL when there is none. joined (may be NULL): its text with continuation lines. With
 * `bare` known texts count without a marker too: only for replies to writes, which hold no customer's text. */
const struct sn_cli_fault *sn_cli_judge(const struct sn_cli_dialect *d, const char *text, bool bare, char *joined,
                                        size_t size);

#endif
