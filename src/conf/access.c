#include "conf/access.h"

#include <stdlib.h>
#include <string.h>

bool access_allows(
	const struct access *a, const char *map, const char *system_name, const char *user)
{
	if (a->ident != NULL)
		return ident_allows(a->ident, map, system_name, user);
	return *map == '\0' && strcmp(system_name, user) == 0;
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
	if (r->method == AUTH_TYPE_PAM || r->method == AUTH_TYPE_LDAP) {
		at.key = "method";
		at.value = r->method == AUTH_TYPE_PAM ? "pam" : "ldap";
		findings_add(found, FINDING_ERROR, &at, "is not available in this version");
	}
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
