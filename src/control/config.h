/*
 * config - a configuration as it is taken over, all or nothing: the snapshot of the files, the
 *          users of auth_file, the rules of auth_hba_file, the TLS contexts. Reads files: at the
 * start, and on a helper. Owns:    nothing beyond the call; a set is its holder's until
 * config_set_fini.
 */
#ifndef PGWEIR_CONTROL_CONFIG_H
#define PGWEIR_CONTROL_CONFIG_H

#include "base/log.h"
#include "base/map.h"
#include "base/status.h"
#include "conf/conf.h"
#include "conf/findings.h"

struct access;
struct advice_facts;
struct auth_users;
struct document_out;
struct tls_set;

struct config_set {
	struct conf *conf;
	struct auth_users *users;
	struct access *access;
	struct tls_set *tls;
};

/* Where a configuration comes from; borrowed. */
struct config_from {
	const char *path;               /* "": there is no file */
	const char *const *environment; /* as in struct conf_reader; NULL: none */
	/* what nodes tell, for advice: control/ask_nodes.h, which blocks; NULL: they are not asked
	 */
	void (*ask_nodes)(const struct conf *conf, const struct auth_users *users,
		struct advice_facts *facts, struct findings *found);
};

/*
 * Read the file and what it names. `previous` as in conf_load; `key` is the users' table's.
 * On OK *out is the caller's. All findings, errors or not, are in `found` (initialised before).
 * Errors: E_INVALID `found` has errors; E_NOMEM. *out is empty then.
 */
enum status config_load(const struct config_from *from, const struct conf *previous,
	const struct hash_key *key, struct config_set *out, struct findings *found) MUST_USE;

/*
 * The same for a configuration that is there (after SET): set->conf is given, users and TLS
 * contexts are read. Errors as config_load; set->conf stays the caller's.
 */
enum status config_complete(
	struct config_set *set, const struct hash_key *key, struct findings *found) MUST_USE;

/*
 * --migrate: the file of PgBouncer `path` as one of pgweir, with comments that explain each key.
 * Neither auth_file nor certificates are read. Errors: E_INVALID `found` has errors; E_NOMEM.
 */
enum status config_migrate(
	const char *path, const struct document_out *out, struct findings *found) MUST_USE;

/* Where to log what config_load has refused: see conf_load_log. */
enum status config_load_log(const struct config_from *from, struct conf **out) MUST_USE;

/* A line for each finding, up to LOG_SITE_BURST of a kind; how many more there are. */
void config_log_findings(struct log *log, const struct findings *found);

void config_set_fini(struct config_set *set); /* frees what is in it; NULLs are allowed */

void config_tls_free(void *tls_set); /* for snap_retire; NULL is allowed */

#endif
