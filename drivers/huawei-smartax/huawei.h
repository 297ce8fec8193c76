/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Huawei SmartAX MA5600T, MA5608T, MA5800: one GPON customer's ONU and service-ports. Inside of the driver; the rest of the
 * program sees the descriptor (huawei-smartax.h). Facts: docs/protocols/huawei-smartax.md.
 *
 * A key: {"serial": "48575443…", "fsp": "0/1/3", "flows": [{"gem": 1, "vlan": 100, "user_vlan": 100}], "eth": 1,
 * "shared": true}. `eth` is there when a suspension switches that LAN port off, `shared` when other contracts use the ONU too. `flows` is
 * absent when the event does not name them (a suspension need not).
 * Memo: {"taken": {"ont": [ids], "index": [service-ports], "table": [traffic tables]}, "by_list": true, "eth": {"1": "off"},
 * "autofind": "seen" | "unseen"}.
 * Thread: any, pure: I/O is the engine's (drivers/cli/cli.h).
 */
#ifndef SN_DRIVERS_HUAWEI_H
#define SN_DRIVERS_HUAWEI_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/cli/dialect.h"
#include "drivers/driver.h"

#define HW_SERIAL_MAX 17
#define HW_NAME_MAX 40
#define HW_DESC_MAX 64 /* characters of a description */
#define HW_FLOWS_MAX 64
#define HW_WANT_FLOWS_MAX 16
#define HW_ONT_IDS 256
#define HW_TABLES 1024
#define HW_PROBES_MAX 32
#define HW_ETH_MAX 2 /* LAN ports looked at: today's and an older form's */

enum hw_verb {
    /* reads */
    HW_READ_ONU = 1,    /* by serial */
    HW_READ_AUTOFIND,
    HW_READ_PORT,       /* ONT ids in use */
    HW_READ_PORT_FLOWS, /* ONT ids of which service-ports are left over */
    HW_READ_LINES,
    HW_READ_SERVICES,
    HW_READ_TABLE,      /* n[0] = which (enum hw_way) */
    HW_READ_TABLES,
    HW_READ_FLOWS,
    HW_READ_INDEX,      /* n[0] = service-port index: is it free? */
    HW_READ_NEXT_INDEX,
    HW_READ_ETH,        /* n[0] = port */
    HW_READ_OPTICAL,
    HW_READ_TO_SHOW,    /* for `device record`: not for the driver's eyes */
    /* writes */
    HW_ADD,             /* n[0] = ONT id */
    HW_MODIFY,
    HW_DELETE,
    HW_ACTIVATE,
    HW_DEACTIVATE,
    HW_ETH,             /* n[0] = port, n[1] = on */
    HW_TABLE_ADD,       /* n[0] = index */
    HW_FLOW_ADD,        /* n[0] = index */
    HW_FLOW_TABLES,
    HW_FLOW_UNDO,
};

/* What a refusal is about, beyond its class. */
enum hw_fault {
    HW_FAULT_OTHER,
    HW_FAULT_SYNTAX,      /* the release does not know the command */
    HW_FAULT_SN_EXISTS,
    HW_FAULT_ID_TAKEN,
    HW_FAULT_NO_ONT,
    HW_FAULT_NONE_FOUND,  /* an empty answer, dressed as a failure */
    HW_FAULT_NO_FLOW,
    HW_FAULT_FLOW_EXISTS,
    HW_FAULT_HAS_FLOWS,
    HW_FAULT_REPEATED,    /* is so already */
    HW_FAULT_NO_TABLE,
    HW_FAULT_TABLE_EXISTS,
};

enum hw_way { HW_UP, HW_DOWN }; /* of traffic: inbound, outbound */

struct hw_place {
    int frame, slot, port;
};

struct hw_flow {
    int index; /* service-port; -1 in a want */
    int vlan, gem, user_vlan;
    int rx, tx; /* traffic tables in and out, -1 none */
    int ont;
};

struct hw_onu {
    bool found;
    struct hw_place at;
    int id;
    char control[16], run[16], config[16], match[16];
    char desc[2 * HW_DESC_MAX];
    int line_id, service_id; /* -1 not shown */
    char line_name[HW_NAME_MAX], service_name[HW_NAME_MAX];
    char down_cause[HW_NAME_MAX];
};

enum hw_known { HW_UNREAD, HW_ABSENT, HW_PRESENT };

struct hw_table {
    enum hw_known known;
    int index;
    bool differs; /* has the name, but not the rate */
};

struct hw_have {
    bool onu_read;
    struct hw_onu onu;
    enum hw_known autofind;
    struct hw_place autofind_at;
    bool port_read, port_flows_read;
    uint8_t ont_used[HW_ONT_IDS / 8];
    enum hw_known line, service;
    int line_id, service_id;
    struct hw_table table[2];
    bool tables_read;
    uint8_t table_used[HW_TABLES / 8];
    bool flows_read;
    struct hw_flow flows[HW_FLOWS_MAX];
    size_t n_flows;
    struct {
        int index;
        bool free;
    } probes[HW_PROBES_MAX];
    size_t n_probes;
    bool next_index_read;
    int next_index; /* -1: the release cannot say */
    struct {
        int port;
        enum hw_known known; /* ABSENT: the display cannot be read; then only the memo knows */
        bool off;
    } eth[HW_ETH_MAX];
    size_t n_eth;
    bool optical_read, optical_known;
    double rx_dbm;
};

enum hw_cutoff { HW_CUT_ONU, HW_CUT_PORT, HW_CUT_NONE };

/* The want in the driver's own words. */
struct hw_want {
    char serial[HW_SERIAL_MAX];
    bool has_place;
    struct hw_place at;
    bool has_flows;
    struct hw_flow flows[HW_WANT_FLOWS_MAX];
    size_t n_flows;
    int eth;     /* LAN port that a suspension cuts, 0 none */
    bool shared; /* the event or the key says that other contracts use the ONU */
    char line[HW_NAME_MAX], service[HW_NAME_MAX]; /* id or name, "" not said */
    int64_t kbps[2];
    int priority; /* of the plan's traffic tables, 0..7 */
    enum hw_cutoff cutoff;
    char desc[HW_DESC_MAX + 1]; /* the description to write; at least the mark */
    bool desc_exact;            /* the event says what follows the mark */
    bool adopt;
    int index_max;              /* service-port indexes are chosen from 1 to this */
    int ont_ids;                /* ONT ids are chosen from 0 to one less than this */
};

enum hw_mark { HW_MARK_NONE, HW_MARK_OURS, HW_MARK_OTHER };

extern const struct sn_cli_dialect hw_dialect;

/* want.c */
int hw_serial(const char *text, char out[HW_SERIAL_MAX]);
int hw_key(const struct sn_want *want, json_t **ret_key, struct sn_error *err);
json_t *hw_claims(const json_t *key);
bool hw_same_thing(const json_t *a, const json_t *b);
/* From the key and, for BE, the service. -1: a key that this driver did not make. */
int hw_want_read(const struct sn_want *want, struct hw_want *ret);
enum hw_mark hw_mark_of(const struct sn_want *want, const char *desc);
/* Is the ref one that can stand as a mark in a description, and be found there again? */
bool hw_ref_is_mark(const char *ref);
/* May the flow be ours: is it in the key or in an older one? */
bool hw_flow_ours(const struct sn_want *want, const struct hw_flow *flow);
bool hw_same_place(const struct hw_place *a, const struct hw_place *b);

/* The number that a profile is called by in the event, -1 when it is called by a name (or by a number that no profile can have). */
int hw_profile_id(const char *wanted);
/* A traffic table is named by what it does: sn-100000, with another priority than 0 sn-100000-p5. */
void hw_table_name(const struct hw_want *w, enum hw_way way, char out[HW_NAME_MAX]);

/* parse.c: each returns 0, or -1 when the text is not what the command prints. Any bytes are accepted. */
int hw_parse_onu(const char *text, struct hw_onu *ret, char serial[HW_SERIAL_MAX]);
int hw_parse_autofind(const char *text, const char *serial, bool *ret_found, struct hw_place *ret_at);
/* Sets a bit for each ONT id of the port. */
int hw_parse_port(const char *text, const struct hw_place *at, uint8_t used[HW_ONT_IDS / 8]);
/* Profile by id or name: *ret_id = -1 when the list does not hold it. */
int hw_parse_profiles(const char *text, const char *wanted, int *ret_id);
int hw_parse_table(const char *text, char *name, size_t size, int *ret_index, int64_t *ret_cir, int64_t *ret_pir);
/* One row of the list of traffic tables: false when the line is none. name "" when the release does not show it. */
struct hw_table_row {
    int index, priority;
    char name[HW_NAME_MAX];
    int64_t cir, pir; /* -1 off */
};
bool hw_parse_table_row(const char *line, size_t len, struct hw_table_row *ret);
/* Service-ports of GPON. *n: in the room, out the number found (at most the room). */
int hw_parse_flows(const char *text, const struct hw_place *at, struct hw_flow *flows, size_t *n);
int hw_parse_next_index(const char *text, int *ret_index);
int hw_parse_eth(const char *text, int port, bool *ret_off);
int hw_parse_optical(const char *text, double *ret_rx_dbm);

/* absorb.c */
void hw_absorb(const struct sn_want *want, const struct sn_op *op, const struct sn_reply *reply, void *have, json_t *memo,
               struct sn_verdict *ret);
uint32_t hw_hash(const char *text);
bool hw_memo_taken(const json_t *memo, const char *what, int number);
/* Did the device round our rate? It keeps multiples of 64 kbit/s. */
bool hw_rate_is(int64_t shown, int64_t wanted);

/* flows.c: service-ports. */
struct hw_plan {
    const struct sn_want *want;
    const struct hw_have *h;
    const json_t *memo;
    struct hw_want w;
    enum hw_mark mark;
    bool shared_onu;    /* it is another contract's too: only own service-ports are touched */
    bool cut_flows;     /* the suspension is made by removing own service-ports */
    struct sn_answer *ret;
};
/* The table for a direction; both ways share one when the rates are equal. */
const struct hw_table *hw_table_of(const struct hw_plan *p, enum hw_way way);
/* Each asks for what must be read first (then ret->ops has grown), or ends the plan (ret->what = STUCK: returns -1). */
int hw_tables_ask(struct hw_plan *p);
int hw_flows_ask(struct hw_plan *p, bool all_missing);
int hw_flows_undo(struct hw_plan *p);
void hw_tables_add(struct hw_plan *p);
void hw_flows_add(struct hw_plan *p, int ont, bool all_missing);
/* Undoes the flows of an ONU: those that are ours, or all. Returns how many stay. */
size_t hw_flows_remove(struct hw_plan *p, bool all);
/* Ends the plan. Returns -1. */
int hw_stuck(struct hw_plan *p, enum sn_class class, const char *code, const char *fmt, ...) SN_PRINTF(4, 5);

/* plan.c */
void hw_next(const struct sn_want *want, const void *have, const json_t *memo, struct sn_answer *ret);

/* op.c: one constructor for each line. Appends to the list; a list that is full is sent first, the rest is asked for again. */
void hw_op_read_onu(struct sn_ops *ops, const char *serial);
void hw_op_read_autofind(struct sn_ops *ops);
void hw_op_read_port(struct sn_ops *ops, const struct hw_place *at);
void hw_op_read_port_flows(struct sn_ops *ops, const struct hw_place *at);
void hw_op_read_profiles(struct sn_ops *ops, bool line);
void hw_op_read_table(struct sn_ops *ops, const struct hw_want *w, enum hw_way way);
void hw_op_read_tables(struct sn_ops *ops);
void hw_op_read_flows(struct sn_ops *ops, const struct hw_onu *onu);
void hw_op_read_index(struct sn_ops *ops, int index);
void hw_op_read_next_index(struct sn_ops *ops);
void hw_op_read_eth(struct sn_ops *ops, const struct hw_onu *onu, int port);
void hw_op_read_optical(struct sn_ops *ops, const struct hw_onu *onu);
void hw_op_add(struct sn_ops *ops, const struct hw_want *w, int ont, int line, int service);
void hw_op_modify_line(struct sn_ops *ops, const struct hw_onu *onu, int line);
void hw_op_modify_service(struct sn_ops *ops, const struct hw_onu *onu, int service);
void hw_op_modify_desc(struct sn_ops *ops, const struct hw_onu *onu, const char *desc);
void hw_op_delete(struct sn_ops *ops, const struct hw_onu *onu);
void hw_op_control(struct sn_ops *ops, const struct hw_onu *onu, bool active);
void hw_op_eth(struct sn_ops *ops, const struct hw_onu *onu, int port, bool on);
void hw_op_table_add(struct sn_ops *ops, const struct hw_want *w, enum hw_way way, int index);
void hw_op_flow_add(struct sn_ops *ops, const struct hw_place *at, int ont, const struct hw_flow *flow);
void hw_op_flow_tables(struct sn_ops *ops, const struct hw_flow *flow, int rx, int tx);
void hw_op_flow_undo(struct sn_ops *ops, const struct hw_onu *onu, const struct hw_flow *flow, bool by_index);

/* describe.c */
/* What somebody who writes a fixture wants to see of this release: layouts of the lists, nobody's description. */
void hw_record(const struct sn_target *target, struct sn_ops *ret);
void hw_describe(const struct sn_want *want, const void *have, const json_t *memo, json_t **ret_holds,
                 json_t **ret_reality);

static inline bool hw_bit(const uint8_t *bits, int i)
{
    return (bits[i / 8] & (1u << (i % 8))) != 0;
}

static inline void hw_bit_set(uint8_t *bits, int i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | (1u << (i % 8)));
}

#endif
