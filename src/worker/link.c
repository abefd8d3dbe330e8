#include "worker/link.h"

#include <stdlib.h>

#include "worker/found_out.h"
#include "worker/line.h"
#include "worker/pinning.h"
#include "worker/prepared.h"
#include "worker/takeover.h"
#include "worker/worker.h"

void link_make(struct worker *w, struct client *c, struct server *s)
{
	const struct topo_node *n = topology_node(w->topology, (uint16_t)s->pool->node);

	line_note_wait(w, c);
	c->db->stats.server_assignments += c->state != CLIENT_WELCOME;
	c->server = s;
	c->busy->prefix_due = true;
	c->busy->rediff = false;
	c->busy->settings_wait = false;
	c->busy->deferred_failed = false;
	c->busy->read_epoch = n != NULL ? n->epoch : 0;
	s->client = c;
	s->ends_client_until_us = 0;
	server_transition(w, s, SERVER_LINKED);
	if (c->state != CLIENT_WELCOME)
		client_transition(w, c, CLIENT_LINKED);
}

void link_break(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	PANIC_IF(s == NULL || s->client != c);
	if (c->state != CLIENT_WELCOME && !c->busy->prefix_due) /* else it has not got them yet */
		server_set_settings(w, s, c->set.current);
	s->dirt |= pins_after(&c->busy->pins);
	if (found_out_is_due(c)) { /* what it has set there is not known */
		found_out_forget(w, c);
		s->dirt |= CLEAN(ALL);
	}
	if (c->state == CLIENT_WELCOME) /* nothing of its own has run there */
		s->is_reset_done = true;
	if (s->barrier != 0) {
		list_del(&s->barrier_link);
		s->barrier = 0;
	}
	s->client = NULL;
	c->server = NULL;
	c->busy->holding = false;
	c->busy->unit_retained = false;
	c->busy->begin_sent = false;
	if (s->has_odd)
		prepared_drop_odd(s);
	if (c->busy->expected != NULL) {
		free(c->busy->expected);
		c->busy->expected = NULL;
	}
	if (conn_rx_is_paused(s->conn)) /* this client was slow; the next one is not */
		conn_rx_resume(s->conn);
	if (c->state == CLIENT_ACTIVE)
		client_transition(w, c, CLIENT_UNLINKED);
}

void link_leave(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	link_break(w, c);
	server_transition(w, s, SERVER_LEFT);
	server_watch(w, s);
}

bool link_may_release(const struct client *c, const struct server *s)
{
	return server_is_quiet(s) && s->txn_status == 'I' && !pins_any(&c->busy->pins) &&
	       c->acc->mode != POOL_MODE_SESSION && !c->busy->streaming &&
	       c->busy->body_left == 0 && c->busy->sent_len == 0;
}

void link_release(struct worker *w, struct client *c, struct server *s)
{
	conn_flush(c->conn);
	client_count_bytes(c);
	link_break(w, c);
	pins_clear(&c->busy->pins, &w->sh->pins);
	pinning_release(w, c);
	c->busy->seq_kept = false;
	server_release(w, s);
	if (c->state == CLIENT_CLOSED)
		return;
	if (w->takeover != NULL)
		takeover_unlinked(w, c);
	client_watch(w, c);
	if (conn_rx_len(c->conn) != 0 || conn_rx_is_paused(c->conn))
		conn_rx_resume(c->conn);
}

void link_let_go(struct worker *w, struct client *c)
{
	if (c->busy->seq_kept)
		pins_remove(&c->busy->pins, &w->sh->pins, PIN_SEQUENCE);
	c->busy->seq_kept = false;
	if (c->server != NULL && link_may_release(c, c->server))
		link_release(w, c, c->server);
}
