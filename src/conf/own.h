/*
 * own - what a snapshot keeps for itself: its memory, and the lines it was built from, so that SET
 * can build it again with one line more. For the files of conf/ only.
 */
#ifndef PGWEIR_CONF_OWN_H
#define PGWEIR_CONF_OWN_H

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/source.h"

struct conf_own {
	struct arena arena; /* holds the struct conf as well */
	struct source source;
	const char *path;      /* of the file, as it was asked for; "": it has no name */
	uint32_t next_node_id; /* where the search for a free id goes on: ids are reused late */
	uint32_t next_cluster_id;
	const struct conf_spreads *spreads; /* given for this one; NULL: the previous one's */
};

#endif
