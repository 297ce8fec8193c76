/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_H
#define TEST_H
#endif
