/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines of sn_pg_open() against ports where no PostgreSQL answers. What a real server says is tested in tests/system/test_pg.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/pg/pg.h"

/* A socket on loopback; with a backlog the kernel completes connections that nobody accepts. */
static int listener(bool listening, int *ret_port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (listening)
        assert_int_equal(listen(fd, 4), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static int64_t try_open(int port, int64_t allowed_ms, struct sn_pg_error *err)
{
    struct sn_pg_conf conf = { .host = "127.0.0.1", .port = port, .database = "d", .user = "u", .password = "p" };
    int64_t before = sn_clock_mono_ms();
    struct sn_pg *pg = NULL;

    assert_int_equal(sn_pg_open(&conf, before + allowed_ms, &pg, err), -1);
    assert_null(pg);
    return sn_clock_mono_ms() - before;
}

static void closed_port_is_unreachable_at_once(void **state)
{
    struct sn_pg_error err;
    int port;
    int fd = listener(false, &port);

    (void)state;
    assert_true(try_open(port, 20000, &err) < 5000);
    assert_int_equal(err.class, SN_PG_UNREACHABLE);
    assert_string_equal(err.error.code, "pg.unreachable");
    close(fd);
}

static void silent_server_is_left_at_the_deadline(void **state)
{
    struct sn_pg_error err;
    int port;
    int fd = listener(true, &port);

    (void)state;
    assert_in_range(try_open(port, 150, &err), 150, 5000);
    assert_int_equal(err.class, SN_PG_UNREACHABLE);
    assert_non_null(strstr(err.error.text, "within the time allowed"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_port_is_unreachable_at_once),
        cmocka_unit_test(silent_server_is_left_at_the_deadline),
    };
    return cmocka_run_group_tests_name("pg", tests, NULL, NULL);
}
