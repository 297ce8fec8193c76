/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte strings. The owner of a `struct text` frees it with text_free(); all calls abort when memory is out
 * (the simulator is a test instrument: it has nothing to save). */
#ifndef SIM_TEXT_H
#define SIM_TEXT_H

#include <stdarg.h>
#include <stddef.h>

struct text {
    char *p; /* NUL-terminated once anything was added, NULL before */
    size_t len;
    size_t cap;
};

void text_add(struct text *t, const char *p, size_t len);
void text_str(struct text *t, const char *s);
void text_fmt(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One line of device output: formatted text and CR LF. */
void text_line(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first len bytes. */
void text_drop(struct text *t, size_t len);
void text_clear(struct text *t);
void text_free(struct text *t);

/* Allocation that aborts instead of returning NULL. */
void *sim_alloc(size_t size);
char *sim_strdup(const char *s);
/* Makes room for one more element of size bytes in *list (n used, *cap allocated). */
void sim_grow(void **list, size_t n, size_t *cap, size_t size);

#endif
