/* SPDX-License-Identifier: Apache-2.0 */
/* The command grammar: a line against a table of patterns.
 *
 * A pattern is a row of words parted by blanks: `literal` (any letter case), `<name:TYPE>`, and `[` … `]` around an
 * optional run. Types: U (number), Ulow-high, S (string of at most 64 characters), Smax, FS (frame/slot),
 * FSP (frame/slot/port), SN (serial of an ONT), or words to choose from, parted by `|`.
 * When no row fits, the row that went furthest tells what is wrong and where, as the device's caret does. */
#ifndef SIM_PARSER_H
#define SIM_PARSER_H

#include "model.h"

#define LINE_MAX_BYTES 512
#define WORDS_MAX 64
#define ARGS_MAX 24

enum mode { MODE_USER = 1, MODE_ENABLE = 2, MODE_CONFIG = 4, MODE_GPON = 8 };

enum parse_result {
    PARSE_OK,
    PARSE_EMPTY,
    PARSE_TOO_MANY, /* the order from here to PARSE_PARAMETER is the order of preference at one place */
    PARSE_UNKNOWN,
    PARSE_PARAMETER,
    PARSE_INCOMPLETE
};

struct arg {
    char name[24];
    const char *text; /* in struct parsed */
    unsigned number;
    struct place place;
    uint8_t sn[SIM_SN_BYTES];
};

struct parsed {
    char store[LINE_MAX_BYTES + WORDS_MAX + 1]; /* the words without their quotes */
    struct {
        const char *text;
        size_t column;
    } words[WORDS_MAX];
    size_t n_words;
    size_t end_column;
    struct arg args[ARGS_MAX];
    size_t n_args;
    size_t error_column;
    char expected[160]; /* of an incomplete command: what the smart question asks for */
};

struct command;

/* Parses line for a mode; on PARSE_OK *command is the row and p->args its values. */
enum parse_result parse_line(const char *line, enum mode mode, struct parsed *p, const struct command **command);

const struct arg *arg_of(const struct parsed *p, const char *name); /* NULL when it was not given */
unsigned arg_number(const struct parsed *p, const char *name);      /* 0 when it was not given */
const char *arg_text(const struct parsed *p, const char *name);     /* NULL when it was not given */

#endif
