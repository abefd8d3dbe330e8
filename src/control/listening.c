#include "control/listening_own.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wr.h"
#include "conf/conf.h"
#include "control/pq.h"
#include "control/target.h"
#include "proto/sqlstate.h"
#include "route/topology.h"

#define QUOTED_MAX (CHANNEL_LEN * 2u + 16u) /* LISTEN "name"; */

/* --- telling workers --- */

static void *tell_new(size_t size, enum tell_kind kind)
{
	struct mail *m = calloc(1, size);

	if (m != NULL)
		m->kind = (int)kind;
	return m;
}

static void post(const struct listening *l, uint32_t worker, struct mail *m)
{
	struct shared *sh = l->of->env->shared;

	if (l->of->env->ended || worker >= sh->n_workers)
		free(m);
	else
		mailbox_post(&sh->workers[worker].mailbox, m);
}

void listening_tell(
	const struct listening *l, uint64_t workers, enum listening_what what, const char *channel)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct tell_listening *t;

		if ((workers >> i & 1u) == 0 || (t = tell_new(sizeof *t, TELL_LISTENING)) == NULL)
			continue;
		t->what = what;
		t->round = l->mark.round;
		memcpy(t->database, l->database, sizeof t->database);
		text_copy(t->channel, sizeof t->channel, channel);
		post(l, i, &t->mail);
	}
}

uint64_t listening_all_workers(const struct listening *l)
{
	return UINT64_MAX >> (64u - l->of->env->shared->n_workers);
}

static uint64_t workers_of(const struct listening *l)
{
	struct list *it;
	uint64_t all = l->mark.is_new ? listening_all_workers(l) : 0;

	list_foreach (it, &l->all)
		all |= list_entry(it, struct channel, link)->workers;
	return all;
}

static void tell_barrier(struct listening *l, uint32_t worker, uint64_t number)
{
	struct ask_barrier *t = tell_new(sizeof *t, TELL_BARRIER);

	if (t == NULL)
		return; /* with the next */
	memcpy(t->database, l->database, sizeof t->database);
	t->number = number;
	l->barriers[worker].told = number;
	post(l, worker, &t->mail);
}

/* covered_only: what was asked for since the query was sent waits for the next one. */
static void pass_barriers(struct listening *l, bool covered_only)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct barrier *b = &l->barriers[i];
		uint64_t number = covered_only ? b->covered : b->asked;

		if (number > b->told)
			tell_barrier(l, i, number);
	}
}

static bool awaits_barrier(const struct listening *l)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		if (l->barriers[i].asked > l->barriers[i].told)
			return true;
	return false;
}

/* --- channels --- */

static bool channel_eq(const void *item, const void *key)
{
	return strcmp(((const struct channel *)item)->name, key) == 0;
}

static uint64_t hash_of(const struct listening *l, const char *name)
{
	return hash_bytes(&l->of->env->shared->hash_key, name, strlen(name));
}

struct channel *listening_channel(const struct listening *l, const char *name)
{
	return map_find(&l->channels, hash_of(l, name), channel_eq, name);
}

static struct channel *channel_new(struct listening *l, const char *name)
{
	struct channel *ch = calloc(1, sizeof *ch);

	if (ch == NULL)
		return NULL;
	text_copy(ch->name, sizeof ch->name, name);
	list_init(&ch->change);
	if (map_insert(&l->channels, hash_of(l, name), ch) != OK) {
		free(ch);
		return NULL;
	}
	list_push_back(&l->all, &ch->link);
	return ch;
}

static void channel_turn(struct listening *l, struct channel *ch, bool on)
{
	_Atomic uint64_t *n = &l->of->env->shared->notify.channels;

	if (ch->is_on == on)
		return;
	ch->is_on = on;
	ch->is_listed = false;
	ch->number = 0;
	ch->marked = 0;
	if (on)
		atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
	else
		atomic_fetch_sub_explicit(n, 1, memory_order_relaxed);
}

static void channel_free(struct listening *l, struct channel *ch)
{
	channel_turn(l, ch, false);
	list_del(&ch->change);
	list_del(&ch->link);
	(void)map_remove(&l->channels, hash_of(l, ch->name), ch);
	free(ch);
}

void listening_look_channel(struct listening *l, struct channel *ch)
{
	bool wanted = ch->workers != 0 || ch->is_held;

	list_del(&ch->change);
	if (ch->is_asked)
		return;
	if (!wanted && !ch->is_on)
		channel_free(l, ch);
	else if (wanted != ch->is_on)
		list_push_back(&l->changes, &ch->change);
}

/* --- the connection --- */

/* No channel is listened to any more. */
static void go_down(struct listening *l)
{
	struct list *it, *tmp;
	bool had = false;

	list_foreach_safe (it, tmp, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		had = had || ch->is_on;
		channel_turn(l, ch, false);
		ch->is_asked = false;
		listening_look_channel(l, ch);
	}
	if (had) {
		l->is_lost = true;
		l->losses++;
		atomic_fetch_add_explicit(
			&l->of->env->shared->notify.losses, 1, memory_order_relaxed);
		listening_tell(l, workers_of(l), LISTENING_DOWN, "");
	}
	pass_barriers(l, false);
	marking_down(l);
}

static void rest(struct listening *l, uint64_t us)
{
	pq_free(l->pq);
	l->pq = NULL;
	l->state = LISTENING_RESTING;
	go_down(l);
	env_timer(l->of->env, &l->timer, us);
}

/* The login is not allowed, and time will not change it: password, database, privilege. */
static bool is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "28", 2) == 0 ||
	       strcmp(sqlstate, SQLSTATE_INVALID_CATALOG_NAME) == 0 ||
	       strcmp(sqlstate, SQLSTATE_INSUFFICIENT_PRIVILEGE) == 0;
}

static void failed(struct listening *l, const char *sqlstate, const char *text)
{
	char db[NAME_LEN * 4], reason[PQ_TEXT_MAX * 2];
	uint64_t us = l->rest_us;

	if (l->state == LISTENING_LOGIN && is_refusal(sqlstate))
		listening_tell(l, workers_of(l), LISTENING_REFUSED, "");
	if (!l->told)
		log_warn(l->of->env->shared->log, "listening connection lost",
			"db=%s sqlstate=%s reason=%s", log_q(db, sizeof db, l->database),
			*sqlstate != '\0' ? sqlstate : "-", log_q(reason, sizeof reason, text));
	l->told = true;
	l->try_no++;
	l->rest_us = us * 2 < LISTENING_REST_MAX_US ? us * 2 : LISTENING_REST_MAX_US;
	rest(l, us);
}

/* LISTEN and UNLISTEN for the next channels; returns the length. */
static size_t write_changes(struct listening *l, char *buf, size_t cap)
{
	size_t len = 0;

	for (uint32_t n = 0; n < LISTENING_BATCH && !list_is_empty(&l->changes); n++) {
		struct channel *ch = list_entry(l->changes.next, struct channel, change);

		PANIC_IF(cap - len < QUOTED_MAX);
		len += (size_t)snprintf(
			buf + len, cap - len, ch->is_on ? "UNLISTEN \"" : "LISTEN \"");
		for (const char *p = ch->name; *p != '\0'; p++) {
			if (*p == '"')
				buf[len++] = '"';
			buf[len++] = *p;
		}
		buf[len++] = '"';
		buf[len++] = ';';
		list_del(&ch->change);
		ch->is_asked = true;
	}
	buf[len] = '\0';
	return len;
}

static void ask(struct listening *l, const char *sql)
{
	for (uint32_t i = 0; i < WORKERS_MAX; i++)
		l->barriers[i].covered = l->barriers[i].asked;
	l->state = LISTENING_ASKED;
	if (pq_query(l->pq, sql, env_conf(l->of->env)->node_timeout_us) != OK)
		failed(l, "", "the connection broke");
}

static void ask_changes(struct listening *l)
{
	size_t cap = LISTENING_BATCH * QUOTED_MAX + 1;
	char *sql = malloc(cap);

	if (sql == NULL) {
		failed(l, "", "no memory");
		return;
	}
	(void)write_changes(l, sql, cap);
	ask(l, sql);
	free(sql);
}

/* All that was listened to is again: who listens is told that something may be missing. */
static void tell_lost(struct listening *l)
{
	char db[NAME_LEN * 4];

	l->is_lost = false;
	log_info(l->of->env->shared->log, "listening again", "db=%s node=%u channels=%u",
		log_q(db, sizeof db, l->database), l->node, l->channels.n_items);
	listening_tell(l, workers_of(l), LISTENING_LOST, "");
}

void listening_look(struct listening *l)
{
	char marker[128];

	if (l->state != LISTENING_READY)
		return;
	if (!list_is_empty(&l->changes)) {
		ask_changes(l);
		return;
	}
	if (l->is_lost)
		tell_lost(l);
	if (marking_is_due(l, marker, sizeof marker))
		ask(l, marker);
	else if (awaits_barrier(l))
		ask(l, "SELECT 1");
	else
		env_timer(l->of->env, &l->timer, LISTENING_BEAT_US);
}

static void on_ready(void *arg)
{
	struct listening *l = arg;

	l->state = LISTENING_READY;
	if (pq_server_version(l->pq) >= 140000)
		ask(l, "SET idle_session_timeout = 0");
	else
		listening_look(l);
}

static void on_row(void *arg, const struct pq_result *r)
{
	(void)arg;
	(void)r;
}

static void changes_done(struct listening *l)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &l->all) {
		struct channel *ch = list_entry(it, struct channel, link);

		if (!ch->is_asked)
			continue;
		ch->is_asked = false;
		channel_turn(l, ch, !ch->is_on);
		if (ch->is_on)
			listening_tell(l, ch->workers, LISTENING_ON, ch->name);
		listening_look_channel(l, ch);
	}
}

static void on_done(void *arg, const struct pq_result *r)
{
	struct listening *l = arg;

	if (l->mark.is_asked) {
		marking_answered(l, pq_result_error(r));
	} else if (!pq_result_ok(r)) {
		failed(l, pq_result_sqlstate(r), pq_result_error(r));
		return;
	}
	l->rest_us = LISTENING_REST_MIN_US;
	l->told = false;
	changes_done(l);
	pass_barriers(l, true);
	l->state = LISTENING_READY;
	listening_look(l);
}

static void on_failed(void *arg, const struct pq_failure *f)
{
	failed(arg, f->sqlstate, f->text);
}

/* The message for clients, whole. */
static void put_message(struct tell_notified *t, const struct pq_notice *n)
{
	struct wr out = wr_of(t->message, t->len);

	wr_u8(&out, 'A');
	wr_u32(&out, t->len - 1);
	wr_u32(&out, t->pid);
	wr_cstr(&out, n->channel);
	wr_cstr(&out, n->payload);
	PANIC_IF(out.bad || out.len != t->len);
}

static void on_notify(void *arg, const struct pq_notice *n)
{
	struct listening *l = arg;
	struct shared *sh = l->of->env->shared;
	struct channel *ch = listening_channel(l, n->channel);
	size_t len = 1 + 4 + 4 + strlen(n->channel) + 1 + strlen(n->payload) + 1;
	uint32_t pid = backends_get(&sh->backends, l->node, n->pid);
	uint64_t number, workers;

	marking_heard(l, n->channel, n->payload);
	number = ch != NULL ? marking_number(l, ch, len) : 0;
	workers = ch != NULL ? marking_workers(l, ch) : 0;
	l->received++;
	atomic_fetch_add_explicit(&sh->notify.received, 1, memory_order_relaxed);
	for (uint32_t i = 0; i < WORKERS_MAX; i++) {
		struct tell_notified *t;

		if ((workers >> i & 1u) == 0)
			continue;
		t = tell_new(sizeof *t + len, TELL_NOTIFIED);
		if (t == NULL) {
			failed(l, "", "no memory"); /* and its clients are told */
			return;
		}
		memcpy(t->database, l->database, sizeof t->database);
		text_copy(t->channel, sizeof t->channel, n->channel);
		t->number = number;
		t->pid = pid != 0 ? pid : n->pid;
		t->is_ascii = text_is_ascii(n->channel) && text_is_ascii(n->payload);
		t->len = (uint32_t)len;
		put_message(t, n);
		post(l, i, &t->mail);
	}
}

static const struct pq_ops listening_ops = {
	.on_ready = on_ready,
	.on_row = on_row,
	.on_done = on_done,
	.on_notify = on_notify,
	.on_failed = on_failed,
};

/* Where it has to listen now: the primary, or the only node. NULL: there is none. */
static const struct conf_node *node_for(const struct listening *l, const struct conf_db *db)
{
	const struct env *env = l->of->env;
	const struct topo_cluster *c;

	if (db == NULL)
		return NULL;
	if (!db->routing)
		return db->n_nodes == 1 ? db->nodes[0].node : NULL;
	c = topology_cluster(env_topology(env), (uint16_t)db->cluster_id);
	if (c == NULL || c->primary == TOPO_NONE)
		return NULL;
	return env_conf(env)->node_by_id[c->primary];
}

static uint64_t login_hash(
	const struct listening *l, const struct conf_db *db, const struct conf_node *node)
{
	const struct conf_cluster login = {.db = db};
	const char *dbname = conf_dbname(db, l->database);

	return target_hash(l->of->env, &login, node) ^ hash_of(l, dbname);
}

static void listening_connect(struct listening *l)
{
	struct env *env = l->of->env;
	const struct conf_db *db = conf_find_db(env_conf(env), l->database);
	const struct conf_node *node = node_for(l, db);
	const struct conf_cluster login = {.db = db};
	uint64_t timeout_us = env_conf(env)->node_timeout_us;
	struct target t;

	if (node == NULL) { /* the topology's change brings one; else a reload */
		env_timer(env, &l->timer, LISTENING_REST_MAX_US);
		return;
	}
	l->node = node->id;
	l->login_hash = login_hash(l, db, node);
	if (target_make(env, &login, node, l->try_no, conf_dbname(db, l->database), &t) != OK) {
		failed(l, "", t.error);
		return;
	}
	t.pq.statement_timeout_us = timeout_us;
	t.pq.application = LISTENING_APPLICATION;
	l->state = LISTENING_LOGIN;
	if (pq_connect(env, &t.pq, timeout_us, &listening_ops, l, &l->pq) != OK)
		failed(l, "", "no memory, or a helper is busy with it");
}

static void listening_free(struct listening *l)
{
	struct list *it, *tmp;

	pq_free(l->pq);
	wheel_del(&l->of->env->wheel, &l->timer);
	list_foreach_safe (it, tmp, &l->all)
		channel_free(l, list_entry(it, struct channel, link));
	map_fini(&l->channels);
	list_del(&l->link);
	l->of->n--;
	free(l);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct listening *l = list_entry(t, struct listening, timer);

	(void)ctx;
	if (list_is_empty(&l->all) && !awaits_barrier(l))
		listening_free(l); /* nobody has needed it for a while */
	else if (l->state == LISTENING_RESTING)
		listening_connect(l);
	else if (l->state == LISTENING_READY)
		ask(l, "SELECT 1"); /* does it still answer? */
}

/* --- interface --- */

struct listening *listening_find(struct listenings *ls, const char *database)
{
	struct list *it;

	list_foreach (it, &ls->all)
		if (strcmp(list_entry(it, struct listening, link)->database, database) == 0)
			return list_entry(it, struct listening, link);
	return NULL;
}

static struct listening *listening_new(struct listenings *ls, const char *database)
{
	struct listening *l;

	if (ls->n >= LISTENING_MAX || (l = calloc(1, sizeof *l)) == NULL)
		return NULL;
	l->of = ls;
	text_copy(l->database, sizeof l->database, database);
	l->state = LISTENING_RESTING;
	l->rest_us = LISTENING_REST_MIN_US;
	wheel_timer_init(&l->timer, on_timer);
	map_init(&l->channels);
	list_init(&l->all);
	list_init(&l->changes);
	list_push_back(&ls->all, &l->link);
	ls->n++;
	env_timer(ls->env, &l->timer, 0);
	return l;
}

struct listening *listening_get(struct listenings *ls, const char *database)
{
	struct listening *l = listening_find(ls, database);

	return l != NULL ? l : listening_new(ls, database);
}

static struct channel *channel_get(struct listening *l, const char *name)
{
	struct channel *ch = listening_channel(l, name);

	return ch != NULL ? ch : channel_new(l, name);
}

struct channel *listening_hold(struct listening *l, const char *name)
{
	struct channel *ch = channel_get(l, name);

	if (ch == NULL)
		return NULL;
	ch->is_held = true;
	listening_look_channel(l, ch);
	return ch;
}

/* Without memory the worker's unit waits in vain, and pins. */
static void want(struct listenings *ls, const struct ask_listen *a)
{
	struct listening *l = listening_get(ls, a->database);
	struct channel *ch = l != NULL ? channel_get(l, a->channel) : NULL;

	if (ch == NULL)
		return;
	ch->workers |= 1ull << a->worker;
	if (ch->is_on && !ch->is_asked)
		listening_tell(l, 1ull << a->worker, LISTENING_ON, ch->name);
	listening_look_channel(l, ch);
	listening_look(l);
}

static void leave(struct listenings *ls, const struct ask_listen *a)
{
	struct listening *l = listening_find(ls, a->database);
	struct channel *ch = l != NULL ? listening_channel(l, a->channel) : NULL;

	if (ch == NULL)
		return;
	ch->workers &= ~(1ull << a->worker);
	ch->marked &= ~(1ull << a->worker);
	listening_look_channel(l, ch);
	listening_look(l);
}

void listenings_take(struct listenings *ls, struct ask_listen *a)
{
	if (a->wanted)
		want(ls, a);
	else
		leave(ls, a);
	free(a);
}

void listenings_take_barrier(struct listenings *ls, struct ask_barrier *a)
{
	struct listening *l = listening_find(ls, a->database);

	if (l == NULL) { /* nothing listens: there is nothing to wait for */
		a->mail.kind = TELL_BARRIER;
		mailbox_post(&ls->env->shared->workers[a->worker].mailbox, &a->mail);
		return;
	}
	l->barriers[a->worker].asked = a->number;
	if (l->state == LISTENING_RESTING || l->state == LISTENING_LOGIN)
		pass_barriers(l, false);
	else
		listening_look(l);
	free(a);
}

/* Is what it is connected to what it is to be connected to? */
static void check(struct listening *l)
{
	const struct conf_db *db = conf_find_db(env_conf(l->of->env), l->database);
	const struct conf_node *node = node_for(l, db);

	if (l->state != LISTENING_RESTING && node != NULL && node->id == l->node &&
		login_hash(l, db, node) == l->login_hash)
		return;
	if (l->state != LISTENING_RESTING && node == NULL && db != NULL)
		return; /* no primary for now: what there is may still be it */
	l->rest_us = LISTENING_REST_MIN_US;
	rest(l, 0);
}

void listenings_conf_changed(struct listenings *ls)
{
	struct list *it;

	list_foreach (it, &ls->all)
		check(list_entry(it, struct listening, link));
}

void listenings_primary_changed(struct listenings *ls)
{
	listenings_conf_changed(ls);
}

bool listenings_next(const struct listenings *ls, size_t *pos, struct listening_row *out)
{
	static const char *const words[] = {
		[LISTENING_RESTING] = "waiting",
		[LISTENING_LOGIN] = "login",
		[LISTENING_READY] = "ready",
		[LISTENING_ASKED] = "ready",
	};
	struct list *it;
	size_t i = 0;

	list_foreach (it, &ls->all) {
		const struct listening *l = list_entry(it, struct listening, link);

		if (i++ != *pos)
			continue;
		*pos = i;
		*out = (struct listening_row){.database = l->database,
			.state = words[l->state],
			.node = l->pq != NULL ? (int32_t)l->node : -1,
			.channels = l->channels.n_items,
			.received = l->received,
			.losses = l->losses};
		return true;
	}
	return false;
}

enum status listenings_new(struct env *env, struct listenings **out)
{
	struct listenings *ls = calloc(1, sizeof *ls);

	if (ls == NULL)
		return E_NOMEM;
	ls->env = env;
	list_init(&ls->all);
	marking_init(ls);
	*out = ls;
	return OK;
}

void listenings_free(struct listenings *ls)
{
	struct list *it, *tmp;

	if (ls == NULL)
		return;
	marking_end(ls);
	list_foreach_safe (it, tmp, &ls->all)
		listening_free(list_entry(it, struct listening, link));
	free(ls);
}
