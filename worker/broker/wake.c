/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/broker/amqp.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

int sn_wake_new(int *ret_fd, struct sn_error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return sn_error_set(err, "process.resources", "eventfd: %s", strerror(errno));
    *ret_fd = fd;
    return 0;
}

void sn_wake_set(int fd)
{
    uint64_t one = 1;
    ssize_t n;

    do {
        n = write(fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR); /* EAGAIN: the counter is full, so the reader is awake anyway */
}

void sn_wake_clear(int fd)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read(fd, &count, sizeof(count));
    } while (n < 0 && errno == EINTR);
}

void sn_wake_poll(int wake_fd, const struct sn_amqp *link, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = wake_fd, .events = POLLIN }, { .fd = sn_amqp_fd(link), .events = POLLIN } };

    /* Bytes that the library has read already do not make the socket readable. */
    if (link->state != NULL && (amqp_frames_enqueued(link->state) || amqp_data_in_buffer(link->state)))
        timeout_ms = 0;
    (void)poll(fds, 2, timeout_ms); /* a negative fd is ignored; EINTR only makes the turn earlier */
}

int sn_backoff_next(struct sn_backoff *b, uint32_t random)
{
    int step = b->step_ms;

    if (step < b->min_ms)
        step = b->min_ms < 1 ? 1 : b->min_ms;
    b->step_ms = step > b->max_ms / 2 ? b->max_ms : step * 2;
    return step / 2 + (int)(random % (uint32_t)(step - step / 2 + 1));
}
