/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/freeradius-sql/freeradius_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "drivers/freeradius-sql/user.h"

/* ---- identity ---- */

static int user_key(const struct sn_want *want, json_t **ret_key, struct sn_error *err)
{
    const json_t *access = json_object_get(want->service, "access");
    const char *username = sn_json_text(access, "username");
    const char *ipv4 = sn_json_text(access, "ipv4");
    json_t *key;

    if (!sn_radius_name_ok(username))
        return sn_error_set(err, "freeradius-sql.username", "user name \"%s\": only letters, digits and @.-_: / are looked up as "
                            "they are, at most 63 bytes", username);
    key = json_pack("{s:s}", "username", username);
    if (key == NULL || (ipv4[0] != '\0' && json_object_set_new(key, "ipv4", json_string(ipv4)) != 0)) {
        json_decref(key);
        return sn_error_oom(err);
    }
    *ret_key = key;
    return 0;
}

static json_t *user_claims(const json_t *key)
{
    const char *ipv4 = sn_json_text(key, "ipv4");
    json_t *claims = json_pack("[s+]", "user/", sn_json_text(key, "username"));

    if (claims != NULL && ipv4[0] != '\0' && json_array_append_new(claims, json_sprintf("ip/%s", ipv4)) != 0) {
        json_decref(claims);
        return NULL;
    }
    return claims;
}

static bool user_same(const json_t *a, const json_t *b)
{
    return strcmp(sn_json_text(a, "username"), sn_json_text(b, "username")) == 0;
}

/* ---- words ---- */

static void part(struct sn_buf *line, const char *text)
{
    sn_buf_adds(line, line->len > 0 ? "; " : "");
    sn_buf_adds(line, text);
}

static void words_groups(struct sn_buf *line, const struct frsql_goal *g, const struct frsql_have *h)
{
    char text[512];

    if (g->group[0] != '\0' && !h->plan_row) {
        (void)snprintf(text, sizeof(text), "radusergroup %s: %s -> %s", g->username,
                       h->first_group[0] != '\0' ? h->first_group : "none", g->group);
        part(line, text);
    } else if (g->group[0] != '\0' && h->first_group[0] != '\0') {
        (void)snprintf(text, sizeof(text), "radusergroup %s: %s removed", g->username, h->first_group);
        part(line, text);
    }
    if (g->suspended && !h->suspend_row) {
        (void)snprintf(text, sizeof(text), "radusergroup %s: %s added", g->username, g->suspend.group);
        part(line, text);
    } else if (!g->suspended && h->suspend_row) {
        (void)snprintf(text, sizeof(text), "radusergroup %s: %s removed", g->username, g->suspend.group);
        part(line, text);
    }
    if (g->group[0] != '\0' && h->plan_group == FRSQL_GROUP_MISSING) {
        (void)snprintf(text, sizeof(text), "group %s created: Mikrotik-Rate-Limit %s", g->group, g->rate);
        part(line, text);
    }
    if (g->suspended && h->suspend_group == FRSQL_GROUP_MISSING) {
        (void)snprintf(text, sizeof(text), "group %s created", g->suspend.group);
        part(line, text);
    }
}

static void words_change(struct sn_buf *line, const struct sn_want *want, const struct frsql_goal *g,
                         const struct frsql_have *h, unsigned diff)
{
    char text[512];

    if (diff & FRSQL_DIFF_RENAMED) {
        (void)snprintf(text, sizeof(text), "user %s of this contract removed", h->fence_username);
        part(line, text);
    }
    if (diff & FRSQL_DIFF_GROUPS)
        words_groups(line, g, h);
    if (diff & FRSQL_DIFF_ADDRESS) {
        (void)snprintf(text, sizeof(text), "radreply %s Framed-IP-Address: %s -> %s", g->username,
                       h->address_rows > 0 ? h->address : "none", g->address[0] != '\0' ? g->address : "none");
        part(line, text);
    }
    if (diff & FRSQL_DIFF_PASSWORD) {
        (void)snprintf(text, sizeof(text), "radcheck %s: password set", g->username);
        part(line, text);
    }
    if (diff & FRSQL_DIFF_STRAY) {
        (void)snprintf(text, sizeof(text), "own %s of %s removed", h->stray, g->username);
        part(line, text);
    }
    if (!(diff & FRSQL_DIFF_LOGIN)) {
        (void)snprintf(text, sizeof(text), "silver_fence %s: generation %" PRId64 " -> %" PRId64 ", no row of %s changes", want->owner,
                       h->has_fence ? h->fence_generation : 0, want->generation, g->username);
        part(line, text);
    }
}

static enum frsql_change change_of(const struct frsql_goal *g, const struct frsql_have *h, unsigned diff)
{
    bool refused = !h->exists || h->password_rows == 0 || (h->suspend_row && !h->garden_row);
    bool garden = g->suspended && g->suspend.garden;

    if ((diff & FRSQL_DIFF_LOGIN & ~(unsigned)FRSQL_DIFF_PASSWORD) == 0)
        return FRSQL_CHANGE_NONE;
    if (refused && !h->open)
        return FRSQL_CHANGE_FRESH;
    if ((diff & FRSQL_DIFF_ADDRESS) || garden != h->garden_row)
        return FRSQL_CHANGE_REDIAL;
    return FRSQL_CHANGE_SERVED;
}

/* The one write of a want: one transaction, said in words. */
static void add_be(const struct sn_want *want, const struct frsql_goal *g, const struct frsql_have *h, unsigned diff,
                   struct sn_answer *ret)
{
    struct sn_op *op = sn_ops_add(&ret->ops, SN_WRITE, h->exists ? '~' : '+', FRSQL_BE);
    struct sn_buf line = SN_BUF_INIT;
    char text[512];

    ret->what = SN_NEXT_OPS;
    op->n[0] = diff;
    op->n[1] = g->address[0] != '\0';
    op->n[3] = change_of(g, h, diff);
    if (!h->exists) {
        (void)snprintf(text, sizeof(text), "user %s, %s%s%s%s", g->username, g->group[0] != '\0' ? g->group : "no plan", g->address[0] != '\0' ? ", " : "",
                       g->address, g->suspended ? ", suspended" : "");
        part(&line, text);
        if (g->group[0] != '\0' && h->plan_group == FRSQL_GROUP_MISSING) {
            (void)snprintf(text, sizeof(text), "group created: Mikrotik-Rate-Limit %s", g->rate);
            part(&line, text);
        }
        if (diff & FRSQL_DIFF_RENAMED) {
            (void)snprintf(text, sizeof(text), "user %s of this contract removed", h->fence_username);
            part(&line, text);
        }
    } else {
        if (h->holder[0] == '\0') {
            op->n[2] = 1;
            part(&line, "adopted: the user belonged to no contract");
        }
        words_change(&line, want, g, h, diff);
    }
    if (line.failed || sn_op_line(op, "%s", sn_buf_str(&line)) != 0)
        (void)snprintf(op->line, sizeof(op->line), "user %s: rows of radcheck, radreply and radusergroup set anew", g->username);
    sn_buf_fini(&line);
}

/* ---- next ---- */

static void ask(const struct frsql_goal *g, struct sn_answer *ret)
{
    struct sn_op *op = sn_ops_add(&ret->ops, SN_READ, ' ', FRSQL_READ);

    ret->what = SN_NEXT_OPS;
    (void)snprintf(op->line, sizeof(op->line), "user %s: fence, rows, groups, open sessions", g->username);
}

static void done(struct sn_answer *ret)
{
    ret->what = SN_NEXT_DONE;
    ret->evidence = SN_EVIDENCE_OBSERVED;
}

static bool superseded(const struct sn_want *want, const struct frsql_have *h, struct sn_answer *ret)
{
    if (!h->has_fence || h->fence_generation <= want->generation)
        return false;
    ret->what = SN_NEXT_STUCK;
    sn_verdict_set(&ret->verdict, SN_SUPERSEDED, "freeradius-sql.superseded",
                   "the database holds generation %" PRId64 " of this contract", h->fence_generation);
    return true;
}

static void stuck(struct sn_answer *ret, enum sn_class class, const char *code, const char *name, const char *value,
                  const char *text)
{
    ret->what = SN_NEXT_STUCK;
    sn_verdict_set(&ret->verdict, class, code, "%s", text);
    sn_verdict_arg(&ret->verdict, name, value);
}

/* What stands in the way of making the user so. */
static bool in_the_way(const struct sn_want *want, const struct frsql_goal *g, const struct frsql_have *h, struct sn_answer *ret)
{
    if (h->holder[0] != '\0' && strcmp(h->holder, want->owner) != 0) {
        stuck(ret, SN_CONFLICT, "freeradius-sql.username-taken", "holder", h->holder, "another contract holds this user name");
        sn_verdict_arg(&ret->verdict, "username", g->username);
    } else if (h->exists && h->holder[0] == '\0' && !g->adopt) {
        stuck(ret, SN_PERMANENT, "freeradius-sql.unmarked", "username", g->username,
              "the user exists and belongs to no contract; the inventory says unmarked: refuse");
    } else if (g->address[0] != '\0' && h->address_holder[0] != '\0') {
        stuck(ret, SN_CONFLICT, "freeradius-sql.address-taken", "holder", h->address_holder, "another user has this address");
        sn_verdict_arg(&ret->verdict, "address", g->address);
    } else if (!g->suspended && h->plan_group == FRSQL_GROUP_DIFFERS) {
        stuck(ret, SN_PERMANENT, "freeradius-sql.group-differs", "group", g->group,
              "the group of this name has another Mikrotik-Rate-Limit, or none");
        sn_verdict_arg(&ret->verdict, "rate", h->plan_group_rate);
    } else if (g->suspended && h->suspend_group == FRSQL_GROUP_DIFFERS) {
        stuck(ret, SN_PERMANENT, "freeradius-sql.group-differs", "group", g->suspend.group,
              "the group of this name does not do what it has to do to suspended users");
    } else if (!g->suspended && !g->has_password && h->password_rows == 0) {
        stuck(ret, SN_INVALID, "freeradius-sql.password-missing", "username", g->username,
              "the service has no password and the user has none");
    } else {
        return false;
    }
    return true;
}

static void next_be(const struct sn_want *want, struct frsql_goal *g, const struct frsql_have *h, struct sn_answer *ret)
{
    bool other = h->holder[0] != '\0' && strcmp(h->holder, want->owner) != 0;
    unsigned diff;

    /* A service that ends: what is not there, or is another contract's, need not be made in order to be refused. */
    if (g->terminated && (other || !h->exists)) {
        done(ret);
        return;
    }
    /* Suspending must not fail because the address went to somebody else meanwhile: then the user gives it up. */
    if (g->suspended && h->address_holder[0] != '\0')
        g->address[0] = '\0';
    if (in_the_way(want, g, h, ret))
        return;
    diff = frsql_diff(want, g, h);
    if (diff == 0)
        done(ret);
    else
        add_be(want, g, h, diff, ret);
}

static void next_gone(const struct sn_want *want, const struct frsql_goal *g, const struct frsql_have *h, struct sn_answer *ret)
{
    bool ours = strcmp(h->holder, want->owner) == 0;
    /* Rows that no contract holds: not ours once our fence has let this name go; before we ever held one, the option decides. */
    bool remove = h->exists && (ours || (h->holder[0] == '\0' && !h->has_fence && g->adopt));
    struct sn_op *op;

    if (h->holder[0] != '\0' && !ours) {
        done(ret);
        return;
    }
    if (!remove && !ours && h->has_fence && h->fence_generation >= want->generation) {
        done(ret);
        return;
    }
    if (!remove && !ours && h->exists && !h->has_fence) {
        done(ret); /* unmarked: refuse */
        return;
    }
    op = sn_ops_add(&ret->ops, SN_WRITE, remove ? '-' : '~', FRSQL_GONE);
    ret->what = SN_NEXT_OPS;
    op->n[0] = remove;
    if (remove)
        (void)snprintf(op->line, sizeof(op->line), "user %s: rows of radcheck, radreply and radusergroup deleted", g->username);
    else
        (void)snprintf(op->line, sizeof(op->line), "silver_fence %s: generation %" PRId64 ", holds no user %s", want->owner, want->generation,
                       g->username);
}

static void user_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret)
{
    const struct frsql_have *h = have;
    struct frsql_goal g;

    (void)memo;
    if (frsql_goal_read(want, &g, &ret->verdict) != 0) {
        ret->what = SN_NEXT_STUCK;
        return;
    }
    if (!h->known)
        ask(&g, ret);
    else if (want->kind == SN_LOOK)
        done(ret);
    else if (superseded(want, h, ret))
        return;
    else if (want->kind == SN_GONE)
        next_gone(want, &g, h, ret);
    else
        next_be(want, &g, h, ret);
}

static void user_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have,
                        json_t *memo, struct sn_verdict *ret)
{
    struct frsql_goal g;

    if (op->verb == FRSQL_BE && op->n[2] != 0)
        (void)json_object_set_new(memo, "adopted", json_true()); /* the next read no longer shows it */
    if (op->verb != FRSQL_READ)
        return; /* a committed transaction; an unknown one is read */
    if (frsql_goal_read(want, &g, ret) != 0)
        return;
    if (reply->data == NULL || frsql_have_read(want, &g, reply->data, have) != 0)
        sn_verdict_set(ret, SN_BUG, "freeradius-sql.reply", "the database's answer is not what was asked for");
}

/* ---- words about what is there ---- */

static void user_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds,
                          json_t **ret_reality)
{
    const struct frsql_have *h = have;
    struct frsql_goal g;
    struct sn_verdict ignored = { 0 };
    json_t *holds;
    json_t *sessions = json_array();

    if (!h->known || frsql_goal_read(want, &g, &ignored) != 0) {
        sn_verdict_fini(&ignored);
        json_decref(sessions);
        return;
    }
    for (size_t i = 0; i < FRSQL_SESSIONS_MAX && (int64_t)i < h->open; i++)
        (void)json_array_append_new(sessions, json_pack("{s:s, s:s}", "nas", h->sessions[i].nas, "id", h->sessions[i].id));
    holds = json_pack("{s:s?, s:o}", "user", h->exists ? g.username : NULL, "sessions", sessions);
    if (h->exists) {
        const char *group = h->plan_row ? g.group : h->first_group;
        if (group[0] != '\0')
            (void)json_object_set_new(holds, "group", json_string(group));
        (void)json_object_set_new(holds, "suspended", json_boolean(h->suspend_row));
        if (h->address_rows > 0)
            (void)json_object_set_new(holds, "address", json_string(h->address));
        if (json_is_true(json_object_get(memo, "adopted")))
            (void)json_object_set_new(holds, "adopted", json_true());
        if (h->foreign[0] != '\0')
            (void)json_object_set_new(holds, "untouched", json_string(h->foreign));
    }
    if (h->holder[0] != '\0' && strcmp(h->holder, want->owner) != 0)
        (void)json_object_set_new(holds, "holder", json_string(h->holder));
    else if (h->holder[0] == '\0' && h->exists)
        (void)json_object_set_new(holds, "holder", json_null());
    *ret_holds = holds;
    *ret_reality = json_pack("{s:I}", "sessions", (json_int_t)h->open);
}

/* ---- I/O ---- */

struct session {
    struct sn_driver_env env;
    struct sn_pg *pg;
};

static int user_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "process.out-of-memory", "out of memory");
        return -1;
    }
    s->env = *env;
    if (sn_radius_open(env->target, env->secrets, deadline_ms, &s->pg, verdict) != 0) {
        free(s);
        return -1;
    }
    *ret_session = s;
    return 0;
}

static void user_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
                          struct sn_reply *reply)
{
    struct session *s = session;
    frsql_exchange(s->pg, &s->env, want, op, deadline_ms, reply);
}

static void user_close(void *session, int64_t deadline_ms)
{
    struct session *s = session;

    (void)deadline_ms;
    if (s == NULL)
        return;
    sn_pg_close(s->pg);
    free(s);
}

static int user_fd(void *session)
{
    return sn_pg_fd(((struct session *)session)->pg);
}

static int user_idle(void *session)
{
    return sn_pg_idle(((struct session *)session)->pg);
}

static int64_t user_op_timeout_ms(const struct sn_target *target, const struct sn_op *op)
{
    (void)op;
    return sn_json_number_or(json_object_get(target->conf, "sql"), "timeout_ms", SN_RADIUS_TIMEOUT_MS);
}

static const char *const aspects[] = { "user", NULL };

const struct sn_driver sn_driver_freeradius_sql = {
    .abi = SN_DRIVER_ABI,
    .name = "freeradius-sql",
    .aspects = aspects,
    .commit_policy = SN_COMMIT_JOB,
    .sessions_max = 8,
    .have_size = sizeof(struct frsql_have),
    .key = user_key,
    .claims = user_claims,
    .same_thing = user_same,
    .next = user_next,
    .absorb = user_absorb,
    .describe = user_describe,
    .open = user_open,
    .exchange = user_exchange,
    .close = user_close,
    .fd = user_fd,
    .idle = user_idle,
    .op_timeout_ms = user_op_timeout_ms,
};
