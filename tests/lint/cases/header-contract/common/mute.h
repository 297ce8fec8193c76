/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SN_COMMON_MUTE_H
#define SN_COMMON_MUTE_H
/* Thread: this comment is of one function, not of the header. */
void mute(void);
#endif
