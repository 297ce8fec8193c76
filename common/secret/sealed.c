/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet key, what is derived from it, and sealed boxes. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret/internal.h"

/* Changing these changes every hash and every box: a new fleet key in effect. */
#define CONTEXT "sn-fleet"
#define SUBKEY_HASH 1u
#define SUBKEY_SEAL 2u

_Static_assert(sizeof(CONTEXT) - 1 == crypto_kdf_CONTEXTBYTES, "context");
_Static_assert(SN_FLEET_KEY_BYTES == crypto_kdf_KEYBYTES, "fleet key");
_Static_assert(crypto_box_PUBLICKEYBYTES == 32 && crypto_box_SECRETKEYBYTES == 32 && crypto_box_SEEDBYTES == 32,
               "keys");

static const char SCHEME[] = "sealed:";

#define BASE64 sodium_base64_VARIANT_ORIGINAL

/* 32 bytes raw (the last may be a line end), or 64 hex digits and perhaps a line end. */
static int decode_fleet_key(struct sn_buf *file, unsigned char key[SN_FLEET_KEY_BYTES])
{
    size_t len = 0;

    if (file->len == SN_FLEET_KEY_BYTES) {
        memcpy(key, file->data, SN_FLEET_KEY_BYTES);
        return 0;
    }
    sn_secret_cut_line_end(file);
    if (file->len != 2 * SN_FLEET_KEY_BYTES ||
        sodium_hex2bin(key, SN_FLEET_KEY_BYTES, file->data, file->len, NULL, &len, NULL) != 0 ||
        len != SN_FLEET_KEY_BYTES)
        return -1;
    return 0;
}

int sn_fleet_keys_load(const char *path, struct sn_fleet_keys **ret, struct sn_error *err)
{
    struct sn_buf file = SN_BUF_INIT;
    struct sn_fleet_keys *keys = NULL;
    unsigned char key[SN_FLEET_KEY_BYTES];
    unsigned char seed[crypto_box_SEEDBYTES];
    int rc = -1;

    if (sn_secret_read_file(path, &file, err) != 0) {
        if (!sn_error_is_oom(err))
            (void)sn_error_set(err, "secret.fleet-key", "%s", err->text);
        goto out;
    }
    if (decode_fleet_key(&file, key) != 0) {
        sn_error_set(err, "secret.fleet-key", "fleet key file %s: neither %d bytes nor %d hex digits", path,
                     SN_FLEET_KEY_BYTES, 2 * SN_FLEET_KEY_BYTES);
        goto out;
    }
    keys = sodium_malloc(sizeof(*keys));
    if (keys == NULL || crypto_kdf_derive_from_key(keys->hash, sizeof(keys->hash), SUBKEY_HASH, CONTEXT, key) != 0 ||
        crypto_kdf_derive_from_key(seed, sizeof(seed), SUBKEY_SEAL, CONTEXT, key) != 0 ||
        crypto_box_seed_keypair(keys->seal_public, keys->seal_secret, seed) != 0) {
        sodium_free(keys);
        sn_error_oom(err);
        goto out;
    }
    (void)sodium_mprotect_readonly(keys);
    *ret = keys;
    rc = 0;
out:
    sodium_memzero(key, sizeof(key));
    sodium_memzero(seed, sizeof(seed));
    sn_buf_fini(&file);
    return rc;
}

/* The box of a reference to at most max bytes; *ret is malloc'ed. */
static int decode_box(const char *base64, size_t max, unsigned char **ret, size_t *ret_len, struct sn_error *err)
{
    size_t text_len = strlen(base64);
    size_t size = text_len / 4 * 3 + 3;
    const char *end = NULL;
    unsigned char *box;
    size_t len;

    if (text_len > 2 * max)
        return sn_error_set(err, "secret.sealed", "sealed: longer than what can be sealed");
    box = malloc(size);
    if (box == NULL)
        return sn_error_oom(err);
    if (sodium_base642bin(box, size, base64, text_len, NULL, &len, &end, BASE64) != 0 || end != base64 + text_len ||
        len <= crypto_box_SEALBYTES) {
        free(box);
        return sn_error_set(err, "secret.sealed", "sealed: not the base64 of a sealed box");
    }
    *ret = box;
    *ret_len = len;
    return 0;
}

int sn_secret_check_sealed(const char *rest, struct sn_error *err)
{
    unsigned char *box;
    size_t len;

    if (decode_box(rest, SECRET_MAX_BYTES, &box, &len, err) != 0)
        return -1;
    free(box);
    return 0;
}

static int open_box(const struct sn_secret_store *s, const char *rest, size_t max, struct sn_buf *out, struct sn_error *err)
{
    unsigned char *box = NULL;
    unsigned char *plain = NULL;
    size_t len = 0;
    int rc = -1;

    if (s->keys == NULL)
        return sn_error_set(err, "secret.missing", "sealed: no fleet key is configured (secrets.fleet_key_file)");
    if (decode_box(rest, max, &box, &len, err) != 0)
        return -1;
    plain = malloc(len - crypto_box_SEALBYTES);
    if (plain == NULL) {
        sn_error_oom(err);
        goto out;
    }
    if (crypto_box_seal_open(plain, box, len, s->keys->seal_public, s->keys->seal_secret) != 0) {
        sn_error_set(err, "secret.sealed", "sealed: not sealed for this fleet, or damaged");
        goto out;
    }
    sn_buf_add(out, plain, len - crypto_box_SEALBYTES);
    rc = out->failed ? sn_error_oom(err) : 0;
out:
    if (plain != NULL)
        sodium_memzero(plain, len - crypto_box_SEALBYTES);
    free(plain);
    free(box);
    return rc;
}

int sn_secret_from_sealed(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err)
{
    return open_box(s, rest, SECRET_MAX_BYTES, out, err);
}

int sn_secret_open_message(const struct sn_secret_store *s, const char *sealed, struct sn_buf *out, struct sn_error *err)
{
    if (strncmp(sealed, SCHEME, sizeof(SCHEME) - 1) != 0)
        return sn_error_set(err, "secret.sealed", "not a sealed message");
    return open_box(s, sealed + sizeof(SCHEME) - 1, SN_SEALED_MESSAGE_MAX, out, err);
}

static int seal(const unsigned char seal_public[32], const char *plain, size_t len, char **ret_reference, struct sn_error *err)
{
    unsigned char *box = NULL;
    char *reference = NULL;
    size_t box_len = len + crypto_box_SEALBYTES;
    size_t text_size;

    if (sodium_init() < 0)
        return sn_error_set(err, "secret.sealed", "libsodium does not start");
    text_size = sodium_base64_encoded_len(box_len, BASE64); /* with the NUL */
    box = malloc(box_len);
    reference = malloc(sizeof(SCHEME) - 1 + text_size);
    if (box == NULL || reference == NULL || crypto_box_seal(box, (const unsigned char *)plain, len, seal_public) != 0) {
        free(box);
        free(reference);
        return sn_error_oom(err);
    }
    memcpy(reference, SCHEME, sizeof(SCHEME) - 1);
    sodium_bin2base64(reference + sizeof(SCHEME) - 1, text_size, box, box_len, BASE64);
    free(box);
    *ret_reference = reference;
    return 0;
}

int sn_secret_seal(const unsigned char seal_public[32], const char *plain, size_t len, char **ret_reference,
                   struct sn_error *err)
{
    if (len == 0 || len > SECRET_MAX_BYTES || memchr(plain, '\0', len) != NULL)
        return sn_error_set(err, "secret.syntax", "a secret has 1 to %d bytes and no NUL", SECRET_MAX_BYTES);
    return seal(seal_public, plain, len, ret_reference, err);
}

int sn_secret_seal_message(const unsigned char seal_public[32], const char *message, size_t len, char **ret_sealed,
                           struct sn_error *err)
{
    if (len == 0 || len > SN_SEALED_MESSAGE_MAX)
        return sn_error_set(err, "secret.syntax", "a message of 1 to %d bytes can be sealed", SN_SEALED_MESSAGE_MAX);
    return seal(seal_public, message, len, ret_sealed, err);
}
