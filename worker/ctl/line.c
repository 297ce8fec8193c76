/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "worker/ctl/ctl.h"

/* "device" of "device list". */
static bool is_in_group(const struct sn_command *c, const char *group)
{
    size_t len = strlen(group);

    return strncmp(c->name, group, len) == 0 && c->name[len] == ' ';
}

static bool is_group(const char *word)
{
    for (const struct sn_command *c = sn_commands; c->name != NULL; c++) {
        if (is_in_group(c, word))
            return true;
    }
    return false;
}

/* "device list" is found by one or two words. */
static const struct sn_command *find_command(const char *first, const char *second, int *words)
{
    for (const struct sn_command *c = sn_commands; c->name != NULL; c++) {
        if (strcmp(c->name, first) == 0) {
            *words = 1;
            return c;
        }
        if (second != NULL && is_in_group(c, first) && strcmp(c->name + strlen(first) + 1, second) == 0) {
            *words = 2;
            return c;
        }
    }
    return NULL;
}

/* Options that every command takes. */
static const struct {
    const char *name;
    const char *value_name; /* NULL = none */
    const char *help;
} common_options[] = {
    { "config", "FILE", N_("configuration, default /etc/silver-netops/silverd.yaml") },
    { "json", NULL, N_("the answer as JSON (one object, or one a line)") },
    { "no-color", NULL, N_("no colours, also on a terminal") },
    { "lang", "LANG", N_("language of the text: en, es") },
    { "timeout", "SECONDS", N_("how long to wait for an answer, default 30") },
    { "help", NULL, N_("this text; after a command, its own") },
    { "version", NULL, N_("the version") },
};

static int set_common(struct sn_line *line, const char *name, const char *value)
{
    if (strcmp(name, "config") == 0)
        line->config = value;
    else if (strcmp(name, "json") == 0)
        line->json = true;
    else if (strcmp(name, "no-color") == 0)
        line->no_color = true;
    else if (strcmp(name, "lang") == 0)
        line->lang = value;
    else if (strcmp(name, "timeout") == 0)
        line->timeout = value;
    else if (strcmp(name, "help") == 0)
        line->help = true;
    else
        line->version = true;
    return 0;
}

struct cursor {
    int argc, at;
    char **argv;
};

/* The value of an option: behind "=" or the next word. */
static const char *value_of(struct cursor *c, const char *equals)
{
    if (equals != NULL)
        return equals + 1;
    return c->at + 1 < c->argc ? c->argv[++c->at] : NULL;
}

static int take_option(struct sn_line *line, struct cursor *c, struct sn_error *err)
{
    const char *name = c->argv[c->at] + 2, *equals = strchr(name, '='), *value = NULL;
    char plain[64];

    (void)snprintf(plain, sizeof(plain), "%.*s", (int)(equals != NULL ? (size_t)(equals - name) : strlen(name)), name);
    for (size_t i = 0; i < sizeof(common_options) / sizeof(common_options[0]); i++) {
        if (strcmp(common_options[i].name, plain) != 0)
            continue;
        if (common_options[i].value_name != NULL && (value = value_of(c, equals)) == NULL)
            return sn_error_set(err, "usage.option", "--%s wants a value", plain);
        if (common_options[i].value_name == NULL && equals != NULL)
            return sn_error_set(err, "usage.option", "--%s takes no value", plain);
        return set_common(line, plain, value);
    }
    for (const struct sn_option *o = sn_options; o->name != NULL; o++) {
        if (strcmp(o->name, plain) != 0)
            continue;
        if (o->takes_value && (value = value_of(c, equals)) == NULL)
            return sn_error_set(err, "usage.option", "--%s wants a value", plain);
        if (!o->takes_value && equals != NULL)
            return sn_error_set(err, "usage.option", "--%s takes no value", plain);
        line->args.given[o->flag] = true;
        line->args.value[o->flag] = value;
        return 0;
    }
    if (strchr(plain, '.') != NULL && equals != NULL &&
        line->settings_n < sizeof(line->settings) / sizeof(line->settings[0])) {
        line->settings[line->settings_n++] = name;
        return 0;
    }
    return sn_error_set(err, "usage.option", "there is no option --%s", plain);
}

static int check_line(const struct sn_line *line, struct sn_error *err)
{
    const struct sn_command *c = line->command;

    for (const struct sn_option *o = sn_options; o->name != NULL; o++) {
        if (line->args.given[o->flag] && (c->flags & (1u << o->flag)) == 0)
            return sn_error_set(err, "usage.option", "%s has no option --%s", c->name, o->name);
    }
    if ((int)line->args.n < c->words_min)
        return sn_error_set(err, "usage.words", "usage: silverctl %s %s", c->name, c->words);
    if ((int)line->args.n > c->words_max)
        return sn_error_set(err, "usage.words", "%s: one word too many: %s", c->name, line->args.words[c->words_max]);
    return 0;
}

int sn_line_parse(int argc, char **argv, struct sn_line *ret, struct sn_error *err)
{
    struct cursor c = { .argc = argc, .at = 1, .argv = argv };
    const char *words[SN_ARGS_MAX + 2];
    bool only_words = false;
    size_t n = 0;
    int used = 0;

    memset(ret, 0, sizeof(*ret));
    for (; c.at < argc; c.at++) {
        const char *word = argv[c.at];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && strcmp(word, "-h") == 0) {
            ret->help = true;
        } else if (!only_words && strncmp(word, "--", 2) == 0) {
            if (take_option(ret, &c, err) != 0)
                return -1;
        } else if (!only_words && word[0] == '-' && word[1] != '\0') {
            return sn_error_set(err, "usage.option", "there is no option %s", word);
        } else if (n < sizeof(words) / sizeof(words[0])) {
            words[n++] = word;
        } else {
            return sn_error_set(err, "usage.words", "too many words: at most %d", SN_ARGS_MAX);
        }
    }
    if (n > 0) {
        ret->command = find_command(words[0], n > 1 ? words[1] : NULL, &used);
        if (ret->command == NULL && n == 1 && is_group(words[0]))
            ret->group = words[0];
        if (ret->command == NULL && ret->group != NULL && !ret->help)
            return sn_error_set(err, "usage.command", "which of them? silverctl %s --help lists them", words[0]);
        if (ret->command == NULL && ret->group == NULL)
            return sn_error_set(err, "usage.command", "there is no command %s%s%s: silverctl --help lists them",
                                words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
    }
    if (ret->help || ret->version)
        return 0;
    if (n == 0)
        return sn_error_set(err, "usage.command", "which command? silverctl --help lists them");
    for (size_t i = (size_t)used; i < n && ret->args.n < SN_ARGS_MAX; i++)
        ret->args.words[ret->args.n++] = words[i];
    return check_line(ret, err);
}

/* ---- help ---- */

static void option_line(struct sn_out *out, const char *name, const char *value_name, const char *help)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "--%s%s%s", name, value_name != NULL ? " " : "",
                   value_name != NULL ? value_name : "");
    sn_out_text(out, "  ");
    sn_out_pad(out, SN_STYLE_PLAIN, text, 20);
    sn_out_text(out, " %s\n", _(help));
}

static void command_options(struct sn_out *out, const struct sn_command *c)
{
    for (const struct sn_option *o = sn_options; o->name != NULL; o++) {
        if ((c->flags & (1u << o->flag)) != 0)
            option_line(out, o->name, o->value_name, o->help);
    }
}

/* group NULL: every one. */
static void all_commands(struct sn_out *out, const char *group)
{
    sn_out_text(out, "%s\n\n%s\n", _("usage: silverctl COMMAND [options] ..."), _("Commands:"));
    for (const struct sn_command *c = sn_commands; c->name != NULL; c++) {
        char text[64];
        if (group != NULL && !is_in_group(c, group))
            continue;
        (void)snprintf(text, sizeof(text), "%s %s", c->name, c->words);
        sn_out_text(out, "  ");
        sn_out_pad(out, SN_STYLE_BOLD, text, 24);
        sn_out_text(out, " %s\n", _(c->help));
    }
}

void sn_line_help(struct sn_out *out, const struct sn_command *command, const char *group)
{
    if (command == NULL) {
        all_commands(out, group);
    } else {
        sn_out_text(out, _("usage: silverctl %s %s [options]"), command->name, command->words);
        sn_out_text(out, "\n\n%s\n", _(command->help));
        if (command->flags != 0) {
            sn_out_text(out, "\n%s\n", _("Options:"));
            command_options(out, command);
        }
    }
    sn_out_text(out, "\n%s\n", _("Options of every command:"));
    for (size_t i = 0; i < sizeof(common_options) / sizeof(common_options[0]); i++)
        option_line(out, common_options[i].name, common_options[i].value_name, common_options[i].help);
    option_line(out, "section.key=VALUE", NULL,
                N_("a setting of the configuration, stronger than file and environment"));
    sn_out_text(out, "\n%s\n",
                _("Exit codes: 0 done, 1 ran but the outcome is not good, 3 plan --exit-code: would change, 4 not "
                  "found, 64 usage,\n"
                  "65 invalid event, 69 broker, ledger, Redis or owner not reachable, 75 still running, 78 "
                  "configuration, 130 interrupted."));
}
