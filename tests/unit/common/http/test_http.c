/* SPDX-License-Identifier: Apache-2.0 */
/* The client against literal (also broken) answers, the server against the client. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/http/http.h"
#include "tests/unit/common/http/http_peer.h"

static const char OK_HELLO[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/* One request to the peer; the code of the error, or "" when there was an answer. */
static const char *fetch(const struct http_peer *peer, struct sn_http_request request, struct sn_http_answer *answer)
{
    static struct sn_error err;
    char url[128];

    snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1/x?y=1", http_peer_port(peer));
    if (request.url == NULL)
        request.url = url;
    if (request.timeout_ms == 0)
        request.timeout_ms = 10000;
    if (request.reply_max == 0)
        request.reply_max = 1000;
    err.code[0] = '\0';
    return sn_http_fetch(&request, answer, &err) == 0 ? "" : err.code;
}

static void get_sends_headers_and_takes_any_status(void **state)
{
    const char *replies[] = { OK_HELLO, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    assert_string_equal(
        fetch(peer, (struct sn_http_request){ .headers = (const char *[]){ "X-Token: t0k3n", NULL } }, &a), "");
    assert_int_equal(a.status, 200);
    assert_string_equal(sn_buf_str(&a.body), "hello");
    sn_http_answer_fini(&a);
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "");
    assert_int_equal(a.status, 503);
    assert_string_equal(sn_buf_str(&a.body), "");
    sn_http_answer_fini(&a);
    sn_http_answer_fini(&a);
    http_peer_stop(peer);
    assert_ptr_equal(strstr(http_peer_requests(peer), "GET /v1/x?y=1 HTTP/1.1\r\n"), http_peer_requests(peer));
    assert_non_null(strstr(http_peer_requests(peer), "\r\nX-Token: t0k3n\r\n"));
    http_peer_free(peer);
}

static void post_sends_its_bytes(void **state)
{
    const char *replies[] = { OK_HELLO, NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    assert_string_equal(fetch(peer, (struct sn_http_request){ .body = "ab cd", .body_len = 5 }, &a), "");
    sn_http_answer_fini(&a);
    http_peer_stop(peer);
    assert_non_null(strstr(http_peer_requests(peer), "POST "));
    assert_non_null(strstr(http_peer_requests(peer), "\r\n\r\nab cd"));
    http_peer_free(peer);
}

static void answer_has_a_ceiling_and_a_shape(void **state)
{
    const char *replies[] = { OK_HELLO,         OK_HELLO, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut",
                              "no http at all", "",       NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { .status = 42 };

    (void)state;
    assert_string_equal(fetch(peer, (struct sn_http_request){ .reply_max = 4 }, &a), "http.too-large");
    assert_int_equal(a.status, 42); /* written only on success */
    assert_string_equal(fetch(peer, (struct sn_http_request){ .reply_max = 5 }, &a), "");
    sn_http_answer_fini(&a);
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "http.unreachable");
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "http.unreachable");
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "http.unreachable");
    http_peer_free(peer);
}

static void redirect_is_an_answer_not_a_journey(void **state)
{
    const char *replies[] = { "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
                              OK_HELLO, NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "");
    assert_int_equal(a.status, 302);
    sn_http_answer_fini(&a);
    http_peer_free(peer);
}

static void timeout_is_total(void **state)
{
    const char *replies[] = { HTTP_PEER_HANG, HTTP_PEER_DRIP, NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        int64_t start = sn_clock_mono_ms();
        assert_string_equal(fetch(peer, (struct sn_http_request){ .timeout_ms = 200, .reply_max = 1000000 }, &a),
                            "http.timeout");
        assert_in_range(sn_clock_mono_ms() - start, 190, 8000);
    }
    http_peer_free(peer);
}

static void nobody_there(void **state)
{
    const char *replies[] = { NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    http_peer_stop(peer); /* its port is closed now */
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "http.unreachable");
    http_peer_free(peer);
}

static void what_cannot_be_sent_is_refused(void **state)
{
    const char *replies[] = { NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct sn_http_answer a = { 0 };

    (void)state;
    assert_string_equal(fetch(peer, (struct sn_http_request){ .url = "file:///etc/hostname" }, &a), "http.request");
    assert_string_equal(fetch(peer, (struct sn_http_request){ .url = "http://[bad/" }, &a), "http.request");
    assert_string_equal(
        fetch(peer, (struct sn_http_request){ .headers = (const char *[]){ "X: a\r\nY: b", NULL } }, &a),
        "http.request");
    assert_string_equal(fetch(peer, (struct sn_http_request){ .headers = (const char *[]){ "nothing", NULL } }, &a),
                        "http.request");
    assert_string_equal(fetch(peer, (struct sn_http_request){ .timeout_ms = -1 }, &a), "http.request");
    http_peer_free(peer);
}

static void environment_proxy_is_not_used(void **state)
{
    const char *replies[] = { OK_HELLO, NULL };
    const char *proxy_replies[] = { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nproxy", NULL };
    struct http_peer *peer = http_peer_start(replies, NULL);
    struct http_peer *proxy = http_peer_start(proxy_replies, NULL);
    struct sn_http_answer a = { 0 };
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", http_peer_port(proxy));
    assert_int_equal(setenv("http_proxy", url, 1), 0);
    assert_string_equal(fetch(peer, (struct sn_http_request){ 0 }, &a), "");
    assert_string_equal(sn_buf_str(&a.body), "hello");
    sn_http_answer_fini(&a);
    assert_string_equal(fetch(peer, (struct sn_http_request){ .proxy = url }, &a), "");
    assert_string_equal(sn_buf_str(&a.body), "proxy");
    sn_http_answer_fini(&a);
    unsetenv("http_proxy");
    http_peer_free(proxy);
    http_peer_free(peer);
}

static void certificate_is_verified(void **state)
{
    const char *replies[] = { OK_HELLO, OK_HELLO, OK_HELLO, NULL };
    struct http_peer *peer = http_peer_start(replies, "127.0.0.1");
    struct sn_http_answer a = { 0 };
    char url[64];

    (void)state;
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", http_peer_port(peer));
    assert_string_equal(fetch(peer, (struct sn_http_request){ .url = url }, &a), "http.tls");
    assert_string_equal(fetch(peer, (struct sn_http_request){ .url = url, .ca_file = http_peer_ca_file(peer) }, &a),
                        "");
    assert_string_equal(sn_buf_str(&a.body), "hello");
    sn_http_answer_fini(&a);
    /* the certificate names the address, not this name of it */
    snprintf(url, sizeof(url), "https://localhost:%d/", http_peer_port(peer));
    assert_string_equal(fetch(peer, (struct sn_http_request){ .url = url, .ca_file = http_peer_ca_file(peer) }, &a),
                        "http.tls");
    http_peer_free(peer);
}

/* ---- server ---- */

static void say_hello(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    const char *name = sn_http_call_param(call, "name");

    sn_buf_addf(&reply->body, "%s %s%s", (const char *)arg, name != NULL ? name : "-",
                sn_http_call_param(call, "verbose") != NULL ? " verbose" : "");
}

static void say_sick(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    (void)arg;
    (void)call;
    reply->status = 503;
    reply->content_type = "application/json";
    sn_buf_adds(&reply->body, "{}");
}

static void overflow(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply)
{
    (void)arg;
    (void)call;
    sn_buf_adds(&reply->body, "half of it");
    reply->body.failed = true;
}

static const struct sn_http_route ROUTES[] = {
    { "/hello", say_hello, (void *)(uintptr_t) "hi" },
    { "/sick", say_sick, NULL },
    { "/overflow", overflow, NULL },
};

static struct sn_http_server *serve(const char *address, int *ret_port)
{
    struct sn_http_server *server = NULL;
    struct sn_error err;

    if (sn_http_serve(address, 0, ROUTES, 3, &server, &err) != 0)
        fail_msg("%s: %s", err.code, err.text);
    *ret_port = sn_http_server_port(server);
    assert_in_range(*ret_port, 1, 65535);
    return server;
}

static void assert_get(const char *host, int port, const char *path, const void *body, int status, const char *expected)
{
    struct sn_http_answer a = { 0 };
    struct sn_http_request request = {
        .timeout_ms = 10000, .reply_max = 1000, .body = body, .body_len = body != NULL ? 1 : 0
    };
    struct sn_error err;
    char url[128];

    snprintf(url, sizeof(url), "http://%s:%d%s", host, port, path);
    request.url = url;
    if (sn_http_fetch(&request, &a, &err) != 0)
        fail_msg("%s: %s: %s", url, err.code, err.text);
    assert_int_equal(a.status, status);
    assert_string_equal(sn_buf_str(&a.body), expected);
    sn_http_answer_fini(&a);
}

static void server_answers_its_routes(void **state)
{
    int port;
    struct sn_http_server *server = serve("127.0.0.1", &port);

    (void)state;
    assert_get("127.0.0.1", port, "/hello", NULL, 200, "hi -");
    assert_get("127.0.0.1", port, "/hello?name=ana&verbose", NULL, 200, "hi ana verbose");
    assert_get("127.0.0.1", port, "/sick", NULL, 503, "{}");
    assert_get("127.0.0.1", port, "/overflow", NULL, 500, "");
    assert_get("127.0.0.1", port, "/hello/", NULL, 404, "not found\n");
    assert_get("127.0.0.1", port, "/hello", "x", 405, "only GET and HEAD\n");
    sn_http_server_stop(server);
    sn_http_server_stop(NULL);
}

static void server_listens_where_told(void **state)
{
    int port;
    struct sn_http_server *server = serve("127.0.0.1", &port);
    struct sn_http_server *second = NULL;
    struct sn_error err;

    (void)state;
    assert_int_equal(sn_http_serve("127.0.0.1", port, ROUTES, 3, &second, &err), -1);
    assert_string_equal(err.code, "http.listen");
    assert_non_null(strstr(err.text, "Address already in use"));
    assert_int_equal(sn_http_serve("localhost", 0, ROUTES, 3, &second, &err), -1);
    assert_string_equal(err.code, "http.address");
    assert_int_equal(sn_http_serve("127.0.0.1", 65536, ROUTES, 3, &second, &err), -1);
    assert_string_equal(err.code, "http.address");
    assert_null(second);
    sn_http_server_stop(server);
}

static void listen_text_is_address_and_port(void **state)
{
    static const char *const BAD[] = {
        "",       ":9102", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99x", "127.0.0.1:65536", "localhost:80",
        "::1:80", "[::1]", "[::1:80",   "::1]:80",    "[]:80",       "127.0.0.1:-1",  "127.0.0.1:123456"
    };
    char address[SN_HTTP_ADDRESS_MAX];
    struct sn_error err;
    int port = -1;

    (void)state;
    assert_int_equal(sn_http_parse_listen("127.0.0.1:9102", address, &port, &err), 0);
    assert_string_equal(address, "127.0.0.1");
    assert_int_equal(port, 9102);
    assert_int_equal(sn_http_parse_listen("[::]:0", address, &port, &err), 0);
    assert_string_equal(address, "::");
    assert_int_equal(port, 0);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        if (sn_http_parse_listen(BAD[i], address, &port, &err) == 0)
            fail_msg("accepted: %s", BAD[i]);
        assert_string_equal(err.code, "http.address");
    }
}

static void server_speaks_ipv6(void **state)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sn_http_server *server;
    bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&at, sizeof(at)) == 0;
    int port;

    (void)state;
    if (probe >= 0)
        close(probe);
    if (!has_ipv6)
        skip();
    server = serve("::1", &port);
    assert_get("[::1]", port, "/hello", NULL, 200, "hi -");
    sn_http_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_sends_headers_and_takes_any_status),
        cmocka_unit_test(post_sends_its_bytes),
        cmocka_unit_test(answer_has_a_ceiling_and_a_shape),
        cmocka_unit_test(redirect_is_an_answer_not_a_journey),
        cmocka_unit_test(timeout_is_total),
        cmocka_unit_test(nobody_there),
        cmocka_unit_test(what_cannot_be_sent_is_refused),
        cmocka_unit_test(environment_proxy_is_not_used),
        cmocka_unit_test(certificate_is_verified),
        cmocka_unit_test(server_answers_its_routes),
        cmocka_unit_test(server_listens_where_told),
        cmocka_unit_test(listen_text_is_address_and_port),
        cmocka_unit_test(server_speaks_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
