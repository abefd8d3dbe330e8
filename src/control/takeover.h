/*
 * takeover - upgrade without loss: another process of pgweir takes this one's place. It is started
 * by this one, so that it stays in the same service, gets the listening sockets, accepts, and is
 * then sent the clients one by one (worker/takeover.h); this one ends when all have gone or left,
 * or after takeover_timeout. If the new one does not come up, or dies before this one has ended,
 * this one goes on as if nothing had been. Owns:    the sockets between the processes and to who
 * asks, the places that the other holds. Bounds:  one take-over at a time; TAKEOVER_START_US for
 * the new process to come up; what waits to be sent is bounded by the clients that there are.
 * Trust:   who asks by takeover_socket has this process's user, or is root.
 */
#ifndef PGWEIR_CONTROL_TAKEOVER_H
#define PGWEIR_CONTROL_TAKEOVER_H

#include "control/env.h"
#include "control/predecessor.h"

#define TAKEOVER_START_US (30u * 1000u * 1000u)
#define TAKEOVER_DEAD_US \
	20000u /* how often a new one that says no more is looked at: is it dead? */

struct takeover_listening { /* a socket to hand on */
	int fd;
	enum takeover_socket what;
	bool is_passed; /* the service manager's */
};

struct listenings;

struct takeover_conf {
	struct env *env;
	struct listenings *listenings; /* borrowed */
	int listen_fd;                 /* of takeover_socket, moved; -1: none */
	struct takeover_from *from;    /* borrowed during the call; its sock is moved */
	/* The i-th listening socket of this process; false: there are no more. */
	bool (*socket)(void *arg, uint32_t i, struct takeover_listening *out);
	/* The other process accepts now: this one shall drain. */
	void (*passed_on)(void *arg, long pid);
	/* … and has died: this one shall serve again. False: it is too late for that. */
	bool (*taken_back)(void *arg);
	void *arg;
};

struct handing;

/* Errors: E_NOMEM, E_IO. */
enum status takeover_new(const struct takeover_conf *conf, struct handing **out) MUST_USE;
void takeover_end(struct handing *h); /* NULL is allowed */

/*
 * If the file that this process was started from is another by now (a package was upgraded), start
 * that in this one's place, with the configuration at `config` ("": none). False: it is the same,
 * or it cannot be started now, which the log tells; what the caller wanted is still to be done.
 */
bool takeover_by_new_file(struct handing *h, const char *config);

/* Mail of the workers; moved. */
void takeover_take_leaving(struct handing *h, struct ask_leaves *ask);
void takeover_take_place(struct handing *h, struct ask_place *ask);
void takeover_take_counted(struct handing *h); /* the mail stays the caller's */
void takeover_take_cancel(struct handing *h, struct ask_cancel *ask);

#endif
