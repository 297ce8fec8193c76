/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int connect_to(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static int free_port(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)close(fd);
    return ntohs(at.sin_port);
}

void server_start(struct server *s)
{
    char port[16];
    pid_t parent = getpid();
    int fd = -1;

    s->port = free_port();
    (void)snprintf(port, sizeof(port), "%d", s->port);
    (void)snprintf(s->folder, sizeof(s->folder), "/tmp/silver-stress-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        int null = open("/dev/null", O_RDWR);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || null < 0)
            _exit(1);
        (void)dup2(null, 1);
        (void)execl("/usr/bin/redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", s->folder, "--save", "",
                    "--appendonly", "no", "--maxmemory-policy", "noeviction", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && fd < 0; i++) { /* bounded: 10 s */
        (void)poll(NULL, 0, 20);
        fd = connect_to(s->port);
    }
    assert_true(fd >= 0);
    (void)close(fd);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void server_stop(struct server *s)
{
    int status;

    (void)kill(s->pid, SIGKILL);
    (void)waitpid(s->pid, &status, 0);
    (void)nftw(s->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void server_command(const struct server *s, const char *words)
{
    char line[256];
    int fd = connect_to(s->port);
    int n = snprintf(line, sizeof(line), "%s\r\n", words);
    struct pollfd p = { .fd = fd, .events = POLLIN };

    assert_true(fd >= 0 && write(fd, line, (size_t)n) == n);
    (void)poll(&p, 1, 2000);
    (void)close(fd);
}
