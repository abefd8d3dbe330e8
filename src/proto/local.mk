# proto: floor 1, pure: the wire protocol of PostgreSQL, version 3. Tests: test/unit/proto/local.mk.
libpure_a_SOURCES += \
	src/proto/backend.c \
	src/proto/backend.h \
	src/proto/base64.c \
	src/proto/base64.h \
	src/proto/cancel_key.c \
	src/proto/cancel_key.h \
	src/proto/frame.h \
	src/proto/frontend.c \
	src/proto/frontend.h \
	src/proto/frontend_put.c \
	src/proto/md5auth.c \
	src/proto/md5auth.h \
	src/proto/options.c \
	src/proto/options.h \
	src/proto/proxy.c src/proto/proxy.h \
	src/proto/reply.c \
	src/proto/reply.h \
	src/proto/report.c \
	src/proto/report.h \
	src/proto/saslprep.c \
	src/proto/saslprep.h \
	src/proto/scram.c \
	src/proto/scram.h \
	src/proto/scram_client.c \
	src/proto/scram_client.h \
	src/proto/scram_msg.c \
	src/proto/scram_msg.h \
	src/proto/scram_server.c \
	src/proto/scram_server.h \
	src/proto/shape.c \
	src/proto/shape.h \
	src/proto/sqlstate.h \
	src/proto/sqlstate.c \
	src/proto/startup.c \
	src/proto/startup.h \
	src/proto/tag.c \
	src/proto/tag.h
