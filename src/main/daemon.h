/*
 * daemon - what makes the process a service: user, pid file, background, limits.
 * All of it happens before any thread is started.
 */
#ifndef PGWEIR_MAIN_DAEMON_H
#define PGWEIR_MAIN_DAEMON_H

#include "base/log.h"

struct conf;

/* Become `name` with its groups. Errors: E_NOTFOUND no such user; E_IO (errno). */
enum status daemon_become(const char *name) MUST_USE;

/*
 * Go to the background: the caller goes on in the child, its own process exits with 0 when
 * daemon_ready is called there, with 1 if the child ends before. Errors: E_IO (errno).
 */
enum status daemon_detach(void) MUST_USE;
void daemon_ready(void); /* no-op in the foreground */

/* Write the pid file. Errors: E_EXISTS it names a living process; E_IO (errno). */
enum status daemon_write_pid(const char *path) MUST_USE;

/*
 * Raise the soft limit on open files as far as the configuration needs and the hard limit allows;
 * a warning tells when that is too little.
 */
void daemon_raise_limits(const struct conf *conf, struct log *log);

#endif
