/*
 * reload - takes over another configuration, all or nothing: RELOAD, SIGHUP, SET, and the one that
 * other addresses of names make of the present one. Files are read on a helper.
 * Owns:    the load under way.
 * Bounds:  one load at a time; requests that come meanwhile are served by one more after it.
 */
#ifndef PGWEIR_CONTROL_RELOAD_H
#define PGWEIR_CONTROL_RELOAD_H

#include "base/list.h"
#include "control/config.h"
#include "control/env.h"

#define RELOAD_TEXT_MAX  1024u
#define RELOAD_VALUE_MAX 1024u

struct reload;

struct reload_ops {
	/* Take over the set: publish, and let all modules know. Moves what is in it. */
	void (*publish)(void *arg, struct config_set *set);
	/* The files are read; then, what came of it, as reload_request.done tells. May be NULL. */
	void (*begun)(void *arg);
	void (*ended)(void *arg, enum status st, const char *text);
};

struct reload_request {
	struct list link;
	/* not NULL: addresses of names, as they are when the load begins; lives until `done` */
	const struct conf_spreads *spreads;
	/* "": read the files; else SET */
	char key[NAME_LEN];
	char value[RELOAD_VALUE_MAX];
	/* OK: `text` names what waits for a restart, or is ""; else it says what is wrong. */
	void (*done)(struct reload_request *r, enum status st, const char *text);
};

enum status reload_new(struct env *env, const struct config_from *from,
	const struct reload_ops *ops, void *arg, struct reload **out) MUST_USE;
void reload_free(struct reload *r); /* NULL is allowed */

/* `done` comes later, never from inside. */
void reload_ask(struct reload *r, struct reload_request *req);
void reload_cancel(struct reload_request *req); /* `done` does not come; the load may go on */

/* A load whose answer only the log wants (SIGHUP). */
void reload_now(struct reload *r);

#endif
