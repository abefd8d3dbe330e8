/*
 * ending - how the process comes to its end: at once, or when clients or servers have gone.
 * Owns: the phase, its timer.
 */
#ifndef PGWEIR_CONTROL_ENDING_H
#define PGWEIR_CONTROL_ENDING_H

#include "control/tell.h"

#define ENDING_POLL_US    50000u
#define ENDING_TIMEOUT_US (10u * 1000u * 1000u) /* for the workers, once they are told */

enum ending_phase {
	ENDING_NOT,
	ENDING_CLIENTS,  /* when the last client has left */
	ENDING_DRAIN,    /* … or at `until_us` */
	ENDING_SERVERS,  /* when no server is in use */
	ENDING_SOON,     /* in the next turn */
	ENDING_STOPPING, /* the workers have been told */
	ENDING_OVER,
};

struct ending {
	struct env *env;
	enum ending_phase phase;
	struct wheel_timer timer;
	uint64_t until_us;
	uint64_t drained_us; /* clients were let go for the time up to this */
	struct tell_run tell;
	uint32_t n_stopped;             /* workers that have ended */
	void (*on_stopping)(void *arg); /* the workers are told next; may be NULL */
	void *arg;
};

void ending_init(struct ending *e, struct env *env, struct tellers *t);
void ending_fini(struct ending *e);

/*
 * No new clients from now on. Once more, or while the other is under way: at once. Nothing is freed
 * before the call returns, so a console may call it.
 */
void ending_wait(struct ending *e, bool wait_servers);
void ending_soon(struct ending *e);
/* Another process has taken over: when the last client has gone, or after `timeout_us`. */
void ending_drain(struct ending *e, uint64_t timeout_us);
/* … and is dead: this one does not end. False: it is too late for that. */
bool ending_go_on(struct ending *e);
void ending_worker_stopped(struct ending *e); /* a mail ASK_STOPPED */

static inline bool ending_is_over(const struct ending *e)
{
	return e->phase == ENDING_OVER;
}

#endif
