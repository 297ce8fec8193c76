/* SPDX-License-Identifier: Apache-2.0 */
/* Any JSON as the document of every view of silverctl, as a worker, the ledger or Redis might say it: what reaches the terminal is UTF-8
 * without control bytes but newlines and our own colours. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "common/schema/doc.h"
#include "worker/ctl/view.h"

#define NOW_MS INT64_C(1795422600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef void view_fn(struct sn_out *o, const json_t *document, int64_t now_ms);

static view_fn *const VIEWS[] = {
    sn_view_config, sn_view_contract, sn_view_device,  sn_view_devices, sn_view_event,       sn_view_gate,     sn_view_letter_groups, sn_view_letter,
    sn_view_letters, sn_view_plan,    sn_view_publish, sn_view_event_raw, sn_view_device_test, sn_view_topology, sn_view_workers,
};

static void require(int holds)
{
    if (!holds)
        abort();
}

/* Length of a colour's sequence at c, 0 when there is none. */
static size_t colour_at(const char *c)
{
    size_t n;

    if (c[0] != 0x1b || c[1] != '[')
        return 0;
    n = strspn(c + 2, "0123456789;");
    return c[2 + n] == 'm' ? n + 3 : 0;
}

static void check(const struct sn_out *o)
{
    const char *c = sn_buf_str(&o->buf);

    require(!o->buf.failed && strlen(c) == o->buf.len && sn_text_is_utf8(c, o->buf.len));
    while (*c != '\0') {
        size_t colour = o->colour ? colour_at(c) : 0;

        require(colour > 0 || *c == '\n' || ((unsigned char)*c >= 0x20 && *c != 0x7f));
        c += colour > 0 ? colour : 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sn_doc_limits limits = SN_DOC_LIMITS_MESSAGE;
    struct sn_error err;
    json_t *doc = NULL;

    (void)setenv("TZ", "America/Caracas", 1);
    if (sn_doc_load(data, size, SN_DOC_JSON, &limits, &doc, &err) < 0)
        return 0;
    for (size_t i = 0; i < sizeof(VIEWS) / sizeof(VIEWS[0]); i++) {
        struct sn_out o = { .buf = SN_BUF_INIT, .width = 100, .colour = i % 2 == size % 2 };

        VIEWS[i](&o, doc, NOW_MS);
        check(&o);
        sn_buf_fini(&o.buf);
    }
    json_decref(doc);
    return 0;
}
