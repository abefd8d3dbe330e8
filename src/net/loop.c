#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net/engine.h"
#include "net/uring.h"

struct loop_watch {
	struct loop *loop;
	struct event *ev; /* NULL: */
	struct uring_watch *uw;
	void (*fn)(void *arg, int what);
	void *arg;
};

static uint64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static uint64_t clock_tick_us(void)
{
	struct timespec ts;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) != 0 || ts.tv_sec != 0 || ts.tv_nsec < 1000)
		return 1000;
	return (uint64_t)ts.tv_nsec / 1000u;
}

void loop_set_log(void (*fn)(int severity, const char *text))
{
	event_set_log_callback(fn);
}

/* --- waking up --- */

void loop_woke(struct loop *l)
{
	if (!l->asleep)
		return;
	l->asleep = false;
	l->now_us = clock_us(CLOCK_MONOTONIC);
	if (l->conf.after_sleep != NULL)
		l->conf.after_sleep(l->conf.arg);
}

/* As loop_woke, in an event of `what`. False: the owner's after_sleep has freed it. */
static bool loop_woke_for(struct loop *l, const void *what)
{
	if (!l->asleep)
		return true;
	l->waking = what;
	loop_woke(l);
	return l->waking == what;
}

/* `what` gets no more events, also not the one that is being told. */
static void loop_forget(struct loop *l, const void *what)
{
	if (l->waking == what)
		l->waking = NULL;
}

/*
 * The eventfd is edge-triggered: each write is an edge, so nobody has to read it. Its counter would
 * take centuries of writes to run full.
 */
static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	loop_woken(arg);
}

void loop_woken(struct loop *l)
{
	loop_woke(l);
	atomic_exchange(&l->wake_pending, false); /* before on_wake looks for what was posted */
	if (l->conf.on_wake != NULL)
		l->conf.on_wake(l->conf.arg);
}

void loop_wake(struct loop *l)
{
	const uint64_t one = 1;
	int saved = errno;

	if (!atomic_exchange(&l->wake_pending, true) && write(l->wake_fd, &one, sizeof one) < 0)
		atomic_store(&l->wake_pending, false);
	errno = saved;
}

static void on_slept(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	loop_woke(l);
	l->armed_us = UINT64_MAX;
}

/* --- life --- */

static enum status loop_init_base(struct loop *l)
{
	struct event_config *cfg = event_config_new();

	if (cfg == NULL)
		return E_NOMEM;
	if (event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0 &&
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) ==
			0)
		l->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return l->base != NULL ? OK : E_IO;
}

static enum status loop_init_events(struct loop *l)
{
	l->wake_ev = event_new(l->base, l->wake_fd, EV_READ | EV_ET | EV_PERSIST, on_wake, l);
	l->sleep_ev = event_new(l->base, -1, 0, on_slept, l);
	if (l->wake_ev == NULL || l->sleep_ev == NULL)
		return E_NOMEM;
	return event_add(l->wake_ev, NULL) == 0 ? OK : E_IO;
}

static enum status loop_init_engine(struct loop *l)
{
	enum status st;

	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return E_IO;
	if (l->conf.engine == LOOP_URING)
		return uring_new(l, &l->uring);
	st = loop_init_base(l);
	return st == OK ? loop_init_events(l) : st;
}

enum status loop_new(const struct loop_conf *conf, struct loop **out)
{
	enum status st;
	int saved;
	struct loop *l = calloc(1, sizeof *l);

	if (l == NULL)
		return E_NOMEM;
	l->conf = *conf;
	l->wake_fd = -1;
	l->armed_us = UINT64_MAX;
	l->now_us = clock_us(CLOCK_MONOTONIC);
	l->tick_us = clock_tick_us();
	bufpool_init(&l->bufs, conf->bufpool_keep_max);
	wheel_init(&l->wheel, l->now_us);
	list_init(&l->ready);
	list_init(&l->lingering);
	st = E_NOMEM;
	if ((l->rx = malloc(conf->rx_len)) == NULL || (st = loop_init_engine(l)) != OK)
		goto fail;
	*out = l;
	return OK;
fail:
	saved = errno;
	loop_free(l);
	errno = saved;
	return st;
}

enum status loop_uring_offered(const char **why)
{
	const struct loop_conf conf = {.engine = LOOP_URING, .rx_len = 1};
	struct loop *l;

	if (loop_new(&conf, &l) == OK) {
		loop_free(l);
		return OK;
	}
	switch (errno) {
	case ENOSYS:
		*why = uring_is_built() ? "the kernel has no io_uring" : "built without liburing";
		break;
	case EPERM:
	case EACCES:
		*why = "the system forbids it (a container's seccomp filter, or "
		       "kernel.io_uring_disabled)";
		break;
	case EINVAL:
		*why = "the kernel is older than 6.1";
		break;
	case ENOMEM:
		*why = "not enough memory (or locked memory, ulimit -l)";
		break;
	default:
		*why = "io_uring_setup failed";
		break;
	}
	return E_IO;
}

const char *loop_engine_name(const struct loop *l)
{
	return loop_is_uring(l) ? "io_uring" : "epoll";
}

void loop_free(struct loop *l)
{
	struct list *node;

	if (l == NULL)
		return;
	while ((node = list_pop_front(&l->lingering)) != NULL)
		conn_destroy(list_entry(node, struct conn, ready));
	PANIC_IF(l->n_conns != 0);
	PANIC_IF(l->n_watches != 0);
	if (l->wake_ev != NULL)
		event_free(l->wake_ev);
	if (l->sleep_ev != NULL)
		event_free(l->sleep_ev);
	if (l->base != NULL) {
		/* evdns and evhttp finish what they have put off */
		(void)event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		event_base_free(l->base);
	}
	uring_free(l->uring);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	bufpool_fini(&l->bufs);
	free(l->wire);
	free(l->rx);
	free(l);
}

/* --- turning --- */

/* Serve what stands on the list now; what comes to stand there meanwhile waits for the next turn.
 */
static void loop_serve_ready(struct loop *l)
{
	struct list now;
	struct list *node;

	if (list_is_empty(&l->ready))
		return;
	list_init(&now);
	list_splice_back(&now, &l->ready);
	while ((node = list_pop_front(&now)) != NULL)
		conn_serve(list_entry(node, struct conn, ready));
}

/*
 * Let the sleep end at until_us. The timer is moved only to an earlier time: waking once too early
 * is cheaper than moving it each turn. libevent compares with the coarse clock, so a span that is
 * not a multiple of its tick would be slept in several pieces.
 */
static enum status loop_arm(struct loop *l, uint64_t until_us)
{
	uint64_t us;
	struct timeval tv;

	if (l->armed_us <= until_us)
		return OK;
	us = until_us - l->now_us;
	us += l->tick_us - 1 - (us - 1) % l->tick_us;
	tv.tv_sec = (time_t)(us / 1000000u);
	tv.tv_usec = (suseconds_t)(us % 1000000u);
	if (event_add(l->sleep_ev, &tv) != 0)
		return E_IO;
	l->armed_us = until_us;
	return OK;
}

/* What was copied can still be flushed; what was lent may be gone by now. */
static void loop_settle(struct loop *l)
{
	const struct gather *g = &l->gather;

	if (g->conn == NULL)
		return;
	PANIC_IF(g->copy_len != g->len);
	conn_flush(g->conn);
}

enum status loop_turn(struct loop *l, uint64_t until_us)
{
	uint64_t own_us = wheel_next_us(&l->wheel);
	bool sleep;
	enum status st = OK;

	loop_settle(l);
	if (own_us < until_us)
		until_us = own_us;
	sleep = list_is_empty(&l->ready) && until_us > l->now_us;
	if (sleep && !loop_is_uring(l) && loop_arm(l, until_us) != OK)
		return E_IO;
	if (l->conf.before_sleep != NULL)
		l->conf.before_sleep(l->conf.arg);
	l->asleep = true;
	if (loop_is_uring(l))
		st = uring_turn(l->uring, until_us, sleep);
	else if (event_base_loop(l->base, EVLOOP_ONCE | (sleep ? 0 : EVLOOP_NONBLOCK)) < 0)
		st = E_IO;
	loop_woke(l);
	if (loop_is_uring(l))
		loop_serve_ready(l); /* what came in several pieces for one conn, at once */
	wheel_run(&l->wheel, l->now_us, LOOP_TIMER_MAX, l);
	loop_serve_ready(l);
	return st;
}

uint64_t loop_now_us(const struct loop *l)
{
	return l->now_us;
}

struct bufpool *loop_bufpool(struct loop *l)
{
	return &l->bufs;
}

enum status loop_need_wire(struct loop *l)
{
	if (l->wire == NULL)
		l->wire = malloc(LOOP_WIRE_LEN);
	return l->wire != NULL ? OK : E_NOMEM;
}

struct event_base *loop_event_base(struct loop *l)
{
	return l->base;
}

/* --- connections' events --- */

size_t loop_io_size(void)
{
	size_t n = event_get_struct_event_size();

	return n > uring_io_size() ? n : uring_io_size(); /* a conn may move between engines */
}

static struct event *io_event(struct conn *c)
{
	return (struct event *)(void *)(c + 1);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	(void)fd;
	if (!loop_woke_for(c->loop, c))
		return;
	conn_on_event(c, ((what & EV_READ) != 0 ? IO_READ : 0) |
				 ((what & EV_WRITE) != 0 ? IO_WRITE : 0) |
				 ((what & EV_CLOSED) != 0 ? IO_CLOSED : 0));
}

enum status loop_io_add(struct conn *c)
{
	struct event *ev = io_event(c);
	const short what = EV_READ | EV_WRITE | EV_CLOSED | EV_ET | EV_PERSIST;

	if (loop_is_uring(c->loop)) {
		uring_add(c);
		return OK;
	}
	if (event_assign(ev, c->loop->base, c->fd, what, on_io, c) != 0)
		return E_IO;
	return event_add(ev, NULL) == 0 ? OK : E_IO;
}

void loop_io_del(struct conn *c)
{
	loop_forget(c->loop, c);
	if (!loop_is_uring(c->loop)) /* else uring_leave or uring_bury follows */
		event_del(io_event(c));
}

/* --- watches --- */

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *w = arg;

	(void)fd;
	if (!loop_woke_for(w->loop, w))
		return;
	w->fn(w->arg, ((what & EV_READ) != 0 ? LOOP_READ : 0) |
			      ((what & EV_WRITE) != 0 ? LOOP_WRITE : 0));
}

void loop_watched(struct loop_watch *w, int what)
{
	w->fn(w->arg, what);
}

static void on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_watch *w = arg;

	(void)what;
	if (loop_woke_for(w->loop, w))
		w->fn(w->arg, (int)signo);
}

static enum status watch_new_uring(
	struct loop *l, int fd, int what, const struct loop_watch *like, struct loop_watch **out)
{
	struct loop_watch *w = malloc(sizeof *w);
	enum status st;

	if (w == NULL)
		return E_NOMEM;
	*w = *like;
	if ((st = uring_watch_fd(l->uring, fd, what, w, &w->uw)) != OK) {
		free(w);
		return st;
	}
	l->n_watches++;
	*out = w;
	return OK;
}

static enum status watch_new(struct loop *l, int fd, short events, event_callback_fn on_event,
	const struct loop_watch *what, struct loop_watch **out)
{
	struct loop_watch *w = malloc(sizeof *w);

	if (w == NULL)
		return E_NOMEM;
	*w = *what;
	w->ev = event_new(l->base, fd, events | EV_PERSIST, on_event, w);
	if (w->ev == NULL || event_add(w->ev, NULL) != 0) {
		enum status st = w->ev == NULL ? E_NOMEM : E_IO;

		if (w->ev != NULL)
			event_free(w->ev);
		free(w);
		return st;
	}
	l->n_watches++;
	*out = w;
	return OK;
}

enum status loop_watch(struct loop *l, int fd, int what, void (*fn)(void *arg, int what), void *arg,
	struct loop_watch **out)
{
	const struct loop_watch w = {.loop = l, .fn = fn, .arg = arg};
	short events = (short)(((what & LOOP_READ) != 0 ? EV_READ : 0) |
			       ((what & LOOP_WRITE) != 0 ? EV_WRITE : 0));

	if (loop_is_uring(l))
		return watch_new_uring(l, fd, what, &w, out);
	return watch_new(l, fd, events, on_watch, &w, out);
}

enum status loop_watch_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
	void *arg, struct loop_watch **out)
{
	const struct loop_watch w = {.loop = l, .fn = fn, .arg = arg};

	return watch_new(l, signo, EV_SIGNAL, on_signal, &w, out);
}

void loop_unwatch(struct loop_watch *w)
{
	if (w == NULL)
		return;
	loop_forget(w->loop, w);
	w->loop->n_watches--;
	if (w->uw != NULL)
		uring_unwatch(w->uw);
	else
		event_free(w->ev);
	free(w);
}
