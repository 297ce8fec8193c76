/* SPDX-License-Identifier: Apache-2.0 */
/* publish, plan: events that a person sends or asks about. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/text.h"
#include "common/event/event.h"
#include "common/schema/doc.h"
#include "worker/ctl/ctl.h"
#include "worker/ctl/past.h"
#include "worker/ctl/view.h"

#define EVENT_BYTES_MAX (64 * 1024)
#define POLL_MS 100

struct message {
    const char *path;
    char *data;
    size_t len;
    const char *content_type;
    json_t *body;
    char id[SN_UUID_TEXT_MAX];
    char type[32];
    char device[SN_DEVICE_ID_MAX];
    char routing_key[160];
};

static void message_fini(struct message *m)
{
    free(m->data);
    json_decref(m->body);
}

/* Shape and meaning, as the worker will judge them. Whether inline secrets are taken is the fleet's own setting: warned
 * of, not refused. */
static int judge(struct sn_ctl *ctl, const struct message *m, struct sn_error *err)
{
    struct sn_event_policy policy = { 0 };
    struct sn_event_refusal refusal;
    struct sn_event *event = NULL;

    if (sn_ctl_schemas(ctl, &policy.schemas, err) != 0)
        return -1;
    if (sn_event_read(&policy, m->data, m->len, m->content_type, NULL, &event, &refusal) == 0) {
        sn_event_free(event);
        return 0;
    }
    if (strcmp(refusal.code, "event.inline-secret") == 0) {
        if (!ctl->inline_secrets)
            sn_ctl_say(_("%s: holds a secret in clear (%s): the fleet takes it only where secrets.inline is allowed"),
                       m->path, refusal.path);
        return 0;
    }
    return sn_error_set(err, strncmp(refusal.code, "event.", 6) == 0 ? refusal.code : "event.invalid",
                        "%s: %s%s%s (%s)", m->path, refusal.path, refusal.path[0] != '\0' ? ": " : "", refusal.rule,
                        refusal.code);
}

/* contract.<action>.<device>, command.<what>.<device>, bulk.<action>.<device> */
static int route(struct message *m, bool bulk, struct sn_error *err)
{
    const char *device = sn_event_routing_device(m->body);
    const char *action = strchr(m->type, '.');

    if (device == NULL || action == NULL || sn_text_copy(m->device, sizeof(m->device), device) != 0)
        return sn_error_set(err, "event.no-device", "%s names no device that it could be sent to", m->path);
    (void)snprintf(m->routing_key, sizeof(m->routing_key), "%.*s%s.%s", bulk ? 4 : (int)(action - m->type),
                   bulk ? "bulk" : m->type, action, device);
    return 0;
}

static int message_read(struct sn_ctl *ctl, const char *path, bool bulk, struct message *m, struct sn_error *err)
{
    const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;
    bool packed;

    memset(m, 0, sizeof(*m));
    m->path = path;
    if (sn_ctl_read_file(path, EVENT_BYTES_MAX, &m->data, &m->len, err) != 0)
        return -1;
    packed = m->len > 0 && ((unsigned char)m->data[0] & 0x80) != 0; /* a msgpack map; JSON begins with ASCII */
    m->content_type = packed ? "application/msgpack" : "application/json";
    if (sn_doc_load(m->data, m->len, packed ? SN_DOC_MSGPACK : SN_DOC_JSON, &limits, &m->body, err) != 0)
        return sn_error_prefix(err, "%s", path);
    if (judge(ctl, m, err) != 0)
        return -1;
    if (sn_text_copy(m->id, sizeof(m->id), sn_json_text(m->body, "id")) != 0 ||
        sn_text_copy(m->type, sizeof(m->type), sn_json_text(m->body, "type")) != 0)
        return sn_error_set(err, "event.invalid", "%s: id or type is too long", path);
    return route(m, bulk, err);
}

static int publish(struct sn_ctl *ctl, struct message *m, struct sn_error *err)
{
    struct sn_broker_client *broker;
    struct sn_publication *pub;
    char *body;

    if (sn_ctl_broker(ctl, &broker, err) != 0)
        return -1;
    body = m->data;
    m->data = NULL;
    pub = sn_publication_new("silver.events", m->routing_key, body, m->len);
    if (pub == NULL)
        return sn_error_oom(err);
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "%s", m->content_type);
    (void)snprintf(pub->type, sizeof(pub->type), "%s", m->type);
    (void)snprintf(pub->message_id, sizeof(pub->message_id), "%s", m->id);
    return sn_broker_client_publish(broker, pub, sn_clock_mono_ms() + ctl->timeout_ms, err);
}

static const char *ref_of(const struct message *m)
{
    return sn_json_text(json_object_get(m->body, "contract"), "ref");
}

static const char *username_of(const struct message *m)
{
    return sn_json_text(json_object_get(json_object_get(m->body, "service"), "access"), "username");
}

static json_t *document_of(const struct message *m)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:n, s:s, s:s}", "event", m->id, "type", m->type, "routing_key",
                     m->routing_key, "device", m->device, "confirmed", 1, "outcome", "ref", ref_of(m), "username",
                     username_of(m));
}

/* ---- --wait ---- */

static bool is_good(const char *outcome)
{
    return strcmp(outcome, "dead") != 0 && strcmp(outcome, "rejected") != 0;
}

static void say_standing(struct sn_patience *patience, const char *id, const json_t *event)
{
    const json_t *waiting = json_object_get(event, "waiting");
    char what[256];

    if (json_is_object(waiting))
        (void)snprintf(what, sizeof(what), _("%.8s waits for %s: %s"), id, sn_json_text(waiting, "target"),
                       sn_json_text(waiting, "code"));
    else
        (void)snprintf(what, sizeof(what), _("%.8s is in progress, run %lld"), id,
                       (long long)sn_json_number(event, "run"));
    sn_patience_change(patience, what);
}

/* Until the ledger knows the final outcome. *ret_event: the event's document. */
static int wait_for(struct sn_ctl *ctl, const struct message *m, int64_t deadline_ms, json_t **ret_event,
                    struct sn_error *err)
{
    struct sn_patience *patience;
    struct sn_pg *pg;
    char what[256];
    int rc;

    if (sn_ctl_pg(ctl, &pg, err) != 0)
        return -1;
    (void)snprintf(what, sizeof(what), _("waiting for the owner of %s: no run of %.8s is recorded yet"), m->device,
                   m->id);
    patience = sn_patience_begin(what);
    for (;;) {
        json_t *event = NULL;
        rc = sn_past_outcome(pg, m->id, ctl->timeout_ms, &event, err);
        if (rc == 0 && strcmp(sn_json_text(event, "state"), "final") == 0) {
            *ret_event = event;
            break;
        }
        if (rc == 0)
            say_standing(patience, m->id, event);
        else if (strcmp(err->code, "event.not-found") != 0 && strcmp(err->code, "ledger.no-tables") != 0)
            break;
        json_decref(event);
        if (sn_clock_mono_ms() >= deadline_ms) {
            rc = sn_error_set(err, "wait.timeout", "%.8s is not final yet; it goes on: silverctl event %.8s", m->id,
                              m->id);
            break;
        }
        (void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
    sn_patience_end(patience);
    return rc;
}

static int answer_one(struct sn_ctl *ctl, const struct message *m, const json_t *event, struct sn_error *err)
{
    json_t *document = document_of(m);

    if (document == NULL)
        return sn_error_oom(err);
    if (event != NULL) {
        (void)json_object_update(document, (json_t *)(uintptr_t)event);
        (void)json_object_set_new(document, "username", json_string(username_of(m)));
    }
    return sn_ctl_answer(ctl, "publish", document, sn_view_publish, err);
}

static int wait_for_all(struct sn_ctl *ctl, const struct message *messages, size_t n, struct sn_error *err)
{
    int64_t deadline_ms = sn_clock_mono_ms() + ctl->timeout_ms;
    int code = SN_EXIT_OK;

    for (size_t i = 0; i < n; i++) {
        json_t *event = NULL;
        int rc = wait_for(ctl, &messages[i], deadline_ms, &event, err);
        if (rc == 0 && !is_good(sn_json_text(event, "outcome")))
            code = SN_EXIT_OUTCOME;
        rc = rc == 0 ? answer_one(ctl, &messages[i], event, err) : rc;
        json_decref(event);
        if (rc != 0)
            return -1;
    }
    return code;
}

/* Everything is read and judged before the first one is sent. */
int sn_cmd_publish(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    struct message *messages = calloc(args->n, sizeof(*messages));
    size_t read = 0;
    int rc = messages != NULL ? 0 : sn_error_oom(err);

    for (; rc == 0 && read < args->n; read++)
        rc = message_read(ctl, args->words[read], args->given[SN_FLAG_BULK], &messages[read], err);
    for (size_t i = 0; rc == 0 && i < args->n; i++) {
        rc = publish(ctl, &messages[i], err);
        if (rc == 0 && !args->given[SN_FLAG_WAIT])
            rc = answer_one(ctl, &messages[i], NULL, err);
        if (rc != 0)
            (void)sn_error_prefix(err, "%s (%zu of %zu were published before it)", messages[i].path, i, args->n);
    }
    if (rc == 0 && args->given[SN_FLAG_WAIT])
        rc = wait_for_all(ctl, messages, args->n, err);
    for (size_t i = 0; messages != NULL && i < read; i++)
        message_fini(&messages[i]);
    free(messages);
    return rc;
}

/* ---- plan ---- */

/* The owner's answer in the shape of ctl/v1, with the number of changes and what we know of the event. */
static json_t *plan_document(const struct message *m, const json_t *answer)
{
    json_t *plan = sn_json_deep_copy(answer), *target, *change;
    json_int_t changes = 0;
    size_t i, k;

    json_array_foreach (json_object_get(plan, "targets"), i, target) {
        json_t *list = json_object_get(target, "changes");
        json_array_foreach (list, k, change)
            changes += strcmp(sn_json_text(change, "mark"), " ") != 0;
    }
    (void)json_object_set_new(plan, "event", json_string(m->id));
    (void)json_object_set_new(plan, "type", json_string(m->type));
    (void)json_object_set_new(plan, "device", json_string(m->device));
    (void)json_object_set_new(plan, "ref", json_string(ref_of(m)));
    (void)json_object_set_new(plan, "username", json_string(username_of(m)));
    (void)json_object_set_new(plan, "generation", json_integer(sn_json_number(m->body, "generation")));
    (void)json_object_set_new(plan, "changes", json_integer(changes));
    return plan;
}

int sn_cmd_plan(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const struct sn_target *target;
    struct message m;
    json_t *answer = NULL, *plan;
    bool changes, refused = false;
    json_t *t;
    size_t i;
    int rc = -1;

    if (message_read(ctl, args->words[0], false, &m, err) != 0 || sn_ctl_target(ctl, m.device, &target, err) != 0 ||
        sn_ctl_ask_owner(ctl, target, "plan", json_pack("{s:O}", "event", m.body), &answer, err) != 0)
        goto out;
    plan = plan_document(&m, answer);
    changes = sn_json_number(plan, "changes") > 0;
    json_array_foreach (json_object_get(plan, "targets"), i, t)
        refused = refused || sn_json_text(t, "code")[0] != '\0';
    if (sn_ctl_answer(ctl, "plan", plan, sn_view_plan, err) != 0)
        goto out;
    rc = refused ? SN_EXIT_OUTCOME : changes && args->given[SN_FLAG_EXIT_CODE] ? SN_EXIT_CHANGES : SN_EXIT_OK;
out:
    json_decref(answer);
    message_fini(&m);
    return rc;
}
