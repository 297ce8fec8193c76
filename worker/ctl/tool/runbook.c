/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/runbook.md from the catalogue of causes; with the word "commands", docs/silverctl.md from the table of
 * commands. */
#include <stdio.h>
#include <string.h>

#include "worker/ctl/catalogue.h"
#include "worker/ctl/ctl.h"

/* <angle brackets> of arguments are Markdown's too. */
static void sentence(const char *heading, const char *text)
{
    printf("- **%s** ", heading);
    for (; *text != '\0'; text++) {
        if (text[0] == '%' && text[1] == '{') {
            size_t len = strcspn(text + 2, "}");
            printf("_%.*s_", (int)len, text + 2);
            text += len + 2;
        } else {
            (void)putchar(*text);
        }
    }
    printf("\n");
}

static void help(const struct sn_command *command, struct sn_out *out)
{
    const char *common;

    printf("\n```\n$ silverctl %s%s--help\n", command != NULL ? command->name : "", command != NULL ? " " : "");
    sn_line_help(out, command, NULL);
    /* what every command takes stands once */
    common = command != NULL ? strstr(sn_buf_str(&out->buf), "\nOptions of every command:") : NULL;
    printf("%.*s", (int)(common != NULL ? (size_t)(common - sn_buf_str(&out->buf)) : out->buf.len),
           sn_buf_str(&out->buf));
    sn_buf_clear(&out->buf);
    printf("```\n");
}

static int commands(void)
{
    struct sn_out out = { .width = 100 };

    printf("# silverctl\n\n"
           "Generated from the table in `worker/ctl/commands.c`; do not edit. It never opens a device: plans, tests "
           "and pauses are\n"
           "asked of the worker that owns it, the past is read from the ledger, the present from Redis and the broker. "
           "Settings are\n"
           "silverd's own (docs/configuration.md); of the secrets only broker, Redis and the ledger's reader are used. "
           "stdout is the\n"
           "answer, stderr progress and errors. Causes and what to do: docs/runbook.md.\n");
    help(NULL, &out);
    for (const struct sn_command *c = sn_commands; c->name != NULL; c++) {
        if (c->flags != 0)
            help(c, &out);
    }
    sn_buf_fini(&out.buf);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "commands") == 0)
        return commands();
    printf("# Runbook: every cause, and what to do\n\n"
           "Generated from the catalogue in `worker/ctl/causes.c`; do not edit. `silverctl dlq show`, `silverctl "
           "event` and\n"
           "`silverctl device show` print the same sentences, with the arguments (here in _italics_) put in and in "
           "your language.\n");
    for (size_t i = 0; i < sn_cause_count(); i++) {
        const struct sn_cause *c = sn_cause_at(i);
        printf("\n## %s\n\n", c->code);
        sentence("What happened:", c->happened);
        sentence("What holds now:", c->holds);
        sentence("What to do:", c->todo);
    }
    return 0;
}
