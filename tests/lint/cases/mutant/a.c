/* SPDX-License-Identifier: Apache-2.0 */
int twice = 1 + 1;
