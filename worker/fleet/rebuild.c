/* SPDX-License-Identifier: Apache-2.0 */
/* The part of store.h that writes records back from the ledger. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/fleet/redis.h"

int sn_store_is_whole(struct sn_store *s, bool *ret, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;

    sn_redis_arg(&a, "EXISTS");
    sn_redis_arg(&a, "sn:1:whole");
    r = sn_redis_call(s, &a, err);
    if (r == NULL)
        return -1;
    *ret = r->type == REDIS_REPLY_INTEGER && r->integer == 1;
    freeReplyObject(r);
    return 0;
}

static int plain(struct sn_store *s, const struct sn_redis_args *a, struct sn_error *err)
{
    redisReply *r = sn_redis_call(s, a, err);

    if (r == NULL)
        return -1;
    freeReplyObject(r);
    return 0;
}

static int restore_claims(struct sn_store *s, const char *owner, const char *uid, int64_t generation, const char *ref,
                          const json_t *claims, struct sn_error *err)
{
    char value[96];
    size_t i;
    json_t *claim;

    (void)snprintf(value, sizeof(value), "%lld %s", (long long)generation, ref);
    json_array_foreach (claims, i, claim) {
        struct sn_redis_args a = { 0 };
        char key[320];
        if (!json_is_string(claim))
            continue;
        (void)snprintf(key, sizeof(key), "sn:1:k:%s/%s", uid, json_string_value(claim));
        sn_redis_arg(&a, "HSET");
        sn_redis_arg(&a, key);
        sn_redis_arg(&a, owner);
        sn_redis_arg(&a, value);
        if (plain(s, &a, err) != 0)
            return -1;
    }
    return 0;
}

int sn_store_restore(struct sn_store *s, const char *owner, int64_t generation, const char *rev, const char *event, const char *ref,
                     const json_t *records, struct sn_error *err)
{
    /* one script a contract: an event that was admitted since counts more than what the ledger remembers */
    static const char script[] = "local gen = tonumber(redis.call('HGET', KEYS[1], 'gen') or '0')\n"
                                 "if gen > tonumber(ARGV[1]) then return 0 end\n"
                                 "redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'rev', ARGV[2], 'event', ARGV[3])\n"
                                 "for i = 4, #ARGV, 2 do redis.call('HSETNX', KEYS[1], 't:' .. ARGV[i], ARGV[i + 1]) end\n"
                                 "return 1\n";
    struct sn_redis_args a = { 0 };
    char *texts[24];
    int n = 0;
    char key[256];
    const char *uid;
    json_t *record;
    redisReply *r;
    int rc = -1;

    (void)snprintf(key, sizeof(key), "sn:1:c:%s", owner);
    sn_redis_arg(&a, key);
    sn_redis_arg_int(&a, generation);
    sn_redis_arg(&a, rev);
    sn_redis_arg(&a, event);
    json_object_foreach ((json_t *)(uintptr_t)records, uid, record) {
        char *text = n < 24 ? json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (text == NULL) {
            (void)sn_error_oom(err);
            goto out;
        }
        texts[n++] = text;
        sn_redis_arg(&a, uid);
        sn_redis_arg(&a, text);
        if (restore_claims(s, owner, uid, generation, ref, json_object_get(record, "claims"), err) != 0)
            goto out;
    }
    r = sn_redis_script(s, script, 1, &a, err);
    if (r != NULL) {
        freeReplyObject(r);
        rc = 0;
    }
out:
    for (int i = 0; i < n; i++)
        free(texts[i]);
    return rc;
}
