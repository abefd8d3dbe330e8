/*
 * control - the control plane: one thread (main's) that never blocks. It publishes every snapshot,
 * watches the nodes, loads the SQL catalogs, serves the console and the stats port, answers the
 * workers' ASK_* and ends the process in order.
 * Owns:    its loop, wheel and helper threads; the snapshots in `shared` from control_new on.
 * Thread:  all calls from the thread that runs it. Other threads block all signals: this one takes
 *          SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2 (PgBouncer's meanings, but see
 *          drain_rate).
 * Needs:   shared initialised by control_prepare; workers started by main between control_new and
 *          control_run, whose mailboxes are in shared->workers by then.
 */
#ifndef PGWEIR_CONTROL_CONTROL_H
#define PGWEIR_CONTROL_CONTROL_H

#include "base/status.h"
#include "control/config.h"
#include "control/takeover.h"
#include "worker/shared.h"

struct control;

struct control_args {
	struct shared *shared; /* borrowed until control_free */
	struct config_from from;
	int stats_fd; /* a listening socket for the stats port, moved; 0, -1: none */
	/*
	 * A configuration was taken over, after that of the start: set log level and sink.
	 * `reopen` asks for the log file to be opened again (SIGHUP). In the control thread; may be
	 * NULL.
	 */
	void (*on_conf)(void *arg, const struct conf *conf, bool reopen);
	void *arg;
	/* take-over, control/takeover.h: takeover_socket; 0, -1: none; moved */
	int takeover_fd;
	struct takeover_from *predecessor; /* borrowed until control_new returns; NULL: none */
	/* The i-th listening socket to hand on; false: there are no more. */
	bool (*socket)(void *arg, uint32_t i, struct takeover_listening *out);
	/* The process that took over is dead, and this one serves again: what names it is its own.
	 */
	void (*serves_again)(void *arg);
};

/*
 * Publish the first snapshots (conf, users, TLS; empty topology, addresses, catalogs and admin
 * state) into `sh`, whose log, hash_key, mock_secret, snap and n_workers are set. Moves *set.
 * Errors: E_NOMEM, nothing was moved.
 */
enum status control_prepare(struct shared *sh, struct config_set *set) MUST_USE;

/*
 * Build everything, open the stats port, start the helper threads. shared->control is initialised
 * here: workers may post to it afterwards. Errors: E_NOMEM; E_IO, told in the log. The snapshots
 * are freed then.
 */
enum status control_new(const struct control_args *args, struct control **out) MUST_USE;

/* Serve until every worker has ended (ASK_STOPPED) or the time for that is over. Errors: E_IO. */
enum status control_run(struct control *c) MUST_USE;

/*
 * After the workers' threads were joined. Frees the snapshots in shared. NULL is allowed.
 * Returns false if a helper thread is still busy (a server has given it endless work): then end the
 * process with _exit, for exit handlers would pull the libraries from under it.
 */
bool control_free(struct control *c);

#endif
