/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and chance: the only place of the product that asks the kernel for either (tests/lint checks it). Pure code
 * takes `now_ms` as an argument; only the outermost layer asks here. Thread: any.
 *
 * Tests set both: a unit test links tests/unit/fake (settable clock, seeded random); a whole process of a build with
 * SN_FAILPOINTS takes SILVER_CLOCK="wall+3600s" (or "wall-90s"), which shifts its wall clock and nothing else
 * (docs/failpoints.md).
 */
#ifndef SN_COMMON_BASE_CLOCK_H
#define SN_COMMON_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of the monotonic clock: deadlines, leases, durations. Never compared between machines. */
int64_t sn_clock_mono_ms(void);
/* Milliseconds since 1970, UTC: only for what people and other systems read. */
int64_t sn_clock_wall_ms(void);
/* A machine whose clock differs by more than this is told of: NASes drop what is off by 300 s, in silence. */
#define SN_CLOCK_SKEW_MAX_MS 60000
/* RFC 3339 in UTC with milliseconds, "2026-11-23T04:00:00.123Z" (25 bytes with the NUL). */
#define SN_TIME_TEXT_MAX 32
void sn_clock_format_utc(int64_t wall_ms, char out[SN_TIME_TEXT_MAX]);
/* Parses RFC 3339 with a zone, strictly (real dates, two digits each; digits after the milliseconds are dropped, second
 * 60 is the next minute's first); returns 0 and *ret_ms, or -1. */
int sn_clock_parse_utc(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));
/* Milliseconds left until a monotonic deadline, never negative, at most INT32_MAX (fits poll()). */
int sn_clock_left_ms(int64_t deadline_mono_ms, int64_t now_mono_ms);

/* Random bytes of the kernel. Aborts the process when the kernel cannot give any (never happens after boot). */
void sn_random_bytes(void *out, size_t len);
/* Evenly distributed in [0, below); below > 0. */
uint32_t sn_random_below(uint32_t below);
/* A random UUID (version 4) as text. */
#define SN_UUID_TEXT_MAX 37
void sn_uuid_make(char out[SN_UUID_TEXT_MAX]);

#endif
