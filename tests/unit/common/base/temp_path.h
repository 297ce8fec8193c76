/* SPDX-License-Identifier: Apache-2.0 */
/* A path in the folder that tests may write to (TMPDIR), as mkstemp() and mkdtemp() want it. */
#ifndef SN_TESTS_UNIT_COMMON_BASE_TEMP_PATH_H
#define SN_TESTS_UNIT_COMMON_BASE_TEMP_PATH_H

#include <stdio.h>
#include <stdlib.h>

#define TEMP_PATH_MAX 256

static inline char *temp_path(char out[TEMP_PATH_MAX])
{
    const char *folder = getenv("TMPDIR");

    (void)snprintf(out, TEMP_PATH_MAX, "%s/silver-test-XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    return out;
}

#endif
