#include "worker/takeover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "proto/scram.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/handover.h"
#include "worker/image.h"
#include "worker/login.h"
#include "worker/notify.h"
#include "worker/server.h"

#define JUST_UNLINKED_MAX 256u

struct takeover {
	struct wheel_timer sweep;
	bool clients_go;
	uint32_t n_unlinked;
	struct {
		uint32_t slot;
		uint64_t id;
	} unlinked[JUST_UNLINKED_MAX]; /* in this turn; more are found by the sweep */
	struct mail *held_back;        /* until all have left; newest first */
	uint8_t image[IMAGE_LEN_MAX];
};

/* --- clients go --- */

/* NULL: it takes too much, or there is no memory. */
static struct ask_leaves *image_mail(struct worker *w, const struct wr *image)
{
	struct ask_leaves *ask = NULL;

	if (!image->bad)
		ask = worker_mail(sizeof *ask + image->len, ASK_LEAVES);
	if (ask != NULL) {
		ask->fd = -1;
		ask->worker = w->index;
		ask->len = (uint32_t)image->len;
		memcpy(ask->image, image->buf, image->len);
	}
	scram_wipe(image->buf, image->len);
	return ask;
}

static struct wr image_room(struct worker *w)
{
	return wr_of(w->takeover->image, IMAGE_LEN_MAX / 2); /* what is unread comes behind it */
}

static bool try_to_go(struct worker *w, struct client *c)
{
	struct wr image = image_room(w);
	struct ask_leaves *ask;

	if (!w->takeover->clients_go || !image_can_tell(c) ||
		conn_rx_len(c->conn) > TAKEOVER_UNREAD_MAX)
		return false;
	notify_put_waiting(w, c);
	conn_flush(c->conn);
	if (conn_out_len(c->conn) != 0)
		return false; /* it reads slowly: later */
	image_put(c, &image);
	ask = image_mail(w, &image);
	if (ask == NULL)
		return false;
	client_count_bytes(c);
	dispatch_forget(w, c);
	if (c->state == CLIENT_WAITING)
		client_transition(w, c, CLIENT_UNQUEUED);
	if (handover_client_out(w, c, ask)) {
		notify_client_gone(w, c); /* what comes from now on it hears over there */
		return true;
	}
	conn_rx_resume(c->conn); /* what it has sent is placed anew */
	return false;
}

void takeover_left(struct worker *w, struct conn *conn, struct ask_leaves *ask)
{
	size_t n = conn_rx_len(conn), len = ask->len + n;
	struct ask_leaves *whole = NULL;
	int fd = fcntl(conn_fd(conn), F_DUPFD_CLOEXEC, 0);

	if (fd >= 0 && len <= IMAGE_LEN_MAX && conn_out_len(conn) == 0)
		whole = worker_mail(sizeof *whole + len, ASK_LEAVES);
	if (whole != NULL) {
		whole->is_server = ask->is_server;
		whole->share = ask->share;
		whole->worker = ask->worker;
		whole->fd = fd;
		whole->len = (uint32_t)len;
		memcpy(whole->image, ask->image, ask->len);
		if (n != 0)
			memcpy(whole->image + ask->len, conn_rx_data(conn), n);
		worker_ask(w, &whole->mail);
	} else {
		log_warn(w->log, "a connection is lost in the take-over", "is=%s unread=%lu",
			ask->is_server ? "server" : "client", (unsigned long)n);
		if (ask->is_server)
			takeover_place_gone(w, ask->share);
		if (fd >= 0)
			close(fd);
	}
	scram_wipe(ask->image, ask->len);
	free(ask);
	conn_free_detached(conn);
}

void takeover_unlinked(struct worker *w, const struct client *c)
{
	struct takeover *t = w->takeover;

	if (t->n_unlinked == JUST_UNLINKED_MAX)
		return;
	t->unlinked[t->n_unlinked].slot = c->slot;
	t->unlinked[t->n_unlinked++].id = c->id;
}

void takeover_end_turn(struct worker *w)
{
	struct takeover *t = w->takeover;

	for (uint32_t i = 0; i < t->n_unlinked; i++) {
		struct client *c = w->slots[t->unlinked[i].slot];

		if (c != NULL && c->id == t->unlinked[i].id)
			(void)try_to_go(w, c);
	}
	t->n_unlinked = 0;
}

void takeover_ask_when_all_left(struct worker *w, struct mail *m)
{
	if (w->takeover == NULL) {
		worker_ask(w, m);
		return;
	}
	m->next = w->takeover->held_back;
	w->takeover->held_back = m;
}

/* Of another kind each, so their order does not matter. */
static void ask_if_all_left(struct worker *w)
{
	struct mail *m;

	if (!list_is_empty(&w->leaving) || w->n_detaching != 0)
		return;
	while ((m = w->takeover->held_back) != NULL) {
		w->takeover->held_back = m->next;
		worker_ask(w, m);
	}
}

/* --- servers --- */

/* False: no memory. Of one that is gone the other process has one less then, until this one ends.
 */
static bool tell_place(struct worker *w, const struct share_pool *share, enum place_what what)
{
	struct ask_place *ask = worker_mail(sizeof *ask, ASK_PLACE);

	if (ask == NULL)
		return false;
	ask->what = what;
	ask->worker = w->index;
	text_copy(ask->database, sizeof ask->database, share->db->name);
	text_copy(ask->user, sizeof ask->user, share->user->name);
	text_copy(ask->node, sizeof ask->node, worker_node_name(w, share->node_id));
	worker_ask(w, &ask->mail);
	return true;
}

void takeover_place_gone(struct worker *w, const struct share_pool *share)
{
	(void)tell_place(w, share, PLACE_GONE);
}

void takeover_on_its_way(struct worker *w, const struct server *s, int by)
{
	if (!s->is_told)
		atomic_fetch_add(&w->sh->n_untold, by);
}

void takeover_came(struct worker *w, struct server *s, const struct share_pool *share)
{
	if (s->is_told) {
		s->is_told = w->takeover != NULL; /* else that take-over is over */
		return;
	}
	s->is_told = w->takeover != NULL && tell_place(w, share, PLACE_CAME);
	takeover_on_its_way(w, s, -1); /* if it was told, when that is taken in */
}

/* What is marked to leave for another worker is still among them. */
static void tell_what_is_there(struct worker *w)
{
	struct mail *counted;
	bool all = true;
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->is_told)
			continue;
		if (!tell_place(w, s->pool->share, PLACE_HAD)) {
			all = false;
			continue;
		}
		if (s->state == SERVER_MOVING)
			takeover_on_its_way(w, s, -1);
		s->is_told = true;
	}
	counted = all ? worker_mail(sizeof *counted, ASK_COUNTED) : NULL;
	if (counted != NULL)
		worker_ask(w, counted); /* else the other process waits until it has waited long */
}

static struct pool *find_pool(struct worker *w, const struct ask_place *t)
{
	struct dbase *db;
	struct account *acc;

	if (dbase_find(w, t->database, &db) != OK || account_find(w, db, t->user, &acc) != OK)
		return NULL;
	for (uint32_t i = 0; i < acc->n_pools; i++)
		if (strcmp(worker_node_name(w, acc->pools[i]->node), t->node) == 0)
			return acc->pools[i];
	return NULL;
}

void takeover_granted(struct worker *w, const struct ask_place *t)
{
	struct pool *p = find_pool(w, t);

	if (p == NULL || w->takeover == NULL)
		return;
	p->granted++;
	dispatch_look_pool(w, p);
}

static void look_after_places(struct worker *w, struct pool *p)
{
	uint32_t coming = p->n_login + p->n_check + p->granted;

	if (p->granted != 0 && waitq_len(&p->line) == 0) {
		p->granted--;
		(void)tell_place(w, p->share, PLACE_GONE);
	} else if (waitq_len(&p->line) > coming &&
		   w->now_us >= p->asked_us + TAKEOVER_ASK_AGAIN_US) {
		p->asked_us = w->now_us;
		(void)tell_place(w, p->share, PLACE_WANTED);
	}
}

static bool send_server(struct worker *w, struct server *s)
{
	struct wr image = image_room(w);
	struct ask_leaves *ask;

	if (!w->takeover->clients_go || !image_can_tell_server(s) || server_is_outdated(w, s))
		return false;
	image_put_server(s, &image);
	ask = image_mail(w, &image);
	if (ask == NULL)
		return false;
	ask->is_server = true;
	ask->share = s->pool->share;
	return handover_server_on(w, s, ask);
}

/* What no client here needs goes on, or, if that cannot be, gives its place to the other process.
 */
static void let_idle_go(struct worker *w, struct pool *p)
{
	struct list *it, *tmp;

	if (waitq_len(&p->line) != 0)
		return;
	list_foreach_safe (it, tmp, &p->idle) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (s->wanted_by == NULL &&
			(p->acc->n_clients == 0 || w->now_us - s->used_us >= TAKEOVER_IDLE_US) &&
			!send_server(w, s))
			server_close(w, s, SERVER_END_BUDGET);
	}
}

static void each_pool(struct worker *w, void (*fn)(struct worker *w, struct pool *p))
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list)
		list_foreach (ia, &list_entry(it, struct dbase, link)->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			for (uint32_t i = 0; i < acc->n_pools; i++)
				fn(w, acc->pools[i]);
		}
}

/* --- the sweep --- */

static void on_sweep(void *ctx, struct wheel_timer *timer)
{
	struct worker *w = ctx;
	uint32_t n_gone = 0;
	struct list *it, *tmp;

	ask_if_all_left(w);
	list_foreach_safe (it, tmp, &w->clients) {
		n_gone += try_to_go(w, list_entry(it, struct client, link));
		if (n_gone == TAKEOVER_SWEEP_MAX)
			break;
	}
	each_pool(w, let_idle_go);
	each_pool(w, look_after_places);
	wheel_add(&w->wheel, timer, w->now_us + TAKEOVER_SWEEP_US * (n_gone == 0 ? 5 : 1));
}

bool takeover_rations(const struct worker *w)
{
	return w->takeover != NULL;
}

static void drop_held_back(struct takeover *t)
{
	struct mail *m;

	while ((m = t->held_back) != NULL) {
		t->held_back = m->next;
		free(m);
	}
}

static void forget_granted(struct worker *w, struct pool *p)
{
	(void)w;
	p->granted = 0;
}

/* As if nothing had been, but that nobody is accepted. What is on its way forgets on arrival. */
static void end_of_the_other(struct worker *w)
{
	struct list *it;

	if (w->takeover == NULL)
		return;
	takeover_free(w);
	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->state != SERVER_MOVING)
			s->is_told = false;
	}
	each_pool(w, forget_granted);
	dispatch_look(w);
}

void takeover_begin(struct worker *w, const struct tell_leave *t)
{
	if (t->is_over)
		end_of_the_other(w);
	if (t->is_over || w->takeover != NULL)
		return;
	w->takeover = calloc(1, sizeof *w->takeover);
	worker_pause_listening(w);
	if (w->takeover == NULL) {
		log_error(w->log, "no client goes on to the new process", "reason=memory");
		return;
	}
	w->takeover->clients_go = t->clients_go;
	tell_what_is_there(w);
	wheel_timer_init(&w->takeover->sweep, on_sweep);
	wheel_add(&w->wheel, &w->takeover->sweep, w->now_us);
}

void takeover_free(struct worker *w)
{
	if (w->takeover == NULL)
		return;
	wheel_del(&w->wheel, &w->takeover->sweep);
	drop_held_back(w->takeover);
	free(w->takeover);
	w->takeover = NULL;
}

/* --- clients come --- */

/* Its address as a proxy may have told it; the socket's own needs no memory. */
static enum status set_remote(struct conn *conn, const struct net_addr *from)
{
	struct net_addr own;

	if (from->len == 0 || (conn_remote_addr(conn, &own) == OK && net_addr_equal(&own, from)))
		return OK;
	return conn_set_remote(conn, from);
}

static enum status make_client(
	struct worker *w, int fd, const struct image_head *head, struct client **out)
{
	struct conn *conn;
	enum status st = conn_new(w->loop, fd, &client_ops, NULL, &w->client_limits, &conn);

	if (st != OK)
		return st;
	if ((st = set_remote(conn, &head->from)) != OK) {
		conn_free(conn);
		return st;
	}
	worker_set_tcp(w, conn);
	st = client_new(w, conn, false, out);
	if (st == OK && (*out)->state == CLIENT_CLOSED)
		return E_LIMIT; /* it was told */
	return st;
}

static enum status settle(
	struct worker *w, struct client *c, const struct image_head *head, struct rd *in)
{
	enum status st;

	c->login = login_new();
	if (c->login == NULL || login_set_names(c->login, head->user, head->database) != OK)
		return E_NOMEM;
	client_transition(w, c, CLIENT_PROVED);
	if (!login_enter(w, c))
		return E_LIMIT; /* it was told */
	if ((st = image_read_client(w, c, in)) != OK)
		return st;
	c->number = head->number;
	(void)worker_slot_move(w, c, head->number & (WORKER_SLOTS_MAX - 1));
	marks_arrive(&c->marks, mark_clock_load(&w->sh->clock));
	mark_board_write(c->acc->board, mark_clock_load(&w->sh->clock));
	login_settle(w, c);
	if (in->left != 0 && (st = conn_unread(c->conn, in->p, in->left)) != OK)
		return st;
	client_watch(w, c);
	notify_arrived(w, c);
	if (c->state == CLIENT_CLOSED)
		return E_LIMIT; /* it was told */
	conn_rx_resume(c->conn);
	return OK;
}

static void client_arrives(struct worker *w, struct ask_leaves *t)
{
	struct rd in = rd_of(t->image, t->len);
	struct client *c = NULL;
	struct image_head head;
	enum status st = w->stopping ? E_CLOSED : image_read_head(&in, &head);

	if (st != OK)
		close(t->fd);
	else
		st = make_client(w, t->fd, &head, &c);
	if (st == OK)
		st = settle(w, c, &head, &in);
	if (st != OK && c != NULL && c->state != CLIENT_CLOSED)
		client_close(w, c, st == E_NOMEM ? CLIENT_END_MEMORY : CLIENT_END_LIMIT);
	if (st != OK)
		log_warn(w->log, "a client did not arrive from the process taken over",
			"reason=\"%s\"", status_name(st));
}

/* --- servers come --- */

static void server_arrives(struct worker *w, struct ask_leaves *t)
{
	struct pool *p = w->stopping ? NULL : account_pool_shared(w, t->share);
	struct rd in = rd_of(t->image, t->len);
	struct server *s = p != NULL ? server_new(w, p) : NULL;
	enum status st = p == NULL ? E_NOTFOUND : s == NULL ? E_NOMEM : OK;
	uint64_t wake = 0;

	if (st == OK)
		st = image_read_server(w, s, &in);
	if (st == OK)
		st = conn_new(w->loop, t->fd, &server_ops, s, &w->server_limits, &s->conn);
	else
		close(t->fd);
	if (st == OK) {
		worker_set_tcp(w, s->conn);
		if (s->notifier != 0)
			notify_writer_changed(w, s, s->notifier);
		server_arrived(w, s);
		return;
	}
	log_warn(w->log, "a server did not arrive from the process taken over", "reason=\"%s\"",
		status_name(st));
	if (s != NULL)
		server_free(w, s);
	share_close(t->share, &wake);
	worker_wake(w, wake);
}

void takeover_arrive(struct worker *w, struct mail *m)
{
	struct ask_leaves *t = (struct ask_leaves *)m;

	if (t->is_server)
		server_arrives(w, t);
	else
		client_arrives(w, t);
	scram_wipe(t->image, t->len);
	free(t);
}
