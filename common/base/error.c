/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/error.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

int sn_error_set(struct sn_error *err, const char *code, const char *fmt, ...)
{
    char raw[SN_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    if (code != err->code)
        (void)snprintf(err->code, sizeof(err->code), "%s", code);
    sn_text_escape(err->text, sizeof(err->text), raw, strlen(raw));
    return -1;
}

int sn_error_prefix(struct sn_error *err, const char *fmt, ...)
{
    char prefix[SN_ERROR_TEXT_MAX / 2];
    char old[SN_ERROR_TEXT_MAX];
    char raw[sizeof(prefix) + sizeof(old) + 2];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    memcpy(old, err->text, sizeof(old));
    (void)snprintf(raw, sizeof(raw), "%s: %s", prefix, old);
    sn_text_escape(err->text, sizeof(err->text), raw, strlen(raw));
    return -1;
}

int sn_error_oom(struct sn_error *err)
{
    return sn_error_set(err, SN_CODE_OOM, "out of memory");
}

bool sn_error_is_oom(const struct sn_error *err)
{
    return strcmp(err->code, SN_CODE_OOM) == 0;
}
