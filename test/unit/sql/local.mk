# unit tests of src/sql
SQL_TESTS = \
	test/unit/sql/check_body \
	test/unit/sql/check_calls \
	test/unit/sql/check_catalog \
	test/unit/sql/check_classify \
	test/unit/sql/check_effects \
	test/unit/sql/check_encoding \
	test/unit/sql/check_fingerprint \
	test/unit/sql/check_guc \
	test/unit/sql/check_lexer \
	test/unit/sql/check_literal \
	test/unit/sql/check_normalize \
	test/unit/sql/check_plain \
	test/unit/sql/check_skeleton \
	test/unit/sql/check_trace \
	test/unit/sql/check_txn_time \
	test/unit/sql/check_weir \
	test/unit/sql/check_word
check_PROGRAMS += $(SQL_TESTS)
test_unit_sql_check_body_SOURCES = test/unit/sql/check_body.c
test_unit_sql_check_body_LDADD = $(UNIT_LIBS)
test_unit_sql_check_body_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_calls_SOURCES = test/unit/sql/check_calls.c
test_unit_sql_check_calls_LDADD = $(UNIT_LIBS)
test_unit_sql_check_calls_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_catalog_SOURCES = test/unit/sql/check_catalog.c $(FAILING_ALLOC_FILES)
test_unit_sql_check_catalog_LDADD = $(UNIT_LIBS)
test_unit_sql_check_catalog_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_catalog_LDFLAGS = $(FAILING_ALLOC_LINK)
test_unit_sql_check_classify_SOURCES = test/unit/sql/check_classify.c test/unit/sql/names.h
test_unit_sql_check_classify_LDADD = $(UNIT_LIBS)
test_unit_sql_check_classify_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_effects_SOURCES = test/unit/sql/check_effects.c test/unit/sql/names.h
test_unit_sql_check_effects_LDADD = $(UNIT_LIBS)
test_unit_sql_check_effects_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_encoding_SOURCES = test/unit/sql/check_encoding.c test/unit/sql/names.h
test_unit_sql_check_encoding_LDADD = $(UNIT_LIBS)
test_unit_sql_check_encoding_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_fingerprint_SOURCES = test/unit/sql/check_fingerprint.c
test_unit_sql_check_fingerprint_LDADD = $(UNIT_LIBS)
test_unit_sql_check_fingerprint_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_guc_SOURCES = test/unit/sql/check_guc.c
test_unit_sql_check_guc_LDADD = $(UNIT_LIBS)
test_unit_sql_check_guc_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_lexer_SOURCES = test/unit/sql/check_lexer.c
test_unit_sql_check_lexer_LDADD = $(UNIT_LIBS)
test_unit_sql_check_lexer_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_literal_SOURCES = test/unit/sql/check_literal.c
test_unit_sql_check_literal_LDADD = $(UNIT_LIBS)
test_unit_sql_check_literal_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_plain_SOURCES = test/unit/sql/check_plain.c test/unit/sql/names.h
test_unit_sql_check_plain_LDADD = $(UNIT_LIBS)
test_unit_sql_check_plain_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_skeleton_SOURCES = test/unit/sql/check_skeleton.c
test_unit_sql_check_skeleton_LDADD = $(UNIT_LIBS)
test_unit_sql_check_skeleton_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_word_SOURCES = test/unit/sql/check_word.c
test_unit_sql_check_word_LDADD = $(UNIT_LIBS)
test_unit_sql_check_word_CFLAGS = $(UNIT_CFLAGS)

include test/routing/local.mk
test_unit_sql_check_weir_SOURCES = test/unit/sql/check_weir.c
test_unit_sql_check_weir_LDADD = $(UNIT_LIBS)
test_unit_sql_check_weir_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_txn_time_SOURCES = test/unit/sql/check_txn_time.c
test_unit_sql_check_txn_time_LDADD = $(UNIT_LIBS)
test_unit_sql_check_txn_time_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_normalize_SOURCES = test/unit/sql/check_normalize.c
test_unit_sql_check_normalize_LDADD = $(UNIT_LIBS)
test_unit_sql_check_normalize_CFLAGS = $(UNIT_CFLAGS)
test_unit_sql_check_trace_SOURCES = test/unit/sql/check_trace.c
test_unit_sql_check_trace_LDADD = $(UNIT_LIBS)
test_unit_sql_check_trace_CFLAGS = $(UNIT_CFLAGS)
