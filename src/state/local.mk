# state: floor 2, what follows a client across servers. Pure.
libpure_a_SOURCES += \
	src/state/backends.c src/state/backends.h \
	src/state/clean.c src/state/clean.h \
	src/state/errors.c src/state/errors.h \
	src/state/intern.c src/state/intern.h \
	src/state/journal.c src/state/journal.h \
	src/state/misuse.c src/state/misuse.h \
	src/state/owed.c src/state/owed.h \
	src/state/pins.c src/state/pins.h \
	src/state/query_stats.c src/state/query_stats.h \
	src/state/repeats.h \
	src/state/settings.c src/state/settings.h \
	src/state/settings_class.c src/state/settings_class.h \
	src/state/settings_diff.c src/state/settings_diff.h \
	src/state/settings_txn.c src/state/settings_txn.h \
	src/state/stmt_lru.c src/state/stmt_lru.h \
	src/state/stmt_names.c src/state/stmt_names.h \
	src/state/stmts.c src/state/stmts.h
