/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What silverd measures: one table (metrics.c), one page (docs/metrics.md, generated). A registry that is NULL measures
 * nothing, so that parts of a worker can be tested alone. Thread: any.
 */
#ifndef SN_WORKER_METRICS_H
#define SN_WORKER_METRICS_H

#include "common/metrics/metrics.h"

enum sn_measure {
    SN_MEASURE_BUILD_INFO,
    /* jobs */
    SN_MEASURE_OUTCOMES,
    SN_MEASURE_EVENT_SECONDS,
    SN_MEASURE_TYPE_DISAGREES,
    SN_MEASURE_JOBS_DONE,
    SN_MEASURE_JOBS_IN_HAND,
    SN_MEASURE_JOB_OLDEST_SECONDS,
    SN_MEASURE_EXCHANGE_SECONDS,
    /* links */
    SN_MEASURE_CONSUMER_UP,
    SN_MEASURE_PUBLISHER_UP,
    SN_MEASURE_PUBLICATIONS_WAITING,
    SN_MEASURE_STORE_UNSURE,
    SN_MEASURE_CLOCK_SKEW_SECONDS,
    /* devices */
    SN_MEASURE_DEVICE_OWNED,
    SN_MEASURE_DEVICE_GATE_OPEN,
    SN_MEASURE_DEVICE_GATE_CLOSINGS,
    SN_MEASURE_DEVICE_UNSAVED_WRITES,
    SN_MEASURE_DEVICE_SESSION_WARM,
    /* ledger */
    SN_MEASURE_LEDGER_UP,
    SN_MEASURE_LEDGER_WAITING,
    SN_MEASURE_LEDGER_WRITTEN,
    SN_MEASURE_LEDGER_BAD,
    SN_MEASURE_COUNT
};

extern const struct sn_metric_table sn_measure_table;

/* label: value of the metric's label, NULL when it has none. */
void sn_measure_add(struct sn_metrics *m, enum sn_measure what, const char *label, double amount);
void sn_measure_set(struct sn_metrics *m, enum sn_measure what, const char *label, double value);
void sn_measure_observe(struct sn_metrics *m, enum sn_measure what, const char *label, double value);

/* docs/metrics.md. */
void sn_measure_page(struct sn_buf *out);

#endif
