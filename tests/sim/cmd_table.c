/* SPDX-License-Identifier: Apache-2.0 */
/* Every command that the simulated device knows. Rows of one first word are tried in order; see parser.h. */
#include "command.h"

#define U MODE_USER
#define E MODE_ENABLE
#define C MODE_CONFIG
#define G MODE_GPON
#define ECG (E | C | G)
#define ALL (U | E | C | G)

#define ADD_TAIL \
    "sn-auth <sn:SN> omci ont-lineprofile-id <lp:U0-8192> ont-srvprofile-id <sp:U0-8192> [ desc <desc:S64> ]"
#define FLOW_TAIL \
    "vlan <vlan:U1-4093> gpon <fsp:FSP> ont <ontid:U0-127> gemport <gem:U0-1023> multi-service user-vlan <uvlan:S8> " \
    "[ tag-transform <transform:translate|transparent|default|translate-and-add|add-double> ] " \
    "[ inbound traffic-table index <rx:U0-1023> ] [ outbound traffic-table index <tx:U0-1023> ]"

static const char undo_warning[] =
    "  Warning: The operation will delete multiple or all service ports and cause interruptions of many user "
    "services.\r\n"
    "  It will take several minutes, and console may timeout,\r\n"
    "  please use command idle-timeout to set time limit\r\n";
static const char undo_confirm[] = "  Are you sure to release service virtual port(s)? (y/n)[n]:";
static const char quit_warning[] =
    "  Check whether system data has been changed. Please save data before logout.\r\n";
static const char quit_confirm[] = "Are you sure to log out? (y/n)[n]:";
static const char reset_confirm[] = "  Are you sure to reset the ONT(s)? (y/n)[n]:"; /* [K] */

const struct command command_table[] = {
    /* the session */
    {"enable", U, CMD_SESSION, NULL, NULL, NULL, run_enable},
    {"disable", E, CMD_SESSION, NULL, NULL, NULL, run_disable},
    {"config", E, CMD_SESSION, NULL, NULL, NULL, run_config},
    {"configure terminal", E, CMD_SESSION, NULL, NULL, NULL, run_config},
    {"interface gpon <fs:FS>", C, CMD_SESSION, NULL, NULL, NULL, run_interface},
    {"quit", C | G, CMD_SESSION, NULL, NULL, NULL, run_quit},
    {"quit", U | E, CMD_SESSION, NULL, quit_warning, quit_confirm, run_quit},
    {"return", C | G, CMD_SESSION, NULL, NULL, NULL, run_return},
    {"undo smart", U | E, CMD_SESSION, NULL, NULL, NULL, run_smart_off},
    {"smart", U | E, CMD_SESSION, NULL, NULL, NULL, run_smart_on},
    {"undo interactive", U | E, CMD_SESSION, NULL, NULL, NULL, run_interactive_off},
    {"interactive", U | E, CMD_SESSION, NULL, NULL, NULL, run_interactive_on},
    {"scroll [ <lines:U10-512> ]", ECG, CMD_SESSION, "{ <cr>|number<U><10,512> }:", NULL, NULL, run_scroll},
    {"infoswitch cli <state:on|off>", E, CMD_SESSION, NULL, NULL, NULL, run_infoswitch},
    {"undo idle-timeout", U | E, CMD_SESSION, NULL, NULL, NULL, run_idle_off},
    {"idle-timeout <minutes:U1-255>", U | E, CMD_SESSION, NULL, NULL, NULL, run_idle},
    {"save", E | C, 0, "{ <cr>|configuration<K>|data<K> }:", NULL, NULL, run_save},
    {"save <what:configuration|data>", E | C, 0, NULL, NULL, NULL, run_save},

    /* ONTs */
    {"display ont autofind all", ECG, 0, ASK_ANY, NULL, NULL, run_autofind},
    {"display ont autofind <port:U0-255>", G, 0, ASK_ANY, NULL, NULL, run_autofind},
    {"display ont info by-sn <sn:SN>", ECG, 0, ASK_ANY, NULL, NULL, run_ont_by_sn},
    {"display ont info <frame:U0-255> <slot:U0-255> <port:U0-255> all", E | C, 0, ASK_ANY, NULL, NULL, run_ont_port},
    {"display ont info <frame:U0-255> <slot:U0-255> <port:U0-255> <ontid:U0-127>", E | C, 0, ASK_ANY, NULL, NULL,
     run_ont_one},
    {"display ont info <port:U0-255> all", G, 0, ASK_ANY, NULL, NULL, run_ont_port},
    {"display ont info <port:U0-255> <ontid:U0-127>", G, 0, ASK_ANY, NULL, NULL, run_ont_one},
    {"display ont optical-info <port:U0-255> all", G, 0, ASK_ANY, NULL, NULL, run_optical_all},
    {"display ont optical-info <port:U0-255> <ontid:U0-127>", G, 0, ASK_ANY, NULL, NULL, run_optical},
    {"display ont port state <port:U0-255> <ontid:U0-127> eth-port all", G, 0, ASK_ANY, NULL, NULL, run_port_state},
    {"display ont port attribute <port:U0-255> <ontid:U0-127> eth all", G, 0, ASK_ANY, NULL, NULL, run_port_attribute},
    {"display ont port attribute <port:U0-255> <ontid:U0-127> eth <eth:U1-24>", G, 0, ASK_ANY, NULL, NULL,
     run_port_attribute},
    {"display ont-lineprofile gpon all", ECG, 0, ASK_ANY, NULL, NULL, run_line_profiles},
    {"display ont-lineprofile gpon profile-id <id:U0-8192>", ECG, 0, ASK_ANY, NULL, NULL, run_line_profile},
    {"display ont-srvprofile gpon all", ECG, 0, ASK_ANY, NULL, NULL, run_service_profiles},
    {"display ont-srvprofile gpon profile-id <id:U0-8192>", ECG, 0, ASK_ANY, NULL, NULL, run_service_profile},
    {"ont add <port:U0-255> [ <ontid:U0-127> ] " ADD_TAIL, G, CMD_WRITE, "{ <cr>|ont-type<K> }:", NULL, NULL,
     run_ont_add},
    {"ont confirm <port:U0-255> [ ontid <ontid:U0-127> ] " ADD_TAIL, G, CMD_WRITE, "{ <cr>|ont-type<K> }:", NULL, NULL,
     run_ont_confirm},
    {"ont modify <port:U0-255> <ontid:U0-127> ont-lineprofile-id <lp:U0-8192>", G, CMD_WRITE, NULL, NULL, NULL,
     run_ont_modify},
    {"ont modify <port:U0-255> <ontid:U0-127> ont-srvprofile-id <sp:U0-8192>", G, CMD_WRITE, NULL, NULL, NULL,
     run_ont_modify},
    {"ont modify <port:U0-255> <ontid:U0-127> desc <desc:S64>", G, CMD_WRITE, NULL, NULL, NULL, run_ont_modify},
    {"ont delete <port:U0-255> <ontid:U0-127>", G, CMD_WRITE, NULL, NULL, NULL, run_ont_delete},
    {"ont activate <port:U0-255> <ontid:U0-127>", G, CMD_WRITE, NULL, NULL, NULL, run_ont_activate},
    {"ont deactivate <port:U0-255> <ontid:U0-127>", G, CMD_WRITE, NULL, NULL, NULL, run_ont_deactivate},
    {"ont reset <port:U0-255> <ontid:U0-127>", G, 0, NULL, NULL, reset_confirm, run_ont_reset},
    {"ont re-register <port:U0-255> <ontid:U0-127>", G, 0, NULL, NULL, reset_confirm, run_ont_reset},
    {"ont port attribute <port:U0-255> <ontid:U0-127> eth <eth:U1-24> operational-state <state:on|off>", G, CMD_WRITE,
     NULL, NULL, NULL, run_port_switch},
    {"ont port native-vlan <port:U0-255> <ontid:U0-127> eth <eth:U1-24> vlan <vlan:U1-4095> [ priority <pri:U0-7> ]", G,
     CMD_WRITE, NULL, NULL, NULL, run_native_vlan},
    {"ont port vlan <port:U0-255> <ontid:U0-127> eth <vlan:U1-4095> <eth:U1-24>", G, CMD_WRITE, NULL, NULL, NULL,
     run_port_vlan},

    /* service ports and traffic tables */
    {"display service-port all", ECG, 0, ASK_ANY, NULL, NULL, run_ports_all},
    {"display service-port port <fsp:FSP>", ECG, 0, "{ <cr>|autosense<K>|ont<K>|sort-by<K>||<K> }:", NULL, NULL,
     run_ports_of_place},
    {"display service-port port <fsp:FSP> ont <ontid:U0-127>", ECG, 0, ASK_ANY, NULL, NULL, run_ports_of_ont},
    {"display service-port <index:U0-65535>", ECG, 0, ASK_ANY, NULL, NULL, run_port_one},
    {"service-port [ <index:U0-65535> ] " FLOW_TAIL, C, CMD_WRITE, NULL, NULL, NULL, run_port_add},
    {"service-port <index:U0-65535> inbound traffic-table index <rx:U0-1023> "
     "[ outbound traffic-table index <tx:U0-1023> ]",
     C, CMD_WRITE, NULL, NULL, NULL, run_port_change},
    {"undo service-port <index:U0-65535>", C, CMD_WRITE, NULL, NULL, NULL, run_port_undo},
    {"undo service-port port <fsp:FSP> ont <ontid:U0-127>", C, CMD_WRITE, "{ <cr>|gemport<K> }:", undo_warning,
     undo_confirm, run_port_undo_ont},
    {"undo service-port vlan <vlan:U1-4093> gpon <fsp:FSP> ont <ontid:U0-127> gemport <gem:U0-1023>", C, CMD_WRITE,
     NULL, undo_warning, undo_confirm, run_port_undo_flow},
    {"display traffic table ip from-index <from:U0-1023> [ to-index <to:U0-1023> ] [ <form:detail> ]", ECG, 0,
     "{ <cr>|to-index<K>|detail<K>||<K> }:", NULL, NULL, run_tables},
    {"display traffic table ip index <index:U0-1023>", ECG, 0, ASK_ANY, NULL, NULL, run_table_one},
    {"display traffic table ip name <name:S32>", ECG, 0, ASK_ANY, NULL, NULL, run_table_one},
    {"traffic table ip [ index <index:U0-1023> ] [ name <name:S32> ] cir <cir:U64-10240000> "
     "[ cbs <cbs:U2000-10240000> ] [ pir <pir:U64-10240000> ] [ pbs <pbs:U2000-10240000> ] priority <pri:U0-7> "
     "priority-policy <policy:local-setting|tag-in-package>",
     C, CMD_WRITE, NULL, NULL, NULL, run_table_add},
    {"undo traffic table ip index <index:U0-1023>", C, CMD_WRITE, NULL, NULL, NULL, run_table_undo},

    /* the system */
    {"display vlan all", ECG, 0, ASK_ANY, NULL, NULL, run_vlan_all},
    {"display vlan <vlan:U1-4095>", ECG, 0, ASK_ANY, NULL, NULL, run_vlan_one},
    {"display board <frame:U0-255>", ECG, 0, ASK_ANY, NULL, NULL, run_board},
    {"display version", ALL, 0, "{ <cr>|backplane<K>|frameid/slotid<S><Length 1-15> }:", NULL, NULL, run_version},
    {"display current-configuration", ECG, 0, "{ <cr>|ont<K>|port<K>|section<K>|simple<K>|service-port<K>||<K> }:",
     NULL, NULL, run_current},
};

const size_t command_count = sizeof command_table / sizeof command_table[0];
