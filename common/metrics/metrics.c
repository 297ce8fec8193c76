/* SPDX-License-Identifier: Apache-2.0 */
#include "common/metrics/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sn_metric_series {
    struct sn_metric_series *next;
    const struct sn_metric_row *row;
    atomic_bool shown;
    _Atomic double value;                                   /* counter, gauge; sum of a histogram */
    atomic_uint_fast64_t bucket[SN_METRIC_BUCKETS_MAX + 1]; /* not cumulative; the last is above all bounds */
    char *values[SN_METRIC_LABELS_MAX];
};

/* All series of one metric. */
struct family {
    pthread_mutex_t lock; /* guards the list; a series is never taken out */
    struct sn_metric_series *first;
    struct sn_metric_series **end;
    size_t count;
    struct sn_metric_series other;
};

struct sn_metrics {
    const struct sn_metric_table *table;
    struct family families[];
};

/* ---- table ---- */

static bool is_name(const char *text)
{
    return text[0] >= 'a' && text[0] <= 'z' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static const char *fault_of_buckets(const struct sn_metric_row *row)
{
    size_t n = 0;

    if ((row->buckets != NULL) != (row->type == SN_METRIC_HISTOGRAM))
        return "a histogram, and only it, has buckets";
    for (; row->buckets != NULL && row->buckets[n] != 0; n++) {
        if (n == SN_METRIC_BUCKETS_MAX || row->buckets[n] < 0 || (n > 0 && row->buckets[n] <= row->buckets[n - 1]))
            return "buckets rise, are above 0 and not too many";
    }
    return row->buckets != NULL && n == 0 ? "a histogram has buckets" : NULL;
}

static const char *fault_of(const struct sn_metric_table *table, size_t i)
{
    const struct sn_metric_row *row = &table->rows[i];
    bool unit = row->unit != NULL && (strcmp(row->unit, "seconds") == 0 || strcmp(row->unit, "bytes") == 0);
    char suffix[16];

    if (row->name == NULL || !is_name(row->name) || strncmp(row->name, "silver_", 7) != 0)
        return "a name begins with silver_ and holds a-z, 0-9, _";
    if ((row->type == SN_METRIC_COUNTER) != ends_in(row->name, "_total"))
        return "a counter, and only it, ends in _total";
    if (unit) {
        (void)snprintf(suffix, sizeof(suffix), "_%s%s", row->unit, row->type == SN_METRIC_COUNTER ? "_total" : "");
        if (!ends_in(row->name, suffix))
            return "the name does not end in its unit";
    }
    if (row->unit == NULL || row->text == NULL || row->text[0] == '\0' || strpbrk(row->text, "|\n\\") != NULL)
        return "a unit and a text of one line, without | and backslash, are needed";
    for (size_t k = 0; k < SN_METRIC_LABELS_MAX && row->labels[k] != NULL; k++) {
        if (!is_name(row->labels[k]) || strcmp(row->labels[k], "le") == 0)
            return "a label's name holds a-z, 0-9, _ and is not le";
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(table->rows[k].name, row->name) == 0)
            return "stands twice";
    }
    return fault_of_buckets(row);
}

/* ---- registry ---- */

static size_t label_count(const struct sn_metric_row *row)
{
    size_t n = 0;

    while (n < SN_METRIC_LABELS_MAX && row->labels[n] != NULL)
        n++;
    return n;
}

int sn_metrics_new(const struct sn_metric_table *table, struct sn_metrics **ret, struct sn_error *err)
{
    struct sn_metrics *m;

    for (size_t i = 0; i < table->count; i++) {
        const char *fault = fault_of(table, i);
        if (fault != NULL)
            return sn_error_set(err, "metrics.table", "%s: %s", table->rows[i].name != NULL ? table->rows[i].name : "?",
                                fault);
    }
    m = calloc(1, sizeof(*m) + table->count * sizeof(struct family));
    if (m == NULL)
        return sn_error_oom(err);
    m->table = table;
    for (size_t i = 0; i < table->count; i++) {
        struct family *f = &m->families[i];
        (void)pthread_mutex_init(&f->lock, NULL);
        f->end = &f->first;
        f->other.row = &table->rows[i];
        /* without labels there is just this one */
        atomic_store(&f->other.shown, label_count(&table->rows[i]) == 0);
    }
    *ret = m;
    return 0;
}

static void series_free(struct sn_metric_series *s)
{
    for (size_t i = 0; i < SN_METRIC_LABELS_MAX; i++)
        free(s->values[i]);
    free(s);
}

void sn_metrics_free(struct sn_metrics *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->table->count; i++) {
        struct family *f = &m->families[i];
        while (f->first != NULL) {
            struct sn_metric_series *s = f->first;
            f->first = s->next;
            series_free(s);
        }
        (void)pthread_mutex_destroy(&f->lock);
    }
    free(m);
}

static struct sn_metric_series *series_new(const struct sn_metric_row *row, const char *const *values)
{
    struct sn_metric_series *s = calloc(1, sizeof(*s));
    size_t labels = label_count(row);

    if (s == NULL)
        return NULL;
    s->row = row;
    for (size_t i = 0; i < labels; i++) {
        s->values[i] = strdup(values[i]);
        if (s->values[i] == NULL) {
            series_free(s);
            return NULL;
        }
    }
    return s;
}

static bool has_values(const struct sn_metric_series *s, const char *const *values, size_t labels)
{
    for (size_t i = 0; i < labels; i++) {
        if (strcmp(s->values[i], values[i]) != 0)
            return false;
    }
    return true;
}

struct sn_metric_series *sn_metrics_series(struct sn_metrics *m, size_t metric, const char *const *values)
{
    struct family *f = &m->families[metric];
    size_t labels = label_count(&m->table->rows[metric]);
    struct sn_metric_series *s;

    if (labels == 0)
        return &f->other;
    (void)pthread_mutex_lock(&f->lock);
    s = f->first;
    while (s != NULL && !has_values(s, values, labels))
        s = s->next;
    if (s == NULL && f->count < SN_METRIC_SERIES_MAX) {
        s = series_new(&m->table->rows[metric], values);
        if (s != NULL) {
            *f->end = s;
            f->end = &s->next;
            f->count++;
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
    return s != NULL ? s : &f->other;
}

/* ---- measuring ---- */

static void show(struct sn_metric_series *s)
{
    if (!atomic_load_explicit(&s->shown, memory_order_relaxed))
        atomic_store_explicit(&s->shown, true, memory_order_relaxed);
}

static void add(struct sn_metric_series *s, double amount)
{
    double before = atomic_load_explicit(&s->value, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(&s->value, &before, before + amount, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void sn_metric_add(struct sn_metric_series *s, double amount)
{
    if (s->row->type == SN_METRIC_COUNTER && !(amount >= 0))
        return;
    add(s, amount);
    show(s);
}

void sn_metric_set(struct sn_metric_series *s, double value)
{
    atomic_store_explicit(&s->value, value, memory_order_relaxed);
    show(s);
}

void sn_metric_observe(struct sn_metric_series *s, double value)
{
    size_t i = 0;

    while (s->row->buckets[i] != 0 && !(value <= s->row->buckets[i]))
        i++;
    atomic_fetch_add_explicit(&s->bucket[i], 1, memory_order_relaxed);
    add(s, value);
    show(s);
}

void sn_metric_hide(struct sn_metric_series *s)
{
    atomic_store_explicit(&s->shown, false, memory_order_relaxed);
}

double sn_metric_value(const struct sn_metric_series *s)
{
    uint64_t count = 0;

    if (s->row->type != SN_METRIC_HISTOGRAM)
        return atomic_load_explicit(&s->value, memory_order_relaxed);
    for (size_t i = 0; i <= SN_METRIC_BUCKETS_MAX; i++)
        count += atomic_load_explicit(&s->bucket[i], memory_order_relaxed);
    return (double)count;
}

/* ---- text ---- */

/* The shortest text that reads back as the same number. */
static void add_number(struct sn_buf *out, double value)
{
    char text[32];

    if (isnan(value)) {
        sn_buf_adds(out, "NaN");
    } else if (isinf(value)) {
        sn_buf_adds(out, value > 0 ? "+Inf" : "-Inf");
    } else if (fabs(value) < 9007199254740992.0 && value == floor(value)) {
        sn_buf_addf(out, "%.0f", value);
    } else {
        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(text, sizeof(text), "%.*g", digits, value);
            if (strtod(text, NULL) == value)
                break;
        }
        sn_buf_adds(out, text);
    }
}

static void add_label(struct sn_buf *out, const char *name, const char *value, bool first)
{
    sn_buf_addf(out, "%s%s=\"", first ? "{" : ",", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            sn_buf_addf(out, "\\%c", *value);
        else if (*value == '\n')
            sn_buf_adds(out, "\\n");
        else
            sn_buf_add(out, value, 1);
    }
    sn_buf_adds(out, "\"");
}

/* name{labels…[,le="…"]} value */
static void add_sample(struct sn_buf *out, const struct sn_metric_series *s, const char *suffix, const char *le,
                       double value)
{
    size_t labels = label_count(s->row);

    sn_buf_addf(out, "%s%s", s->row->name, suffix);
    for (size_t i = 0; i < labels; i++)
        add_label(out, s->row->labels[i], s->values[i] != NULL ? s->values[i] : "other", i == 0);
    if (le != NULL)
        add_label(out, "le", le, labels == 0);
    sn_buf_adds(out, labels > 0 || le != NULL ? "} " : " ");
    add_number(out, value);
    sn_buf_adds(out, "\n");
}

static void add_histogram(struct sn_buf *out, const struct sn_metric_series *s)
{
    uint64_t count = 0;
    size_t i = 0;

    for (; s->row->buckets[i] != 0; i++) {
        struct sn_buf le = SN_BUF_INIT;
        sn_buf_addf(&le, "%.9g", s->row->buckets[i]);
        count += atomic_load_explicit(&s->bucket[i], memory_order_relaxed);
        add_sample(out, s, "_bucket", sn_buf_str(&le), (double)count);
        sn_buf_fini(&le);
    }
    count += atomic_load_explicit(&s->bucket[i], memory_order_relaxed);
    add_sample(out, s, "_bucket", "+Inf", (double)count);
    add_sample(out, s, "_sum", NULL, atomic_load_explicit(&s->value, memory_order_relaxed));
    add_sample(out, s, "_count", NULL, (double)count);
}

static void add_series(struct sn_buf *out, const struct sn_metric_series *s)
{
    if (!atomic_load_explicit(&s->shown, memory_order_relaxed))
        return;
    if (s->row->type == SN_METRIC_HISTOGRAM)
        add_histogram(out, s);
    else
        add_sample(out, s, "", NULL, atomic_load_explicit(&s->value, memory_order_relaxed));
}

static const char *type_name(const struct sn_metric_row *row)
{
    static const char *const NAMES[] = { "counter", "gauge", "histogram" };

    return NAMES[row->type];
}

void sn_metrics_expose(struct sn_metrics *m, struct sn_buf *out)
{
    for (size_t i = 0; i < m->table->count; i++) {
        const struct sn_metric_row *row = &m->table->rows[i];
        struct family *f = &m->families[i];

        sn_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->text, row->name, type_name(row));
        (void)pthread_mutex_lock(&f->lock);
        for (const struct sn_metric_series *s = f->first; s != NULL; s = s->next)
            add_series(out, s);
        (void)pthread_mutex_unlock(&f->lock);
        add_series(out, &f->other);
    }
}

void sn_metrics_describe(const struct sn_metric_table *table, struct sn_buf *out)
{
    sn_buf_adds(out, "| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct sn_metric_row *row = &table->rows[i];
        sn_buf_addf(out, "| `%s` | %s | %s | ", row->name, type_name(row), row->unit);
        for (size_t k = 0; k < label_count(row); k++)
            sn_buf_addf(out, "%s`%s`", k > 0 ? ", " : "", row->labels[k]);
        sn_buf_addf(out, " | %s |\n", row->text);
    }
}
