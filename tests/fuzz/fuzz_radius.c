/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of a NAS: raw, and with the input as attributes of a reply that is otherwise right (else nothing gets past the authenticator). */
#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/radius-session/names.h"
#include "drivers/radius-session/packet.h"

#define SECRET "coa-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t wrap(const struct sn_packet *request, const uint8_t *data, size_t size, unsigned char *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = SN_PACKET_HEADER + (size > SN_PACKET_MAX - SN_PACKET_HEADER ? SN_PACKET_MAX - SN_PACKET_HEADER : size);

    memcpy(out, request->data, SN_PACKET_HEADER);
    out[0] = SN_COA_NAK;
    out[2] = (unsigned char)(len >> 8);
    out[3] = (unsigned char)len;
    memcpy(out + SN_PACKET_HEADER, data, len - SN_PACKET_HEADER);
    if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1 || EVP_DigestUpdate(ctx, out, len) != 1 ||
        EVP_DigestUpdate(ctx, SECRET, strlen(SECRET)) != 1 || EVP_DigestFinal_ex(ctx, out + 4, NULL) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_packet_check how = { .secret = SECRET, .secret_len = strlen(SECRET), .accept_zero_ma = true };
    unsigned char reply[SN_PACKET_MAX];
    struct sn_radius_names *names = NULL;
    struct sn_buf words = SN_BUF_INIT;
    struct sn_packet request;
    struct sn_error err;
    bool zero;
    size_t len;

    sn_packet_begin(&request, SN_COA_REQUEST, 9, NULL);
    if (sn_packet_sign(&request, SECRET, strlen(SECRET), &err) != 0 || sn_radius_names_load(&names, &err) != 0)
        abort();
    if (sn_packet_check(&request, data, size, &how, &zero) == SN_PACKET_OK && size < SN_PACKET_HEADER)
        abort();
    len = wrap(&request, data, size, reply);
    if (sn_packet_check(&request, reply, len, &how, &zero) == SN_PACKET_OK) {
        sn_radius_describe(names, reply, len, &words);
        for (const char *c = sn_buf_str(&words); *c != '\0'; c++) {
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                abort(); /* words for journals and terminals hold no control bytes */
        }
        (void)sn_packet_error_cause(reply, len);
    }
    sn_buf_fini(&words);
    sn_radius_names_free(names);
    return 0;
}
