/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ctl/conf.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/secret/secret.h"
#include "worker/options.h"

#define DEFAULT_FILE "/etc/silver-netops/silverd.yaml"

struct sn_ctl_conf {
    struct sn_options options;
    struct sn_redact *redact;
    struct sn_secret_store *secrets;
    struct sn_secret passwords[SN_PASSWORD_COUNT];
    bool resolved[SN_PASSWORD_COUNT];
};

static int load(const struct sn_line *line, struct sn_options *options, struct sn_error *err)
{
    const struct sn_option_sources sources = { .file = line->config != NULL ? line->config : DEFAULT_FILE,
                                               .file_may_lack = line->config == NULL,
                                               .environment = environ,
                                               .not_ours = sn_options_not_ours,
                                               .settings = line->settings,
                                               .settings_count = line->settings_n };

    if (sn_options_load(&sn_option_table, &sources, options, err) != 0)
        return -1;
    if (sn_options_check(options, err) == 0)
        return 0;
    sn_options_free(&sn_option_table, options);
    return -1;
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* The fleet key opens sealed: references. Whoever may not read it works without them. */
static int open_secrets(struct sn_ctl_conf *c, struct sn_error *err)
{
    const struct sn_options *o = &c->options;
    const char *key = or_null(o->secrets.fleet_key_file);
    const struct sn_secret_conf conf = { .fleet_key_file = key != NULL && access(key, R_OK) == 0 ? key : NULL,
                                         .vault_address = or_null(o->secrets.vault_address),
                                         .vault_ca_file = or_null(o->secrets.vault_ca_file),
                                         .vault_token_file = or_null(o->secrets.vault_token_file),
                                         .file_root = or_null(o->secrets.file_root),
                                         .timeout_ms = (int)o->secrets.timeout };

    c->redact = sn_redact_new();
    if (c->redact == NULL)
        return sn_error_oom(err);
    return sn_secret_store_new(&conf, c->redact, &c->secrets, err);
}

static void fill(struct sn_ctl *ctl, const struct sn_options *o)
{
    ctl->inventory_path = o->inventory.path;
    ctl->inline_secrets = o->secrets.inline_secrets;
    ctl->broker_conf = (struct sn_broker_conf){ .host = o->broker.host,
                                                .port = (int)o->broker.port,
                                                .vhost = o->broker.vhost,
                                                .user = o->broker.user,
                                                .name = "silverctl",
                                                .heartbeat_s = (int)(o->broker.heartbeat / 1000),
                                                .connect_timeout_ms = (int)o->broker.connect_timeout,
                                                .rpc_timeout_ms = (int)o->broker.rpc_timeout,
                                                .confirm_timeout_ms = (int)o->broker.confirm_timeout,
                                                .reconnect_min_ms = (int)o->broker.reconnect_min,
                                                .reconnect_max_ms = (int)o->broker.reconnect_max };
    ctl->pg_conf = (struct sn_pg_conf){ .host = o->ledger.host,
                                        .port = (int)o->ledger.port,
                                        .database = o->ledger.database,
                                        .user = o->ledger.reader,
                                        .sslmode = o->ledger.sslmode,
                                        .application = "silverctl" };
    ctl->store_conf = (struct sn_store_conf){ .host = o->redis.host,
                                              .port = (int)o->redis.port,
                                              .db = (int)o->redis.db,
                                              .timeout_ms = (int)o->redis.timeout,
                                              .replicas = (int)o->redis.replicas };
    ctl->ladder = (struct sn_ladder){ { o->ladder.level_1, o->ladder.level_2, o->ladder.level_3, o->ladder.level_4,
                                        o->ladder.level_5 } };
}

int sn_ctl_configure(struct sn_ctl *ctl, const struct sn_line *line, struct sn_error *err)
{
    struct sn_ctl_conf *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return sn_error_oom(err);
    if (load(line, &c->options, err) != 0) {
        free(c);
        return -1;
    }
    ctl->conf = c;
    if (open_secrets(c, err) != 0)
        return -1;
    fill(ctl, &c->options);
    return 0;
}

int sn_ctl_password(struct sn_ctl *ctl, enum sn_password which, const char **ret, struct sn_error *err)
{
    struct sn_ctl_conf *c = ctl->conf;
    const char *const references[] = { c->options.broker.password, c->options.redis.password,
                                       c->options.ledger.reader_password };
    static const char *const names[] = { "broker.password", "redis.password", "ledger.reader_password" };

    if (references[which][0] != '\0' && !c->resolved[which]) {
        if (sn_secret_resolve(c->secrets, references[which], &c->passwords[which], err) != 0)
            return sn_error_prefix(err, "%s", names[which]);
        c->resolved[which] = true;
    }
    *ret = c->passwords[which].data;
    return 0;
}

void sn_ctl_unconfigure(struct sn_ctl *ctl)
{
    struct sn_ctl_conf *c = ctl->conf;

    if (c == NULL)
        return;
    for (size_t i = 0; i < SN_PASSWORD_COUNT; i++)
        sn_secret_fini(&c->passwords[i]);
    sn_secret_store_free(c->secrets);
    sn_redact_free(c->redact);
    sn_options_free(&sn_option_table, &c->options);
    free(c);
    ctl->conf = NULL;
}
