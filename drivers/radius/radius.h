/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two RADIUS drivers share: the link to a RADIUS server's database, what its errors mean, names and rates.
 *
 * A RADIUS server is an inventory entry of driver freeradius-sql; a NAS (driver radius-session) names it in `radius`. Options
 * that are read here: `sql: {address, port, database, user, password, sslmode, sslrootcert}`, `suspend: reject|garden`,
 * `garden: {address_list, up_kbps, down_kbps}`. Facts: docs/protocols/freeradius-sql.md. Thread: any, no state.
 */
#ifndef SN_DRIVERS_RADIUS_RADIUS_H
#define SN_DRIVERS_RADIUS_RADIUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/json.h"
#include "common/pg/pg.h"
#include "common/secret/secret.h"
#include "drivers/driver.h"

#define SN_RADIUS_NAME_MAX 64  /* user name and its NUL */
#define SN_RADIUS_GROUP_MAX 128
#define SN_RADIUS_RATE_MAX 48

/* Opens the database of a RADIUS server. -1: *verdict says why (the catalogue's `radius.sql-…`, `secret.…`). */
int sn_radius_open(const struct sn_target *server, const struct sn_secret_store *secrets, int64_t deadline_ms,
                   struct sn_pg **ret_pg, struct sn_verdict *verdict) SN_MUSTCHECK;
/* Time of one exchange with the database, `sql.timeout_ms`. */
#define SN_RADIUS_TIMEOUT_MS 10000
/* What the server is told of the time that is left: a little less, as text of milliseconds. */
void sn_radius_limit(char out[24], int64_t left_ms);
/* What a failed statement means. `committing`: COMMIT was sent, so a lost link leaves the outcome unknown; before that a lost link
 * means that nothing was done. */
void sn_radius_verdict(struct sn_verdict *verdict, const struct sn_pg_error *err, bool committing);
/* Resolves a secret of the event or the inventory; -1: *verdict says why. value NULL counts as missing. */
int sn_radius_secret(const struct sn_secret_store *secrets, const json_t *value, const char *what, struct sn_secret *ret,
                     struct sn_verdict *verdict) SN_MUSTCHECK;

/* True for names that FreeRADIUS looks up as they are: letters, digits and `@.-_: /` (its safe_characters), 1..63 bytes. */
bool sn_radius_name_ok(const char *name);
/* Value of Mikrotik-Rate-Limit, "<up>k/<down>k": integers of kbit/s, upload first (rx is what the client sends). */
void sn_radius_rate(char out[SN_RADIUS_RATE_MAX], int64_t up_kbps, int64_t down_kbps);

/* How this server serves a suspended user. */
struct sn_radius_suspend {
    bool garden;
    char address_list[64];
    char rate[SN_RADIUS_RATE_MAX];
    char group[SN_RADIUS_GROUP_MAX]; /* named by content: silver-suspended, silver-suspended@<list>@<up>/<down> */
};
void sn_radius_suspend_read(const json_t *server_conf, struct sn_radius_suspend *ret);

/* Copies into a fixed field; what does not fit counts as absent (never cut: half a name is another name). */
void sn_radius_keep(char *out, size_t size, const char *in);

#endif
