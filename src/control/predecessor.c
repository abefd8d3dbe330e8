#include "control/predecessor.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/conf.h"
#include "control/listening.h"
#include "control/ready.h"
#include "control/takeover_channel.h"
#include "control/tell.h"
#include "pool/share.h"
#include "worker/dbase.h"

#define WANTED_EVERY 10000u   /* µs */
#define READY_POLL   20000u   /* µs */
#define READY_MAX_US 3000000u /* so long a fit node is waited for before READY is said */

/* Server connections that it still has. */
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

struct predecessor {
	struct env *env;
	struct listenings *listenings;
	struct channel channel;
	bool is_alike;        /* its images can be read here */
	uint32_t next_worker; /* for clients whose number names none */
	struct list held, wanted;
	struct wheel_timer retry; /* of what is wanted */
	uint64_t began_us;
	bool said_ready;
	void (*serves)(void *arg); /* takeover_from's */
	void *arg;
	bool is_counted;          /* … or we wait no longer: this process serves */
	struct wheel_timer timer; /* until READY is said, and then until all is counted */
};

static struct held *find_held(struct predecessor *old, const struct share_pool *p)
{
	struct list *it;

	list_foreach (it, &old->held)
		if (list_entry(it, struct held, link)->pool == p)
			return list_entry(it, struct held, link);
	return NULL;
}

static struct share_pool *find_pool(
	struct predecessor *old, const char *database, const char *user, const char *node)
{
	const struct conf *conf = env_conf(old->env);
	struct share_pool *p;

	for (uint32_t i = 0; i < CONF_NODES_MAX; i++) {
		const struct conf_node *n = conf->node_by_id[i];

		if (n != NULL && strcmp(n->name, node) == 0 &&
			share_pool_get(
				old->env->shared->share, database, user, (uint16_t)n->id, &p) == OK)
			return p;
	}
	return NULL;
}

static void wake_workers(struct predecessor *old, uint64_t mask)
{
	struct shared *sh = old->env->shared;

	for (uint32_t i = 0; i < sh->n_workers; i++) {
		struct mail *m = (mask >> i & 1) != 0 ? calloc(1, sizeof *m) : NULL;

		if (m == NULL)
			continue;
		m->kind = TELL_WAITER;
		mailbox_post(&sh->workers[i].mailbox, m);
	}
}

/* As a worker of this process will do with its first client there: it may have had none yet. */
static void limit_servers(struct predecessor *old, struct share_pool *p)
{
	const struct conf *conf = env_conf(old->env);
	const struct conf_db *db = conf_find_db(conf, p->db->name);
	uint64_t wake = 0;

	if (db != NULL)
		dbase_limit_servers(conf, db, p, &wake);
	wake_workers(old, wake);
}

/* NULL: no memory. */
static struct held *get_held(struct predecessor *old, struct share_pool *p)
{
	struct held *x = find_held(old, p);

	if (x != NULL || (x = calloc(1, sizeof *x)) == NULL)
		return x;
	x->pool = p;
	list_push_back(&old->held, &x->link);
	limit_servers(old, p);
	return x;
}

/* One that it has, within our limits or not. */
static void take_over(struct predecessor *old, struct share_pool *p)
{
	struct held *x = get_held(old, p);

	if (x == NULL)
		return;
	share_take_over(p);
	x->n++;
}

/* One that it may open, if there is a place. */
static bool hold(struct predecessor *old, struct share_pool *p)
{
	struct held *x = get_held(old, p);
	uint64_t wake = 0;
	enum status st;

	if (x == NULL)
		return false;
	st = share_open_elsewhere(p, &wake);
	wake_workers(old, wake);
	x->n += st == OK;
	return st == OK;
}

static void let_go(struct predecessor *old, struct held *x)
{
	uint64_t wake = 0;

	if (x == NULL || x->n == 0)
		return;
	x->n--;
	share_close(x->pool, &wake);
	wake_workers(old, wake);
}

static bool give_place(struct predecessor *old, uint32_t worker, struct share_pool *p)
{
	uint8_t buf[1024];
	struct wr w = wr_of(buf, sizeof buf);
	const struct conf_node *node = env_conf(old->env)->node_by_id[p->node_id];

	if (!old->is_counted || node == NULL || !hold(old, p))
		return false;
	wr_u8(&w, TAKEOVER_GRANT);
	wr_u32(&w, worker);
	takeover_put_place(&w, p->db->name, p->user->name, node->name);
	channel_put(&old->channel, &w);
	return true;
}

static void wanted_free(struct wanted *x)
{
	share_owe(x->pool, -1);
	list_del(&x->link);
	free(x);
}

/* A client that stays over there needs a server: what is released here next is given up for it. */
static void ask_for_place(struct predecessor *old, uint32_t worker, struct share_pool *p)
{
	struct wanted *x;
	struct list *it;

	list_foreach (it, &old->wanted) {
		x = list_entry(it, struct wanted, link);
		if (x->pool == p && x->worker == worker)
			return; /* it asks again and again */
	}
	if (give_place(old, worker, p))
		return;
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return;
	x->pool = p;
	x->worker = worker;
	share_owe(p, 1);
	list_push_back(&old->wanted, &x->link);
	if (!wheel_is_armed(&old->retry))
		env_timer(old->env, &old->retry, WANTED_EVERY);
}

static void on_retry(void *ctx, struct wheel_timer *t)
{
	struct predecessor *old = list_entry(t, struct predecessor, retry);
	struct list *it, *tmp;

	(void)ctx;
	list_foreach_safe (it, tmp, &old->wanted) {
		struct wanted *x = list_entry(it, struct wanted, link);

		if (give_place(old, x->worker, x->pool))
			wanted_free(x);
	}
	if (!list_is_empty(&old->wanted))
		env_timer(old->env, t, WANTED_EVERY);
}

static void drop_wanted(struct predecessor *old)
{
	while (!list_is_empty(&old->wanted))
		wanted_free(list_entry(old->wanted.next, struct wanted, link));
	wheel_del(&old->env->wheel, &old->retry);
}

/* NULL: this process has no such pool. */
static struct share_pool *read_place(struct predecessor *old, struct rd *in)
{
	const char *database = rd_cstr(in), *user = rd_cstr(in), *node = rd_cstr(in);

	return in->bad ? NULL : find_pool(old, database, user, node);
}

static void place(struct predecessor *old, enum takeover_record what, struct rd *in)
{
	uint32_t worker = what == TAKEOVER_ASK ? rd_u32(in) : 0;
	struct share_pool *p = read_place(old, in);

	if (p == NULL)
		return;
	if (what == TAKEOVER_PLACE)
		take_over(old, p);
	else if (what == TAKEOVER_ASK)
		ask_for_place(old, worker, p);
	else
		let_go(old, find_held(old, p));
}

/* What it has is known, or we wait no longer. */
static void begin_to_serve(struct predecessor *old)
{
	if (old->is_counted)
		return;
	old->is_counted = true;
	wheel_del(&old->env->wheel, &old->timer);
	atomic_store(&old->env->shared->opens_nothing, false);
	(void)!tell_all(old->env, TELL_COUNTED);
}

/* The client goes where its number says that it was, if there is such a worker. */
static uint32_t worker_for(struct predecessor *old, const struct rd *image)
{
	uint32_t n = old->env->shared->n_workers, worker = n;
	struct rd in = *image;
	struct image_head head;

	if (image_read_head(&in, &head) == OK)
		worker = (head.number >> WORKER_SLOT_BITS) - 1;
	return worker < n ? worker : old->next_worker++ % n;
}

static void client(struct predecessor *old, struct rd *in, int *fd)
{
	struct ask_leaves *t;

	if (*fd < 0 || !old->is_alike)
		return;
	t = malloc(sizeof *t + in->left);
	if (t == NULL) {
		log_error(old->env->shared->log, "a client is lost in the take-over",
			"reason=memory");
		return;
	}
	*t = (struct ask_leaves){.mail.kind = TELL_ARRIVE, .fd = *fd, .len = (uint32_t)in->left};
	*fd = -1;
	memcpy(t->image, in->p, in->left);
	atomic_store(&old->env->shared->is_successor, true);
	mailbox_post(&old->env->shared->workers[worker_for(old, in)].mailbox, &t->mail);
}

/* A server connection with its place, which this process has counted already. */
static void server(struct predecessor *old, struct rd *in, int *fd)
{
	uint32_t worker = rd_u32(in);
	struct share_pool *p = read_place(old, in);
	struct held *x = p != NULL ? find_held(old, p) : NULL;
	struct ask_leaves *t;

	if (x == NULL || x->n == 0)
		return;
	t = *fd >= 0 && old->is_alike ? malloc(sizeof *t + in->left) : NULL;
	if (t == NULL) {
		let_go(old, x);
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
	worker %= old->env->shared->n_workers;
	mailbox_post(&old->env->shared->workers[worker].mailbox, &t->mail);
}

static void put(void *arg, const struct wr *w)
{
	channel_put(&((struct predecessor *)arg)->channel, w);
}

static void on_record(void *arg, struct rd *in, int *fd)
{
	struct predecessor *old = arg;
	const struct listenings_link link = {put, old};
	enum takeover_record what = rd_u8(in);

	switch ((int)what) {
	case TAKEOVER_CLIENT:
		client(old, in, fd);
		break;
	case TAKEOVER_SERVER:
		server(old, in, fd);
		break;
	case TAKEOVER_PLACE:
	case TAKEOVER_GIVE_BACK:
	case TAKEOVER_ASK:
		place(old, what, in);
		break;
	case TAKEOVER_COUNTED:
		begin_to_serve(old);
		break;
	case TAKEOVER_CHANNEL:
	case TAKEOVER_MARK:
		if (old->is_alike)
			listenings_hear_old(old->listenings, &link, what, in);
		break;
	default:
		break;
	}
}

static void on_end(void *arg)
{
	struct predecessor *old = arg;
	struct list *it;

	log_info(old->env->shared->log, "the process that was taken over has ended", "%s", "");
	channel_close(&old->channel);
	drop_wanted(old);
	while ((it = list_pop_front(&old->held)) != NULL) {
		struct held *x = list_entry(it, struct held, link);

		while (x->n != 0)
			let_go(old, x);
		free(x);
	}
	(void)!tell_all(old->env, TELL_SETTLED);
	listenings_settle(old->listenings);
	begin_to_serve(old);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct predecessor *old = list_entry(t, struct predecessor, timer);
	struct env *env = old->env;
	uint8_t ready[2] = {TAKEOVER_READY, old->is_alike};
	char why[256];

	(void)ctx;
	if (old->said_ready) {
		log_warn(env->shared->log,
			"the process taken over does not tell what servers it has",
			"waited_s=%u note=\"pools may be over their size for a while\"",
			PREDECESSOR_COUNT_US / 1000000u);
		begin_to_serve(old);
	} else if (ready_check(env_conf(env), env_topology(env), atomic_load(&env->shared->admin),
			   why, sizeof why) ||
		   env_now_us(env) - old->began_us >= READY_MAX_US) {
		old->said_ready = true;
		old->serves(old->arg);
		channel_send(&old->channel, ready, sizeof ready, -1);
		env_timer(env, t, PREDECESSOR_COUNT_US);
	} else {
		env_timer(env, t, READY_POLL);
	}
}

bool predecessor_is_there(const struct predecessor *old)
{
	return old != NULL && old->channel.sock >= 0;
}

void predecessor_cancel(struct predecessor *old, struct ask_cancel *ask)
{
	uint8_t buf[1 + STARTUP_KEY_MAX];
	struct wr w = wr_of(buf, sizeof buf);

	wr_u8(&w, TAKEOVER_CANCEL);
	wr_bytes(&w, ask->key, ask->key_len);
	if (old != NULL)
		channel_put(&old->channel, &w);
	free(ask);
}

enum status predecessor_new(struct env *env, struct takeover_from *from, struct listenings *ls,
	struct predecessor **out)
{
	struct predecessor *old = calloc(1, sizeof *old);
	enum status st;

	if (old == NULL)
		return E_NOMEM;
	old->env = env;
	old->listenings = ls;
	list_init(&old->held);
	list_init(&old->wanted);
	wheel_timer_init(&old->timer, on_timer);
	wheel_timer_init(&old->retry, on_retry);
	channel_init(&old->channel, env, old, on_record, on_end);
	st = channel_open(&old->channel, from->sock);
	from->sock = -1;
	if (st != OK) {
		predecessor_free(old);
		return st;
	}
	old->serves = from->serves;
	old->arg = from->arg;
	old->is_alike = from->hello.format == image_format();
	old->began_us = env_now_us(env);
	env_timer(env, &old->timer, READY_POLL);
	*out = old;
	return OK;
}

void predecessor_free(struct predecessor *old)
{
	const uint8_t leaves = TAKEOVER_LEAVES;
	struct list *it;

	if (old == NULL)
		return;
	wheel_del(&old->env->wheel, &old->timer);
	if (old->said_ready && old->channel.sock >= 0) {
		channel_send(&old->channel, &leaves, 1, -1);
		channel_drain(&old->channel);
	}
	channel_close(&old->channel);
	drop_wanted(old);
	while ((it = list_pop_front(&old->held)) != NULL)
		free(list_entry(it, struct held, link));
	free(old);
}
