# state: floor 2, what follows a client across servers. Pure.
libpure_a_SOURCES += \
	src/state/intern.h \
	src/state/pins.h \
	src/state/settings.h \
	src/state/settings_txn.h \
	src/state/stmts.h
