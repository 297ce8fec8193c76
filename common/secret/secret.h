/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets by reference. `env:NAME`, `file:/path`, `vault:path#field` (HTTP, KV v1 and v2: path as in the API, with the
 * mount and, for v2, `data/`), `sealed:<base64>` (libsodium sealed box, fleet key). In a message a reference is
 * {"$secret": "<reference>"}; the schema lets a message name vault:, sealed: and odoo: only. A resolved secret is
 * registered with the redactor for as long as it lives and wiped by sn_secret_fini(). Facts: docs/protocols/secrets.md.
 * Thread: the store is immutable after creation and may be shared; files, variables and Vault are asked each time.
 */
#ifndef SN_COMMON_SECRET_SECRET_H
#define SN_COMMON_SECRET_SECRET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/log.h"

#define SN_FLEET_KEY_BYTES 32

struct sn_secret {
    char *data; /* NUL-terminated, no NUL inside */
    size_t len;
    struct sn_redact *redact;
};

struct sn_secret_conf {
    const char
        *fleet_key_file; /* 32 bytes in hex or raw; derives the hash key and the sealed-box key pair; may be NULL */
    const char *vault_address; /* may be NULL; https://, or http:// to a loopback address */
    const char *vault_ca_file; /* PEM; NULL: the system's */
    const char *vault_token_file;
    const char *file_root; /* file: references must lie below it; NULL = anywhere */
    int timeout_ms;        /* total, for one resolution */
};

struct sn_secret_store;
/* conf is copied. Errors: secret.fleet-key, secret.vault-address. redact may be NULL; it must outlive store and
 * secrets. */
int sn_secret_store_new(const struct sn_secret_conf *conf, struct sn_redact *redact, struct sn_secret_store **ret,
                        struct sn_error *err) SN_MUSTCHECK;
void sn_secret_store_free(struct sn_secret_store *s);

/* 0 when the text is a reference by its form (for configuration checks); the error never repeats the text, which may be
 * a secret put in the wrong place. Error: secret.syntax. */
int sn_secret_check_reference(const char *reference, struct sn_error *err) SN_MUSTCHECK;

/* reference: the text after $secret. Errors: secret.missing (no such variable, file, path or field, or a provider that
 * is not configured: waits for a person), secret.syntax (form, size, NUL inside), secret.unreachable (Vault does not
 * answer, is sealed, or refuses our token: try again), secret.sealed (not sealed for this fleet, or damaged). Texts
 * name the reference (but not the box of a sealed one), never a value. *ret is written only on success. May block for
 * timeout_ms. */
int sn_secret_resolve(const struct sn_secret_store *s, const char *reference, struct sn_secret *ret,
                      struct sn_error *err) SN_MUSTCHECK;
/* A json string (inline; tests and inventory without secrets) or {"$secret": ref}. */
int sn_secret_resolve_json(const struct sn_secret_store *s, const json_t *value, struct sn_secret *ret,
                           struct sn_error *err) SN_MUSTCHECK;
void sn_secret_fini(struct sn_secret *secret);

/* A view of the store for one thread: what is resolved through it stays known to the redactor until sn_secret_scope_end(), so that
 * a reply which repeats a secret is masked although whoever sent the secret has wiped it by then. The store must outlive
 * it; ended and freed by sn_secret_store_free(). */
int sn_secret_scope_new(const struct sn_secret_store *s, struct sn_secret_store **ret, struct sn_error *err) SN_MUSTCHECK;
/* Wipes what was kept. Safe on NULL. */
void sn_secret_scope_end(struct sn_secret_store *scope);

/* Seals plain text for the fleet: writes the reference `sealed:<base64>` to *ret_reference (malloc'ed). */
int sn_secret_seal(const unsigned char seal_public[32], const char *plain, size_t len, char **ret_reference,
                   struct sn_error *err) SN_MUSTCHECK;
/* The same for a whole message (a dead letter, a device's reply): any bytes, up to so many. */
#define SN_SEALED_MESSAGE_MAX (64 * 1024)
int sn_secret_seal_message(const unsigned char seal_public[32], const char *message, size_t len, char **ret_sealed,
                           struct sn_error *err) SN_MUSTCHECK;
/* Appends the message of sn_secret_seal_message() to out. */
int sn_secret_open_message(const struct sn_secret_store *s, const char *sealed, struct sn_buf *out, struct sn_error *err) SN_MUSTCHECK;
/* The keys derived from the fleet key; NULL when none is configured. Borrowed. */
const unsigned char *sn_secret_hash_key(const struct sn_secret_store *s);
const unsigned char *sn_secret_seal_public(const struct sn_secret_store *s);

#endif
