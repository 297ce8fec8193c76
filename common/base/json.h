/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing small things of a JSON document that need not be there: an absent member and one of another type read as
 * empty. What must be there is checked by a schema before.
 * Thread: any; nothing is kept. Texts are borrowed from the object.
 */
#ifndef SN_COMMON_BASE_JSON_H
#define SN_COMMON_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* json_loadb() and json_load_file() that can be trusted when memory runs out: jansson 2.14's reader drops a byte of the string that it is in,
 * reads on behind its end, or calls it a fault of the text. These give up what they have at once: NULL, and errno is ENOMEM; errno is
 * 0 when the text is at fault, something else when the file cannot be read. New reference. */
json_t *sn_json_load(const char *text, size_t len, size_t flags, json_error_t *ret_where);
json_t *sn_json_load_file(const char *path, size_t flags, json_error_t *ret_where);

/* json_deep_copy(), which leaves out members when memory runs out, and json_dumps(), which leaves out the names of some; these return NULL
 * then. A new reference; a text to be freed. */
json_t *sn_json_deep_copy(const json_t *value);
char *sn_json_dumps(const json_t *value, size_t flags);

/* How many allocations of jansson have failed in this thread so far. The same number before and after a tree was put together from many pieces
 * says that none is missing, without a look at each. */
unsigned sn_json_failures(void);

const char *sn_json_text(const json_t *object, const char *key);  /* "" when there is none */
int64_t sn_json_number(const json_t *object, const char *key);    /* 0 when there is none */
int64_t sn_json_number_or(const json_t *object, const char *key, int64_t otherwise);
bool sn_json_true(const json_t *object, const char *key);
/* A time as text ("2026-11-23T04:00:00.123Z") in Unix ms; 0 when there is none or it is unreadable. */
int64_t sn_json_time(const json_t *object, const char *key);
/* The other way: the text of a time in Unix ms, null of 0 and below. New reference; NULL on memory. */
json_t *sn_json_new_time(int64_t wall_ms);

#endif
