/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/metrics.h"

static const double EVENT_BOUNDS[] = { 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1200, 3600, 0 };
static const double EXCHANGE_BOUNDS[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120, 0 };

#define COUNTER(id, name, unit, label, text) [id] = { name, SN_METRIC_COUNTER, unit, { label }, NULL, text }
#define GAUGE(id, name, unit, label, text) [id] = { name, SN_METRIC_GAUGE, unit, { label }, NULL, text }
#define HISTOGRAM(id, name, label, bounds, text) \
    [id] = { name, SN_METRIC_HISTOGRAM, "seconds", { label }, bounds, text }

static const struct sn_metric_row ROWS[SN_MEASURE_COUNT] = {
    GAUGE(SN_MEASURE_BUILD_INFO, "silver_build_info", "always 1", "version", "The version that runs."),

    COUNTER(SN_MEASURE_OUTCOMES, "silver_outcomes_total", "outcomes", "outcome",
            "How runs of events ended here: applied, unchanged, superseded, rejected, dead, discarded, or retry and "
            "waiting when they go on."),
    HISTOGRAM(SN_MEASURE_EVENT_SECONDS, "silver_event_seconds", "outcome", EVENT_BOUNDS,
              "From the publication of an event to its final outcome."),
    COUNTER(SN_MEASURE_TYPE_DISAGREES, "silver_event_type_disagrees_total", "events", "type",
            "Events whose type contradicts their state; the state is what was done."),
    COUNTER(SN_MEASURE_JOBS_DONE, "silver_jobs_done_total", "jobs", NULL,
            "Messages that were acknowledged, whatever became of them."),
    GAUGE(SN_MEASURE_JOBS_IN_HAND, "silver_jobs_in_hand", "jobs", NULL,
          "Messages that were received and are not acknowledged."),
    GAUGE(SN_MEASURE_JOB_OLDEST_SECONDS, "silver_job_oldest_seconds", "seconds", NULL,
          "How long the oldest of them is in hand."),
    HISTOGRAM(SN_MEASURE_EXCHANGE_SECONDS, "silver_exchange_seconds", "driver", EXCHANGE_BOUNDS,
              "One exchange with a target: a command and its answer."),

    GAUGE(SN_MEASURE_CONSUMER_UP, "silver_broker_consumer_up", "1 or 0", NULL,
          "Whether the consuming connection to the broker stands."),
    GAUGE(SN_MEASURE_PUBLISHER_UP, "silver_broker_publisher_up", "1 or 0", NULL,
          "Whether the publishing connection to the broker stands."),
    GAUGE(SN_MEASURE_PUBLICATIONS_WAITING, "silver_publications_waiting", "messages", NULL,
          "Messages that are to be published or wait for their confirm."),
    GAUGE(SN_MEASURE_STORE_UNSURE, "silver_store_unsure", "1 or 0", NULL,
          "1: Redis does not answer or its records are not whole, so no device is written to."),

    GAUGE(SN_MEASURE_CLOCK_SKEW_SECONDS, "silver_clock_skew_seconds", "seconds", "against",
          "Clock of redis and postgresql minus this machine's, as last seen. NASes drop packets of a clock that is off by minutes, in "
          "silence."),

    GAUGE(SN_MEASURE_DEVICE_OWNED, "silver_device_owned", "1 or 0", "device", "Whether this worker owns the device."),
    GAUGE(SN_MEASURE_DEVICE_GATE_OPEN, "silver_device_gate_open", "1 or 0", "device",
          "Whether the device may be touched."),
    COUNTER(SN_MEASURE_DEVICE_GATE_CLOSINGS, "silver_device_gate_closings_total", "closings", "device",
            "How often this worker closed the gate of the device."),
    GAUGE(SN_MEASURE_DEVICE_UNSAVED_WRITES, "silver_device_unsaved_writes", "writes", "device",
          "Writes that a reboot of the device would lose."),
    GAUGE(SN_MEASURE_DEVICE_SESSION_WARM, "silver_device_session_warm", "1 or 0", "device",
          "Whether a session to the device is held open (it takes one of the device's terminals)."),

    GAUGE(SN_MEASURE_LEDGER_UP, "silver_ledger_database_up", "1 or 0", NULL, "Whether the ledger's database answers."),
    GAUGE(SN_MEASURE_LEDGER_WAITING, "silver_ledger_waiting", "results", NULL,
          "Results that were received and are not committed."),
    COUNTER(SN_MEASURE_LEDGER_WRITTEN, "silver_ledger_written_total", "results", NULL, "Results that were written."),
    COUNTER(SN_MEASURE_LEDGER_BAD, "silver_ledger_bad_total", "results", NULL,
            "Messages that are no results and were set aside."),
};

const struct sn_metric_table sn_measure_table = { .rows = ROWS, .count = SN_MEASURE_COUNT };

static struct sn_metric_series *series(struct sn_metrics *m, enum sn_measure what, const char *label)
{
    return sn_metrics_series(m, what, &label);
}

void sn_measure_add(struct sn_metrics *m, enum sn_measure what, const char *label, double amount)
{
    if (m != NULL)
        sn_metric_add(series(m, what, label), amount);
}

void sn_measure_set(struct sn_metrics *m, enum sn_measure what, const char *label, double value)
{
    if (m != NULL)
        sn_metric_set(series(m, what, label), value);
}

void sn_measure_observe(struct sn_metrics *m, enum sn_measure what, const char *label, double value)
{
    if (m != NULL)
        sn_metric_observe(series(m, what, label), value);
}

static const char INTRODUCTION[] =
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "<!-- Generated: silverd --describe-metrics > docs/metrics.md -->\n"
    "# Metrics\n"
    "\n"
    "`silverd` answers `/metrics` at `process.http_listen` in the text format of Prometheus, version 0.0.4\n"
    "(<https://prometheus.io/docs/instrumenting/exposition_formats/>). Seconds and bytes are the units; a counter "
    "starts at 0 with its process.\n"
    "A series appears when it was first measured; without labels it is there from the start. Labels hold device ids of "
    "the inventory, names of\n"
    "drivers and fixed words, never anything of a message. A role that a process does not have measures nothing: its "
    "series stay at 0.\n"
    "\n"
    "The state of broker, Redis and devices is said here, not by the probes: a restart repairs none of them.\n"
    "\n";

void sn_measure_page(struct sn_buf *out)
{
    sn_buf_adds(out, INTRODUCTION);
    sn_metrics_describe(&sn_measure_table, out);
}
