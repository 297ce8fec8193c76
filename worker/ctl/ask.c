/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the owner of a device (ctl/v1): silverctl itself never opens one. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "worker/ctl/ctl.h"
#include "worker/fleet/survey.h"

struct conversation {
    struct sn_patience *patience;
    const char *id;
    const char *worker;
    const char *device;
    json_t *answer;
    struct sn_error refusal; /* the owner's own error; code "" = none */
};

/* "worker-2/1a2b3c4d" -> "worker-2". */
static void name_of(const char *worker, char *out, size_t size)
{
    (void)snprintf(out, size, "%.*s", (int)strcspn(worker, "/"), worker);
}

static void say_waiting(struct conversation *c, const json_t *body)
{
    char worker[64], what[256];
    json_int_t ahead = sn_json_number(body, "ahead");

    name_of(c->worker, worker, sizeof(worker));
    if (json_object_get(body, "ahead") != NULL)
        (void)snprintf(what, sizeof(what), P_("waiting for %s (%lld job ahead on %s)", "waiting for %s (%lld jobs ahead on %s)", ahead),
                       worker, (long long)ahead, c->device);
    else
        (void)snprintf(what, sizeof(what), _("waiting for %s: %s"), worker, sn_json_text(body, "text"));
    sn_patience_change(c->patience, what);
}

static bool on_reply(void *arg, const json_t *reply)
{
    struct conversation *c = arg;
    const char *kind = sn_json_text(reply, "kind");
    json_t *body = json_object_get(reply, "body");

    if (strcmp(sn_json_text(reply, "id"), c->id) != 0)
        return false; /* of an earlier question */
    if (strcmp(kind, "waiting") == 0) {
        say_waiting(c, body);
        return false;
    }
    if (strcmp(kind, "error") == 0)
        (void)sn_error_set(&c->refusal, sn_json_text(body, "code"), "%s", sn_json_text(body, "text"));
    else if (strcmp(kind, "answer") == 0) {
        json_decref(c->answer);
        c->answer = json_incref(body);
    }
    return sn_json_true(reply, "last");
}

/* The live owner of the device. */
static int find_owner(struct sn_ctl *ctl, const struct sn_target *target, char *worker, size_t size,
                      struct sn_error *err)
{
    struct sn_store *store;
    json_t *survey = NULL;
    const json_t *owner;
    int rc = -1;

    if (sn_ctl_store(ctl, &store, err) != 0 || sn_survey_device(store, target->uid, &survey, err) != 0)
        return -1;
    owner = json_object_get(survey, "owner");
    if (!json_is_object(owner) || sn_json_true(owner, "released"))
        (void)sn_error_set(err, "owner.none", "no worker owns %s now", target->id);
    else if (!sn_json_true(owner, "alive"))
        (void)sn_error_set(err, "owner.none", "no worker owns %s now: %s, its last owner, is gone", target->id,
                           sn_json_text(owner, "worker"));
    else {
        (void)snprintf(worker, size, "%s", sn_json_text(owner, "worker"));
        rc = 0;
    }
    json_decref(survey);
    return rc;
}

/* device NULL: a question about the worker itself. args: taken. */
static json_t *request_of(const struct sn_ctl *ctl, const char *device, const char *what, json_t *args, const char *id,
                          int timeout_ms)
{
    char deadline[SN_TIME_TEXT_MAX];
    json_t *request;

    sn_clock_format_utc(sn_clock_wall_ms() + timeout_ms, deadline);
    request = json_pack("{s:s, s:s, s:s, s:s*, s:s, s:s}", "schema", "silver.ctl/1", "id", id, "what", what, "device",
                        device, "by", ctl->user, "deadline", deadline);
    if (args != NULL && json_object_set_new(request, "args", args) != 0) {
        json_decref(request);
        return NULL;
    }
    return request;
}

/* One conversation with a worker. c->device is for what people read while they wait. */
static int converse(struct sn_ctl *ctl, struct conversation *c, const json_t *request, int timeout_ms, json_t **ret,
                    struct sn_error *err)
{
    struct sn_broker_client *broker;
    char waiting[256], name[64];
    int rc;

    if (sn_ctl_broker(ctl, &broker, err) != 0)
        return -1;
    name_of(c->worker, name, sizeof(name));
    (void)snprintf(waiting, sizeof(waiting),
                   c->device[0] != '\0' ? _("waiting for %s, owner of %s") : _("waiting for %s"), name, c->device);
    c->patience = sn_patience_begin(waiting);
    rc = sn_broker_client_call(broker, "silver.ctl", c->worker, request, sn_clock_mono_ms() + timeout_ms, on_reply, c,
                               err);
    sn_patience_end(c->patience);
    if (rc != 0 && strcmp(err->code, "broker.unroutable") == 0)
        return sn_error_set(err, "owner.gone", "%s does not listen", c->worker);
    if (rc != 0 && strcmp(err->code, "broker.timeout") == 0)
        return sn_error_set(err, "owner.timeout", "%s did not answer within %d s", c->worker, timeout_ms / 1000);
    if (rc == 0 && c->refusal.code[0] != '\0') {
        *err = c->refusal;
        rc = -1;
    } else if (rc == 0 && c->answer == NULL)
        rc = sn_error_set(err, "owner.silent", "%s ended the conversation without an answer", c->worker);
    if (rc == 0)
        *ret = json_incref(c->answer);
    return rc;
}

int sn_ctl_ask_owner(struct sn_ctl *ctl, const struct sn_target *target, const char *what, json_t *args, json_t **ret,
                     struct sn_error *err)
{
    char id[SN_UUID_TEXT_MAX], worker[128];
    struct conversation c = { .id = id, .worker = worker, .device = target->id };
    json_t *request;
    int rc = -1;

    sn_uuid_make(id);
    request = request_of(ctl, target->id, what, args, id, ctl->timeout_ms);
    if (request == NULL)
        return sn_error_oom(err);
    if (find_owner(ctl, target, worker, sizeof(worker), err) == 0)
        rc = converse(ctl, &c, request, ctl->timeout_ms, ret, err);
    json_decref(c.answer);
    json_decref(request);
    return rc;
}

int sn_ctl_ask_worker(struct sn_ctl *ctl, const char *worker, const char *what, int timeout_ms, json_t **ret,
                      struct sn_error *err)
{
    char id[SN_UUID_TEXT_MAX];
    struct conversation c = { .id = id, .worker = worker, .device = "" };
    json_t *request;
    int rc;

    sn_uuid_make(id);
    request = request_of(ctl, NULL, what, NULL, id, timeout_ms);
    if (request == NULL)
        return sn_error_oom(err);
    rc = converse(ctl, &c, request, timeout_ms, ret, err);
    json_decref(c.answer);
    json_decref(request);
    return rc;
}
