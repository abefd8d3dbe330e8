/*
 * hba - auth_hba_file, in the syntax of PostgreSQL's pg_hba.conf: which method a client must use,
 * by the first rule that fits it.
 * Owns:    all it points to, until hba_free. Rules are borrowed from it.
 * Threads: built by one (a helper, at the start main); read by any.
 * Touches: no file: contents of @file lists come in by the reader; no resolver.
 * Bounds:  HBA_RULES_MAX, HBA_LIST_MAX, HBA_DEPTH_MAX; those of conf/fields.h and conf/pattern.h.
 * Differs: +role and samerole need the server's memberships, and host names a name service that
 *          answers at login: both are errors here, as are methods that we do not have. Networks of
 *          samehost and samenet are those of the time when the file was read.
 */
#ifndef PGWEIR_CONF_HBA_H
#define PGWEIR_CONF_HBA_H

#include "conf/cidr.h"
#include "conf/conf.h"

#define HBA_RULES_MAX 10000u
#define HBA_LIST_MAX  10000u /* names of one field, those of its @files counted */
#define HBA_DEPTH_MAX 10u    /* @file inside @file; PostgreSQL's */

struct hba;
struct hba_name;

/* The daemon's own addresses, with the masks of their networks. */
struct hba_own {
	size_t n;
	const struct cidr *nets;
};

enum hba_conn {
	HBA_LOCAL,
	HBA_HOST,
	HBA_HOSTSSL,
	HBA_HOSTNOSSL,
	HBA_HOSTGSSENC, /* never fits: GSSAPI encryption is not spoken */
	HBA_HOSTNOGSSENC,
};

enum hba_clientcert { HBA_CLIENTCERT_NONE, HBA_CLIENTCERT_VERIFY_CA, HBA_CLIENTCERT_VERIFY_FULL };

struct hba_rule {
	const struct hba_rule *next;
	const char *file;
	uint32_t line;
	enum hba_conn conn;
	const struct hba_name *databases, *users;
	bool all_addresses;
	size_t n_nets;
	const struct cidr *nets;
	enum auth_type method;
	enum hba_clientcert clientcert; /* of method cert: VERIFY_FULL */
	bool clientname_is_dn;          /* the certificate's subject is compared, else its CN */
	const char *map;                /* name of an ident map; "": none */
	const char *options;            /* of pam and ldap, checked; conf/method_options.h */
};

/* A client as the rules see it. */
struct hba_client {
	const char *database, *user;   /* as it asks for them */
	const struct conf_list *roles; /* that its user is a member of; NULL: none is listed */
	bool is_replication;           /* physical: no database */
	bool is_local;                 /* over a unix socket */
	bool is_tls;
	struct cidr_addr addr; /* unless is_local */
};

/*
 * Parse `len` bytes of `file`. All of it is read, also after an error. `reader` brings the @files,
 * whose names are relative to the file that names them. `own` may be NULL: samehost, samenet fit
 * nobody.
 * Errors: E_INVALID `found` has new errors; E_NOMEM. *out is NULL then.
 */
struct hba_source {
	const char *file;
	const char *text;
	size_t len;
	const struct conf_reader *reader;
	const struct hba_own *own;
};
enum status hba_parse(
	const struct hba_source *src, struct hba **out, struct findings *found) MUST_USE;
void hba_free(struct hba *h); /* NULL allowed */

/* The first rule that fits; NULL: none does, the client is refused. */
const struct hba_rule *hba_find(const struct hba *h, const struct hba_client *c);

const struct hba_rule *hba_rules(const struct hba *h); /* the first of all, for notes; or NULL */

#endif
