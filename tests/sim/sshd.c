/* SPDX-License-Identifier: Apache-2.0 */
#include "sshd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "session.h"

#define LOGIN_MS 60000
#define LOCK_MS 300000
#define ASK_TIMES 3 /* by keyboard-interactive, before the login is refused */

struct ssh_listener {
    struct olt *olt;
    struct watch watch;
    ssh_bind bind;
    struct connection *connections;
    unsigned failures; /* wrong passwords in a row */
    uint64_t locked_until;
};

struct connection {
    struct connection *next;
    struct ssh_listener *listener;
    struct watch watch; /* on a descriptor of our own: libssh closes its own whenever it likes, and the number may be
                         * somebody else's before we notice */
    int fd;
    struct term term;
    struct timer login_timer;
    ssh_session ssh; /* NULL: a half-open connection that never says anything */
    ssh_event event;
    ssh_channel channel;
    struct ssh_channel_callbacks_struct callbacks;
    struct session *session;
    char user[64];   /* of the keyboard-interactive login: its answers do not repeat the name */
    unsigned asked; /* times, in one keyboard-interactive login */
    struct text out; /* not yet taken by the channel's window */
    struct text in;  /* came while something was being said */
    bool busy;       /* inside libssh */
    bool flushing;   /* inside ssh_channel_write, which reads, too */
    bool ending;
    enum term_end end;
};

/* -- ending a connection ------------------------------------------------------------------------------------------ */

static void connection_end(void *arg)
{
    struct connection *c = arg;
    struct loop *loop = c->listener->olt->sim->loop;
    for (struct connection **at = &c->listener->connections; *at != NULL; at = &(*at)->next) {
        if (*at == c) {
            *at = c->next;
            break;
        }
    }
    timer_stop(loop, &c->login_timer);
    loop_unwatch(loop, &c->watch);
    if (c->session != NULL) {
        session_free(c->session);
    }
    if (c->ssh != NULL) {
        if (c->end == TERM_END_CLEAN && ssh_is_connected(c->ssh)) {
            if (c->channel != NULL) {
                ssh_channel_send_eof(c->channel);
                ssh_channel_close(c->channel);
            }
            ssh_blocking_flush(c->ssh, 50);
            ssh_disconnect(c->ssh);
        } else {
            shutdown(c->fd, SHUT_RDWR);
        }
        ssh_event_free(c->event);
        ssh_free(c->ssh); /* frees the channel and closes libssh's descriptor */
    }
    close(c->fd);
    text_free(&c->out);
    text_free(&c->in);
    free(c);
}

static void connection_close(struct connection *c, enum term_end end)
{
    if (!c->ending) {
        c->ending = true;
        c->end = end;
        loop_later(c->listener->olt->sim->loop, connection_end, c);
    }
}

/* -- output ------------------------------------------------------------------------------------------------------- */

static void connection_flush(struct connection *c)
{
    if (c->flushing) {
        return;
    }
    c->flushing = true;
    while (c->out.len > 0 && c->channel != NULL && ssh_channel_is_open(c->channel)) {
        size_t window = ssh_channel_window_size(c->channel);
        size_t len = c->out.len < window ? c->out.len : window;
        int n = len > 0 ? ssh_channel_write(c->channel, c->out.p, (uint32_t)len) : 0;
        if (n <= 0) {
            break;
        }
        text_drop(&c->out, (size_t)n);
    }
    c->flushing = false;
    uint32_t events = EPOLLIN;
    if ((ssh_get_poll_flags(c->ssh) & SSH_WRITE_PENDING) != 0) {
        events |= EPOLLOUT;
    }
    loop_rewatch(c->listener->olt->sim->loop, &c->watch, events);
}

static void on_term_write(struct term *t, const char *p, size_t len)
{
    struct connection *c = SIM_OF(t, struct connection, term);
    text_add(&c->out, p, len);
    if (!c->busy) {
        connection_flush(c);
    }
}

static void on_term_close(struct term *t, enum term_end end)
{
    struct connection *c = SIM_OF(t, struct connection, term);
    if (c->channel != NULL && !c->busy) {
        connection_flush(c); /* what was said before is on its way; a cut drops only what comes after */
    }
    connection_close(c, end);
}

/* -- what the client asks ----------------------------------------------------------------------------------------- */

static bool password_is_right(struct connection *c, const char *user, const char *password)
{
    struct ssh_listener *l = c->listener;
    struct olt *olt = l->olt;
    bool right = user != NULL && password != NULL && strcmp(user, olt->user) == 0 &&
                 strcmp(password, olt->password) == 0 && sim_now_ms() >= l->locked_until;
    if (right && fault_take(olt, "refuse_login", NULL) != NULL) {
        right = false;
    }
    if (right) {
        l->failures = 0;
        return true;
    }
    olt->count.login_failures++;
    if (olt->lock_after > 0 && ++l->failures >= olt->lock_after) {
        l->locked_until = sim_now_ms() + LOCK_MS;
        l->failures = 0;
    }
    return false;
}

static int methods_of(const struct olt *olt)
{
    return SSH_AUTH_METHOD_INTERACTIVE | (olt->interactive_only ? 0 : SSH_AUTH_METHOD_PASSWORD);
}

/* RFC 4256, 3.2: a server may ask as often as it likes before it refuses. */
static int ask_password(struct connection *c, ssh_message m)
{
    const char *prompts[] = {"User password:"};
    char hidden[] = {0};
    c->asked++;
    return ssh_message_auth_interactive_request(m, "User Authentication", "", 1, prompts, hidden) == SSH_OK ? 0 : 1;
}

static int on_auth(struct connection *c, ssh_message m)
{
    const char *user = ssh_message_auth_user(m);
    int kind = ssh_message_subtype(m);
    bool right = false;
    if (kind == SSH_AUTH_METHOD_PASSWORD && !c->listener->olt->interactive_only) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        /* libssh 0.10 has no callback for keyboard-interactive, so both methods go by messages */
        right = password_is_right(c, user, ssh_message_auth_password(m));
#pragma GCC diagnostic pop
    } else if (kind == SSH_AUTH_METHOD_INTERACTIVE) {
        if (!ssh_message_auth_kbdint_is_response(m)) {
            snprintf(c->user, sizeof c->user, "%s", user != NULL ? user : "");
            c->asked = 0;
            return ask_password(c, m);
        }
        bool one = ssh_userauth_kbdint_getnanswers(c->ssh) == 1;
        right = one && password_is_right(c, c->user, ssh_userauth_kbdint_getanswer(c->ssh, 0));
        if (one && !right && c->listener->olt->interactive_only && c->asked < ASK_TIMES) {
            return ask_password(c, m);
        }
    }
    if (right) {
        return ssh_message_auth_reply_success(m, 0) == SSH_OK ? 0 : 1;
    }
    ssh_message_auth_set_methods(m, methods_of(c->listener->olt));
    return 1;
}

static void take_late_input(void *arg)
{
    struct connection *c = arg;
    struct text in = c->in;
    c->in = (struct text){0};
    if (!c->ending) {
        session_input(c->session, in.p, in.len);
    }
    text_free(&in);
}

static int on_channel_data(ssh_session ssh, ssh_channel channel, void *data, uint32_t len, int is_stderr, void *arg)
{
    (void)ssh;
    (void)channel;
    struct connection *c = arg;
    if (is_stderr || c->session == NULL || c->ending) {
        return (int)len;
    }
    if (c->flushing || c->in.len > 0) { /* in the middle of a sentence: what is typed is looked at when it is over */
        if (c->in.len == 0) {
            loop_later(c->listener->olt->sim->loop, take_late_input, c);
        }
        text_add(&c->in, data, len);
    } else {
        session_input(c->session, data, len);
    }
    return (int)len;
}

static void on_channel_end(ssh_session ssh, ssh_channel channel, void *arg)
{
    (void)ssh;
    (void)channel;
    connection_close(arg, TERM_END_CUT);
}

static int on_channel_open(struct connection *c, ssh_message m)
{
    if (ssh_message_subtype(m) != SSH_CHANNEL_SESSION || c->channel != NULL) {
        return 1; /* one channel for each connection, as on the device */
    }
    c->channel = ssh_message_channel_request_open_reply_accept(m);
    if (c->channel == NULL) {
        return 1;
    }
    c->callbacks.userdata = c;
    c->callbacks.channel_data_function = on_channel_data;
    c->callbacks.channel_eof_function = on_channel_end;
    c->callbacks.channel_close_function = on_channel_end;
    ssh_callbacks_init(&c->callbacks);
    ssh_set_channel_callbacks(c->channel, &c->callbacks);
    return 0;
}

static int on_channel_request(struct connection *c, ssh_message m)
{
    switch (ssh_message_subtype(m)) {
    case SSH_CHANNEL_REQUEST_PTY:
    case SSH_CHANNEL_REQUEST_WINDOW_CHANGE:
    case SSH_CHANNEL_REQUEST_ENV:
        ssh_message_channel_request_reply_success(m);
        return 0;
    case SSH_CHANNEL_REQUEST_SHELL:
        if (c->session != NULL) {
            return 1;
        }
        ssh_message_channel_request_reply_success(m);
        timer_stop(c->listener->olt->sim->loop, &c->login_timer);
        c->session = session_open(c->listener->olt, &c->term);
        return 0;
    default:
        return 1; /* no exec, no subsystem */
    }
}

static int on_message(ssh_session ssh, ssh_message m, void *arg)
{
    (void)ssh;
    struct connection *c = arg;
    switch (ssh_message_type(m)) {
    case SSH_REQUEST_AUTH:
        return on_auth(c, m);
    case SSH_REQUEST_CHANNEL_OPEN:
        return on_channel_open(c, m);
    case SSH_REQUEST_CHANNEL:
        return on_channel_request(c, m);
    default:
        return 1;
    }
}

/* -- sockets ------------------------------------------------------------------------------------------------------ */

static void on_socket(struct watch *w, uint32_t events)
{
    struct connection *c = SIM_OF(w, struct connection, watch);
    if (c->ending) {
        return;
    }
    if (c->ssh == NULL) { /* half-open: reads, never answers */
        char drain[512];
        ssize_t n = read(w->fd, drain, sizeof drain);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            connection_close(c, TERM_END_CUT);
        }
        return;
    }
    (void)events;
    c->busy = true;
    int rc = ssh_event_dopoll(c->event, 0);
    c->busy = false;
    if (rc == SSH_ERROR || (ssh_get_status(c->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0) {
        connection_close(c, TERM_END_CUT);
        return;
    }
    connection_flush(c);
}

static void on_login_timeout(struct timer *t)
{
    connection_close(SIM_OF(t, struct connection, login_timer), TERM_END_CUT);
}

static void use_list(ssh_bind bind, enum ssh_bind_options_e option, json_t *ssh, const char *key)
{
    const char *v = json_string_value(json_object_get(ssh, key));
    if (v != NULL && ssh_bind_options_set(bind, option, v) != SSH_OK) {
        fprintf(stderr, "silver-sim: ssh.%s: %s\n", key, ssh_get_error(bind));
    }
}

static ssh_bind listener_bind(struct ssh_listener *l)
{
    if (l->bind == NULL) {
        bool no = false;
        l->bind = ssh_bind_new();
        ssh_bind_options_set(l->bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
        ssh_bind_options_set(l->bind, SSH_BIND_OPTIONS_HOSTKEY, l->olt->host_key);
        use_list(l->bind, SSH_BIND_OPTIONS_KEY_EXCHANGE, l->olt->ssh, "kex");
        use_list(l->bind, SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, l->olt->ssh, "host_keys");
        use_list(l->bind, SSH_BIND_OPTIONS_CIPHERS_C_S, l->olt->ssh, "ciphers");
        use_list(l->bind, SSH_BIND_OPTIONS_CIPHERS_S_C, l->olt->ssh, "ciphers");
        use_list(l->bind, SSH_BIND_OPTIONS_HMAC_C_S, l->olt->ssh, "macs");
        use_list(l->bind, SSH_BIND_OPTIONS_HMAC_S_C, l->olt->ssh, "macs");
    }
    return l->bind;
}

static bool start_ssh(struct connection *c, int fd)
{
    c->ssh = ssh_new();
    c->event = ssh_event_new();
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        return false;
    }
    if (ssh_bind_accept_fd(listener_bind(c->listener), c->ssh, own) != SSH_OK) {
        fprintf(stderr, "silver-sim: %s: %s\n", c->listener->olt->name, ssh_get_error(c->listener->bind));
        return false;
    }
    ssh_set_blocking(c->ssh, 0);
    ssh_set_message_callback(c->ssh, on_message, c);
    ssh_set_auth_methods(c->ssh, methods_of(c->listener->olt));
    if (ssh_handle_key_exchange(c->ssh) == SSH_ERROR) {
        return false;
    }
    return ssh_event_add_session(c->event, c->ssh) == SSH_OK;
}

static void accept_one(struct ssh_listener *l, int fd)
{
    struct olt *olt = l->olt;
    if (fault_take(olt, "refuse_connect", NULL) != NULL) {
        struct linger now = {.l_onoff = 1, .l_linger = 0}; /* answers with a reset */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(fd);
        return;
    }
    struct connection *c = sim_alloc(sizeof *c);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->listener = l;
    c->term = (struct term){on_term_write, on_term_close};
    c->watch.fd = -1;
    c->fd = fd;
    c->watch.ready = on_socket;
    c->login_timer.fire = on_login_timeout;
    c->next = l->connections;
    l->connections = c;
    bool half_open = fault_take(olt, "half_open", NULL) != NULL;
    if (loop_watch(olt->sim->loop, &c->watch, fd, EPOLLIN) != 0 || (!half_open && !start_ssh(c, fd))) {
        connection_close(c, TERM_END_CUT);
        return;
    }
    if (!half_open) {
        timer_start(olt->sim->loop, &c->login_timer, LOGIN_MS);
        connection_flush(c);
    }
}

static void on_accept(struct watch *w, uint32_t events)
{
    (void)events;
    struct ssh_listener *l = SIM_OF(w, struct ssh_listener, watch);
    for (int n = 0; n < 32; n++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        accept_one(l, fd);
    }
}

int sshd_host_key(const char *path, const char *type)
{
    struct stat st;
    ssh_key key = NULL;
    bool rsa = strcmp(type, "rsa") == 0;
    if (stat(path, &st) == 0) {
        return 0;
    }
    umask(077);
    if (ssh_pki_generate(rsa ? SSH_KEYTYPE_RSA : SSH_KEYTYPE_ED25519, rsa ? 2048 : 0, &key) != SSH_OK ||
        ssh_pki_export_privkey_file(key, NULL, NULL, NULL, path) != SSH_OK) {
        fprintf(stderr, "silver-sim: cannot write the host key %s\n", path);
        ssh_key_free(key);
        return -1;
    }
    ssh_key_free(key);
    return 0;
}

int sshd_listen(struct olt *olt)
{
    struct ssh_listener *l = olt->ssh_bind;
    if (l == NULL) {
        l = sim_alloc(sizeof *l);
        l->olt = olt;
        l->watch.fd = -1;
        l->watch.ready = on_accept;
        olt->ssh_bind = l;
    }
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)olt->port)};
    socklen_t len = sizeof at;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (inet_pton(AF_INET, olt->listen, &at.sin_addr) != 1) {
        errno = EADDRNOTAVAIL;
    } else if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
               bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 128) == 0 &&
               getsockname(fd, (struct sockaddr *)&at, &len) == 0 &&
               loop_watch(olt->sim->loop, &l->watch, fd, EPOLLIN) == 0) {
        olt->port = ntohs(at.sin_port);
        return 0;
    }
    fprintf(stderr, "silver-sim: %s: cannot listen on %s port %u: %s\n", olt->name, olt->listen, olt->port,
            strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

void sshd_unlisten(struct olt *olt)
{
    struct ssh_listener *l = olt->ssh_bind;
    if (l != NULL && l->watch.fd >= 0) {
        int fd = l->watch.fd;
        loop_unwatch(olt->sim->loop, &l->watch);
        close(fd);
    }
}

void sshd_refresh(struct olt *olt)
{
    struct ssh_listener *l = olt->ssh_bind;
    if (l != NULL && l->bind != NULL) {
        ssh_bind_free(l->bind);
        l->bind = NULL;
    }
}

void sshd_close(struct olt *olt)
{
    struct ssh_listener *l = olt->ssh_bind;
    if (l == NULL) {
        return;
    }
    sshd_unlisten(olt);
    while (l->connections != NULL) {
        connection_end(l->connections);
    }
    sshd_refresh(olt);
    free(l);
    olt->ssh_bind = NULL;
}
