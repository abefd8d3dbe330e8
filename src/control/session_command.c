#include "control/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "control/admin.h"
#include "control/plan.h"
#include "control/switchover.h"
#include "proto/report.h"

static void refuse(struct session *s)
{
	session_error(s, SESSION_INVALID, s->command.text);
}

/* --- SHOW --- */

/* What drivers ask of a server, and PgBouncer's console answers. */
static const struct {
	const char *name, *value;
} fixed_params[] = {
	{"client_encoding", "UTF8"},
	{"datestyle", "ISO"},
	{"default_transaction_isolation", "read committed"},
	{"standard_conforming_strings", "on"},
	{"timezone", "GMT"},
	{"transaction_read_only", "off"},
};

/* What drivers set; nothing here depends on it. */
static const char *const ignored_params[] = {"application_name", "bytea_output", "client_encoding",
	"client_min_messages", "datestyle", "default_transaction_isolation", "extra_float_digits",
	"intervalstyle", "standard_conforming_strings", "statement_timeout", "timezone"};

static const char *fixed_param(const char *name)
{
	for (size_t i = 0; i < sizeof fixed_params / sizeof *fixed_params; i++)
		if (strcmp(fixed_params[i].name, name) == 0)
			return fixed_params[i].value;
	return NULL;
}

static bool is_ignored(const char *name)
{
	for (size_t i = 0; i < sizeof ignored_params / sizeof *ignored_params; i++)
		if (strcmp(ignored_params[i], name) == 0)
			return true;
	return false;
}

/* By our own name: with columns of ours. Tools that know PgBouncer's tables ask by that one. */
static const struct show_table *find_table(const struct session *s, const char *name)
{
	return show_find(name, strcmp(s->database, "pgweir") == 0,
		env_conf(s->of->conf.env)->legacy_columns);
}

bool session_describe(const struct session *s, const struct console_command *c, struct wr *w)
{
	const struct show_table *t = c->verb == VERB_SHOW ? find_table(s, c->name) : NULL;
	struct reply_column one = {c->name, REPLY_TYPE_TEXT};

	if (c->verb == VERB_EXPLAIN)
		one.name = "QUERY PLAN";
	else if (c->verb == VERB_SWITCHOVER && s->is_admin)
		t = &show_switchover;
	else if (c->verb == VERB_RELOAD && *c->name != '\0' && s->is_admin)
		t = &show_plan;
	else if (c->verb != VERB_SHOW)
		return false;
	if (t != NULL)
		reply_put_row_description(w, t->columns, t->n_columns, 0);
	else if (c->verb == VERB_EXPLAIN || fixed_param(c->name) != NULL)
		reply_put_row_description(w, &one, 1, 0);
	else
		return false;
	return true;
}

static void notice(struct session *s, const char *message, const char *detail)
{
	struct report r = report_of("NOTICE", "00000", message);
	struct wr w = session_wr(s);

	r.detail = detail;
	report_put(&w, 'N', &r);
	session_send(s, &w);
}

static void show_help(struct session *s)
{
	notice(s, "Console usage",
		"\n\tSHOW HELP|CONFIG|SETTINGS|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION"
		"\n\tSHOW FDS|SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE|PEERS|PEER_POOLS"
		"\n\tSHOW DNS_HOSTS|DNS_ZONES"
		"\n\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS"
		"\n\tSHOW QUERIES|NPLUSONE|WAITS|HEADROOM|MISUSE"
		"\n\tSHOW "
		"CLUSTERS|NODES|NODE_POOLS|SWITCHOVER|ROUTES|TRANSACTION_READS|PINS|PIN_COUNTS"
		"\n\tSHOW LAG|LEARNED|LISTENERS|CATALOG|ERRORS|LOGINS|AUTH_HELPERS|WORKERS"
		"\n\tSET key = arg"
		"\n\tRELOAD [DRY RUN]"
		"\n\tPAUSE [<db>]"
		"\n\tRESUME [<db>]"
		"\n\tSUSPEND"
		"\n\tDISABLE <db>"
		"\n\tENABLE <db>"
		"\n\tRESET QUERIES|ERRORS"
		"\n\tRECONNECT [<db>]"
		"\n\tKILL [<db>]"
		"\n\tKILL_CLIENT <client_id>"
		"\n\tWAIT_CLOSE [<db>]"
		"\n\tSWITCHOVER [<db>]"
		"\n\tEXPLAIN ROUTE [IN <db>] <statement>"
		"\n\tSHUTDOWN [WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS]");
	session_complete(s, "SHOW");
}

static void show_fixed(struct session *s, const char *value)
{
	struct wr w = session_wr(s);
	size_t mark = reply_row_begin(&w, 1);

	reply_put_text(&w, value);
	reply_row_end(&w, mark);
	session_send(s, &w);
	session_complete(s, "SHOW");
}

/* Rows of another portal that were not asked for yet are given up. */
static void forget_suspended(struct session *s)
{
	struct list *it;

	list_foreach (it, &s->prepared)
		list_entry(it, struct prepared, link)->is_suspended = false;
}

/* An empty table may be taken for good news. */
static void tell_if_off(struct session *s, const struct show_table *t)
{
	const char *by;
	char text[64];
	size_t pos = 0;

	while ((by = show_switched_off(env_conf(s->of->conf.env), t, &pos)) != NULL) {
		snprintf(text, sizeof text, "switched off: %s = 0", by);
		notice(s, text, NULL);
	}
}

static void show_rows(struct session *s, const struct show_table *t, bool with_columns)
{
	struct wr w = session_wr(s);

	tell_if_off(s, t);
	if (with_columns) {
		reply_put_row_description(&w, t->columns, t->n_columns, 0);
		session_send(s, &w);
	}
	forget_suspended(s);
	show_run_start(&s->show, t);
	s->show.plan = s->plan;
	session_go_on(s);
}

static void show(struct session *s, bool with_columns)
{
	const struct show_table *t = find_table(s, s->command.name);
	const char *value = fixed_param(s->command.name);
	struct wr w = session_wr(s);

	if (strcmp(s->command.name, "help") == 0) {
		show_help(s);
		return;
	}
	if (t == NULL && value == NULL) {
		refuse(s);
		return;
	}
	if (t != NULL && t->admin_only && !s->is_admin) {
		session_error(s, "admin access needed");
		return;
	}
	if (t != NULL) {
		show_rows(s, t, with_columns);
		return;
	}
	if (with_columns && session_describe(s, &s->command, &w))
		session_send(s, &w);
	show_fixed(s, value);
}

static void suspend(struct session *s)
{
	struct wr w = session_wr(s);

	s->portal->is_suspended = true;
	reply_put_portal_suspended(&w);
	session_send(s, &w);
	session_answered(s);
}

static void show_ended(struct session *s, enum show_step step)
{
	enum status why = s->show.failed;

	show_run_end(&s->show);
	if (s->portal != NULL)
		s->portal->is_suspended = false;
	if (step == SHOW_STEP_END)
		session_complete(s, "SHOW");
	else if (why == E_LIMIT)
		session_error_as(s, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "too many rows");
	else
		session_error_as(s, SQLSTATE_INSUFFICIENT_RESOURCES,
			why == E_AGAIN ? "a worker does not answer" : "out of memory");
}

void session_go_on(struct session *s)
{
	const struct show_table *t = s->show.table;
	struct wr w = session_wr(s);
	struct rows rows = rows_of(&w, ROWS_WIRE, t->columns, t->n_columns);
	uint64_t max = s->rows_left < SESSION_ROWS_STEP ? s->rows_left : SESSION_ROWS_STEP;
	enum show_step step;

	if (conn_out_len(s->conn) > SESSION_OUT_MAX)
		return; /* session_drained goes on */
	step = show_run_write(&s->show, &rows, max);
	if (s->rows_left != UINT64_MAX)
		s->rows_left -= rows.n;
	if (w.len != 0)
		session_send(s, &w);
	if (step == SHOW_STEP_END || step == SHOW_STEP_FAILED)
		show_ended(s, step);
	else if (s->rows_left == 0)
		suspend(s);
	else if (step == SHOW_STEP_FULL)
		env_timer(s->of->conf.env, &s->timer, 0);
}

static void on_more(struct show_run *run)
{
	session_go_on(list_entry(run, struct session, show));
}

void session_drained(struct session *s)
{
	if (s->command.verb == VERB_SHOW && !wheel_is_armed(&s->timer))
		session_go_on(s);
}

/* --- commands that the workers carry out --- */

static const char *what_ended(const struct session *s, const struct tell_sum *sum)
{
	const struct env *env = s->of->conf.env;

	if (!sum->complete)
		return "a worker does not answer";
	if ((s->command.verb == VERB_PAUSE || s->command.verb == VERB_SWITCHOVER) &&
		!admin_is_paused(env, s->command.name) && !admin_is_paused_all(env))
		return "resumed while it was being paused";
	if (s->command.verb == VERB_SUSPEND && !admin_is_suspended(env))
		return "resumed while it was being suspended";
	if (s->command.verb == VERB_KILL_CLIENT && sum->n_hit == 0)
		return "client not found";
	return NULL;
}

static bool is_done(const struct session *s, const struct tell_sum *sum)
{
	if (s->command.verb == VERB_PAUSE || s->command.verb == VERB_SWITCHOVER)
		return sum->servers_in_use == 0;
	if (s->command.verb == VERB_WAIT_CLOSE)
		return sum->servers_outdated == 0;
	if (s->command.verb == VERB_SUSPEND)
		return sum->unsent == 0;
	return true;
}

/* --- SWITCHOVER: once no server is in use, until a replica has all that was written --- */

static void wait_for_replica(struct session *s)
{
	struct env *env = s->of->conf.env;
	char err[SWITCHOVER_TEXT_MAX];
	enum status st;

	if (s->since_sample == 0)
		s->since_sample = mark_clock_load(&env->shared->clock) + 1;
	st = switchover_check(env, s->command.name, s->since_sample - 1, err);
	if (st == E_AGAIN) {
		env_timer(env, &s->timer, SESSION_POLL_US);
	} else if (st != OK) {
		session_error(s, "%s", err);
	} else {
		s->command.verb = VERB_SHOW;
		text_copy(s->command.name, sizeof s->command.name, show_switchover.name);
		show(s, !s->is_extended);
	}
}

static void on_told(struct tell_run *run, const struct tell_sum *sum)
{
	struct session *s = list_entry(run, struct session, tell);
	const char *error = what_ended(s, sum);

	if (error != NULL)
		session_error(s, "%s", error);
	else if (is_done(s, sum) && s->command.verb == VERB_SWITCHOVER)
		wait_for_replica(s);
	else if (is_done(s, sum))
		session_complete(s, verb_tag(s->command.verb));
	else
		env_timer(s->of->conf.env, &s->timer, SESSION_POLL_US);
}

static bool suspend_is_late(const struct session *s)
{
	const struct env *env = s->of->conf.env;

	return env_now_us(env) - s->suspended_us >= env_conf(env)->suspend_timeout_us;
}

static void tell(struct session *s)
{
	const struct console_command *c = &s->command;

	switch (c->verb) {
	case VERB_KILL:
		tell_start(&s->tell, COMMAND_KILL_DB, c->name, 0);
		break;
	case VERB_KILL_CLIENT:
		tell_start(&s->tell, COMMAND_KILL_CLIENT, "", strtoull(c->name, NULL, 10));
		break;
	case VERB_RESET:
		tell_start(&s->tell,
			strcmp(c->name, "errors") == 0 ? COMMAND_RESET_ERRORS : COMMAND_RESET, "",
			0);
		break;
	case VERB_WAIT_CLOSE:
		tell_start(&s->tell, COMMAND_COUNT, c->name, 0);
		break;
	case VERB_SUSPEND:
		tell_start(
			&s->tell, suspend_is_late(s) ? COMMAND_CLOSE_UNSENT : COMMAND_COUNT, "", 0);
		break;
	default: /* PAUSE, RECONNECT, SWITCHOVER */
		tell_start(&s->tell, COMMAND_CLOSE_IDLE, c->name, 0);
		break;
	}
}

/* The administrator's decision; then, if `and_tell`, what the workers have to do about it. */
static void decide(struct session *s,
	enum status (*fn)(struct env *env, const char *database, struct admin_error *err),
	bool and_tell)
{
	struct admin_error err;

	if (fn(s->of->conf.env, s->command.name, &err) != OK)
		session_error(s, "%s", err.text);
	else if (and_tell)
		tell(s);
	else
		session_complete(s, verb_tag(s->command.verb));
}

/* What is paused already stays so. */
static void switch_over(struct session *s)
{
	struct env *env = s->of->conf.env;
	bool is_paused = admin_is_paused_all(env) ||
			 (*s->command.name != '\0' && admin_is_paused(env, s->command.name));
	char err[SWITCHOVER_TEXT_MAX];

	s->since_sample = 0;
	if (switchover_begin(env, s->command.name, err) != OK)
		session_error(s, "%s", err);
	else if (is_paused)
		tell(s);
	else
		decide(s, admin_pause, true);
}

static void kill_client(struct session *s)
{
	const char *name = s->command.name;
	char *end;
	uint64_t id;

	errno = 0;
	id = strtoull(name, &end, 10);
	if (errno != 0 || *end != '\0' || *name == '-' || id == 0)
		session_error(s, "invalid client id: %s", name);
	else if (consoles_kill(s->of, id))
		session_complete(s, "KILL_CLIENT");
	else
		tell(s);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct session *s = list_entry(t, struct session, timer);

	(void)ctx;
	if (s->command.verb == VERB_SHOW)
		session_go_on(s);
	else
		tell(s); /* again also while SWITCHOVER waits: RESUME ends it */
}

/* --- EXPLAIN ROUTE --- */

/* The only database that clients of ours can mean; NULL: there are several, or none. */
static const char *only_database(const struct env *env)
{
	const struct conf *conf = env_conf(env);

	return conf->n_dbs == 1 && strcmp(conf->dbs[0].name, "*") != 0 ? conf->dbs[0].name : NULL;
}

static void explain(struct session *s)
{
	const char *database = s->command.name;

	if (*database == '\0')
		database = only_database(s->of->conf.env);
	if (database == NULL)
		session_error(s, "which database? EXPLAIN ROUTE IN <db> <statement>");
	else
		explaining_start(&s->explain, database, s->user, s->command.sql);
}

static void put_line(struct session *s, const char *line)
{
	struct wr w = session_wr(s);
	size_t mark = reply_row_begin(&w, 1);

	reply_put_text(&w, line);
	reply_row_end(&w, mark);
	session_send(s, &w);
}

static void on_explained(struct explain_run *run, const struct ask_explained *a)
{
	struct session *s = list_entry(run, struct session, explain);
	struct wr w = session_wr(s);
	const char *line;

	if (a == NULL) {
		session_error_as(s, SQLSTATE_INSUFFICIENT_RESOURCES, "a worker does not answer");
	} else if (a->status == E_NOTFOUND) {
		session_error(s, "No such database: %s", s->command.name);
	} else if (a->status != OK) {
		session_error_as(s, SQLSTATE_INSUFFICIENT_RESOURCES, "no memory, or no room");
	} else {
		if (!s->is_extended && session_describe(s, &s->command, &w))
			session_send(s, &w);
		line = a->lines;
		for (uint32_t i = 0; i < a->n_lines; i++, line += strlen(line) + 1)
			put_line(s, line);
		session_complete(s, verb_tag(VERB_EXPLAIN));
	}
}

/* --- RELOAD, SET, SHUTDOWN --- */

/* The answer to RELOAD DRY RUN is a table. */
static void show_plan_of(struct session *s, struct reload_request *r)
{
	if (*r->plan == NULL) {
		session_error_as(s, SQLSTATE_INSUFFICIENT_RESOURCES, "out of memory");
		return;
	}
	plan_free(s->plan);
	s->plan = *r->plan;
	*r->plan = NULL;
	s->command.verb = VERB_SHOW;
	text_copy(s->command.name, sizeof s->command.name, show_plan.name);
	show_rows(s, &show_plan, !s->is_extended);
}

static void on_reloaded(struct reload_request *r, enum status st, const char *text)
{
	struct session *s = list_entry(r, struct session, reload);

	if (st != OK && s->command.verb == VERB_RELOAD) {
		session_error_as(s, "F0000", text);
	} else if (r->dry_run) {
		show_plan_of(s, r);
	} else if (st != OK) {
		session_error(s, "SET failed: %s", text);
	} else {
		if (*text != '\0')
			notice(s, text, NULL);
		session_complete(s, verb_tag(s->command.verb));
	}
}

static void reload(struct session *s)
{
	memset(s->reload.key, 0, sizeof s->reload.key);
	memset(s->reload.value, 0, sizeof s->reload.value);
	s->reload.dry_run = s->command.verb == VERB_RELOAD && *s->command.name != '\0';
	if (s->command.verb == VERB_SET) {
		text_copy(s->reload.key, sizeof s->reload.key, s->command.name);
		text_copy(s->reload.value, sizeof s->reload.value, s->command.value);
	}
	reload_ask(s->of->conf.reload, &s->reload);
}

static void set(struct session *s)
{
	if (is_ignored(s->command.name)) {
		notice(s, "SET ignored", NULL);
		session_complete(s, "SET");
	} else if (!s->is_admin) {
		session_error(s, "admin access needed");
	} else {
		reload(s);
	}
}

static void shut_down(struct session *s)
{
	const struct consoles_conf *conf = &s->of->conf;
	bool clients = strcmp(s->command.name, "wait_for_clients") == 0;
	bool servers = strcmp(s->command.name, "wait_for_servers") == 0;

	if (*s->command.name != '\0' && !clients && !servers) {
		refuse(s);
	} else if ((clients || servers) && admin_is_shutting_down(conf->env)) {
		session_error(s, "already shutting down");
	} else {
		session_complete(s, "SHUTDOWN");
		if (clients || servers)
			conf->ops->shutdown_wait(conf->arg, servers);
		else
			conf->ops->shutdown(conf->arg);
	}
}

/* --- all of them --- */

static void run_as_admin(struct session *s)
{
	switch (s->command.verb) {
	case VERB_PAUSE:
		decide(s, admin_pause, true);
		break;
	case VERB_RESUME:
		decide(s, admin_resume, false);
		break;
	case VERB_DISABLE:
		decide(s, admin_disable, false);
		break;
	case VERB_ENABLE:
		decide(s, admin_enable, false);
		break;
	case VERB_RECONNECT:
		decide(s, admin_reconnect, true);
		break;
	case VERB_KILL:
		decide(s, admin_kill, true);
		break;
	case VERB_WAIT_CLOSE:
		decide(s, admin_check, true);
		break;
	case VERB_KILL_CLIENT:
		kill_client(s);
		break;
	case VERB_RELOAD:
		reload(s);
		break;
	case VERB_SHUTDOWN:
		shut_down(s);
		break;
	case VERB_SWITCHOVER:
		switch_over(s);
		break;
	case VERB_RESET:
		if (strcmp(s->command.name, "queries") == 0 ||
			strcmp(s->command.name, "errors") == 0)
			tell(s);
		else
			refuse(s);
		break;
	case VERB_SUSPEND:
		s->suspended_us = env_now_us(s->of->conf.env);
		decide(s, admin_suspend, true);
		break;
	case VERB_EXPLAIN:
	case VERB_EMPTY:
	case VERB_SHOW:
	case VERB_SET:
		PANIC_IF(s->command.verb != VERB_RELOAD); /* handled before */
	}
}

void session_run(struct session *s, bool with_columns)
{
	if (s->command.verb == VERB_SHOW)
		show(s, with_columns);
	else if (s->command.verb == VERB_SET)
		set(s);
	else if (s->command.verb == VERB_EXPLAIN)
		explain(s);
	else if (!s->is_admin)
		session_error(s, "admin access needed");
	else
		run_as_admin(s);
}

void session_command_init(struct session *s)
{
	show_run_init(&s->show, s->of->conf.tools, on_more);
	tell_init(&s->tell, s->of->conf.tellers, on_told);
	explaining_init(&s->explain, s->of->conf.tellers, on_explained);
	list_init(&s->reload.link);
	s->reload.done = on_reloaded;
	wheel_timer_init(&s->timer, on_timer);
}

void session_command_cancel(struct session *s)
{
	show_run_end(&s->show);
	tell_cancel(&s->tell);
	explaining_cancel(&s->explain);
	reload_cancel(&s->reload);
	plan_free(s->plan);
	s->plan = NULL;
	wheel_del(&s->of->conf.env->wheel, &s->timer);
}
