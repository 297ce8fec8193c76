/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/orphans.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/failpoint.h"
#include "common/base/json.h"

/* Longer results are refused by the ledger; a run that said more is told in parts. */
#define PART_BYTES 200000

/* Entries of one run, or of a part of it: published together and dropped together. */
struct batch {
    struct batch *next;
    struct sn_orphans *orphans;
    char uid[64];
    json_t *result; /* until it is published */
    json_t *ids;    /* of its entries */
    size_t bytes;   /* of their texts */
};

struct sn_orphans {
    struct sn_fleet *fleet;
    pthread_mutex_t lock;
    struct batch *confirmed; /* (lock) */
};

struct sn_orphans *sn_orphans_new(struct sn_fleet *fleet)
{
    struct sn_orphans *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->fleet = fleet;
    (void)pthread_mutex_init(&o->lock, NULL);
    return o;
}

static void batch_free(struct batch *b)
{
    json_decref(b->result);
    json_decref(b->ids);
    free(b);
}

void sn_orphans_free(struct sn_orphans *o)
{
    if (o == NULL)
        return;
    while (o->confirmed != NULL) {
        struct batch *b = o->confirmed;
        o->confirmed = b->next;
        batch_free(b);
    }
    (void)pthread_mutex_destroy(&o->lock);
    free(o);
}

/* Publisher's thread. What is not confirmed stays in the journal. */
static void published(void *arg, enum sn_published outcome)
{
    struct batch *b = arg;
    struct sn_orphans *o = b->orphans;

    if (outcome != SN_PUBLISHED_CONFIRMED) {
        batch_free(b);
        return;
    }
    (void)SN_FAILPOINT("orphans.told", b->uid);
    (void)pthread_mutex_lock(&o->lock);
    b->next = o->confirmed;
    o->confirmed = b;
    (void)pthread_mutex_unlock(&o->lock);
}

struct reading {
    struct sn_orphans *o;
    const char *device_id;
    const char *uid;
    struct batch *batches;
};

static bool same_run(const struct batch *b, const json_t *entry)
{
    return strcmp(sn_json_text(b->result, "event"), sn_json_text(entry, "event")) == 0 &&
           json_integer_value(json_object_get(b->result, "run")) == strtol(sn_json_text(entry, "run"), NULL, 10);
}

static struct batch *new_batch(struct reading *r, const json_t *entry)
{
    struct batch *b = calloc(1, sizeof(*b));
    char when[SN_TIME_TEXT_MAX];

    if (b == NULL)
        return NULL;
    sn_clock_format_utc(strtoll(sn_json_text(entry, "at"), NULL, 10), when);
    b->orphans = r->o;
    (void)snprintf(b->uid, sizeof(b->uid), "%s", r->uid);
    b->ids = json_array();
    b->result = json_pack("{s:s, s:s, s:i, s:i, s:i, s:s, s:n, s:s, s:b, s:s, s:{}, s:s, s:I, s:s, s:n, s:n, s:n, s:s, s:{s:n, s:s, s:n}, s:[],"
                          " s:[], s:b}",
                          "schema", "silver.result/1", "event", sn_json_text(entry, "event"), "run", (int)strtol(sn_json_text(entry, "run"), NULL, 10), "replay", 0,
                          "attempt", 1, "state", "progress", "outcome", "evidence", "none", "saved", 0, "code", "core.interrupted",
                          "args", "worker", sn_json_text(entry, "worker"), "epoch", (json_int_t)strtoll(sn_json_text(entry, "epoch"), NULL, 10),
                          "type", "", "contract", "source", "generation", "routing", r->device_id, "at", "published", "started", when,
                          "finished", "targets", "log", "truncated", 0);
    if (b->result == NULL || b->ids == NULL) {
        batch_free(b);
        return NULL;
    }
    b->next = r->batches;
    r->batches = b;
    return b;
}

static void take_entry(void *arg, const json_t *entry)
{
    struct reading *r = arg;
    struct batch *b = r->batches;
    const struct sn_device *d = sn_fleet_device_by_uid(r->o->fleet, sn_json_text(entry, "uid"));
    const char *text = sn_json_text(entry, "text");
    bool answer = strcmp(sn_json_text(entry, "dir"), "<") == 0;
    /* of its own, so that it is the same each time the journal is told, whole or in parts; behind those of the run's own transcript */
    int seq = 1000 + 2 * (int)strtol(sn_json_text(entry, "seq"), NULL, 10) + answer;

    while (b != NULL && !same_run(b, entry))
        b = b->next; /* the latest part comes first */
    if ((b == NULL || b->bytes + strlen(text) > PART_BYTES) && (b = new_batch(r, entry)) == NULL)
        return; /* it stays in the journal */
    b->bytes += strlen(text);
    (void)json_array_append_new(json_object_get(b->result, "log"), json_pack("{s:i, s:i, s:s, s:s, s:s, s:s}", "seq", seq, "ms", 0,
                                               "target", d != NULL ? d->target->id : sn_json_text(entry, "uid"), "dir", sn_json_text(entry, "dir"),
                                               "text", text, "verdict", sn_json_text(entry, "verdict")));
    (void)json_array_append_new(b->ids, json_string(sn_json_text(entry, "id")));
}

static void hand_over(struct sn_orphans *o, struct batch *b, const char *device_id)
{
    char key[160];
    char *text = sn_json_dumps(b->result, JSON_COMPACT);
    struct sn_publication *pub;

    (void)snprintf(key, sizeof(key), "progress.%s", device_id);
    pub = text != NULL ? sn_publication_new("silver.results", key, text, strlen(text)) : NULL;
    if (pub == NULL) {
        batch_free(b);
        return;
    }
    (void)snprintf(pub->content_type, sizeof(pub->content_type), "application/json");
    (void)snprintf(pub->type, sizeof(pub->type), "silver.result/1");
    pub->done = published;
    pub->arg = b;
    sn_publisher_send(o->fleet->publisher, pub);
}

int sn_orphans_publish(struct sn_orphans *o, struct sn_store *store, const char *device_id, const char *uid, struct sn_error *err)
{
    struct reading r = { .o = o, .device_id = device_id, .uid = uid };
    int rc = sn_store_journal_read(store, uid, take_entry, &r, err);

    while (r.batches != NULL) {
        struct batch *b = r.batches;
        r.batches = b->next;
        b->next = NULL;
        if (rc == 0)
            hand_over(o, b, device_id);
        else
            batch_free(b);
    }
    return rc;
}

void sn_orphans_trim(struct sn_orphans *o, struct sn_store *store)
{
    struct batch *list;
    struct sn_error err;

    (void)pthread_mutex_lock(&o->lock);
    list = o->confirmed;
    o->confirmed = NULL;
    (void)pthread_mutex_unlock(&o->lock);
    while (list != NULL) {
        struct batch *b = list;
        size_t i;
        json_t *id;
        list = b->next;
        json_array_foreach (b->ids, i, id) {
            const char *one = json_string_value(id);
            if (sn_store_journal_drop(store, b->uid, &one, 1, &err) != 0)
                break;
        }
        batch_free(b);
    }
}
