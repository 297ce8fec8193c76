/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be asked, changed, or said. Order of a BE: whose ONU is it · cut it first when it shall be cut · is it in its place ·
 * profiles, tables, service-ports · the rest of the cut · reality. See docs/protocols/huawei-smartax.md, "The plan".
 */
#include <stdio.h>
#include <string.h>

#include "drivers/huawei-smartax/huawei.h"

static void done(struct hw_plan *p)
{
    p->ret->what = SN_NEXT_DONE;
    if (p->ret->evidence == SN_EVIDENCE_NONE)
        p->ret->evidence = SN_EVIDENCE_OBSERVED;
}

/* True when there is something to send: then the answer is complete. */
static bool asking(struct hw_plan *p)
{
    if (p->ret->what == SN_NEXT_STUCK)
        return true;
    if (p->ret->ops.n == 0)
        return false;
    p->ret->what = SN_NEXT_OPS;
    return true;
}

static void place_text(const struct hw_place *at, char out[24])
{
    (void)snprintf(out, 24, "%d/%d/%d", at->frame, at->slot, at->port);
}

static bool is_active(const struct hw_onu *onu)
{
    /* deactive, deactivated: the wording differs by release */
    return strncmp(onu->control, "deactiv", 7) != 0;
}

/* Reality, last: the light that arrives. */
static void finish(struct hw_plan *p)
{
    const struct hw_have *h = p->h;

    if (h->onu.found && strcmp(h->onu.run, "online") == 0 && !h->optical_read) {
        hw_op_read_optical(&p->ret->ops, &h->onu);
        p->ret->what = SN_NEXT_OPS;
        return;
    }
    done(p);
}

/* ---- whose ---- */

static bool has_rivals(const struct hw_plan *p)
{
    return json_array_size(p->want->rivals) > 0;
}

static int check_owner(struct hw_plan *p)
{
    const struct hw_onu *onu = &p->h->onu;
    char at[24];

    place_text(&onu->at, at);
    p->shared_onu = p->w.shared && onu->found && (p->mark == HW_MARK_OTHER || has_rivals(p));
    if (!onu->found || p->shared_onu)
        return 0;
    if (p->mark == HW_MARK_OTHER) {
        (void)hw_stuck(p, SN_CONFLICT, "huawei.other-contract", "ONU %s at %s ONU %d bears the mark of another contract: %s",
                       p->w.serial, at, onu->id, onu->desc);
        sn_verdict_arg(&p->ret->verdict, "description", onu->desc);
        sn_verdict_arg(&p->ret->verdict, "place", at);
        return -1;
    }
    if (has_rivals(p))
        return hw_stuck(p, SN_CONFLICT, "huawei.claimed", "ONU %s is claimed by %s too, and the event does not say shared",
                        p->w.serial, json_string_value(json_array_get(p->want->rivals, 0)));
    if (p->mark == HW_MARK_NONE && !p->w.adopt)
        return hw_stuck(p, SN_PERMANENT, "huawei.unmarked", "ONU %s exists at %s ONU %d without a contract's mark", p->w.serial,
                        at, onu->id);
    return 0;
}

/* ---- LAN ports ---- */

static int eth_ports(const struct hw_plan *p, int ports[HW_ETH_MAX])
{
    int n = 0;
    size_t i;
    json_t *one;

    if (p->w.eth > 0)
        ports[n++] = p->w.eth;
    json_array_foreach(p->want->old, i, one) {
        int port = (int)json_integer_value(json_object_get(one, "eth"));

        if (port > 0 && port <= 24 && n < HW_ETH_MAX && (n == 0 || ports[0] != port))
            ports[n++] = port;
    }
    return n;
}

static bool eth_read(const struct hw_plan *p, int port, enum hw_known *known, bool *off)
{
    for (size_t i = 0; i < p->h->n_eth; i++) {
        if (p->h->eth[i].port == port) {
            *known = p->h->eth[i].known;
            *off = p->h->eth[i].off;
            return true;
        }
    }
    return false;
}

static void eth_ask(struct hw_plan *p)
{
    int ports[HW_ETH_MAX], n = eth_ports(p, ports);
    enum hw_known known;
    bool off;

    for (int i = 0; i < n; i++) {
        if (!eth_read(p, ports[i], &known, &off))
            hw_op_read_eth(&p->ret->ops, &p->h->onu, ports[i]);
    }
}

static void eth_write(struct hw_plan *p)
{
    int ports[HW_ETH_MAX], n = eth_ports(p, ports);

    for (int i = 0; i < n; i++) {
        bool off = false, cut = p->want->suspended && p->w.cutoff == HW_CUT_PORT && ports[i] == p->w.eth;
        enum hw_known known = HW_UNREAD;
        char name[16];
        const char *acknowledged;

        (void)eth_read(p, ports[i], &known, &off);
        (void)snprintf(name, sizeof(name), "%d", ports[i]);
        acknowledged = json_string_value(json_object_get(json_object_get(p->memo, "eth"), name));
        if (known == HW_ABSENT && acknowledged != NULL) {
            off = strcmp(acknowledged, "off") == 0;
            p->ret->evidence = SN_EVIDENCE_ACKNOWLEDGED;
        }
        if (known == HW_ABSENT && acknowledged == NULL && !cut && p->want->fresh)
            continue; /* nobody of ours can have switched it off */
        if ((known == HW_ABSENT && acknowledged == NULL) || off != cut)
            hw_op_eth(&p->ret->ops, &p->h->onu, ports[i], !cut);
    }
}

/* ---- the cut of a suspension: before anything else can fail ---- */

static bool cut_first(struct hw_plan *p)
{
    const struct hw_have *h = p->h;

    if (!p->want->suspended || !h->onu.found)
        return false;
    p->cut_flows = p->w.cutoff == HW_CUT_ONU && p->shared_onu;
    if (p->w.cutoff == HW_CUT_ONU && !p->shared_onu && is_active(&h->onu))
        hw_op_control(&p->ret->ops, &h->onu, false);
    if (p->cut_flows && !h->flows_read)
        hw_op_read_flows(&p->ret->ops, &h->onu);
    else if (p->cut_flows)
        (void)hw_flows_remove(p, false);
    if (asking(p))
        return true;
    if (p->w.cutoff == HW_CUT_PORT) {
        eth_ask(p);
        if (asking(p))
            return true;
        eth_write(p);
    }
    return asking(p);
}

/* ---- profiles ---- */

static bool profile_is(int id, const char *name, const char *wanted)
{
    if (wanted[0] == '\0' || (id < 0 && name[0] == '\0'))
        return true; /* not said, or not shown */
    if (strspn(wanted, "0123456789") == strlen(wanted))
        return id == strtol(wanted, NULL, 10);
    return strcmp(name, wanted) == 0;
}

static bool line_is(const struct hw_plan *p)
{
    return profile_is(p->h->onu.line_id, p->h->onu.line_name, p->w.line);
}

static bool service_is(const struct hw_plan *p)
{
    return profile_is(p->h->onu.service_id, p->h->onu.service_name, p->w.service);
}

/* Asks for a profile's number, or says that it does not exist. */
static int profile_ask(struct hw_plan *p, bool line)
{
    enum hw_known known = line ? p->h->line : p->h->service;
    const char *wanted = line ? p->w.line : p->w.service;

    if (known == HW_UNREAD) {
        hw_op_read_profiles(&p->ret->ops, line);
        return 0;
    }
    if (known == HW_PRESENT)
        return 0;
    (void)hw_stuck(p, SN_PERMANENT, line ? "huawei.line-profile-missing" : "huawei.service-profile-missing",
                   "the %s profile %s does not exist", line ? "line" : "service", wanted);
    sn_verdict_arg(&p->ret->verdict, "profile", wanted);
    return -1;
}

/* ---- the ONU is not there ---- */

/* An id of the port, from the serial. Not the lowest free one: that is nearly always the one that another contract gave up last, and a line that
 * arrives late names it (docs/decisions/ont-ids.md). */
static int pick_ont(const struct hw_plan *p)
{
    int first = (int)(hw_hash(p->w.serial) % (uint32_t)p->w.ont_ids);

    for (int i = 0; i < p->w.ont_ids; i++) {
        int id = (first + i) % p->w.ont_ids;

        if (!hw_bit(p->h->ont_used, id) && !hw_memo_taken(p->memo, "ont", id))
            return id;
    }
    return -1;
}

static int check_elsewhere(struct hw_plan *p)
{
    char is[24], shall[24];

    if (p->h->autofind != HW_PRESENT || hw_same_place(&p->h->autofind_at, &p->w.at))
        return 0;
    place_text(&p->h->autofind_at, is);
    place_text(&p->w.at, shall);
    (void)hw_stuck(p, SN_PERMANENT, "huawei.onu-elsewhere", "ONU %s is seen at %s, not at %s", p->w.serial, is, shall);
    sn_verdict_arg(&p->ret->verdict, "seen", is);
    sn_verdict_arg(&p->ret->verdict, "wanted", shall);
    return -1;
}

static int add_ask(struct hw_plan *p)
{
    const struct hw_have *h = p->h;

    if (p->w.line[0] == '\0' || p->w.service[0] == '\0' || !p->w.has_place)
        return hw_stuck(p, SN_PERMANENT, "huawei-smartax.plan-unmapped",
                        "the ONU must be created and its profiles or place are not said");
    if (!h->onu.found && h->autofind == HW_UNREAD)
        hw_op_read_autofind(&p->ret->ops);
    if (check_elsewhere(p) < 0)
        return -1;
    if (!h->port_read)
        hw_op_read_port(&p->ret->ops, &p->w.at);
    if (!h->port_flows_read)
        hw_op_read_port_flows(&p->ret->ops, &p->w.at);
    if (profile_ask(p, true) < 0 || profile_ask(p, false) < 0)
        return -1;
    return hw_flows_ask(p, true);
}

static int add_write(struct hw_plan *p)
{
    int ont = pick_ont(p);

    if (ont < 0)
        return hw_stuck(p, SN_PERMANENT, "huawei.full", "no free ONT id is left on the port");
    hw_tables_add(p);
    hw_op_add(&p->ret->ops, &p->w, ont, p->h->line_id, p->h->service_id);
    hw_flows_add(p, ont, true);
    return 0;
}

static void add(struct hw_plan *p)
{
    (void)add_ask(p);
    if (asking(p))
        return;
    (void)add_write(p);
    (void)asking(p);
}

/* ---- the ONU is there ---- */

/* Ours, on another port of this OLT: taken away there, all of it, and made here. */
static void relocate(struct hw_plan *p)
{
    bool make = !(p->want->suspended && p->w.cutoff == HW_CUT_ONU);

    if (!p->h->flows_read)
        hw_op_read_flows(&p->ret->ops, &p->h->onu);
    if (make)
        (void)add_ask(p);
    if (asking(p))
        return;
    (void)hw_flows_remove(p, true);
    hw_op_delete(&p->ret->ops, &p->h->onu);
    if (make)
        (void)add_write(p);
    (void)asking(p);
}

static int check_shared(struct hw_plan *p)
{
    if (!p->shared_onu || (line_is(p) && service_is(p) && (!p->w.has_place || hw_same_place(&p->h->onu.at, &p->w.at))))
        return 0;
    return hw_stuck(p, SN_CONFLICT, "huawei.shared-onu-differs",
                    "the shared ONU %s is configured with another place or other profiles", p->w.serial);
}

static bool same_without_blanks(const char *a, const char *b)
{
    for (;;) {
        while (*a == ' ')
            a++;
        while (*b == ' ')
            b++;
        if (*a != *b)
            return false;
        if (*a == '\0')
            return true;
        a++;
        b++;
    }
}

/* The device breaks long descriptions and loses blanks there: compare without them. */
static bool desc_is(const struct hw_plan *p)
{
    if (p->mark == HW_MARK_OTHER)
        return true; /* shared: the first contract's mark stands */
    return p->mark == HW_MARK_OURS && (!p->w.desc_exact || same_without_blanks(p->h->onu.desc, p->w.desc));
}

/* Is everything right that is known without the service-ports? Then these are the last reads, and the light is asked for with them. */
static bool looks_settled(const struct hw_plan *p)
{
    bool tables = p->w.n_flows == 0 || p->cut_flows ||
                  (hw_table_of(p, HW_UP)->known == HW_PRESENT && hw_table_of(p, HW_DOWN)->known == HW_PRESENT);

    return tables && line_is(p) && service_is(p) && desc_is(p) && is_active(&p->h->onu) &&
           strcmp(p->h->onu.run, "online") == 0;
}

static int keep_ask(struct hw_plan *p)
{
    if (!p->h->flows_read)
        hw_op_read_flows(&p->ret->ops, &p->h->onu);
    if (!p->h->flows_read && looks_settled(p))
        hw_op_read_optical(&p->ret->ops, &p->h->onu);
    eth_ask(p);
    if ((!line_is(p) && profile_ask(p, true) < 0) || (!service_is(p) && profile_ask(p, false) < 0))
        return -1;
    if (p->h->flows_read)
        return hw_flows_ask(p, false);
    return 0;
}

static void keep(struct hw_plan *p)
{
    const struct hw_onu *onu = &p->h->onu;

    (void)keep_ask(p);
    if (asking(p))
        return;
    if (hw_flows_undo(p) < 0)
        return;
    if (p->w.has_flows && p->w.n_flows > 0 && !p->cut_flows)
        hw_tables_add(p);
    if (!line_is(p))
        hw_op_modify_line(&p->ret->ops, onu, p->h->line_id);
    if (!service_is(p))
        hw_op_modify_service(&p->ret->ops, onu, p->h->service_id);
    if (!desc_is(p))
        hw_op_modify_desc(&p->ret->ops, onu, p->w.desc);
    p->w.at = onu->at;
    hw_flows_add(p, onu->id, false);
    eth_write(p);
    if (!(p->want->suspended && p->w.cutoff == HW_CUT_ONU && !p->shared_onu) && !is_active(onu))
        hw_op_control(&p->ret->ops, onu, true);
    if (!asking(p))
        finish(p);
}

static void be(struct hw_plan *p)
{
    const struct hw_onu *onu = &p->h->onu;

    if (check_owner(p) < 0 || cut_first(p) || check_shared(p) < 0)
        return;
    if (!onu->found && p->want->suspended && p->w.cutoff == HW_CUT_ONU)
        done(p); /* what is not there serves nobody; the resumption makes it */
    else if (!onu->found)
        add(p);
    else if (p->w.has_place && !hw_same_place(&onu->at, &p->w.at))
        relocate(p);
    else
        keep(p);
}

/* ---- GONE ---- */

static void hand_over(struct hw_plan *p)
{
    const char *heir = json_string_value(json_array_get(p->want->rivals, 0));

    if (p->mark == HW_MARK_OURS && heir != NULL && heir[0] != '\0' && strlen(heir) <= 32 &&
        strspn(heir, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/-") == strlen(heir))
        hw_op_modify_desc(&p->ret->ops, &p->h->onu, heir);
}

static void gone(struct hw_plan *p)
{
    const struct hw_have *h = p->h;
    bool others = has_rivals(p) || p->w.shared;
    size_t stay;

    if (!h->onu.found || (p->mark == HW_MARK_OTHER && !p->w.shared) || (p->mark == HW_MARK_NONE && !p->w.adopt)) {
        done(p); /* nothing of ours is there; what bears no mark is somebody's whom `unmarked: refuse` protects */
        return;
    }
    if (!h->flows_read) {
        hw_op_read_flows(&p->ret->ops, &h->onu);
        p->ret->what = SN_NEXT_OPS;
        return;
    }
    /* A key without flows says nothing about them: on an ONU of ours alone they are all ours. */
    stay = hw_flows_remove(p, !p->w.has_flows && !others && p->mark == HW_MARK_OURS);
    if (stay == 0 && !has_rivals(p) && p->mark != HW_MARK_OTHER)
        hw_op_delete(&p->ret->ops, &h->onu);
    else if (has_rivals(p))
        hand_over(p);
    if (!asking(p))
        done(p);
}

/* ---- LOOK ---- */

static void look(struct hw_plan *p)
{
    if (p->h->onu.found && !p->h->flows_read)
        hw_op_read_flows(&p->ret->ops, &p->h->onu);
    if (!asking(p))
        finish(p);
}

static void ask_first(struct hw_plan *p)
{
    hw_op_read_onu(&p->ret->ops, p->w.serial);
    /* The tables are asked for in the same breath: they are needed in all but the rarest cases. */
    if (p->want->kind == SN_BE && !p->want->suspended && p->w.n_flows > 0)
        (void)hw_tables_ask(p);
    (void)asking(p);
}

void hw_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret)
{
    struct hw_plan p = {.want = want, .h = have, .memo = memo, .ret = ret};

    if (hw_want_read(want, &p.w) < 0) {
        (void)hw_stuck(&p, SN_INVALID, "huawei-smartax.key", "a key that this driver did not make");
        return;
    }
    if (want->kind != SN_LOOK && !hw_ref_is_mark(want->ref)) {
        (void)hw_stuck(&p, SN_INVALID, "huawei-smartax.mark", "the contract's ref cannot stand as a mark on the device");
        return;
    }
    if (want->kind == SN_SINCE) {
        (void)hw_stuck(&p, SN_INVALID, "huawei-smartax.unsupported", "this action is not known to the driver");
        return;
    }
    if (!p.h->onu_read) {
        ask_first(&p);
        return;
    }
    p.mark = p.h->onu.found ? hw_mark_of(want, p.h->onu.desc) : HW_MARK_NONE;
    if (want->kind == SN_BE)
        be(&p);
    else if (want->kind == SN_GONE)
        gone(&p);
    else
        look(&p);
}
