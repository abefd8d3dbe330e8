#include "control/probe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/value.h"

/* reserved_connections came with PostgreSQL 16 */
#define CONNECTIONS                                                  \
	"current_setting('max_connections')::int8"                   \
	" - current_setting('superuser_reserved_connections')::int8" \
	" - coalesce(current_setting('reserved_connections', true), '0')::int8"

const char probe_connections_sql[] = "SELECT " CONNECTIONS;

const char probe_identity_sql[] =
	"SELECT s.system_identifier,"
	" (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8,"
	" i.bytes_per_wal_segment, i.wal_block_size, " CONNECTIONS
	" FROM pg_control_system() s, pg_control_init() i";

/*
 * The insert position, not pg_current_wal_lsn(), which is below acknowledged commits with
 * synchronous_commit = off. The flushed one is how far replicas can be. A replica's timeline: of
 * what it receives, else a lower bound of what it has replayed. The subquery (OFFSET 0 keeps it
 * one) asks for the role once only.
 */
const char probe_sample_sql[] =
	"SELECT r.rec,"
	" CASE WHEN r.rec THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,"
	" CASE WHEN r.rec THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),"
	"  (SELECT greatest(min_recovery_end_timeline,"
	"   (SELECT timeline_id FROM pg_control_checkpoint())) FROM pg_control_recovery()))::text"
	"  ELSE pg_walfile_name(pg_current_wal_insert_lsn()) END,"
	" r.rec AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE received_tli IS NULL),"
	" CASE WHEN NOT r.rec THEN pg_current_wal_flush_lsn() END,"
	" current_setting('wal_writer_delay')"
	" FROM (SELECT pg_is_in_recovery() AS rec OFFSET 0) r";

static bool read_u64(const char *s, int base, uint64_t max, uint64_t *out)
{
	unsigned long long v;
	char *end;

	if (s == NULL || !((*s >= '0' && *s <= '9') || base == 16))
		return false;
	errno = 0;
	v = strtoull(s, &end, base);
	if (errno != 0 || *end != '\0' || v > max)
		return false;
	*out = v;
	return true;
}

static bool read_bool(const char *s, bool *out)
{
	if (s == NULL || (strcmp(s, "t") != 0 && strcmp(s, "f") != 0))
		return false;
	*out = *s == 't';
	return true;
}

static bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

enum status probe_read_identity(
	const char *const values[PROBE_IDENTITY_COLUMNS], struct roles_answer *out)
{
	uint64_t id, start, segment, block, connections;

	if (!read_u64(values[0], 10, UINT64_MAX, &id) || id == 0 ||
		!read_u64(values[1], 10, INT64_MAX, &start) ||
		!read_u64(values[2], 10, 1u << 30, &segment) || !is_power_of_two(segment) ||
		!read_u64(values[3], 10, 1u << 16, &block) || !is_power_of_two(block) ||
		!read_u64(values[4], 10, UINT32_MAX, &connections))
		return E_PROTO;
	out->system_id = id;
	out->postmaster_start_us = (int64_t)start;
	out->wal.segment_size = (uint32_t)segment;
	out->wal.block_size = (uint32_t)block;
	out->connections_max = (uint32_t)connections;
	return OK;
}

/* "000000020000000000000003": the first eight digits are the timeline. */
static bool timeline_of_file(const char *name, uint64_t *timeline)
{
	char digits[9] = "";

	if (name == NULL || strlen(name) != 24 || strspn(name, "0123456789ABCDEF") != 24)
		return false;
	memcpy(digits, name, 8);
	return read_u64(digits, 16, UINT32_MAX, timeline);
}

enum status probe_read_sample(
	const char *const values[PROBE_SAMPLE_COLUMNS], struct roles_answer *out, bool *hidden)
{
	uint64_t timeline = 0, lsn = 0, flushed = 0, delay_us;
	bool rec;

	if (!read_bool(values[0], &rec) || !read_bool(values[3], hidden))
		return E_PROTO;
	if (values[1] != NULL && lsn_parse(values[1], &lsn) != OK)
		return E_PROTO;
	if (values[5] == NULL || !value_parse_time(values[5], &delay_us) ||
		(!rec && (values[4] == NULL || lsn_parse(values[4], &flushed) != OK)))
		return E_PROTO;
	if (!rec && (values[1] == NULL || !timeline_of_file(values[2], &timeline)))
		return E_PROTO;
	if (rec && values[2] != NULL && !read_u64(values[2], 10, UINT32_MAX, &timeline))
		return E_PROTO;
	out->in_recovery = rec;
	out->timeline = (uint32_t)timeline;
	out->lsn = lsn;
	out->flushed_lsn = flushed;
	out->wal_writer_delay_us = delay_us;
	return OK;
}

const char probe_blind_sql[] = "SELECT pg_is_in_recovery(),"
			       " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8";

enum status probe_read_blind(
	const char *const values[PROBE_BLIND_COLUMNS], struct roles_answer *out)
{
	uint64_t start;
	bool rec;

	if (!read_bool(values[0], &rec) || !read_u64(values[1], 10, INT64_MAX, &start))
		return E_PROTO;
	out->in_recovery = rec;
	out->postmaster_start_us = (int64_t)start;
	out->timeline = 0;
	out->lsn = 0;
	out->blind = true;
	return OK;
}

bool probe_is_refused(const char *sqlstate)
{
	return strcmp(sqlstate, "42501") == 0 || strcmp(sqlstate, "0A000") == 0 ||
	       strcmp(sqlstate, "42883") == 0;
}

enum roles_error probe_error_of(const char *sqlstate)
{
	if (*sqlstate == '\0')
		return ROLES_ERR_CONNECT;
	if (strcmp(sqlstate, "57P03") == 0)
		return ROLES_ERR_STARTUP;
	if (strncmp(sqlstate, "57P", 3) == 0) /* shut down, crashed, terminated */
		return ROLES_ERR_CONNECT;
	if (strncmp(sqlstate, "28", 2) == 0 || strcmp(sqlstate, "3D000") == 0 ||
		strcmp(sqlstate, "42501") == 0) /* CONNECT privilege */
		return ROLES_ERR_LOGIN;
	return ROLES_ERR_QUERY;
}
