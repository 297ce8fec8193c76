/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/options.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config/value.h"
#include "common/config/yaml_file.h"

#define PREFIX "SILVER_"
#define NAME_MAX_BYTES 96

/* ---- names ---- */

static void dotted_name(const struct sn_option_row *row, char out[NAME_MAX_BYTES])
{
    (void)snprintf(out, NAME_MAX_BYTES, "%s.%s", row->section, row->key);
}

static void variable_name(const struct sn_option_row *row, char out[NAME_MAX_BYTES])
{
    (void)snprintf(out, NAME_MAX_BYTES, PREFIX "%s_%s", row->section, row->key);
    for (char *p = out; *p != '\0'; p++)
        *p = (char)toupper((unsigned char)*p);
}

static const struct sn_option_row *find_row(const struct sn_option_table *table, const char *name, size_t len,
                                            void (*spell)(const struct sn_option_row *, char *))
{
    for (size_t i = 0; i < table->count; i++) {
        char spelled[NAME_MAX_BYTES];
        spell(&table->rows[i], spelled);
        if (strlen(spelled) == len && memcmp(spelled, name, len) == 0)
            return &table->rows[i];
    }
    return NULL;
}

/* Levenshtein distance, at most NAME_MAX_BYTES characters of each. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t row[NAME_MAX_BYTES + 1];

    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

/* "; did you mean broker.port?", or "" when nothing is near. */
static void suggest(const struct sn_option_table *table, const char *name, size_t len,
                    void (*spell)(const struct sn_option_row *, char *), char out[2 * NAME_MAX_BYTES])
{
    size_t nearest = len / 3 + 1;
    char spelled[NAME_MAX_BYTES];

    out[0] = '\0';
    if (len >= NAME_MAX_BYTES)
        return;
    for (size_t i = 0; i < table->count; i++) {
        size_t d;
        spell(&table->rows[i], spelled);
        d = distance(name, len, spelled, strlen(spelled));
        if (d < nearest) {
            nearest = d;
            (void)snprintf(out, 2 * NAME_MAX_BYTES, "; did you mean %s?", spelled);
        }
    }
}

/* ---- file ---- */

static bool has_section(const struct sn_option_table *table, const char *section)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].section, section) == 0)
            return true;
    }
    return false;
}

/* The value as the environment would say it: kept in buf when it is no string. */
static const char *plain_text(const json_t *value, char *buf, size_t size)
{
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (json_is_integer(value)) {
        (void)snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return buf;
    }
    return json_string_value(value);
}

static int set_array(const struct sn_option_row *row, const json_t *array, void *out, struct sn_error *err)
{
    const char **items = calloc(json_array_size(array) + 1, sizeof(*items));
    const json_t *item;
    size_t i;
    int rc = -1;

    if (items == NULL)
        return sn_error_oom(err);
    json_array_foreach(array, i, item)
    {
        items[i] = json_string_value(item);
        if (items[i] == NULL) {
            sn_error_set(err, "config.value", "entry %zu of the list is not a text (write it in quotes)", i + 1);
            goto done;
        }
    }
    rc = sn_value_set_list(row, out, items, json_array_size(array), err);
done:
    free(items);
    return rc;
}

static int set_json(const struct sn_option_row *row, const json_t *value, void *out, struct sn_error *err)
{
    char buf[32];
    const char *text = plain_text(value, buf, sizeof(buf));

    if (json_is_array(value))
        return set_array(row, value, out, err);
    if (text == NULL)
        return sn_error_set(err, "config.value",
                            json_is_null(value) ? "has no value" : "takes one value (perhaps in quotes)");
    /* `name: true` would be the text "true" by accident; `true` is a value of a bool only */
    if (json_is_boolean(value) && row->type != SN_OPTION_BOOL)
        return sn_error_set(err, "config.value", "%s is a truth value here (write it in quotes to mean the word)",
                            text);
    return sn_value_set(row, out, text, err);
}

static int set_section(const struct sn_option_table *table, const struct sn_yaml_file *file, const char *section,
                       const json_t *object, void *out, struct sn_error *err)
{
    const char *key;
    const json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const struct sn_option_row *row;
        char name[2 * NAME_MAX_BYTES];
        char pointer[2 * NAME_MAX_BYTES + 2];
        char hint[2 * NAME_MAX_BYTES];
        struct sn_error reason;

        /* cut, it is still longer than any name of ours */
        (void)snprintf(name, sizeof(name), "%.90s.%.90s", section, key);
        (void)snprintf(pointer, sizeof(pointer), "/%.90s/%.90s", section, key);
        row = find_row(table, name, strlen(name), dotted_name);
        if (row == NULL) {
            suggest(table, name, strlen(name), dotted_name, hint);
            return sn_yaml_file_fault(file, pointer, err, "config.unknown-key", "there is no such option%s", hint);
        }
        if (set_json(row, value, out, &reason) != 0)
            return sn_yaml_file_fault(file, pointer, err, reason.code, "%s", reason.text);
    }
    return 0;
}

static int refuse_section(const struct sn_option_table *table, const struct sn_yaml_file *file, const char *section,
                          const char *pointer, struct sn_error *err)
{
    size_t len = strlen(section);
    size_t nearest = len / 3 + 1;
    const char *near = NULL;

    for (size_t i = 0; i < table->count && len < NAME_MAX_BYTES; i++) {
        size_t d = distance(section, len, table->rows[i].section, strlen(table->rows[i].section));
        if (d < nearest) {
            nearest = d;
            near = table->rows[i].section;
        }
    }
    return sn_yaml_file_fault(file, pointer, err, "config.unknown-key", "there is no such section%s%s%s",
                              near != NULL ? "; did you mean " : "", near != NULL ? near : "", near != NULL ? "?" : "");
}

static int apply_document(const struct sn_option_table *table, const struct sn_yaml_file *file, void *out,
                          struct sn_error *err)
{
    const char *section;
    json_t *object;

    if (json_is_null(file->doc))
        return 0;
    if (!json_is_object(file->doc))
        return sn_yaml_file_fault(file, "", err, "config.syntax",
                                  "sections with options are meant: `broker: {host: …}`");
    json_object_foreach(file->doc, section, object)
    {
        char pointer[NAME_MAX_BYTES + 2];
        (void)snprintf(pointer, sizeof(pointer), "/%.90s", section);
        if (!has_section(table, section))
            return refuse_section(table, file, section, pointer, err);
        if (json_is_null(object)) /* all of its options are commented out */
            continue;
        if (!json_is_object(object))
            return sn_yaml_file_fault(file, pointer, err, "config.syntax", "a section holds options: `%s: {…}`",
                                      section);
        if (set_section(table, file, section, object, out, err) != 0)
            return -1;
    }
    return 0;
}

static int apply_file(const struct sn_option_table *table, const struct sn_option_sources *sources, void *out,
                      struct sn_error *err)
{
    struct sn_yaml_file file;
    int rc;

    if (sources->file == NULL || (sources->file_may_lack && access(sources->file, F_OK) != 0 && errno == ENOENT))
        return 0;
    if (sn_yaml_file_read(sources->file, "config", &file, err) != 0)
        return -1;
    rc = apply_document(table, &file, out, err);
    sn_yaml_file_fini(&file);
    return rc;
}

/* ---- environment and command line ---- */

static int apply_text(const struct sn_option_row *row, const char *place, const char *text, void *out,
                      struct sn_error *err)
{
    if (sn_value_set(row, out, text, err) == 0)
        return 0;
    return sn_error_prefix(err, "%s", place);
}

static bool is_in(const char *const *list, const char *name, size_t len)
{
    for (; list != NULL && *list != NULL; list++) {
        if (strlen(*list) == len && memcmp(*list, name, len) == 0)
            return true;
    }
    return false;
}

static int apply_environment(const struct sn_option_table *table, const struct sn_option_sources *sources, void *out,
                             struct sn_error *err)
{
    for (char *const *entry = sources->environment; entry != NULL && *entry != NULL; entry++) {
        const char *equals = strchr(*entry, '=');
        const struct sn_option_row *row;
        char hint[2 * NAME_MAX_BYTES];
        char place[NAME_MAX_BYTES + 16];
        size_t len = equals != NULL ? (size_t)(equals - *entry) : 0;

        if (equals == NULL || strncmp(*entry, PREFIX, strlen(PREFIX)) != 0 || is_in(sources->not_ours, *entry, len))
            continue;
        row = find_row(table, *entry, len, variable_name);
        if (row == NULL) {
            suggest(table, *entry, len, variable_name, hint);
            return sn_error_set(err, "config.unknown-key", "environment %.*s: there is no such option%s", (int)len,
                                *entry, hint);
        }
        (void)snprintf(place, sizeof(place), "environment %.*s", (int)len, *entry);
        if (apply_text(row, place, equals + 1, out, err) != 0)
            return -1;
    }
    return 0;
}

static int apply_settings(const struct sn_option_table *table, const struct sn_option_sources *sources, void *out,
                          struct sn_error *err)
{
    for (size_t i = 0; i < sources->settings_count; i++) {
        const char *setting = sources->settings[i];
        size_t len = strcspn(setting, "=");
        const struct sn_option_row *row = find_row(table, setting, len, dotted_name);
        char hint[2 * NAME_MAX_BYTES];
        char place[NAME_MAX_BYTES + 16];

        if (row == NULL) {
            suggest(table, setting, len, dotted_name, hint);
            return sn_error_set(err, "config.unknown-key", "--%.*s: there is no such option%s", (int)len, setting,
                                hint);
        }
        (void)snprintf(place, sizeof(place), "--%.*s", (int)len, setting);
        if (setting[len] == '\0')
            return sn_error_set(err, "config.value", "%s: is written %s=value", place, place);
        if (apply_text(row, place, setting + len + 1, out, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- all together ---- */

static int apply_presets(const struct sn_option_table *table, void *out, struct sn_error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct sn_option_row *row = &table->rows[i];
        char name[NAME_MAX_BYTES];
        struct sn_option_row free_of_minimum = *row;

        /* what must be given has no default: that it was given is asked at the end */
        if (row->preset[0] == '\0')
            free_of_minimum.min = 0;
        dotted_name(row, name);
        if (apply_text(&free_of_minimum, name, row->preset, out, err) != 0)
            return -1;
    }
    return 0;
}

static int check_given(const struct sn_option_table *table, const void *values, struct sn_error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct sn_option_row *row = &table->rows[i];
        char variable[NAME_MAX_BYTES];

        if (row->preset[0] != '\0' || row->min <= 0 || !sn_value_is_empty(row, values))
            continue;
        variable_name(row, variable);
        return sn_error_set(err, "config.range", "%s.%s must be given (file, environment %s or --%s.%s=…)",
                            row->section, row->key, variable, row->section, row->key);
    }
    return 0;
}

/* Sets every pointer to NULL, so that a half-filled struct can be freed. */
static void clear(const struct sn_option_table *table, void *values)
{
    char *none = NULL;

    for (size_t i = 0; i < table->count; i++) {
        enum sn_option_type type = table->rows[i].type;
        if (type == SN_OPTION_TEXT || type == SN_OPTION_PATH || type == SN_OPTION_SECRET || type == SN_OPTION_LIST)
            memcpy((char *)values + table->rows[i].offset, &none, sizeof(none));
    }
}

int sn_options_load(const struct sn_option_table *table, const struct sn_option_sources *sources, void *out,
                    struct sn_error *err)
{
    clear(table, out);
    if (apply_presets(table, out, err) != 0 || apply_file(table, sources, out, err) != 0 ||
        apply_environment(table, sources, out, err) != 0 || apply_settings(table, sources, out, err) != 0 ||
        check_given(table, out, err) != 0) {
        sn_options_free(table, out);
        return -1;
    }
    return 0;
}

void sn_options_free(const struct sn_option_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++)
        sn_value_free(&table->rows[i], values);
}

int sn_options_refuse(struct sn_error *err, const char *fmt, ...)
{
    char text[SN_ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return sn_error_set(err, "config.conflict", "%s", text);
}

size_t sn_options_changed(const struct sn_option_table *table, const void *before, const void *after, bool reloadable,
                          struct sn_buf *out)
{
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        const struct sn_option_row *row = &table->rows[i];
        if (row->reloadable == reloadable && !sn_option_value_equal(row, before, after))
            sn_buf_addf(out, "%s%s.%s", count++ > 0 ? ", " : "", row->section, row->key);
    }
    return count;
}
