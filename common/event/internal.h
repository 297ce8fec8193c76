/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of the event reader. Nobody else includes this.
 * Thread: any, no state; a body belongs to the thread that reads it until the event is made.
 */
#ifndef SN_COMMON_EVENT_INTERNAL_H
#define SN_COMMON_EVENT_INTERNAL_H

#include "common/event/event.h"

/* For messages without a usable id: uuid5(our namespace, hex SHA-256 of the body). */
void sn_event_body_id(const void *data, size_t len, char out[SN_UUID_TEXT_MAX]);
/* A command has a record of its own, named after its id. */
void sn_event_command_record(const char *id, char out[24]);

/* Where a secret may stand in a body, `*` = every element; NULL-terminated. */
extern const char *const sn_event_secret_places[];
/* The first inline secret of a body as a JSON pointer in path; false when there is none. */
bool sn_event_find_inline(const json_t *body, char *path, size_t size);
/* Replaces every inline secret by {"$secret": "sealed:…"} and wipes the text; also equal texts in free places (x_…,
 * vars). */
int sn_event_seal(json_t *body, const unsigned char seal_public[32], struct sn_error *err) SN_MUSTCHECK;
/* Fills ev->secrets from every place of ev->body that holds a secret inline or sealed for us. */
int sn_event_hold_secrets(struct sn_event *ev, json_t *body, const struct sn_secret_store *secrets, struct sn_error *err) SN_MUSTCHECK;
/* rev over the part in its plain form: sealed: references are opened in a copy (when secrets is not NULL). */
int sn_event_plain_rev(const json_t *part, const struct sn_event_policy *policy, char out[SN_REV_MAX],
                       struct sn_error *err) SN_MUSTCHECK;
/* Overwrites every string of a tree that nobody else holds, then drops the reference. */
void sn_event_wipe(json_t *tree);

#endif
