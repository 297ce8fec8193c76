/* SPDX-License-Identifier: Apache-2.0 */
/* radacct is read, packets go to the NAS that it shows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"
#include "drivers/radius-session/session.h"
#include "drivers/radius-session/udp.h"

/* One statement, hence one snapshot. $1 user, $2 contract. A user is refused when it has no check rows, or Auth-Type Reject of its own
 * or of the group that is looked at first. */
static const char READ_SESSIONS[] =
    "SELECT json_build_object("
    " 'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,"
    " 'fence', (SELECT json_build_object('generation', generation,"
    "             'changed_ms', (extract(epoch FROM changed_at) * 1000)::bigint,"
    "             'redial_ms', (extract(epoch FROM redial_at) * 1000)::bigint)"
    "           FROM silver_fence WHERE contract = $2),"
    " 'holder', (SELECT contract FROM silver_fence WHERE username = $1),"
    " 'refused', NOT EXISTS (SELECT FROM radcheck WHERE username = $1)"
    "            OR EXISTS (SELECT FROM radcheck WHERE username = $1"
    "                       AND lower(attribute) = 'auth-type' AND lower(value) = 'reject')"
    "            OR EXISTS (SELECT FROM radgroupcheck WHERE lower(attribute) = 'auth-type' AND lower(value) = 'reject'"
    "                       AND groupname = (SELECT groupname FROM radusergroup WHERE username = $1"
    "                                        ORDER BY priority LIMIT 1)),"
    " 'open', (SELECT count(*) FROM radacct WHERE username = $1 AND acctstoptime IS NULL),"
    " 'sessions', (SELECT coalesce(json_agg(json_build_object('row', radacctid, 'id', acctsessionid,"
    "                'nas', host(nasipaddress), 'framed', host(framedipaddress),"
    "                'start_ms', (extract(epoch FROM acctstarttime) * 1000)::bigint)), '[]')"
    "              FROM (SELECT * FROM radacct WHERE username = $1 AND acctstoptime IS NULL"
    "                    ORDER BY radacctid DESC LIMIT 16) AS newest))";

static void read_sessions(struct ses_session *s, const struct sn_want *want, int64_t deadline_ms, struct sn_reply *reply)
{
    const char *const params[] = { sn_json_text(want->key, "username"), want->owner };
    struct sn_pg_result r = { 0 };
    struct sn_pg_error err;
    const char *text;

    if (sn_pg_query(s->pg, READ_SESSIONS, 2, params, deadline_ms, &r, &err) != 0) {
        sn_radius_verdict(&reply->verdict, &err, false);
    } else if ((text = sn_pg_text(&r, 0, 0)) != NULL) {
        sn_buf_adds(&reply->text, text);
        reply->data = sn_json_load(text, strlen(text), JSON_REJECT_DUPLICATES, NULL);
    }
    sn_pg_result_fini(&r);
}

/* ---- packets to a NAS ---- */

/* A probe holds up one lane of the NAS, and no job. */
#define PROBE_MRD_MS 5000

/* The inventory entry that listens for the NAS which radacct shows: our own target, else one of the same RADIUS server, else any. */
static const struct sn_target *find_nas(const struct ses_session *s, const char *address)
{
    const struct sn_target *found = NULL;

    if (strcmp(sn_json_text(s->env.target->conf, "nas_address"), address) == 0)
        return s->env.target;
    for (size_t i = 0; i < sn_inventory_count(s->env.inventory); i++) {
        const struct sn_target *t = sn_inventory_at(s->env.inventory, i);
        if (strcmp(t->driver, "radius-session") != 0 || strcmp(sn_json_text(t->conf, "nas_address"), address) != 0)
            continue;
        if (strcmp(sn_json_text(t->conf, "radius"), s->server->id) == 0)
            return t;
        found = found != NULL ? found : t;
    }
    return found;
}

enum patience { FOR_A_JOB, FOR_A_SWEEP, FOR_A_PROBE };

static struct sn_udp_timers timers_of(const struct sn_target *nas, enum patience patience)
{
    const json_t *conf = json_object_get(nas->conf, "timers");
    struct sn_udp_timers t = SN_UDP_TIMERS_DEFAULT;

    t.irt_ms = (int)sn_json_number_or(conf, "irt_ms", t.irt_ms);
    t.mrt_ms = (int)sn_json_number_or(conf, "mrt_ms", t.mrt_ms);
    t.mrc = (int)sn_json_number_or(conf, "mrc", t.mrc);
    t.mrd_ms = (int)sn_json_number_or(conf, "mrd_ms", t.mrd_ms);
    if (patience != FOR_A_JOB && t.mrc > 2)
        t.mrc = 2; /* a look behind the curtain is not worth half a minute */
    if (patience == FOR_A_PROBE && t.mrd_ms > PROBE_MRD_MS)
        t.mrd_ms = PROBE_MRD_MS;
    return t;
}

static void build(struct sn_packet *p, const char *username, const struct sn_op *op)
{
    uint8_t id;

    sn_random_bytes(&id, sizeof(id));
    sn_packet_begin(p, op->verb == SES_COA ? SN_COA_REQUEST : SN_DISCONNECT_REQUEST, id, NULL);
    sn_packet_add_text(p, SN_ATTR_USER_NAME, username);
    if (op->s[SES_S_ID][0] != '\0')
        sn_packet_add_text(p, SN_ATTR_ACCT_SESSION_ID, op->s[SES_S_ID]);
    if (op->s[SES_S_NAS][0] != '\0')
        sn_packet_add_nas(p, op->s[SES_S_NAS]);
    sn_packet_add_u32(p, SN_ATTR_EVENT_TIMESTAMP, (uint32_t)(sn_clock_wall_ms() / 1000));
    if (op->verb == SES_COA) /* a Disconnect must hold nothing but who is meant */
        sn_packet_add_vendor_text(p, SN_VENDOR_MIKROTIK, SN_MIKROTIK_RATE_LIMIT, op->s[SES_S_RATE]);
}

/* It was sent, so it may have been done; the NAS's next answer is waited for without spending anything, and radacct is read before it is
 * sent again. Not SN_UNKNOWN: then it would be sent again at once, to somebody who has just been silent for as long as he may be. */
static void silent(const struct sn_target *nas, const struct sn_udp_result *res, struct sn_verdict *v)
{
    char discarded[24];

    (void)snprintf(discarded, sizeof(discarded), "%d", res->discarded);
    if (res->discarded > 0)
        sn_verdict_set(v, SN_TRANSIENT_DEVICE, "radius-session.nas-silent",
                       "%s: no valid answer to %d transmissions, %d discarded (last: %s%s)", nas->id, res->sent, res->discarded,
                       sn_packet_fault_word(res->fault),
                       res->fault == SN_PACKET_MESSAGE_AUTH_ZERO ? "; FreeRADIUS before 3.2.5 does so: coa.accept_zero_ma" : "");
    else
        sn_verdict_set(v, SN_TRANSIENT_DEVICE, "radius-session.nas-silent",
                       "%s: no answer to %d transmissions: wrong secret, CoA switched off, a firewall, or a clock that is off",
                       nas->id, res->sent);
    sn_verdict_arg(v, "nas", nas->id);
    sn_verdict_arg(v, "discarded", discarded);
}

static void packet_verdict(const struct sn_target *nas, const struct sn_udp_result *res, struct sn_verdict *v)
{
    switch (res->end) {
    case SN_UDP_SILENT:
        silent(nas, res, v);
        break;
    case SN_UDP_REFUSED: /* an earlier transmission may have been taken before the port was closed */
        sn_verdict_set(v, res->sent > 1 ? SN_TRANSIENT_DEVICE : SN_UNREACHABLE, "radius-session.nas-unreachable", "%s: %s", nas->id,
                       strerrordesc_np(res->system_errno));
        sn_verdict_arg(v, "nas", nas->id);
        break;
    case SN_UDP_STOPPED:
        sn_verdict_set(v, SN_LOST, "core.lease-lost", "not sent, the lease is over");
        break;
    case SN_UDP_ANSWERED:
        break;
    }
}

/* Nobody is known to be online: the silence of the NAS does not hold the job up. */
static void pass_over_silence(struct sn_reply *reply)
{
    reply->verdict.class = SN_OK;
    reply->heard = SN_HEARD_NOBODY;
    sn_buf_adds(&reply->text, reply->verdict.text);
    reply->data = json_pack("{s:s}", "answer", "silent");
}

static void take_answer(const struct ses_session *s, const struct sn_udp_result *res, struct sn_reply *reply)
{
    uint32_t cause = sn_packet_error_cause(res->data, res->len);
    bool ack = res->data[0] == SN_COA_ACK || res->data[0] == SN_DISCONNECT_ACK;
    char name[SN_CAUSE_TEXT_MAX];

    sn_radius_cause_text(s->names, cause, name);
    sn_radius_describe(s->names, res->data, res->len, &reply->text);
    if (res->sent > 1)
        sn_buf_addf(&reply->text, " (after %d transmissions)", res->sent);
    reply->data = json_pack("{s:s, s:I, s:s, s:i, s:b}", "answer", ack ? "ack" : "nak", "cause", (json_int_t)cause, "name", name,
                            "sent", res->sent, "zero_ma", res->zero_ma);
}

static bool may_send(void *arg)
{
    const struct sn_driver_env *env = arg;
    return env->may_write == NULL || env->may_write(env->may_write_arg);
}

/* Signs the packet and waits for its answer. True when there is one: *res holds it. False: *v says why. */
static bool ask_nas(const struct sn_target *nas, const struct sn_secret_store *secrets, struct sn_packet *p, struct sn_udp_request *rq,
                    int64_t deadline_ms, struct sn_udp_result *res, struct sn_verdict *v)
{
    const json_t *coa = json_object_get(nas->conf, "coa");
    struct sn_secret secret = { 0 };
    struct sn_error err;

    if (sn_radius_secret(secrets, json_object_get(coa, "secret"), "coa.secret", &secret, v) != 0)
        return false;
    if (sn_packet_sign(p, secret.data, secret.len, &err) != 0) {
        sn_verdict_set(v, SN_PERMANENT, "radius.packet", "%s", err.text);
        sn_secret_fini(&secret);
        return false;
    }
    rq->address = sn_json_text(coa, "address");
    rq->port = (int)sn_json_number_or(coa, "port", SES_DEFAULT_PORT);
    rq->packet = p;
    rq->check = (struct sn_packet_check){ .secret = secret.data, .secret_len = secret.len, .now_s = 1, .window_s = 300,
                                          .accept_zero_ma = json_is_true(json_object_get(coa, "accept_zero_ma")) };
    sn_udp_ask(rq, deadline_ms, res);
    sn_secret_fini(&secret);
    packet_verdict(nas, res, v);
    return res->end == SN_UDP_ANSWERED;
}

static void send_packet(struct ses_session *s, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
                        struct sn_reply *reply)
{
    const struct sn_target *nas = find_nas(s, op->s[SES_S_NAS]);
    struct sn_udp_request rq = { .may_send = may_send, .may_send_arg = &s->env };
    struct sn_udp_result *res;
    struct sn_packet p;

    if (nas == NULL) {
        sn_verdict_set(&reply->verdict, SN_TRANSIENT_JOB, "radius-session.nas-unknown",
                       "radacct shows a session at NAS %s, which is not in the inventory", op->s[SES_S_NAS]);
        sn_verdict_arg(&reply->verdict, "nas", op->s[SES_S_NAS]);
        return;
    }
    res = calloc(1, sizeof(*res));
    if (res == NULL) {
        sn_verdict_set(&reply->verdict, SN_TRANSIENT_DEVICE, "process.out-of-memory", "out of memory");
        return;
    }
    reply->at = nas != s->env.target ? nas : NULL;
    build(&p, sn_json_text(want->key, "username"), op);
    rq.timers = timers_of(nas, op->verb == SES_SWEEP ? FOR_A_SWEEP : FOR_A_JOB);
    if (ask_nas(nas, s->env.secrets, &p, &rq, deadline_ms, res, &reply->verdict)) {
        if (SN_FAILPOINT("radius-session.answered", op->line)) {
            res->end = SN_UDP_SILENT;
            silent(nas, res, &reply->verdict);
        } else {
            take_answer(s, res, reply);
        }
    }
    if (op->verb == SES_SWEEP && (res->end == SN_UDP_SILENT || res->end == SN_UDP_REFUSED))
        pass_over_silence(reply);
    free(res);
    explicit_bzero(&p, sizeof(p));
}

/* User name and session id are made up: a NAS that looks at one of them only finds nobody either. Nothing but identification, as every
 * Disconnect; whatever is answered and signed says that the NAS lives, takes our packets and has our secret. */
int ses_probe(void *session, int64_t deadline_ms, struct sn_verdict *ret)
{
    const struct ses_session *s = session;
    const struct sn_target *nas = s->env.target;
    struct sn_udp_request rq = { .timers = timers_of(nas, FOR_A_PROBE) };
    struct sn_udp_result *res = calloc(1, sizeof(*res));
    struct sn_op op = { .verb = SES_CUT };
    struct sn_packet p;
    uint8_t noise[8];
    bool answered;

    sn_random_bytes(noise, sizeof(noise));
    (void)snprintf(op.s[SES_S_ID], sizeof(op.s[SES_S_ID]), "silver-netops-probe-%02x%02x%02x%02x%02x%02x%02x%02x", noise[0], noise[1],
                   noise[2], noise[3], noise[4], noise[5], noise[6], noise[7]);
    sn_radius_keep(op.s[SES_S_NAS], sizeof(op.s[SES_S_NAS]), sn_json_text(nas->conf, "nas_address"));
    if (res == NULL) {
        sn_verdict_set(ret, SN_TRANSIENT_DEVICE, "process.out-of-memory", "out of memory");
        return -1;
    }
    build(&p, op.s[SES_S_ID], &op);
    answered = ask_nas(nas, s->env.secrets, &p, &rq, deadline_ms, res, ret);
    if (!answered && ret->class == SN_TRANSIENT_DEVICE)
        ret->class = SN_UNREACHABLE; /* nothing can have been done, and it does not answer: no reason to ask again soon */
    free(res);
    explicit_bzero(&p, sizeof(p));
    return answered ? 0 : -1;
}

void ses_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms, struct sn_reply *reply)
{
    struct ses_session *s = session;

    switch ((enum ses_verb)op->verb) {
    case SES_READ:
        reply->heard = SN_HEARD_OTHER;
        read_sessions(s, want, deadline_ms, reply);
        break;
    case SES_COA:
    case SES_CUT:
    case SES_SWEEP:
        send_packet(s, want, op, deadline_ms, reply);
        break;
    case SES_LOGIN:
        reply->heard = SN_HEARD_OTHER;
        ses_login(s, want, op, deadline_ms, reply);
        break;
    }
}
