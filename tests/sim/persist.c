/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as JSON: for the control socket, for the configuration file and for the state directory, where each
 * OLT keeps its saved configuration and its plant, as flash and fibres survive a power cut. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "model.h"
#include "session.h"

json_t *place_to_json(struct place at)
{
    char s[32];
    snprintf(s, sizeof s, "%u/%u/%u", at.frame, at.slot, at.port);
    return json_string(s);
}

bool place_from_text(const char *s, struct place *at)
{
    int end = 0;
    return s != NULL && sscanf(s, "%3u/%3u/%3u%n", &at->frame, &at->slot, &at->port, &end) == 3 && s[end] == '\0';
}

static json_t *ont_to_json(const struct ont *o)
{
    char sn[17];
    sn_hex(o->sn, sn);
    json_t *off = json_array();
    json_t *native = json_object();
    for (unsigned i = 1; i <= SIM_ETH_MAX; i++) {
        char key[4];
        snprintf(key, sizeof key, "%u", i);
        if ((o->eth_off >> i) & 1) {
            json_array_append_new(off, json_integer(i));
        }
        if (o->native_vlan[i] != 0) {
            json_object_set_new(native, key, json_integer(o->native_vlan[i]));
        }
    }
    return json_pack("{s:o,s:i,s:s,s:i,s:i,s:s,s:b,s:o,s:o}", "fsp", place_to_json(o->at), "id", (int)o->id, "sn", sn,
                     "line_profile", (int)o->line_profile, "service_profile", (int)o->service_profile, "desc", o->desc,
                     "active", (int)o->active, "eth_off", off, "native_vlan", native);
}

static json_t *port_to_json(const struct service_port *p)
{
    return json_pack("{s:i,s:i,s:o,s:i,s:i,s:i,s:s,s:i,s:i}", "index", (int)p->index, "vlan", (int)p->vlan, "fsp",
                     place_to_json(p->at), "ont", (int)p->ont, "gem", (int)p->gem, "user_vlan", p->user_vlan,
                     "transform", p->transform, "rx", p->rx, "tx", p->tx);
}

static json_t *table_to_json(const struct traffic_table *t)
{
    return json_pack("{s:i,s:s,s:i,s:i,s:i,s:i,s:i,s:s}", "index", (int)t->index, "name", t->name, "cir", (int)t->cir,
                     "cbs", (int)t->cbs, "pir", (int)t->pir, "pbs", (int)t->pbs, "priority", (int)t->priority,
                     "policy", t->tag_policy ? "tag-in-package" : "local-setting");
}

json_t *conf_to_json(const struct conf *c)
{
    json_t *onts = json_array(), *ports = json_array(), *tables = json_array();
    for (size_t i = 0; i < c->n_onts; i++) {
        json_array_append_new(onts, ont_to_json(&c->onts[i]));
    }
    for (size_t i = 0; i < c->n_ports; i++) {
        json_array_append_new(ports, port_to_json(&c->ports[i]));
    }
    for (size_t i = 0; i < c->n_tables; i++) {
        json_array_append_new(tables, table_to_json(&c->tables[i]));
    }
    return json_pack("{s:o,s:o,s:o}", "onts", onts, "service_ports", ports, "traffic_tables", tables);
}

static unsigned number_of(json_t *o, const char *key, unsigned otherwise)
{
    json_t *v = json_object_get(o, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (unsigned)json_integer_value(v) : otherwise;
}

static int signed_of(json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (int)json_integer_value(v) : -1;
}

static void copy_of(json_t *o, const char *key, char *out, size_t size, const char *otherwise)
{
    const char *v = json_string_value(json_object_get(o, key));
    snprintf(out, size, "%s", v != NULL ? v : otherwise);
}

static bool ont_from_json(struct conf *c, json_t *from)
{
    struct place at;
    uint8_t sn[SIM_SN_BYTES];
    const char *serial = json_string_value(json_object_get(from, "sn"));
    if (!place_from_text(json_string_value(json_object_get(from, "fsp")), &at) || serial == NULL ||
        !sn_parse(serial, sn)) {
        return false;
    }
    struct ont *o = conf_add_ont(c);
    o->at = at;
    memcpy(o->sn, sn, sizeof sn);
    o->id = number_of(from, "id", 0);
    o->line_profile = number_of(from, "line_profile", 0);
    o->service_profile = number_of(from, "service_profile", 0);
    o->active = !json_is_false(json_object_get(from, "active"));
    copy_of(from, "desc", o->desc, sizeof o->desc, "");
    size_t i;
    json_t *off;
    json_array_foreach (json_object_get(from, "eth_off"), i, off) {
        unsigned eth = (unsigned)json_integer_value(off);
        o->eth_off = (uint16_t)(o->eth_off | (eth <= SIM_ETH_MAX ? 1u << eth : 0));
    }
    const char *key;
    json_t *vlan;
    json_object_foreach (json_object_get(from, "native_vlan"), key, vlan) {
        unsigned long eth = strtoul(key, NULL, 10);
        if (eth >= 1 && eth <= SIM_ETH_MAX) {
            o->native_vlan[eth] = (unsigned)json_integer_value(vlan);
        }
    }
    return true;
}

static bool port_from_json(struct conf *c, json_t *from)
{
    struct place at;
    if (!place_from_text(json_string_value(json_object_get(from, "fsp")), &at)) {
        return false;
    }
    struct service_port *p = conf_add_port(c);
    p->at = at;
    p->index = number_of(from, "index", 0);
    p->vlan = number_of(from, "vlan", 1);
    p->ont = number_of(from, "ont", 0);
    p->gem = number_of(from, "gem", 1);
    p->user_vlan = signed_of(from, "user_vlan");
    p->rx = signed_of(from, "rx");
    p->tx = signed_of(from, "tx");
    copy_of(from, "transform", p->transform, sizeof p->transform, "translate");
    return true;
}

static bool table_from_json(struct conf *c, json_t *from)
{
    struct traffic_table *t = conf_add_table(c);
    t->index = number_of(from, "index", 0);
    t->cir = number_of(from, "cir", 0);
    t->pir = number_of(from, "pir", t->cir);
    t->cbs = number_of(from, "cbs", t->cir > 0 ? t->cir * 32 + 2000 : 0);
    t->pbs = number_of(from, "pbs", t->pir > 0 ? t->pir * 32 + 4000 : 0);
    t->priority = number_of(from, "priority", 0);
    char policy[24], name[SIM_NAME_MAX + 1];
    copy_of(from, "policy", policy, sizeof policy, "local-setting");
    t->tag_policy = strcmp(policy, "tag-in-package") == 0;
    snprintf(name, sizeof name, "ip-traffic-table_%u", t->index);
    copy_of(from, "name", t->name, sizeof t->name, name);
    return json_is_integer(json_object_get(from, "index"));
}

static bool each(struct conf *c, json_t *list, bool (*take)(struct conf *c, json_t *from), struct text *err)
{
    size_t i;
    json_t *one;
    json_array_foreach (list, i, one) {
        if (!take(c, one)) {
            char *s = json_dumps(one, JSON_COMPACT);
            text_fmt(err, "not understood: %s", s);
            free(s);
            return false;
        }
    }
    return true;
}

bool conf_from_json(struct conf *c, json_t *from, struct text *err)
{
    bool ok = each(c, json_object_get(from, "onts"), ont_from_json, err) &&
              each(c, json_object_get(from, "service_ports"), port_from_json, err) &&
              each(c, json_object_get(from, "traffic_tables"), table_from_json, err);
    conf_sort(c);
    return ok;
}

static char *state_path(const struct olt *olt)
{
    struct text path = {0};
    text_fmt(&path, "%s/%s.json", olt->sim->state_dir, olt->name);
    return path.p;
}

static json_t *onu_to_json(const struct onu *onu)
{
    char sn[17];
    sn_hex(onu->sn, sn);
    return json_pack("{s:o,s:s,s:b,s:f,s:f,s:f,s:s,s:s}", "fsp", place_to_json(onu->at), "sn", sn, "lit",
                     (int)onu->lit, "rx_dbm", onu->rx_dbm, "tx_dbm", onu->tx_dbm, "olt_rx_dbm", onu->olt_rx_dbm,
                     "equipment", onu->equipment, "version", onu->version);
}

void olt_store(struct olt *olt)
{
    if (olt->sim->state_dir == NULL) {
        return;
    }
    char *path = state_path(olt);
    struct text part = {0};
    text_fmt(&part, "%s.part", path);
    json_t *plant = json_array();
    for (size_t i = 0; i < olt->n_onus; i++) {
        json_array_append_new(plant, onu_to_json(&olt->onus[i]));
    }
    json_t *all = json_pack("{s:o,s:o}", "saved", conf_to_json(&olt->saved), "plant", plant);
    if (json_dump_file(all, part.p, JSON_INDENT(1)) != 0 || rename(part.p, path) != 0) {
        fprintf(stderr, "silver-sim: cannot write %s\n", path);
    }
    json_decref(all);
    text_free(&part);
    free(path);
}

bool olt_restore(struct olt *olt)
{
    if (olt->sim->state_dir == NULL) {
        return false;
    }
    char *path = state_path(olt);
    json_t *all = json_load_file(path, 0, NULL);
    free(path);
    if (all == NULL) {
        return false;
    }
    struct text err = {0};
    conf_free(&olt->saved);
    bool ok = conf_from_json(&olt->saved, json_object_get(all, "saved"), &err);
    olt->n_onus = 0;
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(all, "plant"), i, one) {
        struct onu onu;
        if (onu_from_json(olt, one, &onu, &err)) {
            void *list = olt->onus;
            sim_grow(&list, olt->n_onus, &olt->cap_onus, sizeof *olt->onus);
            olt->onus = list;
            onu.lit = !json_is_false(json_object_get(one, "lit"));
            olt->onus[olt->n_onus++] = onu;
        }
    }
    if (!ok || err.len > 0) {
        fprintf(stderr, "silver-sim: stored state of %s: %s\n", olt->name, err.p);
    }
    text_free(&err);
    json_decref(all);
    return true;
}

static void on_save_cut(struct olt *olt)
{
    for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
        if (session_number(s) == olt->save_session) {
            session_cut(s);
        }
    }
    olt->save_session = 0;
}

static void on_saved(struct timer *t)
{
    struct olt *olt = SIM_OF(t, struct olt, save_timer);
    olt->saving = false;
    if (olt->save_skips) {
        return;
    }
    conf_copy(&olt->saved, &olt->running);
    olt->saved_changes = olt->changes;
    olt->count.saves++;
    olt_store(olt);
    for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
        if (session_number(s) == olt->save_session) {
            session_notice(s, "  Configuration file had been saved successfully\r\n"
                              "  Note: The configuration file will take effect after being activated\r\n");
        }
    }
}

static void on_save_half(struct timer *t)
{
    struct olt *olt = SIM_OF(t, struct olt, save_timer);
    on_save_cut(olt);
    olt->save_timer.fire = on_saved;
    timer_start(olt->sim->loop, &olt->save_timer, olt->save_ms - olt->save_ms / 2);
}

void olt_save_begin(struct olt *olt, unsigned session, const char *line)
{
    const struct fault *never = fault_take(olt, "save_never_completes", line);
    const struct fault *cut = fault_take(olt, "save_cut", line);
    olt->saving = true;
    olt->save_session = session;
    olt->save_skips = never != NULL || (cut != NULL && !fault_flag(cut, "completes", true));
    uint64_t wait = olt->save_ms;
    if (never != NULL) {
        wait = (uint64_t)(fault_number(never, "seconds", 0) * 1000);
    } else if (cut != NULL) {
        wait = olt->save_ms / 2;
    }
    olt->save_timer.fire = cut != NULL ? on_save_half : on_saved;
    timer_start(olt->sim->loop, &olt->save_timer, wait);
}
