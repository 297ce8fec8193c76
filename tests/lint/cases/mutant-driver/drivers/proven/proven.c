/* SPDX-License-Identifier: Apache-2.0 */
int twice = 2;
