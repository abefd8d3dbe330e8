# unit tests of src/state
check_PROGRAMS += test/unit/state/check_backends
test_unit_state_check_backends_SOURCES = test/unit/state/check_backends.c
test_unit_state_check_backends_LDADD = $(UNIT_LIBS)
test_unit_state_check_backends_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_clean
test_unit_state_check_clean_SOURCES = test/unit/state/check_clean.c
test_unit_state_check_clean_LDADD = $(UNIT_LIBS)
test_unit_state_check_clean_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_intern
test_unit_state_check_intern_SOURCES = test/unit/state/check_intern.c $(FAILING_ALLOC_FILES)
test_unit_state_check_intern_LDADD = $(UNIT_LIBS)
test_unit_state_check_intern_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_intern_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_pins
test_unit_state_check_pins_SOURCES = test/unit/state/check_pins.c
test_unit_state_check_pins_LDADD = $(UNIT_LIBS)
test_unit_state_check_pins_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_settings
test_unit_state_check_settings_SOURCES = test/unit/state/check_settings.c $(FAILING_ALLOC_FILES)
test_unit_state_check_settings_LDADD = $(UNIT_LIBS)
test_unit_state_check_settings_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_settings_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_settings_diff
test_unit_state_check_settings_diff_SOURCES = test/unit/state/check_settings_diff.c
test_unit_state_check_settings_diff_LDADD = $(UNIT_LIBS)
test_unit_state_check_settings_diff_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_settings_txn
test_unit_state_check_settings_txn_SOURCES = test/unit/state/check_settings_txn.c
test_unit_state_check_settings_txn_LDADD = $(UNIT_LIBS)
test_unit_state_check_settings_txn_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_stmt_lru
test_unit_state_check_stmt_lru_SOURCES = test/unit/state/check_stmt_lru.c $(FAILING_ALLOC_FILES)
test_unit_state_check_stmt_lru_LDADD = $(UNIT_LIBS)
test_unit_state_check_stmt_lru_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_stmt_lru_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_stmt_names
test_unit_state_check_stmt_names_SOURCES = test/unit/state/check_stmt_names.c $(FAILING_ALLOC_FILES)
test_unit_state_check_stmt_names_LDADD = $(UNIT_LIBS)
test_unit_state_check_stmt_names_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_stmt_names_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_stmts
test_unit_state_check_stmts_SOURCES = test/unit/state/check_stmts.c $(FAILING_ALLOC_FILES)
test_unit_state_check_stmts_LDADD = $(UNIT_LIBS)
test_unit_state_check_stmts_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_stmts_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_owed
test_unit_state_check_owed_SOURCES = test/unit/state/check_owed.c $(FAILING_ALLOC_FILES)
test_unit_state_check_owed_LDADD = $(UNIT_LIBS)
test_unit_state_check_owed_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_owed_LDFLAGS = $(FAILING_ALLOC_LINK)
check_PROGRAMS += test/unit/state/check_journal
test_unit_state_check_journal_SOURCES = test/unit/state/check_journal.c
test_unit_state_check_journal_LDADD = $(UNIT_LIBS)
test_unit_state_check_journal_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_errors
test_unit_state_check_errors_SOURCES = test/unit/state/check_errors.c
test_unit_state_check_errors_LDADD = $(UNIT_LIBS)
test_unit_state_check_errors_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_query_stats
test_unit_state_check_query_stats_SOURCES = test/unit/state/check_query_stats.c $(FAILING_ALLOC_FILES)
test_unit_state_check_query_stats_LDADD = $(UNIT_LIBS)
test_unit_state_check_query_stats_CFLAGS = $(UNIT_CFLAGS)
test_unit_state_check_query_stats_LDFLAGS = $(FAILING_ALLOC_LINK)

check_PROGRAMS += test/unit/state/check_repeats
test_unit_state_check_repeats_SOURCES = test/unit/state/check_repeats.c
test_unit_state_check_repeats_LDADD = $(UNIT_LIBS)
test_unit_state_check_repeats_CFLAGS = $(UNIT_CFLAGS)

check_PROGRAMS += test/unit/state/check_misuse
test_unit_state_check_misuse_SOURCES = test/unit/state/check_misuse.c
test_unit_state_check_misuse_LDADD = $(UNIT_LIBS)
test_unit_state_check_misuse_CFLAGS = $(UNIT_CFLAGS)
