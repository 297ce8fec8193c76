/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing byte buffer with a ceiling and a sticky failure.
 *
 * Appending never has to be checked: after the first failure (memory, or the ceiling) the buffer stays as it was and
 * `failed` is true; check once before use. `data` is always NUL-terminated after the first append.
 * Thread: one owner at a time.
 */
#ifndef SN_COMMON_BASE_BUF_H
#define SN_COMMON_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"

struct sn_buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* ceiling in bytes, 0 = none */
    bool failed;
};

#define SN_BUF_INIT { 0 }
#define SN_BUF_INIT_MAX(bytes) { .max = (bytes) }

void sn_buf_add(struct sn_buf *b, const void *data, size_t len);
void sn_buf_adds(struct sn_buf *b, const char *text);
void sn_buf_addf(struct sn_buf *b, const char *fmt, ...) SN_PRINTF(2, 3);
/* Appends foreign bytes, escaped as sn_text_escape() does but without a cut. */
void sn_buf_add_escaped(struct sn_buf *b, const char *data, size_t len);
/* The text, or "" when nothing was appended. Belongs to the buffer. */
const char *sn_buf_str(const struct sn_buf *b);
/* Drops the first `len` bytes. */
void sn_buf_consume(struct sn_buf *b, size_t len);
/* Empties, keeps the memory. */
void sn_buf_clear(struct sn_buf *b);
/* Frees; wipes the memory first (it may have held a secret). Safe on a zeroed buffer and twice. */
void sn_buf_fini(struct sn_buf *b);

#endif
