/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that change ONTs (inside `interface gpon F/S`). */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "command.h"

#define REPEATED "Make configuration repeatedly"

static struct place place_of(struct session *s, const struct parsed *p)
{
    const struct console *c = session_console(s);
    return (struct place){c->frame, c->slot, arg_number(p, "port")};
}

static struct ont *ont_of(struct session *s, const struct parsed *p)
{
    return conf_ont(&session_olt(s)->running, place_of(s, p), arg_number(p, "ontid"));
}

static unsigned free_id(struct olt *olt, struct place at)
{
    unsigned id = 0;
    while (id <= SIM_ONT_ID_MAX && conf_ont(&olt->running, at, id) != NULL) {
        id++;
    }
    return id;
}

static enum command_result add(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct place at = place_of(s, p);
    const uint8_t *sn = arg_of(p, "sn")->sn;
    unsigned id = arg_of(p, "ontid") != NULL ? arg_number(p, "ontid") : free_id(olt, at);
    if (!olt_has_port(olt, at)) {
        return refuse(out, "The port does not exist"); /* [K] */
    }
    if (olt_line_profile(olt, arg_number(p, "lp")) == NULL) {
        return refuse(out, "The line profile does not exist");
    }
    if (olt_service_profile(olt, arg_number(p, "sp")) == NULL) {
        return refuse(out, "The service profile does not exist"); /* [K] */
    }
    if (id > SIM_ONT_ID_MAX) {
        return refuse(out, "The number of ONTs has reached the upper limit"); /* [K] */
    }
    if (conf_ont(&olt->running, at, id) != NULL) {
        return refuse(out, "The ONT ID has already existed");
    }
    if (conf_ont_sn(&olt->running, sn) != NULL) {
        return refuse(out, "SN already exists");
    }
    struct ont *o = conf_add_ont(&olt->running);
    o->at = at;
    o->id = id;
    memcpy(o->sn, sn, SIM_SN_BYTES);
    o->line_profile = arg_number(p, "lp");
    o->service_profile = arg_number(p, "sp");
    const char *desc = arg_text(p, "desc");
    snprintf(o->desc, sizeof o->desc, "%s", desc != NULL ? desc : "");
    ont_start(olt, o);
    conf_sort(&olt->running);
    text_line(out, "  Number of ONTs that can be added: 1, success: 1");
    text_line(out, "  PortID :%u, ONTID :%u", at.port, id);
    return CMD_DONE;
}

enum command_result run_ont_add(struct session *s, const struct parsed *p, struct text *out)
{
    return add(s, p, out);
}

enum command_result run_ont_confirm(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct onu *onu = olt_onu(olt, place_of(s, p), arg_of(p, "sn")->sn);
    if (onu == NULL || !olt_autofound(olt, onu)) {
        return refuse(out, "The automatically found ONTs do not exist");
    }
    return add(s, p, out);
}

/* A profile may not take away a GEM port that a service port uses. */
static bool loses_used_gem(struct olt *olt, const struct ont *o, const struct line_profile *to)
{
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        const struct service_port *sp = &olt->running.ports[i];
        if (sp->ont == o->id && same_place(sp->at, o->at) && !line_profile_has_gem(to, sp->gem)) {
            return true;
        }
    }
    return false;
}

enum command_result run_ont_modify(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    if (arg_of(p, "lp") != NULL) {
        const struct line_profile *to = olt_line_profile(olt, arg_number(p, "lp"));
        if (to == NULL) {
            return refuse(out, "The line profile does not exist");
        }
        if (to->id == o->line_profile) {
            return refuse(out, REPEATED);
        }
        if (loses_used_gem(olt, o, to)) {
            return refuse(out, "The GEM port cannot be deleted because it is used by a\r\n  service virtual port");
        }
        o->line_profile = to->id;
        ont_start(olt, o); /* configured again */
    } else if (arg_of(p, "sp") != NULL) {
        if (olt_service_profile(olt, arg_number(p, "sp")) == NULL) {
            return refuse(out, "The service profile does not exist"); /* [K] */
        }
        if (arg_number(p, "sp") == o->service_profile) {
            return refuse(out, REPEATED);
        }
        o->service_profile = arg_number(p, "sp");
    } else {
        if (strcmp(o->desc, arg_text(p, "desc")) == 0) {
            return refuse(out, REPEATED);
        }
        snprintf(o->desc, sizeof o->desc, "%s", arg_text(p, "desc"));
    }
    return CMD_DONE;
}

enum command_result run_ont_delete(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    if (conf_ports_of(&olt->running, o->at, o->id) > 0) {
        return refuse(out, "This configured object has some service virtual\r\n  ports");
    }
    struct onu *onu = olt_onu(olt, o->at, o->sn);
    if (onu != NULL) { /* heard again as unknown */
        onu->ready_ms = sim_now_ms() + olt->autofind_ms;
        onu->seen = time(NULL);
    }
    conf_drop_ont(&olt->running, o);
    text_line(out, "  Number of ONTs that can be deleted: 1, success: 1");
    return CMD_DONE;
}

enum command_result run_ont_activate(struct session *s, const struct parsed *p, struct text *out)
{
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    if (o->active) {
        return refuse(out, REPEATED);
    }
    o->active = true;
    ont_start(session_olt(s), o);
    return CMD_DONE;
}

enum command_result run_ont_deactivate(struct session *s, const struct parsed *p, struct text *out)
{
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    if (!o->active) {
        return refuse(out, REPEATED);
    }
    ont_down(session_olt(s), o, "deactive");
    o->active = false;
    return CMD_DONE;
}

enum command_result run_ont_reset(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    if (!ont_online(olt, o)) {
        return refuse(out, "ONT is not online");
    }
    ont_down(olt, o, "ONT reset");
    ont_start(olt, o);
    return CMD_DONE;
}

/* The ONT of a command on one of its Ethernet ports; NULL after the refusal was said. */
static struct ont *ont_with_port(struct session *s, const struct parsed *p, struct text *out)
{
    struct ont *o = ont_of(s, p);
    if (o == NULL) {
        refuse(out, "The ONT does not exist");
        return NULL;
    }
    const struct service_profile *sp = olt_service_profile(session_olt(s), o->service_profile);
    unsigned eth = arg_number(p, "eth");
    if (sp == NULL || eth > sp->eth || eth > SIM_ETH_MAX) {
        refuse(out, "The ONT port ID does not exist");
        return NULL;
    }
    return o;
}

enum command_result run_port_switch(struct session *s, const struct parsed *p, struct text *out)
{
    struct ont *o = ont_with_port(s, p, out);
    if (o == NULL) {
        return CMD_REFUSED;
    }
    bool off = strcasecmp(arg_text(p, "state"), "off") == 0;
    uint16_t bit = (uint16_t)(1u << arg_number(p, "eth"));
    if (((o->eth_off & bit) != 0) == off) {
        return refuse(out, REPEATED);
    }
    o->eth_off ^= bit;
    return CMD_DONE;
}

enum command_result run_native_vlan(struct session *s, const struct parsed *p, struct text *out)
{
    struct ont *o = ont_with_port(s, p, out);
    if (o == NULL) {
        return CMD_REFUSED;
    }
    unsigned *native = &o->native_vlan[arg_number(p, "eth")];
    if (*native == arg_number(p, "vlan")) {
        return refuse(out, REPEATED);
    }
    *native = arg_number(p, "vlan");
    return CMD_DONE;
}

/* Accepted and not kept: no read of the simulator shows it. */
enum command_result run_port_vlan(struct session *s, const struct parsed *p, struct text *out)
{
    if (ont_with_port(s, p, out) == NULL) {
        return CMD_REFUSED;
    }
    text_line(out, "  Set ONT port(s) VLAN configuration, success: 1, failed: 0");
    return CMD_DONE;
}
