#include "control/helpers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

struct queue {
	struct mail *first;
	struct mail **last;
};

struct helpers {
	/* the owner's thread */
	uint32_t n_jobs;
	uint32_t queue_max, slow_max;
	uint32_t n_threads;
	struct mailbox *answers;
	pthread_t threads[HELPERS_MAX];

	/* under `lock` */
	pthread_mutex_t lock;
	pthread_cond_t work; /* a job waits, or the end has come */
	pthread_cond_t idle; /* a helper has ended */
	struct queue fast, slow;
	uint32_t n_slow; /* running */
	uint32_t n_alive;
	bool stopping;
};

static void queue_init(struct queue *q)
{
	q->first = NULL;
	q->last = &q->first;
}

static void queue_push(struct queue *q, struct mail *m)
{
	m->next = NULL;
	*q->last = m;
	q->last = &m->next;
}

static struct job *queue_pop(struct queue *q)
{
	struct mail *m = q->first;

	if (m == NULL)
		return NULL;
	q->first = m->next;
	if (q->first == NULL)
		q->last = &q->first;
	return (struct job *)(void *)m; /* mail is its first member */
}

/* The next job that may run now, or NULL. Under the lock. */
static struct job *next_job(struct helpers *h)
{
	struct job *j = queue_pop(&h->fast);

	if (j == NULL && h->n_slow < h->slow_max)
		j = queue_pop(&h->slow);
	return j;
}

static void run_one(struct helpers *h, struct job *j)
{
	bool slow = j->slow; /* the job is not ours any more once it is posted */

	h->n_slow += slow;
	pthread_mutex_unlock(&h->lock);
	j->run(j);
	mailbox_post(h->answers, &j->mail);
	pthread_mutex_lock(&h->lock);
	h->n_slow -= slow;
	if (slow)
		pthread_cond_signal(&h->work);
}

static void *helper_main(void *arg)
{
	struct helpers *h = arg;
	struct job *j;

	pthread_mutex_lock(&h->lock);
	while (!h->stopping) {
		if ((j = next_job(h)) != NULL)
			run_one(h, j);
		else
			pthread_cond_wait(&h->work, &h->lock);
	}
	h->n_alive--;
	pthread_cond_signal(&h->idle);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static enum status start_threads(struct helpers *h, uint32_t n)
{
	sigset_t all, old;
	enum status st = OK;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the control thread */
	while (h->n_threads < n && st == OK) {
		err = pthread_create(&h->threads[h->n_threads], NULL, helper_main, h);
		if (err != 0) {
			errno = err;
			st = E_IO;
			break;
		}
		pthread_mutex_lock(&h->lock);
		h->n_threads++;
		h->n_alive++;
		pthread_mutex_unlock(&h->lock);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return st;
}

static void init_cond(pthread_cond_t *c)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(c, &attr);
	pthread_condattr_destroy(&attr);
}

enum status helpers_new(const struct helpers_conf *conf, struct helpers **out)
{
	struct helpers *h;
	enum status st;

	PANIC_IF(conf->n_threads == 0 || conf->n_threads > HELPERS_MAX);
	PANIC_IF(conf->slow_max == 0 || conf->slow_max > conf->n_threads);
	h = calloc(1, sizeof *h);
	if (h == NULL)
		return E_NOMEM;
	h->queue_max = conf->queue_max;
	h->slow_max = conf->slow_max;
	h->answers = conf->answers;
	queue_init(&h->fast);
	queue_init(&h->slow);
	pthread_mutex_init(&h->lock, NULL);
	init_cond(&h->work);
	init_cond(&h->idle);
	st = start_threads(h, conf->n_threads);
	if (st != OK) {
		if (helpers_stop(h, UINT32_MAX))
			helpers_free(h);
		return st;
	}
	*out = h;
	return OK;
}

enum status helpers_submit(struct helpers *h, struct job *j)
{
	enum status st = OK;

	if (h->n_jobs >= h->queue_max)
		return E_LIMIT;
	j->mail.kind = HELPERS_MAIL;
	pthread_mutex_lock(&h->lock);
	if (h->stopping)
		st = E_LIMIT;
	else
		queue_push(j->slow ? &h->slow : &h->fast, &j->mail);
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->lock);
	h->n_jobs += st == OK;
	return st;
}

void helpers_finish(struct helpers *h, struct mail *m)
{
	struct job *j = (struct job *)(void *)m;

	PANIC_IF(m->kind != HELPERS_MAIL);
	PANIC_IF(h->n_jobs == 0);
	h->n_jobs--;
	j->done(j);
}

static struct timespec in_ms(uint32_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool helpers_stop(struct helpers *h, uint32_t wait_ms)
{
	struct timespec until = in_ms(wait_ms);
	struct job *j;
	int err = 0;

	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_broadcast(&h->work);
	while ((j = queue_pop(&h->fast)) != NULL || (j = queue_pop(&h->slow)) != NULL)
		mailbox_post(h->answers, &j->mail);
	while (h->n_alive > 0 && err != ETIMEDOUT)
		err = pthread_cond_timedwait(&h->idle, &h->lock, &until);
	pthread_mutex_unlock(&h->lock);
	if (err == ETIMEDOUT && h->n_alive > 0)
		return false;
	for (uint32_t i = 0; i < h->n_threads; i++)
		pthread_join(h->threads[i], NULL);
	h->n_threads = 0;
	return true;
}

void helpers_free(struct helpers *h)
{
	if (h == NULL)
		return;
	PANIC_IF(h->n_threads != 0);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->idle);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

uint32_t helpers_n_jobs(const struct helpers *h)
{
	return h->n_jobs;
}
