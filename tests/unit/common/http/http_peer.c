/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/common/http/http_peer.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/common/base/temp_path.h"

struct http_peer {
    pthread_t thread;
    int listen_fd;
    int stop_fd[2]; /* readable when the peer shall end */
    int port;
    const char *const *replies;
    SSL_CTX *tls;
    char ca_file[TEMP_PATH_MAX];
    char requests[16384];
    size_t used;
};

struct link {
    int fd;
    SSL *tls;
};

static void need(bool ok, const char *what)
{
    if (!ok) {
        perror(what);
        abort();
    }
}

static ssize_t link_read(struct link *l, char *out, size_t size)
{
    return l->tls != NULL ? SSL_read(l->tls, out, (int)size) : recv(l->fd, out, size, 0);
}

static bool link_write(struct link *l, const char *data, size_t len)
{
    ssize_t n = l->tls != NULL ? SSL_write(l->tls, data, (int)len) : send(l->fd, data, len, MSG_NOSIGNAL);
    return n == (ssize_t)len;
}

/* True when fd is readable, false when the peer shall end (or after wait_ms, unless that is -1). */
static bool wait_readable(const struct http_peer *peer, int fd, int wait_ms)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = peer->stop_fd[0], .events = POLLIN } };

    return poll(fds, 2, wait_ms) > 0 && fds[1].revents == 0;
}

static bool request_is_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strcasestr(text, "\r\nContent-Length:");

    if (end == NULL)
        return false;
    return length == NULL || length > end || strlen(end + 4) >= strtoul(length + 17, NULL, 10);
}

static void serve(struct http_peer *peer, struct link *l, const char *reply)
{
    size_t start = peer->used;

    while (!request_is_whole(peer->requests + start)) {
        ssize_t n;
        if ((l->tls == NULL || SSL_pending(l->tls) == 0) && !wait_readable(peer, l->fd, -1))
            return;
        n = link_read(l, peer->requests + peer->used, sizeof(peer->requests) - 1 - peer->used);
        if (n <= 0)
            return;
        peer->used += (size_t)n;
        peer->requests[peer->used] = '\0';
    }
    if (reply == HTTP_PEER_HANG) {
        (void)wait_readable(peer, l->fd, -1); /* the client gives up and closes, or the test ends */
    } else if (reply == HTTP_PEER_DRIP) {
        static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        bool ok = link_write(l, HEAD, sizeof(HEAD) - 1);
        while (ok && !wait_readable(peer, l->fd, 20))
            ok = !wait_readable(peer, peer->stop_fd[0], 0) && link_write(l, "x", 1);
    } else {
        (void)link_write(l, reply, strlen(reply));
    }
}

static void *run(void *arg)
{
    struct http_peer *peer = arg;

    for (const char *const *reply = peer->replies; *reply != NULL; reply++) {
        struct link l = { .fd = -1 };
        if (!wait_readable(peer, peer->listen_fd, -1))
            break;
        l.fd = accept(peer->listen_fd, NULL, NULL);
        need(l.fd >= 0, "accept");
        if (peer->tls != NULL) {
            l.tls = SSL_new(peer->tls);
            need(l.tls != NULL && SSL_set_fd(l.tls, l.fd) == 1, "tls");
            if (SSL_accept(l.tls) == 1) {
                serve(peer, &l, *reply);
                SSL_shutdown(l.tls);
            }
            SSL_free(l.tls);
        } else {
            serve(peer, &l, *reply);
        }
        close(l.fd);
    }
    return NULL;
}

static void make_tls(struct http_peer *peer, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_EXTENSION *ext;
    char alt[128];
    struct in_addr probe;
    FILE *f;
    int fd;

    need(key != NULL && cert != NULL, "certificate");
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"peer", -1, -1,
                               0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    snprintf(alt, sizeof(alt), "%s:%s", inet_pton(AF_INET, name, &probe) == 1 ? "IP" : "DNS", name);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
    need(ext != NULL && X509_add_ext(cert, ext, -1) == 1 && X509_sign(cert, key, EVP_sha256()) > 0, "certificate");
    X509_EXTENSION_free(ext);

    peer->tls = SSL_CTX_new(TLS_server_method());
    need(peer->tls != NULL && SSL_CTX_use_certificate(peer->tls, cert) == 1 &&
             SSL_CTX_use_PrivateKey(peer->tls, key) == 1,
         "tls");
    fd = mkstemp(temp_path(peer->ca_file));
    need(fd >= 0, "mkstemp");
    f = fdopen(fd, "w");
    need(f != NULL && PEM_write_X509(f, cert) == 1 && fclose(f) == 0, "certificate file");
    X509_free(cert);
    EVP_PKEY_free(key);
}

struct http_peer *http_peer_start(const char *const *replies, const char *tls_name)
{
    struct http_peer *peer = calloc(1, sizeof(*peer));
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);

    need(peer != NULL, "memory");
    (void)signal(SIGPIPE, SIG_IGN);
    peer->replies = replies;
    if (tls_name != NULL)
        make_tls(peer, tls_name);
    peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(peer->listen_fd >= 0 && bind(peer->listen_fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
             listen(peer->listen_fd, 8) == 0 && getsockname(peer->listen_fd, (struct sockaddr *)&at, &len) == 0,
         "listen");
    peer->port = ntohs(at.sin_port);
    need(pipe(peer->stop_fd) == 0, "pipe");
    need(pthread_create(&peer->thread, NULL, run, peer) == 0, "thread");
    return peer;
}

int http_peer_port(const struct http_peer *peer)
{
    return peer->port;
}

const char *http_peer_ca_file(const struct http_peer *peer)
{
    return peer->ca_file;
}

void http_peer_stop(struct http_peer *peer)
{
    need(write(peer->stop_fd[1], "x", 1) == 1, "stop");
    need(pthread_join(peer->thread, NULL) == 0, "join");
    close(peer->listen_fd);
    peer->listen_fd = -1;
}

const char *http_peer_requests(const struct http_peer *peer)
{
    return peer->requests;
}

void http_peer_free(struct http_peer *peer)
{
    if (peer->listen_fd >= 0)
        http_peer_stop(peer);
    close(peer->stop_fd[0]);
    close(peer->stop_fd[1]);
    if (peer->ca_file[0] != '\0')
        unlink(peer->ca_file);
    SSL_CTX_free(peer->tls);
    free(peer);
}
