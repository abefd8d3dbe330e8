/*
 * switchover - is it safe to promote a replica? Of a cluster whose databases are paused: which
 * replicas have replayed all that the primary has written. Decides nothing and changes nothing.
 * Owns:    nothing; reads the present snapshots of the control thread.
 */
#ifndef PGWEIR_CONTROL_SWITCHOVER_H
#define PGWEIR_CONTROL_SWITCHOVER_H

#include "control/env.h"

struct conf_cluster;
struct topo_node;

#define SWITCHOVER_TEXT_MAX 320u

/*
 * May SWITCHOVER pause `database` ("": all)? *err tells why not: it does not route, it shares its
 * nodes with a database that would go on. Errors: E_INVALID, E_NOTFOUND.
 */
enum status switchover_begin(
	const struct env *env, const char *database, char err[SWITCHOVER_TEXT_MAX]) MUST_USE;

/*
 * Has some replica of each cluster that `database` leads to all that the primary had written when
 * its sample `since` (mark_clock_load) was begun, or later? Errors: E_AGAIN not yet; E_NOTFOUND
 * there is no primary, *err names its nodes.
 */
enum status switchover_check(const struct env *env, const char *database, uint64_t since,
	char err[SWITCHOVER_TEXT_MAX]) MUST_USE;

/* Every database that routes over the cluster is paused. */
bool switchover_is_paused(const struct env *env, uint32_t cluster);

/* What the replica lacks of the primary's last sample; UINT64_MAX: it cannot be told. */
uint64_t switchover_missing(const struct env *env, uint32_t cluster, const struct topo_node *n);

#endif
