/* SPDX-License-Identifier: Apache-2.0 */
/* The table as a whole; that the broker gets it so is tested in tests/system/test_broker.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/broker/broker.h"

static const struct sn_ladder LADDER = { { 2000, 10000, 60000, 300000, 1200000 } };

static json_t *queue(json_t *all, const char *name)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(all, "queues"), i, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
            return row;
    }
    return NULL;
}

static void levels_are_named_by_their_delay(void **state)
{
    static const char *const NAMES[] = { "silver.retry.2s", "silver.retry.10s", "silver.retry.60s", "silver.retry.300s",
                                         "silver.retry.1200s" };
    json_t *all = sn_topology_describe(&LADDER, NULL);

    (void)state;
    assert_int_equal(json_array_size(json_object_get(all, "queues")), 7);
    for (int i = 0; i < 5; i++) {
        json_t *args = json_object_get(queue(all, NAMES[i]), "arguments");
        assert_int_equal(json_integer_value(json_object_get(args, "x-message-ttl")), LADDER.level_ms[i]);
        assert_string_equal(json_string_value(json_object_get(args, "x-dead-letter-exchange")), "silver.return");
        assert_null(json_object_get(args, "x-dead-letter-routing-key"));
    }
    json_decref(all);
}

static void nothing_dead_letters_to_itself_and_nothing_is_capped(void **state)
{
    const char *const devices[] = { "olt-7", "core-1", NULL };
    json_t *all = sn_topology_describe(&LADDER, devices);
    json_t *row;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(json_object_get(all, "queues")), 7 + 4);
    json_array_foreach(json_object_get(all, "queues"), i, row)
    {
        json_t *args = json_object_get(row, "arguments");
        const char *dlx = json_string_value(json_object_get(args, "x-dead-letter-exchange"));
        const char *name = json_string_value(json_object_get(row, "name"));

        assert_string_equal(json_string_value(json_object_get(args, "x-queue-type")), "quorum");
        assert_null(json_object_get(args, "x-max-length"));
        if (dlx == NULL)
            continue;
        assert_string_not_equal(dlx, name);
        assert_string_equal(json_string_value(json_object_get(args, "x-dead-letter-strategy")), "at-least-once");
        assert_string_equal(json_string_value(json_object_get(args, "x-overflow")), "reject-publish");
    }
    assert_non_null(queue(all, "silver.device.core-1.bulk"));
    json_decref(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_named_by_their_delay),
        cmocka_unit_test(nothing_dead_letters_to_itself_and_nothing_is_capped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
