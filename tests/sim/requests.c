/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "fault.h"
#include "session.h"
#include "sshd.h"

typedef json_t *request_fn(struct olt *olt, json_t *request);

static json_t *failed(const char *reason)
{
    return json_pack("{s:b,s:s}", "ok", 0, "error", reason);
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

/* Takes err; answers done() when it is empty. */
static json_t *outcome(struct text *err)
{
    json_t *answer = err->len > 0 ? failed(err->p) : done();
    text_free(err);
    return answer;
}

static json_t *sn_to_json(const uint8_t *sn)
{
    char hex[17];
    sn_hex(sn, hex);
    return json_string(hex);
}

static json_t *sessions_to_json(const struct olt *olt)
{
    json_t *list = json_array();
    for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
        json_array_append_new(list, json_pack("{s:i,s:i}", "number", (int)session_number(s), "mode",
                                              (int)session_console(s)->mode));
    }
    return list;
}

static json_t *do_state(struct olt *olt, json_t *request)
{
    (void)request;
    json_t *state = conf_to_json(&olt->running);
    json_t *onts = json_object_get(state, "onts"), *autofind = json_array(), *plant = json_array();
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        const struct ont *o = &olt->running.onts[i];
        json_t *one = json_array_get(onts, i);
        json_object_set_new(one, "run", json_string(ont_online(olt, o) ? "online" : "offline"));
        json_object_set_new(one, "config", json_string(ont_config_state(olt, o)));
        json_object_set_new(one, "down_cause", json_string(o->down_cause));
    }
    for (size_t i = 0; i < olt->n_onus; i++) {
        const struct onu *onu = &olt->onus[i];
        if (olt_autofound(olt, onu)) {
            json_array_append_new(autofind,
                                  json_pack("{s:o,s:o}", "fsp", place_to_json(onu->at), "sn", sn_to_json(onu->sn)));
        }
        json_array_append_new(plant, json_pack("{s:o,s:o,s:b,s:f}", "fsp", place_to_json(onu->at), "sn",
                                               sn_to_json(onu->sn), "lit", (int)onu->lit, "rx_dbm", onu->rx_dbm));
    }
    json_object_set_new(state, "ok", json_true());
    json_object_set_new(state, "name", json_string(olt->name));
    json_object_set_new(state, "hostname", json_string(olt->hostname));
    json_object_set_new(state, "port", json_integer(olt->port));
    json_object_set_new(state, "autofind", autofind);
    json_object_set_new(state, "plant", plant);
    json_object_set_new(state, "sessions", sessions_to_json(olt));
    json_object_set_new(state, "saved", conf_to_json(&olt->saved));
    json_object_set_new(state, "dirty", json_boolean(olt->changes != olt->saved_changes));
    json_object_set_new(state, "saving", json_boolean(olt->saving));
    return state;
}

static json_t *do_plug(struct olt *olt, json_t *request)
{
    struct text err = {0};
    struct onu onu;
    if (onu_from_json(olt, request, &onu, &err)) {
        olt_plug(olt, &onu);
    }
    return outcome(&err);
}

static json_t *do_unplug(struct olt *olt, json_t *request)
{
    const char *serial = json_string_value(json_object_get(request, "sn"));
    const char *cause = json_string_value(json_object_get(request, "cause"));
    uint8_t sn[SIM_SN_BYTES];
    bool keep = json_is_true(json_object_get(request, "keep"));
    if (serial == NULL || !sn_parse(serial, sn) || !olt_unplug(olt, sn, cause != NULL ? cause : "LOS", keep)) {
        return failed("no such ONU");
    }
    return done();
}

static json_t *do_reboot(struct olt *olt, json_t *request)
{
    (void)request;
    olt_reboot(olt);
    return done();
}

static json_t *do_drop(struct olt *olt, json_t *request)
{
    (void)request;
    for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
        session_cut(s);
    }
    return done();
}

static void on_listen_again(struct timer *t)
{
    sshd_listen(SIM_OF(t, struct olt, boot_timer));
}

static json_t *do_fault(struct olt *olt, json_t *request)
{
    struct text err = {0};
    json_t *order = json_object_get(request, "fault");
    const char *kind = json_string_value(json_object_get(order, "kind"));
    json_t *seconds = json_object_get(order, "seconds");
    if (kind != NULL && strcmp(kind, "refuse_connect") == 0 && json_is_number(seconds)) {
        sshd_unlisten(olt); /* nobody listens: connecting is refused by the kernel */
        olt->boot_timer.fire = on_listen_again;
        timer_start(olt->sim->loop, &olt->boot_timer, (uint64_t)(json_number_value(seconds) * 1000));
        return done();
    }
    fault_add(olt, order, &err);
    return outcome(&err);
}

static json_t *do_faults(struct olt *olt, json_t *request)
{
    (void)request;
    return json_pack("{s:b,s:o}", "ok", 1, "faults", fault_list(olt));
}

static json_t *do_clear_faults(struct olt *olt, json_t *request)
{
    fault_clear(olt, json_string_value(json_object_get(request, "kind")));
    if (((olt->boot_timer.slot) != 0) && olt->boot_timer.fire == on_listen_again) {
        timer_stop(olt->sim->loop, &olt->boot_timer);
        sshd_listen(olt);
    }
    return done();
}

/* The literal words that a pattern begins with: "display ont info by-sn". */
static void command_name(const char *pattern, char *out, size_t size)
{
    size_t len = strcspn(pattern, "<[");
    while (len > 0 && pattern[len - 1] == ' ') {
        len--;
    }
    snprintf(out, size, "%.*s", (int)len, pattern);
}

static json_t *per_command(const struct olt *olt)
{
    json_t *all = json_object();
    for (size_t i = 0; i < command_count; i++) {
        if (olt->count.per_command[i] > 0) {
            char name[80];
            command_name(command_table[i].pattern, name, sizeof name);
            json_int_t before = json_integer_value(json_object_get(all, name));
            json_object_set_new(all, name, json_integer(before + (json_int_t)olt->count.per_command[i]));
        }
    }
    return all;
}

static json_t *do_counters(struct olt *olt, json_t *request)
{
    const struct counters *c = &olt->count;
    json_t *writes = json_array();
    for (size_t i = 0; i < olt->n_writes; i++) {
        const struct write_entry *w = &olt->writes[i];
        json_array_append_new(writes, json_pack("{s:I,s:i,s:I,s:s}", "n", (json_int_t)w->number, "session",
                                                (int)w->session, "at_ms", (json_int_t)w->at_ms, "command", w->line));
    }
    json_t *answer = json_pack(
        "{s:b,s:{s:i,s:i,s:i},s:i,s:i,s:I,s:I,s:I,s:I,s:i,s:o,s:o}", "ok", 1, "sessions", "opened", (int)c->opened,
        "open", (int)olt->open, "max", (int)c->max_at_once, "login_failures", (int)c->login_failures, "quota_refusals",
        (int)c->refused_quota, "commands", (json_int_t)c->commands, "writes", (json_int_t)c->writes, "refused",
        (json_int_t)c->refused, "saves", (json_int_t)c->saves, "interleaved_writers", (int)c->interleaved_writers,
        "per_command", per_command(olt), "write_list", writes);
    if (json_is_true(json_object_get(request, "reset"))) {
        uint64_t *counts = c->per_command;
        memset(counts, 0, command_count * sizeof *counts);
        olt->count = (struct counters){.per_command = counts, .max_at_once = olt->open};
        for (size_t i = 0; i < olt->n_writes; i++) {
            free(olt->writes[i].line);
        }
        olt->n_writes = 0;
    }
    return answer;
}

static json_t *do_log(struct olt *olt, json_t *request)
{
    json_int_t since = json_integer_value(json_object_get(request, "since"));
    json_t *list = json_array();
    for (size_t i = 0; i < olt->n_log; i++) {
        const struct log_entry *e = &olt->log[i];
        if ((json_int_t)e->number > since) {
            json_array_append_new(list, json_pack("{s:I,s:i,s:I,s:s,s:s}", "n", (json_int_t)e->number, "session",
                                                  (int)e->session, "at_ms", (json_int_t)e->at_ms, "command", e->line,
                                                  "result", e->result));
        }
    }
    return json_pack("{s:b,s:o}", "ok", 1, "log", list);
}

static json_t *do_set(struct olt *olt, json_t *request)
{
    struct text err = {0};
    json_t *settings = json_object_get(request, "set");
    if (!json_is_object(settings)) {
        return failed("\"set\" must be an object of settings");
    }
    if (json_object_get(settings, "port") != NULL || json_object_get(settings, "listen") != NULL) {
        return failed("the address cannot change");
    }
    olt_configure(olt, settings, false, &err);
    sshd_refresh(olt);
    return outcome(&err);
}

static json_t *do_new_host_key(struct olt *olt, json_t *request)
{
    const char *type = json_string_value(json_object_get(request, "type"));
    struct text path = {0};
    text_fmt(&path, "%s.%s.%llu", olt->sim->host_key, olt->name, (unsigned long long)sim_now_ms());
    if (sshd_host_key(path.p, type != NULL ? type : "ed25519") != 0) {
        text_free(&path);
        return failed("no host key was made");
    }
    free(olt->host_key);
    olt->host_key = path.p;
    sshd_refresh(olt);
    return done();
}

/* Somebody at the console cable: runs lines at once, not counted as writes of a session. */
static json_t *do_type(struct olt *olt, json_t *request)
{
    struct session *s = session_open_silent(olt, MODE_CONFIG, 0, 0);
    json_t *replies = json_array(), *line;
    size_t i;
    json_array_foreach (json_object_get(request, "lines"), i, line) {
        struct text out = {0};
        const char *result = session_run(s, json_string_value(line), &out);
        json_array_append_new(replies, json_pack("{s:s,s:s}", "result", result, "text", out.p != NULL ? out.p : ""));
        text_free(&out);
    }
    session_free(s);
    return json_pack("{s:b,s:o}", "ok", 1, "replies", replies);
}

static const struct {
    const char *op;
    request_fn *run;
} requests[] = {
    {"state", do_state},       {"plug", do_plug},     {"unplug", do_unplug},
    {"reboot", do_reboot},     {"drop", do_drop},     {"fault", do_fault},
    {"faults", do_faults},     {"clear_faults", do_clear_faults},
    {"counters", do_counters}, {"log", do_log},       {"set", do_set},
    {"type", do_type},         {"new_host_key", do_new_host_key},
};

static json_t *list_olts(const struct sim *sim)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sim->n_olts; i++) {
        const struct olt *olt = sim->olts[i];
        json_array_append_new(list, json_pack("{s:s,s:s,s:i,s:i}", "name", olt->name, "listen", olt->listen, "port",
                                              (int)olt->port, "open", (int)olt->open));
    }
    return json_pack("{s:b,s:o}", "ok", 1, "olts", list);
}

json_t *request_answer(struct sim *sim, json_t *request)
{
    const char *op = json_string_value(json_object_get(request, "op"));
    if (op != NULL && strcmp(op, "list") == 0) {
        return list_olts(sim);
    }
    struct olt *olt = sim_find(sim, json_string_value(json_object_get(request, "olt")));
    if (olt == NULL) {
        return failed("no such OLT");
    }
    for (size_t i = 0; op != NULL && i < sizeof requests / sizeof requests[0]; i++) {
        if (strcmp(requests[i].op, op) == 0) {
            return requests[i].run(olt, request);
        }
    }
    return failed("unknown op");
}
