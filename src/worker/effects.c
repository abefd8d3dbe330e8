#include "worker/effects.h"

#include <stdlib.h>
#include <string.h>

#include "state/settings_class.h"
#include "worker/custom.h"
#include "worker/defaults.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/judge.h"
#include "worker/notify.h"
#include "worker/ours.h"
#include "worker/savepoints.h"
#include "worker/set_call.h"
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

bool effects_touch_names(const struct effects *e)
{
	for (uint32_t i = 0; i < e->n; i++)
		switch ((enum sql_effect_kind)e->items[i].kind) {
		case EFFECT_PREPARE:
		case EFFECT_DEALLOCATE:
		case EFFECT_DEALLOCATE_ALL:
		case EFFECT_DISCARD_ALL:
			return true;
		default:
			break;
		}
	return false;
}

bool effects_reset(const struct client *c, const struct effects *e)
{
	if (settings_n(c->set.login) == 0)
		return false;
	for (uint32_t i = 0; i < e->n; i++)
		if (e->items[i].kind == EFFECT_RESET || e->items[i].kind == EFFECT_RESET_ALL)
			return true;
	return false;
}

/* Must the effect be followed when its statement has ended? Settings: see add_setting. */
static bool is_followed(const struct sql_effect *e)
{
	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_UNKNOWN: /* pins if it succeeds */
	case EFFECT_COMMIT:
	case EFFECT_PREPARE_TXN: /* of a failed block it is a ROLLBACK */
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
	case EFFECT_DEFAULTS:
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
	       !c->busy->prefix_due && (s->dirt & CLEAN(ALL)) == 0 &&
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
	pins_add(&c->busy->pins, &w->sh->pins, cause, w->now_us, sql, strlen(sql));
	if (cause == PIN_TEMP && c->server != NULL)
		c->server->had_temp = true;
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

/* What is being noted; `out` is made when there is something. */
struct noting {
	struct worker *w;
	struct client *c;
	struct server *s;
	const struct effects_of *of;
	struct effects *out;
	bool no_memory;
};

/* Room for one more. NULL: no memory. */
static struct effect_item *item_new(struct noting *n, const struct sql_effect *e)
{
	struct effect_item *it;

	if (n->out == NULL)
		n->out = calloc(1, sizeof *n->out + n->of->v->n_effects * sizeof n->out->items[0]);
	if (n->out == NULL) {
		n->no_memory = true;
		return NULL;
	}
	it = &n->out->items[n->out->n++];
	*it = (struct effect_item){
		.kind = e->kind, .flags = e->flags, .stmt = e->stmt, .modes = e->modes};
	return it;
}

/* name = value (NULL: RESET) is noted; `value` is moved. */
static void add_set(
	struct noting *n, const struct sql_effect *e, bool local, const char *name, char *value)
{
	struct effect_item *it = item_new(n, e);

	if (it == NULL || (it->name = strdup(name)) == NULL) {
		n->no_memory = true;
		free(value);
		return;
	}
	it->kind = value != NULL || local ? EFFECT_SET : EFFECT_RESET;
	it->flags = local ? SQL_EFFECT_LOCAL : 0;
	it->value = value;
}

/* It cannot be told what `name` will be: the server is asked. */
static void doubt(struct noting *n, const char *name, bool local)
{
	switch (settings_class_of(name)) {
	case SETTINGS_CUSTOM:
		if (!custom_sent(n->w, n->c, n->s, name) || !local)
			found_out_doubt(n->w, n->c, name, !local);
		break;
	case SETTINGS_ROLE: /* the one resets the other */
		if (!local) {
			found_out_doubt(n->w, n->c, "role", true);
			found_out_doubt(n->w, n->c, "session_authorization", true);
		}
		break;
	case SETTINGS_CARRIED:
		if (!local)
			found_out_doubt_all(n->c);
		break;
	case SETTINGS_SEED:
		pin(n->w, n->c, PIN_SETSEED, n->of->sql);
		break;
	case SETTINGS_TXN:
		break;
	}
}

/*
 * A parameter is set: `value`, which is moved, or reset with NULL. What is local leaves nothing but
 * the trace of a custom one.
 */
static void note_set(
	struct noting *n, const struct sql_effect *e, const char *name, bool local, char *value)
{
	enum settings_class cls = settings_class_of(name);

	if (cls == SETTINGS_CUSTOM && custom_sent(n->w, n->c, n->s, name) && local) {
		free(value);
		return;
	}
	if (cls == SETTINGS_TXN || (local && cls != SETTINGS_CUSTOM)) {
		free(value);
		return;
	}
	if (strcmp(name, "session_authorization") == 0)
		doubt(n, name, local);
	add_set(n, e, local, name, value);
}

/* SET and RESET, of a role too. */
static void add_setting(struct noting *n, const struct sql_effect *e)
{
	bool local = (e->flags & SQL_EFFECT_LOCAL) != 0;
	bool resets = e->kind == EFFECT_RESET || (e->kind == EFFECT_ROLE && e->value.len == 0);
	char name[SETTINGS_NAME_MAX + 1], *value = NULL;
	size_t len;

	if (local && e->kind != EFFECT_ROLE && (e->flags & SQL_EFFECT_CUSTOM) == 0)
		return;
	if (sql_effect_name(n->of->sql, n->c->sql_opts, e, name, sizeof name, &len) != OK) {
		pin(n->w, n->c, PIN_SET_CONFIG, n->of->sql);
		return;
	}
	if ((e->flags & SQL_EFFECT_UNTRACKED) != 0) {
		doubt(n, name, local);
		return;
	}
	if (!resets && !local) {
		value = decoded(
			sql_effect_value, n->of->sql, n->c->sql_opts, e, SETTINGS_VALUE_MAX);
		if (value == NULL) {
			doubt(n, name, local);
			return;
		}
	}
	note_set(n, e, name, local, value);
}

/* What is created is temporary then, unseen. The server folds the names of a path. */
static bool is_temp_path(const char *name, const char *value)
{
	return strcmp(name, "search_path") == 0 && strcasestr(value, "pg_temp") != NULL;
}

static void add_set_config(struct noting *n, const struct sql_effect *e, bool sure)
{
	struct set_call call;
	bool local;

	set_call_read(n->of->sql, n->c->sql_opts, e, n->of->values, &call);
	local = call.local == SET_LOCAL_YES;
	if (call.local != SET_LOCAL_NO && call.value != NULL &&
		is_temp_path(call.name, call.value)) {
		pin(n->w, n->c, PIN_TEMP, n->of->sql);
		n->c->busy->probe_due = true; /* at the end: was anything created? */
	}
	if (call.name[0] == '\0') {
		pin(n->w, n->c, PIN_SET_CONFIG, n->of->sql);
		free(call.value);
	} else if (sure && (local || (call.local == SET_LOCAL_NO && call.value != NULL))) {
		note_set(n, e, call.name, local, call.value);
	} else {
		doubt(n, call.name, local);
		free(call.value);
	}
}

/* Code that sets what its text, which is elsewhere, says. */
static void add_runs(struct noting *n)
{
	const struct catalog *cat = n->c->db->catalog;
	size_t n_names = 0;
	bool lost; /* scan_runs has said so: it pins (judge_pin), as a name that cannot be told does
		    */
	const char *name = cat != NULL ? catalog_custom_names(cat, &n_names, &lost) : NULL;

	/* Which custom parameters nobody knows: another client must not have their values. */
	if (cat == NULL)
		n->s->dirt |= CLEAN(SETTINGS);
	found_out_doubt_everything(n->w, n->c);
	for (; n_names != 0; n_names--, name += strlen(name) + 1)
		if (strlen(name) <= SETTINGS_NAME_MAX)
			doubt(n, name, false);
}

/* A text that EXECUTE runs, or may: it tells what that may set. */
static void add_executed(struct noting *n, const char *sql, const struct sql_verdict *v)
{
	const struct effects_of of = {.sql = sql, .v = v};
	struct noting inner = *n;

	inner.of = &of;
	if (v->flags & SQLV_LOST)
		pin(n->w, n->c, PIN_UNKNOWN, sql);
	for (uint8_t i = 0; i < v->n_effects; i++) {
		enum pin_cause cause = judge_pin(&v->effects[i]);

		if (v->effects[i].kind == EFFECT_SET_CONFIG)
			add_set_config(&inner, &v->effects[i], false);
		else if (v->effects[i].kind == EFFECT_RUNS)
			add_runs(&inner);
		if (cause != PIN_CAUSE_COUNT)
			pin(n->w, n->c, cause, sql);
	}
}

/* Has a statement been sent that gives or takes names, and is not answered yet? */
static bool awaits_names(const struct server *s)
{
	for (uint32_t i = 0; i < s->owed.n; i++)
		if (owed_at(&s->owed, i)->tag == OWED_TAG_EFFECTS &&
			effects_touch_names(owed_at(&s->owed, i)->ref))
			return true;
	return false;
}

/* EXECUTE of what PREPARE has made; of what one in the same text makes see add_prepare. */
static void add_execute(struct noting *n, const struct sql_effect *e)
{
	const struct stmt_name *mine;
	char name[SQL_NAME_MAX + 1];
	struct sql_verdict v;
	const char *sql;
	size_t len;

	if (awaits_names(n->s)) /* in the same series: what it will be is not known */
		pin(n->w, n->c, PIN_UNKNOWN, n->of->sql);
	if (sql_effect_name(n->of->sql, n->c->sql_opts, e, name, sizeof name, &len) != OK)
		return;
	mine = stmt_names_find(&n->c->names, name);
	if (mine == NULL)
		return; /* the server will say so, or it was too large to be known: that pins */
	sql = judge_executed(n->w, n->c, mine->stmt, &len, &v);
	add_executed(n, sql, &v);
}

/* One that an EXECUTE behind it in the same text may run, before its name is known here. */
static void add_prepare(struct noting *n, const struct sql_effect *e)
{
	const char *sql = n->of->sql + e->value.off; /* to the end: the lexer wants a NUL there */
	struct sql_verdict v;

	for (const struct sql_effect *x = e + 1; x < n->of->v->effects + n->of->v->n_effects; x++) {
		if (x->kind != EFFECT_EXECUTE)
			continue;
		(void)judge_word(n->w, n->c, sql, strlen(sql), &v);
		add_executed(n, sql, &v);
		return;
	}
}

static void add_named(struct noting *n, const struct sql_effect *e)
{
	struct effect_item *it;
	char *name = decoded(sql_effect_name, n->of->sql, n->c->sql_opts, e, SETTINGS_NAME_MAX);

	if (name == NULL || (e->kind == EFFECT_LISTEN && !notify_follows(n->w, n->c, name))) {
		/* the server listens for this client alone */
		pin(n->w, n->c,
			e->kind == EFFECT_LISTEN || e->kind == EFFECT_UNLISTEN ? PIN_LISTEN
									       : PIN_SET_CONFIG,
			n->of->sql);
		free(name);
		return;
	}
	it = item_new(n, e);
	if (it == NULL)
		free(name);
	else
		it->name = name;
}

static void add_item(struct noting *n, const struct sql_effect *e)
{
	struct effect_item *it;

	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_SET:
	case EFFECT_RESET:
	case EFFECT_ROLE:
		add_setting(n, e);
		break;
	case EFFECT_SET_CONFIG:
		add_set_config(n, e, (e->flags & SQL_EFFECT_SURE) != 0);
		break;
	case EFFECT_EXECUTE:
		add_execute(n, e);
		break;
	case EFFECT_RUNS:
		add_runs(n);
		break;
	case EFFECT_RESET_ALL:
		/* It passes over what is set locally to its default, which comes back at the end.
		 */
		if (n->of->v->n_stmts > 1 || n->c->busy->unit.n_stmts > 1 || n->c->txn != TXN_NONE)
			found_out_doubt_everything(n->w, n->c);
		(void)item_new(n, e);
		break;
	case EFFECT_LISTEN:
	case EFFECT_UNLISTEN:
	case EFFECT_SAVEPOINT:
	case EFFECT_RELEASE:
	case EFFECT_ROLLBACK_TO:
		add_named(n, e);
		break;
	case EFFECT_DEFAULTS:
		it = item_new(n, e);
		if (it != NULL && e->name.len != 0)
			it->name = decoded(
				sql_effect_name, n->of->sql, n->c->sql_opts, e, SQL_NAME_MAX);
		break;
	case EFFECT_PREPARE:
	case EFFECT_DEALLOCATE:
		if (e->kind == EFFECT_PREPARE)
			add_prepare(n, e);
		it = item_new(n, e);
		if (it != NULL && !add_sql_statement(n->c, it, n->of->sql, e)) {
			pin(n->w, n->c, PIN_SQL_PREPARE, n->of->sql);
			n->out->n--;
		}
		break;
	default:
		if (is_followed(e))
			(void)item_new(n, e);
		break;
	}
}

enum status effects_begin(struct worker *w, struct client *c, struct server *s,
	const struct effects_of *of, struct effects **out)
{
	struct noting n = {.w = w, .c = c, .s = s, .of = of};
	const struct sql_verdict *v = of->v;

	*out = NULL;
	if (v->flags & SQLV_LOST) {
		pin(w, c, PIN_UNKNOWN, of->sql);
		c->busy->end_unsure = true;
	}
	for (uint8_t i = 0; i < v->n_effects; i++) {
		const struct sql_effect *e = &v->effects[i];
		enum pin_cause cause = judge_pin(e);

		if (cause != PIN_CAUSE_COUNT && e->kind != EFFECT_UNKNOWN &&
			e->kind != EFFECT_LISTEN)
			pin(w, c, cause, of->sql);
		if (e->kind == EFFECT_COMMIT || e->kind == EFFECT_PREPARE_TXN ||
			e->kind == EFFECT_END_PREPARED)
			c->busy->end_sent = e->kind;
		else if (e->kind == EFFECT_SETVAL)
			s->seq_set = true;
		if (!is_plain_end(c, s, v, e))
			add_item(&n, e);
	}
	if (n.no_memory || (n.out != NULL && n.out->n == 0)) {
		effects_free(n.out);
		return n.no_memory ? E_NOMEM : OK;
	}
	*out = n.out;
	return OK;
}

/* Of one effect; false: the name cannot be told. */
static bool trace_one(struct noting *n, const struct sql_effect *e)
{
	char name[SETTINGS_NAME_MAX + 1];
	size_t len;

	if (e->kind == EFFECT_RUNS)
		return (e->flags & SQL_EFFECT_CUSTOM) == 0;
	if (e->kind != EFFECT_SET_CONFIG && (e->flags & SQL_EFFECT_CUSTOM) == 0)
		return true;
	if (e->name.len == 0 ||
		sql_effect_name(n->of->sql, n->c->sql_opts, e, name, sizeof name, &len) != OK)
		return false;
	if (custom_is_name(name))
		(void)custom_sent(n->w, n->c, n->s, name);
	return true;
}

void effects_trace(struct worker *w, struct client *c, struct server *s, const char *sql,
	const struct sql_verdict *v)
{
	const struct effects_of of = {.sql = sql, .v = v};
	struct noting n = {.w = w, .c = c, .s = s, .of = &of};

	if (v->flags & SQLV_LOST)
		s->dirt |= CLEAN(CLOSE);
	for (uint8_t i = 0; i < v->n_effects; i++) {
		s->had_temp = s->had_temp || judge_pin(&v->effects[i]) == PIN_TEMP;
		if (!trace_one(&n, &v->effects[i]))
			s->dirt |= CLEAN(CLOSE);
	}
}

void effects_unsure(struct worker *w, struct client *c, const struct effects *e, bool value)
{
	for (uint32_t i = 0; i < e->n; i++) {
		const struct effect_item *it = &e->items[i];
		bool local = (it->flags & SQL_EFFECT_LOCAL) != 0;

		if ((it->kind != EFFECT_SET && it->kind != EFFECT_RESET) ||
			it->stmt < e->n_complete)
			continue;
		if (custom_is_name(it->name))
			found_out_doubt(w, c, it->name, value && !local);
		else if (value && settings_class_of(it->name) == SETTINGS_ROLE)
			found_out_doubt(w, c, it->name, true);
		else if (value)
			found_out_doubt_all(c);
	}
}

/* --- applying --- */

/* Reported parameters are followed by ParameterStatus, which knows the server's spelling. */
static bool is_reported(const struct client *c, const char *name)
{
	return settings_class_of(name) == SETTINGS_CARRIED &&
	       baseline_get(&c->acc->baseline, name) != NULL;
}

/* May this value be given to another server, by a login that has no role yet? */
static bool is_carried(struct worker *w, struct client *c, const char *name, const char *value)
{
	const struct settings *now = c->set.current;

	if (is_temp_path(name, value)) {
		pin(w, c, PIN_SET_CONFIG, name);
		return false;
	}
	if ((settings_get(now, "role") != NULL ||
		    settings_get(now, "session_authorization") != NULL) &&
		settings_needs_superuser(name)) {
		pin(w, c, PIN_ROLE, name);
		return false;
	}
	return true;
}

void effects_check_value(struct worker *w, struct client *c, const char *name, const char *value)
{
	(void)is_carried(w, c, name, value);
}

static void put_setting(struct worker *w, struct client *c, const char *name, const char *value)
{
	switch (settings_class_of(name)) {
	case SETTINGS_TXN:
		return;
	case SETTINGS_SEED:
		pin(w, c, PIN_SETSEED, name);
		return;
	case SETTINGS_CUSTOM:
	case SETTINGS_ROLE:
	case SETTINGS_CARRIED:
		break;
	}
	if (!is_carried(w, c, name, value))
		return;
	if (!is_reported(c, name) && settings_txn_set(&c->set, name, value) != OK)
		pin(w, c, PIN_SET_CONFIG, name);
	if (strcmp(name, "session_authorization") == 0 && settings_txn_reset(&c->set, "role") != OK)
		pin(w, c, PIN_ROLE, name);
}

/*
 * The server has gone back to its own default; for the client RESET goes back to what its start-up
 * packet said. The difference is sent ahead of its next message.
 */
static void server_lacks(struct worker *w, struct client *c, struct server *s, struct settings *has)
{
	server_set_settings(w, s, has);
	c->busy->prefix_due = true;
	c->busy->rediff = true;
}

static void reset_setting(struct worker *w, struct client *c, struct server *s, const char *name)
{
	struct settings *has;

	if (settings_get(c->set.login, name) != NULL) {
		/* Of several RESETs in a row what the others have taken away is gone as well. */
		const struct settings *had = c->busy->prefix_due ? s->settings : c->set.current;

		if (settings_drop(w->settings, had, name, &has) == OK) {
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

/*
 * RESET ALL: the server has its defaults, and who the session is stays. with_roles: DISCARD ALL,
 * which ends that as well.
 */
static void reset_all(struct worker *w, struct client *c, struct server *s, bool with_roles)
{
	struct settings *has = with_roles ? settings_empty(w->settings)
					  : settings_roles_of(w->settings, c->set.current);

	settings_txn_reset_all(&c->set);
	if (with_roles && (settings_txn_reset(&c->set, "role") != OK ||
				  settings_txn_reset(&c->set, "session_authorization") != OK))
		pin(w, c, PIN_ROLE, "DISCARD ALL");
	if (settings_n(c->set.login) != 0)
		server_lacks(w, c, s, has);
	else
		server_set_settings(w, s, has);
	settings_unref(w->settings, has);
	s->is_bare = true;
}

/*
 * It is not known which of them the server has: a RESET was answered together with what was rolled
 * back to (see end_settings), and they had gone there behind it. All go once more.
 */
static void put_back(struct worker *w, struct client *c, struct server *s)
{
	struct settings *has;

	effects_behind(c, s);
	if ((s->dirt & CLEAN(ALL)) == 0)
		return;
	has = settings_roles_of(w->settings, c->set.current);
	server_lacks(w, c, s, has);
	settings_unref(w->settings, has);
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
	pins_undo(&c->busy->pins, &w->sh->pins, what);
}

static void discard_all(struct worker *w, struct client *c, struct server *s)
{
	reset_all(w, c, s, true);
	sqlstmt_gone(c, s, NULL);
	stmt_lru_clear(&s->stmts);
	if (c->unnamed != NULL)
		c->unnamed->len = 0;
	c->seq_server_id = 0;
	c->busy->seq_advanced = false;
	notify_note(w, c, NOTIFY_UNLISTEN_ALL, NULL);
	undo(w, c, PIN_UNDO_DISCARD_ALL);
}

void effects_savepoint(struct worker *w, struct client *c, const char *name)
{
	if (savepoints_push(&c->busy->savepoints, &c->set, name, notify_n_ops(c)) != OK)
		found_out_doubt_everything(w, c); /* too many: the server is asked at the end */
}

/*
 * What is reported is followed by ParameterStatus, which comes with ReadyForQuery alone, and only
 * if the value is another one than at the last. A transaction that ends in between, or a part of
 * one, does not know it: the server is asked.
 */
static void note_told(struct client *c, const struct effect_item *it)
{
	switch ((enum sql_effect_kind)it->kind) {
	case EFFECT_SET:
	case EFFECT_RESET:
		c->busy->told_later = c->busy->told_later || is_reported(c, it->name);
		break;
	case EFFECT_COMMIT:
	case EFFECT_PREPARE_TXN:
	case EFFECT_ROLLBACK:
	case EFFECT_SAVEPOINT:
	case EFFECT_ROLLBACK_TO:
		c->busy->txn_passed = true;
		break;
	default:
		break;
	}
	if (c->busy->told_later && c->busy->txn_passed)
		found_out_doubt_all(c);
}

static void apply(struct worker *w, struct client *c, struct server *s, struct effect_item *it,
	bool rolled_back)
{
	uint32_t n_ops;

	note_told(c, it);
	/* Where there is no block its tag is ROLLBACK as well, and what has run is committed. */
	if (it->kind == EFFECT_PREPARE_TXN && s->txn_status != 'E')
		rolled_back = false;
	ours_effect(c, (enum sql_effect_kind)it->kind, it->name, rolled_back);
	switch ((enum sql_effect_kind)it->kind) {
	case EFFECT_SET:
		if (custom_is_name(it->name))
			custom_seen(w, c, it->name);
		if ((it->flags & SQL_EFFECT_LOCAL) == 0)
			put_setting(w, c, it->name, it->value);
		break;
	case EFFECT_RESET:
		if (custom_is_name(it->name))
			custom_seen(w, c, it->name);
		reset_setting(w, c, s, it->name);
		break;
	case EFFECT_UNKNOWN:
		pin(w, c, PIN_UNKNOWN, "a statement that is not understood");
		break;
	case EFFECT_SET_CHARACTERISTICS:
		put_characteristics(w, c, &it->modes);
		break;
	case EFFECT_RESET_ALL:
		reset_all(w, c, s, false);
		break;
	case EFFECT_DISCARD_ALL:
		discard_all(w, c, s);
		settings_txn_commit(&c->set); /* it is its own transaction */
		settings_txn_begin(&c->set);
		notify_commit(w, c);
		break;
	case EFFECT_DISCARD_TEMP: /* a ROLLBACK brings all back: the server is asked at the end */
		c->busy->probe_due = true;
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
		c->busy->probe_due = true; /* as DISCARD TEMP */
		break;
	case EFFECT_DEFAULTS:
		defaults_note(c, (it->flags & SQL_EFFECT_DATABASE) != 0, it->name);
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
	case EFFECT_PREPARE_TXN:
		if (rolled_back) {
			settings_txn_rollback(&c->set);
			put_back(w, c, s);
			notify_rollback(w, c);
		} else {
			settings_txn_commit(&c->set);
			c->busy->reported_commit = c->busy->has_reported;
			notify_commit(w, c);
		}
		settings_txn_begin(&c->set); /* for what follows; its end is ReadyForQuery's */
		break;
	case EFFECT_ROLLBACK:
		settings_txn_rollback(&c->set);
		put_back(w, c, s);
		notify_rollback(w, c);
		settings_txn_begin(&c->set);
		break;
	case EFFECT_ROLLBACK_TO:
		n_ops = notify_n_ops(c);
		savepoints_rollback(c->busy->savepoints, &c->set, it->name, &n_ops);
		put_back(w, c, s);
		notify_rollback_to(c, n_ops);
		break;
	case EFFECT_RELEASE:
		savepoints_release(c->busy->savepoints, &c->set, it->name);
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
	bool was_due = c->busy->prefix_due;

	for (uint32_t i = 0; i < e->n; i++)
		if (e->items[i].stmt == e->n_complete)
			apply(w, c, s, &e->items[i], rolled_back);
	e->n_complete++;
	if (c->set.current == before)
		return;
	client_settings_changed(w, c);
	if (was_due)
		effects_behind(c, s);
}
