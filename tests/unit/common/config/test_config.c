/* SPDX-License-Identifier: Apache-2.0 */
/* The option table: values of every type, the order of the sources, what is refused and how the fault is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/config/options.h"
#include "tests/unit/common/base/temp_path.h"

#define CANARY "canary-7c1e"

struct values {
    char *host;
    int64_t port;
    char *password;
    bool json;
    int level;
    int64_t ttl;
    int64_t bytes;
    char **roles;
    char **sources;
    char *path;
    char *user;
    char *mode;
};

static const char *const LEVELS[] = { "error", "warn", "info", NULL };
static const char *const MODES[] = { "prefer", "require", NULL };
static const char *const ROLES[] = { "worker", "ledger", NULL };

#define AT(field) offsetof(struct values, field)
static const struct sn_option_row ROWS[] = {
    { "broker", "host", SN_OPTION_TEXT, AT(host), "localhost", 1, 253, NULL, NULL, false, "Where the broker is." },
    { "broker", "port", SN_OPTION_INT, AT(port), "5672", 1, 65535, NULL, NULL, false, "Its port." },
    { "broker", "password", SN_OPTION_SECRET, AT(password), "", 0, 1024, NULL, NULL, false, "Its password." },
    { "broker", "user", SN_OPTION_TEXT, AT(user), "", 1, 63, NULL, NULL, false, "Who we are there." },
    { "broker", "mode", SN_OPTION_TEXT, AT(mode), "prefer", 1, 16, MODES, NULL, false, "How safe." },
    { "log", "json", SN_OPTION_BOOL, AT(json), "false", 0, 0, NULL, NULL, true, "JSON lines." },
    { "log", "level", SN_OPTION_CHOICE, AT(level), "info", 0, 0, LEVELS, NULL, true, "How much is said." },
    { "session", "ttl", SN_OPTION_DURATION, AT(ttl), "10s", 100, 60000, NULL, NULL, false, "Lease." },
    { "limits", "message_bytes", SN_OPTION_SIZE, AT(bytes), "64KiB", 1024, 1048576, NULL, NULL, false,
      "Largest body." },
    { "process", "roles", SN_OPTION_LIST, AT(roles), "worker", 1, 2, ROLES, NULL, false, "What it does." },
    { "process", "sources", SN_OPTION_LIST, AT(sources), "", 0, 8, NULL, NULL, true, "Who may publish." },
    { "process", "path", SN_OPTION_PATH, AT(path), "/etc/x", 1, 4095, NULL, NULL, false, "A file." },
};
static const struct sn_option_table TABLE = { ROWS, sizeof(ROWS) / sizeof(ROWS[0]) };

struct fixture {
    char file[TEMP_PATH_MAX];
    struct values v;
    struct sn_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int fd;

    assert_non_null(f);
    fd = mkstemp(temp_path(f->file));
    assert_true(fd >= 0);
    close(fd);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sn_options_free(&TABLE, &f->v);
    unlink(f->file);
    free(f);
    return 0;
}

/* file: its text, NULL for none. variable and setting: one each, or NULL. The user, who must be given, is. */
static int load(struct fixture *f, const char *file, const char *variable, const char *setting)
{
    char *environment[] = { (char *)(uintptr_t) "PATH=/bin", (char *)(uintptr_t) "SILVER_BUILD=x",
                            (char *)(uintptr_t) "SILVER_BROKER_USER=u", (char *)(uintptr_t)variable, NULL };
    struct sn_option_sources sources = { .file = file != NULL ? f->file : NULL,
                                         .environment = environment,
                                         .not_ours = (const char *const[]){ "SILVER_BUILD", NULL },
                                         .settings = &setting,
                                         .settings_count = setting != NULL ? 1 : 0 };

    if (file != NULL) {
        FILE *out = fopen(f->file, "w");
        assert_non_null(out);
        assert_true(fputs(file, out) >= 0);
        assert_int_equal(fclose(out), 0);
    }
    sn_options_free(&TABLE, &f->v);
    memset(&f->err, 0, sizeof(f->err));
    memset(&f->v, 0xa5, sizeof(f->v)); /* what was in it does not matter */
    if (sn_options_load(&TABLE, &sources, &f->v, &f->err) == 0)
        return 0;
    memset(&f->v, 0, sizeof(f->v));
    return -1;
}

static void assert_loads(struct fixture *f, const char *file, const char *variable, const char *setting)
{
    if (load(f, file, variable, setting) != 0)
        fail_msg("%s: %s", f->err.code, f->err.text);
}

/* The text that is expected: "FILE" stands for the path of the file. */
static void assert_refused(struct fixture *f, const char *file, const char *variable, const char *setting,
                           const char *code, const char *text)
{
    char shown[SN_ERROR_TEXT_MAX];

    if (load(f, file, variable, setting) == 0)
        fail_msg("accepted: %s %s %s", file, variable, setting);
    if (strncmp(f->err.text, f->file, strlen(f->file)) == 0)
        snprintf(shown, sizeof(shown), "FILE%s", f->err.text + strlen(f->file));
    else
        snprintf(shown, sizeof(shown), "%s", f->err.text);
    assert_string_equal(shown, text);
    assert_string_equal(f->err.code, code);
    assert_null(strstr(f->err.text, CANARY));
}

static void table_is_consistent(void **state)
{
    struct sn_error err;

    (void)state;
    if (sn_option_table_check(&TABLE, &err) != 0)
        fail_msg("%s", err.text);
}

static void defaults_are_taken(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, NULL, NULL, NULL);
    assert_string_equal(f->v.host, "localhost");
    assert_true(f->v.port == 5672);
    assert_string_equal(f->v.password, "");
    assert_false(f->v.json);
    assert_int_equal(f->v.level, 2);
    assert_true(f->v.ttl == 10000);
    assert_true(f->v.bytes == 65536);
    assert_string_equal(f->v.roles[0], "worker");
    assert_null(f->v.roles[1]);
    assert_null(f->v.sources[0]);
    assert_string_equal(f->v.path, "/etc/x");
    assert_string_equal(f->v.user, "u");
    assert_string_equal(f->v.mode, "prefer");
}

static void file_sets_every_type(void **state)
{
    struct fixture *f = *state;

    assert_loads(f,
                 "# comment\nbroker:\n  host: mq.isp\n  port: 5671\n  password: file:/run/secrets/mq\n"
                 "log: {json: true, level: warn}\nsession:\n  ttl: 200ms\nlimits: {message_bytes: 2048}\n"
                 "process:\n  roles: [ledger, worker]\n  sources:\n    - odoo/prod\n    - odoo/shop\n  path: 5\n",
                 NULL, NULL);
    assert_string_equal(f->v.host, "mq.isp");
    assert_true(f->v.port == 5671);
    assert_string_equal(f->v.password, "file:/run/secrets/mq");
    assert_true(f->v.json);
    assert_int_equal(f->v.level, 1);
    assert_true(f->v.ttl == 200);
    assert_true(f->v.bytes == 2048);
    assert_string_equal(f->v.roles[0], "ledger");
    assert_string_equal(f->v.roles[1], "worker");
    assert_null(f->v.roles[2]);
    assert_string_equal(f->v.sources[1], "odoo/shop");
    assert_null(f->v.sources[2]);
    assert_string_equal(f->v.path, "5");
}

static void later_sources_win(void **state)
{
    struct fixture *f = *state;
    const char *file = "session: {ttl: 1s}\n";

    assert_loads(f, file, NULL, NULL);
    assert_true(f->v.ttl == 1000);
    assert_loads(f, file, "SILVER_SESSION_TTL=2s", NULL);
    assert_true(f->v.ttl == 2000);
    assert_loads(f, file, "SILVER_SESSION_TTL=2s", "session.ttl=3s");
    assert_true(f->v.ttl == 3000);
    assert_loads(f, file, "SILVER_PROCESS_SOURCES=a/b, c/d", "process.roles=ledger");
    assert_string_equal(f->v.sources[0], "a/b");
    assert_string_equal(f->v.sources[1], "c/d");
    assert_null(f->v.sources[2]);
    assert_string_equal(f->v.roles[0], "ledger");
    assert_null(f->v.roles[1]);
    assert_loads(f, file, "SILVER_PROCESS_SOURCES=", "broker.host=a=b");
    assert_null(f->v.sources[0]);
    assert_string_equal(f->v.host, "a=b");
}

static void empty_file_and_sections_mean_defaults(void **state)
{
    static const char *const FILES[] = { "", "\n# all\n  # commented out\n", "broker:\n#  port: 1\nlog:\n", "{}\n" };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(FILES) / sizeof(FILES[0]); i++) {
        assert_loads(f, FILES[i], NULL, NULL);
        assert_true(f->v.port == 5672);
    }
}

static void file_may_lack_only_when_said(void **state)
{
    struct fixture *f = *state;
    struct sn_option_sources sources = { .file = "/nonexistent/silverd.yaml",
                                         .settings = (const char *const[]){ "broker.user=u" },
                                         .settings_count = 1 };

    assert_int_equal(sn_options_load(&TABLE, &sources, &f->v, &f->err), -1);
    assert_string_equal(f->err.code, "config.unreadable");
    assert_string_equal(f->err.text, "/nonexistent/silverd.yaml: No such file or directory");
    sources.file_may_lack = true;
    assert_int_equal(sn_options_load(&TABLE, &sources, &f->v, &f->err), 0);
    sn_options_free(&TABLE, &f->v);
    sources.file = "/"; /* is there, but no file */
    assert_int_equal(sn_options_load(&TABLE, &sources, &f->v, &f->err), -1);
    assert_string_equal(f->err.code, "config.unreadable");
}

static void unknown_names_are_refused_with_the_nearest(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, "broker:\n  host: x\n  prot: 1\n", NULL, NULL, "config.unknown-key",
                   "FILE:3: broker.prot: there is no such option; did you mean broker.port?");
    assert_refused(f, "log: {ttl: 1}\n", NULL, NULL, "config.unknown-key", "FILE:1: log.ttl: there is no such option");
    assert_refused(f, "\nbrokr: {host: x}\n", NULL, NULL, "config.unknown-key",
                   "FILE:2: brokr: there is no such section; did you mean broker?");
    assert_refused(f, "zzzzzz: {host: x}\n", NULL, NULL, "config.unknown-key",
                   "FILE:1: zzzzzz: there is no such section");
    assert_refused(f, NULL, "SILVER_BROKER_PROT=" CANARY, NULL, "config.unknown-key",
                   "environment SILVER_BROKER_PROT: there is no such option; did you mean SILVER_BROKER_PORT?");
    assert_refused(f, NULL, "SILVER_X=1", NULL, "config.unknown-key", "environment SILVER_X: there is no such option");
    assert_refused(f, NULL, "SILVER_BROKER_HOST_=1", NULL, "config.unknown-key",
                   "environment SILVER_BROKER_HOST_: there is no such option; did you mean SILVER_BROKER_HOST?");
    assert_refused(f, NULL, NULL, "broker.prot=" CANARY, "config.unknown-key",
                   "--broker.prot: there is no such option; did you mean broker.port?");
    assert_refused(f, NULL, NULL, "port=1", "config.unknown-key", "--port: there is no such option");
    assert_refused(f, NULL, NULL, "broker.port", "config.value", "--broker.port: is written --broker.port=value");
    assert_loads(f, NULL, "OTHER_SILVER_X=1", NULL);
}

static void very_long_names_are_refused_too(void **state)
{
    struct fixture *f = *state;
    char name[600];
    char text[700];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    snprintf(text, sizeof(text), "broker: {%s: 1}\n", name);
    assert_int_equal(load(f, text, NULL, NULL), -1);
    assert_string_equal(f->err.code, "config.unknown-key");
    snprintf(text, sizeof(text), "%s: {a: 1}\n", name);
    assert_int_equal(load(f, text, NULL, NULL), -1);
    assert_string_equal(f->err.code, "config.unknown-key");
    snprintf(text, sizeof(text), "SILVER_%s=1", name);
    assert_int_equal(load(f, NULL, text, NULL), -1);
    assert_string_equal(f->err.code, "config.unknown-key");
    assert_int_equal(load(f, NULL, NULL, name), -1);
    assert_string_equal(f->err.code, "config.unknown-key");
}

static void wrong_values_are_refused_with_the_reason(void **state)
{
    static const struct {
        const char *file;
        const char *code;
        const char *text;
    } CASES[] = {
        { "broker: {port: 0}\n", "config.range", "FILE:1: broker.port: 0 is less than 1" },
        { "broker: {port: 65536}\n", "config.range", "FILE:1: broker.port: 65536 is more than 65535" },
        { "broker: {port: 5672x}\n", "config.value", "FILE:1: broker.port: 5672x is not an integer" },
        { "broker: {port: 56.5}\n", "config.value", "FILE:1: broker.port: takes one value (perhaps in quotes)" },
        { "broker: {port: \"\"}\n", "config.value", "FILE:1: broker.port:  is not an integer" },
        { "broker: {port: 99999999999999999999}\n", "config.syntax", "FILE:1: the integer is beyond 2^53 - 1" },
        { "broker: {port: \"99999999999999999999\"}\n", "config.value",
          "FILE:1: broker.port: 99999999999999999999 is not an integer" },
        { "broker: {port: [1]}\n", "config.value",
          "FILE:1: broker.port: entry 1 of the list is not a text (write it in quotes)" },
        { "broker: {port: [\"1\"]}\n", "config.value", "FILE:1: broker.port: takes one value, not a list" },
        { "broker: {port: {a: 1}}\n", "config.value", "FILE:1: broker.port: takes one value (perhaps in quotes)" },
        { "broker:\n  host:\n  port: 1\n", "config.value", "FILE:2: broker.host: has no value" },
        { "broker: {host: \"\"}\n", "config.range", "FILE:1: broker.host: must be given" },
        { "broker: {host: true}\n", "config.value",
          "FILE:1: broker.host: true is a truth value here (write it in quotes to mean the word)" },
        { "broker: {host: \"a\\nb\"}\n", "config.value", "FILE:1: broker.host: holds a control character" },
        { "broker: {password: " CANARY "}\n", "config.value",
          "FILE:1: broker.password: not a reference: env:NAME, file:/path, vault:path#field or sealed:<base64> is "
          "meant" },
        { "broker: {password: \"env:" CANARY "\"}\n", "config.value",
          "FILE:1: broker.password: env: must be followed by the name of a variable" },
        { "log: {json: yes}\n", "config.value", "FILE:1: log.json: yes is neither true nor false" },
        { "log: {level: debug}\n", "config.value", "FILE:1: log.level: debug is none of error, warn, info" },
        { "broker: {mode: off}\n", "config.value", "FILE:1: broker.mode: off is none of prefer, require" },
        { "session: {ttl: 10}\n", "config.value",
          "FILE:1: session.ttl: 10 is not a duration with its unit, as 200ms, 15s, 10m, 1h or 30d" },
        { "session: {ttl: 1.5s}\n", "config.value",
          "FILE:1: session.ttl: 1.5s is not a duration with its unit, as 200ms, 15s, 10m, 1h or 30d" },
        { "session: {ttl: 99ms}\n", "config.range", "FILE:1: session.ttl: 99ms is less than 100ms" },
        { "session: {ttl: 0}\n", "config.range", "FILE:1: session.ttl: 0 is less than 100ms" },
        { "session: {ttl: 61s}\n", "config.range", "FILE:1: session.ttl: 61s is more than 1m" },
        { "session: {ttl: 9223372036854775807d}\n", "config.value",
          "FILE:1: session.ttl: 9223372036854775807d is not a duration with its unit, as 200ms, 15s, 10m, 1h or 30d" },
        { "limits: {message_bytes: 1kB}\n", "config.range", "FILE:1: limits.message_bytes: 1kB is less than 1KiB" },
        { "limits: {message_bytes: 1K}\n", "config.value",
          "FILE:1: limits.message_bytes: 1K is not a size in bytes, or as 64KiB or 1MiB" },
        { "process: {roles: [worker, boss]}\n", "config.value",
          "FILE:1: process.roles: `boss` is not possible in this list" },
        { "process: {roles: []}\n", "config.range", "FILE:1: process.roles: must be given" },
        { "process: {roles: [worker, worker, worker]}\n", "config.range",
          "FILE:1: process.roles: 3 entries; 1 to 2 are possible" },
        { "process: {sources: [\"\"]}\n", "config.value", "FILE:1: process.sources: `` is not possible in this list" },
        { "process: {sources: \"a,,b\"}\n", "config.value", "FILE:1: process.sources: an entry of the list is empty" },
        { "- a\n", "config.syntax", "FILE:1: sections with options are meant: `broker: {host: …}`" },
        { "broker: 5\n", "config.syntax", "FILE:1: broker: a section holds options: `broker: {…}`" },
        { "broker: {port: 1, port: 2}\n", "config.syntax", "FILE:1: a key stands twice in one mapping" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_refused(f, CASES[i].file, NULL, NULL, CASES[i].code, CASES[i].text);
    assert_refused(f, NULL, "SILVER_SESSION_TTL=1", NULL, "config.value",
                   "environment SILVER_SESSION_TTL: 1 is not a duration with its unit, as 200ms, 15s, 10m, 1h or 30d");
    assert_refused(f, NULL, "SILVER_BROKER_HOST=a\xff", NULL, "config.value",
                   "environment SILVER_BROKER_HOST: is not UTF-8");
    assert_refused(f, NULL, "SILVER_PROCESS_SOURCES=a/b,c\xc3", NULL, "config.value",
                   "environment SILVER_PROCESS_SOURCES: is not UTF-8");
    assert_refused(f, NULL, NULL, "process.sources=a/b,c\x1b[2J", "config.value",
                   "--process.sources: holds a control character");
    assert_refused(f, NULL, NULL, "broker.port=70000", "config.range", "--broker.port: 70000 is more than 65535");
    assert_refused(
        f, NULL, NULL, "broker.password=" CANARY, "config.value",
        "--broker.password: not a reference: env:NAME, file:/path, vault:path#field or sealed:<base64> is meant");
}

static void what_must_be_given_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct sn_option_sources none = { .file = NULL };

    assert_int_equal(sn_options_load(&TABLE, &none, &f->v, &f->err), -1);
    assert_string_equal(f->err.code, "config.range");
    assert_string_equal(f->err.text,
                        "broker.user must be given (file, environment SILVER_BROKER_USER or --broker.user=…)");
    memset(&f->v, 0, sizeof(f->v));
}

static void numbers_have_units(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } DURATIONS[] = { { "100ms", 100 }, { "2s", 2000 }, { "1m", 60000 } };
    static const struct {
        const char *text;
        int64_t bytes;
    } SIZES[] = { { "1024", 1024 }, { "2kB", 2000 }, { "2KiB", 2048 }, { "1MB", 1000000 }, { "1MiB", 1048576 } };
    struct fixture *f = *state;
    char setting[64];

    for (size_t i = 0; i < sizeof(DURATIONS) / sizeof(DURATIONS[0]); i++) {
        snprintf(setting, sizeof(setting), "session.ttl=%s", DURATIONS[i].text);
        assert_loads(f, NULL, NULL, setting);
        assert_true(f->v.ttl == DURATIONS[i].ms);
    }
    for (size_t i = 0; i < sizeof(SIZES) / sizeof(SIZES[0]); i++) {
        snprintf(setting, sizeof(setting), "limits.message_bytes=%s", SIZES[i].text);
        assert_loads(f, NULL, NULL, setting);
        assert_true(f->v.bytes == SIZES[i].bytes);
    }
}

/* Blanks around the commas are not meant; a blank inside is, and nothing behind it is dropped. */
static void entries_of_a_list_keep_their_words(void **state)
{
    struct fixture *f = *state;

    assert_loads(f, NULL, NULL, "process.sources= a/b , c d  ,e");
    assert_string_equal(f->v.sources[0], "a/b");
    assert_string_equal(f->v.sources[1], "c d");
    assert_string_equal(f->v.sources[2], "e");
    assert_null(f->v.sources[3]);
}

static void print_can_be_loaded_again(void **state)
{
    struct fixture *f = *state;
    struct sn_buf first = SN_BUF_INIT;
    struct sn_buf second = SN_BUF_INIT;

    assert_loads(f,
                 "broker: {host: 'a \"b\" \\ c', password: env:PW}\nprocess: {sources: [a/b, c]}\nlimits: "
                 "{message_bytes: 3000}\n",
                 NULL, "session.ttl=1500ms");
    sn_options_print(&TABLE, &f->v, &first);
    assert_non_null(
        strstr(sn_buf_str(&first), "broker:\n  host: \"a \\\"b\\\" \\\\ c\"\n  port: 5672\n  password: \"env:PW\"\n"));
    assert_non_null(strstr(sn_buf_str(&first), "log:\n  json: false\n  level: info\nsession:\n  ttl: 1500ms\n"));
    assert_non_null(strstr(sn_buf_str(&first), "  message_bytes: 3kB\n"));
    assert_non_null(strstr(sn_buf_str(&first), "  roles: [\"worker\"]\n  sources: [\"a/b\", \"c\"]\n"));
    assert_loads(f, sn_buf_str(&first), NULL, NULL);
    sn_options_print(&TABLE, &f->v, &second);
    assert_string_equal(sn_buf_str(&second), sn_buf_str(&first));
    sn_buf_fini(&first);
    sn_buf_fini(&second);
}

static void print_hides_a_sealed_secret(void **state)
{
    struct fixture *f = *state;
    struct sn_buf out = SN_BUF_INIT;
    char setting[256] = "broker.password=sealed:";

    memset(setting + strlen(setting), 'Q', 80); /* base64 of 60 bytes: longer than an empty box */
    assert_loads(f, NULL, NULL, setting);
    sn_options_print(&TABLE, &f->v, &out);
    assert_non_null(strstr(sn_buf_str(&out), "  password: \"sealed:[secret]\"\n"));
    assert_null(strstr(sn_buf_str(&out), "QQ"));
    sn_buf_fini(&out);
}

static void changes_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct values before;
    struct sn_buf live = SN_BUF_INIT;
    struct sn_buf fixed = SN_BUF_INIT;

    assert_loads(f, NULL, NULL, NULL);
    before = f->v;
    memset(&f->v, 0, sizeof(f->v));
    assert_loads(f, "broker: {port: 1, host: x}\nlog: {level: warn, json: true}\nprocess: {sources: [a]}\n", NULL,
                 NULL);
    assert_int_equal(sn_options_changed(&TABLE, &before, &f->v, true, &live), 3);
    assert_string_equal(sn_buf_str(&live), "log.json, log.level, process.sources");
    assert_int_equal(sn_options_changed(&TABLE, &before, &f->v, false, &fixed), 2);
    assert_string_equal(sn_buf_str(&fixed), "broker.host, broker.port");
    assert_int_equal(sn_options_changed(&TABLE, &f->v, &f->v, false, &fixed), 0);
    sn_options_free(&TABLE, &before);
    sn_buf_fini(&live);
    sn_buf_fini(&fixed);
}

static void reference_page_says_what_the_rows_say(void **state)
{
    struct sn_buf out = SN_BUF_INIT;

    const struct sn_option_table fixed = { ROWS, 2 }; /* none of these is reloaded */

    (void)state;
    sn_options_describe(&fixed, &out);
    assert_string_equal(sn_buf_str(&out),
                        "## broker\n\n| option | type | default | range | meaning |\n|---|---|---|---|---|\n"
                        "| `broker.host` | text | `localhost` |  | Where the broker is. |\n"
                        "| `broker.port` | integer | `5672` | 1 to 65535 | Its port. |\n");
    sn_buf_clear(&out);
    sn_options_describe(&TABLE, &out);
    assert_non_null(
        strstr(sn_buf_str(&out),
               "## broker\n\n| option | type | default | range | reloaded | meaning |\n|---|---|---|---|---|---|\n"
               "| `broker.host` | text | `localhost` |  |  | Where the broker is. |\n"
               "| `broker.port` | integer | `5672` | 1 to 65535 |  | Its port. |\n"
               "| `broker.password` | secret | none |  |  | Its password. |\n"
               "| `broker.user` | text | must be given |  |  | Who we are there. |\n"
               "| `broker.mode` | `prefer` or `require` | `prefer` |  |  | How safe. |\n\n## log\n"));
    assert_non_null(strstr(sn_buf_str(&out),
                           "| `log.level` | `error` or `warn` or `info` | `info` |  | yes | How much is said. |\n"));
    assert_non_null(strstr(sn_buf_str(&out), "| `session.ttl` | duration | `10s` | 100ms to 1m |  | Lease. |\n"));
    assert_non_null(
        strstr(sn_buf_str(&out), "| `limits.message_bytes` | size | `64KiB` | 1KiB to 1MiB |  | Largest body. |\n"));
    assert_non_null(strstr(sn_buf_str(&out),
                           "| `process.roles` | list of `worker`, `ledger` | `worker` |  |  | What it does. |\n"));
    sn_buf_fini(&out);
}

static void table_faults_are_found(void **state)
{
#define GOOD                                                              \
    {                                                                     \
        "a", "b", SN_OPTION_INT, 0, "1", 1, 2, NULL, NULL, false, "Text." \
    }
    static const struct sn_option_row BAD[][2] = {
        { GOOD, GOOD },
        { GOOD, { "a", "c", SN_OPTION_INT, 0, "1", 1, 2, NULL, NULL, false, "Same place." } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "3", 1, 2, NULL, NULL, false, "Default out of range." } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "x", 1, 2, NULL, NULL, false, "Default of another type." } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "", 0, 2, NULL, NULL, false, "No default." } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "1", 2, 1, NULL, NULL, false, "Range turned round." } },
        { GOOD, { "a", "c", SN_OPTION_TEXT, 8, "x", 0, 0, NULL, NULL, false, "No length." } },
        { GOOD, { "a", "C", SN_OPTION_INT, 8, "1", 1, 2, NULL, NULL, false, "Capital." } },
        { GOOD, { "a_b", "c", SN_OPTION_INT, 8, "1", 1, 2, NULL, NULL, false, "Section with underscore." } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "1", 1, 2, NULL, NULL, false, "" } },
        { GOOD, { "a", "c", SN_OPTION_INT, 8, "1", 1, 2, NULL, NULL, false, "Bar | in the text." } },
        { GOOD, { "a", "c", SN_OPTION_CHOICE, 8, "1", 0, 0, NULL, NULL, false, "No words." } },
    };
    static const struct sn_option_row APART[] = { GOOD,
                                                  { "b", "c", SN_OPTION_INT, 8, "1", 1, 2, NULL, NULL, false, "Text." },
                                                  { "a", "d", SN_OPTION_INT, 16, "1", 1, 2, NULL, NULL, false,
                                                    "Text." } };
    struct sn_error err;

    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct sn_option_table table = { BAD[i], 2 };
        if (sn_option_table_check(&table, &err) == 0)
            fail_msg("accepted: %s", BAD[i][1].text);
        assert_string_equal(err.code, "config.table");
    }
    assert_int_equal(sn_option_table_check(&(struct sn_option_table){ APART, 3 }, &err), -1);
    assert_int_equal(sn_option_table_check(&(struct sn_option_table){ APART, 2 }, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_consistent),
        cmocka_unit_test_setup_teardown(defaults_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(file_sets_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(later_sources_win, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_file_and_sections_mean_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(file_may_lack_only_when_said, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_names_are_refused_with_the_nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(very_long_names_are_refused_too, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_values_are_refused_with_the_reason, setup, teardown),
        cmocka_unit_test_setup_teardown(what_must_be_given_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_have_units, setup, teardown),
        cmocka_unit_test_setup_teardown(entries_of_a_list_keep_their_words, setup, teardown),
        cmocka_unit_test_setup_teardown(print_can_be_loaded_again, setup, teardown),
        cmocka_unit_test_setup_teardown(print_hides_a_sealed_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_are_told_apart, setup, teardown),
        cmocka_unit_test(reference_page_says_what_the_rows_say),
        cmocka_unit_test(table_faults_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
