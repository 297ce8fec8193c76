/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection under store.c: one hiredis context, dropped after any error (a late reply would be taken for the answer to the next
 * command), made anew at the next call. Private to worker/fleet. Thread: its owner's.
 */
#ifndef SN_WORKER_FLEET_REDIS_H
#define SN_WORKER_FLEET_REDIS_H

#include <hiredis/hiredis.h>

#include "worker/fleet/store.h"

struct sn_store {
    struct sn_store_conf conf;
    redisContext *ctx;
};

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

/* Runs a Lua script: keys first, then arguments. */
redisReply *sn_redis_script(struct sn_store *s, const char *script, int keys_n, const struct sn_redis_args *keys_and_args,
                            struct sn_error *err);

/* Element i of an array reply as text, "" when absent. */
const char *sn_redis_text(const redisReply *r, size_t i);

#endif
