/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/record.h"

#include <string.h>

#include "common/base/json.h"

static const char *aspect_of(const json_t *item)
{
    const char *s = json_string_value(json_object_get(item, "aspect"));

    return s != NULL ? s : "";
}

static json_t *base_of(const json_t *old, const struct sn_record_who *who, const json_t *memo)
{
    bool fresh = sn_record_is_fresh(old, who->event);
    json_t *r = json_object();

    if (r == NULL)
        return NULL;
    (void)json_object_set_new(r, "generation", json_integer(who->generation));
    (void)json_object_set_new(r, "rev", json_string(who->rev));
    (void)json_object_set_new(r, "event", json_string(who->event));
    (void)json_object_set_new(r, "ref", json_string(who->ref));
    (void)json_object_set_new(r, "epoch", json_integer(who->epoch));
    (void)json_object_set_new(r, "run", json_integer(who->run));
    (void)json_object_set_new(r, "created_here", fresh ? json_string(who->event) : json_null());
    (void)json_object_set_new(r, "memo", memo != NULL ? sn_json_deep_copy(memo) : json_object());
    (void)json_object_set_new(r, "memo_rev", json_string(who->rev));
    (void)json_object_set_new(r, "keys", json_array());
    return r;
}

static int keep(json_t *record, const char *aspect, const json_t *key)
{
    json_t *keys = json_object_get(record, "keys");
    size_t i;
    json_t *item;

    json_array_foreach (keys, i, item) {
        if (strcmp(aspect_of(item), aspect) == 0 && json_equal(json_object_get(item, "key"), key))
            return 0;
    }
    return json_array_append_new(keys, json_pack("{s:s, s:O}", "aspect", aspect, "key", key));
}

/* The tree when nothing is missing in it, else NULL: a record that lacks a place is worse than none. */
static json_t *whole(json_t *tree, unsigned failures_before)
{
    if (tree == NULL || sn_json_failures() == failures_before)
        return tree;
    json_decref(tree);
    return NULL;
}

json_t *sn_record_intent(const json_t *old, const struct sn_record_who *who, const char *aspect, const json_t *key,
                         const json_t *memo)
{
    unsigned before = sn_json_failures();
    json_t *r = base_of(old, who, memo);
    size_t i;
    json_t *item;

    if (r == NULL)
        return NULL;
    json_array_foreach (json_object_get(old, "keys"), i, item)
        (void)keep(r, aspect_of(item), json_object_get(item, "key"));
    if (key != NULL)
        (void)keep(r, aspect, key);
    return whole(r, before);
}

json_t *sn_record_settled(const json_t *old, const struct sn_record_who *who, const struct sn_driver *driver, const char *aspect,
                          const json_t *key, bool gone, const json_t *memo)
{
    unsigned before = sn_json_failures();
    json_t *r = base_of(old, who, memo);
    size_t i;
    json_t *item;

    if (r == NULL)
        return NULL;
    json_array_foreach (json_object_get(old, "keys"), i, item) {
        const json_t *k = json_object_get(item, "key");
        if (strcmp(aspect_of(item), aspect) != 0 || !driver->same_thing(k, key))
            (void)keep(r, aspect_of(item), k);
    }
    if (!gone)
        (void)keep(r, aspect, key);
    return whole(r, before);
}

bool sn_record_is_empty(const json_t *record)
{
    return json_array_size(json_object_get(record, "keys")) == 0 && json_object_size(json_object_get(record, "memo")) == 0;
}

bool sn_record_is_fresh(const json_t *record, const char *event)
{
    const char *by = json_string_value(json_object_get(record, "created_here"));

    if (by != NULL && strcmp(by, event) == 0)
        return true;
    return json_array_size(json_object_get(record, "keys")) == 0;
}

json_t *sn_record_old_forms(const json_t *record, const struct sn_driver *driver, const char *aspect, const json_t *key)
{
    unsigned before = sn_json_failures();
    json_t *forms = json_array();
    size_t i;
    json_t *item;

    json_array_foreach (json_object_get(record, "keys"), i, item) {
        json_t *k = json_object_get(item, "key");
        if (strcmp(aspect_of(item), aspect) == 0 && driver->same_thing(k, key) && !json_equal(k, key))
            (void)json_array_append(forms, k);
    }
    return whole(forms, before);
}

json_t *sn_record_other_things(const json_t *record, const struct sn_driver *driver, const char *aspect, const json_t *key)
{
    unsigned before = sn_json_failures();
    json_t *others = json_array();
    size_t i;
    json_t *item;

    json_array_foreach (json_object_get(record, "keys"), i, item) {
        json_t *k = json_object_get(item, "key");
        if (aspect != NULL && strcmp(aspect_of(item), aspect) != 0)
            continue;
        if (key == NULL || !driver->same_thing(k, key))
            (void)json_array_append(others, item);
    }
    return whole(others, before);
}

json_t *sn_record_memo(const json_t *record, const char *rev)
{
    const char *of = json_string_value(json_object_get(record, "memo_rev"));
    const json_t *memo = json_object_get(record, "memo");

    if (of == NULL || strcmp(of, rev) != 0 || !json_is_object(memo))
        return json_object();
    return sn_json_deep_copy(memo);
}
