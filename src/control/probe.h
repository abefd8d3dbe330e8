/*
 * probe - the monitor's questions to a node, and how their answers are read. Pure: text in, values
 * out.
 * Source: PostgreSQL manual, "System Information Functions", "pg_stat_wal_receiver".
 */
#ifndef PGWEIR_CONTROL_PROBE_H
#define PGWEIR_CONTROL_PROBE_H

#include "base/status.h"
#include "route/roles.h"

/* Once per connection: what cannot change while it lasts. */
#define PROBE_IDENTITY_COLUMNS 5u
extern const char probe_identity_sql[];
enum status probe_read_identity(const char *const values[PROBE_IDENTITY_COLUMNS],
	struct roles_answer *out) MUST_USE; /* E_PROTO: not what was asked for */

/* Connections that the node has for others than superusers, alone. */
extern const char probe_connections_sql[];

/* Every sample: role, positions, timeline, wal_writer_delay. */
#define PROBE_SAMPLE_COLUMNS 6u
extern const char probe_sample_sql[];

/*
 * *hidden: the node streams from a primary, but does not show the monitor its timeline (the
 * monitor's role lacks pg_read_all_stats); what it shows may lag a promotion.
 * Errors: E_PROTO.
 */
enum status probe_read_sample(const char *const values[PROBE_SAMPLE_COLUMNS],
	struct roles_answer *out, bool *hidden) MUST_USE;

/*
 * Of a node that refuses the functions above, as some managed services do: its role alone, and when
 * it was started.
 */
#define PROBE_BLIND_COLUMNS 2u
extern const char probe_blind_sql[];
enum status probe_read_blind(
	const char *const values[PROBE_BLIND_COLUMNS], struct roles_answer *out) MUST_USE;

/* The node lives, but does not let us ask this: not allowed, not supported, not there. */
bool probe_is_refused(const char *sqlstate);

/* What a failure with this SQLSTATE ("": none) says about the node. */
enum roles_error probe_error_of(const char *sqlstate);

#endif
