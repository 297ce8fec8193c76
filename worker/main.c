/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silverd. A table of contents: settings, secrets, roles in their order, then wait for a signal, then the way back.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "worker/boot.h"

/* Order important: no core before the first secret, no SIGPIPE before the first socket, signals blocked before the first thread. */
static void harden(const struct sn_boot *boot, sigset_t *signals)
{
    struct rlimit none = { 0, 0 };
    struct rlimit files;

    if (!sn_boot_wants_core(boot)) {
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    /* hundreds of devices need more than the usual soft limit; nothing here uses select() */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
}

/* The first SIGTERM or SIGINT drains, the second stops, the third leaves at once (worker/boot.h); SIGHUP is for those who reload by habit: nothing to do. */
static void wait_for_signal(const sigset_t *signals)
{
    int got = 0;

    do {
        (void)sigwait(signals, &got);
    } while (got == SIGHUP);
}

int main(int argc, char **argv)
{
    struct sn_boot *boot = NULL;
    struct sn_error err;
    sigset_t signals;
    int code;
    int rc;

    sn_log_keep_streams();
    json_object_seed(0);
    if (sn_boot_configure(argc, argv, &boot, &code, &err) != 0) {
        (void)fprintf(stderr, "silverd: %s: %s\n", err.code, err.text);
        return SN_BOOT_MISCONFIGURED;
    }
    if (boot == NULL)
        return code; /* --help, --version, --print-config, --describe-…: answered */
    harden(boot, &signals);
    rc = sn_boot_start(boot, &signals, &code, &err);
    if (rc == 0)
        wait_for_signal(&signals);
    else if (rc < 0)
        (void)fprintf(stderr, "silverd: %s: %s\n", err.code, err.text);
    sn_boot_stop(boot, &signals);
    sn_boot_free(boot);
    return rc < 0 ? code : 0;
}
