#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/list.h"
#include "control/helpers.h"
#include "unit.h"

struct work {
	struct job job;
	atomic_bool *gate; /* waits until it is true; NULL: does not wait */
	atomic_int *n_running;
	pthread_t ran_on;
	bool ran;
	int n_done;
};

static struct mailbox box;
static atomic_uint n_wakes;

static void on_wake(void *arg)
{
	(void)arg;
	atomic_fetch_add(&n_wakes, 1);
}

static void run(struct job *j)
{
	struct work *w = list_entry(j, struct work, job);

	if (w->n_running != NULL)
		atomic_fetch_add(w->n_running, 1);
	while (w->gate != NULL && !atomic_load(w->gate))
		usleep(1000);
	w->ran_on = pthread_self();
	w->ran = true;
}

static void done(struct job *j)
{
	list_entry(j, struct work, job)->n_done++;
}

static struct work work_of(atomic_bool *gate, bool slow)
{
	return (struct work){.job = {.run = run, .done = done, .slow = slow}, .gate = gate};
}

static struct helpers *start(uint32_t n_threads, uint32_t slow_max, uint32_t queue_max)
{
	struct helpers_conf hc = {.n_threads = n_threads,
		.slow_max = slow_max,
		.queue_max = queue_max,
		.answers = &box};
	struct helpers *h;

	mailbox_init(&box, on_wake, NULL);
	ck_assert_int_eq(helpers_new(&hc, &h), OK);
	return h;
}

/* Take in all mail until `n` jobs have come back. */
static void finish(struct helpers *h, unsigned n)
{
	struct mail *next;

	for (unsigned tries = 0; n > 0; tries++) {
		ck_assert_uint_lt(tries, 20000);
		for (struct mail *m = mailbox_take(&box); m != NULL; m = next) {
			next = m->next;
			helpers_finish(h, m);
			n--;
		}
		if (n > 0)
			usleep(1000);
	}
}

static void stop(struct helpers *h)
{
	ck_assert(helpers_stop(h, 10000));
	for (struct mail *m = mailbox_take(&box), *next; m != NULL; m = next) {
		next = m->next;
		helpers_finish(h, m);
	}
	helpers_free(h);
}

START_TEST(jobs_run_elsewhere_and_come_back)
{
	struct helpers *h = start(2, 1, 100);
	struct work w[50];

	for (unsigned i = 0; i < 50; i++) {
		w[i] = work_of(NULL, i % 2 == 0);
		ck_assert_int_eq(helpers_submit(h, &w[i].job), OK);
	}
	ck_assert_uint_eq(helpers_n_jobs(h), 50);
	finish(h, 50);
	ck_assert_uint_eq(helpers_n_jobs(h), 0);
	for (unsigned i = 0; i < 50; i++) {
		ck_assert(w[i].ran && w[i].n_done == 1);
		ck_assert(!pthread_equal(w[i].ran_on, pthread_self()));
	}
	stop(h);
}
END_TEST

START_TEST(queue_is_bounded)
{
	struct helpers *h = start(1, 1, 3);
	atomic_bool gate = false;
	struct work w[4];

	for (unsigned i = 0; i < 4; i++)
		w[i] = work_of(&gate, false);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(helpers_submit(h, &w[i].job), OK);
	ck_assert_int_eq(helpers_submit(h, &w[3].job), E_LIMIT);
	atomic_store(&gate, true);
	finish(h, 3);
	ck_assert_int_eq(helpers_submit(h, &w[3].job), OK);
	finish(h, 1);
	stop(h);
}
END_TEST

START_TEST(slow_jobs_leave_helpers_free)
{
	struct helpers *h = start(3, 2, 100);
	atomic_bool gate = false;
	atomic_int n_running = 0;
	struct work slow[6], quick = work_of(NULL, false);

	for (unsigned i = 0; i < 6; i++) {
		slow[i] = work_of(&gate, true);
		slow[i].n_running = &n_running;
		ck_assert_int_eq(helpers_submit(h, &slow[i].job), OK);
	}
	ck_assert_int_eq(helpers_submit(h, &quick.job), OK);
	finish(h, 1); /* though six slow ones were there first */
	ck_assert(quick.ran);
	ck_assert_int_le(atomic_load(&n_running), 2);
	atomic_store(&gate, true);
	finish(h, 6);
	ck_assert_int_eq(atomic_load(&n_running), 6);
	stop(h);
}
END_TEST

START_TEST(a_single_helper_runs_slow_jobs_too)
{
	struct helpers *h = start(1, 1, 10);
	struct work w = work_of(NULL, true);

	ck_assert_int_eq(helpers_submit(h, &w.job), OK);
	finish(h, 1);
	ck_assert(w.ran);
	stop(h);
}
END_TEST

START_TEST(waiting_jobs_come_back_unrun_at_the_end)
{
	struct helpers *h = start(1, 1, 10);
	atomic_bool gate = false;
	atomic_int n_running = 0;
	struct work first = work_of(&gate, false), second = work_of(NULL, true), late;

	first.n_running = &n_running;
	ck_assert_int_eq(helpers_submit(h, &first.job), OK);
	while (atomic_load(&n_running) == 0)
		usleep(1000);
	ck_assert_int_eq(helpers_submit(h, &second.job), OK);
	ck_assert(!helpers_stop(h, 20)); /* the first is still at it */
	late = work_of(NULL, false);
	ck_assert_int_eq(helpers_submit(h, &late.job), E_LIMIT);
	atomic_store(&gate, true);
	stop(h);
	ck_assert(first.ran && first.n_done == 1);
	ck_assert(!second.ran && second.n_done == 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("helpers");

	tcase_add_test(tc, jobs_run_elsewhere_and_come_back);
	tcase_add_test(tc, queue_is_bounded);
	tcase_add_test(tc, slow_jobs_leave_helpers_free);
	tcase_add_test(tc, a_single_helper_runs_slow_jobs_too);
	tcase_add_test(tc, waiting_jobs_come_back_unrun_at_the_end);
	return unit_run("helpers", tc);
}
