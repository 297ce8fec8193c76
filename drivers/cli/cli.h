/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of every driver that talks to a command line. A vendor brings a dialect (dialect.h) and its pure next() and absorb();
 * it inherits the I/O half of struct sn_driver from here:
 *
 *     static int x_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret, struct sn_verdict *v)
 *     { return sn_cli_open(&x_dialect, env, deadline_ms, ret, v); }
 *     … .exchange = sn_cli_exchange, .commit = sn_cli_commit, .close = sn_cli_close, .fd = sn_cli_fd, .idle = sn_cli_idle
 *
 * Options of a target that it reads (schemas/inventory/v1): address, port, transport (ssh), host_key, legacy_crypto, credential
 * {user, password, private_key, enable_password}, save_done (line | quiet), limits {connect_ms, login_ms, settle_ms, read_ms, write_ms,
 * quiet_ms, tcp_ms}.
 *
 * A session whose state is not known for sure (a reply that did not come, a link that broke, a reply without end) is dead: its
 * link is cut at once and every later exchange answers `cli.dead`; the lane closes it and opens another. Classes: a line that was sent
 * and not wholly answered is unknown; a write that was not sent because the session had died is unreachable, a read then is unknown too
 * (nothing can have happened, reading again is all there is to do).
 *
 * Verdict codes: cli.connect, cli.resolve, cli.closed, cli.timeout, cli.dead, cli.session-quota, cli.login-refused,
 * cli.lease, cli.unsafe-line, cli.logged-out, cli.unexpected-question, cli.reply-too-long, cli.mode, cli.save-unconfirmed, cli.option;
 * ssh.host-key-unknown, ssh.host-key-changed, ssh.auth, ssh.auth-method, ssh.algorithms, ssh.handshake, ssh.channel.
 *
 * Never sends `undo idle-timeout` or its like: the device must free the login of a worker that died.
 * Thread: the lane's that opened the session, for everything here; sn_cli_fd() too: the lane tells the number to others.
 */
#ifndef SN_DRIVERS_CLI_CLI_H
#define SN_DRIVERS_CLI_CLI_H

#include "drivers/cli/dialect.h"
#include "drivers/cli/link.h"
#include "drivers/driver.h"

int sn_cli_open(const struct sn_cli_dialect *dialect, const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session,
                struct sn_verdict *verdict);
/* The same over a link that is already there; takes the link over, also on failure. */
int sn_cli_open_link(const struct sn_cli_dialect *dialect, const struct sn_driver_env *env, struct sn_cli_link link,
                     int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict);
void sn_cli_exchange(void *session, const struct sn_want *want, const struct sn_op *op, int64_t deadline_ms,
                     struct sn_reply *reply);
void sn_cli_commit(void *session, int64_t deadline_ms, struct sn_reply *reply);
void sn_cli_close(void *session, int64_t deadline_ms);
int sn_cli_fd(void *session);
int sn_cli_idle(void *session);
/* Reads: limits.read_ms (20 s), writes: limits.write_ms (30 s). */
int64_t sn_cli_op_timeout_ms(const struct sn_target *target, const struct sn_op *op);

/* May this line be sent? Printable ASCII only, not empty: whatever a value held, it cannot end the line or reach the line editor. */
bool sn_cli_line_safe(const char *line);

#endif
