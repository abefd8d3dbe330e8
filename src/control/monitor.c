#include "control/monitor.h"

#include <stdlib.h>
#include <string.h>

#include "auth/users.h"
#include "base/text.h"
#include "conf/advice.h"
#include "conf/conf.h"
#include "conf/effective.h"
#include "control/judgement.h"
#include "control/lag_log.h"
#include "control/pq.h"
#include "control/probe.h"
#include "control/target.h"
#include "route/roles.h"

#define RETELL_US (60u * 1000u * 1000u) /* a lasting refusal is told again after this */

enum watch_state {
	WATCH_RESTING,     /* no connection; the timer starts one */
	WATCH_CONNECTING,  /* logging in */
	WATCH_IDENTIFYING, /* asked who it is */
	WATCH_READY,       /* the timer asks for the next sample */
	WATCH_SAMPLING,    /* asked for a sample */
	WATCH_BLIND,       /* asked for its role alone, since it refuses the rest */
};

/* One node. */
struct watch {
	struct monitor *m;
	uint32_t node, cluster;
	uint64_t login_hash;
	enum watch_state state;
	struct wheel_timer timer;
	struct pq *pq;
	struct roles_answer answer; /* its identity part lasts as long as the connection */
	enum status read;           /* of the answer's row; E_AGAIN: none has come */
	bool hidden, hidden_told;
	bool blind, blind_told; /* it refuses the LSN functions, on this connection */
	uint32_t try_no;
	char hostaddr[NET_ADDR_TEXT_MAX]; /* where the connection leads; "": a unix socket */
	uint64_t rest_us;                 /* the next back-off */
	uint64_t started_us;              /* the last attempt or sample */
	uint64_t told_us;    /* the last refusal in the log; 0: none since it answered */
	uint64_t told_wants; /* of the log's last line on its connections */
	uint32_t told_has;
};

struct monitor {
	struct env *env;
	const struct monitor_ops *ops;
	void *arg;
	struct roles *roles; /* NULL before the first configuration */
	struct watch *watches[NODES_MAX];
	struct wheel_timer publish; /* at the turn's end, once for all that it brought */
	struct wheel_timer tick;
	uint64_t fast_until_us[CLUSTERS_MAX];
	uint64_t sampled[CLUSTERS_MAX]; /* number of the last sample of a primary */
	struct lag_log lag_log;
	unsigned changed[CLUSTERS_MAX]; /* ROLES_* bits since the last publication */
};

static void watch_connect(struct watch *n);
static void watch_sample(struct watch *n);

static const struct conf_node *node_of(const struct watch *n)
{
	return env_conf(n->m->env)->node_by_id[n->node];
}

static const struct conf_cluster *cluster_of(const struct watch *n)
{
	return env_conf(n->m->env)->cluster_by_id[n->cluster];
}

/* --- publication --- */

static void mark_changed(struct monitor *m, uint32_t cluster, unsigned bits)
{
	m->changed[cluster] |= bits;
	if (!wheel_is_armed(&m->publish))
		env_timer(m->env, &m->publish, 0);
}

/* What the old one has acknowledged since the new one was promoted is lost, but for PostgreSQL's
 * own synchronous replication: so long it may have been, and is. */
static void tell_doubles(struct monitor *m, uint32_t cluster, const struct topo_cluster *was,
	const struct topo_cluster *is)
{
	struct log *log = m->env->shared->log;

	if (is->doubles.promotions != was->doubles.promotions)
		log_warn(log, "a replica was promoted",
			"cluster=%u timeline=%u unseen_ms=%llu hint=\"so long at most writes may "
			"have "
			"gone to the old primary\"",
			cluster, is->timeline_max,
			(unsigned long long)(is->doubles.last_unseen_us / 1000u));
	if (is->doubles.since_us != 0 && was->doubles.since_us == 0)
		log_warn(log, "more than one primary", "cluster=%u primaries=%u", cluster,
			is->doubles.n_primaries);
	if (is->doubles.since_us == 0 && was->doubles.since_us != 0)
		log_info(log, "one primary at most again", "cluster=%u lasted_ms=%llu", cluster,
			(unsigned long long)((is->doubles.us - was->doubles.us) / 1000u));
}

/* Why the node is the primary; was: its cluster before, NULL: none. */
static const char *why_primary(
	const struct topo_node *n, const struct topo_cluster *was, const struct topo_cluster *is)
{
	if (n->leader == TOPO_LEADER_YES)
		return "Patroni names it the leader";
	if (n->timeline == 0)
		return "it is not in recovery; no timeline is told";
	if (was != NULL && was->timeline_max != 0 && is->timeline_max > was->timeline_max)
		return "it is not in recovery, on a higher timeline than any before";
	return "it is not in recovery, on the highest timeline";
}

/* Why the node that was the primary is none. */
static const char *why_no_primary(const struct topo_node *n)
{
	if (n->health != TOPO_UP)
		return n->text;
	return n->role == TOPO_ROLE_REPLICA ? "it is in recovery now" : n->text;
}

static void tell_primary(struct monitor *m, uint32_t cluster, const struct topology *old)
{
	const struct topology *t = env_topology(m->env);
	const struct topo_cluster *c = topology_cluster(t, (uint16_t)cluster);
	const struct topo_cluster *was_c =
		old != NULL ? topology_cluster(old, (uint16_t)cluster) : NULL;
	const struct topo_node *n = c != NULL ? topology_node(t, c->primary) : NULL;
	const struct topo_node *was = was_c != NULL ? topology_node(old, was_c->primary) : NULL;
	const struct topo_node *now = was != NULL ? topology_node(t, was_c->primary) : NULL;
	char name[TOPO_LABEL_MAX * 4], why[TOPO_TEXT_MAX * 2];

	if (n != NULL)
		log_info(m->env->shared->log, "primary found",
			"cluster=%u node=%s timeline=%u reason=\"%s\"", cluster,
			log_q(name, sizeof name, n->label), n->timeline, why_primary(n, was_c, c));
	else if (now != NULL && strcmp(now->label, was->label) == 0)
		log_warn(m->env->shared->log, "cluster has no primary",
			"cluster=%u was=%s reason=%s", cluster,
			log_q(name, sizeof name, now->label),
			log_q(why, sizeof why, why_no_primary(now)));
	else
		log_warn(m->env->shared->log, "cluster has no primary",
			"cluster=%u reason=\"none of its nodes is one\"", cluster);
}

static const char *why_fenced_no_more(const struct topo_node *is, bool is_primary)
{
	if (is->health != TOPO_UP)
		return is->text;
	if (is->role == TOPO_ROLE_REPLICA)
		return "it is in recovery now";
	return is_primary ? "it is the primary now" : "it is the primary, by another name";
}

static const char *why_follows(const struct topo_node *was, const struct topo_node *is)
{
	if (is->follows && is->timeline != was->timeline)
		return "it has gone over to it";
	if (is->follows)
		return was->health != TOPO_UP ? "it answers again" : "its position is told again";
	if (is->health != TOPO_UP)
		return is->text;
	if (is->blind)
		return "no position is told";
	return is->timeline != 0 ? "there is a higher one" : "it does not tell its own";
}

/* What others' answers have changed about a node; its own answers and errors are told with them. */
static void tell_node_change(
	struct monitor *m, const struct topo_node *was, const struct topo_node *is, bool is_primary)
{
	struct log *log = m->env->shared->log;
	char name[TOPO_LABEL_MAX * 4], why[TOPO_TEXT_MAX * 2];

	if (is->fenced == was->fenced && is->follows == was->follows && is->blind == was->blind &&
		is->health == was->health && (is->text[0] == '\0') == (was->text[0] == '\0'))
		return; /* as nearly always, at each sample */
	log_q(name, sizeof name, is->label);
	log_q(why, sizeof why, is->text);
	if (is->fenced && !was->fenced)
		log_warn(log, "node is fenced", "node=%s cluster=%u timeline=%u reason=%s", name,
			is->cluster, is->timeline, why);
	if (!is->fenced && was->fenced)
		log_info(log, "node is fenced no more",
			"node=%s cluster=%u role=%s timeline=%u reason=%s", name, is->cluster,
			topo_role_name((enum topo_role)is->role), is->timeline,
			log_q(why, sizeof why, why_fenced_no_more(is, is_primary)));
	if (is->role == TOPO_ROLE_REPLICA && was->role == TOPO_ROLE_REPLICA &&
		is->follows != was->follows)
		log_info(log,
			is->follows ? "replica follows the primary's timeline"
				    : "replica is not on the primary's timeline",
			"node=%s cluster=%u timeline=%u reason=%s", name, is->cluster, is->timeline,
			log_q(why, sizeof why, why_follows(was, is)));
	log_q(why, sizeof why, is->text);
	if (is->blind != was->blind)
		log_info(log, is->blind ? "node is blind" : "node is blind no more",
			"node=%s cluster=%u reason=%s", name, is->cluster, why);
	if (is->health == TOPO_REFUSED && was->health != TOPO_REFUSED)
		log_warn(log, "node is refused", "node=%s cluster=%u reason=%s", name, is->cluster,
			why);
	else if (is->health == TOPO_DOWN && was->health == TOPO_REFUSED)
		log_warn(log, "node is down", "node=%s cluster=%u reason=%s", name, is->cluster,
			why);
	else if (is->health == TOPO_DOWN && is->answered_us == 0 && was->text[0] == '\0' &&
		 is->text[0] != '\0')
		log_warn(log, "node is down from the start", "node=%s cluster=%u reason=%s", name,
			is->cluster, why);
}

static void tell_changes(struct monitor *m, const struct topology *old, const struct topology *next)
{
	for (uint16_t i = 0; old != NULL && i < next->n_nodes && i < old->n_nodes; i++)
		if (strcmp(old->nodes[i].label, next->nodes[i].label) == 0)
			tell_node_change(m, &old->nodes[i], &next->nodes[i],
				next->clusters[next->nodes[i].cluster].primary == i);
	for (uint16_t i = 0; old != NULL && i < next->n_clusters && i < old->n_clusters; i++)
		if (old->clusters[i].identity == next->clusters[i].identity)
			tell_doubles(m, i, &old->clusters[i], &next->clusters[i]);
}

static void on_publish(void *ctx, struct wheel_timer *t)
{
	struct monitor *m = list_entry(t, struct monitor, publish);
	struct shared *sh = m->env->shared;
	const struct topology *old;
	struct topology *next;
	unsigned bits;

	(void)ctx;
	if (roles_snapshot(m->roles, env_now_us(m->env), &next) != OK) {
		log_error(sh->log, "topology not published", "reason=memory");
		env_timer(m->env, t, MONITOR_REST_MIN_US);
		return;
	}
	old = atomic_exchange(&sh->topology, next);
	tell_changes(m, old, next);
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++)
		if ((m->changed[i] & ROLES_PRIMARY) != 0)
			tell_primary(m, i, old);
	snap_retire(&sh->snap, (void *)(uintptr_t)old, topology_free);
	for (uint32_t i = 0; i < CLUSTERS_MAX; i++) {
		bits = m->changed[i];
		m->changed[i] = 0;
		if (mark_clock_is_awaited(&sh->clock, (uint16_t)i))
			bits |= MONITOR_AWAITED;
		if (bits != 0)
			m->ops->on_change(m->arg, i, bits);
	}
}

/* --- what is told of a node --- */

/* Why the node is up; the snapshot is still the one from before. */
static const char *why_up(const struct watch *n)
{
	const struct topo_node *was = topology_node(env_topology(n->m->env), (uint16_t)n->node);

	if (was == NULL || was->answered_us == 0)
		return "its first answer";
	return was->health == TOPO_REFUSED ? "it is refused no more" : "it answers again";
}

static void tell_answer(struct watch *n, unsigned bits)
{
	struct log *log = n->m->env->shared->log;
	const char *role = n->answer.in_recovery ? "replica" : "primary";
	char name[256], lsn[LSN_TEXT_MAX];

	log_q(name, sizeof name, node_of(n)->name);
	lsn_format(n->answer.lsn, lsn);
	if ((bits & ROLES_NODE_UP) != 0)
		log_info(log, "node is up",
			"node=%s cluster=%u role=%s timeline=%u lsn=%s reason=\"%s\"", name,
			n->cluster, role, n->answer.timeline, lsn, why_up(n));
	else if ((bits & ROLES_NODE_ROLE) != 0)
		log_info(log, "node has another role",
			"node=%s cluster=%u role=%s timeline=%u lsn=%s reason=\"%s\"", name,
			n->cluster, role, n->answer.timeline, lsn,
			n->answer.in_recovery ? "it is in recovery now"
					      : "it is not in recovery any more");
	if ((bits & ROLES_TWO_PRIMARIES) != 0)
		log_error(log, "two primaries", "node=%s cluster=%u timeline=%u", name, n->cluster,
			n->answer.timeline);
	if ((bits & ROLES_OTHER_SYSTEM) != 0)
		log_error(log, "node belongs to another system", "node=%s cluster=%u system=%llu",
			name, n->cluster, (unsigned long long)n->answer.system_id);
	if ((bits & ROLES_IDENTITY) != 0)
		log_warn(log, "cluster is another system now", "cluster=%u system=%llu", n->cluster,
			(unsigned long long)n->answer.system_id);
	if ((bits & ROLES_TIMELINE) != 0)
		log_info(log, "timeline rose", "node=%s cluster=%u timeline=%u reason=\"%s\"", name,
			n->cluster, n->answer.timeline,
			n->answer.in_recovery ? "a replica is on it" : "a primary is on it");
	if (n->hidden && !n->hidden_told) {
		n->hidden_told = true;
		log_warn(log, "monitor cannot see a replica's timeline",
			"node=%s hint=\"grant pg_read_all_stats to the monitor's user\"", name);
	}
}

static void tell_error(
	struct watch *n, enum roles_error e, const struct pq_failure *f, unsigned bits)
{
	struct log *log = n->m->env->shared->log;
	uint64_t now = env_now_us(n->m->env);
	char name[256], text[PQ_TEXT_MAX * 2], user[256];

	log_q(name, sizeof name, node_of(n)->name);
	log_q(text, sizeof text, f->text);
	if ((bits & ROLES_NODE_DOWN) != 0)
		log_warn(log, "node is down", "node=%s cluster=%u sqlstate=%s reason=%s", name,
			n->cluster, *f->sqlstate != '\0' ? f->sqlstate : "-", text);
	if (e == ROLES_ERR_LOGIN && (n->told_us == 0 || now - n->told_us >= RETELL_US)) {
		n->told_us = now;
		log_error(log, "monitor is refused", "node=%s user=%s sqlstate=%s reason=%s", name,
			log_q(user, sizeof user,
				conf_monitor_user(env_conf(n->m->env), cluster_of(n)->db)),
			f->sqlstate, text);
	}
	log_debug(log, "node not reached", "node=%s reason=%s", name, text);
}

/* --- one node --- */

static void watch_rest(struct watch *n, enum roles_error e)
{
	uint64_t max = e == ROLES_ERR_LOGIN ? MONITOR_REFUSED_MAX_US : MONITOR_REST_MAX_US;

	pq_free(n->pq);
	n->pq = NULL;
	n->state = WATCH_RESTING;
	n->try_no++;
	env_timer(n->m->env, &n->timer, n->rest_us);
	n->rest_us = n->rest_us * 2 < max ? n->rest_us * 2 : max;
}

static void watch_failed(struct watch *n, const struct pq_failure *f)
{
	struct monitor *m = n->m;
	enum roles_error e =
		f->kind == PQ_FAILED_TIMEOUT ? ROLES_ERR_TIMEOUT : probe_error_of(f->sqlstate);
	unsigned bits = 0;

	if (f->kind != PQ_FAILED_LOCAL) /* which says nothing about the node */
		bits = roles_node_error(m->roles, (uint16_t)n->node, e, f->text);
	tell_error(n, e, f, bits);
	mark_changed(m, n->cluster, bits);
	watch_rest(n, e);
	if (e == ROLES_ERR_CONNECT || e == ROLES_ERR_TIMEOUT)
		m->ops->on_unreachable(m->arg, n->node);
}

static void watch_failed_text(struct watch *n, enum pq_failure_kind kind, const char *text)
{
	struct pq_failure f = {.kind = kind};

	text_copy(f.text, sizeof f.text, text);
	watch_failed(n, &f);
}

static void watch_ask(struct watch *n, enum watch_state state, const char *sql)
{
	n->state = state;
	n->read = E_AGAIN;
	if (pq_query(n->pq, sql, env_conf(n->m->env)->node_timeout_us) != OK)
		watch_failed_text(n, PQ_FAILED_UNREACHABLE, "the connection broke");
}

static void on_ready(void *arg)
{
	watch_ask(arg, WATCH_IDENTIFYING, probe_identity_sql);
}

static size_t n_columns(enum watch_state state)
{
	if (state == WATCH_IDENTIFYING)
		return PROBE_IDENTITY_COLUMNS;
	return state == WATCH_BLIND ? PROBE_BLIND_COLUMNS : PROBE_SAMPLE_COLUMNS;
}

static void on_row(void *arg, const struct pq_result *r)
{
	struct watch *n = arg;
	const char *values[PROBE_SAMPLE_COLUMNS];

	_Static_assert(PROBE_SAMPLE_COLUMNS >= PROBE_IDENTITY_COLUMNS, "one array serves both");
	_Static_assert(PROBE_SAMPLE_COLUMNS >= PROBE_BLIND_COLUMNS, "… all three");
	for (size_t i = 0; i < PROBE_SAMPLE_COLUMNS; i++)
		values[i] = i < n_columns(n->state) ? pq_result_value(r, i) : NULL;
	if (n->state == WATCH_IDENTIFYING)
		n->read = probe_read_identity(values, &n->answer);
	else if (n->state == WATCH_BLIND)
		n->read = probe_read_blind(values, &n->answer);
	else
		n->read = probe_read_sample(values, &n->answer, &n->hidden);
}

/* Units stand and wait (consistency = strong): for the primary's sample, then for a replica's. */
static bool is_awaited(const struct watch *n)
{
	return mark_clock_is_awaited(&n->m->env->shared->clock, (uint16_t)n->cluster);
}

/* Samples follow each other fast while a client waits for one, and a little longer. */
static uint64_t sample_interval(struct watch *n)
{
	struct monitor *m = n->m;
	uint64_t interval = env_conf(m->env)->lag_check_interval_us;
	uint64_t now = env_now_us(m->env);

	if (mark_clock_is_wanted(&m->env->shared->clock, m->sampled[n->cluster]))
		m->fast_until_us[n->cluster] = now + MONITOR_FAST_HOLD_US;
	if (now < m->fast_until_us[n->cluster] && interval > MONITOR_FAST_US)
		return MONITOR_FAST_US;
	return interval;
}

static void take_sample(struct watch *n)
{
	struct monitor *m = n->m;
	struct env *env = m->env;
	unsigned bits;

	n->answer.answered_us = env_now_us(env);
	n->answer.server_version_num = (uint32_t)pq_server_version(n->pq);
	bits = roles_node_answer(m->roles, (uint16_t)n->node, &n->answer);
	if ((bits & ROLES_SAMPLE) != 0 || (n->blind && !n->answer.in_recovery))
		m->sampled[n->cluster] = n->answer.number;
	n->rest_us = MONITOR_REST_MIN_US;
	n->told_us = 0;
	tell_answer(n, bits);
	mark_changed(m, n->cluster, bits);
	n->state = WATCH_READY;
	if (is_awaited(n)) /* who came since waits for the next one: without a pause */
		watch_sample(n);
	else
		wheel_add(&env->wheel, &n->timer, n->started_us + sample_interval(n));
}

/* What it refuses it will refuse again: its role is asked for alone, until it is connected anew. */
static void go_blind(struct watch *n, const char *why)
{
	char name[256], text[PQ_TEXT_MAX * 2];

	n->blind = true;
	if (n->state == WATCH_IDENTIFYING)
		n->answer.system_id = 0;
	if (!n->blind_told)
		log_warn(n->m->env->shared->log, "node does not tell its position",
			"node=%s reason=%s hint=\"it is used for reads of consistency eventual "
			"alone; grant what it refuses to the monitor's user\"",
			log_q(name, sizeof name, node_of(n)->name), log_q(text, sizeof text, why));
	n->blind_told = true;
	watch_sample(n);
}

/* Once for each pair of numbers: what the pools may want, and what the node has. */
static void tell_places(struct watch *n)
{
	const struct env *env = n->m->env;
	uint32_t has = n->answer.connections_max;
	uint64_t wants = advice_node_servers(
		env_conf(env), n->node, (uint32_t)auth_users_count(env_users(env)));
	char name[256];

	if (has == 0 || (has == n->told_has && wants == n->told_wants))
		return;
	n->told_has = has;
	n->told_wants = wants;
	if (wants > has)
		log_warn(env->shared->log, "pools may want more connections than the node has",
			"node=%s wanted=%llu has=%u hint=\"lower the pools of its databases and "
			"users, or set max_node_connections\"",
			log_q(name, sizeof name, node_of(n)->name), (unsigned long long)wants, has);
}

static void on_done(void *arg, const struct pq_result *r)
{
	struct watch *n = arg;
	struct pq_failure f = {.kind = PQ_FAILED_REFUSED};

	if (!pq_result_ok(r) && n->state != WATCH_BLIND &&
		probe_is_refused(pq_result_sqlstate(r))) {
		go_blind(n, pq_result_error(r));
	} else if (!pq_result_ok(r)) {
		text_copy(f.sqlstate, sizeof f.sqlstate, pq_result_sqlstate(r));
		text_copy(f.text, sizeof f.text, pq_result_error(r));
		watch_failed(n, &f);
	} else if (n->read != OK) {
		watch_failed_text(n, PQ_FAILED_REFUSED, "an answer that cannot be read");
	} else if (n->state == WATCH_IDENTIFYING) {
		tell_places(n);
		watch_sample(n);
	} else {
		take_sample(n);
	}
}

static void on_failed(void *arg, const struct pq_failure *f)
{
	watch_failed(arg, f);
}

static const struct pq_ops watch_ops = {
	.on_ready = on_ready,
	.on_row = on_row,
	.on_done = on_done,
	.on_failed = on_failed,
};

static void watch_sample(struct watch *n)
{
	struct env *env = n->m->env;

	n->started_us = env_now_us(env);
	n->answer.sent_us = n->started_us;
	/* Counted before it is sent: a write acknowledged until now is covered by its answer. */
	n->answer.number = mark_clock_begin(&env->shared->clock);
	watch_ask(n, n->blind ? WATCH_BLIND : WATCH_SAMPLING,
		n->blind ? probe_blind_sql : probe_sample_sql);
}

static void watch_connect(struct watch *n)
{
	struct env *env = n->m->env;
	uint64_t timeout_us = env_conf(env)->node_timeout_us;
	struct target t;

	n->started_us = env_now_us(env);
	if (target_make(env, cluster_of(n), node_of(n), n->try_no, NULL, &t) != OK) {
		watch_failed_text(n, PQ_FAILED_UNREACHABLE, t.error);
		return;
	}
	memcpy(n->hostaddr, t.hostaddr, sizeof n->hostaddr);
	n->blind = n->answer.blind = false;
	t.pq.statement_timeout_us = timeout_us;
	n->state = WATCH_CONNECTING;
	if (pq_connect(env, &t.pq, timeout_us, &watch_ops, n, &n->pq) != OK)
		watch_failed_text(n, PQ_FAILED_LOCAL, "no memory, or a helper is busy with it");
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct watch *n = list_entry(t, struct watch, timer);

	(void)ctx;
	if (n->state == WATCH_RESTING)
		watch_connect(n);
	else if (n->state == WATCH_READY)
		watch_sample(n);
}

/* Whatever it waits for, begin now; but not twice within MONITOR_FAST_US. */
static void watch_now(struct watch *n)
{
	uint64_t at = n->started_us + MONITOR_FAST_US;

	if (n->state == WATCH_RESTING || n->state == WATCH_READY)
		wheel_add(&n->m->env->wheel, &n->timer, at);
}

void monitor_probe_now(struct monitor *m, uint32_t node)
{
	if (node < NODES_MAX && m->watches[node] != NULL)
		watch_now(m->watches[node]);
}

void monitor_leader(struct monitor *m, uint32_t node, enum topo_leader leader)
{
	if (m->watches[node] == NULL)
		return;
	mark_changed(
		m, m->watches[node]->cluster, roles_node_leader(m->roles, (uint16_t)node, leader));
	watch_now(m->watches[node]);
}

void monitor_hurry(struct monitor *m)
{
	const struct mark_clock *clock = &m->env->shared->clock;

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		struct watch *n = m->watches[i];

		if (n == NULL || n->state != WATCH_READY)
			continue;
		if (is_awaited(n)) {
			wheel_del(&m->env->wheel, &n->timer);
			watch_sample(n);
		} else if (mark_clock_is_wanted(clock, m->sampled[n->cluster])) {
			watch_now(n);
		}
	}
}

void monitor_addrs_changed(struct monitor *m, uint32_t node)
{
	struct watch *n = m->watches[node];

	if (n == NULL)
		return;
	if (n->state != WATCH_RESTING && !target_is_current(m->env, node, n->hostaddr)) {
		pq_free(n->pq);
		n->pq = NULL;
		n->state = WATCH_RESTING;
	}
	if (n->state != WATCH_RESTING)
		return;
	n->try_no = 0;
	n->rest_us = MONITOR_REST_MIN_US;
	watch_now(n);
}

/* --- configuration --- */

static void watch_free(struct watch *n)
{
	if (n == NULL)
		return;
	wheel_del(&n->m->env->wheel, &n->timer);
	pq_free(n->pq);
	free(n);
}

static enum status watch_new(struct monitor *m, const struct conf_node *node, struct watch **out)
{
	struct watch *n = calloc(1, sizeof *n);

	if (n == NULL)
		return E_NOMEM;
	n->m = m;
	n->node = node->id;
	n->state = WATCH_RESTING;
	n->rest_us = MONITOR_REST_MIN_US;
	wheel_timer_init(&n->timer, on_timer);
	*out = n;
	return OK;
}

/* Start, move to another cluster, or log in anew, as the new configuration has it. */
static enum status watch_update(struct monitor *m, const struct conf_node *node)
{
	const struct conf_cluster *cl = env_conf(m->env)->cluster_by_id[node->cluster_id];
	struct watch *n = m->watches[node->id];
	uint64_t hash = target_hash(m->env, cl, node);
	enum status st;

	if (n == NULL) {
		if ((st = watch_new(m, node, &n)) != OK)
			return st;
		m->watches[node->id] = n;
	} else if (n->login_hash == hash && n->cluster == node->cluster_id) {
		return OK;
	}
	n->login_hash = hash;
	n->cluster = node->cluster_id;
	n->rest_us = MONITOR_REST_MIN_US;
	n->told_us = 0;
	pq_free(n->pq);
	n->pq = NULL;
	n->state = WATCH_RESTING;
	env_timer(m->env, &n->timer, 0);
	return OK;
}

static enum status update_watches(struct monitor *m)
{
	const struct conf *conf = env_conf(m->env);
	const struct conf_node *node;
	enum status st;

	for (uint32_t i = 0; i < NODES_MAX; i++) {
		node = conf->node_by_id[i];
		if (node == NULL || node->cluster_id == CONF_NO_CLUSTER) {
			watch_free(m->watches[i]);
			m->watches[i] = NULL;
		} else if ((st = watch_update(m, node)) != OK) {
			return st;
		}
	}
	return OK;
}

/* The judgement for the present configuration, with what the old one knew. */
static enum status update_roles(struct monitor *m)
{
	bool known[NODES_MAX];
	struct roles *next;
	enum status st;

	for (uint32_t i = 0; i < NODES_MAX; i++)
		known[i] = m->watches[i] != NULL;
	st = judgement_new(env_conf(m->env), m->roles, known, env_now_us(m->env), &next);
	if (st != OK)
		return st;
	roles_free(m->roles);
	m->roles = next;
	return OK;
}

enum status monitor_conf_changed(struct monitor *m)
{
	enum status st;

	env_timer(m->env, &m->tick, 0); /* also for those that are watched, if memory ends */
	if ((st = update_roles(m)) != OK || (st = update_watches(m)) != OK)
		return st;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (m->watches[i] != NULL)
			tell_places(m->watches[i]);
	env_timer(m->env, &m->publish, 0);
	return OK;
}

/* --- the whole --- */

static void note_lag(struct monitor *m)
{
	bool watched[NODES_MAX];

	for (uint32_t i = 0; i < NODES_MAX; i++)
		watched[i] = m->watches[i] != NULL;
	lag_log_note(&m->lag_log, env_topology(m->env), watched, env_now_us(m->env));
}

/* While nothing is watched nothing can change: monitor_conf_changed lets it tick again. */
static bool watches_any(const struct monitor *m)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (m->watches[i] != NULL)
			return true;
	return false;
}

static void on_tick(void *ctx, struct wheel_timer *t)
{
	struct monitor *m = list_entry(t, struct monitor, tick);
	const struct conf *conf = env_conf(m->env);
	uint64_t every = conf->node_timeout_us / 10;
	struct pq_failure f = {.kind = PQ_FAILED_TIMEOUT, .text = "no answer for node_timeout"};
	uint16_t node;
	unsigned bits;

	(void)ctx;
	note_lag(m);
	if (!watches_any(m)) {
		lag_log_fini(&m->lag_log);
		return;
	}
	while ((bits = roles_tick(m->roles, env_now_us(m->env), &node)) != 0) {
		if (m->watches[node] == NULL)
			continue;
		tell_error(m->watches[node], ROLES_ERR_TIMEOUT, &f, bits);
		mark_changed(m, m->watches[node]->cluster, bits);
	}
	if (!wheel_is_armed(&m->publish))
		env_timer(m->env, &m->publish, 0);
	if (every > conf->lag_check_interval_us)
		every = conf->lag_check_interval_us;
	env_timer(m->env, t, every);
}

enum status monitor_new(
	struct env *env, const struct monitor_ops *ops, void *arg, struct monitor **out)
{
	struct monitor *m = calloc(1, sizeof *m);

	if (m == NULL)
		return E_NOMEM;
	m->env = env;
	m->ops = ops;
	m->arg = arg;
	env->lag_log = &m->lag_log;
	wheel_timer_init(&m->publish, on_publish);
	wheel_timer_init(&m->tick, on_tick);
	*out = m;
	return OK;
}

void monitor_free(struct monitor *m)
{
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		watch_free(m->watches[i]);
	wheel_del(&m->env->wheel, &m->publish);
	wheel_del(&m->env->wheel, &m->tick);
	m->env->lag_log = NULL;
	lag_log_fini(&m->lag_log);
	roles_free(m->roles);
	free(m);
}
