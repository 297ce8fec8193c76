/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP both ways, small: one request with a total timeout, and a server for /metrics and the probes.
 *
 * The only place that knows curl and microhttpd. The process must ignore SIGPIPE (TLS writes cannot avoid it).
 * Thread: any fetches; main starts and stops a server, whose handlers run on a thread of its own.
 */
#ifndef SN_COMMON_HTTP_HTTP_H
#define SN_COMMON_HTTP_HTTP_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/error.h"

/* ---- client --------------------------------------------------------------------------------------------------------
 */

struct sn_http_request {
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
    const void *body;           /* NULL: GET, else POST */
    size_t body_len;
    int timeout_ms;      /* total: name, connection, TLS, request and reply */
    size_t reply_max;    /* ceiling of the reply's body in bytes; a longer one is an error, never cut */
    const char *ca_file; /* PEM; NULL: the system's */
    const char *proxy;   /* NULL: none; http_proxy and the like of the environment are not looked at */
};

struct sn_http_answer {
    int status;         /* 100..599 */
    struct sn_buf body; /* wiped by sn_http_answer_fini() */
};

/* Sends one request and waits for its answer; any status is an answer. Redirects are not followed, no cookies, no
 * netrc, certificates are verified. Errors: http.request (URL or headers that cannot be), http.timeout,
 * http.unreachable (name, connection, broken reply), http.tls, http.too-large. Texts hold no header, body or query.
 * Thread: any, each call has its own connection. *ret is written only on success and then belongs to the caller. */
int sn_http_fetch(const struct sn_http_request *request, struct sn_http_answer *ret, struct sn_error *err) SN_MUSTCHECK;
/* Safe on a zeroed answer and twice. */
void sn_http_answer_fini(struct sn_http_answer *answer);

/* ---- server --------------------------------------------------------------------------------------------------------
 */

struct sn_http_call; /* one request, valid during the handler */

/* Value of ?name=value, "" for ?name, NULL when absent. Borrowed. */
const char *sn_http_call_param(const struct sn_http_call *call, const char *name);

struct sn_http_reply {
    int status;               /* 200 unless the handler says otherwise */
    const char *content_type; /* static text; "text/plain; charset=utf-8" unless the handler says otherwise */
    struct sn_buf body;
};

/* Responsibilities: fills *reply; does not block (all requests are served by one thread, so a slow handler makes the
 * probes of the others fail). Runs on the server's own thread. */
typedef void sn_http_handler(void *arg, const struct sn_http_call *call, struct sn_http_reply *reply);

struct sn_http_route {
    const char *path; /* "/metrics", exact */
    sn_http_handler *handler;
    void *arg;
};

struct sn_http_server;

#define SN_HTTP_ADDRESS_MAX 64
/* "127.0.0.1:9102", "[::1]:9102": literal address and port (0 to 65535). Error: http.address. */
int sn_http_parse_listen(const char *text, char address[SN_HTTP_ADDRESS_MAX], int *ret_port,
                         struct sn_error *err) SN_MUSTCHECK;

/* Listens on a literal IPv4 or IPv6 address and serves GET and HEAD of the routes (405 and 404 for the rest) from one
 * own thread that takes no signals. port 0 = any free one. The routes must outlive the server. Errors: http.address,
 * http.listen (in use, not permitted). */
int sn_http_serve(const char *address, int port, const struct sn_http_route *routes, size_t count,
                  struct sn_http_server **ret, struct sn_error *err) SN_MUSTCHECK;
int sn_http_server_port(const struct sn_http_server *server);
/* Ends the thread and closes all connections; no handler runs afterwards. NULL is fine. */
void sn_http_server_stop(struct sn_http_server *server);

#endif
