/* SPDX-License-Identifier: Apache-2.0 */
/* Service-ports and their traffic tables: what is missing, what is too much, what it is called. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "drivers/huawei-smartax/huawei.h"

#define FIRST_TABLE 7  /* 0..6 come with the device */
#define GUESSES 4      /* service-port indexes tried before the device is asked for one */

int hw_stuck(struct hw_plan *p, enum sn_class class, const char *code, const char *fmt, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    p->ret->what = SN_NEXT_STUCK;
    p->ret->ops.n = 0;
    sn_verdict_set(&p->ret->verdict, class, code, "%s", text);
    return -1;
}

const struct hw_table *hw_table_of(const struct hw_plan *p, enum hw_way way)
{
    return &p->h->table[p->w.kbps[HW_UP] == p->w.kbps[HW_DOWN] ? HW_UP : way];
}

/* The index of a table: its own, or the free one that it will get. The downstream table is created after the upstream one. */
static int table_index(const struct hw_plan *p, enum hw_way way)
{
    const struct hw_table *t = hw_table_of(p, way);
    int skip = way == HW_DOWN && t != hw_table_of(p, HW_UP) && hw_table_of(p, HW_UP)->known == HW_ABSENT ? 1 : 0;

    if (t->known == HW_PRESENT)
        return t->index;
    for (int i = FIRST_TABLE; i < HW_TABLES; i++) {
        if (!hw_bit(p->h->table_used, i) && !hw_memo_taken(p->memo, "table", i) && skip-- == 0)
            return i;
    }
    return -1;
}

void hw_tables_add(struct hw_plan *p)
{
    for (int way = HW_UP; way <= HW_DOWN; way++) {
        if (&p->h->table[way] == hw_table_of(p, (enum hw_way)way) && p->h->table[way].known == HW_ABSENT)
            hw_op_table_add(&p->ret->ops, &p->w, (enum hw_way)way, table_index(p, (enum hw_way)way));
    }
}

static bool same_flow(const struct hw_flow *a, const struct hw_flow *b)
{
    return a->gem == b->gem && a->vlan == b->vlan && a->user_vlan == b->user_vlan;
}

static const struct hw_flow *present(const struct hw_plan *p, const struct hw_flow *wanted)
{
    for (size_t i = 0; i < p->h->n_flows; i++) {
        if (same_flow(&p->h->flows[i], wanted))
            return &p->h->flows[i];
    }
    return NULL;
}

static bool wanted(const struct hw_plan *p, const struct hw_flow *flow)
{
    for (size_t i = 0; i < p->w.n_flows && !p->cut_flows; i++) {
        if (same_flow(&p->w.flows[i], flow))
            return true;
    }
    return false;
}

static bool gem_wanted(const struct hw_plan *p, const struct hw_flow *flow)
{
    for (size_t i = 0; i < p->w.n_flows && !p->cut_flows; i++) {
        if (p->w.flows[i].gem == flow->gem)
            return true;
    }
    return false;
}

/* Several flows of one VLAN and GEM port can only be told apart by their index. */
static bool alike(const struct hw_plan *p, const struct hw_flow *flow)
{
    size_t n = 0;

    for (size_t i = 0; i < p->h->n_flows; i++)
        n += p->h->flows[i].gem == flow->gem && p->h->flows[i].vlan == flow->vlan;
    return n > 1;
}

/* ---- numbers ---- */

/* FNV-1a, and its bits mixed once more: serials of one box of ONUs differ in their last digits only. */
uint32_t hw_hash(const char *text)
{
    uint32_t hash = 2166136261u;

    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash ^ hash >> 15;
}

/* A service-port index for a flow. Not the lowest free one: an index that another contract gave up a moment ago may still be
 * named by a line that is under way. Made from what the flow is, so that a repetition chooses the same. */
static int guess_index(const struct hw_plan *p, const struct hw_flow *flow, int attempt)
{
    char text[80];

    (void)snprintf(text, sizeof(text), "%s/%d/%d/%d/%d", p->w.serial, flow->gem, flow->vlan, flow->user_vlan, attempt);
    return 1 + (int)(hw_hash(text) % (uint32_t)p->w.index_max);
}

static bool chosen(const int *list, size_t n, int index)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i] == index)
            return true;
    }
    return false;
}

static enum hw_known probed(const struct hw_plan *p, int index)
{
    for (size_t i = 0; i < p->h->n_probes; i++) {
        if (p->h->probes[i].index == index)
            return p->h->probes[i].free ? HW_ABSENT : HW_PRESENT;
    }
    return HW_UNREAD;
}

/* The index for a flow, 0 when the device must be asked first (*ask says what: an index, or -1 for its next free one), -1: none. */
static int pick_index(const struct hw_plan *p, const struct hw_flow *flow, const int *taken, size_t n_taken, int *ask)
{
    *ask = 0;
    for (int attempt = 0; attempt < GUESSES; attempt++) {
        int index = guess_index(p, flow, attempt);
        enum hw_known known = probed(p, index);

        if (chosen(taken, n_taken, index) || hw_memo_taken(p->memo, "index", index) || known == HW_PRESENT)
            continue;
        if (known == HW_ABSENT)
            return index;
        if (p->h->n_probes + n_taken < HW_PROBES_MAX) {
            *ask = index;
            return 0;
        }
    }
    if (!p->h->next_index_read) {
        *ask = -1;
        return 0;
    }
    for (int index = p->h->next_index; index >= 0 && index <= 65535; index++) {
        if (!chosen(taken, n_taken, index) && !hw_memo_taken(p->memo, "index", index))
            return index;
    }
    return -1;
}

/* Chooses an index for each wanted flow that is missing; 0 in index[] for those that are there. Asks when it cannot. */
static int choose(struct hw_plan *p, bool all_missing, int index[HW_WANT_FLOWS_MAX])
{
    int taken[HW_WANT_FLOWS_MAX];
    size_t n = 0;
    bool asked_next = false;

    for (size_t i = 0; i < p->w.n_flows; i++) {
        int ask;

        index[i] = 0;
        if (!all_missing && present(p, &p->w.flows[i]) != NULL)
            continue;
        index[i] = pick_index(p, &p->w.flows[i], taken, n, &ask);
        if (index[i] < 0)
            return hw_stuck(p, SN_PERMANENT, "huawei.no-free-index", "no free service-port index was found");
        if (index[i] == 0 && ask > 0)
            hw_op_read_index(&p->ret->ops, ask);
        else if (index[i] == 0 && !asked_next)
            hw_op_read_next_index(&p->ret->ops);
        asked_next = asked_next || ask < 0;
        taken[n++] = index[i] > 0 ? index[i] : ask;
    }
    return 0;
}

/* ---- what the plan asks and writes ---- */

int hw_tables_ask(struct hw_plan *p)
{
    bool by_list = json_is_true(json_object_get(p->memo, "by_list")), absent = false;

    for (int way = HW_UP; way <= HW_DOWN; way++) {
        const struct hw_table *t = hw_table_of(p, (enum hw_way)way);

        if (t->known == HW_UNREAD && !by_list && t == &p->h->table[way])
            hw_op_read_table(&p->ret->ops, &p->w, (enum hw_way)way);
        absent = absent || t->known == HW_ABSENT || (t->known == HW_UNREAD && by_list);
        if (t->known == HW_PRESENT && t->differs)
            return hw_stuck(p, SN_PERMANENT, "huawei.traffic-table-differs",
                            "the traffic table sn-%lld exists with another rate", (long long)p->w.kbps[way]);
    }
    if (absent && !p->h->tables_read)
        hw_op_read_tables(&p->ret->ops);
    else if (absent && (table_index(p, HW_UP) < 0 || table_index(p, HW_DOWN) < 0))
        return hw_stuck(p, SN_PERMANENT, "huawei.full", "no free traffic table index is left");
    return 0;
}

int hw_flows_ask(struct hw_plan *p, bool all_missing)
{
    int index[HW_WANT_FLOWS_MAX];

    if (!p->w.has_flows || p->w.n_flows == 0 || p->cut_flows)
        return 0;
    return hw_tables_ask(p) < 0 ? -1 : choose(p, all_missing, index);
}

int hw_flows_undo(struct hw_plan *p)
{
    if (!p->w.has_flows && !p->cut_flows)
        return 0;
    for (size_t i = 0; i < p->h->n_flows; i++) {
        const struct hw_flow *f = &p->h->flows[i];

        if (wanted(p, f))
            continue;
        if (!hw_flow_ours(p->want, f)) {
            if (!gem_wanted(p, f))
                continue; /* not ours, not in the way: it stays, and is named in what holds */
            if (p->shared_onu)
                return hw_stuck(p, SN_CONFLICT, "huawei.flow-conflict",
                                "service-port %d uses GEM port %d for VLAN %d on a shared ONU", f->index, f->gem, f->vlan);
        }
        hw_op_flow_undo(&p->ret->ops, &p->h->onu, f, alike(p, f));
    }
    return 0;
}

void hw_flows_add(struct hw_plan *p, int ont, bool all_missing)
{
    int index[HW_WANT_FLOWS_MAX], rx = table_index(p, HW_UP), tx = table_index(p, HW_DOWN);

    if (!p->w.has_flows || p->cut_flows || choose(p, all_missing, index) < 0)
        return;
    for (size_t i = 0; i < p->w.n_flows; i++) {
        const struct hw_flow *is = all_missing ? NULL : present(p, &p->w.flows[i]);
        struct hw_flow f = p->w.flows[i];

        if (is != NULL && (is->rx != rx || is->tx != tx))
            hw_op_flow_tables(&p->ret->ops, is, rx, tx);
        if (is != NULL)
            continue;
        f.index = index[i];
        f.rx = rx;
        f.tx = tx;
        hw_op_flow_add(&p->ret->ops, &p->w.at, ont, &f);
    }
}

size_t hw_flows_remove(struct hw_plan *p, bool all)
{
    size_t stay = 0;

    for (size_t i = 0; i < p->h->n_flows; i++) {
        if (all || hw_flow_ours(p->want, &p->h->flows[i]))
            hw_op_flow_undo(&p->ret->ops, &p->h->onu, &p->h->flows[i], alike(p, &p->h->flows[i]));
        else
            stay++;
    }
    return stay;
}
