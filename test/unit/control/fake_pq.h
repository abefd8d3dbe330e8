/*
 * fake_pq - stands in for control/pq.c: connections that the test answers for. Link it before
 * libcore.
 */
#ifndef PGWEIR_TEST_FAKE_PQ_H
#define PGWEIR_TEST_FAKE_PQ_H

#include "control/pq.h"
#include "route/marks.h"

#define FAKE_PQ_MAX     64u
#define FAKE_PQ_COLUMNS 8u
#define FAKE_PQ_ASKED   32768u /* bytes of a query's text */

struct pq {
	bool in_use;
	char host[64], hostaddr[64], user[64], password[64], dbname[64], application[64];
	uint16_t port;
	uint64_t timeout_us;
	const struct pq_ops *ops;
	void *arg;
	const char *sql;           /* asked and not answered; NULL: none */
	char asked[FAKE_PQ_ASKED]; /* the text of the last one, cut */
	char value[64];            /* … and its parameter */
	unsigned n_queries;
	uint64_t clock_then; /* what fake_pq_clock said when it was asked last */
	int version;
	bool in_recovery;
};

/* The connections that there are, in the order of pq_connect. */
extern struct pq fake_pqs[FAKE_PQ_MAX];
extern unsigned fake_pq_n;                     /* made so far */
extern const struct mark_clock *fake_pq_clock; /* NULL: nothing is noted */
extern enum status fake_pq_status;             /* of pq_connect */

/* The newest connection to that port that is in use, or NULL. */
struct pq *fake_pq_to(uint16_t port);
unsigned fake_pq_n_in_use(void);

void fake_pq_ready(struct pq *c);
/* One row of `n` columns, then the end. */
void fake_pq_row(struct pq *c, const char *const *values, unsigned n);
void fake_pq_done(struct pq *c);
void fake_pq_error(struct pq *c, const char *sqlstate, const char *text);
void fake_pq_notify(struct pq *c, const char *channel, const char *payload, uint32_t pid);
void fake_pq_fail(struct pq *c, enum pq_failure_kind kind, const char *sqlstate, const char *text);

#endif
