/*
 * builtin - names of PostgreSQL's own functions and relations that differ from server to server,
 * or that are harmless, although pg_proc does not say so. Lists of X("name"), for the catalog's
 * built-in names and for the catalog query, which finds what reaches them.
 */
#ifndef PGWEIR_SQL_BUILTIN_H
#define PGWEIR_SQL_BUILTIN_H

/*
 * Functions that are not for a replica although most are not volatile. Some that are volatile
 * stand here too: those that act on a standby only, or that tell a standby from a primary, are
 * not left to a query. Names that begin with pg_stat_ are found by the query.
 */
/* clang-format off */
#define BUILTIN_FUNCTIONS(X) \
	/* which server is this, and how does it do */ \
	X("pg_is_in_recovery") X("pg_backend_pid") X("pg_postmaster_start_time") \
	X("pg_conf_load_time") X("inet_server_addr") X("inet_server_port") X("inet_client_port") \
	X("inet_client_addr") \
	X("pg_walfile_name") X("pg_walfile_name_offset") X("pg_config") \
	X("pg_show_all_settings") X("pg_show_all_file_settings") X("pg_get_replication_slots") \
	X("pg_tablespace_location") X("pg_tablespace_databases") X("pg_available_extensions") \
	X("pg_available_extension_versions") X("pg_extension_update_paths") \
	X("pg_get_loaded_modules") X("pg_get_aios") X("pg_numa_available") X("pg_jit_available") \
	X("pg_collation_actual_version") X("pg_get_wal_summarizer_state") \
	X("pg_available_wal_summaries") X("pg_wal_summary_contents") X("pg_get_wait_events") \
	/* transaction ids and snapshots of one server */ \
	X("txid_current") X("txid_current_if_assigned") X("txid_current_snapshot") \
	X("txid_status") X("pg_current_xact_id") X("pg_current_xact_id_if_assigned") \
	X("pg_current_snapshot") X("pg_xact_status") X("pg_xact_commit_timestamp") \
	X("pg_last_committed_xact") X("pg_replication_origin_oid") \
	/* state of one session */ \
	X("pg_listening_channels") X("pg_prepared_statement") X("pg_cursor") \
	/* refused or without effect on a primary, effective on a standby */ \
	X("pg_promote") X("pg_wal_replay_pause") X("pg_wal_replay_resume") \
	X("pg_log_standby_snapshot") \
	/* run the SQL, read the relation, or use the type's input, that they are given */ \
	X("pg_input_is_valid") X("pg_input_error_info") \
	X("query_to_xml") X("query_to_xmlschema") X("query_to_xml_and_xmlschema") \
	X("cursor_to_xml") X("cursor_to_xmlschema") X("table_to_xml") X("table_to_xmlschema") \
	X("table_to_xml_and_xmlschema") X("schema_to_xml") X("schema_to_xmlschema") \
	X("schema_to_xml_and_xmlschema") X("database_to_xml") X("database_to_xmlschema") \
	X("database_to_xml_and_xmlschema") X("ts_stat") X("ts_rewrite")

/*
 * Not for a replica when a client calls them, but no taint for a view that does: what
 * information_schema.tables asks matters only to a session with temporary tables. And functions
 * of extensions that come with PostgreSQL (tablefunc, xml2) and run the SQL that they are given.
 */
#define BUILTIN_CALLED(X) \
	X("pg_my_temp_schema") X("crosstab") X("crosstab2") X("crosstab3") X("crosstab4") \
	X("crosstabn") X("connectby") \
	X("xpath_table")

#define BUILTIN_RELATIONS(X) \
	X("pg_settings") X("pg_file_settings") X("pg_locks") X("pg_sequences") \
	X("pg_replication_slots") X("pg_prepared_statements") X("pg_prepared_xacts") \
	X("pg_cursors") X("pg_config") X("pg_hba_file_rules") X("pg_ident_file_mappings") \
	X("pg_shmem_allocations") X("pg_shmem_allocations_numa") X("pg_backend_memory_contexts") \
	X("pg_available_extensions") X("pg_available_extension_versions") \
	X("pg_replication_origin_status") X("pg_wait_events") X("pg_aios") \
	X("pg_dsm_registry_allocations")

/*
 * Volatile, but a replica answers as the primary would (as far as the answer is determined); the
 * pg_…_size ones only while the database has no unlogged relation, which is empty on a replica.
 * test_routing_builtins.py runs every function of PostgreSQL on both and compares.
 */
#define BUILTIN_HARMLESS(X) \
	X("random") X("random_normal") X("clock_timestamp") X("timeofday") X("gen_random_uuid") \
	X("uuidv4") X("uuidv7") X("pg_sleep") X("pg_sleep_for") X("pg_sleep_until") \
	X("pg_database_size") X("pg_tablespace_size") X("pg_relation_size") X("pg_table_size") \
	X("pg_indexes_size") X("pg_total_relation_size") X("pg_partition_tree") \
	X("pg_partition_ancestors") X("lo_get") X("system") X("bernoulli") X("amvalidate") \
	X("current_query")
/* clang-format on */

#endif
