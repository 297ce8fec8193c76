/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "requests.h"
#include "session.h"

#define REQUEST_MAX (4u * 1024 * 1024)

struct control {
    struct sim *sim;
    struct watch watch;
    struct peer *peers;
};

struct peer {
    struct peer *next;
    struct control *control;
    struct watch watch;
    struct term term;
    struct session *session; /* set: a relayed console, bytes are no requests any more */
    struct text in, out;
    bool ending;
};

static void peer_end(void *arg)
{
    struct peer *p = arg;
    int fd = p->watch.fd;
    for (struct peer **at = &p->control->peers; *at != NULL; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    loop_unwatch(p->control->sim->loop, &p->watch);
    if (p->session != NULL) {
        session_free(p->session);
    }
    close(fd);
    text_free(&p->in);
    text_free(&p->out);
    free(p);
}

static void peer_close(struct peer *p)
{
    if (!p->ending) {
        p->ending = true;
        loop_later(p->control->sim->loop, peer_end, p);
    }
}

static void peer_flush(struct peer *p)
{
    while (p->out.len > 0) {
        ssize_t n = send(p->watch.fd, p->out.p, p->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno != EAGAIN) {
            peer_close(p);
        }
        if (n <= 0) {
            break;
        }
        text_drop(&p->out, (size_t)n);
    }
    loop_rewatch(p->control->sim->loop, &p->watch, EPOLLIN | (p->out.len > 0 ? (uint32_t)EPOLLOUT : 0));
}

static void on_term_write(struct term *t, const char *bytes, size_t len)
{
    struct peer *p = SIM_OF(t, struct peer, term);
    text_add(&p->out, bytes, len);
    peer_flush(p);
}

static void on_term_close(struct term *t, enum term_end end)
{
    (void)end;
    peer_close(SIM_OF(t, struct peer, term));
}

static void reply(struct peer *p, json_t *answer)
{
    char *s = json_dumps(answer, JSON_COMPACT);
    text_str(&p->out, s);
    text_add(&p->out, "\n", 1);
    free(s);
    json_decref(answer);
    peer_flush(p);
}

static void handle_line(struct peer *p, const char *line, size_t len)
{
    json_error_t where;
    json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &where);
    if (request == NULL) {
        reply(p, json_pack("{s:b,s:s}", "ok", 0, "error", where.text));
        return;
    }
    const char *op = json_string_value(json_object_get(request, "op"));
    struct olt *olt = sim_find(p->control->sim, json_string_value(json_object_get(request, "olt")));
    if (op != NULL && strcmp(op, "relay") == 0 && olt != NULL) {
        p->session = session_open(olt, &p->term);
    } else {
        reply(p, request_answer(p->control->sim, request));
    }
    json_decref(request);
}

static void on_peer(struct watch *w, uint32_t events)
{
    struct peer *p = SIM_OF(w, struct peer, watch);
    char buffer[16384];
    if ((events & EPOLLOUT) != 0) {
        peer_flush(p);
    }
    ssize_t n = p->ending ? -1 : recv(w->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        peer_close(p);
        return;
    }
    if (n < 0) {
        return;
    }
    if (p->session != NULL) {
        session_input(p->session, buffer, (size_t)n);
        return;
    }
    text_add(&p->in, buffer, (size_t)n);
    char *nl;
    while (!p->ending && p->session == NULL && p->in.len > 0 && (nl = memchr(p->in.p, '\n', p->in.len)) != NULL) {
        size_t len = (size_t)(nl - p->in.p);
        handle_line(p, p->in.p, len);
        text_drop(&p->in, len + 1);
    }
    if (p->session != NULL && p->in.len > 0) {
        session_input(p->session, p->in.p, p->in.len);
        text_clear(&p->in);
    }
    if (p->in.len > REQUEST_MAX) {
        peer_close(p);
    }
}

static void on_accept(struct watch *w, uint32_t events)
{
    (void)events;
    struct control *c = SIM_OF(w, struct control, watch);
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct peer *p = sim_alloc(sizeof *p);
    p->control = c;
    p->watch.ready = on_peer;
    p->term = (struct term){on_term_write, on_term_close};
    p->next = c->peers;
    c->peers = p;
    if (loop_watch(c->sim->loop, &p->watch, fd, EPOLLIN) != 0) {
        p->watch.fd = fd;
        peer_close(p);
    }
}

struct control *control_open(struct sim *sim)
{
    struct control *c = sim_alloc(sizeof *c);
    c->sim = sim;
    c->watch.fd = -1;
    c->watch.ready = on_accept;
    if (sim->control_path == NULL) {
        return c;
    }
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool fits = (size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s", sim->control_path) < sizeof at.sun_path;
    if (!fits) {
        errno = ENAMETOOLONG;
    }
    unlink(sim->control_path);
    mode_t old = umask(077);
    bool ok = fits && fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 64) == 0 &&
              loop_watch(sim->loop, &c->watch, fd, EPOLLIN) == 0;
    umask(old);
    if (!ok) {
        fprintf(stderr, "silver-sim: control socket %s: %s\n", sim->control_path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        free(c);
        return NULL;
    }
    return c;
}

void control_close(struct control *c)
{
    while (c->peers != NULL) {
        peer_end(c->peers);
    }
    if (c->watch.fd >= 0) {
        close(c->watch.fd);
        unlink(c->sim->control_path);
    }
    free(c);
}
