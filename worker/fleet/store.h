/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis as the fleet uses it: few commands and the Lua scripts in worker/fleet/lua, each of which is one atomic decision.
 *
 * Any error, timeout or odd reply means "unsure": the connection is dropped (a late reply must never be read as the answer to the
 * next command, docs/protocols/redis.md), the call returns -1, and the caller does not write to a device. A script that timed
 * out may have run: every script may be repeated.
 * Thread: a store belongs to one thread. Keys begin with "sn:1:" (formats: docs/architecture.md).
 */
#ifndef SN_WORKER_FLEET_STORE_H
#define SN_WORKER_FLEET_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct sn_store_conf {
    const char *host;
    int port;
    int db;
    const char *password; /* NULL or "" = none */
    int timeout_ms;       /* connect, and each command */
    int replicas;         /* a renewal counts when so many replicas hold it (WAIT); 0 = single server */
};

struct sn_store;
struct sn_store *sn_store_new(const struct sn_store_conf *conf); /* connects at first use; NULL on memory */
void sn_store_free(struct sn_store *s);

/* Start-up check: noeviction, AOF said, clock difference to this machine. Fills *ret_skew_ms. */
int sn_store_check(struct sn_store *s, int64_t *ret_skew_ms, struct sn_error *err) SN_MUSTCHECK;

/* ---- session, owner (keeper) ---- */

/* Keeps w:<worker> alive. *ret_whole: the hot copy of the records is whole. */
int sn_store_renew(struct sn_store *s, const char *worker, const char *json, int64_t ttl_ms, bool *ret_whole,
                   struct sn_error *err) SN_MUSTCHECK;
/* The session ends in order: runs that this worker leaves unfinished did not crash. */
int sn_store_end_session(struct sn_store *s, const char *worker, struct sn_error *err) SN_MUSTCHECK;

enum sn_own { SN_OWN_MINE, SN_OWN_CLAIMED, SN_OWN_TAKEN };
struct sn_own_reply {
    enum sn_own what;
    int64_t epoch;
    bool released;   /* the former owner left a release note: nothing to wait for */
    bool dirty;      /* the device has unsaved changes (or nobody knows) */
    char owner[128]; /* TAKEN: who holds it; CLAIMED: who held it before, "" = nobody known */
};
int sn_store_own(struct sn_store *s, const char *uid, const char *worker, struct sn_own_reply *ret,
                 struct sn_error *err) SN_MUSTCHECK;
int sn_store_release(struct sn_store *s, const char *uid, const char *worker, int64_t epoch, struct sn_error *err) SN_MUSTCHECK;

/* ---- one event ---- */

enum sn_admit { SN_ADMIT_RUN, SN_ADMIT_DONE, SN_ADMIT_STALE, SN_ADMIT_SUPERSEDED, SN_ADMIT_REUSED, SN_ADMIT_FOREIGN, SN_ADMIT_UNSURE };
struct sn_admit_ask {
    const char *event;
    int replay;
    const char *owner; /* "<ns>/<contract id>" */
    int64_t generation;
    const char *rev; /* "" = a cleanup: any rev of this generation */
    const char *worker;
    const char *thread; /* names it within the worker */
};
struct sn_admit_reply {
    enum sn_admit what;
    int run;
    int crashes;        /* runs of this event that ended with their process */
    bool wrote;         /* an earlier run of this event wrote something */
    char by[64];        /* SUPERSEDED, REUSED: the other event; FOREIGN: the contract that the id belongs to */
    int64_t by_generation;
    char *result;       /* DONE: the stored result; owned by the caller */
};
int sn_store_admit(struct sn_store *s, const struct sn_admit_ask *ask, struct sn_admit_reply *ret, struct sn_error *err) SN_MUSTCHECK;
/* The run pauses without an outcome (gate, ladder, hand-over): its end is not a crash. */
int sn_store_pause_run(struct sn_store *s, const char *event, struct sn_error *err) SN_MUSTCHECK;

/* The thread has nothing in hand. */
int sn_store_put_down(struct sn_store *s, const char *worker, const char *thread, struct sn_error *err) SN_MUSTCHECK;

/* Record of the contract on one target, and who else claims these natural keys.
 * *ret_record: new reference, NULL when there is none. *ret_rivals: array of refs, new reference.
 * From now on the event counts as what this thread of the worker has in hand, as with an admission (admit.lua counts crashes by that). */
struct sn_look_ask {
    const char *owner;
    const char *uid;
    const json_t *claims; /* may be NULL */
    const char *worker;
    const char *thread;   /* names it within the worker */
    const char *event;    /* "" = a dry run */
};
int sn_store_look(struct sn_store *s, const struct sn_look_ask *ask, json_t **ret_record, json_t **ret_rivals,
                  struct sn_error *err) SN_MUSTCHECK;
/* All target records of the contract: {uid: record}. New reference. */
int sn_store_records(struct sn_store *s, const char *owner, json_t **ret, struct sn_error *err) SN_MUSTCHECK;

enum sn_step_say { SN_STEP_OK, SN_STEP_LOST, SN_STEP_SUPERSEDED, SN_STEP_CONFLICT, SN_STEP_UNSURE };
struct sn_step_ask {
    const char *owner;
    const char *ref;
    int64_t generation;
    const char *event;
    int run;
    const char *worker;
    const char *routing_uid; /* whose owner record and journal count */
    int64_t epoch;
    const char *uid;         /* target that is written to */
    const json_t *record;    /* the intent: what we may hold there from now on */
    const json_t *claims;    /* natural keys to be claimed; may be NULL */
    bool shared;             /* rivals are allowed */
    bool dirty;              /* the target needs a save after this write */
    int seq;
    const char *text;        /* journal: what is about to be sent, redacted */
};
/* One script: owner and epoch still ours, generation still highest, no rival; writes intent, claims, dirty and journal.
 * ret_other: the rival or the newer event. ret_journal_id: id of the entry. */
int sn_store_step(struct sn_store *s, const struct sn_step_ask *ask, enum sn_step_say *ret, char ret_other[64],
                  char ret_journal_id[32], struct sn_error *err) SN_MUSTCHECK;
/* Journal entry outside of a step: a reply (dir "<"), or a read that was sent (dir ">"). Of ask only event, run, seq, uid, epoch, worker and
 * routing_uid are used. */
int sn_store_journal(struct sn_store *s, const struct sn_step_ask *ask, const char *dir, const char *verdict, int ms, const char *text,
                     char ret_journal_id[32], struct sn_error *err) SN_MUSTCHECK;
/* Writes the record of a target (memo noted, or what holds after the visit); an empty `keys` drops the record. unclaim: keys
 * that are no longer ours; may be NULL. Only while the generation is still ours. */
int sn_store_record(struct sn_store *s, const char *owner, int64_t generation, const char *uid, const json_t *record,
                    const json_t *unclaim, struct sn_error *err) SN_MUSTCHECK;
/* The device was saved under this epoch. */
int sn_store_clean(struct sn_store *s, const char *uid, int64_t epoch, struct sn_error *err) SN_MUSTCHECK;
int sn_store_dirty(struct sn_store *s, const char *uid, bool *ret_dirty, struct sn_error *err) SN_MUSTCHECK;

enum sn_claim { SN_CLAIM_CLAIMED, SN_CLAIM_STORED, SN_CLAIM_LOST, SN_CLAIM_UNSURE };
/* The outcome of (event, replay), once. routing_uid "" = no owner to check (refused messages). STORED: *ret_stored is the result that
 * was claimed before (owned by the caller). */
int sn_store_claim(struct sn_store *s, const char *event, int replay, const char *routing_uid, const char *worker, int64_t epoch,
                   const char *outcome, const char *result, enum sn_claim *ret, char **ret_stored, struct sn_error *err) SN_MUSTCHECK;

/* ---- journal ---- */

/* Calls each(entry) for every entry of a device's journal, oldest first; an entry is {id, event, run, seq, …}. */
int sn_store_journal_read(struct sn_store *s, const char *routing_uid, void (*each)(void *arg, const json_t *entry), void *arg,
                          struct sn_error *err) SN_MUSTCHECK;
int sn_store_journal_drop(struct sn_store *s, const char *routing_uid, const char *const *ids, size_t n, struct sn_error *err) SN_MUSTCHECK;

/* ---- rebuilding (ledger role) ---- */

/* The hot copy is whole. */
int sn_store_is_whole(struct sn_store *s, bool *ret, struct sn_error *err) SN_MUSTCHECK;
/* Run id of the Redis that the latest call reached: records that are written back belong to that one. */
#define SN_STORE_SERVER_MAX 64
void sn_store_server(const struct sn_store *s, char out[SN_STORE_SERVER_MAX]);
/* The sentinel that says so, after the records were written back. Refused when this is not the server any more (it was restarted, or
 * replaced by a replica, in between). Each new connection takes away a sentinel that was set for another server: a snapshot that was loaded
 * looks whole and is from yesterday. */
int sn_store_set_whole(struct sn_store *s, const char *server, struct sn_error *err) SN_MUSTCHECK;
/* Writes back what the ledger knows of a contract; what Redis knows of a higher generation, or of a later run of the same, stays. Of two records
 * that differ otherwise the places of both are kept. records: {uid: record}, an empty one = it holds nothing there; their `claims` go back into
 * the index. */
int sn_store_restore(struct sn_store *s, const char *owner, int64_t generation, const char *rev, const char *event, const char *ref,
                     const json_t *records, struct sn_error *err) SN_MUSTCHECK;

/* ---- gates ---- */

int sn_store_gate_put(struct sn_store *s, const char *uid, const json_t *gate, struct sn_error *err) SN_MUSTCHECK;
/* New reference or NULL when none is stored. */
int sn_store_gate_get(struct sn_store *s, const char *uid, json_t **ret, struct sn_error *err) SN_MUSTCHECK;

#endif
