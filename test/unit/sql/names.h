/* names - a small catalog for tests: each kind of dangerous name once. */
#ifndef PGWEIR_TEST_UNIT_SQL_NAMES_H
#define PGWEIR_TEST_UNIT_SQL_NAMES_H

#include <string.h>

#include "sql/catalog.h"

#include "../unit.h"

/* Each as the catalog query would tell it; what is not here is harmless. */
static const char *const name_rows[][2] = {
	{"encoding", "UTF8"},
	{"builtin", "pg_reload_conf"},
	{"builtin", "nextval"},
	{"builtin", "set_config"},
	{"function", "writer"},
	{"function", "\xc3\xa9"
		     "crire"},
	{"function", "Mixed"},
	{"function", "select"},
	{"attribute", "touch"},
	{"function", "touch"},
	{"relation", "unlog"},
	{"view", "wview"},
	{"type", "dom"},
	{"operator", "@!@"},
	{"advances", "trig"},
	{"function", "a23456789012345678901234567890123456789012345678901234567890123"},
};

/* kind: rows of it are left out; NULL: none are. */
static inline struct catalog *names_catalog_without(const char *kind)
{
	struct catalog_builder *b = catalog_builder_new();

	ck_assert_ptr_nonnull(b);
	for (size_t i = 0; i < sizeof name_rows / sizeof name_rows[0]; i++)
		if (kind == NULL || strcmp(kind, name_rows[i][0]) != 0)
			ck_assert_int_eq(
				catalog_builder_add(b, name_rows[i][0], name_rows[i][1]), OK);
	return catalog_freeze(b);
}

static inline struct catalog *names_catalog(void)
{
	return names_catalog_without(NULL);
}

#endif
