/* SPDX-License-Identifier: Apache-2.0 */
/* The table for people: the values in force, the reference page, and the check of the table itself. */
#include <stdlib.h>
#include <string.h>

#include "common/config/options.h"
#include "common/config/value.h"

void sn_options_print(const struct sn_option_table *table, const void *values, struct sn_buf *out)
{
    const char *section = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct sn_option_row *row = &table->rows[i];
        if (strcmp(section, row->section) != 0)
            sn_buf_addf(out, "%s:\n", row->section);
        section = row->section;
        sn_buf_addf(out, "  %s: ", row->key);
        sn_value_print(row, values, out);
        sn_buf_adds(out, "\n");
    }
}

static void describe_words(const struct sn_option_row *row, const char *between, struct sn_buf *out)
{
    for (size_t i = 0; row->words[i] != NULL; i++)
        sn_buf_addf(out, "%s`%s`", i > 0 ? between : "", row->words[i]);
}

static void describe_type(const struct sn_option_row *row, struct sn_buf *out)
{
    static const char *const NAMES[] = { "bool", "integer", "duration", "size", "text", "path", "", "list", "secret" };

    if (row->type == SN_OPTION_CHOICE || (row->type == SN_OPTION_TEXT && row->words != NULL)) {
        describe_words(row, " or ", out);
        return;
    }
    sn_buf_adds(out, NAMES[row->type]);
    if (row->unit != NULL)
        sn_buf_addf(out, " (%s)", row->unit);
    if (row->type == SN_OPTION_LIST && row->words != NULL) {
        sn_buf_adds(out, " of ");
        describe_words(row, ", ", out);
    }
}

static void describe_range(const struct sn_option_row *row, struct sn_buf *out)
{
    bool number = row->type == SN_OPTION_INT || row->type == SN_OPTION_DURATION || row->type == SN_OPTION_SIZE;

    if (!number)
        return;
    sn_value_print_number(row, row->min, out);
    sn_buf_adds(out, " to ");
    sn_value_print_number(row, row->max, out);
}

static bool any_reloadable(const struct sn_option_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].reloadable)
            return true;
    }
    return false;
}

static void describe_row(const struct sn_option_row *row, bool reload_column, struct sn_buf *out)
{
    sn_buf_addf(out, "| `%s.%s` | ", row->section, row->key);
    describe_type(row, out);
    sn_buf_adds(out, " | ");
    if (row->preset[0] != '\0')
        sn_buf_addf(out, "`%s`", row->preset);
    else
        sn_buf_adds(out, row->min > 0 ? "must be given" : "none");
    sn_buf_adds(out, " | ");
    describe_range(row, out);
    if (reload_column)
        sn_buf_addf(out, " | %s", row->reloadable ? "yes" : "");
    sn_buf_addf(out, " | %s |\n", row->text);
}

void sn_options_describe(const struct sn_option_table *table, struct sn_buf *out)
{
    bool reload = any_reloadable(table);
    const char *section = "";

    for (size_t i = 0; i < table->count; i++) {
        const struct sn_option_row *row = &table->rows[i];
        if (strcmp(section, row->section) != 0) {
            sn_buf_addf(out, "%s## %s\n\n", i > 0 ? "\n" : "", row->section);
            sn_buf_addf(out, "| option | type | default | range%s | meaning |\n|---|---|---|---%s|---|\n",
                        reload ? " | reloaded" : "", reload ? "|---" : "");
        }
        section = row->section;
        describe_row(row, reload, out);
    }
}

static bool is_name(const char *text)
{
    return text != NULL && text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

/* What is wrong with row i, NULL when nothing is. */
static const char *fault_of(const struct sn_option_table *table, size_t i)
{
    const struct sn_option_row *row = &table->rows[i];
    bool text = row->type == SN_OPTION_TEXT || row->type == SN_OPTION_PATH || row->type == SN_OPTION_SECRET;
    bool given = text || row->type == SN_OPTION_LIST;

    if (!is_name(row->section) || !is_name(row->key) || strchr(row->section, '_') != NULL)
        return "names are a-z, 0-9 and, in keys only, _";
    if (row->text == NULL || row->text[0] == '\0' || strpbrk(row->text, "|\n") != NULL)
        return "the text is one sentence without |";
    if (row->preset == NULL || (row->preset[0] == '\0' && !given))
        return "has no default";
    if (row->min > row->max || (row->max == 0 && row->type != SN_OPTION_BOOL && row->type != SN_OPTION_CHOICE))
        return "has no range";
    if (row->type == SN_OPTION_CHOICE && row->words == NULL)
        return "has no words";
    for (size_t k = 0; k < i; k++) {
        if (strcmp(table->rows[k].section, row->section) == 0 && strcmp(table->rows[k].key, row->key) == 0)
            return "stands twice";
        if (table->rows[k].offset == row->offset)
            return "shares its place in the struct with another option";
        if (strcmp(table->rows[k].section, row->section) == 0 && strcmp(table->rows[i - 1].section, row->section) != 0)
            return "stands apart from its section";
    }
    return NULL;
}

int sn_option_table_check(const struct sn_option_table *table, struct sn_error *err)
{
    const struct sn_option_sources none = { .file = NULL };
    struct sn_option_row *rows;
    struct sn_option_table copy = { .count = table->count };
    size_t size = 0;
    void *values;
    int rc;

    for (size_t i = 0; i < table->count; i++) {
        const char *fault = fault_of(table, i);
        if (fault != NULL)
            return sn_error_set(err, "config.table", "%s.%s: %s", table->rows[i].section, table->rows[i].key, fault);
        if (table->rows[i].offset + sizeof(int64_t) > size)
            size = table->rows[i].offset + sizeof(int64_t);
    }
    /* the defaults must load; what must be given is not asked for */
    rows = calloc(table->count + 1, sizeof(*rows));
    values = calloc(1, size + 1);
    if (rows == NULL || values == NULL) {
        free(rows);
        free(values);
        return sn_error_oom(err);
    }
    copy.rows = rows;
    for (size_t i = 0; i < table->count; i++) {
        memcpy(&rows[i], &table->rows[i], sizeof(rows[i]));
        if (rows[i].preset[0] == '\0')
            rows[i].min = 0;
    }
    rc = sn_options_load(&copy, &none, values, err);
    if (rc == 0)
        sn_options_free(&copy, values);
    else
        (void)sn_error_set(err, "config.table", "%s", err->text);
    free(rows);
    free(values);
    return rc;
}
