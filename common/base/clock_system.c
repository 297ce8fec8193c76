/* SPDX-License-Identifier: Apache-2.0 */
/* The three functions of clock.h that ask the kernel; a unit test links tests/unit/fake/fake_clock.c instead. */
#include "common/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#ifdef SN_FAILPOINTS
/* Milliseconds that SILVER_CLOCK adds to the wall clock. A value that cannot be read ends the process: a test that
 * misspells it would prove nothing. */
static int64_t wall_shift_ms(void)
{
    const char *env = getenv("SILVER_CLOCK");
    char *end = NULL;
    long seconds;

    if (env == NULL)
        return 0;
    seconds = strncmp(env, "wall", 4) == 0 && (env[4] == '+' || env[4] == '-') ? strtol(env + 4, &end, 10) : 0;
    if (end == NULL || end == env + 4 || strcmp(end, "s") != 0) {
        fprintf(stderr, "SILVER_CLOCK: not wall+<seconds>s or wall-<seconds>s\n");
        abort();
    }
    return (int64_t)seconds * 1000;
}
#else
static int64_t wall_shift_ms(void)
{
    return 0;
}
#endif

int64_t sn_clock_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t sn_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME) + wall_shift_ms();
}

void sn_random_bytes(void *out, size_t len)
{
    unsigned char *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            abort();
        p += n;
        len -= (size_t)n;
    }
}
