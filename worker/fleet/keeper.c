/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "worker/fleet/orphans.h"


struct sn_keeper {
    struct sn_fleet *fleet;
    struct sn_store *store;
    struct sn_orphans *orphans;
    char *session_json;
    pthread_t thread;
    int event_fd;
    atomic_bool stop;
    atomic_llong last_turn_ms;
    struct sn_broker_client *client; /* of this turn, for declarations; NULL = none yet */
    size_t next;          /* device at which the next round over all begins */
    bool gates_read;
    int64_t checked_ms;   /* monotonic: policy and clock of Redis */
    int64_t confirmed_ms; /* monotonic: what we own is still ours */
    char (*gates_told)[64]; /* per device: digest of the gate that Redis was last told */
    enum lock { LOCK_UNREAD, LOCK_OPEN, LOCK_PERSON } *locks; /* per device: a person's lock, as last read or told */
    pthread_mutex_t lock;
    char why[256];          /* (lock) */
};

static void say_why(struct sn_keeper *k, const char *why)
{
    (void)pthread_mutex_lock(&k->lock);
    (void)snprintf(k->why, sizeof(k->why), "%.*s", (int)sizeof(k->why) - 1, why);
    (void)pthread_mutex_unlock(&k->lock);
}

void sn_keeper_why(struct sn_keeper *k, char *out, size_t size)
{
    (void)pthread_mutex_lock(&k->lock);
    (void)snprintf(out, size, "%s", k->why);
    (void)pthread_mutex_unlock(&k->lock);
}

int64_t sn_keeper_last_turn_ms(const struct sn_keeper *k)
{
    return atomic_load(&k->last_turn_ms);
}

void sn_keeper_wake(struct sn_keeper *k)
{
    uint64_t one = 1;
    ssize_t n = write(k->event_fd, &one, sizeof(one));

    (void)n;
}

static void update_all(struct sn_fleet *fleet)
{
    for (size_t i = 0; i < fleet->devices_n; i++)
        sn_fleet_update_consuming(fleet, &fleet->devices[i]);
}

/* Not ours any more: its lane may not write one more byte, and if it waits for the device it is woken by a dead socket. */
static void lose(struct sn_keeper *k, struct sn_device *d)
{
    bool had;

    atomic_store(&d->owned, false);
    (void)pthread_mutex_lock(&d->lock);
    had = d->own != SN_OWN_NONE;
    if (had)
        sn_log(k->fleet->log, SN_LOG_ERROR, "keeper", "ownership lost", "device", d->target->id, NULL);
    d->own = SN_OWN_NONE;
    d->rival_seen_alive = false;
    (void)pthread_mutex_unlock(&d->lock);
    if (had)
        (void)SN_FAILPOINT("keeper.lost", d->target->id);
    (void)sn_device_cut(d);
    sn_device_wake(d);
}

/* The lease is over. */
static void lose_everything(struct sn_keeper *k)
{
    for (size_t i = 0; i < k->fleet->devices_n; i++)
        lose(k, &k->fleet->devices[i]);
    update_all(k->fleet);
}

/* No device is written to, and why: one line for each reason. */
static void be_unsure(struct sn_keeper *k, const char *what, const struct sn_error *err)
{
    char before[sizeof(k->why)];

    sn_keeper_why(k, before, sizeof(before));
    say_why(k, err->text);
    atomic_store(&k->fleet->unsure, true);
    if (strncmp(before, err->text, sizeof(before) - 1) != 0)
        sn_log(k->fleet->log, SN_LOG_ERROR, "keeper", what, "code", err->code, "why", err->text, NULL);
}

/* A Redis that evicts would forget records; a clock that differs makes NASes drop our packets in silence (Event-Timestamp). */
static bool check_store(struct sn_keeper *k)
{
    struct sn_error err;
    int64_t now = sn_clock_mono_ms();
    int64_t skew = 0;
    char text[32];

    if (k->checked_ms != 0 && now - k->checked_ms < k->fleet->conf.store_check_ms)
        return true;
    if (sn_store_check(k->store, &skew, &err) != 0) {
        be_unsure(k, "Redis is not fit for records: no device is written to", &err);
        k->checked_ms = 0;
        return false;
    }
    k->checked_ms = now;
    atomic_store(&k->fleet->skew_ms, skew);
    if (skew > SN_CLOCK_SKEW_MAX_MS || skew < -SN_CLOCK_SKEW_MAX_MS) {
        (void)snprintf(text, sizeof(text), "%lld", (long long)skew);
        sn_log(k->fleet->log, SN_LOG_ERROR, "keeper", "this clock and that of Redis differ: NASes may drop our packets in silence",
               "ms", text, NULL);
    }
    return true;
}

static bool renew(struct sn_keeper *k)
{
    struct sn_fleet *fleet = k->fleet;
    int64_t before = sn_clock_mono_ms();
    struct sn_error err;
    bool whole = false;
    bool late;

    if (sn_store_renew(k->store, fleet->conf.worker, k->session_json, fleet->conf.session_ttl_ms, &whole, &err) != 0) {
        be_unsure(k, "Redis is unsure: no device is written to", &err);
        return false;
    }
    if (!check_store(k))
        return false;
    late = sn_clock_mono_ms() >= atomic_load(&fleet->lease_until_ms);
    if (late)
        lose_everything(k); /* the old lease was over before the new one came: what we had may be others' by now */
    atomic_store(&fleet->lease_until_ms, before + fleet->conf.session_ttl_ms - fleet->conf.session_margin_ms);
    (void)SN_FAILPOINT("keeper.renewed", late ? "late" : "in time");
    if (!whole) {
        if (!atomic_exchange(&fleet->unsure, true))
            sn_log(fleet->log, SN_LOG_WARN, "keeper", "the records in Redis are not whole: waiting for the ledger to write them back", NULL);
        say_why(k, "the records in Redis are not whole: the ledger role has to write them back");
        return true;
    }
    if (atomic_exchange(&fleet->unsure, false))
        sn_log(fleet->log, SN_LOG_INFO, "keeper", "Redis answers and its records are whole", NULL);
    say_why(k, "");
    return true;
}

static void close_client(struct sn_keeper *k)
{
    sn_broker_client_close(k->client);
    k->client = NULL;
}

static int declare_queues(struct sn_keeper *k, const struct sn_device *d, struct sn_error *err)
{
    if (k->client == NULL && sn_broker_client_open(&k->fleet->conf.broker, &k->client, err) != 0)
        return -1;
    if (sn_topology_device(k->client, d->target->id, err) == 0)
        return 0;
    close_client(k); /* what failed may have closed its channel */
    return -1;
}

/* The queues of a device that is ours: new, or somebody deleted them (the consumer tries a missing queue again by itself). */
static void declare(struct sn_keeper *k, struct sn_device *d)
{
    struct sn_error err;

    if (declare_queues(k, d, &err) == 0) {
        atomic_store(&d->declared, true);
        if (d->own == SN_OWN_READY)
            sn_log(k->fleet->log, SN_LOG_WARN, "keeper", "its queues were gone and are declared again", "device", d->target->id, NULL);
        return;
    }
    sn_log(k->fleet->log, SN_LOG_WARN, "keeper", "its queues cannot be declared", "device", d->target->id, "code", err.code, "why",
           err.text, NULL);
    say_why(k, err.text);
}

static void note_claim(struct sn_keeper *k, struct sn_device *d, const struct sn_own_reply *r, int64_t now)
{
    /* its expiry was watched only of the session that was seen: after a flush of Redis nobody is named, and the former owner may be alive */
    bool watched = d->rival_seen_alive && strcmp(d->rival, r->owner) == 0;
    bool wait = r->what == SN_OWN_CLAIMED && !r->released && !watched;

    (void)SN_FAILPOINT("keeper.claimed", d->target->id);
    (void)pthread_mutex_lock(&d->lock);
    d->own = SN_OWN_WAITING;
    d->ready_ms = wait ? now + k->fleet->conf.session_ttl_ms : now;
    d->orphans_read = d->orphans_read && r->what == SN_OWN_MINE; /* ours, and lost before what a dead owner had left was told: still to tell */
    (void)pthread_mutex_unlock(&d->lock);
    atomic_store(&d->epoch, r->epoch);
    if (r->dirty)
        (void)atomic_fetch_add(&d->unsaved, 1); /* somebody's writes are not saved: the next group saves them */
    sn_log(k->fleet->log, SN_LOG_INFO, "keeper", "claimed", "device", d->target->id, "former", r->owner, "wait",
           wait ? "one session time" : "no", NULL);
}

static void note_rival(struct sn_device *d, const struct sn_own_reply *r)
{
    (void)pthread_mutex_lock(&d->lock);
    d->rival_seen_alive = true;
    (void)snprintf(d->rival, sizeof(d->rival), "%s", r->owner);
    (void)pthread_mutex_unlock(&d->lock);
}

static void claim(struct sn_keeper *k, struct sn_device *d, int64_t now)
{
    struct sn_own_reply r;
    struct sn_error err;

    if (sn_store_own(k->store, d->target->uid, k->fleet->conf.worker, &r, &err) != 0) {
        say_why(k, err.text);
        return;
    }
    if (r.what != SN_OWN_TAKEN)
        note_claim(k, d, &r, now);
    else
        note_rival(d, &r);
}

/* Is it still ours? A flush of Redis forgets owners too, and the next one who asks is given the device. */
static void confirm(struct sn_keeper *k, struct sn_device *d, int64_t now)
{
    struct sn_own_reply r;
    struct sn_error err;

    if (sn_store_own(k->store, d->target->uid, k->fleet->conf.worker, &r, &err) != 0) {
        say_why(k, err.text);
        return;
    }
    if (r.what == SN_OWN_MINE && r.epoch == atomic_load(&d->epoch))
        return;
    lose(k, d);
    if (r.what != SN_OWN_TAKEN)
        note_claim(k, d, &r, now);
    else
        note_rival(d, &r);
}

/* ---- gates: Redis' copy is how workers tell each other of a person's lock ---- */

static void digest_of(const struct sn_gate *g, char out[64])
{
    (void)snprintf(out, 64, "%d %lld %lld", (int)g->state, (long long)g->since_ms, (long long)g->probe_at_ms);
}

static enum lock lock_of(const struct sn_gate *g)
{
    return g->state == SN_GATE_PERSON ? LOCK_PERSON : LOCK_OPEN;
}

static bool is_locked(const json_t *stored)
{
    const char *lock = json_string_value(json_object_get(stored, "lock"));
    const char *state = json_string_value(json_object_get(stored, "state"));

    return lock != NULL && strcmp(lock, "person") == 0 && state != NULL && strcmp(state, "closed") == 0;
}

/* Takes over a lock, or its end, that was told by somebody else. What this worker itself has not told yet counts more. */
static int read_gate(struct sn_keeper *k, size_t i, struct sn_error *err)
{
    struct sn_device *d = &k->fleet->devices[i];
    json_t *stored = NULL;
    bool locked;

    if (sn_store_gate_get(k->store, d->target->uid, &stored, err) != 0)
        return -1;
    if (stored == NULL)
        return 0;
    locked = is_locked(stored);
    (void)pthread_mutex_lock(&d->lock);
    if (k->locks[i] == LOCK_UNREAD || k->locks[i] == lock_of(&d->gate)) {
        if (locked && d->gate.state != SN_GATE_PERSON)
            sn_gate_from_json(&d->gate, stored);
        else if (!locked && d->gate.state == SN_GATE_PERSON && k->locks[i] == LOCK_PERSON)
            sn_gate_open_by_person(&d->gate);
        if (locked == (d->gate.state == SN_GATE_PERSON))
            k->locks[i] = lock_of(&d->gate);
        if (locked)
            digest_of(&d->gate, k->gates_told[i]);
    }
    (void)pthread_mutex_unlock(&d->lock);
    json_decref(stored);
    return 0;
}

static void read_gates(struct sn_keeper *k)
{
    struct sn_error err;

    memset(k->gates_told, 0, k->fleet->devices_n * sizeof(*k->gates_told));
    for (size_t i = 0; i < k->fleet->devices_n; i++) {
        if (read_gate(k, i, &err) != 0)
            return;
    }
    k->gates_read = true;
}

/* Targets that every worker visits: an order given to one of them holds for all. */
static void read_shared_gates(struct sn_keeper *k)
{
    struct sn_error err;

    for (size_t i = 0; i < k->fleet->devices_n; i++) {
        if (!sn_device_is_exclusive(&k->fleet->devices[i]) && read_gate(k, i, &err) != 0)
            return;
    }
}

/* The owner says how the gate stands; any worker says that it met a reason for a person to look, or that this is over. */
static void tell_gate(struct sn_keeper *k, size_t i)
{
    struct sn_device *d = &k->fleet->devices[i];
    struct sn_error err;
    char digest[64];
    enum lock lock;
    bool ours;
    json_t *gate;

    (void)pthread_mutex_lock(&d->lock);
    gate = sn_gate_to_json(&d->gate);
    if (gate != NULL && d->gate.state == SN_GATE_PROBING)
        (void)json_object_set_new(gate, "probe", json_integer(sn_clock_wall_ms() + d->gate.probe_at_ms - sn_clock_mono_ms()));
    digest_of(&d->gate, digest);
    lock = lock_of(&d->gate);
    ours = d->own != SN_OWN_NONE;
    (void)pthread_mutex_unlock(&d->lock);
    if (gate != NULL && (ours || lock == LOCK_PERSON || k->locks[i] == LOCK_PERSON) && strcmp(digest, k->gates_told[i]) != 0 &&
        sn_store_gate_put(k->store, d->target->uid, gate, &err) == 0) {
        (void)SN_FAILPOINT("gate.told", d->target->id);
        memcpy(k->gates_told[i], digest, sizeof(digest));
        k->locks[i] = lock;
    }
    json_decref(gate);
}

/* ---- */

static void make_ready(struct sn_keeper *k, size_t i)
{
    struct sn_device *d = &k->fleet->devices[i];
    struct sn_error err;

    /* while another worker owned it, people spoke to that one */
    if (read_gate(k, i, &err) != 0) {
        say_why(k, err.text);
        return;
    }
    if (!d->orphans_read) {
        if (sn_orphans_publish(k->orphans, k->store, d->target->id, d->target->uid, &err) != 0) {
            say_why(k, err.text);
            return;
        }
        d->orphans_read = true;
    }
    (void)pthread_mutex_lock(&d->lock);
    d->own = SN_OWN_READY;
    (void)pthread_mutex_unlock(&d->lock);
    atomic_store(&d->owned, true);
    (void)SN_FAILPOINT("keeper.ready", d->target->id);
}

/* One device, one step on its way to us. */
static void own_device(struct sn_keeper *k, size_t i, bool confirms, int64_t now)
{
    struct sn_device *d = &k->fleet->devices[i];

    if (d->own == SN_OWN_NONE)
        claim(k, d, now);
    else if (confirms)
        confirm(k, d, now);
    if (d->own != SN_OWN_NONE && !atomic_load(&d->declared))
        declare(k, d);
    if (d->own == SN_OWN_WAITING && atomic_load(&d->declared) && now >= d->ready_ms && !atomic_load(&k->fleet->unsure))
        make_ready(k, i);
}

/* A round over all devices. Our own session counts more: what a slow broker or Redis leaves undone goes on in the next turn. */
static void own_devices(struct sn_keeper *k)
{
    int64_t now = sn_clock_mono_ms();
    int64_t ttl = k->fleet->conf.session_ttl_ms;
    bool confirms = atomic_load(&k->fleet->unsure) || now - k->confirmed_ms >= ttl / 4;
    size_t n = k->fleet->devices_n;
    size_t done = 0;

    while (done < n && sn_clock_mono_ms() - now < ttl / 4) {
        own_device(k, (k->next + done) % n, confirms, sn_clock_mono_ms()); /* a wait of one session counts from its own claim */
        done++;
    }
    close_client(k);
    k->next = n > 0 ? (k->next + done) % n : 0;
    if (!confirms || done < n)
        return;
    k->confirmed_ms = now;
    if (k->gates_read)
        read_shared_gates(k);
}

static void turn(struct sn_keeper *k)
{
    bool alive;

    (void)SN_FAILPOINT("keeper.turn", "");
    alive = renew(k);
    if (sn_clock_mono_ms() >= atomic_load(&k->fleet->lease_until_ms))
        lose_everything(k);
    if (alive && !atomic_load(&k->stop)) {
        /* a Redis that is not whole lacks people's gates: they are read when the ledger has put them back, and told only then */
        k->gates_read = k->gates_read && !atomic_load(&k->fleet->unsure);
        if (!k->gates_read && !atomic_load(&k->fleet->unsure))
            read_gates(k);
        own_devices(k);
        for (size_t i = 0; i < k->fleet->devices_n && k->gates_read; i++)
            tell_gate(k, i);
        sn_orphans_trim(k->orphans, k->store);
    }
    update_all(k->fleet);
    atomic_store(&k->last_turn_ms, sn_clock_mono_ms());
}

/* Sooner than a third of the session when a claimed device becomes ready in between, or something is not in order. */
static int pause_ms(struct sn_keeper *k)
{
    int64_t now = sn_clock_mono_ms();
    int64_t pause = k->fleet->conf.session_ttl_ms / 3;

    for (size_t i = 0; i < k->fleet->devices_n; i++) {
        const struct sn_device *d = &k->fleet->devices[i];
        if (d->own == SN_OWN_WAITING && d->ready_ms - now < pause)
            pause = d->ready_ms > now ? d->ready_ms - now : 50;
        if (d->own == SN_OWN_NONE && pause > 500)
            pause = 500;
    }
    if (atomic_load(&k->fleet->unsure) && pause > 300)
        pause = 300;
    return pause > 20 ? (int)pause : 20;
}

static void *run(void *arg)
{
    struct sn_keeper *k = arg;

    while (!atomic_load(&k->stop)) {
        struct pollfd p = { .fd = k->event_fd, .events = POLLIN };
        uint64_t count;
        turn(k);
        if (poll(&p, 1, pause_ms(k)) > 0) {
            ssize_t n = read(k->event_fd, &count, sizeof(count));
            (void)n;
        }
    }
    return NULL;
}

int sn_keeper_start(struct sn_fleet *fleet, const char *session_json, struct sn_keeper **ret, struct sn_error *err)
{
    struct sn_keeper *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return sn_error_oom(err);
    k->fleet = fleet;
    k->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&k->lock, NULL);
    k->store = sn_store_new(&fleet->conf.store);
    k->orphans = sn_orphans_new(fleet);
    k->session_json = strdup(session_json);
    k->gates_told = calloc(fleet->devices_n + 1, sizeof(*k->gates_told));
    k->locks = calloc(fleet->devices_n + 1, sizeof(*k->locks));
    atomic_store(&fleet->unsure, true);
    if (k->event_fd < 0 || k->store == NULL || k->orphans == NULL || k->session_json == NULL || k->gates_told == NULL ||
        k->locks == NULL || pthread_create(&k->thread, NULL, run, k) != 0) {
        (void)sn_error_set(err, "process.resources", "the keeper cannot be started");
        atomic_store(&k->stop, true);
        sn_keeper_free(k);
        return -1;
    }
    *ret = k;
    return 0;
}

/* Release notes and the end of the session. A store that does not answer is asked once: the session ends by itself. */
static void say_good_bye(struct sn_keeper *k)
{
    struct sn_fleet *fleet = k->fleet;
    struct sn_error err;
    bool answers = true;

    for (size_t i = 0; i < fleet->devices_n; i++) {
        struct sn_device *d = &fleet->devices[i];
        bool silent = sn_device_cut(d); /* its lane has said good-bye; else the next owner has to wait */
        enum sn_own_state own;
        atomic_store(&d->owned, false);
        (void)pthread_mutex_lock(&d->lock);
        own = d->own;
        d->own = SN_OWN_NONE;
        (void)pthread_mutex_unlock(&d->lock);
        answers = answers && (own != SN_OWN_READY || !silent ||
                              sn_store_release(k->store, d->target->uid, fleet->conf.worker, atomic_load(&d->epoch), &err) == 0);
        (void)SN_FAILPOINT("keeper.released", d->target->id);
    }
    if (!answers || sn_store_end_session(k->store, fleet->conf.worker, &err) != 0)
        sn_log(fleet->log, SN_LOG_WARN, "keeper", "not every release note was written: the next owners wait one session time", "why",
               err.text, NULL);
}

void sn_keeper_stop(struct sn_keeper *k)
{
    atomic_store(&k->stop, true);
    sn_keeper_wake(k);
    (void)pthread_join(k->thread, NULL);
    say_good_bye(k);
}

void sn_keeper_free(struct sn_keeper *k)
{
    if (k == NULL)
        return;
    sn_orphans_free(k->orphans);
    sn_store_free(k->store);
    if (k->event_fd >= 0)
        (void)close(k->event_fd);
    (void)pthread_mutex_destroy(&k->lock);
    free(k->session_json);
    free(k->gates_told);
    free(k->locks);
    free(k);
}
