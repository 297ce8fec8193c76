/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"

/* ---- connections ---- */

int sn_ctl_broker(struct sn_ctl *ctl, struct sn_broker_client **ret, struct sn_error *err)
{
    struct sn_patience *patience;
    int rc = 0;

    if (ctl->broker == NULL) {
        if (sn_ctl_password(ctl, SN_PASSWORD_BROKER, &ctl->broker_conf.password, err) != 0)
            return -1;
        patience = sn_patience_begin(_("waiting for the broker"));
        rc = sn_broker_client_open(&ctl->broker_conf, &ctl->broker, err);
        sn_patience_end(patience);
    }
    *ret = ctl->broker;
    return rc;
}

int sn_ctl_pg(struct sn_ctl *ctl, struct sn_pg **ret, struct sn_error *err)
{
    struct sn_pg_error pgerr;
    struct sn_patience *patience;
    int rc = 0;

    if (ctl->pg == NULL) {
        if (sn_ctl_password(ctl, SN_PASSWORD_LEDGER, &ctl->pg_conf.password, err) != 0)
            return -1;
        patience = sn_patience_begin(_("waiting for the ledger's database"));
        rc = sn_pg_open(&ctl->pg_conf, sn_clock_mono_ms() + ctl->timeout_ms, &ctl->pg, &pgerr);
        sn_patience_end(patience);
    }
    if (rc != 0) {
        *err = pgerr.error;
        return sn_error_prefix(err, "ledger");
    }
    *ret = ctl->pg;
    return 0;
}

int sn_ctl_store(struct sn_ctl *ctl, struct sn_store **ret, struct sn_error *err)
{
    if (ctl->store == NULL) {
        if (sn_ctl_password(ctl, SN_PASSWORD_REDIS, &ctl->store_conf.password, err) != 0)
            return -1;
        ctl->store = sn_store_new(&ctl->store_conf);
        if (ctl->store == NULL)
            return sn_error_oom(err);
    }
    *ret = ctl->store;
    return 0;
}

int sn_ctl_schemas(struct sn_ctl *ctl, const struct sn_schemas **ret, struct sn_error *err)
{
    if (ctl->schemas == NULL && sn_schemas_load(&ctl->schemas, err) != 0)
        return -1;
    *ret = ctl->schemas;
    return 0;
}

int sn_ctl_inventory(struct sn_ctl *ctl, const struct sn_inventory **ret, struct sn_error *err)
{
    const struct sn_schemas *schemas;

    if (ctl->inventory == NULL && (sn_ctl_schemas(ctl, &schemas, err) != 0 ||
                                   sn_inventory_load_file(ctl->inventory_path, schemas, &ctl->inventory, err) != 0))
        return -1;
    *ret = ctl->inventory;
    return 0;
}

int sn_ctl_target(struct sn_ctl *ctl, const char *id, const struct sn_target **ret, struct sn_error *err)
{
    const struct sn_inventory *inventory;

    if (sn_ctl_inventory(ctl, &inventory, err) != 0)
        return -1;
    *ret = sn_inventory_by_id(inventory, id);
    return *ret != NULL
               ? 0
               : sn_error_set(err, "device.not-found", "%s is not in the inventory %s", id, ctl->inventory_path);
}

void sn_ctl_close(struct sn_ctl *ctl)
{
    if (ctl->broker != NULL)
        sn_broker_client_close(ctl->broker);
    sn_pg_close(ctl->pg);
    sn_store_free(ctl->store);
    if (ctl->inventory != NULL)
        sn_inventory_unref(ctl->inventory);
    sn_schemas_free(ctl->schemas);
    sn_buf_fini(&ctl->out.buf);
    ctl->broker = NULL;
    ctl->pg = NULL;
    ctl->store = NULL;
    ctl->inventory = NULL;
    ctl->schemas = NULL;
}

/* ---- exit codes ---- */

int sn_ctl_exit_of(const struct sn_error *err)
{
    static const struct {
        const char *code; /* "x." = the whole area, ".x" = in every area */
        int exit;
    } table[] = {
        { "usage.", SN_EXIT_USAGE },       { ".not-found", SN_EXIT_NOT_FOUND }, { ".timeout", SN_EXIT_RUNNING },
        { "event.", SN_EXIT_INVALID },     { "document.", SN_EXIT_INVALID },    { "config.", SN_EXIT_CONFIG },
        { "inventory.", SN_EXIT_CONFIG },  { "secret.", SN_EXIT_CONFIG },       { "schema.", SN_EXIT_CONFIG },
        { "file.", SN_EXIT_USAGE },        { "broker.", SN_EXIT_UNREACHABLE },  { "pg.", SN_EXIT_UNREACHABLE },
        { "store.", SN_EXIT_UNREACHABLE }, { "owner.", SN_EXIT_UNREACHABLE },   { "ledger.", SN_EXIT_UNREACHABLE },
    };
    size_t len = strlen(err->code);

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        size_t n = strlen(table[i].code);
        bool tail = table[i].code[0] == '.';
        if (len >= n && strncmp(tail ? err->code + len - n : err->code, table[i].code, n) == 0)
            return table[i].exit;
    }
    return SN_EXIT_OUTCOME;
}

/* ---- answering ---- */

static int print_json(const char *output, json_t *document, struct sn_error *err)
{
    char *text;
    bool failed;

    if (json_object_set_new(document, "schema", json_string("silver.ctl/1")) != 0 ||
        json_object_set_new(document, "output", json_string(output)) != 0 ||
        (text = sn_json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS)) == NULL)
        return sn_error_oom(err);
    failed = puts(text) == EOF;
    free(text);
    return failed ? sn_error_set(err, "output.closed", "stdout takes nothing more") : 0;
}

static int print_text(struct sn_ctl *ctl, const json_t *document, sn_render *render, struct sn_error *err)
{
    render(&ctl->out, document, ctl->now_ms);
    if (ctl->out.buf.failed)
        return sn_error_oom(err);
    if (sn_out_flush(&ctl->out, stdout) != 0)
        return sn_error_set(err, "output.closed", "stdout takes nothing more");
    return 0;
}

int sn_ctl_answer(struct sn_ctl *ctl, const char *output, json_t *document, sn_render *render, struct sn_error *err)
{
    int rc = document == NULL ? sn_error_oom(err)
             : ctl->json      ? print_json(output, document, err)
                              : print_text(ctl, document, render, err);
    json_decref(document);
    return rc;
}

int sn_ctl_answer_list(struct sn_ctl *ctl, const char *output, json_t *document, const char *key, sn_render *render,
                       struct sn_error *err)
{
    int rc = 0;
    size_t i;
    json_t *element;

    if (document == NULL)
        rc = sn_error_oom(err);
    else if (!ctl->json)
        rc = print_text(ctl, document, render, err);
    else
        json_array_foreach (json_object_get(document, key), i, element)
            rc = rc == 0 ? print_json(output, element, err) : rc;
    json_decref(document);
    return rc;
}

void sn_ctl_say(const char *fmt, ...)
{
    struct sn_buf line = SN_BUF_INIT;
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        sn_buf_add_escaped(&line, text, (size_t)n);
        (void)fprintf(stderr, "%s\n", sn_buf_str(&line));
    }
    free(text);
    sn_buf_fini(&line);
}

/* ---- files ---- */

int sn_ctl_read_file(const char *path, size_t max, char **ret, size_t *ret_len, struct sn_error *err)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *data = malloc(max + 2);
    size_t len = 0;
    int rc = -1;

    if (f == NULL) {
        (void)sn_error_set(err, "file.unreadable", "%s: %s", path, strerror(errno));
        goto out;
    }
    if (data == NULL) {
        (void)sn_error_oom(err);
        goto out;
    }
    len = fread(data, 1, max + 1, f);
    if (ferror(f))
        (void)sn_error_set(err, "file.unreadable", "%s: %s", path, strerror(errno));
    else if (len > max)
        (void)sn_error_set(err, "document.too-large", "%s is larger than %zu bytes", path, max);
    else
        rc = 0;
out:
    if (f != NULL && f != stdin)
        (void)fclose(f);
    if (rc != 0) {
        free(data);
        return -1;
    }
    data[len] = '\0';
    *ret = data;
    *ret_len = len;
    return 0;
}
