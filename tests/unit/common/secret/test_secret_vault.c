/* SPDX-License-Identifier: Apache-2.0 */
/* Vault as its HTTP API answers (docs/protocols/secrets.md): Debian has no Vault, so the answers are literal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/secret/secret.h"
#include "tests/unit/common/base/temp_path.h"
#include "tests/unit/common/http/http_peer.h"

#define CANARY "canary-7c1e"
#define TOKEN "hvs.token-canary-55"
#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define V2(fields) \
    OK_HEAD "{\"request_id\":\"1\",\"data\":{\"data\":" fields ",\"metadata\":{\"version\":3,\"destroyed\":false}}}"
#define STATUS(line) "HTTP/1.1 " line "\r\nContent-Length: 29\r\n\r\n{\"errors\":[\"echo " CANARY "\"]}"

struct fixture {
    char token_file[TEMP_PATH_MAX];
    char address[64];
    struct http_peer *peer;
    struct sn_redact *redact;
    struct sn_secret_store *store;
    struct sn_error err;
};

static struct fixture *start(const char *const *replies, const char *tls_name)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sn_secret_conf conf = { .timeout_ms = 400 };
    FILE *file;
    int fd;

    assert_non_null(f);
    fd = mkstemp(temp_path(f->token_file));
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(TOKEN "\n", file);
    assert_int_equal(fclose(file), 0);
    f->peer = http_peer_start(replies, tls_name);
    snprintf(f->address, sizeof(f->address), "%s://127.0.0.1:%d/", tls_name != NULL ? "https" : "http",
             http_peer_port(f->peer));
    f->redact = sn_redact_new();
    conf.vault_address = f->address;
    conf.vault_token_file = f->token_file;
    conf.vault_ca_file = tls_name != NULL ? http_peer_ca_file(f->peer) : NULL;
    if (conf.vault_ca_file != NULL)
        conf.timeout_ms = 10000;
    if (sn_secret_store_new(&conf, f->redact, &f->store, &f->err) != 0)
        fail_msg("%s", f->err.text);
    return f;
}

static void stop(struct fixture *f)
{
    sn_secret_store_free(f->store);
    sn_redact_free(f->redact);
    http_peer_free(f->peer);
    unlink(f->token_file);
    free(f);
}

/* Resolves; returns "" and checks the value, or the code of the error, whose text shows no secret. */
static const char *resolve(struct fixture *f, const char *reference)
{
    struct sn_secret secret = { 0 };

    memset(&f->err, 0, sizeof(f->err));
    if (sn_secret_resolve(f->store, reference, &secret, &f->err) != 0) {
        assert_null(strstr(f->err.text, CANARY));
        assert_null(strstr(f->err.text, TOKEN));
        return f->err.code;
    }
    assert_string_equal(secret.data, CANARY);
    sn_secret_fini(&secret);
    return "";
}

static void version_2_and_1_give_the_field(void **state)
{
    const char *replies[] = { V2("{\"other\":\"x\",\"password\":\"" CANARY "\"}"),
                              OK_HEAD "{\"data\":{\"password\":\"" CANARY "\"}}",
                              /* version 1 with a field that is called data */
                              OK_HEAD "{\"data\":{\"data\":\"" CANARY "\"}}", NULL };
    struct fixture *f = start(replies, NULL);
    struct sn_buf shown = SN_BUF_INIT;

    (void)state;
    assert_string_equal(resolve(f, "vault:secret/data/isp/pppoe/17071#password"), "");
    assert_string_equal(resolve(f, "vault:kv1/isp#password"), "");
    assert_string_equal(resolve(f, "vault:kv1/isp#data"), "");
    http_peer_stop(f->peer);
    assert_non_null(strstr(http_peer_requests(f->peer), "GET /v1/secret/data/isp/pppoe/17071 HTTP/1.1\r\n"));
    assert_non_null(strstr(http_peer_requests(f->peer), "GET /v1/kv1/isp HTTP/1.1\r\n"));
    assert_non_null(strstr(http_peer_requests(f->peer), "\r\nX-Vault-Token: " TOKEN "\r\n"));
    sn_redact_apply(f->redact, &shown, TOKEN, strlen(TOKEN)); /* not remembered after the request */
    assert_string_equal(sn_buf_str(&shown), TOKEN);
    sn_buf_fini(&shown);
    stop(f);
}

static void what_is_not_there_is_missing(void **state)
{
    const char *replies[] = { STATUS("404 Not Found"), V2("{\"other\":\"" CANARY "\"}"), V2("{\"password\":5}"),
                              V2("null"), /* a deleted version */
                              NULL };
    struct fixture *f = start(replies, NULL);

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.missing");
    assert_non_null(strstr(f->err.text, "vault:secret/data/a#password"));
    stop(f);
}

static void what_may_pass_is_unreachable(void **state)
{
    const char *replies[] = { STATUS("403 Forbidden"),
                              STATUS("500 Oops"),
                              STATUS("503 Sealed"),
                              STATUS("429 Slow"),
                              OK_HEAD "{\"data\": {\"password\": \"" CANARY "\"",
                              HTTP_PEER_HANG,
                              NULL };
    struct fixture *f = start(replies, NULL);

    (void)state;
    for (int i = 0; i < 6; i++)
        assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.unreachable");
    http_peer_stop(f->peer);
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.unreachable");
    stop(f);
}

static void value_must_be_a_usable_secret(void **state)
{
    const char *replies[] = { V2("{\"password\":\"\"}"), V2("{\"password\":\"" CANARY "\"}"), NULL };
    struct fixture *f = start(replies, NULL);

    (void)state;
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.syntax");
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "");
    stop(f);
}

static void token_file_is_read_each_time_and_checked(void **state)
{
    const char *replies[] = { V2("{\"password\":\"" CANARY "\"}"), NULL };
    struct fixture *f = start(replies, NULL);
    FILE *file = fopen(f->token_file, "w");

    (void)state;
    assert_non_null(file);
    fputs("two words", file);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.syntax");
    assert_int_equal(unlink(f->token_file), 0);
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "secret.missing");
    file = fopen(f->token_file, "w");
    assert_non_null(file);
    fputs("renewed", file);
    assert_int_equal(fclose(file), 0);
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "");
    http_peer_stop(f->peer);
    assert_non_null(strstr(http_peer_requests(f->peer), "X-Vault-Token: renewed\r\n"));
    stop(f);
}

static void tls_is_verified_with_the_given_ca(void **state)
{
    const char *replies[] = { V2("{\"password\":\"" CANARY "\"}"), NULL };
    struct fixture *f = start(replies, "127.0.0.1");

    (void)state;
    assert_string_equal(resolve(f, "vault:secret/data/a#password"), "");
    stop(f);
}

static void token_never_goes_over_the_network_in_clear(void **state)
{
    static const char *const BAD[] = { "http://vault.example:8200",
                                       "http://127.0.0.1.evil.example",
                                       "http://127.0.0.1@evil.example",
                                       "ftp://127.0.0.1",
                                       "vault:8200",
                                       "https://",
                                       "https://user:pw@vault.example",
                                       "" };
    static const char *const GOOD[] = { "https://vault.example", "http://127.0.0.1:8200", "http://localhost:8200/",
                                        "http://[::1]:8200" };
    struct sn_secret_store *store = NULL;
    struct sn_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct sn_secret_conf conf = { .vault_address = BAD[i], .timeout_ms = 100 };
        if (sn_secret_store_new(&conf, NULL, &store, &err) == 0)
            fail_msg("accepted: %s", BAD[i]);
        assert_string_equal(err.code, "secret.vault-address");
    }
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        struct sn_secret_conf conf = { .vault_address = GOOD[i], .timeout_ms = 100 };
        assert_int_equal(sn_secret_store_new(&conf, NULL, &store, &err), 0);
        sn_secret_store_free(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2_and_1_give_the_field),
        cmocka_unit_test(what_is_not_there_is_missing),
        cmocka_unit_test(what_may_pass_is_unreachable),
        cmocka_unit_test(value_must_be_a_usable_secret),
        cmocka_unit_test(token_file_is_read_each_time_and_checked),
        cmocka_unit_test(tls_is_verified_with_the_given_ca),
        cmocka_unit_test(token_never_goes_over_the_network_in_clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
