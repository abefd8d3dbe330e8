/*
 * syslog_out - log lines to the socket of syslog. A module of its own because <syslog.h> takes the
 * names of our log levels; not syslog(3), which waits, with whoever calls it, for a daemon that
 * does not read. Owns: the socket. Threads: any.
 */
#ifndef PGWEIR_MAIN_SYSLOG_OUT_H
#define PGWEIR_MAIN_SYSLOG_OUT_H

#include <pthread.h>
#include <stdbool.h>

struct syslog_out {
	pthread_mutex_t lock; /* nobody waits under it */
	int fd;               /* -1: not connected */
	bool is_stream;       /* entries end with a NUL */
	int facility;
	char ident[64];
	unsigned long n_lost; /* lines, since the last that was taken */
};

#define SYSLOG_OUT_INIT                                     \
	{                                                   \
		.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 \
	}

/* Lines go under this name (63 bytes of it) and facility from now on; an unknown one is "daemon".
 */
void syslog_out_open(struct syslog_out *out, const char *ident, const char *facility);

/*
 * level: enum log_level of base/log.h; kv: "" or pairs. Never waits: a line that syslog does not
 * take, or that there is no syslog for, is lost; how many were is a line ahead of the next.
 */
void syslog_out_put(struct syslog_out *out, int level, const char *text, const char *kv);

#endif
