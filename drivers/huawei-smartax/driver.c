/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/cli/cli.h"
#include "drivers/huawei-smartax/huawei-smartax.h"
#include "drivers/huawei-smartax/huawei.h"

static int hw_open(const struct sn_driver_env *env, int64_t deadline_ms, void **ret_session, struct sn_verdict *verdict)
{
    return sn_cli_open(&hw_dialect, env, deadline_ms, ret_session, verdict);
}

static const char *const aspects[] = {"onu", NULL};

const struct sn_driver sn_driver_huawei_smartax = {
    .abi = SN_DRIVER_ABI,
    .name = "huawei-smartax",
    .aspects = aspects,
    .commit_policy = SN_COMMIT_BATCH,
    .sessions_max = 1,
    .have_size = sizeof(struct hw_have),
    .key = hw_key,
    .claims = hw_claims,
    .same_thing = hw_same_thing,
    .next = hw_next,
    .absorb = hw_absorb,
    .describe = hw_describe,
    .open = hw_open,
    .exchange = sn_cli_exchange,
    .commit = sn_cli_commit,
    .close = sn_cli_close,
    .fd = sn_cli_fd,
    .idle = sn_cli_idle,
    .record = hw_record,
    .op_timeout_ms = sn_cli_op_timeout_ms,
};
