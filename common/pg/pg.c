/* SPDX-License-Identifier: Apache-2.0 */
#include "common/pg/pg.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

struct sn_pg {
    PGconn *conn;
    bool broken;
};

static const char *class_code(enum sn_pg_class class)
{
    switch (class) {
    case SN_PG_UNREACHABLE:
        return "pg.unreachable";
    case SN_PG_LOST:
        return "pg.lost";
    case SN_PG_AUTH:
        return "pg.auth";
    case SN_PG_PRIVILEGE:
        return "pg.privilege";
    case SN_PG_RETRY:
        return "pg.retry";
    case SN_PG_CONSTRAINT:
        return "pg.constraint";
    case SN_PG_BUSY:
        return "pg.busy";
    case SN_PG_OTHER:
        break;
    }
    return "pg.refused";
}

/* What an SQLSTATE means for us. Appendix A of the PostgreSQL manual: the first two characters are the class. */
static enum sn_pg_class class_of(const char *state)
{
    static const struct {
        const char *prefix;
        enum sn_pg_class class;
    } table[] = {
        { "28", SN_PG_AUTH },         { "3D000", SN_PG_AUTH },      { "42501", SN_PG_PRIVILEGE },
        { "42P01", SN_PG_PRIVILEGE }, { "42703", SN_PG_PRIVILEGE }, { "3F000", SN_PG_PRIVILEGE },
        { "40", SN_PG_RETRY },        { "23", SN_PG_CONSTRAINT },   { "25006", SN_PG_BUSY },
        { "53", SN_PG_BUSY },         { "55P03", SN_PG_BUSY },      { "57014", SN_PG_BUSY },
        { "57P", SN_PG_BUSY },        { "58", SN_PG_BUSY },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].class;
    }
    return SN_PG_OTHER;
}

static int fail(struct sn_pg_error *err, enum sn_pg_class class, const char *text)
{
    size_t len = strcspn(text, "\r\n"); /* libpq ends its messages with a newline and adds DETAIL lines, which may hold values */

    err->class = class;
    return sn_error_set(&err->error, class_code(class), "%.*s", (int)(len > 400 ? 400 : len), text);
}

static int fail_link(struct sn_pg *pg, struct sn_pg_error *err, enum sn_pg_class class, const char *text)
{
    pg->broken = true;
    return fail(err, class, text);
}

/* Waits until the socket is ready. 1 ready, 0 deadline passed. */
static int wait_fd(int fd, short events, int64_t deadline_ms)
{
    struct pollfd p = { .fd = fd, .events = events };
    int n;

    do {
        int left = sn_clock_left_ms(deadline_ms, sn_clock_mono_ms());
        n = poll(&p, 1, left);
        if (n == 0 && left == 0)
            return 0;
    } while (n == 0 || (n < 0 && errno == EINTR));
    return 1; /* an error of poll() shows itself at the next call of libpq */
}

/* ---- connecting ---- */

/* With SQLSTATE verbosity a refusal reads "FATAL:  28P01"; the text is fetched apart. */
static enum sn_pg_class connect_class(PGconn *conn, char state[6])
{
    const char *p = strstr(PQerrorMessage(conn), "FATAL:  ");

    state[0] = '\0';
    if (p == NULL)
        return SN_PG_UNREACHABLE;
    p += strlen("FATAL:  ");
    if (strspn(p, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") < 5)
        return SN_PG_UNREACHABLE;
    memcpy(state, p, 5);
    state[5] = '\0';
    return class_of(state);
}

static PGconn *connect_start(const struct sn_pg_conf *conf)
{
    char port[16];
    const char *keys[16];
    const char *values[16];
    size_t n = 0;

    (void)snprintf(port, sizeof(port), "%d", conf->port > 0 ? conf->port : 5432);
#define PUT(k, v)                                                                                                       \
    do {                                                                                                                \
        keys[n] = (k);                                                                                                  \
        values[n++] = (v);                                                                                              \
    } while (0)
    PUT("host", conf->host);
    PUT("port", port);
    PUT("dbname", conf->database);
    PUT("user", conf->user);
    PUT("application_name", conf->application != NULL ? conf->application : "silver-netops");
    PUT("client_encoding", "UTF8");
    PUT("keepalives_idle", "30");
    PUT("tcp_user_timeout", "20000");
    if (conf->password != NULL)
        PUT("password", conf->password);
    else
        PUT("passfile", "/nonexistent"); /* never somebody's ~/.pgpass; libpq warns of a file that is no plain file */
    if (conf->sslmode != NULL)
        PUT("sslmode", conf->sslmode);
    if (conf->sslrootcert != NULL)
        PUT("sslrootcert", conf->sslrootcert);
    PUT(NULL, NULL);
#undef PUT
    return PQconnectStartParams(keys, values, 0);
}

static int connect_fail(PGconn *conn, const struct sn_pg_conf *conf, struct sn_pg_error *err)
{
    enum sn_pg_class class = PQconnectionNeedsPassword(conn) ? SN_PG_AUTH : connect_class(conn, err->sqlstate);
    const char *text = PQerrorMessage(conn);

    /* "connection to server at "x", port n failed: FATAL:  28P01": our own words say more */
    if (class == SN_PG_AUTH) {
        err->class = class;
        return sn_error_set(&err->error, class_code(class), "login to database %s as %s was refused (%s)", conf->database,
                            conf->user, err->sqlstate[0] != '\0' ? err->sqlstate : "a password is asked for");
    }
    if (class == SN_PG_BUSY) {
        err->class = class;
        return sn_error_set(&err->error, class_code(class), "database %s as %s: %s (%s)", conf->database, conf->user,
                            strcmp(err->sqlstate, "53300") == 0      ? "too many connections"
                            : strncmp(err->sqlstate, "57P", 3) == 0 ? "the server starts or shuts down"
                                                                    : "the server lacks something at the moment",
                            err->sqlstate);
    }
    return fail(err, class, text[0] != '\0' ? text : "no connection");
}

int sn_pg_open(const struct sn_pg_conf *conf, int64_t deadline_ms, struct sn_pg **ret_pg, struct sn_pg_error *err)
{
    struct sn_pg *pg = calloc(1, sizeof(*pg));
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    memset(err, 0, sizeof(*err));
    if (pg == NULL || (pg->conn = connect_start(conf)) == NULL) {
        free(pg);
        return fail(err, SN_PG_UNREACHABLE, "out of memory");
    }
    if (PQstatus(pg->conn) == CONNECTION_BAD)
        goto refused;
    (void)PQsetErrorVerbosity(pg->conn, PQERRORS_SQLSTATE);
    while (status != PGRES_POLLING_OK) {
        short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!wait_fd(PQsocket(pg->conn), events, deadline_ms)) {
            (void)fail(err, SN_PG_UNREACHABLE, "no connection within the time allowed");
            goto out;
        }
        status = PQconnectPoll(pg->conn);
        if (status == PGRES_POLLING_FAILED)
            goto refused;
    }
    (void)PQsetErrorVerbosity(pg->conn, PQERRORS_TERSE);
    if (PQsetnonblocking(pg->conn, 1) != 0)
        goto refused;
    *ret_pg = pg;
    return 0;
refused:
    (void)connect_fail(pg->conn, conf, err);
out:
    sn_pg_close(pg);
    return -1;
}

void sn_pg_close(struct sn_pg *pg)
{
    if (pg == NULL)
        return;
    PQfinish(pg->conn);
    free(pg);
}

int sn_pg_fd(const struct sn_pg *pg)
{
    return pg->broken ? -1 : PQsocket(pg->conn);
}

bool sn_pg_broken(const struct sn_pg *pg)
{
    return pg->broken;
}

int sn_pg_idle(struct sn_pg *pg)
{
    struct pollfd p = { .fd = pg->broken ? -1 : PQsocket(pg->conn), .events = POLLIN };

    /* The server's last words come first, the end of the link after them: read until there is nothing to read. */
    while (!pg->broken && poll(&p, 1, 0) > 0) {
        if (!PQconsumeInput(pg->conn) || PQstatus(pg->conn) != CONNECTION_OK)
            pg->broken = true;
        else
            (void)PQisBusy(pg->conn); /* takes notices out of libpq's buffer */
    }
    return pg->broken ? -1 : 0;
}

/* ---- statements ---- */

/* Sends everything and waits for the first byte of an answer. PQflush() > 0 = more to send; then the server may also want to be
 * read, or both sides would wait. */
static int flush_all(struct sn_pg *pg, int64_t deadline_ms, struct sn_pg_error *err)
{
    for (;;) {
        int n = PQflush(pg->conn);
        if (n == 0)
            return 0;
        if (n < 0)
            return fail_link(pg, err, SN_PG_LOST, PQerrorMessage(pg->conn));
        if (!wait_fd(PQsocket(pg->conn), POLLIN | POLLOUT, deadline_ms))
            return fail_link(pg, err, SN_PG_LOST, "the statement could not be sent within the time allowed");
        if (!PQconsumeInput(pg->conn))
            return fail_link(pg, err, SN_PG_LOST, PQerrorMessage(pg->conn));
    }
}

/* The last result of the statement; errors win. The protocol demands reading until NULL. */
static int collect(struct sn_pg *pg, int64_t deadline_ms, PGresult **ret, struct sn_pg_error *err)
{
    PGresult *kept = NULL;

    for (;;) {
        PGresult *r;
        while (PQisBusy(pg->conn)) {
            if (!wait_fd(PQsocket(pg->conn), POLLIN, deadline_ms)) {
                PQclear(kept);
                return fail_link(pg, err, SN_PG_LOST, "no answer within the time allowed");
            }
            if (!PQconsumeInput(pg->conn)) {
                PQclear(kept);
                return fail_link(pg, err, SN_PG_LOST, PQerrorMessage(pg->conn));
            }
        }
        r = PQgetResult(pg->conn);
        if (r == NULL)
            break;
        if (kept == NULL || PQresultStatus(r) == PGRES_FATAL_ERROR) {
            PQclear(kept);
            kept = r;
        } else {
            PQclear(r);
        }
    }
    *ret = kept;
    return 0;
}

static int judge(struct sn_pg *pg, const PGresult *r, struct sn_pg_error *err)
{
    ExecStatusType status = PQresultStatus(r);
    const char *state;
    const char *name;

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return 0;
    state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    if (state == NULL) { /* libpq made this result by itself: the link ended */
        const char *text = PQresultErrorMessage(r);
        return fail_link(pg, err, SN_PG_LOST, text[0] != '\0' ? text : "the link to the database ended");
    }
    (void)snprintf(err->sqlstate, sizeof(err->sqlstate), "%.5s", state);
    name = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);
    (void)snprintf(err->constraint, sizeof(err->constraint), "%.63s", name != NULL ? name : "");
    if (PQstatus(pg->conn) != CONNECTION_OK)
        pg->broken = true; /* it said why it hangs up (57P01) */
    err->class = class_of(err->sqlstate);
    name = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    return sn_error_set(&err->error, class_code(err->class), "%.400s (SQLSTATE %s)", name != NULL ? name : "refused",
                        err->sqlstate);
}

int sn_pg_query(struct sn_pg *pg, const char *sql, size_t n_params, const char *const params[], int64_t deadline_ms,
                struct sn_pg_result *ret, struct sn_pg_error *err)
{
    PGresult *r = NULL;

    memset(err, 0, sizeof(*err));
    ret->rows = NULL;
    if (pg->broken)
        return fail(err, SN_PG_UNREACHABLE, "the link to the database had ended before");
    if (!PQsendQueryParams(pg->conn, sql, (int)n_params, NULL, params, NULL, NULL, 0))
        return fail_link(pg, err, SN_PG_LOST, PQerrorMessage(pg->conn));
    if (flush_all(pg, deadline_ms, err) != 0 || collect(pg, deadline_ms, &r, err) != 0)
        return -1;
    if (r == NULL)
        return fail_link(pg, err, SN_PG_LOST, "the link to the database ended");
    if (judge(pg, r, err) != 0) {
        PQclear(r);
        return -1;
    }
    ret->rows = r;
    return 0;
}

int sn_pg_exec(struct sn_pg *pg, const char *sql, size_t n_params, const char *const params[], int64_t deadline_ms,
               struct sn_pg_error *err)
{
    struct sn_pg_result r = { 0 };
    int rc = sn_pg_query(pg, sql, n_params, params, deadline_ms, &r, err);

    sn_pg_result_fini(&r);
    return rc;
}

void sn_pg_rollback(struct sn_pg *pg, int64_t deadline_ms)
{
    struct sn_pg_error ignored;

    if (pg->broken || PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
        return;
    if (sn_pg_exec(pg, "ROLLBACK", 0, NULL, deadline_ms, &ignored) != 0)
        pg->broken = true;
}

size_t sn_pg_rows(const struct sn_pg_result *r)
{
    int n = r->rows != NULL ? PQntuples(r->rows) : 0;
    return n > 0 ? (size_t)n : 0;
}

const char *sn_pg_text(const struct sn_pg_result *r, size_t row, size_t column)
{
    if (r->rows == NULL || row >= sn_pg_rows(r) || column >= (size_t)PQnfields(r->rows) ||
        PQgetisnull(r->rows, (int)row, (int)column))
        return NULL;
    return PQgetvalue(r->rows, (int)row, (int)column);
}

int64_t sn_pg_affected(const struct sn_pg_result *r)
{
    return r->rows != NULL ? strtoll(PQcmdTuples(r->rows), NULL, 10) : 0;
}

void sn_pg_result_fini(struct sn_pg_result *r)
{
    PQclear(r->rows);
    r->rows = NULL;
}
