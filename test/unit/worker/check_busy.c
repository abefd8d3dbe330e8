/* Unit tests of worker/busy: what is lent to a client, and comes back when it is at rest. */
#include <stdlib.h>
#include <string.h>

#include "../failing_alloc.h"
#include "../net/net_unit.h"
#include "worker/busy.h"
#include "worker/client.h"
#include "worker/hold.h"
#include "worker/worker.h"

#define CLIENTS 1000u
#define REST_US 1000000u

SEEN_OPS;

static struct worker w;
static struct client c[CLIENTS];
static struct seen seen;
static struct conn *conn;
static const struct hash_key key = {1, 2};
static int fd[2];

static void begin(void)
{
	memset(&w, 0, sizeof w);
	w.loop = loop_for_test();
	ck_assert_int_eq(settings_table_new(&key, 1u << 20, &w.settings), OK);
	ck_assert_int_eq(busy_pool_new(&w.busy), OK);
	pair_unix(fd);
	seen_open(w.loop, fd[0], &seen);
	conn = seen.c;
	w.now_us = REST_US;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct settings *login = settings_empty(w.settings);

		c[i] = (struct client){.w = &w, .state = CLIENT_IDLE, .conn = conn};
		settings_txn_init(&c[i].set, w.settings, &login);
	}
}

static void end(void)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (c[i].busy != NULL)
			busy_end(&w, &c[i]);
		settings_txn_fini(&c[i].set);
	}
	busy_pool_free(w.busy);
	settings_table_free(w.settings);
	conn_free(conn);
	close(fd[1]);
	loop_free(w.loop);
}

static void lend(struct client *k)
{
	ck_assert_int_eq(busy_begin(&w, k), OK);
	ck_assert(busy_is_lent(k->busy));
	ck_assert_ptr_eq(k->busy->client, k);
}

START_TEST(new_part_is_as_at_rest)
{
	begin();
	for (unsigned i = 0; i < CLIENTS; i++)
		lend(&c[i]);
	for (unsigned i = 0; i < CLIENTS; i++) {
		ck_assert(busy_is_over(&c[i]));
		ck_assert_int_eq(c[i].busy->shadow_index, -1);
		ck_assert_uint_eq(c[i].busy->avoid_node, NODES_MAX);
		ck_assert(!waiter_waits(&c[i].busy->waiter));
		c[i].busy->streaming = true;
		c[i].busy->txn_lost = true;
		c[i].busy->unit.len = i + 1; /* nobody else's */
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		ck_assert_uint_eq(c[i].busy->unit.len, i + 1);
	for (unsigned i = 0; i < CLIENTS; i++)
		busy_end(&w, &c[i]);
	for (unsigned i = 0; i < CLIENTS; i++) {
		ck_assert(!busy_is_lent(c[i].busy));
		busy_end(&w, &c[i]); /* nothing to take back */
		lend(&c[i]);
		ck_assert(busy_is_over(&c[i]));
		ck_assert(!c[i].busy->txn_lost);
	}
	end();
}
END_TEST

START_TEST(comes_back_when_its_client_is_at_rest)
{
	begin();
	lend(&c[0]);
	lend(&c[1]);
	c[0].state_since_us = w.now_us;
	c[1].request_us = w.now_us;
	busy_look(&w);
	ck_assert(busy_is_lent(c[0].busy) && busy_is_lent(c[1].busy)); /* they may go on at once */
	w.now_us += REST_US;
	busy_look(&w);
	ck_assert(!busy_is_lent(c[0].busy) && !busy_is_lent(c[1].busy));
	end();
}
END_TEST

/* Each thing that keeps a client from being at rest, by itself. */
static void disturb(struct client *k, unsigned i)
{
	struct busy *b = k->busy;
	uint8_t *flags = (uint8_t *)&b->streaming;

	switch (i) {
	case 0:
		k->state = CLIENT_ACTIVE;
		break;
	case 1:
		k->txn = TXN_DEFERRED;
		break;
	case 2:
		k->server = (struct server *)(void *)&w;
		break;
	case 3:
		b->unit.len = 1;
		break;
	case 4:
		b->pins.causes = 1;
		break;
	case 5:
		b->pins.left = 1;
		break;
	case 6:
		b->sent_len = 1;
		break;
	case 7:
		b->wait_since_us = 1;
		break;
	case 8:
		b->body_left = 1;
		break;
	case 9:
		b->learned.n = 1;
		break;
	default:
		flags[i - 10] = 1;
		break;
	}
}

START_TEST(stays_while_its_client_is_not_at_rest)
{
	const unsigned n_flags =
		offsetof(struct busy, n_kept_end) - offsetof(struct busy, streaming);
	struct client as_it_was;

	begin();
	w.now_us += REST_US;
	for (unsigned i = 0; i < 10 + n_flags; i++) {
		struct busy kept;

		lend(&c[0]);
		as_it_was = c[0];
		kept = *c[0].busy;
		disturb(&c[0], i);
		if (busy_is_over(&c[0]))
			ck_abort_msg("%u does not matter", i);
		busy_look(&w);
		ck_assert(busy_is_lent(c[0].busy));
		*c[0].busy = kept;
		c[0] = as_it_was;
		busy_look(&w);
		ck_assert(!busy_is_lent(c[0].busy));
	}
	end();
}
END_TEST

START_TEST(bytes_of_an_unfinished_message_keep_it)
{
	begin();
	w.now_us += REST_US;
	seen.leave_all = true;
	write_all(fd[1], "Q", 1);
	turn_until(w.loop, seen.n_data == 1);
	lend(&c[0]);
	busy_look(&w);
	ck_assert(busy_is_lent(c[0].busy));
	conn_consume(conn, 1);
	busy_look(&w);
	ck_assert(!busy_is_lent(c[0].busy));
	end();
}
END_TEST

START_TEST(what_is_used_again_is_empty)
{
	static const char answer[] = "of a client";
	struct deferred *d;

	begin();
	lend(&c[0]);
	c[0].busy->deferred = d = calloc(1, sizeof *d);
	c[0].busy->hold = calloc(1, sizeof *c[0].busy->hold);
	ck_assert_int_eq(journal_put(&d->journal, JOURNAL_BEGIN, "BEGIN", 5, ""), OK);
	d->failed = true;
	ck_assert_int_eq(
		hold_put_copy(c[0].busy->hold, loop_bufpool(w.loop), answer, sizeof answer), OK);
	busy_end(&w, &c[0]);
	lend(&c[1]);
	ck_assert_ptr_eq(c[1].busy->deferred, d);
	ck_assert_uint_eq(d->journal.n, 0);
	ck_assert_uint_eq(d->journal.len, 0);
	ck_assert(!d->failed);
	ck_assert_uint_eq(hold_len(c[1].busy->hold), 0);
	end();
}
END_TEST

START_TEST(a_few_that_come_and_go_need_no_memory)
{
	size_t bytes;
	bool good = true;

	begin();
	lend(&c[0]);
	bytes = busy_pool_bytes(w.busy);
	failing_alloc_after(0);
	for (unsigned i = 0; i < 1000 && good; i++) {
		w.now_us += REST_US;
		busy_look(&w);
		good = !busy_is_lent(c[0].busy) && busy_begin(&w, &c[0]) == OK;
	}
	failing_alloc_after(-1);
	ck_assert(good);
	ck_assert_uint_eq(busy_pool_bytes(w.busy), bytes);
	end();
}
END_TEST

START_TEST(what_a_crowd_has_needed_goes_back_to_the_system)
{
	size_t peak;

	begin();
	for (unsigned i = 0; i < CLIENTS; i++)
		lend(&c[i]);
	peak = busy_pool_bytes(w.busy);
	ck_assert_uint_ge(peak, CLIENTS * sizeof(struct busy));
	for (unsigned i = 0; i < 100; i++) { /* looks are bounded */
		w.now_us += 100000;
		busy_look(&w);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		ck_assert(!busy_is_lent(c[i].busy));
	for (unsigned i = 0; i < 3; i++) {
		w.now_us += 10000000;
		busy_look(&w);
	}
	ck_assert_uint_le(busy_pool_bytes(w.busy), peak / 4);
	lend(&c[0]);
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("busy");

	tcase_add_test(tc, new_part_is_as_at_rest);
	tcase_add_test(tc, comes_back_when_its_client_is_at_rest);
	tcase_add_test(tc, stays_while_its_client_is_not_at_rest);
	tcase_add_test(tc, bytes_of_an_unfinished_message_keep_it);
	tcase_add_test(tc, what_is_used_again_is_empty);
	tcase_add_test(tc, a_few_that_come_and_go_need_no_memory);
	tcase_add_test(tc, what_a_crowd_has_needed_goes_back_to_the_system);
	return net_run("busy", tc);
}
