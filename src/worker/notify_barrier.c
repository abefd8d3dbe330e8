#include "worker/notify_own.h"

#include <string.h>

#include "worker/server.h"

#define BARRIER_PASSED UINT64_MAX /* in server.barrier */

void notify_writer_changed(struct worker *w, struct server *s, uint32_t pid)
{
	if (s->in_recovery)
		return;
	s->notifier = pid;
	backends_put(&w->sh->backends, s->pool->node, s->backend_pid, pid);
}

void notify_server_gone(struct worker *w, struct server *s)
{
	list_del(&s->barrier_link);
	if (s->notifier != 0)
		backends_drop(&w->sh->backends, s->pool->node, s->backend_pid);
}

static bool ask_barrier(struct worker *w, struct server *s)
{
	struct ask_barrier *ask = worker_mail(sizeof *ask, ASK_BARRIER);

	if (ask == NULL)
		return false;
	memcpy(ask->database, s->pool->acc->db->name, sizeof ask->database);
	ask->worker = w->index;
	ask->number = s->barrier = ++w->notify->barrier;
	list_push_back(&w->notify->barriers, &s->barrier_link);
	worker_ask(w, &ask->mail);
	return true;
}

/*
 * A listener reads its own notifications before its COMMIT is answered. One that does not listen
 * keeps its server so long, too, if its text says NOTIFY: the next client's would else be taken
 * for it.
 */
static bool may_have_notified(const struct worker *w, const struct client *c)
{
	if (c->server->in_recovery || c->acc->mode == POOL_MODE_SESSION)
		return false;
	if (c->listening != NULL && c->busy->unit_writes)
		return true;
	return c->busy->txn_notifies &&
	       atomic_load_explicit(&w->sh->notify.channels, memory_order_relaxed) != 0;
}

bool notify_ready_waits(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	if (s->barrier == BARRIER_PASSED) {
		s->barrier = 0;
		return false;
	}
	if (s->barrier != 0)
		return true;
	return may_have_notified(w, c) && ask_barrier(w, s);
}

void notify_barrier_passed(struct worker *w, const struct ask_barrier *t)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->notify->barriers) {
		struct server *s = list_entry(it, struct server, barrier_link);

		if (s->barrier > t->number || strcmp(s->pool->acc->db->name, t->database) != 0)
			continue;
		s->barrier = BARRIER_PASSED;
		list_del(&s->barrier_link);
		conn_rx_resume(s->conn);
	}
}
