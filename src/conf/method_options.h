/*
 * method_options - name=value options of the methods pam and ldap: those of a rule in auth_hba_file
 * and those of auth_ldap_options. Names and what goes together are PostgreSQL's.
 * Owns:    nothing; texts are copied into the caller's arena, ldapbindpasswd among them.
 * Bounds:  METHOD_OPTIONS_MAX.
 * Differs: ldapsearchfilter has to name $username (else one entry's password would be everybody's),
 *          switches are 0 or 1 (PostgreSQL takes all but 1 for 0), and a server that nothing names
 *          is found out when the file is read, not at the first login.
 * Source:  PostgreSQL manual, "LDAP Authentication", "PAM Authentication"; RFC 4516 for ldapurl.
 */
#ifndef PGWEIR_CONF_METHOD_OPTIONS_H
#define PGWEIR_CONF_METHOD_OPTIONS_H

#include "base/arena.h"
#include "base/status.h"
#include "conf/conf.h"

#define METHOD_OPTIONS_MAX 1023u /* bytes of the options' text */

enum method_scope { METHOD_SCOPE_BASE, METHOD_SCOPE_ONE, METHOD_SCOPE_SUB };

struct method_options {
	/* pam */
	const char *pamservice; /* NULL: not given, as all texts here */
	bool pam_use_hostname;
	/* ldap: a simple bind of prefix + user + suffix, unless there is a basedn: search, then
	 * bind */
	const char *ldapserver; /* names or addresses, apart by blanks; NULL: by basedn, in DNS */
	uint32_t ldapport;      /* 0: the scheme's */
	bool is_ldaps;
	bool ldaptls; /* StartTLS */
	const char *ldapprefix, *ldapsuffix;
	const char *ldapbasedn, *ldapbinddn, *ldapbindpasswd;
	const char *ldapsearchattribute;
	const char *ldapsearchfilter;
	enum method_scope ldapscope;
};

struct method_options_error {
	char key[32];         /* "": the text as a whole */
	const char *expected; /* fixed words, without "expected" */
};

/*
 * Read options of pam or ldap: name=value or name="value" with a quote in it doubled, apart by
 * blanks or commas. The last of a name counts.
 * Errors: E_INVALID `err` says why; E_NOMEM.
 */
enum status method_options_read(enum auth_type method, const char *text, struct arena *a,
	struct method_options *out, struct method_options_error *err) MUST_USE;

/* Do passwords go on to the LDAP server in the clear, over a network? */
bool method_options_is_open(const struct method_options *o);

/* NULL, or why this build cannot do it: fixed words. */
const char *method_options_lacks(enum auth_type method);

#endif
