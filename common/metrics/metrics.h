/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters, gauges and histograms, and their text for Prometheus.
 *
 * What can be measured is one const table; a metric is named by its row number (an enum of the table's owner). A series
 * is one set of label values of one metric: asked for once (sn_metrics_series(), takes a lock), then kept and used with
 * plain atomics. Label values come from the inventory and from fixed words, never from messages: their number is
 * bounded, and above SN_METRIC_SERIES_MAX all further ones share a series whose labels read "other". Format:
 * docs/metrics.md. Thread: any, for everything but new and free.
 */
#ifndef SN_COMMON_METRICS_METRICS_H
#define SN_COMMON_METRICS_METRICS_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"

#define SN_METRIC_LABELS_MAX 3
#define SN_METRIC_SERIES_MAX 4096
#define SN_METRIC_BUCKETS_MAX 16

#define SN_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum sn_metric_type { SN_METRIC_COUNTER, SN_METRIC_GAUGE, SN_METRIC_HISTOGRAM };

struct sn_metric_row {
    const char *name; /* silver_…, with its unit; a counter ends in _total */
    enum sn_metric_type type;
    const char *unit;                         /* "seconds", "bytes", or what is counted: "events" */
    const char *labels[SN_METRIC_LABELS_MAX]; /* names; the rest NULL */
    const double *buckets;                    /* histogram: upper bounds, rising, ended by 0; else NULL */
    const char *text;                         /* one sentence */
};

struct sn_metric_table {
    const struct sn_metric_row *rows;
    size_t count;
};

struct sn_metrics;
struct sn_metric_series;

/* The table must outlive the registry. A metric without labels is exposed from the start, with 0. Error: metrics.table.
 */
int sn_metrics_new(const struct sn_metric_table *table, struct sn_metrics **ret, struct sn_error *err) SN_MUSTCHECK;
/* All series become invalid. NULL is fine. */
void sn_metrics_free(struct sn_metrics *m);

/* The series of a metric for its label values (as many as the row has labels; the rest is not read). Never NULL:
 * without memory, or with too many series, it is the one of "other". Lives as long as m. */
struct sn_metric_series *sn_metrics_series(struct sn_metrics *m, size_t metric, const char *const *values);

/* Counter or gauge. A counter only rises. */
void sn_metric_add(struct sn_metric_series *s, double amount);
/* Gauge. */
void sn_metric_set(struct sn_metric_series *s, double value);
/* Histogram. */
void sn_metric_observe(struct sn_metric_series *s, double value);
/* Takes a series out of the text until it is used again (a device that another worker owns now). */
void sn_metric_hide(struct sn_metric_series *s);
/* What it stands at: value, or for a histogram how many were observed. */
double sn_metric_value(const struct sn_metric_series *s);

/* The text of all that is shown, in the order of the table. */
void sn_metrics_expose(struct sn_metrics *m, struct sn_buf *out);

/* One Markdown table of the rows. */
void sn_metrics_describe(const struct sn_metric_table *table, struct sn_buf *out);

#endif
