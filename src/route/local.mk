# route: floor 2, where a unit may run. Pure.
libpure_a_SOURCES += \
	src/route/choose.h \
	src/route/lag.h \
	src/route/lsn.h \
	src/route/marks.h \
	src/route/roles.h \
	src/route/topology.h
