/* SPDX-License-Identifier: Apache-2.0 */
/* topology, check-config: is everything there that the fleet needs? */
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "worker/ctl/ctl.h"
#include "worker/ctl/view.h"
#include "worker/sink/migrate.h"

/* Ids of the inventory's targets, ended by NULL. Borrowed strings; the array is the caller's. */
static int device_ids(struct sn_ctl *ctl, const char ***ret, size_t *ret_n, struct sn_error *err)
{
    const struct sn_inventory *inventory;
    const char **ids;

    if (sn_ctl_inventory(ctl, &inventory, err) != 0)
        return -1;
    *ret_n = sn_inventory_count(inventory);
    ids = calloc(*ret_n + 1, sizeof(*ids));
    if (ids == NULL)
        return sn_error_oom(err);
    for (size_t i = 0; i < *ret_n; i++)
        ids[i] = sn_inventory_at(inventory, i)->id;
    *ret = ids;
    return 0;
}

static int apply(struct sn_ctl *ctl, const char *const *ids, struct sn_error *err)
{
    struct sn_broker_client *broker;

    if (sn_ctl_broker(ctl, &broker, err) != 0 || sn_topology_base(broker, &ctl->ladder, err) != 0)
        return -1;
    for (; *ids != NULL; ids++) {
        if (sn_topology_device(broker, *ids, err) != 0)
            return sn_error_prefix(err, "%s", *ids);
    }
    return 0;
}

static void add_line(void *arg, const char *line)
{
    (void)json_array_append_new(arg, json_string(line));
}

static int check(struct sn_ctl *ctl, const char *const *ids, json_t *differences, struct sn_error *err)
{
    struct sn_broker_client *broker;

    if (sn_ctl_broker(ctl, &broker, err) != 0)
        return -1;
    return sn_topology_check(broker, &ctl->ladder, ids, add_line, differences, err);
}

int sn_cmd_topology(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    const char **ids = NULL;
    json_t *document, *differences = NULL;
    size_t n;
    int rc = -1, found = 0;

    if (device_ids(ctl, &ids, &n, err) != 0)
        return -1;
    if (args->given[SN_FLAG_APPLY]) {
        if (apply(ctl, ids, err) != 0)
            goto out;
        document = json_pack("{s:b, s:b, s:I}", "ok", 1, "applied", 1, "devices", (json_int_t)n);
    } else if (args->given[SN_FLAG_CHECK]) {
        differences = json_array();
        found = check(ctl, ids, differences, err);
        if (found < 0)
            goto out;
        document = json_pack("{s:b, s:O}", "ok", found == 0, "differences", differences);
    } else {
        document = json_pack("{s:b, s:o}", "ok", 1, "objects", sn_topology_describe(&ctl->ladder, ids));
    }
    rc = sn_ctl_answer(ctl, "topology", document, sn_view_topology, err);
    if (rc == 0 && found > 0)
        rc = SN_EXIT_OUTCOME;
out:
    json_decref(differences);
    free(ids);
    return rc;
}

/* ---- check-config ---- */

typedef int check_fn(struct sn_ctl *ctl, char *text, size_t size, struct sn_error *err);

static int check_inventory(struct sn_ctl *ctl, char *text, size_t size, struct sn_error *err)
{
    const struct sn_inventory *inventory;
    size_t n;

    if (sn_ctl_inventory(ctl, &inventory, err) != 0)
        return -1;
    n = sn_inventory_count(inventory);
    (void)snprintf(text, size, P_("%s: %zu target", "%s: %zu targets", n), ctl->inventory_path, n);
    return 0;
}

static int check_broker(struct sn_ctl *ctl, char *text, size_t size, struct sn_error *err)
{
    json_t *differences = json_array();
    const char **ids = NULL;
    size_t n;
    int found = -1;

    if (device_ids(ctl, &ids, &n, err) == 0)
        found = check(ctl, ids, differences, err);
    if (found > 0)
        (void)sn_error_set(err, "broker.topology-differs", "%d differences, the first: %s", found,
                           json_string_value(json_array_get(differences, 0)));
    (void)snprintf(text, size, _("%s:%d, vhost %s: exchanges and queues as they shall be"), ctl->broker_conf.host,
                   ctl->broker_conf.port, ctl->broker_conf.vhost);
    free(ids);
    json_decref(differences);
    return found == 0 ? 0 : -1;
}

static int check_store(struct sn_ctl *ctl, char *text, size_t size, struct sn_error *err)
{
    struct sn_store *store;
    int64_t skew_ms;
    bool whole;

    if (sn_ctl_store(ctl, &store, err) != 0 || sn_store_check(store, &skew_ms, err) != 0 ||
        sn_store_is_whole(store, &whole, err) != 0)
        return -1;
    (void)snprintf(text, size,
                   whole ? _("%s:%d: noeviction, clock differs by %lld ms, records are whole")
                         : _("%s:%d: noeviction, clock differs by %lld ms, records are not (yet) whole"),
                   ctl->store_conf.host, ctl->store_conf.port, (long long)skew_ms);
    return 0;
}

static int check_ledger(struct sn_ctl *ctl, char *text, size_t size, struct sn_error *err)
{
    struct sn_pg *pg;

    if (sn_ctl_pg(ctl, &pg, err) != 0 || sn_migrate_check(pg, ctl->timeout_ms, err) != 0)
        return -1;
    (void)snprintf(text, size, _("%s: readable as %s, schema version %d"), ctl->pg_conf.database, ctl->pg_conf.user,
                   sn_migrate_latest());
    return 0;
}

static json_t *run_check(struct sn_ctl *ctl, const char *what, check_fn *fn)
{
    struct sn_error err = { 0 };
    char text[512] = "";

    if (fn(ctl, text, sizeof(text), &err) == 0)
        return json_pack("{s:s, s:b, s:s, s:s}", "what", what, "ok", 1, "text", text, "code", "");
    return json_pack("{s:s, s:b, s:s, s:s}", "what", what, "ok", 0, "text", err.text, "code", err.code);
}

/* Each part is checked, also when one before it is at fault: a person mends them together. */
int sn_cmd_check_config(struct sn_ctl *ctl, const struct sn_args *args, struct sn_error *err)
{
    static const struct {
        const char *what;
        check_fn *fn;
    } parts[] = {
        { "inventory", check_inventory },
        { "broker", check_broker },
        { "redis", check_store },
        { "ledger", check_ledger },
    };
    json_t *checks = json_array(), *faults = json_array();
    size_t bad;

    (void)args;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        json_t *result = run_check(ctl, parts[i].what, parts[i].fn);
        if (!sn_json_true(result, "ok"))
            (void)json_array_append_new(faults, json_pack("{s:s, s:s}", "code", sn_json_text(result, "code"), "text",
                                                          sn_json_text(result, "text")));
        (void)json_array_append_new(checks, result);
    }
    bad = json_array_size(faults);
    if (sn_ctl_answer(ctl, "config", json_pack("{s:b, s:o, s:o}", "ok", bad == 0, "checks", checks, "faults", faults),
                      sn_view_config, err) != 0)
        return -1;
    return bad == 0 ? SN_EXIT_OK : SN_EXIT_CONFIG;
}
