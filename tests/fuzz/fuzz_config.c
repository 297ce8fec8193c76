/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any configuration: up to the first NUL a file, then, each ended by NUL, variables of the environment (they begin with SILVER_) and
 * settings of the command line. It is refused with a code, or what is in force can be printed, loaded again, and printed as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/options.h"

#define PARTS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

/* A file in memory; its name is what the loader opens. */
static int make_file(const char *text, size_t len, char *name, size_t name_size)
{
    int fd = memfd_create("silverd.yaml", MFD_CLOEXEC);

    require(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    (void)snprintf(name, name_size, "/proc/self/fd/%d", fd);
    return fd;
}

static int load(const char *text, size_t len, char *const *environment, const char *const *settings, size_t settings_n,
                struct sn_options *ret, struct sn_error *err)
{
    char name[64];
    int fd = make_file(text, len, name, sizeof(name));
    struct sn_option_sources sources = { .file = name, .environment = environment, .not_ours = sn_options_not_ours,
                                         .settings = settings, .settings_count = settings_n };
    int rc = sn_options_load(&sn_option_table, &sources, ret, err);

    (void)close(fd);
    return rc;
}

static void check_refusal(const struct sn_error *err)
{
    static const char *const codes[] = { "config.unreadable", "config.syntax", "config.unknown-key", "config.value", "config.range" };
    int known = 0;

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        known = known || strcmp(codes[i], err->code) == 0;
    require(known && err->text[0] != '\0');
    for (const char *c = err->text; *c != '\0'; c++)
        require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_again(const struct sn_options *options)
{
    struct sn_buf first = SN_BUF_INIT, second = SN_BUF_INIT;
    struct sn_options again;
    struct sn_error err = { .code = "" };

    sn_options_print(&sn_option_table, options, &first);
    require(!first.failed);
    if (strstr(sn_buf_str(&first), "sealed:") == NULL) { /* of a sealed secret it says only that there is one */
        require(load(sn_buf_str(&first), first.len, NULL, NULL, 0, &again, &err) == 0);
        sn_options_print(&sn_option_table, &again, &second);
        require(strcmp(sn_buf_str(&first), sn_buf_str(&second)) == 0);
        sn_options_free(&sn_option_table, &again);
    }
    sn_buf_fini(&first);
    sn_buf_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *environment[PARTS_MAX + 1] = { NULL };
    const char *settings[PARTS_MAX];
    size_t environment_n = 0, settings_n = 0, file_len;
    struct sn_options options;
    struct sn_error err = { .code = "" };

    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    file_len = strlen(text);
    for (size_t at = file_len + 1; at < size && environment_n + settings_n < PARTS_MAX; at += strlen(text + at) + 1) {
        if (strncmp(text + at, "SILVER_", strlen("SILVER_")) == 0)
            environment[environment_n++] = text + at;
        else
            settings[settings_n++] = text + at;
    }
    if (load(text, file_len, environment, settings, settings_n, &options, &err) != 0) {
        check_refusal(&err);
    } else {
        if (sn_options_check(&options, &err) != 0)
            require(err.code[0] != '\0' && err.text[0] != '\0');
        check_again(&options);
        sn_options_free(&sn_option_table, &options);
    }
    free(text);
    return 0;
}
