#include "worker/handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/effective.h"
#include "proto/scram.h"
#include "worker/account.h"
#include "worker/ask.h"
#include "worker/cancel_conn.h"
#include "worker/dispatch.h"
#include "worker/login.h"
#include "worker/notify.h"
#include "worker/takeover.h"

#define SERVERS_PER_WORKER 4u /* a pool spreads over so many workers that each has these */

struct tell_client {
	struct mail mail;
	struct client *client; /* moved */
};

struct tell_server {
	struct mail mail;
	struct server *server; /* moved; its pool is named by `share` */
	struct share_pool *share;
	struct baseline baseline; /* what servers of the account report */
};

struct tell_borrow {
	struct mail mail;
	struct share_pool *share;
	uint32_t from; /* who asks */
	bool declined; /* on its way back: there is none */
};

/* --- leaving --- */

#define TO_CONSOLE   WORKERS_MAX /* the control thread */
#define TO_SUCCESSOR (WORKERS_MAX + 1)

/* What was marked in this turn; the memory becomes the message, or is freed. */
struct leaving {
	struct list link;
	struct worker *w;
	struct client *client; /* either */
	struct server *server;
	struct mail *mail; /* to be posted when the conn is off the loop */
	uint32_t to;       /* worker, TO_CONSOLE or TO_SUCCESSOR */
};

/* Mark the conn's owner; what comes up on the conn until the end of the turn is left unread. */
static enum status leave_later(struct worker *w, const struct leaving *l)
{
	struct leaving *copy = malloc(sizeof *copy);

	if (copy == NULL)
		return E_NOMEM;
	*copy = *l;
	list_push_back(&w->leaving, &copy->link);
	conn_rx_pause(l->client != NULL ? l->client->conn : l->server->conn);
	return OK;
}

static void leaving_free(struct leaving *l)
{
	list_del(&l->link);
	free(l->mail);
	free(l);
}

void handover_client_closed(struct worker *w, const struct client *c)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->leaving)
		if (list_entry(it, struct leaving, link)->client == c)
			leaving_free(list_entry(it, struct leaving, link));
}

/* Tell who has asked for a server that none comes. */
static void decline(struct worker *w, struct share_pool *share, uint32_t to)
{
	struct tell_borrow *tell = worker_mail(sizeof *tell, TELL_BORROW);

	if (tell == NULL)
		return;
	tell->share = share;
	tell->declined = true;
	worker_tell(w, to, &tell->mail);
}

void handover_server_closed(struct worker *w, const struct server *s)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->leaving) {
		struct leaving *l = list_entry(it, struct leaving, link);

		if (l->server != s)
			continue;
		if (l->to == TO_SUCCESSOR) {
			leaving_free(l);
			continue;
		}
		share_coming(((struct tell_server *)l->mail)->share, l->to, -1);
		takeover_on_its_way(w, s, -1);
		decline(w, ((struct tell_server *)l->mail)->share, l->to);
		baseline_fini(&((struct tell_server *)l->mail)->baseline);
		leaving_free(l);
	}
}

static void on_detached(void *arg, struct conn *conn)
{
	struct leaving *l = arg;
	struct worker *w = l->w;

	if (l->to == TO_CONSOLE) {
		((struct ask_console *)l->mail)->conn = conn;
		worker_ask(w, l->mail);
	} else if (l->to == TO_SUCCESSOR) {
		takeover_left(w, conn, (struct ask_leaves *)l->mail);
	} else {
		worker_tell(w, l->to, l->mail);
	}
	w->n_detaching--;
	free(l);
}

/* --- clients --- */

static uint32_t pool_spread(struct worker *w, uint32_t pool_size)
{
	uint32_t n = pool_size / SERVERS_PER_WORKER;

	if (n < 1)
		n = 1;
	return n < w->sh->n_workers ? n : w->sh->n_workers;
}

static uint32_t home_of(struct worker *w, const struct client *c)
{
	const struct conf_db *db = conf_find_db(w->conf, c->login->database);
	uint64_t h = hash_bytes(&w->sh->hash_key, c->login->database, strlen(c->login->database)) ^
		     hash_bytes(&w->sh->hash_key, c->login->user, strlen(c->login->user));
	uint32_t n_workers = w->sh->n_workers, first = (uint32_t)(h % n_workers), spread;

	if (db == NULL || n_workers == 1)
		return w->index;
	spread = pool_spread(
		w, conf_pool_size(w->conf, db, conf_find_user(w->conf, c->login->user)));
	if ((w->index + n_workers - first) % n_workers < spread)
		return w->index; /* at home already */
	return (first + (uint32_t)(worker_random(w) % spread)) % n_workers;
}

/* The client is this worker's no more; nothing of it but the memory and the conn remains. */
static void client_leaves(struct worker *w, struct client *c)
{
	busy_end(w, c);
	wheel_del(&w->wheel, &c->timer);
	worker_slot_give(w, c->slot);
	list_del(&c->link);
	w->n_clients--;
	w->n_clients_login--;
}

bool handover_client_home(struct worker *w, struct client *c)
{
	uint32_t to = home_of(w, c);
	struct tell_client *tell;
	struct leaving l = {.w = w, .client = c, .to = to};

	if (to == w->index)
		return false;
	tell = worker_mail(sizeof *tell, TELL_CLIENT);
	if (tell == NULL)
		return false;
	tell->client = c;
	l.mail = &tell->mail;
	if (leave_later(w, &l) != OK) {
		free(tell);
		return false;
	}
	client_transition(w, c, CLIENT_HANDED_OVER);
	return true;
}

void handover_client_in(struct worker *w, struct mail *m)
{
	struct tell_client *tell = (struct tell_client *)m;
	struct client *c = tell->client;

	free(tell);
	c->w = w;
	list_push_back(&w->clients, &c->link);
	w->n_clients++;
	w->n_clients_login++;
	if (busy_begin(w, c) != OK || worker_slot_take(w, c, &c->slot) != OK ||
		settings_txn_adopt(&c->set, w->settings) != OK ||
		settings_adopt(w->settings, &c->custom) != OK ||
		stmt_names_adopt(&c->names, w->stmts) != OK ||
		conn_attach(c->conn, w->loop, &client_ops, c) != OK) {
		handover_drop_client(w, c);
		return;
	}
	conn_rx_pause(c->conn);
	client_transition(w, c, CLIENT_ARRIVED);
	client_watch(w, c);
	if (w->stopping)
		client_shutdown(w, c);
	else
		login_go_on(w, c);
}

void handover_console(struct worker *w, struct client *c)
{
	struct ask_console *ask = worker_mail(sizeof *ask, ASK_CONSOLE);
	struct leaving l = {.w = w, .client = c, .to = TO_CONSOLE};
	const char *app = settings_get(c->set.current, "application_name");

	if (ask == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	ask->id = c->id;
	ask->is_admin = c->login->is_console_admin;
	ask->connect_wall_us = worker_wall_us(w, c->connected_us);
	text_copy(ask->user, sizeof ask->user, c->login->user);
	text_copy(ask->database, sizeof ask->database, c->login->database);
	snprintf(ask->application_name, sizeof ask->application_name, "%s", app != NULL ? app : "");
	l.mail = &ask->mail;
	if (leave_later(w, &l) != OK) {
		free(ask);
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	client_transition(w, c, CLIENT_HANDED_OVER);
}

bool handover_client_out(struct worker *w, struct client *c, struct ask_leaves *ask)
{
	struct leaving l = {.w = w, .client = c, .to = TO_SUCCESSOR, .mail = &ask->mail};

	if (leave_later(w, &l) != OK) {
		free(ask);
		return false;
	}
	w->n_clients_login++; /* as one that moves */
	client_transition(w, c, CLIENT_HANDED_OVER);
	return true;
}

/* --- servers --- */

static void server_leaves(struct worker *w, struct server *s)
{
	wheel_del(&w->wheel, &s->timer);
	list_del(&s->link);
	w->n_servers--;
	w->counts.handovers_out++;
}

void handover_server_out(struct worker *w, struct server *s, uint32_t to)
{
	struct tell_server *tell = worker_mail(sizeof *tell, TELL_SERVER);
	struct leaving l = {.w = w, .server = s, .to = to};

	if (tell == NULL)
		return; /* it stays, idle */
	tell->server = s;
	tell->share = s->pool->share;
	l.mail = &tell->mail;
	if (baseline_copy(&s->pool->acc->baseline, &tell->baseline) != OK ||
		leave_later(w, &l) != OK) {
		baseline_fini(&tell->baseline);
		free(tell);
		return;
	}
	share_coming(tell->share, to, 1);
	takeover_on_its_way(w, s, 1);
	server_transition(w, s, SERVER_HANDED_OVER);
	cancel_conn_server_gone(w, s);
	if (s->wanted_by != NULL) {
		struct client *c = s->wanted_by;

		s->wanted_by = NULL;
		dispatch_wanted_lost(w, c, s);
	}
}

bool handover_server_on(struct worker *w, struct server *s, struct ask_leaves *ask)
{
	struct leaving l = {.w = w, .server = s, .to = TO_SUCCESSOR, .mail = &ask->mail};

	if (leave_later(w, &l) != OK) {
		free(ask);
		return false;
	}
	server_transition(w, s, SERVER_HANDED_OVER);
	return true;
}

/* One that arrived but cannot be used here. */
static void discard_server(struct worker *w, struct server *s, struct share_pool *share)
{
	uint64_t wake = 0;

	conn_free_detached(s->conn); /* before another is opened in its place */
	share_close(share, &wake);
	worker_wake(w, wake);
	if (s->is_told)
		takeover_place_gone(w, share);
	stmt_lru_fini(&s->stmts);
	owed_fini(&s->owed);
	settings_unref(w->settings, s->settings);
	settings_unref(w->settings, s->names);
	settings_unref(w->settings, s->made);
	free(s);
}

void handover_server_in(struct worker *w, struct mail *m)
{
	struct tell_server *tell = (struct tell_server *)m;
	struct server *s = tell->server;
	struct share_pool *share = tell->share;
	struct pool *p = w->stopping ? NULL : account_pool_shared(w, share);

	share_coming(share, w->index, -1);
	takeover_came(w, s, share);
	if (p != NULL && !p->acc->has_baseline)
		account_set_baseline(w, p->acc, &tell->baseline);
	baseline_fini(&tell->baseline);
	free(tell);
	if (p != NULL && p->borrowing != 0)
		p->borrowing--;
	if (p == NULL || settings_adopt(w->settings, &s->settings) != OK ||
		settings_adopt(w->settings, &s->names) != OK ||
		settings_adopt(w->settings, &s->made) != OK ||
		stmt_lru_adopt(&s->stmts, w->stmts) != OK ||
		stmt_names_adopt(&s->real, w->stmts) != OK ||
		conn_attach(s->conn, w->loop, &server_ops, s) != OK) {
		discard_server(w, s, share);
		return;
	}
	s->w = w;
	s->pool = p;
	list_init(&s->pool_link);
	server_init_timer(s);
	w->counts.handovers_in++;
	server_arrived(w, s);
}

void handover_ask(struct worker *w, struct pool *p, uint32_t from)
{
	struct tell_borrow *tell = worker_mail(sizeof *tell, TELL_BORROW);

	if (tell == NULL)
		return;
	tell->share = p->share;
	tell->from = w->index;
	p->borrowing++;
	worker_tell(w, from, &tell->mail);
}

static void borrow_declined(struct worker *w, const struct tell_borrow *tell)
{
	struct pool *p = account_pool_shared(w, tell->share);

	if (p != NULL && p->borrowing != 0)
		p->borrowing--;
}

/* The one to lend to that worker: the one idle for longest, so that the warm ones stay. */
static struct server *to_lend(struct worker *w, const struct pool *p, uint32_t to)
{
	struct server *s;

	if (list_is_empty(&p->idle) || waitq_len(&p->line) != 0)
		return NULL;
	s = list_entry(p->idle.prev, struct server, pool_link);
	return share_lends(p->share, w->index, to, w->now_us - s->state_since_us, w->now_us) ? s
											     : NULL;
}

void handover_borrow(struct worker *w, struct mail *m)
{
	struct tell_borrow *tell = (struct tell_borrow *)m;
	struct server *s;
	struct pool *p;

	if (tell->declined) {
		borrow_declined(w, tell);
		free(tell);
		return;
	}
	p = w->stopping ? NULL : account_pool_shared(w, tell->share);
	s = p != NULL ? to_lend(w, p, tell->from) : NULL;
	if (s != NULL) {
		handover_server_out(w, s, tell->from);
		free(tell);
		return;
	}
	tell->declined = true;
	worker_tell(w, tell->from, &tell->mail);
}

void handover_look(struct worker *w, const struct mail *m)
{
	(void)m;
	dispatch_look(w);
}

/* Only the conn goes on; what was around it is freed at the end of the turn. */
static void leave_conn_alone(struct worker *w, struct leaving *l)
{
	struct client *c = l->client;
	struct server *s = l->server;
	uint64_t wake = 0;

	l->client = NULL;
	l->server = NULL;
	if (c == NULL) {
		share_close(s->pool->share, &wake);
		worker_wake(w, wake);
		notify_server_gone(w, s);
		s->conn = NULL;
		s->state = SERVER_CLOSED;
		list_push_back(&w->dead_servers, &s->link);
		return;
	}
	if (c->acc != NULL)
		account_client_left(w, c);
	atomic_fetch_sub(&w->sh->n_clients, 1);
	c->conn = NULL;
	c->state = CLIENT_CLOSED;
	list_push_back(&w->dead_clients, &c->link);
}

void handover_flush(struct worker *w)
{
	struct list *it;

	while ((it = list_pop_front(&w->leaving)) != NULL) {
		struct leaving *l = list_entry(it, struct leaving, link);
		struct conn *conn = l->client != NULL ? l->client->conn : l->server->conn;

		if (l->client != NULL)
			client_leaves(w, l->client);
		else
			server_leaves(w, l->server);
		if (l->to >= WORKERS_MAX)
			leave_conn_alone(w, l);
		w->n_detaching++;
		conn_detach(conn, on_detached, l);
	}
}

/* A client that arrived but cannot be taken in: only its memory and conn are left. */
void handover_drop_client(struct worker *w, struct client *c)
{
	conn_free_detached(c->conn);
	c->conn = NULL;
	list_del(&c->link);
	w->n_clients--;
	w->n_clients_login--;
	atomic_fetch_sub(&w->sh->n_clients, 1);
	c->state = CLIENT_CLOSED;
	list_push_back(&w->dead_clients, &c->link);
}

void handover_discard(struct worker *w, struct mail *m)
{
	if (m->kind == TELL_SOCKET) {
		close(((struct tell_socket *)m)->fd);
	} else if (m->kind == TELL_CLIENT) {
		struct client *c = ((struct tell_client *)m)->client;

		conn_free_detached(c->conn);
		client_free(w, c);
	} else if (m->kind == TELL_SERVER) {
		struct tell_server *tell = (struct tell_server *)m;

		discard_server(w, tell->server, tell->share);
		baseline_fini(&tell->baseline);
	} else if (m->kind == TELL_DERIVED) {
		scram_wipe(((struct ask_derive *)m)->password,
			sizeof((struct ask_derive *)m)->password);
	} else if (m->kind == TELL_SECRET) {
		scram_wipe(m, sizeof(struct ask_secret));
	}
	free(m);
}
