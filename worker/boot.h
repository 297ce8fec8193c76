/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start and stop of silverd: settings, secrets, roles, threads, and the way back in the opposite order. Thread: main's.
 */
#ifndef SN_WORKER_BOOT_H
#define SN_WORKER_BOOT_H

#include <signal.h>
#include <stdbool.h>

#include "common/base/error.h"

struct sn_boot;

/* Exit codes of a start that failed, as in sysexits.h. */
enum sn_boot_exit {
    SN_BOOT_UNREACHABLE = 69,   /* the broker did not come within broker.start_wait: try again */
    SN_BOOT_MISCONFIGURED = 78, /* somebody has to change something first */
};

/* Reads options and secrets. *ret NULL with *ret_code: the command line asked for something else and was answered. The boot is the
 * caller's (sn_boot_free). */
int sn_boot_configure(int argc, char **argv, struct sn_boot **ret, int *ret_code, struct sn_error *err) SN_MUSTCHECK;
bool sn_boot_wants_core(const struct sn_boot *boot);
/* Starts the roles. 1 = a signal came before the broker did. -1 = err, and *ret_code is one of enum sn_boot_exit. Then, too, what was started
 * is still to be stopped. signals is blocked in every thread. */
int sn_boot_start(struct sn_boot *boot, const sigset_t *signals, int *ret_code, struct sn_error *err) SN_MUSTCHECK;
/* Drains: no new jobs, those in hand are finished and saved. A second signal (or the end of job.drain) stops: nothing more is written,
 * replies in flight are awaited, the rest is given back. A third leaves at once: the process ends in this call. */
void sn_boot_stop(struct sn_boot *boot, const sigset_t *signals);
void sn_boot_free(struct sn_boot *boot);

#endif
