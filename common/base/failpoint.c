/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/failpoint.h"

#ifdef SN_FAILPOINTS
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAP_S 4

/* One entry `name[~detail]=action[@n]` of the list; returns the action when it is meant, else "". */
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
    return strcmp(entry, name) == 0 && (part == NULL || (detail != NULL && strstr(detail, part) != NULL));
}

bool sn_failpoint_hit(const char *name, const char *detail, atomic_int *hits)
{
    const char *env = getenv("SILVER_FAILPOINTS");
    char list[1024];
    char *save = NULL;

    if (env == NULL)
        return false;
    (void)snprintf(list, sizeof(list), "%s", env);
    for (char *e = strtok_r(list, ",", &save); e != NULL; e = strtok_r(NULL, ",", &save)) {
        char *action;
        int at;
        while (*e == ' ')
            e++;
        if (!entry_matches(e, name, detail, &action, &at))
            continue;
        if (atomic_fetch_add(hits, 1) + 1 != at)
            return false;
        fprintf(stderr, "failpoint %s: %s\n", name, action);
        if (strcmp(action, "kill") == 0)
            (void)raise(SIGKILL);
        if (strcmp(action, "stop") == 0)
            (void)raise(SIGSTOP);
        if (strcmp(action, "nap") == 0)
            (void)nanosleep(&(struct timespec){ .tv_sec = NAP_S }, NULL);
        return strcmp(action, "cut") == 0;
    }
    return false;
}
#else
typedef int sn_failpoint_unused; /* ISO C forbids an empty translation unit */
#endif
