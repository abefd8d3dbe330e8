# route: floor 2, where a unit may run. Pure.
libpure_a_SOURCES += \
	src/route/ask.c src/route/ask.h \
	src/route/better.c src/route/better.h \
	src/route/candidates.c src/route/candidates.h \
	src/route/choose.c src/route/choose.h \
	src/route/choose_words.c src/route/choose_words.h \
	src/route/doubles.c src/route/doubles.h \
	src/route/judge.c src/route/judge.h \
	src/route/lag.c src/route/lag.h \
	src/route/lsn.c src/route/lsn.h \
	src/route/marks.c src/route/marks.h \
	src/route/outlier.c src/route/outlier.h \
	src/route/params.c src/route/params.h \
	src/route/roles.c src/route/roles.h \
	src/route/topology.c src/route/topology.h
