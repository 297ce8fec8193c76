/* SPDX-License-Identifier: Apache-2.0 */
/* Each row: docs/protocols/huawei-smartax.md. */
#include "drivers/huawei-smartax/huawei.h"

static const struct sn_cli_mode modes[] = {
    {"user", ">", NULL, NULL, NULL},
    {"enable", "#", "user", "enable", "disable"},
    {"config", "(config)#", "enable", "config", "quit"},
    {"interface gpon *", "(config-if-gpon-*)#", "config", "interface gpon *", "quit"},
    {"diagnose", "(diagnose)%%", "enable", NULL, "quit"},
    {"other", "(*)#", "config", NULL, "quit"},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct sn_cli_question questions[] = {
    {"{*<cr>*}:", "*", ""},
    {"{*}:", "*", NULL},
    {"*log out?*(y/n)*", "quit", "y"},
    {"*(y/n)*", "undo service-port *", "y"},
    {"*YES*NO*", "", "yes"},
    {"*(y/n)*:", "*", NULL},
    {"*(y/n)*]", "*", NULL},
    {"*(y/n)", "*", NULL},
    {"*password*:", "enable", sn_cli_enable_password},
    {"*password*:", "*", NULL},
    {"*user name*:", "*", NULL},
    {NULL, NULL, NULL},
};

static const struct sn_cli_async asyncs[] = {
    {"! *[*]:", "--- END"},
    {"Configuration file had been saved successfully", NULL},
    {"Note: The configuration file will take effect after being activated*", NULL},
    {NULL, NULL},
};

static const char *const markers[] = {"Failure:*", "% *", "It will take several minutes to save configuration file*", NULL};

/* Class ok: an answer in the shape of a failure, where the driver expects it; elsewhere it is read again. */
static const struct sn_cli_fault faults[] = {
    /* busy: the device, later */
    {"System is busy*", SN_TRANSIENT_DEVICE, 0, "huawei.busy"},
    {"System is reading or writing flash*", SN_TRANSIENT_DEVICE, 0, "huawei.flash-busy"},
    {"Command can not be executed rightly*", SN_TRANSIENT_DEVICE, 0, "huawei.flash-busy"},
    {", please wait*", SN_TRANSIENT_DEVICE, 0, "huawei.flash-busy"},
    {"*resource is busy*", SN_TRANSIENT_DEVICE, 0, "huawei.busy"},
    /* the ONU */
    {"The automatically found ONTs do not exist*", SN_OK, HW_FAULT_NONE_FOUND, "huawei.ont-missing"},
    {"There is no ONT available*", SN_OK, HW_FAULT_NONE_FOUND, "huawei.ont-missing"},
    {"The ONT ID has already existed*", SN_AGAIN, HW_FAULT_ID_TAKEN, "huawei.ont-id-taken"},
    {"The required ONT does not exist*", SN_AGAIN, HW_FAULT_NO_ONT, "huawei.ont-missing"},
    {"The ONT does not exist*", SN_AGAIN, HW_FAULT_NO_ONT, "huawei.ont-missing"},
    {"*SN * already exist*", SN_AGAIN, HW_FAULT_SN_EXISTS, "huawei.sn-elsewhere"},
    {"*SN already exist*", SN_AGAIN, HW_FAULT_SN_EXISTS, "huawei.sn-elsewhere"},
    {"The SN has been used by another ONT*", SN_AGAIN, HW_FAULT_SN_EXISTS, "huawei.sn-elsewhere"},
    {"The ONT with the same SN already exists*", SN_AGAIN, HW_FAULT_SN_EXISTS, "huawei.sn-elsewhere"},
    {"The SN is conflicted with the SN of an existing ONT*", SN_AGAIN, HW_FAULT_SN_EXISTS, "huawei.sn-elsewhere"},
    {"This configured object has some service virtual ports*", SN_AGAIN, HW_FAULT_HAS_FLOWS, "huawei.ont-in-use"},
    {"ONT is not online*", SN_TRANSIENT_JOB, 0, "huawei.ont-offline"},
    {"The board does not exist*", SN_PERMANENT, 0, "huawei.board-missing"},
    {"The port does not exist*", SN_PERMANENT, 0, "huawei.port-missing"},
    {"The ONT port ID does not exist*", SN_PERMANENT, 0, "huawei.ont-port-missing"},
    /* service-ports */
    {"No service virtual port can be operated*", SN_OK, HW_FAULT_NO_FLOW, "huawei.service-port-missing"},
    {"The service virtual port does not exist*", SN_OK, HW_FAULT_NO_FLOW, "huawei.service-port-missing"},
    {"The service port does not exist*", SN_OK, HW_FAULT_NO_FLOW, "huawei.service-port-missing"},
    {"Service virtual port has existed already*", SN_AGAIN, HW_FAULT_FLOW_EXISTS, "huawei.service-port-taken"},
    {"Conflicted service virtual port index*", SN_AGAIN, HW_FAULT_FLOW_EXISTS, "huawei.service-port-taken"},
    {"Make configuration repeatedly*", SN_OK, HW_FAULT_REPEATED, "huawei.no-confirmation"},
    {"VLAN does not exist*", SN_PERMANENT, 0, "huawei.vlan-missing"},
    {"The VLAN does not exist*", SN_PERMANENT, 0, "huawei.vlan-missing"},
    {"The port is not in the VLAN*", SN_PERMANENT, 0, "huawei.vlan-missing"},
    {"The GEM port does not exist*", SN_PERMANENT, 0, "huawei.gem-missing"},
    {"GEM configuration exists*", SN_PERMANENT, 0, "huawei.gem-in-use"},
    {"The GEM port cannot be deleted*", SN_PERMANENT, 0, "huawei.gem-in-use"},
    /* traffic tables and profiles */
    {"The traffic table does not exist*", SN_AGAIN, HW_FAULT_NO_TABLE, "huawei.traffic-table-missing"},
    {"The traffic descriptor record does not exist*", SN_AGAIN, HW_FAULT_NO_TABLE, "huawei.traffic-table-missing"},
    {"*traffic descriptor record*exist*", SN_AGAIN, HW_FAULT_TABLE_EXISTS, "huawei.traffic-table-taken"},
    {"*traffic table*exist*", SN_AGAIN, HW_FAULT_TABLE_EXISTS, "huawei.traffic-table-taken"},
    {"The line profile does not exist*", SN_PERMANENT, 0, "huawei.line-profile-missing"},
    {"The ont-lineprofile does not exist*", SN_PERMANENT, 0, "huawei.line-profile-missing"},
    {"*service profile does not exist*", SN_PERMANENT, 0, "huawei.service-profile-missing"},
    {"The ont-srvprofile does not exist*", SN_PERMANENT, 0, "huawei.service-profile-missing"},
    {"The profile does not exist*", SN_PERMANENT, 0, "huawei.profile-missing"},
    /* rights, limits, syntax */
    {"*insufficient privilege*", SN_PERMANENT, 0, "huawei.no-rights"},
    {"*HG configuration method*", SN_PERMANENT, 0, "huawei.unsupported-by-ont"},
    {"*no free*", SN_PERMANENT, 0, "huawei.full"},
    {"*no idle*", SN_PERMANENT, 0, "huawei.full"},
    {"*exceed*", SN_PERMANENT, 0, "huawei.full"},
    {"*reach*maximum*", SN_PERMANENT, 0, "huawei.full"},
    {"*reach*upper limit*", SN_PERMANENT, 0, "huawei.full"},
    {"Unknown command*", SN_PERMANENT, HW_FAULT_SYNTAX, "huawei.syntax"},
    {"Parameter error*", SN_PERMANENT, HW_FAULT_SYNTAX, "huawei.syntax"},
    {"Too many parameters*", SN_PERMANENT, HW_FAULT_SYNTAX, "huawei.syntax"},
    {"Incomplete command*", SN_PERMANENT, HW_FAULT_SYNTAX, "huawei.syntax"},
    {"Ambiguous command*", SN_PERMANENT, HW_FAULT_SYNTAX, "huawei.syntax"},
    {NULL, SN_OK, 0, NULL},
};

static const char *const quota[] = {"*Reenter times have reached the upper limit*", "*users has reached the upper limit*",
                                    "*many user*", NULL};
static const char *const refused[] = {"*Username or password invalid*", NULL};
static const char *const logged_out[] = {">>User name*:", ">>User password*:", NULL};

/* Not `undo idle-timeout`: the device must free the login of a worker that died. */
static const struct sn_cli_step steps[] = {
    {"enable", "undo smart"},
    {"enable", "undo interactive"},
    {"enable", "scroll 512"},
    {"enable", "infoswitch cli OFF"},
    {NULL, NULL},
};

const struct sn_cli_dialect hw_dialect = {
    .name = "huawei-smartax",
    .newline = "\n",
    .modes = modes,
    .pager = "---- More*----",
    .pager_answer = " ",
    .questions = questions,
    .asyncs = asyncs,
    .repeat_head = "Command:",
    .markers = markers,
    .faults = faults,
    .unknown_fault = {"", SN_PERMANENT, HW_FAULT_OTHER, "huawei.unknown-failure"},
    .quota = quota,
    .refused = refused,
    .logged_out = logged_out,
    .prepare = steps,
    .logout = "quit",
    .save = {"enable", "save"},
    .save_done = "Configuration file had been saved successfully",
    .save_busy = "It will take several minutes to save configuration file*",
};
