/*
 * builtin_names - functions of PostgreSQL itself that clients call, and that set nothing out of
 * sight: a list of X("name"). From pg_proc of PostgreSQL 15, without what operators, types, indexes
 * and aggregates use, and without what runs SQL that it is given; and what newer versions have
 * added. A name that is missing here costs a hidden query where no catalog is loaded.
 */
#ifndef PGWEIR_SQL_BUILTIN_NAMES_H
#define PGWEIR_SQL_BUILTIN_NAMES_H

/* clang-format off */
#define BUILTIN_NAMES(X) \
	X("abbrev") X("abs") X("acldefault") X("aclexplode") X("acos") X("acosd") X("acosh") \
	X("age") X("amvalidate") X("any_value") X("area") X("array_agg") X("array_dims") \
	X("array_fill") X("array_length") X("array_lower") X("array_ndims") X("array_position") \
	X("array_positions") X("array_remove") X("array_replace") X("array_reverse") \
	X("array_sample") X("array_shuffle") X("array_sort") X("array_to_json") \
	X("array_to_string") X("array_to_tsvector") X("array_upper") X("ascii") X("asin") \
	X("asind") X("asinh") X("atan") X("atan2") X("atan2d") X("atand") X("atanh") X("avg") \
	X("bit") X("bit_and") X("bit_count") X("bit_length") X("bit_or") X("bit_xor") X("bool") \
	X("bool_and") X("bool_or") X("box") X("bpchar") X("broadcast") X("cardinality") \
	X("casefold") X("cbrt") X("ceil") X("ceiling") X("center") X("char") X("char_length") \
	X("character_length") X("chr") X("cidr") X("circle") X("clock_timestamp") \
	X("col_description") X("concat") X("concat_ws") X("convert") X("convert_from") \
	X("convert_to") X("corr") X("cos") X("cosd") X("cosh") X("cot") X("cotd") X("count") \
	X("covar_pop") X("covar_samp") X("crc32") X("crc32c") X("cume_dist") X("current_database") \
	X("current_query") X("current_schema") X("current_schemas") X("current_setting") \
	X("current_user") X("currval") X("date") X("date_add") X("date_bin") X("date_part") \
	X("date_subtract") X("date_trunc") X("datemultirange") X("daterange") X("decode") \
	X("degrees") X("dense_rank") X("diagonal") X("diameter") X("div") X("encode") \
	X("enum_first") X("enum_last") X("enum_range") X("erf") X("erfc") X("every") X("exp") \
	X("extract") X("factorial") X("family") X("first_value") X("float4") X("float8") \
	X("floor") X("format") X("format_type") X("gamma") X("gcd") X("gen_random_uuid") \
	X("generate_series") X("generate_subscripts") X("get_bit") X("get_byte") \
	X("get_current_ts_config") X("getdatabaseencoding") X("getpgusername") \
	X("has_any_column_privilege") X("has_column_privilege") X("has_database_privilege") \
	X("has_foreign_data_wrapper_privilege") X("has_function_privilege") \
	X("has_language_privilege") X("has_parameter_privilege") X("has_schema_privilege") \
	X("has_sequence_privilege") X("has_server_privilege") X("has_table_privilege") \
	X("has_tablespace_privilege") X("has_type_privilege") X("height") X("host") X("hostmask") \
	X("icu_unicode_version") X("initcap") X("int2") X("int4") X("int8") X("interval") \
	X("is_normalized") X("isclosed") X("isempty") X("isfinite") X("ishorizontal") X("isopen") \
	X("isparallel") X("isperp") X("isvertical") X("json_agg") X("json_array") \
	X("json_array_elements") X("json_array_elements_text") X("json_array_length") \
	X("json_arrayagg") X("json_build_array") X("json_build_object") X("json_each") \
	X("json_each_text") X("json_exists") X("json_object") X("json_object_agg") \
	X("json_object_keys") X("json_objectagg") X("json_populate_record") \
	X("json_populate_recordset") X("json_query") X("json_scalar") X("json_serialize") \
	X("json_strip_nulls") X("json_to_record") X("json_to_recordset") X("json_to_tsvector") \
	X("json_typeof") X("json_value") X("jsonb_agg") X("jsonb_array_elements") \
	X("jsonb_array_elements_text") X("jsonb_array_length") X("jsonb_build_array") \
	X("jsonb_build_object") X("jsonb_each") X("jsonb_each_text") X("jsonb_insert") \
	X("jsonb_object") X("jsonb_object_agg") X("jsonb_object_keys") X("jsonb_path_exists") \
	X("jsonb_path_exists_tz") X("jsonb_path_match") X("jsonb_path_match_tz") \
	X("jsonb_path_query") X("jsonb_path_query_array") X("jsonb_path_query_array_tz") \
	X("jsonb_path_query_first") X("jsonb_path_query_first_tz") X("jsonb_path_query_tz") \
	X("jsonb_populate_record") X("jsonb_populate_recordset") X("jsonb_pretty") X("jsonb_set") \
	X("jsonb_set_lax") X("jsonb_strip_nulls") X("jsonb_to_record") X("jsonb_to_recordset") \
	X("jsonb_to_tsvector") X("jsonb_typeof") X("justify_days") X("justify_hours") \
	X("justify_interval") X("lag") X("last_value") X("lastval") X("lcm") X("lead") X("left") \
	X("length") X("lgamma") X("like") X("like_escape") X("line") X("ln") X("lo_close") \
	X("lo_creat") X("lo_create") X("lo_from_bytea") X("lo_get") X("lo_lseek") X("lo_lseek64") \
	X("lo_open") X("lo_put") X("lo_tell") X("lo_tell64") X("lo_truncate") X("lo_truncate64") \
	X("lo_unlink") X("log") X("log10") X("loread") X("lower") X("lower_inc") X("lower_inf") \
	X("lowrite") X("lpad") X("ltrim") X("make_date") X("make_interval") X("make_time") \
	X("make_timestamp") X("make_timestamptz") X("makeaclitem") X("masklen") X("max") X("md5") \
	X("merge_action") X("min") X("min_scale") X("mod") X("mode") X("multirange") X("mxid_age") \
	X("name") X("netmask") X("network") X("nextval") X("normalize") X("notlike") X("now") \
	X("npoints") X("nth_value") X("ntile") X("num_nonnulls") X("num_nulls") X("numeric") \
	X("numeric_div_trunc") X("numeric_exp") X("numeric_inc") X("numeric_ln") X("numeric_log") \
	X("numeric_sqrt") X("nummultirange") X("numnode") X("numrange") X("obj_description") \
	X("octet_length") X("overlaps") X("overlay") X("parse_ident") X("path") X("percent_rank") \
	X("percentile_cont") X("percentile_disc") X("pg_advisory_lock") \
	X("pg_advisory_lock_shared") X("pg_advisory_unlock") X("pg_advisory_unlock_all") \
	X("pg_advisory_unlock_shared") X("pg_advisory_xact_lock") \
	X("pg_advisory_xact_lock_shared") X("pg_available_extension_versions") \
	X("pg_available_extensions") X("pg_backend_pid") X("pg_backup_start") X("pg_backup_stop") \
	X("pg_basetype") X("pg_blocking_pids") X("pg_cancel_backend") X("pg_char_to_encoding") \
	X("pg_client_encoding") X("pg_collation_actual_version") X("pg_collation_for") \
	X("pg_collation_is_visible") X("pg_column_compression") X("pg_column_is_updatable") \
	X("pg_column_size") X("pg_column_toast_chunk_id") X("pg_conf_load_time") X("pg_config") \
	X("pg_control_checkpoint") X("pg_control_init") X("pg_control_recovery") \
	X("pg_control_system") X("pg_conversion_is_visible") X("pg_copy_logical_replication_slot") \
	X("pg_copy_physical_replication_slot") X("pg_create_logical_replication_slot") \
	X("pg_create_physical_replication_slot") X("pg_create_restore_point") \
	X("pg_current_logfile") X("pg_current_snapshot") X("pg_current_wal_flush_lsn") \
	X("pg_current_wal_insert_lsn") X("pg_current_wal_lsn") X("pg_current_xact_id") \
	X("pg_current_xact_id_if_assigned") X("pg_cursor") \
	X("pg_database_collation_actual_version") X("pg_database_size") X("pg_describe_object") \
	X("pg_drop_replication_slot") X("pg_encoding_max_length") X("pg_encoding_to_char") \
	X("pg_export_snapshot") X("pg_extension_update_paths") X("pg_filenode_relation") \
	X("pg_function_is_visible") X("pg_get_acl") X("pg_get_backend_memory_contexts") \
	X("pg_get_catalog_foreign_keys") X("pg_get_constraintdef") X("pg_get_expr") \
	X("pg_get_function_arg_default") X("pg_get_function_arguments") \
	X("pg_get_function_identity_arguments") X("pg_get_function_result") \
	X("pg_get_function_sqlbody") X("pg_get_functiondef") X("pg_get_indexdef") \
	X("pg_get_keywords") X("pg_get_multixact_members") X("pg_get_object_address") \
	X("pg_get_partition_constraintdef") X("pg_get_partkeydef") \
	X("pg_get_replica_identity_index") X("pg_get_replication_slots") X("pg_get_ruledef") \
	X("pg_get_serial_sequence") X("pg_get_shmem_allocations") X("pg_get_statisticsobjdef") \
	X("pg_get_statisticsobjdef_columns") X("pg_get_statisticsobjdef_expressions") \
	X("pg_get_triggerdef") X("pg_get_userbyid") X("pg_get_viewdef") \
	X("pg_get_wal_replay_pause_state") X("pg_get_wal_resource_managers") X("pg_has_role") \
	X("pg_hba_file_rules") X("pg_ident_file_mappings") X("pg_identify_object") \
	X("pg_identify_object_as_address") X("pg_index_column_has_property") \
	X("pg_index_has_property") X("pg_indexam_has_property") X("pg_indexam_progress_phasename") \
	X("pg_indexes_size") X("pg_input_error_info") X("pg_input_is_valid") \
	X("pg_is_in_recovery") X("pg_is_other_temp_schema") X("pg_is_wal_replay_paused") \
	X("pg_jit_available") X("pg_last_committed_xact") X("pg_last_wal_receive_lsn") \
	X("pg_last_wal_replay_lsn") X("pg_last_xact_replay_timestamp") X("pg_listening_channels") \
	X("pg_lock_status") X("pg_log_backend_memory_contexts") X("pg_logical_emit_message") \
	X("pg_logical_slot_get_binary_changes") X("pg_logical_slot_get_changes") \
	X("pg_logical_slot_peek_binary_changes") X("pg_logical_slot_peek_changes") \
	X("pg_ls_archive_statusdir") X("pg_ls_dir") X("pg_ls_logdir") X("pg_ls_logicalmapdir") \
	X("pg_ls_logicalsnapdir") X("pg_ls_replslotdir") X("pg_ls_tmpdir") X("pg_ls_waldir") \
	X("pg_lsn") X("pg_mcv_list_items") X("pg_my_temp_schema") X("pg_notification_queue_usage") \
	X("pg_notify") X("pg_opclass_is_visible") X("pg_operator_is_visible") \
	X("pg_opfamily_is_visible") X("pg_options_to_table") X("pg_partition_ancestors") \
	X("pg_partition_root") X("pg_partition_tree") X("pg_postmaster_start_time") \
	X("pg_prepared_statement") X("pg_prepared_xact") X("pg_promote") X("pg_read_binary_file") \
	X("pg_read_file") X("pg_read_file_old") X("pg_relation_filenode") \
	X("pg_relation_filepath") X("pg_relation_is_publishable") X("pg_relation_is_updatable") \
	X("pg_relation_size") X("pg_reload_conf") X("pg_replication_origin_advance") \
	X("pg_replication_origin_create") X("pg_replication_origin_drop") \
	X("pg_replication_origin_oid") X("pg_replication_origin_progress") \
	X("pg_replication_origin_session_is_setup") X("pg_replication_origin_session_progress") \
	X("pg_replication_origin_session_reset") X("pg_replication_origin_session_setup") \
	X("pg_replication_origin_xact_reset") X("pg_replication_origin_xact_setup") \
	X("pg_replication_slot_advance") X("pg_rotate_logfile") X("pg_rotate_logfile_old") \
	X("pg_safe_snapshot_blocking_pids") X("pg_sequence_last_value") \
	X("pg_sequence_parameters") X("pg_settings_get_flags") X("pg_show_all_file_settings") \
	X("pg_show_all_settings") X("pg_show_replication_origin_status") X("pg_size_bytes") \
	X("pg_size_pretty") X("pg_sleep") X("pg_sleep_for") X("pg_sleep_until") \
	X("pg_snapshot_xip") X("pg_snapshot_xmax") X("pg_snapshot_xmin") \
	X("pg_stat_clear_snapshot") X("pg_stat_file") X("pg_stat_force_next_flush") \
	X("pg_stat_have_stats") X("pg_stat_reset") X("pg_stat_reset_replication_slot") \
	X("pg_stat_reset_shared") X("pg_stat_reset_single_function_counters") \
	X("pg_stat_reset_single_table_counters") X("pg_stat_reset_slru") \
	X("pg_stat_reset_subscription_stats") X("pg_statistics_obj_is_visible") X("pg_switch_wal") \
	X("pg_table_is_visible") X("pg_table_size") X("pg_tablespace_databases") \
	X("pg_tablespace_location") X("pg_tablespace_size") X("pg_terminate_backend") \
	X("pg_timezone_abbrevs") X("pg_timezone_names") X("pg_total_relation_size") \
	X("pg_trigger_depth") X("pg_try_advisory_lock") X("pg_try_advisory_lock_shared") \
	X("pg_try_advisory_xact_lock") X("pg_try_advisory_xact_lock_shared") \
	X("pg_ts_config_is_visible") X("pg_ts_dict_is_visible") X("pg_ts_parser_is_visible") \
	X("pg_ts_template_is_visible") X("pg_type_is_visible") X("pg_typeof") \
	X("pg_visible_in_snapshot") X("pg_wal_lsn_diff") X("pg_wal_replay_pause") \
	X("pg_wal_replay_resume") X("pg_walfile_name") X("pg_walfile_name_offset") \
	X("pg_xact_commit_timestamp") X("pg_xact_commit_timestamp_origin") X("pg_xact_status") \
	X("phraseto_tsquery") X("pi") X("plainto_tsquery") X("point") X("polygon") X("position") \
	X("pow") X("power") X("querytree") X("quote_ident") X("quote_literal") X("quote_nullable") \
	X("radians") X("radius") X("random") X("random_normal") X("range_agg") \
	X("range_intersect_agg") X("range_merge") X("rank") X("regclass") X("regexp_count") \
	X("regexp_instr") X("regexp_like") X("regexp_match") X("regexp_matches") \
	X("regexp_replace") X("regexp_split_to_array") X("regexp_split_to_table") \
	X("regexp_substr") X("regr_avgx") X("regr_avgy") X("regr_count") X("regr_intercept") \
	X("regr_r2") X("regr_slope") X("regr_sxx") X("regr_sxy") X("regr_syy") X("repeat") \
	X("replace") X("reverse") X("right") X("round") X("row_number") X("row_security_active") \
	X("row_to_json") X("rpad") X("rtrim") X("satisfies_hash_partition") X("scale") \
	X("session_user") X("set_bit") X("set_byte") X("set_masklen") X("setseed") X("setval") \
	X("setweight") X("sha224") X("sha256") X("sha384") X("sha512") X("shobj_description") \
	X("sign") X("similar_to_escape") X("sin") X("sind") X("sinh") X("slope") X("split_part") \
	X("sqrt") X("starts_with") X("statement_timestamp") X("stddev") X("stddev_pop") \
	X("stddev_samp") X("string_agg") X("string_to_array") X("string_to_table") X("strip") \
	X("strpos") X("substr") X("substring") X("sum") X("system_user") X("tan") X("tand") \
	X("tanh") X("text") X("time") X("timeofday") X("timestamp") X("timestamptz") X("timetz") \
	X("timezone") X("to_ascii") X("to_bin") X("to_char") X("to_date") X("to_hex") X("to_json") \
	X("to_jsonb") X("to_number") X("to_oct") X("to_regclass") X("to_regcollation") \
	X("to_regnamespace") X("to_regoper") X("to_regoperator") X("to_regproc") \
	X("to_regprocedure") X("to_regrole") X("to_regtype") X("to_regtypemod") X("to_timestamp") \
	X("to_tsquery") X("to_tsvector") X("transaction_timestamp") X("translate") X("trim_array") \
	X("trim_scale") X("trunc") X("ts_debug") X("ts_delete") X("ts_filter") X("ts_headline") \
	X("ts_lexize") X("ts_parse") X("ts_rank") X("ts_rank_cd") X("ts_token_type") \
	X("tsmultirange") X("tsquery_phrase") X("tsrange") X("tstzmultirange") X("tstzrange") \
	X("tsvector_to_array") X("txid_current") X("txid_current_if_assigned") \
	X("txid_current_snapshot") X("txid_snapshot_xip") X("txid_snapshot_xmax") \
	X("txid_snapshot_xmin") X("txid_status") X("txid_visible_in_snapshot") \
	X("unicode_assigned") X("unicode_version") X("unistr") X("unnest") X("upper") \
	X("upper_inc") X("upper_inf") X("uuid_extract_timestamp") X("uuid_extract_version") \
	X("uuidv4") X("uuidv7") X("var_pop") X("var_samp") X("varchar") X("variance") X("version") \
	X("websearch_to_tsquery") X("width") X("width_bucket") X("xml") X("xml_is_well_formed") \
	X("xml_is_well_formed_content") X("xml_is_well_formed_document") X("xmlagg") \
	X("xmlcomment") X("xmlexists") X("xmltext") X("xmlvalidate") X("xpath") X("xpath_exists") \
	/* no functions, but a parenthesis may follow them */ \
	X("conflict") X("over") X("filter") X("materialized") X("rollup") X("cube") X("sets") \
	X("repeatable") X("include") X("system") X("bernoulli") X("within") X("partition") X("by") \
	X("key") X("of") X("set") X("ordinality") X("options") X("columns") X("ignore") \
	X("respect") X("passing") X("recursive")
/* clang-format on */

#endif
