/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silverctl: what people ask the fleet. It never opens a device: plans and tests are asked of the device's owner over
 * silver.ctl, the past is read from the ledger (read-only role), the present from Redis and the broker.
 *
 * stdout is the answer, stderr progress and errors. Each command first gathers one JSON document and then either prints
 * it
 * (--json: English keys, UTC, never coloured or translated) or renders it as text: a view is a pure function of the
 * document. Thread: one.
 */
#ifndef SN_WORKER_CTL_CTL_H
#define SN_WORKER_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/inventory/inventory.h"
#include "common/pg/pg.h"
#include "common/schema/schema.h"
#include "worker/broker/broker.h"
#include "worker/ctl/out.h"
#include "worker/fleet/store.h"

/* sysexits where there is one. */
enum sn_exit {
    SN_EXIT_OK = 0,      /* done, or nothing to do */
    SN_EXIT_OUTCOME = 1, /* it ran, and the outcome is not good */
    SN_EXIT_CHANGES = 3, /* plan --exit-code: something would change */
    SN_EXIT_NOT_FOUND = 4,
    SN_EXIT_USAGE = 64,
    SN_EXIT_INVALID = 65,     /* invalid event */
    SN_EXIT_UNREACHABLE = 69, /* broker, ledger, Redis or owner */
    SN_EXIT_RUNNING = 75,     /* timed out waiting; it goes on */
    SN_EXIT_CONFIG = 78,
    SN_EXIT_INTERRUPTED = 130,
};

#define SN_ARGS_MAX 64

/* Options of the commands, in one list: an option means the same everywhere. */
enum sn_flag {
    SN_FLAG_WAIT,
    SN_FLAG_BULK,
    SN_FLAG_EXIT_CODE,
    SN_FLAG_RAW,
    SN_FLAG_APPLY,
    SN_FLAG_CHECK,
    SN_FLAG_CAUSE,
    SN_FLAG_DEVICE,
    SN_FLAG_LIMIT,
    SN_FLAG_UNTIL,
    SN_FLAG_WHY,
    SN_FLAG_COUNT
};

struct sn_option {
    const char *name; /* without "--" */
    enum sn_flag flag;
    bool takes_value;
    const char *value_name;
    const char *help;
};
/* Ended by a NULL name. */
extern const struct sn_option sn_options[];

struct sn_args {
    const char *words[SN_ARGS_MAX]; /* what is no option */
    size_t n;
    bool given[SN_FLAG_COUNT];
    const char *value[SN_FLAG_COUNT]; /* NULL without a value */
};

/* Everything that a command may need; connections are opened when they are first asked for. */
struct sn_ctl {
    struct sn_out out;
    bool json;
    int timeout_ms;   /* how long a person waits for an answer */
    const char *user; /* who asks: gates, audit */
    int64_t now_ms;   /* wall clock at the start: the same "today" in the whole answer */
    const char *inventory_path;
    bool inline_secrets; /* the fleet takes secrets in clear */
    struct sn_broker_conf broker_conf;
    struct sn_pg_conf pg_conf;
    struct sn_store_conf store_conf;
    struct sn_ladder ladder;
    /* Opened on demand by the functions below; closed by main. */
    struct sn_broker_client *broker;
    struct sn_pg *pg;
    struct sn_store *store;
    struct sn_schemas *schemas;
    struct sn_inventory *inventory;
    struct sn_ctl_conf *conf; /* worker/ctl/conf.c */
};

struct sn_command {
    const char *name;  /* "device list" */
    const char *words; /* what follows it: "ID…" */
    const char *help;  /* one line */
    unsigned flags;    /* 1u << SN_FLAG_… that it takes */
    int words_min, words_max;
    /* Returns an exit code; -1 after filling err, from whose code main derives the exit code. */
    int (*run)(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
};

/* All commands, ended by a NULL name. */
extern const struct sn_command sn_commands[];

/* ---- command line ---- */

/* What the line says before any file is read. Strings are borrowed from argv. */
struct sn_line {
    const struct sn_command *command; /* NULL: only --help or --version was asked for */
    const char *group;                /* --help after the first word of several commands: only those; else NULL */
    struct sn_args args;
    bool help, version, json, no_color;
    const char *lang;
    const char *timeout;
    const char *config;
    const char *settings[32]; /* --section.key=value: settings of the configuration, as they are */
    size_t settings_n;
};
/* Errors: usage.*. */
int sn_line_parse(int argc, char **argv, struct sn_line *ret, struct sn_error *err) SN_MUSTCHECK;
/* Help of one command, or (NULL) of all whose first word is group, or (NULL) of all. */
void sn_line_help(struct sn_out *out, const struct sn_command *command, const char *group);

/* ---- passwords, resolved when a connection needs them ---- */

enum sn_password { SN_PASSWORD_BROKER, SN_PASSWORD_REDIS, SN_PASSWORD_LEDGER, SN_PASSWORD_COUNT };
/* *ret: NULL when none is configured; borrowed until the end. Errors: secret.*. */
int sn_ctl_password(struct sn_ctl *ctl, enum sn_password which, const char **ret, struct sn_error *err) SN_MUSTCHECK;

/* ---- connections, opened at the first call; borrowed ---- */

int sn_ctl_broker(struct sn_ctl *ctl, struct sn_broker_client **ret, struct sn_error *err) SN_MUSTCHECK;
int sn_ctl_pg(struct sn_ctl *ctl, struct sn_pg **ret, struct sn_error *err) SN_MUSTCHECK;
int sn_ctl_store(struct sn_ctl *ctl, struct sn_store **ret, struct sn_error *err) SN_MUSTCHECK;
int sn_ctl_schemas(struct sn_ctl *ctl, const struct sn_schemas **ret, struct sn_error *err) SN_MUSTCHECK;
int sn_ctl_inventory(struct sn_ctl *ctl, const struct sn_inventory **ret, struct sn_error *err) SN_MUSTCHECK;
/* The inventory's entry of an id. Errors: device.not-found. */
int sn_ctl_target(struct sn_ctl *ctl, const char *id, const struct sn_target **ret, struct sn_error *err) SN_MUSTCHECK;
void sn_ctl_close(struct sn_ctl *ctl);

/* The exit code that belongs to an error's code. */
int sn_ctl_exit_of(const struct sn_error *err);

/* ---- answering ---- */

typedef void sn_render(struct sn_out *out, const json_t *document, int64_t now_ms);

/* Prints one document: as JSON of ctl/v1 (with `schema` and `output` added), or rendered. Takes the reference. -1 when
 * stdout is gone or memory ran out. */
int sn_ctl_answer(struct sn_ctl *ctl, const char *output, json_t *document, sn_render *render,
                  struct sn_error *err) SN_MUSTCHECK;
/* Prints a list: with --json one line for each element, else the whole document rendered. Takes the reference. */
int sn_ctl_answer_list(struct sn_ctl *ctl, const char *output, json_t *document, const char *key, sn_render *render,
                       struct sn_error *err) SN_MUSTCHECK;
/* Progress, one line to stderr. */
void sn_ctl_say(const char *fmt, ...) SN_PRINTF(1, 2);

/* Nothing waits silently: says `what` on stderr when it takes longer than a second. */
struct sn_patience;
struct sn_patience *sn_patience_begin(const char *what); /* NULL on memory: then nothing is said */
/* Another sentence, said at once when the second is over. */
void sn_patience_change(struct sn_patience *p, const char *what);
void sn_patience_end(struct sn_patience *p);

/* Asks the owner of a target over silver.ctl and waits for its answer (the reply's `body`; new reference). args: taken,
 * may be NULL. Errors: owner.none, owner.gone, owner.timeout, or the code of the owner's own error. */
int sn_ctl_ask_owner(struct sn_ctl *ctl, const struct sn_target *target, const char *what, json_t *args, json_t **ret,
                     struct sn_error *err) SN_MUSTCHECK;

/* Asks a worker about itself, by its id. Errors as above. */
int sn_ctl_ask_worker(struct sn_ctl *ctl, const char *worker, const char *what, int timeout_ms, json_t **ret,
                      struct sn_error *err) SN_MUSTCHECK;

/* A whole file, at most max bytes; "-" is stdin. malloc'ed, NUL-terminated. */
int sn_ctl_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct sn_error *err) SN_MUSTCHECK;

/* ---- the commands, one file for each group ---- */

int sn_cmd_publish(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_plan(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_event(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_contract(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_show(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_test(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_record(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_pause(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_device_resume(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_dlq_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_dlq_show(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_dlq_groups(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_topology(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_check_config(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);
int sn_cmd_worker_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err);

#endif
