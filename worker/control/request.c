/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/control/request.h"

#include <string.h>

#include "common/base/text.h"
#include "common/event/event.h"
#include "common/schema/doc.h"

static int copy(char *out, size_t size, const json_t *request, const char *name)
{
    const char *text = json_string_value(json_object_get(request, name));

    return sn_text_copy(out, size, text != NULL ? text : "");
}

static int judge(const struct sn_schemas *schemas, const json_t *request, struct sn_error *err)
{
    struct sn_violation violation;

    /* the schema would judge it as a reply or an output, not as a request */
    if (json_object_get(request, "kind") != NULL || json_object_get(request, "output") != NULL)
        return sn_error_set(err, "document.shape", "it has kind or output");
    if (!sn_schema_check(sn_schemas_get(schemas, SN_SCHEMA_CTL), request, &violation))
        return sn_error_set(err, "document.shape", "%s: %s", violation.path, violation.rule);
    return 0;
}

/* Of a request that is refused: for the answer. */
static void keep_id(struct sn_request *ret, const json_t *request)
{
    const char *id = json_string_value(json_object_get(request, "id"));

    memset(ret, 0, sizeof(*ret));
    if (sn_event_is_uuid(id))
        memcpy(ret->id, id, sizeof(ret->id)); /* 36 characters and the NUL */
}

int sn_request_read(const struct sn_schemas *schemas, const char *body, size_t len, struct sn_request *ret,
                    struct sn_error *err)
{
    static const struct sn_doc_limits limits = { .bytes_max = 256 * 1024, .nodes_max = 16384, .depth_max = 24 };
    const char *deadline;
    json_t *request = NULL;
    int rc;

    memset(ret, 0, sizeof(*ret));
    if (sn_doc_load(body, len, SN_DOC_JSON, &limits, &request, err) != 0)
        return -1;
    rc = judge(schemas, request, err);
    if (rc == 0) {
        deadline = json_string_value(json_object_get(request, "deadline"));
        if (copy(ret->id, sizeof(ret->id), request, "id") != 0 || copy(ret->what, sizeof(ret->what), request, "what") != 0 ||
            copy(ret->device, sizeof(ret->device), request, "device") != 0 ||
            copy(ret->by, sizeof(ret->by), request, "by") != 0 || sn_clock_parse_utc(deadline, &ret->deadline_ms) != 0)
            rc = sn_error_set(err, "document.shape", "a text is too long, or the deadline is no date");
        else
            ret->args = json_incref(json_object_get(request, "args"));
    }
    if (rc != 0)
        keep_id(ret, request);
    json_decref(request);
    return rc;
}

void sn_request_fini(struct sn_request *r)
{
    json_decref(r->args);
    memset(r, 0, sizeof(*r));
}
