/* SPDX-License-Identifier: Apache-2.0 */
/* What a fleet decides by the clock and by chance: the lease, and when a closed gate is probed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/fake/fake_clock.h"
#include "worker/fleet/fleet.h"

#define WALL INT64_C(1795406400000)
#define SEEDS 40

static const char INVENTORY[] = "schema: silver.inventory/1\ntargets:\n  - {id: null-1, driver: \"null\"}\n  - {id: null-2, driver: \"null\"}\n";

struct fixture {
    struct sn_schemas *schemas;
    struct sn_fleet fleet;
};

static int setup(void **state)
{
    static struct fixture f;
    struct sn_error err = { 0 };

    memset(&f, 0, sizeof(f));
    fake_clock_set(5000, WALL, 1);
    if (sn_schemas_load(&f.schemas, &err) != 0 ||
        sn_inventory_load_text(INVENTORY, strlen(INVENTORY), f.schemas, &f.fleet.inventory, &err) != 0 || sn_fleet_init(&f.fleet, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    f.fleet.conf.gate = (struct sn_gate_conf){ .probe_min_ms = 1000, .probe_max_ms = 60000 };
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sn_fleet_fini(&f->fleet);
    sn_inventory_unref(f->fleet.inventory);
    sn_schemas_free(f->schemas);
    return 0;
}

static void a_lease_ends_by_the_monotonic_clock(void **state)
{
    struct fixture *f = *state;
    struct sn_device *d = &f->fleet.devices[0];

    atomic_store(&d->owned, true);
    atomic_store(&d->epoch, 7);
    assert_false(sn_fleet_may_write(&f->fleet, d, 7)); /* there was none yet */
    atomic_store(&f->fleet.lease_until_ms, 5000 + 800);
    assert_true(sn_fleet_may_write(&f->fleet, d, 7));
    assert_false(sn_fleet_may_write(&f->fleet, d, 6)); /* admitted under an ownership that is over */
    assert_false(sn_fleet_may_write(&f->fleet, NULL, 7));
    fake_clock_jump(-3600000); /* somebody sets the clock: no reason to write longer, or shorter */
    assert_true(sn_fleet_may_write(&f->fleet, d, 7));
    fake_clock_jump(2 * 3600000);
    assert_true(sn_fleet_may_write(&f->fleet, d, 7));
    fake_clock_pass(799);
    assert_true(sn_fleet_may_write(&f->fleet, d, 7));
    fake_clock_pass(1);
    assert_false(sn_fleet_may_write(&f->fleet, d, 7));
    atomic_store(&f->fleet.lease_until_ms, 5000 + 1800);
    atomic_store(&f->fleet.unsure, true);
    assert_false(sn_fleet_may_write(&f->fleet, d, 7));
    atomic_store(&f->fleet.unsure, false);
    atomic_store(&d->owned, false);
    assert_false(sn_fleet_may_write(&f->fleet, d, 7));
}

static int64_t closed_for(struct fixture *f, struct sn_device *d)
{
    struct sn_verdict v = { 0 };

    sn_verdict_set(&v, SN_UNREACHABLE, "cli.connect", "no answer");
    sn_fleet_gate_closed(&f->fleet, d, &v);
    sn_verdict_fini(&v);
    return sn_device_gate(d).probe_at_ms - 5000;
}

/* Each outage without a success between them doubles the time; chance spreads it by a quarter, over the whole of it. */
static void probes_back_off_and_do_not_come_together(void **state)
{
    struct fixture *f = *state;

    for (int closings = 1; closings <= 8; closings++) {
        int64_t step = 1000 << (closings - 1) < 60000 ? 1000 << (closings - 1) : 60000;
        int64_t least = INT64_MAX;
        int64_t most = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            struct sn_device *d = &f->fleet.devices[0];
            int64_t wait = 0;
            memset(&d->gate, 0, sizeof(d->gate));
            fake_clock_set(5000, WALL, seed);
            for (int i = 0; i < closings; i++) {
                sn_fleet_gate_opened(&f->fleet, d, "probe answered"); /* no job succeeded since */
                wait = closed_for(f, d);
            }
            assert_in_range(wait, step * 3 / 4, step * 5 / 4);
            least = wait < least ? wait : least;
            most = wait > most ? wait : most;
        }
        assert_true(most - least > step * 2 / 5);
    }
}

static void two_devices_that_go_down_together_are_probed_apart(void **state)
{
    struct fixture *f = *state;
    int apart = 0;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        memset(&f->fleet.devices[0].gate, 0, sizeof(f->fleet.devices[0].gate));
        memset(&f->fleet.devices[1].gate, 0, sizeof(f->fleet.devices[1].gate));
        fake_clock_set(5000, WALL, seed);
        apart += closed_for(f, &f->fleet.devices[0]) != closed_for(f, &f->fleet.devices[1]);
    }
    assert_true(apart > SEEDS * 9 / 10);
}

static void a_probe_is_due_when_its_time_has_come(void **state)
{
    struct fixture *f = *state;
    struct sn_device *d = &f->fleet.devices[0];
    int64_t wait;
    struct sn_gate gate;

    wait = closed_for(f, d);
    gate = sn_device_gate(d);
    assert_true(gate.since_ms == WALL);
    assert_false(sn_device_is_open(d));
    assert_false(sn_gate_probe_due(&gate, 5000 + wait - 1));
    assert_true(sn_gate_probe_due(&gate, 5000 + wait));
    sn_fleet_gate_opened(&f->fleet, d, "probe answered");
    assert_true(sn_device_is_open(d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_lease_ends_by_the_monotonic_clock, setup, teardown),
        cmocka_unit_test_setup_teardown(probes_back_off_and_do_not_come_together, setup, teardown),
        cmocka_unit_test_setup_teardown(two_devices_that_go_down_together_are_probed_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(a_probe_is_due_when_its_time_has_come, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
