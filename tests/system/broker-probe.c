/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker/broker driven by lines: commands on stdin, one JSON object a line on stdout. For tests/system/test_broker.py.
 *
 *   broker-probe HOST PORT VHOST USER PASSWORD [name=value]...     names: rows of SETTINGS
 *
 *   base | device ID | check [ID]... | describe [ID]...             topology, with the ladder of level=… settings
 *   want QUEUE PREFETCH | unwant QUEUE | own QUEUE EXCHANGE KEY TTL_MS
 *   ack LINK TAG | nack LINK TAG | ackunwant LINK TAG QUEUE
 *   auto MODE             what happens to each delivery, see MODES
 *   publish EXCHANGE KEY ID [name=value]...       delay origin attempt size transient ("-" = empty exchange)
 *   queue NAME | call EXCHANGE KEY TIMEOUT_MS | put EXCHANGE KEY        by the blocking client
 *   state | turn MS (turn() asks to be called every MS) | quit [MS] (end of input = quit 10000)
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/text.h"
#include "worker/broker/broker.h"

#include <jansson.h>

/* On the lane's thread: nothing; ack; publish to silver.results and ack when confirmed; answer to reply_to. On the
 * consumer's: unwant the queue at the next delivery. */
enum mode { MODE_NONE, MODE_ACK, MODE_RESULT, MODE_REPLY, MODE_UNWANT };
static const char *const MODES[] = { "none", "ack", "result", "reply", "unwant", NULL };

struct job {
    struct job *next;
    struct probe *probe;
    struct sn_delivery *d;
};

struct probe {
    struct sn_broker_conf conf;
    struct sn_log log;
    struct sn_ladder ladder;
    struct sn_consumer *consumer;
    struct sn_publisher *publisher;
    pthread_t consumer_thread, publisher_thread, lane_thread;
    pthread_mutex_t lock; /* all below, and stdout */
    pthread_cond_t more;
    struct job *head, *tail;
    bool lane_stop;
    enum mode mode;
    int turn_every_ms;
};

static void out(struct probe *p, json_t *line)
{
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;

    if (text == NULL)
        abort();
    pthread_mutex_lock(&p->lock);
    printf("%s\n", text);
    fflush(stdout);
    pthread_mutex_unlock(&p->lock);
    free(text);
    json_decref(line);
}

static void out_error(struct probe *p, const char *of, const struct sn_error *err)
{
    out(p, json_pack("{s:s, s:s, s:s, s:s}", "ev", "error", "of", of, "code", err->code, "text", err->text));
}

/* ---- consumer ---- */

static void delivered(void *arg, struct sn_delivery *d)
{
    struct probe *p = arg;
    const struct sn_headers *h = &d->headers;
    struct job *j = calloc(1, sizeof(*j));

    out(p, json_pack("{s:s, s:I, s:I, s:b, s:s, s:s, s:s, s:I, s:I}", "ev", "delivered", "link", (json_int_t)d->link,
                     "tag", (json_int_t)d->tag, "redelivered", d->redelivered, "queue", d->queue, "key", d->routing_key,
                     "id", d->message_id, "len", (json_int_t)d->len, "full_len", (json_int_t)d->full_len));
    if (h->attempt != 0 || h->origin[0] != '\0' || h->first_death[0] != '\0' || d->reply_to[0] != '\0')
        out(p,
            json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s}", "ev", "headers", "id", d->message_id, "attempt",
                      (json_int_t)h->attempt, "first_failed", (json_int_t)h->first_failed, "origin", h->origin, "code",
                      h->code, "replay", h->replay, "traceparent", h->traceparent, "first_death", h->first_death));
    if (j == NULL)
        abort();
    j->probe = p;
    j->d = d;
    pthread_mutex_lock(&p->lock);
    if (p->mode == MODE_UNWANT) {
        p->mode = MODE_NONE;
        sn_consumer_unwant(p->consumer, d->queue);
    }
    if (p->tail != NULL)
        p->tail->next = j;
    else
        p->head = j;
    p->tail = j;
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
}

static void link_up(void *arg, uint64_t link)
{
    out(arg, json_pack("{s:s, s:I}", "ev", "up", "link", (json_int_t)link));
}

static void link_down(void *arg, uint64_t link, const char *why)
{
    out(arg, json_pack("{s:s, s:I, s:s}", "ev", "down", "link", (json_int_t)link, "why", why));
}

static void cancelled(void *arg, const char *queue)
{
    out(arg, json_pack("{s:s, s:s}", "ev", "cancelled", "queue", queue));
}

static int64_t turn(void *arg, int64_t now_ms)
{
    struct probe *p = arg;
    int every;

    pthread_mutex_lock(&p->lock);
    every = p->turn_every_ms;
    pthread_mutex_unlock(&p->lock);
    if (every == 0)
        return 0;
    out(p, json_pack("{s:s, s:I}", "ev", "turn", "now", (json_int_t)now_ms));
    return now_ms + every;
}

static const struct sn_consumer_ops OPS = {
    .delivered = delivered, .link_up = link_up, .link_down = link_down, .cancelled = cancelled, .turn = turn
};

static void *run_consumer(void *arg)
{
    sn_consumer_run(((struct probe *)arg)->consumer);
    return NULL;
}

static void *run_publisher(void *arg)
{
    sn_publisher_run(((struct probe *)arg)->publisher);
    return NULL;
}

/* ---- the lane: what is done with deliveries ---- */

static void free_job(struct job *j)
{
    sn_delivery_free(j->d);
    free(j);
}

static void result_done(void *arg, enum sn_published outcome)
{
    struct job *j = arg;

    if (outcome == SN_PUBLISHED_CONFIRMED)
        sn_consumer_ack(j->probe->consumer, j->d->link, j->d->tag);
    free_job(j);
}

static struct sn_publication *must_publication(const char *exchange, const char *key, size_t len)
{
    char *body = malloc(len + 1);
    struct sn_publication *pub;

    if (body == NULL)
        abort();
    memset(body, 'x', len);
    pub = sn_publication_new(exchange, key, body, len);
    if (pub == NULL)
        abort();
    return pub;
}

static void must_copy(char *to, size_t size, const char *from)
{
    if (sn_text_copy(to, size, from) != 0)
        abort();
}

static void work_on(struct probe *p, struct job *j, enum mode mode)
{
    struct sn_publication *pub;

    switch (mode) {
    case MODE_NONE:
    case MODE_UNWANT:
        free_job(j);
        return;
    case MODE_ACK:
        sn_consumer_ack(p->consumer, j->d->link, j->d->tag);
        free_job(j);
        return;
    case MODE_RESULT:
        pub = must_publication("silver.results", "applied.probe", 20);
        must_copy(pub->message_id, sizeof(pub->message_id), j->d->message_id);
        pub->done = result_done;
        pub->arg = j;
        sn_publisher_send(p->publisher, pub);
        return;
    case MODE_REPLY:
        pub = sn_publication_new("", j->d->reply_to, strdup("{\"answer\":42,\"last\":true}"), 25);
        if (pub == NULL)
            abort();
        must_copy(pub->correlation_id, sizeof(pub->correlation_id), j->d->correlation_id);
        pub->transient = true;
        sn_publisher_send(p->publisher, pub);
        free_job(j);
        return;
    }
}

static void *run_lane(void *arg)
{
    struct probe *p = arg;

    pthread_mutex_lock(&p->lock);
    while (!p->lane_stop || p->head != NULL) {
        struct job *j = p->head;
        enum mode mode = p->mode;
        if (j == NULL) {
            pthread_cond_wait(&p->more, &p->lock);
            continue;
        }
        p->head = j->next;
        if (p->head == NULL)
            p->tail = NULL;
        pthread_mutex_unlock(&p->lock);
        work_on(p, j, mode);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- commands ---- */

struct note {
    struct probe *probe;
    char id[64];
};

static void published(void *arg, enum sn_published outcome)
{
    static const char *const NAMES[] = { "confirmed", "returned", "stopped" };
    struct note *n = arg;

    out(n->probe, json_pack("{s:s, s:s, s:s}", "ev", "published", "id", n->id, "outcome", NAMES[outcome]));
    free(n);
}

static void publish(struct probe *p, char **word, int n)
{
    struct note *note = calloc(1, sizeof(*note));
    struct sn_publication *pub;
    size_t size = 20;

    for (int i = 4; i < n; i++) {
        if (strncmp(word[i], "size=", 5) == 0)
            size = (size_t)atol(word[i] + 5);
    }
    pub = must_publication(strcmp(word[1], "-") == 0 ? "" : word[1], word[2], size);
    for (int i = 4; i < n; i++) {
        if (strncmp(word[i], "delay=", 6) == 0)
            pub->delay_level_ms = atol(word[i] + 6);
        else if (strncmp(word[i], "origin=", 7) == 0)
            must_copy(pub->headers.origin, sizeof(pub->headers.origin), word[i] + 7);
        else if (strncmp(word[i], "attempt=", 8) == 0)
            pub->headers.attempt = atol(word[i] + 8);
        else if (strcmp(word[i], "transient") == 0)
            pub->transient = true;
    }
    if (note == NULL)
        abort();
    note->probe = p;
    must_copy(note->id, sizeof(note->id), word[3]);
    must_copy(pub->message_id, sizeof(pub->message_id), word[3]);
    pub->done = published;
    pub->arg = note;
    sn_publisher_send(p->publisher, pub);
}

static void say(void *arg, const char *line)
{
    out(arg, json_pack("{s:s, s:s}", "ev", "differs", "line", line));
}

static bool on_reply(void *arg, const json_t *reply)
{
    out(arg, json_pack("{s:s, s:O}", "ev", "reply", "body", reply));
    return json_is_true(json_object_get(reply, "last"));
}

/* Commands of the blocking client. Returns false when the word is none of them. */
static bool by_client(struct probe *p, char **word, int n)
{
    static const char *const NAMES[] = { "base", "device", "check", "queue", "call", "put", NULL };
    struct sn_broker_client *c = NULL;
    struct sn_error err;
    int ready = 0, consumers = 0, result = -1;
    int64_t now = sn_clock_mono_ms();
    json_t *request;
    int which = 0;

    while (NAMES[which] != NULL && strcmp(NAMES[which], word[0]) != 0)
        which++;
    if (NAMES[which] == NULL)
        return false;
    if (sn_broker_client_open(&p->conf, &c, &err) != 0) {
        out_error(p, word[0], &err);
        return true;
    }
    switch (which) {
    case 0:
        result = sn_topology_base(c, &p->ladder, &err);
        break;
    case 1:
        result = sn_topology_device(c, word[1], &err);
        break;
    case 2:
        word[n] = NULL;
        ready = result = sn_topology_check(c, &p->ladder, (const char *const *)&word[1], say, p, &err);
        break;
    case 3:
        result = sn_broker_client_queue(c, word[1], &ready, &consumers, &err);
        break;
    case 4:
        request = json_pack("{s:s}", "what", "probe");
        result = sn_broker_client_call(c, word[1], word[2], request, now + atol(word[3]), on_reply, p, &err);
        json_decref(request);
        break;
    default:
        result = sn_broker_client_publish(c, must_publication(word[1], word[2], 20), now + 5000, &err);
        break;
    }
    if (result < 0)
        out_error(p, word[0], &err);
    else
        out(p, json_pack("{s:s, s:s, s:i, s:i}", "ev", "done", "of", word[0], "count", ready, "consumers", consumers));
    sn_broker_client_close(c);
    return true;
}

static void state(struct probe *p)
{
    char consumer_why[256], publisher_why[256];
    int64_t consumer_turn, publisher_turn;
    size_t waiting;
    bool consumer_up = sn_consumer_state(p->consumer, &consumer_turn, consumer_why, sizeof(consumer_why));
    bool publisher_up =
        sn_publisher_state(p->publisher, &waiting, &publisher_turn, publisher_why, sizeof(publisher_why));
    int64_t now = sn_clock_mono_ms();

    out(p, json_pack("{s:s, s:b, s:s, s:I, s:b, s:s, s:I, s:I}", "ev", "state", "consumer", consumer_up, "consumer_why",
                     consumer_why, "consumer_turn_age", (json_int_t)(now - consumer_turn), "publisher", publisher_up,
                     "publisher_why", publisher_why, "publisher_turn_age", (json_int_t)(now - publisher_turn),
                     "waiting", (json_int_t)waiting));
}

static void set_mode(struct probe *p, const char *name)
{
    pthread_mutex_lock(&p->lock);
    for (int i = 0; MODES[i] != NULL; i++) {
        if (strcmp(MODES[i], name) == 0)
            p->mode = (enum mode)i;
    }
    pthread_mutex_unlock(&p->lock);
}

static void describe(struct probe *p, char **word, int n)
{
    word[n] = NULL;
    out(p, json_pack("{s:s, s:o}", "ev", "topology", "body",
                     sn_topology_describe(&p->ladder, (const char *const *)&word[1])));
}

static void settle(struct probe *p, char **word, int n)
{
    uint64_t link = n > 2 ? strtoull(word[1], NULL, 10) : 0;
    uint64_t tag = n > 2 ? strtoull(word[2], NULL, 10) : 0;

    if (strcmp(word[0], "ack") == 0)
        sn_consumer_ack(p->consumer, link, tag);
    else if (strcmp(word[0], "nack") == 0)
        sn_consumer_nack(p->consumer, link, tag);
    else
        sn_consumer_ack_and_unwant(p->consumer, link, &tag, 1, word[3]);
}

static void command(struct probe *p, char **word, int n)
{
    const char *w = word[0];

    if (by_client(p, word, n))
        return;
    if (strcmp(w, "want") == 0)
        sn_consumer_want(p->consumer, word[1], atoi(word[2]));
    else if (strcmp(w, "unwant") == 0)
        sn_consumer_unwant(p->consumer, word[1]);
    else if (strcmp(w, "own") == 0)
        sn_consumer_own_queue(p->consumer, word[1], word[2], word[3], atoi(word[4]));
    else if (strcmp(w, "ack") == 0 || strcmp(w, "nack") == 0 || strcmp(w, "ackunwant") == 0)
        settle(p, word, n);
    else if (strcmp(w, "auto") == 0)
        set_mode(p, word[1]);
    else if (strcmp(w, "publish") == 0)
        publish(p, word, n);
    else if (strcmp(w, "describe") == 0)
        describe(p, word, n);
    else if (strcmp(w, "state") == 0)
        state(p);
    else if (strcmp(w, "turn") == 0) {
        pthread_mutex_lock(&p->lock);
        p->turn_every_ms = atoi(word[1]);
        pthread_mutex_unlock(&p->lock);
        sn_consumer_wake(p->consumer);
    } else
        out(p, json_pack("{s:s, s:s}", "ev", "unknown", "of", w));
}

/* ---- life ---- */

static bool set(struct probe *p, const char *text)
{
    const struct {
        const char *name;
        int *value;
    } SETTINGS[] = {
        { "heartbeat_s", &p->conf.heartbeat_s },
        { "connect_timeout_ms", &p->conf.connect_timeout_ms },
        { "rpc_timeout_ms", &p->conf.rpc_timeout_ms },
        { "confirm_timeout_ms", &p->conf.confirm_timeout_ms },
        { "reconnect_min_ms", &p->conf.reconnect_min_ms },
        { "reconnect_max_ms", &p->conf.reconnect_max_ms },
        { "stall_ms", &p->conf.stall_ms },
    };
    const char *eq = strchr(text, '=');
    int level;

    if (eq == NULL)
        return false;
    if (sscanf(text, "level%d=", &level) == 1 && level >= 1 && level <= 5) {
        p->ladder.level_ms[level - 1] = atol(eq + 1);
        return true;
    }
    for (size_t i = 0; i < sizeof(SETTINGS) / sizeof(SETTINGS[0]); i++) {
        if (strncmp(SETTINGS[i].name, text, (size_t)(eq - text)) == 0) {
            *SETTINGS[i].value = atoi(eq + 1);
            return true;
        }
    }
    return false;
}

static void start(struct probe *p)
{
    struct sn_error err;

    if (sn_consumer_new(&p->conf, &OPS, p, &p->log, &p->consumer, &err) != 0 ||
        sn_publisher_new(&p->conf, &p->log, &p->publisher, &err) != 0 ||
        pthread_create(&p->consumer_thread, NULL, run_consumer, p) != 0 ||
        pthread_create(&p->publisher_thread, NULL, run_publisher, p) != 0 ||
        pthread_create(&p->lane_thread, NULL, run_lane, p) != 0)
        abort();
}

static void finish(struct probe *p, int64_t wait_ms)
{
    pthread_mutex_lock(&p->lock);
    p->lane_stop = true;
    pthread_cond_signal(&p->more);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->lane_thread, NULL);
    sn_publisher_stop(p->publisher, sn_clock_mono_ms() + wait_ms);
    pthread_join(p->publisher_thread, NULL);
    sn_consumer_stop(p->consumer);
    pthread_join(p->consumer_thread, NULL);
    while (p->head != NULL) {
        struct job *j = p->head;
        p->head = j->next;
        free_job(j);
    }
    sn_publisher_free(p->publisher);
    sn_consumer_free(p->consumer);
    out(p, json_pack("{s:s}", "ev", "end"));
}

int main(int argc, char **argv)
{
    struct probe p = {
        .conf = { .name = "probe",
                  .heartbeat_s = 10,
                  .connect_timeout_ms = 5000,
                  .rpc_timeout_ms = 5000,
                  .confirm_timeout_ms = 10000,
                  .reconnect_min_ms = 20,
                  .reconnect_max_ms = 500 },
        .log = { .level = SN_LOG_DEBUG, .fd = 2 },
        .ladder = { { 200, 300, 400, 500, 600 } },
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .more = PTHREAD_COND_INITIALIZER,
    };
    char line[4096];
    int64_t wait_ms = 10000;

    if (argc < 6)
        return 64;
    signal(SIGPIPE, SIG_IGN);
    p.conf.host = argv[1];
    p.conf.port = atoi(argv[2]);
    p.conf.vhost = argv[3];
    p.conf.user = argv[4];
    p.conf.password = argv[5];
    for (int i = 6; i < argc; i++) {
        if (!set(&p, argv[i]))
            return 64;
    }
    start(&p);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *word[16] = { 0 };
        char *save = NULL;
        int n = 0;
        for (char *w = strtok_r(line, " \n", &save); w != NULL && n < 15; w = strtok_r(NULL, " \n", &save))
            word[n++] = w;
        if (n == 0)
            continue;
        if (strcmp(word[0], "quit") == 0) {
            wait_ms = n > 1 ? atol(word[1]) : wait_ms;
            break;
        }
        command(&p, word, n);
    }
    finish(&p, wait_ms);
    return 0;
}
