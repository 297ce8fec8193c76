/* SPDX-License-Identifier: Apache-2.0 */
/* Service ports and traffic tables.
 * The layouts of the traffic table displays follow outputs read on an MA5800-X7 that public tools quote: the list has
 * no names, the detail has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"

#define NO_PORT "No service virtual port can be operated"
#define RULE "  -----------------------------------------------------------------------------"
#define SERVICE_PORT_MAX 65535
#define TABLE_MAX 1023

/* -- displays ----------------------------------------------------------------------------------------------------- */

static void table_index(int index, char out[12])
{
    if (index < 0) {
        snprintf(out, 12, "-");
    } else {
        snprintf(out, 12, "%d", index);
    }
}

static bool port_up(struct olt *olt, const struct service_port *sp)
{
    const struct ont *o = conf_ont(&olt->running, sp->at, sp->ont);
    return o != NULL && ont_online(olt, o);
}

static void port_row(struct olt *olt, const struct service_port *sp, struct text *out)
{
    char rx[12], tx[12], user[12];
    table_index(sp->rx, rx);
    table_index(sp->tx, tx);
    snprintf(user, sizeof user, sp->user_vlan < 0 ? "untag" : "%d", sp->user_vlan);
    text_line(out, "  %6u %4u common   gpon %u/%u /%-2u %-4u %-5u vlan  %-10s %-4s %-4s %-4s", sp->index, sp->vlan,
              sp->at.frame, sp->at.slot, sp->at.port, sp->ont, sp->gem, user, rx, tx, port_up(olt, sp) ? "up" : "down");
}

struct filter {
    bool by_place, by_ont;
    struct place at;
    unsigned ont;
    long index; /* -1 any */
};

static enum command_result show_ports(struct session *s, struct filter f, struct text *out)
{
    struct olt *olt = session_olt(s);
    unsigned total = 0, up = 0;
    struct text rows = {0};
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        const struct service_port *sp = &olt->running.ports[i];
        if ((f.by_place && !same_place(sp->at, f.at)) || (f.by_ont && sp->ont != f.ont) ||
            (f.index >= 0 && sp->index != (unsigned)f.index)) {
            continue;
        }
        port_row(olt, sp, &rows);
        total++;
        up += port_up(olt, sp);
    }
    if (total == 0) {
        text_free(&rows);
        return refuse(out, f.index >= 0 ? "The service virtual port does not exist" : NO_PORT);
    }
    text_line(out, "  Switch-Oriented Flow List");
    text_line(out, RULE);
    text_line(out, "   INDEX VLAN VLAN     PORT F/ S/ P VPI  VCI   FLOW  FLOW       RX   TX   STATE");
    text_line(out, "         ID   ATTR     TYPE                    TYPE  PARA");
    text_line(out, RULE);
    text_add(out, rows.p, rows.len);
    text_line(out, RULE);
    text_line(out, "   Total : %u  (Up/Down :    %u/%u)", total, up, total - up);
    text_line(out, "   Note : F--Frame, S--Slot, P--Port,");
    text_line(out, "          VPI indicates ONT ID for PON, VCI indicates GEM index for GPON,");
    text_line(out, "          v/e--vlan/encap, pritag--priority-tagged,");
    text_line(out, "          ppp--pppoe, ip--ipoe, ip4--ipv4oe, ip6--ipv6oe");
    text_free(&rows);
    return CMD_DONE;
}

enum command_result run_ports_all(struct session *s, const struct parsed *p, struct text *out)
{
    (void)p;
    return show_ports(s, (struct filter){.index = -1}, out);
}

enum command_result run_ports_of_place(struct session *s, const struct parsed *p, struct text *out)
{
    return show_ports(s, (struct filter){.by_place = true, .at = arg_of(p, "fsp")->place, .index = -1}, out);
}

enum command_result run_ports_of_ont(struct session *s, const struct parsed *p, struct text *out)
{
    struct filter f = {true, true, arg_of(p, "fsp")->place, arg_number(p, "ontid"), -1};
    return show_ports(s, f, out);
}

enum command_result run_port_one(struct session *s, const struct parsed *p, struct text *out)
{
    return show_ports(s, (struct filter){.index = (long)arg_number(p, "index")}, out);
}

/* -- changes ------------------------------------------------------------------------------------------------------ */

static bool tables_exist(struct olt *olt, const struct parsed *p)
{
    return (arg_of(p, "rx") == NULL || conf_table(&olt->running, arg_number(p, "rx")) != NULL) &&
           (arg_of(p, "tx") == NULL || conf_table(&olt->running, arg_number(p, "tx")) != NULL);
}

static const struct service_port *same_flow(const struct olt *olt, struct place at, unsigned ont, unsigned gem,
                                            int user)
{
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        const struct service_port *sp = &olt->running.ports[i];
        if (same_place(sp->at, at) && sp->ont == ont && sp->gem == gem && sp->user_vlan == user) {
            return sp;
        }
    }
    return NULL;
}

static unsigned free_index(struct olt *olt)
{
    unsigned index = 0;
    while (index <= SERVICE_PORT_MAX && conf_port(&olt->running, index) != NULL) {
        index++;
    }
    return index;
}

/* A VLAN, "untagged", or -2. */
static int user_vlan(const char *word)
{
    if (strcasecmp(word, "untagged") == 0) {
        return -1;
    }
    if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 4 || atoi(word) > 4095) {
        return -2;
    }
    return atoi(word);
}

enum command_result run_port_add(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct place at = arg_of(p, "fsp")->place;
    unsigned id = arg_number(p, "ontid"), gem = arg_number(p, "gem");
    int user = user_vlan(arg_text(p, "uvlan"));
    if (user == -2) {
        return refuse(out, "The user VLAN is invalid"); /* [K] */
    }
    if (!olt_has_vlan(olt, arg_number(p, "vlan"))) {
        return refuse(out, "VLAN does not exist");
    }
    const struct ont *o = conf_ont(&olt->running, at, id);
    if (o == NULL) {
        return refuse(out, "The ONT does not exist");
    }
    const struct line_profile *lp = olt_line_profile(olt, o->line_profile);
    if (lp == NULL || !line_profile_has_gem(lp, gem)) {
        return refuse(out, "The GEM port does not exist");
    }
    if (!tables_exist(olt, p)) {
        return refuse(out, "The traffic table does not exist");
    }
    const struct service_port *other = same_flow(olt, at, id, gem, user);
    if (other == NULL && arg_of(p, "index") != NULL) {
        other = conf_port(&olt->running, arg_number(p, "index"));
    }
    if (other != NULL) {
        refuse(out, "Service virtual port has existed already");
        if (strncmp(olt->product, "MA5800", 6) == 0) {
            text_line(out, "  Conflicted service virtual port index: %u", other->index);
        }
        return CMD_REFUSED;
    }
    unsigned index = arg_of(p, "index") != NULL ? arg_number(p, "index") : free_index(olt);
    struct service_port *sp = conf_add_port(&olt->running);
    sp->index = index;
    sp->vlan = arg_number(p, "vlan");
    sp->at = at;
    sp->ont = id;
    sp->gem = gem;
    sp->user_vlan = user;
    const char *transform = arg_text(p, "transform");
    snprintf(sp->transform, sizeof sp->transform, "%s", transform != NULL ? transform : "translate");
    sp->rx = arg_of(p, "rx") != NULL ? (int)arg_number(p, "rx") : -1;
    sp->tx = arg_of(p, "tx") != NULL ? (int)arg_number(p, "tx") : -1;
    conf_sort(&olt->running);
    return CMD_DONE;
}

enum command_result run_port_change(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct service_port *sp = conf_port(&olt->running, arg_number(p, "index"));
    if (sp == NULL) {
        return refuse(out, "The service virtual port does not exist");
    }
    if (!tables_exist(olt, p)) {
        return refuse(out, "The traffic table does not exist");
    }
    int rx = (int)arg_number(p, "rx");
    int tx = arg_of(p, "tx") != NULL ? (int)arg_number(p, "tx") : sp->tx;
    if (rx == sp->rx && tx == sp->tx) {
        return refuse(out, "Make configuration repeatedly");
    }
    sp->rx = rx;
    sp->tx = tx;
    return CMD_DONE;
}

enum command_result run_port_undo(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct service_port *sp = conf_port(&olt->running, arg_number(p, "index"));
    if (sp == NULL) {
        return refuse(out, "The service virtual port does not exist");
    }
    conf_drop_port(&olt->running, sp);
    return CMD_DONE;
}

/* vlan 0: every VLAN and GEM port of the ONT */
static enum command_result undo_many(struct session *s, const struct parsed *p, unsigned vlan, struct text *out)
{
    struct olt *olt = session_olt(s);
    struct place at = arg_of(p, "fsp")->place;
    unsigned n = 0;
    for (size_t i = olt->running.n_ports; i > 0; i--) {
        const struct service_port *sp = &olt->running.ports[i - 1];
        if (same_place(sp->at, at) && sp->ont == arg_number(p, "ontid") &&
            (vlan == 0 || (sp->vlan == vlan && sp->gem == arg_number(p, "gem")))) {
            conf_drop_port(&olt->running, sp);
            n++;
        }
    }
    if (n == 0) {
        return refuse(out, NO_PORT);
    }
    text_line(out, "  The number of total service virtual port in this");
    text_line(out, "  operation:       %u", n);
    text_line(out, "  Deleting start...");
    text_line(out, "%s", "");
    text_line(out, "  Deleting end:");
    text_line(out, "  The number of total service virtual port which need be");
    text_line(out, "  deleted:   %u", n);
    text_line(out, "  The number of total service virtual port which have been");
    text_line(out, "  deleted: %u", n);
    return CMD_DONE;
}

enum command_result run_port_undo_ont(struct session *s, const struct parsed *p, struct text *out)
{
    return undo_many(s, p, 0, out);
}

enum command_result run_port_undo_flow(struct session *s, const struct parsed *p, struct text *out)
{
    return undo_many(s, p, arg_number(p, "vlan"), out);
}

/* -- traffic tables ----------------------------------------------------------------------------------------------- */

static unsigned table_users(const struct olt *olt, unsigned index)
{
    unsigned n = 0;
    for (size_t i = 0; i < olt->running.n_ports; i++) {
        n += olt->running.ports[i].rx == (int)index || olt->running.ports[i].tx == (int)index;
    }
    return n;
}

static const char *rate(unsigned value, char out[12])
{
    if (value == 0) {
        return "off";
    }
    snprintf(out, 12, "%u", value);
    return out;
}

static void table_row(const struct traffic_table *t, struct text *out)
{
    char cir[12], cbs[12], pir[12], pbs[12];
    text_line(out, "  %3u %-8s %-10s %-8s %-10s %u %-15s %s", t->index, rate(t->cir, cir), rate(t->cbs, cbs),
              rate(t->pir, pir), rate(t->pbs, pbs), t->priority, "-", t->tag_policy ? "tag-pri" : "local-pri");
}

static void table_detail(const struct olt *olt, const struct traffic_table *t, struct text *out)
{
    text_line(out, "  Traffic Table Index          : %u", t->index);
    text_line(out, "  Traffic Table Name           : %s", t->name);
    char n[12];
    text_line(out, "  CIR                          : %s%s", rate(t->cir, n), t->cir > 0 ? " kbps" : "");
    text_line(out, "  CBS                          : %s%s", rate(t->cbs, n), t->cbs > 0 ? " bytes" : "");
    text_line(out, "  PIR                          : %s%s", rate(t->pir, n), t->pir > 0 ? " kbps" : "");
    text_line(out, "  PBS                          : %s%s", rate(t->pbs, n), t->pbs > 0 ? " bytes" : "");
    text_line(out, "  Priority                     : %u", t->priority);
    text_line(out, "  Copy Policy                  : -");
    text_line(out, "  Priority Policy              : %s", t->tag_policy ? "tag-pri" : "local-pri");
    text_line(out, "  Referenced Status            : %s", table_users(olt, t->index) > 0 ? "used" : "not used");
}

static struct traffic_table *table_named(struct olt *olt, const char *name)
{
    for (size_t i = 0; i < olt->running.n_tables; i++) {
        if (strcmp(olt->running.tables[i].name, name) == 0) {
            return &olt->running.tables[i];
        }
    }
    return NULL;
}

enum command_result run_table_add(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const char *name = arg_text(p, "name");
    unsigned index = arg_number(p, "index");
    if (arg_of(p, "index") == NULL) {
        while (index <= TABLE_MAX && conf_table(&olt->running, index) != NULL) {
            index++;
        }
    }
    if (index > TABLE_MAX) {
        return refuse(out, "The number of traffic tables has reached the upper limit"); /* [K] */
    }
    if (conf_table(&olt->running, index) != NULL || (name != NULL && table_named(olt, name) != NULL)) {
        return refuse(out, "The traffic table exists already"); /* [K]: tools look for "exists already" */
    }
    unsigned cir = arg_number(p, "cir");
    unsigned pir = arg_of(p, "pir") != NULL ? arg_number(p, "pir") : cir * 2;
    if (pir < cir) {
        return refuse(out, "The PIR must be greater than or equal to the CIR"); /* [K] */
    }
    struct traffic_table *t = conf_add_table(&olt->running);
    t->index = index;
    if (name != NULL) {
        snprintf(t->name, sizeof t->name, "%s", name);
    } else {
        snprintf(t->name, sizeof t->name, "ip-traffic-table_%u", index);
    }
    t->cir = cir;
    t->pir = pir;
    t->cbs = arg_of(p, "cbs") != NULL ? arg_number(p, "cbs") : cir * 32 + 2000;
    t->pbs = arg_of(p, "pbs") != NULL ? arg_number(p, "pbs") : pir * 32 + 4000;
    t->priority = arg_number(p, "pri");
    t->tag_policy = strcasecmp(arg_text(p, "policy"), "tag-in-package") == 0;
    text_line(out, "  Create traffic descriptor record successfully");
    text_line(out, "  ------------------------------------------------");
    table_detail(olt, t, out);
    text_line(out, "  ------------------------------------------------");
    conf_sort(&olt->running);
    return CMD_DONE;
}

enum command_result run_table_undo(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const struct traffic_table *t = conf_table(&olt->running, arg_number(p, "index"));
    if (t == NULL) {
        return refuse(out, "The traffic table does not exist");
    }
    if (table_users(olt, t->index) > 0) {
        return refuse(out, "The traffic table is being used"); /* [K] */
    }
    conf_drop_table(&olt->running, t);
    return CMD_DONE;
}

enum command_result run_tables(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    unsigned from = arg_number(p, "from"), to = arg_of(p, "to") != NULL ? arg_number(p, "to") : TABLE_MAX;
    bool detail = arg_of(p, "form") != NULL;
    unsigned n = 0;
    struct text rows = {0};
    for (size_t i = 0; i < olt->running.n_tables; i++) {
        const struct traffic_table *t = &olt->running.tables[i];
        if (t->index < from || t->index > to) {
            continue;
        }
        n++;
        if (detail) {
            text_line(&rows, RULE);
            table_detail(olt, t, &rows);
        } else {
            table_row(t, &rows);
        }
    }
    if (n == 0) {
        text_free(&rows);
        return refuse(out, "The traffic table does not exist");
    }
    if (!detail) {
        text_line(out, RULE);
        text_line(out, "  TID CIR      CBS        PIR      PBS        Pri Copy-policy     Pri-Policy");
        text_line(out, "      (kbps)   (bytes)    (kbps)   (bytes)");
        text_line(out, RULE);
    }
    text_add(out, rows.p, rows.len);
    text_line(out, RULE);
    text_line(out, "  Total Num : %u", n);
    text_free(&rows);
    return CMD_DONE;
}

enum command_result run_table_one(struct session *s, const struct parsed *p, struct text *out)
{
    struct olt *olt = session_olt(s);
    const char *name = arg_text(p, "name");
    const struct traffic_table *t =
        name != NULL ? table_named(olt, name) : conf_table(&olt->running, arg_number(p, "index"));
    if (t == NULL) {
        return refuse(out, "The traffic table does not exist");
    }
    text_line(out, RULE);
    table_detail(olt, t, out);
    text_line(out, RULE);
    return CMD_DONE;
}
