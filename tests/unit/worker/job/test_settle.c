/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict table row by row: a changed row must be changed here too, on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/job/job.h"
#include "worker/job/settle.h"

static void each_class_has_its_row(void **state)
{
    static const struct {
        enum sn_class class;
        enum sn_action routing;
        enum sn_action secondary;
    } rows[] = {
        { SN_OK, SN_ACT_NEXT, SN_ACT_NEXT },
        { SN_AGAIN, SN_ACT_LADDER, SN_ACT_LADDER },
        { SN_UNKNOWN, SN_ACT_GATE, SN_ACT_POSTPONE },
        { SN_TRANSIENT_JOB, SN_ACT_LADDER, SN_ACT_LADDER },
        { SN_CONFLICT, SN_ACT_LADDER, SN_ACT_LADDER },
        { SN_TRANSIENT_DEVICE, SN_ACT_GATE, SN_ACT_POSTPONE },
        { SN_UNREACHABLE, SN_ACT_GATE, SN_ACT_POSTPONE },
        { SN_AUTH, SN_ACT_GATE_PERSON, SN_ACT_GATE_PERSON },
        { SN_PERMANENT, SN_ACT_FAIL, SN_ACT_FAIL },
        { SN_INVALID, SN_ACT_FAIL, SN_ACT_FAIL },
        { SN_BUG, SN_ACT_FAIL, SN_ACT_FAIL },
        { SN_SUPERSEDED, SN_ACT_SUPERSEDED, SN_ACT_SUPERSEDED },
        { SN_LOST, SN_ACT_GIVE_BACK, SN_ACT_GIVE_BACK },
    };
    (void)state;
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), SN_CLASS_COUNT);
    for (size_t i = 0; i < SN_CLASS_COUNT; i++) {
        assert_int_equal(sn_settle(rows[i].class, SN_SCOPE_ROUTING), rows[i].routing);
        assert_int_equal(sn_settle(rows[i].class, SN_SCOPE_SECONDARY), rows[i].secondary);
    }
}

/* G5: waiting is not failing. */
static void what_waits_spends_nothing(void **state)
{
    static const enum sn_class waiting[] = { SN_UNREACHABLE, SN_TRANSIENT_DEVICE, SN_AUTH, SN_LOST, SN_UNKNOWN };
    (void)state;
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        for (int scope = SN_SCOPE_ROUTING; scope <= SN_SCOPE_SECONDARY; scope++) {
            enum sn_action a = sn_settle(waiting[i], (enum sn_scope)scope);
            assert_int_not_equal(a, SN_ACT_LADDER);
            assert_int_not_equal(a, SN_ACT_FAIL);
        }
    }
}

static void the_ladder_climbs_with_jitter_and_ends(void **state)
{
    (void)state;
    for (int attempt = 1; attempt < 6; attempt++) {
        for (unsigned r = 0; r < 3; r++) {
            int level = sn_settle_level(attempt, 6, r);
            assert_in_range(level, 0, 4);
            assert_true(level >= attempt - 2 && level <= attempt);
        }
    }
    assert_int_equal(sn_settle_level(6, 6, 1), -1);
    assert_int_equal(sn_settle_level(7, 6, 1), -1);
    assert_int_equal(sn_settle_level(1, 1, 0), -1);
}

static void a_job_moves_only_on_the_ring(void **state)
{
    (void)state;
    assert_true(sn_job_may_enter(SN_JOB_RECEIVED, SN_JOB_QUEUED));
    assert_true(sn_job_may_enter(SN_JOB_UNSAVED, SN_JOB_VISITING));
    assert_false(sn_job_may_enter(SN_JOB_UNSAVED, SN_JOB_ACKED));
    assert_false(sn_job_may_enter(SN_JOB_QUEUED, SN_JOB_ACKED));
    for (int to = 0; to < SN_JOB_STATE_COUNT; to++) {
        assert_false(sn_job_may_enter(SN_JOB_ACKED, (enum sn_job_state)to));
        assert_false(sn_job_may_enter(SN_JOB_GIVEN_BACK, (enum sn_job_state)to));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_class_has_its_row),
        cmocka_unit_test(what_waits_spends_nothing),
        cmocka_unit_test(the_ladder_climbs_with_jitter_and_ends),
        cmocka_unit_test(a_job_moves_only_on_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
