/* 1
2
3
*/
/* SPDX-License-Identifier: Apache-2.0 */
