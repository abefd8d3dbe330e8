#include "worker/notify_own.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "conf/effective.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/lexer.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/server.h"
#include "worker/unit.h"

/* --- may it be shared? --- */

bool notify_reads_encoding(const struct client *c)
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
	       notify_reads_encoding(c);
}

bool notify_name_is_shared(const struct client *c, const char *name)
{
	const char *server = baseline_get(&c->acc->baseline, "server_encoding");

	return text_is_ascii(name) || (server != NULL && strcmp(server, "UTF8") == 0 &&
					      lexer_inspect(name, strlen(name), true) != TEXT_BAD);
}

/* --- it waits for its channels --- */

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
		notify_sweep(w, c);
}

void notify_wait_ended(struct worker *w, struct listening *l)
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
	notify_wait_ended(w, c->listening);
	client_pins(w, c);
	unit_go_on(w, c);
}

void notify_wait_over(void *ctx, struct wheel_timer *t)
{
	struct listening *l = list_entry(t, struct listening, wait);

	if (l->waits)
		give_up_waiting(ctx, l->owner);
}

void notify_wake_waiting(struct worker *w)
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

void notify_refuse_waiting(struct worker *w, const struct dbase *db)
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

/* --- it is sent --- */

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
