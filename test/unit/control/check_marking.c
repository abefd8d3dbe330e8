/* The marker of a take-over, as each of the two processes sees it: control/marking. */
#include "control/listening_own.h"

#include "listening_unit.h"
#include "worker/kept.h"

#define PAYLOAD "0123456789abcdef0123456789abcdef"

static uint8_t sent[64][256];
static size_t sent_len[64];
static unsigned n_sent, n_heard;
static char payload[64]; /* of the marker heard of last */

static void on_send(void *arg, const struct wr *out)
{
	(void)arg;
	ck_assert(!out->bad && out->len <= sizeof sent[0]);
	ck_assert_uint_lt(n_sent, 64);
	memcpy(sent[n_sent], out->buf, out->len);
	sent_len[n_sent++] = out->len;
}

static const struct listenings_link link_to_other = {on_send, NULL};

static void begin(void)
{
	setup();
	n_sent = n_heard = 0;
}

static struct rd next_sent(enum takeover_record what)
{
	struct rd in;

	world_turn_until(&w, n_sent > n_heard);
	in = rd_of(sent[n_heard], sent_len[n_heard]);
	n_heard++;
	ck_assert_int_eq(rd_u8(&in), what);
	return in;
}

static void nothing_is_sent(void)
{
	nothing_is_told();
	ck_assert_uint_eq(n_sent, n_heard);
}

/* --- the old process --- */

static void channel_is_sent(const char *channel)
{
	struct rd in = next_sent(TAKEOVER_CHANNEL);

	ck_assert_str_eq(rd_cstr(&in), "app");
	ck_assert_str_eq(rd_cstr(&in), channel);
	ck_assert(!in.bad && in.left == 0);
}

static void mark_is_sent(uint64_t round)
{
	struct rd in = next_sent(TAKEOVER_MARK);

	ck_assert_uint_eq(rd_u64(&in), round);
	ck_assert_str_eq(rd_cstr(&in), "app");
	snprintf(payload, sizeof payload, "%s", rd_cstr(&in));
	ck_assert_uint_eq(strlen(payload), MARKING_PAYLOAD_LEN - 1);
	ck_assert(!in.bad && in.left == 0);
}

static void answer_unmarked(uint32_t worker, uint64_t round)
{
	struct ask_unmarked *a = calloc(1, sizeof *a);

	strcpy(a->database, "app");
	a->worker = worker;
	a->round = round;
	listenings_take_unmarked(ls, a);
}

static void is_told_round(uint32_t worker, enum listening_what what, uint64_t round)
{
	const struct tell_listening *t = next_told(worker, TELL_LISTENING);

	ck_assert_int_eq((int)t->what, (int)what);
	ck_assert_uint_eq(t->round, round);
}

static void say_round(enum takeover_record what, uint64_t round)
{
	uint8_t buf[64];
	struct wr out = wr_of(buf, sizeof buf);
	struct rd in;

	wr_u64(&out, round);
	wr_cstr(&out, "app");
	in = rd_of(buf, out.len);
	listenings_hear_new(ls, what, &in);
}

static void listen_to_a(void)
{
	want(0, "a", true);
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
}

/* Up to where the marker may come. */
static void offer(uint64_t round)
{
	is_told_round(0, LISTENING_UNMARKED, round);
	is_told_round(1, LISTENING_UNMARKED, round);
	answer_unmarked(0, round);
	nothing_is_sent(); /* the other may have clients on their way */
	answer_unmarked(1, round);
	channel_is_sent("a");
	channel_is_sent(MARKING_CHANNEL);
	mark_is_sent(round);
}

/* From here on it does not matter how long the test takes: no other marker is looked for. */
static void time_stands_still(uint64_t round)
{
	world_turn_until(&w, listening_find(ls, "app")->mark.round == round);
	wheel_del(&w.env.wheel, &ls->marking);
}

/* The time comes for another marker. */
static void next_round(uint64_t round)
{
	env_timer(&w.env, &ls->marking, 0);
	time_stands_still(round);
}

static void hand_on(void)
{
	listen_to_a();
	listenings_hand_on(ls, &link_to_other);
	time_stands_still(1);
	is_asked("LISTEN \"" MARKING_CHANNEL "\";");
	fake_pq_done(pq());
	offer(1);
}

static uint64_t number_told(uint32_t worker)
{
	return ((const struct tell_notified *)next_told(worker, TELL_NOTIFIED))->number;
}

static void marker_comes(void)
{
	fake_pq_notify(pq(), MARKING_CHANNEL, payload, 1);
}

START_TEST(clients_go_when_both_have_the_marker)
{
	for (unsigned there_first = 0; there_first < 2; there_first++) {
		hand_on();
		fake_pq_notify(pq(), "a", "before", 1);
		ck_assert_uint_eq(number_told(0), 0);
		if (there_first != 0)
			say_round(TAKEOVER_MARKED, 1);
		else
			marker_comes();
		nothing_is_told();
		if (there_first != 0) {
			marker_comes();
		} else {
			fake_pq_notify(pq(), "a", "after", 1);
			ck_assert_uint_eq(number_told(0), kept_first(1) + 1);
			say_round(TAKEOVER_MARKED, 1);
		}
		is_told(0, LISTENING_MARKED, "a");
		fake_pq_notify(pq(), "a", "later", 1);
		ck_assert_uint_eq(number_told(0), kept_first(1) + 2 - there_first);
		nothing_is_sent();
		if (there_first == 0) {
			teardown();
			begin();
		}
	}
}
END_TEST

START_TEST(what_is_not_the_marker_is_not_taken_for_it)
{
	hand_on();
	fake_pq_notify(pq(), MARKING_CHANNEL, PAYLOAD, 1);
	fake_pq_notify(pq(), MARKING_CHANNEL, "", 1);
	fake_pq_notify(pq(), "a", payload, 1);
	ck_assert_uint_eq(number_told(0), 0);
	say_round(TAKEOVER_MARKED, 2);
	say_round(TAKEOVER_MARKED, 0);
	say_round(TAKEOVER_FULL, 2);
	marker_comes();
	nothing_is_told();
	say_round(TAKEOVER_MARKED, 1);
	is_told(0, LISTENING_MARKED, "a");
}
END_TEST

START_TEST(a_channel_that_is_new_needs_another_marker)
{
	hand_on();
	marker_comes();
	say_round(TAKEOVER_MARKED, 1);
	is_told(0, LISTENING_MARKED, "a");
	want(1, "a", true); /* that worker has not been told that it is marked */
	is_told(1, LISTENING_ON, "a");
	next_round(2);
	offer(2);
	marker_comes();
	say_round(TAKEOVER_MARKED, 1); /* late */
	nothing_is_told();
	say_round(TAKEOVER_MARKED, 2);
	is_told(0, LISTENING_MARKED, "a");
	is_told(1, LISTENING_MARKED, "a");
	fake_pq_notify(pq(), "a", "", 1);
	ck_assert_uint_eq(number_told(0), kept_first(2) + 1);
	ck_assert_uint_eq(number_told(1), kept_first(2) + 1);
	want(1, "a", false);
	want(1, "a", true); /* it is another one for the worker */
	is_told(1, LISTENING_ON, "a");
	next_round(3);
	is_told_round(0, LISTENING_UNMARKED, 3);
	is_told_round(1, LISTENING_UNMARKED, 3);
}
END_TEST

START_TEST(a_channel_that_is_being_left_is_not_marked)
{
	hand_on();
	want(0, "a", false);
	is_asked("UNLISTEN \"a\";");
	want(0, "a", true); /* again, ahead of the answer */
	marker_comes();
	say_round(TAKEOVER_MARKED, 1);
	nothing_is_told();
	fake_pq_done(pq());
	is_asked("LISTEN \"a\";");
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	fake_pq_notify(pq(), "a", "", 1);
	ck_assert_uint_eq(number_told(0), 0);
	next_round(2);
	offer(2);
}
END_TEST

START_TEST(another_marker_when_the_new_process_has_kept_enough)
{
	hand_on();
	marker_comes();
	say_round(TAKEOVER_MARKED, 1);
	is_told(0, LISTENING_MARKED, "a");
	say_round(TAKEOVER_FULL, 1);
	next_round(2);
	is_told_round(0, LISTENING_UNMARKED, 2);
	is_told_round(1, LISTENING_UNMARKED, 2);
	answer_unmarked(0, 2);
	answer_unmarked(1, 1); /* of the one before */
	nothing_is_sent();
	answer_unmarked(1, 2);
	world_turn_until(&w, n_sent == n_heard + 3);
}
END_TEST

START_TEST(another_marker_when_one_does_not_come)
{
	hand_on();
	next_round(2); /* after a while */
	is_told_round(0, LISTENING_UNMARKED, 2);
	is_told_round(1, LISTENING_UNMARKED, 2);
}
END_TEST

START_TEST(nobody_needs_a_marker_when_nobody_listens)
{
	listen_to_a();
	want(0, "a", false);
	fake_pq_done(pq());
	listenings_hand_on(ls, &link_to_other);
	nothing_is_sent();
	ck_assert_ptr_null(pq()->sql);
}
END_TEST

START_TEST(a_lost_connection_calls_the_marker_off)
{
	hand_on();
	marker_comes();
	say_round(TAKEOVER_MARKED, 1);
	is_told(0, LISTENING_MARKED, "a");
	fake_pq_fail(pq(), PQ_FAILED_UNREACHABLE, "", "gone");
	is_told(0, LISTENING_DOWN, "");
	log_in();
	is_asked("LISTEN \"a\";LISTEN \"" MARKING_CHANNEL "\";");
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_told(0, LISTENING_LOST, "");
	next_round(2);
	offer(2);
}
END_TEST

START_TEST(clients_stay_when_the_new_process_is_gone)
{
	hand_on();
	listenings_stay(ls);
	is_asked("UNLISTEN \"" MARKING_CHANNEL "\";");
	fake_pq_done(pq());
	say_round(TAKEOVER_MARKED, 1);
	nothing_is_sent();
	ck_assert_uint_eq(atomic_load(&w.sh.notify.channels), 1);
}
END_TEST

/* --- the new process --- */

static void say_channel(const char *database, const char *channel)
{
	uint8_t buf[512];
	struct wr out = wr_of(buf, sizeof buf);
	struct rd in;

	wr_cstr(&out, database);
	wr_cstr(&out, channel);
	in = rd_of(buf, out.len);
	listenings_hear_old(ls, &link_to_other, TAKEOVER_CHANNEL, &in);
}

static void say_mark(uint64_t round, const char *text)
{
	uint8_t buf[512];
	struct wr out = wr_of(buf, sizeof buf);
	struct rd in;

	wr_u64(&out, round);
	wr_cstr(&out, "app");
	wr_cstr(&out, text);
	in = rd_of(buf, out.len);
	listenings_hear_old(ls, &link_to_other, TAKEOVER_MARK, &in);
}

static void say_all(uint64_t round)
{
	say_channel("app", "a");
	say_channel("app", MARKING_CHANNEL);
	say_mark(round, PAYLOAD);
}

static void round_is_sent(enum takeover_record what, uint64_t round)
{
	struct rd in = next_sent(what);

	ck_assert_uint_eq(rd_u64(&in), round);
	ck_assert_str_eq(rd_cstr(&in), "app");
	ck_assert(!in.bad && in.left == 0);
}

static void keep(uint64_t round)
{
	is_asked("NOTIFY \"" MARKING_CHANNEL "\", '" PAYLOAD "'");
	fake_pq_notify(pq(), "a", "before", 1);
	ck_assert_uint_lt(number_told(0), kept_first(round));
	ck_assert_uint_lt(number_told(1), kept_first(round));
	fake_pq_notify(pq(), MARKING_CHANNEL, PAYLOAD, 1);
	for (unsigned i = 0; i < 2; i++) {
		is_told_round(i, LISTENING_KEEP, round);
		ck_assert_uint_eq(
			number_told(i), kept_first(round) + 1); /* of the marker's channel */
	}
	round_is_sent(TAKEOVER_MARKED, round);
	fake_pq_done(pq());
}

static void take_over(void)
{
	say_all(7);
	log_in();
	is_asked("LISTEN \"a\";LISTEN \"" MARKING_CHANNEL "\";");
	nothing_is_sent();
	fake_pq_done(pq());
	keep(7);
}

START_TEST(what_comes_after_the_marker_is_all_workers)
{
	take_over();
	fake_pq_notify(pq(), "a", "one", 1);
	ck_assert_uint_eq(number_told(0), kept_first(7) + 1);
	ck_assert_uint_eq(number_told(1), kept_first(7) + 1);
	want(1, "b", true);
	fake_pq_done(pq());
	is_told(1, LISTENING_ON, "b");
	fake_pq_notify(pq(), "b", "of this process alone", 1);
	ck_assert_uint_eq(number_told(1), 0);
	nothing_is_told();
}
END_TEST

START_TEST(what_nobody_has_come_for_is_left_when_all_workers_know)
{
	take_over();
	want(1, "a", true); /* who has come */
	is_told(1, LISTENING_ON, "a");
	listenings_settle(ls);
	is_told_round(0, LISTENING_UNMARKED, 7);
	is_told_round(1, LISTENING_UNMARKED, 7);
	answer_unmarked(0, 7);
	ck_assert_ptr_null(pq()->sql);
	fake_pq_notify(pq(), "a", "", 1);
	ck_assert_uint_eq(number_told(0), kept_first(7) + 1);
	ck_assert_uint_eq(number_told(1), kept_first(7) + 1);
	answer_unmarked(1, 7);
	is_asked("UNLISTEN \"" MARKING_CHANNEL "\";");
	fake_pq_done(pq());
	fake_pq_notify(pq(), "a", "", 1);
	ck_assert_uint_eq(number_told(1), kept_first(7) + 2);
	nothing_is_told();
	/* and when it is taken over itself, its markers go on from there */
	listenings_hand_on(ls, &link_to_other);
	is_told_round(1, LISTENING_UNMARKED, 8);
}
END_TEST

START_TEST(too_much_to_keep_is_told_once)
{
	take_over();
	listening_find(ls, "app")->mark.kept = MARKING_KEPT_MAX - sizeof(struct tell_notified);
	for (unsigned n = 1; n <= 3; n++) {
		fake_pq_notify(pq(), "a", "", 1);
		ck_assert_uint_eq(number_told(0), kept_first(7) + n);
		ck_assert_uint_eq(number_told(1), kept_first(7) + n);
	}
	round_is_sent(TAKEOVER_FULL, 7);
	nothing_is_sent();
	say_all(8);
	keep(8);
}
END_TEST

START_TEST(a_loss_is_told_to_the_old_process)
{
	take_over();
	fake_pq_fail(pq(), PQ_FAILED_UNREACHABLE, "", "gone");
	is_told(0, LISTENING_DOWN, "");
	is_told(1, LISTENING_DOWN, "");
	round_is_sent(TAKEOVER_FULL, 7);
	say_all(8);
	log_in();
	is_asked("LISTEN \"a\";LISTEN \"" MARKING_CHANNEL "\";");
	fake_pq_done(pq());
	is_told(0, LISTENING_LOST, "");
	is_told(1, LISTENING_LOST, "");
	keep(8);
}
END_TEST

START_TEST(a_marker_lost_with_its_connection_is_sent_again)
{
	say_all(7);
	log_in();
	fake_pq_done(pq());
	is_asked("NOTIFY \"" MARKING_CHANNEL "\", '" PAYLOAD "'");
	fake_pq_fail(pq(), PQ_FAILED_UNREACHABLE, "", "gone");
	is_told(0, LISTENING_DOWN, "");
	is_told(1, LISTENING_DOWN, "");
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_LOST, "");
	is_told(1, LISTENING_LOST, "");
	keep(7);
}
END_TEST

START_TEST(a_marker_that_the_server_refuses_is_no_loss)
{
	say_all(7);
	log_in();
	fake_pq_done(pq());
	fake_pq_error(pq(), "54000", "too many notifications in the NOTIFY queue");
	nothing_is_sent();
	ck_assert_uint_eq(fake_pq_n, 1);
	ck_assert(world_has_logged(&w, "too many notifications"));
	say_all(8);
	keep(8);
}
END_TEST

START_TEST(nonsense_is_not_listened_to)
{
	char name[CHANNEL_LEN + 1];
	struct rd in = rd_of("app", 4);

	memset(name, 'x', CHANNEL_LEN);
	name[CHANNEL_LEN] = '\0';
	say_channel("nowhere", "a");
	say_channel("app", "");
	say_channel("app", "\xff");
	say_channel("app", name);
	say_mark(7, PAYLOAD);
	listenings_hear_old(ls, &link_to_other, TAKEOVER_CHANNEL, &in);
	nothing_is_sent();
	ck_assert_uint_eq(fake_pq_n, 0);
	say_channel("app", "a");
	say_mark(7, "short");
	log_in();
	fake_pq_done(pq());
	ck_assert_ptr_null(pq()->sql);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("marking");

	tcase_add_checked_fixture(tc, begin, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, clients_go_when_both_have_the_marker);
	tcase_add_test(tc, what_is_not_the_marker_is_not_taken_for_it);
	tcase_add_test(tc, a_channel_that_is_new_needs_another_marker);
	tcase_add_test(tc, a_channel_that_is_being_left_is_not_marked);
	tcase_add_test(tc, another_marker_when_the_new_process_has_kept_enough);
	tcase_add_test(tc, another_marker_when_one_does_not_come);
	tcase_add_test(tc, nobody_needs_a_marker_when_nobody_listens);
	tcase_add_test(tc, a_lost_connection_calls_the_marker_off);
	tcase_add_test(tc, clients_stay_when_the_new_process_is_gone);
	tcase_add_test(tc, what_comes_after_the_marker_is_all_workers);
	tcase_add_test(tc, what_nobody_has_come_for_is_left_when_all_workers_know);
	tcase_add_test(tc, too_much_to_keep_is_told_once);
	tcase_add_test(tc, a_loss_is_told_to_the_old_process);
	tcase_add_test(tc, a_marker_lost_with_its_connection_is_sent_again);
	tcase_add_test(tc, a_marker_that_the_server_refuses_is_no_loss);
	tcase_add_test(tc, nonsense_is_not_listened_to);
	return unit_run("marking", tc);
}
