/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "drivers/huawei-smartax/huawei.h"

#define CONFIG "config"

/* A line is made of numbers and of checked words: it always fits; if it ever did not, the empty line is refused by the engine. */
#define LINE(op, ...)                                                                                                   \
    do {                                                                                                                \
        if (sn_op_line((op), __VA_ARGS__) < 0)                                                                          \
            (op)->line[0] = '\0';                                                                                       \
    } while (0)

static struct sn_op *reading(struct sn_ops *ops, enum hw_verb verb, const char *mode)
{
    struct sn_op *op = sn_ops_add(ops, SN_READ, ' ', (int)verb);

    if (op != NULL)
        (void)snprintf(op->mode, sizeof(op->mode), "%s", mode);
    return op;
}

static struct sn_op *writing(struct sn_ops *ops, char mark, enum hw_verb verb)
{
    struct sn_op *op = sn_ops_add(ops, SN_WRITE, mark, (int)verb);

    if (op != NULL)
        (void)snprintf(op->mode, sizeof(op->mode), CONFIG);
    return op;
}

static void card(struct sn_op *op, const struct hw_place *at)
{
    (void)snprintf(op->mode, sizeof(op->mode), "interface gpon %d/%d", at->frame, at->slot);
}

void hw_op_read_onu(struct sn_ops *ops, const char *serial)
{
    struct sn_op *op = reading(ops, HW_READ_ONU, CONFIG);

    if (op == NULL)
        return;
    (void)snprintf(op->s[0], sizeof(op->s[0]), "%s", serial);
    LINE(op, "display ont info by-sn %s", serial);
}

void hw_op_read_autofind(struct sn_ops *ops)
{
    struct sn_op *op = reading(ops, HW_READ_AUTOFIND, CONFIG);

    if (op != NULL)
        LINE(op, "display ont autofind all");
}

static void place_args(struct sn_op *op, const struct hw_place *at)
{
    op->n[5] = at->frame;
    op->n[6] = at->slot;
    op->n[7] = at->port;
}

void hw_op_read_port(struct sn_ops *ops, const struct hw_place *at)
{
    struct sn_op *op = reading(ops, HW_READ_PORT, CONFIG);

    if (op == NULL)
        return;
    place_args(op, at);
    LINE(op, "display ont info %d %d %d all", at->frame, at->slot, at->port);
}

void hw_op_read_port_flows(struct sn_ops *ops, const struct hw_place *at)
{
    struct sn_op *op = reading(ops, HW_READ_PORT_FLOWS, CONFIG);

    if (op == NULL)
        return;
    place_args(op, at);
    LINE(op, "display service-port port %d/%d/%d", at->frame, at->slot, at->port);
}

void hw_op_read_profiles(struct sn_ops *ops, bool line)
{
    struct sn_op *op = reading(ops, line ? HW_READ_LINES : HW_READ_SERVICES, CONFIG);

    if (op != NULL)
        LINE(op, "display %s gpon all", line ? "ont-lineprofile" : "ont-srvprofile");
}

void hw_op_read_table(struct sn_ops *ops, const struct hw_want *w, enum hw_way way)
{
    struct sn_op *op = reading(ops, HW_READ_TABLE, CONFIG);

    if (op == NULL)
        return;
    op->n[0] = (int64_t)way;
    op->n[1] = w->kbps[way];
    hw_table_name(w, way, op->s[0]);
    LINE(op, "display traffic table ip name %s", op->s[0]);
}

void hw_op_read_tables(struct sn_ops *ops)
{
    struct sn_op *op = reading(ops, HW_READ_TABLES, CONFIG);

    if (op != NULL)
        LINE(op, "display traffic table ip from-index 0");
}

void hw_op_read_flows(struct sn_ops *ops, const struct hw_onu *onu)
{
    struct sn_op *op = reading(ops, HW_READ_FLOWS, CONFIG);

    if (op == NULL)
        return;
    place_args(op, &onu->at);
    op->n[0] = onu->id;
    LINE(op, "display service-port port %d/%d/%d ont %d", onu->at.frame, onu->at.slot, onu->at.port, onu->id);
}

void hw_op_read_index(struct sn_ops *ops, int index)
{
    struct sn_op *op = reading(ops, HW_READ_INDEX, CONFIG);

    if (op == NULL)
        return;
    op->n[0] = index;
    LINE(op, "display service-port %d", index);
}

void hw_op_read_next_index(struct sn_ops *ops)
{
    struct sn_op *op = reading(ops, HW_READ_NEXT_INDEX, CONFIG);

    if (op != NULL)
        LINE(op, "display service-port next-free-index");
}

void hw_op_read_eth(struct sn_ops *ops, const struct hw_onu *onu, int port)
{
    struct sn_op *op = reading(ops, HW_READ_ETH, "");

    if (op == NULL)
        return;
    card(op, &onu->at);
    op->n[0] = port;
    LINE(op, "display ont port attribute %d %d eth %d", onu->at.port, onu->id, port);
}

void hw_op_read_optical(struct sn_ops *ops, const struct hw_onu *onu)
{
    struct sn_op *op = reading(ops, HW_READ_OPTICAL, "");

    if (op == NULL)
        return;
    card(op, &onu->at);
    LINE(op, "display ont optical-info %d %d", onu->at.port, onu->id);
}

/* ---- writes ---- */

void hw_op_add(struct sn_ops *ops, const struct hw_want *w, int ont, int line, int service)
{
    struct sn_op *op = writing(ops, '+', HW_ADD);

    if (op == NULL)
        return;
    card(op, &w->at);
    op->n[0] = ont;
    LINE(op, "ont add %d %d sn-auth %s omci ont-lineprofile-id %d ont-srvprofile-id %d desc \"%s\"", w->at.port, ont,
         w->serial, line, service, w->desc);
}

static struct sn_op *on_onu(struct sn_ops *ops, char mark, enum hw_verb verb, const struct hw_onu *onu)
{
    struct sn_op *op = writing(ops, mark, verb);

    if (op != NULL)
        card(op, &onu->at);
    return op;
}

void hw_op_modify_line(struct sn_ops *ops, const struct hw_onu *onu, int line)
{
    struct sn_op *op = on_onu(ops, '~', HW_MODIFY, onu);

    if (op != NULL)
        LINE(op, "ont modify %d %d ont-lineprofile-id %d", onu->at.port, onu->id, line);
}

void hw_op_modify_service(struct sn_ops *ops, const struct hw_onu *onu, int service)
{
    struct sn_op *op = on_onu(ops, '~', HW_MODIFY, onu);

    if (op != NULL)
        LINE(op, "ont modify %d %d ont-srvprofile-id %d", onu->at.port, onu->id, service);
}

void hw_op_modify_desc(struct sn_ops *ops, const struct hw_onu *onu, const char *desc)
{
    struct sn_op *op = on_onu(ops, '~', HW_MODIFY, onu);

    if (op != NULL)
        LINE(op, "ont modify %d %d desc \"%s\"", onu->at.port, onu->id, desc);
}

void hw_op_delete(struct sn_ops *ops, const struct hw_onu *onu)
{
    struct sn_op *op = on_onu(ops, '-', HW_DELETE, onu);

    if (op != NULL)
        LINE(op, "ont delete %d %d", onu->at.port, onu->id);
}

void hw_op_control(struct sn_ops *ops, const struct hw_onu *onu, bool active)
{
    struct sn_op *op = on_onu(ops, '~', active ? HW_ACTIVATE : HW_DEACTIVATE, onu);

    if (op != NULL)
        LINE(op, "ont %s %d %d", active ? "activate" : "deactivate", onu->at.port, onu->id);
}

void hw_op_eth(struct sn_ops *ops, const struct hw_onu *onu, int port, bool on)
{
    struct sn_op *op = on_onu(ops, '~', HW_ETH, onu);

    if (op == NULL)
        return;
    op->n[0] = port;
    op->n[1] = on;
    LINE(op, "ont port attribute %d %d eth %d operational-state %s", onu->at.port, onu->id, port, on ? "on" : "off");
}

void hw_op_table_add(struct sn_ops *ops, const struct hw_want *w, enum hw_way way, int index)
{
    struct sn_op *op = writing(ops, '+', HW_TABLE_ADD);
    long long rate = w->kbps[way] < 64 ? 64 : (long long)w->kbps[way]; /* the least that the device knows */
    char name[HW_NAME_MAX];

    if (op == NULL)
        return;
    op->n[0] = index;
    hw_table_name(w, way, name);
    LINE(op, "traffic table ip index %d name \"%s\" cir %lld pir %lld priority %d priority-policy local-setting", index, name,
         rate, rate, w->priority);
}

void hw_op_flow_add(struct sn_ops *ops, const struct hw_place *at, int ont, const struct hw_flow *flow)
{
    struct sn_op *op = writing(ops, '+', HW_FLOW_ADD);

    if (op == NULL)
        return;
    op->n[0] = flow->index;
    LINE(op, "service-port %d vlan %d gpon %d/%d/%d ont %d gemport %d multi-service user-vlan %d tag-transform translate "
         "inbound traffic-table index %d outbound traffic-table index %d",
         flow->index, flow->vlan, at->frame, at->slot, at->port, ont, flow->gem, flow->user_vlan, flow->rx, flow->tx);
}

void hw_op_flow_tables(struct sn_ops *ops, const struct hw_flow *flow, int rx, int tx)
{
    struct sn_op *op = writing(ops, '~', HW_FLOW_TABLES);

    if (op == NULL)
        return;
    op->n[0] = flow->index;
    LINE(op, "service-port %d inbound traffic-table index %d outbound traffic-table index %d", flow->index, rx, tx);
}

void hw_op_flow_undo(struct sn_ops *ops, const struct hw_onu *onu, const struct hw_flow *flow, bool by_index)
{
    struct sn_op *op = writing(ops, '-', HW_FLOW_UNDO);

    if (op == NULL)
        return;
    op->n[0] = flow->index;
    /* By content where that is unique: should the line arrive late, it cannot hit another customer to whom the index was given. */
    if (by_index)
        LINE(op, "undo service-port %d", flow->index);
    else
        LINE(op, "undo service-port vlan %d gpon %d/%d/%d ont %d gemport %d", flow->vlan, onu->at.frame, onu->at.slot,
             onu->at.port, onu->id, flow->gem);
}

void hw_record(const struct sn_target *target, struct sn_ops *ret)
{
    static const char *const lines[] = {
        "display version",
        "display board 0",
        "display ont autofind all",
        "display ont-lineprofile gpon all",
        "display ont-srvprofile gpon all",
        "display traffic table ip from-index 0",
        "display vlan all",
    };

    (void)target;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct sn_op *op = reading(ret, HW_READ_TO_SHOW, CONFIG);
        if (op != NULL)
            LINE(op, "%s", lines[i]);
    }
}
