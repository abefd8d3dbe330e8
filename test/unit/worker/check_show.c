#include "worker/show.h"

#include <string.h>

#include "../unit.h"
#include "worker/account.h"
#include "worker/client.h"
#include "worker/dispatch.h"
#include "worker/server.h"

#define CLIENTS 40u
#define STEPS   20000u

static struct worker w;
static struct dbase db;
static struct account acc, other;
static struct pool pool;
static struct client c[CLIENTS];
static struct busy lent[CLIENTS];
static struct server s[CLIENTS];

static void begin(void)
{
	memset(&w, 0, sizeof w);
	memset(&db, 0, sizeof db);
	memset(&acc, 0, sizeof acc);
	memset(&other, 0, sizeof other);
	memset(&pool, 0, sizeof pool);
	w.now_us = 1000;
	acc.db = other.db = &db;
	acc.n_pools = 1;
	acc.pools[0] = &pool;
	pool.acc = &acc;
	list_init(&w.cancels);
	list_init(&pool.active);
	account_pool_init(&pool);
	account_init(&acc);
	account_init(&other);
	for (unsigned i = 0; i < CLIENTS; i++) {
		lent[i] = busy_none;
		c[i] = (struct client){.id = i + 1, .state = CLIENT_WELCOME, .busy = &lent[i]};
		c[i].acc = i % 4 != 0 ? &acc : &other;
		c[i].acc->n_clients++;
		waiter_init(&c[i].busy->waiter);
		s[i] = (struct server){.client = &c[i]};
		list_init(&s[i].pool_link);
	}
}

static struct waitq *a_line(struct client *k, uint64_t *r)
{
	struct waitq *lines[] = {&k->acc->nowhere, &pool.line, &pool.pin_line};

	return lines[k->acc == &acc ? unit_random(r) % 3 : 0];
}

static void wait_in(struct client *k, uint64_t *r)
{
	ck_assert_int_eq(waitq_push(a_line(k, r), &k->busy->waiter, w.now_us, UINT64_MAX), OK);
}

/* One thing that may happen to a client in its state. */
static void one_step(struct client *k, uint64_t *r)
{
	struct pin_counts counts = {0};
	struct server *its = &s[k - c];

	switch (k->state) {
	case CLIENT_WELCOME:
		if (waiter_waits(&k->busy->waiter))
			waitq_remove(&k->busy->waiter);
		else if (unit_random(r) % 2)
			wait_in(k, r);
		else
			client_transition(&w, k, CLIENT_GREETED);
		break;
	case CLIENT_IDLE:
		if (unit_random(r) % 2) {
			client_transition(&w, k, CLIENT_LINKED);
			if (k->acc == &acc)
				list_push_back(&pool.active, &its->pool_link);
			if (unit_random(r) % 4 == 0)
				pins_add(&k->busy->pins, &counts, PIN_TEMP, 1, NULL, 0);
		} else {
			wait_in(k, r);
			client_transition(&w, k, CLIENT_QUEUED);
		}
		break;
	case CLIENT_WAITING:
		waitq_remove(&k->busy->waiter);
		client_transition(&w, k, CLIENT_UNQUEUED);
		break;
	case CLIENT_ACTIVE:
		pins_clear(&k->busy->pins, &counts);
		list_del(&its->pool_link);
		client_transition(&w, k, CLIENT_UNLINKED);
		break;
	default:
		break;
	}
}

static void leave(struct client *k)
{
	struct pin_counts counts = {0};

	waitq_remove(&k->busy->waiter);
	pins_clear(&k->busy->pins, &counts);
	list_del(&s[k - c].pool_link);
	k->acc->n_clients--;
	client_transition(&w, k, CLIENT_GONE);
}

/* What SHOW POOLS would say if it looked at every client. */
static void check_walk(const struct account *a)
{
	struct show_pool_row want = {0}, got;
	uint64_t oldest_us = UINT64_MAX;

	for (unsigned i = 0; i < CLIENTS; i++) {
		if (c[i].acc != a || c[i].state == CLIENT_CLOSED)
			continue;
		want.cl_idle += c[i].state == CLIENT_IDLE;
		want.cl_active += c[i].state == CLIENT_IDLE || c[i].state == CLIENT_ACTIVE;
		want.cl_waiting += waiter_waits(&c[i].busy->waiter);
		want.cl_login += c[i].state == CLIENT_WELCOME && !waiter_waits(&c[i].busy->waiter);
		want.pinned += a == &acc && pins_any(&c[i].busy->pins);
		if (waiter_waits(&c[i].busy->waiter) && c[i].busy->waiter.since_us < oldest_us)
			oldest_us = c[i].busy->waiter.since_us;
	}
	want.maxwait_us = oldest_us != UINT64_MAX ? w.now_us - oldest_us : 0;
	show_account(&w, a, &got);
	unit_check(got.cl_idle == want.cl_idle);
	unit_check(got.cl_active == want.cl_active);
	unit_check(got.cl_waiting == want.cl_waiting);
	unit_check(got.cl_login == want.cl_login);
	unit_check(got.pinned == want.pinned);
	unit_check(got.maxwait_us == want.maxwait_us);
}

START_TEST(counters_are_what_a_walk_over_all_clients_finds)
{
	uint64_t r = 7;

	for (unsigned i = 0; i < STEPS; i++) {
		struct client *k = &c[unit_random(&r) % CLIENTS];

		w.now_us += unit_random(&r) % 50;
		if (k->state == CLIENT_CLOSED) {
			k->state = CLIENT_WELCOME;
			k->acc->n_clients++;
		} else if (unit_random(&r) % 20 == 0) {
			leave(k);
		} else {
			one_step(k, &r);
		}
		check_walk(&acc);
		check_walk(&other);
	}
}
END_TEST

START_TEST(the_longest_wait_of_any_line_is_told)
{
	static const uint64_t now_us = 5000000;
	struct waitq *lines[] = {&pool.line, &pool.pin_line, &acc.nowhere};
	struct show_pool_row row;

	w.now_us = now_us;
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(
			waitq_push(lines[i], &c[1].busy->waiter, now_us - 1000 - i, UINT64_MAX),
			OK);
		show_account(&w, &acc, &row);
		ck_assert_uint_eq(row.maxwait_us, 1000 + i);
		ck_assert_uint_eq(row.cl_waiting, 1);
		waitq_remove(&c[1].busy->waiter);
	}
	show_account(&w, &acc, &row);
	ck_assert_uint_eq(row.maxwait_us, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("show");

	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, counters_are_what_a_walk_over_all_clients_finds);
	tcase_add_test(tc, the_longest_wait_of_any_line_is_told);
	return unit_run("show", tc);
}
