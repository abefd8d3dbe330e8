#include "worker/cancel.h"

#include <openssl/crypto.h>
#include <string.h>

#include "conf/conf.h"
#include "proto/reply.h"
#include "worker/cancel_conn.h"
#include "worker/confirm.h"
#include "worker/dispatch.h"

#define KEY_TRIES 8u /* keys that are made until one is not taken already */

_Static_assert(CANCEL_KEY_SLOT_BITS == WORKER_SLOT_BITS, "a number names any slot");
_Static_assert(CANCEL_KEY_PEER_MAX == CONF_PEER_ID_MAX, "a number names any peer");
_Static_assert(PEERS_MAX == CONF_PEERS_MAX, "one address for each");

struct cancel_key_scheme cancel_scheme(const struct worker *w)
{
	return (struct cancel_key_scheme){
		.peer_id = w->conf->peer_id, .n_workers = w->sh->n_workers};
}

static bool has_key(const struct client *c, const uint8_t *key, uint32_t len)
{
	return c != NULL && c->key_len == len && len != 0 && CRYPTO_memcmp(key, c->key, len) == 0;
}

/* The client, of those whose number may mean these slots, that has the key. */
static struct client *find_key(struct worker *w, const struct cancel_key_place *at,
	const uint8_t *key, uint32_t len, const struct client *but)
{
	for (uint32_t i = at->first; i < w->n_slots; i += at->step)
		if (w->slots[i] != but && has_key(w->slots[i], key, len))
			return w->slots[i];
	return NULL;
}

void cancel_put_key(struct worker *w, struct client *c, uint32_t version, struct wr *out)
{
	struct cancel_key_scheme scheme = cancel_scheme(w);
	uint32_t pid = cancel_key_number(&scheme, w->index, c->slot);
	struct cancel_key_place at = cancel_key_find(&scheme, pid);
	uint8_t len = version >= STARTUP_V3_2 ? CANCEL_KEY_MAX : STARTUP_KEY_MIN;

	for (uint32_t i = 0; i < KEY_TRIES; i++) {
		c->key_len = entropy_take(&w->entropy, c->key, len) == OK
				     ? len
				     : 0; /* 0: no cancel fits it */
		cancel_key_fill(&scheme, c->key);
		if (find_key(w, &at, c->key, len, c) == NULL)
			break;
	}
	c->number = pid;
	reply_put_key_data(out, pid, c->key, len);
}

/* --- the requesting side --- */

/* To whom the request goes on: a worker. False: to nobody. */
static bool address(struct worker *w, struct tell_cancel *t, uint32_t *to)
{
	struct cancel_key_scheme scheme = cancel_scheme(w);
	uint32_t peer = scheme.peer_id != 0 ? cancel_key_peer(t->pid) : 0;
	struct cancel_key_place at;

	if (peer != scheme.peer_id && conf_find_peer(w->conf, peer) != NULL) {
		t->peer = peer;
		*to = peer % w->sh->n_workers;
		return cancel_key_pass_on(t->key);
	}
	if (peer != scheme.peer_id)
		scheme.peer_id = 0; /* of a client that was there before peer_id was set? */
	cancel_key_fill(&scheme, t->key);
	at = cancel_key_find(&scheme, t->pid);
	t->first_slot = at.first;
	t->slot_step = at.step;
	*to = at.worker;
	return at.worker < w->sh->n_workers;
}

/* After a take-over a client's number may say nothing of where it is; its key does. */
static bool search_all(struct worker *w, struct tell_cancel *t, uint32_t *to)
{
	if (!atomic_load(&w->sh->is_successor))
		return false;
	t->first_slot = 0;
	t->slot_step = 1;
	t->n_searched = 1;
	*to = w->index;
	return true;
}

void cancel_requested(
	struct worker *w, struct client *c, uint32_t pid, const uint8_t *key, uint32_t key_len)
{
	struct tell_cancel *t;
	uint32_t to;

	client_transition(w, c, CLIENT_IS_CANCEL);
	client_watch(w, c);
	t = worker_mail(sizeof *t, TELL_CANCEL);
	if (t == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	t->step = CANCEL_ASKED;
	t->pid = pid;
	t->key_len = key_len;
	memcpy(t->key, key, key_len);
	t->from = (struct cancel_from){.worker = w->index, .id = c->id, .slot = c->slot};
	if (address(w, t, &to) || search_all(w, t, &to)) {
		worker_tell(w, to, &t->mail);
		return;
	}
	free(t);
	client_close(w, c, CLIENT_END_CANCEL);
}

static void take_step(struct worker *w, const struct tell_cancel *t)
{
	struct client *c = t->from.slot < w->n_slots ? w->slots[t->from.slot] : NULL;

	if (c == NULL || c->id != t->from.id || c->state != CLIENT_CANCEL)
		return;
	if (t->step == CANCEL_SENT)
		c->cancel_sent = true;
	else
		client_close(w, c, CLIENT_END_CANCEL);
}

/* --- the victim's side --- */

/* Not in this process: the control thread knows whether another one may have it. */
static void ask_elsewhere(struct worker *w, const struct tell_cancel *t)
{
	struct ask_cancel *ask = worker_mail(sizeof *ask, ASK_CANCEL);

	if (ask == NULL)
		return;
	ask->key_len = t->key_len;
	memcpy(ask->key, t->key, t->key_len);
	worker_ask(w, &ask->mail);
}

/* Nobody here has the key. True: another worker looks, who will answer. */
static bool search_on(struct worker *w, const struct tell_cancel *t)
{
	uint32_t to = (w->index + 1) % w->sh->n_workers;
	struct tell_cancel *next;

	if (t->n_searched == 0 && !atomic_load(&w->sh->is_successor))
		return false;
	if (t->n_searched == w->sh->n_workers) {
		if (atomic_load(&w->sh->is_successor))
			ask_elsewhere(w, t);
		return false;
	}
	next = worker_mail(sizeof *next, TELL_CANCEL);
	if (next == NULL)
		return false;
	*next = *t;
	next->mail = (struct mail){.kind = TELL_CANCEL};
	next->first_slot = 0;
	next->slot_step = 1;
	next->n_searched++;
	worker_tell(w, to, &next->mail);
	return true;
}

/* True: who asked will be told when it is over. */
static bool cancel_victim(struct worker *w, const struct tell_cancel *t)
{
	struct cancel_key_place at = {.first = t->first_slot, .step = t->slot_step};
	struct client *c = find_key(w, &at, t->key, t->key_len, NULL);

	if (c == NULL)
		return search_on(w, t);
	if (c->busy->confirming) {
		confirm_cancel(w, c);
		return false;
	}
	if (c->state == CLIENT_WAITING) {
		dispatch_cancel(w, c);
		return false;
	}
	if (c->state != CLIENT_ACTIVE || c->server->owed.n_client == 0)
		return false;
	c->server->canceled_unit = c->server->units;
	return cancel_conn_to_server(w, c->server, &t->from) == OK;
}

void cancel_told(struct worker *w, const struct tell_cancel *t)
{
	bool is_on_its_way;

	if (t->step != CANCEL_ASKED) {
		take_step(w, t);
		return;
	}
	if (t->peer != 0)
		is_on_its_way = cancel_conn_to_peer(w, t) == OK;
	else
		is_on_its_way = cancel_victim(w, t);
	if (!is_on_its_way)
		cancel_conn_tell(w, &t->from, CANCEL_SERVED);
}

void cancel_server(struct worker *w, struct server *s)
{
	enum status st = cancel_conn_to_server(w, s, NULL);

	if (st != OK && st != E_EXISTS)
		server_close(w, s, SERVER_END_CLIENT);
}
