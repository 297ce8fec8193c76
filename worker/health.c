/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/health.h"

#include <string.h>

#include "common/base/clock.h"
#include "worker/job/dispatch.h"
#include "worker/lane/lane.h"
#include "worker/metrics.h"

static void clock_line(struct sn_buf *out, const char *whose, int64_t skew_ms)
{
    if (skew_ms > SN_CLOCK_SKEW_MAX_MS || skew_ms < -SN_CLOCK_SKEW_MAX_MS)
        sn_buf_addf(out, "clock: %s is %lld s %s of this machine: NASes may drop our packets in silence\n", whose,
                    (long long)(skew_ms > 0 ? skew_ms : -skew_ms) / 1000, skew_ms > 0 ? "ahead" : "behind");
}

/* One loop of the process: turning, or stuck since. */
static bool loop_line(struct sn_buf *out, const char *name, int64_t last_turn_ms, int64_t stall_ms, const char *why)
{
    int64_t age = sn_clock_mono_ms() - last_turn_ms;
    bool ok = last_turn_ms > 0 && age < stall_ms;

    sn_buf_addf(out, "%s: %s, last turn %lld ms ago%s%s\n", name, ok ? "turns" : "STUCK", (long long)age,
                why[0] != '\0' ? "; " : "", why);
    return ok;
}

static bool loops(struct sn_health *h, struct sn_buf *out)
{
    bool ok = true;
    int64_t last;
    char why[256];

    if (h->fleet != NULL) {
        size_t waiting;
        (void)sn_consumer_state(h->fleet->consumer, &last, why, sizeof(why));
        ok = loop_line(out, "consume", last, h->stall_ms, why) && ok;
        (void)sn_publisher_state(h->fleet->publisher, &waiting, &last, why, sizeof(why));
        ok = loop_line(out, "publish", last, h->stall_ms, why) && ok;
        sn_buf_addf(out, "publish: %zu waiting for a confirm\n", waiting);
        sn_keeper_why(h->keeper, why, sizeof(why));
        ok = loop_line(out, "keeper", sn_keeper_last_turn_ms(h->keeper), h->stall_ms, why) && ok;
    }
    if (h->ledger != NULL) {
        struct sn_ledger_state s;
        sn_ledger_state(h->ledger, &s);
        ok = loop_line(out, "ledger", s.last_turn_ms, h->stall_ms, s.why) && ok;
        clock_line(out, "PostgreSQL", s.skew_ms);
        sn_buf_addf(out, "ledger: %zu waiting, %lld written, %lld bad\n", s.waiting, (long long)s.written,
                    (long long)s.bad);
    }
    return ok;
}

static const char *own_word(enum sn_own_state s)
{
    return s == SN_OWN_READY     ? "owned"
           : s == SN_OWN_WAITING ? "not owned yet: waits out the former owner"
                                 : "not owned";
}

static void device_lines(struct sn_fleet *fleet, struct sn_buf *out)
{
    int64_t oldest = sn_dispatch_oldest_ms(fleet->dispatch);

    sn_buf_addf(out, "jobs: %d in hand, oldest %lld ms, %llu done\n", sn_dispatch_in_hand(fleet->dispatch),
                (long long)(oldest > 0 ? sn_clock_mono_ms() - oldest : 0),
                (unsigned long long)atomic_load(&fleet->jobs_done));
    clock_line(out, "Redis", atomic_load(&fleet->skew_ms));
    if (atomic_load(&fleet->stopping))
        sn_buf_addf(out, "stopping: %s\n", atomic_load(&fleet->halted) ? "nothing more is written, replies in flight are awaited"
                                                                       : "draining, no new jobs are taken");
    if (atomic_load(&fleet->unsure))
        sn_buf_adds(out, "unsure: Redis does not answer or its records are not whole: no device is written to\n");
    for (size_t i = 0; i < fleet->devices_n; i++) {
        struct sn_device *d = &fleet->devices[i];
        int ready;
        int unsaved_jobs;
        sn_lane_counts(d->lane, &ready, &unsaved_jobs);
        (void)pthread_mutex_lock(&d->lock);
        sn_buf_addf(out, "device %s: %s, gate %s %s, %d in lane, %d waiting for the save, %d unsaved writes%s%s\n",
                    d->target->id, own_word(d->own), sn_gate_is_open(&d->gate) ? "open" : "CLOSED",
                    sn_gate_is_open(&d->gate) ? "" : d->gate.code, ready, unsaved_jobs, atomic_load(&d->unsaved),
                    d->own == SN_OWN_NONE && d->rival[0] != '\0' ? ", held by " : "",
                    d->own == SN_OWN_NONE ? d->rival : "");
        (void)pthread_mutex_unlock(&d->lock);
    }
}

static void healthz(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    struct sn_health *h = arg;
    bool ok = loops(h, &reply->body);

    if (sn_http_call_param(call, "verbose") == NULL) {
        sn_buf_clear(&reply->body);
        sn_buf_adds(&reply->body, ok ? "ok\n" : "stuck: see /healthz?verbose\n");
    } else if (h->fleet != NULL) {
        device_lines(h->fleet, &reply->body);
    }
    reply->status = ok ? 200 : 503;
}

static void readyz(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    struct sn_health *h = arg;
    bool ok = loops(h, &reply->body);

    (void)call;
    sn_buf_clear(&reply->body);
    sn_buf_adds(&reply->body, ok ? "ready\n" : "not ready: see /healthz?verbose\n");
    reply->status = ok ? 200 : 503;
}

/* What is not counted where it happens is read when somebody asks. */
static void look_at_fleet(const struct sn_fleet *f, struct sn_metrics *m)
{
    int64_t oldest = sn_dispatch_oldest_ms(f->dispatch);
    int64_t last;
    size_t waiting;
    char why[256];

    sn_measure_set(m, SN_MEASURE_CONSUMER_UP, NULL, sn_consumer_state(f->consumer, &last, why, sizeof(why)));
    sn_measure_set(m, SN_MEASURE_PUBLISHER_UP, NULL,
                   sn_publisher_state(f->publisher, &waiting, &last, why, sizeof(why)));
    sn_measure_set(m, SN_MEASURE_PUBLICATIONS_WAITING, NULL, (double)waiting);
    sn_measure_set(m, SN_MEASURE_STORE_UNSURE, NULL, atomic_load(&f->unsure));
    sn_measure_set(m, SN_MEASURE_CLOCK_SKEW_SECONDS, "redis", (double)atomic_load(&f->skew_ms) / 1000);
    sn_measure_set(m, SN_MEASURE_JOBS_IN_HAND, NULL, sn_dispatch_in_hand(f->dispatch));
    sn_measure_set(m, SN_MEASURE_JOBS_DONE, NULL, (double)atomic_load(&f->jobs_done));
    sn_measure_set(m, SN_MEASURE_JOB_OLDEST_SECONDS, NULL,
                   oldest > 0 ? (double)(sn_clock_mono_ms() - oldest) / 1000 : 0);
    for (size_t i = 0; i < f->devices_n; i++) {
        struct sn_device *d = &f->devices[i];
        sn_measure_set(m, SN_MEASURE_DEVICE_GATE_OPEN, d->target->id, sn_device_is_open(d));
        sn_measure_set(m, SN_MEASURE_DEVICE_OWNED, d->target->id, atomic_load(&d->owned));
        sn_measure_set(m, SN_MEASURE_DEVICE_UNSAVED_WRITES, d->target->id, (double)atomic_load(&d->unsaved));
        sn_measure_set(m, SN_MEASURE_DEVICE_SESSION_WARM, d->target->id, atomic_load(&d->warm_since_ms) != 0);
    }
}

static void look_at_ledger(struct sn_ledger *l, struct sn_metrics *m)
{
    struct sn_ledger_state s;

    sn_ledger_state(l, &s);
    sn_measure_set(m, SN_MEASURE_LEDGER_UP, NULL, s.database_up);
    sn_measure_set(m, SN_MEASURE_CLOCK_SKEW_SECONDS, "postgresql", (double)s.skew_ms / 1000);
    sn_measure_set(m, SN_MEASURE_LEDGER_WAITING, NULL, (double)s.waiting);
    sn_measure_set(m, SN_MEASURE_LEDGER_WRITTEN, NULL, (double)s.written);
    sn_measure_set(m, SN_MEASURE_LEDGER_BAD, NULL, (double)s.bad);
}

static void metrics(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    struct sn_health *h = arg;

    (void)call;
    if (h->fleet != NULL)
        look_at_fleet(h->fleet, h->metrics);
    if (h->ledger != NULL)
        look_at_ledger(h->ledger, h->metrics);
    reply->content_type = SN_METRICS_CONTENT_TYPE;
    sn_metrics_expose(h->metrics, &reply->body);
}

int sn_health_serve(struct sn_health *health, const char *address, int port, struct sn_http_server **ret,
                    struct sn_error *err)
{
    health->routes[0] = (struct sn_http_route){ "/healthz", healthz, health };
    health->routes[1] = (struct sn_http_route){ "/readyz", readyz, health };
    health->routes[2] = (struct sn_http_route){ "/metrics", metrics, health };
    return sn_http_serve(address, port, health->routes, 3, ret, err);
}
