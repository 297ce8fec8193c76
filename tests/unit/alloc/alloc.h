/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that runs out, one allocation at a time: an operation is tried with its first allocation failing, its second …
 * until one try needs no more. An executable of sn_alloc_test() (tests/unit/alloc/CMakeLists.txt) is linked so that
 * malloc, calloc, realloc, reallocarray, strdup, strndup and vasprintf of our code pass here, and what makes PCRE2's objects;
 * jansson's do, because it allocates through common/base/json.c. What other libraries allocate inside (libyaml, libcrypto) is not touched. Leaks are found by the build with ASan.
 * Thread: one.
 */
#ifndef SN_TESTS_UNIT_ALLOC_ALLOC_H
#define SN_TESTS_UNIT_ALLOC_ALLOC_H

#include <stdbool.h>

/* What one try came to. A result that is wrong and said to be right is asserted by the try itself. */
enum alloc_end {
    ALLOC_RIGHT, /* the whole result */
    ALLOC_ERROR, /* an error was reported, nothing was kept */
};

/* Before anything of jansson is made: cmocka's group setup, or called by one. 0. */
int alloc_setup(void **state);

/* attempt: does the thing once, from nothing to nothing, and asserts that what it got is either right or an error. Each allocation
 * fails alone, then with all that follow it. stride: 1 = every allocation; n = every n-th behind the 200th (for what allocates
 * thousands of times). Fails the test when the operation did not allocate at all, or failed without a failure. */
void alloc_try_each(enum alloc_end (*attempt)(void *arg), void *arg, unsigned stride);

/* Within an attempt: no allocation fails between these (what the test itself needs to look at the result). */
void alloc_pause(void);
void alloc_resume(void);

/* For a further function that allocates (alloc_pcre2.c): shall this call fail? */
bool alloc_fails(void);

#endif
