/* SPDX-License-Identifier: Apache-2.0 */
/* The dialogue: login, questions, the run of a command, faults, the end. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fault.h"
#include "session_priv.h"

#define PAGE_LINES 24
#define WRONG_ANSWERS_MAX 3
#define REENTER "Reenter times have reached the upper limit"

struct session *session_next(const struct session *s)
{
    return s->next;
}

unsigned session_number(const struct session *s)
{
    return s->number;
}

struct olt *session_olt(const struct session *s)
{
    return s->olt;
}

struct console *session_console(struct session *s)
{
    return &s->console;
}

bool session_quota_full(const struct olt *olt)
{
    unsigned used = olt->open;
    uint64_t now = sim_now_ms();
    for (size_t i = 0; i < SIM_HELD_MAX; i++) {
        used += olt->held_until[i] > now;
    }
    return olt->sessions_max > 0 && used >= olt->sessions_max;
}

/* -- begin and end ------------------------------------------------------------------------------------------------ */

static void on_run(struct timer *t);
static void on_idle(struct timer *t);

static struct session *session_new(struct olt *olt, struct term *term)
{
    struct session *s = sim_alloc(sizeof *s);
    s->olt = olt;
    s->term = term;
    s->console = (struct console){
        .mode = MODE_USER, .smart = true, .interactive = true, .events = true, .page_lines = PAGE_LINES};
    s->console.idle_s = olt->idle_s;
    s->run_timer.fire = on_run;
    s->idle_timer.fire = on_idle;
    s->slow_timer.fire = on_slow;
    return s;
}

static void banner(struct session *s)
{
    struct text t = {0};
    const char *rule = "  -----------------------------------------------------------------------------";
    text_line(&t, "%s", "");
    text_line(&t, "%s", "");
    text_line(&t, "  Huawei Integrated Access Software (%s).", s->olt->product);
    text_line(&t, "  Copyright(C) Huawei Technologies Co., Ltd. 2002-2016. All rights reserved.");
    if (s->olt->last_login) {
        text_line(&t, "\r\n%s\r\n  User last login information:\r\n%s", rule, rule);
        text_line(&t, "  Access Type : SSH\r\n  IP-Address  : 192.0.2.1");
        text_line(&t, "  Login  Time : 2025-09-22 09:44:51-03:00");
        text_line(&t, "  Logout Time : 2025-09-22 09:45:02-03:00\r\n%s", rule);
    }
    session_write(s, t.p, t.len);
    text_free(&t);
}

struct session *session_open(struct olt *olt, struct term *term)
{
    struct session *s = session_new(olt, term);
    s->number = ++olt->next_session;
    if (session_quota_full(olt) || fault_take(olt, "quota", NULL) != NULL) {
        olt->count.refused_quota++;
        session_puts(s, "\r\n" REENTER ".\r\n");
        s->phase = PHASE_DEAD;
        s->left = true;
        term->close(term, TERM_END_CLEAN);
        return s;
    }
    s->counted = true;
    s->next = olt->sessions;
    olt->sessions = s;
    olt->open++;
    olt->count.opened++;
    olt->count.max_at_once = olt->open > olt->count.max_at_once ? olt->open : olt->count.max_at_once;
    banner(s);
    session_prompt(s);
    if (olt->prompt_twice) {
        session_prompt(s);
    }
    if (olt->password_warning) {
        session_notice(s, "  Warning: The user password is set by other administrator or NMS, it is\r\n"
                          "recommended to change the password.\r\n");
    }
    session_restart_idle(s);
    return s;
}

struct session *session_open_silent(struct olt *olt, enum mode mode, unsigned frame, unsigned slot)
{
    struct session *s = session_new(olt, NULL);
    s->console.mode = mode;
    s->console.frame = frame;
    s->console.slot = slot;
    return s;
}

void session_free(struct session *s)
{
    struct olt *olt = s->olt;
    for (struct session **at = &olt->sessions; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            break;
        }
    }
    olt->open -= s->counted;
    if (s->counted && !s->left && olt->release_ms > 0) {
        size_t oldest = 0;
        for (size_t i = 0; i < SIM_HELD_MAX; i++) {
            oldest = olt->held_until[i] < olt->held_until[oldest] ? i : oldest;
        }
        olt->held_until[oldest] = sim_now_ms() + olt->release_ms;
    }
    timer_stop(olt->sim->loop, &s->run_timer);
    timer_stop(olt->sim->loop, &s->idle_timer);
    timer_stop(olt->sim->loop, &s->slow_timer);
    text_free(&s->typed);
    text_free(&s->page);
    text_free(&s->slow);
    text_free(&s->late);
    free(s);
}

void session_cut(struct session *s)
{
    if (s->term == NULL) {
        return;
    }
    s->phase = PHASE_DEAD;
    timer_stop(s->olt->sim->loop, &s->run_timer);
    timer_stop(s->olt->sim->loop, &s->slow_timer);
    s->term->close(s->term, TERM_END_CUT);
}

void session_restart_idle(struct session *s)
{
    if (s->console.idle_s > 0) {
        timer_start(s->olt->sim->loop, &s->idle_timer, (uint64_t)s->console.idle_s * 1000);
    } else {
        timer_stop(s->olt->sim->loop, &s->idle_timer);
    }
}

static void on_idle(struct timer *t)
{
    struct session *s = SIM_OF(t, struct session, idle_timer);
    session_puts(s, "\r\n  Configuration console time out, please retry to log on\r\n");
    s->phase = PHASE_DEAD;
    s->left = true;
    s->term->close(s->term, TERM_END_CLEAN);
}

void session_notice(struct session *s, const char *text)
{
    session_puts(s, "\r\n");
    session_puts(s, text);
    if (s->phase == PHASE_PROMPT && s->olt->async_prompt) {
        char prompt[160];
        prompt_text(s, prompt, sizeof prompt);
        session_puts(s, "\r\n");
        session_puts(s, prompt);
        session_write(s, s->line, s->line_len);
    }
}

/* -- faults that change what is said ------------------------------------------------------------------------------ */

void alarm_text(const struct olt *olt, struct text *out)
{
    char now[40];
    time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S+00:00", &tm);
    text_line(out, "\r\n\r\n  ! 1[%s]:\r\n", now);
    text_line(out, "  ALARM %llu FAULT MAJOR 0x2e112003 GPON COMM 0/1/3 %s",
              (unsigned long long)olt->count.commands + 12345, now);
    text_line(out, "  ALARM NAME  : The feed fiber is broken or OLT can not receive any expected");
    text_line(out, "                optical signals(LOS)");
    text_line(out, "  PARAMETERS  : FrameID: 0, SlotID: 1, PortID: 3");
    text_line(out, "  DESCRIPTION : Failure: this text belongs to an alarm and to no command");
    text_line(out, "  CAUSE       : The feed fiber is broken");
    text_line(out, "  ADVICE      : Check the feed fiber");
    text_line(out, "  --- END");
}

static void insert_alarm(struct session *s, struct text *out)
{
    const struct fault *due = fault_take(s->olt, "alarm", s->command_line);
    if (due == NULL || (!s->console.events && fault_flag(due, "obeys_infoswitch", false))) {
        return;
    }
    struct text alarm = {0}, joined = {0};
    alarm_text(s->olt, &alarm);
    size_t at = 0; /* behind the line that holds the middle */
    while (out->len > 0 && at < out->len / 2) {
        const char *nl = memchr(out->p + at, '\n', out->len - at);
        at = nl != NULL ? (size_t)(nl - out->p) + 1 : out->len;
    }
    text_add(&joined, out->p != NULL ? out->p : "", at);
    text_add(&joined, alarm.p, alarm.len);
    text_add(&joined, out->p != NULL ? out->p + at : "", out->len - at);
    text_free(&alarm);
    text_free(out);
    *out = joined;
}

/* Bytes that a terminal would not show. */
static void insert_noise(struct text *out)
{
    static const char *const junk[] = {"\a", "\033[0m", "\r", "\033[1D\033[1C", "\001\002"};
    struct text noisy = {0};
    for (size_t i = 0; i < out->len; i++) {
        if (i % 11 == 0) {
            const char *j = junk[(i / 11) % 5];
            text_add(&noisy, j, strlen(j));
            text_add(&noisy, "\0", i % 2);
        }
        text_add(&noisy, out->p + i, 1);
    }
    text_free(out);
    *out = noisy;
}

static unsigned latency(const struct olt *olt, const char *line)
{
    size_t i;
    json_t *one;
    json_array_foreach (olt->latency_for, i, one) {
        regex_t re;
        const char *match = json_string_value(json_object_get(one, "match"));
        if (match == NULL || regcomp(&re, match, REG_EXTENDED | REG_NOSUB) != 0) {
            continue;
        }
        bool hit = regexec(&re, line, 0, NULL, 0) == 0;
        regfree(&re);
        if (hit) {
            return (unsigned)json_integer_value(json_object_get(one, "ms"));
        }
    }
    return olt->latency_ms;
}

/* -- running a command -------------------------------------------------------------------------------------------- */

static const char *run_and_count(struct session *s, struct text *out, bool *wrote)
{
    struct olt *olt = s->olt;
    olt->count.per_command[s->command - command_table]++;
    enum command_result r = s->command->run(s, &s->parsed, out);
    bool write = (s->command->flags & CMD_WRITE) != 0;
    if (r == CMD_LOGOUT) {
        s->closes = true;
        s->left = true;
    }
    if (write && r == CMD_DONE) {
        *wrote = true;
        olt_wrote(olt, s->number, s->command_line);
        return "done";
    }
    olt->count.refused += write;
    return r == CMD_REFUSED ? "refused" : "done";
}

/* An OLT that answers and does nothing. */
static const char *pretend(struct session *s, struct text *out)
{
    struct conf keep = {0};
    conf_copy(&keep, &s->olt->running);
    s->command->run(s, &s->parsed, out);
    conf_free(&s->olt->running);
    s->olt->running = keep;
    return "nothing";
}

/* Fills out with what the device says; returns the word for the log. */
static const char *execute(struct session *s, struct text *out, bool *wrote)
{
    struct olt *olt = s->olt;
    const char *line = s->command_line;
    bool session_only = (s->command->flags & CMD_SESSION) != 0;
    const struct fault *odd = fault_take(olt, "unknown_text", line);
    if (odd != NULL) {
        if (fault_flag(odd, "execute", false)) {
            run_and_count(s, out, wrote);
            text_clear(out);
        }
        text_line(out, "%s", fault_string(odd, "text", "  Failure: Configuring ONT-ID 5 failed"));
        return "odd";
    }
    if (!session_only && (olt->saving || fault_take(olt, "flash_busy", line) != NULL)) {
        text_line(out, "  Failure: System is reading or writing flash, please retry after a while");
        return "flash";
    }
    if (!session_only && fault_take(olt, "busy", line) != NULL) {
        text_line(out, "  Failure: System is busy, please retry after a while");
        return "busy";
    }
    if ((s->command->flags & CMD_WRITE) != 0 && fault_take(olt, "do_nothing", line) != NULL) {
        return pretend(s, out);
    }
    return run_and_count(s, out, wrote);
}

static void keep_lines_with(struct text *out, const char *word)
{
    struct text kept = {0};
    for (size_t at = 0; at < out->len;) {
        const char *nl = memchr(out->p + at, '\n', out->len - at);
        size_t len = nl != NULL ? (size_t)(nl - out->p) + 1 - at : out->len - at;
        if (memmem(out->p + at, len, word, strlen(word)) != NULL) {
            text_add(&kept, out->p + at, len);
        }
        at += len;
    }
    text_free(out);
    *out = kept;
}

static void answer(struct session *s, struct text *out)
{
    struct olt *olt = s->olt;
    if (s->include[0] != '\0') {
        keep_lines_with(out, s->include);
    }
    insert_alarm(s, out);
    if (fault_take(olt, "noise", s->command_line) != NULL) {
        insert_noise(out);
    }
    const struct fault *slow = fault_take(olt, "slow", s->command_line);
    if (slow != NULL) {
        s->slow_ms = (unsigned)fault_number(slow, "ms", 20);
    }
    session_show(s, out);
    session_pump(s);
}

static void on_late(struct timer *t)
{
    struct session *s = SIM_OF(t, struct session, run_timer);
    t->fire = on_run;
    answer(s, &s->late);
}

void session_ask_name(struct session *s)
{
    s->phase = PHASE_LOGIN;
    s->named = false;
    s->line_len = 0;
    session_puts(s, "\r\n\r\n>>User name:");
}

/* Nobody gets in here: whoever types a name and a password has guessed. */
static void login_line(struct session *s)
{
    if (!s->named) {
        s->named = s->line_len > 0;
        s->line_len = 0;
        session_puts(s, s->named ? ">>User password:" : ">>User name:");
        return;
    }
    s->olt->count.login_failures++;
    session_puts(s, "\r\n  Username or password invalid.");
    session_ask_name(s);
}

static void on_run(struct timer *t)
{
    struct session *s = SIM_OF(t, struct session, run_timer);
    struct olt *olt = s->olt;
    struct text out = {0};
    bool wrote = false;
    if (fault_take(olt, "login_again", s->command_line) != NULL) {
        olt_log(olt, s->number, s->command_line, "login");
        session_ask_name(s);
        return;
    }
    const struct fault *silence = fault_take(olt, "silence", s->command_line);
    if (silence != NULL && !fault_flag(silence, "execute", false)) {
        olt_log(olt, s->number, s->command_line, "silent");
        s->phase = PHASE_DEAD;
        return;
    }
    const char *result = execute(s, &out, &wrote);
    bool cut = wrote && fault_take(olt, "cut_after_write", s->command_line) != NULL;
    olt_log(olt, s->number, s->command_line, cut ? "done, cut" : result);
    if (cut) {
        text_free(&out);
        session_cut(s);
        return;
    }
    if (silence != NULL) {
        long seconds_ms = (long)(json_number_value(json_object_get(silence->args, "seconds")) * 1000);
        if (seconds_ms <= 0) {
            text_free(&out);
            s->phase = PHASE_DEAD;
            return;
        }
        s->late = out;
        t->fire = on_late;
        timer_start(olt->sim->loop, t, (uint64_t)seconds_ms);
        return;
    }
    answer(s, &out);
}

/* After a smart question the device says the whole command again. */
static void say_again(struct session *s)
{
    if (s->asked) {
        session_puts(s, "\r\n  Command:\r\n          ");
        session_puts(s, s->command_line);
        session_puts(s, "\r\n");
        s->asked = false;
    }
}

static void start_run(struct session *s)
{
    say_again(s);
    s->phase = PHASE_BUSY;
    if (fault_take(s->olt, "cut_before", s->command_line) != NULL) {
        olt_log(s->olt, s->number, s->command_line, "cut");
        session_cut(s);
        return;
    }
    unsigned wait = latency(s->olt, s->command_line);
    if (wait > 0) {
        timer_start(s->olt->sim->loop, &s->run_timer, wait);
    } else {
        on_run(&s->run_timer);
    }
}

static void ask_confirmation(struct session *s)
{
    if (s->command->confirm == NULL || !s->console.interactive) {
        start_run(s);
        return;
    }
    say_again(s);
    if (s->command->warning != NULL) {
        session_puts(s, s->command->warning);
    }
    session_puts(s, s->command->confirm);
    s->phase = PHASE_CONFIRM;
    s->line_len = 0;
}

static const char *error_text(struct session *s, enum parse_result r, struct text *out)
{
    static const struct {
        enum parse_result r;
        const char *text, *log;
    } errors[] = {{PARSE_UNKNOWN, "Unknown command", "unknown"},
                  {PARSE_PARAMETER, "Parameter error", "parameter"},
                  {PARSE_TOO_MANY, "Too many parameters", "too-many"},
                  {PARSE_INCOMPLETE, "Incomplete command", "incomplete"}};
    char prompt[160];
    size_t column = prompt_text(s, prompt, sizeof prompt) + s->parsed.error_column;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (errors[i].r == r) {
            text_line(out, "%*s^", (int)column, "");
            text_line(out, "  %% %s, the error locates at '^'", errors[i].text);
            return errors[i].log;
        }
    }
    return "empty";
}

static void say_error(struct session *s, enum parse_result r)
{
    struct text out = {0};
    olt_log(s->olt, s->number, s->command_line, error_text(s, r, &out));
    const struct fault *odd = fault_take(s->olt, "unknown_text", s->command_line);
    if (odd != NULL) {
        text_clear(&out);
        text_line(&out, "%s", fault_string(odd, "text", "  Failure: Configuring ONT-ID 5 failed"));
    }
    session_show(s, &out);
}

static void ask_smart(struct session *s, const char *question)
{
    session_puts(s, question);
    s->phase = PHASE_SMART;
    s->line_len = 0;
}

static void ask_missing(struct session *s)
{
    struct text q = {0};
    text_fmt(&q, "{ %s }:", s->parsed.expected);
    ask_smart(s, q.p);
    text_free(&q);
}

/* Cuts `| include TEXT` and `| no-more` off the end of a line. */
static void take_filter(struct session *s, char *line)
{
    s->include[0] = '\0';
    s->no_more = false;
    char *bar = strrchr(line, '|');
    if (bar == NULL || strchr(bar, ';') != NULL) {
        return;
    }
    char word[80] = "";
    if (strstr(bar, "no-more") != NULL) {
        s->no_more = true;
    } else if (sscanf(bar, "| include \"%79[^\"]\"", word) == 1 || sscanf(bar, "| include %79[^\"]", word) == 1) {
        snprintf(s->include, sizeof s->include, "%s", word);
    } else {
        return;
    }
    while (bar > line && bar[-1] == ' ') {
        bar--;
    }
    *bar = '\0';
}

static void begin(struct session *s, const char *line)
{
    while (*line == ' ') {
        line++;
    }
    if (line != s->command_line) {
        memmove(s->command_line, line, strlen(line) + 1);
    }
    size_t len = strlen(s->command_line);
    while (len > 0 && s->command_line[len - 1] == ' ') {
        s->command_line[--len] = '\0';
    }
    s->asked = false;
    char bare[sizeof s->command_line];
    memcpy(bare, s->command_line, sizeof bare);
    take_filter(s, bare);
    enum parse_result r = parse_line(bare, s->console.mode, &s->parsed, &s->command);
    if (r == PARSE_EMPTY) {
        session_prompt(s);
    } else if (r == PARSE_INCOMPLETE && s->console.smart && s->parsed.expected[0] != '\0') {
        ask_missing(s);
    } else if (r != PARSE_OK) {
        say_error(s, r);
    } else if (s->console.smart && s->command->ask != NULL) {
        ask_smart(s, s->command->ask);
    } else {
        ask_confirmation(s);
    }
}

/* Enter keeps the command as it is; anything else is added to it, without its blanks, and must make sense. */
static void smart_answer(struct session *s)
{
    char word[LINE_MAX_BYTES + 1];
    size_t len = 0;
    for (size_t i = 0; i < s->line_len; i++) {
        if (s->line[i] != ' ') {
            word[len++] = s->line[i];
        }
    }
    word[len] = '\0';
    struct parsed with;
    const struct command *command = s->command;
    char whole[sizeof s->command_line];
    if ((size_t)snprintf(whole, sizeof whole, "%s%s%s", s->command_line, len > 0 ? " " : "", word) >= sizeof whole) {
        len = sizeof whole;
    }
    enum parse_result r = len < sizeof whole ? parse_line(whole, s->console.mode, &with, &command) : PARSE_PARAMETER;
    if (len == 0 && s->command != NULL && s->parsed.expected[0] == '\0') {
        s->asked = true;
        ask_confirmation(s);
        return;
    }
    bool was_missing = s->parsed.expected[0] != '\0';
    if (len > 0 && (r == PARSE_OK || (r == PARSE_INCOMPLETE && with.expected[0] != '\0'))) {
        memcpy(s->command_line, whole, sizeof whole);
        s->parsed = with;
        parse_line(whole, s->console.mode, &s->parsed, &s->command); /* the values point into s->parsed */
        if (r == PARSE_OK && was_missing && s->command->ask != NULL) {
            ask_smart(s, s->command->ask);
        } else if (r == PARSE_OK) {
            s->asked = true;
            ask_confirmation(s);
        } else {
            ask_missing(s);
        }
        return;
    }
    if (++s->wrong_answers >= WRONG_ANSWERS_MAX) {
        olt_log(s->olt, s->number, s->command_line, "reenter");
        session_puts(s, "  " REENTER "\r\n");
        session_prompt(s);
        return;
    }
    session_puts(s, "  % Parameter error, the error locates at '^'\r\n");
    if (s->parsed.expected[0] != '\0') {
        ask_missing(s);
    } else {
        ask_smart(s, s->command->ask);
    }
}

void session_enter(struct session *s)
{
    if (s->phase == PHASE_PROMPT) {
        s->wrong_answers = 0;
        s->command = NULL;
        memcpy(s->command_line, s->line, s->line_len + 1);
        if (s->line_len > 0) {
            s->olt->count.commands++;
        }
        begin(s, s->command_line);
    } else if (s->phase == PHASE_SMART) {
        smart_answer(s);
    } else if (s->phase == PHASE_LOGIN) {
        login_line(s);
    } else if (strcasecmp(s->line, "y") == 0) {
        start_run(s);
    } else {
        olt_log(s->olt, s->number, s->command_line, "not confirmed");
        session_prompt(s);
    }
}

const char *session_run(struct session *s, const char *line, struct text *out)
{
    bool wrote = false;
    snprintf(s->command_line, sizeof s->command_line, "%s", line);
    enum parse_result r = parse_line(line, s->console.mode, &s->parsed, &s->command);
    if (r != PARSE_OK) {
        return error_text(s, r, out);
    }
    return run_and_count(s, out, &wrote);
}
