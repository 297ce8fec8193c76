/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login check: one Access-Request with CHAP (a PAP password would be stored in clear in radpostauth), asked of the RADIUS server
 * as the NAS `auth.nas_ip`, which the server must know with `auth.secret`.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "drivers/radius-session/session.h"
#include "drivers/radius-session/udp.h"

#define DEFAULT_AUTH_PORT 1812
#define DEFAULT_TIMEOUT_MS 10000
#define PPP 1
#define FRAMED_USER 2
#define VIRTUAL_PORT 5

static void build(struct sn_packet *p, const struct sn_want *want, const json_t *auth, const struct sn_secret *password)
{
    unsigned char authenticator[SN_PACKET_AUTHENTICATOR];
    unsigned char challenge[16];
    uint8_t ids[2];

    sn_random_bytes(authenticator, sizeof(authenticator));
    sn_random_bytes(challenge, sizeof(challenge));
    sn_random_bytes(ids, sizeof(ids));
    sn_packet_begin(p, SN_ACCESS_REQUEST, ids[0], authenticator);
    sn_packet_add_text(p, SN_ATTR_USER_NAME, sn_json_text(want->key, "username"));
    sn_packet_add_chap(p, ids[1], challenge, password->data, password->len);
    if (sn_json_text(auth, "nas_ip")[0] != '\0')
        sn_packet_add_nas(p, sn_json_text(auth, "nas_ip"));
    sn_packet_add_text(p, SN_ATTR_NAS_IDENTIFIER, "silver-netops");
    sn_packet_add_u32(p, SN_ATTR_SERVICE_TYPE, FRAMED_USER);
    sn_packet_add_u32(p, SN_ATTR_FRAMED_PROTOCOL, PPP);
    sn_packet_add_u32(p, SN_ATTR_NAS_PORT_TYPE, VIRTUAL_PORT);
}

static json_t *text_of(const struct sn_udp_result *res, uint32_t vendor, uint8_t type)
{
    struct sn_packet_attribute a;
    struct sn_buf safe = SN_BUF_INIT;
    json_t *text;

    if (!sn_packet_find(res->data, res->len, vendor, type, &a))
        return json_string("");
    sn_buf_add_escaped(&safe, (const char *)a.value, a.len);
    text = json_string(sn_buf_str(&safe));
    sn_buf_fini(&safe);
    return text;
}

static void take_answer(const struct ses_session *s, const struct sn_udp_result *res, struct sn_reply *reply)
{
    struct sn_radius_suspend suspend;
    const char *answer = res->data[0] == SN_ACCESS_ACCEPT ? "accept" : res->data[0] == SN_ACCESS_REJECT ? "reject" : "challenge";

    sn_radius_suspend_read(s->server->conf, &suspend);
    sn_radius_describe(s->names, res->data, res->len, &reply->text);
    reply->data = json_pack("{s:s, s:o, s:o, s:o, s:b, s:s}", "answer", answer, "rate",
                            text_of(res, SN_VENDOR_MIKROTIK, SN_MIKROTIK_RATE_LIMIT), "list",
                            text_of(res, SN_VENDOR_MIKROTIK, SN_MIKROTIK_ADDRESS_LIST), "message",
                            text_of(res, 0, SN_ATTR_REPLY_MESSAGE), "garden", suspend.garden, "garden_list", suspend.address_list);
}

static void no_answer(const struct ses_session *s, const struct sn_udp_result *res, struct sn_verdict *v)
{
    if (res->end == SN_UDP_REFUSED)
        sn_verdict_set(v, SN_TRANSIENT_JOB, "radius.server-unreachable", "%s, login check: %s", s->server->id,
                       strerrordesc_np(res->system_errno));
    else if (res->discarded > 0)
        sn_verdict_set(v, SN_TRANSIENT_JOB, "radius.server-silent", "%s, login check: %d answers discarded (last: %s)", s->server->id,
                       res->discarded, sn_packet_fault_word(res->fault));
    else
        sn_verdict_set(v, SN_TRANSIENT_JOB, "radius.server-silent",
                       "%s does not answer the login check: is this worker its client, with auth.secret?", s->server->id);
    sn_verdict_arg(v, "server", s->server->id);
}

void ses_login(struct ses_session *s, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
               struct sn_reply *reply)
{
    const json_t *auth = json_object_get(s->server->conf, "auth");
    const json_t *password_ref = json_object_get(json_object_get(want->service, "access"), "password");
    struct sn_secret secret = { 0 };
    struct sn_secret password = { 0 };
    struct sn_udp_result *res = calloc(1, sizeof(*res));
    struct sn_packet p = { 0 };
    struct sn_error err = { 0 };

    (void)op;
    if (res == NULL || sn_radius_secret(s->env.secrets, json_object_get(auth, "secret"), "auth.secret", &secret, &reply->verdict) != 0 ||
        sn_radius_secret(s->env.secrets, password_ref, "access.password", &password, &reply->verdict) != 0)
        goto out;
    build(&p, want, auth, &password);
    if (sn_packet_sign(&p, secret.data, secret.len, &err) != 0) {
        sn_verdict_set(&reply->verdict, SN_PERMANENT, err.code, "%s", err.text);
        goto out;
    }
    struct sn_udp_request rq = {
        .address = sn_json_text(auth, "address"),
        .port = (int)sn_json_number_or(auth, "port", DEFAULT_AUTH_PORT),
        .packet = &p,
        .check = { .secret = secret.data, .secret_len = secret.len },
        .timers = { .irt_ms = 1000, .mrt_ms = 4000, .mrc = 4, .mrd_ms = (int)sn_json_number_or(auth, "timeout_ms", DEFAULT_TIMEOUT_MS) },
    };
    sn_udp_ask(&rq, deadline_ms, res);
    if (res->end == SN_UDP_ANSWERED)
        take_answer(s, res, reply);
    else
        no_answer(s, res, &reply->verdict);
out:
    free(res);
    sn_secret_fini(&secret);
    sn_secret_fini(&password);
    explicit_bzero(&p, sizeof(p));
}
