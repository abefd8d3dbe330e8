#include "control/verify.h"

#include <stdatomic.h>
#include <unistd.h>

#include "control_unit.h"

#define ANSWERS_MAX 64u

#define CONF                                                             \
	"[databases]\na = host=127.0.0.1\n[pgweir]\nauth_type = trust\n" \
	"auth_helper_threads = 2\nauth_helper_queue = 3\nauth_helper_timeout = 60\n"
#define CONF_SHORT                                                       \
	"[databases]\na = host=127.0.0.1\n[pgweir]\nauth_type = trust\n" \
	"auth_helper_threads = 1\nauth_helper_queue = 3\nauth_helper_timeout = 0.5\n"

static struct world world;
static struct verify *verify;
static struct tell_verified answers[ANSWERS_MAX];
static size_t n_answers;
static uint32_t answered_worker;

/* the checks: users that begin with "stay" wait for the gate, which opens for all */
static atomic_bool gate;
static atomic_int n_running, n_most;

static void check_ldap(const struct verify_question *q, struct verify_answer *out)
{
	const char *user = q->ask->user;
	int n = atomic_fetch_add(&n_running, 1) + 1, most = atomic_load(&n_most);

	while (n > most && !atomic_compare_exchange_weak(&n_most, &most, n))
		;
	while (strncmp(user, "stay", 4) == 0 && !atomic_load(&gate))
		usleep(1000);
	atomic_fetch_sub(&n_running, 1);
	if (strcmp(q->ask->password, "right") != 0)
		verify_say(out, VERIFY_DENIED, "%s is not the one of %s", "it", user);
	else
		out->result = VERIFY_ACCEPTED;
}

static void check_pam(const struct verify_question *q, struct verify_answer *out)
{
	verify_say(out, verify_left_us(q) > 50000000 ? VERIFY_FAILED : VERIFY_DENIED, "%s of %s",
		q->options->pamservice != NULL ? q->options->pamservice : q->ask->service,
		q->ask->host);
}

static const struct verify_ops ops = {.check = {check_pam, check_ldap}};
static const struct verify_ops no_pam = {.check = {NULL, check_ldap}};

static void on_mail(void *arg, struct mail *m)
{
	(void)arg;
	ck_assert_int_eq(m->kind, VERIFY_MAIL);
	verify_finish(verify, m);
}

static void on_tell(void *arg, uint32_t worker, struct mail *m)
{
	(void)arg;
	ck_assert_int_eq(m->kind, TELL_VERIFIED);
	ck_assert_uint_lt(n_answers, ANSWERS_MAX);
	answers[n_answers++] = *(struct tell_verified *)(void *)m;
	answered_worker = worker;
	free(m);
}

static void start(const char *conf, const struct verify_ops *o)
{
	world_init(&world, conf, "", 2);
	world.on_mail = on_mail;
	world.on_tell = on_tell;
	n_answers = 0;
	atomic_store(&gate, false);
	atomic_store(&n_most, 0);
	ck_assert_int_eq(verify_new(&world.env, o, &verify), OK);
}

static void end(void)
{
	atomic_store(&gate, true);
	ck_assert(verify_stop(verify, 10000));
	world.env.ended = true;
	world_drain(&world.sh.control, &world, -1);
	verify_free(verify);
	world_fini(&world);
}

static void ask(uint64_t token, enum auth_type method, const char *user, const char *password)
{
	struct ask_verify *a = calloc(1, sizeof *a);

	ck_assert_ptr_nonnull(a);
	a->mail.kind = ASK_VERIFY;
	a->worker = 1;
	a->method = method;
	a->answer = calloc(1, sizeof *a->answer);
	ck_assert_ptr_nonnull(a->answer);
	a->answer->mail.kind = TELL_VERIFIED;
	a->answer->token = token;
	(void)snprintf(a->user, sizeof a->user, "%s", user);
	(void)snprintf(a->password, sizeof a->password, "%s", password);
	(void)snprintf(a->host, sizeof a->host, "10.0.0.1");
	(void)snprintf(a->service, sizeof a->service, "weir");
	(void)snprintf(a->options, sizeof a->options, "%s",
		method == AUTH_TYPE_LDAP ? "ldapserver=h ldapprefix=x" : "");
	verify_take(verify, a);
}

static void ask_ldap(uint64_t token, const char *user)
{
	ask(token, AUTH_TYPE_LDAP, user, "right");
}

static const struct tell_verified *answer_of(uint64_t token)
{
	for (size_t i = 0; i < n_answers; i++)
		if (answers[i].token == token)
			return &answers[i];
	return NULL;
}

static void assert_answer(uint64_t token, enum verify_result result, const char *why)
{
	world_turn_until(&world, answer_of(token) != NULL);
	ck_assert_int_eq(answer_of(token)->result, result);
	ck_assert_str_eq(answer_of(token)->why, why);
}

static struct verify_count ldap_count(void)
{
	return verify_count(verify, VERIFY_LDAP);
}

START_TEST(answers_go_to_who_asks)
{
	start(CONF, &ops);
	ask(7, AUTH_TYPE_LDAP, "ann", "right");
	ask(8, AUTH_TYPE_LDAP, "ann", "wrong");
	ask(9, AUTH_TYPE_PAM, "ann", "right");
	assert_answer(7, VERIFY_ACCEPTED, "");
	assert_answer(8, VERIFY_DENIED, "it is not the one of ann");
	assert_answer(9, VERIFY_FAILED, "weir of 10.0.0.1");
	ck_assert_uint_eq(answered_worker, 1);
	ck_assert_uint_eq(ldap_count().results[VERIFY_ACCEPTED], 1);
	ck_assert_uint_eq(ldap_count().results[VERIFY_DENIED], 1);
	ck_assert_uint_eq(verify_count(verify, VERIFY_PAM).results[VERIFY_FAILED], 1);
	ck_assert_uint_eq(ldap_count().waiting + ldap_count().running + ldap_count().stuck, 0);
	end();
}
END_TEST

START_TEST(no_more_than_so_many_run_and_wait)
{
	start(CONF, &ops);
	for (uint64_t i = 0; i < 2; i++)
		ask_ldap(i, "stay");
	world_turn_until(&world, ldap_count().running == 2);
	for (uint64_t i = 2; i < 6; i++)
		ask_ldap(i, "stay");
	assert_answer(5, VERIFY_FULL, "auth_helper_queue is full");
	ck_assert_uint_eq(n_answers, 1);
	ck_assert_uint_eq(ldap_count().waiting, 3);
	atomic_store(&gate, true);
	world_turn_until(&world, n_answers == 6);
	ck_assert_int_eq(atomic_load(&n_most), 2);
	ck_assert_uint_eq(ldap_count().results[VERIFY_ACCEPTED], 5);
	ck_assert_uint_eq(ldap_count().results[VERIFY_FULL], 1);
	end();
}
END_TEST

static void unask(uint32_t worker, uint64_t token)
{
	verify_unask(verify, &(struct ask_unasked){.worker = worker, .token = token});
}

START_TEST(who_leaves_the_line_gives_up_the_place)
{
	start(CONF, &ops);
	for (uint64_t i = 0; i < 2; i++)
		ask_ldap(i, "stay");
	world_turn_until(&world, ldap_count().running == 2);
	for (uint64_t i = 2; i < 5; i++)
		ask_ldap(i, "stay");
	unask(1, 3);
	unask(1, 3); /* it is out already */
	unask(0, 4); /* of another worker */
	unask(1, 9); /* of nobody */
	unask(1, 0); /* one that runs, runs on */
	ck_assert_uint_eq(ldap_count().waiting, 2);
	ck_assert_uint_eq(ldap_count().running, 2);
	ck_assert_uint_eq(ldap_count().results[VERIFY_GONE], 1);
	ask_ldap(5, "ann");
	ck_assert_uint_eq(ldap_count().waiting, 3);
	ask_ldap(6, "ann");
	assert_answer(6, VERIFY_FULL, "auth_helper_queue is full");
	atomic_store(&gate, true);
	world_turn_until(&world, n_answers == 6);
	ck_assert_ptr_null(answer_of(3));
	ck_assert_ptr_nonnull(answer_of(0));
	ck_assert_uint_eq(ldap_count().results[VERIFY_ACCEPTED], 5);
	ck_assert_uint_eq(ldap_count().results[VERIFY_GONE], 1);
	ck_assert_uint_eq(ldap_count().waiting + ldap_count().running + ldap_count().stuck, 0);
	end();
}
END_TEST

/* The answer is on its way back: it comes, and nothing is counted twice. */
START_TEST(what_is_checked_already_is_answered)
{
	start(CONF, &ops);
	ask_ldap(1, "ann");
	while (atomic_load(&world.sh.control.head) == NULL)
		usleep(1000);
	unask(1, 1);
	assert_answer(1, VERIFY_ACCEPTED, "");
	ck_assert_uint_eq(ldap_count().results[VERIFY_GONE], 0);
	end();
}
END_TEST

START_TEST(a_stuck_thread_is_replaced_once_for_each_that_there_may_be)
{
	start(CONF_SHORT, &ops);
	ask_ldap(1, "stay");
	assert_answer(1, VERIFY_TIMED_OUT, "no answer within auth_helper_timeout");
	ck_assert_uint_eq(ldap_count().stuck, 1);
	ask_ldap(2, "ann");
	assert_answer(2, VERIFY_ACCEPTED, "");
	ask_ldap(3, "stay");
	assert_answer(3, VERIFY_TIMED_OUT, "no answer within auth_helper_timeout");
	ck_assert_uint_eq(ldap_count().stuck, 2);
	ask_ldap(4, "ann");
	assert_answer(4, VERIFY_TIMED_OUT,
		"none of auth_helper_threads was free within auth_helper_timeout");
	ck_assert_uint_eq(ldap_count().waiting, 0);
	atomic_store(&gate, true);
	world_turn_until(&world, ldap_count().stuck == 0);
	ask_ldap(5, "ann");
	assert_answer(5, VERIFY_ACCEPTED, "");
	ck_assert_uint_eq(n_answers, 5);
	ck_assert_int_eq(atomic_load(&n_most), 2);
	end();
}
END_TEST

START_TEST(a_new_number_of_threads_holds_at_once)
{
	start(CONF, &ops);
	for (uint64_t i = 0; i < 2; i++)
		ask_ldap(i, "stay");
	world_turn_until(&world, ldap_count().running == 2);
	world_set_conf(&world, CONF_SHORT);
	atomic_store(&gate, true);
	world_turn_until(&world, n_answers == 2);
	atomic_store(&n_most, 0);
	atomic_store(&gate, false);
	ask_ldap(3, "stay");
	ask_ldap(4, "ann");
	world_turn_until(&world, ldap_count().running == 1);
	ck_assert_uint_eq(ldap_count().waiting, 1);
	atomic_store(&gate, true);
	world_turn_until(&world, n_answers == 4);
	ck_assert_int_eq(atomic_load(&n_most), 1);
	end();
}
END_TEST

START_TEST(the_end_drops_what_waits_and_awaits_what_runs)
{
	start(CONF, &ops);
	for (uint64_t i = 0; i < 2; i++)
		ask_ldap(i, "stay");
	world_turn_until(&world, ldap_count().running == 2);
	for (uint64_t i = 2; i < 4; i++)
		ask_ldap(i, "stay");
	ck_assert_uint_eq(ldap_count().waiting, 2);
	ck_assert(!verify_stop(verify, 1));
	ck_assert_uint_eq(ldap_count().waiting, 0);
	ck_assert_uint_eq(ldap_count().stuck, 2);
	end();
	ck_assert_uint_eq(n_answers, 0);
}
END_TEST

START_TEST(what_is_on_its_way_back_at_the_end_is_freed)
{
	start(CONF, &ops);
	ask_ldap(1, "ann");
	while (atomic_load(&world.sh.control.head) == NULL)
		usleep(1000);
	end();
	ck_assert_uint_eq(n_answers, 0);
}
END_TEST

START_TEST(a_method_that_the_build_lacks_fails)
{
	start(CONF, &no_pam);
	ask(1, AUTH_TYPE_PAM, "ann", "right");
	assert_answer(1, VERIFY_FAILED, "this build of pgweir lacks the method");
	end();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("verify");

	tcase_add_test(tc, answers_go_to_who_asks);
	tcase_add_test(tc, no_more_than_so_many_run_and_wait);
	tcase_add_test(tc, who_leaves_the_line_gives_up_the_place);
	tcase_add_test(tc, what_is_checked_already_is_answered);
	tcase_add_test(tc, a_stuck_thread_is_replaced_once_for_each_that_there_may_be);
	tcase_add_test(tc, a_new_number_of_threads_holds_at_once);
	tcase_add_test(tc, the_end_drops_what_waits_and_awaits_what_runs);
	tcase_add_test(tc, what_is_on_its_way_back_at_the_end_is_freed);
	tcase_add_test(tc, a_method_that_the_build_lacks_fails);
	return unit_run("verify", tc);
}
