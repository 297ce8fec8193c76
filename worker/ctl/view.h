/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of silverctl as text: pure functions of the documents that --json prints (schemas/ctl/v1). Local time
 * comes from TZ, the language from the locale; now_ms decides what "today" is. Thread: one.
 */
#ifndef SN_WORKER_CTL_VIEW_H
#define SN_WORKER_CTL_VIEW_H

#include "worker/ctl/out.h"

void sn_view_event(struct sn_out *o, const json_t *event, int64_t now_ms);
/* The literal dialogue, for --raw. */
void sn_view_event_raw(struct sn_out *o, const json_t *event, int64_t now_ms);
void sn_view_contract(struct sn_out *o, const json_t *contract, int64_t now_ms);
/* The owner's answer to "plan": what it would send, and what is there now. */
void sn_view_plan(struct sn_out *o, const json_t *plan, int64_t now_ms);
void sn_view_publish(struct sn_out *o, const json_t *publish, int64_t now_ms);
/* {"devices": [rows]} */
void sn_view_devices(struct sn_out *o, const json_t *list, int64_t now_ms);
void sn_view_device(struct sn_out *o, const json_t *device, int64_t now_ms);
void sn_view_device_test(struct sn_out *o, const json_t *test, int64_t now_ms);
void sn_view_gate(struct sn_out *o, const json_t *gate, int64_t now_ms);
/* {"letters": [...], "count": n} */
void sn_view_letters(struct sn_out *o, const json_t *list, int64_t now_ms);
void sn_view_letter(struct sn_out *o, const json_t *letter, int64_t now_ms);
/* {"groups": [...], "count": n} */
void sn_view_letter_groups(struct sn_out *o, const json_t *list, int64_t now_ms);
/* {"workers": [...]} */
void sn_view_workers(struct sn_out *o, const json_t *list, int64_t now_ms);
void sn_view_topology(struct sn_out *o, const json_t *topology, int64_t now_ms);
void sn_view_config(struct sn_out *o, const json_t *config, int64_t now_ms);

/* ---- shared by several views ---- */

/* The first 8 characters of an id. */
void sn_view_short_id(const char *id, char out[16]);
/* "CT-17071 ana@isp", "-" when neither is known. */
void sn_view_who(const json_t *object, char *out, size_t size);
/* How an event ended or what it waits for, in words: one line without a newline. */
void sn_view_standing(struct sn_out *o, const json_t *event, int64_t now_ms);
/* "olt-7  huawei-smartax  applied (observed)  onu 0/1/3, online" for each target. */
void sn_view_targets(struct sn_out *o, const json_t *targets);
/* The cause of an event or of a letter; %{target} is found in the event. */
void sn_view_event_cause(struct sn_out *o, const json_t *event);
/* The three sentences of a cause, with their headings. */
void sn_view_cause(struct sn_out *o, const char *code, const json_t *args);

#endif
