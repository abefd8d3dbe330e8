#include <string.h>

#include "worker/notify_own.h"
#include "worker/takeover.h"

/* --- the marker --- */

void notify_channel_marked(struct channel *ch, uint64_t number)
{
	struct list *it;

	ch->is_marked = true;
	if (ch->number < number)
		ch->number = number;
	list_foreach (it, &ch->subs) {
		struct sub *s = list_entry(it, struct sub, by_channel);

		if (s->number < number)
			s->number = number;
	}
}

void notify_answer_unmarked(struct worker *w, const struct tell_listening *t)
{
	struct ask_unmarked *ask = worker_mail(sizeof *ask, ASK_UNMARKED);

	if (ask == NULL)
		return; /* the clients of the database stay */
	memcpy(ask->database, t->database, sizeof ask->database);
	ask->worker = w->index;
	ask->round = t->round;
	takeover_ask_when_all_left(w, &ask->mail);
}

void notify_keep_or_not(struct worker *w, const struct tell_listening *t)
{
	if (t->what == LISTENING_KEEP &&
		kept_begin(&w->notify->kept, t->database, t->round, ++w->notify->no) != OK)
		log_error(w->log, "listening clients that come may miss something",
			"db=%s reason=memory", LOG_Q(t->database));
	else if (t->what == LISTENING_DOWN || t->what == LISTENING_UNMARKED)
		kept_end(&w->notify->kept, t->database);
}

/* --- to another process --- */

bool notify_can_go(const struct client *c)
{
	const struct listening *l = c->listening;
	struct list *it;

	if (l == NULL)
		return true;
	if (l->waits || l->n_ops != 0)
		return false;
	list_foreach (it, &l->subs) {
		const struct sub *s = list_entry(it, struct sub, by_client);

		if (!s->is_on || !s->ch->is_marked)
			return false;
	}
	return true;
}

void notify_put_image(const struct client *c, struct wr *out)
{
	struct list *it;

	wr_u16(out, c->listening != NULL ? (uint16_t)c->listening->n_subs : 0);
	if (c->listening == NULL)
		return;
	list_foreach (it, &c->listening->subs) {
		const struct sub *s = list_entry(it, struct sub, by_client);

		wr_cstr(out, s->ch->name);
		wr_u64(out, s->number);
	}
}

enum status notify_read_image(struct worker *w, struct client *c, struct rd *in)
{
	uint16_t n = rd_u16(in);

	for (uint16_t i = 0; i < n && !in->bad; i++) {
		const char *name = rd_cstr(in);
		uint64_t number = rd_u64(in), since;
		struct sub *s;

		if (in->bad || *name == '\0' || strlen(name) >= CHANNEL_LEN ||
			!notify_name_is_shared(c, name) || notify_sub_find(c, name) != NULL)
			return E_PROTO;
		if (i == NOTIFY_CHANNELS_MAX)
			return E_LIMIT;
		s = notify_sub_new(w, c, name);
		if (s == NULL)
			return E_NOMEM;
		s->is_on = true;
		s->number = number;
		if (kept_covers(&w->notify->kept, c->db->name, number, &since))
			s->since = since;
	}
	return in->bad ? E_PROTO : OK;
}

/* Is all there that has come since it left? */
static bool is_covered(const struct worker *w, const struct client *c)
{
	struct list *it;
	uint64_t since;

	list_foreach (it, &c->listening->subs)
		if (!kept_covers(&w->notify->kept, c->db->name,
			    list_entry(it, struct sub, by_client)->number, &since))
			return false;
	return true;
}

static void give_kept(struct worker *w, struct client *c)
{
	const struct tell_notified *t = NULL;
	struct channel *ch;

	while (c->state != CLIENT_CLOSED &&
		(t = kept_next(&w->notify->kept, c->db->name, t)) != NULL) {
		ch = notify_channel(w, c->db, t->channel);
		if (ch != NULL && ch->arriving != NULL && notify_is_next(ch->arriving, t))
			notify_give(w, ch->arriving, t);
	}
}

void notify_arrived(struct worker *w, struct client *c)
{
	struct list *it;

	if (c->listening == NULL)
		return;
	if (!is_covered(w, c)) {
		notify_put_lost(w, c);
		return;
	}
	list_foreach (it, &c->listening->subs) {
		struct sub *s = list_entry(it, struct sub, by_client);

		s->ch->arriving = s;
	}
	give_kept(w, c);
	if (c->state == CLIENT_CLOSED)
		return;
	list_foreach (it, &c->listening->subs)
		list_entry(it, struct sub, by_client)->ch->arriving = NULL;
}
