/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers against whole texts: what a person sees is a contract too. The clock stands at 2026-11-23 04:30 in Caracas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "worker/ctl/view.h"

#define NOW_MS 1795422600000 /* 2026-11-23T08:30:00Z */

typedef void view_fn(struct sn_out *o, const json_t *document, int64_t now_ms);

static void expect_view(view_fn *view, const char *document, int width, const char *text)
{
    struct sn_out o = { .width = width };
    json_error_t why;
    json_t *doc = json_loads(document, 0, &why);

    if (doc == NULL)
        fail_msg("%s at %d", why.text, why.position);
    view(&o, doc, NOW_MS);
    assert_false(o.buf.failed);
    assert_string_equal(sn_buf_str(&o.buf), text);
    sn_buf_fini(&o.buf);
    json_decref(doc);
}

#include "tests/unit/worker/ctl/views.inc"

static int set_up(void **state)
{
    (void)state;
    if (setenv("TZ", "America/Caracas", 1) != 0)
        return -1;
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_in_progress), cmocka_unit_test(test_event_dead),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
