/* SPDX-License-Identifier: Apache-2.0 */
/* Facts about the library: docs/protocols/huawei-smartax.md, section SSH. */
#include <errno.h>
#include <fcntl.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "drivers/cli/link.h"

#define COLUMNS 512 /* no line of ours is wrapped by the device's line editor */
#define ROWS 200
#define NO_METHOD (-100) /* beside the library's SSH_AUTH_ values */
#define SLICE_MS 250 /* the library may hold whole packets that poll() cannot see: look again now and then */

struct ssh_link {
    ssh_session session;
    ssh_channel channel;
    int fd;         /* ours: its number stays until the end */
    int library_fd; /* the same socket, the library's to close */
    bool given;
};

/* The library may still hold bytes of ours and would send them, and a good-bye, while it is freed. With /dev/null in the socket's
 * place the socket closes by a reset (linger 0) and the library writes into nothing. */
static void ssh_cut(void *link)
{
    struct ssh_link *l = link;
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0) {
        (void)shutdown(l->fd, SHUT_RDWR); /* out of descriptors: at least no byte more */
        return;
    }
    (void)dup3(null_fd, l->fd, O_CLOEXEC);
    if (l->library_fd >= 0)
        (void)dup3(null_fd, l->library_fd, O_CLOEXEC);
    (void)close(null_fd);
}

static void ssh_link_free(void *link)
{
    struct ssh_link *l = link;

    if (l->fd >= 0)
        ssh_cut(l);
    if (l->channel != NULL)
        ssh_channel_free(l->channel);
    if (l->session != NULL)
        ssh_free(l->session); /* closes library_fd once it was given to it */
    if (l->library_fd >= 0 && !l->given)
        (void)close(l->library_fd);
    if (l->fd >= 0)
        (void)close(l->fd);
    free(l);
}

/* Waits until the library can go on; false when the deadline has passed. */
static bool ssh_wait(const struct ssh_link *l, int64_t deadline_ms)
{
    int left = sn_clock_left_ms(deadline_ms, sn_clock_mono_ms());
    struct pollfd p = {.fd = l->fd, .events = POLLIN};

    if (left == 0)
        return false;
    if (ssh_get_poll_flags(l->session) & SSH_WRITE_PENDING)
        p.events |= POLLOUT;
    (void)poll(&p, 1, left < SLICE_MS ? left : SLICE_MS);
    return true;
}

static int ssh_write_all(void *link, const void *data, size_t len, int64_t deadline_ms)
{
    struct ssh_link *l = link;
    const char *at = data;

    while (len > 0) {
        int n = ssh_channel_write(l->channel, at, (uint32_t)len);

        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else if ((n < 0 && n != SSH_AGAIN) || !ssh_wait(l, deadline_ms)) {
            return -1;
        }
    }
    /* A byte left in the library would leave with the next read, perhaps under another lease. */
    return ssh_blocking_flush(l->session, sn_clock_left_ms(deadline_ms, sn_clock_mono_ms())) == SSH_OK ? 0 : -1;
}

static ssize_t ssh_read_some(void *link, void *buf, size_t size, int64_t deadline_ms)
{
    struct ssh_link *l = link;

    for (;;) {
        int n = ssh_channel_read_nonblocking(l->channel, buf, (uint32_t)size, 0);

        if (n > 0)
            return n;
        if ((n < 0 && n != SSH_AGAIN) || ssh_channel_is_eof(l->channel) || ssh_channel_is_closed(l->channel) ||
            !ssh_is_connected(l->session))
            return -1;
        if (!ssh_wait(l, deadline_ms))
            return 0;
    }
}

static int ssh_link_fd(void *link)
{
    return ((struct ssh_link *)link)->fd;
}

static const struct sn_cli_link_ops ssh_ops = {
    .write = ssh_write_all,
    .read = ssh_read_some,
    .fd = ssh_link_fd,
    .cut = ssh_cut,
    .free = ssh_link_free,
};

/* Modern algorithms first, so that a device that was upgraded uses them at once. */
static const struct {
    enum ssh_options_e option;
    const char *value;
} legacy[] = {
    {SSH_OPTIONS_KEY_EXCHANGE,
     "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
     "diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group14-sha256,"
     "diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1"},
    {SSH_OPTIONS_HOSTKEYS, "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,"
                           "rsa-sha2-256,ssh-rsa"},
    {SSH_OPTIONS_CIPHERS_C_S, "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr,aes256-cbc,"
                              "aes192-cbc,aes128-cbc,3des-cbc"},
    {SSH_OPTIONS_CIPHERS_S_C, "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr,aes256-cbc,"
                              "aes192-cbc,aes128-cbc,3des-cbc"},
    {SSH_OPTIONS_HMAC_C_S, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"},
    {SSH_OPTIONS_HMAC_S_C, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"},
};

static int ssh_configure(struct ssh_link *l, const struct sn_cli_ssh *conf)
{
    const bool no = false;
    const int rsa_bits = 1024;
    ssh_session s = l->session;
    int bad = 0;

    bad |= ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &no);
    bad |= ssh_options_set(s, SSH_OPTIONS_HOST, conf->host);
    bad |= ssh_options_set(s, SSH_OPTIONS_USER, conf->username);
    bad |= ssh_options_set(s, SSH_OPTIONS_FD, &l->library_fd);
    bad |= ssh_options_set(s, SSH_OPTIONS_KNOWNHOSTS, "/dev/null");
    bad |= ssh_options_set(s, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null");
    for (size_t i = 0; conf->legacy_crypto && i < sizeof(legacy) / sizeof(legacy[0]); i++)
        bad |= ssh_options_set(s, legacy[i].option, legacy[i].value);
    if (conf->legacy_crypto)
        bad |= ssh_options_set(s, SSH_OPTIONS_RSA_MIN_SIZE, &rsa_bits);
    ssh_set_blocking(s, 0);
    return bad;
}

static int ssh_handshake(struct ssh_link *l, int64_t deadline_ms, struct sn_verdict *verdict)
{
    const char *why;
    int rc;

    l->given = true;
    while ((rc = ssh_connect(l->session)) == SSH_AGAIN) {
        if (!ssh_wait(l, deadline_ms)) {
            sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "no SSH handshake before the deadline");
            return -1;
        }
    }
    if (rc == SSH_OK)
        return 0;
    why = ssh_get_error(l->session);
    if (strcasestr(why, "no match") != NULL || strcasestr(why, "key size") != NULL)
        sn_verdict_set(verdict, SN_AUTH, "ssh.algorithms", "%s", why);
    else if (ssh_get_serverbanner(l->session) != NULL)
        /* A peer that finds no common algorithm hangs up, and the library may see that before it finds out itself. */
        sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "the peer ended the key exchange (old algorithms?): %s", why);
    else
        sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "%s", why);
    return -1;
}

static bool key_allowed(const json_t *allowed, const char *seen)
{
    size_t i;
    json_t *one;

    if (json_is_string(allowed))
        return strcmp(json_string_value(allowed), seen) == 0;
    json_array_foreach(allowed, i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), seen) == 0)
            return true;
    }
    return false;
}

static int ssh_verify_host(struct ssh_link *l, const json_t *allowed, struct sn_verdict *verdict)
{
    ssh_key key = NULL;
    unsigned char *hash = NULL;
    size_t len = 0;
    char *seen = NULL;
    int ret = -1;

    if (ssh_get_server_publickey(l->session, &key) == SSH_OK &&
        ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len) == SSH_OK)
        seen = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
    if (seen == NULL) {
        sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "the server's host key cannot be read");
    } else if (key_allowed(allowed, seen)) {
        ret = 0;
    } else {
        bool known = json_is_string(allowed) || json_array_size(allowed) > 0;

        sn_verdict_set(verdict, SN_AUTH, known ? "ssh.host-key-changed" : "ssh.host-key-unknown",
                       known ? "the host key is %s, not the one in the inventory"
                             : "host_key is not in the inventory; the host shows %s", seen);
        sn_verdict_arg(verdict, "seen", seen);
    }
    if (seen != NULL)
        ssh_string_free_char(seen);
    if (hash != NULL)
        ssh_clean_pubkey_hash(&hash);
    if (key != NULL)
        ssh_key_free(key);
    return ret;
}

/* One round of keyboard-interactive: answers each hidden prompt by the password, once. */
static int ssh_answer_prompts(struct ssh_link *l, const char *username, const char *password, bool *answered)
{
    int n = ssh_userauth_kbdint_getnprompts(l->session);

    if (n < 0 || n > 2 || (n > 0 && *answered))
        return -1; /* asked again: the password was wrong, or something else is wanted; never guess */
    for (int i = 0; i < n; i++) {
        char echo = 0;

        (void)ssh_userauth_kbdint_getprompt(l->session, (unsigned)i, &echo);
        if (ssh_userauth_kbdint_setanswer(l->session, (unsigned)i, echo ? username : password) < 0)
            return -1;
        *answered = true;
    }
    return 0;
}

static int ssh_interactive(struct ssh_link *l, const struct sn_cli_ssh *conf, int64_t deadline_ms)
{
    bool answered = false;

    for (;;) {
        int rc = ssh_userauth_kbdint(l->session, NULL, NULL);

        if (rc == SSH_AUTH_INFO) {
            if (ssh_answer_prompts(l, conf->username, conf->password, &answered) < 0)
                return SSH_AUTH_DENIED;
        } else if (rc != SSH_AUTH_AGAIN) {
            return rc;
        } else if (!ssh_wait(l, deadline_ms)) {
            return SSH_AUTH_AGAIN;
        }
    }
}

static int ssh_password(struct ssh_link *l, const struct sn_cli_ssh *conf, int64_t deadline_ms)
{
    int rc;

    while ((rc = ssh_userauth_password(l->session, NULL, conf->password)) == SSH_AUTH_AGAIN) {
        if (!ssh_wait(l, deadline_ms))
            break;
    }
    return rc;
}

static int ssh_key_login(struct ssh_link *l, const struct sn_cli_ssh *conf, int64_t deadline_ms)
{
    ssh_key key = NULL;
    int rc;

    if (ssh_pki_import_privkey_base64(conf->private_key, NULL, NULL, NULL, &key) != SSH_OK)
        return SSH_AUTH_DENIED;
    while ((rc = ssh_userauth_publickey(l->session, NULL, key)) == SSH_AUTH_AGAIN) {
        if (!ssh_wait(l, deadline_ms))
            break;
    }
    ssh_key_free(key);
    return rc;
}

/* One attempt, by the best of what we have and the server takes. NO_METHOD: nothing in common. */
static int ssh_attempt(struct ssh_link *l, const struct sn_cli_ssh *conf, int methods, int64_t deadline_ms)
{
    if (conf->private_key != NULL && (methods & SSH_AUTH_METHOD_PUBLICKEY))
        return ssh_key_login(l, conf, deadline_ms);
    if (conf->password != NULL && (methods & SSH_AUTH_METHOD_PASSWORD))
        return ssh_password(l, conf, deadline_ms);
    if (conf->password != NULL && (methods & SSH_AUTH_METHOD_INTERACTIVE))
        return ssh_interactive(l, conf, deadline_ms);
    return NO_METHOD;
}

static int ssh_methods(struct ssh_link *l, int64_t deadline_ms, int *ret_methods)
{
    int rc;

    while ((rc = ssh_userauth_none(l->session, NULL)) == SSH_AUTH_AGAIN) {
        if (!ssh_wait(l, deadline_ms))
            break;
    }
    *ret_methods = rc == SSH_AUTH_DENIED || rc == SSH_AUTH_PARTIAL ? ssh_userauth_list(l->session, NULL) : 0;
    return rc;
}

static int ssh_login(struct ssh_link *l, const struct sn_cli_ssh *conf, int64_t deadline_ms, struct sn_verdict *verdict)
{
    int methods, rc = ssh_methods(l, deadline_ms, &methods);
    bool sent = false;

    if (rc == SSH_AUTH_DENIED) {
        sent = true;
        rc = ssh_attempt(l, conf, methods, deadline_ms);
    }
    switch (rc) {
    case NO_METHOD:
        sn_verdict_set(verdict, SN_AUTH, "ssh.auth-method", "the server takes no login by the credential of the inventory");
        break;
    case SSH_AUTH_SUCCESS:
        return 0;
    case SSH_AUTH_DENIED:
    case SSH_AUTH_PARTIAL:
        sn_verdict_set(verdict, SN_AUTH, "ssh.auth", "the server refused user name or password");
        break;
    case SSH_AUTH_AGAIN:
        sn_verdict_set(verdict, SN_UNREACHABLE, "cli.timeout", "no answer to the login before the deadline");
        break;
    default:
        /* Hung up on the password. Too many sessions looks like this, a wrong password on some builds too. */
        if (sent && strcasestr(ssh_get_error(l->session), "auth") != NULL)
            sn_verdict_set(verdict, SN_AUTH, "ssh.auth", "%s", ssh_get_error(l->session));
        else if (sent)
            sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "cli.session-quota", "hung up during the login: %s",
                           ssh_get_error(l->session));
        else
            sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "%s", ssh_get_error(l->session));
        break;
    }
    return -1;
}

static int ssh_shell(struct ssh_link *l, int64_t deadline_ms, struct sn_verdict *verdict)
{
    int rc;

    l->channel = ssh_channel_new(l->session);
    if (l->channel == NULL)
        goto fail;
    while ((rc = ssh_channel_open_session(l->channel)) == SSH_AGAIN && ssh_wait(l, deadline_ms))
        continue;
    if (rc != SSH_OK)
        goto fail;
    while ((rc = ssh_channel_request_pty_size(l->channel, "vt100", COLUMNS, ROWS)) == SSH_AGAIN && ssh_wait(l, deadline_ms))
        continue;
    if (rc != SSH_OK)
        goto fail;
    while ((rc = ssh_channel_request_shell(l->channel)) == SSH_AGAIN && ssh_wait(l, deadline_ms))
        continue;
    if (rc != SSH_OK)
        goto fail;
    return 0;
fail:
    /* The login itself was good: what is refused here is one more session. */
    sn_verdict_set(verdict, SN_TRANSIENT_DEVICE, "ssh.channel", "no shell: %s", ssh_get_error(l->session));
    return -1;
}

int sn_cli_ssh_open(const struct sn_cli_ssh *conf, int64_t deadline_ms, struct sn_cli_link *ret, struct sn_verdict *verdict)
{
    struct ssh_link *l = calloc(1, sizeof(*l));
    int64_t connect_by = sn_clock_mono_ms() + conf->connect_ms;

    if (l == NULL) {
        sn_verdict_set(verdict, SN_UNREACHABLE, "base.memory", "out of memory");
        return -1;
    }
    l->fd = l->library_fd = -1;
    if (sn_cli_tcp(conf->host, conf->port, conf->user_timeout_ms, connect_by < deadline_ms ? connect_by : deadline_ms, &l->fd,
                   verdict) < 0)
        goto fail;
    l->library_fd = fcntl(l->fd, F_DUPFD_CLOEXEC, 3);
    l->session = ssh_new();
    if (l->library_fd < 0 || l->session == NULL || ssh_configure(l, conf) != 0) {
        sn_verdict_set(verdict, SN_UNREACHABLE, "ssh.handshake", "the SSH library refuses its settings");
        goto fail;
    }
    if (ssh_handshake(l, deadline_ms, verdict) < 0 || ssh_verify_host(l, conf->host_key, verdict) < 0 ||
        ssh_login(l, conf, deadline_ms, verdict) < 0 || ssh_shell(l, deadline_ms, verdict) < 0)
        goto fail;
    ret->ops = &ssh_ops;
    ret->link = l;
    return 0;
fail:
    ssh_link_free(l);
    return -1;
}
