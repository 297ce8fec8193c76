/* SPDX-License-Identifier: Apache-2.0 */
/* What one simulated OLT is and holds: plant (fibres and ONUs), running and saved configuration, counters, faults.
 * The run state of an ONT is derived when it is asked for, so the simulator needs no timer per ONT.
 * Times are monotonic milliseconds (`_ms`) or seconds of the wall clock (`time_t`). */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include <jansson.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "loop.h"
#include "text.h"

#define SIM_SN_BYTES 8
#define SIM_DESC_MAX 64
#define SIM_NAME_MAX 32
#define SIM_ETH_MAX 8
#define SIM_GEM_MAX 64
#define SIM_ONT_ID_MAX 127
#define SIM_HELD_MAX 16

struct place { /* frame/slot/port */
    unsigned frame, slot, port;
};

struct ont {
    struct place at;
    unsigned id;
    uint8_t sn[SIM_SN_BYTES];
    unsigned line_profile, service_profile;
    char desc[SIM_DESC_MAX + 1];
    bool active;
    uint16_t eth_off; /* bit n: eth port n is switched off */
    unsigned native_vlan[SIM_ETH_MAX + 1];
    /* not part of the configuration: */
    uint64_t ready_ms; /* not online before */
    time_t last_up, last_down;
    char down_cause[24];
};

struct service_port {
    unsigned index, vlan;
    struct place at;
    unsigned ont, gem;
    int user_vlan; /* -1 untagged */
    char transform[24];
    int rx, tx; /* inbound and outbound traffic-table index, -1 none */
};

struct traffic_table {
    unsigned index;
    char name[SIM_NAME_MAX + 1];
    unsigned cir, cbs, pir, pbs, priority; /* kbit/s, bytes; 0 is "off": no limit */
    bool tag_policy;
};

/* One configuration; copying is conf_copy(). */
struct conf {
    struct ont *onts;
    size_t n_onts, cap_onts;
    struct service_port *ports;
    size_t n_ports, cap_ports;
    struct traffic_table *tables;
    size_t n_tables, cap_tables;
};

struct line_profile {
    unsigned id;
    char name[SIM_NAME_MAX + 1];
    struct {
        unsigned index;
        int vlan; /* mapped VLAN, -1 not told */
    } gems[SIM_GEM_MAX];
    size_t n_gems;
};

struct service_profile {
    unsigned id, eth, pots;
    char name[SIM_NAME_MAX + 1];
};

struct board {
    unsigned frame, slot, ports;
};

/* An ONU that hangs on a fibre, known to the OLT or not. */
struct onu {
    struct place at;
    uint8_t sn[SIM_SN_BYTES];
    bool lit;          /* light arrives: plugged and powered */
    uint64_t ready_ms; /* not heard before */
    time_t seen;       /* autofind time */
    double rx_dbm, tx_dbm, olt_rx_dbm;
    char equipment[24], version[24];
};

struct session;
struct sim;

struct write_entry {
    uint64_t number;
    unsigned session;
    int64_t at_ms; /* wall clock */
    char *line;
};

struct log_entry {
    uint64_t number;
    unsigned session;
    int64_t at_ms; /* wall clock */
    char *line;
    const char *result; /* static text */
};

struct counters {
    unsigned opened, max_at_once, login_failures, refused_quota;
    uint64_t commands, writes, refused, saves;
    unsigned interleaved_writers;
    uint64_t *per_command; /* by place in the command table */
};

struct fault;

struct olt {
    struct sim *sim;
    char *name, *listen, *user, *password, *hostname, *product, *version, *host_key;
    unsigned port;
    /* behaviour */
    unsigned latency_ms, sessions_max, save_ms, online_ms, normal_ms, autofind_ms, boot_ms, release_ms, idle_s;
    unsigned interleave_ms, lock_after, desc_wrap, log_max;
    bool echo_wrap, echo_quirk, async_prompt, quit_to_user, password_warning, last_login, prompt_twice, interactive_only;
    json_t *ssh; /* owned: algorithm lists, may be NULL */
    json_t *latency_for; /* owned: [{"match": regex, "ms": n}], may be NULL */
    /* equipment and profiles */
    struct board *boards;
    size_t n_boards, cap_boards;
    struct line_profile *line_profiles;
    size_t n_line_profiles, cap_line_profiles;
    struct service_profile *service_profiles;
    size_t n_service_profiles, cap_service_profiles;
    unsigned *vlans;
    size_t n_vlans, cap_vlans;
    struct onu *onus;
    size_t n_onus, cap_onus;
    /* configuration */
    struct conf running, saved;
    uint64_t changes, saved_changes; /* dirty when they differ */
    bool saving;
    struct timer save_timer, boot_timer;
    unsigned save_session; /* who asked, 0 nobody */
    bool save_skips;       /* this save will not be taken */
    time_t booted;
    /* people and traffic */
    struct session *sessions; /* open ones, newest first */
    unsigned open, next_session;
    uint64_t held_until[SIM_HELD_MAX]; /* console lines that broken links still hold */
    unsigned last_writer;
    uint64_t last_write_ms;
    struct counters count;
    struct write_entry *writes;
    size_t n_writes, cap_writes;
    struct log_entry *log;
    size_t n_log, cap_log;
    uint64_t log_number;
    struct fault *faults;
    void *ssh_bind; /* struct ssh_listener, see sshd.c */
};

struct sim {
    struct loop *loop;
    char *control_path, *state_dir, *host_key;
    struct olt **olts;
    size_t n_olts, cap_olts;
};

struct olt *sim_find(struct sim *sim, const char *name);

/* conf.c ------------------------------------------------------------------------------------------------------- */
void conf_copy(struct conf *to, const struct conf *from);
void conf_free(struct conf *c);
struct ont *conf_ont(struct conf *c, struct place at, unsigned id);
struct ont *conf_ont_sn(struct conf *c, const uint8_t *sn);
struct service_port *conf_port(struct conf *c, unsigned index);
struct traffic_table *conf_table(struct conf *c, unsigned index);
struct ont *conf_add_ont(struct conf *c);              /* kept in order of place and id by conf_sort() */
struct service_port *conf_add_port(struct conf *c);    /* kept in order of index by conf_sort() */
struct traffic_table *conf_add_table(struct conf *c);
void conf_drop_ont(struct conf *c, const struct ont *o);
void conf_drop_port(struct conf *c, const struct service_port *p);
void conf_drop_table(struct conf *c, const struct traffic_table *t);
void conf_sort(struct conf *c);
unsigned conf_ports_of(const struct conf *c, struct place at, unsigned ont);

/* model.c ------------------------------------------------------------------------------------------------------ */
bool same_place(struct place a, struct place b);
struct line_profile *olt_line_profile(struct olt *olt, unsigned id);
struct service_profile *olt_service_profile(struct olt *olt, unsigned id);
bool line_profile_has_gem(const struct line_profile *p, unsigned gem);
bool olt_has_vlan(const struct olt *olt, unsigned vlan);
const struct board *olt_board(const struct olt *olt, unsigned frame, unsigned slot);
bool olt_has_port(const struct olt *olt, struct place at);
/* The ONU that hangs on the port of this ONT, or NULL. */
struct onu *olt_onu(struct olt *olt, struct place at, const uint8_t *sn);
/* Is this ONU in the autofind list now? */
bool olt_autofound(struct olt *olt, const struct onu *onu);
bool ont_online(struct olt *olt, const struct ont *o);
const char *ont_config_state(struct olt *olt, const struct ont *o);
/* The ONT is (re)starting: online after the OLT's delay when its ONU is there. */
void ont_start(struct olt *olt, struct ont *o);
/* The ONT goes down now, if it was up. */
void ont_down(struct olt *olt, struct ont *o, const char *cause);
void olt_plug(struct olt *olt, const struct onu *onu);
/* false: no such ONU. The ONU stays known to the plant only when kept (power off). */
bool olt_unplug(struct olt *olt, const uint8_t *sn, const char *cause, bool keep);
/* Running configuration = saved configuration, sessions dropped, listener away for boot_ms. */
void olt_reboot(struct olt *olt);
void olt_log(struct olt *olt, unsigned session, const char *line, const char *result);
/* An executed write: counters, list, interleaving. Session 0 (the control socket) only makes the OLT dirty. */
void olt_wrote(struct olt *olt, unsigned session, const char *line);
void olt_free(struct olt *olt);

/* 16 hex digits, or 4 letters and 8 hex digits. */
bool sn_parse(const char *s, uint8_t *sn);
void sn_hex(const uint8_t *sn, char out[17]);
/* HWTC-1234ABCD */
void sn_vendor(const uint8_t *sn, char out[14]);

/* persist.c ---------------------------------------------------------------------------------------------------- */
json_t *conf_to_json(const struct conf *c);
/* Adds what the JSON object holds (onts, service_ports, traffic_tables); false with a reason in err. */
bool conf_from_json(struct conf *c, json_t *from, struct text *err);
json_t *place_to_json(struct place at);
bool place_from_text(const char *s, struct place *at);
void olt_store(struct olt *olt);
/* true when a stored state was found. */
bool olt_restore(struct olt *olt);
/* The save that was running is over: take the snapshot, store it, tell the session. */
void olt_save_begin(struct olt *olt, unsigned session, const char *line);

/* config.c ----------------------------------------------------------------------------------------------------- */
/* Reads the configuration file; NULL with a sentence on stderr. */
struct sim *sim_load(const char *path);
void sim_free(struct sim *sim);
/* Takes the settings of an OLT's object; keys that only describe how it begins (name, autofind, onts, ...) are passed
 * over when it begins and refused later. false with a reason in err. */
bool olt_configure(struct olt *olt, json_t *from, bool begins, struct text *err);
bool onu_from_json(const struct olt *olt, json_t *from, struct onu *onu, struct text *err);

#endif
