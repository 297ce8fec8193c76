/* SPDX-License-Identifier: Apache-2.0 */
/* What a user shall be, what the read said, and what differs. Pure. */
#include "drivers/freeradius-sql/user.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

static int goal_plan(const struct sn_want *want, struct frsql_goal *g, struct sn_verdict *verdict)
{
    const json_t *plan = json_object_get(want->service, "plan");
    const char *code = sn_json_text(plan, "code");
    int64_t up = sn_json_number_or(plan, "up_kbps", 0);
    int64_t down = sn_json_number_or(plan, "down_kbps", 0);
    char name[64];

    if (g->suspended && plan == NULL)
        return 0; /* a service that ends names no plan: whatever group the user has stays */
    if (code[0] == '\0' || up <= 0 || down <= 0) {
        sn_verdict_set(verdict, SN_INVALID, "freeradius-sql.plan-missing", "the service has no plan with a code and both rates");
        return -1;
    }
    /* '+' is not among the characters that FreeRADIUS looks up as they are; two codes that become one name still name one content,
     * since the rates are part of it. */
    (void)snprintf(name, sizeof(name), "%s", code);
    for (char *p = strchr(name, '+'); p != NULL; p = strchr(p, '+'))
        *p = '_';
    (void)snprintf(g->group, sizeof(g->group), "%s@%" PRId64 "/%" PRId64, name, up, down);
    if (strlen(code) >= sizeof(name) || !sn_radius_name_ok(name)) {
        sn_verdict_set(verdict, SN_INVALID, "freeradius-sql.plan-code", "plan code %s cannot be the name of a group", code);
        sn_verdict_arg(verdict, "plan", code);
        return -1;
    }
    sn_radius_rate(g->rate, up, down);
    return 0;
}

int frsql_goal_read(const struct sn_want *want, struct frsql_goal *g, struct sn_verdict *verdict)
{
    const json_t *conf = want->target->conf;
    const char *username = sn_json_text(want->key, "username");

    memset(g, 0, sizeof(*g));
    if (!sn_radius_name_ok(username) || sn_text_copy(g->username, sizeof(g->username), username) != 0 ||
        sn_text_copy(g->address, sizeof(g->address), sn_json_text(want->key, "ipv4")) != 0) {
        sn_verdict_set(verdict, SN_INVALID, "freeradius-sql.username", "user name %s: only letters, digits and @.-_: / are "
                       "looked up as they are, at most 63 bytes", username);
        sn_verdict_arg(verdict, "username", username);
        return -1;
    }
    g->adopt = strcmp(sn_json_text(conf, "unmarked"), "refuse") != 0;
    g->simultaneous_use = sn_json_number_or(conf, "simultaneous_use", 1);
    sn_radius_suspend_read(conf, &g->suspend);
    g->suspended = want->suspended;
    g->terminated = strcmp(sn_json_text(want->service, "state"), "terminated") == 0;
    g->has_password = json_object_get(json_object_get(want->service, "access"), "password") != NULL;
    return want->kind == SN_GONE ? 0 : goal_plan(want, g, verdict);
}

/* ---- reading ---- */

/* Attributes in the user's own rows that decide what the plan and the state of the contract decide. FreeRADIUS compares names
 * without regard to case. Everything else that an ISP keeps at a user (routes, filters) is left alone and named in `foreign`. */
static bool is_stray(const char *attribute, bool check)
{
    static const char *const in_check[] = { "Auth-Type", "Simultaneous-Use", NULL };
    static const char *const in_reply[] = { "Mikrotik-Rate-Limit", "Mikrotik-Address-List", NULL };
    const char *const *list = check ? in_check : in_reply;

    for (; *list != NULL; list++) {
        if (strcasecmp(*list, attribute) == 0)
            return true;
    }
    return false;
}

static void add_name(char *list, size_t size, const char *name)
{
    size_t len = strlen(list);

    if (len + 4 > size || strstr(list, name) != NULL)
        return;
    (void)snprintf(list + len, size - len, "%s", len > 0 ? ", " : "");
    len = strlen(list);
    (void)sn_text_escape(list + len, size - len, name, strlen(name));
}

static void read_own_rows(const json_t *rows, bool check, struct frsql_have *h)
{
    size_t i;
    const json_t *row;

    json_array_foreach(rows, i, row) {
        const char *attribute = sn_json_text(row, "attribute");
        if (!check && strcasecmp(attribute, "Framed-IP-Address") == 0) {
            bool whole = strcmp(sn_json_text(row, "op"), ":=") == 0;
            h->address_rows++;
            (void)sn_text_escape(h->address, sizeof(h->address), sn_json_text(row, "value"), strlen(sn_json_text(row, "value")));
            if (!whole)
                h->address_rows++; /* another operator lets the group win: not the wanted row */
        } else if (is_stray(attribute, check)) {
            add_name(h->stray, sizeof(h->stray), attribute);
        } else {
            add_name(h->foreign, sizeof(h->foreign), attribute);
        }
    }
}

static void read_groups(const struct frsql_goal *goal, const json_t *rows, struct frsql_have *h)
{
    size_t i;
    const json_t *row;

    h->group_rows = (int64_t)json_array_size(rows);
    json_array_foreach(rows, i, row) {
        const char *name = sn_json_text(row, "group");
        int64_t priority = sn_json_number_or(row, "priority", -1);
        if (strncmp(name, "silver-suspended@", strlen("silver-suspended@")) == 0)
            h->garden_row = true;
        if (strcmp(name, goal->suspend.group) == 0 && priority == FRSQL_SUSPEND_PRIORITY)
            h->suspend_row = true;
        else if (goal->group[0] != '\0' && strcmp(name, goal->group) == 0 && priority == FRSQL_PLAN_PRIORITY)
            h->plan_row = true;
        else if (h->first_group[0] == '\0')
            (void)sn_text_escape(h->first_group, sizeof(h->first_group), name, strlen(name));
    }
}

/* Value of the only row of that attribute, NULL when there is none or more than one. */
static const char *only_value(const json_t *rows, const char *attribute)
{
    const char *found = NULL;
    size_t i;
    const json_t *row;

    json_array_foreach(rows, i, row) {
        if (strcasecmp(sn_json_text(row, "attribute"), attribute) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = sn_json_text(row, "value");
    }
    return found;
}

static bool is_value(const json_t *rows, const char *attribute, const char *value)
{
    const char *found = only_value(rows, attribute);
    return found != NULL && strcmp(found, value) == 0;
}

/* A group is judged by what its name promises; what an ISP adds to it (Framed-Pool, Acct-Interim-Interval) is the ISP's. */
static void read_group_content(const struct frsql_goal *goal, const json_t *data, struct frsql_have *h)
{
    const json_t *plan = json_object_get(data, "plan");
    const json_t *suspend = json_object_get(data, "suspend");
    const json_t *check = json_object_get(suspend, "check");
    const json_t *reply = json_object_get(suspend, "reply");
    const char *rate = only_value(json_object_get(plan, "reply"), "Mikrotik-Rate-Limit");
    bool right = goal->suspend.garden ? is_value(reply, "Mikrotik-Address-List", goal->suspend.address_list) &&
                                            is_value(reply, "Mikrotik-Rate-Limit", goal->suspend.rate) &&
                                            only_value(check, "Auth-Type") == NULL
                                      : is_value(check, "Auth-Type", "Reject");

    if (json_array_size(json_object_get(plan, "reply")) + json_array_size(json_object_get(plan, "check")) > 0)
        h->plan_group = rate != NULL && strcmp(rate, goal->rate) == 0 ? FRSQL_GROUP_RIGHT : FRSQL_GROUP_DIFFERS;
    if (rate != NULL)
        (void)sn_text_escape(h->plan_group_rate, sizeof(h->plan_group_rate), rate, strlen(rate));
    if (json_array_size(check) + json_array_size(reply) > 0)
        h->suspend_group = right ? FRSQL_GROUP_RIGHT : FRSQL_GROUP_DIFFERS;
}

static void read_sessions(const json_t *data, struct frsql_have *h)
{
    const json_t *list = json_object_get(data, "sessions");
    size_t i;
    const json_t *row;

    h->open = sn_json_number_or(data, "open", 0);
    json_array_foreach(list, i, row) {
        const char *id = sn_json_text(row, "id");
        const char *nas = sn_json_text(row, "nas");
        if (i >= FRSQL_SESSIONS_MAX)
            break;
        (void)sn_text_escape(h->sessions[i].id, sizeof(h->sessions[i].id), id, strlen(id));
        (void)sn_text_escape(h->sessions[i].nas, sizeof(h->sessions[i].nas), nas, strlen(nas));
    }
}

/* Every member that the statement answers must be there: a cut or foreign answer must not pass as "nothing is there". */
static bool whole(const json_t *data)
{
    static const char *const arrays[] = { "check", "reply", "groups", "sessions" };
    static const char *const groups[] = { "plan", "suspend" };

    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (!json_is_array(json_object_get(data, arrays[i])))
            return false;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        const json_t *group = json_object_get(data, groups[i]);
        if (!json_is_array(json_object_get(group, "check")) || !json_is_array(json_object_get(group, "reply")))
            return false;
    }
    if (!json_is_integer(json_object_get(json_object_get(data, "password"), "rows")))
        return false;
    return json_object_get(data, "fence") != NULL && json_object_get(data, "holder") != NULL &&
           json_object_get(data, "address_holder") != NULL && json_is_integer(json_object_get(data, "open"));
}

int frsql_have_read(const struct sn_want *want, const struct frsql_goal *goal, const json_t *data, struct frsql_have *have)
{
    const json_t *fence = json_object_get(data, "fence");
    const json_t *password = json_object_get(data, "password");
    struct frsql_have h = { .known = true };

    (void)want;
    if (!whole(data))
        return -1;
    h.has_fence = json_is_object(fence);
    h.fence_generation = sn_json_number_or(fence, "generation", 0);
    if (sn_text_copy(h.fence_username, sizeof(h.fence_username), sn_json_text(fence, "username")) != 0 ||
        sn_text_copy(h.holder, sizeof(h.holder), sn_json_text(data, "holder")) != 0)
        return -1;
    (void)sn_text_escape(h.address_holder, sizeof(h.address_holder), sn_json_text(data, "address_holder"),
                         strlen(sn_json_text(data, "address_holder")));
    h.password_rows = sn_json_number_or(password, "rows", 0);
    h.password_ok = json_is_true(json_object_get(password, "ok"));
    read_own_rows(json_object_get(data, "check"), true, &h);
    read_own_rows(json_object_get(data, "reply"), false, &h);
    read_groups(goal, json_object_get(data, "groups"), &h);
    read_group_content(goal, data, &h);
    read_sessions(data, &h);
    h.exists = h.password_rows + h.group_rows > 0 || json_array_size(json_object_get(data, "check")) > 0 ||
               json_array_size(json_object_get(data, "reply")) > 0;
    *have = h;
    return 0;
}

/* ---- comparing ---- */

unsigned frsql_diff(const struct sn_want *want, const struct frsql_goal *goal, const struct frsql_have *have)
{
    unsigned diff = 0;

    if (goal->has_password && !have->password_ok)
        diff |= FRSQL_DIFF_PASSWORD;
    if (goal->address[0] != '\0' ? have->address_rows != 1 || strcmp(have->address, goal->address) != 0
                                 : have->address_rows != 0)
        diff |= FRSQL_DIFF_ADDRESS;
    if (have->suspend_row != goal->suspended || (goal->suspended && have->suspend_group == FRSQL_GROUP_MISSING))
        diff |= FRSQL_DIFF_GROUPS;
    if (goal->group[0] != '\0' && (!have->plan_row || have->group_rows != (goal->suspended ? 2 : 1) ||
                                   have->plan_group == FRSQL_GROUP_MISSING))
        diff |= FRSQL_DIFF_GROUPS;
    if (have->stray[0] != '\0')
        diff |= FRSQL_DIFF_STRAY;
    if (have->has_fence && have->fence_username[0] != '\0' && strcmp(have->fence_username, goal->username) != 0)
        diff |= FRSQL_DIFF_RENAMED;
    if (!have->has_fence || have->fence_generation < want->generation || strcmp(have->fence_username, goal->username) != 0)
        diff |= FRSQL_DIFF_FENCE;
    return diff;
}
