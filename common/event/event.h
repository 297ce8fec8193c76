/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event as the core sees it: loaded, of the right shape, with its meaning checked, its secrets sealed.
 * See schemas/event/v1 for the words. Thread: one owner at a time; immutable after sn_event_read().
 */
#ifndef SN_COMMON_EVENT_EVENT_H
#define SN_COMMON_EVENT_EVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/schema/schema.h"
#include "common/secret/secret.h"

#define SN_DEVICE_ID_MAX 64
#define SN_REF_MAX 33
#define SN_NS_MAX 160
#define SN_REV_MAX 17
#define SN_EVENT_SECRETS_MAX 12 /* as many as the schema has places for */

enum sn_service_state { SN_STATE_ACTIVE, SN_STATE_SUSPENDED, SN_STATE_TERMINATED };

struct sn_event {
    json_t *body;          /* own reference; inline secrets already sealed: safe to store and to republish */
    const json_t *service; /* borrowed from body; NULL for a command and for contract.cleanup */
    const json_t *command; /* borrowed from body; NULL for a contract event */
    const json_t *cleanup; /* borrowed from body; NULL but for contract.cleanup (device, uid, keys[]) */
    char id[SN_UUID_TEXT_MAX];
    char parent[SN_UUID_TEXT_MAX];  /* of a contract.cleanup: the event that left something behind; else "" */
    char type[32];                  /* contract.activated … contract.cleanup, or command.<what> */
    char ns[SN_NS_MAX];             /* <source.system>/<source.database> */
    char user[64];                  /* source.user, "" when absent */
    char contract_id[24];           /* decimal; for a command the key of its own record, "cmd-<16 hex>" */
    char ref[SN_REF_MAX];           /* contract.ref: the mark on everything that we create; may be "" for a command */
    char routing[SN_DEVICE_ID_MAX]; /* device id whose queue this event belongs to */
    char rev[SN_REV_MAX];        /* keyed hash of the canonical service before sealing (see sn_event_rev) */
    int64_t generation;          /* for a command without one: occurred_ms */
    int64_t occurred_ms;         /* wall clock */
    int64_t not_after_ms;        /* of a command, wall clock: later = superseded; 0 for an event */
    enum sn_service_state state; /* contract.cleanup: terminated; a command: active */
    bool disagrees;              /* type and state contradict each other: state wins, the caller counts */
    bool shared;                 /* service.onu.shared */
    /* What came inline or sealed, in plain: known to the redactor while the event lives, whoever says it back. */
    struct sn_secret secrets[SN_EVENT_SECRETS_MAX];
    int secrets_n;
};

/* Why a message cannot be worked on. `dead` = may become right after a change on our side (an upgrade, a setting, the
 * inventory); otherwise `rejected`. The identity fields are filled as far as the message allowed (id: message_id when
 * it is a uuid, else uuid5 of the body's SHA-256; the rest may be empty). */
struct sn_event_refusal {
    bool dead;
    char code[SN_CODE_MAX]; /* SN_CODE_OOM = nobody has judged it: give it back; event.syntax, event.shape, event.source, event.unknown-field, event.inline-secret … */
    char path[256];
    char rule[128];
    char id[SN_UUID_TEXT_MAX];
    char ref[SN_REF_MAX];
    char routing[SN_DEVICE_ID_MAX];
    char type[32];
};

/* What the reader needs to judge; immutable, shared by threads. */
struct sn_event_policy {
    const struct sn_schemas *schemas;
    const unsigned char *fleet_key;   /* 32 bytes: keyed hash; NULL in tools that only check */
    const unsigned char *seal_public; /* 32 bytes: sealed boxes for inline secrets; NULL = refuse inline secrets */
    /* Opens sealed: references for rev, so that a replayed event (sealed) and the original (inline) have the same rev, and keeps secrets
     * from being shown; NULL = references are hashed as they stand, and nothing is kept. */
    const struct sn_secret_store *secrets;
    const char *const *sources; /* allow-list of "system/database", NULL-terminated; NULL = any (tools only) */
    bool inline_secrets;        /* accept inline secrets at all */
};

/* Reads one message. content_type: "application/msgpack" or "application/json" (anything else: by the first byte).
 * message_id may be NULL. Returns 0 and *ret_event (owned by the caller), or -1 and *refusal. */
int sn_event_read(const struct sn_event_policy *policy, const void *data, size_t len, const char *content_type,
                  const char *message_id, struct sn_event **ret_event, struct sn_event_refusal *refusal) SN_MUSTCHECK;
void sn_event_free(struct sn_event *ev);

/* onu.device, else router.device, else access.server; for a command its target, for contract.cleanup its device. NULL
 * when there is none. Borrowed; not checked (ask after sn_event_read()). */
const char *sn_event_routing_device(const json_t *body);

/* 36 characters, lower case. */
bool sn_event_is_uuid(const char *text);
/* Deterministic id of a follow-up: uuid5(parent, name) as RFC 4122 has it. */
void sn_event_derive_id(const char *parent, const char *name, char out[SN_UUID_TEXT_MAX]);

/* Canonical JSON (sorted keys, compact) hashed with BLAKE2b keyed by fleet_key, first 16 hex digits. Error: memory. */
int sn_event_rev(const json_t *service, const unsigned char fleet_key[32], char out[SN_REV_MAX], struct sn_error *err) SN_MUSTCHECK;

#endif
