#include "control/auth_query.h"

#include <netinet/in.h>

#include "control_unit.h"
#include "fake_pq.h"

#define CONF                                                                               \
	"[databases]\n"                                                                    \
	"app = host=10.0.0.1,10.0.0.2 port=6001,6002 routing=on\n"                         \
	"plain = host=10.0.0.3,10.0.0.4 port=6003,6004 routing=off auth_user=special\n"    \
	"lost = host=10.0.0.5 port=6005 auth_dbname=none\n"                                \
	"[pgweir]\nlisten_addr = 127.0.0.1\nauth_user = asker\nauth_query_lifetime = %s\n" \
	"auth_query_timeout = 500ms\n"
#define TOLD 500u

static struct world w;
static struct auth_query *q;
static struct ask_secret *told[TOLD];
static unsigned n_told;

static void on_tell(void *arg, uint32_t worker, struct mail *m)
{
	(void)arg;
	ck_assert_uint_eq(worker, 0);
	ck_assert_uint_lt(n_told, TOLD);
	told[n_told++] = (struct ask_secret *)m;
}

static void setup_with(const char *lifetime)
{
	struct node_addrs *a;
	char conf[1024];

	snprintf(conf, sizeof conf, CONF, lifetime);
	world_init(&w, conf, "\"asker\" \"asks\"\n", 1);
	w.on_tell = on_tell;
	a = (struct node_addrs *)(uintptr_t)atomic_load(&w.sh.addrs);
	for (unsigned i = 0; i < 5; i++) {
		((struct sockaddr_in *)(void *)&a->node[i].addr[0])->sin_family = AF_INET;
		a->node[i].addr_len[0] = sizeof(struct sockaddr_in);
		a->node[i].n = 1;
	}
	fake_pq_n = 0;
	fake_pq_status = OK;
	n_told = 0;
	ck_assert_int_eq(auth_query_new(&w.env, &q), OK);
}

static void setup(void)
{
	setup_with("3600");
}

static void teardown(void)
{
	auth_query_free(q);
	ck_assert_uint_eq(fake_pq_n_in_use(), 0);
	world_turn(&w, 0);
	for (unsigned i = 0; i < n_told; i++)
		free(told[i]);
	world_fini(&w);
}

static void ask_again(
	const char *database, const char *user, enum secret_want want, uint64_t serial)
{
	struct ask_secret *ask = calloc(1, sizeof *ask);

	ck_assert_ptr_nonnull(ask);
	ask->want = want;
	ask->serial = serial;
	snprintf(ask->database, sizeof ask->database, "%s", database);
	snprintf(ask->user, sizeof ask->user, "%s", user);
	auth_query_take(q, ask);
}

static void ask(const char *database, const char *user)
{
	ask_again(database, user, SECRET_WANT_ANY, 0);
}

static void turns(unsigned n)
{
	while (n-- != 0)
		world_turn(&w, 2000);
}

static void pass(uint64_t us)
{
	uint64_t end_us = env_now_us(&w.env) + us;

	while (env_now_us(&w.env) < end_us)
		world_turn(&w, end_us - env_now_us(&w.env));
}

static struct pq *connected(uint16_t port)
{
	struct pq *c;

	world_turn_until(&w, fake_pq_to(port) != NULL);
	c = fake_pq_to(port);
	fake_pq_ready(c);
	world_turn_until(&w, c->sql != NULL);
	return c;
}

static void answer(struct pq *c, const char *name, const char *secret)
{
	const char *row[] = {name, secret};

	fake_pq_row(c, row, 2);
	fake_pq_done(c);
}

START_TEST(logins_of_one_user_wait_for_one_query)
{
	struct pq *c;

	for (unsigned i = 0; i < 5; i++)
		ask("plain", "u");
	c = connected(6003);
	ck_assert_str_eq(c->user, "special");
	ck_assert_str_eq(c->dbname, "plain");
	ck_assert_str_eq(c->application, AUTH_QUERY_APPLICATION);
	ck_assert_str_eq(c->value, "u");
	ck_assert_ptr_nonnull(strstr(c->asked, "pg_catalog.pg_authid"));
	answer(c, "u", "secret");
	world_turn_until(&w, n_told == 5);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_int_eq(told[i]->status, OK);
		ck_assert_str_eq(told[i]->secret, "secret");
	}
	ask("plain", "u"); /* is known */
	world_turn_until(&w, n_told == 6);
	ck_assert_uint_eq(c->n_queries, 1);
	ck_assert_uint_eq(told[5]->serial, told[0]->serial);
}
END_TEST

START_TEST(who_is_unknown_looks_like_those_who_are_known)
{
	struct pq *c;

	ask("app", "hashed");
	c = connected(6001);
	ck_assert_str_eq(c->password, "asks");
	answer(c, "hashed", "md50123456789abcdef0123456789abcdef");
	ask("app", "nobody");
	world_turn_until(&w, c->sql != NULL);
	fake_pq_done(c);
	world_turn_until(&w, n_told == 2);
	ck_assert_int_eq(told[1]->status, E_NOTFOUND);
	ck_assert(told[1]->usual.md5);
	ask("app", "other"); /* a row for somebody else is none */
	world_turn_until(&w, c->sql != NULL);
	answer(c, "OTHER", "x");
	world_turn_until(&w, n_told == 3);
	ck_assert_int_eq(told[2]->status, E_NOTFOUND);
	ck_assert_str_eq(told[2]->secret, "");
}
END_TEST

START_TEST(an_answer_is_doubted_once_it_is_a_second_old)
{
	struct pq *c;

	ask("app", "u");
	c = connected(6001);
	answer(c, "u", "old");
	world_turn_until(&w, n_told == 1);
	ask_again("app", "u", SECRET_WANT_NEWER, told[0]->serial);
	world_turn_until(&w, n_told == 2); /* it is that new */
	ck_assert_str_eq(told[1]->secret, "old");
	pass(1100000);
	ask_again("app", "u", SECRET_WANT_NEWER, told[0]->serial + 1);
	world_turn_until(&w, n_told == 3); /* it was another that failed */
	ask_again("app", "u", SECRET_WANT_NEWER, told[0]->serial);
	world_turn_until(&w, c->sql != NULL);
	answer(c, "u", "new");
	world_turn_until(&w, n_told == 4);
	ck_assert_str_eq(told[3]->secret, "new");
	pass(1100000);
	ask_again("app", "u", SECRET_WANT_NONE, told[3]->serial); /* forgets it, tells nobody */
	turns(3);
	ck_assert_ptr_null(c->sql);
	ask("app", "u");
	world_turn_until(&w, c->sql != NULL);
	ck_assert_uint_eq(n_told, 4);
}
END_TEST

START_TEST(answers_end_with_their_lifetime_and_with_a_reload)
{
	struct pq *c;

	teardown();
	setup_with("1");
	ask("app", "u");
	c = connected(6001);
	answer(c, "u", "s");
	pass(1100000);
	ask("app", "u");
	world_turn_until(&w, c->sql != NULL);
	answer(c, "u", "s");
	auth_query_conf_changed(q);
	ask("app", "u");
	world_turn_until(&w, fake_pq_n == 2); /* with what may be another password */
	ck_assert(!fake_pqs[0].in_use);
}
END_TEST

START_TEST(the_next_node_is_asked_when_one_fails)
{
	ask("plain", "u");
	world_turn_until(&w, fake_pq_to(6003) != NULL);
	fake_pq_fail(fake_pq_to(6003), PQ_FAILED_UNREACHABLE, "", "connection refused");
	answer(connected(6004), "u", "s");
	world_turn_until(&w, n_told == 1);
	ck_assert_int_eq(told[0]->status, OK);
}
END_TEST

START_TEST(a_lookup_survives_the_loss_of_one_connection_not_of_two)
{
	for (unsigned i = 0; i < 2; i++) {
		struct pq *c;

		if (i == 0)
			ask("app", "u");
		c = connected(6001);
		ck_assert_uint_eq(n_told, 0);
		fake_pq_fail(c, PQ_FAILED_UNREACHABLE, "57P01", "gone");
	}
	world_turn_until(&w, n_told == 1);
	ck_assert_int_eq(told[0]->status, E_IO);
	ck_assert_str_eq(told[0]->sqlstate, "57P01");
}
END_TEST

START_TEST(a_refused_login_of_auth_user_is_told_at_once_and_for_a_while)
{
	ask("app", "u");
	ask("app", "v");
	for (uint16_t port = 6001; port <= 6002; port++) {
		world_turn_until(&w, fake_pq_to(port) != NULL);
		fake_pq_fail(fake_pq_to(port), PQ_FAILED_REFUSED, "28P01", "wrong password");
	}
	world_turn_until(&w, n_told == 2);
	ck_assert_int_eq(told[0]->status, E_IO);
	ck_assert_str_eq(told[0]->sqlstate, "28P01");
	ck_assert(world_has_logged(&w, "auth_query failed user=v"));
	ask("app", "w");
	world_turn_until(&w, n_told == 3);
	ck_assert_uint_eq(fake_pq_n, 2);
	pass(1100000);
	ask("app", "w");
	world_turn_until(&w, fake_pq_n == 3);
}
END_TEST

START_TEST(errors_of_the_query_and_time_are_told)
{
	struct pq *c;

	ask("app", "u");
	c = connected(6001);
	fake_pq_error(c, "42501", "permission denied");
	world_turn_until(&w, n_told == 1);
	ck_assert_str_eq(told[0]->sqlstate, "42501");
	ck_assert_str_eq(told[0]->error, "permission denied");
	ask("lost", "u");
	world_turn_until(&w, n_told == 2);
	ck_assert_str_eq(told[1]->sqlstate, "3D000");
	ask("app", "slow");
	world_turn_until(&w, c->sql != NULL);
	pass(600000);
	world_turn_until(&w, n_told == 3);
	ck_assert_int_eq(told[2]->status, E_IO);
	ck_assert(!c->in_use); /* what it still answers is nobody's */
}
END_TEST

START_TEST(who_has_no_auth_user_any_more_is_unknown)
{
	ask("no such database", "u");
	world_turn_until(&w, n_told == 1);
	ck_assert_int_eq(told[0]->status, E_NOTFOUND);
	ck_assert_uint_eq(fake_pq_n, 0);
}
END_TEST

START_TEST(connections_of_a_source_are_few_and_made_one_by_one)
{
	for (unsigned i = 0; i < 50; i++) {
		char user[16];

		snprintf(user, sizeof user, "u%u", i);
		ask("app", user);
	}
	for (unsigned i = 0; i < AUTH_QUERY_SOURCE_ASKERS; i++) {
		world_turn_until(&w, fake_pq_n > i);
		ck_assert_uint_eq(fake_pq_n, i + 1);
		fake_pq_ready(&fake_pqs[i]);
	}
	turns(5);
	ck_assert_uint_eq(fake_pq_n, AUTH_QUERY_SOURCE_ASKERS);
	while (n_told < 50) {
		for (unsigned i = 0; i < AUTH_QUERY_SOURCE_ASKERS; i++)
			if (fake_pqs[i].sql != NULL)
				answer(&fake_pqs[i], fake_pqs[i].value, "s");
		world_turn(&w, 0);
	}
}
END_TEST

START_TEST(logins_that_wait_at_the_end_are_dropped)
{
	ask("app", "u");
	ask("app", "v");
	ask("plain", "u");
	(void)connected(6001);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("auth_query");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, logins_of_one_user_wait_for_one_query);
	tcase_add_test(tc, who_is_unknown_looks_like_those_who_are_known);
	tcase_add_test(tc, an_answer_is_doubted_once_it_is_a_second_old);
	tcase_add_test(tc, answers_end_with_their_lifetime_and_with_a_reload);
	tcase_add_test(tc, the_next_node_is_asked_when_one_fails);
	tcase_add_test(tc, a_lookup_survives_the_loss_of_one_connection_not_of_two);
	tcase_add_test(tc, a_refused_login_of_auth_user_is_told_at_once_and_for_a_while);
	tcase_add_test(tc, errors_of_the_query_and_time_are_told);
	tcase_add_test(tc, who_has_no_auth_user_any_more_is_unknown);
	tcase_add_test(tc, connections_of_a_source_are_few_and_made_one_by_one);
	tcase_add_test(tc, logins_that_wait_at_the_end_are_dropped);
	return unit_run("auth_query", tc);
}
