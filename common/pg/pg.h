/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PostgreSQL under deadlines: a thin cover over libpq's asynchronous half.
 *
 * Every call takes an absolute deadline in monotonic milliseconds (sn_clock_mono_ms()) that is total: connecting, sending and
 * waiting together. Values travel as parameters only; there is no way to build SQL from them. A connection that missed a deadline or
 * lost its link is broken: every later call answers SN_PG_LOST, the caller closes it and opens another.
 *
 * A name as host is looked up by the system's resolver, which knows no deadline: give addresses where that matters.
 * Thread: one owner at a time; sn_pg_fd() may be shut down by another thread (the owner then sees SN_PG_LOST). Never logs.
 * Facts: docs/protocols/freeradius-sql.md, "PostgreSQL".
 */
#ifndef SN_COMMON_PG_PG_H
#define SN_COMMON_PG_PG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

/* Why a call failed. */
enum sn_pg_class {
    SN_PG_OTHER,       /* the server refused the statement: our bug, or a database that is not as expected */
    SN_PG_UNREACHABLE, /* no connection; nothing was sent */
    SN_PG_LOST,        /* the link ended, or the deadline passed, after the statement may have been sent: it may have been done */
    SN_PG_AUTH,        /* login refused (class 28) or database unknown (3D000): a person must look */
    SN_PG_PRIVILEGE,   /* a right or a table is missing (42501, 42P01, 42703, 3F000) */
    SN_PG_RETRY,       /* deadlock or serialization failure (class 40): the transaction is rolled back, do it again */
    SN_PG_CONSTRAINT,  /* class 23; `constraint` names it */
    SN_PG_BUSY,        /* too many connections, disk full or failing, lock or statement timeout, shutting down, read-only standby */
};

struct sn_pg_error {
    enum sn_pg_class class;
    char sqlstate[6];    /* "" when the server said nothing */
    char constraint[64]; /* name of the violated constraint, "" when unknown */
    struct sn_error error; /* code `pg.<class word>`; the text is the server's, escaped, without parameters */
};

struct sn_pg_conf {
    const char *host; /* address, name, or folder of a unix socket (begins with '/') */
    int port;         /* 0 = 5432 */
    const char *database;
    const char *user;
    const char *password;    /* NULL = none. libpq keeps a copy while the connection lives */
    const char *sslmode;     /* NULL = libpq's default (prefer) */
    const char *sslrootcert; /* NULL = libpq's default */
    const char *application; /* shown in pg_stat_activity; NULL = silver-netops */
};

struct sn_pg;

/* *ret_pg: written on success only; owned by the caller. */
int sn_pg_open(const struct sn_pg_conf *conf, int64_t deadline_ms, struct sn_pg **ret_pg, struct sn_pg_error *err) SN_MUSTCHECK;
/* Says good-bye without waiting and frees. NULL is fine. An open transaction is rolled back by the server. */
void sn_pg_close(struct sn_pg *pg);
/* Socket, so that another thread may shutdown() it and so that an idle link can be polled; -1 when broken. */
int sn_pg_fd(const struct sn_pg *pg);
bool sn_pg_broken(const struct sn_pg *pg);
/* Takes in what the server sent while nobody asked (notices, the end of the link). -1 = the connection is dead. */
int sn_pg_idle(struct sn_pg *pg);

/* Rows in text form. Zeroed = empty; sn_pg_result_fini() frees and may be called twice. */
struct sn_pg_result {
    void *rows; /* PGresult */
};

/* One statement with parameters in text form ($1 = params[0]; NULL = SQL NULL). Types are given in the SQL: `$1::bigint`. */
int sn_pg_query(struct sn_pg *pg, const char *sql, size_t n_params, const char *const params[], int64_t deadline_ms,
                struct sn_pg_result *ret, struct sn_pg_error *err) SN_MUSTCHECK;
/* The same for statements without an interesting result (BEGIN, COMMIT). */
int sn_pg_exec(struct sn_pg *pg, const char *sql, size_t n_params, const char *const params[], int64_t deadline_ms,
               struct sn_pg_error *err) SN_MUSTCHECK;
/* Rolls an open transaction back, so that the connection can be used again; a link that does not answer becomes broken. */
void sn_pg_rollback(struct sn_pg *pg, int64_t deadline_ms);

size_t sn_pg_rows(const struct sn_pg_result *r);
/* NULL for SQL NULL or outside of the result. Borrowed from the result. */
const char *sn_pg_text(const struct sn_pg_result *r, size_t row, size_t column);
int64_t sn_pg_affected(const struct sn_pg_result *r);
void sn_pg_result_fini(struct sn_pg_result *r);

#endif
