/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of one option, from text and to text; not for other folders.
 * Fills and frees the member that the row names; values belongs to the caller, who loads in one thread.
 * Thread: the one that loads; a filled struct is only read, by any.
 */
#ifndef SN_COMMON_CONFIG_VALUE_H
#define SN_COMMON_CONFIG_VALUE_H

#include "common/config/options.h"

/* Why a value is refused: code is config.value or config.range; text is the reason alone, without the place. */
int sn_value_set(const struct sn_option_row *row, void *values, const char *text, struct sn_error *err) SN_MUSTCHECK;
/* The same for a list of count texts. */
int sn_value_set_list(const struct sn_option_row *row, void *values, const char *const *items, size_t count,
                      struct sn_error *err) SN_MUSTCHECK;
void sn_value_free(const struct sn_option_row *row, void *values);
/* "" or a list without entries; never for another type. */
bool sn_value_is_empty(const struct sn_option_row *row, const void *values);
bool sn_option_value_equal(const struct sn_option_row *row, const void *a, const void *b);

/* As YAML. */
void sn_value_print(const struct sn_option_row *row, const void *values, struct sn_buf *out);
/* A number of the row's type as people write it: 15s, 64KiB, 8. */
void sn_value_print_number(const struct sn_option_row *row, int64_t number, struct sn_buf *out);

#endif
