/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "worker/ctl/out.h"

#define GAP 2        /* spaces between columns */
#define CUT_FLOOR 20 /* a column that may be cut keeps so many */

struct cell {
    char *text; /* escaped */
    int columns;
    enum sn_style style;
};

struct sn_table {
    struct sn_column columns[SN_TABLE_COLUMNS];
    size_t n_columns;
    struct cell *cells;
    size_t n_cells, cap;
    bool failed;
};

struct sn_table *sn_table_new(const struct sn_column *columns, size_t n)
{
    struct sn_table *t = calloc(1, sizeof(*t));

    if (t == NULL || n > SN_TABLE_COLUMNS) {
        free(t);
        return NULL;
    }
    memcpy(t->columns, columns, n * sizeof(*columns));
    t->n_columns = n;
    return t;
}

void sn_table_cell(struct sn_table *t, enum sn_style style, const char *text)
{
    struct sn_buf b = SN_BUF_INIT;
    struct cell *c;

    if (t == NULL || t->failed)
        return;
    if (t->n_cells == t->cap) {
        size_t cap = t->cap * 2 + 64;
        struct cell *more = realloc(t->cells, cap * sizeof(*more));
        if (more == NULL) {
            t->failed = true;
            return;
        }
        t->cells = more;
        t->cap = cap;
    }
    if (text == NULL || text[0] == '\0')
        text = "-";
    sn_buf_add_escaped(&b, text, strlen(text));
    c = &t->cells[t->n_cells];
    c->text = b.failed ? NULL : strdup(sn_buf_str(&b));
    c->columns = sn_out_columns(text);
    c->style = style;
    t->failed = c->text == NULL;
    t->n_cells += c->text != NULL;
    sn_buf_fini(&b);
}

void sn_table_cellf(struct sn_table *t, enum sn_style style, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0) {
        if (t != NULL)
            t->failed = true;
        return;
    }
    sn_table_cell(t, style, text);
    free(text);
}

/* Widths of the columns and how many of them are shown. */
static size_t fit(const struct sn_table *t, int room, int width[SN_TABLE_COLUMNS])
{
    size_t shown = t->n_columns;
    int total = 0;

    for (size_t i = 0; i < t->n_columns; i++) {
        width[i] = sn_out_columns(t->columns[i].title);
        for (size_t k = i; k < t->n_cells; k += t->n_columns)
            width[i] = t->cells[k].columns > width[i] ? t->cells[k].columns : width[i];
        total += width[i] + (i > 0 ? GAP : 0);
    }
    for (size_t i = t->n_columns; i-- > 0 && total > room;) {
        int spare = t->columns[i].cut ? width[i] - CUT_FLOOR : 0;
        if (spare > 0) {
            spare = spare < total - room ? spare : total - room;
            width[i] -= spare;
            total -= spare;
        }
    }
    while (shown > 1 && total > room)
        total -= width[--shown] + GAP;
    return shown;
}

/* The first `columns - 1` characters and an ellipsis; never in the middle of a character or of an escape like \x1b. */
static size_t cut_length(const char *text, int columns)
{
    size_t at = 0;

    for (int n = 0; text[at] != '\0';) {
        size_t len = strncmp(text + at, "\\x", 2) == 0 ? 4 : 1;
        int step = (int)len;
        while (((unsigned char)text[at + len] & 0xc0) == 0x80)
            len++;
        if (n + step > columns - 1)
            break;
        n += step;
        at += len;
    }
    return at;
}

static void print_cell(struct sn_out *o, const struct cell *c, const struct sn_column *column, int width, bool last)
{
    char *cut = NULL;
    const char *text = c->text;
    struct sn_buf b = SN_BUF_INIT;

    if (c->columns > width) {
        sn_buf_add(&b, c->text, cut_length(c->text, width));
        sn_buf_adds(&b, "…");
        cut = strdup(sn_buf_str(&b));
        text = cut != NULL ? cut : "";
        sn_buf_fini(&b);
    }
    sn_out_pad(o, c->style, text, column->right ? -width : last ? 0 : width);
    free(cut);
}

static void print_row(struct sn_out *o, const struct sn_table *t, const struct cell *row, const int *width,
                      size_t shown, const char *indent)
{
    sn_buf_adds(&o->buf, indent);
    for (size_t i = 0; i < shown; i++) {
        if (i > 0)
            sn_buf_adds(&o->buf, "  ");
        print_cell(o, &row[i], &t->columns[i], width[i], i + 1 == shown);
    }
    sn_buf_adds(&o->buf, "\n");
}

void sn_table_print(struct sn_table *t, struct sn_out *o, const char *indent)
{
    struct cell titles[SN_TABLE_COLUMNS];
    int width[SN_TABLE_COLUMNS];
    size_t shown;

    if (t == NULL) {
        o->buf.failed = true;
        return;
    }
    shown = fit(t, o->width - (int)strlen(indent), width);
    for (size_t i = 0; i < t->n_columns; i++)
        titles[i] = (struct cell){ .text = (char *)t->columns[i].title,
                                   .columns = sn_out_columns(t->columns[i].title),
                                   .style = SN_STYLE_DIM };
    print_row(o, t, titles, width, shown, indent);
    for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
        print_row(o, t, &t->cells[i], width, shown, indent);
    o->buf.failed = o->buf.failed || t->failed;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i].text);
    free(t->cells);
    free(t);
}
