/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes from a device: the first line is the command that was sent, the rest what it prints. The cleaned text holds no control
 * byte, stays within its limit, and does not depend on how the bytes were cut into reads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cli/screen.h"
#include "drivers/huawei-smartax/huawei.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check(struct sn_cli_screen *s, enum sn_cli_reached reached)
{
    require(s->len <= sizeof(s->line) && s->col <= sizeof(s->line) && s->seen_len <= sizeof(s->seen));
    require(reached != SN_CLI_PROMPT || (s->host[0] != '\0' && s->mode[0] != '\0'));
    require(reached != SN_CLI_QUESTION || s->question != NULL);
}

/* True when the pager or a question was answered on the way. */
static int play(struct sn_cli_screen *s, const char *command, const char *data, size_t size, size_t step)
{
    int answered = 0;

    sn_cli_screen_init(s, &hw_dialect);
    sn_cli_screen_begin(s, command);
    for (size_t i = 0; i < size; i += step) {
        enum sn_cli_reached reached;

        sn_cli_screen_feed(s, data + i, size - i < step ? size - i : step);
        reached = sn_cli_screen_reached(s);
        check(s, reached);
        if (reached == SN_CLI_PAGER || reached == SN_CLI_QUESTION) {
            sn_cli_screen_answered(s, reached == SN_CLI_PAGER ? "" : "y");
            answered = 1;
        }
    }
    return answered;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_cli_screen whole, bytes;
    const char *text = (const char *)data;
    char command[SN_OP_LINE_MAX], joined[64];
    size_t n = 0;
    int answered;

    while (n < size && n + 1 < sizeof(command) && data[n] >= 0x20 && data[n] < 0x7f) {
        command[n] = text[n];
        n++;
    }
    command[n] = '\0';
    answered = play(&bytes, command, text + n, size - n, 1);
    answered = play(&whole, command, text + n, size - n, size + 1) || answered;
    for (size_t i = 0; i < bytes.text.len; i++) {
        unsigned char c = (unsigned char)bytes.text.data[i];

        require(c == '\n' || (c >= 0x20 && c != 0x7f));
    }
    if (!answered && bytes.host[0] == '\0' && whole.host[0] == '\0')
        require(strcmp(sn_cli_screen_text(&bytes), sn_cli_screen_text(&whole)) == 0);
    (void)sn_cli_judge(&hw_dialect, sn_cli_screen_text(&bytes), true, joined, sizeof(joined));
    sn_cli_screen_fini(&bytes);
    sn_cli_screen_fini(&whole);
    return 0;
}
