/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes through the reader: an event whose every text is harmless, or a refusal with a code; never a plain secret
 * left. */
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/event/event.h"
#include "common/event/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sn_schemas *schemas;
static unsigned char fleet_key[32];
static unsigned char public_key[crypto_box_PUBLICKEYBYTES];

static void start(void)
{
    unsigned char secret_key[crypto_box_SECRETKEYBYTES];
    struct sn_error err;

    if (sodium_init() < 0 || sn_schemas_load(&schemas, &err) < 0 || crypto_box_keypair(public_key, secret_key) != 0)
        abort();
}

static void require(int holds)
{
    if (!holds)
        abort();
}

static int is_harmless(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7f)
            return 0;
    }
    return len < size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_event_policy policy = { .fleet_key = fleet_key, .seal_public = public_key, .inline_secrets = true };
    struct sn_event_refusal refusal;
    struct sn_event *ev = NULL;
    char path[256];

    if (schemas == NULL)
        start();
    policy.schemas = schemas;
    if (sn_event_read(&policy, data, size, NULL, NULL, &ev, &refusal) < 0) {
        require(refusal.code[0] != '\0' && sn_event_is_uuid(refusal.id));
        require(is_harmless(refusal.path, sizeof refusal.path) && is_harmless(refusal.rule, sizeof refusal.rule));
        return 0;
    }
    require(sn_event_is_uuid(ev->id) && ev->routing[0] != '\0' && ev->generation > 0 && strlen(ev->rev) == 16);
    require(is_harmless(ev->ref, sizeof ev->ref) && is_harmless(ev->user, sizeof ev->user));
    require(!sn_event_find_inline(ev->body, path, sizeof path));
    require(json_dumpb(ev->body, NULL, 0, 0) > 0);
    sn_event_free(ev);
    return 0;
}
