#include "control/listening.h"

#include "listening_unit.h"

START_TEST(one_connection_listens_for_all_workers)
{
	struct listening_row row;
	size_t pos = 0;

	want(0, "a", true);
	want(1, "a", true);
	want(1, "B\"c", true);
	ck_assert_str_eq(pq()->dbname, "real");
	ck_assert_str_eq(pq()->user, "mon");
	ck_assert_str_eq(pq()->application, LISTENING_APPLICATION);
	log_in();
	is_asked("LISTEN \"a\";LISTEN \"B\"\"c\";");
	want(0, "B\"c", true); /* while it is asked */
	nothing_is_told();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_told(1, LISTENING_ON, "a");
	is_told(0, LISTENING_ON, "B\"c");
	is_told(1, LISTENING_ON, "B\"c");
	ck_assert_uint_eq(fake_pq_n, 1);
	ck_assert_uint_eq(atomic_load(&w.sh.notify.channels), 2);
	ck_assert(listenings_next(ls, &pos, &row));
	ck_assert_str_eq(row.database, "app");
	ck_assert_str_eq(row.state, "ready");
	ck_assert_uint_eq(row.channels, 2);
	ck_assert(!listenings_next(ls, &pos, &row));
}
END_TEST

START_TEST(the_last_worker_that_leaves_unlistens)
{
	want(0, "a", true);
	want(1, "a", true);
	log_in();
	fake_pq_done(pq());
	want(0, "a", false);
	ck_assert_ptr_null(pq()->sql);
	want(1, "a", false);
	want(1, "never", false);
	is_asked("UNLISTEN \"a\";");
	want(0, "a", true); /* again, before the answer */
	fake_pq_done(pq());
	is_asked("LISTEN \"a\";");
	want(0, "a", false);
	fake_pq_done(pq());
	is_asked("UNLISTEN \"a\";");
	fake_pq_done(pq());
	ck_assert_ptr_null(pq()->sql);
}
END_TEST

START_TEST(many_channels_go_in_batches)
{
	char name[16];
	unsigned asked = 0;

	for (unsigned i = 0; i < LISTENING_BATCH * 2 + 50; i++) {
		snprintf(name, sizeof name, "c%u", i);
		want(0, name, true);
	}
	log_in();
	for (; pq()->sql != NULL; asked++)
		fake_pq_done(pq());
	ck_assert_uint_eq(asked, 3);
	ck_assert_uint_eq(atomic_load(&w.sh.notify.channels), LISTENING_BATCH * 2 + 50);
}
END_TEST

START_TEST(a_notification_goes_to_those_who_want_it)
{
	static const uint8_t want_bytes[] = "A\0\0\0\x0e\x01\0\0\x05"
					    "a\0x\xc3\xa4";
	const struct tell_notified *t;

	want(0, "a", true);
	want(1, "b", true);
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_told(1, LISTENING_ON, "b");
	backends_put(&w.sh.backends, 0, 77, 0x1000005);
	fake_pq_notify(pq(), "a", "x\xc3\xa4", 77);
	fake_pq_notify(pq(), "nobodys", "", 77);
	fake_pq_notify(pq(), "b", "", 78);
	t = next_told(0, TELL_NOTIFIED);
	ck_assert_uint_eq(t->pid, 0x1000005);
	ck_assert(!t->is_ascii);
	ck_assert_uint_eq(t->len, sizeof want_bytes);
	ck_assert_mem_eq(t->message, want_bytes, sizeof want_bytes);
	t = next_told(1, TELL_NOTIFIED);
	ck_assert_uint_eq(t->pid, 78); /* nobody's of ours */
	ck_assert(t->is_ascii);
	nothing_is_told();
	ck_assert_uint_eq(atomic_load(&w.sh.notify.received), 3);
}
END_TEST

START_TEST(a_barrier_is_a_query_begun_after_it)
{
	ask_barrier(0, 1);
	barrier_comes(0, 1); /* nothing listens */
	want(0, "a", true);
	ask_barrier(0, 2);
	barrier_comes(0, 2); /* nor yet */
	log_in();
	ask_barrier(1, 1); /* behind the LISTEN that is asked */
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_asked("SELECT 1");
	nothing_is_told();
	ask_barrier(1, 2);
	ask_barrier(1, 3);
	ask_barrier(0, 3);
	fake_pq_done(pq());
	barrier_comes(1, 1);
	is_asked("SELECT 1");
	fake_pq_done(pq());
	barrier_comes(0, 3);
	barrier_comes(1, 3);
	ck_assert_ptr_null(pq()->sql);
}
END_TEST

START_TEST(a_lost_connection_is_made_anew_and_told)
{
	struct pq *first;

	want(0, "a", true);
	want(1, "b", true);
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_told(1, LISTENING_ON, "b");
	ask_barrier(0, 1);
	first = pq();
	fake_pq_fail(first, PQ_FAILED_UNREACHABLE, "", "gone");
	is_told(0, LISTENING_DOWN, "");
	is_told(1, LISTENING_DOWN, "");
	barrier_comes(0, 1); /* nobody waits for what cannot come */
	ck_assert_uint_eq(atomic_load(&w.sh.notify.channels), 0);
	ck_assert_ptr_ne(pq(), first);
	log_in();
	is_asked("LISTEN \"a\";LISTEN \"b\";");
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	is_told(1, LISTENING_ON, "b");
	is_told(0, LISTENING_LOST, "");
	is_told(1, LISTENING_LOST, "");
	ck_assert_uint_eq(atomic_load(&w.sh.notify.losses), 1);
	ck_assert(world_has_logged(&w, "listening connection lost"));
	ck_assert(world_has_logged(&w, "listening again"));
}
END_TEST

START_TEST(a_refused_login_is_told_at_once)
{
	static const char *const sqlstates[] = {"28P01", "3D000", "42501"};

	want(1, "a", true);
	for (unsigned i = 0; i < 3; i++) {
		fake_pq_fail(pq(), PQ_FAILED_REFUSED, sqlstates[i], "no");
		is_told(1, LISTENING_REFUSED, "");
	}
	fake_pq_fail(pq(), PQ_FAILED_REFUSED, "57P03", "starting up"); /* it will pass */
	nothing_is_told();
	want(1, "a", false);
	nothing_is_told();
}
END_TEST

START_TEST(an_error_of_sql_is_a_loss)
{
	want(0, "a", true);
	log_in();
	fake_pq_error(pq(), "53200", "out of memory");
	world_turn_until(&w, fake_pq_n == 2);
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a"); /* and nothing was missed: nobody had listened */
	nothing_is_told();
}
END_TEST

START_TEST(it_follows_the_primary)
{
	set_primary(TOPO_NONE);
	want(0, "a", true);
	for (unsigned i = 0; i < 3; i++)
		world_turn(&w, 1000);
	ck_assert_uint_eq(fake_pq_n, 0);
	set_primary(0);
	listenings_primary_changed(ls);
	log_in();
	fake_pq_done(pq());
	is_told(0, LISTENING_ON, "a");
	set_primary(TOPO_NONE); /* what there is may still be it */
	listenings_primary_changed(ls);
	ck_assert_uint_eq(fake_pq_n_in_use(), 1);
	set_primary(1);
	listenings_primary_changed(ls);
	is_told(0, LISTENING_DOWN, "");
	world_turn_until(&w, fake_pq_to(6002) != NULL);
	ck_assert_uint_eq(fake_pq_n_in_use(), 1);
}
END_TEST

START_TEST(a_reload_that_changes_the_login_makes_it_anew)
{
	want(0, "a", true);
	log_in();
	fake_pq_done(pq());
	world_set_conf(&w, HEAD ENTRY LOGIN TAIL "verbose = 1\n");
	listenings_conf_changed(ls);
	ck_assert_uint_eq(fake_pq_n, 1);
	world_set_conf(&w, HEAD ENTRY "monitor_user=ear monitor_password=p\n" TAIL);
	listenings_conf_changed(ls);
	world_turn_until(&w, fake_pq_n == 2);
	ck_assert_str_eq(pq()->user, "ear");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("listening");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, one_connection_listens_for_all_workers);
	tcase_add_test(tc, the_last_worker_that_leaves_unlistens);
	tcase_add_test(tc, many_channels_go_in_batches);
	tcase_add_test(tc, a_notification_goes_to_those_who_want_it);
	tcase_add_test(tc, a_barrier_is_a_query_begun_after_it);
	tcase_add_test(tc, a_lost_connection_is_made_anew_and_told);
	tcase_add_test(tc, a_refused_login_is_told_at_once);
	tcase_add_test(tc, an_error_of_sql_is_a_loss);
	tcase_add_test(tc, it_follows_the_primary);
	tcase_add_test(tc, a_reload_that_changes_the_login_makes_it_anew);
	return unit_run("listening", tc);
}
