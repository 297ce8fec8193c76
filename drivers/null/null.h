/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver without a device: the worked example of docs/drivers.md, and the load of tests and benchmarks.
 *
 * Its "network" is a table in this process, or a file per target when the inventory says `null: {file: /path}` (so that it outlives
 * a kill). Options under `null`: file, latency_ms, fail (a class word: every write answers that), silent (writes say ok and do
 * nothing). It serves every aspect.
 * Thread: as in drivers/driver.h; a file is replaced whole at each write, so that it belongs to one session at a time, as a device does.
 */
#ifndef SN_DRIVERS_NULL_NULL_H
#define SN_DRIVERS_NULL_NULL_H

#include "drivers/driver.h"

extern const struct sn_driver sn_driver_null;

#endif
