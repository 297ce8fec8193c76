/* SPDX-License-Identifier: Apache-2.0 */
/* The null driver with its own session: the conformance suite, and what its options promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/null/null.h"
#include "tests/unit/drivers/conformance/conformance.h"

struct fixture {
    struct sn_target target;
    struct sn_driver_env env;
    struct sn_want want;
    struct conform_world world;
    void *session;
    json_t *conf, *key, *memo;
    bool may_write;
    char file[64]; /* "" = the table lives in the session */
};

static bool may_write(void *arg)
{
    return ((const struct fixture *)arg)->may_write;
}

static void exchange(void *arg, const struct sn_want *want, const struct sn_op *op, struct sn_reply *reply)
{
    sn_driver_null.exchange(((struct fixture *)arg)->session, want, op, 1000, reply);
}

static void open_session(struct fixture *f)
{
    struct sn_verdict verdict = { 0 };

    assert_int_equal(sn_driver_null.open(&f->env, 1000, &f->session, &verdict), 0);
}

/* options: an object for `null:` of the inventory, taken over. */
static void setup(struct fixture *f, enum sn_want_kind kind, json_t *options)
{
    struct sn_error err = { 0 };

    memset(f, 0, sizeof(*f));
    f->conf = json_pack("{s:o}", "null", options);
    f->memo = json_object();
    f->may_write = true;
    f->target.conf = f->conf;
    f->env = (struct sn_driver_env){ .target = &f->target, .may_write = may_write, .may_write_arg = f };
    f->want = (struct sn_want){ .kind = kind, .aspect = "onu", .ref = "CT-1", .owner = "odoo/prod/1", .generation = 2, .rev = "r1",
                                .target = &f->target };
    assert_int_equal(sn_driver_null.key(&f->want, &f->key, &err), 0);
    f->want.key = f->key;
    f->world = (struct conform_world){ .exchange = exchange, .arg = f };
    open_session(f);
}

static void setup_with_file(struct fixture *f, enum sn_want_kind kind)
{
    char path[] = "/tmp/silver-null-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    setup(f, kind, json_pack("{s:s}", "file", path));
    (void)snprintf(f->file, sizeof(f->file), "%s", path);
}

static void teardown(struct fixture *f)
{
    sn_driver_null.close(f->session, 0);
    if (f->file[0] != '\0')
        unlink(f->file);
    json_decref(f->conf);
    json_decref(f->key);
    json_decref(f->memo);
}

static void carry(struct fixture *f, struct conform_run *run)
{
    conform_carry(&sn_driver_null, &f->want, &f->world, f->memo, run);
}

static void carry_to(struct fixture *f, enum conform_end end, size_t writes)
{
    struct conform_run run;

    carry(f, &run);
    assert_int_equal(run.end, end);
    assert_int_equal(run.writes, writes);
    conform_run_fini(&run);
}

static const char *held(const struct conform_run *run, const char *name)
{
    const char *text = json_string_value(json_object_get(run->holds, name));

    return text != NULL ? text : "";
}

static void every_want_is_reached_and_not_repeated(void **state)
{
    static const enum sn_want_kind kinds[] = { SN_BE, SN_GONE, SN_SINCE, SN_LOOK };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        setup(&f, kinds[i], json_object());
        conform_reaches(&sn_driver_null, &f.want, &f.world);
        teardown(&f);
    }
}

static void a_thing_is_made_changed_suspended_and_removed(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_BE, json_object());
    carry_to(&f, CONFORM_DONE, 1);
    carry_to(&f, CONFORM_DONE, 0);
    f.want.rev = "r2";
    carry_to(&f, CONFORM_DONE, 1);
    f.want.suspended = true;
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    assert_string_equal(held(&run, "rev"), "r2");
    assert_true(json_is_true(json_object_get(run.holds, "suspended")));
    assert_int_equal(run.evidence, SN_EVIDENCE_OBSERVED);
    conform_run_fini(&run);
    f.want.kind = SN_GONE;
    carry(&f, &run);
    assert_int_equal(run.writes, 1);
    assert_true(json_is_null(json_object_get(run.holds, "thing")));
    conform_run_fini(&run);
    carry_to(&f, CONFORM_DONE, 0);
    teardown(&f);
}

static void another_contracts_thing_is_left_alone(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_BE, json_object());
    carry_to(&f, CONFORM_DONE, 1);
    f.want.ref = "CT-2"; /* the same name, another contract's mark */
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_STUCK);
    assert_int_equal(run.verdict.class, SN_CONFLICT);
    assert_string_equal(run.verdict.code, "null.other-mark");
    assert_int_equal(run.writes, 0);
    conform_run_fini(&run);
    f.want.kind = SN_GONE; /* nothing of ours is there: done, and the other's stays */
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.writes, 0);
    assert_string_equal(held(&run, "thing"), "CT-1");
    conform_run_fini(&run);
    teardown(&f);
}

static void an_action_is_acknowledged_once(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_SINCE, json_object());
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_int_equal(run.writes, 1);
    assert_int_equal(run.evidence, SN_EVIDENCE_ACKNOWLEDGED);
    conform_run_fini(&run);
    carry_to(&f, CONFORM_DONE, 0);
    f.want.rev = "r2"; /* another action */
    carry_to(&f, CONFORM_DONE, 1);
    teardown(&f);
}

static void a_silent_target_has_no_effect(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f, SN_BE, json_pack("{s:b}", "silent", 1));
    carry_to(&f, CONFORM_NO_EFFECT, 1);
    teardown(&f);
}

static void a_target_told_to_fail_answers_with_that_class(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    for (int c = SN_OK + 1; c < SN_CLASS_COUNT; c++) {
        if (c == SN_AGAIN || c == SN_UNKNOWN) /* asked for again at once, to no end: not here */
            continue;
        setup(&f, SN_BE, json_pack("{s:s}", "fail", sn_class_word((enum sn_class)c)));
        carry(&f, &run);
        assert_int_equal(run.end, CONFORM_REFUSED);
        assert_int_equal(run.verdict.class, c);
        assert_string_equal(run.verdict.code, "null.told-to-fail");
        conform_run_fini(&run);
        teardown(&f);
    }
}

static void a_lost_lease_writes_nothing(void **state)
{
    struct fixture f;
    struct conform_run run;

    (void)state;
    setup(&f, SN_BE, json_object());
    f.may_write = false;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_REFUSED);
    assert_int_equal(run.verdict.class, SN_LOST);
    conform_run_fini(&run);
    f.want.kind = SN_LOOK;
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_DONE);
    assert_true(json_is_null(json_object_get(run.holds, "thing")));
    conform_run_fini(&run);
    teardown(&f);
}

static void the_file_outlives_the_session(void **state)
{
    struct fixture f;

    (void)state;
    setup_with_file(&f, SN_BE);
    carry_to(&f, CONFORM_DONE, 1);
    sn_driver_null.close(f.session, 0);
    open_session(&f);
    carry_to(&f, CONFORM_DONE, 0);
    teardown(&f);
}

static void a_file_that_is_no_table_is_unreachable(void **state)
{
    struct fixture f;
    struct conform_run run;
    FILE *file;

    (void)state;
    setup_with_file(&f, SN_BE);
    file = fopen(f.file, "w");
    assert_non_null(file);
    (void)fputs("{\"half", file);
    (void)fclose(file);
    carry(&f, &run);
    assert_int_equal(run.end, CONFORM_REFUSED);
    assert_int_equal(run.verdict.class, SN_UNREACHABLE);
    assert_int_equal(run.writes, 0);
    conform_run_fini(&run);
    teardown(&f);
}

static void a_path_that_does_not_fit_opens_no_other_file(void **state)
{
    char path[400];
    struct sn_verdict verdict = { 0 };
    struct fixture f;
    void *session = NULL;

    (void)state;
    setup(&f, SN_BE, json_object());
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    json_object_set_new(json_object_get(f.conf, "null"), "file", json_string(path));
    assert_int_equal(sn_driver_null.open(&f.env, 1000, &session, &verdict), -1);
    assert_int_equal(verdict.class, SN_AUTH);
    assert_string_equal(verdict.code, "null.file");
    sn_verdict_fini(&verdict);
    teardown(&f);
}

static void keys_and_claims_carry_the_name(void **state)
{
    struct fixture f;
    json_t *claims, *other = json_pack("{s:s}", "name", "CT-9");

    (void)state;
    setup(&f, SN_BE, json_object());
    claims = sn_driver_null.claims(f.key);
    assert_int_equal(json_array_size(claims), 1);
    assert_string_equal(json_string_value(json_array_get(claims, 0)), "thing/CT-1");
    assert_true(sn_driver_null.same_thing(f.key, f.key));
    assert_false(sn_driver_null.same_thing(f.key, other));
    json_decref(claims);
    json_decref(other);
    teardown(&f);
}

static void a_name_that_does_not_fit_is_invalid(void **state)
{
    char name[600];
    struct fixture f;
    struct sn_answer answer = { 0 };
    struct { char zero[512]; } have = { { 0 } };

    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    setup(&f, SN_BE, json_object());
    assert_true(sn_driver_null.have_size <= sizeof(have));
    json_object_set_new(f.key, "name", json_string(name));
    sn_driver_null.next(&f.want, &have, f.memo, &answer);
    assert_int_equal(answer.what, SN_NEXT_STUCK);
    assert_int_equal(answer.verdict.class, SN_INVALID);
    assert_string_equal(answer.verdict.code, "null.too-long");
    sn_answer_fini(&answer);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_want_is_reached_and_not_repeated),
        cmocka_unit_test(a_thing_is_made_changed_suspended_and_removed),
        cmocka_unit_test(another_contracts_thing_is_left_alone),
        cmocka_unit_test(an_action_is_acknowledged_once),
        cmocka_unit_test(a_silent_target_has_no_effect),
        cmocka_unit_test(a_target_told_to_fail_answers_with_that_class),
        cmocka_unit_test(a_lost_lease_writes_nothing),
        cmocka_unit_test(the_file_outlives_the_session),
        cmocka_unit_test(a_file_that_is_no_table_is_unreachable),
        cmocka_unit_test(a_path_that_does_not_fit_opens_no_other_file),
        cmocka_unit_test(keys_and_claims_carry_the_name),
        cmocka_unit_test(a_name_that_does_not_fit_is_invalid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
