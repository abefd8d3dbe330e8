#include "worker/image.h"

#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "net/conn.h"
#include "proto/frontend.h"
#include "proto/scram.h"
#include "route/params.h"
#include "state/backends.h"
#include "worker/custom.h"
#include "worker/found_out.h"
#include "worker/going.h"
#include "worker/notify.h"
#include "worker/savepoints.h"

uint32_t image_format(void)
{
	return IMAGE_FORMAT << 16 | (uint32_t)(sizeof(struct auth_learned) & 0xffffu);
}

/* --- can it be told? --- */

static bool is_between_units(const struct client *c)
{
	return c->txn == TXN_NONE && c->busy->sent_len == 0 && c->busy->body_left == 0 &&
	       !c->busy->body_dropped && !c->busy->streaming && !c->busy->skip_to_sync &&
	       !c->busy->flushed && !c->busy->stalled && !c->busy->checking &&
	       !c->busy->drop_next && !c->busy->feeding && c->busy->refused_len == 0 &&
	       !c->busy->unit_retained && !c->busy->begin_sent &&
	       c->busy->end_sent == EFFECT_NONE && !c->busy->end_unsure && !c->busy->end_bound &&
	       !c->busy->force_primary && !c->busy->asked_to_flush;
}

static bool has_what_stays(const struct client *c)
{
	return c->replication || !notify_can_go(c) || c->busy->confirm != NULL ||
	       pins_any(&c->busy->pins) || c->busy->pin_counted || c->busy->savepoints != NULL ||
	       c->busy->bound != NULL || c->busy->expected != NULL ||
	       c->busy->doubt_names != NULL || c->busy->doubt_all || c->set.in_txn ||
	       c->set.current != c->set.committed ||
	       (c->params != NULL && params_is_pending(c->params));
}

bool image_can_tell(const struct client *c)
{
	return (c->state == CLIENT_IDLE || c->state == CLIENT_WAITING) && c->server == NULL &&
	       c->login == NULL && is_between_units(c) && !has_what_stays(c) &&
	       conn_tls(c->conn) == NULL;
}

/* --- putting --- */

static void put_set(struct wr *out, const struct settings *s)
{
	wr_u16(out, (uint16_t)settings_n(s));
	for (size_t i = 0; i < settings_n(s); i++) {
		wr_cstr(out, settings_name(s, i));
		wr_cstr(out, settings_value(s, i));
	}
}

static void put_bytes(struct wr *out, const void *p, uint32_t len)
{
	wr_u32(out, len);
	wr_bytes(out, p, len);
}

static void put_stmt(struct wr *out, const struct stmt *s)
{
	wr_u8(out, s->is_sql);
	put_bytes(out, s->query, s->query_len);
	wr_u16(out, s->n_types);
	wr_bytes(out, s->types, (size_t)s->n_types * 4);
	put_set(out, s->parse);
}

static void put_name(struct wr *out, const struct stmt_name *n, const char *name)
{
	wr_u8(out, 1);
	wr_cstr(out, name);
	wr_u64(out, n->seen.shape);
	put_stmt(out, n->stmt);
}

static void put_names(struct wr *out, const struct stmt_names *names)
{
	struct stmt_name *n;
	size_t pos = 0;

	if (names->unnamed != NULL && names->unnamed->stmt != NULL)
		put_name(out, names->unnamed, "");
	while ((n = stmt_names_next(names, &pos)) != NULL)
		put_name(out, n, n->name);
	wr_u8(out, 0);
}

static void put_unnamed(struct wr *out, const struct unnamed *u)
{
	wr_u8(out, u != NULL && u->len != 0);
	if (u == NULL || u->len == 0)
		return;
	wr_u8(out, u->is_closed);
	wr_u64(out, u->seen.shape);
	wr_u32(out, u->sql_opts);
	put_bytes(out, u->body, u->len);
}

static void put_ask(struct wr *out, const struct ask *a)
{
	char text[ASK_VALUE_MAX];

	for (unsigned i = 0; i < ASK_PARAMS; i++) {
		ask_format(a, (enum ask_param)i, text);
		wr_cstr(out, i != ASK_LAST_LSN ? text : "");
	}
}

static void put_params(struct wr *out, const struct params *p)
{
	wr_u8(out, p != NULL);
	if (p == NULL)
		return;
	put_ask(out, params_login(p));
	put_ask(out, params_now(p));
}

static void put_baseline(struct wr *out, const struct account *acc)
{
	wr_u8(out, acc->has_baseline);
	for (uint32_t i = 0; acc->has_baseline && i < acc->baseline.n; i++) {
		wr_u8(out, 1);
		wr_cstr(out, acc->baseline.params[i].name);
		wr_cstr(out, acc->baseline.params[i].value);
	}
	wr_u8(out, 0);
}

static void put_from(struct wr *out, const struct client *c)
{
	struct net_addr from;

	if (conn_remote_addr(c->conn, &from) == OK && !net_addr_is_unix(&from))
		put_bytes(out, &from.u, from.len);
	else
		wr_u32(out, 0);
}

/* What the logins of its clients have left for the account's servers. */
static void put_own(struct wr *out, const struct account *acc)
{
	wr_u8(out, acc->learned != NULL);
	if (acc->learned != NULL)
		wr_bytes(out, acc->learned, sizeof *acc->learned);
	wr_u8(out, acc->secret != NULL);
	if (acc->secret != NULL)
		wr_cstr(out, acc->secret);
}

void image_put(const struct client *c, struct wr *out)
{
	const struct account *acc = c->acc;

	wr_cstr(out, acc->user);
	wr_cstr(out, c->db->name);
	wr_u32(out, c->number);
	put_from(out, c);
	wr_u8(out, c->key_len);
	wr_bytes(out, c->key, c->key_len);
	wr_u64(out, c->connected_us);
	wr_u64(out, c->request_us);
	wr_u64(out, c->busy->wait_begun_us);
	wr_u8(out, c->hint_told);
	wr_u8(out, c->had_broken);
	put_own(out, acc);
	put_baseline(out, acc);
	put_set(out, c->set.login);
	put_set(out, c->set.committed);
	put_set(out, c->custom);
	put_params(out, c->params);
	put_names(out, &c->names);
	put_unnamed(out, c->unnamed);
	notify_put_image(c, out);
}

/* --- reading --- */

/* None: len 0. */
static enum status read_addr(struct rd *in, struct net_addr *out)
{
	struct sockaddr_storage a = {0};
	uint32_t len = rd_u32(in);
	const uint8_t *p = rd_bytes(in, len);

	*out = (struct net_addr){0};
	if (p == NULL || len > sizeof a)
		return E_PROTO;
	memcpy(&a, p, len);
	if (len != 0 && net_addr_set(out, (const struct sockaddr *)&a, (socklen_t)len) != OK)
		return E_PROTO;
	return OK;
}

/* Later than now is now: what is measured from it would be negative. */
static uint64_t read_time(struct worker *w, struct rd *in)
{
	uint64_t t = rd_u64(in);

	return t < w->now_us ? t : w->now_us;
}

enum status image_read_head(struct rd *in, struct image_head *out)
{
	out->user = rd_cstr(in);
	out->database = rd_cstr(in);
	out->number = rd_u32(in);
	if (in->bad || strlen(out->user) >= NAME_LEN || strlen(out->database) >= NAME_LEN)
		return E_PROTO;
	return read_addr(in, &out->from);
}

static enum status read_set(struct worker *w, struct rd *in, struct settings **out)
{
	struct settings *set = settings_empty(w->settings), *more;
	uint16_t n = rd_u16(in);
	enum status st = OK;

	for (uint16_t i = 0; i < n && st == OK && !in->bad; i++) {
		const char *name = rd_cstr(in), *value = rd_cstr(in);

		st = in->bad ? E_PROTO : settings_put(w->settings, set, name, value, &more);
		if (st != OK)
			break;
		settings_unref(w->settings, set);
		set = more;
	}
	if (st == OK && !in->bad) {
		*out = set;
		return OK;
	}
	settings_unref(w->settings, set);
	return st != OK ? st : E_PROTO;
}

static enum status read_settings(struct worker *w, struct client *c, struct rd *in)
{
	struct settings *login, *now;
	enum status st = read_set(w, in, &login);

	if (st != OK)
		return st;
	settings_txn_fini(&c->set);
	settings_txn_init(&c->set, w->settings, &login);
	if ((st = read_set(w, in, &now)) != OK)
		return st;
	settings_txn_found(&c->set, now);
	settings_unref(w->settings, now);
	if ((st = read_set(w, in, &now)) != OK)
		return st;
	settings_unref(w->settings, c->custom);
	c->custom = now;
	return OK;
}

static enum status read_stmt(struct worker *w, struct rd *in, struct stmt **out)
{
	struct stmt_text text = {.is_sql = rd_u8(in) != 0};
	struct settings *parse;
	enum status st;

	text.query_len = rd_u32(in);
	text.query = (const char *)rd_bytes(in, text.query_len);
	text.n_types = rd_u16(in);
	text.types = rd_bytes(in, (size_t)text.n_types * 4);
	if (in->bad)
		return E_PROTO;
	if ((st = read_set(w, in, &parse)) != OK)
		return st;
	text.parse = parse;
	st = stmt_intern(w->stmts, &text, out);
	settings_unref(w->settings, parse);
	return st;
}

static enum status read_one_name(struct worker *w, struct client *c, struct rd *in)
{
	const char *name = rd_cstr(in);
	struct stmt_seen seen = {.shape = rd_u64(in), .ddl = going_ddl_now(w)};
	struct stmt_name *entry;
	struct stmt *s;
	enum status st = read_stmt(w, in, &s);

	if (st != OK)
		return st;
	st = stmt_names_put(&c->names, name, s, &entry);
	stmt_unref(w->stmts, s);
	if (st == OK)
		entry->seen = seen;
	return st;
}

static enum status read_names(struct worker *w, struct client *c, struct rd *in)
{
	enum status st = OK;

	while (st == OK && rd_u8(in) == 1)
		st = read_one_name(w, c, in);
	return in->bad ? E_PROTO : st;
}

static enum status read_unnamed(struct worker *w, struct client *c, struct rd *in)
{
	struct unnamed is = {.seen.ddl = going_ddl_now(w)}, *u;
	struct msg_parse parse;
	const uint8_t *body;

	if (rd_u8(in) == 0)
		return in->bad ? E_PROTO : OK;
	is.is_closed = rd_u8(in) != 0;
	is.seen.shape = rd_u64(in);
	is.sql_opts = rd_u32(in);
	is.len = is.cap = rd_u32(in);
	body = rd_bytes(in, is.len);
	if (body == NULL || frontend_read_parse(rd_of(body, is.len), &parse) != OK ||
		parse.name_len != 0)
		return E_PROTO;
	u = malloc(sizeof *u + is.len);
	if (u == NULL)
		return E_NOMEM;
	*u = is;
	memcpy(u->body, body, is.len);
	c->unnamed = u;
	return OK;
}

static enum status read_ask(struct rd *in, struct params *p, bool is_login)
{
	enum status st = OK;

	for (unsigned i = 0; i < ASK_PARAMS && st == OK; i++) {
		const char *text = rd_cstr(in);

		if (i == ASK_LAST_LSN || text[0] == '\0')
			continue;
		st = is_login ? params_start(p, (enum ask_param)i, text)
			      : params_set(p, (enum ask_param)i, text, false, false);
	}
	return in->bad ? E_PROTO : st;
}

static enum status read_params(struct client *c, struct rd *in)
{
	enum status st;

	if (rd_u8(in) == 0)
		return in->bad ? E_PROTO : OK;
	c->params = params_new();
	if (c->params == NULL)
		return E_NOMEM;
	st = read_ask(in, c->params, true);
	return st == OK ? read_ask(in, c->params, false) : st;
}

/* The account of the new process knows them already if another client was there before. */
static enum status read_baseline(struct worker *w, struct account *acc, struct rd *in)
{
	bool has_baseline = rd_u8(in) != 0;
	struct baseline b = {0};
	enum status st = OK;

	while (st == OK && rd_u8(in) == 1) {
		const char *name = rd_cstr(in), *value = rd_cstr(in);

		st = in->bad ? E_PROTO : baseline_put(&b, name, value);
	}
	if (st == OK && !in->bad && has_baseline && !acc->has_baseline)
		account_set_baseline(w, acc, &b);
	baseline_fini(&b);
	return in->bad ? E_PROTO : st;
}

static enum status read_learned(struct account *acc, struct rd *in)
{
	const uint8_t *p = rd_bytes(in, sizeof *acc->learned);
	struct auth_learned learned;

	if (p == NULL)
		return E_PROTO;
	memcpy(&learned, p, sizeof learned);
	if (learned.salt.len > sizeof learned.salt.bytes)
		return E_PROTO;
	if (acc->learned == NULL && (acc->learned = malloc(sizeof learned)) != NULL)
		*acc->learned = learned;
	scram_wipe(&learned, sizeof learned);
	return OK;
}

/* The account may know better already, by a login of its own. */
static enum status read_own(struct account *acc, struct rd *in)
{
	const char *secret;

	if (rd_u8(in) != 0 && read_learned(acc, in) != OK)
		return E_PROTO;
	if (rd_u8(in) == 0)
		return in->bad ? E_PROTO : OK;
	secret = rd_cstr(in);
	if (!in->bad && acc->secret == NULL)
		acc->secret = strdup(secret);
	return in->bad ? E_PROTO : OK;
}

static enum status read_facts(struct worker *w, struct client *c, struct rd *in)
{
	uint8_t len = rd_u8(in);
	const uint8_t *key = rd_bytes(in, len);

	if (key == NULL || len > sizeof c->key)
		return E_PROTO;
	memcpy(c->key, key, len);
	c->key_len = len;
	c->connected_us = read_time(w, in);
	c->request_us = read_time(w, in);
	c->busy->wait_begun_us = read_time(w, in);
	c->hint_told = rd_u8(in) != 0;
	c->had_broken = rd_u8(in) != 0;
	return in->bad ? E_PROTO : OK;
}

enum status image_read_client(struct worker *w, struct client *c, struct rd *in)
{
	enum status st = read_facts(w, c, in);

	if (st == OK)
		st = read_own(c->acc, in);
	if (st == OK)
		st = read_baseline(w, c->acc, in);
	if (st == OK)
		st = read_settings(w, c, in);
	if (st == OK)
		st = read_params(c, in);
	if (st == OK)
		st = read_names(w, c, in);
	if (st == OK)
		st = read_unnamed(w, c, in);
	if (st == OK)
		st = notify_read_image(w, c, in);
	return st;
}

/* --- servers --- */

bool image_can_tell_server(const struct server *s)
{
	return s->state == SERVER_IDLE && conn_tls(s->conn) == NULL && s->cancel == NULL &&
	       s->wanted_by == NULL && !s->close_needed && !s->has_odd && !s->in_message &&
	       !s->replication && s->dirt == 0 && stmt_names_n(&s->real) == 0 &&
	       server_is_quiet(s) && conn_rx_len(s->conn) == 0 && conn_out_len(s->conn) == 0;
}

/* The least recently used first, so that reading them gives the same order. */
static void put_lru(struct wr *out, const struct stmt_lru *l)
{
	wr_u64(out, l->last_number);
	for (uint32_t at = l->n != 0 ? l->entries[0].newer : 0; at != 0;
		at = l->entries[at].newer) {
		const struct stmt_lru_entry *e = &l->entries[at];

		if (e->is.ddl == 0)
			continue; /* to be parsed anew anyway; its number is not used again */
		wr_u8(out, 1);
		wr_u64(out, e->number);
		wr_u64(out, e->is.shape);
		put_stmt(out, e->stmt);
	}
	wr_u8(out, 0);
}

static void put_flags(struct wr *out, const struct server *s)
{
	wr_u8(out, s->in_recovery);
	wr_u8(out, s->plain_isolation);
	wr_u8(out, s->serializable);
	wr_u8(out, s->is_reset_done);
	wr_u8(out, s->is_bare);
}

void image_put_server(const struct server *s, struct wr *out)
{
	put_flags(out, s);
	wr_u32(out, s->timeline);
	wr_u32(out, s->notifier);
	wr_u32(out, s->backend_pid);
	wr_u32(out, s->backend_key_len);
	wr_bytes(out, s->backend_key, sizeof s->backend_key);
	wr_u32(out, s->version_num);
	wr_u64(out, s->login_hash);
	wr_u64(out, s->opened_us);
	wr_u64(out, s->used_us);
	wr_u64(out, s->checked_us);
	wr_u64(out, s->kept_us);
	wr_u64(out, s->ready_us);
	wr_u64(out, s->node_system_id);
	wr_u64(out, (uint64_t)s->node_start_us);
	put_bytes(out, &s->addr, s->addr_len);
	put_baseline(out, s->pool->acc);
	put_set(out, s->settings);
	put_set(out, s->names);
	put_set(out, s->made);
	put_lru(out, &s->stmts);
}

static enum status read_held_set(struct worker *w, struct rd *in, struct settings **place)
{
	struct settings *set;
	enum status st = read_set(w, in, &set);

	if (st != OK)
		return st;
	settings_unref(w->settings, *place);
	*place = set;
	return OK;
}

static enum status read_lru_entry(struct worker *w, struct server *s, struct rd *in)
{
	uint64_t number = rd_u64(in), victim;
	struct stmt_seen seen = {.shape = rd_u64(in), .ddl = going_ddl_now(w)};
	struct stmt_lru_entry *e;
	struct stmt *stmt;
	enum status st = read_stmt(w, in, &stmt);

	if (st != OK)
		return st;
	s->stmts.last_number = number - 1;
	st = number == 0 || stmt_lru_find(&s->stmts, stmt) != 0
		     ? E_PROTO
		     : stmt_lru_add(&s->stmts, stmt, &e, &victim);
	stmt_unref(w->stmts, stmt);
	if (st != OK)
		return st;
	e->is = seen;
	return victim == 0 ? OK : E_LIMIT; /* max_prepared_statements is less now */
}

static enum status read_lru(struct worker *w, struct server *s, struct rd *in)
{
	uint64_t last = rd_u64(in);
	enum status st = OK;

	while (st == OK && rd_u8(in) == 1)
		st = read_lru_entry(w, s, in);
	s->stmts.last_number = last;
	return in->bad ? E_PROTO : st;
}

static enum status read_where(struct worker *w, struct server *s, struct rd *in)
{
	struct net_addr addr;
	const uint8_t *key;

	s->timeline = rd_u32(in);
	s->notifier = rd_u32(in);
	s->backend_pid = rd_u32(in);
	s->backend_key_len = rd_u32(in);
	key = rd_bytes(in, sizeof s->backend_key);
	s->version_num = rd_u32(in);
	s->login_hash = rd_u64(in);
	s->opened_us = read_time(w, in);
	s->used_us = read_time(w, in);
	s->checked_us = read_time(w, in);
	s->kept_us = read_time(w, in);
	s->ready_us = read_time(w, in);
	s->node_system_id = rd_u64(in);
	s->node_start_us = (int64_t)rd_u64(in);
	if (read_addr(in, &addr) != OK || key == NULL || s->backend_key_len > sizeof s->backend_key)
		return E_PROTO;
	memcpy(s->backend_key, key, sizeof s->backend_key);
	memcpy(&s->addr, &addr.u, addr.len);
	s->addr_len = addr.len;
	return OK;
}

enum status image_read_server(struct worker *w, struct server *s, struct rd *in)
{
	enum status st;

	s->in_recovery = rd_u8(in) != 0;
	s->plain_isolation = rd_u8(in) != 0;
	s->serializable = rd_u8(in) != 0;
	s->is_reset_done = rd_u8(in) != 0;
	s->is_bare = rd_u8(in) != 0;
	s->had_temp = true; /* for all that is known */
	if ((st = read_where(w, s, in)) != OK || (st = read_baseline(w, s->pool->acc, in)) != OK ||
		(st = read_held_set(w, in, &s->settings)) != OK ||
		(st = read_held_set(w, in, &s->names)) != OK ||
		(st = read_held_set(w, in, &s->made)) != OK)
		return st;
	return read_lru(w, s, in);
}
