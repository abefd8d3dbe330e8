#include "control/control.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/snapshots.h"
#include "control_unit.h"
#include "proto/scram.h"

static struct shared sh;
static struct log log_;
static struct control *control;
static char path[] = "/tmp/check_control_XXXXXX";
static char logged[65536];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint n_conf, n_reopen;
static pthread_t worker;

static void sink(void *arg, enum log_level lv, const char *text, const char *kv)
{
	size_t len;

	(void)arg;
	(void)lv;
	pthread_mutex_lock(&log_lock);
	len = strlen(logged);
	snprintf(logged + len, sizeof logged - len, "%s %s\n", text, kv);
	pthread_mutex_unlock(&log_lock);
}

static bool has_logged(const char *what)
{
	bool yes;

	pthread_mutex_lock(&log_lock);
	yes = strstr(logged, what) != NULL;
	pthread_mutex_unlock(&log_lock);
	return yes;
}

static void wait_for_log(const char *what)
{
	for (unsigned i = 0; i < 2000 && !has_logged(what); i++)
		usleep(5000);
	ck_assert_msg(has_logged(what), "no %s in %s", what, logged);
}

static void on_conf(void *arg, const struct conf *conf, bool reopen)
{
	(void)arg;
	ck_assert_ptr_nonnull(conf);
	atomic_fetch_add(reopen ? &n_reopen : &n_conf, 1);
}

static void put(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* --- a worker that does nothing but answer --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static bool is_woken;
static atomic_uint n_refresh;
static _Atomic(struct ask_derive *) derived;

static void wake_worker(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	is_woken = true;
	pthread_cond_signal(&woken);
	pthread_mutex_unlock(&lock);
}

static void answer_command(const struct tell_command *t)
{
	struct ask_done *d = calloc(1, sizeof *d);

	d->mail.kind = ASK_DONE;
	d->token = t->token;
	mailbox_post(&sh.control, &d->mail);
}

/* Returns false at TELL_STOP. */
static bool take(struct mail *m)
{
	bool go_on = m->kind != TELL_STOP;

	if (m->kind == TELL_DERIVED) {
		derived = (struct ask_derive *)(void *)m;
		return true;
	}
	if (m->kind == TELL_COMMAND)
		answer_command((struct tell_command *)(void *)m);
	n_refresh += m->kind == TELL_REFRESH;
	free(m);
	return go_on;
}

static void *worker_main(void *arg)
{
	struct mail *m, *next, *stopped = calloc(1, sizeof *stopped);
	bool go_on = true;

	(void)arg;
	while (go_on) {
		pthread_mutex_lock(&lock);
		while (!is_woken)
			pthread_cond_wait(&woken, &lock);
		is_woken = false;
		pthread_mutex_unlock(&lock);
		for (m = mailbox_take(&sh.workers[0].mailbox); m != NULL; m = next) {
			next = m->next;
			go_on = take(m) && go_on;
		}
	}
	stopped->kind = ASK_STOPPED;
	mailbox_post(&sh.control, stopped);
	return NULL;
}

/* --- the process --- */

/* With CK_FORK=no all tests are of one process. */
static void forget_last_test(void)
{
	logged[0] = '\0';
	is_woken = false;
	n_conf = n_reopen = n_refresh = 0;
	derived = NULL;
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
}

static void setup(void)
{
	struct hash_key key = {1, 2};
	struct config_set set;
	struct findings found;
	sigset_t all, old;
	int fd;

	forget_last_test();
	fd = mkstemp(path);
	close(fd);
	put(WORLD_CONF);
	memset(&sh, 0, sizeof sh);
	log_ = (struct log){.sink = sink};
	atomic_store(&log_.level, LOG_INFO);
	sh.log = &log_;
	sh.n_workers = 1;
	snap_domain_init(&sh.snap);
	findings_init(&found);
	ck_assert_int_eq(
		config_load(&(struct config_from){.path = path}, NULL, &key, &set, &found), OK);
	findings_fini(&found);
	ck_assert_int_eq(control_prepare(&sh, &set), OK);
	mailbox_init(&sh.workers[0].mailbox, wake_worker, NULL);
	{
		struct control_args args = {.shared = &sh, .from.path = path, .on_conf = on_conf};

		ck_assert_int_eq(control_new(&args, &control), OK);
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ck_assert_int_eq(pthread_create(&worker, NULL, worker_main, NULL), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void teardown(void)
{
	pthread_join(worker, NULL);
	ck_assert(control_free(control));
	for (struct mail *m = mailbox_take(&sh.workers[0].mailbox), *next; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	snap_domain_fini(&sh.snap);
	ck_assert_ptr_null(atomic_load(&sh.conf));
	unlink(path);
}

/* Runs control in this thread, and `script` beside it, which must end the process. */
static void run_with(void *(*script)(void *arg))
{
	pthread_t t;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ck_assert_int_eq(pthread_create(&t, NULL, script, NULL), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	ck_assert_int_eq(control_run(control), OK);
	pthread_join(t, NULL);
}

static void *term(void *arg)
{
	usleep(50000);
	kill(getpid(), SIGTERM);
	return arg;
}

START_TEST(term_without_clients_ends)
{
	run_with(term);
	ck_assert(has_logged("shutting down wait_for=clients"));
	ck_assert(has_logged("stopping"));
	ck_assert_uint_eq(atomic_load(&n_conf), 0); /* the start has followed it */
}
END_TEST

static void *term_twice(void *arg)
{
	atomic_store(&sh.n_clients, 3);
	usleep(50000);
	kill(getpid(), SIGTERM);
	wait_for_log("shutting down wait_for=clients");
	usleep(100000);
	ck_assert(!has_logged("stopping"));
	kill(getpid(), SIGTERM);
	return arg;
}

START_TEST(second_term_does_not_wait)
{
	run_with(term_twice);
	ck_assert(has_logged("stopping clients=3"));
}
END_TEST

static void *interrupt(void *arg)
{
	usleep(50000);
	kill(getpid(), SIGINT);
	return arg;
}

START_TEST(int_waits_for_servers)
{
	atomic_store(&sh.n_clients, 3);
	run_with(interrupt);
	ck_assert(has_logged("shutting down wait_for=servers"));
}
END_TEST

static void *quit(void *arg)
{
	atomic_store(&sh.n_clients, 3);
	usleep(50000);
	kill(getpid(), SIGQUIT);
	return arg;
}

START_TEST(quit_ends_at_once)
{
	run_with(quit);
	ck_assert(!has_logged("shutting down"));
	ck_assert(has_logged("stopping"));
}
END_TEST

static void *pause_and_resume(void *arg)
{
	usleep(50000);
	kill(getpid(), SIGUSR1);
	wait_for_log("paused by signal");
	ck_assert(atomic_load(&sh.admin)->paused_all);
	kill(getpid(), SIGUSR1);
	wait_for_log("signal ignored");
	kill(getpid(), SIGUSR2);
	wait_for_log("resumed by signal");
	ck_assert(!atomic_load(&sh.admin)->paused_all);
	kill(getpid(), SIGQUIT);
	return arg;
}

START_TEST(usr1_pauses_and_usr2_resumes)
{
	run_with(pause_and_resume);
}
END_TEST

static void *hup(void *arg)
{
	usleep(50000);
	put("[databases]\nnew = host=10.0.0.4\n[pgweir]\nlisten_addr = 127.0.0.1\n"
	    "listen_port = 6432\n");
	kill(getpid(), SIGHUP);
	wait_for_log("configuration taken over by=reload");
	wait_for_log("configuration changed what=database name=app");
	put("[databases]\nnew = hots=10.0.0.4\n");
	kill(getpid(), SIGHUP);
	wait_for_log("configuration not taken over");
	kill(getpid(), SIGQUIT);
	return arg;
}

START_TEST(hup_reloads_all_or_nothing)
{
	run_with(hup);
	ck_assert_ptr_nonnull(conf_find_db(atomic_load(&sh.conf), "new"));
	ck_assert_uint_eq(atomic_load(&n_reopen), 2);
	ck_assert_uint_eq(atomic_load(&n_conf), 1);
	ck_assert_uint_ge(atomic_load(&n_refresh), 1);
}
END_TEST

static void *derive(void *arg)
{
	struct ask_derive *ask = calloc(1, sizeof *ask);

	ask->mail.kind = ASK_DERIVE;
	ask->iterations = 4096;
	ask->salt_len = 4;
	ask->token = 5;
	memcpy(ask->salt, "salt", 4);
	strcpy(ask->password, "password");
	mailbox_post(&sh.control, &ask->mail);
	for (unsigned i = 0; i < 2000 && derived == NULL; i++)
		usleep(5000);
	kill(getpid(), SIGQUIT);
	return arg;
}

/* "password", "salt", 4096 iterations, by Python's hashlib and hmac. */
START_TEST(passwords_are_derived)
{
	static const struct scram_keys want = {
		.client_key = {0x27, 0x3e, 0xaf, 0xf5, 0xed, 0x8c, 0xcd, 0xc8, 0xe6, 0x45, 0x2d,
			0x8f, 0xd6, 0x46, 0xb2, 0x15, 0xb0, 0x46, 0x9f, 0xc9, 0x30, 0xd1, 0x13,
			0xb4, 0x56, 0x72, 0xd5, 0x19, 0x29, 0xbe, 0x72, 0xed},
		.server_key = {0xb9, 0xbf, 0x0e, 0x81, 0x1b, 0x1f, 0xb6, 0x79, 0x36, 0x71, 0xc0,
			0xcc, 0x3a, 0xde, 0xdf, 0x7c, 0x75, 0xcd, 0x72, 0x29, 0x11, 0x91, 0x09,
			0x2a, 0xd6, 0x58, 0x78, 0xc5, 0xa0, 0x2a, 0xad, 0x2c},
	};

	run_with(derive);
	ck_assert_ptr_nonnull(derived);
	ck_assert_int_eq(derived->status, OK);
	ck_assert_uint_eq(derived->token, 5);
	ck_assert_mem_eq(&derived->keys, &want, sizeof want);
	free(derived);
}
END_TEST

static void *stray_mail(void *arg)
{
	struct ask_probe *probe = calloc(1, sizeof *probe);
	struct ask_catalog *catalog = calloc(1, sizeof *catalog);
	struct ask_rows *rows = calloc(1, sizeof *rows);

	probe->mail.kind = ASK_PROBE;
	probe->node = 1;
	mailbox_post(&sh.control, &probe->mail);
	catalog->mail.kind = ASK_CATALOG;
	strcpy(catalog->dbname, "app");
	mailbox_post(&sh.control, &catalog->mail);
	rows->mail.kind = ASK_ROWS; /* nobody has asked */
	mailbox_post(&sh.control, &rows->mail);
	usleep(100000);
	kill(getpid(), SIGQUIT);
	return arg;
}

START_TEST(mail_of_all_kinds_is_taken)
{
	run_with(stray_mail);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("control");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, term_without_clients_ends);
	tcase_add_test(tc, second_term_does_not_wait);
	tcase_add_test(tc, int_waits_for_servers);
	tcase_add_test(tc, quit_ends_at_once);
	tcase_add_test(tc, usr1_pauses_and_usr2_resumes);
	tcase_add_test(tc, hup_reloads_all_or_nothing);
	tcase_add_test(tc, passwords_are_derived);
	tcase_add_test(tc, mail_of_all_kinds_is_taken);
	return unit_run("control", tc);
}
