/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that came from outside, made safe for logs, terminals and tables. Thread: any, no state.
 */
#ifndef SN_COMMON_BASE_TEXT_H
#define SN_COMMON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Copies at most size-1 bytes of in[0..len) to out, writing control bytes (below 0x20, 0x7f, C1 as UTF-8), characters
 * that change the writing direction or break lines (U+200E, U+202E, U+2028 …) and bytes that are not valid UTF-8 as
 * \xNN; a newline becomes \x0a too. Always terminates; returns the length written. Never splits an escape or a
 * character when it cuts. A backslash of the input stays as it is: the result is for people, not for parsing back. */
size_t sn_text_escape(char *out, size_t size, const char *in, size_t len);
/* Length of the whole escaped text, without the NUL. */
size_t sn_text_escaped_size(const char *in, size_t len);

/* True when in[0..len) is well-formed UTF-8 without overlong forms and surrogates. */
bool sn_text_is_utf8(const char *in, size_t len);

/* Copies a string into a fixed field; returns 0, or -1 when it does not fit (then out is empty, never cut). */
int sn_text_copy(char *out, size_t size, const char *in) __attribute__((warn_unused_result));

#endif
