#include "control/auth_query.h"

#include <stdlib.h>
#include <string.h>

#include "auth/users.h"
#include "base/text.h"
#include "conf/conf.h"
#include "conf/effective.h"
#include "control/pq.h"
#include "control/target.h"
#include "proto/sqlstate.h"
#include "route/topology.h"

#define RETRY_US      200000u  /* when all nodes were tried in vain */
#define REFUSED_US    1000000u /* for so long a refused login of auth_user answers for itself */
#define LOOKUP_TRIES  2u       /* connections that may be lost under a lookup */
#define QUERY_COLUMNS 2u       /* name, secret */

enum lookup_state {
	LOOKUP_QUEUED,  /* waits for a connection of its source */
	LOOKUP_RUNNING, /* is asked for */
	LOOKUP_KNOWN,   /* answered */
};

/* One user of a source. */
struct lookup {
	struct list link; /* the source's queue; known ones: the module's, newest first */
	struct source *source;
	enum lookup_state state;
	uint64_t hash;
	char user[NAME_LEN];
	struct mail *waiters;     /* struct ask_secret */
	struct wheel_timer timer; /* its deadline; of a known one: the end of its lifetime */
	struct asker *asker;      /* while running */
	unsigned n_lost;          /* connections, under it */
	uint64_t serial, since_us;
	bool found;
	char *secret; /* owned; NULL: none */
};

/* Where lookups go: all that share database, auth_user and query. */
struct source {
	struct list link;
	struct auth_query *of;
	char database[NAME_LEN]; /* as a client would ask for it */
	char user[NAME_LEN];
	char *sql;
	struct list queue;
	struct list askers;
	uint32_t n_askers, n_lookups;
	bool connecting;
	uint32_t try_no;          /* which node is next; 0: the primary, if one is known */
	struct wheel_timer kick;  /* look for work: never from inside a connection's callback */
	struct wheel_timer retry; /* no new connection before it */
	uint64_t refused_until_us;
	char sqlstate[6], error[PQ_TEXT_MAX]; /* of the last connection that failed */
	struct auth_usual usual;              /* secrets, as far as they have come by */
};

enum asker_state { ASKER_CONNECTING, ASKER_IDLE, ASKER_ASKED };

/* One connection. */
struct asker {
	struct list link;
	struct source *source;
	enum asker_state state;
	bool outdated; /* goes when it is idle */
	struct pq *pq;
	struct lookup *lookup; /* while asked */
	unsigned n_rows;
	const char *wrong;       /* with the answer; fixed words */
	struct wheel_timer idle; /* when it is over */
};

struct auth_query {
	struct env *env;
	struct map lookups;
	struct list known;
	struct list sources;
	uint32_t n_known, n_sources, n_askers;
	uint64_t serial;
};

static void source_kick(struct source *s)
{
	if (!wheel_is_armed(&s->kick))
		env_timer(s->of->env, &s->kick, 0);
}

/* --- answers --- */

static void ask_free(struct ask_secret *ask)
{
	explicit_bzero(ask, sizeof *ask);
	free(ask);
}

static void answer(struct auth_query *q, struct ask_secret *ask, enum status st)
{
	ask->status = st;
	ask->mail.kind = TELL_SECRET;
	mailbox_post(&q->env->shared->workers[ask->worker].mailbox, &ask->mail);
}

static void answer_failed(
	struct auth_query *q, struct ask_secret *ask, const char *sqlstate, const char *text)
{
	atomic_fetch_add(&q->env->shared->logins[LOGINS_AUTH_QUERY_FAILED], 1);
	text_copy(ask->sqlstate, sizeof ask->sqlstate, sqlstate);
	text_copy(ask->error, sizeof ask->error, text);
	answer(q, ask, E_IO);
}

static void answer_known(const struct lookup *l, struct ask_secret *ask)
{
	ask->serial = l->serial;
	ask->usual = l->source->usual;
	if (l->found)
		text_copy(ask->secret, sizeof ask->secret, l->secret);
	answer(l->source->of, ask, l->found ? OK : E_NOTFOUND);
}

/* The next one that waits for it; NULL: none is left. */
static struct ask_secret *take_waiter(struct lookup *l)
{
	struct mail *m = l->waiters;

	if (m != NULL)
		l->waiters = m->next;
	return (struct ask_secret *)m; /* `mail` is its first member */
}

static void add_waiter(struct lookup *l, struct ask_secret *ask)
{
	ask->mail.next = l->waiters;
	l->waiters = &ask->mail;
}

/* --- lookups --- */

static void forget_secret(struct lookup *l)
{
	secret_free(l->secret);
	l->secret = NULL;
}

/* It has no waiters and no connection any more. */
static void lookup_free(struct lookup *l)
{
	struct auth_query *q = l->source->of;

	PANIC_IF(l->waiters != NULL || l->asker != NULL);
	if (l->state == LOOKUP_KNOWN)
		q->n_known--;
	wheel_del(&q->env->wheel, &l->timer);
	list_del(&l->link);
	map_remove(&q->lookups, l->hash, l);
	l->source->n_lookups--;
	forget_secret(l);
	free(l);
}

static void lookup_failed(struct lookup *l, const char *sqlstate, const char *text)
{
	struct auth_query *q = l->source->of;
	struct ask_secret *ask;
	char user[NAME_LEN * 4], db[NAME_LEN * 4], reason[PQ_TEXT_MAX * 2];

	log_warn(q->env->shared->log, "auth_query failed",
		"user=%s db=%s auth_user=%s sqlstate=%s reason=%s",
		log_q(user, sizeof user, l->user), log_q(db, sizeof db, l->source->database),
		l->source->user, *sqlstate != '\0' ? sqlstate : "-",
		log_q(reason, sizeof reason, text));
	while ((ask = take_waiter(l)) != NULL)
		answer_failed(q, ask, sqlstate, text);
	lookup_free(l);
}

static void note_usual(struct source *s, const char *secret)
{
	struct scram_verifier v;

	switch (secret_kind_of(secret)) {
	case SECRET_MD5:
		s->usual.md5 = true;
		return;
	case SECRET_SCRAM:
		if (scram_verifier_read(secret, &v) == OK)
			s->usual = (struct auth_usual){.iterations = v.salt.iterations};
		return;
	case SECRET_NONE:
	case SECRET_PLAIN:
		return;
	}
}

static void lookup_known(struct lookup *l)
{
	struct auth_query *q = l->source->of;
	uint64_t lifetime_us = env_conf(q->env)->auth_query_lifetime_us;
	struct ask_secret *ask;

	l->state = LOOKUP_KNOWN;
	l->serial = ++q->serial;
	l->since_us = env_now_us(q->env);
	q->n_known++;
	if (l->found)
		note_usual(l->source, l->secret);
	while ((ask = take_waiter(l)) != NULL)
		answer_known(l, ask);
	list_push_front(&q->known, &l->link);
	if (lifetime_us == 0)
		lookup_free(l);
	else
		env_timer(q->env, &l->timer, lifetime_us);
	if (q->n_known > AUTH_QUERY_KNOWN_MAX)
		lookup_free(list_entry(q->known.prev, struct lookup, link));
}

static void asker_free(struct asker *a);

static void on_lookup_timer(void *ctx, struct wheel_timer *t)
{
	struct lookup *l = list_entry(t, struct lookup, timer);
	struct source *s = l->source;

	(void)ctx;
	if (l->state == LOOKUP_KNOWN) {
		lookup_free(l);
		return;
	}
	if (l->asker != NULL) {
		asker_free(l->asker);
		s->error[0] = '\0';
	}
	lookup_failed(l, s->error[0] != '\0' ? s->sqlstate : "",
		s->error[0] != '\0' ? s->error : "no answer in auth_query_timeout");
	source_kick(s);
}

static struct lookup *lookup_new(struct source *s, uint64_t hash, const char *user)
{
	struct lookup *l = calloc(1, sizeof *l);

	if (l == NULL || map_insert(&s->of->lookups, hash, l) != OK) {
		free(l);
		return NULL;
	}
	l->source = s;
	l->hash = hash;
	text_copy(l->user, sizeof l->user, user);
	wheel_timer_init(&l->timer, on_lookup_timer);
	list_push_back(&s->queue, &l->link);
	s->n_lookups++;
	env_timer(s->of->env, &l->timer, env_conf(s->of->env)->auth_query_timeout_us);
	return l;
}

/* Its connection is lost, or cannot be used: another may have it. */
static void lookup_requeue(struct lookup *l)
{
	l->state = LOOKUP_QUEUED;
	list_push_front(&l->source->queue, &l->link);
	source_kick(l->source);
}

/* --- connections --- */

/* The lookup that it was asked for is its caller's to go on with. */
static void asker_free(struct asker *a)
{
	struct source *s = a->source;

	if (a->state == ASKER_CONNECTING)
		s->connecting = false;
	if (a->lookup != NULL)
		a->lookup->asker = NULL;
	wheel_del(&s->of->env->wheel, &a->idle);
	list_del(&a->link);
	s->n_askers--;
	s->of->n_askers--;
	pq_free(a->pq);
	free(a);
}

static void source_fail(struct source *s, const char *sqlstate, const char *text)
{
	while (!list_is_empty(&s->queue))
		lookup_failed(list_entry(s->queue.next, struct lookup, link), sqlstate, text);
}

static void asker_idles(struct asker *a)
{
	source_kick(a->source);
	if (a->outdated) {
		asker_free(a);
		return;
	}
	a->state = ASKER_IDLE;
	env_timer(a->source->of->env, &a->idle, AUTH_QUERY_IDLE_US);
}

static void on_asker_idle(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	asker_free(list_entry(t, struct asker, idle));
}

static void on_ready(void *arg)
{
	struct asker *a = arg;

	a->source->connecting = false;
	a->source->try_no = 0;
	a->source->error[0] = '\0';
	asker_idles(a);
}

static void on_row(void *arg, const struct pq_result *r)
{
	struct asker *a = arg;
	struct lookup *l = a->lookup;
	const char *name = pq_result_value(r, 0), *secret = pq_result_value(r, 1);

	if (++a->n_rows > 1 || name == NULL || strcmp(name, l->user) != 0)
		return;
	if (secret != NULL && strlen(secret) > AUTH_SECRET_MAX) {
		a->wrong = "the secret has more than 1023 bytes";
		return;
	}
	forget_secret(l);
	l->secret = strdup(secret != NULL ? secret : "");
	l->found = l->secret != NULL;
	if (!l->found)
		a->wrong = "no memory";
}

static void on_done(void *arg, const struct pq_result *r)
{
	struct asker *a = arg;
	struct lookup *l = a->lookup;

	a->lookup = NULL;
	l->asker = NULL;
	if (!pq_result_ok(r))
		lookup_failed(l, pq_result_sqlstate(r), pq_result_error(r));
	else if (pq_result_columns(r) < QUERY_COLUMNS)
		lookup_failed(l, "", "it has to answer with two columns: name and secret");
	else if (a->n_rows > 1)
		lookup_failed(l, "", "it answered with several rows");
	else if (a->wrong != NULL)
		lookup_failed(l, "", a->wrong);
	else
		lookup_known(l);
	asker_idles(a);
}

/* Another login would be refused in the same way: wrong password, no such database and the like. */
static bool is_for_good(const struct pq_failure *f)
{
	return f->kind == PQ_FAILED_REFUSED &&
	       (strncmp(f->sqlstate, "28", 2) == 0 || strncmp(f->sqlstate, "3D", 2) == 0 ||
		       strncmp(f->sqlstate, "42", 2) == 0);
}

static uint32_t n_nodes(const struct source *s)
{
	const struct conf_db *db = conf_find_db(env_conf(s->of->env), s->database);

	return db != NULL ? (uint32_t)db->n_nodes : 0;
}

/* A connection could not be made: the next node's turn, or, when all had theirs, a pause. */
static void source_again(struct source *s, const struct pq_failure *f)
{
	struct env *env = s->of->env;
	bool all = ++s->try_no >= n_nodes(s);

	text_copy(s->sqlstate, sizeof s->sqlstate, f->sqlstate);
	text_copy(s->error, sizeof s->error, f->text);
	if (!all) {
		source_kick(s);
		return;
	}
	s->try_no = 0;
	if (!is_for_good(f)) {
		env_timer(env, &s->retry, RETRY_US);
		return;
	}
	s->refused_until_us = env_now_us(env) + REFUSED_US;
	source_fail(s, s->sqlstate, s->error);
}

static void on_failed(void *arg, const struct pq_failure *f)
{
	struct asker *a = arg;
	struct source *s = a->source;
	struct lookup *l = a->lookup;
	bool connecting = a->state == ASKER_CONNECTING;

	asker_free(a);
	if (l != NULL && ++l->n_lost >= LOOKUP_TRIES)
		lookup_failed(l, f->sqlstate, f->text);
	else if (l != NULL)
		lookup_requeue(l);
	if (connecting)
		source_again(s, f);
}

static const struct pq_ops asker_ops = {
	.on_ready = on_ready,
	.on_row = on_row,
	.on_done = on_done,
	.on_failed = on_failed,
};

/* The primary; else, and at later tries, one node after the other, those that are down last. */
static const struct conf_node *node_of(const struct source *s, const struct conf_db *db)
{
	const struct env *env = s->of->env;
	const struct topology *topo = env_topology(env);
	uint16_t primary = TOPO_NONE;
	const struct conf_node *node;

	if (!db->routing)
		return db->nodes[s->try_no % db->n_nodes].node;
	primary = topology_cluster_at(topo, (uint16_t)db->cluster_id)->primary;
	if (s->try_no == 0 && primary != TOPO_NONE && env_conf(env)->node_by_id[primary] != NULL)
		return env_conf(env)->node_by_id[primary];
	for (size_t i = 0; i < db->n_nodes; i++) {
		node = db->nodes[(s->try_no + i) % db->n_nodes].node;
		if (topology_node_at(topo, (uint16_t)node->id)->health == TOPO_UP)
			return node;
	}
	return db->nodes[s->try_no % db->n_nodes].node;
}

static const char *password_of(const struct source *s, const struct conf_db *db)
{
	if (strcmp(db->user, s->user) == 0 && *db->password != '\0')
		return db->password;
	return target_listed_password(s->of->env, s->user);
}

/* Half of what a lookup has: so another node can have its turn. */
static uint64_t step_us(const struct env *env)
{
	return env_conf(env)->auth_query_timeout_us / 2;
}

static enum status asker_connect(struct asker *a, const struct pq_target *t)
{
	struct source *s = a->source;
	enum status st = pq_connect(s->of->env, t, step_us(s->of->env), &asker_ops, a, &a->pq);

	if (st != OK)
		return st;
	list_push_back(&s->askers, &a->link);
	s->n_askers++;
	s->of->n_askers++;
	s->connecting = true;
	return OK;
}

static void source_connect(struct source *s)
{
	struct env *env = s->of->env;
	const struct conf_db *db = conf_find_db(env_conf(env), s->database);
	struct target_who who = {.user = s->user};
	struct pq_failure failure = {.kind = PQ_FAILED_LOCAL};
	struct target t;
	struct asker *a;

	if (db == NULL) {
		source_fail(s, SQLSTATE_INVALID_CATALOG_NAME,
			"auth_dbname names a database that is not in [databases]");
		return;
	}
	who.dbname = conf_dbname(db, s->database);
	who.password = password_of(s, db);
	a = calloc(1, sizeof *a);
	text_copy(failure.text, sizeof failure.text, "no memory, or a helper is busy with it");
	if (a == NULL) {
		source_again(s, &failure);
		return;
	}
	a->source = s;
	wheel_timer_init(&a->idle, on_asker_idle);
	if (target_make_as(env, node_of(s, db), s->try_no, &who, &t) != OK) {
		text_copy(failure.text, sizeof failure.text, t.error);
	} else {
		t.pq.application = AUTH_QUERY_APPLICATION;
		t.pq.statement_timeout_us = env_conf(env)->auth_query_timeout_us;
		if (asker_connect(a, &t.pq) == OK)
			return;
	}
	free(a);
	source_again(s, &failure);
}

static struct asker *idle_asker(struct source *s)
{
	struct list *it;

	list_foreach (it, &s->askers)
		if (list_entry(it, struct asker, link)->state == ASKER_IDLE)
			return list_entry(it, struct asker, link);
	return NULL;
}

static void asker_ask(struct asker *a, struct lookup *l)
{
	struct env *env = a->source->of->env;

	list_del(&l->link);
	wheel_del(&env->wheel, &a->idle);
	if (pq_query_with(a->pq, a->source->sql, l->user, step_us(env)) != OK) {
		asker_free(a);
		lookup_requeue(l);
		return;
	}
	atomic_fetch_add(&env->shared->logins[LOGINS_AUTH_QUERY_SENT], 1);
	l->state = LOOKUP_RUNNING;
	l->asker = a;
	l->found = false;
	a->state = ASKER_ASKED;
	a->lookup = l;
	a->n_rows = 0;
	a->wrong = NULL;
}

static void on_kick(void *ctx, struct wheel_timer *t)
{
	struct source *s = list_entry(t, struct source, kick);
	struct asker *a;

	(void)ctx;
	while (!list_is_empty(&s->queue) && (a = idle_asker(s)) != NULL)
		asker_ask(a, list_entry(s->queue.next, struct lookup, link));
	if (list_is_empty(&s->queue) || s->connecting || wheel_is_armed(&s->retry) ||
		s->n_askers == AUTH_QUERY_SOURCE_ASKERS)
		return;
	if (s->of->n_askers < AUTH_QUERY_ASKERS_MAX)
		source_connect(s);
	else if (s->n_askers == 0)
		env_timer(s->of->env, &s->retry, RETRY_US);
}

static void on_retry(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	source_kick(list_entry(t, struct source, retry));
}

/* --- sources --- */

static void source_free(struct source *s)
{
	struct auth_query *q = s->of;

	wheel_del(&q->env->wheel, &s->kick);
	wheel_del(&q->env->wheel, &s->retry);
	list_del(&s->link);
	q->n_sources--;
	free(s->sql);
	free(s);
}

/* Those that nobody has used for a while. */
static void tidy(struct auth_query *q)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &q->sources) {
		struct source *s = list_entry(it, struct source, link);

		if (s->n_askers == 0 && s->n_lookups == 0)
			source_free(s);
	}
}

static struct source *source_new(
	struct auth_query *q, const char *database, const char *user, const char *sql)
{
	struct source *s;

	if (q->n_sources >= AUTH_QUERY_SOURCES_MAX)
		tidy(q);
	if (q->n_sources >= AUTH_QUERY_SOURCES_MAX || (s = calloc(1, sizeof *s)) == NULL)
		return NULL;
	s->sql = strdup(sql);
	if (s->sql == NULL) {
		free(s);
		return NULL;
	}
	s->of = q;
	text_copy(s->database, sizeof s->database, database);
	text_copy(s->user, sizeof s->user, user);
	list_init(&s->queue);
	list_init(&s->askers);
	wheel_timer_init(&s->kick, on_kick);
	wheel_timer_init(&s->retry, on_retry);
	list_push_back(&q->sources, &s->link);
	q->n_sources++;
	return s;
}

static struct source *source_get(
	struct auth_query *q, const char *database, const char *user, const char *sql)
{
	struct list *it;

	list_foreach (it, &q->sources) {
		struct source *s = list_entry(it, struct source, link);

		if (strcmp(s->database, database) == 0 && strcmp(s->user, user) == 0 &&
			strcmp(s->sql, sql) == 0)
			return s;
	}
	return source_new(q, database, user, sql);
}

/* --- asks --- */

struct lookup_key {
	const struct source *source;
	const char *user;
};

static bool lookup_is(const void *item, const void *key)
{
	const struct lookup *l = item;
	const struct lookup_key *k = key;

	return l->source == k->source && strcmp(l->user, k->user) == 0;
}

static struct lookup *lookup_find(const struct source *s, uint64_t hash, const char *user)
{
	struct lookup_key key = {s, user};

	return map_find(&s->of->lookups, hash, lookup_is, &key);
}

/* A proof has failed against this answer, and it is not so new that it must still be true. */
static bool is_doubted(const struct lookup *l, const struct ask_secret *ask)
{
	return l->state == LOOKUP_KNOWN && ask->want != SECRET_WANT_ANY &&
	       ask->serial == l->serial &&
	       env_now_us(l->source->of->env) >= l->since_us + AUTH_QUERY_AGAIN_US;
}

static void take(struct source *s, struct ask_secret *ask)
{
	struct auth_query *q = s->of;
	uint64_t hash =
		hash_bytes(&q->env->shared->hash_key, ask->user, strlen(ask->user)) ^ (uintptr_t)s;
	struct lookup *l = lookup_find(s, hash, ask->user);

	if (l != NULL && is_doubted(l, ask)) {
		lookup_free(l);
		l = NULL;
	}
	if (ask->want == SECRET_WANT_NONE) {
		ask_free(ask);
		return;
	}
	if (l == NULL && env_now_us(q->env) < s->refused_until_us) {
		answer_failed(q, ask, s->sqlstate, s->error);
		return;
	}
	if (l == NULL && (l = lookup_new(s, hash, ask->user)) == NULL) {
		answer_failed(q, ask, SQLSTATE_OUT_OF_MEMORY, "no memory");
		return;
	}
	if (l->state == LOOKUP_KNOWN) {
		atomic_fetch_add(&q->env->shared->logins[LOGINS_AUTH_QUERY_CACHED], 1);
		answer_known(l, ask);
		return;
	}
	add_waiter(l, ask);
	source_kick(s);
}

void auth_query_take(struct auth_query *q, struct ask_secret *ask)
{
	const struct conf *conf = env_conf(q->env);
	const struct conf_db *db = ask->is_console ? NULL : conf_find_db(conf, ask->database);
	const char *database, *user;
	struct source *s;

	PANIC_IF(ask->worker >= q->env->shared->n_workers);
	user = conf_auth_user(conf, db);
	database = conf_auth_dbname(conf, db, ask->database);
	if ((db == NULL && !ask->is_console) || *user == '\0' || *database == '\0') {
		answer(q, ask, E_NOTFOUND); /* a reload has come in between */
		return;
	}
	s = source_get(q, database, user, conf_auth_query(conf, db));
	if (s != NULL)
		take(s, ask);
	else
		answer_failed(
			q, ask, SQLSTATE_INSUFFICIENT_RESOURCES, "too many databases at once");
}

/* --- changes --- */

static void retire_askers(struct source *s)
{
	struct list *it, *tmp;

	list_foreach_safe (it, tmp, &s->askers) {
		struct asker *a = list_entry(it, struct asker, link);

		a->outdated = true;
		if (a->state == ASKER_IDLE)
			asker_free(a);
	}
	s->try_no = 0;
	s->refused_until_us = 0;
	source_kick(s);
}

static void forget_known(struct auth_query *q)
{
	while (!list_is_empty(&q->known))
		lookup_free(list_entry(q->known.next, struct lookup, link));
}

void auth_query_primary_changed(struct auth_query *q)
{
	struct list *it;

	list_foreach (it, &q->sources)
		retire_askers(list_entry(it, struct source, link));
}

void auth_query_conf_changed(struct auth_query *q)
{
	forget_known(q);
	auth_query_primary_changed(q);
	tidy(q);
}

/* --- life --- */

enum status auth_query_new(struct env *env, struct auth_query **out)
{
	struct auth_query *q = calloc(1, sizeof *q);

	if (q == NULL)
		return E_NOMEM;
	q->env = env;
	map_init(&q->lookups);
	list_init(&q->known);
	list_init(&q->sources);
	*out = q;
	return OK;
}

static void drop_lookup(struct lookup *l)
{
	struct ask_secret *ask;

	while ((ask = take_waiter(l)) != NULL)
		ask_free(ask);
	lookup_free(l);
}

/* The workers are gone: nobody waits any more. */
static void source_drop(struct source *s)
{
	while (!list_is_empty(&s->askers)) {
		struct asker *a = list_entry(s->askers.next, struct asker, link);
		struct lookup *l = a->lookup;

		asker_free(a);
		if (l != NULL)
			lookup_requeue(l);
	}
	while (!list_is_empty(&s->queue))
		drop_lookup(list_entry(s->queue.next, struct lookup, link));
	source_free(s);
}

void auth_query_free(struct auth_query *q)
{
	if (q == NULL)
		return;
	forget_known(q);
	while (!list_is_empty(&q->sources))
		source_drop(list_entry(q->sources.next, struct source, link));
	map_fini(&q->lookups);
	free(q);
}
