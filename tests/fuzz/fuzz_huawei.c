/* SPDX-License-Identifier: Apache-2.0 */
/* Any replies to whatever the driver asks, separated by NUL; the first byte chooses what is wanted. No reply leads to done without having
 * named the ONU, every line that is asked for is one that may be sent, and nothing is written before something was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cli/cli.h"
#include "drivers/huawei-smartax/huawei-smartax.h"

#define DRIVER (&sn_driver_huawei_smartax)
#define SERIAL "4857544311E70E9A"
#define ROUNDS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char service_text[] =
    "{\"plan\":{\"code\":\"F\",\"down_kbps\":100000,\"up_kbps\":50000},\"onu\":{\"serial\":\"" SERIAL "\",\"frame\":0,\"slot\":1,\"port\":3,"
    "\"line_profile\":\"example\",\"service_profile\":\"10\",\"cutoff\":\"port\",\"cutoff_port\":2,"
    "\"services\":[{\"name\":\"i\",\"gemport\":1,\"vlan\":100}]}}";

static void require(int holds)
{
    if (!holds)
        abort();
}

/* The next reply, up to a NUL or the end. */
static void take_reply(const char **at, size_t *left, struct sn_reply *reply)
{
    const char *end = memchr(*at, '\0', *left);
    size_t len = end == NULL ? *left : (size_t)(end - *at);

    sn_buf_add(&reply->text, *at, len);
    *at += len;
    *left -= len;
    if (*left > 0) {
        (*at)++;
        (*left)--;
    }
}

/* False when the list ends. */
static int carry(const struct sn_want *want, const struct sn_op *op, void *have, json_t *memo, const char **at, size_t *left)
{
    struct sn_reply reply = {.text = SN_BUF_INIT};
    struct sn_verdict verdict = {0};
    int good;

    require(sn_cli_line_safe(op->line) && sn_cli_line_safe(op->mode));
    take_reply(at, left, &reply);
    DRIVER->absorb(want, op, &reply, have, memo, &verdict);
    good = verdict.class == SN_OK;
    require(good || verdict.code[0] != '\0');
    sn_verdict_fini(&verdict);
    sn_reply_fini(&reply);
    return good;
}

static void run(const struct sn_want *want, const char *at, size_t left)
{
    void *have = calloc(1, DRIVER->have_size);
    struct sn_answer *answer = calloc(1, sizeof(*answer));
    json_t *memo = json_object(), *holds = NULL, *reality = NULL;
    const char *all = at;
    size_t size = left, reads = 0;

    require(have != NULL && answer != NULL && memo != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        memset(answer, 0, sizeof(*answer));
        DRIVER->next(want, have, memo, answer);
        if (answer->what != SN_NEXT_OPS)
            break;
        require(answer->ops.n > 0);
        require(answer->ops.v[0].kind == SN_READ || reads > 0);
        for (size_t i = 0; i < answer->ops.n; i++) {
            reads += answer->ops.v[i].kind == SN_READ;
            if (!carry(want, &answer->ops.v[i], have, memo, &at, &left))
                break;
        }
        if (answer->ops.v[0].kind == SN_WRITE)
            memset(have, 0, DRIVER->have_size);
    }
    if (answer->what == SN_NEXT_DONE && want->kind == SN_BE && !want->suspended)
        require(memmem(all, size, SERIAL, strlen(SERIAL)) != NULL || memmem(all, size, "HWTC", 4) != NULL);
    DRIVER->describe(want, have, memo, &holds, &reality);
    json_decref(holds);
    json_decref(reality);
    json_decref(memo);
    sn_answer_fini(answer);
    free(answer);
    free(have);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *service = json_loads(service_text, 0, NULL), *key = NULL, *rivals = json_array();
    struct sn_target target = {.conf = service};
    struct sn_want want = {.kind = SN_BE, .ref = "CT-17071", .service = service, .rivals = rivals, .target = &target};
    struct sn_error err;

    require(service != NULL && DRIVER->key(&want, &key, &err) == 0);
    want.key = key;
    if (size > 0) {
        want.kind = data[0] % 8 == 1 ? SN_GONE : data[0] % 8 == 2 ? SN_LOOK : SN_BE;
        want.suspended = data[0] % 8 >= 5;
        want.shared = data[0] % 2 == 0;
        if (data[0] % 8 == 4 || data[0] % 8 == 6)
            (void)json_array_append_new(rivals, json_string("CT-2"));
        run(&want, (const char *)data + 1, size - 1);
    }
    json_decref(rivals);
    json_decref(key);
    json_decref(service);
    return 0;
}
