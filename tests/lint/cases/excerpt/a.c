/* SPDX-License-Identifier: Apache-2.0 */
static int twice(int n)
{
    int r = n;

    return 2 * r;
}
