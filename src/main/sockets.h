/*
 * sockets - all listening sockets of the process: for clients and for the console, over TCP (one
 * SO_REUSEPORT member per worker) and unix sockets; those that the service manager hands over.
 * Owns:    the descriptors, until sockets_close.
 * Errors are told on the log, naming the setting.
 */
#ifndef PGWEIR_MAIN_SOCKETS_H
#define PGWEIR_MAIN_SOCKETS_H

#include "base/log.h"
#include "main/activation.h"
#include "worker/worker.h"

#define SOCKETS_MAX (WORKERS_MAX * WORKER_LISTENERS_MAX)

struct conf;

struct sockets {
	uint32_t n;
	struct socket_entry {
		uint32_t worker; /* who accepts on it */
		struct worker_listen listen;
	} entry[SOCKETS_MAX];
};

/* Listening sockets of the process that is taken over. */
struct sockets_given {
	struct socket_given {
		int fd; /* -1: it is in use */
		bool is_admin;
	} * entry;
	uint32_t n;
};

struct sockets_args {
	const struct conf *conf;
	const struct activation *passed; /* of a use that is there nothing else is opened */
	/*
	 * Those of wanted addresses are used, all of them, since connections may wait in each;
	 * their descriptors are moved.
	 */
	struct sockets_given *given;
	uint32_t n_workers;
	struct log *log;
};

/* Errors: E_EXISTS another daemon listens there; E_INVALID, E_IO. */
enum status sockets_open(struct sockets *s, const struct sockets_args *args) MUST_USE;

/* Those of one worker, at most WORKER_LISTENERS_MAX; returns how many. */
uint32_t sockets_of_worker(
	const struct sockets *s, uint32_t worker, struct worker_listen out[WORKER_LISTENERS_MAX]);

/* unlink: remove the files of unix sockets, which nobody else uses. */
void sockets_close(struct sockets *s, bool unlink);

#endif
