/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "worker/ctl/view.h"

/* ---- contract ---- */

/* The event that brought the newest generation did not end well, or has not ended. */
static bool newest_is_open(const json_t *contract)
{
    json_t *e;
    size_t i;

    json_array_foreach (json_object_get(contract, "events"), i, e) {
        if (strcmp(sn_json_text(e, "event"), sn_json_text(contract, "newest")) == 0)
            return strcmp(sn_json_text(e, "state"), "final") != 0 || strcmp(sn_json_text(e, "outcome"), "dead") == 0;
    }
    return false;
}

/* Does the network hold what the newest generation wants? Told from the targets' records. */
static void agreement(struct sn_out *o, const json_t *contract, int64_t now_ms)
{
    const json_t *targets = json_object_get(contract, "targets");
    bool bad = newest_is_open(contract), acknowledged = false;
    char when[SN_WHEN_MAX];
    int64_t newest = 0;
    json_t *t;
    size_t i;

    json_array_foreach (targets, i, t) {
        const char *outcome = sn_json_text(t, "outcome");
        bad = bad || sn_json_number(t, "generation") < sn_json_number(contract, "generation") ||
              (strcmp(outcome, "applied") != 0 && strcmp(outcome, "unchanged") != 0);
        acknowledged = acknowledged || strcmp(sn_json_text(t, "evidence"), "acknowledged") == 0;
        newest = sn_json_time(t, "at") > newest ? sn_json_time(t, "at") : newest;
    }
    if (json_array_size(targets) == 0) {
        sn_out_text(o, "%s ", _("network:"));
        sn_out_put(o, SN_STYLE_DIM, _("nothing is known"));
        return;
    }
    sn_when_short(newest, now_ms, when);
    sn_out_text(o, "%s ", _("network:"));
    sn_out_put(o, bad ? SN_STYLE_WARN : SN_STYLE_GOOD, bad ? _("does not agree yet") : _("agrees"));
    sn_out_text(o, _(", checked %s"), when);
    sn_out_text(o, " (%s)", acknowledged ? "acknowledged" : "observed");
}

/* What a target has of this contract: its keys in words, "nothing" when there is none. */
static void record_words(const json_t *record, struct sn_buf *out)
{
    json_t *key;
    size_t i;

    json_array_foreach (json_object_get(record, "keys"), i, key) {
        sn_buf_adds(out, i > 0 ? "; " : "");
        sn_json_words(json_object_get(key, "key"), out);
    }
    if (out->len == 0)
        sn_buf_adds(out, _("nothing"));
}

static void contract_targets(struct sn_out *o, const json_t *targets, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("target"), false, false },  { _("what"), false, true },   { _("generation"), false, false },
        { _("outcome"), false, false }, { _("since"), false, false }, { _("reality"), false, true },
    };
    struct sn_table *t = sn_table_new(columns, 6);
    json_t *r;
    size_t i;

    json_array_foreach (targets, i, r) {
        char when[SN_WHEN_MAX], generation[SN_WHEN_MAX];
        const char *outcome = sn_json_text(r, "outcome");
        struct sn_buf what = SN_BUF_INIT, reality = SN_BUF_INIT;

        record_words(r, &what);
        sn_json_words(json_object_get(r, "reality"), &reality);
        sn_when_short(sn_json_time(r, "at"), now_ms, when);
        sn_generation(sn_json_number(r, "generation"), now_ms, generation);
        sn_table_cell(t, SN_STYLE_BOLD, sn_json_text(r, sn_json_text(r, "target")[0] != '\0' ? "target" : "uid"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&what));
        sn_table_cell(t, SN_STYLE_PLAIN, generation);
        if (strcmp(sn_json_text(r, "evidence"), "acknowledged") == 0)
            sn_table_cellf(t, SN_STYLE_WARN, "%s (acknowledged)", outcome);
        else
            sn_table_cell(t, sn_style_of(outcome), outcome);
        sn_table_cell(t, SN_STYLE_PLAIN, when);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&reality));
        sn_buf_fini(&what);
        sn_buf_fini(&reality);
    }
    sn_table_print(t, o, "");
}

static void contract_events(struct sn_out *o, const json_t *events, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("when"), false, false },    { _("generation"), false, false }, { _("event"), false, false },
        { _("outcome"), false, false }, { _("took"), true, false },        { _("by"), false, true },
        { _("id"), false, false },      { _("cause"), false, false },
    };
    struct sn_table *t = sn_table_new(columns, 8);
    json_t *e;
    size_t i;

    json_array_foreach (events, i, e) {
        char when[SN_WHEN_MAX], generation[SN_WHEN_MAX], took[SN_WHEN_MAX] = "-", id[16];
        const char *outcome = sn_json_text(e, "outcome"), *by = sn_json_text(e, "by");
        int64_t published = sn_json_time(e, "published"), finished = sn_json_time(e, "finished");

        if (strcmp(sn_json_text(e, "state"), "final") != 0)
            outcome = json_is_object(json_object_get(e, "waiting")) ? _("waiting") : _("in progress");
        sn_when_short(published != 0 ? published : sn_json_time(e, "recorded"), now_ms, when);
        sn_generation(sn_json_number(e, "generation"), now_ms, generation);
        if (published != 0 && finished != 0)
            sn_duration(finished - published, took);
        sn_view_short_id(sn_json_text(e, "event"), id);
        sn_table_cell(t, SN_STYLE_PLAIN, when);
        sn_table_cell(t, SN_STYLE_PLAIN, generation);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(e, "type"));
        sn_table_cell(t, sn_style_of(outcome), outcome);
        sn_table_cell(t, SN_STYLE_PLAIN, took);
        sn_table_cellf(t, SN_STYLE_PLAIN, "%s%s%s", sn_json_text(e, "ns"), by[0] != '\0' ? "/" : "", by);
        sn_table_cell(t, SN_STYLE_PLAIN, id);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(e, "code"));
    }
    sn_table_print(t, o, "");
}

void sn_view_contract(struct sn_out *o, const json_t *contract, int64_t now_ms)
{
    const json_t *wanted = json_object_get(contract, "wanted");
    const char *plan = sn_json_text(json_object_get(wanted, "plan"), "code");
    char who[192], generation[SN_WHEN_MAX];

    sn_view_who(contract, who, sizeof(who));
    sn_generation(sn_json_number(contract, "generation"), now_ms, generation);
    sn_out_put(o, SN_STYLE_BOLD, who);
    sn_out_text(o, "      %s ", _("wanted:"));
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(wanted, "state")[0] != '\0' ? sn_json_text(wanted, "state") : "-");
    if (plan[0] != '\0') {
        sn_out_text(o, ", ");
        sn_out_put(o, SN_STYLE_PLAIN, plan);
    }
    sn_out_text(o, ", %s %s      ", _("generation"), generation);
    agreement(o, contract, now_ms);
    sn_out_text(o, "\n\n");
    if (json_array_size(json_object_get(contract, "targets")) > 0) {
        contract_targets(o, json_object_get(contract, "targets"), now_ms);
        sn_out_text(o, "\n");
    }
    contract_events(o, json_object_get(contract, "events"), now_ms);
}

/* ---- publish ---- */

void sn_view_publish(struct sn_out *o, const json_t *publish, int64_t now_ms)
{
    char id[16], who[192];

    sn_view_short_id(sn_json_text(publish, "event"), id);
    sn_view_who(publish, who, sizeof(who));
    sn_out_put(o, SN_STYLE_BOLD, id);
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(publish, "type"));
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, who);
    sn_out_text(o, "  ");
    if (sn_json_text(publish, "state")[0] != '\0')
        sn_view_standing(o, publish, now_ms);
    else {
        sn_out_text(o, _("published as "));
        sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(publish, "routing_key"));
    }
    sn_out_text(o, "\n");
}

/* ---- plan ---- */

static void plan_line(struct sn_out *o, const char *mark, const char *text, const char *mode)
{
    enum sn_style style = mark[0] == '+'                     ? SN_STYLE_GOOD
                          : mark[0] == '-' || mark[0] == '!' ? SN_STYLE_BAD
                                                             : SN_STYLE_WARN;

    sn_out_text(o, "%31s", "");
    sn_out_pad(o, style, mark, 6);
    sn_out_put(o, SN_STYLE_PLAIN, text);
    if (mode[0] != '\0') {
        sn_out_text(o, "   ");
        sn_out_put(o, SN_STYLE_DIM, "(");
        sn_out_put(o, SN_STYLE_DIM, mode);
        sn_out_put(o, SN_STYLE_DIM, ")");
    }
    sn_out_text(o, "\n");
}

static void plan_target(struct sn_out *o, const json_t *target)
{
    const json_t *changes = json_object_get(target, "changes");
    const char *code = sn_json_text(target, "code"), *aspect = sn_json_text(target, "aspect");
    struct sn_buf now = SN_BUF_INIT;
    json_t *change;
    size_t i;

    sn_json_words(json_object_get(target, "now"), &now);
    if (json_object_size(json_object_get(target, "reality")) > 0) {
        sn_buf_adds(&now, now.len > 0 ? ", " : "");
        sn_json_words(json_object_get(target, "reality"), &now);
    }
    sn_out_text(o, "  ");
    sn_out_pad(o, SN_STYLE_BOLD, sn_json_text(target, "target"), 11);
    sn_out_pad(o, SN_STYLE_PLAIN, sn_json_text(target, "driver"), 18);
    sn_out_pad(o, SN_STYLE_DIM, _("now"), 6);
    sn_out_put(o, SN_STYLE_PLAIN, now.len > 0                                     ? sn_buf_str(&now)
                                    : json_is_object(json_object_get(target, "now")) ? _("nothing")
                                                                                    : _("nothing is known"));
    if (aspect[0] != '\0') {
        sn_out_text(o, "   ");
        sn_out_put(o, SN_STYLE_DIM, aspect);
    }
    sn_out_text(o, "\n");
    json_array_foreach (changes, i, change)
        plan_line(o, sn_json_text(change, "mark"), sn_json_text(change, "line"), sn_json_text(change, "mode"));
    if (code[0] != '\0') {
        sn_out_text(o, "%31s", "");
        sn_out_put(o, SN_STYLE_BAD, code);
        sn_out_text(o, "\n");
        sn_view_cause(o, code, json_object_get(target, "args"));
    } else if (json_array_size(changes) == 0) {
        sn_out_text(o, "%31s", "");
        sn_out_put(o, SN_STYLE_DIM,
                   sn_json_text(target, "outcome")[0] != '\0' ? sn_json_text(target, "outcome") : "unchanged");
        sn_out_text(o, "\n");
    }
    sn_buf_fini(&now);
}

void sn_view_plan(struct sn_out *o, const json_t *plan, int64_t now_ms)
{
    char who[192], generation[SN_WHEN_MAX], read[SN_WHEN_MAX];
    const json_t *targets = json_object_get(plan, "targets");
    const char *worker = sn_json_text(plan, "worker");
    int64_t oldest_ms = 0, changes;
    json_t *t;
    size_t i;

    json_array_foreach (targets, i, t)
        oldest_ms = sn_json_number(t, "read_ms") > oldest_ms ? sn_json_number(t, "read_ms") : oldest_ms;
    sn_view_who(plan, who, sizeof(who));
    sn_generation(sn_json_number(plan, "generation"), now_ms, generation);
    sn_out_put(o, SN_STYLE_BOLD, who);
    sn_out_text(o, "   ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(plan, "type"));
    sn_out_text(o, ", %s %s", _("generation"), generation);
    if (sn_json_number(plan, "holds_generation") != 0) {
        sn_generation(sn_json_number(plan, "holds_generation"), now_ms, generation);
        sn_out_text(o, _(" (network holds that of %s)"), generation);
    }
    sn_duration(oldest_ms, read);
    sn_out_text(o, "\n");
    sn_out_text(o, _("asked %.*s, owner of %s (epoch %lld); read %s ago; nothing was sent"), (int)strcspn(worker, "/"),
                worker, sn_json_text(plan, "device"), (long long)sn_json_number(plan, "epoch"), read);
    sn_out_text(o, "\n\n");
    json_array_foreach (targets, i, t)
        plan_target(o, t);
    sn_out_text(o, "\n");
    sn_out_text(o, P_("%zu target, ", "%zu targets, ", json_array_size(targets)), json_array_size(targets));
    changes = sn_json_number(plan, "changes");
    sn_out_text(o, P_("%lld change. ", "%lld changes. ", changes), (long long)changes);
    sn_out_text(o, "%s", _("Free numbers are chosen again when it runs."));
    sn_out_text(o, "\n");
}
