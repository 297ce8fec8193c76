/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, revision and routing device: what must come out the same on every machine. */
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/event/event.h"
#include "common/event/internal.h"

/* uuid5(DNS namespace, "silver-netops"): namespace of the ids that we derive from a body without a usable id. */
#define NAMESPACE "023cf8c0-6270-5384-9c18-af1a55230572"

bool sn_event_is_uuid(const char *text)
{
    if (text == NULL || strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    }
    return true;
}

/* RFC 4122, section 4.3, with SHA-1. */
static void uuid5(const unsigned char space[16], const void *name, size_t len, char out[SN_UUID_TEXT_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    EVP_MD_CTX *hash = EVP_MD_CTX_new();

    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha1(), NULL) != 1 || EVP_DigestUpdate(hash, space, 16) != 1 ||
        EVP_DigestUpdate(hash, name, len) != 1 || EVP_DigestFinal_ex(hash, digest, NULL) != 1)
        abort(); /* no memory for 100 bytes, or a crypto library without SHA-1: nothing could be told apart any more */
    EVP_MD_CTX_free(hash);
    digest[6] = (unsigned char)((digest[6] & 0x0f) | 0x50);
    digest[8] = (unsigned char)((digest[8] & 0x3f) | 0x80);
    (void)snprintf(out, SN_UUID_TEXT_MAX, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                   digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7], digest[8],
                   digest[9], digest[10], digest[11], digest[12], digest[13], digest[14], digest[15]);
}

static void uuid_bytes(const char *text, unsigned char out[16])
{
    size_t n = 0;

    for (const char *p = text; n < 16 && *p != '\0'; p += 2) {
        unsigned value = 0;
        if (*p == '-')
            p++;
        (void)sscanf(p, "%2x", &value);
        out[n++] = (unsigned char)value;
    }
}

void sn_event_derive_id(const char *parent, const char *name, char out[SN_UUID_TEXT_MAX])
{
    unsigned char space[16] = { 0 };

    uuid_bytes(sn_event_is_uuid(parent) ? parent : NAMESPACE, space);
    uuid5(space, name, strlen(name), out);
}

void sn_event_body_id(const void *data, size_t len, char out[SN_UUID_TEXT_MAX])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];

    (void)crypto_hash_sha256(digest, data, len);
    (void)sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    sn_event_derive_id(NAMESPACE, hex, out);
}

void sn_event_command_record(const char *id, char out[24])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * 8 + 1];

    (void)crypto_hash_sha256(digest, (const unsigned char *)id, strlen(id));
    (void)sodium_bin2hex(hex, sizeof hex, digest, 8);
    (void)snprintf(out, 24, "cmd-%s", hex);
}

int sn_event_rev(const json_t *service, const unsigned char fleet_key[32], char out[SN_REV_MAX], struct sn_error *err)
{
    unsigned char digest[32];
    char *text = sn_json_dumps(service, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);

    if (text == NULL)
        return sn_error_oom(err);
    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), fleet_key, 32);
    (void)sodium_bin2hex(out, SN_REV_MAX, digest, 8);
    sodium_memzero(text, strlen(text));
    free(text);
    return 0;
}

static const char *text_at(const json_t *object, const char *section, const char *name)
{
    return json_string_value(json_object_get(json_object_get(object, section), name));
}

const char *sn_event_routing_device(const json_t *body)
{
    const json_t *service = json_object_get(body, "service");
    const char *device = text_at(body, "command", "target");

    if (device == NULL)
        device = text_at(body, "cleanup", "device");
    if (device == NULL)
        device = text_at(service, "onu", "device");
    if (device == NULL)
        device = text_at(service, "router", "device");
    if (device == NULL)
        device = text_at(service, "access", "server");
    return device;
}
