/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"

#include "worker/ctl/view.h"

/* "CLOSED unreachable since 22:14 (no route), try 04:13" */
static void gate_words(const json_t *gate, int64_t now_ms, struct sn_buf *out)
{
    const char *by = sn_json_text(gate, "by"), *why = sn_json_text(gate, "why");
    char when[SN_WHEN_MAX];

    if (strcmp(sn_json_text(gate, "state"), "closed") != 0) {
        sn_buf_adds(out, _("open"));
        return;
    }
    sn_buf_adds(out, _("CLOSED"));
    if (by[0] != '\0')
        sn_buf_addf(out, _(" paused by %s"), by);
    else
        sn_buf_addf(out, " %s", sn_json_text(gate, "code"));
    if (sn_json_time(gate, "since") != 0) {
        sn_when_short(sn_json_time(gate, "since"), now_ms, when);
        sn_buf_addf(out, _(" since %s"), when);
    }
    if (sn_json_time(gate, "until") != 0) {
        sn_when_short(sn_json_time(gate, "until"), now_ms, when);
        sn_buf_addf(out, _(" until %s"), when);
    }
    if (why[0] != '\0')
        sn_buf_addf(out, by[0] != '\0' ? ": \"%s\"" : " (%s)", why);
    if (sn_json_time(gate, "probe") != 0) {
        sn_when_short(sn_json_time(gate, "probe"), now_ms, when);
        sn_buf_addf(out, _(", try %s"), when);
    }
}

static bool is_closed(const json_t *row)
{
    return strcmp(sn_json_text(json_object_get(row, "gate"), "state"), "closed") == 0;
}

static void count_cell(struct sn_table *t, const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);

    if (json_is_integer(value))
        sn_table_cellf(t, json_integer_value(value) > 0 ? SN_STYLE_BOLD : SN_STYLE_PLAIN, "%lld",
                       (long long)json_integer_value(value));
    else
        sn_table_cell(t, SN_STYLE_PLAIN, json_is_true(value) ? _("yes") : "-");
}

void sn_view_devices(struct sn_out *o, const json_t *list, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("device"), false, false }, { _("driver"), false, false }, { _("owner"), false, false },
        { _("gate"), false, true },    { _("ready"), true, false },   { _("bulk"), true, false },
        { _("unsaved"), true, false },
    };
    struct sn_table *t = sn_table_new(columns, 7);
    const json_t *rows = json_object_get(list, "devices");
    const char *closed_one = NULL;
    int closed = 0;
    json_t *row;
    size_t i;

    json_array_foreach (rows, i, row) {
        struct sn_buf gate = SN_BUF_INIT;
        const char *owner = sn_json_text(row, "owner");
        char name[64];

        gate_words(json_object_get(row, "gate"), now_ms, &gate);
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(owner, "/"), owner);
        sn_table_cell(t, SN_STYLE_BOLD, sn_json_text(row, "device"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(row, "driver"));
        sn_table_cell(t, owner[0] != '\0' ? SN_STYLE_PLAIN : SN_STYLE_WARN, owner[0] != '\0' ? name : _("nobody"));
        sn_table_cell(t, is_closed(row) ? SN_STYLE_BAD : SN_STYLE_GOOD, sn_buf_str(&gate));
        count_cell(t, row, "ready");
        count_cell(t, row, "bulk");
        count_cell(t, row, "unsaved");
        if (is_closed(row)) {
            closed++;
            closed_one = closed_one != NULL ? closed_one : sn_json_text(row, "device");
        }
        sn_buf_fini(&gate);
    }
    sn_table_print(t, o, "");
    sn_out_text(o, P_("%zu device, %d closed.", "%zu devices, %d closed.", json_array_size(rows)), json_array_size(rows), closed);
    if (closed_one != NULL)
        sn_out_text(o, _(" Why and what to do: silverctl device show %s"), closed_one);
    sn_out_text(o, "\n");
}

static void fact(struct sn_out *o, const char *name, const char *value)
{
    sn_out_pad(o, SN_STYLE_DIM, name, 16);
    sn_out_put(o, SN_STYLE_PLAIN, value);
    sn_out_text(o, "\n");
}

static void last_exchanges(struct sn_out *o, const json_t *log, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("when"), false, false }, { _("event"), false, false },   { "", false, false },
        { _("text"), false, true },  { _("verdict"), false, false },
    };
    struct sn_table *t = sn_table_new(columns, 5);
    json_t *e;
    size_t i;

    json_array_foreach (log, i, e) {
        char when[SN_WHEN_MAX], id[16];
        const char *verdict = sn_json_text(e, "verdict"), *text = sn_json_text(e, "text");

        sn_when_short(sn_json_time(e, "at"), now_ms, when);
        sn_view_short_id(sn_json_text(e, "event"), id);
        sn_table_cell(t, SN_STYLE_PLAIN, when);
        sn_table_cell(t, SN_STYLE_PLAIN, id);
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(e, "dir"));
        sn_table_cellf(t, SN_STYLE_PLAIN, "%.*s", (int)strcspn(text, "\r\n"), text);
        sn_table_cell(t, sn_style_of(verdict), verdict);
    }
    sn_table_print(t, o, "  ");
}

void sn_view_device(struct sn_out *o, const json_t *device, int64_t now_ms)
{
    struct sn_buf gate = SN_BUF_INIT;
    const json_t *state = json_object_get(device, "gate");
    const char *owner = sn_json_text(device, "owner");
    int64_t contracts, letters;
    char text[160];
    size_t len;

    sn_out_put(o, SN_STYLE_BOLD, sn_json_text(device, "device"));
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(device, "driver"));
    sn_out_text(o, "\n");
    gate_words(state, now_ms, &gate);
    fact(o, _("gate"), sn_buf_str(&gate));
    if (is_closed(device)) {
        json_t *args = json_pack("{s:s, s:s, s:s}", "target", sn_json_text(device, "device"), "by",
                                 sn_json_text(state, "by"), "why", sn_json_text(state, "why"));
        sn_view_cause(o, sn_json_text(state, "code"), args);
        json_decref(args);
    }
    (void)snprintf(text, sizeof(text), owner[0] != '\0' ? _("%s, epoch %lld") : _("nobody"), owner,
                   (long long)sn_json_number(device, "epoch"));
    fact(o, _("owner"), text);
    (void)snprintf(text, sizeof(text), _("%lld express, %lld bulk"), (long long)sn_json_number(device, "ready"),
                   (long long)sn_json_number(device, "bulk"));
    fact(o, _("ready"), text);
    (void)snprintf(text, sizeof(text), "%lld", (long long)sn_json_number(device, "unsaved"));
    fact(o, _("unsaved"), text);
    contracts = sn_json_number(device, "contracts");
    letters = sn_json_number(device, "letters");
    len = (size_t)snprintf(text, sizeof(text), P_("%lld contract, ", "%lld contracts, ", contracts), (long long)contracts);
    (void)snprintf(text + len, sizeof(text) - len, P_("%lld open dead letter", "%lld open dead letters", letters), (long long)letters);
    fact(o, _("ledger"), text);
    if (json_array_size(json_object_get(device, "log")) > 0) {
        sn_out_text(o, "%s\n", _("last exchanges:"));
        last_exchanges(o, json_object_get(device, "log"), now_ms);
    }
    sn_buf_fini(&gate);
}

void sn_view_device_test(struct sn_out *o, const json_t *test, int64_t now_ms)
{
    char took[SN_WHEN_MAX];
    bool ok = sn_json_true(test, "ok");

    (void)now_ms;
    sn_duration(sn_json_number(test, "ms"), took);
    sn_out_put(o, SN_STYLE_BOLD, sn_json_text(test, "device"));
    sn_out_text(o, "  ");
    sn_out_put(o, ok ? SN_STYLE_GOOD : SN_STYLE_BAD, ok ? "ok" : sn_json_text(test, "code"));
    sn_out_text(o, "  ");
    sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(test, "text"));
    sn_out_text(o, "  (%s)\n", took);
    if (!ok)
        sn_view_cause(o, sn_json_text(test, "code"), json_object_get(test, "args"));
}

void sn_view_gate(struct sn_out *o, const json_t *gate, int64_t now_ms)
{
    struct sn_buf words = SN_BUF_INIT;
    const json_t *unsaved = json_object_get(gate, "unsaved");

    gate_words(json_object_get(gate, "gate"), now_ms, &words);
    sn_out_put(o, SN_STYLE_BOLD, sn_json_text(gate, "device"));
    sn_out_text(o, "  ");
    sn_out_put(o, is_closed(gate) ? SN_STYLE_BAD : SN_STYLE_GOOD, sn_buf_str(&words));
    sn_out_text(o, "\n");
    if (sn_json_text(gate, "session")[0] != '\0') {
        sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(gate, "session"));
        sn_out_text(o, "\n");
    }
    if (json_is_true(unsaved) || json_integer_value(unsaved) > 0)
        sn_out_text(o, "%s\n",
                    _("It has unsaved changes: they are saved when it is resumed; a reboot before that undoes them."));
    sn_buf_fini(&words);
}

void sn_view_workers(struct sn_out *o, const json_t *list, int64_t now_ms)
{
    const struct sn_column columns[] = {
        { _("worker"), false, false }, { _("version"), false, false }, { _("since"), false, false },
        { _("devices"), true, false }, { _("closed"), true, false },   { _("in hand"), true, false },
        { _("done"), true, false },    { _("state"), false, false },   { "http", false, false },
    };
    const json_t *workers = json_object_get(list, "workers");
    struct sn_table *t = json_array_size(workers) > 0 ? sn_table_new(columns, 9) : NULL;
    json_t *w;
    size_t i;

    json_array_foreach (workers, i, w) {
        char since[SN_WHEN_MAX];
        const char *why = sn_json_text(w, "why");

        sn_when_short(sn_json_time(w, "since"), now_ms, since);
        sn_table_cell(t, SN_STYLE_BOLD, sn_json_text(w, "worker"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(w, "version"));
        sn_table_cell(t, SN_STYLE_PLAIN, since);
        sn_table_cellf(t, SN_STYLE_PLAIN, "%zu", json_array_size(json_object_get(w, "devices")));
        count_cell(t, w, "closed");
        count_cell(t, w, "in_hand");
        count_cell(t, w, "done");
        sn_table_cell(t, why[0] != '\0' ? SN_STYLE_WARN : SN_STYLE_GOOD, why[0] != '\0' ? why : "ok");
        sn_table_cell(t, SN_STYLE_PLAIN, sn_json_text(w, "http"));
    }
    if (t != NULL)
        sn_table_print(t, o, "");
    else
        sn_out_text(o, "%s\n", _("No worker lives: events wait in the broker."));
    if (json_is_false(json_object_get(list, "whole")))
        sn_out_text(o, "%s\n",
                    _("Redis does not hold all records: nothing is written to any device until the ledger role has put "
                      "them back."));
}

/* ---- topology, configuration ---- */

/* One line for an exchange or queue: its name, and the rest in words. */
static void topology_rows(struct sn_table *t, const char *kind, const json_t *objects)
{
    json_t *object, *binding;
    size_t i, k;

    json_array_foreach (objects, i, object) {
        struct sn_buf words = SN_BUF_INIT;
        json_t *rest = sn_json_deep_copy(object);

        (void)json_object_del(rest, "name");
        (void)json_object_del(rest, "arguments");
        (void)json_object_del(rest, "bindings");
        sn_json_words(rest, &words);
        json_decref(rest);
        json_array_foreach (json_object_get(object, "bindings"), k, binding)
            sn_buf_addf(&words, "%s%s <- %s", k > 0 ? ", " : "", sn_json_text(binding, "exchange"),
                        sn_json_text(binding, "key"));
        sn_table_cell(t, SN_STYLE_PLAIN, kind);
        sn_table_cell(t, SN_STYLE_BOLD, sn_json_text(object, "name"));
        sn_table_cell(t, SN_STYLE_PLAIN, sn_buf_str(&words));
        sn_buf_fini(&words);
    }
}

void sn_view_topology(struct sn_out *o, const json_t *topology, int64_t now_ms)
{
    const struct sn_column columns[] = { { _("kind"), false, false },
                                         { _("name"), false, false },
                                         { _("what"), false, true } };
    const json_t *differences = json_object_get(topology, "differences"),
                 *objects = json_object_get(topology, "objects");
    json_t *line;
    size_t i;

    (void)now_ms;
    if (json_is_object(objects)) {
        struct sn_table *t = sn_table_new(columns, 3);
        topology_rows(t, _("exchange"), json_object_get(objects, "exchanges"));
        topology_rows(t, _("queue"), json_object_get(objects, "queues"));
        sn_table_print(t, o, "");
    }
    json_array_foreach (differences, i, line) {
        sn_out_put(o, SN_STYLE_BAD, json_string_value(line));
        sn_out_text(o, "\n");
    }
    if (sn_json_true(topology, "applied"))
        sn_out_text(o, P_("The broker has what it needs for %lld device.\n", "The broker has what it needs for %lld devices.\n",
                          sn_json_number(topology, "devices")), (long long)sn_json_number(topology, "devices"));
    else if (json_is_array(differences) && json_array_size(differences) == 0)
        sn_out_text(o, _("The broker is as it shall be.\n"));
    else if (json_is_array(differences))
        sn_out_text(o, P_("%zu difference. Missing objects: silverctl topology --apply\n",
                          "%zu differences. Missing objects: silverctl topology --apply\n", json_array_size(differences)),
                    json_array_size(differences));
}

void sn_view_config(struct sn_out *o, const json_t *config, int64_t now_ms)
{
    json_t *check;
    size_t i;

    (void)now_ms;
    json_array_foreach (json_object_get(config, "checks"), i, check) {
        const char *code = sn_json_text(check, "code");
        bool ok = sn_json_true(check, "ok");

        sn_out_pad(o, ok ? SN_STYLE_GOOD : SN_STYLE_BAD, ok ? "ok" : "FAULT", 7);
        sn_out_pad(o, SN_STYLE_BOLD, sn_json_text(check, "what"), 12);
        sn_out_put(o, SN_STYLE_PLAIN, sn_json_text(check, "text"));
        if (code[0] != '\0') {
            sn_out_text(o, "  ");
            sn_out_put(o, SN_STYLE_DIM, code);
        }
        sn_out_text(o, "\n");
    }
}
