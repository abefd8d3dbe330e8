/*
 * admit - which method holds for a client that logs in: auth_type, or what the first rule of
 * auth_hba_file says that fits it; and what that asks for besides a password: a certificate, the
 * name of the user at the other end of a unix socket, a map.
 */
#ifndef PGWEIR_WORKER_ADMIT_H
#define PGWEIR_WORKER_ADMIT_H

#include "conf/cidr.h"
#include "worker/client.h"

/*
 * Sets login->type and what belongs to it. False: the client is refused and gone, or it waits for a
 * helper, after which prove_admitted is called.
 */
bool admit_begin(struct worker *w, struct client *c);

/* Where it comes from; none (len 0) of a unix socket. */
struct cidr_addr admit_address(const struct client *c);

struct ask_peer;
void admit_peer(struct worker *w, const struct ask_peer *ask); /* TELL_PEER has come */

#endif
