/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/job/publish.h"

#include <stdlib.h>

#include "common/base/failpoint.h"
#include "worker/job/dispatch.h"

struct awaited {
    struct sn_fleet *fleet;
    struct sn_job *job;
    bool is_copy;
};

void sn_job_release(struct sn_job *job, struct sn_fleet *fleet)
{
    if (atomic_fetch_sub(&job->confirms, 1) == 1)
        sn_dispatch_confirmed(fleet->dispatch, job);
}

/* Publisher's thread. */
static void published(void *arg, enum sn_published outcome)
{
    struct awaited *a = arg;

    (void)SN_FAILPOINT("publish.confirmed", a->job->event != NULL ? a->job->event->ref : "");
    if (outcome != SN_PUBLISHED_CONFIRMED)
        atomic_store(&a->job->unconfirmed, true);
    else if (a->is_copy)
        atomic_store(&a->job->copied, true);
    if (outcome == SN_PUBLISHED_RETURNED)
        sn_log(a->fleet->log, SN_LOG_ERROR, "publish", "nobody takes this message: is the topology applied?", NULL);
    sn_job_release(a->job, a->fleet);
    free(a);
}

static void send_awaited(struct sn_job *job, struct sn_fleet *fleet, struct sn_publication *pub, bool is_copy)
{
    struct awaited *a = malloc(sizeof(*a));

    if (pub == NULL || a == NULL) {
        free(a);
        sn_publication_free(pub);
        atomic_store(&job->unconfirmed, true);
        return;
    }
    *a = (struct awaited){ .fleet = fleet, .job = job, .is_copy = is_copy };
    (void)atomic_fetch_add(&job->confirms, 1);
    (void)SN_FAILPOINT("publish.before", job->event != NULL ? job->event->ref : "");
    pub->done = published;
    pub->arg = a;
    sn_publisher_send(fleet->publisher, pub);
}

void sn_job_publish(struct sn_job *job, struct sn_fleet *fleet, struct sn_publication *pub)
{
    send_awaited(job, fleet, pub, false);
}

void sn_job_publish_copy(struct sn_job *job, struct sn_fleet *fleet, struct sn_publication *pub)
{
    send_awaited(job, fleet, pub, true);
}
