/*
 * daemon - what makes the process a service: user, pid file, background, limits.
 * All of it happens before any thread is started.
 */
#ifndef PGWEIR_MAIN_DAEMON_H
#define PGWEIR_MAIN_DAEMON_H

#include <sys/types.h>

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

/*
 * Write the pid file, and keep it locked until the process ends: a file that nobody locks is left
 * over, whatever number is in it. Errors: E_EXISTS it belongs to *holder (0: unknown); E_IO
 * (errno).
 */
enum status daemon_write_pid(const char *path, pid_t *holder) MUST_USE;

/*
 * Raise the limit on open files as far as the configuration needs and the system allows; a warning
 * tells when that is too little, and what to do. Before daemon_become.
 */
void daemon_raise_limits(const struct conf *conf, uint32_t n_workers, struct log *log);

#endif
