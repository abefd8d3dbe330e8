#include "net/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "net/engine.h"
#include "net/uring.h"

struct loop_watch {
	struct loop *loop;
	struct event *ev;       /* of a signal */
	struct uring_watch *uw; /* of a descriptor; NULL: the engine is epoll */
	bool is_signal;
	int fd; /* or signal */
	int what;
	void (*fn)(void *arg, int what);
	void *arg;
};

/* What an event of epoll is for: the low bits of its pointer. */
enum tag { TAG_CONN, TAG_WATCH, TAG_WAKE, TAG_MASK };

static void *tagged(void *p, enum tag tag)
{
	return (char *)p + tag;
}

static enum status epoll_add(struct loop *l, int fd, uint32_t events, void *what)
{
	struct epoll_event e = {.events = events, .data.ptr = what};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) == 0 ? OK : E_IO;
}

static void epoll_del(struct loop *l, int fd)
{
	(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* it may be closed already */
}

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

/* `what` gets no more events, also not those that have come and are not told yet. */
static void loop_forget(struct loop *l, const void *what)
{
	if (l->waking == what)
		l->waking = NULL;
	for (unsigned i = l->events_told; i < l->n_events; i++)
		if (l->events[i].data.ptr == what)
			l->events[i].data.ptr = NULL;
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

/* --- the epoll engine --- */

static void watch_told(struct loop_watch *w, uint32_t events)
{
	bool end = (events & (EPOLLHUP | EPOLLERR)) != 0;

	w->fn(w->arg, w->what & ((end || (events & EPOLLIN) != 0 ? LOOP_READ : 0) |
					(end || (events & EPOLLOUT) != 0 ? LOOP_WRITE : 0)));
}

static void conn_told(struct conn *c, uint32_t events)
{
	if ((events & EPOLLERR) != 0 || (events & (EPOLLHUP | EPOLLRDHUP)) == EPOLLHUP)
		conn_on_event(c, IO_READ | IO_WRITE);
	else
		conn_on_event(c, ((events & EPOLLIN) != 0 ? IO_READ : 0) |
					 ((events & EPOLLOUT) != 0 ? IO_WRITE : 0) |
					 ((events & EPOLLRDHUP) != 0 ? IO_CLOSED : 0));
}

static void event_told(struct loop *l, const struct epoll_event *e)
{
	char *p = e->data.ptr;

	switch ((enum tag)((uintptr_t)p & TAG_MASK)) {
	case TAG_CONN:
		if (p != NULL)
			conn_told((struct conn *)(void *)p, e->events);
		break;
	case TAG_WATCH:
		watch_told((struct loop_watch *)(void *)(p - TAG_WATCH), e->events);
		break;
	case TAG_WAKE:
	case TAG_MASK:
		loop_woken(l);
		break;
	}
}

/* Sleep for so long, -1: until something comes; then tell what has come. */
static enum status epoll_turn(struct loop *l, int timeout_ms)
{
	int n = epoll_wait(l->epoll_fd, l->events, LOOP_EVENTS_MAX, timeout_ms);

	if (n < 0 && errno != EINTR)
		return E_IO;
	loop_woke(l);
	l->n_events = n > 0 ? (unsigned)n : 0;
	for (l->events_told = 0; l->events_told < l->n_events;) {
		const struct epoll_event e = l->events[l->events_told++];

		event_told(l, &e);
	}
	if (l->n_events > 1 && l->batch != NULL)
		batch_send(l->batch);
	l->n_events = 0;
	return OK;
}

static int timeout_ms(const struct loop *l, uint64_t until_us)
{
	uint64_t ms = (until_us - l->now_us + 999) / 1000;

	if (until_us == UINT64_MAX)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* --- libevent's base: what needs it turns there, and epoll inside it --- */

static void on_slept(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	loop_woke(l);
	l->armed_us = UINT64_MAX;
}

static void on_epoll(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	if (epoll_turn(l, 0) != OK)
		l->failed = true;
}

static void base_free(struct loop *l)
{
	if (l->epoll_ev != NULL)
		event_free(l->epoll_ev);
	if (l->sleep_ev != NULL)
		event_free(l->sleep_ev);
	if (l->base != NULL)
		event_base_free(l->base);
	l->epoll_ev = l->sleep_ev = NULL;
	l->base = NULL;
}

static struct event_base *base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base *base = NULL;

	if (cfg == NULL)
		return NULL;
	if (event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

/* Made when it is asked for first: workers have none. */
struct event_base *loop_event_base(struct loop *l)
{
	if (l->base != NULL || loop_is_uring(l))
		return l->base;
	l->base = base_new();
	if (l->base == NULL)
		return NULL;
	l->epoll_ev = event_new(l->base, l->epoll_fd, EV_READ | EV_PERSIST, on_epoll, l);
	l->sleep_ev = event_new(l->base, -1, 0, on_slept, l);
	if (l->epoll_ev == NULL || l->sleep_ev == NULL || event_add(l->epoll_ev, NULL) != 0)
		base_free(l);
	return l->base;
}

/*
 * Let the sleep end at until_us. The timer is moved only to an earlier time: waking once too early
 * is cheaper than moving it each turn. libevent compares with the coarse clock, so a span that is
 * not a multiple of its tick would be slept in several pieces.
 */
static enum status base_arm(struct loop *l, uint64_t until_us)
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

static enum status base_turn(struct loop *l, uint64_t until_us, bool sleep)
{
	if (sleep && base_arm(l, until_us) != OK)
		return E_IO;
	if (event_base_loop(l->base, EVLOOP_ONCE | (sleep ? 0 : EVLOOP_NONBLOCK)) < 0 || l->failed)
		return E_IO;
	return OK;
}

/* --- life --- */

static enum status loop_init_engine(struct loop *l)
{
	l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->wake_fd < 0)
		return E_IO;
	if (l->conf.engine == LOOP_URING)
		return uring_new(l, &l->uring);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		return E_IO;
	l->batch = batch_new(&l->no_batch);
	/*
	 * Edge-triggered: each write is an edge, so nobody has to read the eventfd. Its counter
	 * would take centuries of writes to run full.
	 */
	return epoll_add(l, l->wake_fd, EPOLLIN | EPOLLET, tagged(l, TAG_WAKE));
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
	l->epoll_fd = -1;
	l->armed_us = UINT64_MAX;
	l->now_us = clock_us(CLOCK_MONOTONIC);
	l->tick_us = clock_tick_us();
	bufpool_init(&l->bufs, conf->bufpool_keep_max);
	wheel_init(&l->wheel, l->now_us);
	list_init(&l->ready);
	list_init(&l->late);
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

const char *loop_no_batch(const struct loop *l)
{
	return l->no_batch;
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
	if (l->base != NULL) {
		/* evdns and evhttp finish what they have put off */
		event_del(l->epoll_ev);
		(void)event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		base_free(l);
	}
	uring_free(l->uring);
	batch_free(l->batch);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
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

/* At least one, so that all go on however busy the loop is. */
static void loop_serve_late(struct loop *l)
{
	uint64_t until_us;

	if (list_is_empty(&l->late))
		return;
	until_us = clock_us(CLOCK_MONOTONIC) + LOOP_LATE_US;
	do
		conn_serve(list_entry(list_pop_front(&l->late), struct conn, ready));
	while (!list_is_empty(&l->late) && clock_us(CLOCK_MONOTONIC) < until_us);
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

	l->n_turns++;
	loop_settle(l);
	if (own_us < until_us)
		until_us = own_us;
	sleep = list_is_empty(&l->ready) && list_is_empty(&l->late) && until_us > l->now_us;
	if (l->conf.before_sleep != NULL)
		l->conf.before_sleep(l->conf.arg);
	l->asleep = true;
	if (loop_is_uring(l))
		st = uring_turn(l->uring, until_us, sleep);
	else if (l->base != NULL)
		st = base_turn(l, until_us, sleep);
	else
		st = epoll_turn(l, sleep ? timeout_ms(l, until_us) : 0);
	loop_woke(l);
	if (loop_is_uring(l))
		loop_serve_ready(l); /* what came in several pieces for one conn, at once */
	wheel_run(&l->wheel, l->now_us, LOOP_TIMER_MAX, l);
	loop_serve_ready(l);
	loop_serve_late(l);
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

/* --- connections' events --- */

size_t loop_io_size(void)
{
	return uring_io_size(); /* a conn may move between engines */
}

static uint32_t conn_events(const struct conn *c)
{
	return EPOLLIN | EPOLLRDHUP | EPOLLET | (c->out_asked ? EPOLLOUT : 0u);
}

enum status loop_io_add(struct conn *c)
{
	if (loop_is_uring(c->loop)) {
		uring_add(c);
		return OK;
	}
	c->out_asked = c->state == CONN_CONNECTING || c->blocked || c->out_first != NULL;
	return epoll_add(c->loop, c->fd, conn_events(c), tagged(c, TAG_CONN));
}

bool loop_io_ask_out(struct conn *c)
{
	struct epoll_event e = {.data.ptr = tagged(c, TAG_CONN)};

	if (c->out_asked || loop_is_uring(c->loop))
		return true;
	c->out_asked = true;
	e.events = conn_events(c);
	return epoll_ctl(c->loop->epoll_fd, EPOLL_CTL_MOD, c->fd, &e) == 0;
}

void loop_io_del(struct conn *c)
{
	loop_forget(c->loop, c);
	if (!loop_is_uring(c->loop)) /* else uring_leave or uring_bury follows */
		epoll_del(c->loop, c->fd);
}

/* --- watches --- */

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

static enum status watch_begin(struct loop_watch *w)
{
	struct loop *l = w->loop;
	uint32_t events = ((w->what & LOOP_READ) != 0 ? EPOLLIN : 0u) |
			  ((w->what & LOOP_WRITE) != 0 ? EPOLLOUT : 0u);

	if (w->is_signal) {
		if (loop_event_base(l) == NULL)
			return E_NOMEM;
		w->ev = event_new(l->base, w->fd, EV_SIGNAL | EV_PERSIST, on_signal, w);
		if (w->ev == NULL)
			return E_NOMEM;
		return event_add(w->ev, NULL) == 0 ? OK : E_IO;
	}
	if (loop_is_uring(l))
		return uring_watch_fd(l->uring, w->fd, w->what, w, &w->uw);
	return epoll_add(l, w->fd, events, tagged(w, TAG_WATCH));
}

static enum status watch_new(const struct loop_watch *like, struct loop_watch **out)
{
	struct loop_watch *w = malloc(sizeof *w);
	enum status st;

	if (w == NULL)
		return E_NOMEM;
	*w = *like;
	if ((st = watch_begin(w)) != OK) {
		if (w->ev != NULL)
			event_free(w->ev);
		free(w);
		return st;
	}
	w->loop->n_watches++;
	*out = w;
	return OK;
}

enum status loop_watch(struct loop *l, int fd, int what, void (*fn)(void *arg, int what), void *arg,
	struct loop_watch **out)
{
	const struct loop_watch w = {.loop = l, .fd = fd, .what = what, .fn = fn, .arg = arg};

	return watch_new(&w, out);
}

enum status loop_watch_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
	void *arg, struct loop_watch **out)
{
	const struct loop_watch w = {
		.loop = l, .fd = signo, .is_signal = true, .fn = fn, .arg = arg};

	return watch_new(&w, out);
}

void loop_unwatch(struct loop_watch *w)
{
	struct loop *l;

	if (w == NULL)
		return;
	l = w->loop;
	loop_forget(l, w->is_signal ? (void *)w : tagged(w, TAG_WATCH));
	l->n_watches--;
	if (w->is_signal)
		event_free(w->ev);
	else if (w->uw != NULL)
		uring_unwatch(w->uw);
	else
		epoll_del(l, w->fd);
	free(w);
}
