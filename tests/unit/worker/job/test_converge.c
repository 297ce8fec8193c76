/* SPDX-License-Identifier: Apache-2.0 */
/* The loop against a scripted target: one bit that is wanted on, and every way in which a target can behave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "worker/job/converge.h"

struct have {
    bool known;
    bool on;
};

enum { READ, WRITE };

/* The world of one test. */
struct world {
    bool on;
    bool deaf;             /* says ok, does nothing */
    bool done_but_lost;    /* the first write is done and its answer is lost */
    int cut_before;        /* so many writes are lost on the way */
    enum sn_class read_says;
    enum sn_class write_says;
    enum sn_class refuse;  /* of before_write */
    int reads, writes, asked, remembered;
    int writes_before_first_read;
    int again;             /* so many writes are undone */
    bool flaky;            /* every other read is lost */
    bool restarts;         /* after the first write: the link dies, and what was written is forgotten */
    int rounds;            /* rounds_max; 0 = 12 */
    bool ack_only;         /* the driver notes an acknowledgement in memo instead of reading back */
};

static struct world *the_world; /* the driver's hooks have no argument of ours */

static void next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret)
{
    const struct have *h = have;
    struct sn_op *op;

    (void)want;
    if (the_world->ack_only && json_is_true(json_object_get(memo, "acked"))) {
        ret->evidence = SN_EVIDENCE_ACKNOWLEDGED;
        return;
    }
    ret->evidence = SN_EVIDENCE_OBSERVED;
    if (h->known && h->on)
        return;
    ret->what = SN_NEXT_OPS;
    op = sn_ops_add(&ret->ops, h->known ? SN_WRITE : SN_READ, h->known ? '~' : ' ', h->known ? WRITE : READ);
    assert_int_equal(sn_op_line(op, h->known ? "turn on" : "show"), 0);
}

static void absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
                   struct sn_verdict *ret)
{
    struct have *h = have;

    (void)want;
    if (op->kind == SN_READ) {
        h->known = true;
        h->on = strcmp(sn_buf_str(&reply->text), "on") == 0;
        return;
    }
    if (the_world->ack_only && reply->verdict.class == SN_OK)
        (void)json_object_set_new(memo, "acked", json_true());
    if (the_world->write_says != SN_OK)
        sn_verdict_set(ret, the_world->write_says, "test.no", "no");
}

static const struct sn_driver driver = { .abi = SN_DRIVER_ABI, .name = "test", .have_size = sizeof(struct have), .next = next, .absorb = absorb };

static void before_write(void *arg, const struct sn_op *op, struct sn_verdict *ret)
{
    struct world *w = arg;

    (void)op;
    w->asked++;
    if (w->refuse != SN_OK)
        sn_verdict_set(ret, w->refuse, "test.refused", "refused");
}

static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    struct world *w = arg;

    (void)want;
    if (op->kind == SN_READ) {
        w->reads++;
        if (w->flaky && w->reads % 2 == 1) {
            sn_verdict_set(&reply->verdict, SN_UNKNOWN, "test.lost", "no answer");
            return;
        }
        if (w->restarts && w->on) {
            w->restarts = w->on = false;
            sn_verdict_set(&reply->verdict, SN_UNKNOWN, "test.lost", "it restarted");
            return;
        }
        if (w->read_says != SN_OK) {
            sn_verdict_set(&reply->verdict, w->read_says, "test.read", "no");
            return;
        }
        sn_buf_adds(&reply->text, w->on ? "on" : "off");
        return;
    }
    w->writes++;
    if (w->reads == 0)
        w->writes_before_first_read++;
    if (w->cut_before > 0) {
        w->cut_before--;
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "test.lost", "it never arrived");
        return;
    }
    if (w->write_says == SN_AGAIN && w->again-- == 0)
        w->write_says = SN_OK;
    if (!w->deaf && w->write_says == SN_OK)
        w->on = true;
    if (w->done_but_lost) {
        w->done_but_lost = false;
        sn_verdict_set(&reply->verdict, SN_UNKNOWN, "test.lost", "the answer is lost");
    }
}

static void after(void *arg, const struct sn_op *op, const struct sn_reply *reply, const struct sn_verdict *verdict)
{
    (void)arg;
    (void)op;
    (void)reply;
    (void)verdict;
}

static int remember(void *arg, const json_t *memo)
{
    struct world *w = arg;

    (void)memo;
    w->remembered++;
    return 0;
}

static struct sn_converged go(struct world *w, bool dry)
{
    struct sn_converge_io io = { .arg = w, .dry = dry, .rounds_max = w->rounds > 0 ? w->rounds : 12, .before_write = before_write, .exchange = exchange,
                                 .after = after, .remember = remember };
    struct sn_target target = { .id = "t-1" };
    struct sn_want want = { .kind = SN_BE, .aspect = "onu", .target = &target };
    struct sn_converged c;
    json_t *memo = json_object();

    the_world = w;
    sn_converge(&driver, &want, memo, &io, &c);
    assert_int_equal(w->writes_before_first_read, 0);
    json_decref(memo);
    return c;
}

static void a_change_is_read_back(void **state)
{
    struct world w = { 0 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_true(c.wrote);
    assert_int_equal(c.evidence, SN_EVIDENCE_OBSERVED);
    assert_int_equal(w.writes, 1);
    assert_int_equal(w.reads, 2);
    sn_converged_fini(&c);
}

static void what_is_so_already_is_not_written(void **state)
{
    struct world w = { .on = true };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_false(c.wrote);
    assert_int_equal(w.asked, 0);
    sn_converged_fini(&c);
}

static void a_dry_run_sends_no_write(void **state)
{
    struct world w = { 0 };
    struct sn_converged c = go(&w, true);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_WOULD_CHANGE);
    assert_int_equal(c.ops.n, 1);
    assert_string_equal(c.ops.v[0].line, "turn on");
    assert_int_equal(w.asked + w.writes, 0);
    sn_converged_fini(&c);
}

/* */
static void a_target_that_answers_and_does_nothing_is_no_effect(void **state)
{
    struct world w = { .deaf = true };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_int_equal(c.verdict.class, SN_PERMANENT);
    assert_string_equal(c.verdict.code, "core.no-effect");
    assert_int_equal(w.writes, 1);
    sn_converged_fini(&c);
}

/* A-04 in the small: done, and the answer lost. */
static void a_lost_answer_is_answered_by_reading(void **state)
{
    struct world w = { .done_but_lost = true };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_true(c.wrote);
    assert_int_equal(w.writes, 1);
    assert_int_equal(w.reads, 2);
    sn_converged_fini(&c);
}

/* The other half of A-04: it never arrived. The read shows so, and the same words may be said once more. */
static void a_lost_write_is_asked_for_again(void **state)
{
    struct world w = { .cut_before = 1 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_int_equal(w.writes, 2);
    assert_int_equal(w.reads, 3);
    sn_converged_fini(&c);
}

/* A transaction that lost against another one was rolled back: the same list once more is no repetition. */
static void what_was_undone_may_be_asked_again(void **state)
{
    struct world w = { .write_says = SN_AGAIN, .again = 3 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_int_equal(w.writes, 4);
    sn_converged_fini(&c);
}

/* … and what is undone until the rounds are over has not been without effect: it goes on the ladder. */
static void what_is_always_undone_is_not_called_without_effect(void **state)
{
    struct world w = { .write_says = SN_AGAIN, .again = 100 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_int_equal(c.verdict.class, SN_AGAIN);
    assert_string_equal(c.verdict.code, "test.no");
    assert_in_range(w.writes, 2, 12);
    sn_converged_fini(&c);
}

static void a_link_that_dies_under_every_write_is_unreachable(void **state)
{
    struct world w = { .cut_before = 100 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_int_equal(c.verdict.class, SN_UNREACHABLE);
    assert_int_equal(w.writes, 3);
    sn_converged_fini(&c);
}

static void a_link_that_dies_under_every_read_is_unreachable(void **state)
{
    struct world w = { .read_says = SN_UNKNOWN };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_int_equal(c.verdict.class, SN_UNREACHABLE);
    assert_in_range(w.reads, 2, 4);
    sn_converged_fini(&c);
}

static void a_bad_link_spends_no_rounds(void **state)
{
    struct world w = { .cut_before = 2, .rounds = 4 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_int_equal(w.writes, 3);
    sn_converged_fini(&c);
}

static void what_a_restart_forgot_is_written_again(void **state)
{
    struct world w = { .restarts = true };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_int_equal(w.writes, 2);
    assert_true(w.on);
    sn_converged_fini(&c);
}

static void a_link_that_dies_too_often_is_unreachable(void **state)
{
    struct world w = { .flaky = true, .write_says = SN_AGAIN, .again = 100 };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_int_equal(c.verdict.class, SN_UNREACHABLE);
    assert_int_equal(w.writes, 6);
    sn_converged_fini(&c);
}

static void without_permission_nothing_is_sent(void **state)
{
    static const enum sn_class no[] = { SN_LOST, SN_SUPERSEDED, SN_CONFLICT, SN_TRANSIENT_DEVICE };

    (void)state;
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
        struct world w = { .refuse = no[i] };
        struct sn_converged c = go(&w, false);
        assert_int_equal(c.what, SN_CONVERGED_FAILED);
        assert_int_equal(c.verdict.class, no[i]);
        assert_int_equal(w.writes, 0);
        assert_false(c.wrote);
        sn_converged_fini(&c);
    }
}

static void a_refused_write_ends_the_list(void **state)
{
    struct world w = { .write_says = SN_PERMANENT };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_FAILED);
    assert_string_equal(c.verdict.code, "test.no");
    assert_int_equal(w.writes, 1);
    sn_converged_fini(&c);
}

static void an_acknowledgement_is_remembered_before_anything_else(void **state)
{
    struct world w = { .ack_only = true, .deaf = true };
    struct sn_converged c = go(&w, false);

    (void)state;
    assert_int_equal(c.what, SN_CONVERGED_DONE);
    assert_int_equal(c.evidence, SN_EVIDENCE_ACKNOWLEDGED);
    assert_int_equal(w.remembered, 1);
    sn_converged_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_read_back),
        cmocka_unit_test(what_is_so_already_is_not_written),
        cmocka_unit_test(a_dry_run_sends_no_write),
        cmocka_unit_test(a_target_that_answers_and_does_nothing_is_no_effect),
        cmocka_unit_test(a_lost_answer_is_answered_by_reading),
        cmocka_unit_test(a_lost_write_is_asked_for_again),
        cmocka_unit_test(what_was_undone_may_be_asked_again),
        cmocka_unit_test(what_is_always_undone_is_not_called_without_effect),
        cmocka_unit_test(a_link_that_dies_under_every_write_is_unreachable),
        cmocka_unit_test(a_link_that_dies_under_every_read_is_unreachable),
        cmocka_unit_test(a_bad_link_spends_no_rounds),
        cmocka_unit_test(what_a_restart_forgot_is_written_again),
        cmocka_unit_test(a_link_that_dies_too_often_is_unreachable),
        cmocka_unit_test(without_permission_nothing_is_sent),
        cmocka_unit_test(a_refused_write_ends_the_list),
        cmocka_unit_test(an_acknowledgement_is_remembered_before_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
