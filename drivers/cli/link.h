/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A byte stream to a device's command line. The engine (cli.h) talks through this, so that it does not know SSH from telnet,
 * and so that a test can be the device. Used by one thread at a time. Deadlines are absolute, monotonic milliseconds.
 * Thread: one at a time.
 */
#ifndef SN_DRIVERS_CLI_LINK_H
#define SN_DRIVERS_CLI_LINK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "drivers/driver.h"

struct sn_cli_link_ops {
    /* All bytes handed to the kernel: 0. -1: perhaps some of them left; the link must be closed. */
    int (*write)(void *link, const void *data, size_t len, int64_t deadline_ms);
    /* > 0 bytes read; 0 nothing until the deadline (0 = only what is there); -1 the peer hung up or the link broke. */
    ssize_t (*read)(void *link, void *buf, size_t size, int64_t deadline_ms);
    /* Valid as a number until free(), so that another thread that shuts it down can never hit a stranger's. */
    int (*fd)(void *link);
    /* Cuts at once: nothing that is still queued leaves any more. Only fd() and free() may follow. */
    void (*cut)(void *link);
    void (*free)(void *link);
};

struct sn_cli_link {
    const struct sn_cli_link_ops *ops;
    void *link;
};

/* A TCP connection whose close is a reset (SO_LINGER 0: also when the process dies) and which gives up on a silent peer (TCP_USER_TIMEOUT), so
 * that no byte written under an old lease arrives late. -1 and *verdict (unreachable) on failure. */
int sn_cli_tcp(const char *host, const char *port, int user_timeout_ms, int64_t deadline_ms, int *ret_fd,
               struct sn_verdict *verdict) SN_MUSTCHECK;

/* What ssh needs to know. All borrowed during the call. */
struct sn_cli_ssh {
    const char *host, *port;
    const char *username;
    const char *password;    /* NULL: none */
    const char *private_key; /* text of a key; NULL: none. A key is preferred */
    const json_t *host_key; /* "SHA256:…" or an array of them; NULL: refused, naming the one seen */
    bool legacy_crypto;     /* SHA-1, CBC and ssh-rsa as well: old equipment */
    int user_timeout_ms, connect_ms;
};

/* Connects, verifies the host key, logs in with exactly one attempt (a wrong password must not lock the account), opens a
 * shell on a 512 columns wide terminal. Reads no configuration file, known_hosts or agent. */
int sn_cli_ssh_open(const struct sn_cli_ssh *conf, int64_t deadline_ms, struct sn_cli_link *ret,
                    struct sn_verdict *verdict) SN_MUSTCHECK;

#endif
