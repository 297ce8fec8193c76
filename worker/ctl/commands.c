/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands. Help, the man page and the parser are made from it. */
#include "worker/ctl/ctl.h"

#define BIT(flag) (1u << (flag))

const struct sn_command sn_commands[] = {
    { "publish", "FILE...", N_("Checks events, sends them to the fleet, and says what became of them."),
      BIT(SN_FLAG_WAIT) | BIT(SN_FLAG_BULK), 1, SN_ARGS_MAX, sn_cmd_publish },
    { "plan", "FILE", N_("Asks the owner what an event would change. Nothing is sent to the network."),
      BIT(SN_FLAG_EXIT_CODE), 1, 1, sn_cmd_plan },
    { "event", "ID|REF|last", N_("What became of an event, exchange by exchange."), BIT(SN_FLAG_RAW), 1, 1,
      sn_cmd_event },
    { "contract", "REF|ID", N_("What a contract has on the network, and its events."), BIT(SN_FLAG_LIMIT), 1, 1,
      sn_cmd_contract },
    { "device list", "", N_("All targets: who owns them, what is closed, what waits."), 0, 0, 0, sn_cmd_device_list },
    { "device show", "DEVICE", N_("One target: why it is closed and what to do, its last exchanges."), 0, 1, 1,
      sn_cmd_device_show },
    { "device test", "DEVICE", N_("Lets the owner log in and read something harmless."), 0, 1, 1, sn_cmd_device_test },
    { "device record", "DEVICE", N_("A redacted transcript of read-only commands, to be kept as a test case."), 0, 1, 1,
      sn_cmd_device_record },
    { "device pause", "DEVICE", N_("Closes the gate: the session ends within a second, events wait, nothing is lost."),
      BIT(SN_FLAG_UNTIL) | BIT(SN_FLAG_WHY), 1, 1, sn_cmd_device_pause },
    { "device resume", "DEVICE", N_("Opens the gate that a person, a wrong login or repeated failures closed."),
      BIT(SN_FLAG_WHY), 1, 1, sn_cmd_device_resume },
    { "dlq list", "", N_("Dead letters that wait for a person, newest first."),
      BIT(SN_FLAG_CAUSE) | BIT(SN_FLAG_DEVICE) | BIT(SN_FLAG_LIMIT), 0, 0, sn_cmd_dlq_list },
    { "dlq show", "ID|REF", N_("One dead letter: what happened, what holds now, what to do."), 0, 1, 1,
      sn_cmd_dlq_show },
    { "dlq groups", "", N_("Dead letters by cause."), 0, 0, 0, sn_cmd_dlq_groups },
    { "topology", "", N_("Exchanges, queues and bindings that the fleet needs."),
      BIT(SN_FLAG_APPLY) | BIT(SN_FLAG_CHECK), 0, 0, sn_cmd_topology },
    { "check-config", "", N_("Checks configuration, inventory, broker, Redis and ledger; sends nothing to a device."),
      0, 0, 0, sn_cmd_check_config },
    { "worker list", "", N_("Live workers, what they own, and why they may do nothing."), 0, 0, 0, sn_cmd_worker_list },
    { NULL, NULL, NULL, 0, 0, 0, NULL },
};

const struct sn_option sn_options[] = {
    { "wait", SN_FLAG_WAIT, false, NULL,
      N_("wait for the final outcome (at most --timeout); it decides the exit code") },
    { "bulk", SN_FLAG_BULK, false, NULL, N_("send by the slow road of bill runs: express events go first") },
    { "exit-code", SN_FLAG_EXIT_CODE, false, NULL, N_("exit with 3 when something would change") },
    { "raw", SN_FLAG_RAW, false, NULL, N_("the literal dialogue with the devices") },
    { "apply", SN_FLAG_APPLY, false, NULL, N_("make what is missing") },
    { "check", SN_FLAG_CHECK, false, NULL, N_("compare with the broker, change nothing") },
    { "cause", SN_FLAG_CAUSE, true, "CODE", N_("only letters of this cause") },
    { "device", SN_FLAG_DEVICE, true, "DEVICE", N_("only letters of this device") },
    { "limit", SN_FLAG_LIMIT, true, "N", N_("how many to show") },
    { "until", SN_FLAG_UNTIL, true, "TIME", N_("opens by itself then: 06:00, 2h, 30m, or a full time") },
    { "why", SN_FLAG_WHY, true, "TEXT", N_("for those who find it closed") },
    { NULL, 0, false, NULL, NULL },
};
