/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/ctl/catalogue.h"
#include "worker/ctl/view.h"

void sn_view_short_id(const char *id, char out[16])
{
    (void)snprintf(out, 16, "%.8s", id[0] != '\0' ? id : "-");
}

void sn_view_who(const json_t *object, char *out, size_t size)
{
    const char *ref = sn_json_text(object, "ref"), *username = sn_json_text(object, "username");

    if (username[0] == '\0') {
        username = sn_json_text(json_object_get(object, "wanted"), "username");
    }
    (void)snprintf(out, size, "%s%s%s", ref[0] != '\0' ? ref : "-", username[0] != '\0' ? " " : "", username);
}

/* ---- one line: how it stands ---- */

static void standing_waiting(struct sn_out *o, const json_t *waiting, int64_t now_ms)
{
    char since[SN_WHEN_MAX];
    const char *target = sn_json_text(waiting, "target");

    sn_out_put(o, SN_STYLE_WARN, _("waiting"));
    if (target[0] != '\0') {
        sn_out_text(o, " %s ", _("for"));
        sn_out_put(o, SN_STYLE_BOLD, target);
    }
    sn_out_text(o, ": ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(waiting, "code"));
    if (sn_json_time(waiting, "since") != 0) {
        sn_when_short(sn_json_time(waiting, "since"), now_ms, since);
        sn_out_text(o, _(" since %s"), since);
    }
}

static void standing_progress(struct sn_out *o, const json_t *event)
{
    const char *evidence = sn_json_text(event, "evidence");

    sn_out_put(o, SN_STYLE_WARN, _("in progress"));
    if (sn_json_text(event, "outcome")[0] != '\0') {
        sn_out_text(o, ": %s", _("done on the network"));
        if (evidence[0] != '\0' && strcmp(evidence, "none") != 0)
            sn_out_text(o, " (%s)", evidence);
        if (json_is_false(json_object_get(event, "saved")))
            sn_out_text(o, ", %s", _("not yet saved"));
    }
}

void sn_view_standing(struct sn_out *o, const json_t *event, int64_t now_ms)
{
    const char *outcome = sn_json_text(event, "outcome"), *evidence = sn_json_text(event, "evidence");
    const char *code = sn_json_text(event, "code");

    if (strcmp(sn_json_text(event, "state"), "final") != 0) {
        if (json_is_object(json_object_get(event, "waiting")))
            standing_waiting(o, json_object_get(event, "waiting"), now_ms);
        else
            standing_progress(o, event);
        return;
    }
    sn_out_put(o, sn_style_of(outcome), outcome);
    if ((strcmp(outcome, "applied") == 0 || strcmp(outcome, "unchanged") == 0) && evidence[0] != '\0' &&
        strcmp(evidence, "none") != 0) {
        sn_out_text(o, " (");
        sn_out_put(o, strcmp(evidence, "acknowledged") == 0 ? SN_STYLE_WARN : SN_STYLE_PLAIN, evidence);
        sn_out_text(o, ")");
    }
    if (code[0] != '\0') {
        sn_out_text(o, ": ");
        sn_out_put(o, SN_STYLE_PLAIN, code);
    }
}

/* ---- head ---- */

static void generation_words(const json_t *event, int64_t now_ms, char *out, size_t size)
{
    int64_t generation = sn_json_number(event, "generation");
    char when[SN_WHEN_MAX];

    if (generation == 0) {
        (void)snprintf(out, size, "%s", _("no generation"));
        return;
    }
    sn_generation(generation, now_ms, when);
    (void)snprintf(out, size, strchr(when, ':') != NULL ? _("generation of %s") : _("generation %s"), when);
}

static void head(struct sn_out *o, const json_t *event, int64_t now_ms)
{
    char id[16], who[192], generation[80], when[SN_WHEN_MAX], took[SN_WHEN_MAX];
    int64_t published = sn_json_time(event, "published"), finished = sn_json_time(event, "finished");
    const char *by = sn_json_text(event, "by"), *ns = sn_json_text(event, "ns");

    sn_view_short_id(sn_json_text(event, "event"), id);
    sn_view_who(event, who, sizeof(who));
    generation_words(event, now_ms, generation, sizeof(generation));
    sn_out_put(o, SN_STYLE_BOLD, id);
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(event, "type")[0] != '\0' ? sn_json_text(event, "type") : "-");
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, who);
    sn_out_text(o, "  %s", generation);
    if (ns[0] != '\0') {
        sn_out_text(o, "  %s ", _("by"));
        sn_out_put(o, SN_STYLE_PLAIN, ns);
        sn_out_text(o, by[0] != '\0' ? "/" : "");
        sn_out_put(o, SN_STYLE_PLAIN, by);
    }
    sn_out_text(o, "\n");
    sn_view_standing(o, event, now_ms);
    sn_when_full(finished != 0 ? finished : sn_json_time(event, "recorded"), when);
    sn_out_text(o, "      %s", when);
    if (published != 0 && finished != 0) {
        sn_duration(finished - published, took);
        sn_out_text(o, _(", %s after publication"), took);
    }
    sn_out_text(o, _(", run %lld"), (long long)sn_json_number(event, "run"));
    if (sn_json_number(event, "attempt") > 1)
        sn_out_text(o, _(", attempt %lld"), (long long)sn_json_number(event, "attempt"));
    sn_out_text(o, "\n");
    if (sn_json_text(event, "rule")[0] != '\0') {
        sn_out_text(o, _("where: "));
        sn_out_put(o, SN_STYLE_BOLD, sn_json_text(event, "path")[0] != '\0' ? sn_json_text(event, "path") : "/");
        sn_out_text(o, _("   rule: "));
        sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(event, "rule"));
        sn_out_text(o, "\n");
    }
}

/* ---- targets ---- */

void sn_view_targets(struct sn_out *o, const json_t *targets)
{
    const struct sn_column columns[] = {
        { _("target"), false, false },
        { _("what"), false, false },
        { _("outcome"), false, false },
        { _("holds now"), false, true },
    };
    struct sn_table *t;
    json_t *target;
    size_t i;

    if (json_array_size(targets) == 0)
        return;
    t = sn_table_new(columns, 4);
    json_array_foreach (targets, i, target) {
        const char *outcome = sn_json_text(target, "outcome"), *evidence = sn_json_text(target, "evidence");
        const char *aspect = sn_json_text(target, "aspect");
        struct sn_buf words = SN_BUF_INIT;

        /* what is true first: a dark ONU must not stand behind its own configuration */
        sn_json_words(json_object_get(target, "reality"), &words);
        if (words.len > 0 && json_object_size(json_object_get(target, "holds")) > 0)
            sn_buf_adds(&words, "; ");
        sn_json_words(json_object_get(target, "holds"), &words);
        if (sn_json_text(target, "code")[0] != '\0')
            sn_buf_addf(&words, "%s%s", words.len > 0 ? "; " : "", sn_json_text(target, "code"));
        sn_table_cell(t, SN_STYLE_BOLD, sn_json_text(target, "target"));
        sn_table_cell(t, SN_STYLE_PLAIN, aspect[0] != '\0' ? aspect : sn_json_text(target, "driver"));
        if (strcmp(evidence, "acknowledged") == 0)
            sn_table_cellf(t, SN_STYLE_WARN, "%s (%s)", outcome, evidence);
        else
            sn_table_cell(t, sn_style_of(outcome), outcome);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&words));
        sn_buf_fini(&words);
    }
    sn_table_print(t, o, "  ");
}

/* ---- timeline ---- */

/* The reply that belongs to the exchange at i: the next entry of the same target and run that is no sending. */
static const json_t *reply_of(const json_t *log, size_t i)
{
    const json_t *sent = json_array_get(log, i);

    for (size_t k = i + 1; k < json_array_size(log); k++) {
        const json_t *e = json_array_get(log, k);
        if (sn_json_number(e, "run") != sn_json_number(sent, "run"))
            return NULL;
        if (strcmp(sn_json_text(e, "target"), sn_json_text(sent, "target")) != 0)
            continue;
        return strcmp(sn_json_text(e, "dir"), ">") == 0 ? NULL : e;
    }
    return NULL;
}

/* One line of a text, shortened to what is left of the terminal, and padded to it when something follows. */
static void put_line(struct sn_out *o, enum sn_style style, const char *text, int room, bool follows)
{
    char line[512];
    int columns;

    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\r\n"), text);
    columns = sn_out_columns(line);
    if (columns > room && room > 8) {
        size_t cut = strlen(line);
        while (cut > 0 && (columns > room - 1 || ((unsigned char)line[cut] & 0xc0) == 0x80)) {
            line[--cut] = '\0';
            columns = sn_out_columns(line);
        }
        sn_out_pad(o, style, line, room - 1);
        sn_out_text(o, "…");
        return;
    }
    sn_out_pad(o, style, line, follows ? room : 0);
}

static void timeline_entry(struct sn_out *o, const json_t *log, size_t i, int64_t start_ms, char *target, size_t size)
{
    const json_t *entry = json_array_get(log, i), *reply = NULL;
    const char *verdict = sn_json_text(entry, "verdict");
    bool sent = strcmp(sn_json_text(entry, "dir"), ">") == 0;
    int64_t at = sn_json_time(entry, "at") - start_ms;
    int room = o->width - 38 > 40 ? o->width - 38 : 40;

    if (sent) {
        reply = reply_of(log, i);
        verdict = reply != NULL ? sn_json_text(reply, "verdict") : _("no answer recorded");
    } else if (strcmp(sn_json_text(entry, "dir"), "<") == 0)
        return; /* told with its sending */
    sn_out_text(o, "%4s%" PRId64 ".%" PRId64 " s  ", at < 0 ? "-" : "+", (at < 0 ? -at : at) / 1000,
                (at < 0 ? -at : at) % 1000 / 100);
    sn_out_pad(o, SN_STYLE_BOLD,
               strcmp(target, sn_json_text(entry, "target")) == 0 ? "" : sn_json_text(entry, "target"), 11);
    (void)snprintf(target, size, "%s", sn_json_text(entry, "target"));
    put_line(o, SN_STYLE_PLAIN, sn_json_text(entry, "text"), room, verdict[0] != '\0');
    sn_out_text(o, verdict[0] != '\0' ? "  " : "");
    sn_out_put(o, sn_style_of(verdict), verdict);
    sn_out_text(o, "\n");
    if (reply != NULL && strcmp(verdict, "ok") != 0 && sn_json_text(reply, "text")[0] != '\0') {
        sn_out_text(o, "%22s", "");
        put_line(o, SN_STYLE_DIM, sn_json_text(reply, "text"), o->width - 24, false);
        sn_out_text(o, "\n");
    }
}

static const json_t *run_of(const json_t *event, int64_t run)
{
    json_t *r;
    size_t i;

    json_array_foreach (json_object_get(event, "runs"), i, r)
        if (sn_json_number(r, "run") == run)
            return r;
    return NULL;
}

/* Times count from the publication, or from the first exchange when that is not known. */
static int64_t start_of(const json_t *event)
{
    int64_t published = sn_json_time(event, "published");
    return published != 0 ? published : sn_json_time(json_array_get(json_object_get(event, "log"), 0), "at");
}

static void timeline(struct sn_out *o, const json_t *event)
{
    const json_t *log = json_object_get(event, "log");
    int64_t start_ms = start_of(event), run = -1;
    char target[64] = "";

    for (size_t i = 0; i < json_array_size(log); i++) {
        const json_t *entry = json_array_get(log, i);
        if (sn_json_number(entry, "run") != run) {
            const json_t *r = run_of(event, run = sn_json_number(entry, "run"));
            sn_out_text(o, _("\n run %lld"), (long long)run);
            if (r != NULL) {
                sn_out_put(o, SN_STYLE_DIM, ", ");
                sn_out_put(o, SN_STYLE_DIM, sn_json_text(r, "worker"));
                sn_out_text(o, _(", epoch %lld"), (long long)sn_json_number(r, "epoch"));
            }
            sn_out_text(o, "\n");
            target[0] = '\0';
        }
        timeline_entry(o, log, i, start_ms, target, sizeof(target));
    }
    if (sn_json_true(event, "truncated"))
        sn_out_text(o, "   %s\n", _("(the transcript was cut at its size limit)"));
}

void sn_view_cause(struct sn_out *o, const char *code, const json_t *args)
{
    const struct sn_cause *cause = sn_cause_find(code);
    const char *const headings[] = { _("What happened:"), _("What holds now:"), _("What to do:") };
    int width = 0;

    if (cause == NULL)
        return;
    const char *const sentences[] = { cause->happened, cause->holds, cause->todo };
    for (size_t i = 0; i < 3; i++)
        width = sn_out_columns(headings[i]) > width ? sn_out_columns(headings[i]) : width;
    for (size_t i = 0; i < 3; i++) {
        struct sn_buf text = SN_BUF_INIT;
        sn_cause_fill(_(sentences[i]), args, &text);
        sn_out_pad(o, SN_STYLE_BOLD, headings[i], width + 2);
        sn_out_put(o, SN_STYLE_PLAIN, sn_buf_str(&text));
        sn_out_text(o, "\n");
        sn_buf_fini(&text);
    }
}

/* ---- the two views ---- */

static const char *cause_code(const json_t *event)
{
    const char *code = sn_json_text(event, "code");
    return code[0] != '\0' ? code : sn_json_text(json_object_get(event, "waiting"), "code");
}

/* Arguments of the cause, %{target} among them: the target that refused, or that is waited for. New reference. */
static json_t *cause_args(const json_t *event)
{
    const json_t *waiting = json_object_get(event, "waiting"), *from = json_is_object(waiting) ? waiting : event;
    json_t *args = json_object(), *t;
    const char *target = sn_json_text(waiting, "target");
    size_t i;

    if (target[0] == '\0')
        target = sn_json_text(event, "target");
    json_array_foreach (json_object_get(event, "targets"), i, t) {
        if (target[0] == '\0' && strcmp(sn_json_text(t, "code"), sn_json_text(event, "code")) == 0)
            target = sn_json_text(t, "target");
    }
    if (target[0] == '\0')
        target = sn_json_text(event, "routing");
    (void)json_object_set_new(args, "target", json_string(target));
    (void)json_object_update(args, json_object_get(from, "args"));
    return args;
}

void sn_view_event_cause(struct sn_out *o, const json_t *event)
{
    json_t *args = cause_args(event);

    sn_view_cause(o, cause_code(event), args);
    json_decref(args);
}

void sn_view_event(struct sn_out *o, const json_t *event, int64_t now_ms)
{
    char id[16];

    sn_view_short_id(sn_json_text(event, "event"), id);
    head(o, event, now_ms);
    if (sn_cause_find(cause_code(event)) != NULL) {
        sn_out_text(o, "\n");
        sn_view_event_cause(o, event);
    }
    if (json_array_size(json_object_get(event, "targets")) > 0) {
        sn_out_text(o, "\n");
        sn_view_targets(o, json_object_get(event, "targets"));
    }
    timeline(o, event);
    if (json_array_size(json_object_get(event, "log")) > 0) {
        sn_out_text(o, _("raw dialogue: silverctl event %s --raw"), id);
        if (sn_json_text(event, "trace")[0] != '\0') {
            sn_out_text(o, "      %s ", _("trace:"));
            sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(event, "trace"));
        }
        sn_out_text(o, "\n");
    }
}

void sn_view_event_raw(struct sn_out *o, const json_t *event, int64_t now_ms)
{
    const json_t *log = json_object_get(event, "log");
    int64_t start_ms = start_of(event);
    json_t *entry;
    size_t i;

    head(o, event, now_ms);
    if (json_array_size(log) == 0)
        sn_out_text(o, "%s\n", _("no dialogue was recorded"));
    json_array_foreach (log, i, entry) {
        const char *dir = sn_json_text(entry, "dir"), *verdict = sn_json_text(entry, "verdict");
        int64_t at = sn_json_time(entry, "at") - start_ms;

        sn_out_text(o, "\n");
        sn_out_text(o, "%c%lld.%03lld s", at < 0 ? '-' : '+', llabs(at) / 1000, llabs(at) % 1000);
        sn_out_text(o, _("  run %lld  "), (long long)sn_json_number(entry, "run"));
        sn_out_put(o, SN_STYLE_BOLD, sn_json_text(entry, "target"));
        sn_out_text(o, verdict[0] != '\0' ? "  " : "");
        sn_out_put(o, sn_style_of(verdict), verdict);
        sn_out_text(o, "\n");
        sn_out_block(o,
                     strcmp(dir, ">") == 0   ? "> "
                     : strcmp(dir, "<") == 0 ? "< "
                                             : "! ",
                     sn_json_text(entry, "text"));
    }
}
