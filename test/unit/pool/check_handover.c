/*
 * Publish, then look again (pool/share.h): every interleaving of small scripts of three workers is
 * explored, with the functions as they are; at the end no server idles while a unit waits. Without
 * the second look, on either side, that happens. Two threads then try the same on a real machine.
 */
#include <pthread.h>
#include <string.h>

#include "../unit.h"
#include "meet.h"
#include "pool/share.h"

#define N_WORKERS   3u
#define N_UNITS_MAX 4u
#define NOW_US      1000000000u /* no patience: who waits has waited long */

/* What is left out, to see that it is needed. */
enum flaw { FLAW_NONE, FLAW_WAITER_DOES_NOT_LOOK, FLAW_IDLER_DOES_NOT_LOOK };

/*
 * One worker. Its script: 'u' a unit comes, 'r' a server that was busy is released. A step is one
 * atomic thing to do, or the handling of one message.
 */
struct worker {
	const char *script;
	enum { DO_NEXT, LOOK_FOR_IDLE, LOOK_FOR_WAITER } next;
	uint8_t n_idle;
	uint8_t n_waiting;
	uint8_t since[N_UNITS_MAX]; /* ages of its waiting units, oldest first */
	/* mailbox; order between kinds does not matter here */
	uint8_t n_servers;             /* given to it */
	uint8_t n_requests[N_WORKERS]; /* by who asks for a server */
};

struct world {
	struct worker workers[N_WORKERS];
	uint32_t n_idle[N_WORKERS]; /* what the pool's slots hold */
	uint64_t waiting[N_WORKERS];
	uint8_t n_come; /* units, for their ages */
};

static struct share *s;
static struct share_pool *pool;
static enum flaw flaw;
static uint64_t n_explored, n_bad;

/* --- the slots are part of the world --- */

static void slots_load(const struct world *x)
{
	for (unsigned w = 0; w < N_WORKERS; w++) {
		share_publish_idle(pool, w, x->n_idle[w]);
		share_publish_waiter(pool, w, x->waiting[w]);
	}
}

static void publish_waiter(struct world *x, unsigned w)
{
	const struct worker *me = &x->workers[w];

	x->waiting[w] = me->n_waiting != 0 ? me->since[0] : 0;
	share_publish_waiter(pool, w, x->waiting[w]);
}

static void publish_idle(struct world *x, unsigned w)
{
	x->n_idle[w] = x->workers[w].n_idle;
	share_publish_idle(pool, w, x->n_idle[w]);
}

/* --- what a worker does --- */

static void serve_oldest(struct world *x, unsigned w)
{
	struct worker *me = &x->workers[w];

	me->n_waiting--;
	memmove(me->since, me->since + 1, me->n_waiting);
	publish_waiter(x, w);
}

static void unit_comes(struct world *x, unsigned w)
{
	struct worker *me = &x->workers[w];

	x->n_come++;
	if (me->n_idle != 0) {
		me->n_idle--;
		publish_idle(x, w);
		return;
	}
	me->since[me->n_waiting++] = x->n_come;
	publish_waiter(x, w);
	me->next = LOOK_FOR_IDLE;
}

static void look_for_idle(struct world *x, unsigned w)
{
	unsigned other = flaw == FLAW_WAITER_DOES_NOT_LOOK ? SHARE_NONE : share_find_idle(pool, w);

	x->workers[w].next = DO_NEXT;
	if (other != SHARE_NONE)
		x->workers[other].n_requests[w]++;
}

static void server_idles(struct world *x, unsigned w)
{
	x->workers[w].n_idle++;
	publish_idle(x, w);
	x->workers[w].next = LOOK_FOR_WAITER;
}

static void look_for_waiter(struct world *x, unsigned w)
{
	struct worker *me = &x->workers[w];
	unsigned to = share_whose_turn(pool, w, NOW_US);

	me->next = DO_NEXT;
	if (flaw == FLAW_IDLER_DOES_NOT_LOOK && to != w)
		return;
	if (to == SHARE_NONE || me->n_idle == 0)
		return;
	me->n_idle--;
	publish_idle(x, w);
	if (to == w)
		serve_oldest(x, w);
	else
		x->workers[to].n_servers++;
}

static void server_comes(struct world *x, unsigned w)
{
	x->workers[w].n_servers--;
	if (x->workers[w].n_waiting != 0)
		serve_oldest(x, w);
	else
		server_idles(x, w);
}

static void request_comes(struct world *x, unsigned w, unsigned from)
{
	struct worker *me = &x->workers[w];

	me->n_requests[from]--;
	if (me->n_idle == 0)
		return;
	me->n_idle--;
	publish_idle(x, w);
	x->workers[from].n_servers++;
}

/* --- all interleavings --- */

/* Choice `c` of worker w; false if there is none such now. */
static bool step(struct world *x, unsigned w, unsigned c)
{
	struct worker *me = &x->workers[w];

	if (me->next == LOOK_FOR_IDLE || me->next == LOOK_FOR_WAITER) {
		if (c != 0)
			return false;
		(me->next == LOOK_FOR_IDLE ? look_for_idle : look_for_waiter)(x, w);
		return true;
	}
	if (c == 0 && *me->script != '\0') {
		(*me->script++ == 'u' ? unit_comes : server_idles)(x, w);
		return true;
	}
	if (c == 1 && me->n_servers != 0) {
		server_comes(x, w);
		return true;
	}
	if (c >= 2 && c - 2 < N_WORKERS && me->n_requests[c - 2] != 0) {
		request_comes(x, w, c - 2);
		return true;
	}
	return false;
}

static void check_end(const struct world *x)
{
	unsigned n_idle = 0, n_waiting = 0;

	n_explored++;
	for (unsigned w = 0; w < N_WORKERS; w++) {
		n_idle += x->workers[w].n_idle;
		n_waiting += x->workers[w].n_waiting;
	}
	n_bad += n_idle != 0 && n_waiting != 0;
}

static void explore(const struct world *x)
{
	bool moved = false;

	for (unsigned w = 0; w < N_WORKERS; w++) {
		for (unsigned c = 0; c < 2 + N_WORKERS; c++) {
			struct world y = *x;

			slots_load(x);
			if (!step(&y, w, c))
				continue;
			moved = true;
			explore(&y);
		}
	}
	if (!moved)
		check_end(x);
}

static void run_scripts(const char *a, const char *b, const char *c, enum flaw f)
{
	const struct world x = {
		.workers = {{.script = a}, {.script = b}, {.script = c}},
	};

	flaw = f;
	n_explored = n_bad = 0;
	explore(&x);
}

static void begin(void)
{
	static const struct hash_key key = {23, 24};

	ck_assert_int_eq(share_new(N_WORKERS, 10, &key, &s), OK);
	ck_assert_int_eq(share_pool_get(s, "app", "joe", 0, &pool), OK);
}

static void end(void)
{
	share_free(s);
}

static const char *const scripts[][N_WORKERS] = {
	{"u", "r", ""},
	{"u", "r", "u"},
	{"u", "r", "r"},
	{"uu", "rr", ""},
	{"ur", "ru", ""},
	{"ur", "ur", ""},
	{"uur", "rr", ""},
	{"u", "r", "ur"},
	{"u", "rr", "u"},
};

START_TEST(no_server_idles_while_a_unit_waits)
{
	run_scripts(scripts[_i][0], scripts[_i][1], scripts[_i][2], FLAW_NONE);
	ck_assert_uint_gt(n_explored, 1);
	ck_assert_uint_eq(n_bad, 0);
}
END_TEST

START_TEST(both_looks_are_needed)
{
	run_scripts("u", "r", "", FLAW_WAITER_DOES_NOT_LOOK);
	ck_assert_uint_gt(n_bad, 0);
	run_scripts("u", "r", "", FLAW_IDLER_DOES_NOT_LOOK);
	ck_assert_uint_gt(n_bad, 0);
}
END_TEST

/* --- two threads: at least one of two that publish and look at once sees the other --- */

#define N_ROUNDS 30000u

static struct meet rounds;
static unsigned char saw[2][N_ROUNDS];

static void *run_waiter(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		meet(&rounds, 0, 2 * i);
		share_publish_waiter(pool, 0, 1);
		saw[0][i] = share_find_idle(pool, 0) == 1;
		meet(&rounds, 0, 2 * i + 1);
		share_publish_waiter(pool, 0, 0);
	}
	return NULL;
}

static void *run_idler(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < N_ROUNDS; i++) {
		meet(&rounds, 1, 2 * i);
		share_publish_idle(pool, 1, 1);
		saw[1][i] = share_whose_turn(pool, 1, NOW_US) == 0;
		meet(&rounds, 1, 2 * i + 1);
		share_publish_idle(pool, 1, 0);
	}
	return NULL;
}

START_TEST(threads_see_each_other)
{
	pthread_t waiter, idler;

	ck_assert_int_eq(pthread_create(&waiter, NULL, run_waiter, NULL), 0);
	ck_assert_int_eq(pthread_create(&idler, NULL, run_idler, NULL), 0);
	pthread_join(waiter, NULL);
	pthread_join(idler, NULL);
	for (unsigned i = 0; i < N_ROUNDS; i++)
		ck_assert(saw[0][i] || saw[1][i]);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("handover");

	tcase_add_checked_fixture(tc, begin, end);
	tcase_add_loop_test(
		tc, no_server_idles_while_a_unit_waits, 0, sizeof scripts / sizeof scripts[0]);
	tcase_add_test(tc, both_looks_are_needed);
	tcase_add_test(tc, threads_see_each_other);
	return unit_run("handover", tc);
}
