/*
 * syslog_out - log lines to the socket of syslog. A module of its own because <syslog.h> takes the
 * names of our log levels; not syslog(3), which waits for ever, with whoever calls it, for a
 * daemon that does not read. Owns: the socket. Threads: any.
 */
#ifndef PGWEIR_MAIN_SYSLOG_OUT_H
#define PGWEIR_MAIN_SYSLOG_OUT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SYSLOG_OUT_SOCKET "/dev/log"

struct syslog_out {
	const char *path;
	pthread_mutex_t lock;
	int fd;         /* -1: not connected */
	bool is_stream; /* entries end with a NUL */
	int facility;
	char ident[64];
	uint64_t second_us, waited_us; /* a second's begin, and the time waited in it */
	unsigned long n_lost;          /* lines, since the last that was taken */
};

#define SYSLOG_OUT_INIT                                                                \
	{                                                                              \
		.path = SYSLOG_OUT_SOCKET, .lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1 \
	}

/* Lines go under this name (63 bytes of it) and facility from now on; an unknown one is "daemon".
 */
void syslog_out_open(struct syslog_out *out, const char *ident, const char *facility);

/*
 * level: enum log_level of base/log.h; kv: "" or pairs. A line that syslog does not take, or that
 * there is no syslog for, is lost; how many were is a line ahead of the next. Waits for one that
 * has a full queue, but if it does not read, 5 ms a second in all, and never more than 50.
 */
void syslog_out_put(struct syslog_out *out, int level, const char *text, const char *kv);

#endif
