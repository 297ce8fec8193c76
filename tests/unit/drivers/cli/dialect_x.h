/* SPDX-License-Identifier: Apache-2.0 */
/* A vendor that does not exist: every feature of a dialect in few rows. */
#ifndef SN_TESTS_DIALECT_X_H
#define SN_TESTS_DIALECT_X_H

#include "drivers/cli/dialect.h"

static const struct sn_cli_mode x_modes[] = {
    {"user", ">", NULL, NULL, NULL},
    {"enable", "#", "user", "enable", "disable"},
    {"config", "(config)#", "enable", "config", "quit"},
    {"interface gpon *", "(config-if-gpon-*)#", "config", "interface gpon *", "quit"},
    {"other", "(*)#", "config", NULL, "quit"},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct sn_cli_question x_questions[] = {
    {"{*<cr>*}:", "*", ""},   {"{*}:", "*", NULL},       {"*log out?*(y/n)*", "quit", "y"}, {"*password*:", "enable", sn_cli_enable_password},
    {"*agree*:", "", "yes"},  {"*(y/n)*:", "*", NULL},   {NULL, NULL, NULL},
};
static const struct sn_cli_async x_asyncs[] = {{"! *[*]:", "--- END"}, {"saved", NULL}, {NULL, NULL}};
static const char *const x_markers[] = {"Failure:*", "% *", NULL};
static const struct sn_cli_fault x_faults[] = {
    {"busy*", SN_TRANSIENT_DEVICE, 0, "x.busy"},
    {"VLAN does not exist*", SN_PERMANENT, 7, "x.vlan"},
    {"has some service virtual ports", SN_AGAIN, 8, "x.in-use"},
    {NULL, SN_OK, 0, NULL},
};
static const char *const x_quota[] = {"*upper limit*", NULL};
static const char *const x_refused[] = {"*invalid login*", NULL};
static const char *const x_logged_out[] = {">>User name:", NULL};
static const struct sn_cli_step x_prepare[] = {{"enable", "undo smart"}, {NULL, NULL}};

static const struct sn_cli_dialect x_dialect = {
    .name = "x", .newline = "\n", .modes = x_modes, .pager = "---- More*----", .pager_answer = " ", .questions = x_questions,
    .asyncs = x_asyncs, .repeat_head = "Command:", .markers = x_markers, .faults = x_faults,
    .unknown_fault = {"", SN_PERMANENT, 0, "x.unknown"}, .quota = x_quota, .refused = x_refused, .logged_out = x_logged_out, .prepare = x_prepare,
    .logout = "quit", .save = {"enable", "save"}, .save_done = "saved", .save_busy = "saving takes a while*",
};

#endif
