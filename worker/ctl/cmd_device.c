/* SPDX-License-Identifier: Apache-2.0 */
/* device: the fleet's present, from Redis and the broker; tests and pauses through the owner. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "worker/ctl/ctl.h"
#include "worker/ctl/past.h"
#include "worker/ctl/view.h"
#include "worker/fleet/survey.h"

/* ---- one device as a row (ctl/v1: device_row) ---- */

/* Redis keeps Unix ms, people see times. */
static json_t *gate_document(const json_t *gate)
{
    if (!json_is_object(gate) || strcmp(sn_json_text(gate, "state"), "closed") != 0)
        return json_pack("{s:s}", "state", "open");
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "state", "closed", "code", sn_json_text(gate, "code"),
                     "why", sn_json_text(gate, "why"), "by", sn_json_text(gate, "by"), "since",
                     sn_json_new_time(sn_json_number(gate, "since")), "until", sn_json_new_time(sn_json_number(gate, "until")),
                     "probe", sn_json_new_time(sn_json_number(gate, "probe")), "person",
                     strcmp(sn_json_text(gate, "lock"), "person") == 0);
}

/* Messages that are ready; null when the queue is not there. */
static int ready_of(struct sn_broker_client *broker, const char *device, const char *suffix, json_t **ret,
                    struct sn_error *err)
{
    char queue[128];
    int ready, consumers;

    (void)snprintf(queue, sizeof(queue), "silver.device.%s%s", device, suffix);
    if (sn_broker_client_queue(broker, queue, &ready, &consumers, err) == 0)
        *ret = json_integer(ready);
    else if (strcmp(err->code, "broker.no-queue") == 0)
        *ret = json_null();
    else
        return -1;
    return 0;
}

static int device_row(struct sn_ctl *ctl, const struct sn_target *target, json_t **ret, struct sn_error *err)
{
    struct sn_broker_client *broker;
    struct sn_store *store;
    json_t *survey = NULL, *ready = NULL, *bulk = NULL;
    const json_t *owner, *unsaved;
    bool owned;

    if (sn_ctl_store(ctl, &store, err) != 0 || sn_ctl_broker(ctl, &broker, err) != 0 ||
        sn_survey_device(store, target->uid, &survey, err) != 0)
        return -1;
    if (ready_of(broker, target->id, "", &ready, err) != 0 || ready_of(broker, target->id, ".bulk", &bulk, err) != 0) {
        json_decref(ready);
        json_decref(survey);
        return -1;
    }
    owner = json_object_get(survey, "owner");
    unsaved = json_object_get(survey, "unsaved");
    owned = json_is_object(owner) && sn_json_true(owner, "alive") && !sn_json_true(owner, "released");
    *ret =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "device", target->id, "uid", target->uid, "driver",
                  target->driver, "owner", owned ? json_string(sn_json_text(owner, "worker")) : json_null(), "epoch",
                  json_is_object(owner) ? json_integer(sn_json_number(owner, "epoch")) : json_null(), "gate",
                  gate_document(json_object_get(survey, "gate")), "ready", ready, "bulk", bulk, "unsaved",
                  (json_int_t)sn_json_number(unsaved, "writes"));
    json_decref(survey);
    return *ret != NULL ? 0 : sn_error_oom(err);
}

int sn_cmd_device_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const struct sn_inventory *inventory;
    json_t *rows = json_array();
    int rc = sn_ctl_inventory(ctl, &inventory, err);

    (void)args;
    for (size_t i = 0; rc == 0 && i < sn_inventory_count(inventory); i++) {
        json_t *row = NULL;
        rc = device_row(ctl, sn_inventory_at(inventory, i), &row, err);
        if (rc == 0)
            (void)json_array_append_new(rows, row);
    }
    if (rc != 0) {
        json_decref(rows);
        return -1;
    }
    return sn_ctl_answer_list(ctl, "device", json_pack("{s:o}", "devices", rows), "devices", sn_view_devices, err);
}

int sn_cmd_device_show(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const struct sn_target *target;
    json_t *row = NULL, *past = NULL;
    struct sn_pg *pg;

    if (sn_ctl_target(ctl, args->words[0], &target, err) != 0 || device_row(ctl, target, &row, err) != 0)
        return -1;
    if (sn_ctl_pg(ctl, &pg, err) != 0 ||
        sn_past_device(pg, target->uid, target->id, 10, ctl->timeout_ms, &past, err) != 0) {
        json_decref(row);
        return -1;
    }
    (void)json_object_update(row, past);
    json_decref(past);
    return sn_ctl_answer(ctl, "device", row, sn_view_device, err);
}

/* ---- through the owner ---- */

int sn_cmd_device_test(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const struct sn_target *target;
    json_t *answer = NULL, *document;
    bool ok;

    if (sn_ctl_target(ctl, args->words[0], &target, err) != 0 ||
        sn_ctl_ask_owner(ctl, target, "device-test", NULL, &answer, err) != 0)
        return -1;
    document = sn_json_deep_copy(answer);
    json_decref(answer);
    (void)json_object_set_new(document, "device", json_string(target->id));
    ok = sn_json_true(document, "ok");
    if (sn_ctl_answer(ctl, "device-test", document, sn_view_device_test, err) != 0)
        return -1;
    return ok ? SN_EXIT_OK : SN_EXIT_OUTCOME;
}

/* The transcript as a fixture: what was sent behind "> ", what came back as it is. */
static void view_record(struct sn_out *o, const json_t *record, int64_t now_ms)
{
    json_t *entry;
    size_t i;

    (void)now_ms;
    json_array_foreach (json_object_get(record, "entries"), i, entry) {
        sn_out_block(o, "> ", sn_json_text(entry, "sent"));
        sn_out_block(o, "", sn_json_text(entry, "received"));
    }
}

int sn_cmd_device_record(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const struct sn_target *target;
    json_t *answer = NULL, *document;

    if (sn_ctl_target(ctl, args->words[0], &target, err) != 0 ||
        sn_ctl_ask_owner(ctl, target, "device-record", NULL, &answer, err) != 0)
        return -1;
    document = sn_json_deep_copy(answer);
    json_decref(answer);
    (void)json_object_set_new(document, "device", json_string(target->id));
    return sn_ctl_answer(ctl, "device-record", document, view_record, err);
}

/* "06:00" = the next time that the clock shows it, "2h", "30m", or RFC 3339. 0 when it is none of them. */
static int64_t parse_until(const char *text, int64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000), then;
    struct tm tm;
    int hour, minute;
    char unit, end;
    int64_t ms;

    if (sn_clock_parse_utc(text, &ms) == 0)
        return ms;
    if (sscanf(text, "%2d:%2d%c", &hour, &minute, &end) == 2 && hour < 24 && minute < 60 && hour >= 0 && minute >= 0) {
        if (localtime_r(&now, &tm) == NULL)
            return 0;
        tm.tm_hour = hour;
        tm.tm_min = minute;
        tm.tm_sec = 0;
        tm.tm_isdst = -1;
        then = mktime(&tm);
        if (then <= now) {
            tm.tm_mday++;
            tm.tm_isdst = -1;
            then = mktime(&tm);
        }
        return (int64_t)then * 1000;
    }
    if (sscanf(text, "%5d%c%c", &hour, &unit, &end) == 2 && hour > 0 && (unit == 'h' || unit == 'm' || unit == 'd'))
        return now_ms + (int64_t)hour * (unit == 'd' ? 86400000 : unit == 'h' ? 3600000 : 60000);
    return 0;
}

/* The ledger's copy: a flush of Redis must not reopen the device. */
static int publish_gate(struct sn_ctl *ctl, const struct sn_target *target, const json_t *gate, struct sn_error *err)
{
    json_t *message = sn_json_deep_copy(gate);
    struct sn_broker_client *broker;
    struct sn_publication *pub;
    char key[96];
    char *body;

    (void)json_object_set_new(message, "schema", json_string("silver.gate/1"));
    (void)json_object_set_new(message, "uid", json_string(target->uid));
    (void)json_object_set_new(message, "target", json_string(target->id));
    (void)snprintf(key, sizeof(key), "gate.%s", target->id);
    body = sn_json_dumps(message, JSON_COMPACT);
    json_decref(message);
    if (body == NULL)
        return sn_error_oom(err);
    if (sn_ctl_broker(ctl, &broker, err) != 0) {
        free(body);
        return -1;
    }
    pub = sn_publication_new("silver.results", key, body, strlen(body));
    if (pub == NULL)
        return sn_error_oom(err);
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    (void)snprintf(pub->type, sizeof(pub->type), "silver.gate/1");
    return sn_broker_client_publish(broker, pub, sn_clock_mono_ms() + ctl->timeout_ms, err);
}

/* Nobody owns the device, so nobody can carry the order out: it goes to the ledger (confirmed) and where the next owner
 * looks. */
static int leave_order(struct sn_ctl *ctl, const struct sn_target *target, const json_t *gate, struct sn_error *err)
{
    bool closed = strcmp(sn_json_text(gate, "state"), "closed") == 0;
    struct sn_store *store;
    json_t *stored;
    int rc;

    if (publish_gate(ctl, target, gate, err) != 0 || sn_ctl_store(ctl, &store, err) != 0)
        return -1;
    stored = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "state", sn_json_text(gate, "state"), "lock",
                       closed ? "person" : "", "code", sn_json_text(gate, "code"), "why", sn_json_text(gate, "why"),
                       "by", sn_json_text(gate, "by"), "since", (json_int_t)sn_json_time(gate, "since"), "until",
                       (json_int_t)sn_json_time(gate, "until"));
    rc = stored != NULL ? sn_store_gate_put(store, target->uid, stored, err) : sn_error_oom(err);
    json_decref(stored);
    return rc;
}

/* The order as a document; --until and --why judged. */
static int gate_of(const struct sn_ctl *ctl, const struct sn_args *args, bool pause, json_t **ret, struct sn_error *err)
{
    const char *why = args->value[SN_FLAG_WHY] != NULL ? args->value[SN_FLAG_WHY] : "",
               *until = args->value[SN_FLAG_UNTIL];
    int64_t since_ms = sn_clock_wall_ms(), until_ms = 0;

    if (until != NULL && (until_ms = parse_until(until, since_ms)) <= since_ms)
        return sn_error_set(err, "usage.until",
                            "--until wants a time to come: 06:00, 2h, 30m, or 2026-11-23T06:00:00-04:00");
    if (strlen(why) > 150)
        return sn_error_set(err, "usage.why", "--why takes at most 150 bytes");
    *ret = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "state", pause ? "closed" : "open", "code",
                     pause ? "person.pause" : "", "why", why, "by", ctl->user, "since", sn_json_new_time(since_ms), "until",
                     sn_json_new_time(until_ms));
    return *ret != NULL ? 0 : sn_error_set(err, "usage.why", "--why must be UTF-8");
}

static int order(struct sn_ctl *ctl, const struct sn_args *args, bool pause, struct sn_error *err)
{
    const struct sn_target *target;
    json_t *gate, *request, *answer = NULL;
    int rc;

    if (gate_of(ctl, args, pause, &gate, err) != 0)
        return -1;
    request =
        pause ? json_pack("{s:O, s:O}", "why", json_object_get(gate, "why"), "until", json_object_get(gate, "until"))
              : NULL;
    if (sn_ctl_target(ctl, args->words[0], &target, err) != 0) {
        json_decref(request);
        json_decref(gate);
        return -1;
    }
    rc = sn_ctl_ask_owner(ctl, target, pause ? "device-pause" : "device-resume", request, &answer, err);
    if (rc != 0 && (strcmp(err->code, "owner.none") == 0 || strcmp(err->code, "owner.gone") == 0)) {
        sn_ctl_say(_("%s: the next owner will find this order"), err->text);
        answer = json_pack("{s:s, s:O}", "device", target->id, "gate", gate);
        rc = leave_order(ctl, target, gate, err);
    }
    json_decref(gate);
    if (rc != 0) {
        json_decref(answer);
        return -1;
    }
    return sn_ctl_answer(ctl, "gate", answer, sn_view_gate, err);
}

int sn_cmd_device_pause(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    return order(ctl, args, true, err);
}

int sn_cmd_device_resume(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    return order(ctl, args, false, err);
}
