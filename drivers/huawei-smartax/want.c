/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "drivers/huawei-smartax/huawei.h"

#define INDEX_MAX 4000 /* default of service_port_max: within the range of every model */
#define ONT_IDS 128 /* of a port, that we give out; some cards know 64, some 256 */

static bool is_hex(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isxdigit((unsigned char)s[i]))
            return false;
    }
    return true;
}

/* HWTC1A2B3C4D or 485754431A2B3C4D -> 485754431A2B3C4D */
int hw_serial(const char *text, char out[HW_SERIAL_MAX])
{
    size_t len = strlen(text);

    if (len == 16 && is_hex(text, 16)) {
        for (size_t i = 0; i < 16; i++)
            out[i] = (char)toupper((unsigned char)text[i]);
        out[16] = '\0';
        return 0;
    }
    if (len != 12 || !is_hex(text + 4, 8))
        return -1;
    for (size_t i = 0; i < 4; i++) {
        if (!isalnum((unsigned char)text[i]))
            return -1;
        (void)snprintf(out + 2 * i, 3, "%02X", (unsigned)toupper((unsigned char)text[i]));
    }
    for (size_t i = 4; i < 12; i++)
        out[i + 4] = (char)toupper((unsigned char)text[i]);
    out[16] = '\0';
    return 0;
}

/* One flow of `services` or of a key. */
static int read_flow(const json_t *from, const char *gem_name, struct hw_flow *ret)
{
    int64_t gem = sn_json_number_or(from, gem_name, -1), vlan = sn_json_number_or(from, "vlan", -1), user = sn_json_number_or(from, "user_vlan", vlan);

    if (gem < 0 || gem > 4095 || vlan < 1 || vlan > 4094 || user < 1 || user > 4094)
        return -1;
    *ret = (struct hw_flow){
        .index = -1, .gem = (int)gem, .vlan = (int)vlan, .user_vlan = (int)user, .rx = -1, .tx = -1, .ont = -1};
    return 0;
}

static json_t *key_flows(const json_t *services)
{
    json_t *flows = json_array();
    size_t i;
    json_t *one;

    json_array_foreach(services, i, one) {
        struct hw_flow f;

        if (read_flow(one, "gemport", &f) < 0) {
            json_decref(flows);
            return NULL;
        }
        (void)json_array_append_new(flows,
                                    json_pack("{s:i, s:i, s:i}", "gem", f.gem, "vlan", f.vlan, "user_vlan", f.user_vlan));
    }
    return flows;
}

/* Profile: the plan's mapping on this target, else the event's word. */
static const char *profile(const struct sn_want *want, const json_t *onu, const char *name)
{
    const char *code = json_string_value(json_object_get(json_object_get(want->service, "plan"), "code"));
    const json_t *plans = json_object_get(want->target != NULL ? want->target->conf : NULL, "plans");
    const char *mapped = code == NULL ? "" : sn_json_text(json_object_get(plans, code), name);

    return mapped[0] != '\0' ? mapped : sn_json_text(onu, name);
}

/* A profile's name goes into a device line. */
static bool profile_safe(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > 32)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)s[i]) && strchr("._/+-", s[i]) == NULL)
            return false;
    }
    return true;
}

static int key_check(const struct sn_want *want, const json_t *onu, struct sn_error *err)
{
    const char *const names[] = {"line_profile", "service_profile"};

    if (json_object_size(json_object_get(onu, "wan")) > 0 || json_array_size(json_object_get(onu, "wifi")) > 0)
        return sn_error_set(err, "huawei-smartax.unsupported", "onu.wan and onu.wifi are not configured by this driver");
    if (want->suspended || want->kind == SN_GONE)
        return 0; /* nothing is created: the ONU's profiles stay as they are */
    for (size_t i = 0; i < 2; i++) {
        const char *p = profile(want, onu, names[i]);

        if (p[0] == '\0')
            return sn_error_set(err, "huawei-smartax.plan-unmapped",
                                "neither plans.<code>.%s of the target nor onu.%s names a profile", names[i], names[i]);
        if (!profile_safe(p))
            return sn_error_set(err, "huawei-smartax.profile-name", "%s is not a profile id or name", names[i]);
    }
    return 0;
}

int hw_key(const struct sn_want *want, json_t **ret_key, struct sn_error *err)
{
    const json_t *onu = json_object_get(want->service, "onu"), *services = json_object_get(onu, "services");
    const json_t *from = onu != NULL ? onu : want->args; /* a command names the ONU itself */
    char serial[HW_SERIAL_MAX], fsp[40];
    int64_t frame = sn_json_number_or(from, "frame", -1), slot = sn_json_number_or(from, "slot", -1), port = sn_json_number_or(from, "port", -1);
    json_t *key, *flows;

    if (hw_serial(sn_json_text(from, "serial"), serial) < 0)
        return sn_error_set(err, "huawei-smartax.serial", "onu.serial is not the serial number of a GPON ONU");
    if (onu != NULL && key_check(want, onu, err) < 0)
        return -1;
    key = json_pack("{s:s}", "serial", serial);
    if (key == NULL)
        return sn_error_oom(err);
    if (frame >= 0 && frame < 16 && slot >= 0 && slot < 64 && port >= 0 && port < 64) {
        (void)snprintf(fsp, sizeof(fsp), "%d/%d/%d", (int)frame, (int)slot, (int)port);
        (void)json_object_set_new(key, "fsp", json_string(fsp));
    } else if (onu != NULL && !want->suspended && want->kind != SN_GONE) {
        json_decref(key);
        return sn_error_set(err, "huawei-smartax.place", "onu.frame, slot and port are needed");
    }
    if (services != NULL) {
        flows = json_array_size(services) <= HW_WANT_FLOWS_MAX ? key_flows(services) : NULL;
        if (flows == NULL) {
            json_decref(key);
            return sn_error_set(err, "huawei-smartax.services", "onu.services are not flows of GEM port and VLAN");
        }
        (void)json_object_set_new(key, "flows", flows);
    }
    if (strcmp(sn_json_text(onu, "cutoff"), "port") == 0)
        (void)json_object_set_new(key, "eth", json_integer(sn_json_number_or(onu, "cutoff_port", 1)));
    if (want->shared)
        (void)json_object_set_new(key, "shared", json_true());
    *ret_key = key;
    return 0;
}

json_t *hw_claims(const json_t *key)
{
    return json_pack("[s++]", "onu/", sn_json_text(key, "serial"), "");
}

bool hw_same_thing(const json_t *a, const json_t *b)
{
    return strcmp(sn_json_text(a, "serial"), sn_json_text(b, "serial")) == 0;
}

bool hw_same_place(const struct hw_place *a, const struct hw_place *b)
{
    return a->frame == b->frame && a->slot == b->slot && a->port == b->port;
}

/* ---- the want in our words ---- */

static int read_key(const json_t *key, struct hw_want *w)
{
    const json_t *flows = json_object_get(key, "flows");
    const char *fsp = sn_json_text(key, "fsp");
    size_t i;
    json_t *one;
    int64_t eth = sn_json_number_or(key, "eth", 0);

    if (hw_serial(sn_json_text(key, "serial"), w->serial) < 0)
        return -1;
    w->has_place = sscanf(fsp, "%2d/%2d/%2d", &w->at.frame, &w->at.slot, &w->at.port) == 3;
    w->has_flows = json_is_array(flows);
    json_array_foreach(flows, i, one) {
        if (w->n_flows >= HW_WANT_FLOWS_MAX || read_flow(one, "gem", &w->flows[w->n_flows]) < 0)
            return -1;
        w->n_flows++;
    }
    w->eth = eth > 0 && eth <= 24 ? (int)eth : 0;
    return 0;
}

/* The mark, and what the event wants behind it: only characters that can stand between quotes on a device line. */
static void make_desc(const char *ref, const char *more, struct hw_want *w)
{
    size_t n = 0;

    for (const char *c = ref; *c != '\0' && n < HW_DESC_MAX; c++) {
        if (isalnum((unsigned char)*c) || strchr("._/-", *c) != NULL)
            w->desc[n++] = *c;
    }
    w->desc_exact = more[0] != '\0';
    if (w->desc_exact && n < HW_DESC_MAX)
        w->desc[n++] = ' ';
    for (const char *c = more; *c != '\0' && n < HW_DESC_MAX; c++) {
        if (isalnum((unsigned char)*c) || strchr(" ._/@:+-", *c) != NULL)
            w->desc[n++] = *c;
    }
    while (n > 0 && w->desc[n - 1] == ' ')
        n--;
    w->desc[n] = '\0';
}

int hw_want_read(const struct sn_want *want, struct hw_want *w)
{
    const json_t *conf = want->target != NULL ? want->target->conf : NULL;
    const json_t *onu = json_object_get(want->service, "onu"), *plan = json_object_get(want->service, "plan");
    const char *cutoff = sn_json_text(onu, "cutoff");
    int64_t index_max = sn_json_number_or(conf, "service_port_max", INDEX_MAX);
    int64_t ont_ids = sn_json_number_or(conf, "ont_ids", ONT_IDS);

    memset(w, 0, sizeof(*w));
    if (read_key(want->key, w) < 0)
        return -1;
    w->cutoff = strcmp(cutoff, "port") == 0 ? HW_CUT_PORT : strcmp(cutoff, "none") == 0 ? HW_CUT_NONE : HW_CUT_ONU;
    w->priority = (int)sn_json_number_or(json_object_get(json_object_get(conf, "plans"), sn_json_text(plan, "code")), "priority", 0) & 7;
    w->kbps[HW_DOWN] = sn_json_number_or(plan, "down_kbps", 0);
    w->kbps[HW_UP] = sn_json_number_or(plan, "up_kbps", 0);
    if (profile_safe(profile(want, onu, "line_profile")))
        (void)snprintf(w->line, sizeof(w->line), "%s", profile(want, onu, "line_profile"));
    if (profile_safe(profile(want, onu, "service_profile")))
        (void)snprintf(w->service, sizeof(w->service), "%s", profile(want, onu, "service_profile"));
    make_desc(want->ref != NULL ? want->ref : "", sn_json_text(onu, "description"), w);
    w->shared = want->shared || json_is_true(json_object_get(want->key, "shared"));
    w->adopt = strcmp(sn_json_text(conf, "unmarked"), "refuse") != 0;
    w->index_max = index_max > 0 && index_max <= 65535 ? (int)index_max : INDEX_MAX;
    w->ont_ids = ont_ids > 0 && ont_ids <= 256 ? (int)ont_ids : ONT_IDS;
    return 0;
}

int hw_profile_id(const char *wanted)
{
    long id;

    if (wanted[0] == '\0' || strspn(wanted, "0123456789") != strlen(wanted) || strlen(wanted) > 5)
        return -1;
    id = strtol(wanted, NULL, 10);
    return id <= 65535 ? (int)id : -1;
}

void hw_table_name(const struct hw_want *w, enum hw_way way, char out[HW_NAME_MAX])
{
    if (w->priority == 0)
        (void)snprintf(out, HW_NAME_MAX, "sn-%lld", (long long)w->kbps[way]);
    else
        (void)snprintf(out, HW_NAME_MAX, "sn-%lld-p%d", (long long)w->kbps[way], w->priority);
}

/* ---- whose is it? ---- */

static size_t mark_length(const char *desc)
{
    size_t n = 0;

    while (isalnum((unsigned char)desc[n]) || (desc[n] != '\0' && strchr("._/-", desc[n]) != NULL))
        n++;
    return n <= 32 && (desc[n] == '\0' || desc[n] == ' ') ? n : 0;
}

bool hw_ref_is_mark(const char *ref)
{
    return ref != NULL && ref[0] != '\0' && strlen(ref) == mark_length(ref);
}

/* Are two words alike when each run of digits counts as one digit? CT-17071 and CT-3 are marks of one source. */
static bool same_shape(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t i = 0, j = 0;

    while (i < a_len && j < b_len) {
        bool digits = isdigit((unsigned char)a[i]) != 0;

        if (digits != (isdigit((unsigned char)b[j]) != 0) || (!digits && a[i] != b[j]))
            return false;
        if (!digits) {
            i++;
            j++;
            continue;
        }
        while (i < a_len && isdigit((unsigned char)a[i]))
            i++;
        while (j < b_len && isdigit((unsigned char)b[j]))
            j++;
    }
    return i == a_len && j == b_len;
}

enum hw_mark hw_mark_of(const struct sn_want *want, const char *desc)
{
    const char *ref = want->ref != NULL ? want->ref : "";
    const json_t *marks = json_object_get(want->target != NULL ? want->target->conf : NULL, "marks");
    size_t n = mark_length(desc), i;
    json_t *one;

    if (n == 0)
        return HW_MARK_NONE;
    if (strlen(ref) == n && memcmp(desc, ref, n) == 0)
        return HW_MARK_OURS;
    json_array_foreach(want->rivals, i, one) {
        const char *rival = json_string_value(one);

        if (rival != NULL && strlen(rival) == n && memcmp(desc, rival, n) == 0)
            return HW_MARK_OTHER;
    }
    json_array_foreach(marks, i, one) {
        if (json_is_string(one) && sn_cli_glob(json_string_value(one), desc, n))
            return HW_MARK_OTHER;
    }
    return same_shape(desc, n, ref, strlen(ref)) ? HW_MARK_OTHER : HW_MARK_NONE;
}

static bool key_has_flow(const json_t *key, const struct hw_flow *flow)
{
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(key, "flows"), i, one) {
        struct hw_flow f;

        if (read_flow(one, "gem", &f) == 0 && f.gem == flow->gem && f.vlan == flow->vlan)
            return true;
    }
    return false;
}

bool hw_flow_ours(const struct sn_want *want, const struct hw_flow *flow)
{
    size_t i;
    json_t *one;

    if (key_has_flow(want->key, flow))
        return true;
    json_array_foreach(want->old, i, one) {
        if (key_has_flow(one, flow))
            return true;
    }
    return false;
}
