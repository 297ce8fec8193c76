/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open sessions of a subscriber at a NAS (aspect "session") and the check that a login is answered as it shall be (aspect "login").
 *
 * radacct of the RADIUS server says which sessions are open and where; packets go to the NAS that radacct shows, which need not be the
 * one that the event names. A NAS cannot be read back: what it acknowledged goes into memo, by row of radacct (session ids
 * come back after a reboot of the NAS, row numbers do not):
 *
 *     {"acks": {"<row>": "<rate>"}, "cut": {"<row>": "ack"|"503"}, "refused": {"<row>": <Error-Cause>},
 *      "by_name": {"<row>": true}, "looks": n, "swept": {"generation": n, "answer": "…"}, "zero_ma": true}
 *
 * SINCE session: every session older than the last change of the user's rows has the rate of the plan: CoA, and Disconnect where the
 *   NAS cannot change a rate, so that it comes back with the new profile.
 * GONE session: no session of a user who is refused, and none from before the last change of a user who is served otherwise
 *   (walled garden, a command). Where radacct shows none, one Disconnect by name goes to the target, since a login may be in flight.
 * LOOK login: an Access-Request is answered with the plan's rate (or refused, or sent to the garden, when suspended). Only while no
 *   session is open: Simultaneous-Use would refuse an online customer.
 *
 * Options of the target: `radius` (id of the RADIUS server's entry: radacct, `auth: {address, port, secret, nas_ip}`), `nas_address` as in
 * radacct, `coa: {address, port, secret, accept_zero_ma}`, `timers: {irt_ms, mrt_ms, mrc, mrd_ms}`.
 * Facts: docs/protocols/dynamic-authorization.md.
 * Thread: as in drivers/driver.h; no state but the session's.
 */
#ifndef SN_DRIVERS_RADIUS_SESSION_RADIUS_SESSION_H
#define SN_DRIVERS_RADIUS_SESSION_RADIUS_SESSION_H

#include "drivers/driver.h"

extern const struct sn_driver sn_driver_radius_session;

#endif
