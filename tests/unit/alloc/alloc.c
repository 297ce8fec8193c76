/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/alloc/alloc.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/json.h"

#define EACH_UP_TO 200
#define TRIES_MAX 1000000

static struct {
    bool armed;
    bool lasting; /* all later ones fail too */
    long fail_at;
    long count;
    long failed;
} faults;

bool alloc_fails(void)
{
    if (!faults.armed)
        return false;
    faults.count++;
    if (faults.count != faults.fail_at && !(faults.lasting && faults.count > faults.fail_at))
        return false;
    faults.failed++;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
int __real_vasprintf(char **ret, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);
int __wrap_vasprintf(char **ret, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

void *__wrap_malloc(size_t size)
{
    return alloc_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return alloc_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return alloc_fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return alloc_fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text)
{
    return alloc_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t max)
{
    return alloc_fails() ? NULL : __real_strndup(text, max);
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
    return alloc_fails() ? -1 : __real_vasprintf(ret, fmt, ap);
}

int alloc_setup(void **state)
{
    json_malloc_t allocate;
    json_free_t unused;

    (void)state;
    json_object_seed(1); /* else it reads a device at the first object */
    (void)sn_json_number(NULL, ""); /* common/base/json.c is linked, and jansson allocates through it */
    json_get_alloc_funcs(&allocate, &unused);
    assert_true(allocate != malloc && allocate != __wrap_malloc);
    return 0;
}

void alloc_pause(void)
{
    faults.armed = false;
}

void alloc_resume(void)
{
    faults.armed = faults.fail_at > 0;
}

/* True when this try met no failure: there is nothing behind it. */
static bool try_at(long n, bool lasting, enum alloc_end (*attempt)(void *arg), void *arg)
{
    enum alloc_end end;

    faults.count = 0;
    faults.failed = 0;
    faults.fail_at = n;
    faults.lasting = lasting;
    faults.armed = true;
    end = attempt(arg);
    faults.armed = false;
    faults.fail_at = 0;
    if (faults.failed == 0 && end != ALLOC_RIGHT)
        fail_msg("it failed although no allocation did (of %ld)", faults.count);
    return faults.failed == 0;
}

static void try_all(bool lasting, enum alloc_end (*attempt)(void *arg), void *arg, unsigned stride)
{
    long n = 1;

    while (n < TRIES_MAX && !try_at(n, lasting, attempt, arg))
        n += n < EACH_UP_TO ? 1 : (long)stride;
    if (n == 1)
        fail_msg("nothing was allocated: there is nothing to be seen");
    if (getenv("SILVER_ALLOC_VERBOSE") != NULL)
        print_message("allocations: %ld\n", faults.count);
}

void alloc_try_each(enum alloc_end (*attempt)(void *arg), void *arg, unsigned stride)
{
    assert_int_equal(attempt(arg), ALLOC_RIGHT); /* what is made once and kept is made now */
    try_all(false, attempt, arg, stride);
    try_all(true, attempt, arg, stride);
}
