/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "drivers/cli/link.h"

static void set_options(int fd, int user_timeout_ms)
{
    const struct linger cut = {.l_onoff = 1, .l_linger = 0};
    const int on = 1, idle_s = 15, interval_s = 5, probes = 3;
    unsigned timeout = user_timeout_ms > 0 ? (unsigned)user_timeout_ms : 0;

    /* None of these can fail on a TCP socket of Linux; a failure would show as a slower cut, not as a wrong one. */
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &cut, sizeof(cut));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

/* 0, or an errno. */
static int connect_one(int fd, const struct addrinfo *to, int64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int error = 0, n;
    socklen_t len = sizeof(error);

    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    do
        n = poll(&p, 1, sn_clock_left_ms(deadline_ms, sn_clock_mono_ms()));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ETIMEDOUT;
    if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    return error;
}

int sn_cli_tcp(const char *host, const char *port, int user_timeout_ms, int64_t deadline_ms, int *ret_fd,
               struct sn_verdict *verdict)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list), error = 0;

    if (rc == EAI_NONAME) {
        /* A name: the resolver keeps its own time. Addresses are better in an inventory. */
        hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
        rc = getaddrinfo(host, port, &hints, &list);
    }
    if (rc != 0) {
        sn_verdict_set(verdict, SN_UNREACHABLE, "cli.resolve", "%s: %s", host, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0) {
            error = errno;
            continue;
        }
        set_options(fd, user_timeout_ms);
        error = connect_one(fd, a, deadline_ms);
        if (error == 0) {
            freeaddrinfo(list);
            *ret_fd = fd;
            return 0;
        }
        (void)close(fd);
    }
    freeaddrinfo(list);
    sn_verdict_set(verdict, SN_UNREACHABLE, "cli.connect", "%s port %s: %s", host, port, strerror(error));
    sn_verdict_arg(verdict, "address", host);
    return -1;
}
