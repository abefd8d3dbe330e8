/*
 * succession - the first steps of a take-over, before and outside of the control thread: `pgweir
 * --takeover` asks the running daemon to start a new process in its place, and that one reads what
 * it is given. What follows is control/takeover.h's.
 */
#ifndef PGWEIR_MAIN_SUCCESSION_H
#define PGWEIR_MAIN_SUCCESSION_H

#include "base/log.h"
#include "control/takeover.h"
#include "main/sockets.h"

struct conf;

struct inherited {
	struct takeover_from from;
	struct sockets_given sockets; /* what is not used is closed by inherited_free */
	int stats_fd;                 /* -1: none */
	int takeover_fd;              /* -1: none */
};

/* Nothing is inherited. */
void inherited_init(struct inherited *in);

/*
 * What the old process says on `sock`, moved. The service manager's sockets are added to `passed`.
 * Errors: E_PROTO, E_CLOSED, E_AGAIN (it says nothing more), E_NOMEM, E_LIMIT, E_IO.
 */
enum status inherited_read(struct inherited *in, int sock, struct activation *passed) MUST_USE;
void inherited_free(struct inherited *in);

/* Listen on takeover_socket; -1: there is none, or it cannot be (told on the log). */
int succession_listen(const struct conf *conf, struct log *log);
/* Its path, "" if there is none. */
void succession_path(const struct conf *conf, char *out, size_t cap);

/*
 * Have the daemon of `conf` replaced by this program with the configuration at `path`, and wait
 * until that serves. Returns the exit status; tells on stdout or stderr.
 */
int succession_ask(const struct conf *conf, const char *path);

#endif
