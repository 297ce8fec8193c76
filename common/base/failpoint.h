/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named failure points, compiled in for tests (SN_FAILPOINTS) and absent from a release build. All names:
 * docs/failpoints.md (tests/lint compares).
 *
 * SILVER_FAILPOINTS="step.before-write~ont add=kill, claim.after=stop@2": at the second hit of claim.after the process
 * stops itself; `~text` asks for a detail that contains the text; the name `*` is every point. Actions: kill (SIGKILL),
 * stop (SIGSTOP), nap (this thread alone waits 4 s), cut (the caller is told and cuts its link), trace (each hit is a line
 * "failpoint <name>: <detail>" on stderr). @n = at the n-th matching hit only, default 1. Each entry of the list keeps its
 * own count. Thread: any.
 */
#ifndef SN_COMMON_BASE_FAILPOINT_H
#define SN_COMMON_BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef SN_FAILPOINTS
bool sn_failpoint_hit(const char *name, const char *detail);
/* True when the caller shall cut its link. */
#define SN_FAILPOINT(name, detail) sn_failpoint_hit((name), (detail))
#else
#define SN_FAILPOINT(name, detail) ((void)(name), (void)(detail), false)
#endif

#endif
