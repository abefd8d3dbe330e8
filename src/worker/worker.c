#include "worker/worker.h"
#include "sql/catalog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"
#include "net/listen.h"
#include "proto/frame.h"
#include "route/topology.h"
#include "state/settings.h"
#include "state/stmts.h"
#include "worker/account.h"
#include "worker/admit.h"
#include "worker/ask.h"
#include "worker/busy.h"
#include "worker/cancel.h"
#include "worker/cancel_conn.h"
#include "worker/client.h"
#include "worker/command.h"
#include "worker/dbase.h"
#include "worker/defaults.h"
#include "worker/dispatch.h"
#include "worker/explain.h"
#include "worker/external.h"
#include "worker/handover.h"
#include "worker/keys.h"
#include "worker/line.h"
#include "worker/login.h"
#include "worker/notify.h"
#include "worker/prove.h"
#include "worker/queries.h"
#include "worker/server.h"
#include "worker/show.h"
#include "worker/signals.h"
#include "worker/suspend.h"
#include "worker/takeover.h"
#include "worker/upkeep.h"

/*
 * Bytes of the shared receive buffer, and of one connection in one turn. What one read brings goes
 * on with one write, which TCP cuts into segments of 64 KiB less its headers: 65,483 bytes over
 * loopback, 44 or 45 full frames elsewhere. Two whole ones fit; 128 KiB would leave a third of 106
 * bytes, which costs a segment's price, its wake-up and its ACK, for nothing.
 * Source: Linux, tcp_xmit_size_goal.
 */
#define WORKER_RX_LEN         (126u << 10)
#define WORKER_BUFPOOL_KEEP   (16u << 20)
#define WORKER_TIMERS_A_TURN  256u
#define WORKER_MAILS_A_TURN   1024u
#define WORKER_JANITOR_US     100000u
#define WORKER_DEFER_ACCEPT_S 45 /* as in PgBouncer, where the setting is on or off as well */
#define WORKER_SETTINGS_BYTES (64u << 20)
#define WORKER_RX_KEEP        BUFPOOL_MAX /* bytes kept of a connection: whole units */
#define WORKER_OUT_MAX        (32u << 20) /* relay_buffer, and what one turn may add */

void *worker_mail(size_t size, int kind)
{
	struct mail *m = calloc(1, size);

	if (m != NULL)
		m->kind = kind;
	return m;
}

void worker_tell(struct worker *w, uint32_t to, struct mail *m)
{
	PANIC_IF(to >= w->sh->n_workers);
	mailbox_post(&w->sh->workers[to].mailbox, m);
}

void worker_ask(struct worker *w, struct mail *m)
{
	mailbox_post(&w->sh->control, m);
}

/* --- slots --- */

static enum status slots_grow(struct worker *w)
{
	uint32_t n = w->n_slots != 0 ? w->n_slots * 2 : 64, max;
	struct client **slots;
	uint32_t *idle;

	while (n <= w->n_slots_kept)
		n *= 2;
	if (n > WORKER_SLOTS_MAX)
		return E_LIMIT;
	slots = realloc(w->slots, n * sizeof(struct client *));
	if (slots == NULL)
		return E_NOMEM;
	w->slots = slots;
	idle = realloc(w->slots_free, n * sizeof *idle);
	if (idle == NULL)
		return E_NOMEM;
	w->slots_free = idle;
	for (uint32_t i = n; i > w->n_slots; i--) {
		slots[i - 1] = NULL;
		if (i - 1 >= w->n_slots_kept)
			idle[w->n_slots_free++] = i - 1;
	}
	w->n_slots = n;
	while ((max = atomic_load(&w->sh->slots_max)) < n)
		(void)atomic_compare_exchange_weak(&w->sh->slots_max, &max, n);
	return OK;
}

enum status worker_slot_take(struct worker *w, struct client *c, uint32_t *slot)
{
	enum status st;

	if (w->n_slots_free == 0 && (st = slots_grow(w)) != OK)
		return st;
	*slot = w->slots_free[--w->n_slots_free];
	w->slots[*slot] = c;
	return OK;
}

void worker_slot_give(struct worker *w, uint32_t slot)
{
	w->slots[slot] = NULL;
	if (slot < w->n_slots_kept)
		return; /* until worker_slots_release */
	w->slots_free[w->n_slots_free++] = slot;
}

bool worker_slot_move(struct worker *w, struct client *c, uint32_t slot)
{
	if (slot >= w->n_slots_kept || slot >= w->n_slots || w->slots[slot] != NULL)
		return false;
	worker_slot_give(w, c->slot);
	c->slot = slot;
	w->slots[slot] = c;
	return true;
}

void worker_slots_release(struct worker *w)
{
	uint32_t n = w->n_slots_kept;

	w->n_slots_kept = 0;
	for (uint32_t i = n; i > 0 && i <= w->n_slots; i--)
		if (w->slots[i - 1] == NULL)
			w->slots_free[w->n_slots_free++] = i - 1;
}

/* --- accepting --- */

void worker_set_tcp(struct worker *w, struct conn *conn)
{
	conn_set_tcp(conn, &(struct conn_tcp){
				   .keepalive = w->conf->tcp_keepalive,
				   .keepidle_s = (int)w->conf->tcp_keepidle,
				   .keepintvl_s = (int)w->conf->tcp_keepintvl,
				   .keepcnt = (int)w->conf->tcp_keepcnt,
				   .user_timeout_ms = (int)w->conf->tcp_user_timeout,
				   .socket_buffer = (int)w->conf->tcp_socket_buffer,
			   });
}

static void worker_take_socket(struct worker *w, int fd, const struct net_addr *from, bool is_admin)
{
	struct conn *conn;
	struct client *c;

	if (conn_accept(w->loop, fd, from, &(struct conn_limits){LOGIN_RX_MAX, 65536}, &conn) != OK)
		return;
	worker_set_tcp(w, conn);
	conn_set_late(conn, true); /* until it has logged in */
	if (w->conf->tcp_defer_accept != 0 && !conn_is_unix(conn))
		conn_expect(conn);
	if (client_new(w, conn, is_admin, &c) == OK)
		client_meet_door(w, c, from);
	else
		log_warn(w->log, "no memory for a client", "worker=%u", w->index);
}

static void on_accept(void *arg, int fd, const struct net_addr *from)
{
	struct worker_listener *wl = arg;
	struct worker *w = wl->w;
	uint32_t to = w->index;
	struct tell_socket *tell;

	if (wl->listen.deal && w->sh->n_workers > 1)
		to = w->deal_next++ % w->sh->n_workers;
	if (to == w->index) {
		worker_take_socket(w, fd, from, wl->listen.is_admin);
		return;
	}
	tell = worker_mail(sizeof *tell, TELL_SOCKET);
	if (tell == NULL) {
		close(fd);
		return;
	}
	tell->fd = fd;
	tell->is_admin_port = wl->listen.is_admin;
	tell->from = *from;
	worker_tell(w, to, &tell->mail);
}

static void on_accept_trouble(void *arg, int err)
{
	struct worker_listener *wl = arg;

	log_error(wl->w->log, "cannot accept connections for now", "worker=%u error=\"%s\"",
		wl->w->index, strerror(err));
}

static const struct listener_ops worker_listener_ops = {
	.on_accept = on_accept, .on_trouble = on_accept_trouble};

static enum status worker_listen_on(struct worker *w, const struct worker_listen *l)
{
	struct worker_listener *wl = &w->listeners[w->n_listeners];
	enum status st;

	wl->w = w;
	wl->listen = *l;
	wl->listener = NULL;
	st = atomic_load(&w->sh->opens_nothing)
		     ? OK
		     : listener_new(w->loop, l->fd, &worker_listener_ops, wl, &wl->listener);
	if (st == OK)
		w->n_listeners++;
	return st;
}

void worker_start_listening(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_listeners; i++) {
		struct worker_listener *wl = &w->listeners[i];

		if (wl->listener == NULL && listener_new(w->loop, wl->listen.fd,
						    &worker_listener_ops, wl, &wl->listener) != OK)
			log_error(w->log, "cannot accept connections", "worker=%u error=\"%s\"",
				w->index, strerror(errno));
	}
}

void worker_pause_listening(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_listeners; i++) {
		listener_free(w->listeners[i].listener);
		w->listeners[i].listener = NULL;
	}
}

/*
 * The descriptors are closed at the end of the process. Till then whoever connects is refused at
 * once, instead of waiting in a backlog that nobody looks at; but a service manager's socket, or
 * one that another process shares, is looked at by who comes after us.
 */
void worker_stop_listening(struct worker *w, bool refuse)
{
	worker_pause_listening(w);
	for (uint32_t i = 0; i < w->n_listeners; i++)
		if (refuse && !w->listeners[i].listen.is_passed)
			(void)shutdown(w->listeners[i].listen.fd, SHUT_RD);
	w->n_listeners = 0;
}

static void worker_defer_accept(struct worker *w)
{
	int seconds = w->conf->tcp_defer_accept != 0 ? WORKER_DEFER_ACCEPT_S : 0;

	for (uint32_t i = 0; i < w->n_listeners; i++)
		listen_defer_accept(w->listeners[i].listen.fd, seconds);
}

/* --- snapshots --- */

/* Load what is current and let this worker's own objects follow what has changed. */
static void worker_load_snapshots(struct worker *w)
{
	struct shared *sh = w->sh;

	w->users = atomic_load(&sh->users);
	w->access = atomic_load(&sh->access);
	w->addrs = atomic_load(&sh->addrs);
	w->tls = atomic_load(&sh->tls);
	w->conf = atomic_load(&sh->conf);
	w->topology = atomic_load(&sh->topology);
	w->catalogs = atomic_load(&sh->catalogs);
	w->admin = atomic_load(&sh->admin);
	if (w->conf != w->conf_applied || w->users != w->users_applied) {
		w->conf_applied = w->conf;
		w->users_applied = w->users;
		w->catalogs_applied = 0;
		w->admin_applied = 0;
		stmt_table_limit(w->stmts, w->conf->max_statement_memory);
		queries_apply_conf(w);
		worker_defer_accept(w);
		dbase_apply_conf(w);
	}
	if (w->addrs != NULL && w->addrs->generation != w->addrs_applied) {
		w->addrs_applied = w->addrs->generation;
		upkeep_addresses_changed(w);
	}
	if (w->catalogs != NULL && w->catalogs->generation != w->catalogs_applied) {
		w->catalogs_applied = w->catalogs->generation;
		dbase_apply_catalogs(w);
	}
	if (w->admin != NULL && w->admin->generation != w->admin_applied) {
		w->admin_applied = w->admin->generation;
		dbase_apply_admin(w);
		suspend_apply(w);
		if (w->admin->shutdown_wait_clients || w->admin->shutdown_wait_servers)
			worker_stop_listening(w, !atomic_load(&w->sh->is_taken_over));
	}
	if (w->topology != NULL && w->topology->generation != w->topology_applied) {
		w->topology_applied = w->topology->generation;
		upkeep_topology_changed(w);
	}
}

static void before_sleep(void *arg)
{
	struct worker *w = arg;

	snap_offline(w->reader);
}

static void after_sleep(void *arg)
{
	struct worker *w = arg;

	w->now_us = loop_now_us(w->loop);
	snap_online(&w->sh->snap, w->reader);
	worker_load_snapshots(w);
}

/* --- mail --- */

static void worker_derived(struct worker *w, struct ask_derive *d)
{
	keys_take(w->keys, d);
	if (d->token & KEYS_TOKEN_SERVER)
		server_login_derived(w, d->token, &d->keys, d->status);
	else
		prove_derived(w, d->token, &d->keys, d->status);
	scram_wipe(d->password, sizeof d->password);
	scram_wipe(&d->keys, sizeof d->keys);
}

static void worker_mail_in(struct worker *w, struct mail *m)
{
	switch ((enum tell_kind)m->kind) {
	case TELL_SOCKET: {
		struct tell_socket *t = (struct tell_socket *)m;

		if (w->stopping)
			close(t->fd);
		else
			worker_take_socket(w, t->fd, &t->from, t->is_admin_port);
		break;
	}
	case TELL_CLIENT:
		handover_client_in(w, m);
		return; /* took the memory */
	case TELL_SERVER:
		handover_server_in(w, m);
		return;
	case TELL_BORROW:
		handover_borrow(w, m);
		return;
	case TELL_WAITER:
		handover_look(w, m);
		break;
	case TELL_CANCEL:
		cancel_told(w, (struct tell_cancel *)m);
		break;
	case TELL_DEFAULTS:
		defaults_told(w, (const struct tell_defaults *)m);
		break;
	case TELL_SIGNAL:
		signals_told(w, (struct tell_signal *)m);
		return;
	case TELL_DERIVED:
		worker_derived(w, (struct ask_derive *)m);
		break;
	case TELL_PEER:
		admit_peer(w, (const struct ask_peer *)m);
		break;
	case TELL_SECRET:
		prove_told(w, (struct ask_secret *)m);
		return;
	case TELL_VERIFIED:
		external_told(w, (const struct tell_verified *)m);
		break;
	case TELL_SHOW:
		show_answer(w, (const struct tell_show *)m);
		break;
	case TELL_COMMAND:
		command_run(w, (const struct tell_command *)m);
		break;
	case TELL_EXPLAIN:
		explain_ask(w, (const struct tell_explain *)m);
		break;
	case TELL_LISTENING:
	case TELL_NOTIFIED:
	case TELL_BARRIER:
		notify_take(w, m);
		return;
	case TELL_LEAVE:
		takeover_begin(w, (const struct tell_leave *)m);
		break;
	case TELL_ARRIVE:
		takeover_arrive(w, m);
		return;
	case TELL_PLACE:
		takeover_granted(w, (const struct ask_place *)m);
		break;
	case TELL_COUNTED:
		worker_start_listening(w);
		handover_look(w, m);
		break;
	case TELL_SETTLED:
		worker_slots_release(w);
		break;
	case TELL_REFRESH:
		break; /* the snapshots were loaded when the loop woke */
	case TELL_STOP:
		w->stopping = true;
		break;
	}
	free(m);
}

static void on_wake(void *arg)
{
	struct worker *w = arg;
	struct mail *m = mailbox_take(&w->sh->workers[w->index].mailbox);

	while (m != NULL) {
		struct mail *next = m->next;

		worker_mail_in(w, m);
		m = next;
	}
}

static void wake_worker(void *arg)
{
	struct worker *w = arg;

	loop_wake(w->loop);
}

/* --- life --- */

static void worker_bury(struct worker *w)
{
	struct list *it;

	while ((it = list_pop_front(&w->dead_clients)) != NULL)
		client_free(w, list_entry(it, struct client, link));
	while ((it = list_pop_front(&w->dead_servers)) != NULL)
		server_free(w, list_entry(it, struct server, link));
	if (!list_is_empty(&w->retired_pools))
		account_bury_pools(w);
}

static void on_janitor(void *ctx, struct wheel_timer *t)
{
	struct worker *w = ctx;

	atomic_store_explicit(&w->sh->workers[w->index].beat_us, w->now_us, memory_order_relaxed);
	upkeep_janitor(w);
	wheel_add(&w->wheel, t, w->now_us + WORKER_JANITOR_US);
}

static void on_fresh(void *ctx, struct wheel_timer *t)
{
	(void)t;
	line_look_fresh(ctx);
}

static void on_borrow(void *ctx, struct wheel_timer *t)
{
	(void)t;
	dispatch_borrow(ctx);
}

/* io_uring if that is asked for and the system offers it; the first worker's log line tells. */
static enum loop_engine worker_engine(struct worker *w)
{
	const struct conf *conf = atomic_load(&w->sh->conf);
	const char *why = "";
	bool offered;

	if (conf == NULL || conf->io_engine == IO_ENGINE_EPOLL)
		return LOOP_EPOLL;
	offered = loop_uring_offered(&why) == OK;
	if (w->index == 0 && offered)
		log_info(w->log, "sockets are served by io_uring", "io_engine=%s",
			conf->io_engine == IO_ENGINE_AUTO ? "auto" : "io_uring");
	else if (w->index == 0 && conf->io_engine == IO_ENGINE_AUTO)
		log_info(w->log, "sockets are served by epoll", "reason=\"%s\"", why);
	else if (w->index == 0)
		log_warn(w->log, "io_uring is not available, sockets are served by epoll",
			"reason=\"%s\"", why);
	return offered ? LOOP_URING : LOOP_EPOLL;
}

static enum status worker_loop_new(struct worker *w)
{
	struct loop_conf conf = {.engine = worker_engine(w),
		.rx_len = WORKER_RX_LEN,
		.bufpool_keep_max = WORKER_BUFPOOL_KEEP,
		.turn_budget = WORKER_RX_LEN,
		.on_wake = on_wake,
		.arg = w,
		.before_sleep = before_sleep,
		.after_sleep = after_sleep};
	enum status st = loop_new(&conf, &w->loop);

	if (st != OK && conf.engine == LOOP_URING) {
		log_warn(w->log, "no io_uring for this worker, its sockets are served by epoll",
			"worker=%u error=\"%s\"", w->index, strerror(errno));
		conf.engine = LOOP_EPOLL;
		st = loop_new(&conf, &w->loop);
	}
	if (st == OK && loop_no_batch(w->loop) != NULL &&
		!atomic_exchange(&w->sh->told_no_batch, true))
		log_info(w->log, "each send is a system call of its own", "worker=%u reason=\"%s\"",
			w->index, loop_no_batch(w->loop));
	return st;
}

/* What is known of the built-in names alone: of a database that has no objects of its own. */
static struct catalog *plain_catalog_new(void)
{
	struct catalog_builder *b = catalog_builder_new();

	if (b == NULL)
		return NULL;
	if (catalog_builder_add(b, "encoding", "UTF8") != OK) {
		catalog_builder_free(b);
		return NULL;
	}
	return catalog_freeze(b);
}

enum status worker_new(struct shared *sh, uint32_t index, const struct worker_listen *listens,
	uint32_t n_listens, struct worker **out)
{
	struct worker *w = calloc(1, sizeof *w);
	enum status st = E_NOMEM;

	if (w == NULL)
		return E_NOMEM;
	w->index = index;
	w->sh = sh;
	w->n_slots_kept = sh->slots_kept;
	w->log = sh->log;
	w->client_limits = (struct conn_limits){WORKER_RX_KEEP, WORKER_OUT_MAX};
	w->server_limits = (struct conn_limits){WORKER_RX_KEEP, WORKER_OUT_MAX};
	w->random = hash_bytes(&sh->hash_key, &index, sizeof index) | 1;
	map_init(&w->dbases);
	list_init(&w->dbase_list);
	list_init(&w->clients);
	list_init(&w->servers);
	list_init(&w->waiting_pools);
	list_init(&w->retired_pools);
	list_init(&w->waiting_accounts);
	list_init(&w->leaving);
	list_init(&w->cancels);
	list_init(&w->dead_clients);
	list_init(&w->dead_servers);
	wheel_timer_init(&w->janitor, on_janitor);
	wheel_timer_init(&w->borrow, on_borrow);
	w->plain_catalog = plain_catalog_new();
	w->no_catalog = catalog_new_blind();
	wheel_timer_init(&w->fresh_timer, on_fresh);
	waitq_init(&w->fresh, LINE_MAX);
	if (n_listens > WORKER_LISTENERS_MAX) {
		st = E_LIMIT;
		goto fail;
	}
	w->reader = snap_register(&sh->snap);
	if (w->reader == NULL)
		goto fail;
	if ((st = worker_loop_new(w)) != OK ||
		(st = settings_table_new(&sh->hash_key, WORKER_SETTINGS_BYTES, &w->settings)) !=
			OK ||
		(st = stmt_table_new(&sh->hash_key, SIZE_MAX, w->settings, &w->stmts)) != OK ||
		(st = keys_new(&sh->hash_key, &w->keys)) != OK ||
		(st = busy_pool_new(&w->busy)) != OK || (st = queries_new(&w->queries)) != OK ||
		(st = notify_new(w, &w->notify)) != OK)
		goto fail;
	w->now_us = loop_now_us(w->loop);
	wheel_init(&w->wheel, w->now_us);
	for (uint32_t i = 0; i < n_listens; i++)
		if ((st = worker_listen_on(w, &listens[i])) != OK)
			goto fail;
	mailbox_init(&sh->workers[index].mailbox, wake_worker, w);
	sh->workers[index].worker = w;
	*out = w;
	return OK;
fail:
	worker_free(w);
	return st;
}

static void worker_close_all(struct worker *w)
{
	struct list *it, *tmp;

	worker_stop_listening(w, !atomic_load(&w->sh->is_taken_over));
	while (w->n_detaching != 0 && loop_turn(w->loop, 0) == OK)
		; /* what was let go leaves the loop in the turn after that */
	list_foreach_safe (it, tmp, &w->clients)
		client_shutdown(w, list_entry(it, struct client, link));
	while (!list_is_empty(&w->servers))
		server_close(w, list_entry(w->servers.next, struct server, link), SERVER_END_STOP);
	cancel_conn_close_all(w);
	worker_bury(w);
}

void worker_run(struct worker *w)
{
	struct mail *m;

	snap_online(&w->sh->snap, w->reader);
	w->now_us = loop_now_us(w->loop);
	worker_load_snapshots(w);
	wheel_add(&w->wheel, &w->janitor, 0);
	while (!w->stopping) {
		if (loop_turn(w->loop, wheel_next_us(&w->wheel)) != OK) {
			log_error(w->log, "event loop failed", "worker=%u", w->index);
			break;
		}
		w->counts.turns++;
		(void)wheel_run(&w->wheel, w->now_us, WORKER_TIMERS_A_TURN, w);
		if (w->takeover != NULL)
			takeover_end_turn(w);
		handover_flush(w);
		worker_bury(w);
	}
	worker_close_all(w);
	(void)!loop_turn(w->loop, 0); /* an engine lets go of what was closed, in this thread */
	snap_offline(w->reader);
	m = worker_mail(sizeof *m, ASK_STOPPED);
	PANIC_IF(m == NULL);
	worker_ask(w, m);
}

void worker_drop_mail(struct worker *w)
{
	struct mail *m = mailbox_take(&w->sh->workers[w->index].mailbox);

	while (m != NULL) {
		struct mail *next = m->next;

		handover_discard(w, m);
		m = next;
	}
}

void worker_free(struct worker *w)
{
	if (w == NULL)
		return;
	worker_stop_listening(w, !atomic_load(&w->sh->is_taken_over));
	takeover_free(w);
	if (w->sh->workers[w->index].worker == w)
		w->sh->workers[w->index].worker = NULL;
	notify_free(w, w->notify);
	busy_pool_free(w->busy);
	dbase_free_all(w);
	queries_free(w->queries);
	keys_free(w->keys);
	if (w->stmts != NULL)
		stmt_table_free(w->stmts);
	if (w->settings != NULL)
		settings_table_free(w->settings);
	if (w->loop != NULL)
		loop_free(w->loop);
	map_fini(&w->dbases);
	free(w->slots);
	free(w->slots_free);
	catalog_free(w->plain_catalog);
	catalog_free(w->no_catalog);
	free(w);
}

const char *worker_node_name(struct worker *w, uint32_t node)
{
	const struct conf_node *n = node < CONF_NODES_MAX ? w->conf->node_by_id[node] : NULL;

	return n != NULL ? n->name : "-";
}

void worker_probe(struct worker *w, uint32_t node)
{
	struct ask_probe *ask = worker_mail(sizeof *ask, ASK_PROBE);

	if (ask == NULL)
		return;
	ask->node = node;
	worker_ask(w, &ask->mail);
}

void worker_wake(struct worker *w, uint64_t mask)
{
	for (uint32_t i = 0; i < w->sh->n_workers && mask != 0; i++, mask >>= 1) {
		struct mail *m;

		if (!(mask & 1))
			continue;
		m = worker_mail(sizeof *m, TELL_WAITER);
		if (m != NULL)
			worker_tell(w, i, m);
	}
}
