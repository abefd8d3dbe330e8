/*
 * console - the admin console: the clients that the workers hand over.
 * Owns:    the sessions (control/session.h) and their connections.
 * Bounds:  CONSOLES_MAX sessions. More are refused with 53300.
 */
#ifndef PGWEIR_CONTROL_CONSOLE_H
#define PGWEIR_CONTROL_CONSOLE_H

#include "control/reload.h"
#include "control/show_run.h"
#include "control/tell.h"

#define CONSOLES_MAX 100u

struct consoles;

struct consoles_ops {
	/* SHUTDOWN: at once, or when clients or servers have gone. */
	void (*shutdown)(void *arg);
	void (*shutdown_wait)(void *arg, bool wait_servers);
};

struct consoles_conf {
	struct env *env;
	struct tellers *tellers;
	struct reload *reload;
	const struct show_tools *tools; /* borrowed as long as the consoles live */
	const struct consoles_ops *ops;
	void *arg;
};

enum status consoles_new(const struct consoles_conf *conf, struct consoles **out) MUST_USE;
void consoles_free(struct consoles *cs); /* drops all; NULL is allowed */

/* A client of the console; moved. */
void consoles_take(struct consoles *cs, struct ask_console *ask);

/* The process ends: answer what waits, and close in an orderly way. */
void consoles_shutdown(struct consoles *cs);

bool consoles_kill(struct consoles *cs, uint64_t id); /* false: no such session */

/* For tables: the session at `pos`, and what all sessions ever did. */
bool consoles_row(const struct consoles *cs, size_t pos, struct show_socket_row *out);
void consoles_stats(const struct consoles *cs, struct show_stats_row *out);
uint32_t consoles_n(const struct consoles *cs);

#endif
