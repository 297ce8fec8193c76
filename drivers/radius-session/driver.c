/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/radius-session/radius_session.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/radius-session/session.h"

#define READ_TIMEOUT_MS 10000
#define LOGIN_TIMEOUT_MS 11000
#define MRD_DEFAULT_MS 30000

static int session_key(const struct sn_want *want, json_t **ret_key, struct sn_error *err)
{
    const char *username = sn_json_text(json_object_get(want->service, "access"), "username");

    if (!sn_radius_name_ok(username))
        return sn_error_set(err, "radius-session.username", "user name \"%s\": only letters, digits and @.-_: / are looked up as "
                            "they are, at most 63 bytes", username);
    *ret_key = json_pack("{s:s}", "username", username);
    return *ret_key != NULL ? 0 : sn_error_oom(err);
}

/* The user is claimed at the RADIUS server; a session is nobody's property. */
static json_t *session_claims(const json_t *key)
{
    (void)key;
    return json_array();
}

static bool session_same(const json_t *a, const json_t *b)
{
    return strcmp(sn_json_text(a, "username"), sn_json_text(b, "username")) == 0;
}

static void session_close(void *session, int64_t deadline_ms)
{
    struct ses_session *s = session;

    (void)deadline_ms;
    if (s == NULL)
        return;
    sn_pg_close(s->pg);
    sn_radius_names_free(s->names);
    free(s);
}

static const struct sn_target *server_of(const struct sn_driver_env *env, struct sn_verdict *verdict)
{
    const char *id = sn_json_text(env->target->conf, "radius");
    const struct sn_target *server = sn_inventory_by_id(env->inventory, id);

    if (server == NULL || strcmp(server->driver, "freeradius-sql") != 0) {
        sn_verdict_set(verdict, SN_PERMANENT, "radius-session.server-unknown", "%s: radius: %s is no RADIUS server of the inventory",
                       env->target->id, id);
        sn_verdict_arg(verdict, "server", id);
        return NULL;
    }
    return server;
}

/* A session with a NAS is a link to the database that knows its sessions; packets need no link. */
static int session_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    const struct sn_target *server = server_of(env, verdict);
    struct ses_session *s;
    struct sn_error err = { 0 };

    if (server == NULL)
        return -1;
    s = calloc(1, sizeof(*s));
    if (s == NULL) {
        sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "process.out-of-memory", "out of memory");
        return -1;
    }
    s->env = *env;
    s->server = server;
    if (sn_radius_names_load(&s->names, &err) != 0) {
        sn_verdict_set(verdict, SN_PERMANENT, err.code, "%s", err.text);
        goto fail;
    }
    if (sn_radius_open(server, env->secrets, deadline_ms, &s->pg, verdict) != 0)
        goto fail;
    *ret_session = s;
    return 0;
fail:
    session_close(s, 0);
    return -1;
}

static int session_fd(void *session)
{
    return sn_pg_fd(((struct ses_session *)session)->pg);
}

static int session_idle(void *session)
{
    return sn_pg_idle(((struct ses_session *)session)->pg);
}

static int64_t session_op_timeout_ms(const struct sn_target *target, const struct sn_op *op)
{
    switch ((enum ses_verb)op->verb) {
    case SES_READ:
        return READ_TIMEOUT_MS;
    case SES_LOGIN:
        return LOGIN_TIMEOUT_MS;
    case SES_COA:
    case SES_CUT:
    case SES_SWEEP:
        break;
    }
    return sn_json_number_or(json_object_get(target->conf, "timers"), "mrd_ms", MRD_DEFAULT_MS) + 1000;
}

static const char *const aspects[] = { "session", "login", NULL };

const struct sn_driver sn_driver_radius_session = {
    .abi = SN_DRIVER_ABI,
    .name = "radius-session",
    .aspects = aspects,
    .commit_policy = SN_COMMIT_NONE,
    .sessions_max = 8,
    .have_size = sizeof(struct ses_have),
    .key = session_key,
    .claims = session_claims,
    .same_thing = session_same,
    .next = ses_next,
    .absorb = ses_absorb,
    .describe = ses_describe,
    .open = session_open,
    .exchange = ses_exchange,
    .probe = ses_probe,
    .close = session_close,
    .fd = session_fd,
    .idle = session_idle,
    .op_timeout_ms = session_op_timeout_ms,
};
