/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words for packets: attributes and values by name, from a dictionary that libradcli reads (dictionary.txt, embedded). For journals
 * and verdicts; the packets themselves are ours (packet.h).
 * Thread: a loaded dictionary is only read, by any number of threads.
 */
#ifndef SN_DRIVERS_RADIUS_SESSION_NAMES_H
#define SN_DRIVERS_RADIUS_SESSION_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"

struct sn_radius_names;

int sn_radius_names_load(struct sn_radius_names **ret, struct sn_error *err) SN_MUSTCHECK;
void sn_radius_names_free(struct sn_radius_names *names);

/* "Session-Context-Not-Found" for 503; the number as text when it has no name; "no Error-Cause" for 0. */
#define SN_CAUSE_TEXT_MAX 40
void sn_radius_cause_text(const struct sn_radius_names *names, uint32_t cause, char out[SN_CAUSE_TEXT_MAX]);

/* "CoA-NAK id 12: Error-Cause = Session-Context-Not-Found, Event-Timestamp = 1795406400". Foreign text is escaped; authenticators, challenges
 * and what proves a password are named without their value. data: a well-formed packet. */
void sn_radius_describe(const struct sn_radius_names *names, const unsigned char *data, size_t len, struct sn_buf *out);

#endif
