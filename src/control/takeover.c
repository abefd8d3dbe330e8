#include "control/takeover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/ready.h"
#include "control/tell.h"
#include "pool/share.h"
#include "proto/scram.h"

#define CHILD_FD        3 /* where the new process finds its socket */
#define TAKEOVER_LAST_S 5
#define WANTED_EVERY    10000u   /* µs */
#define READY_POLL      20000u   /* µs */
#define READY_MAX_US    3000000u /* the new process waits so long for a fit node before it accepts */

extern char **environ;

struct record {
	struct list link;
	int fd; /* owned; -1: none */
	size_t len;
	uint8_t bytes[];
};

/* One socket between two processes. */
struct channel {
	struct handing *h;
	int sock; /* -1: closed */
	struct loop_watch *watch;
	bool wants_write;
	struct list out; /* struct record */
	void (*on_record)(struct handing *h, struct rd *in, int *fd);
	void (*on_end)(struct handing *h);
};

/* Server connections that the process before this one still has. */
struct held {
	struct list link;
	struct share_pool *pool;
	uint32_t n;
};

/* … and one that it asks for. */
struct wanted {
	struct list link;
	struct share_pool *pool;
	uint32_t worker; /* of that process */
};

struct handing {
	struct takeover_conf conf;
	struct env *env;
	int listen_fd;
	struct loop_watch *listen_watch;
	struct channel asker; /* who has asked for the take-over */
	struct channel next;  /* the process that takes over */
	struct channel prev;  /* the one that was taken over */
	pid_t next_pid;
	bool is_handed_on;    /* next accepts */
	bool prev_is_alike;   /* its images can be read here */
	uint32_t next_worker; /* for clients whose number names none */
	struct list held, wanted;
	struct wheel_timer retry; /* of what is wanted */
	uint64_t began_us;
	struct wheel_timer timer; /* prev: until READY is said; next: until it has been */
	uint8_t buf[TAKEOVER_RECORD_MAX];
};

/* --- channels --- */

static void on_channel(void *arg, int what);

static void record_free(struct record *r)
{
	list_del(&r->link);
	if (r->fd >= 0)
		close(r->fd);
	scram_wipe(r->bytes, r->len);
	free(r);
}

static void channel_init(struct channel *c, struct handing *h,
	void (*on_record)(struct handing *h, struct rd *in, int *fd),
	void (*on_end)(struct handing *h))
{
	*c = (struct channel){.h = h, .sock = -1, .on_record = on_record, .on_end = on_end};
	list_init(&c->out);
}

static void channel_close(struct channel *c)
{
	struct list *it, *tmp;

	loop_unwatch(c->watch);
	c->watch = NULL;
	if (c->sock >= 0)
		close(c->sock);
	c->sock = -1;
	list_foreach_safe (it, tmp, &c->out)
		record_free(list_entry(it, struct record, link));
}

static enum status channel_watch(struct channel *c)
{
	bool write = !list_is_empty(&c->out);

	if (c->watch != NULL && write == c->wants_write)
		return OK;
	loop_unwatch(c->watch);
	c->watch = NULL;
	c->wants_write = write;
	return loop_watch(c->h->env->loop, c->sock, LOOP_READ | (write ? LOOP_WRITE : 0),
		on_channel, c, &c->watch);
}

static enum status channel_open(struct channel *c, int sock)
{
	int flags = fcntl(sock, F_GETFL);

	c->sock = sock;
	if (flags < 0 || fcntl(sock, F_SETFL, flags | O_NONBLOCK) < 0)
		return E_IO;
	return channel_watch(c);
}

/* Send now or later. `fd` is moved, -1: none. */
static void channel_send(struct channel *c, const void *p, size_t len, int fd)
{
	struct record *r;

	if (c->sock < 0 || (list_is_empty(&c->out) && takeover_send(c->sock, p, len, fd) == OK)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	r = malloc(sizeof *r + len);
	if (r == NULL) {
		log_error(c->h->env->shared->log, "something is lost in the take-over",
			"reason=memory");
		if (fd >= 0)
			close(fd);
		return;
	}
	r->fd = fd;
	r->len = len;
	memcpy(r->bytes, p, len);
	list_push_back(&c->out, &r->link);
	(void)!channel_watch(c);
}

static void channel_put(struct channel *c, const struct wr *w)
{
	if (!w->bad)
		channel_send(c, w->buf, w->len, -1);
}

static enum status channel_flush(struct channel *c)
{
	while (!list_is_empty(&c->out)) {
		struct record *r = list_entry(c->out.next, struct record, link);
		enum status st = takeover_send(c->sock, r->bytes, r->len, r->fd);

		if (st == E_AGAIN)
			return OK;
		if (st != OK)
			return st;
		record_free(r);
	}
	return channel_watch(c);
}

/* The end of this process: what waits is still sent, for TAKEOVER_LAST_S at most. */
static void channel_drain(struct channel *c)
{
	const struct timeval limit = {.tv_sec = TAKEOVER_LAST_S};
	int flags = fcntl(c->sock, F_GETFL);

	if (flags < 0 || fcntl(c->sock, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
		setsockopt(c->sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0)
		return;
	while (!list_is_empty(&c->out)) {
		struct record *r = list_entry(c->out.next, struct record, link);

		if (takeover_send(c->sock, r->bytes, r->len, r->fd) != OK)
			return;
		record_free(r);
	}
}

static enum status channel_read(struct channel *c)
{
	enum status st = OK;

	for (int i = 0; i < 64 && c->sock >= 0; i++) {
		struct rd in;
		size_t len;
		int fd;

		st = takeover_receive(c->sock, c->h->buf, &len, &fd);
		if (st != OK)
			return st == E_AGAIN ? OK : st;
		in = rd_of(c->h->buf, len);
		c->on_record(c->h, &in, &fd);
		scram_wipe(c->h->buf, len);
		if (fd >= 0)
			close(fd);
	}
	return OK;
}

static void on_channel(void *arg, int what)
{
	struct channel *c = arg;
	enum status st = (what & LOOP_WRITE) != 0 ? channel_flush(c) : OK;

	if (st == OK && (what & LOOP_READ) != 0)
		st = channel_read(c);
	if (st != OK)
		c->on_end(c->h);
}

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
	if (h->prev.sock >= 0)
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
	struct share_pool *p;
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);
	size_t pos = 0;

	memcpy(hello.mock_secret, sh->mock_secret, sizeof hello.mock_secret);
	takeover_put_hello(&w, &hello);
	channel_put(&h->next, &w);
	for (uint32_t i = 0; h->conf.socket(h->conf.arg, i, &s); i++)
		send_socket(h, &s);
	s = (struct takeover_listening){.fd = h->listen_fd, .what = TAKEOVER_FOR_TAKEOVERS};
	send_socket(h, &s);
	while ((p = share_pool_next(sh->share, &pos)) != NULL) {
		const struct conf_node *node = env_conf(h->env)->node_by_id[p->node_id];

		if (budget_n(&p->open) == 0 || node == NULL)
			continue;
		w = wr_of(buf, sizeof buf);
		wr_u8(&w, TAKEOVER_PLACE);
		takeover_put_place(&w, p->db->name, p->user->name, node->name);
		wr_u32(&w, budget_n(&p->open));
		channel_put(&h->next, &w);
	}
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

static void begin(struct handing *h, const char *program, const char *config)
{
	const char *why = in_the_way(h);
	int pair[2];

	if (why != NULL) {
		answer(h, why);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		answer(h, "no socket for the new process");
		return;
	}
	if (start(program, config, pair[1], &h->next_pid) != OK) {
		close(pair[0]);
		close(pair[1]);
		answer(h, "the new program cannot be started");
		return;
	}
	close(pair[1]);
	log_info(h->env->shared->log, "another process takes over", "pid=%ld program=%s",
		(long)h->next_pid, program);
	if (channel_open(&h->next, pair[0]) != OK) {
		give_up(h, "no watch for its socket");
		return;
	}
	say_hello(h);
	env_timer(h->env, &h->timer, TAKEOVER_START_US);
}

static void on_asker_record(struct handing *h, struct rd *in, int *fd)
{
	uint8_t what = rd_u8(in);
	const char *program = rd_cstr(in), *config = rd_cstr(in);

	(void)fd;
	if (what == TAKEOVER_START && !in->bad && program[0] == '/' &&
		(config[0] == '/' || config[0] == '\0'))
		begin(h, program, config);
	else
		answer(h, "the request is not understood");
}

static void on_asker_end(struct handing *h)
{
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

/* --- the old process: what the new one says --- */

static void tell_leave(struct handing *h, bool clients_go)
{
	struct shared *sh = h->env->shared;

	for (uint32_t i = 0; i < sh->n_workers; i++) {
		struct tell_leave *t = calloc(1, sizeof *t);

		if (t == NULL)
			continue; /* its clients stay: takeover_timeout */
		t->mail.kind = TELL_LEAVE;
		t->clients_go = clients_go;
		mailbox_post(&sh->workers[i].mailbox, &t->mail);
	}
}

static void is_ready(struct handing *h, bool clients_go)
{
	struct shared *sh = h->env->shared;

	if (h->is_handed_on)
		return;
	h->is_handed_on = true;
	wheel_del(&h->env->wheel, &h->timer);
	log_info(sh->log, "the new process accepts connections", "pid=%ld clients=%u%s",
		(long)h->next_pid, atomic_load(&sh->n_clients),
		clients_go ? "" : " note=\"of another kind: clients stay here\"");
	answer(h, NULL);
	atomic_store(&sh->is_taken_over, true);
	loop_unwatch(h->listen_watch);
	h->listen_watch = NULL;
	tell_leave(h, clients_go);
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

static void on_next_record(struct handing *h, struct rd *in, int *fd)
{
	(void)fd;
	switch (rd_u8(in)) {
	case TAKEOVER_READY:
		is_ready(h, rd_u8(in) != 0);
		break;
	case TAKEOVER_GRANT:
		grant(h, in);
		break;
	case TAKEOVER_CANCEL:
		cancel(h, in);
		break;
	default:
		break;
	}
}

static void on_next_end(struct handing *h)
{
	if (!h->is_handed_on) {
		give_up(h, "the new process has ended: its log tells why");
		return;
	}
	log_error(h->env->shared->log, "the new process is gone", "pid=%ld", (long)h->next_pid);
	channel_close(&h->next);
	(void)waitpid(h->next_pid, NULL, WNOHANG);
}

/* --- the new process: what the old one says --- */

static struct held *find_held(struct handing *h, const struct share_pool *p)
{
	struct list *it;

	list_foreach (it, &h->held)
		if (list_entry(it, struct held, link)->pool == p)
			return list_entry(it, struct held, link);
	return NULL;
}

static struct share_pool *find_pool(
	struct handing *h, const char *database, const char *user, const char *node)
{
	const struct conf *conf = env_conf(h->env);
	struct share_pool *p;

	for (uint32_t i = 0; i < CONF_NODES_MAX; i++) {
		const struct conf_node *n = conf->node_by_id[i];

		if (n != NULL && strcmp(n->name, node) == 0 &&
			share_pool_get(
				h->env->shared->share, database, user, (uint16_t)n->id, &p) == OK)
			return p;
	}
	return NULL;
}

static void wake_workers(struct handing *h, uint64_t mask)
{
	struct shared *sh = h->env->shared;

	for (uint32_t i = 0; i < sh->n_workers; i++) {
		struct mail *m = (mask >> i & 1) != 0 ? calloc(1, sizeof *m) : NULL;

		if (m == NULL)
			continue;
		m->kind = TELL_WAITER;
		mailbox_post(&sh->workers[i].mailbox, m);
	}
}

static bool hold(struct handing *h, struct share_pool *p)
{
	struct held *x = find_held(h, p);
	uint64_t wake = 0;
	enum status st;

	if (x == NULL) {
		x = calloc(1, sizeof *x);
		if (x == NULL)
			return false;
		x->pool = p;
		list_push_back(&h->held, &x->link);
	}
	st = share_open_elsewhere(p, &wake);
	wake_workers(h, wake);
	x->n += st == OK;
	return st == OK;
}

static void let_go(struct handing *h, struct held *x)
{
	uint64_t wake = 0;

	if (x == NULL || x->n == 0)
		return;
	x->n--;
	share_close(x->pool, &wake);
	wake_workers(h, wake);
}

static bool give_place(struct handing *h, uint32_t worker, struct share_pool *p)
{
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);
	const struct conf_node *node = env_conf(h->env)->node_by_id[p->node_id];

	if (node == NULL || !hold(h, p))
		return false;
	wr_u8(&w, TAKEOVER_GRANT);
	wr_u32(&w, worker);
	takeover_put_place(&w, p->db->name, p->user->name, node->name);
	channel_put(&h->prev, &w);
	return true;
}

static void wanted_free(struct wanted *x)
{
	share_owe(x->pool, -1);
	list_del(&x->link);
	free(x);
}

/* A client that stays over there needs a server: what is released here next is given up for it. */
static void ask_for_place(struct handing *h, uint32_t worker, struct share_pool *p)
{
	struct wanted *x;
	struct list *it;

	list_foreach (it, &h->wanted) {
		x = list_entry(it, struct wanted, link);
		if (x->pool == p && x->worker == worker)
			return; /* it asks again and again */
	}
	if (give_place(h, worker, p))
		return;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return;
	x->pool = p;
	x->worker = worker;
	share_owe(p, 1);
	list_push_back(&h->wanted, &x->link);
	if (!wheel_is_armed(&h->retry))
		env_timer(h->env, &h->retry, WANTED_EVERY);
}

static void on_retry(void *ctx, struct wheel_timer *t)
{
	struct handing *h = list_entry(t, struct handing, retry);
	struct list *it, *tmp;

	(void)ctx;
	list_foreach_safe (it, tmp, &h->wanted) {
		struct wanted *x = list_entry(it, struct wanted, link);

		if (give_place(h, x->worker, x->pool))
			wanted_free(x);
	}
	if (!list_is_empty(&h->wanted))
		env_timer(h->env, t, WANTED_EVERY);
}

static void drop_wanted(struct handing *h)
{
	while (!list_is_empty(&h->wanted))
		wanted_free(list_entry(h->wanted.next, struct wanted, link));
	wheel_del(&h->env->wheel, &h->retry);
}

static void place(struct handing *h, struct rd *in, bool is_asked)
{
	uint32_t worker = is_asked ? rd_u32(in) : 0;
	const char *database = rd_cstr(in), *user = rd_cstr(in), *node = rd_cstr(in);
	struct share_pool *p = in->bad ? NULL : find_pool(h, database, user, node);

	if (p == NULL)
		return;
	if (is_asked)
		ask_for_place(h, worker, p);
	else
		let_go(h, find_held(h, p));
}

/* The client goes where its number says that it was, if there is such a worker. */
static uint32_t worker_for(struct handing *h, const struct rd *image)
{
	uint32_t n = h->env->shared->n_workers, worker = n;
	struct rd in = *image;
	struct image_head head;

	if (image_read_head(&in, &head) == OK)
		worker = (head.number >> WORKER_SLOT_BITS) - 1;
	return worker < n ? worker : h->next_worker++ % n;
}

static void client(struct handing *h, struct rd *in, int *fd)
{
	struct ask_leaves *t;

	if (*fd < 0 || !h->prev_is_alike)
		return;
	t = malloc(sizeof *t + in->left);
	if (t == NULL) {
		log_error(
			h->env->shared->log, "a client is lost in the take-over", "reason=memory");
		return;
	}
	*t = (struct ask_leaves){.mail.kind = TELL_ARRIVE, .fd = *fd, .len = (uint32_t)in->left};
	*fd = -1;
	memcpy(t->image, in->p, in->left);
	atomic_store(&h->env->shared->is_successor, true);
	mailbox_post(&h->env->shared->workers[worker_for(h, in)].mailbox, &t->mail);
}

/* A server connection with its place, which this process has counted already. */
static void server(struct handing *h, struct rd *in, int *fd)
{
	uint32_t worker = rd_u32(in);
	const char *database = rd_cstr(in), *user = rd_cstr(in), *node = rd_cstr(in);
	struct share_pool *p = in->bad ? NULL : find_pool(h, database, user, node);
	struct held *x = p != NULL ? find_held(h, p) : NULL;
	struct ask_leaves *t;

	if (x == NULL || x->n == 0 || *fd < 0)
		return;
	t = h->prev_is_alike ? malloc(sizeof *t + in->left) : NULL;
	if (t == NULL) {
		let_go(h, x);
		return;
	}
	x->n--;
	*t = (struct ask_leaves){.mail.kind = TELL_ARRIVE,
		.is_server = true,
		.share = p,
		.fd = *fd,
		.len = (uint32_t)in->left};
	*fd = -1;
	memcpy(t->image, in->p, in->left);
	worker %= h->env->shared->n_workers;
	mailbox_post(&h->env->shared->workers[worker].mailbox, &t->mail);
}

static void on_prev_record(struct handing *h, struct rd *in, int *fd)
{
	switch (rd_u8(in)) {
	case TAKEOVER_CLIENT:
		client(h, in, fd);
		break;
	case TAKEOVER_SERVER:
		server(h, in, fd);
		break;
	case TAKEOVER_GIVE_BACK:
		place(h, in, false);
		break;
	case TAKEOVER_ASK:
		place(h, in, true);
		break;
	default:
		break;
	}
}

static void on_prev_end(struct handing *h)
{
	struct list *it;

	log_info(h->env->shared->log, "the process that was taken over has ended", "%s", "");
	channel_close(&h->prev);
	drop_wanted(h);
	while ((it = list_pop_front(&h->held)) != NULL) {
		struct held *x = list_entry(it, struct held, link);

		while (x->n != 0)
			let_go(h, x);
		free(x);
	}
	(void)!tell_all(h->env, TELL_SETTLED);
}

static void say_ready(struct handing *h)
{
	uint8_t record[2] = {TAKEOVER_READY, h->prev_is_alike};

	channel_send(&h->prev, record, sizeof record, -1);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct handing *h = list_entry(t, struct handing, timer);
	struct env *env = h->env;
	char why[256];

	(void)ctx;
	if (h->next.sock >= 0) {
		give_up(h, "the new process did not come up in time");
		return;
	}
	if (h->prev.sock < 0)
		return;
	if (ready_check(env_conf(env), env_topology(env), atomic_load(&env->shared->admin), why,
		    sizeof why) ||
		env_now_us(env) - h->began_us >= READY_MAX_US)
		say_ready(h);
	else
		env_timer(env, t, READY_POLL);
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

void takeover_take_place(struct handing *h, struct ask_place *ask)
{
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, ask->wanted ? TAKEOVER_ASK : TAKEOVER_GIVE_BACK);
	if (ask->wanted)
		wr_u32(&w, ask->worker);
	takeover_put_place(&w, ask->database, ask->user, ask->node);
	channel_put(&h->next, &w);
	free(ask);
}

void takeover_take_cancel(struct handing *h, struct ask_cancel *ask)
{
	uint8_t buf[1 + STARTUP_KEY_MAX];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, TAKEOVER_CANCEL);
	wr_bytes(&w, ask->key, ask->key_len);
	channel_put(&h->prev, &w);
	free(ask);
}

/* --- life --- */

static enum status take_over(struct handing *h, struct takeover_from *from)
{
	enum status st = channel_open(&h->prev, from->sock);

	from->sock = -1;
	h->prev_is_alike = from->hello.format == image_format();
	for (uint32_t i = 0; i < from->n_places; i++) {
		const struct takeover_place *x = &from->places[i];
		struct share_pool *p = find_pool(h, x->database, x->user, x->node);

		for (uint32_t k = 0; p != NULL && k < x->n; k++)
			(void)hold(h, p);
	}
	h->began_us = env_now_us(h->env);
	env_timer(h->env, &h->timer, READY_POLL);
	return st;
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
	list_init(&h->held);
	list_init(&h->wanted);
	wheel_timer_init(&h->timer, on_timer);
	wheel_timer_init(&h->retry, on_retry);
	channel_init(&h->asker, h, on_asker_record, on_asker_end);
	channel_init(&h->next, h, on_next_record, on_next_end);
	channel_init(&h->prev, h, on_prev_record, on_prev_end);
	if (h->listen_fd >= 0)
		st = loop_watch(
			h->env->loop, h->listen_fd, LOOP_READ, on_asker, h, &h->listen_watch);
	if (st == OK && conf->from != NULL && conf->from->sock >= 0)
		st = take_over(h, conf->from);
	if (st != OK) {
		takeover_end(h);
		return st;
	}
	*out = h;
	return OK;
}

void takeover_end(struct handing *h)
{
	struct list *it;

	if (h == NULL)
		return;
	wheel_del(&h->env->wheel, &h->timer);
	channel_close(&h->asker);
	if (h->next.sock >= 0)
		channel_drain(&h->next);
	channel_close(&h->next);
	channel_close(&h->prev);
	loop_unwatch(h->listen_watch);
	if (h->listen_fd >= 0)
		close(h->listen_fd);
	drop_wanted(h);
	while ((it = list_pop_front(&h->held)) != NULL)
		free(list_entry(it, struct held, link));
	free(h);
}
