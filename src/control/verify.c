#include "control/verify.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "conf/conf.h"

enum check_state {
	CHECK_WAITING,
	CHECK_RUNNING,
	CHECK_LATE, /* running, and answered already: its thread frees it */
	CHECK_DONE, /* on its way back */
};

struct verifier {
	struct list link; /* in verify.ended, once it has */
	struct verify *v;
	pthread_t thread;
	bool is_replaced;
};

struct check {
	struct mail mail;
	struct list all;          /* in verify.all, unless late; the control thread's */
	struct wheel_timer timer; /* the control thread's */
	struct list waiting;      /* in verify.line; under the lock, as all below */
	struct verify *v;
	enum check_state state;
	enum verify_method method;
	struct verifier *by;
	struct ask_verify *ask;
	struct tell_verified *told; /* where the answer goes; the control thread's */
	uint32_t worker;            /* … and to whom */
	uint64_t deadline_us;
	struct verify_answer answer;
};

struct verify {
	struct env *env;
	const struct verify_ops *ops;
	struct list all;
	uint64_t results[VERIFY_METHODS][VERIFY_RESULT_COUNT];
	/* under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t work; /* a check waits, or the end has come */
	pthread_cond_t gone; /* a thread has ended */
	struct list line, ended;
	uint32_t n_line, n_threads, n_idle, n_replaced, threads_max;
	struct verify_count now[VERIFY_METHODS]; /* without the results */
	bool stopping;
};

/* --- words --- */

const char *verify_method_name(enum verify_method method)
{
	return method == VERIFY_PAM ? "pam" : "ldap";
}

const char *verify_result_name(enum verify_result result)
{
	static const char *const names[VERIFY_RESULT_COUNT] = {
		[VERIFY_ACCEPTED] = "accepted",
		[VERIFY_DENIED] = "denied",
		[VERIFY_FAILED] = "failed",
		[VERIFY_TIMED_OUT] = "timed_out",
		[VERIFY_FULL] = "queue_full",
		[VERIFY_GONE] = "client_gone",
	};

	return names[result];
}

void verify_say(struct verify_answer *out, enum verify_result result, const char *fmt, ...)
{
	va_list ap;

	out->result = result;
	va_start(ap, fmt);
	(void)vsnprintf(out->why, sizeof out->why, fmt, ap);
	va_end(ap);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t verify_left_us(const struct verify_question *q)
{
	uint64_t now = now_us();

	return now < q->deadline_us ? q->deadline_us - now : 0;
}

/* --- checks --- */

void verify_ask_free(struct ask_verify *ask)
{
	free(ask->answer);
	explicit_bzero(ask, sizeof *ask);
	free(ask);
}

static void check_free(struct check *c)
{
	verify_ask_free(c->ask);
	free(c);
}

static enum verify_method method_of(const struct ask_verify *ask)
{
	return ask->method == AUTH_TYPE_PAM ? VERIFY_PAM : VERIFY_LDAP;
}

/* told: moved. */
static void answer(struct verify *v, enum verify_method method, uint32_t worker,
	struct tell_verified *told, const struct verify_answer *a)
{
	v->results[method][a->result]++;
	told->result = a->result;
	text_copy(told->why, sizeof told->why, a->why);
	if (v->env->ended)
		free(told);
	else
		mailbox_post(&v->env->shared->workers[worker].mailbox, &told->mail);
}

static void refuse(
	struct verify *v, struct ask_verify *ask, enum verify_result result, const char *why)
{
	struct tell_verified *told = ask->answer;
	struct verify_answer a;

	verify_say(&a, result, "%s", why);
	ask->answer = NULL;
	answer(v, method_of(ask), ask->worker, told, &a);
	verify_ask_free(ask);
}

/* On a thread. */
static void run(struct check *c)
{
	struct method_options_error err;
	struct method_options options;
	struct verify_question q = {
		.ask = c->ask, .options = &options, .deadline_us = c->deadline_us};
	struct arena arena;
	enum status st;

	arena_init(&arena);
	st = method_options_read(c->ask->method, c->ask->options, &arena, &options, &err);
	if (st == OK)
		c->v->ops->check[c->method](&q, &c->answer);
	else /* they were read before, when the configuration was */
		verify_say(&c->answer, VERIFY_FAILED, "%s",
			st == E_NOMEM ? "no memory" : err.expected);
	arena_wipe(&arena); /* ldapbindpasswd */
	arena_fini(&arena);
}

/* --- threads; under the lock --- */

static void leave_line(struct verify *v, struct check *c)
{
	list_del(&c->waiting);
	v->n_line--;
	v->now[c->method].waiting--;
}

static void run_next(struct verifier *t)
{
	struct verify *v = t->v;
	struct check *c = list_entry(v->line.next, struct check, waiting);

	leave_line(v, c);
	v->now[c->method].running++;
	c->state = CHECK_RUNNING;
	c->by = t;
	pthread_mutex_unlock(&v->lock);
	run(c);
	pthread_mutex_lock(&v->lock);
	if (c->state == CHECK_LATE) {
		v->now[c->method].stuck--;
		check_free(c);
		return;
	}
	v->now[c->method].running--;
	c->state = CHECK_DONE;
	mailbox_post(&v->env->shared->control, &c->mail);
}

static bool is_needless(const struct verifier *t)
{
	const struct verify *v = t->v;

	return v->stopping || t->is_replaced || v->n_threads - v->n_replaced > v->threads_max;
}

static void *thread_main(void *arg)
{
	struct verifier *t = arg;
	struct verify *v = t->v;

	pthread_mutex_lock(&v->lock);
	while (!is_needless(t)) {
		if (!list_is_empty(&v->line)) {
			run_next(t);
			continue;
		}
		v->n_idle++;
		pthread_cond_wait(&v->work, &v->lock);
		v->n_idle--;
	}
	v->n_replaced -= t->is_replaced;
	v->n_threads--;
	list_push_back(&v->ended, &t->link);
	pthread_cond_signal(&v->gone);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

static bool start_thread(struct verify *v)
{
	struct verifier *t = calloc(1, sizeof *t);
	sigset_t all, old;
	bool started;

	if (t == NULL)
		return false;
	t->v = v;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the control thread */
	started = pthread_create(&t->thread, NULL, thread_main, t) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	v->n_threads += started;
	if (!started)
		free(t);
	return started;
}

/* Wake or start a thread for what waits. */
static void hurry(struct verify *v)
{
	if (v->n_line > v->n_idle && v->n_threads - v->n_replaced < v->threads_max)
		(void)start_thread(v);
	pthread_cond_signal(&v->work);
}

/* Those that have ended are taken out; also without the lock once all have. */
static void join_ended(struct verify *v)
{
	while (!list_is_empty(&v->ended)) {
		struct verifier *t = list_entry(v->ended.next, struct verifier, link);

		list_del(&t->link);
		pthread_mutex_unlock(&v->lock); /* its last step is to give it back */
		pthread_join(t->thread, NULL);
		free(t);
		pthread_mutex_lock(&v->lock);
	}
}

/* --- the control thread --- */

static void give_up_waiting(struct verify *v, struct check *c, struct verify_answer *a)
{
	leave_line(v, c);
	verify_say(a, VERIFY_TIMED_OUT,
		"none of auth_helper_threads was free within auth_helper_timeout");
}

static void give_up_running(struct verify *v, struct check *c, struct verify_answer *a)
{
	c->state = CHECK_LATE;
	v->now[c->method].running--;
	v->now[c->method].stuck++;
	if (v->n_replaced < v->threads_max) {
		c->by->is_replaced = true;
		v->n_replaced++;
		hurry(v);
	}
	verify_say(a, VERIFY_TIMED_OUT, "no answer within auth_helper_timeout");
}

static void on_deadline(void *ctx, struct wheel_timer *timer)
{
	struct check *c = list_entry(timer, struct check, timer);
	struct tell_verified *told = c->told;
	enum verify_method method = c->method;
	uint32_t worker = c->worker;
	struct verify_answer a;
	struct verify *v = c->v;
	enum check_state was;

	(void)ctx;
	pthread_mutex_lock(&v->lock);
	was = c->state;
	if (was != CHECK_DONE) {
		list_del(&c->all);
		(was == CHECK_WAITING ? give_up_waiting : give_up_running)(v, c, &a);
	}
	pthread_mutex_unlock(&v->lock); /* one that is late is its thread's from here on */
	if (was == CHECK_DONE)
		return; /* its mail is on its way */
	answer(v, method, worker, told, &a);
	if (was == CHECK_WAITING)
		check_free(c);
}

static struct check *check_new(struct verify *v, struct ask_verify *ask)
{
	struct check *c = calloc(1, sizeof *c);
	uint64_t timeout_us = env_conf(v->env)->auth_helper_timeout_us;

	if (c == NULL)
		return NULL;
	c->mail.kind = VERIFY_MAIL;
	c->v = v;
	c->ask = ask;
	c->told = ask->answer;
	ask->answer = NULL;
	c->worker = ask->worker;
	c->method = method_of(ask);
	c->deadline_us = now_us() + timeout_us;
	list_init(&c->waiting);
	wheel_timer_init(&c->timer, on_deadline);
	env_timer(v->env, &c->timer, timeout_us + VERIFY_GRACE_US);
	list_push_back(&v->all, &c->all);
	return c;
}

/* False: the line is full. */
static bool stand_in_line(struct verify *v, struct check *c)
{
	const struct conf *conf = env_conf(v->env);
	bool has_place;

	pthread_mutex_lock(&v->lock);
	join_ended(v);
	v->threads_max = conf->auth_helper_threads;
	has_place = v->n_line < conf->auth_helper_queue;
	if (has_place) {
		list_push_back(&v->line, &c->waiting);
		v->n_line++;
		v->now[c->method].waiting++;
		hurry(v);
	}
	pthread_mutex_unlock(&v->lock);
	return has_place;
}

void verify_take(struct verify *v, struct ask_verify *ask)
{
	struct check *c;

	PANIC_IF(ask->worker >= v->env->shared->n_workers);
	PANIC_IF(ask->method != AUTH_TYPE_PAM && ask->method != AUTH_TYPE_LDAP);
	if (v->ops->check[method_of(ask)] == NULL) {
		refuse(v, ask, VERIFY_FAILED, "this build of pgweir lacks the method");
		return;
	}
	c = check_new(v, ask);
	if (c == NULL) {
		refuse(v, ask, VERIFY_FAILED, "no memory");
		return;
	}
	if (stand_in_line(v, c))
		return;
	wheel_del(&v->env->wheel, &c->timer);
	list_del(&c->all);
	ask->answer = c->told;
	free(c);
	refuse(v, ask, VERIFY_FULL, "auth_helper_queue is full");
}

static struct check *check_of(const struct verify *v, const struct ask_unasked *ask)
{
	struct list *it;

	list_foreach (it, &v->all) {
		struct check *c = list_entry(it, struct check, all);

		if (c->worker == ask->worker && c->told->token == ask->token)
			return c;
	}
	return NULL;
}

void verify_unask(struct verify *v, const struct ask_unasked *ask)
{
	struct check *c = check_of(v, ask);
	bool waits;

	if (c == NULL)
		return;
	pthread_mutex_lock(&v->lock);
	waits = c->state == CHECK_WAITING;
	if (waits)
		leave_line(v, c);
	pthread_mutex_unlock(&v->lock);
	if (!waits)
		return;
	v->results[c->method][VERIFY_GONE]++;
	wheel_del(&v->env->wheel, &c->timer);
	list_del(&c->all);
	free(c->told);
	check_free(c);
}

void verify_finish(struct verify *v, struct mail *m)
{
	struct check *c = (struct check *)(void *)m; /* mail is its first member */

	PANIC_IF(m->kind != VERIFY_MAIL || c->v != v);
	wheel_del(&v->env->wheel, &c->timer);
	list_del(&c->all);
	answer(v, c->method, c->worker, c->told, &c->answer);
	check_free(c);
}

struct verify_count verify_count(struct verify *v, enum verify_method method)
{
	struct verify_count n;

	pthread_mutex_lock(&v->lock);
	n = v->now[method];
	pthread_mutex_unlock(&v->lock);
	memcpy(n.results, v->results[method], sizeof n.results);
	return n;
}

/* --- life --- */

enum status verify_new(struct env *env, const struct verify_ops *ops, struct verify **out)
{
	struct verify *v = calloc(1, sizeof *v);
	pthread_condattr_t attr;

	if (v == NULL)
		return E_NOMEM;
	v->env = env;
	v->ops = ops;
	list_init(&v->all);
	list_init(&v->line);
	list_init(&v->ended);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&v->gone, &attr);
	pthread_condattr_destroy(&attr);
	*out = v;
	return OK;
}

/* Those in line go; those that run become their threads'. Under the lock. */
static void drop_checks(struct verify *v)
{
	struct list *next;

	for (struct list *l = v->all.next; l != &v->all; l = next) {
		struct check *c = list_entry(l, struct check, all);

		next = l->next;
		wheel_del(&v->env->wheel, &c->timer);
		if (c->state == CHECK_DONE)
			continue;
		list_del(&c->all);
		free(c->told);
		if (c->state == CHECK_WAITING) {
			leave_line(v, c);
			check_free(c);
		} else {
			c->state = CHECK_LATE;
			v->now[c->method].running--;
			v->now[c->method].stuck++;
		}
	}
}

bool verify_stop(struct verify *v, uint32_t wait_ms)
{
	struct timespec until;
	bool all_gone;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&v->lock);
	v->stopping = true;
	drop_checks(v);
	pthread_cond_broadcast(&v->work);
	while (v->n_threads > 0 && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&v->gone, &v->lock, &until);
	all_gone = v->n_threads == 0;
	join_ended(v);
	pthread_mutex_unlock(&v->lock);
	return all_gone;
}

void verify_free(struct verify *v)
{
	if (v == NULL)
		return;
	PANIC_IF(v->n_threads != 0 || !list_is_empty(&v->all));
	pthread_cond_destroy(&v->work);
	pthread_cond_destroy(&v->gone);
	pthread_mutex_destroy(&v->lock);
	free(v);
}
