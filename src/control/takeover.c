#include "control/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/listening.h"
#include "control/takeover_channel.h"
#include "control/tell.h"
#include "pool/share.h"
#include "proto/scram.h"

#define CHILD_FD 3 /* where the new process finds its socket */

extern char **environ;

struct handing {
	struct takeover_conf conf;
	struct env *env;
	int listen_fd;
	struct loop_watch *listen_watch;
	struct channel asker;     /* who has asked for the take-over */
	struct channel next;      /* the process that takes over */
	struct predecessor *prev; /* the one that was taken over; NULL: there was none */
	pid_t next_pid;
	bool is_handed_on;  /* next serves */
	bool has_left;      /* … no more, since it was told to end */
	uint32_t n_counted; /* workers that have told of all their servers */
	bool is_counted;    /* next knows of all */
	struct wheel_timer
		timer; /* until READY comes, or, behind the end of its records, its death */
	char program[PATH_MAX];  /* the name that this process was started by; "": not known */
	struct stat program_was; /* the file of that name then */
};

/* --- who asks --- */

static void answer(struct handing *h, const char *refusal)
{
	uint8_t buf[512];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, refusal != NULL ? TAKEOVER_REFUSED : TAKEOVER_DONE);
	if (refusal != NULL)
		wr_cstr(&w, refusal);
	else
		wr_u32(&w, (uint32_t)h->next_pid);
	channel_put(&h->asker, &w);
	channel_close(&h->asker);
}

static void give_up(struct handing *h, const char *why)
{
	log_error(h->env->shared->log, "the take-over has failed, all goes on here",
		"pid=%ld reason=\"%s\"", (long)h->next_pid, why);
	channel_close(&h->next);
	wheel_del(&h->env->wheel, &h->timer);
	answer(h, why);
	if (h->next_pid != 0) {
		(void)kill(h->next_pid, SIGKILL); /* it has no client yet */
		(void)waitpid(h->next_pid, NULL, 0);
	}
	h->next_pid = 0;
}

static bool is_off_somewhere(const struct admin_state *a)
{
	bool off = a->paused_all || a->suspended || a->shutdown_wait_clients ||
		   a->shutdown_wait_servers;

	for (uint32_t i = 0; i < a->n; i++)
		off = off || a->db[i].paused || a->db[i].disabled;
	return off;
}

/* Fixed text; NULL: nothing is in the way. */
static const char *in_the_way(struct handing *h)
{
	if (h->next.sock >= 0 || h->is_handed_on)
		return "a take-over is under way";
	if (predecessor_is_there(h->prev))
		return "the process that this one has taken over has not ended yet";
	if (is_off_somewhere(atomic_load(&h->env->shared->admin)))
		return "something is paused or disabled, or shutting down: RESUME or ENABLE first";
	return NULL;
}

/* --- the new process is started --- */

static void send_socket(struct handing *h, const struct takeover_listening *s)
{
	uint8_t record[3] = {TAKEOVER_SOCKET, (uint8_t)s->what, s->is_passed};

	channel_send(&h->next, record, sizeof record, fcntl(s->fd, F_DUPFD_CLOEXEC, 0));
}

static void say_hello(struct handing *h)
{
	struct shared *sh = h->env->shared;
	struct takeover_hello hello = {.format = image_format(),
		.slots_max = atomic_load(&sh->slots_max),
		.hash_key = sh->hash_key};
	struct takeover_listening s;
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);

	memcpy(hello.mock_secret, sh->mock_secret, sizeof hello.mock_secret);
	takeover_put_hello(&w, &hello);
	channel_put(&h->next, &w);
	for (uint32_t i = 0; h->conf.socket(h->conf.arg, i, &s); i++)
		send_socket(h, &s);
	s = (struct takeover_listening){.fd = h->listen_fd, .what = TAKEOVER_FOR_TAKEOVERS};
	if (h->listen_fd >= 0)
		send_socket(h, &s);
	buf[0] = TAKEOVER_END;
	channel_send(&h->next, buf, 1, -1);
}

static enum status start(const char *program, const char *config, int sock, pid_t *pid)
{
	char option[] = "--takeover-fd=3";
	char *argv[] = {(char *)(uintptr_t)program, option,
		config[0] != '\0' ? (char *)(uintptr_t)config : NULL, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int err;

	_Static_assert(CHILD_FD == 3, "as the option says");
	sigemptyset(&none);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return E_NOMEM;
	if (posix_spawnattr_init(&attr) != 0) {
		posix_spawn_file_actions_destroy(&actions);
		return E_NOMEM;
	}
	(void)unsetenv("WATCHDOG_PID"); /* the watchdog is the new process's, too */
	err = posix_spawn_file_actions_adddup2(&actions, sock, CHILD_FD);
	if (err == 0)
		err = posix_spawnattr_setsigmask(&attr, &none);
	if (err == 0)
		err = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	if (err == 0)
		err = posix_spawn(pid, program, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	errno = err;
	return err == 0 ? OK : E_IO;
}

/* NULL: it is started, and who has asked is answered when it serves, or does not. Else why not. */
static const char *begin(struct handing *h, const char *program, const char *config)
{
	const char *why = in_the_way(h);
	int pair[2];

	if (why != NULL)
		return why;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return "no socket for the new process";
	if (start(program, config, pair[1], &h->next_pid) != OK) {
		close(pair[0]);
		close(pair[1]);
		return "the new program cannot be started";
	}
	close(pair[1]);
	log_info(h->env->shared->log, "another process takes over", "pid=%ld program=%s",
		(long)h->next_pid, program);
	if (channel_open(&h->next, pair[0]) != OK) {
		give_up(h, "no watch for its socket");
		return NULL;
	}
	say_hello(h);
	env_timer(h->env, &h->timer, TAKEOVER_START_US);
	return NULL;
}

static void on_asker_record(void *arg, struct rd *in, int *fd)
{
	struct handing *h = arg;
	uint8_t what = rd_u8(in);
	const char *program = rd_cstr(in), *config = rd_cstr(in);
	const char *why = "the request is not understood";

	(void)fd;
	if (what == TAKEOVER_START && !in->bad && program[0] == '/' &&
		(config[0] == '/' || config[0] == '\0'))
		why = begin(h, program, config);
	if (why != NULL)
		answer(h, why);
}

static void on_asker_end(void *arg)
{
	struct handing *h = arg;
	channel_close(&h->asker);
}

static void on_asker(void *arg, int what)
{
	struct handing *h = arg;
	struct ucred peer = {0};
	socklen_t len = sizeof peer;
	int sock = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (sock < 0)
		return;
	if (h->asker.sock >= 0 || getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
		(peer.uid != 0 && peer.uid != geteuid())) {
		close(sock);
		return;
	}
	if (channel_open(&h->asker, sock) != OK)
		channel_close(&h->asker);
}

/* --- a new binary has been installed --- */

/* The name is kept as it was given: it may be a link, which an upgrade turns. */
static void find_program(struct handing *h)
{
	const char *name = (const char *)(uintptr_t)getauxval(AT_EXECFN);

	if (name == NULL || (name[0] == '/' ? strlen(name) >= sizeof h->program
					    : realpath(name, h->program) == NULL))
		return;
	if (name[0] == '/')
		text_copy(h->program, sizeof h->program, name);
	if (stat(h->program, &h->program_was) != 0)
		h->program[0] = '\0';
}

static bool is_replaced(const struct handing *h)
{
	const struct stat *was = &h->program_was;
	struct stat is;

	return h->program[0] != '\0' && stat(h->program, &is) == 0 &&
	       (was->st_dev != is.st_dev || was->st_ino != is.st_ino);
}

bool takeover_by_new_file(struct handing *h, const char *config)
{
	char path[PATH_MAX] = "";
	const char *why;

	if (!is_replaced(h) || (config[0] != '\0' && realpath(config, path) == NULL))
		return false;
	why = begin(h, h->program, path);
	if (why != NULL)
		log_error(h->env->shared->log, "the new program does not take over",
			"program=%s reason=\"%s\"", h->program, why);
	return why == NULL;
}

/* --- the old process: what the new one says --- */

static void tell_leave(struct handing *h, bool clients_go, bool is_over)
{
	struct shared *sh = h->env->shared;

	for (uint32_t i = 0; i < sh->n_workers; i++) {
		struct tell_leave *t = calloc(1, sizeof *t);

		if (t == NULL)
			continue; /* its clients stay: takeover_timeout */
		t->mail.kind = TELL_LEAVE;
		t->clients_go = clients_go;
		t->is_over = is_over;
		mailbox_post(&sh->workers[i].mailbox, &t->mail);
	}
}

static void send_to_next(void *arg, const struct wr *w)
{
	channel_put(&((struct handing *)arg)->next, w);
}

static void is_ready(struct handing *h, bool clients_go)
{
	const struct listenings_link link = {send_to_next, h};
	struct shared *sh = h->env->shared;

	if (h->is_handed_on)
		return;
	h->is_handed_on = true;
	h->n_counted = 0;
	h->is_counted = h->has_left = false;
	wheel_del(&h->env->wheel, &h->timer);
	log_info(sh->log, "the new process accepts connections", "pid=%ld clients=%u%s",
		(long)h->next_pid, atomic_load(&sh->n_clients),
		clients_go ? "" : " note=\"of another kind: clients stay here\"");
	answer(h, NULL);
	atomic_store(&sh->is_taken_over, true);
	loop_unwatch(h->listen_watch);
	h->listen_watch = NULL;
	tell_leave(h, clients_go, false);
	if (clients_go)
		listenings_hand_on(h->conf.listenings, &link);
	h->conf.passed_on(h->conf.arg, (long)h->next_pid);
}

static void grant(struct handing *h, struct rd *in)
{
	uint32_t worker = rd_u32(in);
	const char *database = rd_cstr(in), *user = rd_cstr(in), *node = rd_cstr(in);
	struct ask_place *t;

	if (in->bad || worker >= h->env->shared->n_workers || (t = calloc(1, sizeof *t)) == NULL)
		return;
	t->mail.kind = TELL_PLACE;
	t->worker = worker;
	text_copy(t->database, sizeof t->database, database);
	text_copy(t->user, sizeof t->user, user);
	text_copy(t->node, sizeof t->node, node);
	mailbox_post(&h->env->shared->workers[worker].mailbox, &t->mail);
}

static void cancel(struct handing *h, struct rd *in)
{
	uint32_t len = (uint32_t)in->left;
	const uint8_t *key = rd_bytes(in, len);
	struct tell_cancel *t;

	if (len == 0 || len > STARTUP_KEY_MAX || (t = calloc(1, sizeof *t)) == NULL)
		return;
	t->mail.kind = TELL_CANCEL;
	t->step = CANCEL_ASKED;
	t->from.worker = WORKERS_MAX;
	t->slot_step = 1;
	t->n_searched = 1;
	t->key_len = len;
	memcpy(t->key, key, len);
	mailbox_post(&h->env->shared->workers[0].mailbox, &t->mail);
}

static void on_next_record(void *arg, struct rd *in, int *fd)
{
	struct handing *h = arg;
	enum takeover_record what = rd_u8(in);

	(void)fd;
	switch ((int)what) {
	case TAKEOVER_READY:
		is_ready(h, rd_u8(in) != 0);
		break;
	case TAKEOVER_GRANT:
		grant(h, in);
		break;
	case TAKEOVER_CANCEL:
		cancel(h, in);
		break;
	case TAKEOVER_MARKED:
	case TAKEOVER_FULL:
		listenings_hear_new(h->conf.listenings, what, in);
		break;
	case TAKEOVER_LEAVES:
		h->has_left = true;
		break;
	default:
		break;
	}
}

static void on_next_end(void *arg)
{
	struct handing *h = arg;
	if (!h->is_handed_on) {
		give_up(h, "the new process has ended: its log tells why");
		return;
	}
	log_error(h->env->shared->log, "the new process is gone", "pid=%ld%s", (long)h->next_pid,
		h->has_left ? " note=\"it was told to end\"" : "");
	channel_close(&h->next);
	tell_leave(h, false, true);
	listenings_stay(h->conf.listenings);
	env_timer(h->env, &h->timer, 0);
}

static void listen_for_askers(struct handing *h)
{
	if (h->listen_fd >= 0 && loop_watch(h->env->loop, h->listen_fd, LOOP_READ, on_asker, h,
					 &h->listen_watch) != OK)
		log_error(h->env->shared->log, "no take-over of this process is possible",
			"reason=memory");
}

static void take_back(struct handing *h)
{
	h->next_pid = 0;
	if (!h->conf.taken_back(h->conf.arg))
		return;
	h->is_handed_on = false;
	listen_for_askers(h);
	(void)!tell_all(h->env, TELL_COUNTED);
	log_warn(h->env->shared->log, "this process accepts connections again", "%s", "");
}

/* It may live, if it was its records that were wrong: two must not serve. */
static void look_if_dead(struct handing *h)
{
	if (waitpid(h->next_pid, NULL, WNOHANG) == 0)
		env_timer(h->env, &h->timer, TAKEOVER_DEAD_US);
	else if (!h->has_left)
		take_back(h);
}

/* --- mail --- */

static void put_server_head(struct handing *h, struct wr *w, const struct ask_leaves *ask)
{
	const struct conf_node *node = env_conf(h->env)->node_by_id[ask->share->node_id];

	wr_u8(w, TAKEOVER_SERVER);
	wr_u32(w, ask->worker);
	takeover_put_place(
		w, ask->share->db->name, ask->share->user->name, node != NULL ? node->name : "");
}

void takeover_take_leaving(struct handing *h, struct ask_leaves *ask)
{
	size_t cap = ask->len + 1024u;
	uint8_t *record = malloc(cap);
	struct wr w = wr_of(record, record != NULL ? cap : 0);

	if (ask->is_server)
		put_server_head(h, &w, ask);
	else
		wr_u8(&w, TAKEOVER_CLIENT);
	wr_bytes(&w, ask->image, ask->len);
	if (!w.bad && h->next.sock >= 0)
		channel_send(&h->next, record, w.len, ask->fd);
	else
		close(ask->fd);
	if (record != NULL)
		scram_wipe(record, w.len);
	free(record);
	scram_wipe(ask->image, ask->len);
	free(ask);
}

/* Nobody has opened one for himself since he told, so what is told of now is all there is. */
static void look_if_counted(struct handing *h)
{
	struct shared *sh = h->env->shared;
	uint8_t counted = TAKEOVER_COUNTED;

	if (h->is_counted || h->n_counted < sh->n_workers || atomic_load(&sh->n_untold) != 0)
		return;
	h->is_counted = true;
	channel_send(&h->next, &counted, 1, -1);
}

void takeover_take_place(struct handing *h, struct ask_place *ask)
{
	static const uint8_t records[] = {[PLACE_HAD] = TAKEOVER_PLACE,
		[PLACE_CAME] = TAKEOVER_PLACE,
		[PLACE_WANTED] = TAKEOVER_ASK,
		[PLACE_GONE] = TAKEOVER_GIVE_BACK};
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, records[ask->what]);
	if (ask->what == PLACE_WANTED)
		wr_u32(&w, ask->worker);
	takeover_put_place(&w, ask->database, ask->user, ask->node);
	channel_put(&h->next, &w);
	if (ask->what == PLACE_CAME) {
		atomic_fetch_sub(&h->env->shared->n_untold, 1);
		look_if_counted(h);
	}
	free(ask);
}

void takeover_take_counted(struct handing *h)
{
	h->n_counted++;
	look_if_counted(h);
}

void takeover_take_cancel(struct handing *h, struct ask_cancel *ask)
{
	predecessor_cancel(h->prev, ask);
}

/* --- life --- */

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct handing *h = list_entry(t, struct handing, timer);

	(void)ctx;
	if (h->is_handed_on)
		look_if_dead(h);
	else
		give_up(h, "the new process did not come up in time");
}

enum status takeover_new(const struct takeover_conf *conf, struct handing **out)
{
	struct handing *h = calloc(1, sizeof *h);
	enum status st = OK;

	if (h == NULL)
		return E_NOMEM;
	h->conf = *conf;
	h->env = conf->env;
	h->listen_fd = conf->listen_fd;
	wheel_timer_init(&h->timer, on_timer);
	find_program(h);
	channel_init(&h->asker, h->env, h, on_asker_record, on_asker_end);
	channel_init(&h->next, h->env, h, on_next_record, on_next_end);
	if (h->listen_fd >= 0)
		st = loop_watch(
			h->env->loop, h->listen_fd, LOOP_READ, on_asker, h, &h->listen_watch);
	if (st == OK && conf->from != NULL && conf->from->sock >= 0)
		st = predecessor_new(h->env, conf->from, conf->listenings, &h->prev);
	if (st != OK) {
		takeover_end(h);
		return st;
	}
	*out = h;
	return OK;
}

void takeover_end(struct handing *h)
{
	if (h == NULL)
		return;
	wheel_del(&h->env->wheel, &h->timer);
	channel_close(&h->asker);
	if (h->next.sock >= 0)
		channel_drain(&h->next);
	channel_close(&h->next);
	predecessor_free(h->prev);
	loop_unwatch(h->listen_watch);
	if (h->listen_fd >= 0)
		close(h->listen_fd);
	free(h);
}
