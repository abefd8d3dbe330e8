#include "conf/hba.h"

#include <stdlib.h>
#include <string.h>

#include "conf/hba_own.h"

void hba_free(struct hba *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->n_patterns; i++)
		pattern_free(h->patterns[i]);
	free(h->patterns);
	arena_wipe(&h->arena); /* ldapbindpasswd */
	arena_fini(&h->arena);
	free(h);
}

const struct hba_rule *hba_rules(const struct hba *h)
{
	return h->first;
}

/* --- does a rule fit? --- */

static bool conn_fits(enum hba_conn conn, const struct hba_client *c)
{
	switch (conn) {
	case HBA_LOCAL:
		return c->is_local;
	case HBA_HOST:
	case HBA_HOSTNOGSSENC:
		return !c->is_local;
	case HBA_HOSTSSL:
		return !c->is_local && c->is_tls;
	case HBA_HOSTNOSSL:
		return !c->is_local && !c->is_tls;
	case HBA_HOSTGSSENC:
		return false;
	}
	return false;
}

static bool address_fits(const struct hba_rule *r, const struct hba_client *c)
{
	if (r->conn == HBA_LOCAL || r->all_addresses)
		return true;
	for (size_t i = 0; i < r->n_nets; i++)
		if (cidr_has(&r->nets[i], &c->addr))
			return true;
	return false;
}

/* As PostgreSQL: a role is a member of itself. */
static bool is_member(const struct hba_client *c, const char *role)
{
	if (strcmp(c->user, role) == 0)
		return true;
	for (size_t i = 0; c->roles != NULL && i < c->roles->n; i++)
		if (strcmp(c->roles->items[i], role) == 0)
			return true;
	return false;
}

static bool name_fits(const struct hba_name *n, const char *name, const struct hba_client *c)
{
	switch (n->kind) {
	case HBA_NAME_TEXT:
		return strcmp(n->text, name) == 0;
	case HBA_NAME_PATTERN:
		return pattern_matches(n->pattern, name);
	case HBA_NAME_ALL:
		return true;
	case HBA_NAME_SAMEUSER:
		return strcmp(c->database, c->user) == 0;
	case HBA_NAME_ROLE:
		return is_member(c, n->text + 1);
	case HBA_NAME_SAMEROLE:
		return is_member(c, c->database);
	case HBA_NAME_REPLICATION:
		return false;
	}
	return false;
}

/* A physical replication connection has no database: only the word `replication` fits it. */
static bool database_fits(const struct hba_rule *r, const struct hba_client *c)
{
	for (const struct hba_name *n = r->databases; n != NULL; n = n->next)
		if (c->is_replication ? n->kind == HBA_NAME_REPLICATION
				      : name_fits(n, c->database, c))
			return true;
	return false;
}

static bool user_fits(const struct hba_rule *r, const struct hba_client *c)
{
	for (const struct hba_name *n = r->users; n != NULL; n = n->next)
		if (name_fits(n, c->user, c))
			return true;
	return false;
}

const struct hba_rule *hba_find(const struct hba *h, const struct hba_client *c)
{
	for (const struct hba_rule *r = h->first; r != NULL; r = r->next)
		if (conn_fits(r->conn, c) && address_fits(r, c) && database_fits(r, c) &&
			user_fits(r, c))
			return r;
	return NULL;
}
