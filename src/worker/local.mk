# worker: floor 4, the data plane.
libcore_a_SOURCES += \
	src/worker/activity.c src/worker/activity.h \
	src/worker/ask.h \
	src/worker/cancel.c src/worker/cancel.h \
	src/worker/cancel_conn.c src/worker/cancel_conn.h \
	src/worker/client.c src/worker/client.h \
	src/worker/command.c src/worker/command.h \
	src/worker/dbase.c src/worker/dbase.h \
	src/worker/dispatch.c src/worker/dispatch.h \
	src/worker/effects.c src/worker/effects.h \
	src/worker/fit.c src/worker/fit.h \
	src/worker/forward.c src/worker/forward.h \
	src/worker/handover.c src/worker/handover.h \
	src/worker/hold.c src/worker/hold.h \
	src/worker/judge.c src/worker/judge.h \
	src/worker/keys.c src/worker/keys.h \
	src/worker/local.c src/worker/local.h \
	src/worker/login.c src/worker/login.h \
	src/worker/notify.c src/worker/notify.h \
	src/worker/prepared.c src/worker/prepared.h \
	src/worker/probe.c src/worker/probe.h \
	src/worker/relay.c src/worker/relay.h \
	src/worker/replication.c src/worker/replication.h \
	src/worker/savepoints.c src/worker/savepoints.h \
	src/worker/server.c src/worker/server.h \
	src/worker/server_login.c \
	src/worker/shared.h \
	src/worker/show.c src/worker/show.h \
	src/worker/sqlstmt.c src/worker/sqlstmt.h \
	src/worker/unit.c src/worker/unit.h \
	src/worker/worker.c src/worker/worker.h
