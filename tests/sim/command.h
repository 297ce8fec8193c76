/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands. */
#ifndef SIM_COMMAND_H
#define SIM_COMMAND_H

#include "parser.h"
#include "session.h"

enum command_flag {
    CMD_WRITE = 1,  /* changes the configuration: counted, and cut_after_write applies */
    CMD_SESSION = 2 /* only moves or sets up the session: works while the OLT saves or is busy */
};

enum command_result {
    CMD_DONE,
    CMD_REFUSED, /* answered with a failure: nothing changed */
    CMD_LOGOUT   /* the session ends */
};

struct command {
    const char *pattern;
    unsigned modes; /* enum mode, or-ed */
    unsigned flags;
    const char *ask;     /* the smart question, NULL: none */
    const char *warning; /* printed before the confirmation, NULL: none */
    const char *confirm; /* the confirmation, NULL: none */
    enum command_result (*run)(struct session *s, const struct parsed *p, struct text *out);
};

/* The rows in one place: cmd_table.c. */
extern const struct command command_table[];
extern const size_t command_count;

#define ASK_ANY "{ <cr>||<K> }:"

typedef enum command_result command_run(struct session *s, const struct parsed *p, struct text *out);

/* cmd_mode.c */
command_run run_enable, run_disable, run_config, run_interface, run_quit, run_return, run_smart_off, run_smart_on,
    run_interactive_off, run_interactive_on, run_scroll, run_infoswitch, run_idle_off, run_idle, run_save;
/* cmd_ont_read.c */
command_run run_autofind, run_ont_port, run_ont_one, run_ont_by_sn, run_optical, run_optical_all, run_port_state,
    run_port_attribute, run_line_profiles, run_line_profile, run_service_profiles, run_service_profile;
/* cmd_ont_write.c */
command_run run_ont_add, run_ont_confirm, run_ont_modify, run_ont_delete, run_ont_activate, run_ont_deactivate,
    run_ont_reset, run_port_switch, run_native_vlan, run_port_vlan;
/* cmd_service.c */
command_run run_ports_all, run_ports_of_place, run_ports_of_ont, run_port_one, run_port_add, run_port_change,
    run_port_undo, run_port_undo_ont, run_port_undo_flow, run_table_add, run_table_undo, run_tables, run_table_one;
/* cmd_system.c */
command_run run_vlan_all, run_vlan_one, run_board, run_version, run_current;

/* Says "  Failure: …" and refuses. */
enum command_result refuse(struct text *out, const char *failure);

#endif
