/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration from one table: a row says name, type, default, range, meaning, and where the value lies in the
 * program's struct. Loader, checks, `--print-config` and docs/configuration.md come from the same rows.
 *
 * A value comes from, weakest first: the row, the file (YAML, `section: {key: value}`), the environment
 * (SILVER_SECTION_KEY), the command line (section.key=value). What no row knows is refused, with its line and the
 * nearest name. Thread: loading belongs to one thread; the filled struct is only read afterwards.
 */
#ifndef SN_COMMON_CONFIG_OPTIONS_H
#define SN_COMMON_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/error.h"

enum sn_option_type {
    SN_OPTION_BOOL,     /* bool: true, false */
    SN_OPTION_INT,      /* int64_t */
    SN_OPTION_DURATION, /* int64_t, milliseconds: 200ms, 15s, 10m, 1h, 30d; a bare number only as 0 */
    SN_OPTION_SIZE,     /* int64_t, bytes: 65536, 64kB (1000), 64KiB (1024), MB, MiB, GB, GiB */
    SN_OPTION_TEXT,     /* char *, never NULL */
    SN_OPTION_PATH,     /* char *, never NULL; relative to the working directory */
    SN_OPTION_CHOICE,   /* int: number of the word in `words` */
    SN_OPTION_LIST,     /* char **, ended by NULL, never NULL; in environment and on the line separated by commas */
    SN_OPTION_SECRET,   /* char *, never NULL: "" or a reference (common/secret/secret.h); plain text is refused */
};

struct sn_option_row {
    const char *section;
    const char *key;
    enum sn_option_type type;
    size_t offset;            /* of the value in the program's struct */
    const char *preset;       /* default, as the environment would say it */
    int64_t min, max;         /* of the number; of the length in bytes (texts); of how many (list) */
    const char *const *words; /* what may be said (choice, list, text), ended by NULL; NULL: anything (list, text) */
    const char *unit;         /* of an int, for people: "threads"; else NULL */
    bool reloadable;          /* taken over while the program runs */
    const char *text;         /* one sentence */
};

struct sn_option_table {
    const struct sn_option_row *rows; /* rows of a section stand together */
    size_t count;
};

struct sn_option_sources {
    const char *file;            /* NULL: none */
    bool file_may_lack;          /* no such file is not an error (the default path) */
    char *const *environment;    /* "NAME=value", ended by NULL (environ); NULL: none */
    const char *const *not_ours; /* SILVER_… variables that are no options, ended by NULL; may be NULL */
    const char *const *settings; /* section.key=value of the command line */
    size_t settings_count;
};

/* Fills the whole struct at out (what was in it is not looked at). Texts name the place: `silverd.yaml:12: session.ttl:
 * …`, `environment SILVER_SESSION_TTL: …`, `--session.ttl: …`; the value of a secret is never repeated. On failure
 * nothing is left to be freed. Errors: config.unreadable, config.syntax (YAML), config.unknown-key, config.value
 * (type), config.range. */
int sn_options_load(const struct sn_option_table *table, const struct sn_option_sources *sources, void *out,
                    struct sn_error *err) SN_MUSTCHECK;
/* Frees the values of a filled (or zeroed) struct and zeroes them. */
void sn_options_free(const struct sn_option_table *table, void *values);

/* For the checks of a program over several options: two that do not fit together. Error: config.conflict. Returns -1.
 */
int sn_options_refuse(struct sn_error *err, const char *fmt, ...) SN_PRINTF(2, 3);

/* The values in force as a YAML file that could be loaded again; of a sealed secret only that there is one. */
void sn_options_print(const struct sn_option_table *table, const void *values, struct sn_buf *out);
/* One Markdown section with a table for each section of options; whether an option is reloaded only when one is. */
void sn_options_describe(const struct sn_option_table *table, struct sn_buf *out);
/* Appends the names of the options that differ and are (reloadable), or are not (!reloadable), taken over while the
 * program runs, separated by ", ". Returns how many. */
size_t sn_options_changed(const struct sn_option_table *table, const void *before, const void *after, bool reloadable,
                          struct sn_buf *out);

/* Is the table itself right: names, texts, ranges, defaults that its own rules accept. For tests. Error: config.table.
 */
int sn_option_table_check(const struct sn_option_table *table, struct sn_error *err) SN_MUSTCHECK;

#endif
