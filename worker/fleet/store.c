/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "worker/fleet/redis.h"

#define EVENT_TTL_S (30 * 24 * 3600)
#define JOURNAL_PAGE 200     /* entries of one XRANGE */
#define JOURNAL_DROP_PAGE 50 /* ids of one XDEL; below SN_REDIS_ARGS */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

extern const char sn_embed_worker_fleet_lua_own_lua[];
extern const char sn_embed_worker_fleet_lua_release_lua[];
extern const char sn_embed_worker_fleet_lua_admit_lua[];
extern const char sn_embed_worker_fleet_lua_look_lua[];
extern const char sn_embed_worker_fleet_lua_step_lua[];
extern const char sn_embed_worker_fleet_lua_record_lua[];
extern const char sn_embed_worker_fleet_lua_clean_lua[];
extern const char sn_embed_worker_fleet_lua_claim_lua[];

/* Claim keys of an array of natural keys; at most CLAIMS_MAX. */
#define CLAIMS_MAX 8
struct claim_keys {
    struct sn_redis_key v[CLAIMS_MAX];
    int n;
};

static struct claim_keys claim_keys_of(const char *uid, const json_t *claims)
{
    struct claim_keys k = { .n = 0 };
    size_t i;
    const json_t *item;

    json_array_foreach (claims, i, item) {
        if (k.n < CLAIMS_MAX && json_is_string(item))
            k.v[k.n++] = sn_redis_claim_key(uid, json_string_value(item));
    }
    return k;
}

static void add_claim_keys(struct sn_redis_args *a, const struct claim_keys *k)
{
    for (int i = 0; i < k->n; i++)
        sn_redis_arg(a, k->v[i].text);
}

static int odd(const char *what, struct sn_error *err)
{
    return sn_error_set(err, "store.unsure", "Redis gave an unexpected answer to %s", what);
}

static int exists(struct sn_store *s, const char *key, bool *ret, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;

    sn_redis_arg(&a, "EXISTS");
    sn_redis_arg(&a, key);
    r = sn_redis_call(s, &a, err);
    if (r == NULL)
        return -1;
    *ret = r->type == REDIS_REPLY_INTEGER && r->integer == 1;
    freeReplyObject(r);
    return 0;
}

int sn_store_is_whole(struct sn_store *s, bool *ret, struct sn_error *err)
{
    return exists(s, SN_REDIS_WHOLE, ret, err);
}

int sn_store_check(struct sn_store *s, int64_t *ret_skew_ms, struct sn_error *err)
{
    struct sn_redis_args policy = { 0 };
    struct sn_redis_args when = { 0 };
    redisReply *r;
    int64_t before = sn_clock_wall_ms();
    int rc = 0;

    sn_redis_arg(&when, "TIME");
    r = sn_redis_call(s, &when, err);
    if (r == NULL)
        return -1;
    *ret_skew_ms = strtoll(sn_redis_text(r, 0), NULL, 10) * 1000 + strtoll(sn_redis_text(r, 1), NULL, 10) / 1000 - before;
    freeReplyObject(r);
    sn_redis_arg(&policy, "CONFIG");
    sn_redis_arg(&policy, "GET");
    sn_redis_arg(&policy, "maxmemory-policy");
    r = sn_redis_call(s, &policy, err);
    if (r == NULL)
        return -1;
    if (strcmp(sn_redis_text(r, 1), "noeviction") != 0)
        rc = sn_error_set(err, "store.eviction", "Redis has maxmemory-policy %s; it must be noeviction, or records are lost",
                          sn_redis_text(r, 1));
    freeReplyObject(r);
    return rc;
}

int sn_store_renew(struct sn_store *s, const char *worker, const char *json, int64_t ttl_ms, bool *ret_whole,
                   struct sn_error *err)
{
    struct sn_redis_key w = sn_redis_key("w", worker);
    struct sn_redis_args set = { 0 };
    redisReply *r;

    sn_redis_arg(&set, "SET");
    sn_redis_arg(&set, w.text);
    sn_redis_arg(&set, json);
    sn_redis_arg(&set, "PX");
    sn_redis_arg_int(&set, ttl_ms);
    if (sn_redis_plain(s, &set, err) != 0)
        return -1;
    if (s->conf.replicas > 0) {
        struct sn_redis_args wait = { 0 };
        bool enough;
        sn_redis_arg(&wait, "WAIT");
        sn_redis_arg_int(&wait, s->conf.replicas);
        sn_redis_arg_int(&wait, s->conf.timeout_ms / 2);
        r = sn_redis_call(s, &wait, err);
        if (r == NULL)
            return -1;
        enough = r->type == REDIS_REPLY_INTEGER && r->integer >= s->conf.replicas;
        freeReplyObject(r);
        if (!enough)
            return sn_error_set(err, "store.unsure", "fewer than %d replicas hold the session", s->conf.replicas);
    }
    return sn_store_is_whole(s, ret_whole, err);
}

int sn_store_end_session(struct sn_store *s, const char *worker, struct sn_error *err)
{
    struct sn_redis_key w = sn_redis_key("w", worker);
    struct sn_redis_key x = sn_redis_key("x", worker);
    struct sn_redis_args said = { 0 };
    struct sn_redis_args a = { 0 };

    sn_redis_arg(&said, "SET");
    sn_redis_arg(&said, x.text);
    sn_redis_arg(&said, "1");
    sn_redis_arg(&said, "EX");
    sn_redis_arg_int(&said, EVENT_TTL_S);
    if (sn_redis_plain(s, &said, err) != 0)
        return -1;
    sn_redis_arg(&a, "DEL");
    sn_redis_arg(&a, w.text);
    return sn_redis_plain(s, &a, err);
}

int sn_store_own(struct sn_store *s, const char *uid, const char *worker, struct sn_own_reply *ret, struct sn_error *err)
{
    static const char *const words[] = { "mine", "claimed", "taken" };
    struct sn_redis_key o = sn_redis_key("o", uid);
    struct sn_redis_key d = sn_redis_key("d", uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int what;
    int rc = 0;

    sn_redis_arg(&a, o.text);
    sn_redis_arg(&a, d.text);
    sn_redis_arg(&a, worker);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_own_lua, 2, &a, err);
    if (r == NULL)
        return -1;
    what = sn_redis_word(r, words, COUNT(words));
    memset(ret, 0, sizeof(*ret));
    if (what < 0)
        rc = odd("own", err);
    else
        ret->what = (enum sn_own)what;
    ret->epoch = strtoll(sn_redis_text(r, 1), NULL, 10);
    ret->released = strcmp(sn_redis_text(r, 2), "1") == 0;
    ret->dirty = r->elements > 3 && r->element[3]->type == REDIS_REPLY_INTEGER && r->element[3]->integer == 1;
    (void)snprintf(ret->owner, sizeof(ret->owner), "%s", sn_redis_text(r, 4));
    freeReplyObject(r);
    return rc;
}

int sn_store_release(struct sn_store *s, const char *uid, const char *worker, int64_t epoch, struct sn_error *err)
{
    struct sn_redis_key o = sn_redis_key("o", uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;

    sn_redis_arg(&a, o.text);
    sn_redis_arg(&a, worker);
    sn_redis_arg_int(&a, epoch);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_release_lua, 1, &a, err);
    if (r == NULL)
        return -1;
    freeReplyObject(r);
    return 0;
}

int sn_store_admit(struct sn_store *s, const struct sn_admit_ask *ask, struct sn_admit_reply *ret, struct sn_error *err)
{
    static const char *const words[] = { "run", "done", "stale", "superseded", "reused", "foreign", "unsure" };
    struct sn_redis_key c = sn_redis_key("c", ask->owner);
    struct sn_redis_key e = sn_redis_key("e", ask->event);
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int what;
    int rc = 0;

    sn_redis_arg(&a, c.text);
    sn_redis_arg(&a, e.text);
    sn_redis_arg(&a, SN_REDIS_WHOLE);
    sn_redis_arg(&a, ask->event);
    sn_redis_arg_int(&a, ask->replay);
    sn_redis_arg_int(&a, ask->generation);
    sn_redis_arg(&a, ask->rev);
    sn_redis_arg(&a, ask->worker);
    sn_redis_arg_int(&a, EVENT_TTL_S);
    sn_redis_arg(&a, ask->thread);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_admit_lua, 3, &a, err);
    if (r == NULL)
        return -1;
    memset(ret, 0, sizeof(*ret));
    what = sn_redis_word(r, words, COUNT(words));
    if (what < 0) {
        rc = odd("admit", err);
        goto out;
    }
    ret->what = (enum sn_admit)what;
    if (ret->what == SN_ADMIT_RUN) {
        ret->run = (int)strtol(sn_redis_text(r, 1), NULL, 10);
        ret->crashes = (int)strtol(sn_redis_text(r, 2), NULL, 10);
        ret->wrote = strcmp(sn_redis_text(r, 3), "1") == 0;
    } else if (ret->what == SN_ADMIT_DONE) {
        ret->result = strdup(sn_redis_text(r, 1));
        if (ret->result == NULL)
            rc = sn_error_oom(err);
    } else {
        (void)snprintf(ret->by, sizeof(ret->by), "%s", sn_redis_text(r, 1));
        ret->by_generation = strtoll(sn_redis_text(r, 2), NULL, 10);
    }
out:
    freeReplyObject(r);
    return rc;
}

int sn_store_pause_run(struct sn_store *s, const char *event, struct sn_error *err)
{
    struct sn_redis_key e = sn_redis_key("e", event);
    struct sn_redis_args a = { 0 };

    sn_redis_arg(&a, "HSET");
    sn_redis_arg(&a, e.text);
    sn_redis_arg(&a, "running");
    sn_redis_arg(&a, "");
    return sn_redis_plain(s, &a, err);
}

int sn_store_put_down(struct sn_store *s, const char *worker, const char *thread, struct sn_error *err)
{
    struct sn_redis_key v = sn_redis_key("v", worker);
    struct sn_redis_args a = { 0 };

    sn_redis_arg(&a, "HDEL");
    sn_redis_arg(&a, v.text);
    sn_redis_arg(&a, thread);
    return sn_redis_plain(s, &a, err);
}

int sn_store_look(struct sn_store *s, const struct sn_look_ask *ask, json_t **ret_record, json_t **ret_rivals,
                  struct sn_error *err)
{
    struct sn_redis_key c = sn_redis_key("c", ask->owner);
    struct sn_redis_key v = sn_redis_key("v", ask->worker);
    struct claim_keys k = claim_keys_of(ask->uid, ask->claims);
    struct sn_redis_args a = { 0 };
    json_t *rivals = json_array();
    redisReply *r;
    const char *record;
    bool whole;

    if (rivals == NULL)
        return sn_error_oom(err);
    sn_redis_arg(&a, c.text);
    sn_redis_arg(&a, v.text);
    add_claim_keys(&a, &k);
    sn_redis_arg(&a, ask->owner);
    sn_redis_arg(&a, ask->uid);
    sn_redis_arg(&a, ask->thread);
    sn_redis_arg(&a, ask->event);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_look_lua, 2 + k.n, &a, err);
    if (r == NULL) {
        json_decref(rivals);
        return -1;
    }
    record = sn_redis_text(r, 0);
    *ret_record = record[0] != '\0' ? sn_json_load(record, strlen(record), 0, NULL) : NULL;
    /* a record that cannot be read is not "none": old places would stay, and rivals be overwritten */
    whole = *ret_record != NULL || record[0] == '\0';
    for (size_t i = 1; i < r->elements && whole; i++)
        whole = json_array_append_new(rivals, json_string(sn_redis_text(r, i))) == 0;
    freeReplyObject(r);
    if (!whole) {
        json_decref(*ret_record);
        *ret_record = NULL;
        json_decref(rivals);
        return sn_error_oom(err);
    }
    *ret_rivals = rivals;
    return 0;
}

int sn_store_records(struct sn_store *s, const char *owner, json_t **ret, struct sn_error *err)
{
    struct sn_redis_key c = sn_redis_key("c", owner);
    struct sn_redis_args a = { 0 };
    json_t *all = json_object();
    redisReply *r;
    bool whole = true;

    if (all == NULL)
        return sn_error_oom(err);
    sn_redis_arg(&a, "HGETALL");
    sn_redis_arg(&a, c.text);
    r = sn_redis_call(s, &a, err);
    if (r == NULL) {
        json_decref(all);
        return -1;
    }
    for (size_t i = 0; i + 1 < r->elements && whole; i += 2) {
        const char *field = sn_redis_text(r, i);
        const char *text = sn_redis_text(r, i + 1);
        if (strncmp(field, "t:", 2) == 0)
            whole = json_object_set_new(all, field + 2, sn_json_load(text, strlen(text), 0, NULL)) == 0;
    }
    freeReplyObject(r);
    if (!whole) { /* a place that is missing here would never be cleaned */
        json_decref(all);
        return sn_error_oom(err);
    }
    *ret = all;
    return 0;
}

int sn_store_step(struct sn_store *s, const struct sn_step_ask *ask, enum sn_step_say *ret, char ret_other[64],
                  char ret_journal_id[32], struct sn_error *err)
{
    static const char *const words[] = { "ok", "lost", "superseded", "conflict", "unsure" };
    struct sn_redis_key c = sn_redis_key("c", ask->owner);
    struct sn_redis_key o = sn_redis_key("o", ask->routing_uid);
    struct sn_redis_key d = sn_redis_key("d", ask->uid);
    struct sn_redis_key j = sn_redis_key("j", ask->routing_uid);
    struct sn_redis_key e = sn_redis_key("e", ask->event);
    struct claim_keys k = claim_keys_of(ask->uid, ask->claims);
    struct sn_redis_args a = { 0 };
    char *record = sn_json_dumps(ask->record, JSON_COMPACT | JSON_SORT_KEYS);
    redisReply *r;
    int what;

    if (record == NULL)
        return sn_error_oom(err);
    sn_redis_arg(&a, c.text);
    sn_redis_arg(&a, o.text);
    sn_redis_arg(&a, d.text);
    sn_redis_arg(&a, j.text);
    sn_redis_arg(&a, e.text);
    sn_redis_arg(&a, SN_REDIS_WHOLE);
    add_claim_keys(&a, &k);
    sn_redis_arg(&a, ask->worker);
    sn_redis_arg_int(&a, ask->epoch);
    sn_redis_arg_int(&a, ask->generation);
    sn_redis_arg(&a, ask->owner);
    sn_redis_arg(&a, ask->ref);
    sn_redis_arg(&a, ask->uid);
    sn_redis_arg(&a, record);
    sn_redis_arg(&a, ask->event);
    sn_redis_arg_int(&a, ask->run);
    sn_redis_arg_int(&a, ask->seq);
    sn_redis_arg(&a, ask->text);
    sn_redis_arg(&a, ask->shared ? "1" : "0");
    sn_redis_arg(&a, ask->dirty ? "1" : "0");
    sn_redis_arg_int(&a, sn_clock_wall_ms());
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_step_lua, 6 + k.n, &a, err);
    free(record);
    if (r == NULL)
        return -1;
    what = sn_redis_word(r, words, COUNT(words));
    ret_other[0] = '\0';
    ret_journal_id[0] = '\0';
    if (what == SN_STEP_OK)
        (void)snprintf(ret_journal_id, 32, "%s", sn_redis_text(r, 1));
    else
        (void)snprintf(ret_other, 64, "%s", sn_redis_text(r, 1));
    freeReplyObject(r);
    if (what < 0)
        return odd("step", err);
    *ret = (enum sn_step_say)what;
    return 0;
}

int sn_store_journal(struct sn_store *s, const struct sn_step_ask *ask, const char *dir, const char *verdict, int ms, const char *text,
                     char ret_journal_id[32], struct sn_error *err)
{
    struct sn_redis_key j = sn_redis_key("j", ask->routing_uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;

    sn_redis_arg(&a, "XADD");
    sn_redis_arg(&a, j.text);
    sn_redis_arg(&a, "*");
    sn_redis_arg(&a, "event");
    sn_redis_arg(&a, ask->event);
    sn_redis_arg(&a, "run");
    sn_redis_arg_int(&a, ask->run);
    sn_redis_arg(&a, "seq");
    sn_redis_arg_int(&a, ask->seq);
    sn_redis_arg(&a, "uid");
    sn_redis_arg(&a, ask->uid);
    sn_redis_arg(&a, "epoch");
    sn_redis_arg_int(&a, ask->epoch);
    sn_redis_arg(&a, "worker");
    sn_redis_arg(&a, ask->worker);
    sn_redis_arg(&a, "dir");
    sn_redis_arg(&a, dir);
    sn_redis_arg(&a, "text");
    sn_redis_arg(&a, text);
    sn_redis_arg(&a, "verdict");
    sn_redis_arg(&a, verdict);
    sn_redis_arg(&a, "ms");
    sn_redis_arg_int(&a, ms);
    sn_redis_arg(&a, "at");
    sn_redis_arg_int(&a, sn_clock_wall_ms());
    r = sn_redis_call(s, &a, err);
    if (r == NULL)
        return -1;
    (void)snprintf(ret_journal_id, 32, "%s", r->str != NULL ? r->str : "");
    freeReplyObject(r);
    return 0;
}

int sn_store_record(struct sn_store *s, const char *owner, int64_t generation, const char *uid, const json_t *record,
                    const json_t *unclaim, struct sn_error *err)
{
    struct sn_redis_key c = sn_redis_key("c", owner);
    struct claim_keys k = claim_keys_of(uid, unclaim);
    struct sn_redis_args a = { 0 };
    char *text = record != NULL ? sn_json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS) : strdup("");
    redisReply *r;

    if (text == NULL)
        return sn_error_oom(err);
    sn_redis_arg(&a, c.text);
    add_claim_keys(&a, &k);
    sn_redis_arg_int(&a, generation);
    sn_redis_arg(&a, owner);
    sn_redis_arg(&a, uid);
    sn_redis_arg(&a, text);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_record_lua, 1 + k.n, &a, err);
    free(text);
    if (r == NULL)
        return -1;
    freeReplyObject(r);
    return 0;
}

int sn_store_clean(struct sn_store *s, const char *uid, int64_t epoch, struct sn_error *err)
{
    struct sn_redis_key d = sn_redis_key("d", uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;

    sn_redis_arg(&a, d.text);
    sn_redis_arg_int(&a, epoch);
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_clean_lua, 1, &a, err);
    if (r == NULL)
        return -1;
    freeReplyObject(r);
    return 0;
}

int sn_store_dirty(struct sn_store *s, const char *uid, bool *ret_dirty, struct sn_error *err)
{
    struct sn_redis_key d = sn_redis_key("d", uid);

    return exists(s, d.text, ret_dirty, err);
}

int sn_store_claim(struct sn_store *s, const char *event, int replay, const char *routing_uid, const char *worker, int64_t epoch,
                   const char *outcome, const char *result, enum sn_claim *ret, char **ret_stored, struct sn_error *err)
{
    static const char *const words[] = { "claimed", "stored", "lost", "unsure" };
    struct sn_redis_key e = sn_redis_key("e", event);
    struct sn_redis_key o = sn_redis_key("o", routing_uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int what;
    int rc = 0;

    sn_redis_arg(&a, e.text);
    sn_redis_arg(&a, o.text);
    sn_redis_arg(&a, SN_REDIS_WHOLE);
    sn_redis_arg_int(&a, replay);
    sn_redis_arg(&a, worker);
    sn_redis_arg_int(&a, epoch);
    sn_redis_arg(&a, outcome);
    sn_redis_arg(&a, result);
    sn_redis_arg_int(&a, EVENT_TTL_S);
    sn_redis_arg(&a, routing_uid[0] != '\0' ? "1" : "0");
    r = sn_redis_script(s, sn_embed_worker_fleet_lua_claim_lua, 3, &a, err);
    if (r == NULL)
        return -1;
    *ret_stored = NULL;
    what = sn_redis_word(r, words, COUNT(words));
    if (what < 0) {
        rc = odd("claim", err);
    } else {
        *ret = (enum sn_claim)what;
        if (*ret == SN_CLAIM_STORED && (*ret_stored = strdup(sn_redis_text(r, 1))) == NULL)
            rc = sn_error_oom(err);
    }
    freeReplyObject(r);
    return rc;
}

int sn_store_journal_read(struct sn_store *s, const char *routing_uid, void (*each)(void *arg, const json_t *entry), void *arg,
                          struct sn_error *err)
{
    struct sn_redis_key j = sn_redis_key("j", routing_uid);
    char from[32] = "-";

    for (;;) {
        struct sn_redis_args a = { 0 };
        redisReply *r;
        size_t n;
        sn_redis_arg(&a, "XRANGE");
        sn_redis_arg(&a, j.text);
        sn_redis_arg(&a, from);
        sn_redis_arg(&a, "+");
        sn_redis_arg(&a, "COUNT");
        sn_redis_arg_int(&a, JOURNAL_PAGE);
        r = sn_redis_call(s, &a, err);
        if (r == NULL)
            return -1;
        n = r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
        for (size_t i = 0; i < n; i++) {
            const redisReply *entry = r->element[i];
            const redisReply *fields = entry->elements > 1 ? entry->element[1] : NULL;
            json_t *e = json_object();
            (void)json_object_set_new(e, "id", json_string(sn_redis_text(entry, 0)));
            for (size_t f = 0; fields != NULL && f + 1 < fields->elements; f += 2)
                (void)json_object_set_new(e, sn_redis_text(fields, f), json_string(sn_redis_text(fields, f + 1)));
            each(arg, e);
            /* "(" asks for what comes after the last one seen */
            (void)snprintf(from, sizeof(from), "(%s", sn_redis_text(entry, 0));
            json_decref(e);
        }
        freeReplyObject(r);
        if (n < JOURNAL_PAGE)
            return 0;
    }
}

int sn_store_journal_drop(struct sn_store *s, const char *routing_uid, const char *const *ids, size_t n, struct sn_error *err)
{
    struct sn_redis_key j = sn_redis_key("j", routing_uid);

    for (size_t i = 0; i < n;) {
        struct sn_redis_args a = { 0 };
        sn_redis_arg(&a, "XDEL");
        sn_redis_arg(&a, j.text);
        for (int m = 0; m < JOURNAL_DROP_PAGE && i < n; m++)
            sn_redis_arg(&a, ids[i++]);
        if (sn_redis_plain(s, &a, err) != 0)
            return -1;
    }
    return 0;
}

int sn_store_gate_put(struct sn_store *s, const char *uid, const json_t *gate, struct sn_error *err)
{
    struct sn_redis_key g = sn_redis_key("g", uid);
    struct sn_redis_args a = { 0 };
    const char *field;
    json_t *value;

    sn_redis_arg(&a, "HSET");
    sn_redis_arg(&a, g.text);
    json_object_foreach ((json_t *)(uintptr_t)gate, field, value) {
        sn_redis_arg(&a, field);
        if (json_is_integer(value))
            sn_redis_arg_int(&a, json_integer_value(value));
        else
            sn_redis_arg(&a, json_is_string(value) ? json_string_value(value) : "");
    }
    return sn_redis_plain(s, &a, err);
}

int sn_store_gate_get(struct sn_store *s, const char *uid, json_t **ret, struct sn_error *err)
{
    struct sn_redis_key g = sn_redis_key("g", uid);
    struct sn_redis_args a = { 0 };
    redisReply *r;
    json_t *gate = NULL;

    sn_redis_arg(&a, "HGETALL");
    sn_redis_arg(&a, g.text);
    r = sn_redis_call(s, &a, err);
    if (r == NULL)
        return -1;
    if (r->elements > 0)
        gate = json_object();
    for (size_t i = 0; gate != NULL && i + 1 < r->elements; i += 2)
        (void)json_object_set_new(gate, sn_redis_text(r, i), json_string(sn_redis_text(r, i + 1)));
    freeReplyObject(r);
    *ret = gate;
    return 0;
}
