/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inline secrets: found, sealed, wiped. The places are those where the schema has `#/definitions/secret` (a unit test
 * holds the table against the schema).
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

#include "common/event/internal.h"

/* `*` = every element. */
const char *const sn_event_secret_places[] = {
    "service/access/password", "service/onu/wan/password", "service/onu/wifi/*/key", "command/args/secret", NULL,
};

/* Shorter texts are too common to be taken for a copy of a password. */
#define COPY_LENGTH_MIN 4

/* Called for each secret that is there, inline or as a reference: object[name]. Non-zero ends the search. */
typedef int (*on_secret)(json_t *object, const char *name, const char *pointer, void *arg);

static int visit(json_t *value, const char *place, const char *pointer, on_secret found, void *arg)
{
    char name[32];
    char here[160];
    size_t len = strcspn(place, "/");

    (void)snprintf(name, sizeof name, "%.*s", (int)len, place);
    if (strcmp(name, "*") == 0) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            int rc;
            (void)snprintf(here, sizeof here, "%s/%zu", pointer, i);
            rc = visit(json_array_get(value, i), place + len + 1, here, found, arg);
            if (rc != 0)
                return rc;
        }
        return 0;
    }
    (void)snprintf(here, sizeof here, "%s/%s", pointer, name);
    if (place[len] == '/')
        return visit(json_object_get(value, name), place + len + 1, here, found, arg);
    return json_object_get(value, name) != NULL ? found(value, name, here, arg) : 0;
}

static int visit_all(json_t *body, on_secret found, void *arg)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && sn_event_secret_places[i] != NULL; i++)
        rc = visit(body, sn_event_secret_places[i], "", found, arg);
    return rc;
}

struct first {
    char *path;
    size_t size;
};

static int note_first(json_t *object, const char *name, const char *pointer, void *arg)
{
    const struct first *first = arg;

    if (!json_is_string(json_object_get(object, name)))
        return 0;
    (void)snprintf(first->path, first->size, "%s", pointer);
    return 1;
}

bool sn_event_find_inline(const json_t *body, char *path, size_t size)
{
    struct first first = { .path = path, .size = size };

    return visit_all((json_t *)body, note_first, &first) != 0;
}

static void wipe_string(json_t *value)
{
    sodium_memzero((char *)json_string_value(value), json_string_length(value));
}

static void wipe_strings(json_t *tree)
{
    const char *name;
    json_t *value;

    if (json_is_string(tree))
        wipe_string(tree);
    for (size_t i = 0; json_is_array(tree) && i < json_array_size(tree); i++)
        wipe_strings(json_array_get(tree, i));
    if (json_is_object(tree)) {
        json_object_foreach(tree, name, value) wipe_strings(value);
    }
}

void sn_event_wipe(json_t *tree)
{
    if (tree != NULL && tree->refcount == 1)
        wipe_strings(tree);
    json_decref(tree);
}

struct sealing {
    json_t *body;
    const unsigned char *seal_public;
    struct sn_error *err;
};

/* Copies of the secret in places that the schema leaves free. free_here: below x_… or vars. */
static int replace_copies(json_t *tree, const char *plain, const char *reference, bool free_here)
{
    const char *name;
    json_t *value;
    void *next;

    for (size_t i = 0; json_is_array(tree) && i < json_array_size(tree); i++) {
        value = json_array_get(tree, i);
        if (free_here && json_is_string(value) && strcmp(json_string_value(value), plain) == 0) {
            wipe_string(value);
            if (json_array_set_new(tree, i, json_pack("{s:s}", "$secret", reference)) < 0)
                return -1;
        } else if (replace_copies(value, plain, reference, free_here) < 0) {
            return -1;
        }
    }
    if (!json_is_object(tree))
        return 0;
    json_object_foreach_safe(tree, next, name, value)
    {
        bool free_below = free_here || strncmp(name, "x_", 2) == 0 || strcmp(name, "vars") == 0;
        if (free_below && json_is_string(value) && strcmp(json_string_value(value), plain) == 0) {
            wipe_string(value);
            if (json_object_set_new(tree, name, json_pack("{s:s}", "$secret", reference)) < 0)
                return -1;
        } else if (replace_copies(value, plain, reference, free_below) < 0) {
            return -1;
        }
    }
    return 0;
}

static int seal_one(json_t *object, const char *name, const char *pointer, void *arg)
{
    const struct sealing *s = arg;
    json_t *value = json_object_get(object, name);
    size_t len = json_string_length(value);
    char *reference = NULL;
    int rc = -1;

    (void)pointer;
    if (!json_is_string(value))
        return 0;
    if (sn_secret_seal(s->seal_public, json_string_value(value), len, &reference, s->err) < 0)
        return -1;
    if (len >= COPY_LENGTH_MIN && replace_copies(s->body, json_string_value(value), reference, false) < 0)
        goto out;
    wipe_string(value);
    rc = json_object_set_new(object, name, json_pack("{s:s}", "$secret", reference));

out:
    free(reference);
    return rc < 0 ? sn_error_oom(s->err) : 0;
}

int sn_event_seal(json_t *body, const unsigned char seal_public[32], struct sn_error *err)
{
    struct sealing s = { .body = body, .seal_public = seal_public, .err = err };

    return visit_all(body, seal_one, &s);
}

struct holding {
    struct sn_event *ev;
    const struct sn_secret_store *secrets;
    struct sn_error *err;
};

static int hold_one(json_t *object, const char *name, const char *pointer, void *arg)
{
    const struct holding *h = arg;
    const json_t *value = json_object_get(object, name);
    const char *reference = json_string_value(json_object_get(value, "$secret"));
    struct sn_error err;

    (void)pointer;
    if (h->ev->secrets_n >= SN_EVENT_SECRETS_MAX)
        return 0;
    if (json_is_string(value)) {
        if (sn_secret_resolve_json(h->secrets, value, &h->ev->secrets[h->ev->secrets_n], h->err) < 0)
            return -1;
        h->ev->secrets_n++;
    } else if (reference != NULL && strncmp(reference, "sealed:", 7) == 0) {
        if (sn_secret_resolve(h->secrets, reference, &h->ev->secrets[h->ev->secrets_n], &err) == 0)
            h->ev->secrets_n++;
        else if (sn_error_is_oom(&err)) /* one that does not open is the driver's to complain about */
            return sn_error_oom(h->err);
    }
    return 0;
}

int sn_event_hold_secrets(struct sn_event *ev, json_t *body, const struct sn_secret_store *secrets, struct sn_error *err)
{
    struct holding h = { .ev = ev, .secrets = secrets, .err = err };

    return visit_all(body, hold_one, &h);
}

/* *ret: what {"$secret": "sealed:…"} holds, as a json string; NULL when it is something else or does not open with our
 * key (then it stays as it is: the driver will say what is wrong with it). -1: memory. */
static int open_one(const json_t *value, const struct sn_secret_store *secrets, json_t **ret)
{
    const char *reference = json_string_value(json_object_get(value, "$secret"));
    struct sn_secret secret = { 0 };
    struct sn_error err;

    *ret = NULL;
    if (reference == NULL || json_object_size(value) != 1 || strncmp(reference, "sealed:", 7) != 0)
        return 0;
    if (sn_secret_resolve(secrets, reference, &secret, &err) < 0)
        return sn_error_is_oom(&err) ? -1 : 0;
    *ret = json_stringn(secret.data, secret.len);
    sn_secret_fini(&secret);
    return *ret != NULL ? 0 : -1;
}

static int open_all(json_t *tree, const struct sn_secret_store *secrets)
{
    const char *name;
    json_t *value;
    void *next;
    json_t *plain;

    for (size_t i = 0; json_is_array(tree) && i < json_array_size(tree); i++) {
        value = json_array_get(tree, i);
        if (open_one(value, secrets, &plain) < 0)
            return -1;
        if (plain != NULL ? json_array_set_new(tree, i, plain) < 0 : open_all(value, secrets) < 0)
            return -1;
    }
    if (!json_is_object(tree))
        return 0;
    json_object_foreach_safe(tree, next, name, value)
    {
        if (open_one(value, secrets, &plain) < 0)
            return -1;
        if (plain != NULL ? json_object_set_new(tree, name, plain) < 0 : open_all(value, secrets) < 0)
            return -1;
    }
    return 0;
}

int sn_event_plain_rev(const json_t *part, const struct sn_event_policy *policy, char out[SN_REV_MAX],
                       struct sn_error *err)
{
    json_t *copy;
    int rc;

    if (policy->secrets == NULL)
        return sn_event_rev(part, policy->fleet_key, out, err);
    copy = sn_json_deep_copy(part);
    if (copy == NULL || open_all(copy, policy->secrets) < 0) {
        sn_event_wipe(copy);
        return sn_error_oom(err);
    }
    rc = sn_event_rev(copy, policy->fleet_key, out, err);
    sn_event_wipe(copy);
    return rc;
}
