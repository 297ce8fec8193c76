/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
    const char *text;
    int64_t ms;
} TIMES[] = {
    { "1970-01-01T00:00:00.000Z", 0 },
    { "2026-11-23T04:00:00.123Z", 1795406400123 },
    { "2024-02-29T23:59:59.999Z", 1709251199999 },
    { "2000-02-29T00:00:00.000Z", 951782400000 },
    { "1969-12-31T23:59:59.999Z", -1 },
    { "9999-12-31T23:59:59.999Z", 253402300799999 },
};

static void time_goes_to_text_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TIMES); i++) {
        char text[SN_TIME_TEXT_MAX];
        int64_t ms;
        sn_clock_format_utc(TIMES[i].ms, text);
        assert_string_equal(text, TIMES[i].text);
        assert_int_equal(sn_clock_parse_utc(text, &ms), 0);
        assert_true(ms == TIMES[i].ms);
    }
}

static void time_text_may_have_a_zone_and_any_fraction(void **state)
{
    static const char *const SAME[] = { "2026-11-23T04:00:00Z",        "2026-11-23t04:00:00z",
                                        "2026-11-23T04:00:00.000999Z", "2026-11-23T00:00:00-04:00",
                                        "2026-11-23T09:30:00.0+05:30", "2026-11-23T03:59:60Z" };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < COUNT(SAME); i++) {
        assert_int_equal(sn_clock_parse_utc(SAME[i], &ms), 0);
        assert_true(ms == 1795406400000);
    }
    assert_int_equal(sn_clock_parse_utc("2026-11-23T04:00:00.5Z", &ms), 0);
    assert_true(ms == 1795406400500);
}

static void time_text_is_read_strictly(void **state)
{
    static const char *const BAD[] = {
        "",
        "2026-11-23",
        "2026-11-23T04:00:00",
        "2026-11-23 04:00:00Z",
        "26-11-23T04:00:00Z",
        "2026-1-23T04:00:00Z",
        " 2026-11-23T04:00:00Z",
        "2026-11-23T04:00:00Z ",
        "2026-11-23T04:00:00.Z",
        "2026-02-29T04:00:00Z",
        "1900-02-29T04:00:00Z",
        "2026-04-31T04:00:00Z",
        "2026-00-10T04:00:00Z",
        "2026-13-10T04:00:00Z",
        "2026-11-00T04:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T04:60:00Z",
        "2026-11-23T04:00:61Z",
        "2026-11-23T04:00:00+4:00",
        "2026-11-23T04:00:00+-1:00",
        "2026-11-23T04:00:00+0400",
        "2026-11-23T04:00:00+24:00",
        "2026-11-23T04:00:00+04:60",
        "2026-11-23T04:00:00ZZ",
        "+2026-11-23T04:00:00Z",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        int64_t ms = 42;
        if (sn_clock_parse_utc(BAD[i], &ms) != -1)
            fail_msg("accepted: %s", BAD[i]);
        assert_true(ms == 42);
    }
}

static void deadline_never_goes_below_zero_or_beyond_poll(void **state)
{
    (void)state;
    assert_int_equal(sn_clock_left_ms(1500, 1000), 500);
    assert_int_equal(sn_clock_left_ms(1000, 1000), 0);
    assert_int_equal(sn_clock_left_ms(999, 1000), 0);
    assert_int_equal(sn_clock_left_ms(INT64_MAX, 0), INT32_MAX);
    assert_int_equal(sn_clock_left_ms(INT64_MAX, -5), INT32_MAX);
    assert_int_equal(sn_clock_left_ms(INT64_MIN, 5), 0);
}

static void clocks_go_forward(void **state)
{
    int64_t before = sn_clock_mono_ms();

    (void)state;
    assert_true(before > 0);
    assert_true(sn_clock_mono_ms() >= before);
    assert_true(sn_clock_wall_ms() > INT64_C(1700000000000));
}

static void the_wall_clock_may_be_shifted_for_a_test(void **state)
{
#ifdef SN_FAILPOINTS
    int64_t now = sn_clock_wall_ms();
    int64_t mono = sn_clock_mono_ms();

    assert_int_equal(setenv("SILVER_CLOCK", "wall+3600s", 1), 0);
    assert_in_range(sn_clock_wall_ms() - now, 3600000, 3600000 + 60000);
    assert_int_equal(setenv("SILVER_CLOCK", "wall-3600s", 1), 0);
    assert_in_range(now - sn_clock_wall_ms(), 3600000 - 60000, 3600000);
    assert_in_range(sn_clock_mono_ms() - mono, 0, 60000); /* the monotonic clock stays */
    assert_int_equal(unsetenv("SILVER_CLOCK"), 0);
    assert_in_range(sn_clock_wall_ms() - now, 0, 60000);
#endif
    (void)state;
}

static void random_covers_its_range_and_no_more(void **state)
{
    unsigned seen[7] = { 0 };

    (void)state;
    for (int i = 0; i < 7000; i++) {
        uint32_t v = sn_random_below(7);
        assert_true(v < 7);
        seen[v]++;
    }
    for (size_t i = 0; i < COUNT(seen); i++)
        assert_in_range(seen[i], 700, 1300); /* ten standard deviations: fails once in 10^23 runs */
    assert_int_equal(sn_random_below(1), 0);
}

static void uuid_is_version_4(void **state)
{
    char a[SN_UUID_TEXT_MAX];
    char b[SN_UUID_TEXT_MAX];

    (void)state;
    sn_uuid_make(a);
    sn_uuid_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
    assert_int_equal(a[14], '4');
    assert_non_null(strchr("89ab", a[19]));
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(a[i], '-');
        else
            assert_non_null(strchr("0123456789abcdef", a[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_to_text_and_back), cmocka_unit_test(time_text_may_have_a_zone_and_any_fraction),
        cmocka_unit_test(time_text_is_read_strictly), cmocka_unit_test(deadline_never_goes_below_zero_or_beyond_poll),
        cmocka_unit_test(clocks_go_forward),          cmocka_unit_test(random_covers_its_range_and_no_more),
        cmocka_unit_test(uuid_is_version_4),          cmocka_unit_test(the_wall_clock_may_be_shifted_for_a_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
