/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what silverd measures, and the page that is generated from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "worker/metrics.h"

static void table_is_consistent_and_measures(void **state)
{
    struct sn_metrics *m = NULL;
    struct sn_error err;
    struct sn_buf out = SN_BUF_INIT;

    (void)state;
    if (sn_metrics_new(&sn_measure_table, &m, &err) != 0)
        fail_msg("%s", err.text);
    sn_measure_add(m, SN_MEASURE_OUTCOMES, "applied", 2);
    sn_measure_set(m, SN_MEASURE_STORE_UNSURE, NULL, 1);
    sn_measure_observe(m, SN_MEASURE_EXCHANGE_SECONDS, "null", 0.02);
    sn_metrics_expose(m, &out);
    assert_non_null(strstr(sn_buf_str(&out), "\nsilver_outcomes_total{outcome=\"applied\"} 2\n"));
    assert_non_null(strstr(sn_buf_str(&out), "\nsilver_store_unsure 1\n"));
    assert_non_null(strstr(sn_buf_str(&out), "\nsilver_exchange_seconds_bucket{driver=\"null\",le=\"0.01\"} 0\n"));
    assert_non_null(strstr(sn_buf_str(&out), "\nsilver_exchange_seconds_bucket{driver=\"null\",le=\"0.025\"} 1\n"));
    sn_buf_fini(&out);
    sn_metrics_free(m);
}

static void without_a_registry_nothing_is_measured(void **state)
{
    (void)state;
    sn_measure_add(NULL, SN_MEASURE_OUTCOMES, "applied", 1);
    sn_measure_set(NULL, SN_MEASURE_STORE_UNSURE, NULL, 1);
    sn_measure_observe(NULL, SN_MEASURE_EXCHANGE_SECONDS, "null", 1);
}

static void page_is_the_table(void **state)
{
    static const char PATH[] = "docs/metrics.md";
    struct sn_buf page = SN_BUF_INIT;
    struct sn_buf file = SN_BUF_INIT;
    char chunk[4096];
    FILE *f = fopen(PATH, "r");
    size_t n;

    (void)state;
    if (f == NULL)
        fail_msg("%s: run silverd --describe-metrics > %s", PATH, PATH);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        sn_buf_add(&file, chunk, n);
    fclose(f);
    sn_measure_page(&page);
    assert_false(page.failed || file.failed);
    if (strcmp(sn_buf_str(&page), sn_buf_str(&file)) != 0)
        fail_msg("%s is not what the table says: run silverd --describe-metrics > %s", PATH, PATH);
    sn_buf_fini(&page);
    sn_buf_fini(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_consistent_and_measures),
        cmocka_unit_test(without_a_registry_nothing_is_measured),
        cmocka_unit_test(page_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
