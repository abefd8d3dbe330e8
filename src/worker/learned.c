#include "worker/learned.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "sql/fingerprint.h"
#include "worker/client.h"
#include "worker/worker.h"

static struct learned_stmt *find(struct learned *l, uint64_t fingerprint)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->at[i].fingerprint == fingerprint)
			return &l->at[i];
	return NULL;
}

static struct learned_stmt *place(struct worker *w, struct dbase *db)
{
	struct learned *l = db->learned;
	struct learned_stmt *s;

	if (l == NULL)
		l = db->learned = calloc(1, sizeof *l);
	if (l == NULL)
		return NULL;
	s = &l->at[l->next];
	l->next = (l->next + 1) % LEARNED_MAX;
	if (l->n < LEARNED_MAX) {
		l->n++;
		atomic_fetch_add(&w->sh->learned_now, 1);
	}
	return s;
}

static void remember(struct worker *w, struct client *c, const char *sql, size_t len)
{
	struct dbase *db = c->db;
	uint64_t fingerprint = sql_fingerprint(sql, len, c->sql_opts);
	struct learned_stmt *s;

	if (db->learned != NULL && find(db->learned, fingerprint) != NULL)
		return; /* it was under way when it was learned */
	s = place(w, db);
	if (s == NULL)
		return;
	*s = (struct learned_stmt){.fingerprint = fingerprint, .since_us = w->now_us};
	if (len > sizeof s->text - 1)
		len = sizeof s->text - 1;
	memcpy(s->text, sql, len);
	db->learn_no++; /* verdicts that are kept are judged again */
	atomic_fetch_add(&w->sh->learned_total, 1);
	log_info(w->log, "a statement was learned to write", "db=%s fingerprint=%016llx",
		LOG_Q(db->name), (unsigned long long)fingerprint);
}

struct texts {
	const char *sql;
	size_t len;
	unsigned n; /* different ones */
};

static void add_text(struct texts *t, const char *sql, size_t len)
{
	if (t->n != 0 && t->len == len && memcmp(t->sql, sql, len) == 0)
		return;
	t->sql = sql;
	t->len = len;
	t->n++;
}

static void add_message(struct client *c, struct texts *t, const struct frame *f, struct rd body)
{
	const struct stmt_name *name;
	struct msg_parse parse;
	struct msg_query query;
	struct msg_bind bind;

	if (f->type == FRONTEND_QUERY && frontend_read_query(body, &query) == OK) {
		add_text(t, query.sql, query.sql_len);
	} else if (f->type == FRONTEND_PARSE && frontend_read_parse(body, &parse) == OK) {
		add_text(t, parse.sql, parse.sql_len);
	} else if (f->type == FRONTEND_BIND &&
		   frontend_read_bind(body, (uint32_t)body.left, &bind) == OK &&
		   bind.stmt_len != 0) {
		name = stmt_names_find(&c->names, bind.stmt);
		if (name != NULL)
			add_text(t, name->stmt->query, name->stmt->query_len);
	}
}

/* The only statement of the unit at the front; false: there are several, or it is not known. */
static bool only_statement(struct client *c, struct texts *t)
{
	const uint8_t *data = conn_rx_data(c->conn);
	size_t n = conn_rx_len(c->conn);
	struct frame f;

	for (size_t at = 0; at < n; at += f.total) {
		if (frame_peek(data + at, n - at, FRAME_LEN_MAX, &f) != OK || f.total > n - at)
			return false;
		add_message(c, t, &f, frame_body(data + at, &f));
		if (frontend_infos[f.type].flags & FRONTEND_ENDS_UNIT)
			break;
	}
	return t->n == 1;
}

void learned_teach(struct worker *w, struct client *c)
{
	struct texts t = {.n = 0};

	if (only_statement(c, &t))
		remember(w, c, t.sql, t.len);
}

void learned_apply(
	struct dbase *db, const char *sql, size_t len, uint32_t opts, struct sql_verdict *v)
{
	struct learned_stmt *s = find(db->learned, sql_fingerprint(sql, len, opts));

	if (s == NULL)
		return;
	s->hits++;
	v->flags = (v->flags & ~SQLV_REPLICA) | SQLV_BODY | SQLV_MAY_ADVANCE;
	v->cls = SQL_WRITE;
	v->cause = CAUSE_FUNCTION;
}

void learned_forget(struct worker *w, struct dbase *db)
{
	if (db->learned == NULL)
		return;
	atomic_fetch_sub(&w->sh->learned_now, db->learned->n);
	free(db->learned);
	db->learned = NULL;
	db->learn_no++;
}
