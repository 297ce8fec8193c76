/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/conf.h"

#include <stdlib.h>

static const char *env(const char *name, const char *otherwise)
{
    const char *v = getenv(name);
    return v != NULL ? v : otherwise;
}

int sn_ctl_configure(struct sn_ctl *ctl, const struct sn_line *line, struct sn_error *err)
{
    (void)line;
    (void)err;
    ctl->broker_conf = (struct sn_broker_conf){ .host = env("SILVER_BROKER_HOST", "127.0.0.1"), .port = atoi(env("SILVER_BROKER_PORT", "5672")),
        .vhost = env("SILVER_BROKER_VHOST", "/"), .user = env("SILVER_BROKER_USER", "silver"), .password = env("SILVER_BROKER_PASSWORD", ""),
        .name = "silverctl", .heartbeat_s = 10, .connect_timeout_ms = 5000, .rpc_timeout_ms = 5000, .confirm_timeout_ms = 10000, .reconnect_min_ms = 100, .reconnect_max_ms = 1000 };
    ctl->pg_conf = (struct sn_pg_conf){ .host = env("SILVER_LEDGER_HOST", "127.0.0.1"), .port = atoi(env("SILVER_LEDGER_PORT", "5432")), .database = env("SILVER_LEDGER_DATABASE", "silver"),
        .user = env("SILVER_LEDGER_USER", "silver_reader"), .password = env("SILVER_LEDGER_PASSWORD", ""), .application = "silverctl" };
    ctl->store_conf = (struct sn_store_conf){ .host = env("SILVER_REDIS_HOST", "127.0.0.1"), .port = atoi(env("SILVER_REDIS_PORT", "6379")), .timeout_ms = 3000 };
    ctl->ladder = (struct sn_ladder){ .level_ms = { 2000, 10000, 60000, 300000, 1200000 } };
    ctl->inventory_path = env("SILVER_INVENTORY_FILE", "/etc/silver-netops/inventory.yaml");
    return 0;
}

void sn_ctl_unconfigure(struct sn_ctl *ctl)
{
    (void)ctl;
}
