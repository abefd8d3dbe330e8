/*
 * ldap - checks a password with an LDAP server: by a simple bind, or by a search for the user's
 * entry and a bind as that. The only file that includes libldap's headers is ldap.c.
 * Threads: any; it blocks, at most until the question's deadline where libldap keeps it. Names are
 *          resolved by the system meanwhile, which has times of its own.
 * Certificates of the server are checked as libldap's own configuration says (ldap.conf,
 * LDAPTLS_*). Referrals are not followed.
 */
#ifndef PGWEIR_CONTROL_LDAP_H
#define PGWEIR_CONTROL_LDAP_H

#include "control/verify.h"

/* Once, before there are threads: libldap reads its own configuration, without a lock. */
void ldap_prepare_process(void);

void ldap_verify(const struct verify_question *q, struct verify_answer *out);

#endif
