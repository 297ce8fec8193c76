/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract between the core and a driver.
 *
 *     ask until nothing is unknown; change until nothing differs; after every change everything is unknown again
 *
 * A driver answers two questions without touching the world: next() - what is to be asked or changed now, or is it done? - and
 * absorb() - what does this reply say? The core (worker/job/converge.c) carries the operations: it checks the lease and journals before
 * each write, keeps the deadlines, and wipes `have` after every list that wrote. Hence no driver can claim `applied`, none
 * retries and none sleeps.
 *
 * next(), absorb(), key(), claims(), same_thing(), describe() are pure: no I/O, no clock, no allocation that outlives them but
 * through their outputs. open(), exchange(), commit(), close(), idle() do I/O and run on the lane thread that owns the session.
 *
 * How to write one: docs/drivers.md. The smallest example: drivers/null.
 * Thread: the pure ones any; the others the lane's that owns the session.
 */
#ifndef SN_DRIVERS_DRIVER_H
#define SN_DRIVERS_DRIVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/inventory/inventory.h"
#include "common/secret/secret.h"
#include "drivers/verdict.h"

/* ---- what shall be ---- */

enum sn_want_kind {
    SN_BE,    /* exists and is so */
    SN_GONE,  /* does not exist; only `key` and `ref` are to be used */
    SN_SINCE, /* has happened after since_ms (an action is a state with a time: a redelivery never repeats it) */
    SN_LOOK,  /* only read: the reading is the result */
};

/* One thing that one target shall hold. Everything is borrowed from the job and immutable while the want lives. */
struct sn_want {
    enum sn_want_kind kind;
    const char *aspect;      /* the recipe's word for the thing: "user", "onu", "session", "login" */
    const char *ref;         /* contract's ref: the mark that our objects begin with */
    const char *owner;       /* "<ns>/<contract id>": key of the RADIUS fence and of claims */
    int64_t generation;
    const char *rev;
    bool suspended;          /* BE: in the form that serves no customer */
    bool shared;             /* the event says that the thing is shared with other contracts */
    bool fresh;              /* this contract has held nothing on this target before (its first activation) */
    bool away;               /* the target does not answer now (its gate is closed): no write will be sent. Only drivers with probe() see it */
    int64_t since_ms;        /* SINCE: wall clock */
    const json_t *service;   /* `service` of the event; NULL for GONE in next(); key() of a terminated event sees it, short as it is then */
    const json_t *args;      /* of a command; else NULL */
    const json_t *key;       /* what the thing is called on the target: made by key(), or from the record for GONE */
    const json_t *old;       /* array of keys of the *same thing* that the record says we may hold in older forms; may be empty */
    const json_t *rivals;    /* array of strings: refs of other contracts that claim the same natural key */
    const struct sn_target *target; /* inventory entry: address, options, plan mapping */
};

/* ---- one exchange ---- */

enum sn_op_kind { SN_READ, SN_WRITE };

#define SN_OP_LINE_MAX 512
#define SN_OP_NUMBERS 8
#define SN_OP_STRINGS 3

/* One exchange: one command line, one transaction, one packet. Plain memory: copied freely, no pointers. */
struct sn_op {
    enum sn_op_kind kind;
    char mark;                     /* in plans: '+' create, '~' change, '-' remove, '!' cannot be undone or read back, ' ' read */
    int verb;                      /* the driver's own enum */
    int64_t n[SN_OP_NUMBERS];      /* the driver's own arguments */
    char s[SN_OP_STRINGS][128];
    char line[SN_OP_LINE_MAX];     /* what is sent, in the target's words, without secrets: plan, journal, exec_log. exchange() sends it,
                                    * or makes what it sends from verb, n and s */
    char mode[64];                 /* CLI: mode in which it is sent ("config", "interface gpon 0/1"); "" otherwise */
};

#define SN_OPS_MAX 16
struct sn_ops {
    struct sn_op v[SN_OPS_MAX];
    size_t n;
};

/* A zeroed op appended to the list; NULL when the list is full (then a list is sent now and the rest asked for again). */
struct sn_op *sn_ops_add(struct sn_ops *ops, enum sn_op_kind kind, char mark, int verb);
/* Formats op->line; a line that does not fit makes the op useless, hence returns -1. */
int sn_op_line(struct sn_op *op, const char *fmt, ...) SN_PRINTF(2, 3) SN_MUSTCHECK;

/* Who answered, when the transport verdict is SN_OK. */
enum sn_heard {
    SN_HEARD_TARGET, /* the target itself: it lives */
    SN_HEARD_OTHER,  /* somebody else, who knows of it (a database): no sign that it lives */
    SN_HEARD_NOBODY, /* the target was asked in vain, and the driver can go on without: the verdict's code and text say why its gate closes */
};

/* What came back. The core zeroes it before and frees it after. */
struct sn_reply {
    struct sn_buf text;        /* what the target said, cleaned of echo and prompt; journaled after redaction */
    json_t *data;              /* structured answer (rows, attributes), own reference; NULL for a CLI */
    enum sn_heard heard;
    const struct sn_target *at; /* who was asked instead of the op's own target (the NAS that has the session): its gate is meant; NULL: nobody else */
    struct sn_verdict verdict; /* of the transport: SN_OK whole answer; SN_UNKNOWN sent, no whole answer; SN_UNREACHABLE nothing sent … */
    bool unsent;               /* the op itself did not leave: no session, or held back at the last moment. The exec_log says so */
};
void sn_reply_fini(struct sn_reply *r);

/* ---- what next() answers ---- */

enum sn_next { SN_NEXT_DONE, SN_NEXT_OPS, SN_NEXT_LATER, SN_NEXT_STUCK };
enum sn_evidence { SN_EVIDENCE_NONE, SN_EVIDENCE_ACKNOWLEDGED, SN_EVIDENCE_OBSERVED }; /* weakest first */
const char *sn_evidence_word(enum sn_evidence e);

struct sn_answer {
    enum sn_next what;
    enum sn_evidence evidence;  /* DONE: read back, or only acknowledged */
    struct sn_ops ops;          /* OPS: all reads, or all writes; never mixed */
    int64_t later_ms;           /* LATER: look again after this time, at least 1 */
    struct sn_verdict verdict;  /* STUCK: why; LATER: what is waited for */
};
void sn_answer_fini(struct sn_answer *a);

/* ---- I/O ---- */

struct sn_driver_env {
    const struct sn_target *target;
    const struct sn_inventory *inventory; /* for links (NAS -> RADIUS server) */
    const struct sn_secret_store *secrets;
    struct sn_redact *redact;
    /* The lane's lease: false = stop, write nothing more. The driver asks it right before bytes leave. */
    bool (*may_write)(void *arg);
    void *may_write_arg;
};

enum sn_commit_policy {
    SN_COMMIT_NONE,  /* each write stands by itself (CoA) */
    SN_COMMIT_JOB,   /* the write op is the transaction (SQL) */
    SN_COMMIT_BATCH, /* running configuration: commit() saves it for a group of jobs (OLT) */
};

#define SN_DRIVER_ABI 1

struct sn_driver {
    int abi;
    const char *name;                /* = its folder */
    const char *const *aspects;      /* recipe words that it serves, NULL-terminated */
    enum sn_commit_policy commit_policy;
    int sessions_max;                /* 1 = exclusive: one lane, one session; else upper bound of the pool */
    size_t have_size;                /* flat memory, zeroed = nothing is known */

    /* Identity of the wanted thing on the target, from want->service: {"serial": …}. New reference. -1: the event is dead with
     * err->code. */
    int (*key)(const struct sn_want *want, json_t **ret_key, struct sn_error *err);
    /* Natural keys to be claimed against other contracts, on this target (its uid): array of "onu/<SN>", "user/<name>", "ip/<addr>". New
     * reference or NULL (memory). May be NULL: nothing is exclusive. */
    json_t *(*claims)(const json_t *key);
    /* Are these two keys forms of one thing (same ONU with other flows)? If not, the old one becomes GONE before the new one is made. */
    bool (*same_thing)(const json_t *a, const json_t *b);

    /* memo: JSON object kept over rounds, lanes' visits and crashes of this event on this target (in the record); what was acknowledged
     * and cannot be read goes here. next() only reads it, absorb() may write it. ret is zeroed by the caller. */
    void (*next)(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret);
    /* Called for each reply whose transport verdict is SN_OK, and for SN_UNKNOWN of a write (so that memo can note it). ret is zeroed
     * = SN_OK. Must accept any bytes. */
    void (*absorb)(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have,
                   json_t *memo, struct sn_verdict *ret);
    /* What the target holds now, for people: {"onu": "0/1/3 ONU 5", …} -> *ret_holds, and reality ({"run": "online", "rx_dbm": -21.4})
     * -> *ret_reality. New references; either may stay NULL. */
    void (*describe)(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds,
                     json_t **ret_reality);

    /* deadlines are absolute, monotonic milliseconds, and total. exchange() judges whether the answer is whole, absorb() what it means.
     * SN_UNKNOWN, SN_UNREACHABLE, SN_AUTH and SN_LOST of an exchange close the session; any other verdict keeps it. */
    int (*open)(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict);
    void (*exchange)(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
                     struct sn_reply *reply);
    /* Is the target itself there? For targets that open() and reads do not reach: what is read of a NAS stands in a database. One question
     * without any effect, asked while the gate is closed; 0, or -1 and the verdict. Such a target is visited though its gate is closed,
     * and the visit ends before its first write. NULL: an open session is the answer, and a closed gate keeps visits out. */
    int (*probe)(void *session, int64_t deadline_ms, struct sn_verdict *ret);
    /* SN_COMMIT_BATCH only: saves the running configuration. SN_OK only when the completion was seen in this session. It writes, so it asks
     * may_write() too. SN_TRANSIENT_DEVICE and SN_UNKNOWN: asked again soon; another refusal closes the gate. */
    void (*commit)(void *session, int64_t deadline_ms, struct sn_reply *reply);
    /* Says good-bye within deadline (0 = cut) and frees. */
    void (*close)(void *session, int64_t deadline_ms);
    /* Socket of the session, so that the keeper can shut it down; -1 when there is none. */
    int (*fd)(void *session);
    /* A warm session has something to read: take it in. -1 when the session is dead. May be NULL: then the session is closed. */
    int (*idle)(void *session);
    /* The reads that show a target to somebody who writes a fixture (device record): SN_READ ops only. May be NULL. */
    void (*record)(const struct sn_target *target, struct sn_ops *ret);
    /* Total time that one exchange of this op may take. */
    int64_t (*op_timeout_ms)(const struct sn_target *target, const struct sn_op *op);
};

/* All drivers, NULL-terminated (drivers/registry.c). */
extern const struct sn_driver *const sn_drivers[];
/* NULL when there is none of that name. */
const struct sn_driver *sn_driver_find(const char *name);
bool sn_driver_serves(const struct sn_driver *driver, const char *aspect);

#endif
