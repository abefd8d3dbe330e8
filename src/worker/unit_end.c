#include "worker/unit_end.h"

#include "conf/conf.h"
#include "worker/balance.h"
#include "worker/defaults.h"
#include "worker/effects.h"
#include "worker/found_out.h"
#include "worker/link.h"
#include "worker/moving.h"
#include "worker/notify.h"
#include "worker/ours.h"
#include "worker/pass.h"
#include "worker/pinning.h"
#include "worker/prepared.h"
#include "worker/probe.h"
#include "worker/savepoints.h"
#include "worker/signals.h"
#include "worker/waits.h"
#include "worker/worker.h"

static void count_unit(struct worker *w, struct client *c, struct server *s)
{
	struct dbase_stats *n = &c->db->stats;
	uint64_t us = w->now_us - s->unit_begun_us, recent_us;
	struct pool *p = s->pool;

	n->queries++;
	n->query_us += us;
	dbase_count_route_us(c->db, c->busy->route_counted, us);
	hist_add(&c->acc->query, us);
	recent_us = pool_latency_us(p, w->now_us);
	recent_us = recent_us != 0 ? (recent_us * 7 + us) / 8 : us;
	p->latency_us = recent_us < UINT32_MAX ? (uint32_t)recent_us : UINT32_MAX;
	p->latency_at_us = w->now_us;
	if (p->counts)
		balance_count(w, p, us);
	if (p->outstanding != 0)
		p->outstanding--;
	s->unit_begun_us = w->now_us; /* of the next one, if several are under way */
	if (s->txn_status == 'I') {
		n->xacts++;
		n->xact_us += w->now_us - c->busy->txn_begun_us;
		if (c->txn == TXN_OPEN || c->txn == TXN_FAILED)
			waits_block_ended(w, c, w->now_us - c->busy->txn_begun_us);
		c->busy->txn_begun_us = w->now_us;
	}
}

static void end_settings(struct worker *w, struct client *c, char status)
{
	struct settings *before = c->set.current;
	struct busy *b = c->busy;

	/* SET LOCAL of a reported parameter was taken for committed: what has undone it came later.
	 */
	if (b->reported_commit && (status != 'I' || b->unit_error))
		found_out_doubt_all(c);
	b->reported_commit = false;
	/* What undoes a RESET goes there behind a savepoint, or a BEGIN, that has seen it. */
	if (status != 'I' && b->rediff && b->txn_passed)
		effects_behind(c, c->server);
	b->told_later = b->txn_passed = false;
	if (status == 'I')
		b->has_reported = false;
	if (status == 'I')
		savepoints_clear(&b->savepoints, &c->set);
	if (status == 'I')
		ours_txn_ended(c, !b->unit_error);
	if (status == 'I' && b->unit_error) {
		effects_behind(c, c->server);
		settings_txn_rollback(&c->set);
	} else if (status == 'I')
		settings_txn_commit(&c->set);
	if (status != 'I' || c->server->owed.n_client != 0 || b->streaming) /* of what follows */
		settings_txn_begin(&c->set);
	if (status == 'I' && c->listening != NULL)
		notify_txn_ended(w, c);
	if (c->set.current != before)
		client_settings_changed(w, c);
}

static void end_txn(struct client *c, char status)
{
	struct busy *b = c->busy;

	if (b->moves != MOVES_NOT)
		moving_unit_ended(c, status);
	if (c->txn == TXN_DEFERRED && b->deferred != NULL && b->moves < MOVES_REPLICA)
		journal_clear(&b->deferred->journal);
	b->begin_sent = false;
	b->block_answered = true;
	if (status == 'T')
		c->txn = TXN_OPEN;
	else if (status == 'E')
		c->txn = TXN_FAILED;
	else {
		c->txn = TXN_NONE;
		b->block_read_only = false;
		b->block_answered = false;
		b->block_differs = false;
		b->parse_differs = false;
		b->end_bound = false;
	}
}

void unit_end_mark(struct worker *w, struct client *c, const struct server *s)
{
	const struct conf_db *db = c->db->conf;
	const struct topo_cluster *cluster = NULL;
	struct mark_clock *clock = &w->sh->clock;
	uint64_t number = mark_clock_load(clock);
	bool wanted;

	if (db != NULL && db->routing)
		cluster = topology_cluster(w->topology, (uint16_t)db->cluster_id);
	if (cluster == NULL) { /* a reload may route what reads next */
		marks_arrive(&c->marks, number);
		return;
	}
	if (s->in_recovery) {
		marks_read(
			&c->marks, cluster, (uint16_t)s->pool->node, c->busy->read_epoch, number);
		return;
	}
	if (c->busy->moves == MOVES_SHADOW) /* its block has only read */
		return;
	if (!c->busy->unit_writes)
		return;
	marks_write(&c->marks, cluster, number);
	wanted = mark_clock_is_wanted(clock, number);
	mark_clock_want(clock, number);
	if (!wanted)
		w->sh->control.wake(w->sh->control.wake_arg);
}

static void end_retained(struct client *c, const struct owed_entry *e)
{
	struct busy *b = c->busy;

	if (!b->unit_retained)
		return;
	PANIC_IF(e->no > b->sent_len);
	conn_consume(c->conn, e->no);
	b->sent_len -= (uint32_t)e->no;
	b->holding = b->sent_len != 0;
	if (b->sent_len == 0)
		b->unit_retained = false;
}

void unit_end_schema(struct worker *w, struct client *c)
{
	if (c->busy->schema_sent &&
		c->server != NULL) /* it may have been made in pg_temp, unseen */
		c->server->dirt |= CLEAN(TEMP);
	if (c->busy->schema_sent)
		atomic_fetch_add(&w->sh->ddl_no, 1);
	c->busy->schema_sent = false;
}

void unit_end(struct worker *w, struct server *s, struct owed_entry e, char status)
{
	struct client *c = s->client;
	struct busy *b = c->busy;

	if (c->state == CLIENT_CLOSED)
		return;
	pass_held(w, c);
	count_unit(w, c, s);
	unit_end_mark(w, c, s);
	end_settings(w, c, status);
	end_retained(c, &e);
	end_txn(c, status);
	b->force_primary = false;
	b->lost_us = 0;
	b->avoid_node = NODES_MAX;
	b->unit_error = false;
	if (status == 'I' && s->has_odd)
		prepared_drop_odd(s);
	if (status == 'I') {
		unit_end_schema(w, c);
		if (b->txn_notifies)
			b->txn_notifies = s->owed.n_client != 0;
	}
	if (b->ddl_sent && status == 'I') {
		b->ddl_sent = false;
		if (b->defaults != NULL)
			defaults_committed(w, c);
		dbase_catalog_changed(w, c->db);
	}
	if (s->owed.n_client == 0) {
		if (b->signals != NULL)
			signals_over(w, c);
		b->unit_writes = false;
		b->end_sent = EFFECT_NONE;
		b->end_unsure = false;
	}
	if (status != 'I' && c->acc->mode == POOL_MODE_STATEMENT) {
		struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION,
			"transaction blocks not allowed in statement pooling mode");

		r.hint = "See pool_mode.";
		client_fatal(w, c, &r, CLIENT_END_PROTOCOL);
		return;
	}
	if (c->db->seq_follows)
		pinning_keep_sequence(w, c);
	else if (b->seq_advanced && status == 'I')
		b->seq_advanced = !server_is_quiet(s);
	if (status == 'I' && found_out_is_due(c))
		(void)found_out_send(w, c);
	if (link_may_release(c, s)) {
		link_release(w, c, s);
		return;
	}
	if (pins_any(&b->pins) && !b->pin_counted)
		pinning_found(w, c);
	if (server_fast_close(w, s))
		return;
	(void)probe_send(w, c);
	client_watch(w, c);
	if (b->stalled)
		conn_rx_resume(c->conn);
}
