/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the driver: what was read, and the exchanges. See radius_session.h.
 * Thread: pure functions any; the exchanges the one that owns the session.
 */
#ifndef SN_DRIVERS_RADIUS_SESSION_SESSION_H
#define SN_DRIVERS_RADIUS_SESSION_SESSION_H

#include "drivers/radius-session/names.h"
#include "drivers/radius/radius.h"

#define SES_ROWS_MAX 16
#define SES_ADDRESS_MAX 48
#define SES_ID_MAX 128
#define SES_OWNER_MAX 192
#define SES_DEFAULT_PORT 3799

enum ses_verb { SES_READ = 1, SES_COA, SES_CUT, SES_SWEEP, SES_LOGIN };

/* Arguments of the packets: n[SES_N_ROW] row of radacct, n[SES_N_BY_NAME] 1 = User-Name only; s[SES_S_ID] Acct-Session-Id,
 * s[SES_S_NAS] NAS-IP-Address as in radacct, s[SES_S_RATE]. */
enum { SES_N_ROW, SES_N_BY_NAME, SES_N_ALONE };
enum { SES_S_ID, SES_S_NAS, SES_S_RATE };

/* One open row of radacct. */
struct ses_row {
    int64_t row; /* radacctid */
    char id[SES_ID_MAX]; /* raw, as the NAS gave it; "" when it is longer than we keep */
    char nas[SES_ADDRESS_MAX];
    char framed[SES_ADDRESS_MAX];
    int64_t start_ms; /* 0 = unknown */
};

/* Flat: no pointers. */
struct ses_have {
    bool known;
    bool has_fence;
    int64_t fence_generation;
    int64_t changed_ms;         /* fence: a session that began before this may have older values; 0 = no fence */
    int64_t redial_ms;          /* … that only a new login changes; 0 = never */
    char holder[SES_OWNER_MAX]; /* contract that holds the user name; "" = none */
    bool refused;               /* the database refuses this user: no rows, or a group with Auth-Type Reject */
    int64_t open;               /* open sessions; more than SES_ROWS_MAX may be counted than are in rows */
    size_t rows_n;
    struct ses_row rows[SES_ROWS_MAX]; /* newest first */
    struct {
        char answer[16]; /* accept, reject, challenge; "" = not asked */
        char rate[SN_RADIUS_RATE_MAX];
        char list[64];
        char message[128];
        bool garden; /* the server serves suspended users in a garden … */
        char garden_list[64]; /* … with this list */
    } login;
};

/* Takes the answer of the read in; -1 when it is not what the read asks for (have is then unchanged). */
int ses_have_read(const json_t *data, struct ses_have *have) SN_MUSTCHECK;

/* next() of the three wants (next.c). */
void ses_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret);
/* absorb() and describe() (absorb.c). */
void ses_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
                struct sn_verdict *ret);
void ses_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds, json_t **ret_reality);

/* Sessions that began before this have to have been dealt with. INT64_MAX: all of them. */
int64_t ses_cutoff_ms(const struct sn_want *want, const struct ses_have *have);
/* The rate that the want asks for: from the service's plan or the command's args; "" when neither says. */
void ses_want_rate(const struct sn_want *want, char out[SN_RADIUS_RATE_MAX]);
/* Member of a map of memo for a row of radacct: NULL when there is none. Borrowed. */
const json_t *ses_memo_get(const json_t *memo, const char *map, int64_t row);
void ses_memo_set(json_t *memo, const char *map, int64_t row, json_t *value);

/* I/O (exchange.c, login.c). */
struct ses_session {
    struct sn_driver_env env;
    const struct sn_target *server; /* the RADIUS server's entry */
    struct sn_pg *pg;
    struct sn_radius_names *names;
};
void ses_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms, struct sn_reply *reply);
/* One Disconnect-Request for a session that cannot exist: whatever the NAS answers, it lives. */
int ses_probe(void *session, int64_t deadline_ms, struct sn_verdict *ret);
void ses_login(struct ses_session *s, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
               struct sn_reply *reply);

#endif
