/*
 * admin - what the administrator has decided by console or signal: pauses, disabled databases,
 * reconnects, the way to shut down. Publishes shared->admin.
 * Owns:    the published struct admin_state, which is all that it knows.
 * Bounds:  ADMIN_DBS_MAX databases with a flag.
 * Texts of errors are PgBouncer's, which tools look for.
 */
#ifndef PGWEIR_CONTROL_ADMIN_H
#define PGWEIR_CONTROL_ADMIN_H

#include "control/env.h"

#define ADMIN_DBS_MAX  1024u
#define ADMIN_TEXT_MAX 256u

struct admin_error {
	char text[ADMIN_TEXT_MAX];
};

/*
 * database "": all of them. On OK the change is published and the workers are told.
 * Errors: E_INVALID not possible now; E_NOTFOUND no such database; E_LIMIT; E_NOMEM. *err tells.
 */
enum status admin_pause(struct env *env, const char *database, struct admin_error *err) MUST_USE;
/* `database` is "". Nothing is read or accepted until admin_resume of all. */
enum status admin_suspend(struct env *env, const char *database, struct admin_error *err) MUST_USE;
enum status admin_resume(struct env *env, const char *database, struct admin_error *err) MUST_USE;
enum status admin_disable(struct env *env, const char *database, struct admin_error *err) MUST_USE;
enum status admin_enable(struct env *env, const char *database, struct admin_error *err) MUST_USE;
enum status admin_reconnect(
	struct env *env, const char *database, struct admin_error *err) MUST_USE;
/* KILL's part here: the database is paused, whatever it was. */
enum status admin_kill(struct env *env, const char *database, struct admin_error *err) MUST_USE;
/* WAIT_CLOSE and its like: is there such a database? */
enum status admin_check(struct env *env, const char *database, struct admin_error *err) MUST_USE;

/* No new clients; with wait_servers no server is given out any more either. Errors: E_NOMEM. */
enum status admin_shutdown(struct env *env, bool wait_servers) MUST_USE;

bool admin_is_paused_all(const struct env *env);
bool admin_is_suspended(const struct env *env);
bool admin_is_paused(const struct env *env, const char *database);
bool admin_is_disabled(const struct env *env, const char *database);
bool admin_is_shutting_down(const struct env *env);

#endif
