/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A redis-server of the test's own on a free loopback port, in a folder of its own; it dies with the test.
 * Thread: started and stopped by main; command() from one thread at a time, each with a server_link of its own.
 */
#ifndef SN_TESTS_STRESS_SERVER_H
#define SN_TESTS_STRESS_SERVER_H

#include <sys/types.h>

struct server {
    pid_t pid;
    int port;
    char folder[64];
};

/* Before the first thread. Fails the test when it does not come up. */
void server_start(struct server *s);
void server_stop(struct server *s);

/* One command on a connection of its own, words separated by a space; the answer is not read beyond its first line. */
void server_command(const struct server *s, const char *words);

#endif
