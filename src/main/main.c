/*
 * main - the daemon: reads the command line and the configuration, opens the sockets, starts the
 * workers, and becomes the control thread.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/door.h"
#include "conf/conf.h"
#include "conf/document.h"
#include "conf/variables.h"
#include "config.h"
#include "control/ask_nodes.h"
#include "control/config.h"
#include "control/control.h"
#include "main/daemon.h"
#include "main/logsink.h"
#include "main/sockets.h"
#include "main/succession.h"
#include "pool/share.h"
#include "worker/worker.h"

#define WORKERS_DEFAULT_MAX 8u
#define SHARE_CAPACITY      65536u /* distinct (database, user, node) */

struct options {
	struct config_from from;
	const char *user;
	bool daemon, test, quiet;
	bool takeover;   /* ask the running daemon to have this program in its place */
	int takeover_fd; /* … we are that program; -1: no */
	unsigned verbose;
};

struct process {
	struct options opt;
	struct log log;
	struct shared *sh;
	struct activation passed;
	struct sockets *sockets;
	struct inherited inherited;
	struct control *control;
	struct worker *workers[WORKERS_MAX];
	pthread_t threads[WORKERS_MAX];
	uint32_t n_started;
	char pidfile[512];
	char takeover_file[108];
};

static void usage(FILE *to)
{
	fputs("Usage: pgweir [options] [CONFIG]\n"
	      "Connection pooler and read/write router for PostgreSQL.\n"
	      "\n"
	      "Variables like PGWEIR_LISTEN_PORT in the environment count over what CONFIG says;\n"
	      "without CONFIG they are all there is.\n"
	      "\n"
	      "  -d, --daemon             run in the background\n"
	      "  -t, --test               test the configuration, show all errors, and exit\n"
	      "      --ask-nodes          with -t: ask each node how many connections it has\n"
	      "  -u, --user=USER          run as USER\n"
	      "  -R, --takeover           have this program take over from the running daemon\n"
	      "  -q, --quiet              log warnings and errors only\n"
	      "  -v, --verbose            log more\n"
	      "  -V, --version            show the version\n"
	      "  -h, --help               show this\n"
	      "      --help-config [KEY]  show all keys of the configuration, or one of them\n"
	      "      --migrate=FILE       write a file of PgBouncer as one of pgweir, explained\n",
		to);
}

static void put_stdout(void *arg, const char *text)
{
	(void)arg;
	fputs(text, stdout);
}

static int help_config(const char *key)
{
	struct document_out out = {.put = put_stdout};

	if (document_help(&out, key) == OK)
		return 0;
	fputc('\n', stdout);
	return 1;
}

/* For people: to stderr, as they are. */
static void print_findings(const struct findings *f)
{
	static const char *const prefix[] = {[FINDING_ERROR] = "",
		[FINDING_NOTE] = "note: ",
		[FINDING_WARNING] = "warning: ",
		[FINDING_RESTART] = "note: "};
	char line[FINDING_LINE_MAX];

	for (size_t i = 0; i < f->n; i++)
		fprintf(stderr, "%s%s\n", prefix[f->items[i].kind],
			finding_format(&f->items[i], line, sizeof line));
	if (f->n_left_out != 0)
		fprintf(stderr, "%zu more\n", f->n_left_out);
}

static int migrate(const char *path)
{
	struct document_out out = {.put = put_stdout};
	struct findings found;
	enum status st;

	findings_init(&found);
	st = config_migrate(path, &out, &found);
	if (st != OK)
		print_findings(&found);
	findings_fini(&found);
	return st == OK ? 0 : 1;
}

/* Read the command line. Returns -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	enum { OPT_HELP_CONFIG = 256, OPT_MIGRATE, OPT_TAKEOVER_FD, OPT_ASK_NODES };
	static const struct option longs[] = {{"daemon", no_argument, NULL, 'd'},
		{"test", no_argument, NULL, 't'}, {"user", required_argument, NULL, 'u'},
		{"quiet", no_argument, NULL, 'q'}, {"verbose", no_argument, NULL, 'v'},
		{"version", no_argument, NULL, 'V'}, {"help", no_argument, NULL, 'h'},
		{"takeover", no_argument, NULL, 'R'},
		{"reboot", no_argument, NULL, 'R'},                        /* PgBouncer's word */
		{"takeover-fd", required_argument, NULL, OPT_TAKEOVER_FD}, /* not for people */
		{"ask-nodes", no_argument, NULL, OPT_ASK_NODES},
		{"help-config", no_argument, NULL, OPT_HELP_CONFIG},
		{"migrate", required_argument, NULL, OPT_MIGRATE}, {NULL, 0, NULL, 0}};
	int ch;

	o->from.environment = (const char *const *)environ;
	while ((ch = getopt_long(argc, argv, "dtu:qvVhR", longs, NULL)) != -1) {
		switch (ch) {
		case 'd':
			o->daemon = true;
			break;
		case 't':
			o->test = true;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'v':
			o->verbose++;
			break;
		case 'R':
			o->takeover = true;
			break;
		case OPT_TAKEOVER_FD:
			o->takeover_fd = atoi(optarg);
			break;
		case OPT_ASK_NODES:
			o->from.ask_nodes = ask_nodes;
			break;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		case OPT_HELP_CONFIG:
			return help_config(optind < argc ? argv[optind] : NULL);
		case OPT_MIGRATE:
			return migrate(optarg);
		default:
			usage(stderr);
			return 2;
		}
	}
	if (o->from.ask_nodes != NULL && !o->test) {
		fputs("pgweir: --ask-nodes goes with -t\n", stderr);
		return 2;
	}
	if (argc - optind > 1 || (argc == optind && !variables_any(o->from.environment))) {
		fputs("pgweir: exactly one configuration file is needed, or variables "
		      "PGWEIR_… in the environment\n",
			stderr);
		usage(stderr);
		return 2;
	}
	o->from.path = argc > optind ? argv[optind] : "";
	return -1;
}

static uint64_t clock_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec;
}

static uint64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static uint32_t worker_count(const struct conf *conf)
{
	cpu_set_t cpus;
	uint32_t n = conf->workers;

	if (n == 0) {
		n = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
		if (n > WORKERS_DEFAULT_MAX)
			n = WORKERS_DEFAULT_MAX;
	}
	return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static enum status shared_new(struct process *p)
{
	struct shared *sh = aligned_alloc(64, (sizeof *sh + 63) & ~(size_t)63);

	if (sh == NULL)
		return E_NOMEM;
	memset(sh, 0, sizeof *sh);
	p->sh = sh;
	sh->log = &p->log;
	snap_domain_init(&sh->snap);
	atomic_store(&sh->next_id, 1);
	sh->start_wall_us = clock_us(CLOCK_REALTIME);
	sh->start_mono_us = clock_us(CLOCK_MONOTONIC);
	if (p->inherited.from.sock >= 0) {
		const struct takeover_hello *hello = &p->inherited.from.hello;

		sh->hash_key = hello->hash_key;
		memcpy(sh->mock_secret, hello->mock_secret, sizeof sh->mock_secret);
		sh->slots_kept = hello->slots_max;
		atomic_store(&sh->opens_nothing, true);
		atomic_store(&sh->is_taken_over, true);
		return OK;
	}
	if (getentropy(&sh->hash_key, sizeof sh->hash_key) != 0 ||
		getentropy(sh->mock_secret, sizeof sh->mock_secret) != 0)
		return E_IO;
	return OK;
}

/* --- following the configuration --- */

static void on_conf(void *arg, const struct conf *conf, bool reopen)
{
	struct process *p = arg;

	if (logsink_apply(&p->log, conf, reopen) != OK)
		log_error(&p->log, "cannot open the log file", "logfile=%s error=\"%s\"",
			conf->logfile, strerror(errno));
}

/* --- another process takes over --- */

static bool on_socket(void *arg, uint32_t i, struct takeover_listening *out)
{
	struct process *p = arg;

	if (i >= p->sockets->n)
		return false;
	out->fd = p->sockets->entry[i].listen.fd;
	out->is_passed = p->sockets->entry[i].listen.is_passed;
	out->what =
		p->sockets->entry[i].listen.is_admin ? TAKEOVER_FOR_ADMINS : TAKEOVER_FOR_CLIENTS;
	return true;
}

/* --- threads --- */

static void *worker_thread(void *arg)
{
	worker_run(arg);
	return NULL;
}

/* Signals are the control thread's. */
static void block_signals(void)
{
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGABRT);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

static enum status make_workers(struct process *p)
{
	struct worker_listen listens[WORKER_LISTENERS_MAX];
	enum status st = OK;

	for (uint32_t i = 0; i < p->sh->n_workers && st == OK; i++)
		st = worker_new(p->sh, i, listens, sockets_of_worker(p->sockets, i, listens),
			&p->workers[i]);
	return st;
}

static enum status start_workers(struct process *p)
{
	sigset_t old;
	int err = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &old);
	block_signals();
	for (; p->n_started < p->sh->n_workers && err == 0; p->n_started++) {
		char name[16];

		err = pthread_create(
			&p->threads[p->n_started], NULL, worker_thread, p->workers[p->n_started]);
		if (err != 0)
			break;
		snprintf(name, sizeof name, "worker-%u", p->n_started);
		(void)pthread_setname_np(p->threads[p->n_started], name);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return err == 0 ? OK : E_IO;
}

/* Returns false if a helper thread is still busy: what it uses is left, _exit must follow. */
static bool process_free(struct process *p)
{
	bool all_ended, is_taken_over;

	block_signals(); /* one that comes when nobody watches would make this another end */
	for (uint32_t i = 0; i < p->n_started; i++)
		pthread_join(p->threads[i], NULL);
	for (uint32_t i = 0; p->sh != NULL && i < WORKERS_MAX; i++)
		if (p->workers[i] != NULL)
			worker_drop_mail(p->workers[i]);
	for (uint32_t i = 0; p->sh != NULL && i < WORKERS_MAX; i++)
		worker_free(p->workers[i]);
	all_ended = control_free(p->control);
	is_taken_over = p->sh != NULL && atomic_load(&p->sh->is_taken_over);
	if (p->sockets != NULL)
		sockets_close(p->sockets, !is_taken_over);
	free(p->sockets);
	if (p->sh != NULL && all_ended) {
		if (p->sh->share != NULL)
			share_free(p->sh->share);
		door_free(p->sh->door);
		snap_domain_fini(&p->sh->snap);
		free(p->sh);
	}
	if (p->pidfile[0] != '\0' && !is_taken_over)
		unlink(p->pidfile);
	if (p->takeover_file[0] != '\0' && !is_taken_over)
		unlink(p->takeover_file);
	inherited_free(&p->inherited);
	return all_ended;
}

/* --- start --- */

static int fail(struct process *p, const char *what)
{
	log_error(&p->log, "cannot start", "what=\"%s\" error=\"%s\"", what, strerror(errno));
	return 1;
}

static int become(struct process *p, const struct conf *conf)
{
	const char *user = p->opt.user != NULL ? p->opt.user : conf->user_name;

	if (user[0] == '\0' && geteuid() == 0) {
		fputs("pgweir: will not run as root; give -u USER or the key `user`\n", stderr);
		return 1;
	}
	if (user[0] != '\0' && daemon_become(user) != OK)
		return fail(p, "change to the user");
	return 0;
}

static int pid_file(struct process *p)
{
	pid_t holder;
	enum status st = daemon_write_pid(p->pidfile, &holder);

	if (st == OK)
		return 0;
	if (st == E_EXISTS)
		log_error(&p->log, "another pgweir runs", "pidfile=%s pid=%ld", p->pidfile,
			(long)holder);
	else
		(void)fail(p, "write the pid file");
	p->pidfile[0] = '\0'; /* it is not ours to remove */
	return 1;
}

/* Sockets and files are this process's from now on, not those of the one that it takes over, or
   that had taken over. */
static void on_serves(void *arg)
{
	struct process *p = arg;

	atomic_store(&p->sh->is_taken_over, false);
	if (p->pidfile[0] != '\0')
		unlink(p->pidfile);
	(void)pid_file(p);
}

static const char *config_name(const struct process *p)
{
	return *p->opt.from.path != '\0' ? p->opt.from.path : "environment";
}

static int serve(struct process *p, struct config_set *set)
{
	struct control_args args = {.from = p->opt.from,
		.stats_fd = activation_find(&p->passed, ACTIVATION_STATS),
		.on_conf = on_conf,
		.socket = on_socket,
		.serves_again = on_serves,
		.arg = p};
	const struct conf *conf = set->conf;
	int rc;

	if (shared_new(p) != OK)
		return fail(p, "memory");
	p->sh->n_workers = worker_count(conf);
	p->sockets = calloc(1, sizeof *p->sockets);
	if (p->sockets == NULL ||
		sockets_open(
			p->sockets, &(struct sockets_args){conf, &p->passed, &p->inherited.sockets,
					    p->sh->n_workers, &p->log}) != OK)
		return 1;
	daemon_raise_limits(conf, p->sh->n_workers, &p->log);
	if ((rc = become(p, conf)) != 0)
		return rc;
	on_conf(p, conf, false); /* the log file is the user's that it has become */
	snprintf(p->pidfile, sizeof p->pidfile, "%s", conf->pidfile);
	if (p->inherited.from.sock < 0 && (rc = pid_file(p)) != 0)
		return rc;
	p->inherited.from.serves = on_serves;
	p->inherited.from.arg = p;
	if (share_new(p->sh->n_workers, SHARE_CAPACITY, &p->sh->hash_key, &p->sh->share) != OK ||
		door_new(&p->sh->door) != OK || control_prepare(p->sh, set) != OK)
		return fail(p, "memory");
	args.shared = p->sh;
	args.predecessor = &p->inherited.from;
	args.takeover_fd = p->inherited.takeover_fd;
	if (p->inherited.stats_fd >= 0)
		args.stats_fd = p->inherited.stats_fd;
	p->inherited.takeover_fd = p->inherited.stats_fd = -1;
	if (args.takeover_fd < 0)
		args.takeover_fd = succession_listen(conf, &p->log);
	if (args.takeover_fd >= 0)
		succession_path(conf, p->takeover_file, sizeof p->takeover_file);
	if (control_new(&args, &p->control) != OK || make_workers(p) != OK ||
		start_workers(p) != OK)
		return fail(p, "start the threads");
	log_info(&p->log, "accepting connections", "version=%s port=%u workers=%u config=%s",
		PACKAGE_VERSION, conf->listen_port, p->sh->n_workers, config_name(p));
	if (p->opt.daemon) {
		logsink_detach();
		daemon_ready();
	}
	return control_run(p->control) == OK ? 0 : 1;
}

/* The log file is never root's: it could not be opened again. */
static bool may_log(const struct process *p, const struct conf *conf)
{
	const char *user = p->opt.user != NULL ? p->opt.user : conf->user_name;

	return geteuid() != 0 || (user[0] != '\0' && daemon_become(user) == OK);
}

/* Why it does not start is in its log, too, if that can be read in what is refused. */
static void log_refusal(struct process *p, const struct findings *found)
{
	struct conf *conf;

	if (config_load_log(&p->opt.from, &conf) != OK)
		return;
	if (may_log(p, conf)) {
		on_conf(p, conf, false);
		logsink_detach(); /* stderr has it for people */
		config_log_findings(&p->log, found);
		log_error(&p->log, "cannot start", "what=configuration config=%s errors=%zu",
			config_name(p), found->n_errors);
	}
	conf_free(conf);
}

static int load(struct process *p, struct config_set *set)
{
	struct hash_key key = {0};
	struct findings found;
	enum status st;

	if (p->sh != NULL)
		key = p->sh->hash_key;
	else if (getentropy(&key, sizeof key) != 0)
		return fail(p, "random numbers");
	findings_init(&found);
	st = config_load(&p->opt.from, NULL, &key, set, &found);
	if (st != OK || p->opt.test || p->opt.takeover)
		print_findings(&found);
	else
		config_log_findings(&p->log, &found);
	if (st != OK && !p->opt.test && !p->opt.takeover)
		log_refusal(p, &found);
	if (st == OK && p->opt.test)
		fprintf(stderr, "%s: the configuration is good\n", config_name(p));
	findings_fini(&found);
	return st == OK ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct process p;
	struct config_set set = {0};
	char err[ACTIVATION_ERR_MAX];
	int rc;

	p.opt.takeover_fd = -1;
	rc = read_options(argc, argv, &p.opt);
	if (rc >= 0)
		return rc;
	signal(SIGPIPE, SIG_IGN);
	if (!p.opt.test && activation_take(&p.passed, err) != OK) {
		fprintf(stderr, "pgweir: sockets of the service manager: %s\n", err);
		return 1;
	}
	p.log.now_s = clock_s;
	logsink_init(&p.log, p.opt.quiet, p.opt.verbose);
	inherited_init(&p.inherited);
	rc = load(&p, &set);
	if (rc == 0 && p.opt.takeover) {
		rc = succession_ask(set.conf, p.opt.from.path);
	} else if (rc == 0 && p.opt.takeover_fd >= 0 &&
		   inherited_read(&p.inherited, p.opt.takeover_fd, &p.passed) != OK) {
		rc = fail(&p, "read what the process that is taken over says");
	} else if (rc == 0 && !p.opt.test) {
		if (p.opt.daemon && daemon_detach() != OK)
			rc = fail(&p, "go to the background");
		else
			rc = serve(&p, &set);
	}
	if (rc != 0 && set.conf != NULL && !p.opt.test && !p.opt.takeover && may_log(&p, set.conf))
		on_conf(&p, set.conf, false); /* why it does not start is in its log, too */
	config_set_fini(&set);
	if (!process_free(&p))
		_exit(rc);
	return rc;
}
