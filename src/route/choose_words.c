#include "route/choose_words.h"

static const char *const reason_names[CHOOSE_REASON_COUNT] = {
	[CHOOSE_BY_REPLICA_OK] = "replica_ok",
	[CHOOSE_BY_REPLICA_STAYS] = "replica_stays",
	[CHOOSE_BY_OTHER_ZONE] = "other_zone",
	[CHOOSE_BY_EJECTED] = "ejected",
	[CHOOSE_BY_PRIMARY_SHARE] = "primary_share",
	[CHOOSE_BY_BUSY] = "busy",
	[CHOOSE_BY_NO_REPLICA] = "no_replica",
	[CHOOSE_BY_LAG] = "lag",
	[CHOOSE_BY_MARK_OPEN] = "mark_open",
	[CHOOSE_BY_MARK_BEHIND] = "mark_behind",
	[CHOOSE_BY_STRONG] = "strong",
	[CHOOSE_BY_WRITE] = "write",
	[CHOOSE_BY_UNKNOWN] = "unknown",
	[CHOOSE_BY_CATALOG] = "catalog",
	[CHOOSE_BY_SESSION] = "session",
	[CHOOSE_BY_TRANSACTION] = "transaction",
	[CHOOSE_BY_STREAMED] = "streamed",
	[CHOOSE_BY_ROUTE_PRIMARY] = "route_primary",
	[CHOOSE_BY_ROUTE_REPLICA] = "route_replica",
	[CHOOSE_BY_ROUND_ROBIN] = "round_robin",
	[CHOOSE_BY_ONLY_NODE] = "only_node",
	[CHOOSE_BY_PINNED] = "pinned",
	[CHOOSE_BY_IN_TRANSACTION] = "in_transaction",
	[CHOOSE_BY_HINT] = "hint",
	[CHOOSE_BY_MOVED] = "moved",
	[CHOOSE_BY_REPLAY] = "replay",
};

const char *choose_reason_name(enum choose_reason r)
{
	return (unsigned)r < CHOOSE_REASON_COUNT ? reason_names[r] : "?";
}

const char *choose_hint_text(enum choose_hint h)
{
	switch (h) {
	case CHOOSE_HINT_NONE:
		return "";
	case CHOOSE_HINT_NO_PRIMARY:
		return "No primary is reachable at present; see SHOW NODES.";
	case CHOOSE_HINT_NEVER_PRIMARY:
		return "None of the database's hosts has been a primary since the start. If they "
		       "are "
		       "all replicas, set \"route = replica\" for this database.";
	case CHOOSE_HINT_MONITOR_REFUSED:
		return "A node refuses the monitor's login; check \"monitor_user\" and "
		       "\"monitor_password\".";
	case CHOOSE_HINT_PRIMARY_NOT_LISTED:
		return "The primary is not among the \"host\" list of this database.";
	case CHOOSE_HINT_NO_REPLICA:
		return "No replica is usable at present; see SHOW NODES. Only reads go to the "
		       "primary "
		       "with \"route = replica\".";
	case CHOOSE_HINT_MAX_LAG:
		return "All replicas are further behind than \"max_lag\" allows.";
	case CHOOSE_HINT_MARKS:
		return "No replica is known to have what this session has written or seen, as "
		       "\"consistency\" asks, and there is no primary.";
	case CHOOSE_HINT_CONNECT:
		return "The node cannot be connected to; see SHOW NODES.";
	case CHOOSE_HINT_NEVER:
		return "No replica is usable at present, and \"primary_reads = never\" keeps reads "
		       "off the primary; see SHOW NODES.";
	case CHOOSE_HINT_NEVER_MARKS:
		return "No replica is known to have what \"consistency\" asks for, and "
		       "\"primary_reads = never\" keeps reads off the primary.";
	}
	return "";
}

bool choose_reason_is_replica(uint8_t reason)
{
	return reason == CHOOSE_BY_REPLICA_OK || reason == CHOOSE_BY_REPLICA_STAYS ||
	       reason == CHOOSE_BY_ROUTE_REPLICA || reason == CHOOSE_BY_OTHER_ZONE ||
	       reason == CHOOSE_BY_EJECTED;
}
