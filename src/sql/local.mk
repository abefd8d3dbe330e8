# sql: floor 1, pure. word_table.h is made by hand with word_gen.py after a change of word_list.h.
libpure_a_SOURCES += \
	src/sql/body.c src/sql/body.h \
	src/sql/builtin.h \
	src/sql/builtin_names.h \
	src/sql/calls.c src/sql/calls.h \
	src/sql/catalog.c src/sql/catalog.h \
	src/sql/catalog_sets.h \
	src/sql/catalog_sql.c src/sql/catalog_sql.h \
	src/sql/classify.c src/sql/classify.h \
	src/sql/encoding.c src/sql/encoding.h \
	src/sql/fingerprint.c src/sql/fingerprint.h \
	src/sql/guc.c src/sql/guc.h \
	src/sql/lexer.c src/sql/lexer.h \
	src/sql/literal.c src/sql/literal.h \
	src/sql/namefilter.h \
	src/sql/normalize.c src/sql/normalize.h \
	src/sql/plain.c src/sql/plain.h \
	src/sql/plain_names.c src/sql/plain_skim.c src/sql/plain_start.c src/sql/plain_text.h \
	src/sql/scan.c src/sql/scan.h \
	src/sql/skeleton.c src/sql/skeleton.h \
	src/sql/special.c src/sql/special.h \
	src/sql/stmt.h \
	src/sql/stmt_data.c \
	src/sql/stmt_session.c \
	src/sql/stmt_set.c \
	src/sql/stmt_txn.c \
	src/sql/trace.c src/sql/trace.h \
	src/sql/txn_time.c src/sql/txn_time.h \
	src/sql/verdict.c src/sql/verdict.h \
	src/sql/walk.c src/sql/walk.h \
	src/sql/weir.c src/sql/weir.h \
	src/sql/word.c src/sql/word.h src/sql/word_list.h \
	src/sql/word_multiplier.h src/sql/word_table.h
EXTRA_DIST += src/sql/word_gen.py
