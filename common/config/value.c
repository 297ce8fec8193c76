/* SPDX-License-Identifier: Apache-2.0 */
#include "common/config/value.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/secret/secret.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* The order is that of printing: the first that divides the number. */
static const struct unit DURATIONS[] = { { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
                                         { "s", 1000 },     { "ms", 1 },      { NULL, 0 } };
static const struct unit SIZES[] = { { "GiB", 1073741824 }, { "MiB", 1048576 }, { "KiB", 1024 }, { "GB", 1000000000 },
                                     { "MB", 1000000 },     { "kB", 1000 },     { "", 1 },       { NULL, 0 } };
static const struct unit PLAIN[] = { { "", 1 }, { NULL, 0 } };

static const struct unit *units_of(const struct sn_option_row *row)
{
    if (row->type == SN_OPTION_DURATION)
        return DURATIONS;
    return row->type == SN_OPTION_SIZE ? SIZES : PLAIN;
}

static void *at(const struct sn_option_row *row, void *values)
{
    return (char *)values + row->offset;
}

static const void *at_const(const struct sn_option_row *row, const void *values)
{
    return (const char *)values + row->offset;
}

void sn_value_print_number(const struct sn_option_row *row, int64_t number, struct sn_buf *out)
{
    const struct unit *u = units_of(row);

    if (number == 0 && row->type == SN_OPTION_DURATION) {
        sn_buf_adds(out, "0");
        return;
    }
    while (number % u->factor != 0 || (u[1].name != NULL && number == 0))
        u++;
    sn_buf_addf(out, "%" PRId64 "%s", number / u->factor, u->name);
}

/* Digits, perhaps a sign, then one of the units. */
static bool parse_number(const char *text, const struct unit *units, int64_t *ret)
{
    const char *p = text;
    bool negative = *p == '-';
    int64_t number = 0;

    p += negative;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
            return false;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(p, units->name) == 0)
            break;
    }
    if (units->name == NULL || __builtin_mul_overflow(number, negative ? -units->factor : units->factor, &number))
        return false;
    *ret = number;
    return true;
}

static int refuse_number(const struct sn_option_row *row, const char *text, struct sn_error *err)
{
    static const char *const FORMS[] = { [SN_OPTION_INT] = "an integer",
                                         [SN_OPTION_DURATION] =
                                             "a duration with its unit, as 200ms, 15s, 10m, 1h or 30d",
                                         [SN_OPTION_SIZE] = "a size in bytes, or as 64KiB or 1MiB" };

    return sn_error_set(err, "config.value", "%s is not %s", text, FORMS[row->type]);
}

static int set_number(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    struct sn_buf bound = SN_BUF_INIT;
    int64_t number;

    if (row->type == SN_OPTION_DURATION && strcmp(text, "0") == 0)
        number = 0;
    else if (!parse_number(text, units_of(row), &number))
        return refuse_number(row, text, err);
    if (number < row->min || number > row->max) {
        sn_value_print_number(row, number < row->min ? row->min : row->max, &bound);
        (void)sn_error_set(err, "config.range", "%s is %s %s", text, number < row->min ? "less than" : "more than",
                           sn_buf_str(&bound));
        sn_buf_fini(&bound);
        return -1;
    }
    memcpy(at(row, values), &number, sizeof(number));
    return 0;
}

/* The number of a word of the row, -1 when it is none. */
static int word_number(const struct sn_option_row *row, const char *text)
{
    for (int i = 0; row->words[i] != NULL; i++) {
        if (strcmp(text, row->words[i]) == 0)
            return i;
    }
    return -1;
}

static int refuse_word(const struct sn_option_row *row, const char *text, struct sn_error *err)
{
    struct sn_buf words = SN_BUF_INIT;

    for (int i = 0; row->words[i] != NULL; i++)
        sn_buf_addf(&words, "%s%s", i > 0 ? ", " : "", row->words[i]);
    (void)sn_error_set(err, "config.value", "%s is none of %s", text, sn_buf_str(&words));
    sn_buf_fini(&words);
    return -1;
}

static int set_choice(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    int number = word_number(row, text);

    if (number < 0)
        return refuse_word(row, text, err);
    memcpy(at(row, values), &number, sizeof(number));
    return 0;
}

static int check_length(const struct sn_option_row *row, size_t len, const char *of_what, struct sn_error *err)
{
    if (len == 0 && row->min > 0)
        return sn_error_set(err, "config.range", "must be given");
    if ((int64_t)len < row->min || (int64_t)len > row->max)
        return sn_error_set(err, "config.range", "%zu %s; %" PRId64 " to %" PRId64 " are possible", len, of_what,
                            row->min, row->max);
    return 0;
}

/* What is accepted can be printed, and the print loaded again. */
static int check_printable(const char *text, struct sn_error *err)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return sn_error_set(err, "config.value", "holds a control character");
    }
    if (!sn_text_is_utf8(text, strlen(text)))
        return sn_error_set(err, "config.value", "is not UTF-8");
    return 0;
}

static int set_text(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    char *copy;

    if (check_printable(text, err) != 0)
        return -1;
    /* its length says nothing of a reference, but its form does */
    if (row->type == SN_OPTION_SECRET && *text != '\0' && sn_secret_check_reference(text, err) != 0)
        return sn_error_set(err, "config.value", "%s", err->text);
    if (check_length(row, strlen(text), "bytes", err) != 0)
        return -1;
    if (row->words != NULL && word_number(row, text) < 0)
        return refuse_word(row, text, err);
    copy = strdup(text);
    if (copy == NULL)
        return sn_error_oom(err);
    sn_value_free(row, values);
    memcpy(at(row, values), &copy, sizeof(copy));
    return 0;
}

static void list_free(char **list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free(list[i]);
    free(list);
}

int sn_value_set_list(const struct sn_option_row *row, void *values, const char *const *items, size_t count,
                      struct sn_error *err)
{
    char **list;

    if (row->type != SN_OPTION_LIST)
        return sn_error_set(err, "config.value", "takes one value, not a list");
    if (check_length(row, count, "entries", err) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (row->words != NULL ? word_number(row, items[i]) < 0 : items[i][0] == '\0')
            return sn_error_set(err, "config.value", "`%s` is not possible in this list", items[i]);
        if (check_printable(items[i], err) != 0)
            return -1;
    }
    list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; list != NULL && i < count; i++) {
        list[i] = strdup(items[i]);
        if (list[i] == NULL) {
            list_free(list);
            list = NULL;
        }
    }
    if (list == NULL)
        return sn_error_oom(err);
    sn_value_free(row, values);
    memcpy(at(row, values), &list, sizeof(list));
    return 0;
}

/* a, b,c -> three items; "" -> none. */
static int set_list_text(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    char *copy = strdup(text);
    const char **items = calloc(strlen(text) / 2 + 2, sizeof(*items));
    size_t count = 0;
    char *rest = copy;
    int rc;

    if (copy == NULL || items == NULL) {
        free(copy);
        free(items);
        return sn_error_oom(err);
    }
    while (rest != NULL && *text != '\0') {
        char *item = strsep(&rest, ",");
        item += strspn(item, " ");
        for (size_t len = strlen(item); len > 0 && item[len - 1] == ' '; len--)
            item[len - 1] = '\0';
        if (*item == '\0') {
            rc = sn_error_set(err, "config.value", "an entry of the list is empty");
            goto out;
        }
        items[count++] = item;
    }
    rc = sn_value_set_list(row, values, items, count, err);
out:
    free(items);
    free(copy);
    return rc;
}

static int set_bool(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    bool value = strcmp(text, "true") == 0;

    if (!value && strcmp(text, "false") != 0)
        return sn_error_set(err, "config.value", "%s is neither true nor false", text);
    memcpy(at(row, values), &value, sizeof(value));
    return 0;
}

int sn_value_set(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err)
{
    switch (row->type) {
    case SN_OPTION_BOOL:
        return set_bool(row, values, text, err);
    case SN_OPTION_INT:
    case SN_OPTION_DURATION:
    case SN_OPTION_SIZE:
        return set_number(row, values, text, err);
    case SN_OPTION_CHOICE:
        return set_choice(row, values, text, err);
    case SN_OPTION_LIST:
        return set_list_text(row, values, text, err);
    case SN_OPTION_TEXT:
    case SN_OPTION_PATH:
    case SN_OPTION_SECRET:
        return set_text(row, values, text, err);
    }
    return sn_error_set(err, "config.value", "has an unknown type");
}

static bool is_text(const struct sn_option_row *row)
{
    return row->type == SN_OPTION_TEXT || row->type == SN_OPTION_PATH || row->type == SN_OPTION_SECRET;
}

static const char *text_of(const struct sn_option_row *row, const void *values)
{
    char *text;

    memcpy(&text, at_const(row, values), sizeof(text));
    return text;
}

static char **list_of(const struct sn_option_row *row, const void *values)
{
    char **list;

    memcpy(&list, at_const(row, values), sizeof(list));
    return list;
}

void sn_value_free(const struct sn_option_row *row, void *values)
{
    char *none = NULL;

    if (is_text(row))
        free((void *)(uintptr_t)text_of(row, values));
    else if (row->type == SN_OPTION_LIST)
        list_free(list_of(row, values));
    else
        return;
    memcpy(at(row, values), &none, sizeof(none));
}

bool sn_value_is_empty(const struct sn_option_row *row, const void *values)
{
    if (row->type == SN_OPTION_LIST)
        return list_of(row, values)[0] == NULL;
    return is_text(row) && text_of(row, values)[0] == '\0';
}

bool sn_option_value_equal(const struct sn_option_row *row, const void *a, const void *b)
{
    char **la;
    char **lb;
    size_t i = 0;

    if (is_text(row))
        return strcmp(text_of(row, a), text_of(row, b)) == 0;
    if (row->type == SN_OPTION_BOOL)
        return memcmp(at_const(row, a), at_const(row, b), sizeof(bool)) == 0;
    if (row->type == SN_OPTION_CHOICE)
        return memcmp(at_const(row, a), at_const(row, b), sizeof(int)) == 0;
    if (row->type != SN_OPTION_LIST)
        return memcmp(at_const(row, a), at_const(row, b), sizeof(int64_t)) == 0;
    la = list_of(row, a);
    lb = list_of(row, b);
    while (la[i] != NULL && lb[i] != NULL && strcmp(la[i], lb[i]) == 0)
        i++;
    return la[i] == NULL && lb[i] == NULL;
}

/* Control characters cannot come up: check_printable() and the words refuse them. */
static void print_quoted(const char *text, struct sn_buf *out)
{
    sn_buf_adds(out, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            sn_buf_adds(out, "\\");
        sn_buf_add(out, text, 1);
    }
    sn_buf_adds(out, "\"");
}

void sn_value_print(const struct sn_option_row *row, const void *values, struct sn_buf *out)
{
    int64_t number;
    int word;
    bool yes;

    if (row->type == SN_OPTION_SECRET && strncmp(text_of(row, values), "sealed:", 7) == 0) {
        print_quoted("sealed:[secret]", out);
    } else if (is_text(row)) {
        print_quoted(text_of(row, values), out);
    } else if (row->type == SN_OPTION_LIST) {
        char **list = list_of(row, values);
        sn_buf_adds(out, "[");
        for (size_t i = 0; list[i] != NULL; i++) {
            sn_buf_adds(out, i > 0 ? ", " : "");
            print_quoted(list[i], out);
        }
        sn_buf_adds(out, "]");
    } else if (row->type == SN_OPTION_BOOL) {
        memcpy(&yes, at_const(row, values), sizeof(yes));
        sn_buf_adds(out, yes ? "true" : "false");
    } else if (row->type == SN_OPTION_CHOICE) {
        memcpy(&word, at_const(row, values), sizeof(word));
        sn_buf_adds(out, row->words[word]);
    } else {
        memcpy(&number, at_const(row, values), sizeof(number));
        sn_value_print_number(row, number, out);
    }
}
