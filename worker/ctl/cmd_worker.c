/* SPDX-License-Identifier: Apache-2.0 */
/* worker: who lives, what each owns, and why it may do nothing. */
#include <string.h>

#include "worker/ctl/ctl.h"
#include "worker/ctl/view.h"
#include "worker/fleet/survey.h"

/* A worker that does not answer within this is said to be silent; the others are shown all the same. */
#define ANSWER_MS 2000

static json_t *find_worker(const json_t *workers, const char *id)
{
    json_t *w;
    size_t i;

    json_array_foreach (workers, i, w)
        if (strcmp(sn_json_text(w, "worker"), id) == 0)
            return w;
    return NULL;
}

/* Goes through the inventory and gives each device to its live owner. */
static int add_devices(struct sn_ctl *ctl, struct sn_store *store, json_t *workers, struct sn_error *err)
{
    const struct sn_inventory *inventory;

    if (sn_ctl_inventory(ctl, &inventory, err) != 0)
        return -1;
    for (size_t i = 0; i < sn_inventory_count(inventory); i++) {
        const struct sn_target *target = sn_inventory_at(inventory, i);
        const json_t *owner;
        json_t *survey, *w;

        if (sn_survey_device(store, target->uid, &survey, err) != 0)
            return -1;
        owner = json_object_get(survey, "owner");
        w = sn_json_true(owner, "released") ? NULL : find_worker(workers, sn_json_text(owner, "worker"));
        if (w != NULL) {
            bool closed = strcmp(sn_json_text(json_object_get(survey, "gate"), "state"), "closed") == 0;
            (void)json_array_append_new(json_object_get(w, "devices"), json_string(target->id));
            (void)json_object_set_new(w, "closed", json_integer(sn_json_number(w, "closed") + closed));
        }
        json_decref(survey);
    }
    return 0;
}

/* The worker's own word: jobs in hand, jobs done, and why nothing moves. */
static void add_word(struct sn_ctl *ctl, json_t *w)
{
    json_t *answer = NULL;
    struct sn_error err;

    if (sn_ctl_ask_worker(ctl, sn_json_text(w, "worker"), "worker-show", ANSWER_MS, &answer, &err) != 0) {
        (void)json_object_set_new(w, "why", json_string(err.text));
        return;
    }
    (void)json_object_update_missing(w, answer);
    json_decref(answer);
}

int sn_cmd_worker_list(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    struct sn_store *store;
    json_t *workers = NULL, *w;
    bool whole, none;
    size_t i;

    (void)args;
    if (sn_ctl_store(ctl, &store, err) != 0 || sn_survey_workers(store, &workers, err) != 0)
        return -1;
    json_array_foreach (workers, i, w) {
        (void)json_object_set_new(w, "devices", json_array());
        (void)json_object_set_new(w, "closed", json_integer(0));
    }
    if (sn_store_is_whole(store, &whole, err) != 0 || add_devices(ctl, store, workers, err) != 0) {
        json_decref(workers);
        return -1;
    }
    json_array_foreach (workers, i, w)
        add_word(ctl, w);
    none = json_array_size(workers) == 0;
    if (sn_ctl_answer_list(ctl, "worker", json_pack("{s:o, s:b}", "workers", workers, "whole", (int)whole), "workers",
                           sn_view_workers, err) != 0)
        return -1;
    return none ? SN_EXIT_OUTCOME : SN_EXIT_OK;
}
