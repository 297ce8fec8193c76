/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that people read. Returned texts are the caller's.
 * Thread: any, no state.
 */
#ifndef SN_COMMON_GOOD_H
#define SN_COMMON_GOOD_H
#endif
