/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How silverctl writes text: one buffer for stdout, tables that fit the terminal, colours that carry nothing by
 * themselves.
 *
 * Everything that came from elsewhere (device replies, names, codes) is escaped here, so that no view can forget it.
 * The functions are pure: they write into the buffer, and the caller writes the buffer to a file. Thread: one owner.
 */
#ifndef SN_WORKER_CTL_OUT_H
#define SN_WORKER_CTL_OUT_H

#include <jansson.h>
#include <libintl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/json.h"

/* Text for people. Codes, JSON and log lines are never translated. */
#define _(text) gettext(text)
#define N_(text) text
#define P_(one, many, n) ngettext(one, many, (unsigned long)(n))

enum sn_style {
    SN_STYLE_PLAIN,
    SN_STYLE_GOOD, /* green: applied, ok, open */
    SN_STYLE_DIM,  /* grey: unchanged, superseded */
    SN_STYLE_WARN, /* yellow: waiting, acknowledged */
    SN_STYLE_BAD,  /* red: dead, rejected, closed */
    SN_STYLE_BOLD, /* the thing to act on */
};

struct sn_out {
    struct sn_buf buf;
    bool colour;
    int width; /* columns of the terminal, 100 when there is none */
};

/* Style of an outcome, a verdict or a gate's state, by its word. */
enum sn_style sn_style_of(const char *word);

/* Our own words; arguments may be foreign, everything but newlines is escaped. */
void sn_out_text(struct sn_out *o, const char *fmt, ...) SN_PRINTF(2, 3);
/* Foreign text (escaped), in a style. */
void sn_out_put(struct sn_out *o, enum sn_style style, const char *text);
/* The same, padded with spaces to width columns; negative = aligned to the right. */
void sn_out_pad(struct sn_out *o, enum sn_style style, const char *text, int width);
/* Foreign text of several lines, each behind the indent, escaped line by line. */
void sn_out_block(struct sn_out *o, const char *indent, const char *text);
/* Columns that a text takes on a terminal once it is escaped (one for each character). */
int sn_out_columns(const char *text);
/* Writes the buffer to a file and empties it. -1 when the file does not take it (a closed pipe). */
int sn_out_flush(struct sn_out *o, FILE *to) SN_MUSTCHECK;

/* ---- tables ---- */

#define SN_TABLE_COLUMNS 12

struct sn_column {
    const char *title; /* translated by the caller */
    bool right;        /* numbers */
    bool cut;          /* may be shortened when the line is too long; ids may not */
};

struct sn_table; /* opaque */
/* columns: n <= SN_TABLE_COLUMNS, borrowed. NULL on memory; every function accepts NULL. */
struct sn_table *sn_table_new(const struct sn_column *columns, size_t n);
/* The next cell, row by row. NULL = "-". Copied, escaped. */
void sn_table_cell(struct sn_table *t, enum sn_style style, const char *text);
void sn_table_cellf(struct sn_table *t, enum sn_style style, const char *fmt, ...) SN_PRINTF(3, 4);
/* Shortens what may be cut, then drops columns from the right until a line fits; prints and frees. */
void sn_table_print(struct sn_table *t, struct sn_out *o, const char *indent);

/* ---- small forms ---- */

#define SN_WHEN_MAX 48
/* Local time with its offset: "2026-11-23 04:00:09 -04:00". "-" for 0. */
void sn_when_full(int64_t wall_ms, char out[SN_WHEN_MAX]);
/* "04:00:09" when it is of today, else "11-22 23:10:11". */
void sn_when_short(int64_t wall_ms, int64_t now_ms, char out[SN_WHEN_MAX]);
/* "0.4 s", "12 s", "3m 20s", "5h 58m", "12 d". */
void sn_duration(int64_t ms, char out[SN_WHEN_MAX]);
/* A generation is Unix milliseconds when it came from Odoo's rule: then its time, else the number. */
void sn_generation(int64_t generation, int64_t now_ms, char out[SN_WHEN_MAX]);

/* ---- reading the documents that the views are made from ---- */

/* One line of words: {"onu": "0/1/3", "run": "online", "flows": ["a", "b"]} -> "onu 0/1/3, run online, flows a + b". What is
 * null or empty is left out. */
void sn_json_words(const json_t *object, struct sn_buf *out);

#endif
