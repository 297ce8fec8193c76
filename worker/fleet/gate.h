/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this target be touched now? One object for the circuit breaker, the authentication lock, a person's pause, maintenance
 * and the brake on mass failures. Pure: time comes in as an argument; the caller locks (worker/fleet/device.h).
 * Thread: whoever holds the device's lock.
 */
#ifndef SN_WORKER_FLEET_GATE_H
#define SN_WORKER_FLEET_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

enum sn_gate_state {
    SN_GATE_OPEN,
    SN_GATE_PROBING, /* closed; opens when a probe succeeds */
    SN_GATE_PERSON,  /* closed; only a person opens it */
};

struct sn_gate_conf {
    int64_t probe_min_ms;
    int64_t probe_max_ms;
    int64_t probe_busy_ms; /* of a target that answers and cannot now: never longer than this */
    int equal_failures; /* so many equal terminal failures of different contracts in a row close the gate; 0 = never */
};

struct sn_gate {
    enum sn_gate_state state;
    char code[SN_CODE_MAX]; /* why: code and text of the verdict, or "person.pause" */
    char why[160];
    char by[64];            /* person, "" = we ourselves */
    int64_t since_ms;       /* wall clock */
    int64_t until_ms;       /* wall clock; a person's pause may end by itself; 0 = no end */
    int64_t probe_at_ms;    /* monotonic */
    int failures;           /* closings and failed probes since the last success: backoff */
    bool trial;             /* a probe failed: one job may ask for itself, for not every target answers a made-up question */
    char last_code[SN_CODE_MAX]; /* brake: last terminal failure */
    char last_contract[64];
    int equal;
};

bool sn_gate_is_open(const struct sn_gate *g);
/* May what was done before be taken back and saved? When it is open, and when the brake closed it: that one is about new work, and those that failed have to end. */
bool sn_gate_may_save(const struct sn_gate *g);
/* A probe is due. */
bool sn_gate_probe_due(const struct sn_gate *g, int64_t now_mono_ms);
/* Closes and plans the probe with exponential backoff; random in [0, 1000) gives the jitter. busy: the target answers and cannot now. A gate that is
 * closed already says the newest cause and stays as it is otherwise: however many jobs one outage ends, it is one closing. A person's gate is never
 * weakened. True when that is news: it was open, or the cause is another. */
bool sn_gate_close(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *why, bool busy, int64_t now_mono_ms,
                   int64_t now_wall_ms, unsigned random);
/* Closes until a person opens (or until_ms). True when it was open. */
bool sn_gate_close_person(struct sn_gate *g, const char *code, const char *why, const char *by, int64_t until_ms,
                          int64_t now_wall_ms);
/* The probe failed too: the next one comes later. True when the cause is another than before. */
bool sn_gate_probe_failed(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *why, bool busy,
                          int64_t now_mono_ms, unsigned random);
/* The one write that may be tried while it is closed: true once after each failed probe. */
bool sn_gate_take_trial(struct sn_gate *g);
/* A probe reached the target: opens; the backoff is kept until a job succeeds. */
void sn_gate_open_after_probe(struct sn_gate *g);
/* A person opens it, or a pause has run out. */
void sn_gate_open_by_person(struct sn_gate *g);
/* A job went through: the brake starts anew, and the backoff too when nothing of it waits for a save (a device that refuses to save goes
 * through everything before it, time and again). */
void sn_gate_success(struct sn_gate *g, bool saved);
/* A job failed for good. True when this closed the gate (the brake): code core.equal-failures. */
bool sn_gate_failure(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *contract,
                     int64_t now_wall_ms);
/* {state: open|closed, lock: person|"", code, why, by, since, until}: for Redis, the ledger and silverctl. New reference. */
json_t *sn_gate_to_json(const struct sn_gate *g);
/* A gate that a person closed, read back at start. */
void sn_gate_from_json(struct sn_gate *g, const json_t *stored);

#endif
