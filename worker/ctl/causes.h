/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows behind worker/ctl/catalogue.h, sorted by code, ended by a NULL code.
 * Thread: any, constant.
 */
#ifndef SN_WORKER_CTL_CAUSES_H
#define SN_WORKER_CTL_CAUSES_H

#include "worker/ctl/catalogue.h"
#include "worker/ctl/out.h" /* N_() */

extern const struct sn_cause sn_causes[];

#endif
