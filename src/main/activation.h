/*
 * activation - listening sockets that the service manager opened and hands over (systemd's socket
 * units): told by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES in the environment, from descriptor 3.
 * A socket's name says whose it is: "admin" the console's, "stats" the stats port, any other the
 * clients'. They are used instead of what the configuration would open for the same.
 * Owns:   nothing: the manager goes on listening on them when we have ended.
 * Bounds: ACTIVATION_MAX sockets.
 * Source: systemd, sd_listen_fds(3); ADR 0030 says why no library.
 */
#ifndef PGWEIR_MAIN_ACTIVATION_H
#define PGWEIR_MAIN_ACTIVATION_H

#include "base/status.h"

#define ACTIVATION_MAX     32u
#define ACTIVATION_ERR_MAX 256u

enum activation_use { ACTIVATION_CLIENTS, ACTIVATION_ADMIN, ACTIVATION_STATS };

struct activation {
	uint32_t n;
	struct activation_entry {
		int fd; /* close-on-exec, non-blocking */
		enum activation_use use;
	} entry[ACTIVATION_MAX];
};

/*
 * Take what is handed over to this process: before it forks, and before any other descriptor is
 * opened. The variables are removed from the environment.
 * Errors: E_INVALID something that is no listening stream socket, E_LIMIT; `err` says what.
 */
enum status activation_take(struct activation *out, char err[ACTIVATION_ERR_MAX]) MUST_USE;

/* The first socket of this use, or -1. */
int activation_find(const struct activation *a, enum activation_use use);

#endif
