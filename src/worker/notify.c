#include "worker/notify_own.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "worker/server.h"

static void work(struct worker *w);

static void on_timer(void *ctx, struct wheel_timer *t)
{
	(void)t;
	work(ctx);
}

enum status notify_new(struct worker *w, struct notify **out)
{
	struct notify *n = calloc(1, sizeof *n);

	(void)w;
	if (n == NULL)
		return E_NOMEM;
	map_init(&n->channels);
	list_init(&n->jobs);
	list_init(&n->waiting);
	list_init(&n->barriers);
	kept_init(&n->kept);
	wheel_timer_init(&n->timer, on_timer);
	*out = n;
	return OK;
}

static void job_free(struct job *j)
{
	list_del(&j->link);
	free(j->mail);
	free(j);
}

void notify_free(struct worker *w, struct notify *n)
{
	if (n == NULL)
		return;
	while (!list_is_empty(&n->jobs))
		job_free(list_entry(n->jobs.next, struct job, link));
	wheel_del(&w->wheel, &n->timer);
	map_fini(&n->channels);
	kept_fini(&n->kept);
	free(n);
}

/* --- channels --- */

struct channel_key {
	const struct dbase *db;
	const char *name;
};

static bool channel_eq(const void *item, const void *key)
{
	const struct channel *ch = item;
	const struct channel_key *k = key;

	return ch->db == k->db && strcmp(ch->name, k->name) == 0;
}

static uint64_t channel_hash(const struct worker *w, const struct channel_key *k)
{
	return hash_bytes(&w->sh->hash_key, k->name, strlen(k->name)) ^
	       (uint64_t)(uintptr_t)k->db * 0x9e3779b97f4a7c15u;
}

struct channel *notify_channel(struct worker *w, const struct dbase *db, const char *name)
{
	struct channel_key k = {db, name};

	return map_find(&w->notify->channels, channel_hash(w, &k), channel_eq, &k);
}

static enum status ask_listen(struct worker *w, const struct channel *ch, bool wanted)
{
	struct ask_listen *ask = worker_mail(sizeof *ask, ASK_LISTEN);

	if (ask == NULL)
		return E_NOMEM;
	memcpy(ask->database, ch->db->name, sizeof ask->database);
	memcpy(ask->channel, ch->name, sizeof ask->channel);
	ask->worker = w->index;
	ask->wanted = wanted;
	worker_ask(w, &ask->mail);
	return OK;
}

static struct channel *channel_new(struct worker *w, struct dbase *db, const char *name)
{
	struct channel_key k = {db, name};
	struct channel *ch = calloc(1, sizeof *ch);

	if (ch == NULL)
		return NULL;
	ch->db = db;
	text_copy(ch->name, sizeof ch->name, name);
	ch->hash = channel_hash(w, &k);
	list_init(&ch->subs);
	if (map_insert(&w->notify->channels, ch->hash, ch) != OK) {
		free(ch);
		return NULL;
	}
	if (ask_listen(w, ch, true) != OK) {
		(void)map_remove(&w->notify->channels, ch->hash, ch);
		free(ch);
		return NULL;
	}
	return ch;
}

/* Nobody here listens to it any more. */
static void channel_free(struct worker *w, struct channel *ch)
{
	struct list *it;

	list_foreach (it, &w->notify->jobs) {
		struct job *j = list_entry(it, struct job, link);

		if (j->ch == ch) {
			j->ch = NULL;
			j->next = NULL;
		}
	}
	(void)ask_listen(w, ch, false); /* without memory it is listened to in vain */
	(void)map_remove(&w->notify->channels, ch->hash, ch);
	free(ch);
}

/* --- subscriptions --- */

struct sub *notify_sub_find(const struct client *c, const char *name)
{
	struct list *it;

	if (c->listening == NULL)
		return NULL;
	list_foreach (it, &c->listening->subs) {
		struct sub *s = list_entry(it, struct sub, by_client);

		if (strcmp(s->ch->name, name) == 0)
			return s;
	}
	return NULL;
}

bool notify_owns(const struct client *c, const char *channel)
{
	return notify_sub_find(c, channel) != NULL;
}

static void sub_free(struct worker *w, struct sub *s)
{
	struct list *it;

	list_foreach (it, &w->notify->jobs) {
		struct job *j = list_entry(it, struct job, link);

		if (j->next == &s->by_channel)
			j->next = s->by_channel.next;
	}
	if (s->ch->arriving == s)
		s->ch->arriving = NULL;
	list_del(&s->by_channel);
	list_del(&s->by_client);
	s->c->listening->n_subs--;
	atomic_fetch_sub_explicit(&w->sh->notify.subscribed, 1, memory_order_relaxed);
	if (list_is_empty(&s->ch->subs))
		channel_free(w, s->ch);
	free(s);
}

static struct listening *listening_of(struct client *c)
{
	struct listening *l = c->listening;

	if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
		return l;
	list_init(&l->subs);
	list_init(&l->waiting);
	wheel_timer_init(&l->wait, notify_wait_over);
	l->owner = c;
	c->listening = l;
	return l;
}

struct sub *notify_sub_new(struct worker *w, struct client *c, const char *name)
{
	struct listening *l = listening_of(c);
	struct channel *ch;
	struct sub *s;

	if (l == NULL || l->n_subs >= NOTIFY_CHANNELS_MAX || (s = calloc(1, sizeof *s)) == NULL)
		return NULL;
	ch = notify_channel(w, c->db, name);
	if (ch == NULL)
		ch = channel_new(w, c->db, name);
	if (ch == NULL) {
		free(s);
		return NULL;
	}
	s->ch = ch;
	s->c = c;
	s->since = ++w->notify->no;
	s->number = ch->number;
	list_push_back(&ch->subs, &s->by_channel);
	list_push_back(&l->subs, &s->by_client);
	l->n_subs++;
	atomic_fetch_add_explicit(&w->sh->notify.subscribed, 1, memory_order_relaxed);
	return s;
}

void notify_sweep(struct worker *w, struct client *c)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &c->listening->subs) {
		struct sub *s = list_entry(it, struct sub, by_client);

		if (!s->is_on)
			sub_free(w, s);
	}
}

/* --- what a transaction does --- */

void notify_note(struct worker *w, struct client *c, enum notify_op op, const char *channel)
{
	struct listening *l = c->listening;
	struct op *ops;

	if (l == NULL)
		return;
	if (l->n_ops == l->cap_ops) {
		uint32_t cap = l->cap_ops != 0 ? l->cap_ops * 2 : 4;

		ops = realloc(l->ops, cap * sizeof *ops);
		if (ops == NULL) { /* its server listens, and it keeps that */
			pins_add(&c->busy->pins, &w->sh->pins, PIN_LISTEN, w->now_us, "LISTEN", 6);
			return;
		}
		l->ops = ops;
		l->cap_ops = cap;
	}
	l->ops[l->n_ops].kind = (uint8_t)op;
	text_copy(l->ops[l->n_ops++].channel, CHANNEL_LEN, channel != NULL ? channel : "");
}

uint32_t notify_n_ops(const struct client *c)
{
	return c->listening != NULL ? c->listening->n_ops : 0;
}

void notify_rollback_to(struct client *c, uint32_t n_ops)
{
	if (c->listening != NULL && c->listening->n_ops > n_ops)
		c->listening->n_ops = n_ops;
}

static void clear_ops(struct listening *l)
{
	free(l->ops);
	l->ops = NULL;
	l->n_ops = l->cap_ops = 0;
}

static void apply_op(struct client *c, const struct op *op)
{
	struct sub *s;
	struct list *it;

	if (op->kind == NOTIFY_UNLISTEN_ALL) {
		list_foreach (it, &c->listening->subs)
			list_entry(it, struct sub, by_client)->is_on = false;
	} else if ((s = notify_sub_find(c, op->channel)) != NULL) {
		s->is_on = op->kind == NOTIFY_LISTEN;
	}
}

void notify_commit(struct worker *w, struct client *c)
{
	(void)w;
	if (c->listening == NULL)
		return;
	for (uint32_t i = 0; i < c->listening->n_ops; i++)
		apply_op(c, &c->listening->ops[i]);
	c->listening->recheck = c->listening->recheck || c->listening->n_ops != 0;
	clear_ops(c->listening);
}

void notify_rollback(struct worker *w, struct client *c)
{
	(void)w;
	if (c->listening != NULL)
		clear_ops(c->listening);
}

/* Nothing is left of it: an idle client that has unlistened costs what any other does. */
static void listening_free(struct worker *w, struct client *c)
{
	struct listening *l = c->listening;

	wheel_del(&w->wheel, &l->wait);
	clear_ops(l);
	free(l->queue);
	free(l);
	c->listening = NULL;
}

void notify_txn_ended(struct worker *w, struct client *c)
{
	struct listening *l = c->listening;

	if (l == NULL || l->waits || (c->server != NULL && c->server->owed.n_client != 0))
		return;
	notify_sweep(w, c);
	if (l->n_subs == 0 && l->queue_len == 0 && l->n_ops == 0)
		listening_free(w, c);
}

void notify_client_gone(struct worker *w, struct client *c)
{
	struct list *it, *tmp;

	if (c->listening == NULL)
		return;
	if (c->listening->waits)
		notify_wait_ended(w, c->listening);
	list_foreach_safe (it, tmp, &c->listening->subs)
		sub_free(w, list_entry(it, struct sub, by_client));
	listening_free(w, c);
}

/* --- what the control thread tells --- */

static struct dbase *find_dbase(struct worker *w, const char *name)
{
	struct list *it;

	list_foreach (it, &w->dbase_list)
		if (strcmp(list_entry(it, struct dbase, link)->name, name) == 0)
			return list_entry(it, struct dbase, link);
	return NULL;
}

static bool listens(const struct client *c)
{
	struct list *it;

	if (c->listening == NULL)
		return false;
	list_foreach (it, &c->listening->subs)
		if (list_entry(it, struct sub, by_client)->is_on)
			return true;
	return false;
}

static void tell_lost(struct worker *w, const struct dbase *db)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &w->clients) {
		struct client *c = list_entry(it, struct client, link);

		if (c->db == db && listens(c))
			notify_put_lost(w, c);
	}
}

static void listening_told(struct worker *w, const struct tell_listening *t)
{
	struct dbase *db = find_dbase(w, t->database);
	struct channel *ch;

	if (db == NULL)
		return;
	switch (t->what) {
	case LISTENING_ON:
		ch = notify_channel(w, db, t->channel);
		if (ch == NULL)
			return;
		ch->is_on = true;
		notify_wake_waiting(w);
		return;
	case LISTENING_DOWN:
		map_foreach (ch, pos, &w->notify->channels)
			if (ch->db == db)
				ch->is_on = ch->is_marked = false;
		return;
	case LISTENING_REFUSED:
		notify_refuse_waiting(w, db);
		return;
	case LISTENING_LOST:
		tell_lost(w, db);
		return;
	case LISTENING_MARKED:
		ch = notify_channel(w, db, t->channel);
		if (ch != NULL && ch->is_on) /* else another one than was meant */
			notify_channel_marked(ch, kept_first(t->round));
		return;
	case LISTENING_UNMARKED:
		map_foreach (ch, pos, &w->notify->channels)
			if (ch->db == db)
				ch->is_marked = false;
		return;
	case LISTENING_KEEP:
		return; /* when it came */
	}
}

/* Give a notification to some of those who listen. Returns what is left of `budget`. */
static uint32_t deliver(struct worker *w, struct job *j, uint32_t budget)
{
	const struct tell_notified *t = (const struct tell_notified *)(const void *)j->mail;

	while (j->ch != NULL && j->next != &j->ch->subs && budget != 0) {
		struct sub *s = list_entry(j->next, struct sub, by_channel);

		j->next = s->by_channel.next;
		budget--;
		if (notify_is_next(s, t) && s->since <= j->no)
			notify_give(w, s, t);
	}
	return budget;
}

static void job_begin(struct worker *w, struct job *j)
{
	struct tell_notified *t = (struct tell_notified *)(void *)j->mail;
	struct dbase *db = find_dbase(w, t->database);

	j->ch = db != NULL ? notify_channel(w, db, t->channel) : NULL;
	if (j->ch == NULL)
		return;
	j->next = j->ch->subs.next;
	if (j->ch->number < t->number)
		j->ch->number = t->number;
}

static void job_done(struct worker *w, struct job *j)
{
	struct tell_listening *t = (struct tell_listening *)(void *)j->mail;

	if (j->mail->kind == TELL_NOTIFIED) {
		kept_add(&w->notify->kept, (struct tell_notified *)(void *)j->mail);
		j->mail = NULL;
	} else if (j->mail->kind == TELL_LISTENING && t->what == LISTENING_UNMARKED) {
		notify_answer_unmarked(w, t);
	}
	job_free(j);
}

static void work(struct worker *w)
{
	struct notify *n = w->notify;
	uint32_t budget = NOTIFY_PER_TURN;

	while (!list_is_empty(&n->jobs) && budget != 0) {
		struct job *j = list_entry(n->jobs.next, struct job, link);

		if (j->mail->kind == TELL_NOTIFIED) {
			if (j->ch == NULL && j->next == NULL)
				job_begin(w, j);
			budget = deliver(w, j, budget);
			if (j->ch != NULL && j->next != &j->ch->subs)
				break;
		} else if (j->mail->kind == TELL_LISTENING) {
			listening_told(w, (const struct tell_listening *)(void *)j->mail);
		} else {
			notify_barrier_passed(w, (const struct ask_barrier *)(void *)j->mail);
		}
		job_done(w, j);
	}
	if (!list_is_empty(&n->jobs))
		wheel_add(&w->wheel, &n->timer, 0);
}

void notify_take(struct worker *w, struct mail *m)
{
	struct job *j = calloc(1, sizeof *j);

	if (m->kind == TELL_LISTENING)
		notify_keep_or_not(w, (const struct tell_listening *)(void *)m);
	if (j == NULL) {
		log_error(w->log, "notification lost", "worker=%u reason=memory", w->index);
		free(m);
		return;
	}
	j->mail = m;
	j->no = w->notify->no;
	list_push_back(&w->notify->jobs, &j->link);
	if (!wheel_is_armed(&w->notify->timer))
		work(w);
}
