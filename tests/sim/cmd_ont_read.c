/* SPDX-License-Identifier: Apache-2.0 */
/* Displays of ONTs and their profiles. Layouts: public ntc-templates fixtures of huawei_smartax and field transcripts;
 * what is marked [K] is a guess that no public transcript backs. */
#include <stdio.h>
#include <string.h>

#include "command.h"

#define RULE "  -----------------------------------------------------------------------------"
#define RULE_GEM "   --------------------------------------------------------------------"
#define NO_ONT "  The required ONT does not exist"

static struct place place_of(struct session *s, const struct parsed *p)
{
    const struct console *c = session_console(s);
    if (arg_of(p, "frame") != NULL) {
        return (struct place){arg_number(p, "frame"), arg_number(p, "slot"), arg_number(p, "port")};
    }
    return (struct place){c->frame, c->slot, arg_number(p, "port")};
}

static void when(time_t t, char out[40])
{
    struct tm tm;
    if (t == 0) {
        snprintf(out, 40, "-");
        return;
    }
    gmtime_r(&t, &tm);
    strftime(out, 40, "%Y-%m-%d %H:%M:%S+00:00", &tm);
}

/* -- autofind ----------------------------------------------------------------------------------------------------- */

static void autofind_block(const struct onu *onu, unsigned number, struct text *out)
{
    char sn[17], vendor[14], seen[40];
    sn_hex(onu->sn, sn);
    sn_vendor(onu->sn, vendor);
    when(onu->seen, seen);
    text_line(out, "   Number              : %u", number);
    text_line(out, "   F/S/P               : %u/%u/%u", onu->at.frame, onu->at.slot, onu->at.port);
    text_line(out, "   Ont SN              : %s (%s)", sn, vendor);
    text_line(out, "   Password            : 0x00000000000000000000");
    text_line(out, "   Loid                :");
    text_line(out, "   Checkcode           :");
    text_line(out, "   VendorID            : %.4s", vendor);
    text_line(out, "   Ont Version         : 494.B");
    text_line(out, "   Ont SoftwareVersion : %s", onu->version);
    text_line(out, "   Ont EquipmentID     : %s", onu->equipment);
    text_line(out, "   Ont Customized Info : EUCOMMONEBG4");
    text_line(out, "   Ont MAC             : 1234-ABCD-1234");
    text_line(out, "   Ont Equipment SN    : 123456789ABCDEFGHIJK");
    text_line(out, "   Ont autofind time   : %s", seen);
    text_line(out, "   Multi channel       : -");
    text_line(out, "   ----------------------------------------------------------------------------");
}

enum command_result run_autofind(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    bool one_port = arg_of(p, "port") != NULL;
    unsigned n = 0;
    struct text blocks = {0};
    for (size_t i = 0; i < olt->n_onus; i++) {
        const struct onu *onu = &olt->onus[i];
        if (olt_autofound(olt, onu) && (!one_port || same_place(onu->at, place_of(s, p)))) {
            autofind_block(onu, ++n, &blocks);
        }
    }
    if (n == 0) {
        return refuse(out, "The automatically found ONTs do not exist");
    }
    text_line(out, "   ----------------------------------------------------------------------------");
    text_add(out, blocks.p, blocks.len);
    text_line(out, "   The number of GPON autofind ONT is %u", n);
    text_free(&blocks);
    return CMD_DONE;
}

/* -- ONTs --------------------------------------------------------------------------------------------------------- */

static const char *control_flag(const struct ont *o)
{
    return o->active ? "active" : "deactivated"; /* [K] */
}

static const char *match_state(struct olt *olt, const struct ont *o)
{
    return ont_online(olt, o) ? "match" : "initial";
}

enum command_result run_ont_port(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct place at = place_of(s, p);
    unsigned total = 0, online = 0;
    struct text rows = {0}, descriptions = {0};
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        const struct ont *o = &olt->running.onts[i];
        if (!same_place(o->at, at)) {
            continue;
        }
        char sn[17];
        bool up = ont_online(olt, o);
        sn_hex(o->sn, sn);
        text_line(&rows, "  %u/%2u/%u  %3u  %s  %-11s %-8s %-8s %-8s %-3s", at.frame, at.slot, at.port, o->id, sn,
                  control_flag(o), up ? "online" : "offline", ont_config_state(olt, o), match_state(olt, o), "no");
        text_line(&descriptions, "  %u/%2u/%u  %6u   %s", at.frame, at.slot, at.port, o->id,
                  o->desc[0] != '\0' ? o->desc : "ONT_NO_DESCRIPTION");
        total++;
        online += up;
    }
    if (total == 0) {
        text_line(out, "%s", NO_ONT);
        return CMD_REFUSED;
    }
    text_line(out, RULE);
    text_line(out, "  F/S/P   ONT         SN         Control     Run      Config   Match    Protect");
    text_line(out, "          ID                     flag        state    state    state    side");
    text_line(out, RULE);
    text_add(out, rows.p, rows.len);
    text_line(out, RULE);
    text_line(out, "  F/S/P   ONT-ID   Description");
    text_line(out, RULE);
    text_add(out, descriptions.p, descriptions.len);
    text_line(out, RULE);
    text_line(out, "  In port %u/%2u/%u , the total of ONTs are: %u, online: %u", at.frame, at.slot, at.port, total,
              online);
    text_line(out, RULE);
    text_free(&rows);
    text_free(&descriptions);
    return CMD_DONE;
}

static void description(const struct olt *olt, const char *desc, struct text *out)
{
    size_t wrap = olt->desc_wrap > 0 ? olt->desc_wrap : SIM_DESC_MAX;
    const char *rest = desc[0] != '\0' ? desc : "ONT_NO_DESCRIPTION";
    text_fmt(out, "  Description             : ");
    while (strlen(rest) > wrap) {
        text_line(out, "%.*s", (int)wrap, rest);
        text_fmt(out, "%28s", "");
        rest += wrap;
    }
    text_line(out, "%s", rest);
}

static void ont_state(struct olt *olt, const struct ont *o, struct text *out)
{
    char sn[17], vendor[14], up[40], down[40];
    bool online = ont_online(olt, o);
    sn_hex(o->sn, sn);
    sn_vendor(o->sn, vendor);
    when(o->last_up, up);
    when(o->last_down, down);
    text_line(out, "  F/S/P                   : %u/%u/%u", o->at.frame, o->at.slot, o->at.port);
    text_line(out, "  ONT-ID                  : %u", o->id);
    text_line(out, "  Control flag            : %s", control_flag(o));
    text_line(out, "  Run state               : %s", online ? "online" : "offline");
    text_line(out, "  Config state            : %s", ont_config_state(olt, o));
    text_line(out, "  Match state             : %s", match_state(olt, o));
    text_line(out, "  DBA type                : SR");
    text_line(out, "  ONT distance(m)         : %s", online ? "100" : "-");
    text_line(out, "  ONT last distance(m)    : 100");
    text_line(out, "  ONT battery state       : not support");
    text_line(out, "  Memory occupation       : %s", online ? "23%" : "-");
    text_line(out, "  CPU occupation          : %s", online ? "30%" : "-");
    text_line(out, "  Temperature             : %s", online ? "70(C)" : "-");
    text_line(out, "  Authentic type          : SN-auth");
    text_line(out, "  SN                      : %s (%s)", sn, vendor);
    text_line(out, "  Management mode         : OMCI");
    text_line(out, "  Software work mode      : normal");
    text_line(out, "  Isolation state         : normal");
    description(olt, o->desc, out);
    text_line(out, "  Last down cause         : %s", o->down_cause[0] != '\0' ? o->down_cause : "-");
    text_line(out, "  Last up time            : %s", up);
    text_line(out, "  Last down time          : %s", down);
    text_line(out, "  Last dying gasp time    : %s", strcmp(o->down_cause, "dying-gasp") == 0 ? down : "-");
    if (online) {
        long long d = o->last_up != 0 ? (long long)(time(NULL) - o->last_up) : 0;
        d = d > 0 ? d : 0;
        text_line(out, "  ONT online duration     : %lld day(s), %lld hour(s), %lld minute(s), %lld second(s) ",
                  d / 86400, d / 3600 % 24, d / 60 % 60, d % 60);
    } else {
        text_line(out, "  ONT online duration     : -");
    }
}

static void gem_block(unsigned index, int vlan, struct text *out)
{
    text_line(out, "   <Gem Index %u>", index);
    text_line(out, RULE_GEM);
    text_line(out, "   |Serv-Type:ETH |Encrypt:on  |Cascade:off |GEM-CAR:-            |");
    text_line(out, "   |Upstream-priority-queue:0  |Downstream-priority-queue:-       |");
    text_line(out, RULE_GEM);
    if (vlan >= 0) {
        text_line(out, "    Mapping VLAN  Priority Port    Port  Bundle  Flow  Transparent");
        text_line(out, "    index                  type    ID    ID      CAR   ");
        text_line(out, RULE_GEM);
        text_line(out, "    0       %-5d -        -       -     -       -     -          ", vlan);
        text_line(out, RULE_GEM);
    }
}

static void line_profile_body(const struct line_profile *lp, struct text *out)
{
    text_line(out, "  FEC upstream switch :Disable ");
    text_line(out, "  OMCC encrypt switch :On");
    text_line(out, "  Qos mode            :PQ");
    text_line(out, "  Mapping mode        :VLAN");
    text_line(out, "  TR069 management    :Enable        ");
    text_line(out, "  TR069 IP index      :0");
    text_line(out, "%s-", RULE);
    text_line(out, "  <T-CONT   0>          DBA Profile-ID:1");
    text_line(out, "  <T-CONT   1>          DBA Profile-ID:100");
    for (size_t i = 0; lp != NULL && i < lp->n_gems; i++) {
        gem_block(lp->gems[i].index, lp->gems[i].vlan, out);
    }
    text_line(out, "%s-", RULE);
}

static void service_profile_body(const struct service_profile *sp, struct text *out)
{
    text_line(out, "  Port-type     Port-number     Max-adaptive-number");
    text_line(out, RULE);
    text_line(out, "  POTS          %-15u -", sp != NULL ? sp->pots : 0);
    text_line(out, "  ETH           %-15u -", sp != NULL ? sp->eth : 0);
    text_line(out, "  VDSL          0               -");
    text_line(out, "  TDM           0               -    ");
    text_line(out, "  MOCA          0               -");
    text_line(out, "  CATV          0               -");
    text_line(out, RULE);
}

static enum command_result show_ont(struct session *s, const struct ont *o, struct text *out)
{
    if (o == NULL) {
        text_line(out, "%s", NO_ONT);
        return CMD_REFUSED;
    }
    struct olt *olt = session_olt(s);
    const struct line_profile *lp = olt_line_profile(olt, o->line_profile);
    const struct service_profile *sp = olt_service_profile(olt, o->service_profile);
    text_line(out, RULE);
    ont_state(olt, o, out);
    text_line(out, RULE);
    text_line(out, "  VoIP configure method   : Default");
    text_line(out, RULE);
    text_line(out, "  Line profile ID      : %u", o->line_profile);
    text_line(out, "  Line profile name    : %s", lp != NULL ? lp->name : "-");
    text_line(out, RULE);
    line_profile_body(lp, out);
    text_line(out, "  Notes: Run the display traffic table ip command to query ");
    text_line(out, "         traffic table configuration");
    text_line(out, RULE);
    text_line(out, "  Service profile ID   : %u", o->service_profile);
    text_line(out, "  Service profile name : %s", sp != NULL ? sp->name : "-");
    text_line(out, RULE);
    service_profile_body(sp, out);
    text_line(out, "  Alarm policy profile ID      : 0");
    text_line(out, "  Alarm policy profile name    : alarm-policy_0");
    text_line(out, RULE);
    text_line(out, "  The number of required ONTs     : 1");
    text_line(out, RULE);
    return CMD_DONE;
}

enum command_result run_ont_one(struct session *s, const struct parsed *p, struct text *out)
{
    return show_ont(s, conf_ont(&session_olt(s)->running, place_of(s, p), arg_number(p, "ontid")), out);
}

enum command_result run_ont_by_sn(struct session *s, const struct parsed *p, struct text *out)
{
    return show_ont(s, conf_ont_sn(&session_olt(s)->running, arg_of(p, "sn")->sn), out);
}

/* -- light and ports ---------------------------------------------------------------------------------------------- */

/* The ONU of the ONT that a display names; NULL after the refusal was said. */
static const struct onu *online_onu(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct ont *o = conf_ont(&olt->running, place_of(s, p), arg_number(p, "ontid"));
    if (o == NULL) {
        refuse(out, "The ONT does not exist");
        return NULL;
    }
    if (!ont_online(olt, o)) {
        refuse(out, "ONT is not online");
        return NULL;
    }
    return olt_onu(olt, o->at, o->sn);
}

enum command_result run_optical(struct session *s, const struct parsed *p, struct text *out)
{
    const struct onu *onu = online_onu(s, p, out);
    if (onu == NULL) {
        return CMD_REFUSED;
    }
    text_line(out, RULE);
    text_line(out, "  ONU NNI port ID                        : 0");
    text_line(out, "  Module type                            : GPON");
    text_line(out, "  Module sub-type                        : CLASS B+");
    text_line(out, "  Used type                              : ONU");
    text_line(out, "  Encapsulation Type                     : BOSA ON BOARD");
    text_line(out, "  Optical power precision(dBm)           : 3.0");
    text_line(out, "  Vendor name                            : HUAWEI          ");
    text_line(out, "  Vendor rev                             : -");
    text_line(out, "  Vendor PN                              : HW-BOB-0007     ");
    text_line(out, "  Vendor SN                              : 1900WJ000000S   ");
    text_line(out, "  Date Code                              : 19-12-22");
    text_line(out, "  Rx optical power(dBm)                  : %.2f", onu->rx_dbm);
    text_line(out, "  Rx power current warning threshold(dBm): [-,-]");
    text_line(out, "  Rx power current alarm threshold(dBm)  : [-29.0,-7.0]");
    text_line(out, "  Tx optical power(dBm)                  : %.2f", onu->tx_dbm);
    text_line(out, "  Tx power current warning threshold(dBm): [-,-]");
    text_line(out, "  Tx power current alarm threshold(dBm)  : [0.0,5.0]");
    text_line(out, "  Laser bias current(mA)                 : 16");
    text_line(out, "  Tx bias current warning threshold(mA)  : [-,-]");
    text_line(out, "  Tx bias current alarm threshold(mA)    : [2.000,100.000]");
    text_line(out, "  Temperature(C)                         : 58");
    text_line(out, "  Temperature warning threshold(C)       : [-,-]");
    text_line(out, "  Temperature alarm threshold(C)         : [-61,95]");
    text_line(out, "  Voltage(V)                             : 3.360");
    text_line(out, "  Supply voltage warning threshold(V)    : [-,-]");
    text_line(out, "  Supply voltage alarm threshold(V)      : [3.000,3.600]");
    text_line(out, "  OLT Rx ONT optical power(dBm)          : %.2f", onu->olt_rx_dbm);
    text_line(out, "  CATV Rx optical power(dBm)             : -");
    text_line(out, "  CATV Rx power alarm threshold(dBm)     : [-,-]");
    text_line(out, RULE);
    return CMD_DONE;
}

enum command_result run_optical_all(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct place at = place_of(s, p);
    text_line(out, RULE);
    text_line(out, "  ONT  Rx power  Tx power  OLT Rx ONT  Temperature  Voltage  Current  Distance"); /* [K] */
    text_line(out, "  ID   (dBm)     (dBm)     power(dBm)  (C)          (V)      (mA)     (m)");
    text_line(out, RULE);
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        const struct ont *o = &olt->running.onts[i];
        if (same_place(o->at, at) && ont_online(olt, o)) {
            const struct onu *onu = olt_onu(olt, at, o->sn);
            text_line(out, "  %3u  %-8.2f  %-8.2f  %-10.2f  58           3.360    16       100", o->id, onu->rx_dbm,
                      onu->tx_dbm, onu->olt_rx_dbm);
        }
    }
    text_line(out, RULE);
    return CMD_DONE;
}

enum command_result run_port_state(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    if (online_onu(s, p, out) == NULL) {
        return CMD_REFUSED;
    }
    const struct ont *o = conf_ont(&olt->running, place_of(s, p), arg_number(p, "ontid"));
    const struct service_profile *sp = olt_service_profile(olt, o->service_profile);
    const char *rule = "  --------------------------------------------------------------------------";
    text_line(out, "%s", rule);
    text_line(out, "  ONT-ID   ONT      ONT       Speed(Mbps)   Duplex   LinkState  RingStatus");
    text_line(out, "           port-ID  Port-type    ");
    text_line(out, "%s", rule);
    for (unsigned eth = 1; sp != NULL && eth <= sp->eth && eth <= SIM_ETH_MAX; eth++) {
        bool up = eth == 1 && ((o->eth_off >> eth) & 1) == 0;
        text_line(out, "  %6u  %8u  %9s %-13s %-8s %-10s %-10s", o->id, eth, "GE", up ? "1000" : "-", up ? "full" : "-",
                  up ? "up" : "down", "noloop");
    }
    text_line(out, "%s", rule);
    return CMD_DONE;
}

/* [K] No public transcript shows this table; the columns and their order are a guess. */
enum command_result run_port_attribute(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct ont *o = conf_ont(&olt->running, place_of(s, p), arg_number(p, "ontid"));
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    const struct service_profile *sp = olt_service_profile(olt, o->service_profile);
    unsigned ports = sp != NULL && sp->eth < SIM_ETH_MAX ? sp->eth : SIM_ETH_MAX;
    unsigned only = arg_number(p, "eth");
    if (only > ports) {
        return refuse(out, "The ONT port ID does not exist");
    }
    text_line(out, RULE);
    text_line(out, "  ONT-ID  Port-type  Port-ID  Speed(Mbps)  Duplex  Native-VLAN  Operational-state");
    text_line(out, RULE);
    for (unsigned eth = 1; eth <= ports; eth++) {
        if (only == 0 || only == eth) {
            text_line(out, "  %6u  %-9s  %7u  %-11s  %-6s  %11u  %s", o->id, "ETH", eth, "auto", "auto",
                      o->native_vlan[eth] != 0 ? o->native_vlan[eth] : 1,
                      ((o->eth_off >> eth) & 1) != 0 ? "off" : "on");
        }
    }
    text_line(out, RULE);
    return CMD_DONE;
}

/* -- profiles ----------------------------------------------------------------------------------------------------- */

static unsigned bindings(const struct olt *olt, unsigned id, bool line)
{
    unsigned n = 0;
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        n += (line ? olt->running.onts[i].line_profile : olt->running.onts[i].service_profile) == id;
    }
    return n;
}

static void profile_row(unsigned id, const char *name, unsigned used, struct text *out)
{
    text_line(out, "  %-11u %-43s %-13u", id, name, used);
}

enum command_result run_line_profiles(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    struct olt *olt = session_olt(s);
    text_line(out, "%s-", RULE);
    text_line(out, "  Profile-ID  Profile-name                                Binding times");
    text_line(out, "%s-", RULE);
    for (size_t i = 0; i < olt->n_line_profiles; i++) {
        const struct line_profile *lp = &olt->line_profiles[i];
        profile_row(lp->id, lp->name, bindings(olt, lp->id, true), out);
    }
    text_line(out, "%s-", RULE);
    text_line(out, "  Total: %zu", olt->n_line_profiles);
    return CMD_DONE;
}

enum command_result run_service_profiles(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    struct olt *olt = session_olt(s);
    text_line(out, RULE);
    text_line(out, "  Profile-ID  Profile-name                                Binding times");
    text_line(out, RULE);
    for (size_t i = 0; i < olt->n_service_profiles; i++) {
        const struct service_profile *sp = &olt->service_profiles[i];
        profile_row(sp->id, sp->name, bindings(olt, sp->id, false), out);
    }
    text_line(out, RULE);
    text_line(out, "  Total: %zu", olt->n_service_profiles);
    return CMD_DONE;
}

enum command_result run_line_profile(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct line_profile *lp = olt_line_profile(olt, arg_number(p, "id"));
    if (lp == NULL) {
        return refuse(out, "The line profile does not exist");
    }
    text_line(out, RULE);
    text_line(out, "  Profile-ID          :%u", lp->id);
    text_line(out, "  Profile-name        :%s", lp->name);
    text_line(out, "  Access-type         :GPON");
    text_line(out, RULE);
    line_profile_body(lp, out);
    text_line(out, "  Binding times         :%u", bindings(olt, lp->id, true));
    text_line(out, RULE);
    return CMD_DONE;
}

enum command_result run_service_profile(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct service_profile *sp = olt_service_profile(olt, arg_number(p, "id"));
    if (sp == NULL) {
        return refuse(out, "The service profile does not exist"); /* [K] */
    }
    text_line(out, RULE);
    text_line(out, "  Profile-ID  : %u", sp->id);
    text_line(out, "  Profile-name: %s", sp->name);
    text_line(out, "  Access-type : GPON");
    text_line(out, RULE);
    service_profile_body(sp, out);
    text_line(out, "  Binding times: %u", bindings(olt, sp->id, false));
    text_line(out, RULE);
    return CMD_DONE;
}
