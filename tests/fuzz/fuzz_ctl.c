/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a person's request over silver.ctl: refused with a code, or its texts are harmless and whole, and an event in it is read
 * as one from the queue would be. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/event/event.h"
#include "worker/control/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sn_schemas *schemas;

static void require(int holds)
{
    if (!holds)
        abort();
}

static int is_harmless(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return 0;
    }
    return len < size;
}

/* As worker/control does it for a plan. */
static void read_event(const json_t *event)
{
    struct sn_event_policy policy = { .schemas = schemas };
    struct sn_event_refusal refusal = { 0 };
    struct sn_event *ev = NULL;
    char *text = json_dumps(event, JSON_COMPACT);

    require(text != NULL);
    if (sn_event_read(&policy, text, strlen(text), "application/json", NULL, &ev, &refusal) == 0)
        sn_event_free(ev);
    else
        require(refusal.code[0] != '\0');
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_request request;
    struct sn_error err = { .code = "" };
    const char *why;

    if (schemas == NULL && sn_schemas_load(&schemas, &err) < 0)
        abort();
    if (sn_request_read(schemas, (const char *)data, size, &request, &err) != 0) {
        require(err.code[0] != '\0' && is_harmless(err.text, sizeof(err.text)) && request.args == NULL);
        return 0;
    }
    require(strlen(request.id) == SN_UUID_TEXT_MAX - 1 && is_harmless(request.id, sizeof(request.id)));
    require(request.what[0] != '\0' && is_harmless(request.what, sizeof(request.what)));
    require(request.device[0] != '\0' || strcmp(request.what, "worker-show") == 0);
    require(strspn(request.device, "abcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(request.device));
    require(is_harmless(request.by, sizeof(request.by)) && (request.by[0] != '\0' || strcmp(request.what, "device-pause") != 0));
    why = json_string_value(json_object_get(request.args, "why"));
    require(why == NULL || is_harmless(why, strlen(why) + 1));
    if (strcmp(request.what, "plan") == 0) {
        require(json_is_object(json_object_get(request.args, "event")));
        read_event(json_object_get(request.args, "event"));
    }
    sn_request_fini(&request);
    return 0;
}
