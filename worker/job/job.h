/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job is the message: one object from delivery to acknowledgement. It goes round a ring
 *
 *     consume -> lane -> (lane ...) -> publish -> consume
 *
 * and has exactly one owner at a time: the thread in whose list it stands. sn_job_enter() is the only function that changes its state;
 * it checks that the way is legal and logs it. Picture: docs/architecture.md.
 * Thread: the job's owner for everything here, but for the atomics: lost is set by the consume thread, confirms, unconfirmed and copied
 * are moved by the publisher too. The job owns what it points to unless a field says otherwise.
 */
#ifndef SN_WORKER_JOB_JOB_H
#define SN_WORKER_JOB_JOB_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/event/event.h"
#include "common/inventory/inventory.h"
#include "drivers/driver.h"
#include "worker/broker/broker.h"
#include "worker/fleet/device.h"
#include "worker/job/settle.h"

#define SN_JOB_STATES(X)                                                                                                \
    X(SN_JOB_RECEIVED, "received")     /* consume thread: just made */                                                  \
    X(SN_JOB_BEHIND, "behind")         /* consume thread: another job of the same contract is in flight */              \
    X(SN_JOB_QUEUED, "queued")         /* in a lane's queue */                                                          \
    X(SN_JOB_VISITING, "visiting")     /* a lane thread works on it */                                                  \
    X(SN_JOB_TIMED, "timed")           /* consume thread: waits for a time */                                           \
    X(SN_JOB_UNSAVED, "unsaved")       /* lane: done, waits for the save of its group */                                \
    X(SN_JOB_PUBLISHING, "publishing") /* publisher: waits for confirms */                                              \
    X(SN_JOB_ACKED, "acked")           /* over: acknowledged */                                                         \
    X(SN_JOB_GIVEN_BACK, "given-back") /* over: returned to the broker, or its link is gone */

enum sn_job_state {
#define X(name, word) name,
    SN_JOB_STATES(X)
#undef X
    SN_JOB_STATE_COUNT
};
const char *sn_job_state_word(enum sn_job_state s);

/* How one target of the job stands. */
enum sn_step_state { SN_STEP_OPEN, SN_STEP_DONE, SN_STEP_FAILED, SN_STEP_POSTPONED, SN_STEP_SKIPPED };

/* One want at one target; the recipe (recipe.c) makes the list and its order. */
struct sn_step {
    const struct sn_target *target; /* borrowed from the job's inventory */
    const struct sn_driver *driver;
    struct sn_device *device;       /* its lane and gate */
    const char *aspect;
    enum sn_want_kind kind;
    bool suspended;
    bool commit;             /* not a want: save the target's running configuration, with others */
    bool undo;               /* removes what this event created before it failed */
    int64_t settle_ms;       /* first visited so long after the step before it was done */
    json_t *key;             /* GONE of an old key: the key; else NULL (the driver makes it from the event) */

    enum sn_step_state state;
    uint64_t session;        /* of the lane, in which the thing was last found as it shall be */
    bool wrote;
    bool created;            /* the contract held nothing here before this event */
    enum sn_evidence evidence;
    struct sn_verdict verdict;
    json_t *holds;
    json_t *reality;
    json_t *record;          /* as last written, for the result */
    json_t *plan;            /* dry run: array of {mark, line, mode} */
    int ops;                 /* exchanges carried */
    int64_t read_ms;         /* dry run: monotonic time of the reading */
};

/* What the visit decided and the ring carries out. */
enum sn_job_then {
    SN_THEN_STEP,      /* to the lane of steps[at] */
    SN_THEN_WAIT,      /* timer, then the lane of steps[at] */
    SN_THEN_AGAIN,     /* timer, then admitted anew (the store was unsure) */
    SN_THEN_PUBLISH,   /* publications are made: wait for their confirms, then ack */
    SN_THEN_GIVE_BACK, /* to the broker, untouched */
};

#define SN_STEPS_MAX 12

struct sn_job {
    struct sn_job *next;           /* in the list of its owner */
    struct sn_job *later[2];       /* in the heap of those that wait for a time */
    struct sn_job *all_next;       /* in the dispatcher's list of everything in hand */
    struct sn_job **all_prev;
    atomic_bool lost;              /* its delivery's link is gone: start nothing more for it */
    bool resting;                  /* given back already, but for the nack, which waits a moment */
    bool leads;                    /* the one in flight of its contract */
    bool flows;                    /* counted in device->in_hand */
    enum sn_job_state state;
    const struct sn_log *log;

    struct sn_delivery *delivery;  /* NULL: a plan asked over the ctl road */
    struct sn_event *event;        /* NULL: a message that was refused */
    struct sn_event_refusal refusal;
    struct sn_inventory *inventory;
    struct sn_device *device;      /* routing device; NULL when there is none */
    int64_t epoch;                 /* of the device when the job was admitted */
    bool bulk;
    atomic_bool hurries;           /* one that is not bulk waits behind it: no bulk any more for its lane */

    bool dry;                      /* plan: reads only */
    void (*dry_done)(void *arg, struct sn_job *job); /* called by the consume thread when a dry job is over; then the job is freed */
    void *dry_arg;

    int replay;                    /* n of silver-replay, 0 = first life */
    char replay_request[64];
    int attempt;                   /* spent so far */
    int run;                       /* 0 = not yet admitted */
    bool prior_wrote;              /* an earlier run of this event wrote */

    struct sn_step steps[SN_STEPS_MAX];
    int steps_n;
    int at;                        /* current step */
    bool undoing;

    enum sn_job_then after;
    int64_t wake_ms;               /* TIMED: monotonic */
    int64_t later_since_ms;        /* monotonic: the step in hand asks to look again since then */
    int64_t received_ms;           /* monotonic */
    int64_t started_wall_ms;
    json_t *entries;               /* transcript: array of {ms, target, dir, text, verdict} */
    size_t entries_bytes;
    bool entries_cut;
    char (*journal)[32];           /* ids of its entries in the device's journal */
    size_t journal_n;
    size_t journal_cap;
    int seq;

    struct sn_buf raw;             /* the first reply of this run that nobody understood, as it came: only sealed does it leave */
    json_t *follow_ups;            /* places left to events of their own, as the result names them; or NULL */
    char outcome[16];              /* final outcome once decided */
    struct sn_verdict cause;       /* why dead, rejected, waiting */
    atomic_int confirms;           /* publications whose confirm is awaited, plus one while a lane has the job */
    atomic_bool unconfirmed;       /* a publication was refused: say it all again */
    atomic_bool copied;            /* the message stands in another queue: this delivery is done with, whatever else was refused */
};

/* Makes a job from a delivery (takes it) or an event for a plan (takes it). NULL on memory (then what was given is freed). */
struct sn_job *sn_job_new(struct sn_delivery *delivery, struct sn_event *event, struct sn_inventory *inv, const struct sn_log *log);
void sn_job_free(struct sn_job *job);
/* The job has no steps again, as before its admission. Its owner. */
void sn_job_drop_steps(struct sn_job *job);
/* The only way to change the state. An illegal way is a bug of ours: logged as error, and the state is set nevertheless. */
void sn_job_enter(struct sn_job *job, enum sn_job_state state);
bool sn_job_may_enter(enum sn_job_state from, enum sn_job_state to);

/* The job is on its way through lanes (or not any more): a save group waits for those that are. The job's owner. */
void sn_job_flow(struct sn_job *job, bool flows);

/* Notes the id of a journal entry, to be dropped when the result is confirmed. An id that cannot be kept stays in the journal: the next
 * owner says it once more. */
void sn_job_journaled(struct sn_job *job, const char *id);

/* "<ns>/<contract id>": key of the record. */
void sn_job_owner(const struct sn_job *job, char *out, size_t size);

/* A FIFO of jobs; not locked. */
struct sn_job_list {
    struct sn_job *first;
    struct sn_job **last;
    int n;
};
void sn_job_list_init(struct sn_job_list *l);
void sn_job_list_push(struct sn_job_list *l, struct sn_job *job);
struct sn_job *sn_job_list_pop(struct sn_job_list *l);
/* Takes the first for which match() is true (match NULL: the first); NULL when there is none. */
struct sn_job *sn_job_list_take(struct sn_job_list *l, bool (*match)(const struct sn_job *job, const void *arg), const void *arg);

/* A heap of jobs by wake_ms, NULL = empty; not locked. Allocates nothing. */
void sn_job_heap_push(struct sn_job **heap, struct sn_job *job);
/* Takes the one with the smallest wake_ms; NULL when there is none. */
struct sn_job *sn_job_heap_pop(struct sn_job **heap);

#endif
