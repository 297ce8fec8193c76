/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of silverd and silverctl: one struct, one table (options.c), one page (docs/configuration.md, generated).
 * Durations are milliseconds. Filled once by sn_options_load() of common/config and only read afterwards.
 * Thread: main fills it before the first other thread starts; then any.
 */
#ifndef SN_WORKER_OPTIONS_H
#define SN_WORKER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config/options.h"

struct sn_options {
    struct {
        char **roles; /* worker, ledger */
        char *name;
        int log_level; /* enum sn_log_level */
        bool log_json;
        bool core_dumps;
        char *http_listen; /* "" = none */
    } process;
    struct {
        char *host;
        int64_t port;
        char *vhost;
        char *user;
        char *password; /* reference */
        int64_t heartbeat, connect_timeout, rpc_timeout, confirm_timeout, reconnect_min, reconnect_max, start_wait;
        int64_t consumer_timeout; /* the broker's own setting, as we are told */
    } broker;
    struct {
        char *host;
        int64_t port, db;
        char *password; /* reference */
        int64_t timeout, check_every, replicas;
    } redis;
    struct {
        char *host;
        int64_t port;
        char *database;
        char *user;
        char *password; /* reference */
        char *reader;
        char *reader_password; /* reference */
        char *sslmode;
        int64_t batch, timeout;
    } ledger;
    struct {
        char *path;
    } inventory;
    struct {
        char *fleet_key_file;
        char *vault_address;
        char *vault_ca_file;
        char *vault_token_file;
        char *file_root;
        bool inline_secrets;
        int64_t timeout;
    } secrets;
    struct {
        char **sources;
    } events;
    struct {
        int64_t ttl, margin;
    } session;
    struct {
        int64_t attempts_max, rounds_max, crash_max;
        int64_t hold_max, session_settle, deadline, store_retry, drain;
    } job;
    struct {
        int64_t level_1, level_2, level_3, level_4, level_5;
    } ladder;
    struct {
        int64_t every;
    } save;
    struct {
        int64_t probe_min, probe_max, probe_busy, equal_failures;
    } gate;
    struct {
        int64_t shared_pool, front;
        int64_t idle_close, connect_timeout;
    } lanes;
    struct {
        int64_t log_bytes;
    } limits;
};

extern const struct sn_option_table sn_option_table;
/* SILVER_… variables that are no options (tests set them), ended by NULL. */
extern const char *const sn_options_not_ours[];

bool sn_options_has_role(const struct sn_options *o, const char *role);

/* What no row can say alone: options that contradict each other. After sn_options_load(). Errors: config.conflict,
 * http.address. */
int sn_options_check(const struct sn_options *o, struct sn_error *err) SN_MUSTCHECK;

/* docs/configuration.md. */
void sn_options_page(struct sn_buf *out);

#endif
