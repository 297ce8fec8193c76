/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One error object for every fallible function.
 *
 * A fallible function returns 0, or -1 after filling the caller's `struct sn_error`. Library code never logs an
 * error: the program that called it does, once. `code` is stable and machine-readable (`config.unknown-key`,
 * `broker.connect`); `text` is one English sentence without secrets and without control bytes.
 * Thread: any; the object belongs to the caller.
 */
#ifndef SN_COMMON_BASE_ERROR_H
#define SN_COMMON_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#define SN_MUSTCHECK __attribute__((warn_unused_result))
#define SN_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

#define SN_CODE_MAX 64
#define SN_ERROR_TEXT_MAX 512

struct sn_error {
    char code[SN_CODE_MAX];
    char text[SN_ERROR_TEXT_MAX];
};

/* Fills *err (cut, never overrun; control bytes of the text are shown as \xNN) and returns -1, so that callers can
 * write `return sn_error_set(err, "x.y", "...")`. err->code and err->text may be among the arguments. */
int sn_error_set(struct sn_error *err, const char *code, const char *fmt, ...) SN_PRINTF(3, 4);

/* Puts `<prefix>: ` before the text that is already there (for adding context on the way up). Returns -1. */
int sn_error_prefix(struct sn_error *err, const char *fmt, ...) SN_PRINTF(2, 3);

/* Out of memory, always the same words. Returns -1. */
int sn_error_oom(struct sn_error *err);
/* Was it memory, ours, and nobody else's fault? Then what was looked at has not been judged: it is to be tried again. */
bool sn_error_is_oom(const struct sn_error *err);
/* The code of sn_error_oom(), where a code stands alone. */
#define SN_CODE_OOM "process.out-of-memory"

#endif
