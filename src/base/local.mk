# base: floor 0. Sources go to libpure; headers too. Tests: test/unit/base/local.mk.
libpure_a_SOURCES += \
	src/base/arena.c src/base/arena.h \
	src/base/bufpool.c src/base/bufpool.h \
	src/base/hist.c src/base/hist.h \
	src/base/list.h \
	src/base/log.c src/base/log.h \
	src/base/mailbox.c src/base/mailbox.h \
	src/base/map.c src/base/map.h \
	src/base/rd.h \
	src/base/snap.c src/base/snap.h \
	src/base/status.c src/base/status.h \
	src/base/text.h \
	src/base/value.c src/base/value.h \
	src/base/wheel.c src/base/wheel.h \
	src/base/wr.h
