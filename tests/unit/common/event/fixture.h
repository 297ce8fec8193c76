/* SPDX-License-Identifier: Apache-2.0 */
/* What reading an event needs: schemas, a secret store with a fleet key, a policy that seals inline secrets. One a program; cmocka's
 * group setup and teardown. Included by the program that has the tests, after cmocka.h. */
#ifndef SN_TESTS_UNIT_COMMON_EVENT_FIXTURE_H
#define SN_TESTS_UNIT_COMMON_EVENT_FIXTURE_H

#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/event/event.h"

struct fixture {
    struct sn_schemas *schemas;
    struct sn_secret_store *store;
    struct sn_redact *redact;
    struct sn_event_policy policy;
};

static int event_setup(void **state)
{
    static struct fixture f;
    char path[] = "/tmp/sn-event-key-XXXXXX";
    struct sn_secret_conf conf = { .fleet_key_file = path, .timeout_ms = 1000 };
    struct sn_error err = { 0 };
    int fd = mkstemp(path);

    assert_true(fd >= 0 && sodium_init() >= 0);
    assert_int_equal(write(fd, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 65), 65);
    assert_int_equal(close(fd), 0);
    f.redact = sn_redact_new();
    assert_non_null(f.redact);
    if (sn_secret_store_new(&conf, f.redact, &f.store, &err) < 0 || sn_schemas_load(&f.schemas, &err) < 0)
        fail_msg("%s: %s", err.code, err.text);
    assert_int_equal(unlink(path), 0);
    f.policy = (struct sn_event_policy){ .schemas = f.schemas,
                                         .fleet_key = sn_secret_hash_key(f.store),
                                         .seal_public = sn_secret_seal_public(f.store),
                                         .secrets = f.store,
                                         .inline_secrets = true };
    *state = &f;
    return 0;
}

static int event_teardown(void **state)
{
    struct fixture *f = *state;

    sn_schemas_free(f->schemas);
    sn_secret_store_free(f->store);
    sn_redact_free(f->redact);
    return 0;
}

#endif
