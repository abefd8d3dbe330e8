/*
 * sequences - what a server's session knows of sequences (currval, lastval) is one client's alone:
 * nobody gets another's value.
 *   server.seq_client  the client whose unit may have advanced a sequence there last; 0: nobody
 *   server.seq_mixed   so may others have, since it was last discarded: whose value is whose is
 *                      not known
 * DISCARD SEQUENCES goes ahead of a unit that meets another client's. Where nobody has asked for
 * such a value yet, advancing is left alone: every INSERT may. Whether somebody has is known of a
 * database in the whole process; whether its functions, views, rules and defaults may is asked on
 * a new server connection, and again SEQUENCES_LOOK_US later or after DDL.
 * Thread: its worker's.
 */
#ifndef PGWEIR_WORKER_SEQUENCES_H
#define PGWEIR_WORKER_SEQUENCES_H

#include "worker/client.h"
#include "worker/server.h"

#define SEQUENCES_LOOK_US 60000000u

/* Somebody asks for such a value in this database. */
void sequences_asked(struct account *acc);

/* A query for a new server connection, which gives a row if objects there may ask; NULL: none now.
 */
const char *sequences_look(const struct worker *w, const struct account *acc, uint32_t version_num);
void sequences_looked(struct worker *w, struct account *acc);

/*
 * Something that may advance a sequence, or ask, goes to the client's server next: discard what is
 * not the client's own. flags: SQLV_* of it.
 */
enum status sequences_ahead(struct worker *w, struct client *c, uint32_t flags) MUST_USE;

/* A unit with these SQLV_* flags, or a stream, was sent to the client's server. */
void sequences_sent(struct worker *w, struct client *c, uint32_t flags);

/* All that the server knows is this client's. */
bool sequences_are_own(const struct client *c, const struct server *s);

#endif
