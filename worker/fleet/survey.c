/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "worker/fleet/redis.h"

static redisReply *ask(struct sn_store *s, const char *verb, const char *kind, const char *name, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    struct sn_redis_key key = sn_redis_key(kind, name);

    sn_redis_arg(&a, verb);
    sn_redis_arg(&a, key.text);
    return sn_redis_call(s, &a, err);
}

/* A hash as an object; numbers for the fields named in `numbers`. JSON null when there is none. */
static json_t *hash(struct sn_store *s, const char *kind, const char *uid, const char *const *numbers,
                    struct sn_error *err)
{
    redisReply *r = ask(s, "HGETALL", kind, uid, err);
    json_t *object;

    if (r == NULL)
        return NULL;
    object = r->elements > 0 ? json_object() : json_null();
    for (size_t i = 0; i + 1 < r->elements; i += 2) {
        const char *field = sn_redis_text(r, i), *value = sn_redis_text(r, i + 1);
        bool number = false;
        for (const char *const *n = numbers; *n != NULL; n++)
            number = number || strcmp(*n, field) == 0;
        (void)json_object_set_new(object, field, number ? json_integer(strtoll(value, NULL, 10)) : json_string(value));
    }
    freeReplyObject(r);
    if (object == NULL)
        (void)sn_error_oom(err);
    return object;
}

static int mark_alive(struct sn_store *s, json_t *owner, struct sn_error *err)
{
    const char *worker = json_string_value(json_object_get(owner, "worker"));
    const char *released = json_string_value(json_object_get(owner, "released"));
    redisReply *r;

    if (worker == NULL)
        return 0;
    (void)json_object_set_new(owner, "released", json_boolean(released != NULL && strcmp(released, "1") == 0));
    r = ask(s, "EXISTS", "w", worker, err);
    if (r == NULL)
        return -1;
    (void)json_object_set_new(owner, "alive", json_boolean(r->integer == 1));
    freeReplyObject(r);
    return 0;
}

int sn_survey_device(struct sn_store *s, const char *uid, json_t **ret, struct sn_error *err)
{
    json_t *owner = hash(s, "o", uid, (const char *const[]){ "epoch", NULL }, err);
    json_t *gate =
        owner != NULL ? hash(s, "g", uid, (const char *const[]){ "since", "until", "probe", NULL }, err) : NULL;
    json_t *unsaved =
        gate != NULL ? hash(s, "d", uid, (const char *const[]){ "epoch", "since", "writes", NULL }, err) : NULL;

    if (unsaved == NULL || mark_alive(s, owner, err) != 0) {
        json_decref(owner);
        json_decref(gate);
        json_decref(unsaved);
        return -1;
    }
    *ret = json_pack("{s:o, s:o, s:o}", "owner", owner, "gate", gate, "unsaved", unsaved);
    return *ret != NULL ? 0 : sn_error_oom(err);
}

/* Reads one session; it may have expired since its key was seen. */
static int add_worker(struct sn_store *s, const char *worker, json_t *workers, struct sn_error *err)
{
    redisReply *r = ask(s, "GET", "w", worker, err);
    json_t *session;

    if (r == NULL)
        return -1;
    if (r->str != NULL) {
        session = sn_json_load(r->str, strlen(r->str), 0, NULL);
        if (!json_is_object(session)) {
            json_decref(session);
            session = json_object();
        }
        (void)json_object_set_new(session, "worker", json_string(worker));
        (void)json_object_set_new(workers, worker, session); /* SCAN may name a key twice */
    }
    freeReplyObject(r);
    return 0;
}

/* One turn of SCAN; the cursor is "0" when it was the last. */
static int scan(struct sn_store *s, char cursor[32], json_t *workers, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int rc = 0;

    sn_redis_arg(&a, "SCAN");
    sn_redis_arg(&a, cursor);
    sn_redis_arg(&a, "MATCH");
    sn_redis_arg(&a, SN_REDIS_PREFIX "w:*");
    sn_redis_arg(&a, "COUNT");
    sn_redis_arg(&a, "1000");
    r = sn_redis_call(s, &a, err);
    if (r == NULL)
        return -1;
    for (size_t i = 0; rc == 0 && r->elements == 2 && i < r->element[1]->elements; i++) {
        const char *key = sn_redis_text(r->element[1], i);
        if (strlen(key) > strlen(SN_REDIS_PREFIX "w:"))
            rc = add_worker(s, key + strlen(SN_REDIS_PREFIX "w:"), workers, err);
    }
    (void)snprintf(cursor, 32, "%s", sn_redis_text(r, 0));
    freeReplyObject(r);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted(json_t *workers)
{
    size_t n = json_object_size(workers), i = 0;
    const char **names = calloc(n + 1, sizeof(*names));
    json_t *list = json_array();
    const char *name;
    json_t *session;

    json_object_foreach (workers, name, session)
        if (names != NULL)
            names[i++] = name;
    if (names != NULL)
        qsort(names, n, sizeof(*names), by_name);
    for (i = 0; names != NULL && i < n; i++)
        (void)json_array_append(list, json_object_get(workers, names[i]));
    free(names);
    return list;
}

int sn_survey_workers(struct sn_store *s, json_t **ret, struct sn_error *err)
{
    json_t *workers = json_object();
    char cursor[32] = "0";
    int rc = workers != NULL ? 0 : sn_error_oom(err);

    do {
        if (rc == 0)
            rc = scan(s, cursor, workers, err);
    } while (rc == 0 && strcmp(cursor, "0") != 0 && cursor[0] != '\0');
    if (rc == 0)
        *ret = sorted(workers);
    json_decref(workers);
    return rc;
}
