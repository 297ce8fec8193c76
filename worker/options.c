/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/options.h"

#include <stddef.h>
#include <string.h>

#include "common/http/http.h"

static const char *const ROLES[] = { "worker", "ledger", NULL };
static const char *const LEVELS[] = { "error", "warn", "info", "debug", NULL };
static const char *const SSL[] = { "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL };

#define AT(section, field) offsetof(struct sn_options, section.field)
#define DAY_MS (24LL * 3600 * 1000)
#define TEXT(sec, key, field, preset, text) \
    { #sec, key, SN_OPTION_TEXT, AT(sec, field), preset, 0, 255, NULL, NULL, false, text }
#define FILE_PATH(sec, key, field, preset, text) \
    { #sec, key, SN_OPTION_PATH, AT(sec, field), preset, 0, 4095, NULL, NULL, false, text }
#define SECRET(sec, key, field, text) \
    { #sec, key, SN_OPTION_SECRET, AT(sec, field), "", 0, 4095, NULL, NULL, false, text }
#define INT(sec, key, field, preset, low, high, unit, text) \
    { #sec, key, SN_OPTION_INT, AT(sec, field), preset, low, high, NULL, unit, false, text }
#define TIME(sec, key, field, preset, low, high, text) \
    { #sec, key, SN_OPTION_DURATION, AT(sec, field), preset, low, high, NULL, NULL, false, text }
#define FLAG(sec, key, field, preset, text) \
    { #sec, key, SN_OPTION_BOOL, AT(sec, field), preset, 0, 1, NULL, NULL, false, text }
#define PORT(sec, preset, text) INT(sec, "port", port, preset, 1, 65535, NULL, text)

static const struct sn_option_row ROWS[] = {
    { "process", "roles", SN_OPTION_LIST, AT(process, roles), "worker,ledger", 1, 2, ROLES, NULL, false,
      "What this process does: carry jobs (worker), write the ledger (ledger)." },
    TEXT(process, "name", name, "", "Name of this worker; empty: the host's name."),
    { "process", "log_level", SN_OPTION_CHOICE, AT(process, log_level), "info", 0, 0, LEVELS, NULL, false,
      "How much is logged." },
    FLAG(process, "log_json", log_json, "false", "Log lines as JSON."),
    FLAG(process, "core_dumps", core_dumps, "false", "Allow core dumps; they contain secrets."),
    TEXT(process, "http_listen", http_listen, "127.0.0.1:9102",
         "Literal address and port of /healthz, /readyz and /metrics; empty: none. Nobody is asked for a password "
         "there."),

    TEXT(broker, "host", host, "127.0.0.1", "RabbitMQ's host."),
    PORT(broker, "5672", "RabbitMQ's port."),
    TEXT(broker, "vhost", vhost, "/", "Virtual host."),
    TEXT(broker, "user", user, "silver", "User."),
    SECRET(broker, "password", password, "Password, as a reference."),
    TIME(broker, "heartbeat", heartbeat, "15s", 1000, 300000, "A link that is silent for two of these is dead."),
    TIME(broker, "connect_timeout", connect_timeout, "10s", 100, 300000, "Total time of a connection's set-up."),
    TIME(broker, "rpc_timeout", rpc_timeout, "10s", 100, 300000, "Total time of one question to the broker."),
    TIME(broker, "confirm_timeout", confirm_timeout, "30s", 100, 600000, "No confirm for so long: the link is dead."),
    TIME(broker, "reconnect_min", reconnect_min, "200ms", 10, 60000, "First wait before a new connection."),
    TIME(broker, "reconnect_max", reconnect_max, "10s", 10, 600000, "Longest wait before a new connection."),
    TIME(broker, "consumer_timeout", consumer_timeout, "30m", 60000, DAY_MS,
         "The broker's own consumer_timeout (rabbitmq.conf; its default is 30m): our holding must end before it."),
    TIME(broker, "start_wait", start_wait, "60s", 0, 3600000,
         "How long the start waits for a broker that is not there yet."),

    TEXT(redis, "host", host, "127.0.0.1", "Redis' host."),
    PORT(redis, "6379", "Redis' port."),
    INT(redis, "db", db, "0", 0, 1023, NULL, "Redis' database number."),
    SECRET(redis, "password", password, "Password, as a reference; empty: none."),
    TIME(redis, "timeout", timeout, "2s", 50, 60000,
         "Total time of one command; then Redis is unsure and nothing is written."),
    TIME(redis, "check_every", check_every, "60s", 50, 3600000,
         "Its eviction policy and its clock are looked at so often; the first time at the start."),
    INT(redis, "replicas", replicas, "0", 0, 10, "replicas", "A session counts when so many replicas hold it (WAIT)."),

    TEXT(ledger, "host", host, "127.0.0.1", "PostgreSQL's host, or the folder of its socket."),
    PORT(ledger, "5432", "PostgreSQL's port."),
    TEXT(ledger, "database", database, "silver", "Database."),
    TEXT(ledger, "user", user, "silver_ledger", "Role that writes (ledger role of silverd)."),
    SECRET(ledger, "password", password, "Its password, as a reference."),
    TEXT(ledger, "reader", reader, "silver_reader", "Role that only reads (silverctl)."),
    SECRET(ledger, "reader_password", reader_password, "Its password, as a reference."),
    { "ledger", "sslmode", SN_OPTION_TEXT, AT(ledger, sslmode), "prefer", 0, 16, SSL, NULL, false, "libpq's sslmode." },
    INT(ledger, "batch", batch, "256", 1, 4096, "results", "Results in one transaction at most."),
    TIME(ledger, "timeout", timeout, "10s", 100, 600000, "Total time of one statement."),

    FILE_PATH(inventory, "path", path, "/etc/silver-netops/inventory.yaml", "The inventory: which targets exist."),

    FILE_PATH(secrets, "fleet_key_file", fleet_key_file, "",
              "The fleet's key (32 bytes, hex or raw): keyed hashes and sealed secrets."),
    TEXT(secrets, "vault_address", vault_address, "",
         "Address of Vault for vault: references: https://host:port, or http:// to this machine."),
    FILE_PATH(secrets, "vault_ca_file", vault_ca_file, "",
              "PEM file of the authority that signed Vault's certificate; empty: the system's."),
    FILE_PATH(secrets, "vault_token_file", vault_token_file, "", "File with Vault's token."),
    FILE_PATH(secrets, "file_root", file_root, "", "file: references must lie below this folder; empty: anywhere."),
    FLAG(secrets, "inline", inline_secrets, "false",
         "Accept secrets that stand in a message; they are sealed at once."),
    TIME(secrets, "timeout", timeout, "5s", 100, 60000, "Total time to resolve one secret."),

    { "events", "sources", SN_OPTION_LIST, AT(events, sources), "", 0, 64, NULL, NULL, false,
      "Who may publish, as system/database; everybody else is rejected. Empty: nobody." },

    TIME(session, "ttl", ttl, "10s", 500, 600000, "A worker that does not renew its session for so long is gone."),
    TIME(session, "margin", margin, "2s", 50, 60000, "A lease ends so much earlier for its holder than for others."),

    INT(job, "attempts_max", attempts_max, "6", 1, 20, "attempts", "Attempts of an event before it is a dead letter."),
    INT(job, "rounds_max", rounds_max, "12", 2, 100, "rounds",
        "Rounds of asking and changing at one target in one visit."),
    INT(job, "crash_max", crash_max, "3", 1, 100, "crashes",
        "Runs that end with their process before the event is a dead letter."),
    TIME(job, "hold_max", hold_max, "10m", 1000, 1500000,
         "A message is held unacknowledged so long at most; below the broker's consumer_timeout."),
    TIME(job, "session_settle", session_settle, "15s", 0, 300000,
         "A withdrawn customer's session is looked for once more after this."),
    TIME(job, "deadline", deadline, "5m", 1000, 1500000, "Total time of one visit to one target."),
    TIME(job, "store_retry", store_retry, "1s", 10, 60000, "Redis was unsure: ask again after this."),
    TIME(job, "drain", drain, "120s", 0, 3600000, "SIGTERM: jobs in hand may take so long."),

    TIME(ladder, "level_1", level_1, "2s", 10, DAY_MS, "First level of the retry ladder."),
    TIME(ladder, "level_2", level_2, "10s", 10, DAY_MS, "Second level."),
    TIME(ladder, "level_3", level_3, "1m", 10, DAY_MS, "Third level."),
    TIME(ladder, "level_4", level_4, "5m", 10, DAY_MS, "Fourth level."),
    TIME(ladder, "level_5", level_5, "20m", 10, DAY_MS, "Fifth level."),

    TIME(save, "every", every, "60s", 0, 3600000, "A group of jobs waits for its save so long at most."),

    TIME(gate, "probe_min", probe_min, "1s", 10, 3600000, "First probe of a closed gate."),
    TIME(gate, "probe_max", probe_max, "60s", 10, 3600000, "Longest time between probes."),
    TIME(gate, "probe_busy", probe_busy, "10s", 10, 3600000,
         "Longest time between probes of a target that answers and cannot now: all its sessions are taken, it is busy."),
    INT(gate, "equal_failures", equal_failures, "5", 0, 1000, "failures",
        "So many equal failures of different contracts in a row close the gate until a person looks; 0: never."),

    INT(lanes, "shared_pool", shared_pool, "8", 1, 64, "threads", "Lanes of a shared target (RADIUS database, NAS)."),
    INT(lanes, "front", front, "2", 1, 64, "threads", "Lanes of admission."),
    TIME(lanes, "idle_close", idle_close, "240s", 100, DAY_MS,
         "An idle session is closed after this; shorter than the device's own time."),
    TIME(lanes, "connect_timeout", connect_timeout, "25s", 100, 600000,
         "Total time to connect to a target and to log in."),

    { "limits", "log_bytes", SN_OPTION_SIZE, AT(limits, log_bytes), "64KiB", 1024, 262144, NULL, NULL, false,
      "Transcript of one run." },
};

const char *const sn_options_not_ours[] = { "SILVER_FAILPOINTS", "SILVER_CLOCK", "SILVER_BUILD", NULL };

const struct sn_option_table sn_option_table = { .rows = ROWS, .count = sizeof(ROWS) / sizeof(ROWS[0]) };

bool sn_options_has_role(const struct sn_options *o, const char *role)
{
    for (char **r = o->process.roles; r != NULL && *r != NULL; r++) {
        if (strcmp(*r, role) == 0)
            return true;
    }
    return false;
}

/* ---- what belongs together ---- */

static const struct {
    size_t first, second; /* of durations */
    const char *text;
} ASCENDING[] = {
    { AT(session, margin), AT(session, ttl), "session.margin must be shorter than session.ttl" },
    { AT(ladder, level_1), AT(ladder, level_2), "ladder.level_1 must be shorter than ladder.level_2" },
    { AT(ladder, level_2), AT(ladder, level_3), "ladder.level_2 must be shorter than ladder.level_3" },
    { AT(ladder, level_3), AT(ladder, level_4), "ladder.level_3 must be shorter than ladder.level_4" },
    { AT(ladder, level_4), AT(ladder, level_5), "ladder.level_4 must be shorter than ladder.level_5" },
    { AT(lanes, connect_timeout), AT(job, deadline), "lanes.connect_timeout must be shorter than job.deadline" },
};

static int64_t duration_at(const struct sn_options *o, size_t offset)
{
    int64_t value;

    memcpy(&value, (const char *)o + offset, sizeof(value));
    return value;
}

/* It stands in every result (schemas/result/v1), in Redis keys and in the name of a queue. */
static bool is_worker_name(const char *name)
{
    static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

    return name == NULL || (strspn(name, LETTERS) == strlen(name) && strlen(name) <= 63);
}

int sn_options_check(const struct sn_options *o, struct sn_error *err)
{
    char address[SN_HTTP_ADDRESS_MAX];
    int port;

    for (size_t i = 0; i < sizeof(ASCENDING) / sizeof(ASCENDING[0]); i++) {
        if (duration_at(o, ASCENDING[i].first) >= duration_at(o, ASCENDING[i].second))
            return sn_options_refuse(err, "%s", ASCENDING[i].text);
    }
    if (!is_worker_name(o->process.name))
        return sn_options_refuse(err, "process.name: at most 63 letters, digits, dots, underscores and hyphens");
    if (o->broker.reconnect_min > o->broker.reconnect_max)
        return sn_options_refuse(err, "broker.reconnect_min must not be longer than broker.reconnect_max");
    if (o->gate.probe_min > o->gate.probe_max)
        return sn_options_refuse(err, "gate.probe_min must not be longer than gate.probe_max");
    /* else one renewal that times out would end the lease before the next can be tried */
    if (o->redis.timeout + o->session.margin >= o->session.ttl)
        return sn_options_refuse(err, "redis.timeout and session.margin together must be shorter than session.ttl");
    if (o->job.hold_max + o->job.deadline >= o->broker.consumer_timeout)
        return sn_options_refuse(err,
                                 "job.hold_max and job.deadline together must be shorter than broker.consumer_timeout");
    if (o->process.http_listen[0] != '\0' && sn_http_parse_listen(o->process.http_listen, address, &port, err) != 0)
        return sn_error_prefix(err, "process.http_listen");
    return 0;
}

/* ---- docs/configuration.md ---- */

static const char INTRODUCTION[] =
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "<!-- Generated: silverd --describe-options > docs/configuration.md -->\n"
    "# Configuration\n"
    "\n"
    "`silverd` and `silverctl` read the same options. An option is set, weakest first:\n"
    "\n"
    "1. by its default,\n"
    "2. in the file (`/etc/silver-netops/silverd.yaml`, or `--config FILE`): `session: {ttl: 10s}`,\n"
    "3. in the environment: `SILVER_SESSION_TTL=10s`,\n"
    "4. on the command line: `--session.ttl=10s`.\n"
    "\n"
    "A name that does not exist, a value of another type or out of its range, and options that contradict each other "
    "are refused, with the\n"
    "place and the reason. `silverd --print-config` prints what is in force.\n"
    "\n"
    "- **duration**: a number with its unit, `200ms`, `15s`, `10m`, `1h`, `30d`. **size**: bytes, or `64kB` (1000), "
    "`64KiB` (1024), `MB`, `MiB`,\n"
    "  `GB`, `GiB`. **list**: `[a, b]` in the file, `a,b` elsewhere.\n"
    "- **secret**: never the secret itself but where it is: `env:NAME` (a name that does not begin with `SILVER_`), "
    "`file:/path`,\n"
    "  `vault:mount/path#field`, `sealed:<base64>`. See [secrets](protocols/secrets.md).\n"
    "- The options are read once, at the start.\n"
    "\n";

void sn_options_page(struct sn_buf *out)
{
    sn_buf_adds(out, INTRODUCTION);
    sn_options_describe(&sn_option_table, out);
}
