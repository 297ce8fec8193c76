/* SPDX-License-Identifier: Apache-2.0 */
/* HashiCorp Vault (or OpenBao), KV secrets engine, version 1 or 2. Facts: docs/protocols/secrets.md. */
#include <sodium.h>
#include <string.h>

#include "common/http/http.h"
#include "common/schema/doc.h"
#include "common/secret/internal.h"

#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define WORD_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/* Vault's own mounts: `auth/token/lookup-self#id` would hand out our token, and a message may name a path. */
static const char *const OWN_MOUNTS[] = { "auth/", "sys/", "identity/", "cubbyhole/" };

/* Plain path segments only: nothing to escape in a URL, no way out of the mount. */
static bool path_is_plain(const char *path, size_t len)
{
    size_t i = 0;

    for (size_t k = 0; k < sizeof(OWN_MOUNTS) / sizeof(OWN_MOUNTS[0]); k++) {
        if (strncasecmp(path, OWN_MOUNTS[k], strlen(OWN_MOUNTS[k])) == 0)
            return false;
    }
    while (i <= len) {
        size_t n = strspn(path + i, WORD_CHARS);
        if (n == 0 || path[i] == '.' || i + n > len)
            return false;
        i += n;
        if (i == len)
            return true;
        if (path[i++] != '/')
            return false;
    }
    return false;
}

int sn_secret_check_vault(const char *rest, struct sn_error *err)
{
    const char *hash = strchr(rest, '#');

    if (hash == NULL || hash - rest > 512 || !path_is_plain(rest, (size_t)(hash - rest)) || hash[1] == '\0' ||
        strlen(hash + 1) > 128 || strspn(hash + 1, WORD_CHARS) != strlen(hash + 1))
        return sn_error_set(
            err, "secret.syntax",
            "vault: must be <mount>/<path>#<field> of letters, digits, `_`, `-`, `.`, and no mount of Vault's own");
    return 0;
}

/* The strings of an answer hold other secrets too. jansson keeps each string's bytes in one block of its own. */
static void wipe_strings(json_t *value)
{
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_string(value))
        sodium_memzero((void *)(uintptr_t)json_string_value(value), json_string_length(value));
    json_object_foreach(value, key, child) wipe_strings(child);
    json_array_foreach(value, i, child) wipe_strings(child);
}

static int take_field(const char *field, const struct sn_buf *body, struct sn_buf *out, struct sn_error *err)
{
    const struct sn_doc_limits limits = { .bytes_max = ANSWER_MAX_BYTES, .nodes_max = 4096, .depth_max = 16 };
    struct sn_error ignored; /* its text may quote the answer */
    json_t *doc = NULL;
    const json_t *data;
    const json_t *inner;
    const json_t *value;
    int rc = -1;

    if (sn_doc_load(sn_buf_str(body), body->len, SN_DOC_JSON, &limits, &doc, &ignored) != 0)
        return sn_error_is_oom(&ignored) ? sn_error_oom(err) : sn_error_set(err, "secret.unreachable", "Vault's answer is not JSON");
    /* version 2 wraps the fields: {"data": {"data": {…}, "metadata": {…}}} */
    data = json_object_get(doc, "data");
    inner = json_object_get(data, "data");
    if (json_is_object(inner) && json_is_object(json_object_get(data, "metadata")))
        data = inner;
    value = json_object_get(data, field);
    if (!json_is_string(value)) {
        sn_error_set(err, "secret.missing",
                     value == NULL ? "Vault has no such field there" : "Vault's field is not a string");
    } else {
        sn_buf_add(out, json_string_value(value), json_string_length(value));
        rc = out->failed ? sn_error_oom(err) : 0;
    }
    wipe_strings(doc);
    json_decref(doc);
    return rc;
}

static int judge_status(int status, struct sn_error *err)
{
    if (status == 200)
        return 0;
    if (status == 404)
        return sn_error_set(err, "secret.missing", "Vault has nothing at this path");
    if (status == 401 || status == 403)
        return sn_error_set(err, "secret.unreachable", "Vault refuses our token for this path (status %d)", status);
    return sn_error_set(err, "secret.unreachable", "Vault answers with status %d", status);
}

/* The token is read each time: an agent renews it on disk. */
static int make_token_header(const struct sn_secret_store *s, struct sn_buf *token, struct sn_buf *header,
                             struct sn_error *err)
{
    if (s->vault_token_file == NULL)
        return sn_error_set(err, "secret.missing", "vault: no token file is configured (secrets.vault_token_file)");
    if (sn_secret_read_file(s->vault_token_file, token, err) != 0)
        return -1;
    sn_secret_cut_line_end(token);
    if (token->len == 0 || strpbrk(token->data, "\r\n \t") != NULL || strlen(token->data) != token->len)
        return sn_error_set(err, "secret.syntax", "the token file %s does not hold one token", s->vault_token_file);
    sn_buf_addf(header, "X-Vault-Token: %s", token->data);
    return header->failed ? sn_error_oom(err) : 0;
}

int sn_secret_from_vault(const struct sn_secret_store *s, const char *rest, struct sn_buf *out, struct sn_error *err)
{
    struct sn_http_answer answer = { 0 };
    struct sn_buf token = SN_BUF_INIT_MAX(SECRET_MAX_BYTES);
    struct sn_buf header = SN_BUF_INIT;
    struct sn_buf url = SN_BUF_INIT;
    const char *hash = strchr(rest, '#');
    bool registered = false;
    int rc = -1;

    if (s->vault_address == NULL)
        return sn_error_set(err, "secret.missing", "vault: no Vault is configured (secrets.vault_address)");
    if (sn_secret_check_vault(rest, err) != 0 || make_token_header(s, &token, &header, err) != 0)
        goto out;
    if (sn_redact_add(s->redact, token.data, token.len) != 0) {
        sn_error_oom(err);
        goto out;
    }
    registered = true;
    sn_buf_addf(&url, "%s/v1/%.*s", s->vault_address, (int)(hash - rest), rest);
    if (url.failed) {
        sn_error_oom(err);
        goto out;
    }
    const struct sn_http_request request = { .url = url.data,
                                             .headers = (const char *[]){ header.data, "X-Vault-Request: true", NULL },
                                             .timeout_ms = s->timeout_ms,
                                             .reply_max = ANSWER_MAX_BYTES,
                                             .ca_file = s->vault_ca_file };
    if (sn_http_fetch(&request, &answer, err) != 0) {
        (void)sn_error_set(err, "secret.unreachable", "Vault at %s: %s", s->vault_address, err->text);
        goto out;
    }
    if (judge_status(answer.status, err) == 0)
        rc = take_field(hash + 1, &answer.body, out, err);
    if (rc != 0)
        (void)sn_error_prefix(err, "vault:%s", rest);
out:
    if (registered)
        sn_redact_remove(s->redact, token.data, token.len);
    sn_http_answer_fini(&answer);
    sn_buf_fini(&token);
    sn_buf_fini(&header);
    sn_buf_fini(&url);
    return rc;
}
