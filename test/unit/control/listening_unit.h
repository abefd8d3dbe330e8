/*
 * listening_unit - listening connections over a fake libpq, and what workers are told of them, for
 * check_listening and check_marking.
 */
#ifndef PGWEIR_TEST_LISTENING_UNIT_H
#define PGWEIR_TEST_LISTENING_UNIT_H

#include <netinet/in.h>

#include "control/listening.h"
#include "control_unit.h"
#include "fake_pq.h"

#define HEAD     "[databases]\n"
#define ENTRY    "app = host=10.0.0.1,10.0.0.2 port=6001,6002 dbname=real "
#define LOGIN    "monitor_user=mon monitor_password=p\n"
#define TAIL     "[pgweir]\nlisten_addr = 127.0.0.1\n"
#define TOLD_MAX 600u

static struct world w;
static struct listenings *ls;
static struct told {
	uint32_t worker;
	struct mail *mail;
	bool is_seen;
} told[TOLD_MAX];
static unsigned n_told, n_seen;

static inline void on_tell(void *arg, uint32_t worker, struct mail *m)
{
	(void)arg;
	ck_assert_uint_lt(n_told, TOLD_MAX);
	told[n_told++] = (struct told){worker, m, false};
}

static inline void set_primary(uint16_t node)
{
	struct topology *t = (struct topology *)(uintptr_t)atomic_load(&w.sh.topology);

	t->clusters[0].primary = node;
}

static inline void setup(void)
{
	struct node_addrs *a;

	world_init(&w, HEAD ENTRY LOGIN TAIL, WORLD_USERS, 2);
	w.on_tell = on_tell;
	a = (struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs);
	for (unsigned i = 0; i < 2; i++) {
		((struct sockaddr_in *)(void *)&a->node[i].addr[0])->sin_family = AF_INET;
		a->node[i].addr_len[0] = sizeof(struct sockaddr_in);
		a->node[i].n = 1;
	}
	fake_pq_n = 0;
	fake_pq_status = OK;
	n_told = n_seen = 0;
	set_primary(0);
	ck_assert_int_eq(listenings_new(&w.env, &ls), OK);
}

static inline void teardown(void)
{
	listenings_free(ls);
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	ck_assert_uint_eq(atomic_load(&w.sh.notify.channels), 0);
	world_fini(&w);
	for (unsigned i = 0; i < n_told; i++)
		free(told[i].mail);
}

static inline void want(uint32_t worker, const char *channel, bool wanted)
{
	struct ask_listen *a = calloc(1, sizeof *a);

	ck_assert_ptr_nonnull(a);
	strcpy(a->database, "app");
	snprintf(a->channel, sizeof a->channel, "%s", channel);
	a->worker = worker;
	a->wanted = wanted;
	listenings_take(ls, a);
}

static inline void ask_barrier(uint32_t worker, uint64_t number)
{
	struct ask_barrier *a = calloc(1, sizeof *a);

	ck_assert_ptr_nonnull(a);
	strcpy(a->database, "app");
	a->worker = worker;
	a->number = number;
	listenings_take_barrier(ls, a);
}

static inline struct pq *pq(void)
{
	world_turn_until(&w, fake_pq_to(6001) != NULL);
	return fake_pq_to(6001);
}

static inline void is_asked(const char *sql)
{
	ck_assert_ptr_nonnull(pq()->sql);
	ck_assert_str_eq(pq()->asked, sql);
}

/* Logged in, set up. */
static inline void log_in(void)
{
	fake_pq_ready(pq());
	is_asked("SET idle_session_timeout = 0");
	fake_pq_done(pq());
}

static inline struct told *first_to(uint32_t worker)
{
	for (unsigned i = 0; i < n_told; i++)
		if (told[i].worker == worker && !told[i].is_seen)
			return &told[i];
	return NULL;
}

/* The next mail to a worker. */
static inline const void *next_told(uint32_t worker, enum tell_kind kind)
{
	struct told *t;

	world_turn_until(&w, first_to(worker) != NULL);
	t = first_to(worker);
	ck_assert_int_eq(t->mail->kind, (int)kind);
	t->is_seen = true;
	n_seen++;
	return t->mail;
}

static inline void is_told(uint32_t worker, enum listening_what what, const char *channel)
{
	const struct tell_listening *t = next_told(worker, TELL_LISTENING);

	ck_assert_int_eq((int)t->what, (int)what);
	ck_assert_str_eq(t->database, "app");
	ck_assert_str_eq(t->channel, channel);
}

static inline void barrier_comes(uint32_t worker, uint64_t number)
{
	const struct ask_barrier *t = next_told(worker, TELL_BARRIER);

	ck_assert_str_eq(t->database, "app");
	ck_assert_uint_eq(t->number, number);
}

static inline void nothing_is_told(void)
{
	for (unsigned i = 0; i < 3; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(n_told, n_seen);
}

#endif
