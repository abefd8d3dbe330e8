/*
 * env - what every module of the control thread works with. Built by control.c, borrowed by all.
 */
#ifndef PGWEIR_CONTROL_ENV_H
#define PGWEIR_CONTROL_ENV_H

#include "base/wheel.h"
#include "net/loop.h"
#include "worker/shared.h"

struct helpers;
struct lag_log;

struct env {
	struct shared *shared;
	struct loop *loop;
	struct wheel wheel;
	struct helpers *helpers;
	struct list pq_orphans;        /* control/pq.c's: given up while a helper works on them */
	const struct lag_log *lag_log; /* the monitor's; NULL before it is there */
	bool ended; /* the workers are gone: nothing is posted to them any more */
};

static inline uint64_t env_now_us(const struct env *env)
{
	return loop_now_us(env->loop);
}

/* Wall clock: the start's plus monotonic time, so that it never jumps. */
static inline uint64_t env_wall_us(const struct env *env)
{
	return env->shared->start_wall_us + (env_now_us(env) - env->shared->start_mono_us);
}

/* in_us 0: before the loop sleeps again. */
static inline void env_timer(struct env *env, struct wheel_timer *t, uint64_t in_us)
{
	wheel_add(&env->wheel, t, in_us != 0 ? env_now_us(env) + in_us : 0);
}

/* The present snapshots, valid until the end of this turn. */
#define env_conf(env)     atomic_load_explicit(&(env)->shared->conf, memory_order_acquire)
#define env_users(env)    atomic_load_explicit(&(env)->shared->users, memory_order_acquire)
#define env_topology(env) atomic_load_explicit(&(env)->shared->topology, memory_order_acquire)
#define env_addrs(env)    atomic_load_explicit(&(env)->shared->addrs, memory_order_acquire)
#define env_catalogs(env) atomic_load_explicit(&(env)->shared->catalogs, memory_order_acquire)

#endif
