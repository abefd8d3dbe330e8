/*
 * loop - one thread's event loop: sockets, wake-ups from other threads, file descriptors of
 * libraries, signals. The only file that includes libevent's event headers. Its engine is epoll, or
 * io_uring (net/uring.c), which is all that differs: callbacks and their order within a connection
 * are the same. A loop that has to do with signals, evdns or evhttp turns in libevent's base, with
 * epoll inside it; workers, which have none of these, do without it (ADR 0033).
 * Owns:    the epoll descriptor or the ring, the event base, the eventfd, the buffer pool, the
 *          shared receive buffer and the gather buffer of its connections, the ready list.
 * Thread:  all calls from the thread that runs it, loop_wake excepted (any thread).
 * Timers:  the caller keeps a wheel and says how long a turn may sleep. The few that net/ itself
 *          needs (lingering connections, looks at quiet sockets, a listener's rest) run here.
 */
#ifndef PGWEIR_NET_LOOP_H
#define PGWEIR_NET_LOOP_H

#include "base/bufpool.h"
#include "base/status.h"

struct event_base;
struct loop;
struct loop_watch;

enum loop_engine { LOOP_EPOLL, LOOP_URING };

/* Sizes of an io_uring loop; 0: the usual ones. Tests make them small. */
struct loop_uring_conf {
	unsigned sq_len, cq_len; /* requests and answers; powers of two */
	unsigned n_bufs;         /* receive buffers; a power of two */
	bool one_shot;           /* as on kernels before 6.17 */
};

struct loop_conf {
	enum loop_engine engine;
	struct loop_uring_conf uring;
	size_t rx_len;           /* shared receive buffer, bytes; 65536 or more */
	size_t bufpool_keep_max; /* bytes kept on free lists */
	uint32_t turn_budget;    /* bytes read from one connection before it yields to others */
	void (*on_wake)(
		void *arg); /* after loop_wake, once per turn at most, in the loop's thread */
	void *arg;
	void (*before_sleep)(void *arg); /* just before the kernel is asked, may be NULL */
	void (*after_sleep)(
		void *arg); /* just after it answered, before any callback; may be NULL */
};

/* Errors: E_NOMEM, E_IO (errno: the system does not offer the engine). */
enum status loop_new(const struct loop_conf *conf, struct loop **out) MUST_USE;
void loop_free(struct loop *l); /* connections and watches are gone before */

/* Can a loop with io_uring be made here? OK, or E_IO and the reason for a log line, static. */
enum status loop_uring_offered(const char **why) MUST_USE;

const char *loop_engine_name(const struct loop *l); /* as io_engine has it; static */

/*
 * Why each send is a system call of its own, static. NULL: those of a turn go with one, as far as
 * they are small (io_uring; net/batch).
 */
const char *loop_no_batch(const struct loop *l);

/*
 * One turn: sleep until an event or until `until_us` (monotonic; UINT64_MAX: no limit; in the past:
 * do not sleep) unless something stands on the ready list, run callbacks, serve the ready list.
 * Returns as soon as anything was done, so that the caller can look at its own timers again. It may
 * return earlier than asked, and with nothing done; it returns at most two ticks of the kernel's
 * clock late (8 ms at 250 Hz). One epoll_wait or io_uring_enter a turn; a change of `until_us`
 * costs no system call. "Later in this turn" means: before the loop sleeps again. Errors: E_IO.
 */
enum status loop_turn(struct loop *l, uint64_t until_us) MUST_USE;

/* Monotonic time in µs, read once after each sleep. */
uint64_t loop_now_us(const struct loop *l);

/* Make the loop's next (or present) sleep end and on_wake run. Any thread, signal-safe. */
void loop_wake(struct loop *l);

struct bufpool *loop_bufpool(struct loop *l);

/*
 * Where libevent's own warnings go, of the whole process; once, before other threads. Without it
 * they go to stderr. severity: 0 debug, 1 message, 2 warning, 3 error.
 */
void loop_set_log(void (*fn)(int severity, const char *text));

/*
 * For evhttp and evdns alone (control/http.c, net/resolver.c), on a loop with epoll. Made with the
 * first call, or the first signal that is watched; from then on the loop turns in it. NULL: no
 * memory, or the engine is io_uring.
 */
struct event_base *loop_event_base(struct loop *l);

/* Those libraries' callbacks begin with this: it takes the time, and calls after_sleep if due. */
void loop_woke(struct loop *l);

/*
 * Watch a descriptor that a library owns (libpq, a listener). `what` is LOOP_READ | LOOP_WRITE,
 * level-triggered, persistent until loop_unwatch; fn gets what is ready. The fd stays the caller's.
 */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
enum status loop_watch(struct loop *l, int fd, int what, void (*fn)(void *arg, int what), void *arg,
	struct loop_watch **out) MUST_USE;
/* On a loop with epoll. */
enum status loop_watch_signal(struct loop *l, int signo, void (*fn)(void *arg, int signo),
	void *arg, struct loop_watch **out) MUST_USE;
void loop_unwatch(struct loop_watch *w); /* NULL is allowed */

#endif
