/*
 * hosts - the system's hosts file, read again when it has changed.
 * Owns:   the file's text, at most HOSTS_LEN_MAX bytes of it; a longer file counts as empty.
 * Format: hosts(5): an address, then names, separated by blanks; # begins a comment.
 */
#ifndef PGWEIR_NET_HOSTS_H
#define PGWEIR_NET_HOSTS_H

#include <sys/stat.h>

#include "net/addr.h"

#define HOSTS_LEN_MAX (1u << 20)

struct hosts {
	char *path;
	struct stat seen; /* of the file when it was read; all zero: no file */
	char *text;       /* NUL-terminated; NULL: nothing */
};

enum status hosts_init(struct hosts *h, const char *path) MUST_USE; /* E_NOMEM */
void hosts_fini(struct hosts *h);

/*
 * Addresses of `name` (any case), IPv4 first, at most `cap`; ports are 0. "localhost" and names
 * below it are 127.0.0.1 and ::1 where the file says nothing (RFC 6761). Returns their number.
 */
size_t hosts_find(struct hosts *h, const char *name, struct net_addr *out, size_t cap);

#endif
