/* hba_own - what the reader of rules (hba_parse.c) and their use (hba.c) share. For them alone. */
#ifndef PGWEIR_CONF_HBA_OWN_H
#define PGWEIR_CONF_HBA_OWN_H

#include "base/arena.h"
#include "conf/hba.h"
#include "conf/pattern.h"

enum hba_name_kind {
	HBA_NAME_TEXT,
	HBA_NAME_PATTERN,
	HBA_NAME_ALL,
	HBA_NAME_SAMEUSER,
	HBA_NAME_ROLE, /* +text */
	HBA_NAME_SAMEROLE,
	HBA_NAME_REPLICATION,
};

/* One item of a list of databases or users. */
struct hba_name {
	const struct hba_name *next;
	enum hba_name_kind kind;
	const char *text;
	struct pattern *pattern; /* of HBA_NAME_PATTERN */
};

struct hba {
	struct arena arena;
	const struct hba_rule *first;
	struct pattern **patterns; /* all of them, to be freed */
	size_t n_patterns;
};

#endif
