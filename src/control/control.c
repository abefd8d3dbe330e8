#include "control/control.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <config.h>

#include "conf/access.h"
#include "conf/conf.h"
#include "control/admin.h"
#include "control/auth_query.h"
#include "control/catalog_load.h"
#include "control/console.h"
#include "control/derive.h"
#include "control/ending.h"
#include "control/explaining.h"
#include "control/helpers.h"
#include "control/history.h"
#include "control/http.h"
#include "control/ldap.h"
#include "control/listening.h"
#include "control/monitor.h"
#include "control/pam.h"
#include "control/patroni.h"
#include "control/peer_name.h"
#include "control/pq.h"
#include "control/resolve.h"
#include "control/service.h"
#include "control/snapshots.h"
#include "control/spread.h"
#include "control/stats.h"
#include "control/takeover.h"
#include "control/verify.h"
#include "net/conn.h"
#include "route/roles.h"

#define TIMERS_PER_TURN  256u
#define LOGIN_HELPERS    4u     /* for steps of our own logins, which a server can make endless */
#define HELPER_QUEUE_MAX 20000u /* a login storm's derivations wait here */
#define HELPERS_END_MS   2000u
#define VERIFY_END_MS    500u /* they may be stuck, and nobody waits for them any more */
#define RX_LEN           65536u
#define BUFPOOL_KEEP     (1u << 20)
#define TURN_BUDGET      65536u
#define RETRY_US         1000000u

static const int signals[] = {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2};

#define N_SIGNALS (sizeof signals / sizeof *signals)

struct control {
	struct env env;
	struct control_args args;
	struct ending ending;
	struct wheel_timer retry; /* of what had no memory at a reload */
	struct loop_watch *signal_watches[N_SIGNALS];
	struct collector collector;
	struct tellers tellers;
	struct gather *gather;
	struct resolve *resolve;
	struct monitor *monitor;
	struct patroni *patroni;
	struct catalog_load *catalogs;
	struct auth_query *auth_query;
	struct verify *verify;
	struct listenings *listenings;
	struct stats *stats;
	struct history *history;
	struct reload *reload;
	struct service *service;
	struct spread *spread;
	struct consoles *consoles;
	struct http *http; /* NULL: no stats port */
	int stats_fd;      /* its socket, while another process serves it; -1: none */
	struct handing *handing;
	struct show_tools tools;
};

/* --- what the modules say to each other --- */

static void conf_changed(struct control *c)
{
	resolve_conf_changed(c->resolve);
	catalog_load_conf_changed(c->catalogs);
	listenings_conf_changed(c->listenings);
	auth_query_conf_changed(c->auth_query);
	stats_conf_changed(c->stats);
	if (monitor_conf_changed(c->monitor) == OK && patroni_conf_changed(c->patroni) == OK)
		return;
	log_error(c->env.shared->log, "monitor not adapted to the configuration", "reason=memory");
	env_timer(&c->env, &c->retry, RETRY_US);
}

static void on_retry(void *ctx, struct wheel_timer *t)
{
	(void)t;
	conf_changed(ctx);
}

/* A new configuration, whole: here it becomes the one that holds. */
static void on_config(void *arg, struct config_set *set)
{
	struct control *c = arg;
	struct shared *sh = c->env.shared;
	struct snap_domain *snap = &sh->snap;

	snap_retire(snap, (void *)(uintptr_t)atomic_exchange(&sh->conf, set->conf),
		snapshots_free_conf);
	snap_retire(snap, (void *)(uintptr_t)atomic_exchange(&sh->users, set->users),
		snapshots_free_users);
	snap_retire(
		snap, (void *)(uintptr_t)atomic_exchange(&sh->access, set->access), access_free);
	snap_retire(snap, (void *)(uintptr_t)atomic_exchange(&sh->tls, set->tls), config_tls_free);
	memset(set, 0, sizeof *set);
	if (c->args.on_conf != NULL)
		c->args.on_conf(c->args.arg, env_conf(&c->env), false);
	conf_changed(c);
	(void)!tell_all(&c->env, TELL_REFRESH); /* else they see it at their next turn */
}

static void on_topology(void *arg, uint32_t cluster, unsigned bits)
{
	struct control *c = arg;

	if ((bits & ROLES_PRIMARY) != 0) {
		catalog_load_primary_changed(c->catalogs, cluster);
		listenings_primary_changed(c->listenings);
		auth_query_primary_changed(c->auth_query);
	}
	if ((bits & ~(unsigned)ROLES_SAMPLE) != 0)
		(void)!tell_all(&c->env, TELL_REFRESH); /* units may wait for such a node */
}

static void on_leader(void *arg, uint32_t node, enum topo_leader leader)
{
	struct control *c = arg;

	monitor_leader(c->monitor, node, leader);
}

static void on_unreachable(void *arg, uint32_t node)
{
	struct control *c = arg;

	resolve_again(c->resolve, node);
}

static void on_addrs(void *arg, uint32_t node)
{
	struct control *c = arg;

	monitor_addrs_changed(c->monitor, node);
}

static void on_name(void *arg, const char *host, const struct net_addr *addrs, size_t n)
{
	struct control *c = arg;

	spread_take(c->spread, host, addrs, n);
}

static void own_stats(void *arg, struct show_stats_row *row)
{
	struct control *c = arg;

	consoles_stats(c->consoles, row);
}

static void on_shutdown(void *arg)
{
	struct control *c = arg;

	ending_soon(&c->ending);
}

static void on_shutdown_wait(void *arg, bool wait_servers)
{
	struct control *c = arg;

	ending_wait(&c->ending, wait_servers);
	if (c->ending.phase == ENDING_CLIENTS || c->ending.phase == ENDING_SERVERS)
		service_waiting(
			c->service, wait_servers ? "transactions to end" : "clients to leave");
}

static void on_reload_begun(void *arg)
{
	struct control *c = arg;

	service_reloading(c->service);
}

static void on_reload_ended(void *arg, enum status st, const char *text)
{
	struct control *c = arg;

	service_reloaded(c->service, st, text);
}

static const struct reload_ops reload_ops = {
	.publish = on_config,
	.begun = on_reload_begun,
	.ended = on_reload_ended,
};
static const struct resolve_ops resolve_ops = {.on_change = on_addrs, .on_name = on_name};
static const struct monitor_ops monitor_ops = {
	.on_change = on_topology,
	.on_unreachable = on_unreachable,
};
static const struct patroni_ops patroni_ops = {.on_leader = on_leader};
static const struct consoles_ops consoles_ops = {
	.shutdown = on_shutdown,
	.shutdown_wait = on_shutdown_wait,
};

static const struct verify_ops verify_ops = {
	.check =
		{
#ifdef HAVE_PAM
			[VERIFY_PAM] = pam_verify,
#endif
#ifdef HAVE_LDAP
			[VERIFY_LDAP] = ldap_verify,
#endif
		},
};

/* --- signals --- */

static void pause_or_resume(struct control *c, bool pause)
{
	struct admin_error err;
	enum status st = pause ? admin_pause(&c->env, "", &err) : admin_resume(&c->env, "", &err);

	if (st == OK)
		log_info(c->env.shared->log, pause ? "paused by signal" : "resumed by signal", "%s",
			"");
	else
		log_warn(c->env.shared->log, "signal ignored", "reason=\"%s\"", err.text);
}

static void on_signal(void *arg, int signo)
{
	struct control *c = arg;

	log_info(c->env.shared->log, "got a signal", "signal=%s", strsignal(signo));
	switch (signo) {
	case SIGHUP:
		if (takeover_by_new_file(c->handing, c->args.from.path))
			break; /* it reads the configuration */
		if (c->args.on_conf != NULL)
			c->args.on_conf(c->args.arg, env_conf(&c->env), true);
		reload_now(c->reload);
		break;
	case SIGTERM:
		on_shutdown_wait(c, false);
		break;
	case SIGINT:
		/* who has said at what rate clients are to go has them go, not cut off */
		on_shutdown_wait(c, env_conf(&c->env)->drain_rate == 0);
		break;
	case SIGQUIT:
		ending_soon(&c->ending);
		break;
	case SIGUSR1:
	case SIGUSR2:
		pause_or_resume(c, signo == SIGUSR1);
		break;
	}
}

/* --- mail --- */

static void take_catalog(struct control *c, struct ask_catalog *ask)
{
	catalog_load_want(c->catalogs, ask->owner, ask->dbname, ask->changed);
	free(ask);
}

static void take_probe(struct control *c, struct ask_probe *ask)
{
	monitor_probe_now(c->monitor, ask->node);
	free(ask);
}

/* `mail` is the first member of every message. */
static void take_mail(struct control *c, struct mail *m)
{
	void *message = m;

	switch (m->kind) {
	case ASK_DERIVE:
		derive_take(&c->env, message);
		break;
	case ASK_PEER:
		peer_name_take(&c->env, message);
		break;
	case ASK_SECRET:
		auth_query_take(c->auth_query, message);
		break;
	case ASK_VERIFY:
		verify_take(c->verify, message);
		break;
	case ASK_UNASKED:
		verify_unask(c->verify, message);
		free(m);
		break;
	case ASK_CONSOLE:
		consoles_take(c->consoles, message);
		break;
	case ASK_CATALOG:
		take_catalog(c, message);
		break;
	case ASK_PROBE:
		take_probe(c, message);
		break;
	case ASK_LISTEN:
		listenings_take(c->listenings, message);
		break;
	case ASK_BARRIER:
		listenings_take_barrier(c->listenings, message);
		break;
	case ASK_UNMARKED:
		listenings_take_unmarked(c->listenings, message);
		break;
	case ASK_ROWS:
		collector_take(&c->collector, message);
		break;
	case ASK_DONE:
		tellers_take(&c->tellers, message);
		break;
	case ASK_EXPLAINED:
		explaining_take(&c->tellers, message);
		break;
	case ASK_LEAVES:
		takeover_take_leaving(c->handing, message);
		break;
	case ASK_PLACE:
		takeover_take_place(c->handing, message);
		break;
	case ASK_COUNTED:
		takeover_take_counted(c->handing);
		free(m);
		break;
	case ASK_CANCEL:
		takeover_take_cancel(c->handing, message);
		break;
	case ASK_STOPPED:
		ending_worker_stopped(&c->ending);
		free(m);
		break;
	case HELPERS_MAIL:
		helpers_finish(c->env.helpers, m);
		break;
	case VERIFY_MAIL:
		verify_finish(c->verify, m);
		break;
	default:
		PANIC_IF(m->kind != ASK_DERIVE); /* a kind that nobody declares */
	}
}

/* At the end, when the modules are gone: only jobs and checks still have an owner. */
static void drop_mail(struct control *c, struct mail *m)
{
	void *message = m;

	if (m->kind == HELPERS_MAIL) {
		helpers_finish(c->env.helpers, m);
	} else if (m->kind == VERIFY_MAIL) {
		verify_finish(c->verify, m);
	} else if (m->kind == ASK_VERIFY) {
		verify_ask_free(message);
	} else if (m->kind == ASK_DERIVE) {
		explicit_bzero(message, sizeof(struct ask_derive));
		free(message);
	} else if (m->kind == ASK_SECRET) {
		explicit_bzero(message, sizeof(struct ask_secret));
		free(message);
	} else {
		if (m->kind == ASK_CONSOLE)
			conn_free_detached(((struct ask_console *)message)->conn);
		if (m->kind == ASK_LEAVES)
			close(((struct ask_leaves *)message)->fd);
		free(message);
	}
}

static void each_mail(struct control *c, void (*fn)(struct control *c, struct mail *m))
{
	struct mail *next;

	for (struct mail *m = mailbox_take(&c->env.shared->control); m != NULL; m = next) {
		next = m->next;
		fn(c, m);
	}
}

static void on_wake(void *arg)
{
	struct control *c = arg;

	each_mail(c, take_mail);
	if (c->monitor != NULL)
		monitor_hurry(c->monitor);
}

static void wake(void *loop)
{
	loop_wake(loop);
}

/* --- life --- */

static enum status new_loop(struct control *c)
{
	struct loop_conf lc = {
		.rx_len = RX_LEN,
		.bufpool_keep_max = BUFPOOL_KEEP,
		.turn_budget = TURN_BUDGET,
		.on_wake = on_wake,
		.arg = c,
	};
	enum status st = loop_new(&lc, &c->env.loop);

	if (st != OK)
		return st;
	wheel_init(&c->env.wheel, loop_now_us(c->env.loop));
	mailbox_init(&c->env.shared->control, wake, c->env.loop);
	return OK;
}

static enum status new_helpers(struct control *c)
{
	uint32_t n = env_conf(&c->env)->helper_threads + LOGIN_HELPERS;
	struct helpers_conf hc = {
		.n_threads = n < HELPERS_MAX ? n : HELPERS_MAX,
		.slow_max = LOGIN_HELPERS,
		.queue_max = HELPER_QUEUE_MAX,
		.answers = &c->env.shared->control,
	};

	pq_prepare_process();
#ifdef HAVE_LDAP
	ldap_prepare_process();
#endif
	return helpers_new(&hc, &c->env.helpers);
}

static enum status watch_signals(struct control *c)
{
	enum status st = OK;

	for (size_t i = 0; i < N_SIGNALS && st == OK; i++)
		st = loop_watch_signal(
			c->env.loop, signals[i], on_signal, c, &c->signal_watches[i]);
	return st;
}

static enum status new_views(struct control *c)
{
	struct consoles_conf cc = {
		.env = &c->env,
		.tellers = &c->tellers,
		.tools = &c->tools,
		.ops = &consoles_ops,
		.arg = c,
	};
	enum status st;

	cc.reload = c->reload;
	st = consoles_new(&cc, &c->consoles);
	if (st == OK)
		st = stats_new(&c->env, c->gather, own_stats, c, &c->stats);
	if (st == OK)
		st = history_new(&c->env, c->gather, &c->history);
	if (st != OK)
		return st;
	c->tools = (struct show_tools){
		.gather = c->gather,
		.collector = &c->collector,
		.in = {.env = &c->env,
			.resolve = c->resolve,
			.stats = c->stats,
			.history = c->history,
			.consoles = c->consoles,
			.listenings = c->listenings,
			.verify = c->verify},
	};
	if (env_conf(&c->env)->stats_port != 0 || c->args.stats_fd > 0)
		st = http_new(&c->env, &c->tools, c->args.stats_fd, &c->http);
	return st;
}

/* --- another process takes over --- */

static bool on_socket(void *arg, uint32_t i, struct takeover_listening *out)
{
	struct control *c = arg;

	if (c->http == NULL)
		return c->args.socket(c->args.arg, i, out);
	if (i == 0)
		*out = (struct takeover_listening){
			.fd = http_fd(c->http), .what = TAKEOVER_FOR_STATS};
	return i == 0 || c->args.socket(c->args.arg, i - 1, out);
}

static void on_passed_on(void *arg, long pid)
{
	struct control *c = arg;

	service_passed_on(c->service, pid);

	if (c->http != NULL)
		c->stats_fd = fcntl(http_fd(c->http), F_DUPFD_CLOEXEC, 0);
	http_free(c->http);
	c->http = NULL;
	ending_drain(&c->ending, env_conf(&c->env)->takeover_timeout_us);
}

static bool on_taken_back(void *arg)
{
	struct control *c = arg;

	if (!ending_go_on(&c->ending))
		return false;
	if (c->stats_fd >= 0)
		(void)!http_new(&c->env, &c->tools, c->stats_fd, &c->http);
	c->stats_fd = -1;
	c->args.serves_again(c->args.arg);
	service_taken_back(c->service);
	return true;
}

static enum status new_handing(struct control *c)
{
	struct takeover_conf tc = {
		.env = &c->env,
		.listenings = c->listenings,
		.listen_fd = c->args.takeover_fd > 0 ? c->args.takeover_fd : -1,
		.from = c->args.predecessor,
		.socket = on_socket,
		.passed_on = on_passed_on,
		.taken_back = on_taken_back,
		.arg = c,
	};

	return takeover_new(&tc, &c->handing);
}

static enum status new_modules(struct control *c)
{
	enum status st;

	if ((st = new_loop(c)) != OK || (st = new_helpers(c)) != OK ||
		(st = watch_signals(c)) != OK)
		return st;
	collector_init(&c->collector, &c->env);
	tellers_init(&c->tellers, &c->env);
	ending_init(&c->ending, &c->env, &c->tellers);
	if ((st = service_new(&c->env, &c->service)) != OK ||
		(st = gather_new(&c->env, &c->collector, &c->gather)) != OK ||
		(st = resolve_new(&c->env, &resolve_ops, c, &c->resolve)) != OK ||
		(st = monitor_new(&c->env, &monitor_ops, c, &c->monitor)) != OK ||
		(st = patroni_new(&c->env, &patroni_ops, c, &c->patroni)) != OK ||
		(st = catalog_load_new(&c->env, &c->catalogs)) != OK ||
		(st = listenings_new(&c->env, &c->listenings)) != OK ||
		(st = auth_query_new(&c->env, &c->auth_query)) != OK ||
		(st = verify_new(&c->env, &verify_ops, &c->verify)) != OK ||
		(st = reload_new(&c->env, &c->args.from, &reload_ops, c, &c->reload)) != OK ||
		(st = spread_new(&c->env, c->reload, &c->spread)) != OK)
		return st;
	st = new_views(c);
	return st == OK ? new_handing(c) : st;
}

static void on_stopping(void *arg)
{
	struct control *c = arg;

	service_stopping(c->service);
	consoles_shutdown(c->consoles);
}

enum status control_new(const struct control_args *args, struct control **out)
{
	struct control *c = calloc(1, sizeof *c);
	enum status st;

	if (c == NULL) {
		snapshots_free(args->shared);
		return E_NOMEM;
	}
	c->env.shared = args->shared;
	list_init(&c->env.pq_orphans);
	c->args = *args;
	c->stats_fd = -1;
	wheel_timer_init(&c->retry, on_retry);
	st = new_modules(c);
	if (st != OK) {
		(void)control_free(c);
		return st;
	}
	c->ending.on_stopping = on_stopping;
	c->ending.arg = c;
	conf_changed(c);
	*out = c;
	return OK;
}

enum status control_run(struct control *c)
{
	struct env *env = &c->env;
	uint64_t until;
	enum status st = OK;

	service_ready(c->service);
	while (st == OK && !ending_is_over(&c->ending)) {
		if (wheel_run(&env->wheel, env_now_us(env), TIMERS_PER_TURN, c) == TIMERS_PER_TURN)
			until = 0;
		else
			until = wheel_next_us(&env->wheel);
		snap_reclaim(&env->shared->snap);
		st = loop_turn(env->loop, until);
	}
	return st;
}

static void free_modules(struct control *c)
{
	takeover_end(c->handing);
	http_free(c->http);
	if (c->stats_fd >= 0)
		close(c->stats_fd);
	consoles_free(c->consoles);
	history_free(c->history);
	stats_free(c->stats);
	spread_free(c->spread);
	reload_free(c->reload);
	auth_query_free(c->auth_query);
	listenings_free(c->listenings);
	catalog_load_free(c->catalogs);
	patroni_free(c->patroni);
	monitor_free(c->monitor);
	resolve_free(c->resolve);
	service_free(c->service);
	gather_free(c->gather);
	if (c->tellers.env != NULL)
		ending_fini(&c->ending);
	wheel_del(&c->env.wheel, &c->retry);
	for (size_t i = 0; i < N_SIGNALS; i++)
		loop_unwatch(c->signal_watches[i]);
}

bool control_free(struct control *c)
{
	bool stopped = true;

	if (c == NULL)
		return true;
	if (c->env.loop != NULL)
		free_modules(c);
	if (c->env.helpers != NULL)
		stopped = helpers_stop(c->env.helpers, HELPERS_END_MS);
	if (c->verify != NULL)
		stopped = verify_stop(c->verify, VERIFY_END_MS) && stopped;
	c->env.ended = true;
	if (c->env.loop != NULL)
		each_mail(c, drop_mail);
	if (!stopped) {
		log_warn(c->env.shared->log, "a helper is still busy", "%s", "");
		return false; /* what it works on must stay */
	}
	helpers_free(c->env.helpers);
	verify_free(c->verify);
	snapshots_free(c->env.shared);
	loop_free(c->env.loop);
	free(c);
	return true;
}
