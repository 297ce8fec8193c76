/* SPDX-License-Identifier: Apache-2.0 */
/* What the database, the NAS and the RADIUS server said. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "drivers/radius-session/packet.h"
#include "drivers/radius-session/session.h"

/* ---- memo ---- */

static void row_key(int64_t row, char out[24])
{
    (void)snprintf(out, 24, "%" PRId64, row);
}

const json_t *ses_memo_get(const json_t *memo, const char *map, int64_t row)
{
    char key[24];

    row_key(row, key);
    return json_object_get(json_object_get(memo, map), key);
}

void ses_memo_set(json_t *memo, const char *map, int64_t row, json_t *value)
{
    json_t *m = json_object_get(memo, map);
    char key[24];

    if (!json_is_object(m)) {
        m = json_object();
        if (m == NULL || json_object_set_new(memo, map, m) != 0) {
            json_decref(value);
            return;
        }
    }
    row_key(row, key);
    (void)json_object_set_new(m, key, value);
}

/* ---- the reading ---- */

/* A clock of the NAS that is ahead of the database's makes an old session look young: such a start says nothing. */
#define CLOCK_AHEAD_MS 5000

static void read_row(const json_t *row, int64_t now_ms, struct ses_row *to)
{
    memset(to, 0, sizeof(*to));
    to->row = sn_json_number_or(row, "row", 0);
    to->start_ms = sn_json_number_or(row, "start_ms", 0);
    if (to->start_ms < 0 || to->start_ms > now_ms + CLOCK_AHEAD_MS)
        to->start_ms = 0;
    sn_radius_keep(to->id, sizeof(to->id), sn_json_text(row, "id"));
    sn_radius_keep(to->nas, sizeof(to->nas), sn_json_text(row, "nas"));
    sn_radius_keep(to->framed, sizeof(to->framed), sn_json_text(row, "framed"));
}

int ses_have_read(const json_t *data, struct ses_have *have)
{
    const json_t *fence = json_object_get(data, "fence");
    const json_t *sessions = json_object_get(data, "sessions");
    int64_t now_ms = sn_json_number_or(data, "now_ms", 0);
    struct ses_have h = { .known = true, .login = have->login };
    size_t i;
    const json_t *row;

    if (fence == NULL || !json_is_array(sessions) || now_ms <= 0 || json_object_get(data, "holder") == NULL ||
        !json_is_boolean(json_object_get(data, "refused")) || !json_is_integer(json_object_get(data, "open")))
        return -1;
    h.has_fence = json_is_object(fence);
    h.fence_generation = sn_json_number_or(fence, "generation", 0);
    h.changed_ms = sn_json_number_or(fence, "changed_ms", 0);
    h.redial_ms = sn_json_number_or(fence, "redial_ms", 0);
    h.refused = json_is_true(json_object_get(data, "refused"));
    h.open = sn_json_number_or(data, "open", 0);
    if (sn_text_copy(h.holder, sizeof(h.holder), sn_json_text(data, "holder")) != 0)
        return -1;
    json_array_foreach(sessions, i, row) {
        if (h.rows_n >= SES_ROWS_MAX || sn_json_number_or(row, "row", 0) <= 0)
            return -1;
        read_row(row, now_ms, &h.rows[h.rows_n++]);
    }
    if (h.open < (int64_t)h.rows_n || (h.open > 0 && h.rows_n == 0))
        return -1;
    *have = h;
    return 0;
}

/* Counts a look at sessions that were cut and are still open; forgets what the record of closed ones would only fatten. */
static void count_look(const struct ses_have *h, json_t *memo)
{
    bool waits = false;

    for (size_t i = 0; i < h->rows_n; i++)
        waits = waits || ses_memo_get(memo, "cut", h->rows[i].row) != NULL;
    if (waits)
        (void)json_object_set_new(memo, "looks", json_integer(sn_json_number_or(memo, "looks", 0) + 1));
}

/* ---- the NAS's word ---- */

static void refused_by(struct sn_verdict *ret, enum sn_class class, int64_t cause, const char *name, const char *nas)
{
    char code[SN_CODE_MAX];
    char number[24];

    (void)snprintf(number, sizeof(number), "%" PRId64, cause);
    if (cause > 0 && cause < 1000)
        (void)snprintf(code, sizeof(code), "radius.nas-refused-%s", number);
    else
        (void)snprintf(code, sizeof(code), "radius.nas-refused");
    sn_verdict_set(ret, class, code, "NAS %s refuses: %s", nas, name);
    sn_verdict_arg(ret, "cause", number);
    sn_verdict_arg(ret, "name", name);
    sn_verdict_arg(ret, "nas", nas);
}

/* The NAS does not know the session. */
static void session_unknown(const struct sn_op *op, int64_t sent, json_t *memo, struct sn_verdict *ret)
{
    int64_t row = op->n[SES_N_ROW];

    if (op->verb == SES_CUT && sent > 1) {
        ses_memo_set(memo, "cut", row, json_string("ack")); /* our first transmission did it; hostapd answers the second so */
    } else if (op->n[SES_N_BY_NAME] == 0 && (op->verb == SES_COA || op->n[SES_N_ALONE] != 0)) {
        /* The id in radacct may be an old one: once more, by name. Not where that could hit a session that is to stay. */
        ses_memo_set(memo, "by_name", row, json_true());
        sn_verdict_set(ret, SN_AGAIN, "radius-session.by-name", "the NAS does not know the session id: asked by user name");
        return;
    } else {
        ses_memo_set(memo, "cut", row, json_string("503"));
    }
    (void)json_object_set_new(memo, "looks", json_integer(0));
}

/* Error-Cause of a NAK -> verdict, memo. Table: docs/protocols/dynamic-authorization.md. */
static void absorb_nak(const struct sn_op *op, const json_t *data, json_t *memo, struct sn_verdict *ret)
{
    int64_t cause = sn_json_number_or(data, "cause", 0);
    int64_t sent = sn_json_number_or(data, "sent", 1);
    const char *name = sn_json_text(data, "name");
    const char *nas = op->s[SES_S_NAS];
    bool coa = op->verb == SES_COA;

    switch (cause) {
    case 503:
        session_unknown(op, sent, memo, ret);
        return;
    case 508: /* several sessions by that name: the id was not known, so this one is gone */
        if (op->n[SES_N_BY_NAME] != 0) {
            ses_memo_set(memo, "cut", op->n[SES_N_ROW], json_string("503"));
            (void)json_object_set_new(memo, "looks", json_integer(0));
            return;
        }
        refused_by(ret, SN_PERMANENT, cause, name, nas);
        return;
    case 0: /* strongSwan and accel-ppp name no cause */
    case 401:
    case 402:
    case 405:
    case 406:
    case 407:
        if (coa) { /* it cannot change this in an open session: cut, it comes back with the new profile */
            ses_memo_set(memo, "refused", op->n[SES_N_ROW], json_integer(cause));
            sn_verdict_set(ret, SN_AGAIN, "radius-session.coa-refused", "NAS %s does not change the rate (%s): Disconnect", nas, name);
            return;
        }
        refused_by(ret, cause == 0 || cause == 406 ? SN_TRANSIENT_JOB : SN_PERMANENT, cause, name, nas);
        return;
    case 504:
    case 505:
    case 506:
        refused_by(ret, SN_TRANSIENT_JOB, cause, name, nas);
        return;
    default: /* 403, 404, 501, 502, 507 and what no RFC knows */
        refused_by(ret, SN_PERMANENT, cause, name, nas);
        return;
    }
}

static void absorb_sweep(const struct sn_want *want, const json_t *data, json_t *memo)
{
    const char *answer = sn_json_text(data, "answer");
    char words[32];

    if (strcmp(answer, "nak") == 0)
        (void)snprintf(words, sizeof(words), "nak %" PRId64, sn_json_number_or(data, "cause", 0));
    else
        (void)snprintf(words, sizeof(words), "%.16s", answer);
    (void)json_object_set_new(memo, "swept", json_pack("{s:I, s:s}", "generation", (json_int_t)want->generation, "answer", words));
}

static void absorb_packet(const struct sn_want *want, const struct sn_op *op, const json_t *data, json_t *memo, struct sn_verdict *ret)
{
    const char *answer = sn_json_text(data, "answer");

    if (json_is_true(json_object_get(data, "zero_ma")))
        (void)json_object_set_new(memo, "zero_ma", json_true());
    if (op->verb == SES_SWEEP && (strcmp(answer, "ack") == 0 || strcmp(answer, "nak") == 0 || strcmp(answer, "silent") == 0)) {
        absorb_sweep(want, data, memo);
    } else if (strcmp(answer, "nak") == 0) {
        absorb_nak(op, data, memo, ret);
    } else if (strcmp(answer, "ack") != 0) {
        sn_verdict_set(ret, SN_BUG, "radius-session.reply", "the answer is neither ACK nor NAK");
    } else if (op->verb == SES_COA) {
        ses_memo_set(memo, "acks", op->n[SES_N_ROW], json_string(op->s[SES_S_RATE]));
    } else {
        ses_memo_set(memo, "cut", op->n[SES_N_ROW], json_string("ack"));
        (void)json_object_set_new(memo, "looks", json_integer(0));
    }
}

/* ---- the server's word ---- */

static void absorb_login(const json_t *data, struct ses_have *h, struct sn_verdict *ret)
{
    const char *answer = sn_json_text(data, "answer");

    if (strcmp(answer, "accept") != 0 && strcmp(answer, "reject") != 0 && strcmp(answer, "challenge") != 0) {
        sn_verdict_set(ret, SN_BUG, "radius-session.reply", "the answer to the login is neither Accept nor Reject");
        return;
    }
    (void)snprintf(h->login.answer, sizeof(h->login.answer), "%s", answer);
    (void)sn_text_escape(h->login.rate, sizeof(h->login.rate), sn_json_text(data, "rate"), strlen(sn_json_text(data, "rate")));
    (void)sn_text_escape(h->login.list, sizeof(h->login.list), sn_json_text(data, "list"), strlen(sn_json_text(data, "list")));
    (void)sn_text_escape(h->login.message, sizeof(h->login.message), sn_json_text(data, "message"),
                         strlen(sn_json_text(data, "message")));
    h->login.garden = json_is_true(json_object_get(data, "garden"));
    sn_radius_keep(h->login.garden_list, sizeof(h->login.garden_list), sn_json_text(data, "garden_list"));
    /* A session may have come up between the look at radacct and the refusal (Simultaneous-Use): look again. */
    if (strcmp(answer, "reject") == 0)
        h->known = false;
}

void ses_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
                struct sn_verdict *ret)
{
    struct ses_have *h = have;

    if (reply->verdict.class != SN_OK)
        return; /* nothing was said; radacct is asked */
    switch ((enum ses_verb)op->verb) {
    case SES_READ:
        if (reply->data == NULL || ses_have_read(reply->data, h) != 0)
            sn_verdict_set(ret, SN_BUG, "radius-session.reply", "the database's answer is not what was asked for");
        else
            count_look(h, memo);
        break;
    case SES_COA:
    case SES_CUT:
    case SES_SWEEP:
        absorb_packet(want, op, reply->data, memo, ret);
        break;
    case SES_LOGIN:
        absorb_login(reply->data, h, ret);
        break;
    }
}

/* ---- words about what is there ---- */

static json_t *describe_rows(const struct ses_have *h, const json_t *memo)
{
    json_t *list = json_array();

    for (size_t i = 0; i < h->rows_n; i++) {
        const struct ses_row *row = &h->rows[i];
        const char *rate = json_string_value(ses_memo_get(memo, "acks", row->row));
        const char *cut = json_string_value(ses_memo_get(memo, "cut", row->row));
        char id[2 * SES_ID_MAX];
        char since[SN_TIME_TEXT_MAX];
        json_t *one;
        (void)sn_text_escape(id, sizeof(id), row->id, strlen(row->id));
        one = json_pack("{s:s, s:s}", "nas", row->nas, "id", id);
        if (row->start_ms != 0) {
            sn_clock_format_utc(row->start_ms, since);
            (void)json_object_set_new(one, "since", json_string(since));
        }
        if (row->framed[0] != '\0')
            (void)json_object_set_new(one, "address", json_string(row->framed));
        if (rate != NULL)
            (void)json_object_set_new(one, "rate", json_string(rate));
        if (cut != NULL) /* the NAS says that it is over; only radacct still has it */
            (void)json_object_set_new(one, "stale", json_string(cut));
        (void)json_array_append_new(list, one);
    }
    return list;
}

static void describe_login(const struct sn_want *want, const struct ses_have *h, json_t *holds)
{
    const char *words = h->open > 0 ? "skipped: session up" : "skipped: rows of another generation";

    if (h->login.answer[0] == '\0') {
        if (h->open > 0 || !h->has_fence || h->fence_generation != want->generation)
            (void)json_object_set_new(holds, "login", json_string(words));
        return;
    }
    if (strcmp(h->login.answer, "accept") == 0)
        (void)json_object_set_new(holds, "login", json_sprintf("Accept %s%s%s", h->login.rate, h->login.list[0] != '\0' ? " " : "",
                                                               h->login.list));
    else
        (void)json_object_set_new(holds, "login", json_sprintf("%s %s", strcmp(h->login.answer, "reject") == 0 ? "Reject" : "Challenge",
                                                               h->login.message));
}

void ses_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds, json_t **ret_reality)
{
    const struct ses_have *h = have;
    const char *swept = sn_json_text(json_object_get(memo, "swept"), "answer");
    json_t *holds;

    if (!h->known)
        return;
    holds = json_pack("{s:o}", "sessions", describe_rows(h, memo));
    if (strcmp(want->aspect, "login") == 0)
        describe_login(want, h, holds);
    if (want->kind == SN_GONE && swept[0] != '\0')
        (void)json_object_set_new(holds, "asked_by_name", json_string(swept));
    else if (want->kind == SN_GONE && want->away && h->open == 0)
        (void)json_object_set_new(holds, "asked_by_name", json_string("not asked: the NAS does not answer now"));
    if (json_is_true(json_object_get(memo, "zero_ma")))
        (void)json_object_set_new(holds, "warning", json_string("the NAS signs its replies over a zeroed authenticator"));
    *ret_holds = holds;
    *ret_reality = json_pack("{s:I}", "sessions", (json_int_t)h->open);
}
