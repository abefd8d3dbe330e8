#include "conf/access.h"

#include <stdlib.h>
#include <string.h>

#include "conf/method_options.h"

bool access_allows(
	const struct access *a, const char *map, const char *system_name, const char *user)
{
	if (a->ident != NULL)
		return ident_allows(a->ident, map, system_name, user);
	return *map == '\0' && strcmp(system_name, user) == 0;
}

static bool ldap_is_open(const char *options)
{
	struct method_options_error err;
	struct method_options o;
	struct arena arena;
	bool is_open;

	arena_init(&arena);
	is_open = method_options_read(AUTH_TYPE_LDAP, options, &arena, &o, &err) == OK &&
		  method_options_is_open(&o);
	arena_wipe(&arena); /* ldapbindpasswd */
	arena_fini(&arena);
	return is_open;
}

/* Passwords for pam and ldap come in the clear. */
static void check_external(
	const struct conf *conf, const struct hba_rule *r, struct findings *found)
{
	const char *lacks = method_options_lacks(r->method);
	struct finding_at at = {.file = r->file, .line = r->line, .key = "method"};

	if (r->method != AUTH_TYPE_PAM && r->method != AUTH_TYPE_LDAP)
		return;
	at.value = r->method == AUTH_TYPE_PAM ? "pam" : "ldap";
	if (lacks != NULL)
		findings_add(found, FINDING_ERROR, &at, "%s", lacks);
	if (r->conn != HBA_LOCAL && r->conn != HBA_HOSTSSL &&
		conf->client_tls.sslmode < TLS_MODE_REQUIRE)
		findings_add(found, FINDING_WARNING, &at,
			"clients send their passwords as they are: begin the line with hostssl, or "
			"set client_tls_sslmode to require");
	if (r->method == AUTH_TYPE_LDAP && ldap_is_open(r->options))
		findings_add(found, FINDING_WARNING, &at,
			"passwords go on to the LDAP server as they are: add ldaptls=1, or use "
			"ldaps");
}

static void check_rule(const struct access *a, const struct conf *conf, const struct hba_rule *r,
	struct findings *found)
{
	struct finding_at at = {.file = r->file, .line = r->line};

	if (r->clientcert != HBA_CLIENTCERT_NONE && *conf->client_tls.ca_file == '\0') {
		at.key = r->method == AUTH_TYPE_CERT ? "method" : "clientcert";
		findings_add(found, FINDING_ERROR, &at,
			"expected client_tls_ca_file: certificates of clients cannot be verified");
	}
	check_external(conf, r, found);
	if (*r->map != '\0' && (a->ident == NULL || !ident_has_map(a->ident, r->map))) {
		at.key = "map";
		at.value = r->map;
		findings_add(found, FINDING_NOTE, &at,
			"auth_ident_file has no such map: the rule lets nobody in");
	}
}

void access_check(const struct access *a, const struct conf *conf, struct findings *found)
{
	if (a->hba == NULL)
		return;
	for (const struct hba_rule *r = hba_rules(a->hba); r != NULL; r = r->next)
		check_rule(a, conf, r, found);
}

void access_free(void *access)
{
	struct access *a = access;

	if (a == NULL)
		return;
	hba_free(a->hba);
	ident_free(a->ident);
	free(a);
}
