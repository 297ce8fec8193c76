/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"

/* What jansson has allocated in the load that this thread is in. */
struct loading {
    jmp_buf out;
    void **kept;
    size_t n;
    size_t cap;
};
static _Thread_local struct loading *loading;
/* Of jansson's allocations in this thread. */
static _Thread_local unsigned failures;

static int keep(struct loading *l, void *p)
{
    if (l->n == l->cap) {
        size_t cap = l->cap > 0 ? l->cap * 2 : 64;
        void **more = reallocarray(l->kept, cap, sizeof(*more));
        if (more == NULL)
            return -1;
        l->kept = more;
        l->cap = cap;
    }
    l->kept[l->n++] = p;
    return 0;
}

static void *allocate(size_t size)
{
    struct loading *l = loading;
    void *p = malloc(size);

    if (p != NULL && (l == NULL || keep(l, p) == 0))
        return p;
    failures++;
    free(p);
    if (l != NULL)
        longjmp(l->out, 1);
    return NULL;
}

static void release(void *p)
{
    struct loading *l = loading;

    for (size_t i = l != NULL && p != NULL ? l->n : 0; i > 0; i--) { /* the youngest goes first, nearly always */
        if (l->kept[i - 1] == p) {
            l->kept[i - 1] = l->kept[--l->n];
            break;
        }
    }
    free(p);
}

/* Before main(), in every program that reads JSON. What jansson gives away is free()'s as before. */
__attribute__((constructor)) static void watch_jansson(void)
{
    json_set_alloc_funcs(allocate, release);
}

/* json_loadb(), or json_loadf() when file is not NULL. */
static json_t *load(const char *text, size_t len, FILE *file, size_t flags, json_error_t *ret_where)
{
    struct loading l = { .n = 0 };
    json_t *volatile doc = NULL;

    loading = &l;
    if (setjmp(l.out) == 0) {
        doc = file != NULL ? json_loadf(file, flags, ret_where) : json_loadb(text, len, flags, ret_where);
        errno = 0;
    } else {
        for (size_t i = 0; i < l.n; i++)
            free(l.kept[i]);
        errno = ENOMEM;
    }
    loading = NULL;
    free(l.kept);
    return doc;
}

json_t *sn_json_load(const char *text, size_t len, size_t flags, json_error_t *ret_where)
{
    return load(text, len, NULL, flags, ret_where);
}

json_t *sn_json_load_file(const char *path, size_t flags, json_error_t *ret_where)
{
    FILE *file = fopen(path, "re");
    json_t *doc;
    int why;

    if (file == NULL)
        return NULL;
    doc = load(NULL, 0, file, flags, ret_where);
    why = errno;
    (void)fclose(file);
    errno = why;
    return doc;
}

unsigned sn_json_failures(void)
{
    return failures;
}

json_t *sn_json_deep_copy(const json_t *value)
{
    unsigned before = failures;
    json_t *copy = json_deep_copy(value);

    if (failures == before)
        return copy;
    json_decref(copy);
    return NULL;
}

char *sn_json_dumps(const json_t *value, size_t flags)
{
    unsigned before = failures;
    char *text = json_dumps(value, flags);

    if (failures == before)
        return text;
    free(text);
    return NULL;
}

const char *sn_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

int64_t sn_json_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

int64_t sn_json_number_or(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool sn_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

int64_t sn_json_time(const json_t *object, const char *key)
{
    int64_t ms;

    return sn_clock_parse_utc(sn_json_text(object, key), &ms) == 0 ? ms : 0;
}

json_t *sn_json_new_time(int64_t wall_ms)
{
    char text[SN_TIME_TEXT_MAX];

    if (wall_ms <= 0)
        return json_null();
    sn_clock_format_utc(wall_ms, text);
    return json_string(text);
}
