/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of real devices (docs/protocols/huawei-smartax.md names where each comes from). */
#ifndef SN_TESTS_FIXTURE_H
#define SN_TESTS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

/* The file's text; freed by the caller. Fails the test when it is not there. */
static inline char *fixture(const char *name)
{
    char path[256];
    char *text = calloc(1, 65536);
    FILE *f;

    (void)snprintf(path, sizeof(path), "tests/unit/drivers/huawei-smartax/fixtures/%s", name);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, 65535, f) > 0);
    (void)fclose(f);
    return text;
}

#endif
