# control: floor 5, the control plane.
libcore_a_SOURCES += \
	src/control/access_load.c src/control/access_load.h \
	src/control/admin.c src/control/admin.h \
	src/control/ask_nodes.c src/control/ask_nodes.h \
	src/control/auth_query.c src/control/auth_query.h \
	src/control/catalog_load.c src/control/catalog_load.h \
	src/control/collect.c src/control/collect.h \
	src/control/session_command.c \
	src/control/config.c src/control/config.h \
	src/control/console.c src/control/console.h \
	src/control/control.c src/control/control.h \
	src/control/derive.c src/control/derive.h \
	src/control/ending.c src/control/ending.h \
	src/control/env.h \
	src/control/explaining.c src/control/explaining.h \
	src/control/exposition.c src/control/exposition.h \
	src/control/front.c src/control/front.h \
	src/control/gather.c src/control/gather.h \
	src/control/grammar.c src/control/grammar.h \
	src/control/headroom.c src/control/headroom.h \
	src/control/helpers.c src/control/helpers.h \
	src/control/history.c src/control/history.h \
	src/control/history_json.c \
	src/control/http.c src/control/http.h \
	src/control/json.c \
	src/control/judgement.c src/control/judgement.h \
	src/control/lag_log.c src/control/lag_log.h \
	src/control/ldap.c src/control/ldap.h \
	src/control/listening.c src/control/listening.h src/control/listening_own.h \
	src/control/marking.c \
	src/control/merge.c src/control/merge.h \
	src/control/metrics.c \
	src/control/monitor.c src/control/monitor.h \
	src/control/page.h \
	src/control/pam.c src/control/pam.h \
	src/control/patroni.c src/control/patroni.h \
	src/control/peer_name.c src/control/peer_name.h \
	src/control/pq.c src/control/pq.h \
	src/control/plan.c src/control/plan.h \
	src/control/pq_params.c src/control/pq_params.h \
	src/control/prepared.c \
	src/control/probe.c src/control/probe.h \
	src/control/predecessor.c src/control/predecessor.h \
	src/control/process.c src/control/process.h \
	src/control/ready.c src/control/ready.h \
	src/control/reload.c src/control/reload.h \
	src/control/resolve.c src/control/resolve.h \
	src/control/rows.c src/control/rows.h \
	src/control/service.c src/control/service.h \
	src/control/session.c src/control/session.h \
	src/control/show.c src/control/show.h \
	src/control/show_clusters.c \
	src/control/queries.c src/control/queries.h \
	src/control/show_nodes.c \
	src/control/show_pools.c \
	src/control/show_routing.c \
	src/control/show_run.c src/control/show_run.h \
	src/control/show_settings.c \
	src/control/show_sockets.c \
	src/control/show_state.c \
	src/control/show_stats.c \
	src/control/show_waits.c \
	src/control/spread.c src/control/spread.h \
	src/control/show_switchover.c \
	src/control/switchover.c src/control/switchover.h \
	src/control/snapshots.c src/control/snapshots.h \
	src/control/stats.c src/control/stats.h \
	src/control/stats_auth.c src/control/stats_auth.h \
	src/control/takeover.c src/control/takeover.h \
	src/control/takeover_channel.c src/control/takeover_channel.h \
	src/control/takeover_wire.c src/control/takeover_wire.h \
	src/control/target.c src/control/target.h \
	src/control/tell.c src/control/tell.h \
	src/control/verify.c src/control/verify.h

# The page of the stats port, as C arrays.
PAGE_FILES = src/control/page/index.html src/control/page/style.css src/control/page/script.js
EXTRA_DIST += $(PAGE_FILES) src/control/page/embed.sh
nodist_libcore_a_SOURCES = src/control/page_data.h
BUILT_SOURCES += src/control/page_data.h
src/control/libcore_a-front.$(OBJEXT): src/control/page_data.h
CLEANFILES += src/control/page_data.h
src/control/page_data.h: $(PAGE_FILES) src/control/page/embed.sh
	$(AM_V_GEN)$(MKDIR_P) src/control && dir=$(srcdir)/src/control/page && \
	$(SHELL) $$dir/embed.sh page_index $$dir/index.html page_style $$dir/style.css \
		page_script $$dir/script.js >$@.tmp && mv $@.tmp $@
