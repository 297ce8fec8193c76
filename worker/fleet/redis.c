/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/redis.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char sn_embed_worker_fleet_lua_vouch_lua[];

struct sn_store *sn_store_new(const struct sn_store_conf *conf)
{
    struct sn_store *s = calloc(1, sizeof(*s));

    if (s != NULL)
        s->conf = *conf;
    return s;
}

static void drop(struct sn_store *s)
{
    if (s->ctx != NULL)
        redisFree(s->ctx);
    s->ctx = NULL;
}

void sn_store_server(const struct sn_store *s, char out[SN_STORE_SERVER_MAX])
{
    memcpy(out, s->server, SN_STORE_SERVER_MAX);
}

void sn_store_free(struct sn_store *s)
{
    if (s == NULL)
        return;
    drop(s);
    free(s);
}

struct sn_redis_key sn_redis_key(const char *kind, const char *name)
{
    struct sn_redis_key k;

    (void)snprintf(k.text, sizeof(k.text), SN_REDIS_PREFIX "%s:%s", kind, name);
    return k;
}

struct sn_redis_key sn_redis_claim_key(const char *uid, const char *natural)
{
    struct sn_redis_key k;

    (void)snprintf(k.text, sizeof(k.text), SN_REDIS_PREFIX "k:%s/%s", uid, natural);
    return k;
}

void sn_redis_arg(struct sn_redis_args *a, const char *text)
{
    if (a->n >= SN_REDIS_ARGS) {
        a->full = true;
        return;
    }
    a->v[a->n] = text;
    a->len[a->n] = strlen(text);
    a->n++;
}

void sn_redis_arg_int(struct sn_redis_args *a, int64_t value)
{
    if (a->numbers_n >= (int)(sizeof(a->numbers) / sizeof(a->numbers[0]))) {
        a->full = true;
        return;
    }
    (void)snprintf(a->numbers[a->numbers_n], sizeof(a->numbers[0]), "%lld", (long long)value);
    sn_redis_arg(a, a->numbers[a->numbers_n]);
    a->numbers_n++;
}

static redisReply *exchange(struct sn_store *s, const struct sn_redis_args *a)
{
    return redisCommandArgv(s->ctx, a->n, (const char **)(uintptr_t)a->v, a->len);
}

/* Why there was no reply, for people: a socket's time-out is told as EAGAIN. */
static const char *io_text(struct sn_store *s)
{
    if (s->ctx->err != REDIS_ERR_IO || (errno != EAGAIN && errno != EWOULDBLOCK))
        return s->ctx->errstr;
    (void)snprintf(s->text, sizeof(s->text), "no answer within %d ms", s->conf.timeout_ms);
    return s->text;
}

/* One set-up command of a new connection (AUTH, SELECT). */
static int prepare(struct sn_store *s, const char *verb, const char *value, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int rc = 0;

    sn_redis_arg(&a, verb);
    sn_redis_arg(&a, value);
    r = exchange(s, &a);
    if (r == NULL || r->type == REDIS_REPLY_ERROR)
        rc = sn_error_set(err, "store.unreachable", "Redis %s:%d refuses %s: %s", s->conf.host, s->conf.port, verb,
                          r != NULL ? r->str : io_text(s));
    if (r != NULL)
        freeReplyObject(r);
    return rc;
}

/* A Redis that was restarted or replaced may lack what was written since: whoever comes first takes the sentinel away, before anything
 * is asked of the records. */
static int vouch(struct sn_store *s, struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    redisReply *r;
    int rc = 0;

    sn_redis_arg(&a, "EVAL");
    sn_redis_arg(&a, sn_embed_worker_fleet_lua_vouch_lua);
    sn_redis_arg(&a, "1");
    sn_redis_arg(&a, SN_REDIS_WHOLE);
    r = exchange(s, &a);
    if (r == NULL || r->type != REDIS_REPLY_STRING)
        rc = sn_error_set(err, "store.unsure", "Redis %s:%d: %s", s->conf.host, s->conf.port,
                          r == NULL                      ? io_text(s)
                          : r->type == REDIS_REPLY_ERROR ? r->str
                                                         : "it does not say which server it is");
    else
        (void)snprintf(s->server, sizeof(s->server), "%s", r->str);
    if (r != NULL)
        freeReplyObject(r);
    return rc;
}

static int connect_now(struct sn_store *s, struct sn_error *err)
{
    struct timeval tv = { .tv_sec = s->conf.timeout_ms / 1000, .tv_usec = (s->conf.timeout_ms % 1000) * 1000 };
    char db[16];

    if (s->ctx != NULL)
        return 0;
    s->ctx = redisConnectWithTimeout(s->conf.host, s->conf.port, tv);
    if (s->ctx == NULL)
        return sn_error_oom(err);
    if (s->ctx->err != 0) {
        (void)sn_error_set(err, "store.unreachable", "Redis %s:%d: %s", s->conf.host, s->conf.port, s->ctx->errstr);
        goto fail;
    }
    /* a new context does not inherit the timeout (hiredis 0.14) */
    if (redisSetTimeout(s->ctx, tv) != REDIS_OK) {
        (void)sn_error_set(err, "store.unreachable", "Redis %s:%d: no timeout on the socket", s->conf.host, s->conf.port);
        goto fail;
    }
    if (s->conf.password != NULL && s->conf.password[0] != '\0' && prepare(s, "AUTH", s->conf.password, err) != 0)
        goto fail;
    (void)snprintf(db, sizeof(db), "%d", s->conf.db);
    if (s->conf.db != 0 && prepare(s, "SELECT", db, err) != 0)
        goto fail;
    if (vouch(s, err) != 0)
        goto fail;
    return 0;
fail:
    drop(s);
    return -1;
}

redisReply *sn_redis_call(struct sn_store *s, const struct sn_redis_args *a, struct sn_error *err)
{
    redisReply *r;

    if (a->full) {
        (void)sn_error_set(err, "store.unsure", "too many arguments for one Redis command");
        return NULL;
    }
    if (connect_now(s, err) != 0)
        return NULL;
    r = exchange(s, a);
    if (r == NULL) {
        (void)sn_error_set(err, "store.unsure", "Redis %s:%d: %s", s->conf.host, s->conf.port, io_text(s));
        drop(s);
        return NULL;
    }
    if (r->type == REDIS_REPLY_ERROR) {
        /* READONLY, LOADING, MISCONF, OOM: this server does not keep what we tell it */
        (void)sn_error_set(err, "store.unsure", "Redis: %s", r->str);
        freeReplyObject(r);
        drop(s);
        return NULL;
    }
    return r;
}

int sn_redis_plain(struct sn_store *s, const struct sn_redis_args *a, struct sn_error *err)
{
    redisReply *r = sn_redis_call(s, a, err);

    if (r == NULL)
        return -1;
    freeReplyObject(r);
    return 0;
}

/* EVAL with the text, not EVALSHA: a few hundred bytes more on a loopback or rack link, and no second road for a server that was
 * restarted or flushed and knows no script any more. */
redisReply *sn_redis_script(struct sn_store *s, const char *script, int keys_n, const struct sn_redis_args *keys_and_args,
                            struct sn_error *err)
{
    struct sn_redis_args a = { 0 };
    char count[16];

    (void)snprintf(count, sizeof(count), "%d", keys_n);
    sn_redis_arg(&a, "EVAL");
    sn_redis_arg(&a, script);
    sn_redis_arg(&a, count);
    for (int i = 0; i < keys_and_args->n; i++)
        sn_redis_arg(&a, keys_and_args->v[i]);
    a.full = a.full || keys_and_args->full;
    return sn_redis_call(s, &a, err);
}

const char *sn_redis_text(const redisReply *r, size_t i)
{
    if (r->type != REDIS_REPLY_ARRAY || i >= r->elements)
        return "";
    r = r->element[i];
    return (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_STATUS) && r->str != NULL ? r->str : "";
}

int sn_redis_word(const redisReply *r, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(sn_redis_text(r, 0), words[i]) == 0)
            return (int)i;
    }
    return -1;
}
