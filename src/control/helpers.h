/*
 * helpers - a few threads for work that is slow or may block: key derivation, file reads, the
 * steps of a login of our own. A job carries its own data and comes back by mailbox.
 * Owns:    the threads and the queue; a job is moved by helpers_submit and back by its `done`.
 * Threads: all calls from one thread, the owner's; job->run on any helper.
 * Bounds:  1..HELPERS_MAX threads, `queue_max` jobs waiting or running; beyond it E_LIMIT. Jobs
 * that a remote side can make endless (`slow`) never take the last helper, if there are two.
 */
#ifndef PGWEIR_CONTROL_HELPERS_H
#define PGWEIR_CONTROL_HELPERS_H

#include "base/mailbox.h"
#include "base/status.h"

#define HELPERS_MAX 32u

enum { HELPERS_MAIL = 1000 }; /* mail.kind of a job that comes back */

struct helpers;

/* Embedded in what it works on. `mail` belongs to helpers between submit and done. */
struct job {
	struct mail mail;
	void (*run)(struct job *j);  /* on a helper; touches nothing but the job */
	void (*done)(struct job *j); /* in the owner's thread; the job is the owner's again */
	bool slow;                   /* a remote side decides how long it takes */
};

struct helpers_conf {
	uint32_t n_threads;
	uint32_t slow_max; /* 1..n_threads; the other threads are left to quick jobs */
	uint32_t queue_max;
	struct mailbox *answers; /* where finished jobs go, as kind HELPERS_MAIL */
};

/* Errors: E_NOMEM, E_IO (no thread). */
enum status helpers_new(const struct helpers_conf *conf, struct helpers **out) MUST_USE;

/* Errors: E_LIMIT the queue is full, or helpers_stop was called; the job stays the caller's. */
enum status helpers_submit(struct helpers *h, struct job *j) MUST_USE;

/* Take in a mail of kind HELPERS_MAIL: calls its job's `done`. */
void helpers_finish(struct helpers *h, struct mail *m);

/*
 * End. Jobs that wait come back unrun, through the mailbox; running ones are waited for, at most
 * `wait_ms`. Returns false if a helper is still busy then: it, its job and `h` are left alone for
 * ever (the process is about to end). Afterwards the mailbox is drained with helpers_finish.
 */
bool helpers_stop(struct helpers *h, uint32_t wait_ms);
void helpers_free(struct helpers *h); /* after helpers_stop was true; NULL is allowed */

uint32_t helpers_n_jobs(const struct helpers *h); /* waiting, running or on their way back */

#endif
