#include "worker/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "auth/door.h"
#include "base/text.h"
#include "net/listen.h"
#include "net/tls.h"
#include "proto/options.h"
#include "proto/reply.h"
#include "proto/startup.h"
#include "state/settings_class.h"
#include "worker/account.h"
#include "worker/ask.h"
#include "worker/cancel.h"
#include "worker/custom.h"
#include "worker/dispatch.h"
#include "worker/handover.h"
#include "worker/ours.h"
#include "worker/prove.h"
#include "worker/proxied.h"
#include "worker/server.h"

#define TLS_HANDSHAKE  0x16         /* first byte of a ClientHello; of no start-up packet */
#define VERSION_SPOKEN STARTUP_V3_2 /* the newest; a newer one is negotiated down */

void login_free(struct login *l)
{
	if (l == NULL)
		return;
	if (l->told != NULL)
		scram_wipe(l->told, sizeof *l->told);
	free(l->told);
	secret_free(l->answer);
	secret_free(l->password);
	secret_free(l->options);
	if (l->scram != NULL)
		scram_server_fini(l->scram);
	free(l->scram);
	if (l->learned != NULL)
		scram_wipe(l->learned, sizeof *l->learned);
	free(l->learned);
	free(l->names);
	free(l->map);
	scram_wipe(l, sizeof *l);
	free(l);
}

struct login *login_new(void)
{
	struct login *l = calloc(1, sizeof *l);

	if (l != NULL)
		l->user = l->database = "";
	return l;
}

enum status login_set_names(struct login *l, const char *user, const char *database)
{
	size_t user_len = strlen(user) + 1, database_len = strlen(database) + 1;

	l->names = malloc(user_len + database_len);
	if (l->names == NULL)
		return E_NOMEM;
	l->user = memcpy(l->names, user, user_len);
	l->database = memcpy(l->names + user_len, database, database_len);
	return OK;
}

void login_refuse(struct worker *w, struct client *c, const char *sqlstate, const char *message,
	const char *hint)
{
	struct report r = report_of("FATAL", sqlstate, message);

	r.hint = hint;
	client_fatal(w, c, &r, CLIENT_END_LOGIN);
}

void login_refuse_protocol(struct worker *w, struct client *c, const char *message)
{
	struct report r = report_of("FATAL", SQLSTATE_PROTOCOL_VIOLATION, message);

	client_fatal(w, c, &r, CLIENT_END_PROTOCOL);
}

/* --- start-up packets --- */

static size_t answer_ssl(struct worker *w, struct client *c, size_t used, size_t len)
{
	struct tls_ctx *ctx = w->tls != NULL ? w->tls->client : NULL;

	if (c->login->ssl_asked || conn_tls(c->conn) != NULL) {
		login_refuse_protocol(w, c, "unexpected SSLRequest");
		return used;
	}
	c->login->ssl_asked = true;
	if (ctx == NULL) {
		conn_put_copy(c->conn, "N", 1);
		conn_flush(c->conn);
		return used;
	}
	if (used != len) { /* plain bytes stuffed in front of the handshake */
		client_close(w, c, CLIENT_END_PROTOCOL);
		return used;
	}
	conn_put_copy(c->conn, "S", 1);
	conn_flush(c->conn);
	client_transition(w, c, CLIENT_GOT_TLS);
	if (conn_tls_accept(c->conn, ctx) != OK)
		client_close(w, c, CLIENT_END_TLS);
	return used;
}

/* PostgreSQL 17: a ClientHello comes first. Its ALPN is looked at when the handshake is done. */
static size_t take_direct_tls(struct worker *w, struct client *c, const uint8_t *data, size_t len)
{
	struct tls_ctx *ctx = w->tls != NULL ? w->tls->client : NULL;

	if (ctx == NULL) {
		client_close(w, c, CLIENT_END_TLS);
		return len;
	}
	c->login->ssl_asked = c->login->direct_tls = true;
	client_transition(w, c, CLIENT_GOT_TLS);
	if (conn_tls_accept_begun(c->conn, ctx, data, len) != OK)
		client_close(w, c, CLIENT_END_TLS);
	return len;
}

static size_t answer_gss(struct worker *w, struct client *c, size_t used)
{
	if (c->login->gss_asked || conn_tls(c->conn) != NULL) {
		login_refuse_protocol(w, c, "unexpected GSSENCRequest");
		return used;
	}
	c->login->gss_asked = true;
	conn_put_copy(c->conn, "N", 1);
	conn_flush(c->conn);
	return used;
}

static bool list_has(
	const struct conf_list *l, const char *name, int (*compare)(const char *, const char *))
{
	for (size_t i = 0; i < l->n; i++)
		if (compare(l->items[i], name) == 0)
			return true;
	return false;
}

/* Names of parameters; those of users are told apart by case, as PostgreSQL does. */
static bool is_ignored(const struct worker *w, const char *parameter)
{
	return list_has(&w->conf->ignore_startup_parameters, parameter, strcasecmp);
}

static bool take_our_parameter(
	struct worker *w, struct client *c, const char *name, const char *value)
{
	char message[2 * ASK_VALUE_MAX + 64], lower[ASK_NAME_MAX];
	enum status st;

	text_copy(lower, sizeof lower, name + strlen("pgweir."));
	for (char *p = lower; *p != '\0'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
	st = ours_start(c, lower, value);
	if (st == OK)
		return true;
	if (st == E_NOTFOUND)
		snprintf(message, sizeof message,
			"unrecognized configuration parameter \"pgweir.%.*s\"", (int)ASK_VALUE_MAX,
			lower);
	else
		snprintf(message, sizeof message,
			"invalid value for parameter \"pgweir.%s\": \"%.*s\"", lower,
			(int)ASK_VALUE_MAX, value);
	login_refuse(w, c,
		st == E_NOTFOUND  ? "42704"
		: st == E_INVALID ? SQLSTATE_INVALID_PARAMETER_VALUE
				  : SQLSTATE_OUT_OF_MEMORY,
		message, ask_values(ask_find(lower)));
	return false;
}

/* One start-up parameter becomes part of the client's settings. */
static bool take_setting(struct worker *w, struct client *c, const char *name, const char *value)
{
	enum settings_class cls = settings_class_of(name);
	enum status st;

	if (is_ignored(w, name))
		return true;
	if (strncasecmp(name, "pgweir.", strlen("pgweir.")) == 0)
		return take_our_parameter(w, c, name, value);
	if (cls == SETTINGS_TXN || cls == SETTINGS_SEED) /* no meaning before a transaction */
		return true;
	st = settings_txn_set(&c->set, name, value);
	if (st == OK)
		return true;
	login_refuse(w, c,
		st == E_NOMEM ? SQLSTATE_OUT_OF_MEMORY : SQLSTATE_INVALID_PARAMETER_VALUE,
		"a start-up parameter cannot be applied",
		"Names have at most 63 bytes, values at most 8 kB; see also "
		"ignore_startup_parameters.");
	return false;
}

static bool take_options(struct worker *w, struct client *c, const char *text)
{
	char buf[STARTUP_LEN_MAX];
	const char *name, *value;
	struct options o;
	enum status st;

	options_init(&o, text, buf, sizeof buf);
	while ((st = options_next(&o, &name, &value)) == OK)
		if (!take_setting(w, c, name, value))
			return false;
	if (st == E_NOTFOUND)
		return true;
	login_refuse(w, c, SQLSTATE_SYNTAX_ERROR, "invalid command-line argument in options",
		"Use -c name=value or --name=value.");
	return false;
}

/* application_name_add_host: "psql - 10.0.0.1:40000", "[::1]:40000", "unix:6432". */
static bool add_host(struct worker *w, struct client *c)
{
	const char *app = settings_get(c->set.current, "application_name");
	char addr[64], name[512];
	uint16_t port;
	bool v6;

	conn_remote(c->conn, addr, sizeof addr, &port);
	v6 = strchr(addr, ':') != NULL;
	snprintf(name, sizeof name, "%.400s - %s%s%s:%u", app != NULL ? app : "app", v6 ? "[" : "",
		addr, v6 ? "]" : "", conn_is_unix(c->conn) ? w->conf->listen_port : port);
	return take_setting(w, c, "application_name", name);
}

static bool take_settings(struct worker *w, struct client *c, const struct startup *s)
{
	struct rd params = s->params;
	struct startup_param p;
	struct settings *login;

	if (!is_ignored(w, "options") && !take_options(w, c, s->options))
		return false;
	while (startup_param_next(&params, &p)) {
		if (p.kind != STARTUP_PARAM_SETTING)
			continue;
		if (!take_setting(w, c, p.name, p.value))
			return false;
	}
	if (w->conf->application_name_add_host && !add_host(w, c))
		return false;
	/* RESET goes back to what the start-up packet said. */
	login = settings_ref(c->set.current);
	settings_txn_fini(&c->set);
	settings_txn_init(&c->set, w->settings, &login);
	server_note_settings(w, c->set.login);
	if (custom_login(w, c) == OK)
		return true;
	login_refuse(
		w, c, SQLSTATE_CONFIGURATION_LIMIT_EXCEEDED, "too many custom parameters", NULL);
	return false;
}

static bool is_console_name(const char *database)
{
	return strcmp(database, "pgweir") == 0 || strcmp(database, "pgbouncer") == 0;
}

/* PgBouncer's rule: the daemon's own system user may come in as `pgbouncer`, over a unix socket. */
static bool is_same_uid_admin(const struct client *c)
{
	uid_t uid;

	if (strcmp(c->login->user, "pgbouncer") != 0 && strcmp(c->login->user, "pgweir") != 0)
		return false;
	return conn_is_unix(c->conn) && listen_peer_uid(conn_fd(c->conn), &uid) == OK &&
	       uid == geteuid();
}

static bool take_console(struct worker *w, struct client *c)
{
	struct login *l = c->login;
	const struct conf *conf = w->conf;

	l->is_console = is_console_name(l->database);
	if (!l->is_console && c->is_admin_port) {
		login_refuse(w, c, SQLSTATE_INVALID_CATALOG_NAME,
			"only the admin console can be reached here",
			"Connect to database pgweir, or to listen_port.");
		return false;
	}
	if (!l->is_console)
		return true;
	if (c->replication !=
		STARTUP_REPLICATION_OFF) { /* whose rules of HBA are not the console's */
		login_refuse(w, c, SQLSTATE_FEATURE_NOT_SUPPORTED,
			"the admin console has no replication", "Connect without replication=.");
		return false;
	}
	l->is_console_admin = list_has(&conf->admin_users, l->user, strcmp) ||
			      is_same_uid_admin(c) || conf->auth_type == AUTH_TYPE_ANY;
	return true;
}

static void put_negotiation(struct client *c, const struct startup *s)
{
	uint8_t buf[STARTUP_LEN_MAX + 64];
	struct wr out = wr_of(buf, sizeof buf);

	startup_put_negotiation(&out, s, VERSION_SPOKEN);
	if (!out.bad)
		conn_put_copy(c->conn, buf, out.len);
}

static bool startup_is_acceptable(struct worker *w, struct client *c, const struct startup *s)
{
	if (s->user[0] == '\0') {
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"no PostgreSQL user name specified in startup packet", NULL);
		return false;
	}
	if (strlen(s->user) >= NAME_LEN || strlen(s->database) >= NAME_LEN) {
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"database or user name is too long", NULL);
		return false;
	}
	if (s->replication == STARTUP_REPLICATION_INVALID) {
		login_refuse(w, c, SQLSTATE_INVALID_PARAMETER_VALUE,
			"invalid value for parameter \"replication\"", NULL);
		return false;
	}
	if (conn_tls(c->conn) == NULL && !conn_is_unix(c->conn) &&
		w->conf->client_tls.sslmode >= TLS_MODE_REQUIRE) {
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "SSL required",
			"Connect with sslmode=require; see client_tls_sslmode.");
		return false;
	}
	return true;
}

static void take_startup(struct worker *w, struct client *c, const struct startup *s)
{
	struct login *l = c->login;

	if (!startup_is_acceptable(w, c, s))
		return;
	if (door_login(w->sh->door, c->door, w->conf->login_rate_limit, w->now_us) != OK) {
		atomic_fetch_add(&w->sh->logins[LOGINS_RATE_LIMITED], 1);
		login_refuse(w, c, SQLSTATE_TOO_MANY_CONNECTIONS,
			"too many logins from this address", "See login_rate_limit.");
		return;
	}
	l->version = s->version < VERSION_SPOKEN ? s->version : VERSION_SPOKEN;
	if (login_set_names(l, s->user, s->database) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	c->replication = (uint8_t)s->replication;
	if (!take_settings(w, c, s))
		return;
	if (startup_needs_negotiation(s, VERSION_SPOKEN))
		put_negotiation(c, s);
	if (!take_console(w, c))
		return;
	if (!l->is_console && atomic_load(&w->sh->n_clients) > w->conf->max_client_conn) {
		login_refuse(w, c, SQLSTATE_TOO_MANY_CONNECTIONS,
			"no more connections allowed (max_client_conn)", "Raise max_client_conn.");
		return;
	}
	if (l->is_console_admin && is_same_uid_admin(c))
		login_proved(w, c);
	else
		prove_begin(w, c);
}

static size_t startup_data(struct worker *w, struct client *c, const uint8_t *data, size_t len)
{
	struct startup s;
	uint32_t used = 0;
	enum status st;

	if (data[0] == TLS_HANDSHAKE && !c->login->ssl_asked && conn_tls(c->conn) == NULL)
		return take_direct_tls(w, c, data, len);
	st = startup_read(data, len, &s, &used);
	if (st == E_AGAIN)
		return 0;
	if (st == E_INVALID) {
		login_refuse(w, c, SQLSTATE_FEATURE_NOT_SUPPORTED,
			"unsupported frontend protocol: only version 3 is supported", NULL);
		return len;
	}
	if (st != OK) {
		/* No answer: whoever sends this does not speak our protocol. */
		client_close(w, c, CLIENT_END_PROTOCOL);
		return len;
	}
	switch (s.kind) {
	case STARTUP_SSL_REQUEST:
		return answer_ssl(w, c, used, len);
	case STARTUP_GSSENC_REQUEST:
		return answer_gss(w, c, used);
	case STARTUP_CANCEL_REQUEST:
		cancel_requested(w, c, s.cancel_pid, s.cancel_key, s.cancel_key_len);
		return used;
	case STARTUP_MESSAGE:
		take_startup(w, c, &s);
		return used;
	}
	return used;
}

void login_on_tls_ready(struct worker *w, struct client *c)
{
	client_transition(w, c, CLIENT_TLS_DONE);
	if (c->login->direct_tls && !tls_is_postgresql(conn_tls(c->conn)))
		login_refuse_protocol(w, c,
			"received direct SSL connection request without ALPN protocol negotiation "
			"extension");
}

size_t login_on_data(struct worker *w, struct client *c, const uint8_t *data, size_t len)
{
	size_t at = 0, used;

	if (c->login == NULL && (c->login = login_new()) == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return len;
	}
	if (!c->login->proxy_done && !proxied_take(w, c, data, len, &at))
		return 0;
	while (at < len) {
		if (c->state == CLIENT_STARTUP)
			used = startup_data(w, c, data + at, len - at);
		else if (c->state == CLIENT_AUTH)
			used = prove_data(w, c, data + at, len - at);
		else
			break; /* what follows is for another state */
		if (used == 0)
			break;
		at += used;
	}
	if (c->conn != NULL && c->state != CLIENT_CLOSED)
		conn_flush(c->conn);
	return at;
}

/* --- after the proof --- */

static void hand_to_console(struct worker *w, struct client *c)
{
	struct login *l = c->login;

	if (!l->is_console_admin && !list_has(&w->conf->stats_users, l->user, strcmp) &&
		w->conf->auth_type != AUTH_TYPE_ANY) {
		login_refuse(w, c, SQLSTATE_INSUFFICIENT_PRIVILEGE,
			"not allowed on the admin console", "See admin_users and stats_users.");
		return;
	}
	handover_console(w, c);
}

static void log_login(struct worker *w, const struct client *c)
{
	char addr[64];
	uint16_t port;

	if (!w->conf->log_connections)
		return;
	conn_remote(c->conn, addr, sizeof addr, &port);
	log_info(w->log, "client logged in", "client=%lu db=%s user=%s addr=%s port=%u tls=%s",
		(unsigned long)c->id, LOG_Q(c->login->database), LOG_Q(c->login->user), addr, port,
		conn_tls(c->conn) != NULL ? "yes" : "no");
}

/* Find the client's account and take its place in the limits on clients. */
bool login_enter(struct worker *w, struct client *c)
{
	struct login *l = c->login;
	enum status st = dbase_find(w, l->database, &c->db);
	char message[NAME_LEN + 64];

	if (st == OK && c->db->disabled) {
		login_refuse(w, c, SQLSTATE_CANNOT_CONNECT_NOW, "the database is disabled",
			"An administrator has said DISABLE; ENABLE ends it.");
		return false;
	}
	if (st == OK)
		st = account_find(w, c->db, l->user, &c->acc);
	if (st == E_NOTFOUND) {
		c->db = NULL;
		snprintf(message, sizeof message, "database \"%s\" does not exist", l->database);
		login_refuse(w, c, SQLSTATE_INVALID_CATALOG_NAME, message,
			"It is neither in [databases] nor is there a \"*\" entry.");
		return false;
	}
	if (st != OK) {
		c->acc = NULL;
		login_refuse(w, c, SQLSTATE_TOO_MANY_CONNECTIONS,
			"too many different databases and users", NULL);
		return false;
	}
	return account_client_enters(w, c);
}

void login_proved(struct worker *w, struct client *c)
{
	struct login *l = c->login;

	client_transition(w, c, CLIENT_PROVED);
	atomic_fetch_add(&w->sh->logins[LOGINS_PROVED], 1);
	if (l->is_console) {
		hand_to_console(w, c);
		return;
	}
	if (w->admin != NULL &&
		(w->admin->shutdown_wait_clients || w->admin->shutdown_wait_servers)) {
		login_refuse(w, c, SQLSTATE_ADMIN_SHUTDOWN, "the pooler is shutting down", NULL);
		return;
	}
	log_login(w, c);
	if (!handover_client_home(w, c))
		login_go_on(w, c);
}

/* Its password, else what auth_query has told, if anything. */
static void learn_secret(struct client *c)
{
	struct login *l = c->login;
	const char *told = l->told != NULL && l->told->status == OK ? l->told->secret : NULL;

	if (l->password == NULL && told == NULL)
		return;
	secret_free(c->acc->secret);
	c->acc->secret = l->password != NULL ? l->password : strdup(told);
	l->password = NULL;
}

static void learn_keys(struct client *c)
{
	struct account *acc = c->acc;

	if (c->login->learned == NULL)
		return;
	if (acc->learned == NULL)
		acc->learned = calloc(1, sizeof *acc->learned);
	if (acc->learned != NULL)
		*acc->learned = *c->login->learned;
}

void login_go_on(struct worker *w, struct client *c)
{
	const struct welcome *x;

	if (!login_enter(w, c))
		return;
	learn_secret(c);
	learn_keys(c);
	x = c->acc->has_baseline && !c->replication ? account_welcome(c->acc, c->set.current)
						    : NULL;
	if (x != NULL) {
		login_greet(w, c, x);
		return;
	}
	conn_flush(c->conn);
	conn_rx_pause(c->conn);
	dispatch_welcome(w, c);
}

void login_settle(struct worker *w, struct client *c)
{
	client_transition(w, c, CLIENT_GREETED);
	if (c->server != NULL) /* its own, see replication.h */
		client_transition(w, c, CLIENT_LINKED);
	client_settings_changed(w, c);
	c->verbatim = c->acc->mode == POOL_MODE_SESSION || c->replication;
	conn_set_limits(c->conn, &w->client_limits);
	conn_set_late(c->conn, false);
	login_free(c->login);
	c->login = NULL;
	baseline_fini(&c->busy->learned);
}

void login_greet(struct worker *w, struct client *c, const struct welcome *x)
{
	uint8_t buf[512];
	struct wr out = wr_of(buf, sizeof buf);

	reply_put_auth_ok(&out);
	conn_put_copy(c->conn, buf, out.len);
	conn_put_copy(c->conn, x->messages, x->len);
	out.len = 0;
	cancel_put_key(w, c, c->login->version, &out);
	conn_put_copy(c->conn, buf, out.len);
	c->request_us = w->now_us;
	login_settle(w, c);
	if (w->conf->login_notify_message[0] != '\0') {
		uint8_t notice[REPORT_OWN_MAX];
		struct wr nw = wr_of(notice, sizeof notice);
		struct report r = report_of(
			"NOTICE", SQLSTATE_SUCCESSFUL_COMPLETION, w->conf->login_notify_message);

		report_put(&nw, 'N', &r);
		conn_put_copy(c->conn, notice, nw.len);
	}
	client_put_ready(w, c);
	conn_flush(c->conn);
	client_count_bytes(c);
	c->db->stats.logins++;
	client_watch(w, c);
	conn_rx_resume(c->conn);
}
