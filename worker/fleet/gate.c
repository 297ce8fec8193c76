/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/fleet/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

/* Code of a gate that the brake closed. */
static const char BRAKE[] = "core.equal-failures";

bool sn_gate_is_open(const struct sn_gate *g)
{
    return g->state == SN_GATE_OPEN;
}

bool sn_gate_may_save(const struct sn_gate *g)
{
    return g->state == SN_GATE_OPEN || (g->state == SN_GATE_PERSON && strcmp(g->code, BRAKE) == 0);
}

bool sn_gate_probe_due(const struct sn_gate *g, int64_t now_mono_ms)
{
    return g->state == SN_GATE_PROBING && now_mono_ms >= g->probe_at_ms;
}

static void say(struct sn_gate *g, const char *code, const char *why, const char *by, int64_t now_wall_ms)
{
    (void)snprintf(g->code, sizeof(g->code), "%s", code);
    (void)snprintf(g->why, sizeof(g->why), "%s", why);
    (void)snprintf(g->by, sizeof(g->by), "%s", by);
    g->since_ms = now_wall_ms;
    g->until_ms = 0;
}

/* A gate that is closed says its newest cause, and since when it is closed. True when the cause is another. */
static bool say_newest(struct sn_gate *g, const char *code, const char *why)
{
    if (strcmp(g->code, code) == 0)
        return false;
    say(g, code, why, "", g->since_ms);
    return true;
}

static void plan_probe(struct sn_gate *g, const struct sn_gate_conf *conf, bool busy, int64_t now_mono_ms, unsigned random)
{
    int64_t longest = busy && conf->probe_busy_ms < conf->probe_max_ms ? conf->probe_busy_ms : conf->probe_max_ms;
    int64_t delay = conf->probe_min_ms;

    for (int i = 0; i < g->failures && delay < longest; i++)
        delay *= 2;
    if (delay > longest)
        delay = longest;
    /* +-25 %: devices that went down together are not probed together */
    delay = delay * (750 + random % 500) / 1000;
    g->probe_at_ms = now_mono_ms + delay;
    if (g->failures < 30)
        g->failures++;
}

bool sn_gate_close(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *why, bool busy, int64_t now_mono_ms,
                   int64_t now_wall_ms, unsigned random)
{
    if (g->state == SN_GATE_PERSON)
        return false;
    if (g->state == SN_GATE_PROBING)
        return say_newest(g, code, why);
    say(g, code, why, "", now_wall_ms);
    g->state = SN_GATE_PROBING;
    g->trial = false;
    plan_probe(g, conf, busy, now_mono_ms, random);
    return true;
}

bool sn_gate_probe_failed(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *why, bool busy,
                          int64_t now_mono_ms, unsigned random)
{
    if (g->state != SN_GATE_PROBING)
        return false;
    g->trial = true;
    plan_probe(g, conf, busy, now_mono_ms, random);
    return say_newest(g, code, why);
}

bool sn_gate_take_trial(struct sn_gate *g)
{
    bool may = g->state == SN_GATE_PROBING && g->trial;

    g->trial = false;
    return may;
}

bool sn_gate_close_person(struct sn_gate *g, const char *code, const char *why, const char *by, int64_t until_ms,
                          int64_t now_wall_ms)
{
    bool was_open = g->state == SN_GATE_OPEN;

    if (g->state == SN_GATE_PERSON && by[0] == '\0')
        return false; /* what a person said, and until when, is not overwritten by us */
    say(g, code, why, by, now_wall_ms);
    g->until_ms = until_ms;
    g->state = SN_GATE_PERSON;
    return was_open;
}

void sn_gate_open_after_probe(struct sn_gate *g)
{
    if (g->state == SN_GATE_PROBING)
        g->state = SN_GATE_OPEN;
}

void sn_gate_open_by_person(struct sn_gate *g)
{
    g->state = SN_GATE_OPEN;
    g->failures = 0;
    g->equal = 0;
    g->last_code[0] = '\0';
}

void sn_gate_success(struct sn_gate *g, bool saved)
{
    if (saved)
        g->failures = 0;
    g->equal = 0;
    g->last_code[0] = '\0';
}

bool sn_gate_failure(struct sn_gate *g, const struct sn_gate_conf *conf, const char *code, const char *contract,
                     int64_t now_wall_ms)
{
    char why[sizeof(g->why)];

    if (strcmp(g->last_code, code) != 0) {
        (void)snprintf(g->last_code, sizeof(g->last_code), "%s", code);
        g->equal = 1;
    } else if (strcmp(g->last_contract, contract) != 0) {
        g->equal++;
    }
    (void)snprintf(g->last_contract, sizeof(g->last_contract), "%s", contract);
    if (conf->equal_failures <= 0 || g->equal < conf->equal_failures)
        return false;
    (void)snprintf(why, sizeof(why), "%d contracts in a row failed with %s", g->equal, code);
    return sn_gate_close_person(g, BRAKE, why, "", 0, now_wall_ms);
}

json_t *sn_gate_to_json(const struct sn_gate *g)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "state", g->state == SN_GATE_OPEN ? "open" : "closed", "lock",
                     g->state == SN_GATE_PERSON ? "person" : "", "code", g->code, "why", g->why, "by", g->by, "since",
                     (json_int_t)g->since_ms, "until", (json_int_t)g->until_ms);
}

void sn_gate_from_json(struct sn_gate *g, const json_t *stored)
{
    if (strcmp(sn_json_text(stored, "state"), "closed") != 0 || strcmp(sn_json_text(stored, "lock"), "person") != 0)
        return;
    (void)sn_gate_close_person(g, sn_json_text(stored, "code"), sn_json_text(stored, "why"), sn_json_text(stored, "by"),
                               strtoll(sn_json_text(stored, "until"), NULL, 10), strtoll(sn_json_text(stored, "since"), NULL, 10));
}
