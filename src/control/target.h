/*
 * target - where and as whom our own connections log in: address of a node, user, password,
 * database, TLS, from the present snapshots.
 * Owns: the texts that its pq_target points to.
 */
#ifndef PGWEIR_CONTROL_TARGET_H
#define PGWEIR_CONTROL_TARGET_H

#include "conf/conf.h"
#include "control/env.h"
#include "control/pq.h"
#include "net/addr.h"

struct target {
	struct pq_target pq; /* borrows from here and from the snapshots: valid in this turn */
	char hostaddr[NET_ADDR_TEXT_MAX];
	const char *error; /* of target_make, borrowed likewise */
};

/*
 * For the cluster's node; `try_no` picks one of its addresses in turn. dbname NULL: the monitor's.
 * Errors: E_NOTFOUND there is no address or no user; out->error says so.
 */
enum status target_make(struct env *env, const struct conf_cluster *cl,
	const struct conf_node *node, uint32_t try_no, const char *dbname,
	struct target *out) MUST_USE;

/* The same as another user than the monitor's, in a database of its choice; all borrowed. */
struct target_who {
	const char *dbname, *user, *password;
};

enum status target_make_as(struct env *env, const struct conf_node *node, uint32_t try_no,
	const struct target_who *who, struct target *out) MUST_USE;

/* A plain line of auth_file; "" if there is none. */
const char *target_listed_password(const struct env *env, const char *user);

/* Is `hostaddr`, as target_make gave it, still an address of the node? Yes of a unix socket. */
bool target_is_current(const struct env *env, uint32_t node, const char *hostaddr);

/* Changes when the configuration changes anything about the login. */
uint64_t target_hash(
	const struct env *env, const struct conf_cluster *cl, const struct conf_node *node);

#endif
