/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration file: see README.md. Unknown keys are refused, so that a test cannot misspell a setting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model.h"

struct setting {
    const char *key;
    enum { NUMBER, FLAG, STRING } type;
    size_t offset;
};

#define AT(member) offsetof(struct olt, member)

static const struct setting settings[] = {
    {"listen", STRING, AT(listen)},
    {"port", NUMBER, AT(port)},
    {"user", STRING, AT(user)},
    {"password", STRING, AT(password)},
    {"hostname", STRING, AT(hostname)},
    {"product", STRING, AT(product)},
    {"version", STRING, AT(version)},
    {"host_key", STRING, AT(host_key)},
    {"latency_ms", NUMBER, AT(latency_ms)},
    {"sessions_max", NUMBER, AT(sessions_max)},
    {"save_ms", NUMBER, AT(save_ms)},
    {"online_ms", NUMBER, AT(online_ms)},
    {"normal_ms", NUMBER, AT(normal_ms)},
    {"autofind_ms", NUMBER, AT(autofind_ms)},
    {"boot_ms", NUMBER, AT(boot_ms)},
    {"release_ms", NUMBER, AT(release_ms)},
    {"idle_s", NUMBER, AT(idle_s)},
    {"interleave_ms", NUMBER, AT(interleave_ms)},
    {"lock_after", NUMBER, AT(lock_after)},
    {"desc_wrap", NUMBER, AT(desc_wrap)},
    {"log_max", NUMBER, AT(log_max)},
    {"echo_wrap", FLAG, AT(echo_wrap)},
    {"echo_quirk", FLAG, AT(echo_quirk)},
    {"async_prompt", FLAG, AT(async_prompt)},
    {"quit_to_user", FLAG, AT(quit_to_user)},
    {"password_warning", FLAG, AT(password_warning)},
    {"last_login", FLAG, AT(last_login)},
    {"prompt_twice", FLAG, AT(prompt_twice)},
    {"interactive_only", FLAG, AT(interactive_only)},
};

static bool take_setting(struct olt *olt, const char *key, json_t *value, struct text *err)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (strcmp(settings[i].key, key) != 0) {
            continue;
        }
        char *at = (char *)olt + settings[i].offset;
        if (settings[i].type == NUMBER && json_is_integer(value) && json_integer_value(value) >= 0) {
            *(unsigned *)(void *)at = (unsigned)json_integer_value(value);
        } else if (settings[i].type == FLAG && json_is_boolean(value)) {
            *(bool *)(void *)at = json_is_true(value);
        } else if (settings[i].type == STRING && json_is_string(value)) {
            free(*(char **)(void *)at);
            *(char **)(void *)at = sim_strdup(json_string_value(value));
        } else {
            text_fmt(err, "\"%s\" has the wrong type", key);
        }
        return err->len == 0;
    }
    text_fmt(err, "unknown key \"%s\"", key);
    return false;
}

static unsigned number_of(json_t *o, const char *key, unsigned otherwise)
{
    json_t *v = json_object_get(o, key);
    return json_is_integer(v) && json_integer_value(v) >= 0 ? (unsigned)json_integer_value(v) : otherwise;
}

static void name_of(json_t *o, const char *otherwise, unsigned id, char *out)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    if (name != NULL) {
        snprintf(out, SIM_NAME_MAX + 1, "%s", name);
    } else {
        snprintf(out, SIM_NAME_MAX + 1, "%s_%u", otherwise, id);
    }
}

static void take_boards(struct olt *olt, json_t *list)
{
    olt->n_boards = 0;
    size_t i;
    json_t *o;
    json_array_foreach (list, i, o) {
        void *p = olt->boards;
        sim_grow(&p, olt->n_boards, &olt->cap_boards, sizeof *olt->boards);
        olt->boards = p;
        olt->boards[olt->n_boards++] =
            (struct board){number_of(o, "frame", 0), number_of(o, "slot", 0), number_of(o, "ports", 8)};
    }
}

static void take_line_profiles(struct olt *olt, json_t *list)
{
    olt->n_line_profiles = 0;
    size_t i, k;
    json_t *o, *gem;
    json_array_foreach (list, i, o) {
        void *p = olt->line_profiles;
        sim_grow(&p, olt->n_line_profiles, &olt->cap_line_profiles, sizeof *olt->line_profiles);
        olt->line_profiles = p;
        struct line_profile *lp = &olt->line_profiles[olt->n_line_profiles++];
        memset(lp, 0, sizeof *lp);
        lp->id = number_of(o, "id", 0);
        name_of(o, "line-profile", lp->id, lp->name);
        json_array_foreach (json_object_get(o, "gems"), k, gem) {
            if (lp->n_gems >= SIM_GEM_MAX) {
                break;
            }
            bool detailed = json_is_object(gem); /* {"index":1,"vlan":100} or 1 */
            lp->gems[lp->n_gems].index = detailed ? number_of(gem, "index", 0) : (unsigned)json_integer_value(gem);
            lp->gems[lp->n_gems].vlan =
                detailed && json_is_integer(json_object_get(gem, "vlan")) ? (int)number_of(gem, "vlan", 0) : -1;
            lp->n_gems++;
        }
    }
}

static void take_service_profiles(struct olt *olt, json_t *list)
{
    olt->n_service_profiles = 0;
    size_t i;
    json_t *o;
    json_array_foreach (list, i, o) {
        void *p = olt->service_profiles;
        sim_grow(&p, olt->n_service_profiles, &olt->cap_service_profiles, sizeof *olt->service_profiles);
        olt->service_profiles = p;
        struct service_profile *sp = &olt->service_profiles[olt->n_service_profiles++];
        memset(sp, 0, sizeof *sp);
        sp->id = number_of(o, "id", 0);
        sp->eth = number_of(o, "eth", 4);
        sp->pots = number_of(o, "pots", 0);
        name_of(o, "srv-profile", sp->id, sp->name);
    }
}

static void take_vlans(struct olt *olt, json_t *list)
{
    olt->n_vlans = 0;
    size_t i;
    json_t *o;
    json_array_foreach (list, i, o) {
        void *p = olt->vlans;
        sim_grow(&p, olt->n_vlans, &olt->cap_vlans, sizeof *olt->vlans);
        olt->vlans = p;
        olt->vlans[olt->n_vlans++] = (unsigned)json_integer_value(o);
    }
}

bool onu_from_json(const struct olt *olt, json_t *from, struct onu *onu, struct text *err)
{
    *onu = (struct onu){.lit = true, .seen = time(NULL), .rx_dbm = -18.5, .tx_dbm = 2.27, .olt_rx_dbm = -20.1};
    const char *sn = json_string_value(json_object_get(from, "sn"));
    const char *fsp = json_string_value(json_object_get(from, "fsp"));
    if (!place_from_text(fsp, &onu->at) || !olt_has_port(olt, onu->at) || sn == NULL || !sn_parse(sn, onu->sn)) {
        text_fmt(err, "an ONU needs \"fsp\" of a port that exists and \"sn\" (got %s, %s)", fsp != NULL ? fsp : "-",
                 sn != NULL ? sn : "-");
        return false;
    }
    const struct {
        const char *key;
        double *at;
    } levels[] = {{"rx_dbm", &onu->rx_dbm}, {"tx_dbm", &onu->tx_dbm}, {"olt_rx_dbm", &onu->olt_rx_dbm}};
    for (size_t i = 0; i < 3; i++) {
        json_t *v = json_object_get(from, levels[i].key);
        *levels[i].at = json_is_number(v) ? json_number_value(v) : *levels[i].at;
    }
    const char *equipment = json_string_value(json_object_get(from, "equipment"));
    const char *version = json_string_value(json_object_get(from, "version"));
    snprintf(onu->equipment, sizeof onu->equipment, "%s", equipment != NULL ? equipment : "245H");
    snprintf(onu->version, sizeof onu->version, "%s", version != NULL ? version : "V3R015C10S150");
    return true;
}

/* "optical": {"<sn>": rx_dbm or {rx_dbm, tx_dbm, olt_rx_dbm}} changes ONUs that are plugged. */
static void take_optical(struct olt *olt, json_t *map)
{
    const char *key;
    json_t *v;
    json_object_foreach (map, key, v) {
        uint8_t sn[SIM_SN_BYTES];
        for (size_t i = 0; sn_parse(key, sn) && i < olt->n_onus; i++) {
            struct onu *onu = &olt->onus[i];
            json_t *rx = json_is_object(v) ? json_object_get(v, "rx_dbm") : v;
            json_t *tx = json_object_get(v, "tx_dbm");
            json_t *olt_rx = json_object_get(v, "olt_rx_dbm");
            if (memcmp(onu->sn, sn, SIM_SN_BYTES) == 0) {
                onu->rx_dbm = json_is_number(rx) ? json_number_value(rx) : onu->rx_dbm;
                onu->tx_dbm = json_is_number(tx) ? json_number_value(tx) : onu->tx_dbm;
                onu->olt_rx_dbm = json_is_number(olt_rx) ? json_number_value(olt_rx) : onu->olt_rx_dbm;
            }
        }
    }
}

static bool take_plant(struct olt *olt, json_t *list, struct text *err)
{
    size_t i;
    json_t *o;
    json_array_foreach (list, i, o) {
        struct onu onu;
        if (!onu_from_json(olt, o, &onu, err)) {
            return false;
        }
        void *p = olt->onus;
        sim_grow(&p, olt->n_onus, &olt->cap_onus, sizeof *olt->onus);
        olt->onus = p;
        olt->onus[olt->n_onus++] = onu;
    }
    return true;
}

/* Keys that only describe how an OLT begins. */
static bool is_initial(const char *key)
{
    static const char *const initial[] = {"name", "autofind", "onts", "service_ports", "traffic_tables"};
    for (size_t i = 0; i < sizeof initial / sizeof initial[0]; i++) {
        if (strcmp(key, initial[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool olt_configure(struct olt *olt, json_t *from, bool begins, struct text *err)
{
    const char *key;
    json_t *v;
    json_object_foreach (from, key, v) {
        if (begins && is_initial(key)) {
            continue;
        }
        if (strcmp(key, "boards") == 0) {
            take_boards(olt, v);
        } else if (strcmp(key, "line_profiles") == 0) {
            take_line_profiles(olt, v);
        } else if (strcmp(key, "service_profiles") == 0) {
            take_service_profiles(olt, v);
        } else if (strcmp(key, "vlans") == 0) {
            take_vlans(olt, v);
        } else if (strcmp(key, "optical") == 0) {
            take_optical(olt, v);
        } else if (strcmp(key, "ssh") == 0) {
            json_decref(olt->ssh);
            olt->ssh = json_incref(v);
        } else if (strcmp(key, "latency_for") == 0) {
            json_decref(olt->latency_for);
            olt->latency_for = json_incref(v);
        } else if (!take_setting(olt, key, v, err)) {
            return false;
        }
    }
    return true;
}

static struct olt *olt_new(struct sim *sim, const char *name)
{
    struct olt *olt = sim_alloc(sizeof *olt);
    olt->sim = sim;
    olt->name = sim_strdup(name);
    olt->listen = sim_strdup("127.0.0.1");
    olt->user = sim_strdup("root");
    olt->password = sim_strdup("admin");
    olt->hostname = sim_strdup("MA5608T");
    olt->product = sim_strdup("MA5608T");
    olt->version = sim_strdup("MA5600V800R015C00");
    olt->host_key = sim_strdup(sim->host_key);
    olt->latency_ms = 5;
    olt->sessions_max = 1;
    olt->save_ms = 200;
    olt->idle_s = 300;
    olt->interleave_ms = 5000;
    olt->desc_wrap = 51;
    olt->log_max = 4000;
    olt->async_prompt = true;
    olt->booted = time(NULL);
    return olt;
}

static bool olt_load(struct sim *sim, json_t *from, struct text *err)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL || sim_find(sim, name) != NULL) {
        text_fmt(err, "an OLT needs a name of its own");
        return false;
    }
    struct olt *olt = olt_new(sim, name);
    void *list = sim->olts;
    sim_grow(&list, sim->n_olts, &sim->cap_olts, sizeof *sim->olts);
    sim->olts = list;
    sim->olts[sim->n_olts++] = olt;
    take_boards(olt, json_object_get(from, "boards"));
    if (!take_plant(olt, json_object_get(from, "autofind"), err) || !olt_configure(olt, from, true, err) ||
        (!olt_restore(olt) && !conf_from_json(&olt->saved, from, err))) {
        return false;
    }
    conf_copy(&olt->running, &olt->saved);
    return true;
}

struct sim *sim_load(const char *path)
{
    json_error_t where;
    struct text err = {0};
    struct sim *sim = sim_alloc(sizeof *sim);
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (all == NULL) {
        fprintf(stderr, "silver-sim: %s:%d: %s\n", path, where.line, where.text);
        free(sim);
        return NULL;
    }
    const char *control = json_string_value(json_object_get(all, "control"));
    const char *state_dir = json_string_value(json_object_get(all, "state_dir"));
    const char *key = json_string_value(json_object_get(all, "host_key"));
    sim->control_path = control != NULL ? sim_strdup(control) : NULL;
    sim->state_dir = state_dir != NULL ? sim_strdup(state_dir) : NULL;
    sim->host_key = key != NULL ? sim_strdup(key) : NULL;
    sim->loop = loop_new();
    if (key == NULL) {
        text_fmt(&err, "\"host_key\" is missing");
    }
    if (state_dir != NULL) {
        mkdir(state_dir, 0700);
    }
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(all, "olts"), i, one) {
        if (err.len > 0 || !olt_load(sim, one, &err)) {
            fprintf(stderr, "silver-sim: %s: olts[%zu]: %s\n", path, i, err.p);
            break;
        }
    }
    json_decref(all);
    if (err.len > 0 || sim->n_olts == 0) {
        fprintf(stderr, "silver-sim: %s: %s\n", path, err.len > 0 ? err.p : "no OLTs");
        text_free(&err);
        sim_free(sim);
        return NULL;
    }
    return sim;
}

void sim_free(struct sim *sim)
{
    for (size_t i = 0; i < sim->n_olts; i++) {
        olt_free(sim->olts[i]);
    }
    free(sim->olts);
    loop_free(sim->loop);
    free(sim->control_path);
    free(sim->state_dir);
    free(sim->host_key);
    free(sim);
}
