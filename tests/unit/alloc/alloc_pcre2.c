/* SPDX-License-Identifier: Apache-2.0 */
/* What PCRE2 allocates at its door: a call that returns NULL as it does when there is no memory. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "tests/unit/alloc/alloc.h"

pcre2_match_data *__real_pcre2_match_data_create_8(uint32_t ovecsize, pcre2_general_context *context);
pcre2_match_data *__wrap_pcre2_match_data_create_8(uint32_t ovecsize, pcre2_general_context *context);
pcre2_match_context *__real_pcre2_match_context_create_8(pcre2_general_context *context);
pcre2_match_context *__wrap_pcre2_match_context_create_8(pcre2_general_context *context);
pcre2_code *__real_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *ret_code, PCRE2_SIZE *ret_at,
                                   pcre2_compile_context *context);
pcre2_code *__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *ret_code, PCRE2_SIZE *ret_at,
                                   pcre2_compile_context *context);

pcre2_match_data *__wrap_pcre2_match_data_create_8(uint32_t ovecsize, pcre2_general_context *context)
{
    return alloc_fails() ? NULL : __real_pcre2_match_data_create_8(ovecsize, context);
}

pcre2_match_context *__wrap_pcre2_match_context_create_8(pcre2_general_context *context)
{
    return alloc_fails() ? NULL : __real_pcre2_match_context_create_8(context);
}

pcre2_code *__wrap_pcre2_compile_8(PCRE2_SPTR pattern, PCRE2_SIZE len, uint32_t options, int *ret_code, PCRE2_SIZE *ret_at,
                                   pcre2_compile_context *context)
{
    if (!alloc_fails())
        return __real_pcre2_compile_8(pattern, len, options, ret_code, ret_at, context);
    *ret_code = PCRE2_ERROR_HEAP_FAILED;
    *ret_at = 0;
    return NULL;
}
