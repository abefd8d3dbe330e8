# net: floor 1, the sockets.
libcore_a_SOURCES += \
	src/net/addr.c src/net/addr.h \
	src/net/batch.c src/net/batch.h \
	src/net/conn.c src/net/conn.h \
	src/net/conn_facts.c \
	src/net/conn_move.c \
	src/net/conn_rx.c \
	src/net/conn_tls.c \
	src/net/conn_tx.c \
	src/net/engine.h \
	src/net/hosts.c src/net/hosts.h \
	src/net/listen.c src/net/listen.h \
	src/net/loop.c src/net/loop.h \
	src/net/names.c src/net/names.h \
	src/net/resolver.c src/net/resolver.h \
	src/net/tls.c src/net/tls.h \
	src/net/tls_words.c src/net/tls_words.h \
	src/net/uring.c src/net/uring.h
