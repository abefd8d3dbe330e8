# net: floor 1, the sockets.
libcore_a_SOURCES += \
	src/net/conn.h \
	src/net/loop.h
