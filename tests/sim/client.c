/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "text.h"

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool fits = (size_t)snprintf(at.sun_path, sizeof at.sun_path, "%s", path) < sizeof at.sun_path;
    if (!fits || fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        fprintf(stderr, "silver-sim: %s: %s\n", path, fits ? strerror(errno) : "path too long");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

static bool write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        p += n;
        len -= (size_t)n;
    }
    return true;
}

int client_ctl(const char *socket_path, const char *request)
{
    json_t *parsed = json_loads(request, 0, NULL);
    char *line = parsed != NULL ? json_dumps(parsed, JSON_COMPACT) : NULL; /* one line, whatever was typed */
    json_decref(parsed);
    int fd = line != NULL ? connect_to(socket_path) : -1;
    if (line == NULL) {
        fprintf(stderr, "silver-sim: the request is no JSON object\n");
    }
    bool sent = fd >= 0 && write_all(fd, line, strlen(line)) && write_all(fd, "\n", 1);
    free(line);
    if (!sent) {
        return 1;
    }
    struct text answer = {0};
    char buffer[16384];
    ssize_t n;
    while ((answer.len == 0 || answer.p[answer.len - 1] != '\n') && (n = read(fd, buffer, sizeof buffer)) > 0) {
        text_add(&answer, buffer, (size_t)n);
    }
    close(fd);
    bool ok = answer.len > 0 && strstr(answer.p, "\"ok\":true") != NULL;
    fputs(answer.p != NULL ? answer.p : "", stdout);
    text_free(&answer);
    return ok ? 0 : 1;
}

static bool copy(int from, int to)
{
    char buffer[16384];
    ssize_t n = read(from, buffer, sizeof buffer);
    return n > 0 && write_all(to, buffer, (size_t)n);
}

int client_relay(const char *socket_path, const char *olt)
{
    struct termios before, raw;
    bool tty = tcgetattr(STDIN_FILENO, &before) == 0;
    int fd = connect_to(socket_path);
    if (fd < 0) {
        return 1;
    }
    if (tty) { /* the device echoes, not the terminal in between */
        raw = before;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    json_t *hello = json_pack("{s:s,s:s}", "op", "relay", "olt", olt);
    char *line = json_dumps(hello, JSON_COMPACT);
    json_decref(hello);
    bool on = line != NULL && write_all(fd, line, strlen(line)) && write_all(fd, "\n", 1);
    free(line);
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    while (on && poll(p, 2, -1) > 0) {
        if (p[1].revents != 0) {
            on = copy(fd, STDOUT_FILENO);
        } else if (p[0].revents != 0) {
            on = copy(STDIN_FILENO, fd);
        }
    }
    if (tty) {
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    close(fd);
    return 0;
}
