/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/failpoint.h"

#ifdef SN_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/base/text.h"

#define NAP_S 4
#define ENTRIES_MAX 32

/* One entry `name[~detail]=action[@n]` of the list; true when this hit is meant. */
static bool entry_matches(char *entry, const char *name, const char *detail, char **ret_action, int *ret_at)
{
    char *action = strrchr(entry, '=');
    char *at;
    char *part;

    if (action == NULL)
        return false;
    *action++ = '\0';
    at = strchr(action, '@');
    *ret_at = 1;
    if (at != NULL) {
        *at++ = '\0';
        *ret_at = (int)strtol(at, NULL, 10);
    }
    part = strchr(entry, '~');
    if (part != NULL)
        *part++ = '\0';
    *ret_action = action;
    return (strcmp(entry, "*") == 0 || strcmp(entry, name) == 0) && (part == NULL || strstr(detail, part) != NULL);
}

static bool act(const char *action, const char *name)
{
    fprintf(stderr, "failpoint %s: %s\n", name, action);
    if (strcmp(action, "kill") == 0)
        (void)raise(SIGKILL);
    if (strcmp(action, "stop") == 0)
        (void)raise(SIGSTOP);
    if (strcmp(action, "nap") == 0)
        (void)nanosleep(&(struct timespec){ .tv_sec = NAP_S }, NULL);
    return strcmp(action, "cut") == 0;
}

bool sn_failpoint_hit(const char *name, const char *detail)
{
    static atomic_int hits[ENTRIES_MAX];
    const char *env = getenv("SILVER_FAILPOINTS");
    const char *said = detail != NULL ? detail : "";
    char list[1024];
    char *save = NULL;
    bool cut = false;
    int i = 0;

    if (env == NULL)
        return false;
    (void)snprintf(list, sizeof(list), "%s", env);
    for (char *e = strtok_r(list, ",", &save); e != NULL && i < ENTRIES_MAX; e = strtok_r(NULL, ",", &save), i++) {
        char *action;
        int at;
        while (*e == ' ')
            e++;
        if (!entry_matches(e, name, said, &action, &at))
            continue;
        if (strcmp(action, "trace") == 0) {
            char text[160];
            sn_text_escape(text, sizeof(text), said, strlen(said));
            fprintf(stderr, "failpoint %s: %s\n", name, text);
        } else if (atomic_fetch_add(&hits[i], 1) + 1 == at) {
            cut = act(action, name) || cut;
        }
    }
    return cut;
}
#else
typedef int sn_failpoint_unused; /* ISO C forbids an empty translation unit */
#endif
