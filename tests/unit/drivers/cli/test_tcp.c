/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "drivers/cli/link.h"

static int listener(char port[8])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(port, 8, "%u", ntohs(at.sin_port));
    return fd;
}

/* What was not delivered yet must not be delivered after the close: the peer sees a reset, not an end. */
static void test_close_is_a_reset(void **state)
{
    struct sn_verdict v = {0};
    char port[8], buf[8];
    int server = listener(port), fd, peer;

    (void)state;
    assert_int_equal(sn_cli_tcp("127.0.0.1", port, 4000, sn_clock_mono_ms() + 5000, &fd, &v), 0);
    peer = accept(server, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(close(fd), 0);
    errno = 0;
    assert_int_equal(read(peer, buf, sizeof(buf)), -1);
    assert_int_equal(errno, ECONNRESET);
    close(peer);
    close(server);
}

static void test_refused_and_unresolvable(void **state)
{
    struct sn_verdict v = {0};
    char port[8];
    int server = listener(port), fd;

    (void)state;
    close(server);
    assert_int_equal(sn_cli_tcp("127.0.0.1", port, 4000, sn_clock_mono_ms() + 5000, &fd, &v), -1);
    assert_int_equal(v.class, SN_UNREACHABLE);
    assert_string_equal(v.code, "cli.connect");
    assert_int_equal(sn_cli_tcp("127.0.0.1", "no port", 4000, sn_clock_mono_ms() + 5000, &fd, &v), -1);
    assert_string_equal(v.code, "cli.resolve");
    sn_verdict_fini(&v);
}

/* A full accept queue answers no handshake: the deadline ends the attempt. */
static void test_deadline_of_a_connect(void **state)
{
    struct sn_verdict v = {0};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char port[8];
    int server = listener(port), filler[16], fd = -1, n = 0;
    int64_t started;

    (void)state;
    at.sin_port = htons((uint16_t)strtol(port, NULL, 10));
    for (; n < 16; n++) {
        struct pollfd p = {.events = POLLOUT};

        filler[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        p.fd = filler[n];
        if (connect(filler[n], (struct sockaddr *)&at, sizeof(at)) != 0 && poll(&p, 1, 100) == 0)
            break; /* this one hangs already: the queue is full */
    }
    assert_true(n < 16);
    started = sn_clock_mono_ms();
    assert_int_equal(sn_cli_tcp("127.0.0.1", port, 4000, started + 300, &fd, &v), -1);
    assert_string_equal(v.code, "cli.connect");
    assert_in_range(sn_clock_mono_ms() - started, 250, 3000);
    for (int i = 0; i <= n; i++)
        close(filler[i]);
    close(server);
    sn_verdict_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_is_a_reset),
        cmocka_unit_test(test_refused_and_unresolvable),
        cmocka_unit_test(test_deadline_of_a_connect),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
