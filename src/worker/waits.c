#include "worker/waits.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "state/misuse.h"
#include "worker/queries.h"
#include "worker/server.h"

const char *wait_cause_name(enum wait_cause cause)
{
	static const char *const names[] = {
		[WAIT_SERVER] = "server",
		[WAIT_SERVER_LOGIN] = "server_login",
		[WAIT_NODE] = "node",
		[WAIT_FRESH] = "strong_read",
		[WAIT_MAX_PINNED] = "max_pinned",
		[WAIT_PAUSE] = "pause",
		[WAIT_SAME_SERVER] = "same_server",
	};

	return cause < WAIT_CAUSE_COUNT ? names[cause] : "?";
}

static enum wait_cause cause_of(const struct client *c, const struct pool *p)
{
	if (c->busy->wanted != NULL)
		return WAIT_SAME_SERVER;
	if (c->db->paused)
		return WAIT_PAUSE;
	if (p == NULL)
		return c->busy->waits_fresh ? WAIT_FRESH : WAIT_NODE;
	if (c->busy->wants_pin)
		return WAIT_MAX_PINNED;
	return p->n_login >= waitq_len(&p->line) ? WAIT_SERVER_LOGIN : WAIT_SERVER;
}

static void count(struct worker *w, struct client *c, uint64_t us)
{
	struct dbase *db = c->db;

	if (us == 0 || !w->conf->wait_stats)
		return;
	if (db->waits == NULL && (db->waits = calloc(1, sizeof *db->waits)) == NULL)
		return;
	hist_add(&db->waits->of[c->busy->wait_cause], us);
	if (us > db->waits->max_us[c->busy->wait_cause])
		db->waits->max_us[c->busy->wait_cause] = us;
}

void waits_begin(struct worker *w, struct client *c, const struct pool *p)
{
	enum wait_cause cause = cause_of(c, p);

	if (c->busy->wait_since_us != 0 && cause != c->busy->wait_cause) {
		count(w, c, w->now_us - c->busy->wait_since_us);
		c->busy->wait_since_us = 0;
	}
	if (c->busy->wait_since_us == 0)
		c->busy->wait_since_us = w->now_us;
	c->busy->wait_cause = (uint8_t)cause;
}

void waits_end(struct worker *w, struct client *c)
{
	if (c->busy->wait_since_us != 0)
		count(w, c, w->now_us - c->busy->wait_since_us);
	c->busy->wait_since_us = 0;
}

static void count_present(
	struct worker *w, const struct dbase *db, unsigned cause, struct show_wait_row *row)
{
	struct list *it;

	list_foreach (it, &w->clients) {
		const struct client *c = list_entry(it, struct client, link);

		if (c->db != db || c->busy->wait_since_us == 0 || c->busy->wait_cause != cause)
			continue; /* one whose login is not through may wait as well */
		row->now++;
		if (w->now_us - c->busy->wait_since_us > row->oldest_us)
			row->oldest_us = w->now_us - c->busy->wait_since_us;
	}
}

bool waits_next(
	struct worker *w, const struct dbase *db, unsigned *cause, struct show_wait_row *row)
{
	for (; w->conf->wait_stats && *cause < WAIT_CAUSE_COUNT; (*cause)++) {
		*row = (struct show_wait_row){.cause = (uint8_t)*cause};
		text_copy(row->database, sizeof row->database, db->name);
		count_present(w, db, *cause, row);
		if (db->waits != NULL) {
			hist_sum_add(&row->hist, &db->waits->of[*cause]);
			row->max_us = db->waits->max_us[*cause];
		}
		if (row->now != 0 || row->hist.count != 0) {
			(*cause)++;
			return true;
		}
	}
	return false;
}

/* --- misuse --- */

static const char *application(const struct client *c)
{
	const char *app = settings_get(c->set.current, "application_name");

	return app != NULL ? app : "";
}

static void note(
	struct worker *w, struct client *c, enum misuse_kind kind, uint8_t detail, uint64_t us)
{
	char addr[MISUSE_APP_MAX];
	const struct misuse_client who = {
		.application_name = application(c), .addr = addr, .id = c->id};
	const struct misuse_key key = {.owner = c->acc,
		.kind = (uint8_t)kind,
		.detail = detail,
		.fingerprint = c->busy->last_query};
	uint16_t port;

	conn_remote(c->conn, addr, sizeof addr, &port);
	misuse_note(queries_misuse(w), &key, &who, us, w->now_us);
}

/* For how long the client of a server has been idle in its transaction; 0: it is not. */
static uint64_t idle_us(const struct worker *w, const struct server *s)
{
	if (s->txn_status == 'I' || s->owed.n != 0)
		return 0;
	return w->now_us - s->unit_begun_us; /* when its last unit ended, while none is under way */
}

static bool is_long_idle(const struct worker *w, uint64_t us)
{
	return w->conf->misuse_idle_us != 0 && us >= w->conf->misuse_idle_us;
}

static bool is_long_block(const struct worker *w, uint64_t us)
{
	return w->conf->misuse_transaction_us != 0 && us >= w->conf->misuse_transaction_us;
}

void waits_was_idle(struct worker *w, struct client *c)
{
	uint64_t us = idle_us(w, c->server);

	if (is_long_idle(w, us))
		note(w, c, MISUSE_IDLE_IN_TRANSACTION, 0, us);
}

void waits_block_ended(struct worker *w, struct client *c, uint64_t us)
{
	if (is_long_block(w, us))
		note(w, c, MISUSE_LONG_TRANSACTION, 0, us);
}

void waits_unpinned(struct worker *w, struct client *c)
{
	if (w->conf->misuse_idle_us != 0)
		note(w, c, MISUSE_PIN, c->busy->pin_cause, w->now_us - c->busy->pinned_us);
}

static void put_statement(struct worker *w, struct show_misuse_row *row, const struct account *acc)
{
	text_copy(row->database, sizeof row->database, acc->db->name);
	text_copy(row->user, sizeof row->user, acc->user);
	queries_text(w, row->fingerprint, acc, row->text, sizeof row->text);
}

bool waits_misuse_at(struct worker *w, uint32_t i, struct show_misuse_row *row)
{
	const struct misuse_table *t = queries_misuse(w);
	const struct misuse *m;

	if (i >= t->n)
		return false;
	m = &t->at[i];
	*row = (struct show_misuse_row){.kind = m->key.kind,
		.detail = m->key.detail,
		.fingerprint = m->key.fingerprint,
		.n = m->n,
		.us = m->us,
		.longest_us = m->longest_us,
		.client = m->client,
		.seen_wall_us = worker_wall_us(w, m->seen_us)};
	memcpy(row->application_name, m->application_name, sizeof row->application_name);
	memcpy(row->addr, m->addr, sizeof row->addr);
	put_statement(w, row, m->key.owner);
	return true;
}

bool waits_misuse_now(struct worker *w, const struct server *s, enum misuse_kind kind,
	struct show_misuse_row *row)
{
	const struct client *c = s->client;
	uint64_t us = 0;
	bool is = false;
	uint16_t port;

	if (c == NULL || c->acc == NULL)
		return false;
	switch (kind) {
	case MISUSE_IDLE_IN_TRANSACTION:
		us = idle_us(w, s);
		is = is_long_idle(w, us);
		break;
	case MISUSE_LONG_TRANSACTION:
		us = w->now_us - c->busy->txn_begun_us;
		is = (c->txn == TXN_OPEN || c->txn == TXN_FAILED) && is_long_block(w, us);
		break;
	case MISUSE_PIN:
		us = w->now_us - c->busy->pinned_us;
		is = c->busy->pin_counted && w->conf->misuse_idle_us != 0;
		break;
	}
	if (!is)
		return false;
	*row = (struct show_misuse_row){.kind = (uint8_t)kind,
		.detail = kind == MISUSE_PIN ? c->busy->pin_cause : 0,
		.fingerprint = c->busy->last_query,
		.n = 1,
		.now = 1,
		.us = us,
		.longest_us = us,
		.client = c->id,
		.seen_wall_us = worker_wall_us(w, w->now_us)};
	text_copy(row->application_name, sizeof row->application_name, application(c));
	conn_remote(c->conn, row->addr, sizeof row->addr, &port);
	put_statement(w, row, c->acc);
	return true;
}
