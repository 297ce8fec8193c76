/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake/fake_clock.h"

#include <stddef.h>

#include "common/base/clock.h"

static struct {
    int64_t mono_ms;
    int64_t wall_ms;
    uint64_t random;
} now = { 1000, INT64_C(1795406400000), 1 };

void fake_clock_set(int64_t mono_ms, int64_t wall_ms, uint64_t seed)
{
    now.mono_ms = mono_ms;
    now.wall_ms = wall_ms;
    now.random = seed;
}

void fake_clock_pass(int64_t ms)
{
    now.mono_ms += ms;
    now.wall_ms += ms;
}

void fake_clock_jump(int64_t ms)
{
    now.wall_ms += ms;
}

int64_t sn_clock_mono_ms(void)
{
    return now.mono_ms;
}

int64_t sn_clock_wall_ms(void)
{
    return now.wall_ms;
}

/* splitmix64 (public domain, Sebastiano Vigna) */
void sn_random_bytes(void *out, size_t len)
{
    unsigned char *p = out;

    for (size_t i = 0; i < len; i++) {
        uint64_t z = now.random += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        p[i] = (unsigned char)(z >> 56);
    }
}
