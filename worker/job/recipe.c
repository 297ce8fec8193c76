/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/recipe.h"

#include <stdio.h>
#include <string.h>

#include "worker/job/record.h"

/*
 * The table. grant: the user first, so that the first login already finds its speed. withdraw: the database first, or the CPE is back
 * with the old profile before the cut; then once more after session_settle, since a login may have been in flight; the OLT last.
 * terminated: rejected, cut, cut again, ONU removed, and only then the rows.
 */
static const struct row {
    enum sn_service_state state;
    const char *aspect;
    enum sn_want_kind kind;
    bool suspended;
    bool settle;
} ROWS[] = {
    { SN_STATE_ACTIVE, "user", SN_BE, false, false },
    { SN_STATE_ACTIVE, "onu", SN_BE, false, false },
    { SN_STATE_ACTIVE, "session", SN_SINCE, false, false },
    { SN_STATE_ACTIVE, "login", SN_LOOK, false, false },

    { SN_STATE_SUSPENDED, "user", SN_BE, true, false },
    { SN_STATE_SUSPENDED, "session", SN_GONE, true, false },
    { SN_STATE_SUSPENDED, "session", SN_GONE, true, true },
    { SN_STATE_SUSPENDED, "onu", SN_BE, true, false },

    { SN_STATE_TERMINATED, "user", SN_BE, true, false },
    { SN_STATE_TERMINATED, "session", SN_GONE, true, false },
    { SN_STATE_TERMINATED, "session", SN_GONE, true, true },
    { SN_STATE_TERMINATED, "onu", SN_GONE, true, false },
    { SN_STATE_TERMINATED, "user", SN_GONE, true, false },
};
#define ROWS_N (sizeof(ROWS) / sizeof(ROWS[0]))

/* Which section of the service names the target of an aspect. */
static const struct {
    const char *aspect;
    const char *section;
    const char *field;
} PLACES[] = {
    { "user", "access", "server" },
    { "onu", "onu", "device" },
    { "session", "access", "nas" },
    { "login", "access", "nas" },
};

/* Sections that no driver of this build serves. */
static const char *const UNSERVED[] = { "router", "playbooks" };

void sn_follow_ups_fini(struct sn_follow_ups *f)
{
    for (int i = 0; i < f->n; i++)
        json_decref(f->v[i].keys);
    f->n = 0;
}

static const char *target_id(const json_t *service, const char *aspect)
{
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        if (strcmp(PLACES[i].aspect, aspect) == 0)
            return json_string_value(json_object_get(json_object_get(service, PLACES[i].section), PLACES[i].field));
    }
    return NULL;
}

static struct sn_step *add_step(struct sn_job *job, struct sn_device *device, const char *aspect, enum sn_want_kind kind,
                                struct sn_verdict *ret)
{
    struct sn_step *s;

    if (job->steps_n >= SN_STEPS_MAX) {
        sn_verdict_set(ret, SN_PERMANENT, "core.too-many-targets", "the event touches more than %d places", SN_STEPS_MAX);
        return NULL;
    }
    s = &job->steps[job->steps_n++];
    s->device = device;
    s->target = device->target;
    s->driver = device->driver;
    s->aspect = aspect;
    s->kind = kind;
    return s;
}

/* A want for the pure hooks: what recipe and visit both know. */
static void want_of(const struct sn_job *job, const struct sn_step *s, struct sn_want *w)
{
    memset(w, 0, sizeof(*w));
    w->kind = s->kind;
    w->aspect = s->aspect;
    w->ref = job->event->ref;
    w->generation = job->event->generation;
    w->rev = job->event->rev;
    w->suspended = s->suspended;
    w->shared = job->event->shared;
    w->service = job->event->service;
    w->target = s->target;
}

/* Key of the step's thing from the event. */
static int make_key(const struct sn_job *job, struct sn_step *s, struct sn_verdict *ret)
{
    struct sn_want want;
    struct sn_error err;

    want_of(job, s, &want);
    if (s->driver->key(&want, &s->key, &err) != 0) {
        sn_verdict_set(ret, SN_PERMANENT, err.code, "%s", err.text);
        sn_verdict_arg(ret, "target", s->target->id);
        sn_verdict_arg(ret, "text", err.text);
        return -1;
    }
    return 0;
}

static int check_sections(const struct sn_job *job, struct sn_verdict *ret)
{
    for (size_t i = 0; i < sizeof(UNSERVED) / sizeof(UNSERVED[0]); i++) {
        const json_t *section = json_object_get(job->event->service, UNSERVED[i]);
        if (json_object_size(section) == 0 && json_array_size(section) == 0)
            continue;
        sn_verdict_set(ret, SN_PERMANENT, "core.unsupported-section", "no driver of this build serves the section %s", UNSERVED[i]);
        sn_verdict_arg(ret, "section", UNSERVED[i]);
        return -1;
    }
    return 0;
}

static struct sn_device *find_device(const struct sn_fleet *fleet, const char *id, const char *aspect, struct sn_verdict *ret)
{
    struct sn_device *d = sn_fleet_device(fleet, id);

    if (d == NULL) {
        sn_verdict_set(ret, SN_PERMANENT, "inventory.unknown-device", "%s is not in the inventory", id);
        sn_verdict_arg(ret, "device", id);
        return NULL;
    }
    if (!sn_driver_serves(d->driver, aspect)) {
        char code[SN_CODE_MAX];
        (void)snprintf(code, sizeof(code), "%s.unsupported", d->driver->name);
        sn_verdict_set(ret, SN_PERMANENT, code, "driver %s of %s does not serve %s", d->driver->name, id, aspect);
        sn_verdict_arg(ret, "target", id);
        sn_verdict_arg(ret, "what", aspect);
        return NULL;
    }
    return d;
}

/* A lane from which sessions of a user of this RADIUS server can be cut: that of the event's NAS when it belongs to the server, else of any
 * NAS that does (which one has the session, radacct knows). NULL when there is none. */
static struct sn_device *nas_of(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_device *radius)
{
    const char *named = target_id(job->event->service, "session");
    struct sn_device *first = NULL;

    for (size_t i = 0; i < fleet->devices_n; i++) {
        struct sn_device *d = &fleet->devices[i];
        const char *of = json_string_value(json_object_get(d->target->conf, "radius"));
        bool is_named = named != NULL && strcmp(named, d->target->id) == 0;
        if (!sn_driver_serves(d->driver, "session") || (of == NULL ? !is_named : strcmp(of, radius->target->id) != 0))
            continue;
        if (is_named)
            return d;
        first = first != NULL ? first : d;
    }
    return first;
}

/* Removal of one old key, before the row that makes the new one. The sessions of a user who is no more go with it. */
static int add_old(struct sn_job *job, const struct sn_fleet *fleet, struct sn_device *device, const char *aspect, json_t *key,
                   struct sn_verdict *ret)
{
    struct sn_step *s = add_step(job, device, aspect, SN_GONE, ret);
    struct sn_device *nas;

    if (s == NULL)
        return -1;
    s->key = json_incref(key);
    nas = strcmp(aspect, "user") == 0 ? nas_of(job, fleet, device) : NULL;
    if (nas == NULL)
        return 0;
    if ((s = add_step(job, nas, "session", SN_GONE, ret)) == NULL)
        return -1;
    s->key = json_incref(key);
    return 0;
}

static const char *known_aspect(const json_t *item)
{
    const char *a = json_string_value(json_object_get(item, "aspect"));

    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        if (a != NULL && strcmp(PLACES[i].aspect, a) == 0)
            return PLACES[i].aspect;
    }
    return NULL;
}

/* Old things of this aspect on this device that are not `key`. */
static int add_old_of(struct sn_job *job, const struct sn_fleet *fleet, struct sn_device *device, const char *aspect,
                      const json_t *key, const json_t *records, struct sn_verdict *ret)
{
    json_t *others;
    size_t i;
    json_t *item;
    int rc = 0;

    if (device->driver->commit_policy == SN_COMMIT_NONE)
        return 0; /* sessions: nothing of ours stays there */
    others = sn_record_other_things(json_object_get(records, device->target->uid), device->driver, aspect, key);
    json_array_foreach (others, i, item) {
        if (rc == 0)
            rc = add_old(job, fleet, device, aspect, json_object_get(item, "key"), ret);
    }
    json_decref(others);
    return rc;
}

static bool has_step_at(const struct sn_job *job, const char *uid, const char *aspect)
{
    for (int i = 0; i < job->steps_n; i++) {
        if (strcmp(job->steps[i].target->uid, uid) == 0 && strcmp(job->steps[i].aspect, aspect) == 0)
            return true;
    }
    return false;
}

static int add_row(struct sn_job *job, const struct sn_fleet *fleet, const struct row *row, const json_t *records,
                   struct sn_verdict *ret)
{
    const char *id = target_id(job->event->service, row->aspect);
    struct sn_device *device;
    struct sn_step probe = { 0 };
    struct sn_step *s;

    if (id == NULL)
        return 0;
    device = find_device(fleet, id, row->aspect, ret);
    if (device == NULL)
        return -1;
    if (sn_device_is_exclusive(device) && device != job->device) {
        sn_verdict_set(ret, SN_PERMANENT, "core.second-exclusive-target", "%s has one session, which belongs to the owner of its own queue", id);
        sn_verdict_arg(ret, "device", id);
        sn_verdict_arg(ret, "routing", job->device->target->id);
        return -1;
    }
    probe.device = device;
    probe.target = device->target;
    probe.driver = device->driver;
    probe.aspect = row->aspect;
    probe.kind = row->kind;
    probe.suspended = row->suspended;
    if (make_key(job, &probe, ret) != 0)
        return -1;
    /* what the event names may be newer than what the record holds, also when it is to go: an event between the two was never carried out */
    if (!has_step_at(job, device->target->uid, row->aspect) &&
        add_old_of(job, fleet, device, row->aspect, probe.key, records, ret) != 0)
        goto fail;
    s = add_step(job, device, row->aspect, row->kind, ret);
    if (s == NULL)
        goto fail;
    s->suspended = row->suspended;
    s->settle_ms = row->settle ? fleet->conf.settle_ms : 0;
    s->key = probe.key;
    return 0;
fail:
    json_decref(probe.key);
    return -1;
}

/* Everything that the record names and the event does not: removed here when the target may be visited from this queue, else by an
 * event on the target's own queue. */
static int add_leftovers(struct sn_job *job, const struct sn_fleet *fleet, const json_t *records, struct sn_follow_ups *follow,
                         struct sn_verdict *ret)
{
    const char *uid;
    json_t *record;

    json_object_foreach ((json_t *)(uintptr_t)records, uid, record) {
        struct sn_device *d = sn_fleet_device_by_uid(fleet, uid);
        json_t *keys = json_object_get(record, "keys");
        size_t i;
        json_t *item;
        json_t *left = NULL;
        if (d == NULL || d->driver->commit_policy == SN_COMMIT_NONE)
            continue;
        json_array_foreach (keys, i, item) {
            const char *aspect = known_aspect(item);
            if (aspect == NULL || has_step_at(job, uid, aspect))
                continue;
            if (d == job->device || !sn_device_is_exclusive(d)) {
                if (add_old(job, fleet, d, aspect, json_object_get(item, "key"), ret) != 0)
                    return -1;
                continue;
            }
            if (left == NULL)
                left = json_array();
            (void)json_array_append(left, item);
        }
        if (left != NULL && follow->n < SN_FOLLOW_UPS_MAX)
            follow->v[follow->n++] = (struct sn_follow_up){ .device = d, .keys = left };
        else
            json_decref(left);
    }
    return 0;
}

/* May a cleanup take this place away? Only what the record names, and only when an older generation (or an earlier run of this very
 * cleanup) left it there: whatever the newest event wants is not to be had this way, whoever published it. */
static bool is_left_behind(const struct sn_job *job, const json_t *record, const json_t *item)
{
    const char *by = json_string_value(json_object_get(record, "event"));
    size_t i;
    json_t *held;

    if (json_integer_value(json_object_get(record, "generation")) >= job->event->generation &&
        (by == NULL || strcmp(by, job->event->id) != 0))
        return false;
    json_array_foreach (json_object_get(record, "keys"), i, held) {
        if (json_equal(held, item))
            return true;
    }
    return false;
}

static int build_cleanup(struct sn_job *job, const json_t *records, struct sn_verdict *ret)
{
    const json_t *cleanup = json_object_get(job->event->body, "cleanup");
    const json_t *record = json_object_get(records, job->device->target->uid);
    size_t i;
    json_t *item;

    json_array_foreach (json_object_get(cleanup, "keys"), i, item) {
        const char *aspect = known_aspect(item);
        struct sn_step *s;
        if (aspect == NULL || !sn_driver_serves(job->device->driver, aspect) || !is_left_behind(job, record, item))
            continue;
        s = add_step(job, job->device, aspect, SN_GONE, ret);
        if (s == NULL)
            return -1;
        s->key = json_incref(json_object_get(item, "key"));
    }
    return 0;
}

static int add_commits(struct sn_job *job, struct sn_verdict *ret)
{
    int n = job->steps_n;

    for (int i = 0; i < n; i++) {
        struct sn_step *of = &job->steps[i];
        bool there = false;
        if (of->driver->commit_policy != SN_COMMIT_BATCH)
            continue;
        for (int k = n; k < job->steps_n; k++)
            there = there || job->steps[k].device == of->device;
        if (!there) {
            struct sn_step *s = add_step(job, of->device, of->aspect, SN_LOOK, ret);
            if (s == NULL)
                return -1;
            s->commit = true;
        }
    }
    return 0;
}

int sn_recipe_build(struct sn_job *job, const struct sn_fleet *fleet, const json_t *records, struct sn_follow_ups *follow,
                    struct sn_verdict *ret)
{
    follow->n = 0;
    if (strcmp(job->event->type, "contract.cleanup") == 0) {
        if (build_cleanup(job, records, ret) != 0)
            return -1;
    } else {
        if (job->event->command != NULL) {
            sn_verdict_set(ret, SN_PERMANENT, "core.unsupported-command", "this build does not carry out commands");
            return -1;
        }
        if (check_sections(job, ret) != 0)
            return -1;
        for (size_t i = 0; i < ROWS_N; i++) {
            if (ROWS[i].state == job->event->state && add_row(job, fleet, &ROWS[i], records, ret) != 0)
                return -1;
        }
        if (add_leftovers(job, fleet, records, follow, ret) != 0)
            return -1;
    }
    return add_commits(job, ret);
}

int sn_recipe_next(const struct sn_job *job, int from)
{
    int i = from;

    while (i < job->steps_n && job->steps[i].state != SN_STEP_OPEN)
        i++;
    return i;
}

/* Every record of the contract was made by this event: it held nothing before. */
static bool is_first(const struct sn_job *job)
{
    bool any = false;

    for (int i = 0; i < job->steps_n; i++) {
        const struct sn_step *s = &job->steps[i];
        if (s->commit || s->driver->commit_policy == SN_COMMIT_NONE || s->record == NULL)
            continue;
        any = true;
        if (!s->created)
            return false;
    }
    return any;
}

void sn_recipe_failed(struct sn_job *job)
{
    struct sn_step removal[SN_STEPS_MAX];
    int n = 0;
    int end = job->at + 1;
    bool grant = job->event->state == SN_STATE_ACTIVE;

    /* granting stops; withdrawing goes on elsewhere, but rows are not deleted under a customer who may still be online */
    for (int i = job->at + 1; i < job->steps_n; i++) {
        struct sn_step *s = &job->steps[i];
        if (s->commit || s->undo)
            continue;
        end = i + 1;
        if (s->state == SN_STEP_OPEN && (grant || (s->kind == SN_GONE && strcmp(s->aspect, "user") == 0)))
            s->state = SN_STEP_SKIPPED;
    }
    if (!grant || job->undoing || strcmp(job->event->type, "contract.cleanup") == 0 || !is_first(job))
        return;
    job->undoing = true;
    for (int i = job->at; i >= 0; i--) {
        const struct sn_step *s = &job->steps[i];
        if (s->kind != SN_BE || !s->created || job->steps_n + n >= SN_STEPS_MAX)
            continue;
        removal[n] = (struct sn_step){ .target = s->target, .driver = s->driver, .device = s->device, .aspect = s->aspect,
                                       .kind = SN_GONE, .undo = true, .key = json_incref(s->key) };
        n++;
    }
    memmove(&job->steps[end + n], &job->steps[end], sizeof(job->steps[0]) * (size_t)(job->steps_n - end));
    memcpy(&job->steps[end], removal, sizeof(job->steps[0]) * (size_t)n);
    job->steps_n += n;
}
