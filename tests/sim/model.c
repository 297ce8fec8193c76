/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "session.h"
#include "sshd.h"

#define WRITES_MAX 200000

struct olt *sim_find(struct sim *sim, const char *name)
{
    for (size_t i = 0; name != NULL && i < sim->n_olts; i++) {
        if (strcmp(sim->olts[i]->name, name) == 0) {
            return sim->olts[i];
        }
    }
    return NULL;
}

bool same_place(struct place a, struct place b)
{
    return a.frame == b.frame && a.slot == b.slot && a.port == b.port;
}

struct line_profile *olt_line_profile(struct olt *olt, unsigned id)
{
    for (size_t i = 0; i < olt->n_line_profiles; i++) {
        if (olt->line_profiles[i].id == id) {
            return &olt->line_profiles[i];
        }
    }
    return NULL;
}

struct service_profile *olt_service_profile(struct olt *olt, unsigned id)
{
    for (size_t i = 0; i < olt->n_service_profiles; i++) {
        if (olt->service_profiles[i].id == id) {
            return &olt->service_profiles[i];
        }
    }
    return NULL;
}

bool line_profile_has_gem(const struct line_profile *p, unsigned gem)
{
    for (size_t i = 0; i < p->n_gems; i++) {
        if (p->gems[i].index == gem) {
            return true;
        }
    }
    return false;
}

bool olt_has_vlan(const struct olt *olt, unsigned vlan)
{
    for (size_t i = 0; i < olt->n_vlans; i++) {
        if (olt->vlans[i] == vlan) {
            return true;
        }
    }
    return false;
}

const struct board *olt_board(const struct olt *olt, unsigned frame, unsigned slot)
{
    for (size_t i = 0; i < olt->n_boards; i++) {
        if (olt->boards[i].frame == frame && olt->boards[i].slot == slot) {
            return &olt->boards[i];
        }
    }
    return NULL;
}

bool olt_has_port(const struct olt *olt, struct place at)
{
    const struct board *b = olt_board(olt, at.frame, at.slot);
    return b != NULL && at.port < b->ports;
}

struct onu *olt_onu(struct olt *olt, struct place at, const uint8_t *sn)
{
    for (size_t i = 0; i < olt->n_onus; i++) {
        if (same_place(olt->onus[i].at, at) && memcmp(olt->onus[i].sn, sn, SIM_SN_BYTES) == 0) {
            return &olt->onus[i];
        }
    }
    return NULL;
}

bool olt_autofound(struct olt *olt, const struct onu *onu)
{
    if (!onu->lit || sim_now_ms() < onu->ready_ms) {
        return false;
    }
    struct ont *o = conf_ont_sn(&olt->running, onu->sn);
    return o == NULL || !same_place(o->at, onu->at);
}

bool ont_online(struct olt *olt, const struct ont *o)
{
    const struct onu *onu = olt_onu(olt, o->at, o->sn);
    uint64_t now = sim_now_ms();
    return onu != NULL && onu->lit && o->active && now >= o->ready_ms;
}

const char *ont_config_state(struct olt *olt, const struct ont *o)
{
    if (!ont_online(olt, o)) {
        return "initial";
    }
    return sim_now_ms() >= o->ready_ms + olt->normal_ms ? "normal" : "config";
}

void ont_start(struct olt *olt, struct ont *o)
{
    o->ready_ms = sim_now_ms() + olt->online_ms;
    o->last_up = time(NULL) + (time_t)(olt->online_ms / 1000);
}

void ont_down(struct olt *olt, struct ont *o, const char *cause)
{
    if (!ont_online(olt, o)) {
        return;
    }
    o->last_down = time(NULL);
    snprintf(o->down_cause, sizeof o->down_cause, "%s", cause);
}

void olt_plug(struct olt *olt, const struct onu *onu)
{
    olt_unplug(olt, onu->sn, "LOS", false);
    void *list = olt->onus;
    sim_grow(&list, olt->n_onus, &olt->cap_onus, sizeof *olt->onus);
    olt->onus = list;
    struct onu *mine = &olt->onus[olt->n_onus++];
    *mine = *onu;
    mine->lit = true;
    mine->seen = time(NULL);
    mine->ready_ms = sim_now_ms() + olt->autofind_ms;
    struct ont *o = conf_ont_sn(&olt->running, onu->sn);
    if (o != NULL && same_place(o->at, onu->at)) {
        ont_start(olt, o);
    }
    olt_store(olt);
}

bool olt_unplug(struct olt *olt, const uint8_t *sn, const char *cause, bool keep)
{
    for (size_t i = 0; i < olt->n_onus; i++) {
        struct onu *onu = &olt->onus[i];
        if (memcmp(onu->sn, sn, SIM_SN_BYTES) != 0) {
            continue;
        }
        struct ont *o = conf_ont_sn(&olt->running, sn);
        if (o != NULL && same_place(o->at, onu->at)) {
            ont_down(olt, o, cause);
        }
        onu->lit = false;
        if (!keep) {
            memmove(onu, onu + 1, (olt->n_onus - i - 1) * sizeof *onu);
            olt->n_onus--;
        }
        olt_store(olt);
        return true;
    }
    return false;
}

static void on_boot_done(struct timer *t)
{
    sshd_listen(SIM_OF(t, struct olt, boot_timer));
}

void olt_reboot(struct olt *olt)
{
    for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
        session_cut(s);
    }
    timer_stop(olt->sim->loop, &olt->save_timer);
    olt->saving = false;
    conf_copy(&olt->running, &olt->saved);
    olt->saved_changes = olt->changes;
    olt->booted = time(NULL);
    for (size_t i = 0; i < olt->running.n_onts; i++) {
        ont_start(olt, &olt->running.onts[i]);
    }
    for (size_t i = 0; i < olt->n_onus; i++) {
        olt->onus[i].ready_ms = sim_now_ms() + olt->autofind_ms;
    }
    if (olt->boot_ms > 0) {
        sshd_unlisten(olt);
        olt->boot_timer.fire = on_boot_done;
        timer_start(olt->sim->loop, &olt->boot_timer, olt->boot_ms);
    }
}

static int64_t wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void olt_log(struct olt *olt, unsigned session, const char *line, const char *result)
{
    if (olt->n_log >= olt->log_max && olt->n_log > 0) {
        size_t keep = olt->n_log / 2; /* drop the older half at once: cheap on average */
        for (size_t i = 0; i < olt->n_log - keep; i++) {
            free(olt->log[i].line);
        }
        memmove(olt->log, olt->log + (olt->n_log - keep), keep * sizeof *olt->log);
        olt->n_log = keep;
    }
    void *list = olt->log;
    sim_grow(&list, olt->n_log, &olt->cap_log, sizeof *olt->log);
    olt->log = list;
    olt->log[olt->n_log++] = (struct log_entry){++olt->log_number, session, wall_ms(), sim_strdup(line), result};
}

void olt_wrote(struct olt *olt, unsigned session, const char *line)
{
    uint64_t now = sim_now_ms();
    olt->changes++;
    if (session == 0) {
        return; /* typed by the control socket: no writer that a test counts */
    }
    olt->count.writes++;
    /* two writers at once: the one that wrote last is still logged in and wrote a moment ago, or a session writes
     * again after a younger one has written */
    if (olt->last_writer != 0 && olt->last_writer != session) {
        bool old_is_open = false;
        for (struct session *s = olt->sessions; s != NULL; s = session_next(s)) {
            old_is_open = old_is_open || session_number(s) == olt->last_writer;
        }
        if ((old_is_open && now - olt->last_write_ms < olt->interleave_ms) || session < olt->last_writer) {
            olt->count.interleaved_writers++;
        }
    }
    olt->last_writer = session;
    olt->last_write_ms = now;
    if (olt->n_writes < WRITES_MAX) {
        void *list = olt->writes;
        sim_grow(&list, olt->n_writes, &olt->cap_writes, sizeof *olt->writes);
        olt->writes = list;
        olt->writes[olt->n_writes++] =
            (struct write_entry){olt->count.writes, session, wall_ms(), sim_strdup(line)};
    }
}

void olt_free(struct olt *olt)
{
    timer_stop(olt->sim->loop, &olt->save_timer);
    timer_stop(olt->sim->loop, &olt->boot_timer);
    fault_clear(olt, NULL);
    sshd_close(olt);
    for (size_t i = 0; i < olt->n_writes; i++) {
        free(olt->writes[i].line);
    }
    for (size_t i = 0; i < olt->n_log; i++) {
        free(olt->log[i].line);
    }
    conf_free(&olt->running);
    conf_free(&olt->saved);
    json_decref(olt->ssh);
    json_decref(olt->latency_for);
    void *parts[] = {olt->name, olt->listen, olt->user, olt->password, olt->hostname, olt->product, olt->version,
                     olt->host_key, olt->boards, olt->line_profiles, olt->service_profiles, olt->vlans, olt->onus,
                     olt->writes, olt->log, olt->count.per_command};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        free(parts[i]);
    }
    free(olt);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    int lower = tolower((unsigned char)c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool sn_parse(const char *s, uint8_t *sn)
{
    size_t len = strlen(s);
    size_t letters = len == 12 ? 4 : 0;
    if (len != 16 && len != 12) {
        return false;
    }
    for (size_t i = 0; i < letters; i++) {
        if (!isalpha((unsigned char)s[i])) {
            return false;
        }
        sn[i] = (uint8_t)toupper((unsigned char)s[i]);
    }
    for (size_t i = letters; i < SIM_SN_BYTES; i++) {
        int high = hex_digit(s[letters + (i - letters) * 2]);
        int low = hex_digit(s[letters + (i - letters) * 2 + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        sn[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void sn_hex(const uint8_t *sn, char out[17])
{
    for (size_t i = 0; i < SIM_SN_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02X", sn[i]);
    }
}

void sn_vendor(const uint8_t *sn, char out[14])
{
    for (size_t i = 0; i < 4; i++) {
        out[i] = isprint(sn[i]) ? (char)sn[i] : '.';
    }
    snprintf(out + 4, 10, "-%02X%02X%02X%02X", sn[4], sn[5], sn[6], sn[7]);
}
