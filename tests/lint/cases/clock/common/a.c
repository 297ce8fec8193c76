/* SPDX-License-Identifier: Apache-2.0 */
void f(struct timespec *ts, const struct job *job)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    long now = time(0);
    job->time(now); /* a member of that name asks nobody; nor does a comment: random() */
    sn_random_below(3);
    use(random());
}
