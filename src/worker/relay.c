#include "worker/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/effective.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/reply.h"
#include "proto/report.h"
#include "proto/tag.h"
#include "state/settings_class.h"
#include "worker/advanced.h"
#include "worker/confirm.h"
#include "worker/effects.h"
#include "worker/entry.h"
#include "worker/fit.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/hold.h"
#include "worker/learned.h"
#include "worker/link.h"
#include "worker/login.h"
#include "worker/loss.h"
#include "worker/moving.h"
#include "worker/notify.h"
#include "worker/pass.h"
#include "worker/pick.h"
#include "worker/pinning.h"
#include "worker/prepared.h"
#include "worker/probe.h"
#include "worker/queries.h"
#include "worker/replayed.h"
#include "worker/server_clean.h"
#include "worker/sqlstmt.h"
#include "worker/unit_end.h"

/* A walk over one chunk of a server's messages. [run, at) is to be passed on. */
struct walk {
	struct worker *w;
	struct server *s;
	const uint8_t *data;
	size_t len;
	size_t run, at;
	uint32_t len_max; /* largest length field */
};

/* --- what the client gets --- */

/* Pass on what has been walked over and not yet passed. */
static void pass_run(struct walk *k)
{
	struct client *c = k->s->client;

	if (k->at > k->run && c != NULL)
		pass_bytes(k->w, c, k->data + k->run, k->at - k->run, true);
	k->run = k->at;
}

/* Leave out the message of `n` bytes at k->at. */
static void skip(struct walk *k, size_t n)
{
	pass_run(k);
	k->at += n;
	k->run = k->at;
}

/* --- owed entries of ours --- */

/* Answer in the server's place what stands at the head, up to the first that the server answers. */
static void answer_synthetic(struct worker *w, struct server *s)
{
	struct owed_entry *head;
	uint8_t buf[8];

	while ((head = owed_head(&s->owed)) != NULL && head->who == OWED_SYNTH) {
		struct owed_entry e = owed_pop(&s->owed);
		struct wr out = wr_of(buf, sizeof buf);

		if (e.kind == OWED_PARSE)
			reply_put_parse_complete(&out);
		else
			reply_put_close_complete(&out);
		if (s->client != NULL && !s->client->busy->confirming) {
			pass_own(w, s->client, &out);
			sqlstmt_large_gone(w, s->client);
		}
		entry_done(w, e);
	}
}

void relay_answer_synthetic(struct worker *w, struct client *c)
{
	answer_synthetic(w, c->server);
	conn_flush(c->conn);
}

/* --- linking --- */

/* --- ends of units --- */

/* --- hidden queries --- */

static void welcome_done(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	const struct welcome *x;

	if (c == NULL || !server_is_quiet(s))
		return; /* a second message follows */
	x = account_welcome_add(w, c->acc, c->set.current, &c->busy->learned);
	link_break(w, c);
	server_release(w, s);
	if (x != NULL)
		login_greet(w, c, x);
	else
		pass_no_memory(w, c);
}

/* The settings could not be given to the server: what runs there now would run wrongly. */
static void diff_failed(struct worker *w, struct server *s)
{
	log_warn(w->log, "settings could not be applied",
		"server=%lu client=%lu sqlstate=%s error=%s", (unsigned long)s->id,
		s->client != NULL ? (unsigned long)s->client->id : 0, s->fatal_sqlstate,
		LOG_Q_LONG(s->fatal_message));
	server_close(w, s, SERVER_END_PROTOCOL);
}

static void welcome_failed(struct worker *w, struct server *s)
{
	struct client *c = s->client;
	struct settings *none = settings_empty(w->settings);
	struct report r = report_of("FATAL", s->fatal_sqlstate, s->fatal_message);

	/*
	 * Nothing of the message holds; a second one, of custom parameters, may. This is noted
	 * before the client goes, for another may get the server with that.
	 */
	server_set_settings(w, s, none);
	settings_unref(w->settings, none);
	s->dirt |= CLEAN(ALL);
	if (c != NULL)
		client_fatal(w, c, &r, CLIENT_END_LOGIN);
	s->fatal_sqlstate[0] = '\0';
}

/* What was asked about the client's last transaction is answered. */
static void goes_on(struct worker *w, struct client *c)
{
	if (link_may_release(c, c->server)) {
		link_release(w, c, c->server);
		return;
	}
	if (pins_any(&c->busy->pins) && !c->busy->pin_counted)
		pinning_found(w, c);
	(void)probe_send(w, c);
}

static void hidden_ready(struct worker *w, struct server *s, struct owed_entry e)
{
	bool failed = s->hidden_failed;

	s->hidden_failed = false;
	switch ((enum owed_tag)e.tag) {
	case OWED_TAG_DIFF:
	case OWED_TAG_REDIFF:
		if (failed)
			diff_failed(w, s);
		break;
	case OWED_TAG_BEGIN:
		if (failed && s->client != NULL)
			s->client->busy->deferred_failed = true;
		if (s->client != NULL && s->client->busy->confirming)
			confirm_hide(s);
		break;
	case OWED_TAG_CONFIRM:
		if (s->client != NULL)
			confirm_succeeded(w, s->client);
		break;
	case OWED_TAG_PROBE:
		if (s->client != NULL && link_may_release(s->client, s))
			link_release(w, s->client, s);
		break;
	case OWED_TAG_FOUND:
		found_out_done(w, s, e.ref, failed);
		if (s->client != NULL)
			goes_on(w, s->client);
		break;
	case OWED_TAG_ADVANCED:
		if (s->client != NULL)
			advanced_done(s->client, failed);
		break;
	case OWED_TAG_CHECK:
		server_was_checked(w, s, failed);
		return;
	case OWED_TAG_RESET:
		if (failed && s->cleaning != 0) {
			server_close(w, s, SERVER_END_CLEAN);
			return;
		}
		break;
	case OWED_TAG_WELCOME:
		if (failed)
			welcome_failed(w, s);
		else
			welcome_done(w, s);
		break;
	default:
		break;
	}
	if (s->state == SERVER_RESET)
		loss_drained(w, s);
	/* What waits until nothing is under way waits for what is hidden, too. */
	if (s->client == NULL || !server_is_quiet(s))
		return;
	client_watch(w, s->client);
	if (s->client->busy->stalled)
		conn_rx_resume(s->client->conn);
}

/* --- errors --- */

/*
 * Errors that a standby gives and a primary would not, that say that the server is going, or that
 * it lacks something now: the read runs elsewhere. Classes: connection, resources, system.
 */
static bool is_of_standby(const char *sqlstate)
{
	static const char *const classes[] = {"08", "53", "58"};
	static const char *const states[] = {SQLSTATE_READ_ONLY_SQL_TRANSACTION,
		SQLSTATE_FEATURE_NOT_SUPPORTED, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
		SQLSTATE_LOCK_NOT_AVAILABLE, SQLSTATE_INTERNAL_ERROR, SQLSTATE_DATA_CORRUPTED,
		SQLSTATE_INDEX_CORRUPTED, "42P01", "42883", "42703", "42704", "3F000",
		SQLSTATE_SERIALIZATION_FAILURE, SQLSTATE_DEADLOCK_DETECTED, SQLSTATE_ADMIN_SHUTDOWN,
		SQLSTATE_CRASH_SHUTDOWN, SQLSTATE_CANNOT_CONNECT_NOW, SQLSTATE_DATABASE_DROPPED,
		SQLSTATE_IDLE_SESSION_TIMEOUT};

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

/*
 * Any other error may come of what the replica has not replayed yet: a GRANT, another type of a
 * column, a row; or of what holds it up there: replay that has a lock, for a timeout. Only the
 * primary can tell. What the text alone has caused has nothing to do with it.
 */
static bool may_be_stale(struct worker *w, const struct client *c, const char *sqlstate)
{
	const struct topo_cluster *cluster = fit_cluster(w, c->acc);

	return cluster != NULL && cluster->primary != TOPO_NONE &&
	       pick_route(c->db->conf) == CHOOSE_ROUTE_AUTO &&
	       strcmp(sqlstate, SQLSTATE_SYNTAX_ERROR) != 0;
}

/*
 * 25006 is what a READ ONLY block is told everywhere, but for what only a standby refuses: LISTEN,
 * say. The message's words may be in any language.
 * Source: PostgreSQL, src/backend/tcop/utility.c.
 */
static bool is_of_read_only(const struct report *r)
{
	return report_has(r, SQLSTATE_READ_ONLY_SQL_TRANSACTION) &&
	       (r->routine == NULL || strcmp(r->routine, "PreventCommandDuringRecovery") != 0);
}

/* Nothing of the answer has been passed on: does the read run on another node, for this error? */
static bool runs_elsewhere(struct worker *w, const struct client *c, const struct report *r)
{
	if (c->busy->block_read_only && is_of_read_only(r))
		return false; /* so it would have been on the primary */
	if (report_has(r, SQLSTATE_QUERY_CANCELED) && server_is_canceled(c->server))
		return false; /* as was wished */
	if (report_has(r, SQLSTATE_ADMIN_SHUTDOWN) && c->server->ends_client)
		return false; /* the same */
	return is_of_standby(r->sqlstate) || may_be_stale(w, c, r->sqlstate);
}

static void replay(struct walk *k, const char *sqlstate)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct client *c = s->client;

	k->run = k->at;
	link_leave(w, c);
	loss_run_elsewhere(w, c, s, sqlstate);
}

static void remember_fatal(struct server *s, const struct report *r)
{
	snprintf(s->fatal_sqlstate, sizeof s->fatal_sqlstate, "%s", r->sqlstate);
	snprintf(s->fatal_message, sizeof s->fatal_message, "%s", r->message);
}

/* The server names its own statement in the error; the client shall read its own name. */
static void put_name_error(struct worker *w, struct client *c, const struct name_note *note)
{
	static const char *const states[] = {
		[NAME_IS_TAKEN] = SQLSTATE_DUPLICATE_PREPARED_STATEMENT,
		[NAME_IS_MISSING] = SQLSTATE_INVALID_SQL_STATEMENT_NAME,
		[NAME_HAS_ANOTHER_RESULT] = SQLSTATE_FEATURE_NOT_SUPPORTED,
		[NAME_IS_TOO_MUCH] = SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED,
	};
	char message[256];
	struct report r = report_of("ERROR", states[note->error], message);

	if (note->error == NAME_HAS_ANOTHER_RESULT) {
		r.message = "cached plan must not change result type";
		r.file = "plancache.c"; /* drivers know this error by where it comes from */
		r.routine = "RevalidateCachedQuery";
	} else if (note->error == NAME_IS_TOO_MUCH) {
		r.message = "too many prepared statements, or too large ones";
		r.hint = "Close those that are not needed, or raise max_statement_memory.";
	} else if (note->name[0] == '\0') {
		snprintf(message, sizeof message, "unnamed prepared statement does not exist");
	} else {
		snprintf(message, sizeof message, "prepared statement \"%.150s\" %s", note->name,
			note->error == NAME_IS_TAKEN ? "already exists" : "does not exist");
	}
	pass_report(w, c, &r);
}

/* After an error in a series nothing up to its Sync is answered any more. */
static void drop_skipped(struct worker *w, struct server *s)
{
	struct owed_entry e;

	while (owed_pop_skipped(&s->owed, &e))
		entry_lost(w, s, e);
}

static void fatal_error(struct walk *k, const struct report *r, size_t total)
{
	struct server *s = k->s;

	remember_fatal(s, r);
	skip(k, total); /* loss_of_server tells the client, in words of ours */
	if (s->state == SERVER_IDLE)
		server_close(k->w, s, SERVER_END_SHUTDOWN);
	else
		server_close(k->w, s, SERVER_END_LOST);
}

/* The unit that the error has ended runs once more; its statement is prepared anew. */
static COLD void run_again(struct walk *k, size_t total)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	bool ends;

	(void)owed_on_reply(&s->owed, 'E', &ends);
	drop_skipped(w, s);
	owed_hide_head(&s->owed, OWED_TAG_SETUP);
	skip(k, total);
	log_debug(w->log, "a unit runs again", "client=%lu server=%lu reason=changed_result",
		(unsigned long)s->client->id, (unsigned long)s->id);
	if (forward_again(w, s->client) != OK)
		server_close(w, s, SERVER_END_MEMORY);
}

/* An error that is the client's, for a message of its own or one that its message needs. */
static bool is_for_client(const struct owed_entry *e)
{
	return e->who != OWED_HIDDEN || e->tag == OWED_TAG_PARSE_HIDDEN ||
	       e->tag == OWED_TAG_SHAPE ||
	       (e->tag == OWED_TAG_SQL && e->no != SQLSTMT_BEFORE_QUERY);
}

/*
 * Of a block that is bound to its replica by its snapshot: is the error, which stays unread, asked
 * of the primary? What the node says of itself, and not of the statement, is not.
 */
static COLD bool error_waits(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct client *c = s->client;
	const struct owed_entry *head = owed_head(&s->owed);
	struct report r;

	if (c == NULL || c->busy->moves != MOVES_BOUND || !s->in_recovery)
		return false;
	if (c->busy->confirming) { /* it was read on by somebody else */
		conn_rx_pause(s->conn);
		return true;
	}
	if (c->busy->confirm != NULL || c->busy->holding || head == NULL || !is_for_client(head) ||
		head->tag == OWED_TAG_NAME_ERROR ||
		report_read(frame_body(k->data + k->at, f), 'E', &r) != OK || report_is_fatal(&r) ||
		loss_is_servers_own(r.sqlstate) || !runs_elsewhere(k->w, c, &r))
		return false;
	pass_run(k);
	if (!confirm_begin(k->w, c, r.sqlstate))
		return false;
	c->db->stats.replays[replay_cause_of(r.sqlstate)]++;
	conn_flush(c->conn);
	return true;
}

/*
 * The same, of what the primary cannot be asked about, for it is not proved to be a read, or its
 * block cannot be begun again: does the error come of the replica's state, and not of the
 * statement, for all that can be told by its code? Where the client has not chosen the replica
 * itself.
 */
static COLD bool is_of_replica(
	const struct client *c, const struct server *s, const struct report *r)
{
	if (!s->in_recovery || !c->busy->block_read_only || !c->busy->block_answered ||
		c->txn != TXN_OPEN || is_of_read_only(r) ||
		pick_route(c->db->conf) != CHOOSE_ROUTE_AUTO || !moving_has_one_snapshot(c, s))
		return false;
	if (report_has(r, SQLSTATE_QUERY_CANCELED))
		return !server_is_canceled(c->server);
	return is_of_standby(r->sqlstate) || report_has(r, SQLSTATE_INSUFFICIENT_PRIVILEGE);
}

/* The primary's answer to what is asked of it about a replica's error. */
static COLD void confirm_came(struct walk *k, const struct report *r, size_t total)
{
	struct server *s = k->s;
	bool ends;

	confirm_failed(k->w, s->client, r->sqlstate);
	(void)owed_on_reply(&s->owed, 'E', &ends);
	drop_skipped(k->w, s);
	skip(k, total);
}

static COLD void error_came(struct walk *k, const struct frame *f)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct owed_entry *head = owed_head(&s->owed);
	struct owed_entry e = head != NULL ? *head : (struct owed_entry){0};
	struct client *c = s->client;
	enum route_broken broken = BROKEN_COUNT;
	enum confirm_verdict verdict;
	char text[LOSS_TEXT_MAX];
	enum owed_step step;
	struct report r;
	bool ends;

	if (report_read(frame_body(k->data + k->at, f), 'E', &r) != OK)
		r.message = "malformed ErrorResponse";
	if (c != NULL && c->busy->confirming && head != NULL && !report_is_fatal(&r) &&
		(e.kind != OWED_QUERY || e.tag == OWED_TAG_CONFIRM)) {
		confirm_came(k, &r, f->total);
		return;
	}
	if (c != NULL && head != NULL && prepared_is_stale(w, s, &e, &r) &&
		!(c->busy->holding && s->in_recovery) && prepared_may_resend(c, s, &e)) {
		run_again(k, f->total);
		return;
	}
	if (c != NULL && c->busy->holding && s->in_recovery && runs_elsewhere(w, c, &r)) {
		(void)owed_on_reply(&s->owed, 'E', &ends);
		drop_skipped(w, s);
		if (report_has(&r, SQLSTATE_READ_ONLY_SQL_TRANSACTION))
			learned_teach(w, c);
		replay(k, r.sqlstate);
		if (report_is_fatal(&r))
			server_close(w, s, SERVER_END_SHUTDOWN);
		else
			skip(k, f->total);
		return;
	}
	if (report_is_fatal(&r)) {
		fatal_error(k, &r, f->total);
		return;
	}
	step = owed_on_reply(&s->owed, 'E', &ends);
	if (head == NULL) { /* an ERROR that nobody is owed: the server is confused */
		server_close(w, s, SERVER_END_PROTOCOL);
		return;
	}
	if (e.kind == OWED_QUERY && e.who == OWED_HIDDEN) {
		s->hidden_failed = true;
		if (c == NULL || !c->busy->deferred_failed) /* else it has failed for that */
			remember_fatal(s, &r);
	}
	if (c != NULL && e.tag == OWED_TAG_SQL && e.no == SQLSTMT_BEFORE_QUERY) {
		remember_fatal(s, &r); /* of the Query that follows */
		c->busy->deferred_failed = true;
	}
	if (c != NULL && e.tag == OWED_TAG_EFFECTS && e.kind == OWED_QUERY)
		effects_unsure(w, c, e.ref, false);
	if (c != NULL) {
		if (e.tag != OWED_TAG_FOUND && e.tag != OWED_TAG_PROBE)
			c->busy->unit_error = true;
		if (is_for_client(&e))
			queries_failed(w, s, r.sqlstate);
	}
	verdict = c != NULL ? confirm_take(c) : CONFIRM_NONE;
	if (verdict == CONFIRM_STALE)
		broken = loss_count_block(c);
	else if (c != NULL && is_for_client(&e))
		broken = loss_count_broken(c, s, r.sqlstate);
	if (verdict == CONFIRM_NONE && broken == BROKEN_COUNT && c != NULL && is_for_client(&e) &&
		is_of_replica(c, s, &r))
		broken = loss_count_block(c);
	if (verdict == CONFIRM_CANCELED) {
		skip(k, f->total);
		r = report_of("ERROR", SQLSTATE_QUERY_CANCELED,
			"canceling statement due to user request");
		pass_report(w, c, &r);
	} else if (broken == BROKEN_BLOCK && !report_has(&r, SQLSTATE_SERIALIZATION_FAILURE)) {
		skip(k, f->total);
		r = loss_block_report(r.sqlstate, text);
		pass_report(w, c, &r);
	} else if (c != NULL && e.who == OWED_CLIENT && c->busy->deferred_failed) {
		/* What failed was answered before it ran: this is its error. */
		c->busy->deferred_failed = false;
		skip(k, f->total);
		r = report_of("ERROR", s->fatal_sqlstate, s->fatal_message);
		pass_report(w, c, &r);
	} else if (c != NULL && e.tag == OWED_TAG_NAME_ERROR) {
		skip(k, f->total);
		put_name_error(w, c, e.ref);
	} else if (step == OWED_DROP && !is_for_client(&e)) {
		skip(k, f->total);
	} else {
		k->at += f->total;
		if (c != NULL && is_for_client(&e))
			dbase_count_error(w, c->db, r.sqlstate, ERROR_SERVER);
	}
	drop_skipped(w, s);
}

/* --- other messages that matter --- */

/* A reported parameter has changed under the client's own statement: its settings follow. */
static void follow_parameter(
	struct worker *w, struct client *c, const struct msg_parameter_status *p)
{
	const char *base = baseline_get(&c->acc->baseline, p->name);
	struct settings *before = c->set.current;
	enum status st;

	if (base == NULL || settings_class_of(p->name) != SETTINGS_CARRIED ||
		strcmp(p->name, "session_authorization") == 0 ||
		strcmp(p->name, "is_superuser") == 0)
		return;
	if (strcmp(base, p->value) == 0 && settings_get(c->set.login, p->name) == NULL)
		st = settings_txn_reset(&c->set, p->name);
	else
		st = settings_txn_set(&c->set, p->name, p->value);
	if (st != OK)
		pins_add(&c->busy->pins, &w->sh->pins, PIN_SET_CONFIG, w->now_us, p->name,
			strlen(p->name));
	if (c->set.current != before) {
		c->busy->has_reported = true;
		effects_behind(c, c->server);
		client_settings_changed(w, c);
	}
}

/* Does what the start-up packet said decide what a parameter is after a RESET? */
static bool login_tells(const struct client *c, const char *name)
{
	const struct settings *login = c->set.login;
	const char *value = settings_get(login, name), *now = settings_get(c->set.current, name);

	if (value != NULL)
		return now != NULL && strcmp(value, now) == 0;
	return (strcmp(name, "is_superuser") == 0 || strcmp(name, "session_authorization") == 0) &&
	       (settings_get(login, "role") != NULL ||
		       settings_get(login, "session_authorization") != NULL);
}

/*
 * A RESET: the server has gone back to its own default, the client goes back to what its start-up
 * packet said, which the server is about to be told.
 */
static COLD void put_login_value(struct worker *w, struct client *c, const char *name)
{
	const struct welcome *x = account_welcome(c->acc, c->set.login);
	const char *value = x != NULL ? welcome_value(x, &name) : NULL;
	uint8_t buf[1024];
	struct wr out = wr_of(buf, sizeof buf);

	if (value == NULL || strlen(name) + strlen(value) + 16 > sizeof buf)
		return; /* the server's answer will tell */
	reply_put_parameter_status(&out, name, value);
	pass_own(w, c, &out);
}

/* The server may have nothing to report, where its own default is what it had. */
static COLD void put_login_values(struct worker *w, struct client *c)
{
	const struct settings *login = c->set.login;

	for (size_t i = 0; i < settings_n(login); i++)
		if (login_tells(c, settings_name(login, i)))
			put_login_value(w, c, settings_name(login, i));
	if (login_tells(c, "is_superuser")) {
		put_login_value(w, c, "is_superuser");
		put_login_value(w, c, "session_authorization");
	}
}

/* Has the server gone back to its own default? */
static bool is_base(const struct client *c, const struct msg_parameter_status *p)
{
	const char *base = baseline_get(&c->acc->baseline, p->name);

	return base != NULL && strcmp(base, p->value) == 0;
}

static void parameter_came(struct walk *k, const struct frame *f, enum owed_step step)
{
	struct server *s = k->s;
	struct client *c = s->client;
	struct owed_entry *head = owed_head(&s->owed);
	struct msg_parameter_status p;

	if (backend_read_parameter_status(frame_body(k->data + k->at, f), &p) != OK) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return;
	}
	if (strcmp(p.name, "in_hot_standby") == 0) { /* of the server, not of the client */
		if (s->in_recovery && strcmp(p.value, "off") == 0) {
			s->close_needed = true;
			worker_probe(k->w, s->pool->node);
		}
		skip(k, f->total);
		if (s->close_needed && s->state == SERVER_IDLE)
			server_close(k->w, s, SERVER_END_ROLE);
		return;
	}
	if ((step == OWED_DROP && (head == NULL || head->tag != OWED_TAG_REDIFF)) || c == NULL) {
		if (c != NULL && head != NULL && head->tag == OWED_TAG_WELCOME &&
			baseline_put(&c->busy->learned, p.name, p.value) != OK)
			pass_no_memory(k->w, c);
		skip(k, f->total);
		return;
	}
	if (head != NULL && head->tag != OWED_TAG_REDIFF) {
		if (c->busy->rediff && login_tells(c, p.name) && is_base(c, &p)) {
			skip(k, f->total);
			put_login_value(k->w, c, p.name);
			return;
		}
		follow_parameter(k->w, c, &p);
	}
	k->at += f->total;
}

static void command_completed(struct walk *k, const struct frame *f)
{
	struct owed_entry *head = owed_head(&k->s->owed);
	struct client *c = k->s->client;
	const char *tag;
	bool was_due;

	if (head != NULL && head->query != 0) {
		struct rd body = frame_body(k->data + k->at, f);

		queries_completed(k->s, head, body.p, body.left);
	}
	if (head == NULL || (head->tag != OWED_TAG_EFFECTS && head->tag != OWED_TAG_RESET))
		return;
	if (backend_read_command_complete(frame_body(k->data + k->at, f), &tag) != OK)
		tag = "";
	if (head->tag == OWED_TAG_RESET) {
		server_clean_told(k->s, tag);
		return;
	}
	if (c == NULL)
		return;
	was_due = c->busy->rediff;
	effects_complete(k->w, c, k->s, head->ref, tag_read(tag).tag == TAG_ROLLBACK);
	if (c->busy->rediff && !was_due) {
		pass_run(k);
		put_login_values(k->w, c);
	}
}

/* The client has sent a Flush, not a Sync: after an error it goes on with its Sync. */
static void flush_ready(struct walk *k, const struct frame *f)
{
	struct client *c = k->s->client;

	skip(k, f->total);
	if (c == NULL)
		return;
	c->busy->flushed = false;
	c->busy->skip_to_sync = c->busy->unit_error;
}

static void ready_came(struct walk *k, const struct frame *f, enum owed_step step)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct owed_entry e;
	uint8_t status;

	if (backend_read_ready(frame_body(k->data + k->at, f), &status) != OK) {
		server_close(w, s, SERVER_END_PROTOCOL);
		return;
	}
	s->txn_status = status;
	e = owed_pop(&s->owed);
	if (e.query != 0 && e.kind == OWED_QUERY)
		queries_ended(w, s, &e);
	if (e.who == OWED_HIDDEN) {
		skip(k, f->total);
		hidden_ready(w, s, e);
		return;
	}
	(void)step;
	if (e.tag == OWED_TAG_FLUSH)
		flush_ready(k, f);
	else
		k->at += f->total;
	if (s->client == NULL) {
		k->run = k->at;
		if (s->pool->outstanding != 0)
			s->pool->outstanding--;
		entry_done(w, e);
		loss_drained(w, s);
		return;
	}
	entry_done(w, e);
	pass_run(k);
	unit_end(k->w, k->s, e, (char)status);
}

static bool is_inspected(const struct server *s, uint8_t type, uint32_t total)
{
	const struct owed_entry *head = owed_head(&s->owed);

	if (type == BACKEND_DATA_ROW && head != NULL && head->tag == OWED_TAG_FOUND)
		return total <= RELAY_INSPECT_MAX;
	return type != BACKEND_DATA_ROW && type != BACKEND_COPY_DATA &&
	       type != BACKEND_FUNCTION_CALL_RESPONSE;
}

/* A transaction is over, its ReadyForQuery still to be passed on. */
static void put_notifications(struct walk *k, struct client *c)
{
	pass_run(k);
	pass_held(k->w, c);
	if (c->busy->unit_error)
		notify_rollback(k->w, c);
	else
		notify_commit(k->w, c);
	notify_put_waiting(k->w, c);
}

/*
 * ReadyForQuery of a client that listens or has notified. If it ends a transaction it stays unread
 * as long as notifications of that transaction may be on their way; then they go ahead of it.
 */
static COLD bool ready_waits(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct client *c = s->client;
	const struct owed_entry *head;
	uint8_t status;

	pass_run(k);
	answer_synthetic(k->w, s); /* what stands ahead of it */
	head = owed_head(&s->owed);
	if (head == NULL || head->who != OWED_CLIENT || c->state != CLIENT_ACTIVE ||
		backend_read_ready(frame_body(k->data + k->at, f), &status) != OK || status != 'I')
		return false;
	if (notify_ready_waits(k->w, c)) {
		conn_rx_pause(s->conn);
		return true;
	}
	if (c->listening != NULL)
		put_notifications(k, c);
	return false;
}

static bool hears(const struct client *c)
{
	return c != NULL && (c->listening != NULL || c->busy->txn_notifies);
}

/* The client listens by the shared connection; what its server says of the same is dropped. */
static bool is_doubled(struct walk *k, const struct frame *f)
{
	struct msg_notification m;

	return f->type == BACKEND_NOTIFICATION_RESPONSE && k->s->client != NULL &&
	       k->s->client->listening != NULL &&
	       backend_read_notification(frame_body(k->data + k->at, f), &m) == OK &&
	       notify_owns(k->s->client, m.channel);
}

/*
 * Of a server that listens for its client alone: the backend's number becomes the one that the
 * notifier's client knows. The head is ours then, the rest goes on as it is.
 */
static void put_notifier(struct walk *k, const struct frame *f)
{
	uint8_t head[FRAME_HEAD_LEN + 4];
	struct wr out = wr_of(head, sizeof head);
	struct msg_notification m;
	uint32_t pid;

	if (backend_read_notification(frame_body(k->data + k->at, f), &m) != OK)
		return;
	pid = backends_get(&k->w->sh->backends, k->s->pool->node, m.pid);
	if (pid == 0)
		return; /* nobody's of ours */
	pass_run(k);
	wr_bytes(&out, k->data + k->at, FRAME_HEAD_LEN);
	wr_u32(&out, pid);
	pass_own(k->w, k->s->client, &out);
	k->run = k->at + sizeof head;
}

/* A description that tells something. False: the client has left, its unit runs elsewhere. */
static COLD bool described(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	struct owed_entry *e = owed_head(&s->owed);

	if (prepared_told(
		    k->w, s, e, f->type == BACKEND_ROW_DESCRIPTION, frame_body(k->data + k->at, f)))
		return true;
	replay(k, SQLSTATE_FEATURE_NOT_SUPPORTED);
	(void)owed_pop(&s->owed);
	skip(k, f->total);
	return false;
}

/* A message that is complete, or need not be. Returns false if the walk is over. */
static bool message_came(struct walk *k, const struct frame *f)
{
	struct server *s = k->s;
	size_t there = frame_part(f->total, k->len - k->at);
	enum owed_step step;
	bool ends;

	if (f->type != BACKEND_NOTICE_RESPONSE && f->type != BACKEND_NOTIFICATION_RESPONSE &&
		owed_head(&s->owed) != NULL && owed_head(&s->owed)->who == OWED_SYNTH) {
		pass_run(k);
		answer_synthetic(k->w, s);
	}
	if (f->type == BACKEND_ERROR_RESPONSE && there == f->total) {
		if (error_waits(k, f))
			return false;
		error_came(k, f);
		return s->state != SERVER_CLOSED;
	}
	step = owed_on_reply(&s->owed, (char)f->type, &ends);
	if (step == OWED_BAD) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return false;
	}
	if (f->type == BACKEND_READY_FOR_QUERY) {
		ready_came(k, f, step);
		return s->state != SERVER_CLOSED;
	}
	if (f->type == BACKEND_PARAMETER_STATUS) {
		parameter_came(k, f, step);
		return s->state != SERVER_CLOSED;
	}
	if (f->type == BACKEND_COPY_IN_RESPONSE && s->client != NULL && s->client->busy->stalled)
		conn_rx_resume(s->client->conn); /* its data may go now */
	if (f->type == BACKEND_DATA_ROW && step == OWED_DROP && there == f->total &&
		s->client != NULL && owed_head(&s->owed)->tag == OWED_TAG_PROBE)
		probe_row(k->w, s->client, frame_body(k->data + k->at, f));
	if (f->type == BACKEND_DATA_ROW && step == OWED_DROP && s->client != NULL &&
		owed_head(&s->owed)->tag == OWED_TAG_ADVANCED)
		advanced_row(s->client);
	if (f->type == BACKEND_DATA_ROW && step == OWED_DROP &&
		owed_head(&s->owed)->tag == OWED_TAG_FOUND)
		found_out_row(owed_head(&s->owed)->ref,
			there == f->total ? frame_body(k->data + k->at, f) : rd_of(NULL, 0));
	if (f->type == BACKEND_PORTAL_SUSPENDED && s->client != NULL && ends &&
		owed_head(&s->owed)->tag == OWED_TAG_EFFECTS)
		effects_unsure(k->w, s->client, owed_head(&s->owed)->ref, true);
	if (f->type == BACKEND_COMMAND_COMPLETE)
		command_completed(k, f);
	if (ends && owed_head(&s->owed)->tag == OWED_TAG_SHAPE && !described(k, f))
		return true;
	if (step == OWED_DROP || s->client == NULL || (there == f->total && is_doubled(k, f)))
		skip(k, there);
	else {
		if (f->type == BACKEND_NOTIFICATION_RESPONSE)
			put_notifier(k, f);
		k->at += there;
	}
	s->body_left = (uint32_t)(f->total - there);
	s->body_passed = step == OWED_PASS && s->client != NULL;
	if (ends)
		entry_done(k->w, owed_pop(&s->owed));
	return true;
}

static void body_goes_on(struct walk *k)
{
	struct server *s = k->s;
	size_t n = frame_part(s->body_left, k->len - k->at);

	s->body_left -= (uint32_t)n;
	if (s->body_passed && s->client != NULL)
		k->at += n;
	else
		skip(k, n);
}

static void too_large(struct walk *k)
{
	struct report r = report_of("FATAL", SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
		"a message of the server is larger than max_packet_size");

	pass_run(k);
	remember_fatal(k->s, &r); /* what loss_of_server tells the client */
	server_close(k->w, k->s, SERVER_END_PROTOCOL);
}

static bool walk_on(struct walk *k)
{
	struct server *s = k->s;
	struct frame f;
	enum status st;

	if (s->body_left != 0) {
		body_goes_on(k);
		return true;
	}
	if (s->client != NULL)
		k->at += owed_pass_run(&s->owed, k->data + k->at, k->len - k->at, k->len_max);
	st = frame_peek(k->data + k->at, k->len - k->at, k->len_max, &f);
	if (st == E_AGAIN)
		return false;
	if (st == E_LIMIT && k->len_max != FRAME_LEN_MAX) {
		too_large(k);
		return false;
	}
	if (st == OK && !frame_is_complete(&f, k->len - k->at) &&
		is_inspected(s, f.type, f.total)) {
		if (f.total <= RELAY_INSPECT_MAX)
			return false;
		if (f.type != BACKEND_ERROR_RESPONSE && f.type != BACKEND_NOTICE_RESPONSE)
			st = E_LIMIT;
	}
	if (st != OK || backend_flags[f.type] == 0) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return false;
	}
	if (f.type == BACKEND_READY_FOR_QUERY && hears(s->client) && ready_waits(k, &f))
		return false;
	return message_came(k, &f);
}

static void end_of_chunk(struct walk *k)
{
	struct worker *w = k->w;
	struct server *s = k->s;
	struct client *c;

	pass_run(k);
	c = s->client;
	if (c == NULL || c->conn == NULL)
		return;
	if (c->busy->holding && c->busy->hold != NULL &&
		hold_keep(c->busy->hold, loop_bufpool(w->loop)) != OK) {
		pass_no_memory(w, c);
		return;
	}
	conn_flush(c->conn);
	client_count_bytes(c);
	if (conn_out_len(c->conn) > w->conf->relay_buffer)
		conn_rx_pause(s->conn);
	if (c->busy->stalled && c->busy->streaming && s->owed.n <= OWED_MAX / 4)
		conn_rx_resume(c->conn); /* it was far ahead */
}

size_t relay_server_data(struct worker *w, struct server *s, const uint8_t *data, size_t len)
{
	struct walk k = {
		.w = w, .s = s, .data = data, .len = len, .len_max = conf_message_len_max(w->conf)};

	while (k.at < len && walk_on(&k))
		;
	if (s->state == SERVER_CLOSED)
		return len;
	end_of_chunk(&k);
	return k.at;
}

/* --- back-pressure --- */

void relay_client_drained(struct worker *w, struct client *c)
{
	(void)w;
	if (conn_rx_is_paused(c->server->conn))
		conn_rx_resume(c->server->conn);
}

void relay_server_drained(struct worker *w, struct server *s)
{
	(void)w;
	if (conn_rx_is_paused(s->client->conn))
		conn_rx_resume(s->client->conn);
}

void relay_press_client(struct worker *w, struct client *c)
{
	if (c->server != NULL && conn_out_len(c->server->conn) > w->conf->relay_buffer)
		conn_rx_pause(c->conn);
}

/* --- a client leaves --- */

/* --- a server is lost --- */

/* --- small things --- */

void relay_put_terminate(struct server *s)
{
	uint8_t buf[8];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_terminate(&out);
	conn_put_copy(s->conn, buf, out.len);
}
