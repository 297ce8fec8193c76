/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/metrics/metrics.h"

enum { JOBS, DEPTH, PLAIN, LATENCY, TOOK, COUNT };

static const double BOUNDS[] = { 0.1, 1, 10, 0 };
static const struct sn_metric_row ROWS[] = {
    [JOBS] = { "silver_jobs_total", SN_METRIC_COUNTER, "jobs", { "device", "outcome" }, NULL, "Jobs that ended." },
    [DEPTH] = { "silver_depth", SN_METRIC_GAUGE, "jobs", { "device" }, NULL, "Jobs that wait." },
    [PLAIN] = { "silver_up", SN_METRIC_GAUGE, "yes or no", { NULL }, NULL, "Whether it is there." },
    [LATENCY] = { "silver_op_seconds", SN_METRIC_HISTOGRAM, "seconds", { "driver" }, BOUNDS, "One exchange." },
    [TOOK] = { "silver_turn_seconds", SN_METRIC_HISTOGRAM, "seconds", { NULL }, BOUNDS, "One turn." },
};
static const struct sn_metric_table TABLE = { ROWS, COUNT };

static int setup(void **state)
{
    struct sn_metrics *m = NULL;
    struct sn_error err;

    if (sn_metrics_new(&TABLE, &m, &err) != 0)
        fail_msg("%s", err.text);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    sn_metrics_free(*state);
    return 0;
}

static struct sn_metric_series *series(void **state, size_t metric, const char *a, const char *b)
{
    return sn_metrics_series(*state, metric, (const char *const[]){ a, b });
}

static void assert_text(void **state, const char *expected)
{
    struct sn_buf out = SN_BUF_INIT;

    sn_metrics_expose(*state, &out);
    assert_string_equal(sn_buf_str(&out), expected);
    sn_buf_fini(&out);
}

#define HEAD(name, type, help) "# HELP " name " " help "\n# TYPE " name " " type "\n"
#define HEAD_JOBS HEAD("silver_jobs_total", "counter", "Jobs that ended.")
#define HEAD_DEPTH HEAD("silver_depth", "gauge", "Jobs that wait.")
#define HEAD_UP HEAD("silver_up", "gauge", "Whether it is there.")
#define HEAD_OP HEAD("silver_op_seconds", "histogram", "One exchange.")
#define HEAD_TURN HEAD("silver_turn_seconds", "histogram", "One turn.")
#define TURN_ZERO                                                                          \
    "silver_turn_seconds_bucket{le=\"0.1\"} 0\nsilver_turn_seconds_bucket{le=\"1\"} 0\n"   \
    "silver_turn_seconds_bucket{le=\"10\"} 0\nsilver_turn_seconds_bucket{le=\"+Inf\"} 0\n" \
    "silver_turn_seconds_sum 0\nsilver_turn_seconds_count 0\n"

static void what_has_no_labels_is_shown_from_the_start(void **state)
{
    assert_text(state, HEAD_JOBS HEAD_DEPTH HEAD_UP "silver_up 0\n" HEAD_OP HEAD_TURN TURN_ZERO);
}

static void counters_and_gauges_have_their_values(void **state)
{
    struct sn_metric_series *applied = series(state, JOBS, "olt-7", "applied");

    assert_ptr_equal(series(state, JOBS, "olt-7", "applied"), applied);
    assert_ptr_not_equal(series(state, JOBS, "olt-7", "dead"), applied);
    assert_ptr_not_equal(series(state, JOBS, "olt-8", "applied"), applied);
    sn_metric_add(applied, 1);
    sn_metric_add(applied, 2);
    sn_metric_add(applied, -5);  /* a counter does not fall */
    sn_metric_add(applied, NAN); /* and stays a number */
    assert_true(sn_metric_value(applied) == 3);
    sn_metric_add(series(state, JOBS, "olt-8", "applied"), 0.25);
    sn_metric_set(series(state, DEPTH, "olt-7", NULL), 7);
    sn_metric_add(series(state, DEPTH, "olt-7", NULL), -2);
    sn_metric_set(series(state, PLAIN, NULL, NULL), 1);
    assert_text(state,
                HEAD_JOBS "silver_jobs_total{device=\"olt-7\",outcome=\"applied\"} 3\n"
                          "silver_jobs_total{device=\"olt-8\",outcome=\"applied\"} 0.25\n" HEAD_DEPTH
                          "silver_depth{device=\"olt-7\"} 5\n" HEAD_UP "silver_up 1\n" HEAD_OP HEAD_TURN TURN_ZERO);
}

static void histogram_counts_from_below(void **state)
{
    static const double VALUES[] = { 0.05, 0.1, 0.5, 1, 20 };
    struct sn_metric_series *s = series(state, LATENCY, "huawei-smartax", NULL);

    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++)
        sn_metric_observe(s, VALUES[i]);
    assert_true(sn_metric_value(s) == 5);
    assert_text(state, HEAD_JOBS HEAD_DEPTH HEAD_UP
                "silver_up 0\n" HEAD_OP "silver_op_seconds_bucket{driver=\"huawei-smartax\",le=\"0.1\"} 2\n"
                "silver_op_seconds_bucket{driver=\"huawei-smartax\",le=\"1\"} 4\n"
                "silver_op_seconds_bucket{driver=\"huawei-smartax\",le=\"10\"} 4\n"
                "silver_op_seconds_bucket{driver=\"huawei-smartax\",le=\"+Inf\"} 5\n"
                "silver_op_seconds_sum{driver=\"huawei-smartax\"} 21.65\n"
                "silver_op_seconds_count{driver=\"huawei-smartax\"} 5\n" HEAD_TURN TURN_ZERO);
}

static void hidden_series_comes_back_when_used(void **state)
{
    struct sn_metric_series *s = series(state, DEPTH, "olt-7", NULL);

    sn_metric_set(s, 3);
    sn_metric_hide(s);
    assert_text(state, HEAD_JOBS HEAD_DEPTH HEAD_UP "silver_up 0\n" HEAD_OP HEAD_TURN TURN_ZERO);
    sn_metric_add(s, 1);
    assert_text(state, HEAD_JOBS HEAD_DEPTH "silver_depth{device=\"olt-7\"} 4\n" HEAD_UP
                                            "silver_up 0\n" HEAD_OP HEAD_TURN TURN_ZERO);
}

static void odd_values_are_written_as_the_format_wants(void **state)
{
    sn_metric_set(series(state, DEPTH, "a\"b\\c\nd", NULL), INFINITY);
    sn_metric_set(series(state, DEPTH, "n", NULL), NAN);
    sn_metric_set(series(state, DEPTH, "m", NULL), -INFINITY);
    sn_metric_set(series(state, DEPTH, "big", NULL), 1e18);
    sn_metric_set(series(state, DEPTH, "int", NULL), 9007199254740991.0);
    sn_metric_set(series(state, DEPTH, "sum", NULL), 0.1 + 0.2);
    assert_text(state,
                HEAD_JOBS HEAD_DEPTH "silver_depth{device=\"a\\\"b\\\\c\\nd\"} +Inf\nsilver_depth{device=\"n\"} NaN\n"
                                     "silver_depth{device=\"m\"} -Inf\nsilver_depth{device=\"big\"} 1e+18\n"
                                     "silver_depth{device=\"int\"} 9007199254740991\n"
                                     "silver_depth{device=\"sum\"} 0.30000000000000004\n" HEAD_UP
                                     "silver_up 0\n" HEAD_OP HEAD_TURN TURN_ZERO);
}

static void too_many_series_share_one(void **state)
{
    struct sn_buf out = SN_BUF_INIT;
    char device[32];

    for (int i = 0; i < SN_METRIC_SERIES_MAX; i++) {
        snprintf(device, sizeof(device), "d-%d", i);
        sn_metric_set(series(state, DEPTH, device, NULL), 1);
    }
    assert_ptr_equal(series(state, DEPTH, "one-more", NULL), series(state, DEPTH, "two-more", NULL));
    assert_ptr_not_equal(series(state, DEPTH, "d-4095", NULL), series(state, DEPTH, "two-more", NULL));
    sn_metric_add(series(state, DEPTH, "one-more", NULL), 2);
    sn_metrics_expose(*state, &out);
    assert_non_null(strstr(sn_buf_str(&out), "silver_depth{device=\"d-4095\"} 1\nsilver_depth{device=\"other\"} 2\n"));
    assert_null(strstr(sn_buf_str(&out), "one-more"));
    sn_buf_fini(&out);
}

static void table_faults_are_found(void **state)
{
    static const double FALLING[] = { 1, 1, 0 };
    static const double NONE[] = { 0 };
    static const struct sn_metric_row BAD[] = {
        { "jobs_total", SN_METRIC_COUNTER, "jobs", { NULL }, NULL, "No prefix." },
        { "silver_Jobs_total", SN_METRIC_COUNTER, "jobs", { NULL }, NULL, "Capital." },
        { "silver_jobs", SN_METRIC_COUNTER, "jobs", { NULL }, NULL, "Counter without _total." },
        { "silver_jobs_total", SN_METRIC_GAUGE, "jobs", { NULL }, NULL, "Gauge with _total." },
        { "silver_wait", SN_METRIC_GAUGE, "seconds", { NULL }, NULL, "Unit is not in the name." },
        { "silver_wait_total", SN_METRIC_COUNTER, "seconds", { NULL }, NULL, "Unit is not in the name." },
        { "silver_x", SN_METRIC_GAUGE, "x", { NULL }, NULL, "" },
        { "silver_x", SN_METRIC_GAUGE, NULL, { NULL }, NULL, "No unit." },
        { "silver_x", SN_METRIC_GAUGE, "x", { NULL }, NULL, "Two\nlines." },
        { "silver_x", SN_METRIC_GAUGE, "x", { "le" }, NULL, "Reserved label." },
        { "silver_x", SN_METRIC_GAUGE, "x", { "a-b" }, NULL, "Bad label." },
        { "silver_x", SN_METRIC_GAUGE, "x", { NULL }, BOUNDS, "Gauge with buckets." },
        { "silver_x", SN_METRIC_HISTOGRAM, "x", { NULL }, NULL, "Histogram without." },
        { "silver_x", SN_METRIC_HISTOGRAM, "x", { NULL }, NONE, "Histogram without." },
        { "silver_x", SN_METRIC_HISTOGRAM, "x", { NULL }, FALLING, "Buckets that do not rise." },
    };
    const struct sn_metric_row twice[] = { ROWS[PLAIN], ROWS[PLAIN] };
    struct sn_metrics *m = NULL;
    struct sn_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        if (sn_metrics_new(&(struct sn_metric_table){ &BAD[i], 1 }, &m, &err) == 0)
            fail_msg("accepted: %s", BAD[i].text);
        assert_string_equal(err.code, "metrics.table");
    }
    assert_int_equal(sn_metrics_new(&(struct sn_metric_table){ twice, 2 }, &m, &err), -1);
    assert_null(m);
}

static void catalogue_says_what_the_rows_say(void **state)
{
    struct sn_buf out = SN_BUF_INIT;

    (void)state;
    sn_metrics_describe(&TABLE, &out);
    assert_non_null(strstr(sn_buf_str(&out),
                           "| `silver_jobs_total` | counter | jobs | `device`, `outcome` | Jobs that ended. |\n"));
    assert_non_null(strstr(sn_buf_str(&out), "| `silver_turn_seconds` | histogram | seconds |  | One turn. |\n"));
    sn_buf_fini(&out);
}

#define THREADS 4
#define TURNS 100000

struct measuring {
    struct sn_metrics *m;
    pthread_barrier_t start;
};

/* Several threads use one series and make others, while the text is written. */
static void *measure(void *arg)
{
    struct measuring *measuring = arg;
    struct sn_metrics *m = measuring->m;
    struct sn_metric_series *shared = sn_metrics_series(m, JOBS, (const char *const[]){ "olt-7", "applied" });
    char device[16];

    (void)pthread_barrier_wait(&measuring->start);
    for (int i = 0; i < TURNS; i++) {
        sn_metric_add(shared, 1);
        sn_metric_observe(sn_metrics_series(m, TOOK, NULL), 0.5);
        if (i % 10000 == 0) {
            struct sn_buf out = SN_BUF_INIT;
            snprintf(device, sizeof(device), "d-%d", i);
            sn_metric_set(sn_metrics_series(m, DEPTH, (const char *const[]){ device }), i);
            sn_metrics_expose(m, &out);
            sn_buf_fini(&out);
        }
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct measuring measuring = { .m = *state };
    pthread_t threads[THREADS];

    assert_int_equal(pthread_barrier_init(&measuring.start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, measure, &measuring), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&measuring.start);
    assert_true(sn_metric_value(series(state, JOBS, "olt-7", "applied")) == THREADS * TURNS);
    assert_true(sn_metric_value(series(state, TOOK, NULL, NULL)) == THREADS * TURNS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_no_labels_is_shown_from_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(counters_and_gauges_have_their_values, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram_counts_from_below, setup, teardown),
        cmocka_unit_test_setup_teardown(hidden_series_comes_back_when_used, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_values_are_written_as_the_format_wants, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_series_share_one, setup, teardown),
        cmocka_unit_test(table_faults_are_found),
        cmocka_unit_test(catalogue_says_what_the_rows_say),
        cmocka_unit_test_setup_teardown(threads_lose_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
