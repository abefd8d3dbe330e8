/*
 * settings_diff - what to send to a server that has one settings set so that it has another.
 * Pure; the sets are borrowed.
 */
#ifndef PGWEIR_STATE_SETTINGS_DIFF_H
#define PGWEIR_STATE_SETTINGS_DIFF_H

#include "base/wr.h"
#include "state/settings.h"

/* Custom parameters, as sets of names; borrowed. */
struct settings_names {
	const struct settings *made; /* those that the server knows already */
	const struct settings *want; /* those that it shall know */
};

struct settings_diff {
	unsigned n_stmts; /* CommandCompletes that will come */
	unsigned n_msgs;  /* Query messages, each answered by one ReadyForQuery: 0 to 3 */
};

/*
 * Write the Query messages that turn a server that has `from` into one that has `to`; nothing if
 * they are equal. Several statements of one message are joined by "; ": a role that is given up,
 * default_transaction_isolation, client_encoding, the others, then session_authorization and role
 * (the one resets the other).
 * names: NULL, or a custom name that only `want` has, and `to` gives no value, is made by its
 * RESET. A message ends behind default_transaction_isolation, since a message is a transaction of
 * its own and has that from its beginning; and behind client_encoding if another value has
 * non-ASCII bytes: PostgreSQL converts the text of a message as a whole before it runs any of it.
 * Where: ahead of a unit, outside a failed transaction; inside one it is undone by ROLLBACK.
 * in_block: each message is a transaction block, BEGIN; ...; COMMIT, which stays open, and failed,
 * if anything in it is refused. Only where none is open. w->bad is set if the buffer is too small.
 */
struct settings_diff settings_diff_write(const struct settings *from, const struct settings *to,
	const struct settings_names *names, bool in_block, struct wr *w);

/* Upper bound, in bytes, of what settings_diff_write writes. */
size_t settings_diff_len_max(
	const struct settings *from, const struct settings *to, const struct settings_names *names);

/* Is there something in the difference that a server may refuse? Cheap where there is not. */
bool settings_diff_may_be_refused(const struct settings *from, const struct settings *to);

/* How many statements it takes to turn one set into the other. */
size_t settings_diff_count(const struct settings *from, const struct settings *to);

#endif
