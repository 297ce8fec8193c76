/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/drivers/huawei-smartax/fake_olt.h"

#include <stdio.h>
#include <string.h>

#define RULE "  ----\n"

static int card_slot(const struct sn_op *op)
{
    int frame = 0, slot = -1;

    return sscanf(op->mode, "interface gpon %d/%d", &frame, &slot) == 2 ? slot : -1;
}

static struct fake_ont *ont_at(struct fake_olt *o, int slot, int port, int id)
{
    for (int i = 0; i < o->n_onts; i++) {
        if (o->onts[i].slot == slot && o->onts[i].port == port && o->onts[i].id == id)
            return &o->onts[i];
    }
    return NULL;
}

static struct fake_ont *ont_by_sn(struct fake_olt *o, const char *sn)
{
    for (int i = 0; i < o->n_onts; i++) {
        if (strcmp(o->onts[i].sn, sn) == 0)
            return &o->onts[i];
    }
    return NULL;
}

static void show_ont(const struct fake_ont *t, struct sn_buf *out)
{
    sn_buf_addf(out, RULE "  F/S/P : 0/%d/%d\n  ONT-ID : %d\n  Control flag : %s\n  Run state : %s\n  Config state : normal\n"
                "  Match state : match\n  SN : %s (x)\n  Description : %s\n  Last down cause : -\n" RULE
                "  Line profile ID : %d\n  Line profile name : p_%d\n  Service profile ID : %d\n  Service profile name : p_%d\n",
                t->slot, t->port, t->id, t->off ? "deactivated" : "active", t->off ? "offline" : "online", t->sn, t->desc,
                t->line, t->line, t->service, t->service);
}

static void show_flows(const struct fake_olt *o, int slot, int port, int ont, struct sn_buf *out)
{
    int n = 0;

    for (int i = 0; i < o->n_flows; i++) {
        const struct fake_flow *f = &o->flows[i];

        if (f->slot != slot || f->port != port || (ont >= 0 && f->ont != ont))
            continue;
        sn_buf_addf(out, "  %d %d common gpon 0/%d /%d %d %d vlan %d %d %d up\n", f->index, f->vlan, f->slot, f->port, f->ont,
                    f->gem, f->user, f->rx, f->tx);
        n++;
    }
    if (n == 0)
        sn_buf_adds(out, "  Failure: No service virtual port can be operated\n");
    else
        sn_buf_addf(out, "  Total : %d  (Up/Down : %d/0)\n", n, n);
}

static void show_port(const struct fake_olt *o, int slot, int port, struct sn_buf *out)
{
    int n = 0;

    for (int i = 0; i < o->n_onts; i++) {
        if (o->onts[i].slot == slot && o->onts[i].port == port) {
            sn_buf_addf(out, "  0/ %d/%d  %d  %s active online normal match no\n", slot, port, o->onts[i].id, o->onts[i].sn);
            n++;
        }
    }
    sn_buf_addf(out, "  In port 0/ %d/%d , the total of ONTs are: %d, online: %d\n", slot, port, n, n);
}

static void show_profiles(struct sn_buf *out)
{
    sn_buf_adds(out, RULE "  Profile-ID  Profile-name   Binding times\n" RULE "  10  p_10  0\n  20  p_20  1\n" RULE "  Total: 2\n");
}

static void show_tables(const struct fake_olt *o, struct sn_buf *out)
{
    sn_buf_adds(out, "  TID CIR CBS PIR PBS Pri Copy-policy Pri-Policy\n    6 off off off off 0 - tag-pri\n");
    for (int i = 0; i < o->n_tables; i++)
        sn_buf_addf(out, "  %d %d 1 %d 1 0 - local-pri\n", o->tables[i].index, o->tables[i].rate, o->tables[i].rate);
}

static bool show(struct fake_olt *o, const struct sn_op *op, struct sn_buf *out)
{
    const char *l = op->line;
    int slot, port, ont, index;
    char word[64];

    if (sscanf(l, "display ont info by-sn %16s", word) == 1) {
        if (ont_by_sn(o, word) != NULL)
            show_ont(ont_by_sn(o, word), out);
        else
            sn_buf_adds(out, "  The required ONT does not exist");
    } else if (strcmp(l, "display ont autofind all") == 0) {
        sn_buf_adds(out, "  Failure: The automatically found ONTs do not exist");
    } else if (sscanf(l, "display ont info 0 %d %d all", &slot, &port) == 2) {
        show_port(o, slot, port, out);
    } else if (sscanf(l, "display service-port port 0/%d/%d ont %d", &slot, &port, &ont) == 3) {
        show_flows(o, slot, port, ont, out);
    } else if (sscanf(l, "display service-port port 0/%d/%d", &slot, &port) == 2) {
        show_flows(o, slot, port, -1, out);
    } else if (sscanf(l, "display service-port %d", &index) == 1) {
        for (int i = 0; i < o->n_flows; i++) {
            if (o->flows[i].index == index) {
                sn_buf_addf(out, "  Index : %d\n", index);
                return true;
            }
        }
        sn_buf_adds(out, "  Failure: The service virtual port does not exist");
    } else if (sscanf(l, "display traffic table ip name %63s", word) == 1) {
        for (int i = 0; i < o->n_tables; i++) {
            if (strcmp(o->tables[i].name, word) == 0) {
                sn_buf_addf(out, "  TD Index : %d\n  TD Name : %s\n  CIR : %d kbps\n  PIR : %d kbps\n", o->tables[i].index, word,
                            o->tables[i].rate, o->tables[i].rate);
                return true;
            }
        }
        sn_buf_adds(out, "  Failure: The traffic table does not exist");
    } else if (strncmp(l, "display traffic table ip from", 29) == 0) {
        show_tables(o, out);
    } else if (strstr(l, "profile gpon all") != NULL) {
        show_profiles(out);
    } else if (sscanf(l, "display ont port attribute %d %d eth %d", &port, &ont, &index) == 3) {
        const struct fake_ont *t = ont_at(o, card_slot(op), port, ont);

        if (t != NULL)
            sn_buf_addf(out, "  %d ETH %d auto %s\n", ont, index, t->eth_off & (1u << index) ? "off" : "on");
    } else if (strncmp(l, "display ont optical-info", 24) == 0) {
        sn_buf_adds(out, "  Rx optical power(dBm) : -21.40\n");
    } else {
        return false;
    }
    return true;
}

static bool add_ont(struct fake_olt *o, const struct sn_op *op, struct sn_buf *out)
{
    struct fake_ont t = {.slot = card_slot(op)};

    if (sscanf(op->line, "ont add %d %d sn-auth %16s omci ont-lineprofile-id %d ont-srvprofile-id %d desc \"%127[^\"]\"", &t.port,
               &t.id, t.sn, &t.line, &t.service, t.desc) != 6)
        return false;
    if (ont_by_sn(o, t.sn) != NULL) {
        sn_buf_adds(out, "  Failure: SN already exists");
    } else if (ont_at(o, t.slot, t.port, t.id) != NULL) {
        sn_buf_adds(out, "  Failure: The ONT ID has already existed");
    } else {
        o->onts[o->n_onts++] = t;
        sn_buf_addf(out, "  Number of ONTs that can be added: 1, success: 1\n  PortID :%d, ONTID :%d\n", t.port, t.id);
    }
    return true;
}

static bool change_ont(struct fake_olt *o, const struct sn_op *op, struct sn_buf *out)
{
    const char *l = op->line;
    int port, id, n;
    char word[128] = "";
    struct fake_ont *t;

    if (sscanf(l, "ont %31s %d %d", word, &port, &id) != 3 && sscanf(l, "ont port attribute %d %d", &port, &id) != 2)
        return false;
    t = ont_at(o, card_slot(op), port, id);
    if (t == NULL) {
        sn_buf_adds(out, "  Failure: The ONT does not exist");
    } else if (strcmp(word, "deactivate") == 0) {
        t->off = true;
    } else if (strcmp(word, "activate") == 0) {
        t->off = false;
    } else if (strcmp(word, "delete") == 0) {
        for (int i = 0; i < o->n_flows; i++) {
            if (o->flows[i].slot == t->slot && o->flows[i].port == t->port && o->flows[i].ont == t->id) {
                sn_buf_adds(out, "  Failure: This configured object has some service virtual\n  ports");
                return true;
            }
        }
        *t = o->onts[--o->n_onts];
        sn_buf_adds(out, "  Number of ONTs that can be deleted: 1, success: 1\n");
    } else if (sscanf(l, "ont modify %d %d ont-lineprofile-id %d", &port, &id, &n) == 3) {
        t->line = n;
    } else if (sscanf(l, "ont modify %d %d ont-srvprofile-id %d", &port, &id, &n) == 3) {
        t->service = n;
    } else if (sscanf(l, "ont modify %d %d desc \"%127[^\"]\"", &port, &id, word) == 3) {
        (void)snprintf(t->desc, sizeof(t->desc), "%s", word);
    } else if (sscanf(l, "ont port attribute %d %d eth %d operational-state %3s", &port, &id, &n, word) == 4) {
        t->eth_off = strcmp(word, "off") == 0 ? t->eth_off | (1u << n) : t->eth_off & ~(1u << n);
    } else {
        return false;
    }
    return true;
}

static void undo_flow(struct fake_olt *o, int at)
{
    o->flows[at] = o->flows[--o->n_flows];
}

static bool change_flow(struct fake_olt *o, const struct sn_op *op, struct sn_buf *out)
{
    const char *l = op->line;
    struct fake_flow f = {0}, g = {0};

    if (sscanf(l, "service-port %d vlan %d gpon 0/%d/%d ont %d gemport %d multi-service user-vlan %d tag-transform translate inbound "
               "traffic-table index %d outbound traffic-table index %d",
               &f.index, &f.vlan, &f.slot, &f.port, &f.ont, &f.gem, &f.user, &f.rx, &f.tx) == 9) {
        if (ont_at(o, f.slot, f.port, f.ont) == NULL)
            sn_buf_adds(out, "  Failure: The ONT does not exist");
        else
            o->flows[o->n_flows++] = f;
        return true;
    }
    if (sscanf(l, "service-port %d inbound traffic-table index %d outbound traffic-table index %d", &f.index, &f.rx, &f.tx) == 3) {
        for (int i = 0; i < o->n_flows; i++) {
            if (o->flows[i].index == f.index) {
                o->flows[i].rx = f.rx;
                o->flows[i].tx = f.tx;
            }
        }
        return true;
    }
    g.index = -1;
    if (sscanf(l, "undo service-port vlan %d gpon 0/%d/%d ont %d gemport %d", &g.vlan, &g.slot, &g.port, &g.ont, &g.gem) != 5 &&
        sscanf(l, "undo service-port %d", &g.index) != 1)
        return false;
    for (int i = o->n_flows - 1; i >= 0; i--) {
        const struct fake_flow *h = &o->flows[i];

        if (h->index == g.index ||
            (g.index < 0 && h->vlan == g.vlan && h->slot == g.slot && h->port == g.port && h->ont == g.ont && h->gem == g.gem))
            undo_flow(o, i);
    }
    return true;
}

static bool change(struct fake_olt *o, const struct sn_op *op, struct sn_buf *out)
{
    struct fake_table t;

    if (sscanf(op->line, "traffic table ip index %d name \"%32[^\"]\" cir %d", &t.index, t.name, &t.rate) == 3) {
        o->tables[o->n_tables++] = t;
        sn_buf_adds(out, "  Create traffic descriptor record successfully\n");
        return true;
    }
    return add_ont(o, op, out) || change_flow(o, op, out) || change_ont(o, op, out);
}

void fake_olt_exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct fake_olt *o = arg;
    bool lost, refused;

    (void)want;
    if (op->kind == SN_READ) {
        if (!show(o, op, &reply->text))
            sn_buf_adds(&reply->text, "  % Unknown command, the error locates at '^'");
        return;
    }
    o->writes++;
    lost = o->lose_at == o->writes;
    refused = o->refuse_line != NULL && strncmp(op->line, o->refuse_line, strlen(o->refuse_line)) == 0;
    if (!(lost && o->before) && (!refused || o->refuse_keeps) && !change(o, op, &reply->text))
        sn_buf_adds(&reply->text, "  % Parameter error, the error locates at '^'");
    if (refused) {
        sn_buf_clear(&reply->text);
        sn_buf_adds(&reply->text, o->refuse_text);
        o->refuse_line = o->refuse_always ? o->refuse_line : NULL;
    }
    if (lost) {
        sn_buf_clear(&reply->text);
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "cli.closed", "cut");
    }
}
