/* SPDX-License-Identifier: Apache-2.0 */
#include "common/secret/secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret/internal.h"

/* Is it not there, or does this machine lack something at the moment? The latter passes, and is no reason to call a person. */
static int no_file(const char *path, int why, struct sn_error *err)
{
    static const int passing[] = { EMFILE, ENFILE, ENOMEM, EIO, EAGAIN, EINTR, ESTALE, ETIMEDOUT };
    const char *code = "secret.missing";

    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
        if (why == passing[i])
            code = "secret.unreachable";
    }
    return sn_error_set(err, code, "file %s: %s", path, strerrordesc_np(why));
}

int sn_secret_read_file(const char *path, struct sn_buf *out, struct sn_error *err)
{
    char chunk[512];
    struct stat st;
    ssize_t n;
    size_t total = 0;
    int rc = -1;
    /* O_NONBLOCK: opening a FIFO must not wait for a writer */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return no_file(path, errno, err);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        sn_error_set(err, "secret.missing", "file %s: not a regular file", path);
        goto out;
    }
    while ((n = read(fd, chunk, sizeof(chunk))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)no_file(path, errno, err);
            goto out;
        }
        total += (size_t)n;
        if (total > SECRET_MAX_BYTES) {
            sn_error_set(err, "secret.syntax", "file %s: longer than %d bytes", path, SECRET_MAX_BYTES);
            goto out;
        }
        sn_buf_add(out, chunk, (size_t)n);
    }
    rc = out->failed ? sn_error_oom(err) : 0;
out:
    sodium_memzero(chunk, sizeof(chunk));
    (void)close(fd);
    return rc;
}

void sn_secret_cut_line_end(struct sn_buf *b)
{
    if (b->len > 0 && b->data[b->len - 1] == '\n')
        b->data[--b->len] = '\0';
    if (b->len > 0 && b->data[b->len - 1] == '\r')
        b->data[--b->len] = '\0';
}

static int check_env(const char *rest, struct sn_error *err)
{
    if (!isalpha((unsigned char)rest[0]) && rest[0] != '_')
        return sn_error_set(err, "secret.syntax", "env: must be followed by the name of a variable");
    for (const char *p = rest; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && *p != '_')
            return sn_error_set(err, "secret.syntax", "env: must be followed by the name of a variable");
    }
    return 0;
}

static int from_env(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err)
{
    const char *value = getenv(rest);

    (void)s;
    if (value == NULL)
        return sn_error_set(err, "secret.missing", "the environment has no %s", rest);
    sn_buf_adds(out, value);
    if (!out->failed)
        return 0;
    if (strlen(value) <= SECRET_MAX_BYTES)
        return sn_error_oom(err);
    return sn_error_set(err, "secret.syntax", "%s is longer than %d bytes", rest, SECRET_MAX_BYTES);
}

static int check_file(const char *rest, struct sn_error *err)
{
    if (rest[0] != '/' || strlen(rest) >= PATH_MAX)
        return sn_error_set(err, "secret.syntax", "file: must be followed by an absolute path");
    return 0;
}

static bool lies_below(const char *path, const char *root)
{
    size_t n = strlen(root);

    return strcmp(root, "/") == 0 || (strncmp(path, root, n) == 0 && path[n] == '/');
}

/* With a root the link's target counts, not its name (mounted secrets are links: Kubernetes' `..data`). */
static int from_file(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err)
{
    char *real = realpath(rest, NULL);
    int rc;

    if (real == NULL && errno == ENOMEM)
        return sn_error_oom(err);
    if (real == NULL)
        return no_file(rest, errno, err);
    if (s->file_root != NULL && !lies_below(real, s->file_root))
        rc = sn_error_set(err, "secret.syntax", "file %s: lies outside of %s (secrets.file_root)", rest, s->file_root);
    else
        rc = sn_secret_read_file(real, out, err);
    free(real);
    if (rc == 0)
        sn_secret_cut_line_end(out);
    return rc;
}

static int check_odoo(const char *rest, struct sn_error *err)
{
    (void)rest;
    (void)err;
    return 0;
}

static int from_odoo(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err)
{
    (void)s;
    (void)rest;
    (void)out;
    return sn_error_set(err, "secret.missing", "odoo: this release has no access to Odoo");
}

static const struct {
    const char *scheme;
    int (*check)(const char *rest, struct sn_error *err);
    int (*get)(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err);
} PROVIDERS[] = {
    { "env:", check_env, from_env },
    { "file:", check_file, from_file },
    { "vault:", sn_secret_check_vault, sn_secret_from_vault },
    { "sealed:", sn_secret_check_sealed, sn_secret_from_sealed },
    { "odoo:", check_odoo, from_odoo },
};
#define PROVIDER_COUNT (sizeof(PROVIDERS) / sizeof(PROVIDERS[0]))

/* The provider of a reference (its number), or -1. */
static int find_provider(const char *reference, const char **ret_rest, struct sn_error *err)
{
    for (size_t i = 0; i < PROVIDER_COUNT; i++) {
        size_t n = strlen(PROVIDERS[i].scheme);
        if (strncmp(reference, PROVIDERS[i].scheme, n) == 0) {
            *ret_rest = reference + n;
            return (int)i;
        }
    }
    return sn_error_set(err, "secret.syntax",
                        "not a reference: env:NAME, file:/path, vault:path#field or sealed:<base64> is meant");
}

int sn_secret_check_reference(const char *reference, struct sn_error *err)
{
    const char *rest;
    int i = find_provider(reference, &rest, err);

    return i < 0 ? -1 : PROVIDERS[i].check(rest, err);
}

static int fill(struct sn_redact *redact, const char *data, size_t len, struct sn_secret *ret, struct sn_error *err)
{
    char *copy;

    if (len == 0 || len > SECRET_MAX_BYTES || memchr(data, '\0', len) != NULL)
        return sn_error_set(err, "secret.syntax", "the secret is empty, longer than %d bytes or holds a NUL",
                            SECRET_MAX_BYTES);
    copy = malloc(len + 1);
    if (copy == NULL)
        return sn_error_oom(err);
    memcpy(copy, data, len);
    copy[len] = '\0';
    if (sn_redact_add(redact, copy, len) != 0) {
        sodium_memzero(copy, len);
        free(copy);
        return sn_error_oom(err);
    }
    ret->data = copy;
    ret->len = len;
    ret->redact = redact;
    return 0;
}

/* A copy for the scope, which lives until its end. */
static int keep(struct sn_secret_scope *scope, const struct sn_secret *secret, struct sn_error *err)
{
    for (size_t i = 0; i < scope->n; i++) {
        if (scope->kept[i].len == secret->len && memcmp(scope->kept[i].data, secret->data, secret->len) == 0)
            return 0;
    }
    if (scope->n == scope->room) {
        size_t room = scope->room > 0 ? 2 * scope->room : 8;
        struct sn_secret *more = reallocarray(scope->kept, room, sizeof(*more)); /* pointers only: nothing to wipe */
        if (more == NULL)
            return sn_error_oom(err);
        scope->kept = more;
        scope->room = room;
    }
    if (fill(secret->redact, secret->data, secret->len, &scope->kept[scope->n], err) != 0)
        return -1;
    scope->n++;
    return 0;
}

static int hand_out(const struct sn_secret_store *s, const char *data, size_t len, struct sn_secret *ret, struct sn_error *err)
{
    struct sn_secret secret = { 0 };

    if (fill(s->redact, data, len, &secret, err) != 0)
        return -1;
    if (s->scope != NULL && keep(s->scope, &secret, err) != 0) {
        sn_secret_fini(&secret);
        return -1;
    }
    *ret = secret;
    return 0;
}

int sn_secret_resolve(const struct sn_secret_store *s, const char *reference, struct sn_secret *ret,
                      struct sn_error *err)
{
    struct sn_buf value = SN_BUF_INIT_MAX(SECRET_MAX_BYTES);
    const char *rest;
    int i = find_provider(reference, &rest, err);
    int rc;

    if (i < 0)
        return -1;
    if (PROVIDERS[i].check(rest, err) != 0)
        return -1;
    rc = PROVIDERS[i].get(s, rest, &value, err);
    if (rc == 0)
        rc = hand_out(s, sn_buf_str(&value), value.len, ret, err);
    sn_buf_fini(&value);
    return rc;
}

int sn_secret_resolve_json(const struct sn_secret_store *s, const json_t *value, struct sn_secret *ret,
                           struct sn_error *err)
{
    const json_t *reference = json_object_get(value, "$secret");

    if (json_is_string(value))
        return hand_out(s, json_string_value(value), json_string_length(value), ret, err);
    if (!json_is_string(reference) || json_object_size(value) != 1)
        return sn_error_set(err, "secret.syntax", "a secret is a text or {\"$secret\": \"<reference>\"}");
    return sn_secret_resolve(s, json_string_value(reference), ret, err);
}

void sn_secret_fini(struct sn_secret *secret)
{
    if (secret->data != NULL) {
        sn_redact_remove(secret->redact, secret->data, secret->len);
        sodium_memzero(secret->data, secret->len);
        free(secret->data);
    }
    *secret = (struct sn_secret){ 0 };
}

int sn_secret_scope_new(const struct sn_secret_store *s, struct sn_secret_store **ret, struct sn_error *err)
{
    struct sn_secret_store *view = malloc(sizeof(*view));
    struct sn_secret_scope *scope = calloc(1, sizeof(*scope));

    if (view == NULL || scope == NULL) {
        free(view);
        free(scope);
        return sn_error_oom(err);
    }
    *view = *s;
    view->scope = scope;
    *ret = view;
    return 0;
}

void sn_secret_scope_end(struct sn_secret_store *scope)
{
    if (scope == NULL || scope->scope == NULL)
        return;
    while (scope->scope->n > 0)
        sn_secret_fini(&scope->scope->kept[--scope->scope->n]);
}

/* A token goes to this address: in clear only to this machine. */
static int check_vault_address(const char *address, struct sn_error *err)
{
    static const char *const LOOPBACK[] = { "http://127.0.0.1", "http://localhost", "http://[::1]" };

    if (strncmp(address, "https://", 8) == 0 && address[8] != '\0' && strpbrk(address, "@?# ") == NULL)
        return 0;
    for (size_t i = 0; i < sizeof(LOOPBACK) / sizeof(LOOPBACK[0]); i++) {
        size_t n = strlen(LOOPBACK[i]);
        if (strncmp(address, LOOPBACK[i], n) == 0 && (address[n] == '\0' || address[n] == ':') &&
            strspn(address + n, ":0123456789/") == strlen(address + n))
            return 0;
    }
    return sn_error_set(err, "secret.vault-address",
                        "Vault's address must be https://host[:port], or http:// to this machine");
}

static void cut_slashes(char *url)
{
    size_t n = url != NULL ? strlen(url) : 0;

    while (n > 0 && url[n - 1] == '/')
        url[--n] = '\0';
}

/* NULL stays NULL. */
static int copy_text(const char *in, char **out)
{
    *out = in != NULL ? strdup(in) : NULL;
    return in != NULL && *out == NULL ? -1 : 0;
}

int sn_secret_store_new(const struct sn_secret_conf *conf, struct sn_redact *redact, struct sn_secret_store **ret,
                        struct sn_error *err)
{
    struct sn_secret_store *s = NULL;

    if (sodium_init() < 0)
        return sn_error_set(err, "secret.fleet-key", "libsodium does not start");
    if (conf->vault_address != NULL && check_vault_address(conf->vault_address, err) != 0)
        return -1;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return sn_error_oom(err);
    s->redact = redact;
    s->timeout_ms = conf->timeout_ms;
    if (copy_text(conf->vault_address, &s->vault_address) != 0 ||
        copy_text(conf->vault_ca_file, &s->vault_ca_file) != 0 ||
        copy_text(conf->vault_token_file, &s->vault_token_file) != 0) {
        sn_error_oom(err);
        goto fail;
    }
    cut_slashes(s->vault_address);
    if (conf->file_root != NULL) {
        s->file_root = realpath(conf->file_root, NULL);
        if (s->file_root == NULL) {
            sn_error_set(err, "secret.missing", "folder %s: %s", conf->file_root, strerrordesc_np(errno));
            goto fail;
        }
    }
    if (conf->fleet_key_file != NULL && sn_fleet_keys_load(conf->fleet_key_file, &s->keys, err) != 0)
        goto fail;
    *ret = s;
    return 0;
fail:
    sn_secret_store_free(s);
    return -1;
}

void sn_secret_store_free(struct sn_secret_store *s)
{
    if (s == NULL)
        return;
    if (s->scope != NULL) {
        sn_secret_scope_end(s);
        free(s->scope->kept);
        free(s->scope);
        free(s);
        return;
    }
    sodium_free(s->keys); /* wipes */
    free(s->vault_address);
    free(s->vault_ca_file);
    free(s->vault_token_file);
    free(s->file_root);
    free(s);
}

const unsigned char *sn_secret_hash_key(const struct sn_secret_store *s)
{
    return s->keys != NULL ? s->keys->hash : NULL;
}

const unsigned char *sn_secret_seal_public(const struct sn_secret_store *s)
{
    return s->keys != NULL ? s->keys->seal_public : NULL;
}
