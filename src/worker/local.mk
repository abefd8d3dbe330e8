# worker: floor 4, the data plane.
libcore_a_SOURCES += \
	src/worker/account.c src/worker/account.h \
	src/worker/activity.c src/worker/activity.h \
	src/worker/admit.c src/worker/admit.h \
	src/worker/advanced.c src/worker/advanced.h \
	src/worker/ask.h \
	src/worker/balance.c src/worker/balance.h \
	src/worker/busy.c src/worker/busy.h \
	src/worker/cancel.c src/worker/cancel.h \
	src/worker/cancel_conn.c src/worker/cancel_conn.h \
	src/worker/client.c src/worker/client.h \
	src/worker/command.c src/worker/command.h \
	src/worker/custom.c src/worker/custom.h \
	src/worker/dbase.c src/worker/dbase.h \
	src/worker/defaults.c src/worker/defaults.h \
	src/worker/dispatch.c src/worker/dispatch.h \
	src/worker/effects.c src/worker/effects.h \
	src/worker/entry.c src/worker/entry.h \
	src/worker/explain.c src/worker/explain.h \
	src/worker/external.c src/worker/external.h \
	src/worker/entropy.c src/worker/entropy.h \
	src/worker/fit.c src/worker/fit.h \
	src/worker/forward.c src/worker/forward.h \
	src/worker/forward_bind.c src/worker/forward_parse.c src/worker/going.h \
	src/worker/confirm.c src/worker/confirm.h \
	src/worker/found_out.c src/worker/found_out.h \
	src/worker/handover.c src/worker/handover.h \
	src/worker/hidden.c src/worker/hidden.h \
	src/worker/hold.c src/worker/hold.h \
	src/worker/image.c src/worker/image.h \
	src/worker/judge.c src/worker/judge.h \
	src/worker/kept.c src/worker/kept.h \
	src/worker/keys.c src/worker/keys.h \
	src/worker/learned.c src/worker/learned.h \
	src/worker/line.c src/worker/line.h \
	src/worker/link.c src/worker/link.h \
	src/worker/local.c src/worker/local.h \
	src/worker/login.c src/worker/login.h \
	src/worker/loss.c src/worker/loss.h \
	src/worker/moved.h \
	src/worker/moving.c src/worker/moving.h \
	src/worker/notify.c src/worker/notify.h src/worker/notify_own.h \
	src/worker/notify_barrier.c src/worker/notify_give.c src/worker/notify_going.c \
	src/worker/notify_unit.c \
	src/worker/ours.c src/worker/ours.h \
	src/worker/pass.c src/worker/pass.h \
	src/worker/pick.c src/worker/pick.h \
	src/worker/pinning.c src/worker/pinning.h \
	src/worker/places.c src/worker/places.h \
	src/worker/proxied.c src/worker/proxied.h \
	src/worker/prepared.c src/worker/prepared.h \
	src/worker/probe.c src/worker/probe.h \
	src/worker/queries.c src/worker/queries.h \
	src/worker/prove.c src/worker/prove.h \
	src/worker/relay.c src/worker/relay.h \
	src/worker/replayed.c src/worker/replayed.h \
	src/worker/replication.c src/worker/replication.h \
	src/worker/reported.c src/worker/reported.h \
	src/worker/savepoints.c src/worker/savepoints.h \
	src/worker/sequences.c src/worker/sequences.h \
	src/worker/server.c src/worker/server.h \
	src/worker/server_clean.c src/worker/server_clean.h \
	src/worker/server_error.c src/worker/server_error.h \
	src/worker/server_login.c \
	src/worker/shared.h \
	src/worker/set_call.c src/worker/set_call.h \
	src/worker/show.c src/worker/show.h \
	src/worker/signals.c src/worker/signals.h \
	src/worker/single.c src/worker/single.h \
	src/worker/suspend.c src/worker/suspend.h \
	src/worker/sqlstmt.c src/worker/sqlstmt.h \
	src/worker/takeover.c src/worker/takeover.h \
	src/worker/unit.c src/worker/unit.h \
	src/worker/unit_end.c src/worker/unit_end.h \
	src/worker/unit_stmts.c src/worker/unit_stmts.h \
	src/worker/upkeep.c src/worker/upkeep.h \
	src/worker/waits.c src/worker/waits.h \
	src/worker/walk.h \
	src/worker/worker.c src/worker/worker.h
