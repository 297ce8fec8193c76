/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a command line prints, made readable: bytes in, cleaned text and the place that was reached out.
 *
 * Pure: no I/O, no clock. It renders as a one-line terminal does (carriage return, backspace, cursor left and right), so that every
 * vendor's way to erase a pager works, cuts the echo of the command (which the device may wrap or decorate), the pager,
 * the repeated command of a completion question and unsolicited blocks. Lines end in '\n' in the text.
 * Any bytes are accepted; memory is bounded by SN_CLI_TEXT_MAX.
 * Thread: one at a time; no state but the struct's, whose text is freed by sn_cli_screen_fini().
 */
#ifndef SN_DRIVERS_CLI_SCREEN_H
#define SN_DRIVERS_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "drivers/cli/dialect.h"
#include "drivers/driver.h"

#define SN_CLI_TEXT_MAX ((size_t)1024 * 1024)
#define SN_CLI_LINE_MAX 1024
#define SN_CLI_HOST_MAX 65
#define SN_CLI_MODE_MAX 64

enum sn_cli_reached {
    SN_CLI_RUNNING,  /* nothing to react to yet */
    SN_CLI_PROMPT,   /* the command is over; screen.mode says where we are */
    SN_CLI_PAGER,    /* wants pager_answer */
    SN_CLI_QUESTION, /* screen.question is the row that fits */
};

enum sn_cli_escape { SN_CLI_ESC_NONE, SN_CLI_ESC_START, SN_CLI_ESC_CSI };

struct sn_cli_screen {
    const struct sn_cli_dialect *dialect;
    struct sn_buf text;                      /* lines of the reply; text.failed: more than SN_CLI_TEXT_MAX */
    char host[SN_CLI_HOST_MAX];              /* "" until the first prompt */
    char mode[SN_CLI_MODE_MAX];              /* "" until the first prompt */
    const struct sn_cli_question *question;

    char line[SN_CLI_LINE_MAX];              /* the line under the cursor */
    size_t len, col;
    enum sn_cli_escape escape;
    unsigned parameter;

    char command[SN_OP_LINE_MAX];            /* what was sent last; "" at login and when idle */
    char wanted[SN_OP_LINE_MAX];             /* its characters without blanks */
    size_t wanted_len;
    bool echoed;
    char seen[4 * SN_OP_LINE_MAX];           /* what came before the echo, without blanks, '\n' between lines */
    size_t seen_len;
    size_t repeated;                         /* characters of the command that the device has repeated */
    bool repeating;
    char answer[16];                         /* echo of our answer to a question, dropped when it stands alone on a line */
    const struct sn_cli_async *async;        /* inside an unsolicited block */
    size_t seen_async;                       /* seen_len before that block began */
    bool prompted;                           /* a prompt came, and more text after it */
    bool keep_async;                         /* unsolicited lines belong to the text (while waiting for the end of a save) */
};

void sn_cli_screen_init(struct sn_cli_screen *s, const struct sn_cli_dialect *dialect);
void sn_cli_screen_fini(struct sn_cli_screen *s);
/* A command is about to be sent: forgets the text, waits for the echo. "" = no command (login, idle): everything is text. */
void sn_cli_screen_begin(struct sn_cli_screen *s, const char *command);
void sn_cli_screen_feed(struct sn_cli_screen *s, const char *data, size_t len);
/* Where the output stands after what was fed. PROMPT sets host and mode. */
enum sn_cli_reached sn_cli_screen_reached(struct sn_cli_screen *s);
/* The pager or question was answered (answer "" for a bare key): its line is gone. */
void sn_cli_screen_answered(struct sn_cli_screen *s, const char *answer);
/* The reply without blank lines at its ends. Valid until the next feed or begin. */
const char *sn_cli_screen_text(struct sn_cli_screen *s);

#endif
