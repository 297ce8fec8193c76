/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/radius-session/udp.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"

static int open_socket(const char *address, int port)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV };
    struct addrinfo *to = NULL;
    char service[16];
    int fd;
    int saved;

    (void)snprintf(service, sizeof(service), "%d", port);
    if (getaddrinfo(address, service, &hints, &to) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        saved = errno;
        close(fd);
        errno = saved;
        fd = -1;
    }
    saved = errno;
    freeaddrinfo(to);
    errno = saved;
    return fd;
}

/* Errors that say that nobody is there; others (a full buffer) pass by themselves. */
static bool is_refusal(int e)
{
    return e == ECONNREFUSED || e == EHOSTUNREACH || e == ENETUNREACH || e == EACCES || e == EPERM || e == EINVAL ||
           e == EADDRNOTAVAIL || e == EMFILE || e == ENFILE;
}

/* Takes in what has arrived. True when the asking is over. */
static bool receive(int fd, const struct sn_udp_request *rq, struct sn_udp_result *ret)
{
    for (;;) {
        unsigned char data[SN_PACKET_MAX + 1];
        struct sn_packet_check check = rq->check;
        enum sn_packet_fault fault;
        ssize_t n = recv(fd, data, sizeof(data), 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (is_refusal(errno)) {
                ret->end = SN_UDP_REFUSED;
                ret->system_errno = errno;
                return true;
            }
            return false; /* EAGAIN: all taken in */
        }
        if (check.now_s != 0)
            check.now_s = sn_clock_wall_ms() / 1000;
        fault = sn_packet_check(rq->packet, data, (size_t)n, &check, &ret->zero_ma);
        if (fault != SN_PACKET_OK) {
            ret->discarded++;
            ret->fault = fault;
            continue;
        }
        ret->end = SN_UDP_ANSWERED;
        ret->len = (size_t)data[2] << 8 | data[3];
        memcpy(ret->data, data, ret->len);
        return true;
    }
}

/* Waits for an answer until `until_ms`. True when the asking is over. */
static bool wait_answer(int fd, const struct sn_udp_request *rq, int64_t until_ms, struct sn_udp_result *ret)
{
    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int left = sn_clock_left_ms(until_ms, sn_clock_mono_ms());
        int n = poll(&p, 1, left);
        if (n > 0 && receive(fd, rq, ret))
            return true;
        if (sn_clock_left_ms(until_ms, sn_clock_mono_ms()) == 0)
            return false;
    }
}

/* +-10 % (RFC 5080 2.2.1), so that those that failed together do not come back together. */
static int jitter(int ms)
{
    int tenth = ms / 10;
    return tenth > 0 ? ms - tenth + (int)sn_random_below((uint32_t)(2 * tenth + 1)) : ms;
}

void sn_udp_ask(const struct sn_udp_request *rq, int64_t deadline_ms, struct sn_udp_result *ret)
{
    int64_t end_ms = sn_clock_mono_ms() + rq->timers.mrd_ms;
    int rt = rq->timers.irt_ms;
    int fd = open_socket(rq->address, rq->port);

    memset(ret, 0, sizeof(*ret));
    if (fd < 0) {
        ret->end = SN_UDP_REFUSED;
        ret->system_errno = errno;
        return;
    }
    if (end_ms > deadline_ms)
        end_ms = deadline_ms;
    ret->end = SN_UDP_SILENT;
    while (ret->sent < rq->timers.mrc && sn_clock_left_ms(end_ms, sn_clock_mono_ms()) > 0) {
        int64_t until;
        if (rq->may_send != NULL && !rq->may_send(rq->may_send_arg)) {
            ret->end = ret->sent == 0 ? SN_UDP_STOPPED : SN_UDP_SILENT;
            break;
        }
        if (send(fd, rq->packet->data, rq->packet->len, MSG_NOSIGNAL) < 0 && is_refusal(errno)) {
            ret->end = SN_UDP_REFUSED;
            ret->system_errno = errno;
            break;
        }
        ret->sent++;
        until = sn_clock_mono_ms() + jitter(rt);
        if (wait_answer(fd, rq, until < end_ms ? until : end_ms, ret))
            break;
        rt = rt > rq->timers.mrt_ms / 2 ? rq->timers.mrt_ms : rt * 2;
    }
    close(fd);
}
