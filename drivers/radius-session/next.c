/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be asked, changed, or waited for. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "drivers/radius-session/session.h"

/* A NAS says ACK before it sends Accounting-Stop. So many looks, so far apart, are given to it; then its word stands. */
#define LOOKS_MAX 6
#define LOOK_MS 300
/* A login that was in flight when the rows were changed is accounted for within this time, or it was none. */
#define IN_FLIGHT_MAX_MS 60000

int64_t ses_cutoff_ms(const struct sn_want *want, const struct ses_have *have)
{
    int64_t late;

    if (want->args != NULL)
        return want->since_ms;
    if (want->kind == SN_GONE && have->refused)
        return INT64_MAX;
    if (!have->has_fence)
        return want->since_ms;
    if (want->kind != SN_GONE)
        return have->changed_ms;
    /* Served otherwise (walled garden): what began later, in the garden, is left alone however often this is asked. */
    late = want->since_ms - have->changed_ms;
    return have->changed_ms + (late < 0 ? 0 : late > IN_FLIGHT_MAX_MS ? IN_FLIGHT_MAX_MS : late);
}

static bool is_due(const struct ses_row *row, int64_t cutoff_ms)
{
    return row->start_ms == 0 || row->start_ms < cutoff_ms;
}

void ses_want_rate(const struct sn_want *want, char out[SN_RADIUS_RATE_MAX])
{
    const json_t *plan = want->service != NULL ? json_object_get(want->service, "plan") : want->args;
    int64_t up = sn_json_number_or(plan, "up_kbps", 0);
    int64_t down = sn_json_number_or(plan, "down_kbps", 0);

    out[0] = '\0';
    if (up > 0 && down > 0)
        sn_radius_rate(out, up, down);
}

static const char *username(const struct sn_want *want)
{
    return sn_json_text(want->key, "username");
}

static void done(struct sn_answer *ret, enum sn_evidence evidence)
{
    ret->what = SN_NEXT_DONE;
    ret->evidence = evidence;
}

static void stuck(struct sn_answer *ret, enum sn_class class, const char *code, const char *text)
{
    ret->what = SN_NEXT_STUCK;
    sn_verdict_set(&ret->verdict, class, code, "%s", text);
}

static void ask(const struct sn_want *want, struct sn_answer *ret)
{
    struct sn_op *op = sn_ops_add(&ret->ops, SN_READ, ' ', SES_READ);

    ret->what = SN_NEXT_OPS;
    (void)snprintf(op->line, sizeof(op->line), "radacct: open sessions of %s", username(want));
}

/* ---- packets as ops ---- */

/* Who is meant, in the target's words. Session ids come from the NAS, hence from outside. By name, the line still says which session it
 * stands for: two lists of the same words count as the same list. */
static void say_who(struct sn_op *op, const char *what, const char *user, const struct ses_row *row, bool by_name)
{
    const char *before = by_name ? " (in place of session " : " Acct-Session-Id=";
    const char *rate = op->s[SES_S_RATE];
    char id[SES_ID_MAX]; /* cut, never split, when it is full of escapes */

    (void)sn_text_escape(id, sizeof(id), row->id, strlen(row->id));
    if (sn_op_line(op, "%s User-Name=%s NAS-IP-Address=%s%s%s%s%s%s", what, user, row->nas,
                   rate[0] != '\0' ? " Mikrotik-Rate-Limit=" : "", rate, before, id, by_name ? ")" : "") != 0)
        (void)snprintf(op->line, sizeof(op->line), "%s row %" PRId64 " of radacct", what, row->row);
}

/* False when the list is full: it is sent, and the rest asked for again. */
static bool add_packet(const struct sn_want *want, const struct ses_row *row, const json_t *memo, bool coa, bool alone,
                       struct sn_answer *ret)
{
    struct sn_op *op = sn_ops_add(&ret->ops, SN_WRITE, '!', coa ? SES_COA : SES_CUT);
    bool by_name = row->id[0] == '\0' || ses_memo_get(memo, "by_name", row->row) != NULL;

    if (op == NULL)
        return false;
    ret->what = SN_NEXT_OPS;
    op->n[SES_N_ROW] = row->row;
    op->n[SES_N_BY_NAME] = by_name;
    op->n[SES_N_ALONE] = alone;
    sn_radius_keep(op->s[SES_S_ID], sizeof(op->s[SES_S_ID]), by_name ? "" : row->id);
    sn_radius_keep(op->s[SES_S_NAS], sizeof(op->s[SES_S_NAS]), row->nas);
    if (coa)
        ses_want_rate(want, op->s[SES_S_RATE]);
    say_who(op, coa ? "CoA-Request" : "Disconnect-Request", username(want), row, by_name);
    return true;
}

/* Sessions that were cut by the NAS's word and still stand open in radacct. True = looked at later. */
static bool wait_for_stop(const json_t *memo, size_t open, struct sn_answer *ret)
{
    if (open == 0 || sn_json_number_or(memo, "looks", 0) >= LOOKS_MAX)
        return false;
    ret->what = SN_NEXT_LATER;
    ret->later_ms = LOOK_MS;
    sn_verdict_set(&ret->verdict, SN_TRANSIENT_JOB, "radius-session.waits-for-stop",
                   "the NAS has cut %zu session(s); their end is not yet in radacct", open);
    return true;
}

/* ---- wants ---- */

static void next_since(const struct sn_want *want, const struct ses_have *h, const json_t *memo, struct sn_answer *ret)
{
    int64_t cutoff = ses_cutoff_ms(want, h);
    char rate[SN_RADIUS_RATE_MAX];
    size_t cut = 0;
    size_t acknowledged = 0;

    ses_want_rate(want, rate);
    if (rate[0] == '\0') {
        stuck(ret, SN_INVALID, "radius-session.rate-missing", "neither plan nor command says both rates");
        return;
    }
    for (size_t i = 0; i < h->rows_n; i++) {
        const struct ses_row *row = &h->rows[i];
        const char *acked = json_string_value(ses_memo_get(memo, "acks", row->row));
        bool redial = want->args == NULL && h->redial_ms != 0 && is_due(row, h->redial_ms);
        bool refused = ses_memo_get(memo, "refused", row->row) != NULL;
        if (!is_due(row, cutoff))
            continue;
        if (ses_memo_get(memo, "cut", row->row) != NULL)
            cut++;
        else if (!redial && acked != NULL && strcmp(acked, rate) == 0)
            acknowledged++;
        else if (!add_packet(want, row, memo, !redial && !refused, h->open == 1, ret))
            break;
    }
    if (ret->ops.n > 0 || wait_for_stop(memo, cut, ret))
        return;
    done(ret, acknowledged + cut > 0 ? SN_EVIDENCE_ACKNOWLEDGED : SN_EVIDENCE_OBSERVED);
}

/* A session that radacct does not (yet) show: one Disconnect by name to the target, once per generation. */
static bool sweep(const struct sn_want *want, const json_t *memo, struct sn_answer *ret)
{
    const json_t *swept = json_object_get(memo, "swept");
    const char *nas = sn_json_text(want->target->conf, "nas_address");
    struct sn_op *op;

    if (want->args != NULL || (swept != NULL && sn_json_number_or(swept, "generation", -1) == want->generation))
        return false;
    if (want->away) /* it would not be sent, and its silence would not count */
        return false;
    op = sn_ops_add(&ret->ops, SN_WRITE, '!', SES_SWEEP);
    ret->what = SN_NEXT_OPS;
    op->n[SES_N_BY_NAME] = 1;
    sn_radius_keep(op->s[SES_S_NAS], sizeof(op->s[SES_S_NAS]), nas);
    (void)snprintf(op->line, sizeof(op->line), "Disconnect-Request User-Name=%s NAS-IP-Address=%s (a login may be in flight)",
                   username(want), nas);
    return true;
}

static void next_gone(const struct sn_want *want, const struct ses_have *h, const json_t *memo, struct sn_answer *ret)
{
    int64_t cutoff = ses_cutoff_ms(want, h);
    const char *only = sn_json_text(want->key, "session");
    size_t cut = 0;
    size_t due = 0;
    bool swept_one;

    if (want->args == NULL && h->holder[0] != '\0' && strcmp(h->holder, want->owner) != 0) {
        done(ret, SN_EVIDENCE_OBSERVED); /* the name is another contract's by now, and so are its sessions */
        return;
    }
    for (size_t i = 0; i < h->rows_n; i++)
        due += is_due(&h->rows[i], cutoff);
    for (size_t i = 0; i < h->rows_n; i++) {
        const struct ses_row *row = &h->rows[i];
        if (!is_due(row, cutoff) || (only[0] != '\0' && strcmp(only, row->id) != 0))
            continue;
        if (ses_memo_get(memo, "cut", row->row) != NULL)
            cut++;
        else if (!add_packet(want, row, memo, false, due == (size_t)h->open && only[0] == '\0', ret))
            break;
    }
    if (ret->ops.n > 0 || wait_for_stop(memo, cut, ret))
        return;
    if (h->open == 0 && sweep(want, memo, ret))
        return;
    swept_one = strcmp(sn_json_text(json_object_get(memo, "swept"), "answer"), "ack") == 0;
    done(ret, cut > 0 || swept_one ? SN_EVIDENCE_ACKNOWLEDGED : SN_EVIDENCE_OBSERVED);
}

/* ---- the login check ---- */

static void login_refused(const struct sn_want *want, const struct ses_have *h, const char *rate, struct sn_answer *ret)
{
    if (strcmp(h->login.answer, "accept") == 0 && want->suspended)
        stuck(ret, SN_PERMANENT, "radius.login-accepted", "the RADIUS server lets a suspended user in");
    else if (strcmp(h->login.answer, "accept") == 0)
        stuck(ret, SN_PERMANENT, "radius.login-profile", "the RADIUS server accepts the login with another rate");
    else
        stuck(ret, SN_PERMANENT, "radius.login-rejected", "the RADIUS server refuses the login");
    sn_verdict_arg(&ret->verdict, "username", username(want));
    sn_verdict_arg(&ret->verdict, "answer", h->login.answer);
    sn_verdict_arg(&ret->verdict, "wanted", rate);
    sn_verdict_arg(&ret->verdict, "rate", h->login.rate);
    sn_verdict_arg(&ret->verdict, "message", h->login.message);
}

static bool login_is_right(const struct sn_want *want, const struct ses_have *h, const char *rate)
{
    bool accepted = strcmp(h->login.answer, "accept") == 0;

    if (!want->suspended)
        return accepted && strcmp(h->login.rate, rate) == 0;
    if (h->login.garden)
        return accepted && strcmp(h->login.list, h->login.garden_list) == 0;
    return strcmp(h->login.answer, "reject") == 0;
}

static void next_login(const struct sn_want *want, const struct ses_have *h, struct sn_answer *ret)
{
    char rate[SN_RADIUS_RATE_MAX];
    struct sn_op *op;

    ses_want_rate(want, rate);
    /* A session is up (Simultaneous-Use would refuse us), or the rows are not those of this event (a plan, before they are written). */
    if (h->open > 0 || !h->has_fence || h->fence_generation != want->generation) {
        done(ret, SN_EVIDENCE_OBSERVED);
        return;
    }
    if (h->login.answer[0] == '\0') {
        op = sn_ops_add(&ret->ops, SN_READ, ' ', SES_LOGIN);
        ret->what = SN_NEXT_OPS;
        (void)snprintf(op->line, sizeof(op->line), "Access-Request User-Name=%s must answer %s%s", username(want),
                       want->suspended ? "as suspended" : "Accept ", want->suspended ? "" : rate);
        return;
    }
    if (login_is_right(want, h, rate))
        done(ret, SN_EVIDENCE_OBSERVED);
    else
        login_refused(want, h, rate, ret);
}

void ses_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret)
{
    const struct ses_have *h = have;

    if (!sn_radius_name_ok(username(want))) {
        stuck(ret, SN_INVALID, "radius-session.username", "the user name cannot be looked up as it is");
        return;
    }
    if (!h->known) {
        ask(want, ret);
        return;
    }
    if (want->args == NULL && h->has_fence && h->fence_generation > want->generation) {
        stuck(ret, SN_SUPERSEDED, "radius-session.superseded", "the database holds a newer generation of this contract");
        return;
    }
    if (strcmp(want->aspect, "login") == 0)
        next_login(want, h, ret);
    else if (want->kind == SN_SINCE)
        next_since(want, h, memo, ret);
    else if (want->kind == SN_GONE)
        next_gone(want, h, memo, ret);
    else
        done(ret, SN_EVIDENCE_OBSERVED); /* LOOK session: the reading is the result */
}
