/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/yaml_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/schema/doc.h"

/* The loader refuses an empty document; a file in which all is commented out means "as by default". */
static bool holds_nothing(const char *text, size_t len)
{
    bool comment = false;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n')
            comment = false;
        else if (text[i] == '#')
            comment = true;
        else if (!comment && strchr(" \t\r", text[i]) == NULL)
            return false;
    }
    return true;
}

static int fail(struct sn_error *err, const char *area, const char *what, const char *place, const char *why)
{
    char code[SN_CODE_MAX];

    (void)snprintf(code, sizeof(code), "%s.%s", area, what);
    return sn_error_set(err, code, "%s: %s", place, why);
}

int sn_yaml_file_parse(const char *name, const char *area, const char *text, size_t len, struct sn_yaml_file *ret,
                       struct sn_error *err)
{
    const struct sn_doc_limits limits = SN_DOC_LIMITS_FILE;
    struct sn_yaml_file file = { .name = strdup(name) };
    char cause[SN_ERROR_TEXT_MAX];
    char place[SN_ERROR_TEXT_MAX];
    unsigned line;
    int used = 0;

    if (file.name == NULL)
        return sn_error_oom(err);
    if (holds_nothing(text, len)) {
        file.doc = json_null();
        file.lines = json_object();
        if (file.lines == NULL) {
            sn_yaml_file_fini(&file);
            return sn_error_oom(err);
        }
        *ret = file;
        return 0;
    }
    if (sn_doc_load_yaml(text, len, &limits, &file.doc, &file.lines, err) == 0) {
        *ret = file;
        return 0;
    }
    if (sn_error_is_oom(err)) {
        sn_yaml_file_fini(&file);
        return -1;
    }
    (void)snprintf(cause, sizeof(cause), "%s", err->text);
    if (sscanf(cause, "line %u: %n", &line, &used) == 1 && used > 0)
        (void)snprintf(place, sizeof(place), "%s:%u", name, line);
    else
        (void)snprintf(place, sizeof(place), "%s", name);
    (void)fail(err, area, "syntax", place, cause + used);
    sn_yaml_file_fini(&file);
    return -1;
}

int sn_yaml_file_read(const char *path, const char *area, struct sn_yaml_file *ret, struct sn_error *err)
{
    const struct sn_doc_limits limits = SN_DOC_LIMITS_FILE;
    struct sn_buf text = SN_BUF_INIT_MAX(limits.bytes_max);
    char chunk[8192];
    FILE *f = fopen(path, "re");
    size_t n;
    int rc = -1;

    if (f == NULL)
        return fail(err, area, "unreadable", path, strerrordesc_np(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && !text.failed)
        sn_buf_add(&text, chunk, n);
    if (ferror(f) != 0)
        (void)fail(err, area, "unreadable", path, strerrordesc_np(errno));
    else if (text.failed)
        (void)(text.len + sizeof(chunk) < limits.bytes_max ? sn_error_oom(err) : fail(err, area, "syntax", path, "the file is too long"));
    else
        rc = sn_yaml_file_parse(path, area, sn_buf_str(&text), text.len, ret, err);
    explicit_bzero(chunk, sizeof(chunk));
    (void)fclose(f);
    sn_buf_fini(&text);
    return rc;
}

void sn_yaml_file_fini(struct sn_yaml_file *file)
{
    free(file->name);
    json_decref(file->doc);
    json_decref(file->lines);
    *file = (struct sn_yaml_file){ 0 };
}

int sn_yaml_file_line(const struct sn_yaml_file *file, const char *pointer)
{
    size_t len = strlen(pointer);

    for (;;) {
        const json_t *line = json_object_getn(file->lines, pointer, len);
        if (line != NULL)
            return (int)json_integer_value(line);
        while (len > 0 && pointer[len - 1] != '/')
            len--;
        if (len == 0)
            return 1;
        len--;
    }
}

/* /targets/3/port -> targets[3].port */
static void add_words(struct sn_buf *out, const char *pointer)
{
    const char *p = pointer;

    while (*p == '/') {
        size_t n = strcspn(p + 1, "/");
        p++;
        if (n > 0 && strspn(p, "0123456789") == n) {
            sn_buf_addf(out, "[%.*s]", (int)n, p);
        } else {
            if (out->len > 0)
                sn_buf_adds(out, ".");
            for (size_t i = 0; i < n; i++) {
                if (p[i] == '~' && i + 1 < n && (p[i + 1] == '0' || p[i + 1] == '1'))
                    sn_buf_add(out, p[++i] == '0' ? "~" : "/", 1);
                else
                    sn_buf_add(out, p + i, 1);
            }
        }
        p += n;
    }
}

int sn_yaml_file_fault(const struct sn_yaml_file *file, const char *pointer, struct sn_error *err, const char *code,
                       const char *fmt, ...)
{
    struct sn_buf words = SN_BUF_INIT;
    char text[SN_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    add_words(&words, pointer);
    (void)sn_error_set(err, code, "%s:%d: %s%s%s", file->name, sn_yaml_file_line(file, pointer), sn_buf_str(&words),
                       words.len > 0 ? ": " : "", text);
    sn_buf_fini(&words);
    return -1;
}
