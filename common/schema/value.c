/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "common/schema/rules.h"

bool sn_value_is_integer(const json_t *value)
{
    double real;

    if (json_is_integer(value))
        return true;
    if (!json_is_real(value))
        return false;
    real = json_real_value(value);
    return isfinite(real) && floor(real) == real;
}

/* A long double holds every int64 exactly on the machines that we build for (64-bit mantissa or more). */
static long double as_number(const json_t *value)
{
    if (json_is_integer(value))
        return (long double)json_integer_value(value);
    return (long double)json_real_value(value);
}

int sn_value_compare(const json_t *a, const json_t *b)
{
    long double x = as_number(a);
    long double y = as_number(b);

    if (x < y)
        return -1;
    return x > y ? 1 : 0;
}

bool sn_value_is_multiple(const json_t *value, const json_t *divisor)
{
    double quotient;

    if (json_is_integer(value) && json_is_integer(divisor))
        return json_integer_value(value) % json_integer_value(divisor) == 0;
    quotient = json_number_value(value) / json_number_value(divisor);
    return isfinite(quotient) && floor(quotient) == quotient;
}

static bool equal_objects(const json_t *a, const json_t *b, unsigned *steps)
{
    const char *name;
    json_t *value;

    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, name, value)
    {
        const json_t *other = json_object_get(b, name);
        if (other == NULL || !sn_value_equal(value, other, steps))
            return false;
    }
    return true;
}

static bool equal_arrays(const json_t *a, const json_t *b, unsigned *steps)
{
    size_t len = json_array_size(a);

    if (len != json_array_size(b))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!sn_value_equal(json_array_get(a, i), json_array_get(b, i), steps))
            return false;
    }
    return true;
}

bool sn_value_equal(const json_t *a, const json_t *b, unsigned *steps)
{
    if (*steps == 0)
        return false;
    *steps -= 1;
    if (json_is_number(a) && json_is_number(b))
        return sn_value_compare(a, b) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_string(a))
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    if (json_is_array(a))
        return equal_arrays(a, b, steps);
    if (json_is_object(a))
        return equal_objects(a, b, steps);
    return true;
}
