/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "worker/ctl/causes.h"

size_t sn_cause_count(void)
{
    size_t n = 0;

    while (sn_causes[n].code != NULL)
        n++;
    return n;
}

const struct sn_cause *sn_cause_at(size_t i)
{
    return &sn_causes[i];
}

const struct sn_cause *sn_cause_find(const char *code)
{
    for (const struct sn_cause *c = sn_causes; c->code != NULL; c++) {
        if (strcmp(c->code, code) == 0)
            return c;
    }
    return NULL;
}

static void add_argument(const json_t *args, const char *name, struct sn_buf *out)
{
    const json_t *value = json_object_get(args, name);
    char *text;

    if (json_is_string(value)) {
        sn_buf_add_escaped(out, json_string_value(value), json_string_length(value));
        return;
    }
    text = value != NULL && !json_is_null(value) ? sn_json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text != NULL)
        sn_buf_add_escaped(out, text, strlen(text));
    else
        sn_buf_addf(out, "<%s>", name);
    free(text);
}

void sn_cause_fill(const char *sentence, const json_t *args, struct sn_buf *out)
{
    for (;;) {
        const char *start = strstr(sentence, "%{");
        const char *end = start != NULL ? strchr(start, '}') : NULL;
        char name[40];

        if (end == NULL || (size_t)(end - start - 2) >= sizeof(name)) {
            sn_buf_adds(out, sentence);
            return;
        }
        sn_buf_add(out, sentence, (size_t)(start - sentence));
        (void)snprintf(name, sizeof(name), "%.*s", (int)(end - start - 2), start + 2);
        add_argument(args, name, out);
        sentence = end + 1;
    }
}
