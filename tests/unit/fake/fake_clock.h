/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance as a test wants them: linked (DEPS sn_fake_clock) it takes the place of common/base/clock_system.c, so that
 * everything in the program that asks common/base/clock.h is answered from here. Time stands still until it is told to go.
 * Thread: one.
 */
#ifndef SN_TESTS_UNIT_FAKE_FAKE_CLOCK_H
#define SN_TESTS_UNIT_FAKE_FAKE_CLOCK_H

#include <stdint.h>

/* Both clocks; the random numbers begin again with this seed. */
void fake_clock_set(int64_t mono_ms, int64_t wall_ms, uint64_t seed);
/* Time passes: both clocks go on. */
void fake_clock_pass(int64_t ms);
/* Somebody sets the wall clock; the monotonic one does not notice. */
void fake_clock_jump(int64_t ms);

#endif
