/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users of a FreeRADIUS server whose rows live in PostgreSQL (aspect "user").
 *
 * One read = one statement, hence one snapshot; one write = one transaction, which begins with advisory locks and with raising
 * silver_fence.generation: an older generation that comes late changes nothing (SN_SUPERSEDED). The fence row also
 * is the owner's mark: silver_fence.username says which contract holds a user. A suspended user keeps its plan row and gets a second one
 * with a better priority. FreeRADIUS reads on each request: a committed row acts at the next login and touches no open session.
 *
 * Options of the target, besides those in drivers/radius/radius.h: `unmarked: adopt|refuse` (a user that no contract holds;
 * default adopt), `simultaneous_use` (sessions a user may have, default 1, 0 = no limit; used when a plan group is created).
 * Facts: docs/protocols/freeradius-sql.md.
 * Thread: as in drivers/driver.h; no state but the session's.
 */
#ifndef SN_DRIVERS_FREERADIUS_SQL_FREERADIUS_SQL_H
#define SN_DRIVERS_FREERADIUS_SQL_FREERADIUS_SQL_H

#include "drivers/driver.h"

extern const struct sn_driver sn_driver_freeradius_sql;

#endif
