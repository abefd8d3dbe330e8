#include "control/admin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/tell.h"
#include "worker/ask.h"

static PRINTF_LIKE(3, 4) enum status
	refuse(struct admin_error *err, enum status st, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	return st;
}

/* --- publication --- */

static const struct admin_state *current(const struct env *env)
{
	return atomic_load_explicit(&env->shared->admin, memory_order_acquire);
}

static const struct admin_db *find(const struct admin_state *s, const char *database)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->db[i].name, database) == 0)
			return &s->db[i];
	return NULL;
}

/* The database's flags in `s`, made if need be: edit() has left room for one. */
static struct admin_db *entry(struct admin_state *s, const char *database)
{
	struct admin_db *d = (struct admin_db *)(uintptr_t)find(s, database);

	if (d != NULL)
		return d;
	d = &s->db[s->n++];
	text_copy(d->name, sizeof d->name, database);
	return d;
}

/* A copy to be changed and published; databases without a flag are left out. NULL: no memory. */
static struct admin_state *edit(const struct env *env)
{
	const struct admin_state *old = current(env);
	struct admin_state *s = calloc(1, sizeof *s + (old->n + 1) * sizeof s->db[0]);

	if (s == NULL)
		return NULL;
	memcpy(s, old, sizeof *s);
	s->generation++;
	s->n = 0;
	for (uint32_t i = 0; i < old->n; i++)
		if (old->db[i].paused || old->db[i].disabled || old->db[i].reconnect != 0)
			s->db[s->n++] = old->db[i];
	return s;
}

static void publish(struct env *env, struct admin_state *s)
{
	struct shared *sh = env->shared;
	const struct admin_state *old = atomic_exchange(&sh->admin, s);

	snap_retire(&sh->snap, (void *)(uintptr_t)old, free);
	/* Without memory for the messages they see it at their next turn. */
	(void)!tell_all(env, TELL_REFRESH);
}

/* --- commands --- */

static bool is_own(const char *database)
{
	return strcmp(database, "pgbouncer") == 0 || strcmp(database, "pgweir") == 0;
}

/* Is there such a database, and may `verb` be done to it? */
static enum status check(
	const struct env *env, const char *verb, const char *database, struct admin_error *err)
{
	if (is_own(database))
		return refuse(err, E_INVALID, "cannot %s admin db: %s", verb, database);
	if (conf_find_db(env_conf(env), database) == NULL)
		return refuse(err, E_NOTFOUND, "no such database: %s", database);
	if (current(env)->n >= ADMIN_DBS_MAX && find(current(env), database) == NULL)
		return refuse(err, E_LIMIT, "too many databases are paused or disabled");
	return OK;
}

/* check() and edit() in one; *out is NULL unless OK. */
static enum status begin(struct env *env, const char *verb, const char *database,
	struct admin_error *err, struct admin_state **out)
{
	enum status st = *database != '\0' ? check(env, verb, database, err) : OK;

	*out = NULL;
	if (st != OK)
		return st;
	*out = edit(env);
	return *out != NULL ? OK : refuse(err, E_NOMEM, "out of memory");
}

enum status admin_check(struct env *env, const char *database, struct admin_error *err)
{
	return *database != '\0' ? check(env, "wait for", database, err) : OK;
}

enum status admin_pause(struct env *env, const char *database, struct admin_error *err)
{
	struct admin_state *s;
	enum status st;

	if (*database == '\0' && (current(env)->paused_all || current(env)->suspended))
		return refuse(err, E_INVALID, "already suspended/paused");
	if ((st = begin(env, "pause", database, err, &s)) != OK)
		return st;
	if (*database == '\0')
		s->paused_all = true;
	else
		entry(s, database)->paused = true;
	publish(env, s);
	return OK;
}

enum status admin_suspend(struct env *env, const char *database, struct admin_error *err)
{
	struct admin_state *s;
	enum status st;

	if (current(env)->paused_all || current(env)->suspended)
		return refuse(err, E_INVALID, "already suspended/paused");
	if (admin_is_shutting_down(env))
		return refuse(err, E_INVALID, "pooler is shutting down");
	if ((st = begin(env, "suspend", database, err, &s)) != OK)
		return st;
	s->suspended = true;
	publish(env, s);
	return OK;
}

enum status admin_resume(struct env *env, const char *database, struct admin_error *err)
{
	struct admin_state *s;
	enum status st;

	if (current(env)->shutdown_wait_servers)
		return refuse(err, E_INVALID, "pooler is shutting down");
	if (*database == '\0' && !current(env)->paused_all && !current(env)->suspended)
		return refuse(err, E_INVALID, "pooler is not paused/suspended");
	if ((st = begin(env, "resume", database, err, &s)) != OK)
		return st;
	if (*database == '\0') {
		s->paused_all = false;
		s->suspended = false;
	} else if (entry(s, database)->paused) {
		entry(s, database)->paused = false;
	} else {
		free(s);
		return refuse(err, E_INVALID, "database %s is not paused", database);
	}
	publish(env, s);
	return OK;
}

static enum status set_disabled(struct env *env, const char *verb, const char *database,
	bool disabled, struct admin_error *err)
{
	struct admin_state *s;
	enum status st;

	if (*database == '\0')
		return refuse(err, E_INVALID, "a database is required");
	if ((st = begin(env, verb, database, err, &s)) != OK)
		return st;
	entry(s, database)->disabled = disabled;
	publish(env, s);
	return OK;
}

enum status admin_disable(struct env *env, const char *database, struct admin_error *err)
{
	return set_disabled(env, "disable", database, true, err);
}

enum status admin_enable(struct env *env, const char *database, struct admin_error *err)
{
	return set_disabled(env, "enable", database, false, err);
}

enum status admin_reconnect(struct env *env, const char *database, struct admin_error *err)
{
	struct admin_state *s;
	enum status st = begin(env, "reconnect", database, err, &s);
	uint64_t number;

	if (st != OK)
		return st;
	number = atomic_fetch_add(&env->shared->reconnect_no, 1) + 1;
	if (*database == '\0')
		s->reconnect_all = number;
	else
		entry(s, database)->reconnect = number;
	publish(env, s);
	return OK;
}

enum status admin_kill(struct env *env, const char *database, struct admin_error *err)
{
	struct admin_state *s;
	enum status st = begin(env, "kill", database, err, &s);

	if (st != OK)
		return st;
	if (*database == '\0')
		s->paused_all = true;
	else
		entry(s, database)->paused = true;
	publish(env, s);
	return OK;
}

enum status admin_shutdown(struct env *env, bool wait_servers)
{
	struct admin_state *s = edit(env);

	if (s == NULL)
		return E_NOMEM;
	s->suspended = false; /* who is waited for has to be able to leave */
	s->shutdown_wait_clients = true;
	s->shutdown_wait_servers = wait_servers;
	publish(env, s);
	return OK;
}

bool admin_is_paused_all(const struct env *env)
{
	return current(env)->paused_all;
}

bool admin_is_suspended(const struct env *env)
{
	return current(env)->suspended;
}

bool admin_is_paused(const struct env *env, const char *database)
{
	const struct admin_db *d = find(current(env), database);

	return current(env)->paused_all || (d != NULL && d->paused);
}

bool admin_is_disabled(const struct env *env, const char *database)
{
	const struct admin_db *d = find(current(env), database);

	return d != NULL && d->disabled;
}

bool admin_is_shutting_down(const struct env *env)
{
	return current(env)->shutdown_wait_clients || current(env)->shutdown_wait_servers;
}
