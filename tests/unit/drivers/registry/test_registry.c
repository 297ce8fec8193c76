/* SPDX-License-Identifier: Apache-2.0 */
/* What every descriptor of the registry must bring, whatever it drives (drivers/driver.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/driver.h"

#define FOR_EACH(d) for (const struct sn_driver *const *at = sn_drivers, *d; (d = *at) != NULL; at++)

static void descriptors_are_whole(void **state)
{
    (void)state;
    FOR_EACH(d) {
        print_message("%s\n", d->name);
        assert_int_equal(d->abi, SN_DRIVER_ABI);
        assert_ptr_equal(sn_driver_find(d->name), d);
        assert_true(d->aspects != NULL && d->aspects[0] != NULL && sn_driver_serves(d, d->aspects[0]));
        assert_true(d->sessions_max >= 1 && d->have_size > 0);
        assert_true(d->key != NULL && d->claims != NULL && d->same_thing != NULL && d->next != NULL && d->absorb != NULL);
        assert_true(d->describe != NULL && d->open != NULL && d->exchange != NULL && d->close != NULL && d->fd != NULL);
        assert_non_null(d->op_timeout_ms);
        assert_int_equal(d->commit != NULL, d->commit_policy == SN_COMMIT_BATCH);
    }
}

/* A name is a folder, the driver's key in the inventory and the beginning of its codes. */
static void names_can_stand_where_they_are_used(void **state)
{
    (void)state;
    FOR_EACH(d) {
        assert_int_equal(strspn(d->name, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(d->name));
        assert_true(strlen(d->name) + strlen(".unsupported") < SN_CODE_MAX);
        for (size_t i = 0; sn_drivers[i] != NULL; i++)
            assert_true(sn_drivers[i] == d || strcmp(sn_drivers[i]->name, d->name) != 0);
    }
}

/* One session means one lane and one writer; what is saved for a group is saved by one lane. */
static void group_saves_need_an_exclusive_target(void **state)
{
    (void)state;
    FOR_EACH(d)
        assert_true(d->commit_policy != SN_COMMIT_BATCH || d->sessions_max == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_whole),
        cmocka_unit_test(names_can_stand_where_they_are_used),
        cmocka_unit_test(group_saves_need_an_exclusive_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
