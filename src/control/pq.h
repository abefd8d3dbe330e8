/*
 * pq - one connection of our own to PostgreSQL, through libpq, asynchronous; the only module that
 * includes it. Steps of a login, which may compute (SCRAM) or read files (certificates), run on a
 * helper, so that no server can hold the control thread.
 * Owns:    the connection, its watch and its deadline. One query at a time.
 * Touches: no setting of the user's: environment, service and password files are not consulted, and
 *          the session's parameters are fixed: search_path pg_catalog, read only, a time limit.
 * Bounds:  every step has a deadline; a result beyond PQ_ROWS_MAX rows is E_LIMIT's failure.
 */
#ifndef PGWEIR_CONTROL_PQ_H
#define PGWEIR_CONTROL_PQ_H

#include "base/status.h"

#define PQ_ROWS_MAX (1u << 20)
#define PQ_TEXT_MAX 256u

struct conf_tls;
struct env;
struct pq;
struct pq_result;

/* All borrowed for the call of pq_connect. */
struct pq_target {
	const char *host;     /* for TLS and messages; the directory of a unix socket */
	const char *hostaddr; /* numeric; "" for a unix socket */
	uint16_t port;
	const char *dbname, *user;
	const char *password;       /* "": none */
	const struct conf_tls *tls; /* server side settings */
	uint32_t statement_timeout_ms;
};

enum pq_failure_kind {
	PQ_FAILED_UNREACHABLE, /* no connection, or it was lost */
	PQ_FAILED_TIMEOUT,     /* no answer within the limit */
	PQ_FAILED_REFUSED,     /* the server answered and does not want us; sqlstate tells why */
	PQ_FAILED_LOCAL,       /* memory, helpers busy, a result too large */
};

struct pq_failure {
	enum pq_failure_kind kind;
	char sqlstate[6];       /* "" if the server gave none */
	char text[PQ_TEXT_MAX]; /* one line */
};

struct pq_ops {
	void (*on_ready)(void *arg); /* logged in: pq_query may be called */
	/* The answer to pq_query; `r` is borrowed for the call. An error of SQL is a result, too.
	 */
	void (*on_result)(void *arg, const struct pq_result *r);
	/* The connection is over; pq_free is still the owner's to call (also from inside). */
	void (*on_failed)(void *arg, const struct pq_failure *f);
};

/* Once, before any other thread runs: takes libpq's variables out of the environment. */
void pq_prepare_process(void);

/*
 * Begin to connect; the whole login has `timeout_us`. Callbacks come from the loop, never from
 * inside this call or pq_query. Errors: E_NOMEM; E_LIMIT the helpers are busy.
 */
enum status pq_connect(struct env *env, const struct pq_target *t, uint64_t timeout_us,
	const struct pq_ops *ops, void *arg, struct pq **out) MUST_USE;

/* One statement. Errors: E_IO the connection is broken, pq_failure by on_failed does not follow. */
enum status pq_query(struct pq *c, const char *sql, uint64_t timeout_us) MUST_USE;

/* At any time; NULL is allowed. No callback comes after it. */
void pq_free(struct pq *c);

int pq_server_version(const struct pq *c); /* 150003; 0 before on_ready */

/* --- results --- */
bool pq_result_ok(const struct pq_result *r);              /* rows, or a command done */
const char *pq_result_sqlstate(const struct pq_result *r); /* "" unless an error */
const char *pq_result_error(const struct pq_result *r);    /* one line; "" unless an error */
size_t pq_result_rows(const struct pq_result *r);
size_t pq_result_columns(const struct pq_result *r);
/* Text of a value; NULL for SQL's NULL, or a place outside the result. */
const char *pq_result_value(const struct pq_result *r, size_t row, size_t column);

#endif
