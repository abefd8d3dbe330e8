#include "base/mailbox.h"

#include <pthread.h>
#include <semaphore.h>

#include "../unit.h"

#define N_POSTERS  4u
#define N_MESSAGES 5000u /* per poster */

struct message {
	struct mail mail;
	unsigned poster;
	unsigned number;
};

static void count_wake(void *arg)
{
	++*(unsigned *)arg;
}

START_TEST(messages_come_oldest_first_and_all_at_once)
{
	struct mail mails[3] = {{.kind = 0}, {.kind = 1}, {.kind = 2}};
	unsigned n_wakes = 0;
	struct mailbox mb;
	struct mail *m;

	mailbox_init(&mb, count_wake, &n_wakes);
	for (int i = 0; i < 3; i++)
		mailbox_post(&mb, &mails[i]);
	m = mailbox_take(&mb);
	for (int i = 0; i < 3; i++, m = m->next) {
		ck_assert_ptr_eq(m, &mails[i]);
		ck_assert_int_eq(m->kind, i);
	}
	ck_assert_ptr_null(m);
	ck_assert_ptr_null(mailbox_take(&mb));
}
END_TEST

START_TEST(only_the_post_into_an_empty_box_wakes)
{
	struct mail mails[3];
	unsigned n_wakes = 0;
	struct mailbox mb;

	mailbox_init(&mb, count_wake, &n_wakes);
	mailbox_post(&mb, &mails[0]);
	mailbox_post(&mb, &mails[1]);
	ck_assert_uint_eq(n_wakes, 1);
	mailbox_take(&mb);
	mailbox_post(&mb, &mails[2]);
	ck_assert_uint_eq(n_wakes, 2);
}
END_TEST

struct post_office {
	struct mailbox box;
	sem_t wakes; /* stands for the reader's eventfd */
};

struct poster {
	struct post_office *office;
	unsigned index;
	pthread_t thread;
};

static void post_wake(void *arg)
{
	sem_post(arg);
}

static void *poster_run(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < N_MESSAGES; i++) {
		struct message *m = malloc(sizeof *m);

		m->poster = p->index;
		m->number = i;
		mailbox_post(&p->office->box, &m->mail);
	}
	return NULL;
}

/* A lost wake-up leaves the reader asleep, and the test times out. */
START_TEST(nothing_is_lost_or_reordered_between_threads)
{
	unsigned next[N_POSTERS] = {0}, n_left = N_POSTERS * N_MESSAGES;
	struct poster posters[N_POSTERS];
	struct post_office office;

	sem_init(&office.wakes, 0, 0);
	mailbox_init(&office.box, post_wake, &office.wakes);
	for (unsigned i = 0; i < N_POSTERS; i++) {
		posters[i] = (struct poster){.office = &office, .index = i};
		pthread_create(&posters[i].thread, NULL, poster_run, &posters[i]);
	}
	while (n_left > 0) {
		struct mail *mail, *next_mail;

		sem_wait(&office.wakes);
		for (mail = mailbox_take(&office.box); mail != NULL; mail = next_mail) {
			struct message *m = (struct message *)mail;

			next_mail = mail->next;
			ck_assert_uint_eq(m->number, next[m->poster]);
			next[m->poster]++;
			n_left--;
			free(m);
		}
	}
	for (unsigned i = 0; i < N_POSTERS; i++)
		pthread_join(posters[i].thread, NULL);
	ck_assert_ptr_null(mailbox_take(&office.box));
	sem_destroy(&office.wakes);
}
END_TEST

START_TEST(box_without_a_wake_is_a_bug)
{
	struct mailbox mb;

	mailbox_init(&mb, NULL, NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("mailbox");

	tcase_add_test(tc, messages_come_oldest_first_and_all_at_once);
	tcase_add_test(tc, only_the_post_into_an_empty_box_wakes);
	tcase_add_test(tc, nothing_is_lost_or_reordered_between_threads);
	tcase_add_test_raise_signal(tc, box_without_a_wake_is_a_bug, SIGABRT);
	return unit_run("mailbox", tc);
}
