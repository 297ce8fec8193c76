/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/boot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/http/http.h"
#include "worker/control/control.h"
#include "worker/fleet/fleet.h"
#include "worker/fleet/keeper.h"
#include "worker/health.h"
#include "worker/job/dispatch.h"
#include "worker/lane/lane.h"
#include "worker/metrics.h"
#include "worker/options.h"
#include "worker/sink/heal.h"
#include "worker/sink/ledger.h"

/* What nobody needs to set. */
#define LEDGER_RECONNECT_MIN_MS 100
#define LEDGER_RECONNECT_MAX_MS 5000
#define LEDGER_GIVE_BACK_MS 60000 /* PostgreSQL away for so long: what was taken in goes back to the broker */
#define HEAL_LOOK_MS 250          /* how soon a flushed Redis is seen */
#define CTL_TTL_MS 30000          /* a question that nobody took is gone */
#define INTAKE_PREFETCH 64
#define STALL_MS 60000            /* a loop that did not turn for so long is stuck, for /healthz */
#define CONFIRM_CLEAN_MS 5000     /* what is unconfirmed at a stop is waited for … */
#define CONFIRM_HURRIED_MS 500    /* … and when it was no clean drain */
#define SAY_DRAIN_EVERY_MS 5000

#ifndef SN_VERSION
#define SN_VERSION "0.1.0"
#endif

struct sn_boot {
    struct sn_options options;
    bool runs_worker;
    bool runs_ledger;
    struct sn_log log;
    struct sn_redact *redact;
    struct sn_metrics *metrics;
    struct sn_schemas *schemas;
    struct sn_secret_store *secrets;
    struct sn_secret broker_password;
    struct sn_secret redis_password;
    struct sn_secret ledger_password;
    struct sn_fleet fleet;
    struct sn_pg_conf pg;
    struct sn_ledger_conf ledger_conf;
    struct sn_heal_conf heal_conf;
    struct sn_ledger *ledger;
    struct sn_heal *heal;
    struct sn_keeper *keeper;
    struct sn_control *control;
    struct sn_health health;
    struct sn_http_server *http;
    pthread_t consumer_thread;
    pthread_t publisher_thread;
    bool consumer_runs;
    bool publisher_runs;
};

/* ---- settings ---- */

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static int resolve(const struct sn_boot *b, const char *what, const char *reference, struct sn_secret *ret, struct sn_error *err)
{
    if (reference == NULL || reference[0] == '\0')
        return 0;
    if (sn_secret_resolve(b->secrets, reference, ret, err) != 0)
        return sn_error_prefix(err, "%s", what);
    return 0;
}

static void worker_id(const struct sn_options *o, struct sn_fleet_conf *c)
{
    unsigned char start[4];
    char host[64] = "";

    if (o->process.name != NULL && o->process.name[0] != '\0')
        (void)snprintf(c->name, sizeof(c->name), "%s", o->process.name);
    else if (gethostname(host, sizeof(host) - 1) == 0)
        (void)snprintf(c->name, sizeof(c->name), "%s", host);
    sn_random_bytes(start, sizeof(start));
    (void)snprintf(c->worker, sizeof(c->worker), "%s/%02x%02x%02x%02x", c->name, start[0], start[1], start[2], start[3]);
}

static void fleet_settings(struct sn_boot *b)
{
    const struct sn_options *o = &b->options;
    struct sn_fleet_conf *c = &b->fleet.conf;

    worker_id(o, c);
    c->store = (struct sn_store_conf){ .host = o->redis.host, .port = (int)o->redis.port, .db = (int)o->redis.db,
                                       .password = b->redis_password.data, .timeout_ms = (int)o->redis.timeout,
                                       .replicas = (int)o->redis.replicas };
    c->broker = (struct sn_broker_conf){ .host = o->broker.host, .port = (int)o->broker.port, .vhost = o->broker.vhost,
                                         .user = o->broker.user, .password = b->broker_password.data, .name = c->worker,
                                         .heartbeat_s = (int)(o->broker.heartbeat / 1000),
                                         .connect_timeout_ms = (int)o->broker.connect_timeout,
                                         .rpc_timeout_ms = (int)o->broker.rpc_timeout,
                                         .confirm_timeout_ms = (int)o->broker.confirm_timeout,
                                         .reconnect_min_ms = (int)o->broker.reconnect_min,
                                         .reconnect_max_ms = (int)o->broker.reconnect_max };
    c->ladder = (struct sn_ladder){ { o->ladder.level_1, o->ladder.level_2, o->ladder.level_3, o->ladder.level_4, o->ladder.level_5 } };
    c->gate = (struct sn_gate_conf){ .probe_min_ms = o->gate.probe_min, .probe_max_ms = o->gate.probe_max,
                                     .probe_busy_ms = o->gate.probe_busy, .equal_failures = (int)o->gate.equal_failures };
    c->store_check_ms = o->redis.check_every;
    c->session_ttl_ms = o->session.ttl;
    c->session_margin_ms = o->session.margin;
    c->settle_ms = o->job.session_settle;
    c->save_every_ms = o->save.every;
    c->idle_close_ms = o->lanes.idle_close;
    c->job_deadline_ms = o->job.deadline;
    c->connect_timeout_ms = o->lanes.connect_timeout;
    c->hold_max_ms = o->job.hold_max;
    c->store_retry_ms = o->job.store_retry;
    c->attempts_max = (int)o->job.attempts_max;
    c->rounds_max = (int)o->job.rounds_max;
    c->crash_max = (int)o->job.crash_max;
    c->pool_threads = (int)o->lanes.shared_pool;
    c->front_threads = (int)o->lanes.front;
    c->log_bytes = (size_t)o->limits.log_bytes;
}

static int open_secrets(struct sn_boot *b, struct sn_error *err)
{
    const struct sn_options *o = &b->options;
    struct sn_secret_conf conf = { .fleet_key_file = or_null(o->secrets.fleet_key_file), .vault_address = or_null(o->secrets.vault_address),
                                   .vault_ca_file = or_null(o->secrets.vault_ca_file), .vault_token_file = or_null(o->secrets.vault_token_file), .file_root = or_null(o->secrets.file_root),
                                   .timeout_ms = (int)o->secrets.timeout };

    if (sn_secret_store_new(&conf, b->redact, &b->secrets, err) != 0)
        return -1;
    if (resolve(b, "broker.password", o->broker.password, &b->broker_password, err) != 0 ||
        resolve(b, "redis.password", o->redis.password, &b->redis_password, err) != 0 ||
        resolve(b, "ledger.password", o->ledger.password, &b->ledger_password, err) != 0)
        return -1;
    if (b->runs_worker && sn_secret_hash_key(b->secrets) == NULL)
        return sn_error_set(err, "config.fleet-key", "secrets.fleet_key_file is not set: generations cannot be compared without it");
    return 0;
}

static const char USAGE[] = "silverd --config FILE [section.key=value ...]\n"
                            "silverd --print-config | --describe-options | --describe-metrics | --version | --help\n"
                            "\n"
                            "Settings come from the file, then from SILVER_SECTION_KEY in the environment, then from the command line.\n"
                            "What there is: docs/configuration.md.\n"
                            "Exit: 0 stopped, 69 the broker did not come, 78 the settings do not fit.\n";

static void print(struct sn_buf *text)
{
    (void)fputs(sn_buf_str(text), stdout);
    sn_buf_fini(text);
}

/* 0 = filled; 1 = the command line asked for something else and was answered; -1 = err. */
static int read_options(int argc, char **argv, struct sn_options *o, struct sn_error *err)
{
    struct sn_option_sources sources = { .file = "/etc/silver-netops/silverd.yaml", .file_may_lack = true, .environment = environ,
                                         .not_ours = sn_options_not_ours };
    const char *settings[64];
    struct sn_buf text = SN_BUF_INIT;
    bool show = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc) {
            sources.file = argv[++i];
            sources.file_may_lack = false;
        } else if (strcmp(argv[i], "--print-config") == 0) {
            show = true;
        } else if (strcmp(argv[i], "--describe-options") == 0) {
            sn_options_page(&text);
            print(&text);
            return 1;
        } else if (strcmp(argv[i], "--describe-metrics") == 0) {
            sn_measure_page(&text);
            print(&text);
            return 1;
        } else if (strcmp(argv[i], "--version") == 0) {
            (void)printf("silverd %s\n", SN_VERSION);
            return 1;
        } else if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(USAGE, stdout);
            return 1;
        } else if (strchr(argv[i], '=') != NULL && sources.settings_count < 64) {
            settings[sources.settings_count++] = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : argv[i];
        } else {
            return sn_error_set(err, "config.usage", "%s is not understood; silverd --help", argv[i]);
        }
    }
    sources.settings = settings;
    if (sn_options_load(&sn_option_table, &sources, o, err) != 0)
        return -1;
    if (sn_options_check(o, err) != 0) {
        sn_options_free(&sn_option_table, o);
        return -1;
    }
    if (!show)
        return 0;
    sn_options_print(&sn_option_table, o, &text);
    print(&text);
    sn_options_free(&sn_option_table, o);
    return 1;
}

int sn_boot_configure(int argc, char **argv, struct sn_boot **ret, int *ret_code, struct sn_error *err)
{
    struct sn_boot *b = calloc(1, sizeof(*b));
    int said;

    *ret = NULL;
    *ret_code = 0;
    if (b == NULL)
        return sn_error_oom(err);
    said = read_options(argc, argv, &b->options, err);
    if (said != 0) {
        free(b);
        return said > 0 ? 0 : -1;
    }
    b->runs_worker = sn_options_has_role(&b->options, "worker");
    b->runs_ledger = sn_options_has_role(&b->options, "ledger");
    b->redact = sn_redact_new();
    b->log = (struct sn_log){ .level = (enum sn_log_level)b->options.process.log_level, .json = b->options.process.log_json, .fd = 2,
                              .redact = b->redact };
    if ((b->redact == NULL && sn_error_oom(err) != 0) || sn_metrics_new(&sn_measure_table, &b->metrics, err) != 0 ||
        sn_schemas_load(&b->schemas, err) != 0 || open_secrets(b, err) != 0) {
        sn_boot_free(b);
        return -1;
    }
    sn_measure_set(b->metrics, SN_MEASURE_BUILD_INFO, SN_VERSION, 1);
    fleet_settings(b);
    *ret = b;
    return 0;
}

bool sn_boot_wants_core(const struct sn_boot *b)
{
    return b->options.process.core_dumps;
}

/* ---- roles ---- */

static int start_ledger(struct sn_boot *b, struct sn_error *err)
{
    const struct sn_options *o = &b->options;

    b->pg = (struct sn_pg_conf){ .host = o->ledger.host, .port = (int)o->ledger.port, .database = o->ledger.database,
                                 .user = o->ledger.user, .password = b->ledger_password.data, .sslmode = o->ledger.sslmode };
    b->ledger_conf = (struct sn_ledger_conf){ .broker = &b->fleet.conf.broker, .result_schema = sn_schemas_get(b->schemas, SN_SCHEMA_RESULT),
                                              .database = &b->pg, .prefetch = (int)o->ledger.batch, .migrate = true,
                                              .timeout_ms = (int)o->ledger.timeout, .reconnect_min_ms = LEDGER_RECONNECT_MIN_MS,
                                              .reconnect_max_ms = LEDGER_RECONNECT_MAX_MS, .give_back_ms = LEDGER_GIVE_BACK_MS };
    b->heal_conf = (struct sn_heal_conf){ .store = b->fleet.conf.store, .database = &b->pg, .broker = &b->fleet.conf.broker,
                                          .look_every_ms = HEAL_LOOK_MS, .timeout_ms = (int)o->ledger.timeout };
    if (sn_ledger_new(&b->ledger_conf, &b->log, &b->ledger, err) != 0 || sn_ledger_start(b->ledger, err) != 0)
        return -1;
    return sn_heal_start(&b->heal_conf, b->ledger, &b->log, &b->heal, err);
}

/* Waits so long at most for a signal that ends the process. SIGHUP is for those who reload by habit. */
static bool is_asked_to_stop(const sigset_t *signals, int ms)
{
    int got = sigtimedwait(signals, NULL, &(struct timespec){ .tv_nsec = ms * 1000000L });

    return got > 0 && got != SIGHUP;
}

/* The topology is there before the first consumer asks for it. A broker that is not up yet is waited for: in a cluster everything starts
 * at once. One that never came is no fault of the settings. 1 = a signal came. */
static int apply_topology(struct sn_boot *b, const sigset_t *signals, int *ret_code, struct sn_error *err)
{
    int64_t deadline = sn_clock_mono_ms() + b->options.broker.start_wait;

    for (;;) {
        struct sn_broker_client *client;
        int rc = sn_broker_client_open(&b->fleet.conf.broker, &client, err);
        if (rc == 0) {
            rc = sn_topology_base(client, &b->fleet.conf.ladder, err);
            sn_broker_client_close(client);
        }
        /* a node that has just started accepts links before its queues are ready */
        if (rc == 0 || strcmp(err->code, "broker.topology-differs") == 0)
            return rc;
        if (sn_clock_mono_ms() > deadline) {
            *ret_code = SN_BOOT_UNREACHABLE;
            return -1;
        }
        sn_log(&b->log, SN_LOG_WARN, "boot", "the broker is not there yet", "why", err->text, NULL);
        if (is_asked_to_stop(signals, 500))
            return 1;
    }
}

static void *run_consumer(void *arg)
{
    sn_consumer_run(arg);
    return NULL;
}

static void *run_publisher(void *arg)
{
    sn_publisher_run(arg);
    return NULL;
}

static int start_threads(struct sn_boot *b, struct sn_error *err)
{
    if (pthread_create(&b->publisher_thread, NULL, run_publisher, b->fleet.publisher) != 0)
        return sn_error_set(err, "process.resources", "the publisher's thread cannot be started");
    b->publisher_runs = true;
    if (pthread_create(&b->consumer_thread, NULL, run_consumer, b->fleet.consumer) != 0)
        return sn_error_set(err, "process.resources", "the consumer's thread cannot be started");
    b->consumer_runs = true;
    return 0;
}

static int start_lanes(struct sn_fleet *f, struct sn_error *err)
{
    if (sn_lane_start(f, NULL, f->conf.front_threads, &f->front, err) != 0)
        return -1;
    for (size_t i = 0; i < f->devices_n; i++) {
        struct sn_device *d = &f->devices[i];
        int wanted = d->target->sessions_max > 0 ? d->target->sessions_max : f->conf.pool_threads;
        int threads = d->driver->sessions_max < wanted ? d->driver->sessions_max : wanted;
        if (sn_lane_start(f, d, threads, &d->lane, err) != 0)
            return -1;
    }
    return 0;
}

/* A lane's own: its wake-up, Redis, a session with two descriptors and one in passing. Said at the start, not at three in the morning. */
static void check_descriptors(const struct sn_boot *b)
{
    size_t wanted = 64;
    struct rlimit files;
    char text[2][24];

    for (size_t i = 0; i < b->fleet.devices_n; i++)
        wanted += sn_device_is_exclusive(&b->fleet.devices[i]) ? 5 : 4 * (size_t)b->fleet.conf.pool_threads + 1;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted)
        return;
    (void)snprintf(text[0], sizeof(text[0]), "%zu", wanted);
    (void)snprintf(text[1], sizeof(text[1]), "%llu", (unsigned long long)files.rlim_cur);
    sn_log(&b->log, SN_LOG_WARN, "boot", "so many devices may need more descriptors than are allowed (LimitNOFILE)", "wanted", text[0],
           "allowed", text[1], NULL);
}

static int session_text(const struct sn_boot *b, char *out, size_t size)
{
    char since[SN_TIME_TEXT_MAX];

    sn_clock_format_utc(sn_clock_wall_ms(), since);
    return snprintf(out, size, "{\"name\":\"%s\",\"since\":\"%s\",\"http\":\"%s\",\"version\":\"%s\"}", b->fleet.conf.name, since,
                    b->options.process.http_listen, SN_VERSION);
}

static int start_worker(struct sn_boot *b, struct sn_error *err)
{
    struct sn_fleet *f = &b->fleet;
    char ctl_queue[160];
    char session[512];

    f->log = &b->log;
    f->redact = b->redact;
    f->metrics = b->metrics;
    f->secrets = b->secrets;
    f->policy = (struct sn_event_policy){ .schemas = b->schemas, .fleet_key = sn_secret_hash_key(b->secrets),
                                          .seal_public = sn_secret_seal_public(b->secrets),
                                          .sources = (const char *const *)b->options.events.sources,
                                          .inline_secrets = b->options.secrets.inline_secrets,
                                          .secrets = b->secrets }; /* a replayed event has the rev of its original */
    if (sn_inventory_load_file(b->options.inventory.path, b->schemas, &f->inventory, err) != 0 || sn_fleet_init(f, err) != 0 ||
        sn_dispatch_new(f, &f->dispatch, err) != 0 || sn_publisher_new(&f->conf.broker, &b->log, &f->publisher, err) != 0 ||
        sn_consumer_new(&f->conf.broker, &sn_dispatch_ops, f->dispatch, &b->log, &f->consumer, err) != 0 ||
        start_lanes(f, err) != 0 || start_threads(b, err) != 0)
        return -1;
    check_descriptors(b);
    (void)session_text(b, session, sizeof(session));
    if (sn_keeper_start(f, session, &b->keeper, err) != 0 || sn_control_new(f, b->keeper, &b->control, err) != 0)
        return -1;
    sn_dispatch_on_ctl(f->dispatch, sn_control_handle, b->control);
    (void)snprintf(ctl_queue, sizeof(ctl_queue), "silver.ctl.%s", f->conf.worker);
    sn_consumer_own_queue(f->consumer, ctl_queue, "silver.ctl", f->conf.worker, CTL_TTL_MS);
    sn_consumer_want(f->consumer, "silver.intake", INTAKE_PREFETCH);
    return 0;
}

/* A Redis that answers and is set up to forget is a wrong setting; one that does not answer is waited for, by the keeper. */
static int check_store(struct sn_boot *b, struct sn_error *err)
{
    struct sn_store *store = sn_store_new(&b->fleet.conf.store);
    int64_t skew_ms;
    int rc = 0;

    if (store == NULL)
        return sn_error_oom(err);
    if (sn_store_check(store, &skew_ms, err) != 0 && strcmp(err->code, "store.eviction") == 0)
        rc = -1;
    sn_store_free(store);
    return rc;
}

int sn_boot_start(struct sn_boot *b, const sigset_t *signals, int *ret_code, struct sn_error *err)
{
    char address[SN_HTTP_ADDRESS_MAX];
    const char *listen = b->options.process.http_listen;
    int port;
    int rc = check_store(b, err);

    *ret_code = SN_BOOT_MISCONFIGURED;
    if (rc == 0)
        rc = apply_topology(b, signals, ret_code, err);
    if (rc != 0)
        return rc;
    if (b->runs_ledger && start_ledger(b, err) != 0)
        return -1;
    if (b->runs_worker && start_worker(b, err) != 0)
        return -1;
    b->health = (struct sn_health){ .fleet = b->runs_worker ? &b->fleet : NULL, .keeper = b->keeper, .ledger = b->ledger,
                                    .metrics = b->metrics, .stall_ms = STALL_MS };
    if (listen[0] != '\0' && (sn_http_parse_listen(listen, address, &port, err) != 0 ||
                               sn_health_serve(&b->health, address, port, &b->http, err) != 0))
        return -1;
    sn_log(&b->log, SN_LOG_INFO, "boot", "started", "worker", b->fleet.conf.worker, "version", SN_VERSION, NULL);
    return 0;
}

/* ---- the way back ---- */

static void update_all(struct sn_fleet *f)
{
    for (size_t i = 0; i < f->devices_n; i++)
        sn_fleet_update_consuming(f, &f->devices[i]);
}

static void say_in_hand(struct sn_boot *b, enum sn_log_level level, const char *what)
{
    char jobs[16];

    (void)snprintf(jobs, sizeof(jobs), "%d", sn_dispatch_in_hand(b->fleet.dispatch));
    sn_log(&b->log, level, "boot", what, "jobs", jobs, NULL);
}

/* Waits until nothing is in hand, a second signal comes, or the drain's time is over. True = everything ended by itself. */
static bool drain(struct sn_boot *b, const sigset_t *signals)
{
    struct sn_fleet *f = &b->fleet;
    int64_t now = sn_clock_mono_ms();
    int64_t deadline = now + b->options.job.drain;
    int64_t say_at = now + SAY_DRAIN_EVERY_MS;

    say_in_hand(b, SN_LOG_INFO, "draining: no new jobs, finishing those in hand");
    for (; sn_dispatch_in_hand(f->dispatch) > 0; now = sn_clock_mono_ms()) {
        if (now >= deadline) {
            say_in_hand(b, SN_LOG_WARN, "the drain's time is over: nothing more is written, the rest is given back");
            return false;
        }
        if (now >= say_at) {
            say_in_hand(b, SN_LOG_INFO, "still draining");
            say_at = now + SAY_DRAIN_EVERY_MS;
        }
        sn_consumer_wake(f->consumer);
        if (is_asked_to_stop(signals, 50)) {
            say_in_hand(b, SN_LOG_WARN, "second signal: nothing more is written, replies in flight are awaited, the rest is given back");
            return false;
        }
    }
    return true;
}

static volatile sig_atomic_t signals_until_leaving;

static void leave_at_once(int number)
{
    static const char said[] = "silverd: one more signal: leaving at once, as after a kill; the next owner reads before it writes\n";
    ssize_t n;

    (void)number;
    signals_until_leaving = signals_until_leaving - 1;
    if (signals_until_leaving > 0)
        return;
    n = write(STDERR_FILENO, said, sizeof(said) - 1);
    (void)n;
    _exit(EXIT_FAILURE);
}

/* From here on threads are joined, and each may wait for its target: a person who is in a hurry is still heard. */
static void listen_for_the_hurried(const sigset_t *signals, bool clean)
{
    struct sigaction leave = { .sa_handler = leave_at_once };

    signals_until_leaving = clean ? 2 : 1; /* the second signal may have been meant for a drain that was just over */
    (void)sigemptyset(&leave.sa_mask);
    (void)sigaction(SIGTERM, &leave, NULL);
    (void)sigaction(SIGINT, &leave, NULL);
    (void)signal(SIGHUP, SIG_IGN);
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static void stop_worker(struct sn_boot *b, const sigset_t *signals)
{
    struct sn_fleet *f = &b->fleet;
    bool clean = false;

    atomic_store(&f->stopping, true);
    if (f->consumer != NULL && b->consumer_runs) {
        sn_consumer_unwant(f->consumer, "silver.intake");
        update_all(f);
        clean = drain(b, signals);
        atomic_store(&f->halted, !clean);
    }
    listen_for_the_hurried(signals, clean);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_ask_to_stop(f->devices[i].lane, clean);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_stop(f->devices[i].lane, clean);
    sn_lane_stop(f->front, clean);
    if (b->keeper != NULL)
        sn_keeper_stop(b->keeper);
    if (b->publisher_runs) {
        sn_publisher_stop(f->publisher, sn_clock_mono_ms() + (clean ? CONFIRM_CLEAN_MS : CONFIRM_HURRIED_MS));
        (void)pthread_join(b->publisher_thread, NULL);
    }
    if (b->consumer_runs) {
        sn_consumer_stop(f->consumer);
        (void)pthread_join(b->consumer_thread, NULL);
    }
}

void sn_boot_stop(struct sn_boot *b, const sigset_t *signals)
{
    if (b->runs_worker)
        stop_worker(b, signals);
    else
        listen_for_the_hurried(signals, true);
    sn_http_server_stop(b->http); /* a drain may take minutes: what it waits for is to be seen */
    b->http = NULL;
    sn_heal_stop(b->heal);
    b->heal = NULL;
    if (b->ledger != NULL)
        sn_ledger_stop(b->ledger);
    sn_log(&b->log, SN_LOG_INFO, "boot", "stopped", NULL);
}

void sn_boot_free(struct sn_boot *b)
{
    struct sn_fleet *f;

    if (b == NULL)
        return;
    f = &b->fleet;
    sn_control_free(b->control);
    sn_keeper_free(b->keeper);
    for (size_t i = 0; i < f->devices_n; i++)
        sn_lane_free(f->devices[i].lane);
    sn_lane_free(f->front);
    sn_publisher_free(f->publisher); /* tells the jobs of what was never sent, which wakes the consumer */
    sn_consumer_free(f->consumer);
    sn_dispatch_free(f->dispatch);
    sn_fleet_fini(f);
    sn_inventory_unref(f->inventory);
    sn_ledger_free(b->ledger);
    sn_secret_fini(&b->broker_password);
    sn_secret_fini(&b->redis_password);
    sn_secret_fini(&b->ledger_password);
    sn_secret_store_free(b->secrets);
    sn_schemas_free(b->schemas);
    sn_metrics_free(b->metrics);
    sn_options_free(&sn_option_table, &b->options);
    sn_redact_free(b->redact);
    free(b);
}
