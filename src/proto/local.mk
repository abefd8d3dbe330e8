# proto: floor 1, pure: PostgreSQL's wire protocol 3. Tests: test/unit/proto/local.mk.
libpure_a_SOURCES += \
	src/proto/backend.h \
	src/proto/base64.h \
	src/proto/frame.h \
	src/proto/frontend.h \
	src/proto/md5auth.h \
	src/proto/options.h \
	src/proto/reply.h \
	src/proto/report.h \
	src/proto/saslprep.h \
	src/proto/scram.h \
	src/proto/scram_client.h \
	src/proto/scram_server.h \
	src/proto/sqlstate.h \
	src/proto/startup.h \
	src/proto/tag.h
