#include "worker/suspend.h"

#include "net/listen.h"
#include "worker/client.h"
#include "worker/server.h"

static void pause_listeners(struct worker *w, bool paused)
{
	for (uint32_t i = 0; i < w->n_listeners; i++) {
		struct worker_listener *l = &w->listeners[i];

		if (l->listener == NULL || l->listen.is_admin)
			continue;
		if (listener_set_paused(l->listener, paused) != OK)
			log_warn(
				w->log, "listener not suspended or resumed", "worker=%u", w->index);
	}
}

static bool client_rests(const struct client *c)
{
	return (c->state == CLIENT_IDLE || c->state == CLIENT_ACTIVE) && conn_rx_is_paused(c->conn);
}

static bool server_rests(const struct server *s)
{
	return s->state >= SERVER_IDLE && s->state < SERVER_MOVING && conn_rx_is_paused(s->conn);
}

/* One that rested for another reason finds that out again at once. */
static void read_on(struct worker *w)
{
	struct list *it;

	list_foreach (it, &w->clients) {
		const struct client *c = list_entry(it, struct client, link);

		if (client_rests(c))
			conn_rx_resume(c->conn);
	}
	list_foreach (it, &w->servers) {
		const struct server *s = list_entry(it, struct server, link);

		if (server_rests(s))
			conn_rx_resume(s->conn);
	}
}

void suspend_apply(struct worker *w)
{
	if (w->suspended == w->admin->suspended)
		return;
	w->suspended = w->admin->suspended;
	pause_listeners(w, w->suspended);
	if (!w->suspended)
		read_on(w);
}

static bool client_waits(const struct client *c)
{
	return c->conn != NULL && c->state != CLIENT_MOVING && c->state != CLIENT_CLOSED &&
	       conn_out_len(c->conn) != 0;
}

static bool server_waits(const struct server *s)
{
	return s->conn != NULL && s->state != SERVER_MOVING && s->state != SERVER_CLOSED &&
	       conn_out_len(s->conn) != 0;
}

uint32_t suspend_n_unsent(struct worker *w)
{
	struct list *it;
	uint32_t n = 0;

	list_foreach (it, &w->clients)
		n += client_waits(list_entry(it, struct client, link));
	list_foreach (it, &w->servers)
		n += server_waits(list_entry(it, struct server, link));
	return n;
}

uint32_t suspend_close_unsent(struct worker *w)
{
	struct list *it, *tmp;
	uint32_t n = 0;

	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (!client_waits(c))
			continue;
		client_close(w, c, CLIENT_END_TIMEOUT);
		n++;
		tmp = w->clients.next; /* closing one may have closed others */
	}
	list_foreach_safe (it, tmp, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (!server_waits(s))
			continue;
		server_close(w, s, SERVER_END_TIMEOUT);
		n++;
		tmp = w->servers.next;
	}
	return n;
}
