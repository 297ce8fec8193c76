/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Huawei SmartAX OLTs (MA5600T, MA5608T, MA5800) over their command line. Aspect: onu.
 *
 * Options of a target beside those of drivers/cli/cli.h: plans.<code>.{line_profile, service_profile} (ids or names; they win over the
 * event's), unmarked (adopt | refuse: an ONU with our serial whose description is no contract's), service_port_max (highest index that we
 * choose, default 4000), marks (globs of what other contracts' marks look like, beside the shape of our own).
 * Thread: as in drivers/driver.h; no state but the session's.
 */
#ifndef SN_DRIVERS_HUAWEI_SMARTAX_H
#define SN_DRIVERS_HUAWEI_SMARTAX_H

#include "drivers/driver.h"

extern const struct sn_driver sn_driver_huawei_smartax;

#endif
