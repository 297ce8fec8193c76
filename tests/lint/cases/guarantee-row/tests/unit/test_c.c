/* SPDX-License-Identifier: Apache-2.0 */
static void it_holds(void **state)
{
    (void)state;
}
