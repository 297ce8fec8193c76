/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/schema/doc.h"

/* A result holds up to 64 kB of transcript and a sealed event of up to 64 kB; escapes may double both. */
#define MESSAGE_BYTES_MAX (512 * 1024)
/* What is kept of a strange message. */
#define BAD_BYTES_MAX (64 * 1024)

const char *sn_sink_device_of(const char *routing_key)
{
    const char *dot = strchr(routing_key, '.');
    return dot != NULL ? dot + 1 : "";
}

int sn_sink_read(const struct sn_schema *schema, const struct sn_sink_message *message, json_t **ret,
                 struct sn_error *err)
{
    const struct sn_doc_limits limits = { .bytes_max = MESSAGE_BYTES_MAX, .nodes_max = 65536, .depth_max = 32 };
    enum sn_doc_format format =
        strcmp(message->content_type, "application/msgpack") == 0 ? SN_DOC_MSGPACK : SN_DOC_JSON;
    struct sn_violation violation;
    json_t *doc = NULL;

    if (sn_doc_load(message->body, message->len, format, &limits, &doc, err) != 0)
        return -1;
    if (!sn_schema_check_known(schema, doc, &violation)) {
        json_decref(doc);
        if (violation.out_of_memory)
            return sn_error_oom(err);
        return sn_error_set(err, "result.shape", "%s: %s", violation.path, violation.rule);
    }
    *ret = doc;
    return 0;
}

/* Whose fault is it? A message that the tables refuse will be refused for ever; anything else passes. Classes 22 data
 * exception, 23 constraint, 54 limit exceeded, P0001 raised by our functions (PostgreSQL manual, appendix A). */
static bool is_message_fault(const struct sn_pg_error *err)
{
    static const char *const classes[] = { "22", "23", "54", "P0001" };

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(err->sqlstate, classes[i], strlen(classes[i])) == 0)
            return true;
    }
    return false;
}

static int keep_aside(struct sn_pg *pg, const struct sn_sink_message *message, const struct sn_error *why,
                      int timeout_ms, struct sn_error *err)
{
    static const char hex[] = "0123456789abcdef";
    struct sn_buf body = SN_BUF_INIT;
    char reason[SN_CODE_MAX + SN_ERROR_TEXT_MAX + 2];
    struct sn_pg_error pgerr;
    size_t len = message->len < BAD_BYTES_MAX ? message->len : BAD_BYTES_MAX;
    int rc;

    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)message->body[i];
        sn_buf_add(&body, (const char[]){ hex[byte >> 4], hex[byte & 15] }, 2);
    }
    (void)snprintf(reason, sizeof(reason), "%s: %s", why->code, why->text);
    if (body.failed) {
        sn_buf_fini(&body);
        return sn_error_oom(err);
    }
    rc = sn_pg_exec(pg,
                    "INSERT INTO silver.ledger_bad AS old (routing_key, reason, body, digest) "
                    "VALUES ($1, $2, decode($3, 'hex'), sha256(decode($3, 'hex'))) "
                    "ON CONFLICT (digest) DO UPDATE SET times = old.times + 1",
                    3, (const char *const[]){ message->routing_key, reason, sn_buf_str(&body) },
                    sn_clock_mono_ms() + timeout_ms, &pgerr);
    sn_buf_fini(&body);
    if (rc != 0)
        *err = pgerr.error;
    return rc;
}

/* [{"k": device, "m": message}, …] */
static int send_batch(struct sn_pg *pg, json_t *batch, int timeout_ms, struct sn_pg_error *pgerr)
{
    char *text = sn_json_dumps(batch, JSON_COMPACT);
    int rc;

    if (text == NULL) {
        memset(pgerr, 0, sizeof(*pgerr));
        return sn_error_oom(&pgerr->error);
    }
    rc = sn_pg_exec(pg, "SELECT silver.take(e->'m', e->>'k') FROM jsonb_array_elements($1::jsonb) e", 1,
                    (const char *const[]){ text }, sn_clock_mono_ms() + timeout_ms, pgerr);
    free(text);
    return rc;
}

/* One after the other, because one of them was refused and took its whole batch with it. */
static int write_singly(struct sn_pg *pg, json_t *batch, const struct sn_sink_message *const *messages, int timeout_ms,
                        size_t *bad, struct sn_error *err)
{
    for (size_t i = 0; i < json_array_size(batch); i++) {
        struct sn_pg_error pgerr;
        json_t *one = json_pack("[O]", json_array_get(batch, i));
        int rc;

        if (one == NULL)
            return sn_error_oom(err);
        rc = send_batch(pg, one, timeout_ms, &pgerr);
        json_decref(one);
        if (rc == 0)
            continue;
        if (!is_message_fault(&pgerr)) {
            *err = pgerr.error;
            return -1;
        }
        (*bad)++;
        if (keep_aside(pg, messages[i], &pgerr.error, timeout_ms, err) != 0)
            return -1;
    }
    return 0;
}

/* Sorts the readable ones into a batch; the others are kept aside at once. messages_of[i] belongs to batch[i]. */
static int sort_out(struct sn_pg *pg, const struct sn_schema *schema, const struct sn_sink_message *messages, size_t n,
                    int timeout_ms, json_t *batch, const struct sn_sink_message **messages_of, size_t *bad,
                    struct sn_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct sn_error why;
        json_t *doc = NULL;

        if (sn_sink_read(schema, &messages[i], &doc, &why) != 0) {
            if (sn_error_is_oom(&why))
                return sn_error_oom(err); /* nobody has judged it: it comes again */
            (*bad)++;
            if (keep_aside(pg, &messages[i], &why, timeout_ms, err) != 0)
                return -1;
            continue;
        }
        messages_of[json_array_size(batch)] = &messages[i];
        if (json_array_append_new(
                batch, json_pack("{s:s, s:o}", "k", sn_sink_device_of(messages[i].routing_key), "m", doc)) != 0)
            return sn_error_oom(err);
    }
    return 0;
}

enum sn_sink_wrote sn_sink_write(struct sn_pg *pg, const struct sn_schema *schema,
                                 const struct sn_sink_message *messages, size_t n, int timeout_ms, size_t *ret_bad,
                                 struct sn_error *err)
{
    const struct sn_sink_message **messages_of = calloc(n > 0 ? n : 1, sizeof(*messages_of));
    json_t *batch = json_array();
    struct sn_pg_error pgerr;
    size_t bad = 0;
    int rc = -1;

    if (messages_of == NULL || batch == NULL) {
        (void)sn_error_oom(err);
        goto out;
    }
    if (sort_out(pg, schema, messages, n, timeout_ms, batch, messages_of, &bad, err) != 0)
        goto out;
    if (json_array_size(batch) > 0 && send_batch(pg, batch, timeout_ms, &pgerr) != 0) {
        if (!is_message_fault(&pgerr)) {
            *err = pgerr.error;
            goto out;
        }
        if (write_singly(pg, batch, messages_of, timeout_ms, &bad, err) != 0)
            goto out;
    }
    rc = 0;
    *ret_bad = bad;
out:
    json_decref(batch);
    free(messages_of);
    return rc == 0 ? SN_SINK_DONE : SN_SINK_UNAVAILABLE;
}
