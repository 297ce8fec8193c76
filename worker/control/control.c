/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "worker/control/request.h"
#include "worker/job/dispatch.h"
#include "worker/job/result.h"
#include "worker/lane/lane.h"

struct sn_control {
    struct sn_fleet *fleet;
    struct sn_keeper *keeper;
};

/* One question, until it is answered. */
struct question {
    struct sn_control *c;
    struct sn_device *device;
    char id[SN_UUID_TEXT_MAX];
    char reply_to[256];
    char correlation_id[64];
    char by[64];
    json_t *args;
    int seq;
};

static void question_free(struct question *q)
{
    json_decref(q->args);
    free(q);
}

static void reply(struct question *q, const char *kind, bool last, json_t *body)
{
    json_t *r = json_pack("{s:s, s:s, s:i, s:b, s:s, s:s, s:o}", "schema", "silver.ctl/1", "id", q->id, "seq", q->seq++, "last",
                          (int)last, "kind", kind, "worker", q->c->fleet->conf.worker, "body", body);
    char *text = r != NULL ? sn_json_dumps(r, JSON_COMPACT) : NULL;
    struct sn_publication *pub = text != NULL ? sn_publication_new("", q->reply_to, text, strlen(text)) : NULL;

    json_decref(r);
    if (pub == NULL)
        return; /* who asked has a deadline */
    pub->transient = true;
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    memcpy(pub->correlation_id, q->correlation_id, sizeof(pub->correlation_id));
    sn_publisher_send(q->c->fleet->publisher, pub);
}

static void reply_error(struct question *q, const char *code, const char *text)
{
    reply(q, "error", true, json_pack("{s:s, s:s}", "code", code, "text", text));
}

/* ---- plan ---- */

static json_t *plan_target(const struct sn_step *s, int64_t now)
{
    json_t *t = json_object();

    (void)json_object_set_new(t, "target", json_string(s->target->id));
    (void)json_object_set_new(t, "driver", json_string(s->driver->name));
    (void)json_object_set_new(t, "aspect", json_string(s->aspect));
    (void)json_object_set_new(t, "now", s->holds != NULL ? json_incref(s->holds) : json_null());
    (void)json_object_set_new(t, "reality", s->reality != NULL ? json_incref(s->reality) : json_null());
    (void)json_object_set_new(t, "changes", s->plan != NULL ? json_incref(s->plan) : json_array());
    (void)json_object_set_new(t, "outcome", json_string(s->state == SN_STEP_FAILED        ? "stuck"
                                                        : json_array_size(s->plan) > 0 ? "would-change"
                                                                                       : "unchanged"));
    (void)json_object_set_new(t, "code", json_string(s->verdict.code));
    (void)json_object_set_new(t, "text", json_string(s->verdict.text));
    (void)json_object_set_new(t, "args", s->verdict.args != NULL ? json_incref(s->verdict.args) : json_object());
    (void)json_object_set_new(t, "read_ms", json_integer(s->read_ms > 0 ? now - s->read_ms : 0));
    return t;
}

static void plan_done(void *arg, struct sn_job *job)
{
    struct question *q = arg;
    json_t *targets = json_array();
    int64_t now = sn_clock_mono_ms();

    if (job->cause.code[0] != '\0') {
        reply_error(q, job->cause.code, job->cause.text);
        json_decref(targets);
        question_free(q);
        return;
    }
    for (int i = 0; i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        if (!s->commit && s->state != SN_STEP_SKIPPED)
            (void)json_array_append_new(targets, plan_target(s, now));
    }
    reply(q, "answer", true,
          json_pack("{s:{s:s, s:s}, s:{s:s, s:s, s:I}, s:s, s:I, s:o}", "contract", "ref", job->event->ref, "ns", job->event->ns,
                    "event", "id", job->event->id, "type", job->event->type, "generation", (json_int_t)job->event->generation,
                    "worker", q->c->fleet->conf.worker, "epoch", (json_int_t)job->epoch, "targets", targets));
    question_free(q);
}

static void ask_plan(struct question *q)
{
    struct sn_fleet *fleet = q->c->fleet;
    char *text = sn_json_dumps(json_object_get(q->args, "event"), JSON_COMPACT);
    struct sn_event_refusal refusal = { 0 };
    struct sn_event *event = NULL;
    struct sn_job *job;

    if (text == NULL || sn_event_read(&fleet->policy, text, strlen(text), "application/json", NULL, &event, &refusal) != 0) {
        char why[400];
        (void)snprintf(why, sizeof(why), "%.200s: %.120s", refusal.path, refusal.rule);
        reply_error(q, text != NULL ? refusal.code : "process.out-of-memory", why);
        free(text);
        question_free(q);
        return;
    }
    free(text);
    job = sn_job_new(NULL, event, fleet->inventory, fleet->log);
    if (job == NULL) {
        reply_error(q, "process.out-of-memory", "out of memory");
        question_free(q);
        return;
    }
    job->dry = true;
    job->dry_done = plan_done;
    job->dry_arg = q;
    job->device = sn_fleet_device(fleet, event->routing);
    sn_dispatch_plan(fleet->dispatch, job);
}

/* ---- orders on the lane ---- */

static bool record_one(struct sn_lane_thread *t, struct question *q, const struct sn_op *op, json_t *entries, struct sn_verdict *v)
{
    const struct sn_driver *driver = q->device->driver;
    struct sn_want want = { .kind = SN_LOOK, .aspect = driver->aspects[0], .ref = "", .owner = "", .rev = "", .target = q->device->target };
    struct sn_reply r = { 0 };
    struct sn_buf text = SN_BUF_INIT;
    int64_t now = sn_clock_mono_ms();
    bool ok;

    driver->exchange(t->session, &want, op, now + driver->op_timeout_ms(q->device->target, op), &r);
    ok = r.verdict.class == SN_OK;
    sn_job_clean_text(q->c->fleet, sn_buf_str(&r.text), r.text.len, &text);
    (void)json_array_append_new(entries, json_pack("{s:s, s:s, s:s}", "mode", op->mode, "sent", op->line, "received", sn_buf_str(&text)));
    if (!ok)
        sn_verdict_copy(v, &r.verdict);
    sn_buf_fini(&text);
    sn_reply_fini(&r);
    return ok;
}

/* A warm session proves nothing by itself: its target is asked something, or logged in to anew when nothing can be asked. */
static int ask_something(struct sn_lane_thread *t, struct question *q, int64_t deadline_ms, struct sn_verdict *v)
{
    struct sn_ops *ops = calloc(1, sizeof(*ops));
    json_t *entries = json_array();
    bool answered = true;

    if (t->session != NULL && (ops == NULL || q->device->driver->record == NULL))
        sn_lane_close_session(t, 500);
    if (sn_lane_session(t, deadline_ms, v) != 0) {
        answered = false;
    } else if (ops != NULL && q->device->driver->record != NULL) {
        q->device->driver->record(q->device->target, ops);
        answered = ops->n == 0 || record_one(t, q, &ops->v[0], entries, v);
    }
    if (!answered)
        sn_lane_close_session(t, 0);
    json_decref(entries);
    free(ops);
    return answered ? 0 : -1;
}

static void test_on_lane(struct sn_lane_thread *t, void *arg)
{
    struct question *q = arg;
    struct sn_verdict v = { 0 };
    int64_t began = sn_clock_mono_ms();
    const char *said = t->session != NULL ? "answers" : "logged in";
    int rc = ask_something(t, q, began + q->c->fleet->conf.connect_timeout_ms, &v);

    reply(q, "answer", true,
          json_pack("{s:s, s:b, s:s, s:s, s:O?, s:I}", "device", q->device->target->id, "ok", rc == 0, "code", v.code, "text",
                    rc == 0 ? said : v.text, "args", v.args, "ms", (json_int_t)(sn_clock_mono_ms() - began)));
    sn_verdict_fini(&v);
    question_free(q);
}

static void record_on_lane(struct sn_lane_thread *t, void *arg)
{
    struct question *q = arg;
    struct sn_ops *ops = calloc(1, sizeof(*ops));
    struct sn_verdict v = { 0 };
    json_t *entries = json_array();
    int64_t began = sn_clock_mono_ms();

    if (ops == NULL || q->device->driver->record == NULL) {
        reply_error(q, "core.unsupported-record", "this driver has nothing to record");
        goto out;
    }
    q->device->driver->record(q->device->target, ops);
    if (sn_lane_session(t, began + q->c->fleet->conf.connect_timeout_ms, &v) != 0) {
        reply_error(q, v.code, v.text);
        goto out;
    }
    for (size_t i = 0; i < ops->n; i++) {
        if (ops->v[i].kind == SN_READ && !record_one(t, q, &ops->v[i], entries, &v))
            break;
    }
    if (v.class != SN_OK)
        sn_lane_close_session(t, 0);
    reply(q, "answer", true, json_pack("{s:s, s:s, s:O}", "device", q->device->target->id, "driver", q->device->driver->name, "entries", entries));
out:
    json_decref(entries);
    sn_verdict_fini(&v);
    free(ops);
    question_free(q);
}

/* ---- gates by people ---- */

static json_t *gate_body(const struct sn_gate *g)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "state", g->state == SN_GATE_OPEN ? "open" : "closed", "code", g->code, "why",
                     g->why, "by", g->by, "since", sn_json_new_time(g->since_ms), "until", sn_json_new_time(g->until_ms));
}

/* The ledger's copy: a flush of Redis must not open a device on which somebody works. */
static void tell_ledger(struct sn_control *c, const struct sn_device *d, const struct sn_gate *g)
{
    json_t *m = gate_body(g);
    char key[160];
    char *text;
    struct sn_publication *pub;

    (void)json_object_set_new(m, "schema", json_string("silver.gate/1"));
    (void)json_object_set_new(m, "uid", json_string(d->target->uid));
    (void)json_object_set_new(m, "target", json_string(d->target->id));
    if (g->state == SN_GATE_OPEN)
        (void)json_object_set_new(m, "since", sn_json_new_time(sn_clock_wall_ms()));
    text = sn_json_dumps(m, JSON_COMPACT);
    json_decref(m);
    (void)snprintf(key, sizeof(key), "gate.%s", d->target->id);
    pub = text != NULL ? sn_publication_new("silver.results", key, text, strlen(text)) : NULL;
    if (pub == NULL)
        return;
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    (void)snprintf(pub->type, sizeof(pub->type), "silver.gate/1");
    sn_publisher_send(c->fleet->publisher, pub);
}

/* On the lane: whatever was in hand has had its reply; an idle session has nothing to finish. */
static void paused_on_lane(struct sn_lane_thread *t, void *arg)
{
    struct question *q = arg;
    struct sn_gate gate;
    const char *said = t->session != NULL ? "session closed" : "no session was open";

    if (!sn_device_is_exclusive(q->device))
        said = "its sessions close within a second";
    sn_lane_close_session(t, 500);
    gate = sn_device_gate(q->device);
    reply(q, "answer", true,
          json_pack("{s:s, s:o, s:i, s:s}", "device", q->device->target->id, "gate", gate_body(&gate), "unsaved",
                    atomic_load(&q->device->unsaved), "session", said));
    question_free(q);
}

static void ask_pause(struct question *q)
{
    struct sn_device *d = q->device;
    const char *why = json_string_value(json_object_get(q->args, "why"));
    const char *until = json_string_value(json_object_get(q->args, "until"));
    int64_t until_ms = 0;
    struct sn_gate copy;

    if (until != NULL && sn_clock_parse_utc(until, &until_ms) != 0)
        until_ms = 0;
    (void)pthread_mutex_lock(&d->lock);
    (void)sn_gate_close_person(&d->gate, "person.pause", why != NULL ? why : "", q->by, until_ms, sn_clock_wall_ms());
    copy = d->gate;
    (void)pthread_mutex_unlock(&d->lock);
    sn_log(q->c->fleet->log, SN_LOG_WARN, "gate", "paused by a person", "device", d->target->id, "by", q->by, "why", copy.why, NULL);
    sn_fleet_update_consuming(q->c->fleet, d);
    tell_ledger(q->c, d, &copy);
    sn_keeper_wake(q->c->keeper);
    if (sn_lane_order(d->lane, paused_on_lane, q) != 0) {
        reply_error(q, "process.out-of-memory", "out of memory");
        question_free(q);
    }
}

static void ask_resume(struct question *q)
{
    struct sn_device *d = q->device;
    struct sn_gate copy;

    (void)pthread_mutex_lock(&d->lock);
    sn_gate_open_by_person(&d->gate);
    copy = d->gate;
    (void)pthread_mutex_unlock(&d->lock);
    sn_log(q->c->fleet->log, SN_LOG_INFO, "gate", "opened by a person", "device", d->target->id, "by", q->by, NULL);
    sn_fleet_update_consuming(q->c->fleet, d);
    tell_ledger(q->c, d, &copy);
    sn_keeper_wake(q->c->keeper);
    sn_lane_wake(d->lane);
    reply(q, "answer", true,
          json_pack("{s:s, s:o, s:i}", "device", d->target->id, "gate", gate_body(&copy), "unsaved", atomic_load(&d->unsaved)));
    question_free(q);
}

static void ask_show(struct question *q)
{
    struct sn_device *d = q->device;
    int ready;
    int unsaved_jobs;
    struct sn_gate copy = sn_device_gate(d);

    sn_lane_counts(d->lane, &ready, &unsaved_jobs);
    reply(q, "answer", true,
          json_pack("{s:s, s:s, s:o, s:I, s:i, s:i, s:i, s:o}", "device", d->target->id, "driver", d->driver->name, "gate", gate_body(&copy),
                    "epoch", (json_int_t)atomic_load(&d->epoch), "in_lane", ready, "unsaved_jobs", unsaved_jobs, "unsaved",
                    atomic_load(&d->unsaved), "warm_since", sn_json_new_time(atomic_load(&d->warm_since_ms))));
    question_free(q);
}

static void ask_worker(struct question *q)
{
    struct sn_fleet *fleet = q->c->fleet;
    char why[256];

    sn_keeper_why(q->c->keeper, why, sizeof(why));
    reply(q, "answer", true,
          json_pack("{s:s, s:i, s:I, s:s}", "worker", fleet->conf.worker, "in_hand", sn_dispatch_in_hand(fleet->dispatch), "done",
                    (json_int_t)atomic_load(&fleet->jobs_done), "why", why));
    question_free(q);
}

static void ask_lane(struct question *q, void (*run)(struct sn_lane_thread *t, void *arg))
{
    int ready;
    int unsaved;

    sn_lane_counts(q->device->lane, &ready, &unsaved);
    if (ready > 0)
        reply(q, "waiting", false, json_pack("{s:s, s:i}", "text", "the lane is busy", "ahead", ready));
    if (sn_lane_order(q->device->lane, run, q) != 0) {
        reply_error(q, "process.out-of-memory", "out of memory");
        question_free(q);
    }
}

static void ask_test(struct question *q)
{
    ask_lane(q, test_on_lane);
}

static void ask_record(struct question *q)
{
    ask_lane(q, record_on_lane);
}

static const struct {
    const char *what;
    bool device; /* needs one */
    void (*ask)(struct question *q);
} ROUTES[] = {
    { "plan", false, ask_plan },          { "device-test", true, ask_test },     { "device-record", true, ask_record },
    { "device-pause", true, ask_pause },  { "device-resume", true, ask_resume }, { "device-show", true, ask_show },
    { "worker-show", false, ask_worker },
};

static void route(struct sn_control *c, const struct sn_delivery *d, const struct sn_request *request)
{
    struct question *q = calloc(1, sizeof(*q));

    if (q == NULL)
        return;
    q->c = c;
    memcpy(q->id, request->id, sizeof(q->id));
    memcpy(q->by, request->by, sizeof(q->by));
    memcpy(q->reply_to, d->reply_to, sizeof(q->reply_to));
    memcpy(q->correlation_id, d->correlation_id, sizeof(q->correlation_id));
    q->args = sn_json_deep_copy(request->args); /* for the lane: no part of what this thread frees */
    q->device = sn_fleet_device(c->fleet, request->device);
    if (sn_clock_wall_ms() > request->deadline_ms) {
        /* perhaps nobody waits for it any more; perhaps the clocks differ, and somebody does */
        reply_error(q, "control.request", "the deadline of the request is over by this worker's clock");
        question_free(q);
        return;
    }
    for (size_t i = 0; i < sizeof(ROUTES) / sizeof(ROUTES[0]); i++) {
        if (strcmp(ROUTES[i].what, request->what) != 0)
            continue;
        if (ROUTES[i].device && q->device == NULL)
            break;
        ROUTES[i].ask(q);
        return;
    }
    reply_error(q, "device.not-found", "this worker does not know the device");
    question_free(q);
}

/* Who asks waits for an answer. The id is echoed when there is one; else the correlation id has to do. */
static void refuse(struct sn_control *c, const struct sn_delivery *d, const char *id, const struct sn_error *why)
{
    struct question q = { .c = c };

    sn_log(c->fleet->log, SN_LOG_WARN, "control", "not a request", "why", why->text, NULL);
    if (d->reply_to[0] == '\0')
        return;
    (void)snprintf(q.id, sizeof(q.id), "%s", id[0] != '\0' ? id : "00000000-0000-0000-0000-000000000000");
    memcpy(q.reply_to, d->reply_to, sizeof(q.reply_to));
    memcpy(q.correlation_id, d->correlation_id, sizeof(q.correlation_id));
    reply_error(&q, "control.request", why->text);
}

void sn_control_handle(void *arg, struct sn_delivery *d)
{
    struct sn_control *c = arg;
    struct sn_request request;
    struct sn_error err;

    if (sn_request_read(c->fleet->policy.schemas, d->body, d->len, &request, &err) == 0) {
        route(c, d, &request);
        sn_request_fini(&request);
    } else {
        refuse(c, d, request.id, &err);
    }
    sn_delivery_free(d);
}

int sn_control_new(struct sn_fleet *fleet, struct sn_keeper *keeper, struct sn_control **ret, struct sn_error *err)
{
    struct sn_control *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return sn_error_oom(err);
    c->fleet = fleet;
    c->keeper = keeper;
    *ret = c;
    return 0;
}

void sn_control_free(struct sn_control *c)
{
    free(c);
}
