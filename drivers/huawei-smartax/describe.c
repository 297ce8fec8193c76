/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "drivers/huawei-smartax/huawei.h"

/* The device's words are foreign: escaped. */
static void set_text(json_t *o, const char *name, const char *value)
{
    char safe[4 * HW_DESC_MAX];

    if (value[0] == '\0')
        return;
    sn_text_escape(safe, sizeof(safe), value, strlen(value));
    (void)json_object_set_new(o, name, json_string(safe));
}

static void set_profile(json_t *o, const char *name, int id, const char *label)
{
    char text[80];

    if (id < 0 && label[0] == '\0')
        return;
    if (id < 0)
        (void)snprintf(text, sizeof(text), "%s", label);
    else
        (void)snprintf(text, sizeof(text), "%d%s%s", id, label[0] != '\0' ? " " : "", label);
    set_text(o, name, text);
}

static void describe_flows(const struct sn_want *want, const struct hw_have *h, json_t *holds)
{
    json_t *flows = json_array(), *extra = json_array();

    for (size_t i = 0; i < h->n_flows; i++) {
        const struct hw_flow *f = &h->flows[i];
        char text[120];

        (void)snprintf(text, sizeof(text), "service-port %d vlan %d gem %d user-vlan %d in %d out %d", f->index, f->vlan,
                       f->gem, f->user_vlan, f->rx, f->tx);
        (void)json_array_append_new(hw_flow_ours(want, f) ? flows : extra, json_string(text));
    }
    (void)json_object_set_new(holds, "flows", flows);
    if (json_array_size(extra) > 0)
        (void)json_object_set_new(holds, "extra", extra);
    else
        json_decref(extra);
}

static json_t *describe_holds(const struct sn_want *want, const struct hw_have *h, const struct hw_want *w)
{
    const struct hw_onu *onu = &h->onu;
    json_t *holds = json_pack("{s:s}", "serial", w->serial);
    char text[64];

    if (holds == NULL)
        return NULL;
    if (!onu->found) {
        (void)json_object_set_new(holds, "onu", json_null());
        return holds;
    }
    (void)snprintf(text, sizeof(text), "%d/%d/%d ONU %d", onu->at.frame, onu->at.slot, onu->at.port, onu->id);
    set_text(holds, "onu", text);
    set_text(holds, "control", onu->control);
    set_text(holds, "description", onu->desc);
    set_profile(holds, "line_profile", onu->line_id, onu->line_name);
    set_profile(holds, "service_profile", onu->service_id, onu->service_name);
    if (h->flows_read)
        describe_flows(want, h, holds);
    for (size_t i = 0; i < h->n_eth; i++) {
        (void)snprintf(text, sizeof(text), "eth %d", h->eth[i].port);
        (void)json_object_set_new(holds, text, json_string(h->eth[i].known == HW_ABSENT ? "not shown"
                                                           : h->eth[i].off             ? "off"
                                                                                       : "on"));
    }
    if (want->kind == SN_BE && want->suspended && w->cutoff == HW_CUT_ONU && w->shared &&
        (json_array_size(want->rivals) > 0 || hw_mark_of(want, onu->desc) == HW_MARK_OTHER))
        (void)json_object_set_new(holds, "cut", json_string("own service-ports: the ONU is shared"));
    if (want->kind == SN_GONE)
        (void)json_object_set_new(holds, "kept", json_string("the ONU: it is, or is used, by another contract"));
    return holds;
}

static json_t *describe_reality(const struct hw_have *h, const json_t *memo)
{
    const struct hw_onu *onu = &h->onu;
    json_t *reality;

    if (!onu->found)
        return NULL;
    reality = json_object();
    set_text(reality, "run", onu->run);
    if (strcmp(onu->run, "online") == 0) {
        if (h->optical_known)
            (void)json_object_set_new(reality, "rx_dbm", json_real(h->rx_dbm));
        set_text(reality, "config", onu->config);
        set_text(reality, "match", onu->match);
        return reality;
    }
    if (onu->down_cause[0] != '\0' && strcmp(onu->down_cause, "-") != 0)
        set_text(reality, "last_down", onu->down_cause);
    if (json_string_value(json_object_get(memo, "autofind")) != NULL &&
        strcmp(json_string_value(json_object_get(memo, "autofind")), "unseen") == 0)
        (void)json_object_set_new(reality, "autofind", json_string("the ONU was not seen on any port before it was added"));
    return reality;
}

void hw_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds,
                 json_t **ret_reality)
{
    const struct hw_have *h = have;
    struct hw_want w;

    if (!h->onu_read || hw_want_read(want, &w) < 0)
        return;
    *ret_holds = describe_holds(want, h, &w);
    *ret_reality = describe_reality(h, memo);
}
