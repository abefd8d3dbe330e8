/*
 * pq - one connection of our own to PostgreSQL, through libpq, asynchronous; the only module that
 * includes it. The steps of a login, which may compute (SCRAM) or read files (certificates), run on
 * a helper: whatever a server asks, it cannot hold the control thread.
 * Owns:    the connection, its watch and its deadline. One query at a time.
 * Touches: no setting of the user's: environment, service and password files are not consulted, and
 *          the session's parameters are fixed: search_path, read only, a time limit.
 * Bounds:  the login and each query have a deadline; rows come one by one, PQ_ROWS_PER_TURN in a
 *          turn of the loop.
 */
#ifndef PGWEIR_CONTROL_PQ_H
#define PGWEIR_CONTROL_PQ_H

#include "base/status.h"

#define PQ_APPLICATION   "pgweir-monitor"
#define PQ_ROWS_PER_TURN 512u
#define PQ_TEXT_MAX      256u

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
	const char *application;    /* NULL: PQ_APPLICATION */
	const struct conf_tls *tls; /* of server connections */
	uint64_t statement_timeout_us;
};

enum pq_failure_kind {
	PQ_FAILED_UNREACHABLE, /* no connection, or it was lost */
	PQ_FAILED_TIMEOUT,     /* no answer within the limit */
	PQ_FAILED_REFUSED,     /* the server answered and ended it; sqlstate tells why */
	PQ_FAILED_LOCAL,       /* no memory, helpers busy */
};

struct pq_failure {
	enum pq_failure_kind kind;
	char sqlstate[6];       /* "" if the server gave none */
	char text[PQ_TEXT_MAX]; /* one line, as the server or libpq says it */
};

/* Borrowed for the call. */
struct pq_notice {
	const char *channel, *payload;
	uint32_t pid; /* of the notifying backend */
};

/* Callbacks come from the loop, never from inside pq_connect or pq_query; each may call pq_free. */
struct pq_ops {
	void (*on_ready)(void *arg); /* logged in: pq_query may be called */
	/* A row of the answer to pq_query; `r` is borrowed for the call. */
	void (*on_row)(void *arg, const struct pq_result *r);
	/* The end of the answer, maybe an error of SQL; the next pq_query may be called. */
	void (*on_done)(void *arg, const struct pq_result *r);
	/* A notification, at any time after on_ready; NULL: the owner does not listen. */
	void (*on_notify)(void *arg, const struct pq_notice *n);
	/* The connection is over; pq_free is still the owner's to call. */
	void (*on_failed)(void *arg, const struct pq_failure *f);
};

/* Once, while there is one thread: takes libpq's variables out of the environment. */
void pq_prepare_process(void);

/*
 * Begin to connect; the login has `timeout_us`. Errors: E_NOMEM; E_LIMIT too many helper jobs;
 * E_AGAIN a helper still works on a login to this host and port that was given up: whatever a
 * server does, it holds one helper per connection that its owner keeps at a time.
 */
enum status pq_connect(struct env *env, const struct pq_target *t, uint64_t timeout_us,
	const struct pq_ops *ops, void *arg, struct pq **out) MUST_USE;

/* One statement. Errors: E_IO the connection is broken; call pq_free. */
enum status pq_query(struct pq *c, const char *sql, uint64_t timeout_us) MUST_USE;
/* The same, with a parameter: $1 is `value`, of whatever type the statement wants. */
enum status pq_query_with(
	struct pq *c, const char *sql, const char *value, uint64_t timeout_us) MUST_USE;

/* At any time; NULL is allowed. No callback comes after it. */
void pq_free(struct pq *c);

int pq_server_version(const struct pq *c); /* 150003; after on_ready */
/* Does it say at its login that it is a standby (in_hot_standby)? Older than 14 never do. */
bool pq_in_recovery(const struct pq *c);

/* --- without a loop --- */

/*
 * Connect, ask for one value, and end; blocks, at most about 2 * timeout_s. value: its text, cut at
 * `cap`; err[PQ_TEXT_MAX]: one line of an error. t->hostaddr may be "": libpq looks t->host up.
 * Errors: E_IO no connection, or no answer in time; E_INVALID an error of SQL; E_NOMEM.
 */
enum status pq_ask(const struct pq_target *t, unsigned timeout_s, const char *sql, char *value,
	size_t cap, char *err) MUST_USE;

/* --- results --- */
bool pq_result_ok(const struct pq_result *r);              /* not an error */
const char *pq_result_sqlstate(const struct pq_result *r); /* "" unless an error */
const char *pq_result_error(const struct pq_result *r);    /* "" unless an error */
size_t pq_result_columns(const struct pq_result *r);
/* Text of a value of the row; NULL for SQL's NULL, or a column that it does not have. */
const char *pq_result_value(const struct pq_result *r, size_t column);

#endif
