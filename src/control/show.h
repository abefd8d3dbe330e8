/*
 * show - the tables of the console and of /stats.json: their columns and where each row comes from.
 * Owns:   nothing; tables are constant, rows are made from what show_in borrows.
 * A table is: what has to be gathered first; rows of the workers that are streamed; and rows of our
 * own, by position. A row is written again if it did not fit, so writing one changes nothing.
 */
#ifndef PGWEIR_CONTROL_SHOW_H
#define PGWEIR_CONTROL_SHOW_H

#include "control/env.h"
#include "control/gather.h"
#include "control/rows.h"

struct consoles;
struct history;
struct listenings;
struct verify;
struct plan;
struct resolve;
struct stats;

#define CONSOLE_DATABASE "pgbouncer" /* as tables name the console's own database */

/* What tools look for: "PgBouncer", and a version whose tables ours are. */
#define SHOW_VERSION_TEXT   "PgBouncer 1.25.0 (" PACKAGE_STRING ")"
#define SHOW_SERVER_VERSION "1.25.0/bouncer"

/* All that rows are made from; in the control thread, valid for the turn. */
struct show_in {
	struct env *env;
	struct resolve *resolve;
	struct stats *stats;
	const struct history *history; /* NULL: there is none yet */
	struct consoles *consoles;
	const struct gathered *gathered; /* what the table wants */
	const struct listenings *listenings;
	struct verify *verify;
	const struct plan *plan; /* of this console's RELOAD DRY RUN, or NULL */
};

#define SHOW_STREAMS_MAX 2u

struct show_table {
	const char *name; /* lower case */
	const struct reply_column *columns;
	uint16_t n_columns;
	uint32_t gather; /* GATHER_* */
	/* Rows of the workers, in this order; -1: none. */
	int streams[SHOW_STREAMS_MAX];
	/* Write the row if it belongs into the table. */
	void (*stream_row)(
		const struct show_in *in, const struct ask_rows *rows, size_t i, struct rows *out);
	/*
	 * Rows of our own, after the streams: write that at `pos` (from 0), maybe none, and return
	 * the next position; SIZE_MAX: there is no row at `pos` or after it. May be NULL.
	 */
	size_t (*row)(const struct show_in *in, size_t pos, struct rows *out);
	bool admin_only; /* not for stats_users */
};

#define SHOW_NO_STREAM \
	{              \
		-1, -1 \
	}
#define SHOW_COLUMNS(c)           (c), (uint16_t)(sizeof(c) / sizeof *(c))
#define SHOW_COLUMNS_BUT(c, last) (c), (uint16_t)(sizeof(c) / sizeof *(c) - (last))

/*
 * The table of SHOW `name` (lower case), or NULL. is_ours: the console was asked for by our own
 * name: some tables have columns of ours behind PgBouncer's then. is_legacy: some have columns
 * under the names that old PgBouncers gave them.
 */
const struct show_table *show_find(const char *name, bool is_ours, bool is_legacy);
const struct show_table *show_nth(size_t i); /* sorted by name; NULL behind the last */

const char *show_login_count(unsigned count); /* an enum login_count; NULL: there is none */

struct topo_node;
/* Slow start: how much of its share of reads the node gets now, 10 to 100. */
unsigned node_share_percent(const struct show_in *in, const struct topo_node *n);

extern const struct show_table show_settings;
extern const struct show_table show_config, show_databases, show_dns_hosts, show_dns_zones,
	show_auth_helpers, show_lists, show_listeners, show_logins, show_mem, show_node_pools,
	show_nodes, show_peer_pools, show_peers, show_pools, show_state, show_users, show_version,
	show_workers;
extern const struct show_table show_headroom, show_misuse, show_pin_counts, show_waits;
extern const struct show_table show_catalog, show_clusters, show_lag, show_learned, show_switchover;
/*
 * The next setting, at or after *pos (0 to begin, advanced past it), without which the table lacks
 * rows or all of them, and which is off now: its name; NULL: there is none, or no more.
 */
const char *show_switched_off(const struct conf *conf, const struct show_table *t, size_t *pos);

/* Of /stats.json alone: what is switched off. */
extern const struct show_table show_off;
/* Shown by RELOAD DRY RUN alone. */
extern const struct show_table show_plan;
extern const struct show_table show_clients_ours, show_servers_ours;
extern const struct show_table show_databases_legacy, show_stats_legacy;
extern const struct show_table show_active_sockets, show_clients, show_fds, show_pins, show_servers,
	show_sockets;
extern const struct show_table show_errors, show_transaction_reads, show_routes, show_stats,
	show_stats_averages, show_stats_totals, show_totals;

/* Words for columns and labels. */
const char *show_pool_mode(unsigned mode);  /* enum pool_mode; NULL for "unset" */
const char *show_verdict(unsigned verdict); /* enum sql_class */
/* "host:port", "" for none (-1). Borrowed for the turn. */
const char *show_node_name(const struct env *env, int32_t node);

#endif
