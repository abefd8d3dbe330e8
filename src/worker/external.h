/*
 * external - methods whose passwords others check: PAM, LDAP servers. The client sends its password
 * as it is (AuthenticationCleartextPassword); the control thread has it checked.
 */
#ifndef PGWEIR_WORKER_EXTERNAL_H
#define PGWEIR_WORKER_EXTERNAL_H

#include "conf/conf.h"
#include "worker/client.h"

struct tell_verified;

static inline bool external_is(enum auth_type type)
{
	return type == AUTH_TYPE_PAM || type == AUTH_TYPE_LDAP;
}

const char *external_name(enum auth_type type); /* as PostgreSQL's messages have it */

/* login->answer is the password: have it checked, with login->options. */
void external_begin(struct worker *w, struct client *c);

void external_told(struct worker *w, const struct tell_verified *told); /* TELL_VERIFIED has come */

/* The client ends in CLIENT_DERIVE: what it has asked for need not be checked any more. */
void external_client_gone(struct worker *w, const struct client *c);

#endif
