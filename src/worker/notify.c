#include "worker/notify_own.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "conf/effective.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/lexer.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/server.h"
#include "worker/unit.h"

#define BARRIER_PASSED UINT64_MAX /* in server.barrier */

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

static void on_wait_over(void *ctx, struct wheel_timer *t);

static struct listening *listening_of(struct client *c)
{
	struct listening *l = c->listening;

	if (l != NULL || (l = calloc(1, sizeof *l)) == NULL)
		return l;
	list_init(&l->subs);
	list_init(&l->waiting);
	wheel_timer_init(&l->wait, on_wait_over);
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

/* Give up what no transaction has brought about. */
static void sweep(struct worker *w, struct client *c)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &c->listening->subs) {
		struct sub *s = list_entry(it, struct sub, by_client);

		if (!s->is_on)
			sub_free(w, s);
	}
}

/* --- a unit with LISTEN --- */

static bool is_encoding_shared(const struct client *c)
{
	const struct baseline *b = &c->acc->baseline;
	const char *server = baseline_get(b, "server_encoding");
	const char *client = settings_get(c->set.current, "client_encoding");

	if (client == NULL)
		client = baseline_get(b, "client_encoding");
	if (server == NULL || client == NULL)
		return false;
	return strcmp(server, client) == 0 || strcmp(server, "SQL_ASCII") == 0 ||
	       strcmp(client, "SQL_ASCII") == 0;
}

bool notify_is_shared(struct worker *w, const struct client *c)
{
	const struct conf_db *db = c->db->conf;

	if (db == NULL || c->acc->mode == POOL_MODE_SESSION || pins_has(&c->busy->pins, PIN_LISTEN))
		return false;
	return (db->routing || db->n_nodes == 1) && *conf_monitor_user(w->conf, db) != '\0' &&
	       is_encoding_shared(c);
}

bool notify_name_is_shared(const struct client *c, const char *name)
{
	const char *server = baseline_get(&c->acc->baseline, "server_encoding");

	return text_is_ascii(name) || (server != NULL && strcmp(server, "UTF8") == 0 &&
					      lexer_inspect(name, strlen(name), true) != TEXT_BAD);
}

/* Want each channel that the text listens to. False: one cannot be shared. */
static bool want_channels(
	struct worker *w, struct client *c, const char *sql, size_t len, bool *wait)
{
	struct sql_verdict v;
	char name[CHANNEL_LEN];
	size_t n;

	(void)judge_word(w, c, sql, len, &v);
	for (uint8_t i = 0; i < v.n_effects; i++) {
		struct sub *s;

		if (v.effects[i].kind != EFFECT_LISTEN)
			continue;
		if (sql_effect_name(sql, c->sql_opts, &v.effects[i], name, sizeof name, &n) != OK ||
			!notify_name_is_shared(c, name))
			return false;
		s = notify_sub_find(c, name);
		if (s == NULL)
			s = notify_sub_new(w, c, name);
		if (s == NULL)
			return false;
		*wait = *wait || !s->ch->is_on;
	}
	return true;
}

static bool want_bound(struct worker *w, struct client *c, struct rd body, bool *wait)
{
	struct stmt_name *name;
	struct msg_parse p;
	struct msg_bind m;

	if (frontend_read_bind(body, (uint32_t)body.left, &m) != OK)
		return true;
	if (m.stmt_len != 0) {
		name = stmt_names_find(&c->names, m.stmt);
		return name == NULL || !judge_has_effects(judge_stmt(w, c, name)) ||
		       want_channels(w, c, name->stmt->query, name->stmt->query_len, wait);
	}
	if (c->unnamed == NULL || c->unnamed->len == 0 || !judge_has_effects(c->unnamed->word) ||
		frontend_read_parse(rd_of(c->unnamed->body, c->unnamed->len), &p) != OK)
		return true;
	return want_channels(w, c, p.sql, p.sql_len, wait);
}

static bool want_unit(struct worker *w, struct client *c, const uint8_t *data, bool *wait)
{
	struct msg_query q;
	struct msg_parse p;
	struct frame f;
	bool ok = true;

	for (uint32_t at = 0; ok && at < c->busy->unit.len; at += f.total) {
		if (frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f) != OK)
			break;
		if (f.type == FRONTEND_QUERY &&
			frontend_read_query(frame_body(data + at, &f), &q) == OK)
			ok = want_channels(w, c, q.sql, q.sql_len, wait);
		else if (f.type == FRONTEND_PARSE &&
			 frontend_read_parse(frame_body(data + at, &f), &p) == OK)
			ok = want_channels(w, c, p.sql, p.sql_len, wait);
		else if (f.type == FRONTEND_BIND)
			ok = want_bound(w, c, frame_body(data + at, &f), wait);
	}
	return ok;
}

/* It listens on its own server then. */
static void client_pins(struct worker *w, struct client *c)
{
	if (c->busy->streaming) {
		pins_add(&c->busy->pins, &w->sh->pins, PIN_LISTEN, w->now_us, "LISTEN", 6);
	} else {
		c->busy->unit.listens = false;
		c->busy->unit.pins |= 1u << PIN_LISTEN;
	}
	if (c->listening != NULL)
		sweep(w, c);
}

static void wait_ended(struct worker *w, struct listening *l)
{
	l->waits = false;
	wheel_del(&w->wheel, &l->wait);
	list_del(&l->waiting);
}

static void wait_for_channel(struct worker *w, struct client *c)
{
	struct listening *l = c->listening;

	if (l->waits)
		return;
	l->waits = true;
	if (!wheel_is_armed(&l->wait)) /* else it goes on waiting */
		wheel_add(&w->wheel, &l->wait, w->now_us + w->conf->node_timeout_us);
	list_push_back(&w->notify->waiting, &l->waiting);
}

static bool waits_on(struct worker *w, struct client *c, bool wait)
{
	if (wait)
		wait_for_channel(w, c);
	else if (c->listening != NULL)
		wheel_del(&w->wheel, &c->listening->wait);
	return wait;
}

static bool is_failed(const struct client *c)
{
	return c->txn == TXN_FAILED || c->txn == TXN_FAILED_ALONE;
}

bool notify_unit_waits(struct worker *w, struct client *c, const uint8_t *data)
{
	bool wait = false;

	if (!c->busy->unit.listens || is_failed(c))
		return false;
	if (!want_unit(w, c, data, &wait)) {
		client_pins(w, c);
		return false;
	}
	return waits_on(w, c, wait);
}

bool notify_bind_waits(struct worker *w, struct client *c, struct rd body)
{
	bool wait = false;

	if (is_failed(c) || c->verbatim || !notify_is_shared(w, c) ||
		!want_bound(w, c, body, &wait))
		return false;
	return waits_on(w, c, wait);
}

static void give_up_waiting(struct worker *w, struct client *c)
{
	log_warn(w->log, "LISTEN is not shared",
		"client=%lu db=%s reason=\"no listening connection\"", (unsigned long)c->id,
		LOG_Q(c->db->name));
	wait_ended(w, c->listening);
	client_pins(w, c);
	unit_go_on(w, c);
}

static void on_wait_over(void *ctx, struct wheel_timer *t)
{
	struct listening *l = list_entry(t, struct listening, wait);

	if (l->waits)
		give_up_waiting(ctx, l->owner);
}

bool notify_follows(struct worker *w, struct client *c, const char *channel)
{
	struct sub *s = notify_sub_find(c, channel);

	if (s == NULL || !notify_is_shared(w, c) || c->listening->n_ops >= NOTIFY_OPS_MAX)
		return false;
	c->server->dirt |= CLEAN(CHANNELS);
	return true;
}

static bool names_channels(const uint8_t *p, size_t len)
{
	static const char word[] = "pg_listening_channels";

	for (size_t n = sizeof word - 1; len >= n; p++, len--)
		if (strncasecmp((const char *)p, word, n) == 0)
			return true;
	return false;
}

/* Inside a transaction block LISTEN would come too late to be seen. */
bool notify_shows_channels(const struct client *c, const uint8_t *data)
{
	const struct stmt_name *name;
	struct msg_bind m;
	struct frame f;

	if (c->listening == NULL || c->busy->begin_sent ||
		(c->txn != TXN_NONE && c->txn != TXN_DEFERRED))
		return false;
	if (names_channels(data, c->busy->unit.len))
		return true;
	for (uint32_t at = 0; at < c->busy->unit.len; at += f.total) {
		if (frame_peek(data + at, c->busy->unit.len - at, FRAME_LEN_MAX, &f) != OK)
			return false;
		if (f.type != FRONTEND_BIND ||
			frontend_read_bind(frame_body(data + at, &f), frame_body_len(&f), &m) != OK)
			continue;
		name = stmt_names_find(&c->names, m.stmt);
		if (name != NULL &&
			names_channels((const uint8_t *)name->stmt->query, name->stmt->query_len))
			return true;
	}
	return false;
}

static size_t put_listen(char *to, const char *name)
{
	size_t n = 0;

	memcpy(to, "LISTEN \"", 8);
	n += 8;
	for (; *name != '\0'; name++) {
		if (*name == '"')
			to[n++] = '"';
		to[n++] = *name;
	}
	to[n++] = '"';
	to[n++] = ';';
	return n;
}

enum status notify_put_channels(struct worker *w, struct client *c)
{
	size_t n = 0, cap = (size_t)c->listening->n_subs * (CHANNEL_LEN * 2 + 16) + 1;
	char *sql = malloc(cap);
	struct list *it;
	enum status st = OK;

	(void)w;
	if (sql == NULL)
		return E_NOMEM;
	list_foreach (it, &c->listening->subs) {
		const struct sub *s = list_entry(it, struct sub, by_client);

		if (s->is_on)
			n += put_listen(sql + n, s->ch->name);
	}
	sql[n] = '\0';
	if (n != 0) {
		c->server->dirt |= CLEAN(CHANNELS);
		st = forward_hidden(c->server, sql, OWED_TAG_SETUP);
	}
	free(sql);
	return st;
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
	sweep(w, c);
	if (l->n_subs == 0 && l->queue_len == 0 && l->n_ops == 0)
		listening_free(w, c);
}

void notify_client_gone(struct worker *w, struct client *c)
{
	struct list *it, *tmp;

	if (c->listening == NULL)
		return;
	if (c->listening->waits)
		wait_ended(w, c->listening);
	list_foreach_safe (it, tmp, &c->listening->subs)
		sub_free(w, list_entry(it, struct sub, by_client));
	listening_free(w, c);
}

/* --- notifications --- */

bool notify_owns(const struct client *c, const char *channel)
{
	return notify_sub_find(c, channel) != NULL;
}

/* Is it between transactions, and nothing of an answer half said? */
static bool is_between(const struct client *c)
{
	const struct server *s = c->server;

	if (c->txn != TXN_NONE || c->busy->streaming || c->busy->skip_to_sync || c->busy->feeding)
		return false;
	return c->state == CLIENT_IDLE || (c->state == CLIENT_ACTIVE && server_is_quiet(s) &&
						  s->txn_status == 'I' && s->body_left == 0);
}

static void overflow(struct worker *w, struct client *c)
{
	struct report r = report_of("FATAL", SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
		"too many notifications wait for this client");

	r.hint = "It stays in a transaction or does not read, and more than notify_queue waits; "
		 "connect again, and LISTEN again.";
	atomic_fetch_add_explicit(&w->sh->notify.overflows, 1, memory_order_relaxed);
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
}

static bool queue_put(struct listening *l, const uint8_t *p, size_t len)
{
	size_t cap = l->queue_cap != 0 ? l->queue_cap : 512;
	uint8_t *q;

	while (cap < l->queue_len + len)
		cap *= 2;
	if (cap != l->queue_cap) {
		q = realloc(l->queue, cap);
		if (q == NULL)
			return false;
		l->queue = q;
		l->queue_cap = cap;
	}
	memcpy(l->queue + l->queue_len, p, len);
	l->queue_len += len;
	return true;
}

static bool is_heard(const struct client *c, const uint8_t *p, const struct frame *f)
{
	struct msg_notification m;
	const struct sub *s;

	if (f->type != BACKEND_NOTIFICATION_RESPONSE ||
		backend_read_notification(frame_body(p, f), &m) != OK)
		return true;
	s = notify_sub_find(c, m.channel);
	return s != NULL && s->is_on;
}

/* What came before an UNLISTEN, and one's own of what one does not listen to, is not told. */
static void drop_unheard(struct client *c)
{
	struct listening *l = c->listening;
	size_t to = 0;
	struct frame f;

	for (size_t at = 0; at < l->queue_len; at += f.total) {
		PANIC_IF(frame_peek(l->queue + at, l->queue_len - at, FRAME_LEN_MAX, &f) != OK);
		if (!is_heard(c, l->queue + at, &f))
			continue;
		memmove(l->queue + to, l->queue + at, f.total);
		to += f.total;
	}
	l->queue_len = to;
	l->recheck = false;
}

void notify_put_waiting(struct worker *w, struct client *c)
{
	struct listening *l = c->listening;

	(void)w;
	if (l == NULL || l->queue_len == 0)
		return;
	if (l->recheck)
		drop_unheard(c);
	conn_put_copy(c->conn, l->queue, l->queue_len);
	free(l->queue);
	l->queue = NULL;
	l->queue_len = l->queue_cap = 0;
}

static void give(struct worker *w, struct client *c, const uint8_t *p, size_t len)
{
	struct listening *l = c->listening;

	atomic_fetch_add_explicit(&w->sh->notify.delivered, 1, memory_order_relaxed);
	if (l->queue_len + conn_out_len(c->conn) + len > w->conf->notify_queue) {
		overflow(w, c);
		return;
	}
	if (!is_between(c)) {
		if (!queue_put(l, p, len))
			client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	notify_put_waiting(w, c);
	conn_put_copy(c->conn, p, len);
	conn_flush(c->conn);
	client_count_bytes(c);
}

/* Its text is the database's, and the client reads another: that is said, not garbled. */
static void put_unreadable(struct worker *w, struct client *c)
{
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct report r = report_of("WARNING", SQLSTATE_UNTRANSLATABLE_CHARACTER,
		"a notification could not be converted to client_encoding");

	r.hint = "SET client_encoding before LISTEN.";
	report_put(&out, 'N', &r);
	PANIC_IF(out.bad);
	give(w, c, out.buf, out.len);
}

/*
 * One's own may come before the answer that tells whether one listens by then: that is looked at
 * when the answer's end has come.
 */
void notify_give(struct worker *w, struct sub *s, const struct tell_notified *t)
{
	struct client *c = s->c;

	if (!s->is_on && (t->pid != notify_pid(c) || is_between(c)))
		return;
	if (!s->is_on)
		c->listening->recheck = true;
	if (t->is_ascii || is_encoding_shared(c))
		give(w, c, t->message, t->len);
	else
		put_unreadable(w, c);
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

/* --- what the control thread tells --- */

static struct dbase *find_dbase(struct worker *w, const char *name)
{
	struct list *it;

	list_foreach (it, &w->dbase_list)
		if (strcmp(list_entry(it, struct dbase, link)->name, name) == 0)
			return list_entry(it, struct dbase, link);
	return NULL;
}

/* A channel is listened to: look at the units again that wait for one. */
static void wake_waiting(struct worker *w)
{
	struct list due;
	struct list *it;

	list_init(&due);
	list_splice_back(&due, &w->notify->waiting);
	while ((it = list_pop_front(&due)) != NULL) {
		struct listening *l = list_entry(it, struct listening, waiting);

		l->waits = false;
		unit_go_on(w, l->owner); /* it may wait again */
	}
}

/* No channel of the database will be: the units that wait for one go on without. */
static void refuse_waiting(struct worker *w, const struct dbase *db)
{
	struct list all;
	struct list *it;

	list_init(&all);
	list_splice_back(&all, &w->notify->waiting);
	while ((it = list_pop_front(&all)) != NULL) {
		struct listening *l = list_entry(it, struct listening, waiting);

		list_push_back(&w->notify->waiting, it);
		if (l->owner->db == db)
			give_up_waiting(w, l->owner);
	}
}

void notify_put_lost(struct worker *w, struct client *c)
{
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct report r = report_of("NOTICE", SQLSTATE_SUCCESSFUL_COMPLETION,
		"notifications may have been missed: the listening connection was lost");

	r.hint = "It listens again; look at what the notifications would have told.";
	report_put(&out, 'N', &r);
	PANIC_IF(out.bad);
	give(w, c, out.buf, out.len);
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
		wake_waiting(w);
		return;
	case LISTENING_DOWN:
		map_foreach (ch, pos, &w->notify->channels)
			if (ch->db == db)
				ch->is_on = ch->is_marked = false;
		return;
	case LISTENING_REFUSED:
		refuse_waiting(w, db);
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

static void barrier_passed(struct worker *w, const struct ask_barrier *t)
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
			barrier_passed(w, (const struct ask_barrier *)(void *)j->mail);
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

/* --- who has notified --- */

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
