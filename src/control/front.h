/*
 * front - the page for people: one document, with its style and script inside and their hashes in
 * its Content-Security-Policy. Owns: the document, made once from src/control/page/.
 */
#ifndef PGWEIR_CONTROL_FRONT_H
#define PGWEIR_CONTROL_FRONT_H

#include "base/status.h"

#define FRONT_POLICY_MAX 512u

struct front {
	char *page;
	size_t len;
	char policy[FRONT_POLICY_MAX]; /* Content-Security-Policy */
};

/* Errors: E_NOMEM. */
enum status front_init(struct front *f) MUST_USE;
void front_fini(struct front *f);

#endif
