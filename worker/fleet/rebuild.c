/* SPDX-License-Identifier: Apache-2.0 */
/* The part of store.h that writes records back from the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

#include "worker/fleet/redis.h"

extern const char sn_embed_worker_fleet_lua_whole_lua[];
extern const char sn_embed_worker_fleet_lua_restore_lua[];

int sn_store_set_whole(struct sn_store *s, const char *server, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;
    bool set;

    sn_redis_arg(&a, SN_REDIS_WHOLE);
    sn_redis_arg(&a, server);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_whole_lua, 1, &a, err);
    if (r == NULL)
        return -1;
    set = r->type == REDIS_REPLY_INTEGER && r->integer == 1;
    freeReplyObject(r);
    return set ? 0 : sn_error_set(err, "store.unsure", "Redis was restarted while the records were written back");
}

/* Of each claim in the list: HSET k:<uid>/<claim> owner value, or HDEL when value is NULL. */
static int put_claims(struct sn_store *s, const char *owner, const char *uid, const json_t *claims, const char *value, struct sn_error *err)
{
    size_t i;
    json_t *claim;

    json_array_foreach (claims, i, claim) {
        struct sn_redis_args a = { 0 };
        struct sn_redis_key key;
        if (!json_is_string(claim))
            continue;
        key = sn_redis_claim_key(uid, json_string_value(claim));
        sn_redis_arg(&a, value != NULL ? "HSET" : "HDEL");
        sn_redis_arg(&a, key.text);
        sn_redis_arg(&a, owner);
        if (value != NULL)
            sn_redis_arg(&a, value);
        if (sn_redis_plain(s, &a, err) != 0)
            return -1;
    }
    return 0;
}

/* <0, 0, >0: which of two records of one target is the later one. */
static int compare_age(const json_t *a, const json_t *b)
{
    static const char *const fields[] = { "generation", "epoch", "run" };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        json_int_t x = json_integer_value(json_object_get(a, fields[i]));
        json_int_t y = json_integer_value(json_object_get(b, fields[i]));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* The ledger's record with the places of the other one: whatever was held once is named, and looked at, until a visit saw that it is gone. */
static json_t *with_places_of(const json_t *record, const json_t *there)
{
    json_t *all = sn_json_deep_copy(record);
    json_t *keys = json_object_get(all, "keys");
    size_t i;
    json_t *place;

    json_array_foreach (json_object_get(there, "keys"), i, place) {
        size_t k;
        json_t *known;
        bool named = false;
        json_array_foreach (keys, k, known)
            named = named || json_equal(known, place);
        if (!named && json_array_append(keys, place) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

/* Redis has another record of the same generation: of a run since (it counts more), or of a snapshot in the middle of the ledger's run. */
static int settle_difference(struct sn_store *s, const char *owner, const char *uid, const json_t *record, const char *text, bool *ret_newer,
                             struct sn_error *err)
{
    struct sn_redis_key key = sn_redis_key("c", owner);
    struct sn_redis_args a = { 0 };
    json_t *there = sn_json_load(text, strlen(text), 0, NULL);
    int age = compare_age(there, record);
    char field[80];
    json_t *all = NULL;
    char *merged = NULL;
    int rc = -1;

    *ret_newer = age > 0;
    if (age > 0) {
        rc = 0;
        goto out;
    }
    all = with_places_of(record, there);
    merged = all != NULL ? sn_json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (merged == NULL) {
        (void)sn_error_oom(err);
        goto out;
    }
    (void)snprintf(field, sizeof(field), "t:%s", uid);
    sn_redis_arg(&a, "HSET");
    sn_redis_arg(&a, key.text);
    sn_redis_arg(&a, field);
    sn_redis_arg(&a, merged);
    if (sn_redis_plain(s, &a, err) == 0)
        rc = age < 0 ? put_claims(s, owner, uid, json_object_get(there, "claims"), NULL, err) : 0;
out:
    json_decref(there);
    json_decref(all);
    free(merged);
    return rc;
}

static bool is_empty(const json_t *record)
{
    return json_array_size(json_object_get(record, "keys")) == 0 && json_object_size(json_object_get(record, "memo")) == 0;
}

/* The records that the script found to differ, then the claims of those that stand. reply: {"restored", uid, text, ...} */
static int restore_rest(struct sn_store *s, const char *owner, const char *value, const json_t *records, const redisReply *reply,
                        struct sn_error *err)
{
    const char *uid;
    json_t *record;

    json_object_foreach ((json_t *)(uintptr_t)records, uid, record) {
        bool newer = false;
        for (size_t i = 1; i + 1 < reply->elements; i += 2) {
            if (strcmp(sn_redis_text(reply, i), uid) == 0 &&
                settle_difference(s, owner, uid, record, sn_redis_text(reply, i + 1), &newer, err) != 0)
                return -1;
        }
        if (!newer && put_claims(s, owner, uid, json_object_get(record, "claims"), value, err) != 0)
            return -1;
    }
    return 0;
}

int sn_store_restore(struct sn_store *s, const char *owner, int64_t generation, const char *rev, const char *event, const char *ref,
                     const json_t *records, struct sn_error *err)
{
    struct sn_redis_key key = sn_redis_key("c", owner);
    struct sn_redis_args a = { 0 };
    char *texts[SN_REDIS_ARGS]; /* more records than that do not fit one command, which says so */
    char value[96];
    int n = 0;
    const char *uid;
    json_t *record;
    redisReply *r = NULL;
    int rc = -1;

    sn_redis_arg(&a, key.text);
    sn_redis_arg_int(&a, generation);
    sn_redis_arg(&a, rev);
    sn_redis_arg(&a, event);
    sn_redis_arg(&a, owner);
    json_object_foreach ((json_t *)(uintptr_t)records, uid, record) {
        char *text;
        if (n == SN_REDIS_ARGS)
            break;
        text = is_empty(record) ? strdup("") : sn_json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
        if (text == NULL) {
            (void)sn_error_oom(err);
            goto out;
        }
        texts[n++] = text;
        sn_redis_arg(&a, uid);
        sn_redis_arg(&a, text);
    }
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_restore_lua, 1, &a, err);
    if (r == NULL)
        goto out;
    (void)snprintf(value, sizeof(value), "%lld %s", (long long)generation, ref);
    rc = strcmp(sn_redis_text(r, 0), "restored") == 0 ? restore_rest(s, owner, value, records, r, err) : 0;
out:
    if (r != NULL)
        freeReplyObject(r);
    for (int i = 0; i < n; i++)
        free(texts[i]);
    return rc;
}
