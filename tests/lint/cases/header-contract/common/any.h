/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that people read. */
#ifndef SN_COMMON_ANY_H
#define SN_COMMON_ANY_H
#endif
