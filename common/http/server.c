/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/http/http.h"

/* A probe or a scrape is short: few connections, little memory each, and none may hang around. */
#define CONNECTIONS_MAX 32u
#define CONNECTION_MEMORY_BYTES ((size_t)16 * 1024)
#define CONNECTION_TIMEOUT_S 10u

struct sn_http_call {
    struct MHD_Connection *connection;
};

struct sn_http_server {
    struct MHD_Daemon *daemon;
    const struct sn_http_route *routes;
    size_t count;
};

const char *sn_http_call_param(const struct sn_http_call *call, const char *name)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(call->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &value, &len) !=
        MHD_YES)
        return NULL;
    return value != NULL ? value : "";
}

static const struct sn_http_route *find_route(const struct sn_http_server *server, const char *path)
{
    for (size_t i = 0; i < server->count; i++) {
        if (strcmp(server->routes[i].path, path) == 0)
            return &server->routes[i];
    }
    return NULL;
}

static void fill_reply(const struct sn_http_server *server, struct MHD_Connection *connection, const char *path,
                       const char *method, struct sn_http_reply *reply)
{
    const struct sn_http_route *route = find_route(server, path);
    struct sn_http_call call = { .connection = connection };

    if (route == NULL) {
        reply->status = MHD_HTTP_NOT_FOUND;
        sn_buf_adds(&reply->body, "not found\n");
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        reply->status = MHD_HTTP_METHOD_NOT_ALLOWED;
        sn_buf_adds(&reply->body, "only GET and HEAD\n");
    } else {
        route->handler(route->arg, &call, reply);
    }
    if (reply->body.failed) {
        sn_buf_clear(&reply->body);
        reply->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *upload, size_t *upload_len, void **context)
{
    struct sn_http_reply reply = { .status = MHD_HTTP_OK,
                                   .content_type = "text/plain; charset=utf-8",
                                   .body = SN_BUF_INIT };
    struct MHD_Response *response;
    enum MHD_Result rc = MHD_NO;

    (void)version;
    (void)upload;
    (void)context;
    /* a body is not wanted: swallow what came with the request, then answer */
    *upload_len = 0;
    fill_reply(arg, connection, path, method, &reply);
    response = MHD_create_response_from_buffer(reply.body.len, (void *)(uintptr_t)sn_buf_str(&reply.body),
                                               MHD_RESPMEM_MUST_COPY);
    if (response != NULL) {
        if (MHD_add_response_header(response, "Content-Type", reply.content_type) == MHD_YES &&
            MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES)
            rc = MHD_queue_response(connection, (unsigned)reply.status, response);
        MHD_destroy_response(response);
    }
    sn_buf_fini(&reply.body);
    return rc;
}

static int parse_address(const char *address, int port, struct sockaddr_storage *ret, struct sn_error *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

    memset(ret, 0, sizeof(*ret));
    if (port < 0 || port > 65535)
        return sn_error_set(err, "http.address", "port %d is not within 0 and 65535", port);
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        memcpy(ret, &v4, sizeof(v4));
    else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        memcpy(ret, &v6, sizeof(v6));
    else
        return sn_error_set(err, "http.address", "%s is not a literal IPv4 or IPv6 address", address);
    return 0;
}

int sn_http_parse_listen(const char *text, char address[SN_HTTP_ADDRESS_MAX], int *ret_port, struct sn_error *err)
{
    struct sockaddr_storage at;
    const char *colon = strrchr(text, ':');
    bool bracket = text[0] == '[';
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    char *end = NULL;
    long port;

    if (colon == NULL || len == 0 || len >= SN_HTTP_ADDRESS_MAX || (bracket && (len < 3 || colon[-1] != ']')) ||
        (!bracket && memchr(text, ':', len) != NULL) || colon[1] < '0' || colon[1] > '9' || strlen(colon + 1) > 5)
        return sn_error_set(err, "http.address", "%s is not address:port, as 127.0.0.1:9102 or [::1]:9102", text);
    port = strtol(colon + 1, &end, 10);
    memcpy(address, text + bracket, len - 2 * bracket);
    address[len - 2 * bracket] = '\0';
    if (*end != '\0')
        return sn_error_set(err, "http.address", "%s is not address:port, as 127.0.0.1:9102 or [::1]:9102", text);
    if (parse_address(address, (int)port, &at, err) != 0)
        return -1;
    *ret_port = (int)port;
    return 0;
}

/* The thread inherits the mask: signals belong to main. */
static struct MHD_Daemon *start_without_signals(struct sn_http_server *server, const struct sockaddr_storage *at)
{
    unsigned flags = MHD_USE_AUTO_INTERNAL_THREAD | (at->ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    struct MHD_Daemon *daemon;
    sigset_t all;
    sigset_t before;
    int saved;

    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = 0;
    daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, answer, server, MHD_OPTION_SOCK_ADDR, (const struct sockaddr *)at,
                         MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_END);
    saved = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return daemon;
}

int sn_http_serve(const char *address, int port, const struct sn_http_route *routes, size_t count,
                  struct sn_http_server **ret, struct sn_error *err)
{
    struct sockaddr_storage at;
    struct sn_http_server *server;

    if (parse_address(address, port, &at, err) != 0)
        return -1;
    server = calloc(1, sizeof(*server));
    if (server == NULL)
        return sn_error_oom(err);
    server->routes = routes;
    server->count = count;
    server->daemon = start_without_signals(server, &at);
    if (server->daemon == NULL) {
        int cause = errno;
        free(server);
        return sn_error_set(err, "http.listen", "cannot listen on %s port %d: %s", address, port,
                            cause != 0 ? strerrordesc_np(cause) : "the HTTP server does not start");
    }
    *ret = server;
    return 0;
}

int sn_http_server_port(const struct sn_http_server *server)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info != NULL ? info->port : 0;
}

void sn_http_server_stop(struct sn_http_server *server)
{
    if (server == NULL)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
