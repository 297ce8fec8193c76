/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the providers share; not for other folders.
 * Thread: any reads a store; a scope's list belongs to the one thread that has the scope.
 */
#ifndef SN_COMMON_SECRET_INTERNAL_H
#define SN_COMMON_SECRET_INTERNAL_H

#include "common/base/buf.h"
#include "common/secret/secret.h"

#define SECRET_MAX_BYTES 4096

struct sn_fleet_keys {
    unsigned char hash[32];
    unsigned char seal_public[32];
    unsigned char seal_secret[32];
};

/* Secrets that a scope has resolved, each once. */
struct sn_secret_scope {
    struct sn_secret *kept;
    size_t n;
    size_t room;
};

struct sn_secret_store {
    char *vault_address;
    char *vault_ca_file;
    char *vault_token_file;
    char *file_root; /* real path */
    int timeout_ms;
    struct sn_redact *redact;
    struct sn_fleet_keys *keys; /* guarded memory of libsodium, or NULL */
    struct sn_secret_scope *scope; /* NULL: keeps nothing. Else everything above is borrowed from the store behind it */
};

/* Reads a regular file of at most SECRET_MAX_BYTES into out, as it is. secret.missing, secret.syntax. */
int sn_secret_read_file(const char *path, struct sn_buf *out, struct sn_error *err) SN_MUSTCHECK;
/* Editors and `echo` end a file with a line end (LF or CR LF) that is not part of the secret: one is cut. */
void sn_secret_cut_line_end(struct sn_buf *b);

/* Providers: rest is the reference after the colon; the value is appended to out. Sizes and NUL are checked by the
 * caller. */
int sn_secret_from_vault(const struct sn_secret_store *s, const char *rest, struct sn_buf *out,
                         struct sn_error *err) SN_MUSTCHECK;
int sn_secret_check_vault(const char *rest, struct sn_error *err) SN_MUSTCHECK;
int sn_secret_from_sealed(const struct sn_secret_store *s, const char *rest, struct sn_buf *out,
                          struct sn_error *err) SN_MUSTCHECK;
int sn_secret_check_sealed(const char *rest, struct sn_error *err) SN_MUSTCHECK;

/* Derives the keys from the fleet key file: *ret in guarded memory, freed with sodium_free(). */
int sn_fleet_keys_load(const char *path, struct sn_fleet_keys **ret, struct sn_error *err) SN_MUSTCHECK;

#endif
