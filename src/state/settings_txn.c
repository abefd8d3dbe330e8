#include "state/settings_txn.h"

void settings_txn_init(struct settings_txn *x, struct settings_table *t, struct settings **login)
{
	x->table = t;
	x->login = *login;
	x->committed = settings_ref(x->login);
	x->current = settings_ref(x->login);
	x->in_txn = false;
	*login = NULL;
}

void settings_txn_fini(struct settings_txn *x)
{
	settings_unref(x->table, x->current);
	settings_unref(x->table, x->committed);
	settings_unref(x->table, x->login);
}

/* *place becomes `s`, whose reference is moved in. */
static void move_to(struct settings_txn *x, struct settings **place, struct settings *s)
{
	settings_unref(x->table, *place);
	*place = s;
}

static void set_current(struct settings_txn *x, struct settings *s)
{
	move_to(x, &x->current, s);
	if (!x->in_txn)
		move_to(x, &x->committed, settings_ref(s));
}

enum status settings_txn_set(struct settings_txn *x, const char *name, const char *value)
{
	struct settings *s;
	enum status st = settings_put(x->table, x->current, name, value, &s);

	if (st == OK)
		set_current(x, s);
	return st;
}

enum status settings_txn_reset(struct settings_txn *x, const char *name)
{
	const char *login = settings_get(x->login, name);
	struct settings *s;
	enum status st;

	if (login != NULL)
		return settings_txn_set(x, name, login);
	if ((st = settings_drop(x->table, x->current, name, &s)) == OK)
		set_current(x, s);
	return st;
}

static const char *const roles[] = {"role", "session_authorization"};

/* `to`, which is moved, with what `from` says of `name`; without memory it is left as it is. */
static struct settings *keep(struct settings_table *t, struct settings *to,
	const struct settings *from, const char *name)
{
	const char *value = settings_get(from, name);
	struct settings *out;
	enum status st;

	if (value == NULL && settings_get(to, name) == NULL)
		return to;
	st = value != NULL ? settings_put(t, to, name, value, &out)
			   : settings_drop(t, to, name, &out);
	if (st != OK)
		return to;
	settings_unref(t, to);
	return out;
}

struct settings *settings_roles_of(struct settings_table *t, const struct settings *s)
{
	struct settings *out = settings_empty(t);

	for (size_t i = 0; i < 2; i++)
		out = keep(t, out, s, roles[i]);
	return out;
}

void settings_txn_reset_all(struct settings_txn *x)
{
	struct settings *s = settings_ref(x->login);

	for (size_t i = 0; i < 2; i++)
		s = keep(x->table, s, x->current, roles[i]);
	set_current(x, s);
}

void settings_txn_found(struct settings_txn *x, struct settings *s)
{
	move_to(x, &x->current, settings_ref(s));
	move_to(x, &x->committed, settings_ref(s));
}

void settings_txn_begin(struct settings_txn *x)
{
	x->in_txn = true;
}

void settings_txn_commit(struct settings_txn *x)
{
	move_to(x, &x->committed, settings_ref(x->current));
	x->in_txn = false;
}

void settings_txn_rollback(struct settings_txn *x)
{
	move_to(x, &x->current, settings_ref(x->committed));
	x->in_txn = false;
}

enum status settings_txn_adopt(struct settings_txn *x, struct settings_table *t)
{
	enum status st;

	if ((st = settings_adopt(t, &x->login)) == OK &&
		(st = settings_adopt(t, &x->committed)) == OK)
		st = settings_adopt(t, &x->current);
	x->table = t; /* a set that was not adopted is dropped with this table as well */
	return st;
}
