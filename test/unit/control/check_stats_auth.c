#include "control/stats_auth.h"

#include "control_unit.h"
#include "proto/base64.h"

/* The password is "pencil", the salt that of RFC 7677. */
#define VERIFIER                                        \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"  \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define PENCIL_OF_ANN "md528754acffc5400623f44a44d30b50393"

static struct world w;
static struct stats_auth *a;

static void use(const char *stats_auth)
{
	char text[1024];

	snprintf(text, sizeof text,
		"[databases]\napp = host=10.0.0.1\n[pgweir]\nlisten_addr = x\nstats_auth = %s\n",
		stats_auth);
	world_set_conf(&w, text);
}

static void setup(void)
{
	world_init(&w, "[databases]\napp = host=10.0.0.1\n[pgweir]\nlisten_addr = x\n", "", 1);
	world_add_helpers(&w, 2);
	ck_assert_int_eq(stats_auth_new(&w.env, &a), OK);
}

static void teardown(void)
{
	stats_auth_free(a);
	world_fini(&w);
}

/* --- a visitor --- */

static struct stats_auth_request request;
static enum stats_auth_verdict verdict;
static unsigned n_done;

static void on_done(struct stats_auth_request *r, enum stats_auth_verdict v)
{
	ck_assert_ptr_eq(r, &request);
	verdict = v;
	n_done++;
}

static const char *basic(const char *pair)
{
	static char header[4096];
	struct wr out = wr_of((uint8_t *)header, sizeof header - 1);

	memset(header, 0, sizeof header);
	wr_bytes(&out, "Basic ", 6);
	base64_put(&out, (const uint8_t *)pair, strlen(pair));
	ck_assert(!out.bad);
	return header;
}

static enum stats_auth_verdict ask_header(const char *header)
{
	uint64_t give_up = env_now_us(&w.env) + WORLD_WAIT_US;

	request.done = on_done;
	n_done = 0;
	verdict = stats_auth_check(a, header, &request);
	if (verdict != STATS_AUTH_LATER)
		return verdict;
	while (n_done == 0) {
		ck_assert_uint_lt(env_now_us(&w.env), give_up);
		world_turn(&w, 1000);
	}
	return verdict;
}

static enum stats_auth_verdict ask(const char *pair)
{
	return ask_header(basic(pair));
}

/* --- tests --- */

START_TEST(without_the_setting_nobody_is_asked)
{
	ck_assert_int_eq(ask_header(NULL), STATS_AUTH_YES);
	ck_assert_int_eq(ask("any:thing"), STATS_AUTH_YES);
}
END_TEST

START_TEST(a_password_must_be_right)
{
	use("ann:a:b");
	ck_assert_int_eq(ask("ann:a:b"), STATS_AUTH_YES);
	ck_assert_int_eq(ask("ann:a:c"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("ann:a"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("ann:"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("bob:a:b"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("an:a:b"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("ann"), STATS_AUTH_NO);
	ck_assert_int_eq(ask(""), STATS_AUTH_NO);
}
END_TEST

START_TEST(a_header_must_be_basic)
{
	/* of RFC 7617 */
	use("Aladdin:open sesame");
	ck_assert_int_eq(ask_header("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), STATS_AUTH_YES);
	ck_assert_int_eq(ask_header("basic   QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), STATS_AUTH_YES);
	ck_assert_int_eq(ask_header("Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), STATS_AUTH_NO);
	ck_assert_int_eq(ask_header("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ"), STATS_AUTH_NO);
	ck_assert_int_eq(ask_header("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==x"), STATS_AUTH_NO);
	ck_assert_int_eq(ask_header("Basic"), STATS_AUTH_NO);
	ck_assert_int_eq(ask_header(NULL), STATS_AUTH_NO);
	/* "Aladdin:open sesame", NUL, "x" */
	ck_assert_int_eq(ask_header("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQB4"), STATS_AUTH_NO);
}
END_TEST

START_TEST(a_header_is_bounded)
{
	char pair[STATS_AUTH_HEADER_MAX + 2] = "ann:";

	use("ann:a");
	memset(pair + 4, 'x', STATS_AUTH_HEADER_MAX - 4);
	ck_assert_int_eq(ask(pair), STATS_AUTH_NO);
	pair[STATS_AUTH_HEADER_MAX] = 'x';
	ck_assert_int_eq(ask(pair), STATS_AUTH_NO);
	use("ann:" VERIFIER);
	pair[STATS_AUTH_HEADER_MAX] = '\0';
	ck_assert_int_eq(ask(pair), STATS_AUTH_NO);
}
END_TEST

START_TEST(a_user_of_auth_file_has_the_secret_there)
{
	auth_users_free((struct auth_users *)(uintptr_t)atomic_exchange(
		&w.sh.users, world_users("\"ann\" \"pencil\"\n\"bob\" \"" VERIFIER "\"\n"
					 "\"eve\" \"\"\n")));
	use("ann");
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	ck_assert_int_eq(ask("bob:pencil"), STATS_AUTH_NO);
	use("bob");
	ck_assert_int_eq(ask("bob:pencil"), STATS_AUTH_YES);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_NO);
	use("ann:" PENCIL_OF_ANN);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	ck_assert_int_eq(ask("ann:" PENCIL_OF_ANN), STATS_AUTH_NO);
	use("eve");
	ck_assert_int_eq(ask("eve:"), STATS_AUTH_NO);
	use("nobody");
	ck_assert_int_eq(ask("nobody:"), STATS_AUTH_NO);
}
END_TEST

START_TEST(several_users_may_come)
{
	auth_users_free((struct auth_users *)(uintptr_t)atomic_exchange(
		&w.sh.users, world_users("\"ann\" \"" VERIFIER "\"\n\"bob\" \"" VERIFIER "\"\n"
					 "\"cat\" \"secret\"\n\"dan\" \"pencil\"\n")));
	use("ann, bob,cat");
	for (unsigned i = 0; i < 3; i++) {
		ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
		ck_assert_uint_eq(n_done, i == 0);
		ck_assert_int_eq(ask("bob:pencil"), STATS_AUTH_YES);
		ck_assert_uint_eq(n_done, i == 0); /* none displaces the other */
		ck_assert_int_eq(ask("cat:secret"), STATS_AUTH_YES);
	}
	ck_assert_int_eq(ask("cat:pencil"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("bob:secret"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("dan:pencil"), STATS_AUTH_NO);
	ck_assert_uint_eq(n_done, 1); /* takes as long as a wrong password of the first */
	ck_assert_int_eq(ask("ann, bob:pencil"), STATS_AUTH_NO);
	use("bob");
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_NO);
	ck_assert_int_eq(ask("bob:pencil"), STATS_AUTH_YES);
}
END_TEST

START_TEST(a_verifier_is_asked_once)
{
	use("ann:" VERIFIER);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	ck_assert_uint_eq(n_done, 1);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	ck_assert_uint_eq(n_done, 0); /* known */
	ck_assert_int_eq(ask("ann:pencils"), STATS_AUTH_NO);
	ck_assert_uint_eq(n_done, 1);
	ck_assert_int_eq(ask("bob:pencil"), STATS_AUTH_NO);
	ck_assert_uint_eq(n_done, 1); /* takes as long as a wrong password */
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	ck_assert_uint_eq(n_done, 0);
	use("ann:pen");
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_NO);
}
END_TEST

START_TEST(derivations_at_a_time_are_bounded)
{
	struct stats_auth_request r[STATS_AUTH_JOBS_MAX + 1] = {{NULL, NULL}};

	use("ann:" VERIFIER);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
	for (unsigned i = 0; i < STATS_AUTH_JOBS_MAX; i++)
		ck_assert_int_eq(stats_auth_check(a, basic("ann:x"), &r[i]), STATS_AUTH_LATER);
	ck_assert_int_eq(
		stats_auth_check(a, basic("ann:x"), &r[STATS_AUTH_JOBS_MAX]), STATS_AUTH_BUSY);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES); /* who is known does not wait */
	for (unsigned i = 0; i <= STATS_AUTH_JOBS_MAX; i++)
		stats_auth_cancel(&r[i]); /* whoever asked has left: nothing is called */
	stats_auth_free(a);               /* and jobs outlive it */
	while (helpers_n_jobs(w.env.helpers) != 0)
		world_turn(&w, 1000);
	ck_assert_int_eq(stats_auth_new(&w.env, &a), OK);
	ck_assert_int_eq(ask("ann:pencil"), STATS_AUTH_YES);
}
END_TEST

START_TEST(settings_that_let_nobody_in_are_found)
{
	struct auth_users *users = world_users("\"ann\" \"x\"\n\"eve\" \"\"\n");
	struct stats_auth_user u;

	ck_assert_int_eq(stats_auth_user("", NULL, users, &u), OK);
	ck_assert_ptr_null(u.user.name);
	ck_assert_int_eq(stats_auth_user("ann", NULL, users, &u), OK);
	ck_assert_str_eq(u.user.secret, "x");
	ck_assert_int_eq(stats_auth_user("bob:y", NULL, users, &u), OK);
	ck_assert_str_eq(u.user.name, "bob");
	ck_assert_int_eq(u.user.kind, SECRET_PLAIN);
	ck_assert_int_eq(stats_auth_user("bob:" VERIFIER, NULL, users, &u), OK);
	ck_assert_int_eq(u.user.kind, SECRET_SCRAM);
	ck_assert_int_eq(stats_auth_user("bob:SCRAM-SHA-256$x", NULL, users, &u), E_INVALID);
	ck_assert_int_eq(stats_auth_user("bob:", NULL, users, &u), E_NOTFOUND);
	ck_assert_int_eq(stats_auth_user("bob", NULL, users, &u), E_NOTFOUND);
	ck_assert_int_eq(stats_auth_user("eve", NULL, users, &u), E_NOTFOUND);
	ck_assert_int_eq(stats_auth_user("ann, bob", "ann", users, &u), E_NOTFOUND);
	ck_assert_int_eq(stats_auth_user("ann,eve", "ann", users, &u), E_NOTFOUND);
	ck_assert_int_eq(stats_auth_user(" , ", NULL, users, &u), E_NOTFOUND);
	stats_auth_user_wipe(&u);
	auth_users_free(users);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stats_auth");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_the_setting_nobody_is_asked);
	tcase_add_test(tc, a_password_must_be_right);
	tcase_add_test(tc, a_header_must_be_basic);
	tcase_add_test(tc, a_header_is_bounded);
	tcase_add_test(tc, a_user_of_auth_file_has_the_secret_there);
	tcase_add_test(tc, several_users_may_come);
	tcase_add_test(tc, a_verifier_is_asked_once);
	tcase_add_test(tc, derivations_at_a_time_are_bounded);
	tcase_add_test(tc, settings_that_let_nobody_in_are_found);
	return unit_run("stats_auth", tc);
}
