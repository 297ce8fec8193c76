/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/settle.h"

#define LEVELS 5

/* One row a class: what to do when the target is the routing one, and when it is another on the way. AGAIN and UNKNOWN are the
 * loop's own business (converge.c): when they come out of it nevertheless, the rounds were used up while the link kept dying. */
static const struct {
    enum sn_action routing;
    enum sn_action secondary;
} TABLE[SN_CLASS_COUNT] = {
    [SN_OK] = { SN_ACT_NEXT, SN_ACT_NEXT },
    [SN_AGAIN] = { SN_ACT_LADDER, SN_ACT_LADDER },
    [SN_UNKNOWN] = { SN_ACT_GATE, SN_ACT_POSTPONE },
    [SN_TRANSIENT_JOB] = { SN_ACT_LADDER, SN_ACT_LADDER },
    [SN_CONFLICT] = { SN_ACT_LADDER, SN_ACT_LADDER },
    [SN_TRANSIENT_DEVICE] = { SN_ACT_GATE, SN_ACT_POSTPONE },
    [SN_UNREACHABLE] = { SN_ACT_GATE, SN_ACT_POSTPONE },
    [SN_AUTH] = { SN_ACT_GATE_PERSON, SN_ACT_GATE_PERSON },
    [SN_PERMANENT] = { SN_ACT_FAIL, SN_ACT_FAIL },
    [SN_INVALID] = { SN_ACT_FAIL, SN_ACT_FAIL },
    [SN_BUG] = { SN_ACT_FAIL, SN_ACT_FAIL },
    [SN_SUPERSEDED] = { SN_ACT_SUPERSEDED, SN_ACT_SUPERSEDED },
    [SN_LOST] = { SN_ACT_GIVE_BACK, SN_ACT_GIVE_BACK },
};

const char *sn_action_word(enum sn_action a)
{
    static const char *const words[] = {
#define X(name, word) word,
        SN_ACTIONS(X)
#undef X
    };
    return (unsigned)a < SN_ACTION_COUNT ? words[a] : "?";
}

enum sn_action sn_settle(enum sn_class class, enum sn_scope scope)
{
    if ((unsigned)class >= SN_CLASS_COUNT)
        return SN_ACT_FAIL;
    return scope == SN_SCOPE_ROUTING ? TABLE[class].routing : TABLE[class].secondary;
}

int sn_settle_level(int attempt, int attempts_max, unsigned random)
{
    int level;

    if (attempt >= attempts_max)
        return -1;
    /* what failed together shall not come back together */
    level = attempt - 1 + (int)(random % 3) - 1;
    if (level < 0)
        level = 0;
    return level < LEVELS ? level : LEVELS - 1;
}
