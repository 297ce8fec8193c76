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

static int restore_claims(struct sn_store *s, const char *owner, const char *uid, int64_t generation, const char *ref,
                          const json_t *claims, struct sn_error *err)
{
    char value[96];
    size_t i;
    json_t *claim;

    (void)snprintf(value, sizeof(value), "%lld %s", (long long)generation, ref);
    json_array_foreach (claims, i, claim) {
        struct sn_redis_args a = { 0 };
        struct sn_redis_key key;
        if (!json_is_string(claim))
            continue;
        key = sn_redis_claim_key(uid, json_string_value(claim));
        sn_redis_arg(&a, "HSET");
        sn_redis_arg(&a, key.text);
        sn_redis_arg(&a, owner);
        sn_redis_arg(&a, value);
        if (sn_redis_plain(s, &a, err) != 0)
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
    int n = 0;
    const char *uid;
    json_t *record;
    redisReply *r;
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
        text = sn_json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
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
    freeReplyObject(r);
    rc = 0;
    json_object_foreach ((json_t *)(uintptr_t)records, uid, record)
        rc = rc == 0 ? restore_claims(s, owner, uid, generation, ref, json_object_get(record, "claims"), err) : rc;
out:
    for (int i = 0; i < n; i++)
        free(texts[i]);
    return rc;
}
