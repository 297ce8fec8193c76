/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "worker/job/record.h"

/* Things are the same when their serial is. */
static bool same_thing(const json_t *a, const json_t *b)
{
    return json_equal(json_object_get(a, "serial"), json_object_get(b, "serial"));
}

static const struct sn_driver driver = { .name = "test", .same_thing = same_thing };

static json_t *key(const char *serial, int vlan)
{
    return json_pack("{s:s, s:i}", "serial", serial, "vlan", vlan);
}

static struct sn_record_who who(const char *event, int64_t generation, const char *rev)
{
    return (struct sn_record_who){ .generation = generation, .rev = rev, .event = event, .ref = "CT-1", .epoch = 5, .run = 1 };
}

/* Between the intent and the verified visit the record names the old place and the new one. */
static void intent_grows_and_settling_prunes(void **state)
{
    struct sn_record_who first = who("e1", 1, "r1");
    struct sn_record_who second = who("e2", 2, "r2");
    json_t *a = key("A", 100);
    json_t *b = key("B", 100);
    json_t *r1 = sn_record_intent(NULL, &first, "onu", a, NULL);
    json_t *s1 = sn_record_settled(r1, &first, &driver, "onu", a, false, NULL);
    json_t *r2 = sn_record_intent(s1, &second, "onu", b, NULL);
    json_t *others = sn_record_other_things(r2, &driver, "onu", b);
    json_t *gone = sn_record_settled(r2, &second, &driver, "onu", a, true, NULL);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(r2, "keys")), 2);
    assert_int_equal(json_array_size(others), 1);
    assert_true(json_equal(json_object_get(json_array_get(others, 0), "key"), a));
    assert_int_equal(json_array_size(json_object_get(gone, "keys")), 1);
    assert_false(sn_record_is_empty(gone));
    json_decref(a);
    json_decref(b);
    json_decref(r1);
    json_decref(s1);
    json_decref(r2);
    json_decref(others);
    json_decref(gone);
}

static void forms_of_one_thing_are_old_forms(void **state)
{
    struct sn_record_who w = who("e1", 1, "r1");
    json_t *before = key("A", 100);
    json_t *now = key("A", 200);
    json_t *r = sn_record_intent(NULL, &w, "onu", before, NULL);
    json_t *r2 = sn_record_intent(r, &w, "onu", now, NULL);
    json_t *old = sn_record_old_forms(r2, &driver, "onu", now);
    json_t *others = sn_record_other_things(r2, &driver, "onu", now);
    json_t *settled = sn_record_settled(r2, &w, &driver, "onu", now, false, NULL);

    (void)state;
    assert_int_equal(json_array_size(old), 1);
    assert_int_equal(json_array_size(others), 0);
    assert_int_equal(json_array_size(json_object_get(settled, "keys")), 1);
    json_decref(before);
    json_decref(now);
    json_decref(r);
    json_decref(r2);
    json_decref(old);
    json_decref(others);
    json_decref(settled);
}

/* created_here survives the crash of the event that created, and no other event. */
static void fresh_is_what_this_event_made(void **state)
{
    struct sn_record_who first = who("e1", 1, "r1");
    struct sn_record_who second = who("e2", 2, "r2");
    json_t *a = key("A", 100);
    json_t *r1 = sn_record_intent(NULL, &first, "onu", a, NULL);
    json_t *r1b = sn_record_intent(r1, &first, "onu", a, NULL);
    json_t *r2 = sn_record_intent(r1b, &second, "onu", a, NULL);

    (void)state;
    assert_true(sn_record_is_fresh(NULL, "e1"));
    assert_true(sn_record_is_fresh(r1b, "e1"));
    assert_false(sn_record_is_fresh(r1b, "e2"));
    assert_false(sn_record_is_fresh(r2, "e2"));
    json_decref(a);
    json_decref(r1);
    json_decref(r1b);
    json_decref(r2);
}

static void memo_belongs_to_one_rev(void **state)
{
    struct sn_record_who w = who("e1", 1, "r1");
    json_t *memo = json_pack("{s:s}", "acked", "yes");
    json_t *r = sn_record_intent(NULL, &w, "session", NULL, memo);
    json_t *same = sn_record_memo(r, "r1");
    json_t *other = sn_record_memo(r, "r2");

    (void)state;
    assert_true(json_equal(same, memo));
    assert_int_equal(json_object_size(other), 0);
    assert_false(sn_record_is_empty(r));
    json_decref(memo);
    json_decref(r);
    json_decref(same);
    json_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intent_grows_and_settling_prunes),
        cmocka_unit_test(forms_of_one_thing_are_old_forms),
        cmocka_unit_test(fresh_is_what_this_event_made),
        cmocka_unit_test(memo_belongs_to_one_rev),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
