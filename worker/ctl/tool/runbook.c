/* SPDX-License-Identifier: Apache-2.0 */
/* Prints docs/runbook.md from the catalogue of causes. */
#include <stdio.h>
#include <string.h>

#include "worker/ctl/catalogue.h"

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

int main(void)
{
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
