/*
 * service - what the service manager (systemd) is told: ready, reloading, stopping, a line on how
 * it goes, and, as long as this thread and every worker turn their loops, that we are alive.
 * Owns:    the socket to the manager. Without NOTIFY_SOCKET in the environment all is a no-op.
 * Touches: never blocks: what the manager's socket has no room for is told next time, or not.
 * Source:  systemd, sd_notify(3), sd_watchdog_enabled(3); ADR 0030 says why no library.
 */
#ifndef PGWEIR_CONTROL_SERVICE_H
#define PGWEIR_CONTROL_SERVICE_H

#include "control/env.h"

#define SERVICE_STATUS_MAX 512u /* bytes of a line on how it goes, with its NUL */

struct service;

/* Reads the environment. Errors: E_NOMEM. A socket that cannot be had is told in the log. */
enum status service_new(struct env *env, struct service **out) MUST_USE;
void service_free(struct service *s); /* NULL is allowed */

void service_ready(struct service *s);     /* all is open, the workers run */
void service_reloading(struct service *s); /* the files are read again */
/* The end of that; `text`: why it was refused, or what waits for a restart, or "". */
void service_reloaded(struct service *s, enum status st, const char *text);
void service_waiting(struct service *s, const char *for_whom); /* no new clients from now on */
/* Another process goes on in our place: it is the service's main one, and tells from now on. */
void service_passed_on(struct service *s, long pid);
/* … and is dead: this one is the main one again. */
void service_taken_back(struct service *s);
void service_stopping(struct service *s);

#endif
