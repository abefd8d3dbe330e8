#include "worker/show.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/text.h"
#include "conf/conf.h"
#include "worker/cancel_conn.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/learned.h"
#include "worker/queries.h"
#include "worker/server.h"
#include "worker/waits.h"

#define ROW_LEN sizeof(((struct ask_rows *)NULL)->row[0])

/* Rows from `skip` on go to the message, as many as fit; `seen` counts all of them. */
struct table {
	struct ask_rows *out;
	uint64_t skip, seen;
};

static bool is_full(const struct table *t)
{
	return t->out->n == SHOW_ROWS_MAX;
}

/* The next row's place, or NULL if it is not in this piece. */
static void *next_row(struct table *t)
{
	if (t->seen++ < t->skip || is_full(t))
		return NULL;
	return &t->out->row[t->out->n++];
}

static void show_clients(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->clients) {
		const struct client *c = list_entry(it, struct client, link);
		void *row = next_row(t);

		if (row != NULL)
			client_show(w, c, row);
	}
}

static void show_servers(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		const struct server *s = list_entry(it, struct server, link);
		void *row = next_row(t);

		if (row != NULL)
			server_show(w, s, row);
	}
}

/* --- pools --- */

static void take_oldest(uint64_t *oldest_us, const struct waitq *q)
{
	uint64_t us = waitq_oldest_us(q);

	if (us != 0 && (*oldest_us == 0 || us < *oldest_us))
		*oldest_us = us;
}

/* Clients that keep a server of the pool. */
static uint32_t pool_pinned(const struct pool *p)
{
	struct list *it;
	uint32_t n = 0;

	list_foreach (it, &p->active) {
		const struct client *c = list_entry(it, struct server, pool_link)->client;

		n += c != NULL && pins_any(&c->busy->pins);
	}
	return n;
}

void show_account(struct worker *w, const struct account *acc, struct show_pool_row *row)
{
	uint64_t oldest_us = 0;
	size_t n_waiting = waitq_len(&acc->nowhere);

	*row = (struct show_pool_row){.node = -1, .pool_mode = (uint8_t)acc->mode};
	text_copy(row->database, sizeof row->database, acc->db->name);
	text_copy(row->user, sizeof row->user, acc->user);
	take_oldest(&oldest_us, &acc->nowhere);
	for (uint32_t i = 0; i < acc->n_pools; i++) {
		const struct pool *p = acc->pools[i];

		take_oldest(&oldest_us, &p->line);
		take_oldest(&oldest_us, &p->pin_line);
		n_waiting += waitq_len(&p->line) + waitq_len(&p->pin_line);
		row->pinned += pool_pinned(p);
	}
	row->cl_idle = acc->n_idle;
	row->cl_active = acc->n_idle + acc->n_active;
	row->cl_waiting = (uint32_t)n_waiting;
	/* What is left: logins that have a server, or are on their way to one. */
	row->cl_login = acc->n_clients - row->cl_active - row->cl_waiting;
	row->maxwait_us = oldest_us != 0 ? w->now_us - oldest_us : 0;
	cancel_conn_count(w, acc, &row->cl_waiting_cancel_req, &row->cl_active_cancel_req);
	hist_sum_add(&row->wait, &acc->wait);
	hist_sum_add(&row->query, &acc->query);
}

static void show_pool(struct worker *w, const struct pool *p, struct show_pool_row *row)
{
	uint64_t oldest_us = 0;
	struct list *it;

	take_oldest(&oldest_us, &p->line);
	take_oldest(&oldest_us, &p->pin_line);
	*row = (struct show_pool_row){
		.node = (int32_t)p->node,
		.pool_mode = (uint8_t)p->acc->mode,
		.sv_idle = p->n_idle,
		.sv_login = p->n_login,
		.cl_waiting = (uint32_t)(waitq_len(&p->line) + waitq_len(&p->pin_line)),
		.maxwait_us = oldest_us != 0 ? w->now_us - oldest_us : 0,
		.pinned = pool_pinned(p),
		.outstanding = p->outstanding,
		.latency_us = p->latency_us,
		.busy_us = p->busy_us,
		.given = p->given,
		.ejected_us = atomic_load_explicit(&p->share->ejected_us, memory_order_relaxed),
		.ejections = {atomic_load(&p->share->ejections[0]),
			atomic_load(&p->share->ejections[1])},
	};
	text_copy(row->database, sizeof row->database, p->acc->db->name);
	text_copy(row->user, sizeof row->user, p->acc->user);
	row->sv_tested = p->n_check;
	list_foreach (it, &p->idle)
		if (server_needs_check(w, list_entry(it, struct server, pool_link))) {
			row->sv_idle--;
			row->sv_used++;
		}
	list_foreach (it, &p->active) {
		const struct server *s = list_entry(it, struct server, pool_link);

		if (s->state == SERVER_CANCELED)
			row->sv_being_canceled++;
		else if (s->state == SERVER_RESET)
			row->sv_tested++;
		else if (s->cancel != NULL)
			row->sv_active_cancel++;
		else
			row->sv_active++;
		if (s->state == SERVER_ACTIVE)
			row->busy_us += w->now_us - s->state_since_us;
	}
}

static void show_pools(struct worker *w, struct table *t)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list)
		list_foreach (ia, &list_entry(it, struct dbase, link)->account_list) {
			const struct account *acc = list_entry(ia, struct account, link);
			void *row = next_row(t);

			if (row != NULL)
				show_account(w, acc, row);
			for (uint32_t i = 0; i < acc->n_pools; i++)
				if ((row = next_row(t)) != NULL)
					show_pool(w, acc->pools[i], row);
		}
}

/* --- counters --- */

static void show_dbase(struct worker *w, const struct dbase *db, struct show_stats_row *row)
{
	const struct dbase_stats *n = &db->stats;

	(void)w;
	*row = (struct show_stats_row){
		.server_assignment_count = n->server_assignments,
		.xact_count = n->xacts,
		.query_count = n->queries,
		.received = n->received,
		.sent = n->sent,
		.xact_time = n->xact_us,
		.query_time = n->query_us,
		.wait_time = n->wait_us,
		.client_parse_count = n->client_parses,
		.server_parse_count = n->server_parses,
		.bind_count = n->binds,
		.client_login_count = n->logins,
		.timeouts = n->timeouts,
		.errors_sent = n->errors,
		.moving_began = n->moving_began,
		.moving_ended = n->moving_ended,
	};
	memcpy(row->moved, n->moved, sizeof row->moved);
	memcpy(row->replays, n->replays, sizeof row->replays);
	text_copy(row->database, sizeof row->database, db->name);
}

static void show_stats(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->dbase_list) {
		void *row = next_row(t);

		if (row != NULL)
			show_dbase(w, list_entry(it, struct dbase, link), row);
	}
}

static void show_pins(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->clients) {
		const struct client *c = list_entry(it, struct client, link);

		for (unsigned cause = 0; cause < PIN_CAUSE_COUNT; cause++) {
			struct show_pin_row *row;

			if (!pins_has(&c->busy->pins, (enum pin_cause)cause) ||
				(row = next_row(t)) == NULL)
				continue;
			*row = (struct show_pin_row){
				.client = c->id,
				.server = c->server != NULL ? c->server->id : 0,
				.cause = (uint8_t)cause,
				.node = c->server != NULL ? (int32_t)c->server->pool->node : -1,
				.since_wall_us = worker_wall_us(w, c->busy->pins.since_us),
			};
			if (c->db != NULL)
				text_copy(row->database, sizeof row->database, c->db->name);
			if (c->acc != NULL)
				text_copy(row->user, sizeof row->user, c->acc->user);
			memcpy(row->statement, c->busy->pins.text, sizeof row->statement);
		}
	}
}

static void show_routes(struct worker *w, struct table *t)
{
	struct list *it;

	(void)w;
	list_foreach (it, &w->dbase_list) {
		const struct dbase *db = list_entry(it, struct dbase, link);
		struct dbase_route r;
		uint32_t pos = 0;

		while (dbase_next_route(db, &pos, &r)) {
			struct show_route_row *row = next_row(t);

			if (row == NULL)
				continue;
			*row = (struct show_route_row){.verdict = r.cls,
				.reason = r.reason,
				.shadow = db->shadow,
				.node = -1,
				.n = r.n,
				.us = r.us,
				.broken_answers = r.broken[BROKEN_ANSWER],
				.broken_blocks = r.broken[BROKEN_BLOCK]};
			if (db->conf != NULL && r.node_index >= 0 &&
				(size_t)r.node_index < db->conf->n_nodes)
				row->node = (int32_t)db->conf->nodes[r.node_index].node->id;
			text_copy(row->database, sizeof row->database, db->name);
		}
	}
}

static void show_learned(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->dbase_list) {
		const struct dbase *db = list_entry(it, struct dbase, link);

		for (uint32_t i = 0; db->learned != NULL && i < db->learned->n; i++) {
			const struct learned_stmt *s = &db->learned->at[i];
			struct show_learned_row *row = next_row(t);

			if (row == NULL)
				continue;
			*row = (struct show_learned_row){.fingerprint = s->fingerprint,
				.hits = s->hits,
				.since_wall_us = worker_wall_us(w, s->since_us)};
			text_copy(row->database, sizeof row->database, db->name);
			text_copy(row->statement, sizeof row->statement, s->text);
		}
	}
}

static void show_errors(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->dbase_list) {
		const struct dbase *db = list_entry(it, struct dbase, link);

		for (uint32_t i = 0; db->errors != NULL && i < db->errors->n; i++) {
			const struct error_count *e = &db->errors->at[i];
			struct show_error_row *row = next_row(t);

			if (row == NULL)
				continue;
			*row = (struct show_error_row){.source = e->source,
				.n = e->n,
				.seen_wall_us = worker_wall_us(w, e->seen_us)};
			memcpy(row->sqlstate, e->sqlstate, sizeof row->sqlstate);
			text_copy(row->database, sizeof row->database, db->name);
		}
	}
}

/* The cursor is a position in the table here: a piece does not begin by walking over all before it.
 */
static void show_queries(struct worker *w, struct table *t)
{
	uint32_t pos = (uint32_t)t->skip;

	while (!is_full(t) && queries_next(w, &pos, &t->out->row[t->out->n].query))
		t->out->n++;
	t->out->next = is_full(t) ? pos : 0;
}

static void show_waits(struct worker *w, struct table *t)
{
	struct list *it;

	list_foreach (it, &w->dbase_list) {
		const struct dbase *db = list_entry(it, struct dbase, link);
		struct show_wait_row one, *row;
		unsigned cause = 0;

		while (waits_next(w, db, &cause, &one))
			if ((row = next_row(t)) != NULL)
				*row = one;
	}
}

static void show_misuse(struct worker *w, struct table *t)
{
	struct show_misuse_row one, *row;
	struct list *it;

	for (uint32_t i = 0; waits_misuse_at(w, i, &one); i++)
		if ((row = next_row(t)) != NULL)
			*row = one;
	list_foreach (it, &w->servers)
		for (unsigned kind = MISUSE_IDLE_IN_TRANSACTION; kind <= MISUSE_PIN; kind++)
			if (waits_misuse_now(w, list_entry(it, struct server, link),
				    (enum misuse_kind)kind, &one) &&
				(row = next_row(t)) != NULL)
				*row = one;
}

static uint64_t thread_cpu_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static void show_worker(struct worker *w, struct table *t)
{
	struct show_worker_row *row = next_row(t);
	const struct bufpool *b = loop_bufpool(w->loop);

	if (row == NULL)
		return;
	*row = (struct show_worker_row){
		.io_engine = loop_engine_name(w->loop),
		.clients = w->n_clients,
		.servers = w->n_servers,
		.login_clients = w->n_clients_login,
		.turns = w->counts.turns,
		.units = w->counts.units,
		.handovers_in = w->counts.handovers_in,
		.found_out = w->counts.found_out,
		.custom_closed = w->counts.custom_closed,
		.handovers_out = w->counts.handovers_out,
		.bytes_kept = b->used_bytes,
		.buffers_free = b->free_bytes,
		.settings = settings_table_n(w->settings),
		.statements = stmt_table_n(w->stmts),
		.statement_bytes = stmt_table_bytes(w->stmts),
		.cpu_us = thread_cpu_us(),
	};
}

static void show_peers(struct worker *w, struct table *t)
{
	for (size_t i = 0; i < w->conf->n_peers; i++) {
		struct show_peer_row one = {.id = w->conf->peers[i].id}, *row;

		cancel_conn_show_peer(w, &one);
		if (one.cl_active_cancel_req + one.cl_waiting_cancel_req != 0 &&
			(row = next_row(t)) != NULL)
			*row = one;
	}
}

void show_answer(struct worker *w, const struct tell_show *tell)
{
	static void (*const tables[])(struct worker *, struct table *) = {
		[SHOW_ROWS_CLIENTS] = show_clients,
		[SHOW_ROWS_SERVERS] = show_servers,
		[SHOW_ROWS_POOLS] = show_pools,
		[SHOW_ROWS_STATS] = show_stats,
		[SHOW_ROWS_PINS] = show_pins,
		[SHOW_ROWS_ROUTES] = show_routes,
		[SHOW_ROWS_ERRORS] = show_errors,
		[SHOW_ROWS_WORKER] = show_worker,
		[SHOW_ROWS_PEERS] = show_peers,
		[SHOW_ROWS_LEARNED] = show_learned,
		[SHOW_ROWS_QUERIES] = show_queries,
		[SHOW_ROWS_WAITS] = show_waits,
		[SHOW_ROWS_MISUSE] = show_misuse,
	};
	struct ask_rows *out = worker_mail(sizeof *out + SHOW_ROWS_MAX * ROW_LEN, ASK_ROWS);
	struct table t = {.out = out, .skip = tell->cursor};

	if (out == NULL) {
		log_error(w->log, "no memory for an answer to SHOW", "worker=%u", w->index);
		return;
	}
	out->worker = w->index;
	out->what = tell->what;
	out->token = tell->token;
	tables[tell->what](w, &t);
	if (t.seen > t.skip + out->n)
		out->next = t.skip + out->n;
	worker_ask(w, &out->mail);
}
