/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/text.h"

#define STORED_MAX 4096 /* bytes from which on it is thinned out */
/* Of an entry that comes when the transcript is full: enough for every line that is sent, and to see what was answered. */
#define SHORT_TEXT 512
/* And so many times the transcript's size in all: what a job says that is admitted again and again has an end too. */
#define SHORT_TIMES 3

void sn_job_clean_text(const struct sn_fleet *fleet, const char *text, size_t len, struct sn_buf *out)
{
    struct sn_buf masked = SN_BUF_INIT;
    const char *p;
    size_t left;

    sn_redact_apply(fleet->redact, &masked, text, len);
    p = sn_buf_str(&masked);
    left = masked.len;
    while (left > 0) {
        const char *end = memchr(p, '\n', left);
        size_t n = end != NULL ? (size_t)(end - p) : left;
        size_t line = n > 0 && p[n - 1] == '\r' ? n - 1 : n;
        sn_buf_add_escaped(out, p, line);
        if (end == NULL)
            break;
        sn_buf_adds(out, "\n");
        p = end + 1;
        left -= n + 1;
    }
    out->failed = out->failed || masked.failed;
    sn_buf_fini(&masked);
}

static void mask_string(const struct sn_fleet *fleet, json_t *value)
{
    struct sn_buf masked = SN_BUF_INIT;
    bool same;

    sn_redact_apply(fleet->redact, &masked, json_string_value(value), json_string_length(value));
    same = !masked.failed && masked.len == json_string_length(value) &&
           memcmp(sn_buf_str(&masked), json_string_value(value), masked.len) == 0;
    /* no memory for the masked text: all of it is masked, where it stands */
    if (masked.failed || (!same && json_string_setn(value, sn_buf_str(&masked), masked.len) != 0))
        memset((char *)(uintptr_t)json_string_value(value), '*', json_string_length(value));
    sn_buf_fini(&masked);
}

void sn_job_mask(const struct sn_fleet *fleet, json_t *tree)
{
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_string(tree))
        mask_string(fleet, tree);
    json_array_foreach (tree, i, value)
        sn_job_mask(fleet, value);
    json_object_foreach (tree, name, value)
        sn_job_mask(fleet, value);
}

size_t sn_job_cut_at(const char *text, size_t max)
{
    while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
        max--;
    return max;
}

void sn_job_note(struct sn_job *job, const struct sn_fleet *fleet, const char *target, const char *dir, const char *text,
                 const char *verdict)
{
    struct sn_buf clean = SN_BUF_INIT;
    json_t *entry;

    sn_job_clean_text(fleet, text, strlen(text), &clean);
    /* what comes last are the writes: when lists have used the room up, the rest is told in short */
    if (job->entries_bytes + clean.len > fleet->conf.log_bytes) {
        job->entries_cut = true;
        if (job->entries_bytes > SHORT_TIMES * fleet->conf.log_bytes)
            goto out;
        if (clean.len > SHORT_TEXT)
            clean.data[clean.len = sn_job_cut_at(clean.data, SHORT_TEXT)] = '\0';
    }
    entry = json_pack("{s:i, s:I, s:s, s:s, s:s, s:s}", "seq", (int)json_array_size(job->entries), "ms",
                      (json_int_t)(sn_clock_mono_ms() - job->received_ms), "target", target, "dir", dir, "text",
                      sn_buf_str(&clean), "verdict", verdict);
    if (entry == NULL || json_array_append_new(job->entries, entry) != 0 || clean.failed)
        job->entries_cut = true;
    job->entries_bytes += clean.len + 64;
out:
    sn_buf_fini(&clean);
}

const char *sn_result_step_outcome(const struct sn_job *job, const struct sn_step *s)
{
    switch (s->state) {
    case SN_STEP_FAILED:
        return "dead";
    case SN_STEP_SKIPPED:
        return "skipped";
    case SN_STEP_POSTPONED:
    case SN_STEP_OPEN:
        return "pending";
    case SN_STEP_DONE:
        break;
    }
    if (s->undo)
        return "undone";
    return s->wrote || (job->prior_wrote && s->kind != SN_LOOK) ? "applied" : "unchanged";
}

const char *sn_result_outcome(const struct sn_job *job)
{
    bool wrote = job->prior_wrote;

    for (int i = 0; i < job->steps_n; i++) {
        if (job->steps[i].state == SN_STEP_FAILED)
            return "dead";
        wrote = wrote || job->steps[i].wrote;
    }
    return wrote ? "applied" : "unchanged";
}

enum sn_evidence sn_result_evidence(const struct sn_job *job)
{
    enum sn_evidence weakest = SN_EVIDENCE_NONE;
    bool wrote = false;

    for (int i = 0; i < job->steps_n; i++)
        wrote = wrote || job->steps[i].wrote;
    for (int i = 0; i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        if (s->state != SN_STEP_DONE || s->commit || s->evidence == SN_EVIDENCE_NONE || (wrote && !s->wrote))
            continue;
        if (weakest == SN_EVIDENCE_NONE || s->evidence < weakest)
            weakest = s->evidence;
    }
    return weakest;
}

static void set(json_t *o, const char *key, json_t *value)
{
    (void)json_object_set_new(o, key, value); /* it frees value on failure; whole() asks whether anything failed */
}

/* Several visits to one target are one line for people: the later visit says how it stands. */
static json_t *targets_of(const struct sn_job *job)
{
    json_t *list = json_array();

    for (int i = 0; i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        json_t *t;
        if (s->commit)
            continue;
        t = json_object();
        set(t, "target", json_string(s->target->id));
        set(t, "uid", json_string(s->target->uid));
        set(t, "driver", json_string(s->driver->name));
        set(t, "aspect", json_string(s->aspect));
        set(t, "want", json_string(s->kind == SN_GONE ? "gone" : s->kind == SN_BE ? "be" : s->kind == SN_SINCE ? "since" : "look"));
        set(t, "outcome", json_string(sn_result_step_outcome(job, s)));
        set(t, "evidence", json_string(sn_evidence_word(s->evidence)));
        set(t, "code", json_string(s->verdict.code));
        set(t, "args", s->verdict.args != NULL ? json_incref(s->verdict.args) : json_object());
        set(t, "text", json_string(s->verdict.text));
        set(t, "holds", s->holds != NULL ? json_incref(s->holds) : json_null());
        set(t, "reality", s->reality != NULL ? json_incref(s->reality) : json_null());
        set(t, "ops", json_integer(s->ops));
        (void)json_array_append_new(list, t);
    }
    if (job->follow_ups != NULL)
        (void)json_array_extend(list, job->follow_ups);
    return list;
}

static json_t *records_of(const struct sn_job *job)
{
    json_t *list = json_array();

    for (int i = 0; i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        bool later = false;
        for (int k = i + 1; k < job->steps_n; k++)
            later = later || (job->steps[k].record != NULL && job->steps[k].target == s->target);
        if (s->record == NULL || later)
            continue;
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:I, s:s, s:O?, s:b, s:s, s:I, s:i, s:O}", "uid", s->target->uid, "target", s->target->id,
                            "generation", (json_int_t)job->event->generation, "rev", job->event->rev, "key",
                            json_object_get(s->record, "keys"), "created_here", s->created, "outcome",
                            sn_result_step_outcome(job, s), "epoch", (json_int_t)job->epoch, "run", job->run, "record", s->record));
    }
    return list;
}

static void add_identity(json_t *r, const struct sn_job *job)
{
    const struct sn_event *ev = job->event;

    if (ev == NULL) {
        set(r, "event", json_string(job->refusal.id));
        set(r, "type", json_string(job->refusal.type));
        set(r, "contract", json_null());
        set(r, "source", json_null());
        set(r, "generation", json_null());
        set(r, "routing", json_string(job->refusal.routing));
        set(r, "path", json_string(job->refusal.path));
        set(r, "rule", json_string(job->refusal.rule));
        return;
    }
    set(r, "event", json_string(ev->id));
    if (ev->parent[0] != '\0')
        set(r, "parent", json_string(ev->parent));
    set(r, "type", json_string(ev->type));
    set(r, "source", json_incref(json_object_get(ev->body, "source")));
    set(r, "contract", json_pack("{s:I, s:s}", "id", (json_int_t)strtoll(ev->contract_id, NULL, 10), "ref", ev->ref));
    set(r, "generation", json_integer(ev->generation));
    set(r, "ns", json_string(ev->ns));
    set(r, "contract_id", json_string(ev->contract_id));
    set(r, "rev", json_string(ev->rev));
    set(r, "routing", json_string(ev->routing));
}

/* What the contract shall be, for `silverctl contract`: state, plan and user name, nothing secret. */
static json_t *wanted_of(const struct sn_event *ev)
{
    json_t *username = json_object_get(json_object_get(ev->service, "access"), "username");
    json_t *w = json_object();

    set(w, "state", json_incref(json_object_get(ev->service, "state")));
    if (json_object_get(ev->service, "plan") != NULL)
        set(w, "plan", json_incref(json_object_get(ev->service, "plan")));
    if (username != NULL)
        set(w, "username", json_incref(username));
    return w;
}

/* -1: memory. A dead letter without its event could never be replayed. */
static int add_letter(json_t *r, const struct sn_job *job, const struct sn_fleet *fleet)
{
    struct sn_error err;
    char *sealed = NULL;
    const char *body = job->delivery != NULL ? job->delivery->body : NULL;
    size_t len = job->delivery != NULL ? job->delivery->len : 0;
    char *clean = NULL;
    char *reply = NULL;

    /* of an accepted event the form whose inline secrets are sealed; of a refused message the bytes as they came */
    if (job->event != NULL) {
        clean = sn_json_dumps(job->event->body, JSON_COMPACT);
        body = clean;
        len = clean != NULL ? strlen(clean) : 0;
    }
    err.code[0] = '\0';
    if (body != NULL && fleet->policy.seal_public != NULL &&
        sn_secret_seal_message(fleet->policy.seal_public, body, len, &sealed, &err) == 0)
        set(r, "letter", json_pack("{s:s}", "event_sealed", sealed));
    if (sealed != NULL && job->raw.len > 0 && !job->raw.failed &&
        sn_secret_seal_message(fleet->policy.seal_public, job->raw.data, job->raw.len, &reply, &err) == 0)
        set(json_object_get(r, "letter"), "reply_sealed", json_string(reply));
    free(reply);
    free(sealed);
    free(clean);
    return sn_error_is_oom(&err) ? -1 : 0;
}

/* The text when nothing is missing in it, else NULL: the ledger takes no half of a result. */
static char *whole(char *text, unsigned failures_before)
{
    if (sn_json_failures() == failures_before)
        return text;
    free(text);
    return NULL;
}

static json_t *build(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say)
{
    json_t *r = json_object();
    int64_t now = sn_clock_wall_ms();
    int64_t published = job->delivery != NULL ? job->delivery->published_ms : 0;

    set(r, "schema", json_string("silver.result/1"));
    add_identity(r, job);
    set(r, "run", json_integer(job->run));
    set(r, "replay", json_integer(job->replay));
    set(r, "attempt", json_integer(job->attempt + 1));
    set(r, "state", json_string(say->final ? "final" : "progress"));
    set(r, "outcome", say->final ? json_string(say->outcome) : json_null());
    set(r, "evidence", json_string(sn_evidence_word(sn_result_evidence(job))));
    set(r, "saved", json_boolean(say->saved));
    set(r, "code", json_string(say->cause != NULL ? say->cause->code : ""));
    set(r, "args", say->cause != NULL && say->cause->args != NULL ? json_incref(say->cause->args) : json_object());
    if (say->waiting != NULL)
        set(r, "waiting", json_pack("{s:s, s:s, s:o}", "target", say->waiting, "code",
                                    say->cause != NULL ? say->cause->code : "", "since", sn_json_new_time(say->waiting_since_ms)));
    set(r, "worker", json_string(fleet->conf.worker));
    set(r, "epoch", json_integer(job->epoch));
    set(r, "at", json_pack("{s:o, s:o, s:o}", "published", sn_json_new_time(published), "started", sn_json_new_time(job->started_wall_ms),
                           "finished", say->final ? sn_json_new_time(now) : json_null()));
    set(r, "targets", targets_of(job));
    if (job->event != NULL && job->run > 0 && strcmp(job->event->type, "contract.cleanup") != 0)
        set(r, "wanted", wanted_of(job->event));
    if (job->event != NULL && job->run > 0)
        set(r, "records", records_of(job));
    return r;
}

char *sn_result_text(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say)
{
    unsigned before = sn_json_failures();
    json_t *r = build(job, fleet, say);
    char *text = NULL;

    set(r, "log", json_incref(job->entries));
    set(r, "truncated", json_boolean(job->entries_cut));
    if (!say->letter || add_letter(r, job, fleet) == 0)
        text = sn_json_dumps(r, JSON_COMPACT);
    json_decref(r);
    return whole(text, before);
}

char *sn_result_stored(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say)
{
    unsigned before = sn_json_failures();
    json_t *r = build(job, fleet, say);
    char *text;

    set(r, "log", json_null());
    text = sn_json_dumps(r, JSON_COMPACT);
    if (text != NULL && strlen(text) > STORED_MAX) {
        /* What the targets hold can be read again. The records stay whatever their size: when this process dies before the whole result is
         * confirmed, the stored one is the only one that the ledger gets. */
        json_t *targets = json_object_get(r, "targets");
        size_t i;
        json_t *t;
        json_array_foreach (targets, i, t) {
            set(t, "holds", json_null());
            set(t, "reality", json_null());
        }
        free(text);
        text = sn_json_dumps(r, JSON_COMPACT);
    }
    json_decref(r);
    return whole(text, before);
}
