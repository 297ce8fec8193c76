/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/json.h"

#include "common/base/clock.h"

const char *sn_json_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

int64_t sn_json_number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

int64_t sn_json_number_or(const json_t *object, const char *key, int64_t otherwise)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool sn_json_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

int64_t sn_json_time(const json_t *object, const char *key)
{
    int64_t ms;

    return sn_clock_parse_utc(sn_json_text(object, key), &ms) == 0 ? ms : 0;
}

json_t *sn_json_new_time(int64_t wall_ms)
{
    char text[SN_TIME_TEXT_MAX];

    if (wall_ms <= 0)
        return json_null();
    sn_clock_format_utc(wall_ms, text);
    return json_string(text);
}
