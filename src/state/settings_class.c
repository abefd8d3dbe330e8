#include "state/settings_class.h"

#include <string.h>
#include <strings.h>

/* search_path and its like can be set in a session; those of postgresql.conf alone are left out. */
static const char *const quoted_lists[] = {
	"local_preload_libraries",
	"search_path",
	"session_preload_libraries",
	"temp_tablespaces",
};

static const char *const of_transaction[] = {
	"transaction_deferrable",
	"transaction_isolation",
	"transaction_read_only",
};

static const char *const not_for_parsing[] = {
	"application_name",
	"backend_flush_after",
	"bytea_output",
	"check_function_bodies",
	"client_connection_check_interval",
	"client_min_messages",
	"commit_delay",
	"commit_siblings",
	"deadlock_timeout",
	"default_table_access_method",
	"default_tablespace",
	"default_toast_compression",
	"default_transaction_deferrable",
	"default_transaction_isolation",
	"default_transaction_read_only",
	"extra_float_digits",
	"idle_in_transaction_session_timeout",
	"idle_session_timeout",
	"lc_messages",
	"lc_time",
	"lock_timeout",
	"maintenance_work_mem",
	"statement_timeout",
	"synchronous_commit",
	"tcp_keepalives_count",
	"tcp_keepalives_idle",
	"tcp_keepalives_interval",
	"tcp_user_timeout",
	"temp_buffers",
	"temp_tablespaces",
	"transaction_timeout",
};

/* Source: PostgreSQL 13 to 18, guc_tables: context "superuser". */
static const char *const for_superusers[] = {
	"allow_in_place_tablespaces",
	"allow_system_table_mods",
	"backtrace_functions",
	"commit_delay",
	"compute_query_id",
	"deadlock_timeout",
	"debug_discard_caches",
	"dynamic_library_path",
	"exit_on_error",
	"extension_control_path",
	"ignore_checksum_failure",
	"jit_dump_bitcode",
	"lc_messages",
	"lo_compat_privileges",
	"log_duration",
	"log_error_verbosity",
	"log_executor_stats",
	"log_lock_failures",
	"log_lock_waits",
	"log_min_duration_sample",
	"log_min_duration_statement",
	"log_min_error_statement",
	"log_min_messages",
	"log_parameter_max_length",
	"log_parser_stats",
	"log_planner_stats",
	"log_replication_commands",
	"log_statement",
	"log_statement_sample_rate",
	"log_statement_stats",
	"log_temp_files",
	"log_transaction_sample_rate",
	"max_stack_depth",
	"restrict_nonsystem_relation_kind",
	"session_preload_libraries",
	"session_replication_role",
	"temp_file_limit",
	"track_activities",
	"track_cost_delay_timing",
	"track_counts",
	"track_functions",
	"track_io_timing",
	"track_wal_io_timing",
	"update_process_title",
	"wal_compression",
	"wal_consistency_checking",
	"wal_init_zero",
	"wal_recycle",
	"zero_damaged_pages",
};

/* Source: PostgreSQL 13 to 18: check hooks that look into catalogs, or at what has run before. */
static const char *const looked_up[] = {
	"default_table_access_method",
	"default_tablespace",
	"default_text_search_config",
	"temp_buffers",
	"temp_tablespaces",
};

#define N_OF(table) (sizeof(table) / sizeof(table)[0])

static bool is_among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

enum settings_class settings_class_of(const char *name)
{
	if (strchr(name, '.') != NULL)
		return SETTINGS_CUSTOM;
	if (is_among(name, of_transaction, N_OF(of_transaction)))
		return SETTINGS_TXN;
	if (strcasecmp(name, "role") == 0 || strcasecmp(name, "session_authorization") == 0)
		return SETTINGS_ROLE;
	if (strcasecmp(name, "seed") == 0)
		return SETTINGS_SEED;
	return SETTINGS_CARRIED;
}

bool settings_is_for_parsing(const char *name)
{
	return strchr(name, '.') == NULL && !is_among(name, not_for_parsing, N_OF(not_for_parsing));
}

bool settings_needs_superuser(const char *name)
{
	return is_among(name, for_superusers, N_OF(for_superusers));
}

bool settings_may_be_refused(const char *name)
{
	return settings_class_of(name) == SETTINGS_ROLE || settings_needs_superuser(name) ||
	       is_among(name, looked_up, N_OF(looked_up));
}

bool settings_is_quoted_list(const char *name)
{
	return is_among(name, quoted_lists, N_OF(quoted_lists));
}
