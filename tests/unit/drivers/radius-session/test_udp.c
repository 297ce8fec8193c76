/* SPDX-License-Identifier: Apache-2.0 */
/* The asking of one question over UDP, against a scripted responder on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "drivers/radius-session/udp.h"

#define SECRET "das-secret"

/* What the responder does with the n-th packet that it receives; letters are carried out from left to right. */
struct responder {
    const char *const *script; /* NULL-terminated; further packets are answered like the last entry */
    int fd;
    int port;
    int stop[2];
    int received;
    bool same_bytes; /* every packet was equal to the first, from the same port */
    pthread_t thread;
};

static size_t reply_to(const unsigned char *request, unsigned char code, unsigned char *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    memcpy(out, request, 20);
    out[0] = code;
    out[2] = 0;
    out[3] = 26;
    memcpy(out + 20, "\x37\x06\0\0\0\x01", 6); /* Event-Timestamp */
    (void)EVP_DigestInit_ex(ctx, EVP_md5(), NULL);
    (void)EVP_DigestUpdate(ctx, out, 26);
    (void)EVP_DigestUpdate(ctx, SECRET, strlen(SECRET));
    (void)EVP_DigestFinal_ex(ctx, out + 4, NULL);
    EVP_MD_CTX_free(ctx);
    return 26;
}

/* ack, nothing, wrong id, wrong authenticator, truncated, attribute beyond its end, CoA-ack, other port */
static void act(struct responder *r, char what, const unsigned char *request, const struct sockaddr *to, socklen_t to_len)
{
    unsigned char out[64];
    size_t len = reply_to(request, what == 'c' ? 44 : 41, out);
    int fd = r->fd;

    switch (what) {
    case 'i':
        out[1] ^= 1;
        break;
    case 'w':
        out[4] ^= 1;
        break;
    case 't':
        len -= 3;
        break;
    case 'p':
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        break;
    case '-':
        return;
    default:
        break;
    }
    (void)sendto(fd, out, len, 0, to, to_len);
    if (fd != r->fd)
        close(fd);
}

static void *respond(void *arg)
{
    struct responder *r = arg;
    unsigned char first[4096];
    struct sockaddr_in first_from = { 0 };

    for (;;) {
        struct pollfd p[2] = { { .fd = r->fd, .events = POLLIN }, { .fd = r->stop[0], .events = POLLIN } };
        unsigned char data[4096];
        struct sockaddr_in from;
        socklen_t from_len = sizeof(from);
        const char *script;
        ssize_t n;
        int i = 0;

        (void)poll(p, 2, -1);
        if (p[1].revents != 0)
            return NULL;
        n = recvfrom(r->fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_len);
        if (n < 20)
            continue;
        if (r->received == 0) {
            memcpy(first, data, (size_t)n);
            first_from = from;
        }
        r->same_bytes = r->same_bytes && memcmp(first, data, (size_t)n) == 0 && first_from.sin_port == from.sin_port;
        while (i < r->received && r->script[i + 1] != NULL)
            i++;
        r->received++;
        for (script = r->script[i]; *script != '\0'; script++)
            act(r, *script, data, (struct sockaddr *)&from, from_len);
    }
}

static void start(struct responder *r, const char *const *script)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    memset(r, 0, sizeof(*r));
    r->script = script;
    r->same_bytes = true;
    r->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(r->fd, (struct sockaddr *)&at, &len), 0);
    r->port = ntohs(at.sin_port);
    assert_int_equal(pipe(r->stop), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, respond, r), 0);
}

static void stop(struct responder *r)
{
    assert_int_equal(write(r->stop[1], "x", 1), 1);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    close(r->fd);
    close(r->stop[0]);
    close(r->stop[1]);
}

static void make(struct sn_packet *p)
{
    struct sn_error err;

    sn_packet_begin(p, SN_DISCONNECT_REQUEST, (uint8_t)sn_random_below(256), NULL);
    sn_packet_add_text(p, SN_ATTR_USER_NAME, "ana@isp");
    assert_int_equal(sn_packet_sign(p, SECRET, strlen(SECRET), &err), 0);
}

/* Patient enough for a machine that is busy with something else: an answer on loopback comes before the first retransmission. */
static const struct sn_udp_timers patient = { .irt_ms = 300, .mrt_ms = 300, .mrc = 4, .mrd_ms = 3000 };
static const struct sn_udp_timers growing = { .irt_ms = 60, .mrt_ms = 240, .mrc = 4, .mrd_ms = 3000 };

static void ask(struct responder *r, const struct sn_packet *p, struct sn_udp_timers timers, int64_t deadline_ms,
                struct sn_udp_result *ret)
{
    struct sn_udp_request rq = {
        .address = "127.0.0.1",
        .port = r->port,
        .packet = p,
        .check = { .secret = SECRET, .secret_len = strlen(SECRET) },
        .timers = timers,
    };
    sn_udp_ask(&rq, deadline_ms, ret);
}

static int64_t in(int64_t ms)
{
    return sn_clock_mono_ms() + ms;
}

static void run(const char *const *script, struct sn_udp_result *ret, int *ret_received)
{
    struct responder r;
    struct sn_packet p;

    start(&r, script);
    make(&p);
    ask(&r, &p, patient, in(5000), ret);
    stop(&r);
    assert_true(r.same_bytes);
    *ret_received = r.received;
}

static void first_answer_ends_it(void **state)
{
    struct sn_udp_result res;
    int received;

    (void)state;
    run((const char *const[]){ "a", NULL }, &res, &received);
    assert_int_equal(res.end, SN_UDP_ANSWERED);
    assert_int_equal(res.sent, 1);
    assert_int_equal(res.data[0], SN_DISCONNECT_ACK);
    assert_int_equal(res.len, 26);
}

static void lost_packets_are_sent_again_unchanged_from_the_same_port(void **state)
{
    struct sn_udp_result res;
    int received;

    (void)state;
    run((const char *const[]){ "-", "-", "a", NULL }, &res, &received);
    assert_int_equal(res.end, SN_UDP_ANSWERED);
    assert_int_equal(res.sent, 3);
    assert_int_equal(received, 3);
}

static void wrong_answers_are_waited_past(void **state)
{
    static const struct {
        const char *script;
        int discarded;
        enum sn_packet_fault fault;
    } rows[] = {
        { "ia", 1, SN_PACKET_ID },          { "wa", 1, SN_PACKET_RESPONSE_AUTH }, { "ta", 1, SN_PACKET_SHORT },
        { "ca", 1, SN_PACKET_CODE },        { "iwtca", 4, SN_PACKET_CODE },
        { "pa", 0, SN_PACKET_OK }, /* another port does not even reach a connected socket */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sn_udp_result res;
        int received;
        run((const char *const[]){ rows[i].script, NULL }, &res, &received);
        assert_int_equal(res.end, SN_UDP_ANSWERED);
        assert_int_equal(res.sent, 1);
        assert_int_equal(res.discarded, rows[i].discarded);
        assert_int_equal(res.fault, rows[i].fault);
    }
}

static void only_wrong_answers_are_silence(void **state)
{
    struct sn_udp_result res;
    int received;

    (void)state;
    run((const char *const[]){ "wi", NULL }, &res, &received);
    assert_int_equal(res.end, SN_UDP_SILENT);
    assert_int_equal(res.sent, 4);
    assert_int_equal(res.discarded, 8);
}

static void late_answer_to_an_earlier_transmission_counts(void **state)
{
    struct sn_udp_result res;
    int received;

    /* the answer to the first packet arrives together with the second: same id, same authenticator */
    (void)state;
    run((const char *const[]){ "-", "aa", NULL }, &res, &received);
    assert_int_equal(res.end, SN_UDP_ANSWERED);
    assert_int_equal(res.sent, 2);
}

static void silence_ends_at_the_deadline_and_at_the_count(void **state)
{
    struct responder r;
    struct sn_packet p;
    struct sn_udp_result res;
    int64_t before;

    (void)state;
    start(&r, (const char *const[]){ "-", NULL });
    make(&p);
    before = sn_clock_mono_ms();
    ask(&r, &p, growing, in(100), &res);
    assert_int_equal(res.end, SN_UDP_SILENT);
    assert_true(sn_clock_mono_ms() - before >= 100);
    assert_in_range(res.sent, 1, 2);
    before = sn_clock_mono_ms();
    ask(&r, &p, growing, in(60000), &res); /* 60 + 120 + 240 + 240, less 10 % at most */
    assert_int_equal(res.sent, 4);
    assert_true(sn_clock_mono_ms() - before >= 590);
    stop(&r);
}

static void closed_port_answers_at_once(void **state)
{
    struct responder r;
    struct sn_packet p;
    struct sn_udp_result res;

    (void)state;
    start(&r, (const char *const[]){ "-", NULL });
    stop(&r);
    make(&p);
    ask(&r, &p, patient, in(5000), &res);
    assert_int_equal(res.end, SN_UDP_REFUSED);
    assert_int_equal(res.system_errno, ECONNREFUSED);
    assert_int_equal(res.sent, 1);
}

static bool say_no_after(void *arg)
{
    int *left = arg;
    return (*left)-- > 0;
}

static void nothing_is_sent_without_leave(void **state)
{
    struct responder r;
    struct sn_packet p;
    struct sn_udp_result res;
    int left = 0;
    struct sn_udp_request rq = {
        .address = "127.0.0.1",
        .packet = &p,
        .check = { .secret = SECRET, .secret_len = strlen(SECRET) },
        .timers = { .irt_ms = 20, .mrt_ms = 20, .mrc = 4, .mrd_ms = 3000 },
        .may_send = say_no_after,
        .may_send_arg = &left,
    };

    (void)state;
    start(&r, (const char *const[]){ "-", NULL });
    rq.port = r.port;
    make(&p);
    sn_udp_ask(&rq, in(5000), &res);
    assert_int_equal(res.end, SN_UDP_STOPPED);
    left = 2;
    sn_udp_ask(&rq, in(5000), &res);
    assert_int_equal(res.end, SN_UDP_SILENT); /* two went out: it may have been done */
    assert_int_equal(res.sent, 2);
    stop(&r);
    assert_int_equal(r.received, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_answer_ends_it),
        cmocka_unit_test(lost_packets_are_sent_again_unchanged_from_the_same_port),
        cmocka_unit_test(wrong_answers_are_waited_past),
        cmocka_unit_test(only_wrong_answers_are_silence),
        cmocka_unit_test(late_answer_to_an_earlier_transmission_counts),
        cmocka_unit_test(silence_ends_at_the_deadline_and_at_the_count),
        cmocka_unit_test(closed_port_answers_at_once),
        cmocka_unit_test(nothing_is_sent_without_leave),
    };
    return cmocka_run_group_tests_name("radius udp", tests, NULL, NULL);
}
