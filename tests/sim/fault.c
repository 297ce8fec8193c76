/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdlib.h>
#include <string.h>

const char *const fault_kinds[] = {"cut_after_write", "cut_before", "silence", "busy", "flash_busy", "refuse_login",
                                   "quota", "unknown_text", "do_nothing", "slow", "alarm", "alarm_echo", "noise",
                                   "save_never_completes", "save_cut", "refuse_connect", "half_open", "login_again", NULL};

static bool known_kind(const char *kind)
{
    for (size_t i = 0; fault_kinds[i] != NULL; i++) {
        if (strcmp(fault_kinds[i], kind) == 0) {
            return true;
        }
    }
    return false;
}

static void fault_free(struct fault *f)
{
    if (f->match != NULL) {
        regfree(&f->regex);
        free(f->match);
    }
    json_decref(f->args);
    free(f);
}

struct fault *fault_add(struct olt *olt, json_t *order, struct text *err)
{
    const char *kind = json_string_value(json_object_get(order, "kind"));
    const char *match = json_string_value(json_object_get(order, "match"));
    if (kind == NULL || !known_kind(kind)) {
        text_fmt(err, "unknown fault kind \"%s\"", kind != NULL ? kind : "");
        return NULL;
    }
    struct fault *f = sim_alloc(sizeof *f);
    memcpy(f->kind, kind, strlen(kind)); /* known kinds are shorter than the field */
    f->args = json_incref(order);
    if (match != NULL) {
        if (regcomp(&f->regex, match, REG_EXTENDED | REG_NOSUB) != 0) {
            text_fmt(err, "\"%s\" is no extended regular expression", match);
            json_decref(f->args);
            free(f);
            return NULL;
        }
        f->match = sim_strdup(match);
    }
    long seconds_ms = 0;
    json_t *seconds = json_object_get(order, "seconds");
    /* for silence, "seconds" is how late the answer comes, not how long the fault lives */
    if (json_is_number(seconds) && strcmp(kind, "silence") != 0 && strcmp(kind, "save_never_completes") != 0) {
        seconds_ms = (long)(json_number_value(seconds) * 1000);
        f->until_ms = sim_now_ms() + (uint64_t)seconds_ms;
    }
    long n = fault_number(f, "n", 1);
    f->skip = n > 1 ? (unsigned)(n - 1) : 0;
    f->count = (int)fault_number(f, "count", seconds_ms > 0 ? -1 : 1);
    struct fault **end = &olt->faults;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = f;
    return f;
}

static bool fault_alive(const struct fault *f)
{
    return f->count != 0 && (f->until_ms == 0 || sim_now_ms() < f->until_ms);
}

const struct fault *fault_take(struct olt *olt, const char *kind, const char *line)
{
    const struct fault *due = NULL;
    for (struct fault *f = olt->faults; f != NULL && due == NULL; f = f->next) {
        if (strcmp(f->kind, kind) != 0 || !fault_alive(f)) {
            continue;
        }
        if (f->match != NULL && (line == NULL || regexec(&f->regex, line, 0, NULL, 0) != 0)) {
            continue;
        }
        if (f->skip > 0) {
            f->skip--;
            continue;
        }
        if (f->count > 0) {
            f->count--;
        }
        f->fired++;
        due = f;
    }
    return due;
}
void fault_clear(struct olt *olt, const char *kind)
{
    struct fault **at = &olt->faults;
    while (*at != NULL) {
        struct fault *f = *at;
        if (kind == NULL || strcmp(f->kind, kind) == 0) {
            *at = f->next;
            fault_free(f);
        } else {
            at = &f->next;
        }
    }
}

json_t *fault_list(struct olt *olt)
{
    json_t *list = json_array();
    for (const struct fault *f = olt->faults; f != NULL; f = f->next) {
        json_t *one = json_copy(f->args);
        json_object_set_new(one, "left", json_integer(fault_alive(f) ? f->count : 0));
        json_object_set_new(one, "fired", json_integer(f->fired));
        json_array_append_new(list, one);
    }
    return list;
}

long fault_number(const struct fault *f, const char *name, long otherwise)
{
    json_t *v = json_object_get(f->args, name);
    return json_is_number(v) ? (long)json_number_value(v) : otherwise;
}

bool fault_flag(const struct fault *f, const char *name, bool otherwise)
{
    json_t *v = json_object_get(f->args, name);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

const char *fault_string(const struct fault *f, const char *name, const char *otherwise)
{
    const char *v = json_string_value(json_object_get(f->args, name));
    return v != NULL ? v : otherwise;
}
