/*
 * auth_hba_file and auth_ident_file. Rules are in the order of their lines and complete; whoever a
 * rule is for can be found; of a wrong file an error is told, and no finding shows a password.
 */
#include "conf/hba.h"
#include "conf/ident.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status read_none(void *arg, const char *path, char **data, size_t *len)
{
	(void)arg;
	(void)path;
	*data = NULL;
	*len = 0;
	errno = ENOENT;
	return E_IO;
}

static void try_clients(const struct hba *h)
{
	struct hba_client c = {.database = "app", .user = "ann"};
	const struct hba_rule *r;

	PANIC_IF(cidr_addr_parse("10.0.0.1", &c.addr) != OK);
	for (int i = 0; i < 8; i++) {
		c.is_local = (i & 1) != 0;
		c.is_tls = (i & 2) != 0;
		c.is_replication = (i & 4) != 0;
		r = hba_find(h, &c);
		PANIC_IF(r != NULL && (r->conn == HBA_LOCAL) != c.is_local);
		PANIC_IF(r != NULL && r->conn == HBA_HOSTSSL && !c.is_tls);
		PANIC_IF(r != NULL && r->conn == HBA_HOSTNOSSL && c.is_tls);
	}
}

static void try_rules(const struct hba *h)
{
	uint32_t line = 0;

	for (const struct hba_rule *r = hba_rules(h); r != NULL; r = r->next) {
		PANIC_IF(r->line <= line || r->databases == NULL || r->users == NULL);
		PANIC_IF(r->conn != HBA_LOCAL && !r->all_addresses && r->nets == NULL);
		PANIC_IF(r->method == AUTH_TYPE_ANY || r->method == AUTH_TYPE_HBA);
		PANIC_IF(r->method == AUTH_TYPE_PEER && r->conn != HBA_LOCAL);
		PANIC_IF(r->method == AUTH_TYPE_CERT && r->conn != HBA_HOSTSSL);
		PANIC_IF(r->clientcert != HBA_CLIENTCERT_NONE && r->conn != HBA_HOSTSSL);
		line = r->line;
	}
	try_clients(h);
}

static void try_ident(const char *text, size_t size)
{
	struct findings found;
	struct ident *m;

	findings_init(&found);
	if (ident_parse(text, size, "f", &m, &found) == OK) {
		PANIC_IF(ident_allows(m, "map", "ann", "ann") && !ident_has_map(m, "map"));
		PANIC_IF(!ident_allows(m, "", "ann", "ann") || ident_allows(m, "", "ann", "a"));
	} else {
		PANIC_IF(found.n_errors == 0);
	}
	findings_fini(&found);
	ident_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct conf_reader reader = {.read = read_none};
	const struct hba_source src = {
		.file = "f", .text = (const char *)data, .len = size, .reader = &reader};
	struct findings found;
	struct hba *h;

	findings_init(&found);
	if (hba_parse(&src, &h, &found) == OK)
		try_rules(h);
	else
		PANIC_IF(found.n_errors == 0);
	for (size_t i = 0; i < found.n; i++)
		PANIC_IF(strstr(found.items[i].key, "passwd") != NULL &&
			 found.items[i].value != NULL);
	findings_fini(&found);
	hba_free(h);
	try_ident((const char *)data, size);
	return 0;
}
