/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection under store.h, survey.h and rebuild.c, and the names of the keys: one hiredis context, dropped after any error (a
 * late reply would be taken for the answer to the next command), made anew at the next call. Private to worker/fleet. Replies are the
 * caller's (freeReplyObject). Thread: the connection's owner; every call blocks, at most the timeout of its conf.
 */
#ifndef SN_WORKER_FLEET_REDIS_H
#define SN_WORKER_FLEET_REDIS_H

#include <hiredis/hiredis.h>

#include "worker/fleet/store.h"

struct sn_store {
    struct sn_store_conf conf;
    redisContext *ctx;
    char server[SN_STORE_SERVER_MAX]; /* run id of the Redis that ctx leads to */
    char text[64]; /* of io_text() */
};

/* Every key of a record begins with this; the 1 is the version of the records' form. */
#define SN_REDIS_PREFIX "sn:1:"
/* The sentinel: the run id of the server to which all records were written. */
#define SN_REDIS_WHOLE SN_REDIS_PREFIX "whole"

/* The name of one key. Ids and uids are bounded by the schema; only a driver's natural key may be long, and is cut. */
struct sn_redis_key {
    char text[320];
};

/* kind: one of c d e g j o w x (docs/architecture.md says what each holds). */
struct sn_redis_key sn_redis_key(const char *kind, const char *name);
struct sn_redis_key sn_redis_claim_key(const char *uid, const char *natural);

/* Arguments of one command, at most SN_REDIS_ARGS. The strings are borrowed. */
#define SN_REDIS_ARGS 64
struct sn_redis_args {
    int n;
    const char *v[SN_REDIS_ARGS];
    size_t len[SN_REDIS_ARGS];
    char numbers[16][24]; /* text of the integers that were added */
    int numbers_n;
    bool full;
};
void sn_redis_arg(struct sn_redis_args *a, const char *text);
void sn_redis_arg_int(struct sn_redis_args *a, int64_t value);

/* Sends and reads one reply. NULL after filling err (store.unsure, store.unreachable); an error reply is an error too. */
redisReply *sn_redis_call(struct sn_store *s, const struct sn_redis_args *a, struct sn_error *err);

/* Sends a command whose reply only has to be no error. 0, or -1 with err filled as sn_redis_call() does. */
int sn_redis_plain(struct sn_store *s, const struct sn_redis_args *a, struct sn_error *err);

/* Runs a Lua script: keys first, then arguments. */
redisReply *sn_redis_script(struct sn_store *s, const char *script, int keys_n, const struct sn_redis_args *keys_and_args,
                            struct sn_error *err);

/* Element i of an array reply as text, "" when absent. */
const char *sn_redis_text(const redisReply *r, size_t i);

/* Which of n words a script answered with (element 0), or -1. */
int sn_redis_word(const redisReply *r, const char *const *words, size_t n);

#endif
