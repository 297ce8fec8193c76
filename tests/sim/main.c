/* SPDX-License-Identifier: Apache-2.0 */
/* silver-sim: many simulated Huawei SmartAX OLTs in one process; see README.md. */
#include <libssh/libssh.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client.h"
#include "command.h"
#include "control.h"
#include "model.h"
#include "session.h"
#include "sshd.h"

static int usage(void)
{
    fputs("usage: silver-sim --config FILE\n"
          "       silver-sim ctl SOCKET JSON\n"
          "       silver-sim relay SOCKET OLT\n",
          stderr);
    return 64;
}

static bool open_all(struct sim *sim)
{
    for (size_t i = 0; i < sim->n_olts; i++) {
        struct olt *olt = sim->olts[i];
        olt->count.per_command = sim_alloc(command_count * sizeof *olt->count.per_command);
        if (sshd_host_key(olt->host_key, "ed25519") != 0 || sshd_listen(olt) != 0) {
            return false;
        }
    }
    return true;
}

static void say_ready(const struct sim *sim)
{
    json_t *ports = json_object();
    for (size_t i = 0; i < sim->n_olts; i++) {
        json_object_set_new(ports, sim->olts[i]->name, json_integer(sim->olts[i]->port));
    }
    char *s = json_dumps(ports, JSON_COMPACT);
    printf("ready %s\n", s);
    fflush(stdout);
    free(s);
    json_decref(ports);
}

static int serve(const char *path)
{
    struct sim *sim = sim_load(path);
    if (sim == NULL) {
        return 78;
    }
    int code = 1;
    struct control *control = control_open(sim);
    if (control != NULL && open_all(sim)) {
        say_ready(sim);
        loop_run(sim->loop);
        code = 0;
    }
    if (control != NULL) {
        control_close(control);
    }
    sim_free(sim);
    return code;
}

/* Some thousand consoles need more descriptors than the usual soft limit. */
static void raise_limit(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "ctl") == 0) {
        return client_ctl(argv[2], argv[3]);
    }
    if (argc == 4 && strcmp(argv[1], "relay") == 0) {
        return client_relay(argv[2], argv[3]);
    }
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        return usage();
    }
    raise_limit();
    ssh_init();
    int code = serve(argv[2]);
    ssh_finalize();
    return code;
}
