/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "worker/ctl/conf.h"
#include "worker/ctl/ctl.h"

#define WIDTH_WITHOUT_TERMINAL 100
#define TIMEOUT_S 30

/* ---- language ---- */

/* Beside the program in a build tree, ../share/locale of an installation, else where the package puts it. */
static const char *catalogue_folder(char *out, size_t size)
{
    static const char *const beside[] = { "/locale", "/../share/locale" };
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    char *slash;

    if (n > 0) {
        exe[n] = '\0';
        slash = strrchr(exe, '/');
        *slash = '\0';
        for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
            if (snprintf(out, size, "%s%s", exe, beside[i]) < (int)size && access(out, X_OK) == 0)
                return out;
        }
    }
    return "/usr/share/locale";
}

static bool is_utf8_locale(const char *name)
{
    return name != NULL && (strcasestr(name, "utf-8") != NULL || strcasestr(name, "utf8") != NULL);
}

/* --lang, else LC_ALL, LC_MESSAGES, LANG. The locale itself need not be installed: the texts are our own, C.UTF-8
 * carries them. */
static void set_language(const char *asked)
{
    static const char *const variables[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    const char *language = asked;
    char folder[4200], short_name[8] = "";

    for (size_t i = 0; language == NULL && i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *value = getenv(variables[i]);
        language = value != NULL && value[0] != '\0' ? value : NULL;
    }
    if (language != NULL)
        (void)snprintf(short_name, sizeof(short_name), "%.*s", (int)strcspn(language, "_.@"), language);
    if (!is_utf8_locale(setlocale(LC_CTYPE, "")))
        (void)setlocale(LC_CTYPE, "C.UTF-8");
    if (short_name[0] == '\0' || strcmp(short_name, "C") == 0 || strcmp(short_name, "POSIX") == 0 ||
        strcmp(short_name, "en") == 0)
        return;
    (void)setlocale(LC_MESSAGES, "C.UTF-8");
    (void)setenv("LANGUAGE", short_name, 1);
    (void)bindtextdomain("silverctl", catalogue_folder(folder, sizeof(folder)));
    (void)bind_textdomain_codeset("silverctl", "UTF-8");
    (void)textdomain("silverctl");
}

/* ---- terminal ---- */

static void set_terminal(struct sn_out *out, const struct sn_line *line)
{
    const char *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO) == 1;
    struct winsize size;

    out->width = WIDTH_WITHOUT_TERMINAL;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        out->width = size.ws_col;
    out->colour = terminal && !line->no_color && (no_color == NULL || no_color[0] == '\0');
}

/* Who is asking: behind sudo, the person in front of it. Only what the ctl schema allows in a name. */
static void set_user(char *out, size_t size)
{
    const struct passwd *pw = getpwuid(getuid());
    const char *name = getenv("SUDO_USER");

    if (getuid() != 0 || name == NULL || name[0] == '\0')
        name = pw != NULL ? pw->pw_name : "unknown";
    (void)snprintf(out, size, "%.60s", name);
    for (char *c = out; *c != '\0'; c++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@._+-", *c) == NULL)
            *c = '_';
    }
}

/* ---- ending ---- */

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    _exit(SN_EXIT_INTERRUPTED); /* nothing of ours needs an orderly end: what was confirmed is confirmed */
}

static int fail(const struct sn_line *line, const struct sn_error *err)
{
    int code = sn_ctl_exit_of(err);
    json_t *document;
    char *text = NULL;

    sn_ctl_say("silverctl: %s [%s]", err->text, err->code);
    if (line->json) {
        document = json_pack("{s:s, s:s, s:s, s:s, s:i}", "schema", "silver.ctl/1", "output", "error", "code",
                             err->code, "text", err->text, "exit", code);
        text = document != NULL ? sn_json_dumps(document, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (text != NULL)
            (void)puts(text);
        free(text);
        json_decref(document);
    }
    return code;
}

static int parse_timeout(const char *text, int *ret_ms, struct sn_error *err)
{
    char *end;
    long s = text != NULL ? strtol(text, &end, 10) : TIMEOUT_S;

    if (text != NULL && (*text == '\0' || *end != '\0' || s < 1 || s > 86400))
        return sn_error_set(err, "usage.timeout", "--timeout wants seconds from 1 to 86400, not %s", text);
    *ret_ms = (int)s * 1000;
    return 0;
}

static int print_help(struct sn_ctl *ctl, const struct sn_line *line)
{
    sn_line_help(&ctl->out, line->command, line->group);
    return sn_out_flush(&ctl->out, stdout) == 0 ? SN_EXIT_OK : SN_EXIT_UNREACHABLE;
}

static int run(struct sn_ctl *ctl, const struct sn_line *line, struct sn_error *err)
{
    int rc;

    if (parse_timeout(line->timeout, &ctl->timeout_ms, err) != 0)
        return -1;
    rc = sn_ctl_configure(ctl, line, err);
    if (rc == 0)
        rc = line->command->run(ctl, &line->args, err);
    sn_ctl_close(ctl);
    sn_ctl_unconfigure(ctl);
    return rc;
}

int main(int argc, char **argv)
{
    struct sn_ctl ctl = { .now_ms = sn_clock_wall_ms() };
    struct sn_error err = { 0 };
    struct sn_line line;
    char user[64];
    int rc;

    sn_log_keep_streams();
    json_object_seed(0);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, on_interrupt);
    rc = sn_line_parse(argc, argv, &line, &err);
    set_language(line.lang);
    set_terminal(&ctl.out, &line);
    set_user(user, sizeof(user));
    ctl.user = user;
    ctl.json = line.json;
    if (rc == 0 && line.version) {
        (void)puts("silverctl " SILVER_VERSION);
        return SN_EXIT_OK;
    }
    if (rc == 0 && line.help) {
        rc = print_help(&ctl, &line);
        sn_buf_fini(&ctl.out.buf);
        return rc;
    }
    if (rc == 0)
        rc = run(&ctl, &line, &err);
    return rc < 0 ? fail(&line, &err) : rc;
}
