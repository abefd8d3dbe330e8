#include "worker/effects.h"

#include <stdlib.h>
#include <string.h>

#include "state/settings_class.h"
#include "worker/forward.h"
#include "worker/judge.h"
#include "worker/notify.h"
#include "worker/ours.h"
#include "worker/savepoints.h"
#include "worker/sqlstmt.h"

struct effect_item {
	uint8_t kind; /* enum sql_effect_kind */
	uint8_t flags;
	uint16_t stmt;
	struct sql_modes modes;
	char *name, *value; /* NULL if there is none */
};

struct effects {
	uint32_t n_complete; /* statements that have ended */
	uint32_t n;
	struct effect_item items[];
};

void effects_free(struct effects *e)
{
	if (e == NULL)
		return;
	for (uint32_t i = 0; i < e->n; i++) {
		free(e->items[i].name);
		free(e->items[i].value);
	}
	free(e);
}

/* Must the effect be followed when its statement has ended? */
static bool is_followed(const struct sql_effect *e)
{
	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_SET:
	case EFFECT_RESET:
		return (e->flags & (SQL_EFFECT_LOCAL | SQL_EFFECT_UNTRACKED | SQL_EFFECT_CUSTOM)) ==
		       0;
	case EFFECT_UNKNOWN: /* pins if it succeeds */
	case EFFECT_COMMIT:
	case EFFECT_ROLLBACK:
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO:
	case EFFECT_SET_CHARACTERISTICS:
	case EFFECT_RESET_ALL:
	case EFFECT_DISCARD_ALL:
	case EFFECT_DISCARD_TEMP:
	case EFFECT_DISCARD_SEQUENCES:
	case EFFECT_ADVISORY_UNLOCK_ALL:
	case EFFECT_LISTEN: /* unless it pins */
	case EFFECT_UNLISTEN:
	case EFFECT_UNLISTEN_ALL:
	case EFFECT_CLOSE_ALL:
	case EFFECT_DEALLOCATE_ALL:
	case EFFECT_DEALLOCATE:
	case EFFECT_PREPARE:
		return true;
	default:
		return false;
	}
}

/* Has a statement been sent whose effects are not known yet? */
static bool awaits_effects(const struct server *s)
{
	for (uint32_t i = 0; i < s->owed.n; i++)
		if (owed_at(&s->owed, i)->tag == OWED_TAG_EFFECTS)
			return true;
	return false;
}

/* The end of a transaction in which nothing was set: there is nothing to follow. */
static bool is_plain_end(const struct client *c, const struct server *s,
	const struct sql_verdict *v, const struct sql_effect *e)
{
	return (e->kind == EFFECT_COMMIT || e->kind == EFFECT_ROLLBACK) && v->n_effects == 1 &&
	       (c->params == NULL || !params_is_pending(c->params)) &&
	       c->set.current == c->set.committed && notify_n_ops(c) == 0 && !awaits_effects(s);
}

static char *decoded(enum status (*decode)(const char *, uint32_t, const struct sql_effect *,
			     char *, size_t, size_t *),
	const char *sql, uint32_t opts, const struct sql_effect *e, size_t max)
{
	char *buf = malloc(max + 1), *fit;
	size_t len;

	if (buf == NULL || decode(sql, opts, e, buf, max + 1, &len) != OK) {
		free(buf);
		return NULL;
	}
	fit = realloc(buf, len + 1);
	return fit != NULL ? fit : buf;
}

static void pin(struct worker *w, struct client *c, enum pin_cause cause, const char *sql)
{
	pins_add(&c->pins, &w->sh->pins, cause, w->now_us, sql, strlen(sql));
}

/* Name and text of a PREPARE, name of a DEALLOCATE. False: it is not carried. */
static bool add_sql_statement(
	struct client *c, struct effect_item *it, const char *sql, const struct sql_effect *e)
{
	struct sql_view text = {0, 0};

	if (e->kind == EFFECT_PREPARE) {
		text = sqlstmt_text(sql, strlen(sql), c->sql_opts, e);
		if (text.len == 0)
			return false;
		it->value = strndup(sql + text.off, text.len);
	}
	it->name = decoded(sql_effect_name, sql, c->sql_opts, e, SQL_NAME_MAX);
	if (it->name != NULL && (e->kind == EFFECT_DEALLOCATE || it->value != NULL))
		return true;
	free(it->name);
	free(it->value);
	return false;
}

static void add_item(struct worker *w, struct client *c, struct effects *out, const char *sql,
	const struct sql_effect *e)
{
	struct effect_item *it = &out->items[out->n];

	*it = (struct effect_item){
		.kind = e->kind, .flags = e->flags, .stmt = e->stmt, .modes = e->modes};
	if (e->kind == EFFECT_LISTEN || e->kind == EFFECT_UNLISTEN) {
		it->name = decoded(sql_effect_name, sql, c->sql_opts, e, SETTINGS_NAME_MAX);
		if (it->name == NULL ||
			(e->kind == EFFECT_LISTEN && !notify_follows(w, c, it->name))) {
			pin(w, c, PIN_LISTEN, sql); /* the server listens for this client alone */
			free(it->name);
			return;
		}
	}
	if (e->kind == EFFECT_SET || e->kind == EFFECT_RESET || e->kind == EFFECT_SAVEPOINT ||
		e->kind == EFFECT_RELEASE || e->kind == EFFECT_ROLLBACK_TO) {
		it->name = decoded(sql_effect_name, sql, c->sql_opts, e, SETTINGS_NAME_MAX);
		if (it->name == NULL) {
			pin(w, c, PIN_SET_CONFIG, sql);
			return;
		}
	}
	if (e->kind == EFFECT_SET) {
		it->value = decoded(sql_effect_value, sql, c->sql_opts, e, SETTINGS_VALUE_MAX);
		if (it->value == NULL) {
			pin(w, c, PIN_SET_CONFIG, sql);
			free(it->name);
			return;
		}
	}
	if (e->kind == EFFECT_PREPARE || e->kind == EFFECT_DEALLOCATE) {
		if (!add_sql_statement(c, it, sql, e)) {
			pin(w, c, PIN_SQL_PREPARE, sql);
			return;
		}
	}
	out->n++;
}

enum status effects_begin(struct worker *w, struct client *c, struct server *s, const char *sql,
	const struct sql_verdict *v, struct effects **out)
{
	struct effects *e;

	*out = NULL;
	if (v->flags & SQLV_LOST)
		pin(w, c, PIN_UNKNOWN, sql);
	if (v->n_effects == 0)
		return OK;
	e = calloc(1, sizeof *e + v->n_effects * sizeof e->items[0]);
	if (e == NULL)
		return E_NOMEM;
	for (uint8_t i = 0; i < v->n_effects; i++) {
		enum pin_cause cause = judge_pin(&v->effects[i]);

		if (cause != PIN_CAUSE_COUNT && v->effects[i].kind != EFFECT_UNKNOWN &&
			v->effects[i].kind != EFFECT_LISTEN)
			pin(w, c, cause, sql);
		if (v->effects[i].kind == EFFECT_COMMIT)
			c->commit_sent = true;
		if (is_followed(&v->effects[i]) && !is_plain_end(c, s, v, &v->effects[i]))
			add_item(w, c, e, sql, &v->effects[i]);
	}
	if (e->n == 0) {
		effects_free(e);
		return OK;
	}
	*out = e;
	return OK;
}

/* --- applying --- */

/* Reported parameters are followed by ParameterStatus, which knows the server's spelling. */
static bool is_reported(const struct client *c, const char *name)
{
	return baseline_get(&c->acc->baseline, name) != NULL;
}

static void put_setting(struct worker *w, struct client *c, const char *name, const char *value)
{
	switch (settings_class_of(name)) {
	case SETTINGS_TXN:
		return;
	case SETTINGS_ROLE:
		pin(w, c, PIN_ROLE, name);
		return;
	case SETTINGS_SEED:
		pin(w, c, PIN_SETSEED, name);
		return;
	case SETTINGS_CUSTOM:
		pin(w, c, PIN_CUSTOM_PARAMETER, name);
		return;
	case SETTINGS_CARRIED:
		break;
	}
	if (!is_reported(c, name) && settings_txn_set(&c->set, name, value) != OK)
		pin(w, c, PIN_SET_CONFIG, name);
}

/*
 * The server has gone back to its own default; for the client RESET goes back to what its start-up
 * packet said. The difference is sent ahead of its next message.
 */
static void server_lacks(struct worker *w, struct client *c, struct server *s, struct settings *has)
{
	server_set_settings(w, s, has);
	c->prefix_due = true;
	c->rediff = true;
}

static void reset_setting(struct worker *w, struct client *c, struct server *s, const char *name)
{
	struct settings *has;

	if (settings_class_of(name) == SETTINGS_ROLE) {
		pins_undo(&c->pins, &w->sh->pins, PIN_UNDO_RESET_ROLE);
		return;
	}
	if (settings_get(c->set.login, name) != NULL) {
		if (settings_drop(w->settings, c->set.current, name, &has) == OK) {
			server_lacks(w, c, s, has);
			settings_unref(w->settings, has);
		} else {
			pin(w, c, PIN_SET_CONFIG, name);
		}
	} else if (is_reported(c, name)) {
		return; /* ParameterStatus tells */
	}
	if (settings_txn_reset(&c->set, name) != OK)
		pin(w, c, PIN_SET_CONFIG, name);
}

static void reset_all(struct worker *w, struct client *c, struct server *s)
{
	struct settings *none = settings_empty(w->settings);

	settings_txn_reset_all(&c->set);
	if (settings_n(c->set.login) != 0)
		server_lacks(w, c, s, none);
	settings_unref(w->settings, none);
	s->is_bare = true;
	c->prefix_due = true;
}

static void put_characteristics(struct worker *w, struct client *c, const struct sql_modes *m)
{
	static const char *const isolation[] = {
		[ISOLATION_READ_UNCOMMITTED] = "read uncommitted",
		[ISOLATION_READ_COMMITTED] = "read committed",
		[ISOLATION_REPEATABLE_READ] = "repeatable read",
		[ISOLATION_SERIALIZABLE] = "serializable",
	};

	if (m->isolation != ISOLATION_UNSET)
		put_setting(w, c, "default_transaction_isolation", isolation[m->isolation]);
	if (m->read_only != TRI_UNSET)
		put_setting(w, c, "default_transaction_read_only",
			m->read_only == TRI_YES ? "on" : "off");
	if (m->deferrable != TRI_UNSET)
		put_setting(w, c, "default_transaction_deferrable",
			m->deferrable == TRI_YES ? "on" : "off");
}

static void undo(struct worker *w, struct client *c, enum pin_undo what)
{
	pins_undo(&c->pins, &w->sh->pins, what);
}

static void discard_all(struct worker *w, struct client *c, struct server *s)
{
	reset_all(w, c, s);
	sqlstmt_gone(c, s, NULL);
	stmt_lru_clear(&s->stmts);
	if (c->unnamed != NULL)
		c->unnamed->len = 0;
	c->seq_server_id = 0;
	c->seq_advanced = false;
	notify_note(w, c, NOTIFY_UNLISTEN_ALL, NULL);
	undo(w, c, PIN_UNDO_DISCARD_ALL);
}

void effects_savepoint(struct worker *w, struct client *c, const char *name)
{
	if (savepoints_push(&c->savepoints, &c->set, name, notify_n_ops(c)) != OK)
		pin(w, c, PIN_SAVEPOINT_SET, "SAVEPOINT");
}

static void apply(struct worker *w, struct client *c, struct server *s, struct effect_item *it,
	bool rolled_back)
{
	uint32_t n_ops;

	ours_effect(c, (enum sql_effect_kind)it->kind, it->name, rolled_back);
	switch ((enum sql_effect_kind)it->kind) {
	case EFFECT_SET:
		put_setting(w, c, it->name, it->value);
		break;
	case EFFECT_RESET:
		reset_setting(w, c, s, it->name);
		break;
	case EFFECT_UNKNOWN:
		pin(w, c, PIN_UNKNOWN, "a statement that is not understood");
		break;
	case EFFECT_SET_CHARACTERISTICS:
		put_characteristics(w, c, &it->modes);
		break;
	case EFFECT_RESET_ALL:
		reset_all(w, c, s);
		undo(w, c, PIN_UNDO_RESET_ALL);
		break;
	case EFFECT_DISCARD_ALL:
		discard_all(w, c, s);
		break;
	case EFFECT_DISCARD_TEMP:
		undo(w, c, PIN_UNDO_DISCARD_TEMP);
		break;
	case EFFECT_DISCARD_SEQUENCES:
		c->seq_server_id = 0;
		undo(w, c, PIN_UNDO_DISCARD_SEQUENCES);
		break;
	case EFFECT_ADVISORY_UNLOCK_ALL:
		undo(w, c, PIN_UNDO_ADVISORY_UNLOCK_ALL);
		break;
	case EFFECT_LISTEN:
		notify_note(w, c, NOTIFY_LISTEN, it->name);
		break;
	case EFFECT_UNLISTEN:
		notify_note(w, c, NOTIFY_UNLISTEN, it->name);
		break;
	case EFFECT_UNLISTEN_ALL:
		notify_note(w, c, NOTIFY_UNLISTEN_ALL, NULL);
		undo(w, c, PIN_UNDO_UNLISTEN_ALL);
		break;
	case EFFECT_CLOSE_ALL:
		undo(w, c, PIN_UNDO_CLOSE_ALL);
		break;
	case EFFECT_PREPARE:
		if (!sqlstmt_made(w, c, s, it->name, it->value))
			pin(w, c, PIN_SQL_PREPARE, it->value);
		break;
	case EFFECT_DEALLOCATE:
		sqlstmt_gone(c, s, it->name);
		break;
	case EFFECT_DEALLOCATE_ALL: /* the protocol's statements go as well */
		sqlstmt_gone(c, s, NULL);
		stmt_lru_clear(&s->stmts);
		undo(w, c, PIN_UNDO_DEALLOCATE_ALL);
		break;
	case EFFECT_COMMIT:
		if (rolled_back) {
			settings_txn_rollback(&c->set);
			notify_rollback(w, c);
		} else {
			settings_txn_commit(&c->set);
			notify_commit(w, c);
		}
		settings_txn_begin(&c->set); /* for what follows; its end is ReadyForQuery's */
		break;
	case EFFECT_ROLLBACK:
		settings_txn_rollback(&c->set);
		notify_rollback(w, c);
		settings_txn_begin(&c->set);
		break;
	case EFFECT_ROLLBACK_TO:
		n_ops = notify_n_ops(c);
		savepoints_rollback(c->savepoints, &c->set, it->name, &n_ops);
		notify_rollback_to(c, n_ops);
		break;
	case EFFECT_RELEASE:
		savepoints_release(c->savepoints, &c->set, it->name);
		break;
	case EFFECT_SAVEPOINT:
		effects_savepoint(w, c, it->name);
		break;
	default:
		break;
	}
}

void effects_complete(
	struct worker *w, struct client *c, struct server *s, struct effects *e, bool rolled_back)
{
	struct settings *before = c->set.current;

	for (uint32_t i = 0; i < e->n; i++)
		if (e->items[i].stmt == e->n_complete)
			apply(w, c, s, &e->items[i], rolled_back);
	e->n_complete++;
	if (c->set.current != before)
		client_settings_changed(w, c);
}
