/* SPDX-License-Identifier: Apache-2.0 */
#include "parser.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "command.h"

#define ITEMS_MAX 48

/* One pattern, cut into its words. */
struct items {
    struct {
        const char *p;
        size_t len;
    } at[ITEMS_MAX];
    size_t n;
};

struct match {
    struct parsed *p;
    const struct items *items;
    /* the furthest failure over all rows */
    enum parse_result worst;
    size_t worst_word;
};

/* Splits the line into words; false with the column of a character that cannot stand where it does. */
static bool split(const char *line, struct parsed *p)
{
    size_t used = 0;
    const char *c = line;
    while (*c != '\0') {
        if (*c == ' ') {
            c++;
            continue;
        }
        if (p->n_words == WORDS_MAX) {
            p->error_column = (size_t)(c - line);
            return false;
        }
        p->words[p->n_words].text = p->store + used;
        p->words[p->n_words].column = (size_t)(c - line);
        p->n_words++;
        bool quoted = false;
        const char *start = c;
        for (; *c != '\0' && (quoted || *c != ' '); c++) {
            if (*c == '"') {
                quoted = !quoted;
            } else if (*c == ';' && !quoted) {
                p->error_column = (size_t)(c - line);
                return false;
            } else {
                p->store[used++] = *c;
            }
        }
        p->store[used++] = '\0';
        if (quoted) {
            p->error_column = (size_t)(start - line);
            return false;
        }
    }
    p->end_column = (size_t)(c - line);
    return true;
}

static void cut_pattern(const char *pattern, struct items *items)
{
    items->n = 0;
    for (const char *c = pattern; *c != '\0' && items->n < ITEMS_MAX;) {
        size_t len = strcspn(c, " ");
        items->at[items->n].p = c;
        items->at[items->n++].len = len;
        c += len;
        c += *c == ' ';
    }
}

static bool parse_number(const char *s, unsigned low, unsigned high, unsigned *out)
{
    size_t len = strlen(s);
    if (len == 0 || len > 9 || strspn(s, "0123456789") != len) {
        return false;
    }
    unsigned long v = strtoul(s, NULL, 10);
    *out = (unsigned)v;
    return v >= low && v <= high;
}

static bool parse_fs(const char *s, struct place *at)
{
    int end = 0;
    return sscanf(s, "%3u/%3u%n", &at->frame, &at->slot, &end) == 2 && s[end] == '\0' && isdigit((unsigned char)s[0]);
}

static bool one_of(const char *choices, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    const char *end = choices + len;
    for (const char *c = choices; c < end;) {
        const char *bar = memchr(c, '|', (size_t)(end - c));
        size_t n = (size_t)((bar != NULL ? bar : end) - c);
        if (n == word_len && strncasecmp(c, word, n) == 0) {
            return true;
        }
        c += n + 1;
    }
    return false;
}

static bool take_value(struct arg *a, const char *type, size_t len, const char *word)
{
    a->text = word;
    unsigned low = 0, high = 999999999, max = SIM_DESC_MAX;
    if (len == 2 && strncmp(type, "FS", 2) == 0) {
        return parse_fs(word, &a->place);
    }
    if (len == 3 && strncmp(type, "FSP", 3) == 0) {
        return place_from_text(word, &a->place) && isdigit((unsigned char)word[0]);
    }
    if (len == 2 && strncmp(type, "SN", 2) == 0) {
        return sn_parse(word, a->sn);
    }
    if (type[0] == 'U' && (len == 1 || isdigit((unsigned char)type[1]))) {
        if (len > 1) {
            sscanf(type, "U%9u-%9u", &low, &high);
        }
        return parse_number(word, low, high, &a->number);
    }
    if (type[0] == 'S' && (len == 1 || isdigit((unsigned char)type[1]))) {
        if (len > 1) {
            sscanf(type, "S%9u", &max);
        }
        return strlen(word) >= 1 && strlen(word) <= max;
    }
    return one_of(type, len, word);
}

static void note(struct match *m, size_t word, enum parse_result what)
{
    if (word > m->worst_word || (word == m->worst_word && what > m->worst)) {
        m->worst_word = word;
        m->worst = what;
        m->p->expected[0] = '\0';
    }
}

/* What the smart question says for a word that is missing. */
static void expect(struct match *m, const char *item, size_t len)
{
    char *e = m->p->expected;
    size_t used = strlen(e);
    char one[64];
    const char *colon = memchr(item, ':', len);
    if (item[0] != '<') {
        snprintf(one, sizeof one, "%.*s<K>", (int)len, item);
    } else if (colon[1] == 'U' || colon[1] == 'S') {
        snprintf(one, sizeof one, "%.*s<%c>", (int)(colon - item - 1), item + 1, colon[1]);
    } else {
        snprintf(one, sizeof one, "%.*s<S>", (int)(colon - item - 1), item + 1);
    }
    if (strstr(e, one) == NULL && used + strlen(one) + 2 < sizeof m->p->expected) {
        snprintf(e + used, sizeof m->p->expected - used, "%s%s", used > 0 ? "|" : "", one);
    }
}

static size_t closing(const struct items *items, size_t open)
{
    int depth = 0;
    for (size_t i = open; i < items->n; i++) {
        depth += items->at[i].p[0] == '[';
        depth -= items->at[i].p[0] == ']';
        if (depth == 0) {
            return i;
        }
    }
    return items->n - 1;
}

static bool fits(struct match *m, size_t item, size_t word)
{
    struct parsed *p = m->p;
    if (item == m->items->n) {
        if (word < p->n_words) {
            note(m, word, PARSE_TOO_MANY);
        }
        return word == p->n_words;
    }
    const char *at = m->items->at[item].p;
    size_t len = m->items->at[item].len;
    if (at[0] == '[') {
        size_t args = p->n_args;
        if (fits(m, item + 1, word)) {
            return true;
        }
        p->n_args = args;
        return fits(m, closing(m->items, item) + 1, word);
    }
    if (at[0] == ']') {
        return fits(m, item + 1, word);
    }
    if (word == p->n_words) {
        note(m, word, PARSE_INCOMPLETE);
        if (m->worst == PARSE_INCOMPLETE && m->worst_word == word) {
            expect(m, at, len);
        }
        return false;
    }
    const char *given = p->words[word].text;
    if (at[0] != '<') {
        if (strlen(given) != len || strncasecmp(given, at, len) != 0) {
            note(m, word, PARSE_UNKNOWN);
            return false;
        }
        return fits(m, item + 1, word + 1);
    }
    const char *colon = memchr(at, ':', len);
    struct arg *a = &p->args[p->n_args];
    snprintf(a->name, sizeof a->name, "%.*s", (int)(colon - at - 1), at + 1);
    if (p->n_args + 1 >= ARGS_MAX || !take_value(a, colon + 1, (size_t)(at + len - colon - 2), given)) {
        note(m, word, PARSE_PARAMETER);
        return false;
    }
    p->n_args++;
    return fits(m, item + 1, word + 1);
}

enum parse_result parse_line(const char *line, enum mode mode, struct parsed *p, const struct command **command)
{
    memset(p, 0, sizeof *p);
    if (!split(line, p)) {
        return PARSE_PARAMETER;
    }
    if (p->n_words == 0) {
        return PARSE_EMPTY;
    }
    struct items items;
    struct match m = {.p = p, .items = &items, .worst = PARSE_UNKNOWN};
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &command_table[i];
        size_t first = strcspn(c->pattern, " ");
        if ((c->modes & (unsigned)mode) == 0 || strlen(p->words[0].text) != first ||
            strncasecmp(p->words[0].text, c->pattern, first) != 0) {
            continue;
        }
        cut_pattern(c->pattern, &items);
        p->n_args = 0;
        if (fits(&m, 0, 0)) {
            *command = c;
            p->expected[0] = '\0';
            return PARSE_OK;
        }
    }
    p->error_column = m.worst_word < p->n_words ? p->words[m.worst_word].column : p->end_column;
    return m.worst;
}

const struct arg *arg_of(const struct parsed *p, const char *name)
{
    for (size_t i = 0; i < p->n_args; i++) {
        if (strcmp(p->args[i].name, name) == 0) {
            return &p->args[i];
        }
    }
    return NULL;
}

unsigned arg_number(const struct parsed *p, const char *name)
{
    const struct arg *a = arg_of(p, name);
    return a != NULL ? a->number : 0;
}

const char *arg_text(const struct parsed *p, const char *name)
{
    const struct arg *a = arg_of(p, name);
    return a != NULL ? a->text : NULL;
}
