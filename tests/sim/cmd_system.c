/* SPDX-License-Identifier: Apache-2.0 */
/* Displays of the shelf. `display board` and `display version`: ntc-templates fixtures; the VLAN tables and the current
 * configuration are [K]. */
#include <stdio.h>
#include <string.h>

#include "command.h"

#define RULE "  -----------------------------------------------------------------------"

static unsigned vlan_ports(const struct olt *olt, unsigned vlan)
{
    unsigned n = 0;
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        n += olt->running.ports[i].vlan == vlan;
    }
    return n;
}

enum command_result run_vlan_all(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    const struct olt *olt = session_olt(s);
    text_line(out, RULE);
    text_line(out, "  VLAN   Type     Attribute  STND-Port NUM   SERV-Port NUM  VLAN-Con NUM");
    text_line(out, RULE);
    for (size_t i = 0; i < olt->n_vlans; i++) {
        text_line(out, "  %4u   smart    common                 1   %13u             -", olt->vlans[i],
                  vlan_ports(olt, olt->vlans[i]));
    }
    text_line(out, RULE);
    text_line(out, "  Total: %zu", olt->n_vlans);
    text_line(out, "  Note : STND-Port--standard port, SERV-Port--service virtual port,");
    text_line(out, "         VLAN-Con--vlan-connect");
    return CMD_DONE;
}

enum command_result run_vlan_one(struct session *s, const struct parsed *p, struct text *out)
{
    const struct olt *olt = session_olt(s);
    unsigned vlan = arg_number(p, "vlan");
    if (!olt_has_vlan(olt, vlan)) {
        return refuse(out, "VLAN does not exist");
    }
    text_line(out, RULE);
    text_line(out, "  VLAN ID: %u", vlan);
    text_line(out, "  VLAN name: VLAN_%04u", vlan);
    text_line(out, "  VLAN type: smart");
    text_line(out, "  VLAN attribute: common");
    text_line(out, "  VLAN description:");
    text_line(out, "  VLAN forwarding mode in control board: VLAN-MAC");
    text_line(out, "  VLAN standard port number: 1");
    text_line(out, "  Service virtual port number: %u", vlan_ports(olt, vlan));
    text_line(out, RULE);
    return CMD_DONE;
}

enum command_result run_board(struct session *s, const struct parsed *p, struct text *out)
{
    const struct olt *olt = session_olt(s);
    unsigned frame = arg_number(p, "frame");
    const char *rule = "  -------------------------------------------------------------------------";
    text_line(out, "%s", rule);
    text_line(out, "  SlotID  BoardName  Status          SubType0 SubType1    Online/Offline");
    text_line(out, "%s", rule);
    for (unsigned slot = 0; slot <= 5; slot++) {
        if (olt_board(olt, frame, slot) != NULL) {
            text_line(out, "  %-7u H805GPFD   Normal                           ", slot);
        } else if (slot == 3) {
            text_line(out, "  %-7u H801MCUD   Active_normal   CPCF             ", slot);
        } else {
            text_line(out, "  %-5u ", slot);
        }
    }
    text_line(out, "%s", rule);
    return CMD_DONE;
}

enum command_result run_version(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    const struct olt *olt = session_olt(s);
    long long up = (long long)(time(NULL) - olt->booted);
    text_line(out, "\r\n  VERSION : %s", olt->version);
    text_line(out, "  PATCH   : SPH106");
    text_line(out, "  PRODUCT : %s", olt->product);
    text_line(out, " \r\n  Active Mainboard Running Area Information: ");
    text_line(out, "  --------------------------------------------------");
    text_line(out, "  Current Program Area : Area A ");
    text_line(out, "  Current Data Area : Area A");
    text_line(out, " \r\n  Program Area A Version : %s ", olt->version);
    text_line(out, "  Program Area B Version : %s", olt->version);
    text_line(out, "  --------------------------------------------------");
    text_line(out, " \r\n  Uptime is %lld day(s), %lld hour(s), %lld minute(s), %lld second(s)", up / 86400,
              up / 3600 % 24, up / 60 % 60, up % 60);
    return CMD_DONE;
}

static void ont_line(const struct ont *o, struct text *out)
{
    char sn[17];
    sn_hex(o->sn, sn);
    text_line(out, " interface gpon %u/%u", o->at.frame, o->at.slot);
    text_line(out, " ont add %u %u sn-auth \"%s\" omci ont-lineprofile-id %u ont-srvprofile-id %u desc \"%s\"",
              o->at.port, o->id, sn, o->line_profile, o->service_profile, o->desc);
    if (!o->active) {
        text_line(out, " ont deactivate %u %u", o->at.port, o->id);
    }
}

static void port_line(const struct service_port *sp, struct text *out)
{
    char user[16] = "untagged";
    if (sp->user_vlan >= 0) {
        snprintf(user, sizeof user, "%d", sp->user_vlan);
    }
    text_fmt(out, " service-port %u vlan %u gpon %u/%u/%u ont %u gemport %u", sp->index, sp->vlan, sp->at.frame,
             sp->at.slot, sp->at.port, sp->ont, sp->gem);
    text_fmt(out, " multi-service user-vlan %s tag-transform %s", user, sp->transform);
    if (sp->rx >= 0) {
        text_fmt(out, " inbound traffic-table index %d", sp->rx);
    }
    if (sp->tx >= 0) {
        text_fmt(out, " outbound traffic-table index %d", sp->tx);
    }
    text_line(out, "%s", "");
}

enum command_result run_current(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    const struct olt *olt = session_olt(s);
    text_line(out, "[%s: %s]", olt->version, "1000");
    text_line(out, "#");
    text_line(out, "[gpon]");
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        ont_line(&olt->running.onts[i], out);
    }
    text_line(out, "#");
    text_line(out, "[bbs-config]");
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        port_line(&olt->running.ports[i], out);
    }
    text_line(out, "#");
    text_line(out, "return");
    return CMD_DONE;
}
