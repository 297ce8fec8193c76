/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silverctl's settings: the same file, environment and names as silverd's, of which it reads the few that it needs
 * (docs/configuration.md).
 * Thread: main's, the only one of silverctl.
 */
#ifndef SN_WORKER_CTL_CONF_H
#define SN_WORKER_CTL_CONF_H

#include "worker/ctl/ctl.h"

/* Fills the settings of ctl from file < environment < line. Errors: config.*, secret.*. */
int sn_ctl_configure(struct sn_ctl *ctl, const struct sn_line *line, struct sn_error *err) SN_MUSTCHECK;
/* Wipes what was secret and frees. */
void sn_ctl_unconfigure(struct sn_ctl *ctl);

#endif
