/*
 * pq_params - what a connection of our own tells libpq: everything, so that nothing is taken from
 * the environment or from files of the user.
 * Owns: copies of the values, the password among them; wiped by pq_params_fini.
 */
#ifndef PGWEIR_CONTROL_PQ_PARAMS_H
#define PGWEIR_CONTROL_PQ_PARAMS_H

#include "control/pq.h"

#define PQ_PARAMS_MAX 24u

/* Two arrays, each with a NULL at its end. Starts zeroed. */
struct pq_params {
	const char *keys[PQ_PARAMS_MAX + 1];
	char *values[PQ_PARAMS_MAX + 1];
	size_t n;
};

/* `version`: libpq's, 150003: options are left out that it does not know. Errors: E_NOMEM;
 * pq_params_fini is the caller's in any case. */
enum status pq_params_set(struct pq_params *p, const struct pq_target *t, int version) MUST_USE;
/* One more. Errors: E_NOMEM. */
enum status pq_params_add(struct pq_params *p, const char *key, const char *value) MUST_USE;
void pq_params_fini(struct pq_params *p);

#endif
