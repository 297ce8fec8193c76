/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "worker/fleet/gate.h"

static const struct sn_gate_conf conf = { .probe_min_ms = 1000, .probe_max_ms = 60000, .probe_busy_ms = 10000, .equal_failures = 5 };

static void closes_and_probes_with_backoff(void **state)
{
    struct sn_gate g = { 0 };
    int64_t last = 0;

    (void)state;
    assert_true(sn_gate_is_open(&g));
    assert_true(sn_gate_close(&g, &conf, "cli.unreachable", "no route", false, 0, 1, 500));
    for (int i = 0; i < 10; i++) {
        assert_false(sn_gate_probe_failed(&g, &conf, "cli.unreachable", "no route", false, 0, 500));
        assert_true(g.probe_at_ms >= last);
        assert_true(g.probe_at_ms <= conf.probe_max_ms * 5 / 4);
        last = g.probe_at_ms;
    }
    assert_true(last >= conf.probe_max_ms * 3 / 4);
    assert_false(sn_gate_probe_due(&g, last - 1));
    assert_true(sn_gate_probe_due(&g, last));
    sn_gate_open_after_probe(&g);
    assert_true(sn_gate_is_open(&g));
    /* the backoff goes on until a job went through: a target that answers probes and breaks jobs is not hammered */
    (void)sn_gate_close(&g, &conf, "cli.unreachable", "no route", false, 0, 1, 500);
    assert_true(g.probe_at_ms >= conf.probe_max_ms * 3 / 4);
    sn_gate_success(&g, true);
    sn_gate_open_after_probe(&g);
    (void)sn_gate_close(&g, &conf, "cli.unreachable", "no route", false, 0, 1, 500);
    assert_true(g.probe_at_ms <= conf.probe_min_ms * 5 / 4);
}

/* Read and written, and then the save was refused: that is no success to start anew from. */
static void what_is_not_saved_does_not_shorten_the_backoff(void **state)
{
    struct sn_gate g = { 0 };

    (void)state;
    for (int i = 0; i < 10; i++) {
        (void)sn_gate_close(&g, &conf, "huawei.unknown-failure", "no save", false, 0, 1, 500);
        sn_gate_open_after_probe(&g);
        sn_gate_success(&g, false);
    }
    (void)sn_gate_close(&g, &conf, "huawei.unknown-failure", "no save", false, 0, 1, 500);
    assert_true(g.probe_at_ms >= conf.probe_max_ms * 3 / 4);
}

static void a_target_that_answers_is_probed_more_often(void **state)
{
    struct sn_gate g = { 0 };

    (void)state;
    (void)sn_gate_close(&g, &conf, "cli.session-quota", "too many sessions", true, 0, 1, 999);
    for (int i = 0; i < 20; i++)
        (void)sn_gate_probe_failed(&g, &conf, "cli.session-quota", "too many sessions", true, 0, 999);
    assert_true(g.probe_at_ms >= conf.probe_busy_ms);
    assert_true(g.probe_at_ms <= conf.probe_busy_ms * 5 / 4);
}

static void a_closed_gate_says_the_newest_cause_and_since_when(void **state)
{
    struct sn_gate g = { 0 };

    (void)state;
    assert_true(sn_gate_close(&g, &conf, "cli.connect", "no route", false, 0, 100, 500));
    assert_false(sn_gate_close(&g, &conf, "cli.connect", "no route", false, 0, 200, 500));
    assert_true(sn_gate_close(&g, &conf, "cli.session-quota", "too many sessions", true, 0, 300, 500));
    assert_string_equal(g.code, "cli.session-quota");
    assert_string_equal(g.why, "too many sessions");
    assert_int_equal(g.since_ms, 100);
    assert_true(sn_gate_probe_failed(&g, &conf, "cli.connect", "no route", false, 0, 500));
    assert_string_equal(g.code, "cli.connect");
    assert_int_equal(g.since_ms, 100);
    sn_gate_open_after_probe(&g);
    assert_true(sn_gate_close(&g, &conf, "cli.session-quota", "too many sessions", true, 0, 400, 500));
    assert_int_equal(g.since_ms, 400);
}

/* Eight lanes of one NAS wait for the same silence: one outage, one closing. */
static void many_jobs_of_one_outage_are_one_closing(void **state)
{
    struct sn_gate g = { 0 };
    int64_t probe_at;

    (void)state;
    assert_true(sn_gate_close(&g, &conf, "radius-session.nas-silent", "no answer", true, 0, 7, 500));
    probe_at = g.probe_at_ms;
    for (int i = 1; i < 8; i++)
        assert_false(sn_gate_close(&g, &conf, "radius-session.nas-silent", "no answer", true, 10 * i, 8, 500));
    assert_int_equal(g.failures, 1);
    assert_int_equal(g.probe_at_ms, probe_at);
    assert_true(probe_at <= conf.probe_min_ms * 5 / 4);
    assert_int_equal(g.since_ms, 7);
}

static void after_each_failed_probe_one_job_may_try(void **state)
{
    struct sn_gate g = { 0 };

    (void)state;
    assert_false(sn_gate_take_trial(&g)); /* open: nobody needs it */
    (void)sn_gate_close(&g, &conf, "radius-session.nas-silent", "no answer", true, 0, 1, 500);
    assert_false(sn_gate_take_trial(&g));
    (void)sn_gate_probe_failed(&g, &conf, "radius-session.nas-silent", "no answer", false, 0, 500);
    assert_true(sn_gate_take_trial(&g));
    assert_false(sn_gate_take_trial(&g));
    (void)sn_gate_probe_failed(&g, &conf, "radius-session.nas-silent", "no answer", false, 0, 500);
    sn_gate_open_after_probe(&g);
    (void)sn_gate_close(&g, &conf, "radius-session.nas-silent", "no answer", true, 0, 1, 500);
    assert_false(sn_gate_take_trial(&g)); /* of an outage that is over */
    (void)sn_gate_probe_failed(&g, &conf, "radius-session.nas-silent", "no answer", false, 0, 500);
    (void)sn_gate_close_person(&g, "person.pause", "fibre", "jperez", 0, 7);
    assert_false(sn_gate_take_trial(&g));
    assert_false(sn_gate_probe_failed(&g, &conf, "radius-session.nas-silent", "no answer", false, 0, 500));
    assert_false(sn_gate_take_trial(&g));
    assert_string_equal(g.code, "person.pause");
}

static void a_person_is_not_overruled(void **state)
{
    struct sn_gate g = { 0 };

    (void)state;
    assert_true(sn_gate_close_person(&g, "person.pause", "fibre", "jperez", 0, 7));
    assert_false(sn_gate_close(&g, &conf, "cli.unreachable", "no route", false, 0, 1, 500));
    assert_false(sn_gate_probe_due(&g, INT64_MAX));
    sn_gate_open_after_probe(&g);
    assert_false(sn_gate_is_open(&g));
    assert_false(sn_gate_close_person(&g, "cli.auth", "wrong password", "", 0, 9)); /* we ourselves, for a person to look */
    assert_string_equal(g.by, "jperez");
    assert_string_equal(g.why, "fibre");
    sn_gate_open_by_person(&g);
    assert_true(sn_gate_is_open(&g));
}

static void equal_failures_of_different_contracts_brake(void **state)
{
    struct sn_gate g = { 0 };
    static const char *const contracts[] = { "CT-1", "CT-2", "CT-3", "CT-4", "CT-5" };

    (void)state;
    for (int i = 0; i < 20; i++) /* one contract alone is no pattern */
        assert_false(sn_gate_failure(&g, &conf, "huawei.x", "CT-1", 1));
    for (int i = 1; i < 4; i++)
        assert_false(sn_gate_failure(&g, &conf, "huawei.x", contracts[i], 1));
    assert_true(sn_gate_failure(&g, &conf, "huawei.x", contracts[4], 1));
    assert_int_equal(g.state, SN_GATE_PERSON);
    assert_string_equal(g.code, "core.equal-failures");
    assert_true(sn_gate_may_save(&g)); /* those five end, what they wrote is saved */
    sn_gate_open_by_person(&g);
    assert_true(sn_gate_may_save(&g));
    (void)sn_gate_close_person(&g, "person.pause", "fibre", "jperez", 0, 7);
    assert_false(sn_gate_may_save(&g));
}

static void another_failure_or_a_success_starts_anew(void **state)
{
    struct sn_gate g = { 0 };
    char contract[16];

    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(contract, sizeof(contract), "CT-%d", i);
        if (i % 4 == 3)
            sn_gate_success(&g, true);
        assert_false(sn_gate_failure(&g, &conf, i % 8 < 4 ? "huawei.x" : "huawei.y", contract, 1));
    }
}

static void a_persons_gate_survives_a_restart(void **state)
{
    struct sn_gate g = { 0 };
    struct sn_gate back = { 0 };
    json_t *stored;
    json_t *hash;

    (void)state;
    (void)sn_gate_close_person(&g, "person.pause", "fibre", "jperez", 99000, 7000);
    stored = sn_gate_to_json(&g);
    /* Redis gives numbers back as text */
    hash = json_copy(stored);
    (void)json_object_set_new(hash, "since", json_string("7000"));
    (void)json_object_set_new(hash, "until", json_string("99000"));
    sn_gate_from_json(&back, hash);
    assert_int_equal(back.state, SN_GATE_PERSON);
    assert_int_equal(back.until_ms, 99000);
    assert_string_equal(back.why, "fibre");
    json_decref(stored);
    json_decref(hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closes_and_probes_with_backoff),
        cmocka_unit_test(what_is_not_saved_does_not_shorten_the_backoff),
        cmocka_unit_test(a_target_that_answers_is_probed_more_often),
        cmocka_unit_test(a_closed_gate_says_the_newest_cause_and_since_when),
        cmocka_unit_test(many_jobs_of_one_outage_are_one_closing),
        cmocka_unit_test(after_each_failed_probe_one_job_may_try),
        cmocka_unit_test(a_person_is_not_overruled),
        cmocka_unit_test(equal_failures_of_different_contracts_brake),
        cmocka_unit_test(another_failure_or_a_success_starts_anew),
        cmocka_unit_test(a_persons_gate_survives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
