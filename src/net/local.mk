# net: floor 1, the sockets.
libcore_a_SOURCES += \
	src/net/addr.h \
	src/net/conn.h \
	src/net/listen.h \
	src/net/loop.h \
	src/net/resolver.h \
	src/net/tls.h
