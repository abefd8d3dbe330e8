#include "control/ending.h"

#include "conf/conf.h"
#include "control/admin.h"

static void over_if_all_stopped(struct ending *e)
{
	if (e->n_stopped < e->env->shared->n_workers)
		return;
	wheel_del(&e->env->wheel, &e->timer);
	e->phase = ENDING_OVER;
}

static void ending_now(struct ending *e)
{
	if (e->phase >= ENDING_STOPPING)
		return;
	log_info(e->env->shared->log, "stopping", "clients=%u",
		atomic_load(&e->env->shared->n_clients));
	tell_cancel(&e->tell);
	e->phase = ENDING_STOPPING;
	if (e->on_stopping != NULL)
		e->on_stopping(e->arg);
	if (tell_all(e->env, TELL_STOP) != OK)
		log_error(e->env->shared->log, "workers not told to stop", "reason=memory");
	env_timer(e->env, &e->timer, ENDING_TIMEOUT_US);
	over_if_all_stopped(e);
}

void ending_soon(struct ending *e)
{
	if (e->phase >= ENDING_SOON)
		return;
	tell_cancel(&e->tell);
	e->phase = ENDING_SOON;
	env_timer(e->env, &e->timer, 0);
}

void ending_worker_stopped(struct ending *e)
{
	e->n_stopped++;
	if (e->phase == ENDING_STOPPING) {
		over_if_all_stopped(e);
		return;
	}
	log_error(e->env->shared->log, "a worker has ended by itself", "stopped=%u", e->n_stopped);
	ending_now(e);
}

static void on_told(struct tell_run *run, const struct tell_sum *sum)
{
	struct ending *e = list_entry(run, struct ending, tell);

	if (sum->complete && sum->servers_in_use == 0)
		ending_now(e);
	else
		env_timer(e->env, &e->timer, ENDING_POLL_US);
}

/* drain_rate: workers may close so many idle clients more. What none of them took is not saved. */
static void drain(struct ending *e)
{
	const struct conf *conf = env_conf(e->env);
	uint64_t now_us = env_now_us(e->env), n;

	if (conf->drain_rate == 0 || now_us < e->drained_us)
		return;
	n = (now_us - e->drained_us) * conf->drain_rate / 1000000u;
	if (n == 0)
		return;
	e->drained_us += n * 1000000u / conf->drain_rate;
	atomic_store(&e->env->shared->drain_quota,
		(int32_t)(n < conf->drain_rate ? n : conf->drain_rate));
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct ending *e = list_entry(t, struct ending, timer);
	struct shared *sh = e->env->shared;

	(void)ctx;
	if (e->phase == ENDING_SOON) {
		ending_now(e);
	} else if (e->phase == ENDING_SERVERS) {
		tell_start(&e->tell, COMMAND_CLOSE_IDLE, "", 0);
	} else if (e->phase == ENDING_CLIENTS && atomic_load(&sh->n_clients) == 0) {
		ending_now(e);
	} else if (e->phase == ENDING_DRAIN &&
		   (atomic_load(&sh->n_clients) == 0 || env_now_us(e->env) >= e->until_us)) {
		ending_now(e);
	} else if (e->phase == ENDING_CLIENTS || e->phase == ENDING_DRAIN) {
		if (e->phase == ENDING_CLIENTS)
			drain(e);
		env_timer(e->env, t, ENDING_POLL_US);
	} else if (e->phase == ENDING_STOPPING) {
		log_error(sh->log, "workers do not end", "stopped=%u of=%u", e->n_stopped,
			sh->n_workers);
		e->phase = ENDING_OVER;
	}
}

void ending_wait(struct ending *e, bool wait_servers)
{
	if (e->phase != ENDING_NOT || admin_shutdown(e->env, wait_servers) != OK) {
		ending_soon(e);
		return;
	}
	log_info(e->env->shared->log, "shutting down", "wait_for=%s clients=%u",
		wait_servers ? "servers" : "clients", atomic_load(&e->env->shared->n_clients));
	e->phase = wait_servers ? ENDING_SERVERS : ENDING_CLIENTS;
	e->drained_us = env_now_us(e->env) + env_conf(e->env)->drain_delay_us;
	env_timer(e->env, &e->timer, 0);
}

void ending_drain(struct ending *e, uint64_t timeout_us)
{
	if (e->phase != ENDING_NOT)
		return;
	e->phase = ENDING_DRAIN;
	e->until_us = env_now_us(e->env) + timeout_us;
	env_timer(e->env, &e->timer, ENDING_POLL_US);
}

bool ending_go_on(struct ending *e)
{
	if (e->phase != ENDING_DRAIN)
		return false;
	wheel_del(&e->env->wheel, &e->timer);
	e->phase = ENDING_NOT;
	return true;
}

void ending_init(struct ending *e, struct env *env, struct tellers *t)
{
	*e = (struct ending){.env = env};
	wheel_timer_init(&e->timer, on_timer);
	tell_init(&e->tell, t, on_told);
}

void ending_fini(struct ending *e)
{
	wheel_del(&e->env->wheel, &e->timer);
	tell_cancel(&e->tell);
}
