/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the driver: what a user shall be (goal), what was read (have), and the exchanges. See freeradius_sql.h.
 * Thread: pure functions any; the exchange the one that owns the session.
 */
#ifndef SN_DRIVERS_FREERADIUS_SQL_USER_H
#define SN_DRIVERS_FREERADIUS_SQL_USER_H

#include "drivers/radius/radius.h"

#define FRSQL_OWNER_MAX 192
#define FRSQL_ADDRESS_MAX 48
#define FRSQL_SESSIONS_MAX 4
#define FRSQL_PLAN_PRIORITY 10
#define FRSQL_SUSPEND_PRIORITY 1

enum frsql_verb { FRSQL_READ = 1, FRSQL_BE, FRSQL_GONE };
/* Arguments: FRSQL_BE n[0] what differs, n[1] with the address, n[2] adopts, n[3] enum frsql_change; FRSQL_GONE n[0] rows are deleted. */

/* What a change means for sessions that are open. */
enum frsql_change {
    FRSQL_CHANGE_NONE,   /* nothing that a session was given */
    FRSQL_CHANGE_FRESH,  /* nobody could log in before: there is no session with older values */
    FRSQL_CHANGE_SERVED, /* older sessions have another rate */
    FRSQL_CHANGE_REDIAL, /* older sessions have what only a new login changes: address, walled garden */
};

/* What the user's rows shall say, from the want and the target's options. */
struct frsql_goal {
    char username[SN_RADIUS_NAME_MAX];
    char address[FRSQL_ADDRESS_MAX]; /* "" = none */
    char group[SN_RADIUS_GROUP_MAX]; /* plan group <code>@<up>/<down>; "" = the service names none (it ends, GONE) */
    char rate[SN_RADIUS_RATE_MAX];
    struct sn_radius_suspend suspend;
    bool suspended;
    bool terminated; /* the service ends: what is not there need not be made */
    bool has_password;
    bool adopt;
    int64_t simultaneous_use;
};
/* -1: *verdict says what in the want or the inventory cannot be. */
int frsql_goal_read(const struct sn_want *want, struct frsql_goal *ret, struct sn_verdict *verdict) SN_MUSTCHECK;

/* A group as a row of the target's tables. */
enum frsql_group { FRSQL_GROUP_MISSING, FRSQL_GROUP_RIGHT, FRSQL_GROUP_DIFFERS };

/* What one read said. Flat: no pointers. */
struct frsql_have {
    bool known;
    bool has_fence; /* of the contract */
    int64_t fence_generation;
    char fence_username[SN_RADIUS_NAME_MAX]; /* "" = holds none */
    char holder[FRSQL_OWNER_MAX];            /* contract that holds goal's user name; "" = none */
    char address_holder[SN_RADIUS_NAME_MAX]; /* another user that has goal's address; "" = none */
    bool exists;                             /* any row of the user */
    int64_t password_rows;
    bool password_ok;                          /* one password row, and it is the wanted one */
    int64_t address_rows;
    char address[FRSQL_ADDRESS_MAX]; /* first of them */
    char stray[128];                 /* names of attributes that only the group may set, "" = none */
    char foreign[128];               /* names of attributes that are left alone, "" = none */
    int64_t group_rows;
    bool suspend_row;                           /* (suspend group, 1) is there */
    bool garden_row;                            /* (a garden's group, 1) is there */
    bool plan_row;                              /* (plan group, 10) is there */
    char first_group[SN_RADIUS_GROUP_MAX];      /* what is there instead of the plan group; "" = none */
    enum frsql_group plan_group;
    char plan_group_rate[SN_RADIUS_RATE_MAX];
    enum frsql_group suspend_group;
    int64_t open; /* open sessions in radacct */
    struct {
        char id[64];
        char nas[FRSQL_ADDRESS_MAX];
    } sessions[FRSQL_SESSIONS_MAX];
};
/* Takes the answer of the read in; -1 when it is not what the read asks for (have is then unchanged). */
int frsql_have_read(const struct sn_want *want, const struct frsql_goal *goal, const json_t *data, struct frsql_have *have)
    SN_MUSTCHECK;

/* What differs (0 = nothing). */
enum {
    FRSQL_DIFF_PASSWORD = 1 << 0,
    FRSQL_DIFF_ADDRESS = 1 << 1,
    FRSQL_DIFF_GROUPS = 1 << 2,
    FRSQL_DIFF_STRAY = 1 << 3,
    FRSQL_DIFF_RENAMED = 1 << 4, /* the contract holds another user name until now */
    FRSQL_DIFF_FENCE = 1 << 5,   /* only our own bookkeeping: generation or holder */
};
#define FRSQL_DIFF_LOGIN (FRSQL_DIFF_FENCE - 1) /* what a login sees */
unsigned frsql_diff(const struct sn_want *want, const struct frsql_goal *goal, const struct frsql_have *have);

/* I/O (sql.c). One session = one connection. */
void frsql_exchange(struct sn_pg *pg, const struct sn_driver_env *env, const struct sn_want *want, const struct sn_op *op,
                    int64_t deadline_ms, struct sn_reply *reply);

#endif
