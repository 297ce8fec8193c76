/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "worker/ctl/catalogue.h"
#include "worker/ctl/view.h"

/* What happened, in one sentence; the code when the catalogue does not know it. */
static void sentence_of(const char *code, const json_t *given, const char *target, struct sn_buf *out)
{
    const struct sn_cause *cause = sn_cause_find(code);
    json_t *args = json_pack("{s:s}", "target", target);

    (void)json_object_update(args, (json_t *)(uintptr_t)given);
    if (cause != NULL)
        sn_cause_fill(_(cause->happened), args, out);
    else
        sn_buf_adds(out, code);
    json_decref(args);
}

void sn_view_letters(struct sn_out *o, const json_t *list, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("id"), false, false },           { _("died"), false, false },   { _("contract"), false, false },
        { _("event"), false, false },        { _("device"), false, false }, { _("cause"), false, false },
        { _("what happened"), false, true },
    };
    const json_t *letters = json_object_get(list, "letters");
    int64_t count = sn_json_number(list, "count");
    struct sn_table *t;
    json_t *l;
    size_t i;

    if (json_array_size(letters) == 0) {
        sn_out_text(o, _("No dead letters.\n"));
        return;
    }
    t = sn_table_new(columns, 7);
    json_array_foreach (letters, i, l) {
        char id[16], when[SN_WHEN_MAX];
        const char *target = sn_json_text(l, sn_json_text(l, "target")[0] != '\0' ? "target" : "device");
        struct sn_buf what = SN_BUF_INIT;

        sn_view_short_id(sn_json_text(l, "event"), id);
        sn_when_short(sn_json_time(l, "died_at"), now_ms, when);
        sentence_of(sn_json_text(l, "code"), json_object_get(l, "args"), target, &what);
        sn_table_cell(t, SN_STYLE_BOLD, id);
        sn_table_cell(t, SN_STYLE_PLAIN, when);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(l, "ref"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(l, "type"));
        sn_table_cell(t, SN_STYLE_PLAIN, target);
        sn_table_cell(t, SN_STYLE_BAD, sn_json_text(l, "code"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&what));
        sn_buf_fini(&what);
    }
    sn_table_print(t, o, "");
    sn_out_text(o, P_("%lld letter.\n", "%lld letters.\n", count), (long long)count);
    if (count > (int64_t)json_array_size(letters))
        sn_out_text(o, _("The newest %zu are shown: --limit shows more.\n"), json_array_size(letters));
}

void sn_view_letter_groups(struct sn_out *o, const json_t *list, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("count"), true, false },   { _("cause"), false, false }, { _("driver"), false, false },
        { _("devices"), false, true }, { _("first"), false, false }, { _("newest"), false, false },
        { _("example"), false, true },
    };
    const json_t *groups = json_object_get(list, "groups");
    struct sn_table *t;
    json_t *g, *device;
    size_t i, k;

    if (json_array_size(groups) == 0) {
        sn_out_text(o, _("No dead letters.\n"));
        return;
    }
    t = sn_table_new(columns, 7);
    json_array_foreach (groups, i, g) {
        char first[SN_WHEN_MAX], id[16];
        struct sn_buf devices = SN_BUF_INIT, what = SN_BUF_INIT;

        json_array_foreach (json_object_get(g, "devices"), k, device)
            sn_buf_addf(&devices, "%s%s", k > 0 ? ", " : "", json_string_value(device));
        sentence_of(sn_json_text(g, "code"), json_object_get(g, "args"),
                    json_string_value(json_array_get(json_object_get(g, "devices"), 0)), &what);
        sn_when_short(sn_json_time(g, "first"), now_ms, first);
        sn_view_short_id(sn_json_text(g, "newest"), id);
        sn_table_cellf(t, SN_STYLE_BOLD, "%lld", (long long)sn_json_number(g, "count"));
        sn_table_cell(t, SN_STYLE_BAD, sn_json_text(g, "code"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(g, "driver"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&devices));
        sn_table_cell(t, SN_STYLE_PLAIN, first);
        sn_table_cell(t, SN_STYLE_PLAIN, id);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&what));
        sn_buf_fini(&devices);
        sn_buf_fini(&what);
    }
    sn_table_print(t, o, "");
    sn_out_text(o, P_("%lld letter, ", "%lld letters, ", sn_json_number(list, "count")), (long long)sn_json_number(list, "count"));
    sn_out_text(o, P_("%zu cause. ", "%zu causes. ", json_array_size(groups)), json_array_size(groups));
    sn_out_text(o, "%s\n", _("One of them: silverctl dlq show ID"));
}

/* A later visit to the same target says how it stands. */
static bool has_later(const json_t *targets, size_t i)
{
    const char *target = sn_json_text(json_array_get(targets, i), "target");

    for (size_t k = i + 1; k < json_array_size(targets); k++) {
        if (strcmp(sn_json_text(json_array_get(targets, k), "target"), target) == 0)
            return true;
    }
    return false;
}

/* What each target holds, one line each. */
static void what_holds(struct sn_out *o, const json_t *targets)
{
    json_t *t;
    size_t i;

    json_array_foreach (targets, i, t) {
        struct sn_buf words = SN_BUF_INIT;

        if (has_later(targets, i))
            continue;
        sn_json_words(json_object_get(t, "holds"), &words);
        sn_out_text(o, "  ");
        sn_out_pad(o, SN_STYLE_BOLD, sn_json_text(t, "target"), 12);
        sn_out_pad(o, sn_style_of(sn_json_text(t, "outcome")), sn_json_text(t, "outcome"), 12);
        sn_out_put(o, SN_STYLE_PLAIN,
                   words.len > 0                                 ? sn_buf_str(&words)
                   : json_is_object(json_object_get(t, "holds")) ? _("nothing")
                                                                 : _("nothing is known"));
        sn_out_text(o, "\n");
        sn_buf_fini(&words);
    }
}

/* The device's own words: the last reply that was not ok. */
static void device_said(struct sn_out *o, const json_t *log)
{
    for (size_t i = json_array_size(log); i-- > 0;) {
        const json_t *e = json_array_get(log, i);
        const char *verdict = sn_json_text(e, "verdict");
        if (strcmp(sn_json_text(e, "dir"), "<") != 0 || verdict[0] == '\0' || strcmp(verdict, "ok") == 0)
            continue;
        sn_out_put(o, SN_STYLE_BOLD, _("What the device said:"));
        sn_out_text(o, "\n");
        sn_out_block(o, "  ", sn_json_text(e, "text"));
        return;
    }
}

void sn_view_letter(struct sn_out *o, const json_t *letter, int64_t now_ms)
{
    char id[16], who[192], when[SN_WHEN_MAX];
    const char *code = sn_json_text(letter, "code");
    const char *state = sn_json_text(letter, "state");

    sn_view_short_id(sn_json_text(letter, "event"), id);
    sn_view_who(letter, who, sizeof(who));
    sn_when_short(sn_json_time(letter, "died_at"), now_ms, when);
    sn_out_put(o, SN_STYLE_BOLD, id);
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, who);
    sn_out_text(o, "   ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(letter, "type"));
    sn_out_text(o, "   ");
    if (strcmp(state, "open") == 0) {
        sn_out_put(o, SN_STYLE_BAD, _("DEAD"));
        sn_out_text(o, P_(" since %s (%lld attempt)", " since %s (%lld attempts)", sn_json_number(letter, "attempt")), when,
                    (long long)sn_json_number(letter, "attempt"));
    } else
        sn_out_put(o, SN_STYLE_DIM, state);
    sn_out_text(o, "   ");
    sn_out_put(o, SN_STYLE_BOLD, code);
    sn_out_text(o, "\n");
    sn_view_event_cause(o, letter);
    what_holds(o, json_object_get(letter, "targets"));
    device_said(o, json_object_get(letter, "log"));
}
