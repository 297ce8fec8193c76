/* SPDX-License-Identifier: Apache-2.0 */
#define STATES(X)            \
    X(SN_JOB_OPEN, "open")   \
    X(SN_JOB_SHUT, "shut")
void f(const struct job *job)
{
    (void)SN_FAILPOINT("write.known", job->line);
    (void)SN_FAILPOINT(job->write ? "write.known" : "read.secret", job->line);
    (void)SN_FAILPOINT("save.secret", "");
}
