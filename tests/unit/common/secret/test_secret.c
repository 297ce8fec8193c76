/* SPDX-License-Identifier: Apache-2.0 */
/* Providers that need no network, the fleet key, and what becomes of a secret in memory and in texts. */
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/secret/secret.h"
#include "tests/unit/common/base/temp_path.h"

#define CANARY "canary-7c1e"
static const char HEX_KEY[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct fixture {
    char folder[TEMP_PATH_MAX];
    struct sn_redact *redact;
    struct sn_secret_conf conf;
    struct sn_secret_store *store;
    struct sn_error err;
    struct sn_secret secret;
};

static const char *path_in(const struct fixture *f, const char *name)
{
    static char path[4][TEMP_PATH_MAX + 64];
    static unsigned next;
    char *p = path[next++ % 4];

    snprintf(p, sizeof(path[0]), "%s/%s", f->folder, name);
    return p;
}

static void write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void reopen(struct fixture *f)
{
    sn_secret_store_free(f->store);
    f->store = NULL;
    if (sn_secret_store_new(&f->conf, f->redact, &f->store, &f->err) != 0)
        fail_msg("%s: %s", f->err.code, f->err.text);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    assert_non_null(mkdtemp(temp_path(f->folder)));
    f->redact = sn_redact_new();
    assert_non_null(f->redact);
    f->conf.timeout_ms = 1000;
    reopen(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[TEMP_PATH_MAX + 16];

    sn_secret_fini(&f->secret);
    sn_secret_store_free(f->store);
    sn_redact_free(f->redact);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void assert_resolves(struct fixture *f, const char *reference, const char *expected)
{
    if (sn_secret_resolve(f->store, reference, &f->secret, &f->err) != 0)
        fail_msg("%s: %s: %s", reference, f->err.code, f->err.text);
    assert_int_equal(f->secret.len, strlen(expected));
    assert_string_equal(f->secret.data, expected);
    sn_secret_fini(&f->secret);
}

static void assert_refused(struct fixture *f, const char *reference, const char *code)
{
    memset(&f->err, 0, sizeof(f->err));
    if (sn_secret_resolve(f->store, reference, &f->secret, &f->err) == 0)
        fail_msg("resolved: %s", reference);
    assert_string_equal(f->err.code, code);
    assert_null(f->secret.data);
    assert_null(strstr(f->err.text, CANARY));
}

static void assert_shown(struct fixture *f, const char *text, const char *expected)
{
    struct sn_buf out = SN_BUF_INIT;

    sn_redact_apply(f->redact, &out, text, strlen(text));
    assert_string_equal(sn_buf_str(&out), expected);
    sn_buf_fini(&out);
}

static void env_gives_the_variable(void **state)
{
    struct fixture *f = *state;
    char *big = malloc(4098);

    assert_non_null(big);
    assert_int_equal(setenv("SN_TEST_SECRET", CANARY, 1), 0);
    assert_resolves(f, "env:SN_TEST_SECRET", CANARY);
    assert_int_equal(setenv("SN_TEST_SECRET", "", 1), 0);
    assert_refused(f, "env:SN_TEST_SECRET", "secret.syntax");
    memset(big, 'x', 4097);
    big[4097] = '\0';
    assert_int_equal(setenv("SN_TEST_SECRET", big, 1), 0);
    assert_refused(f, "env:SN_TEST_SECRET", "secret.syntax");
    big[4096] = '\0';
    assert_int_equal(setenv("SN_TEST_SECRET", big, 1), 0);
    assert_resolves(f, "env:SN_TEST_SECRET", big);
    unsetenv("SN_TEST_SECRET");
    assert_refused(f, "env:SN_TEST_SECRET", "secret.missing");
    assert_refused(f, "env:", "secret.syntax");
    assert_refused(f, "env:A=B", "secret.syntax");
    assert_refused(f, "env:1A", "secret.syntax");
    free(big);
}

static void file_gives_its_text_without_the_line_end(void **state)
{
    static const struct {
        const char *content;
        const char *secret;
    } CASES[] = { { CANARY, CANARY },
                  { CANARY "\n", CANARY },
                  { CANARY "\r\n", CANARY },
                  { CANARY "\n\n", CANARY "\n" },
                  { " " CANARY " ", " " CANARY " " } };
    struct fixture *f = *state;
    char reference[TEMP_PATH_MAX + 80];

    snprintf(reference, sizeof(reference), "file:%s", path_in(f, "s"));
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        write_file(reference + 5, CASES[i].content, strlen(CASES[i].content));
        assert_resolves(f, reference, CASES[i].secret);
    }
}

static void file_is_refused_when_it_cannot_be_a_secret(void **state)
{
    struct fixture *f = *state;
    char reference[TEMP_PATH_MAX + 80];
    char big[4097];

    snprintf(reference, sizeof(reference), "file:%s", path_in(f, "s"));
    assert_refused(f, reference, "secret.missing");
    write_file(reference + 5, "", 0);
    assert_refused(f, reference, "secret.syntax");
    write_file(reference + 5, "\n", 1);
    assert_refused(f, reference, "secret.syntax");
    write_file(reference + 5, CANARY "\0x", sizeof(CANARY) + 1);
    assert_refused(f, reference, "secret.syntax");
    memset(big, 'x', sizeof(big));
    write_file(reference + 5, big, sizeof(big));
    assert_refused(f, reference, "secret.syntax");
    write_file(reference + 5, big, sizeof(big) - 1);
    assert_int_equal(sn_secret_resolve(f->store, reference, &f->secret, &f->err), 0);
    assert_int_equal(f->secret.len, 4096);
    sn_secret_fini(&f->secret);

    assert_int_equal(unlink(reference + 5), 0);
    assert_int_equal(mkfifo(reference + 5, 0600), 0); /* nobody writes: must not wait */
    assert_refused(f, reference, "secret.missing");
    snprintf(reference, sizeof(reference), "file:%s", f->folder);
    assert_refused(f, reference, "secret.missing");
    assert_refused(f, "file:/dev/zero", "secret.missing");
    assert_refused(f, "file:relative", "secret.syntax");
}

static void file_root_holds(void **state)
{
    struct fixture *f = *state;
    char reference[TEMP_PATH_MAX + 80];

    assert_int_equal(mkdir(path_in(f, "root"), 0700), 0);
    assert_int_equal(mkdir(path_in(f, "root/..data"), 0700), 0);
    assert_int_equal(mkdir(path_in(f, "root-not"), 0700), 0);
    write_file(path_in(f, "root/..data/pw"), CANARY, strlen(CANARY));
    write_file(path_in(f, "root-not/pw"), CANARY, strlen(CANARY));
    assert_int_equal(symlink("..data/pw", path_in(f, "root/pw")), 0); /* as Kubernetes mounts a secret */
    assert_int_equal(symlink("../root-not/pw", path_in(f, "root/out")), 0);
    f->conf.file_root = path_in(f, "root");
    reopen(f);
    snprintf(reference, sizeof(reference), "file:%s/root/pw", f->folder);
    assert_resolves(f, reference, CANARY);
    snprintf(reference, sizeof(reference), "file:%s/root/out", f->folder);
    assert_refused(f, reference, "secret.syntax");
    snprintf(reference, sizeof(reference), "file:%s/root/../root-not/pw", f->folder);
    assert_refused(f, reference, "secret.syntax");
    snprintf(reference, sizeof(reference), "file:%s/root-not/pw", f->folder);
    assert_refused(f, reference, "secret.syntax");
    f->conf.file_root = path_in(f, "absent");
    struct sn_secret_store *none = NULL;
    assert_int_equal(sn_secret_store_new(&f->conf, f->redact, &none, &f->err), -1);
    assert_string_equal(f->err.code, "secret.missing");
}

static void use_fleet_key(struct fixture *f, const void *key, size_t len)
{
    f->conf.fleet_key_file = path_in(f, "fleet.key");
    write_file(f->conf.fleet_key_file, key, len);
    reopen(f);
}

static void sealed_opens_for_its_fleet_only(void **state)
{
    struct fixture *f = *state;
    char *reference = NULL;
    char *again = NULL;

    assert_refused(f, "sealed:AAAA", "secret.sealed");
    use_fleet_key(f, HEX_KEY, 64);
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), CANARY, strlen(CANARY), &reference, &f->err), 0);
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), CANARY, strlen(CANARY), &again, &f->err), 0);
    assert_string_not_equal(reference, again);
    assert_null(strstr(reference, CANARY));
    assert_resolves(f, reference, CANARY);
    assert_resolves(f, again, CANARY);
    assert_int_equal(sn_secret_check_reference(reference, &f->err), 0);

    again[20] = again[20] == 'A' ? 'B' : 'A'; /* damaged */
    assert_refused(f, again, "secret.sealed");
    again[20] = '!';
    assert_refused(f, again, "secret.sealed");
    assert_refused(f, "sealed:", "secret.sealed");

    use_fleet_key(f, "another fleet has another key, ok", 32);
    assert_refused(f, reference, "secret.sealed");
    f->conf.fleet_key_file = NULL;
    reopen(f);
    assert_refused(f, reference, "secret.missing");
    free(reference);
    free(again);
}

static void nothing_can_be_sealed_that_could_not_be_used(void **state)
{
    struct fixture *f = *state;
    char *reference = NULL;
    char big[4097];

    use_fleet_key(f, HEX_KEY, 64);
    memset(big, 'x', sizeof(big));
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), "", 0, &reference, &f->err), -1);
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), "a\0b", 3, &reference, &f->err), -1);
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), big, 4097, &reference, &f->err), -1);
    assert_null(reference);
    assert_int_equal(sn_secret_seal(sn_secret_seal_public(f->store), big, 4096, &reference, &f->err), 0);
    assert_int_equal(sn_secret_resolve(f->store, reference, &f->secret, &f->err), 0);
    assert_int_equal(f->secret.len, 4096);
    free(reference);
}

static void messages_of_any_bytes_are_sealed_whole(void **state)
{
    struct fixture *f = *state;
    struct sn_buf out = SN_BUF_INIT;
    char *sealed = NULL;
    char *big = malloc(SN_SEALED_MESSAGE_MAX + 1);

    use_fleet_key(f, HEX_KEY, 64);
    for (size_t i = 0; i <= SN_SEALED_MESSAGE_MAX; i++)
        big[i] = (char)(i * 7); /* NULs among them, as msgpack has */
    assert_int_equal(sn_secret_seal_message(sn_secret_seal_public(f->store), big, 0, &sealed, &f->err), -1);
    assert_int_equal(sn_secret_seal_message(sn_secret_seal_public(f->store), big, SN_SEALED_MESSAGE_MAX + 1, &sealed, &f->err), -1);
    assert_int_equal(sn_secret_seal_message(sn_secret_seal_public(f->store), big, SN_SEALED_MESSAGE_MAX, &sealed, &f->err), 0);
    assert_int_equal(sn_secret_open_message(f->store, sealed, &out, &f->err), 0);
    assert_int_equal(out.len, SN_SEALED_MESSAGE_MAX);
    assert_memory_equal(out.data, big, out.len);
    assert_int_equal(sn_secret_open_message(f->store, sealed + 1, &out, &f->err), -1);
    sn_buf_fini(&out);
    free(sealed);
    free(big);
}

/* The derivation is data: boxes and hashes in ledgers depend on it. Values computed apart from libsodium
 * for the key 00..1f: BLAKE2b (key, salt = id 1 or 2, personal = "sn-fleet") by Python's hashlib; public key = X25519
 * of the first half of SHA-512 of the seed, by the ladder of RFC 7748. */
static void fleet_key_derivation_stays_the_same(void **state)
{
    struct fixture *f = *state;
    unsigned char raw[32];
    unsigned char hash[32];
    unsigned char seal[32];
    char text[65];

    assert_null(sn_secret_hash_key(f->store));
    assert_null(sn_secret_seal_public(f->store));
    use_fleet_key(f, HEX_KEY, 64);
    memcpy(hash, sn_secret_hash_key(f->store), 32);
    memcpy(seal, sn_secret_seal_public(f->store), 32);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    assert_string_equal(text, "6fce9e053806e5beccdc72b2dd6047865fdae96349d678c3e9383dc7cd7d694e");
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", seal[i]);
    assert_string_equal(text, "5a69a68da7af332638d96c569cfc3af6067d67e2d6f8d3123f4640b8dee5924f");

    for (unsigned char i = 0; i < 32; i++)
        raw[i] = i;
    use_fleet_key(f, raw, 32);
    assert_memory_equal(sn_secret_hash_key(f->store), hash, 32);
    snprintf(text, sizeof(text), "%s", HEX_KEY);
    char with_line_end[66];
    snprintf(with_line_end, sizeof(with_line_end), "%s\n", HEX_KEY);
    use_fleet_key(f, with_line_end, 65);
    assert_memory_equal(sn_secret_seal_public(f->store), seal, 32);
    raw[31] = '\n'; /* a raw key may end like a line */
    use_fleet_key(f, raw, 32);
    assert_memory_not_equal(sn_secret_hash_key(f->store), hash, 32);
}

static void fleet_key_must_be_a_key(void **state)
{
    static const char *const BAD[] = { "", "short", "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                                       "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f00" };
    struct fixture *f = *state;
    struct sn_secret_store *store = NULL;

    f->conf.fleet_key_file = path_in(f, "fleet.key");
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        write_file(f->conf.fleet_key_file, BAD[i], strlen(BAD[i]));
        assert_int_equal(sn_secret_store_new(&f->conf, f->redact, &store, &f->err), -1);
        assert_string_equal(f->err.code, "secret.fleet-key");
    }
    f->conf.fleet_key_file = path_in(f, "absent");
    assert_int_equal(sn_secret_store_new(&f->conf, f->redact, &store, &f->err), -1);
    assert_string_equal(f->err.code, "secret.fleet-key");
    assert_non_null(strstr(f->err.text, "absent"));
    assert_null(store);
}

static void secret_is_redacted_while_it_lives(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(setenv("SN_TEST_SECRET", CANARY, 1), 0);
    assert_shown(f, "pw " CANARY, "pw " CANARY);
    assert_int_equal(sn_secret_resolve(f->store, "env:SN_TEST_SECRET", &f->secret, &f->err), 0);
    assert_shown(f, "pw " CANARY, "pw [secret]");
    sn_secret_fini(&f->secret);
    assert_null(f->secret.data);
    assert_int_equal(f->secret.len, 0);
    assert_shown(f, "pw " CANARY, "pw " CANARY);
    sn_secret_fini(&f->secret);
    unsetenv("SN_TEST_SECRET");
}

/* Who sent a secret wipes it; the reply that says it back comes later. */
static void secret_of_a_scope_is_redacted_until_its_end(void **state)
{
    struct fixture *f = *state;
    struct sn_secret_store *scope = NULL;

    assert_int_equal(setenv("SN_TEST_SECRET", CANARY, 1), 0);
    assert_int_equal(sn_secret_scope_new(f->store, &scope, &f->err), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(sn_secret_resolve(scope, "env:SN_TEST_SECRET", &f->secret, &f->err), 0);
        sn_secret_fini(&f->secret);
        assert_shown(f, "pw " CANARY, "pw [secret]");
    }
    sn_secret_scope_end(scope);
    assert_shown(f, "pw " CANARY, "pw " CANARY);
    assert_int_equal(sn_secret_resolve(scope, "env:SN_TEST_SECRET", &f->secret, &f->err), 0);
    sn_secret_fini(&f->secret);
    sn_secret_store_free(scope);
    assert_shown(f, "pw " CANARY, "pw " CANARY);
    assert_refused(f, "env:SN_TEST_SECRET_THAT_IS_NOT", "secret.missing"); /* the store behind it lives on */
    unsetenv("SN_TEST_SECRET");
}

static void json_value_is_text_or_reference(void **state)
{
    struct fixture *f = *state;
    static const char *const BAD[] = { "{}",
                                       "{\"$secret\": 1}",
                                       "[]",
                                       "1",
                                       "null",
                                       "\"\"",
                                       "\"a\\u0000b\"",
                                       "{\"$secret\": \"env:SN_TEST_SECRET\", \"x\": 1}" };
    json_t *value = json_loads("\"" CANARY "\"", JSON_DECODE_ANY, NULL);

    assert_int_equal(setenv("SN_TEST_SECRET", CANARY, 1), 0);
    assert_int_equal(sn_secret_resolve_json(f->store, value, &f->secret, &f->err), 0);
    assert_string_equal(f->secret.data, CANARY);
    assert_shown(f, CANARY, "[secret]");
    sn_secret_fini(&f->secret);
    json_decref(value);
    value = json_loads("{\"$secret\": \"env:SN_TEST_SECRET\"}", 0, NULL);
    assert_int_equal(sn_secret_resolve_json(f->store, value, &f->secret, &f->err), 0);
    assert_string_equal(f->secret.data, CANARY);
    sn_secret_fini(&f->secret);
    json_decref(value);
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        value = json_loads(BAD[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        assert_int_equal(sn_secret_resolve_json(f->store, value, &f->secret, &f->err), -1);
        assert_string_equal(f->err.code, "secret.syntax");
        json_decref(value);
    }
    assert_int_equal(sn_secret_resolve_json(f->store, NULL, &f->secret, &f->err), -1);
    unsetenv("SN_TEST_SECRET");
}

static void reference_form_is_judged_without_repeating_it(void **state)
{
    static const char *const GOOD[] = { "env:A_1", "file:/run/secrets/x", "vault:secret/data/isp/pppoe/17071#password",
                                        "vault:kv/a.b#p", "odoo:17071" };
    static const char *const BAD[] = { CANARY,
                                       "",
                                       "env:" CANARY,
                                       "file:" CANARY,
                                       "vault:" CANARY,
                                       "vault:a#",
                                       "vault:#a",
                                       "vault:/a#b",
                                       "vault:a/#b",
                                       "vault:a//b#c",
                                       "vault:a/../b#c",
                                       "vault:./b#c",
                                       "vault:a?x=1#c",
                                       "vault:a%2fb#c",
                                       "vault:a#b c",
                                       "vault:auth/token/lookup-self#id",
                                       "vault:SYS/x#y",
                                       "vault:identity/x#y",
                                       "vault:cubbyhole/x#y",
                                       "sealed:" CANARY,
                                       "ENV:A",
                                       " env:A" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
        if (sn_secret_check_reference(GOOD[i], &f->err) != 0)
            fail_msg("%s: %s", GOOD[i], f->err.text);
    }
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        if (sn_secret_check_reference(BAD[i], &f->err) == 0)
            fail_msg("accepted: %s", BAD[i]);
        assert_null(strstr(f->err.text, CANARY));
        assert_true(strcmp(f->err.code, "secret.syntax") == 0 || strcmp(f->err.code, "secret.sealed") == 0);
    }
    assert_refused(f, "odoo:17071", "secret.missing");
    assert_refused(f, "vault:kv/a#b", "secret.missing"); /* not configured */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(env_gives_the_variable, setup, teardown),
        cmocka_unit_test_setup_teardown(file_gives_its_text_without_the_line_end, setup, teardown),
        cmocka_unit_test_setup_teardown(file_is_refused_when_it_cannot_be_a_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(file_root_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(sealed_opens_for_its_fleet_only, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_can_be_sealed_that_could_not_be_used, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_of_any_bytes_are_sealed_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(fleet_key_derivation_stays_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(fleet_key_must_be_a_key, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_is_redacted_while_it_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(secret_of_a_scope_is_redacted_until_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(json_value_is_text_or_reference, setup, teardown),
        cmocka_unit_test_setup_teardown(reference_form_is_judged_without_repeating_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
