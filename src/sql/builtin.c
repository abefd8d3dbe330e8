#include "sql/builtin.h"

#include <stddef.h>

/*
 * Also some that are volatile and so are told by pg_proc: those that act on a standby but not on
 * a primary, or that a client may use to tell the two apart, are not left to one query.
 */
const char *const builtin_functions[] = {
	/* which server is this, and how does it do */
	"pg_is_in_recovery", "pg_backend_pid", "pg_postmaster_start_time", "pg_conf_load_time",
	"inet_server_addr", "inet_server_port", "inet_client_port", "pg_walfile_name",
	"pg_walfile_name_offset", "pg_config", "pg_show_all_settings", "pg_show_all_file_settings",
	"pg_get_replication_slots", "pg_tablespace_location", "pg_tablespace_databases",
	"pg_available_extensions", "pg_available_extension_versions", "pg_extension_update_paths",
	"pg_get_loaded_modules", "pg_get_aios", "pg_numa_available", "pg_jit_available",
	"pg_collation_actual_version", "pg_get_wal_summarizer_state", "pg_available_wal_summaries",
	"pg_wal_summary_contents", "pg_get_wait_events",
	/* transaction ids and snapshots of one server */
	"txid_current", "txid_current_if_assigned", "txid_current_snapshot", "txid_status",
	"pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_current_snapshot",
	"pg_xact_status", "pg_xact_commit_timestamp", "pg_last_committed_xact",
	/* state of one session */
	"pg_my_temp_schema", "pg_listening_channels", "pg_prepared_statement", "pg_cursor",
	/* refused or meaningless on a primary, effective on a standby */
	"pg_promote", "pg_wal_replay_pause", "pg_wal_replay_resume", "pg_log_standby_snapshot",
	/* run the SQL that they are given */
	"query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema", "cursor_to_xml",
	"cursor_to_xmlschema", "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema",
	"schema_to_xml", "schema_to_xmlschema", "schema_to_xml_and_xmlschema", "database_to_xml",
	"database_to_xmlschema", "database_to_xml_and_xmlschema", "ts_stat", "ts_rewrite",
	"crosstab", "crosstab2", "crosstab3", "crosstab4", "crosstabn", "connectby", "xpath_table",
	NULL};

const char *const builtin_relations[] = {"pg_settings", "pg_file_settings", "pg_locks",
	"pg_sequences", "pg_replication_slots", "pg_prepared_statements", "pg_prepared_xacts",
	"pg_cursors", "pg_config", "pg_hba_file_rules", "pg_ident_file_mappings",
	"pg_shmem_allocations", "pg_shmem_allocations_numa", "pg_backend_memory_contexts",
	"pg_available_extensions", "pg_available_extension_versions",
	"pg_replication_origin_status", "pg_wait_events", "pg_aios", "pg_dsm_registry_allocations",
	NULL};
