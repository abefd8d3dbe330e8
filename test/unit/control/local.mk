# unit tests of src/control
CONTROL_UNIT_LIBS = $(CORE_LIBS) $(CHECK_LIBS)
CONTROL_UNIT_CFLAGS = $(UNIT_CFLAGS) -I$(srcdir)/test/unit
EXTRA_DIST += test/unit/control/control_unit.h test/unit/control/views_unit.h
FAKE_PQ_FILES = test/unit/control/fake_pq.c test/unit/control/fake_pq.h

check_PROGRAMS += test/unit/control/check_grammar
test_unit_control_check_grammar_SOURCES = test/unit/control/check_grammar.c
test_unit_control_check_grammar_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_grammar_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_front
test_unit_control_check_front_SOURCES = test/unit/control/check_front.c
test_unit_control_check_front_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_front_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_headroom
test_unit_control_check_headroom_SOURCES = test/unit/control/check_headroom.c
test_unit_control_check_headroom_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_headroom_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_history
test_unit_control_check_history_SOURCES = test/unit/control/check_history.c
test_unit_control_check_history_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_history_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_lag_log
test_unit_control_check_lag_log_SOURCES = test/unit/control/check_lag_log.c
test_unit_control_check_lag_log_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_lag_log_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_probe
test_unit_control_check_probe_SOURCES = test/unit/control/check_probe.c
test_unit_control_check_probe_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_probe_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_helpers
test_unit_control_check_helpers_SOURCES = test/unit/control/check_helpers.c
test_unit_control_check_helpers_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_helpers_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_rows
test_unit_control_check_rows_SOURCES = test/unit/control/check_rows.c
test_unit_control_check_rows_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_rows_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_monitor
test_unit_control_check_monitor_SOURCES = test/unit/control/check_monitor.c $(FAKE_PQ_FILES)
test_unit_control_check_monitor_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_monitor_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_pq
test_unit_control_check_pq_SOURCES = test/unit/control/check_pq.c test/unit/control/fake_server.h
test_unit_control_check_pq_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_pq_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_catalog_load
test_unit_control_check_catalog_load_SOURCES = test/unit/control/check_catalog_load.c $(FAKE_PQ_FILES)
test_unit_control_check_catalog_load_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_catalog_load_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_auth_query
test_unit_control_check_auth_query_SOURCES = test/unit/control/check_auth_query.c $(FAKE_PQ_FILES)
test_unit_control_check_auth_query_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_auth_query_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_listening
test_unit_control_check_listening_SOURCES = test/unit/control/check_listening.c \
	test/unit/control/listening_unit.h $(FAKE_PQ_FILES)
test_unit_control_check_listening_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_listening_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_marking
test_unit_control_check_marking_SOURCES = test/unit/control/check_marking.c \
	test/unit/control/listening_unit.h $(FAKE_PQ_FILES)
test_unit_control_check_marking_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_marking_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_admin
test_unit_control_check_admin_SOURCES = test/unit/control/check_admin.c
test_unit_control_check_admin_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_admin_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_plan
test_unit_control_check_plan_SOURCES = test/unit/control/check_plan.c
test_unit_control_check_plan_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_plan_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_gather
test_unit_control_check_gather_SOURCES = test/unit/control/check_gather.c
test_unit_control_check_gather_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_gather_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_show
test_unit_control_check_show_SOURCES = test/unit/control/check_show.c
test_unit_control_check_show_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_show_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_session
test_unit_control_check_session_SOURCES = test/unit/control/check_session.c
test_unit_control_check_session_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_session_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_stats_auth
test_unit_control_check_stats_auth_SOURCES = test/unit/control/check_stats_auth.c
test_unit_control_check_stats_auth_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_stats_auth_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_http
test_unit_control_check_http_SOURCES = test/unit/control/check_http.c
test_unit_control_check_http_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_http_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_config
test_unit_control_check_config_SOURCES = test/unit/control/check_config.c
test_unit_control_check_config_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_config_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_resolve
test_unit_control_check_resolve_SOURCES = test/unit/control/check_resolve.c
test_unit_control_check_resolve_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_resolve_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_control
test_unit_control_check_control_SOURCES = test/unit/control/check_control.c
test_unit_control_check_control_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_control_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_live
test_unit_control_check_live_SOURCES = test/unit/control/check_live.c
test_unit_control_check_live_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_live_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_takeover_wire
test_unit_control_check_takeover_wire_SOURCES = test/unit/control/check_takeover_wire.c
test_unit_control_check_takeover_wire_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_takeover_wire_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_predecessor
test_unit_control_check_predecessor_SOURCES = test/unit/control/check_predecessor.c
test_unit_control_check_predecessor_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_predecessor_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_takeover
test_unit_control_check_takeover_SOURCES = test/unit/control/check_takeover.c
test_unit_control_check_takeover_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_takeover_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_target
test_unit_control_check_target_SOURCES = test/unit/control/check_target.c
test_unit_control_check_target_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_target_CFLAGS = $(CONTROL_UNIT_CFLAGS)

check_PROGRAMS += test/unit/control/check_nomem
test_unit_control_check_nomem_SOURCES = test/unit/control/check_nomem.c $(FAILING_ALLOC_FILES)
test_unit_control_check_nomem_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_nomem_CFLAGS = $(CONTROL_UNIT_CFLAGS)
test_unit_control_check_nomem_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/control/check_verify
test_unit_control_check_verify_SOURCES = test/unit/control/check_verify.c
test_unit_control_check_verify_LDADD = $(CONTROL_UNIT_LIBS)
test_unit_control_check_verify_CFLAGS = $(CONTROL_UNIT_CFLAGS)
