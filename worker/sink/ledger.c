/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/ledger.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/sink/migrate.h"
#include "worker/sink/sink.h"

#define PARTITIONS_EVERY_MS (6 * 3600 * 1000)

/* A message that waits for the writer. */
struct item {
    struct item *next;
    struct sn_delivery *delivery;
};

struct sn_ledger {
    const struct sn_ledger_conf *conf;
    const struct sn_log *log;
    const char *queue;
    struct sn_consumer *consumer;
    pthread_t consumer_thread, writer_thread;
    bool started;

    /* Writer thread only. */
    struct sn_pg *pg;
    int64_t partitions_due_ms; /* monotonic */
    int backoff_ms;
    bool consuming;
    bool said_away; /* the log says that the database is away: once for each time */

    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct item *first, **last;
    size_t waiting;
    bool stopping;
    struct sn_ledger_state state;
};

/* ---- consumer's thread ---- */

static void on_delivered(void *arg, struct sn_delivery *d)
{
    struct sn_ledger *l = arg;
    struct item *item = calloc(1, sizeof(*item));

    if (item == NULL) { /* back to the broker: it has more memory than we */
        sn_consumer_nack(l->consumer, d->link, d->tag);
        sn_delivery_free(d);
        return;
    }
    item->delivery = d;
    pthread_mutex_lock(&l->lock);
    *l->last = item;
    l->last = &item->next;
    l->waiting++;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
}

static void on_link_up(void *arg, uint64_t link)
{
    (void)arg; /* the consumer consumes again by itself */
    (void)link;
}

/* What was not begun will come again on the next link. What the writer holds is finished: a second time does no harm.
 */
static void on_link_down(void *arg, uint64_t link, const char *why)
{
    struct sn_ledger *l = arg;
    struct item **at;

    (void)why; /* the consumer's state says it */
    pthread_mutex_lock(&l->lock);
    for (at = &l->first; *at != NULL;) {
        struct item *item = *at;
        if (item->delivery->link != link) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        l->waiting--;
        sn_delivery_free(item->delivery);
        free(item);
    }
    l->last = at;
    pthread_mutex_unlock(&l->lock);
}

static void *consumer_main(void *arg)
{
    struct sn_ledger *l = arg;
    sn_consumer_run(l->consumer);
    return NULL;
}

/* ---- writer's thread ---- */

static bool stopping(struct sn_ledger *l)
{
    bool yes;

    pthread_mutex_lock(&l->lock);
    yes = l->stopping;
    l->state.last_turn_ms = sn_clock_mono_ms();
    pthread_mutex_unlock(&l->lock);
    return yes;
}

static struct timespec at_mono(int64_t ms)
{
    return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
}

/* Sleeps, but not through a stop. */
static void pause_ms(struct sn_ledger *l, int ms)
{
    struct timespec until = at_mono(sn_clock_mono_ms() + ms);
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    while (!l->stopping && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    pthread_mutex_unlock(&l->lock);
}

static void set_database(struct sn_ledger *l, bool up, const struct sn_error *why)
{
    bool was;

    pthread_mutex_lock(&l->lock);
    was = l->state.database_up;
    l->state.database_up = up;
    if (up)
        l->state.why[0] = '\0';
    else
        (void)snprintf(l->state.why, sizeof(l->state.why), "%.250s", why->text);
    pthread_mutex_unlock(&l->lock);
    if (!up && !l->said_away)
        sn_log(l->log, SN_LOG_WARN, "ledger", "database away: results wait in the broker", "code", why->code, "why",
               why->text, NULL);
    else if (up && !was)
        sn_log(l->log, SN_LOG_INFO, "ledger", "database ready", NULL);
    l->said_away = !up;
}

/* What is written has times of many machines; of two that differ one is wrong. */
static int compare_clocks(struct sn_ledger *l, struct sn_error *err)
{
    struct sn_pg_result rows = { 0 };
    struct sn_pg_error pgerr;
    int64_t skew;
    char text[32];

    if (sn_pg_query(l->pg, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", 0, NULL,
                    sn_clock_mono_ms() + l->conf->timeout_ms, &rows, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    skew = strtoll(sn_pg_text(&rows, 0, 0), NULL, 10) - sn_clock_wall_ms();
    sn_pg_result_fini(&rows);
    pthread_mutex_lock(&l->lock);
    l->state.skew_ms = skew;
    pthread_mutex_unlock(&l->lock);
    if (skew > SN_CLOCK_SKEW_MAX_MS || skew < -SN_CLOCK_SKEW_MAX_MS) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)skew);
        sn_log(l->log, SN_LOG_ERROR, "ledger", "this clock and that of PostgreSQL differ", "ms", text, NULL);
    }
    return 0;
}

static int open_database(struct sn_ledger *l, struct sn_error *err)
{
    struct sn_pg_error pgerr;
    int applied = 0;
    int rc;

    if (sn_pg_open(l->conf->database, sn_clock_mono_ms() + l->conf->timeout_ms, &l->pg, &pgerr) != 0) {
        *err = pgerr.error;
        return -1;
    }
    rc = l->conf->migrate ? sn_migrate(l->pg, l->conf->timeout_ms, &applied, err)
                          : sn_migrate_check(l->pg, l->conf->timeout_ms, err);
    if (rc == 0 && applied > 0) {
        char count[16];
        (void)snprintf(count, sizeof(count), "%d", applied);
        sn_log(l->log, SN_LOG_INFO, "ledger", "schema brought up to date", "migrations", count, NULL);
    }
    l->partitions_due_ms = sn_clock_mono_ms() + PARTITIONS_EVERY_MS;
    return rc == 0 ? compare_clocks(l, err) : rc;
}

static void close_database(struct sn_ledger *l)
{
    sn_pg_close(l->pg);
    l->pg = NULL;
}

/* Waits jittered and longer each time. */
static void back_off(struct sn_ledger *l)
{
    int most = l->conf->reconnect_max_ms;

    l->backoff_ms = l->backoff_ms == 0 ? l->conf->reconnect_min_ms : l->backoff_ms * 2;
    if (l->backoff_ms > most)
        l->backoff_ms = most;
    pause_ms(l, l->backoff_ms / 2 + (int)sn_random_below((uint32_t)l->backoff_ms / 2 + 1));
}

static bool database_ready(struct sn_ledger *l)
{
    struct sn_error err;

    if (l->pg != NULL && sn_pg_idle(l->pg) == 0)
        return true;
    close_database(l);
    if (open_database(l, &err) != 0) {
        close_database(l);
        set_database(l, false, &err);
        return false;
    }
    set_database(l, true, NULL);
    return true;
}

/* Consumes only while there is a database to write to; else the messages are safer, and seen, in the broker. */
static void consume(struct sn_ledger *l, bool wanted)
{
    if (l->consuming == wanted)
        return;
    l->consuming = wanted;
    if (wanted)
        sn_consumer_want(l->consumer, l->queue, l->conf->prefetch);
    else
        sn_consumer_unwant(l->consumer, l->queue);
}

static void free_items(struct item *items)
{
    while (items != NULL) {
        struct item *next = items->next;
        sn_delivery_free(items->delivery);
        free(items);
        items = next;
    }
}

/* Takes everything that waits, up to one batch. */
static struct item *take_batch(struct sn_ledger *l, size_t *ret_n)
{
    struct item *batch, *end;
    size_t n = 0;

    pthread_mutex_lock(&l->lock);
    batch = l->first;
    for (end = NULL; l->first != NULL && n < (size_t)l->conf->prefetch; n++) {
        end = l->first;
        l->first = end->next;
    }
    if (end != NULL)
        end->next = NULL;
    if (l->first == NULL)
        l->last = &l->first;
    pthread_mutex_unlock(&l->lock);
    *ret_n = n;
    return n > 0 ? batch : NULL;
}

static void settle_batch(struct sn_ledger *l, struct item *batch, size_t n, bool ack)
{
    for (struct item *i = batch; i != NULL; i = i->next) {
        if (ack)
            sn_consumer_ack(l->consumer, i->delivery->link, i->delivery->tag);
        else
            sn_consumer_nack(l->consumer, i->delivery->link, i->delivery->tag);
    }
    pthread_mutex_lock(&l->lock);
    l->waiting -= n;
    pthread_mutex_unlock(&l->lock);
    free_items(batch);
}

static int write_batch(struct sn_ledger *l, const struct item *batch, size_t n, struct sn_error *err)
{
    struct sn_sink_message *messages = calloc(n, sizeof(*messages));
    size_t bad = 0, k = 0;
    enum sn_sink_wrote wrote;

    if (messages == NULL)
        return sn_error_oom(err);
    for (const struct item *i = batch; i != NULL; i = i->next) {
        messages[k++] = (struct sn_sink_message){ .body = i->delivery->body,
                                                  .len = i->delivery->len,
                                                  .content_type = i->delivery->content_type,
                                                  .routing_key = i->delivery->routing_key };
    }
    wrote = sn_sink_write(l->pg, l->conf->result_schema, messages, n, l->conf->timeout_ms, &bad, err);
    free(messages);
    if (wrote != SN_SINK_DONE)
        return -1;
    (void)SN_FAILPOINT("ledger.before-ack", "");
    if (bad > 0) {
        char count[24];
        (void)snprintf(count, sizeof(count), "%zu", bad);
        sn_log(l->log, SN_LOG_ERROR, "ledger", "messages that are no results were kept aside", "code",
               "ledger.bad-message", "count", count, "table", "silver.ledger_bad", NULL);
    }
    pthread_mutex_lock(&l->lock);
    l->state.written += (int64_t)(n - bad);
    l->state.bad += (int64_t)bad;
    l->state.last_commit_ms = sn_clock_mono_ms();
    pthread_mutex_unlock(&l->lock);
    return 0;
}

/* Carries one batch until it is committed. While the database is away it is held for a while, then given back. */
static void carry_batch(struct sn_ledger *l, struct item *batch, size_t n)
{
    int64_t since_ms = sn_clock_mono_ms();
    struct sn_error err;

    for (;;) {
        if (database_ready(l)) {
            if (write_batch(l, batch, n, &err) == 0) {
                settle_batch(l, batch, n, true);
                return;
            }
            close_database(l); /* whatever state it was in: a new connection has none */
            set_database(l, false, &err);
        }
        if (stopping(l) || sn_clock_mono_ms() - since_ms >= l->conf->give_back_ms)
            break;
        back_off(l);
    }
    consume(l, false);
    settle_batch(l, batch, n, false);
}

static void give_back_waiting(struct sn_ledger *l)
{
    size_t n;
    struct item *batch;

    while ((batch = take_batch(l, &n)) != NULL)
        settle_batch(l, batch, n, false);
}

/* Waits for messages, the next look after the database, or a stop. */
static void wait_for_work(struct sn_ledger *l)
{
    struct timespec until = at_mono(sn_clock_mono_ms() + 1000);
    int rc = 0;

    pthread_mutex_lock(&l->lock);
    while (!l->stopping && l->first == NULL && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    pthread_mutex_unlock(&l->lock);
}

static void make_partitions(struct sn_ledger *l)
{
    struct sn_error err;

    if (sn_clock_mono_ms() < l->partitions_due_ms)
        return;
    l->partitions_due_ms = sn_clock_mono_ms() + PARTITIONS_EVERY_MS;
    if (sn_migrate_partitions(l->pg, l->conf->timeout_ms, &err) != 0) {
        sn_log(l->log, SN_LOG_WARN, "ledger", "no partitions for the months ahead", "code", err.code, "why", err.text,
               NULL);
        close_database(l);
    }
}

static void *writer_main(void *arg)
{
    struct sn_ledger *l = arg;
    struct item *batch;
    size_t n;

    while (!stopping(l)) {
        if (!database_ready(l)) {
            consume(l, false);
            give_back_waiting(l);
            back_off(l);
            continue;
        }
        l->backoff_ms = 0;
        consume(l, true);
        make_partitions(l);
        wait_for_work(l);
        batch = take_batch(l, &n);
        if (batch != NULL)
            carry_batch(l, batch, n);
    }
    consume(l, false);
    close_database(l);
    return NULL;
}

/* ---- life ---- */

int sn_ledger_new(const struct sn_ledger_conf *conf, const struct sn_log *log, struct sn_ledger **ret,
                  struct sn_error *err)
{
    static const struct sn_consumer_ops ops = { .delivered = on_delivered,
                                                .link_up = on_link_up,
                                                .link_down = on_link_down };
    struct sn_ledger *l = calloc(1, sizeof(*l));
    pthread_condattr_t monotonic;

    if (l == NULL)
        return sn_error_oom(err);
    l->conf = conf;
    l->log = log;
    l->queue = conf->queue != NULL ? conf->queue : "silver.ledger";
    l->last = &l->first;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&l->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (sn_consumer_new(conf->broker, &ops, l, log, &l->consumer, err) != 0) {
        sn_ledger_free(l);
        return -1;
    }
    *ret = l;
    return 0;
}

int sn_ledger_start(struct sn_ledger *l, struct sn_error *err)
{
    if (pthread_create(&l->consumer_thread, NULL, consumer_main, l) != 0)
        return sn_error_set(err, "ledger.thread", "no thread for the ledger's consumer");
    if (pthread_create(&l->writer_thread, NULL, writer_main, l) != 0) {
        sn_consumer_stop(l->consumer);
        (void)pthread_join(l->consumer_thread, NULL);
        return sn_error_set(err, "ledger.thread", "no thread for the ledger's writer");
    }
    l->started = true;
    return 0;
}

void sn_ledger_stop(struct sn_ledger *l)
{
    if (!l->started)
        return;
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_broadcast(&l->changed);
    pthread_mutex_unlock(&l->lock);
    (void)pthread_join(l->writer_thread, NULL);
    sn_consumer_stop(l->consumer); /* sends the acknowledgements first */
    (void)pthread_join(l->consumer_thread, NULL);
    l->started = false;
}

void sn_ledger_free(struct sn_ledger *l)
{
    if (l == NULL)
        return;
    sn_consumer_free(l->consumer);
    free_items(l->first);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

void sn_ledger_state(struct sn_ledger *l, struct sn_ledger_state *ret)
{
    char why[sizeof(ret->why)] = "";
    int64_t turn;
    bool up = sn_consumer_state(l->consumer, &turn, why, sizeof(why));

    pthread_mutex_lock(&l->lock);
    *ret = l->state;
    ret->waiting = l->waiting;
    pthread_mutex_unlock(&l->lock);
    ret->broker_up = up;
    if (ret->why[0] == '\0')
        (void)snprintf(ret->why, sizeof(ret->why), "%s", why);
}
