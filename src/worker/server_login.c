#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "conf/conf.h"
#include "net/tls.h"
#include "proto/backend.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/report.h"
#include "proto/saslprep.h"
#include "proto/startup.h"
#include "route/topology.h"
#include "worker/ask.h"
#include "worker/dispatch.h"
#include "worker/keys.h"
#include "worker/replication.h"
#include "worker/sequences.h"
#include "worker/server.h"

#define LOGIN_MSG_MAX 65536u /* bytes of a message of a server that we log in to */

/* A standby refuses a statement of a session whose default is serializable, but not this first. */
#define NOT_SERIALIZABLE "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; "
/* The answer tells role and, of a primary, the timeline (first 8 digits of a WAL file's name). */
#define ROLE_QUERY                                                \
	NOT_SERIALIZABLE                                          \
	"SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN ''" \
	" ELSE pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) END"
/* The same where that is refused: the role alone. */
#define BLIND_ROLE_QUERY \
	NOT_SERIALIZABLE "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN '' ELSE '?' END"
#define SETUP_MAX       2048u /* bytes of a hidden query */
#define ISOLATION_QUERY "SHOW default_transaction_isolation"
#define NO_IDLE_TIMEOUT "SET idle_session_timeout = 0"

enum login_step {
	STEP_CONNECT,
	STEP_SSL_ANSWER, /* SSLRequest sent */
	STEP_TLS,
	STEP_STARTUP, /* start-up packet sent, up to ReadyForQuery */
	STEP_SETUP,
	STEP_DONE, /* … and answered; what came with the last answer is still to be looked at */
};

struct server_login {
	enum login_step step;
	uint32_t addr_at; /* address of the node that is tried */
	bool tls_asked;   /* SSLRequest was sent on this connection */
	bool auth_ok;
	bool scram_begun;
	bool bound;      /* SCRAM-SHA-256-PLUS is what was begun */
	bool knows_role; /* the role query's row has come */
	bool role_asked;
	bool role_refused;     /* it does not tell this user its timeline */
	bool role_alone;       /* … and was asked for its role alone */
	uint32_t n_setup;      /* hidden queries still to be answered */
	uint32_t setup_at;     /* … which one is being answered */
	uint32_t look_at;      /* … and which is sequences_look's, from 1; 0: none */
	uint32_t isolation_at; /* … and which asks for the default isolation */
	struct scram_client scram;
	struct baseline params;
	char sqlstate[6];
	char error[128];
};

void server_login_free(struct server_login *l)
{
	if (l == NULL)
		return;
	scram_client_fini(&l->scram);
	baseline_fini(&l->params);
	free(l);
}

static void put(struct server *s, const struct wr *out)
{
	conn_put_copy(s->conn, out->buf, out->len);
	conn_flush(s->conn);
}

static void login_fails(struct worker *w, struct server *s, enum server_end why,
	const char *sqlstate, const char *text)
{
	struct pool *p = s->pool;

	if (s->replication) { /* what is wrong with it says nothing about the pool */
		server_keep_error(s, sqlstate, text);
		p->wants_tls = false;
		server_close(w, s, why);
		return;
	}
	snprintf(p->last_error, sizeof p->last_error, "%s", text);
	snprintf(p->last_sqlstate, sizeof p->last_sqlstate, "%s", sqlstate);
	p->wants_tls = false; /* sslmode = allow begins with a plain connection again */
	log_warn(w->log, "server login failed",
		"server=%lu node=%s db=%s user=%s sqlstate=%s error=%s", (unsigned long)s->id,
		worker_node_name(w, p->node), LOG_Q(p->acc->db->name), LOG_Q(p->acc->user),
		sqlstate, LOG_Q_LONG(text));
	server_login_uncount(w, s);
	dispatch_login_failed(w, p, why == SERVER_END_LOGIN);
	server_close(w, s, why);
}

/* --- connecting --- */

static void try_address(struct worker *w, struct server *s)
{
	const struct node_addr *a = w->addrs != NULL ? &w->addrs->node[s->pool->node] : NULL;
	struct server_login *l = s->login;
	enum status st = E_NOTFOUND;

	l->step = STEP_CONNECT;
	for (; a != NULL && l->addr_at < a->n; l->addr_at++) {
		st = conn_connect(w->loop, (const struct sockaddr *)&a->addr[l->addr_at],
			a->addr_len[l->addr_at], &server_ops, s, &w->server_limits, &s->conn);
		if (st == OK)
			break;
	}
	if (st == OK) {
		s->addr_len = a->addr_len[l->addr_at];
		memcpy(&s->addr, &a->addr[l->addr_at], s->addr_len);
		worker_set_tcp(w, s->conn);
		return;
	}
	login_fails(w, s, SERVER_END_CONNECT, SQLSTATE_CONNECTION_FAILURE,
		a == NULL || a->n == 0
			? (a != NULL && a->error[0] != '\0' ? a->error
							    : "the host's name is not resolved yet")
			: "could not connect");
}

void server_login_begin(struct worker *w, struct server *s)
{
	s->login = calloc(1, sizeof *s->login);
	if (s->login == NULL) {
		server_close(w, s, SERVER_END_MEMORY);
		return;
	}
	server_watch(w, s);
	try_address(w, s);
}

void server_login_on_end(struct worker *w, struct server *s, enum conn_end why)
{
	struct server_login *l = s->login;
	char text[128];

	if (why == CONN_END_CONNECT && l->step == STEP_CONNECT) {
		snprintf(text, sizeof text, "could not connect: %s", strerror(conn_errno(s->conn)));
		conn_free(s->conn);
		s->conn = NULL;
		l->addr_at++;
		if (w->addrs != NULL && l->addr_at < w->addrs->node[s->pool->node].n) {
			try_address(w, s);
			return;
		}
	} else if (why == CONN_END_TLS)
		snprintf(text, sizeof text, "TLS: %.100s", conn_error_text(s->conn));
	else
		snprintf(text, sizeof text, "the server closed the connection during login");
	login_fails(w, s, SERVER_END_CONNECT, SQLSTATE_CONNECTION_FAILURE, text);
}

void server_login_timed_out(struct worker *w, struct server *s)
{
	login_fails(w, s, SERVER_END_CONNECT, SQLSTATE_CONNECTION_FAILURE,
		"no answer within server_connect_timeout");
}

/* --- TLS and start-up packet --- */

static struct auth_server_decision decide(struct worker *w, const struct server *s)
{
	const struct account *acc = s->pool->acc;
	const struct auth_own own = {.secret = acc->secret, .learned = acc->learned};
	struct auth_server_decision d;

	auth_decide_server(acc->db->conf, w->users, acc->user, &own, &d);
	return d;
}

static void put_if_set(struct wr *out, const char *name, const char *value)
{
	if (value[0] != '\0')
		startup_put_param(out, name, value);
}

static void send_startup(struct worker *w, struct server *s)
{
	const struct conf_db *db = s->pool->acc->db->conf;
	struct auth_server_decision d = decide(w, s);
	uint8_t buf[2048];
	struct wr out = wr_of(buf, sizeof buf);
	size_t mark = startup_begin(&out, STARTUP_V3_0);

	startup_put_param(&out, "user", d.user);
	startup_put_param(&out, "database", s->pool->acc->db->dbname);
	if (s->replication)
		replication_put_startup(&out, s);
	put_if_set(&out, "client_encoding", db->client_encoding);
	put_if_set(&out, "datestyle", db->datestyle);
	put_if_set(&out, "timezone", db->timezone);
	put_if_set(&out, "application_name", db->application_name);
	startup_end(&out, mark);
	if (out.bad) {
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"start-up parameters are too long");
		return;
	}
	s->login->step = STEP_STARTUP;
	server_transition(w, s, SERVER_CONNECTED);
	put(s, &out);
}

static bool wants_tls(struct worker *w, const struct server *s)
{
	enum tls_mode mode = w->conf->server_tls.sslmode;

	if (conn_is_unix(s->conn) || mode == TLS_MODE_DISABLE)
		return false;
	return mode != TLS_MODE_ALLOW || s->pool->wants_tls;
}

static bool is_direct(const struct worker *w)
{
	return w->conf->server_tls.negotiation == TLS_NEGOTIATION_DIRECT;
}

static void begin_tls(struct worker *w, struct server *s)
{
	const struct conf_node *node = w->conf->node_by_id[s->pool->node];
	struct tls_ctx *ctx = w->tls != NULL ? w->tls->server : NULL;

	s->login->step = STEP_TLS;
	if (ctx == NULL || conn_tls_connect(s->conn, ctx, node != NULL ? node->host : NULL) != OK)
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"TLS could not be started");
}

void server_login_on_ready(struct worker *w, struct server *s)
{
	struct server_login *l = s->login;
	uint8_t buf[16];
	struct wr out = wr_of(buf, sizeof buf);

	if (l == NULL)
		return;
	if (s->pool->acc->db->conf == NULL) {
		server_close(w, s, SERVER_END_OUTDATED);
		return;
	}
	if (l->step == STEP_CONNECT && wants_tls(w, s) && is_direct(w)) {
		l->tls_asked = true;
		begin_tls(w, s);
		return;
	}
	if (l->step == STEP_TLS && is_direct(w) && !tls_is_postgresql(conn_tls(s->conn))) {
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"the server did not agree by ALPN to speak PostgreSQL's protocol");
		return;
	}
	if (l->step == STEP_CONNECT && wants_tls(w, s)) {
		startup_put_ssl_request(&out);
		l->step = STEP_SSL_ANSWER;
		l->tls_asked = true;
		put(s, &out);
		return;
	}
	send_startup(w, s);
}

static size_t take_ssl_answer(struct worker *w, struct server *s, const uint8_t *data, size_t len)
{
	enum tls_mode mode = w->conf->server_tls.sslmode;

	if (len != 1) { /* bytes behind the answer were not encrypted: somebody put them there */
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"unencrypted bytes after the answer to SSLRequest");
		return len;
	}
	if (data[0] == 'S' && w->tls != NULL && w->tls->server != NULL) {
		begin_tls(w, s);
	} else if (data[0] != 'N' && data[0] != 'S') {
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"unexpected answer to SSLRequest");
	} else if (mode >= TLS_MODE_REQUIRE) {
		login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_CONNECTION_FAILURE,
			"the server does not offer TLS, but server_tls_sslmode wants it");
	} else {
		send_startup(w, s);
	}
	return 1;
}

/* --- authentication --- */

#define NO_BINDING                                                                  \
	"the server does not prove by SCRAM-SHA-256-PLUS that TLS ends at it, but " \
	"server_channel_binding wants that"

static void cannot_answer(struct worker *w, struct server *s, const char *why)
{
	login_fails(w, s, SERVER_END_LOGIN, SQLSTATE_INVALID_PASSWORD, why);
}

static void answer_password(struct worker *w, struct server *s, const char *password)
{
	uint8_t buf[AUTH_SECRET_MAX + 16];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_password(&out, password);
	if (out.bad)
		cannot_answer(w, s, "the password is too long");
	else
		put(s, &out);
	scram_wipe(buf, sizeof buf);
}

static void answer_md5(struct worker *w, struct server *s, const struct auth_server_decision *d,
	const uint8_t *salt)
{
	struct md5auth hash, response;
	enum status st = OK;

	if (d->have == AUTH_HAVE_PASSWORD)
		st = md5auth_hash(d->secret, d->user, &hash);
	else
		memcpy(hash.text, d->secret, sizeof hash.text);
	if (st == OK)
		st = md5auth_response(hash.text, salt, &response);
	if (st != OK)
		cannot_answer(w, s, "md5 is switched off in OpenSSL");
	else
		answer_password(w, s, response.text);
}

/* The hash of the server's certificate; its length, 0: there is none that it could be bound to. */
static size_t end_point_of(const struct server *s, uint8_t hash[TLS_HASH_MAX])
{
	const struct tls *t = conn_tls(s->conn);
	size_t len = 0;

	return t != NULL && tls_server_end_point(t, hash, &len) == OK ? len : 0;
}

/* 'y' says that we could and saw no PLUS: a server that did offer it knows of the middleman. */
static enum scram_binding binding_for(
	const struct worker *w, const struct server *s, const struct msg_authentication *offered)
{
	uint8_t hash[TLS_HASH_MAX];

	if (w->conf->server_tls.channel_binding == CHANNEL_BINDING_DISABLE ||
		end_point_of(s, hash) == 0)
		return SCRAM_BINDING_NONE;
	return offered->has_scram_plus ? SCRAM_BINDING_END_POINT : SCRAM_BINDING_NOT_OFFERED;
}

static void scram_first(
	struct worker *w, struct server *s, const struct msg_authentication *offered)
{
	enum scram_binding binding = binding_for(w, s, offered);
	bool plus = binding == SCRAM_BINDING_END_POINT;
	uint8_t msg[256], buf[320], rand[SCRAM_RAND_LEN];
	struct wr first = wr_of(msg, sizeof msg), out = wr_of(buf, sizeof buf);

	if (!plus && !offered->has_scram) {
		cannot_answer(w, s, "the server offers no SCRAM-SHA-256");
		return;
	}
	if (!plus && w->conf->server_tls.channel_binding == CHANNEL_BINDING_REQUIRE) {
		cannot_answer(w, s, NO_BINDING);
		return;
	}
	if (!s->login->scram_begun)
		scram_client_init(&s->login->scram, binding);
	if (s->login->scram_begun || entropy_take(&w->entropy, rand, sizeof rand) != OK ||
		scram_client_first(&s->login->scram, rand, &first) != OK) {
		cannot_answer(w, s, "SCRAM out of step");
		return;
	}
	s->login->scram_begun = true;
	s->login->bound = plus;
	frontend_put_sasl_initial(
		&out, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM, msg, (uint32_t)first.len);
	put(s, &out);
}

static void scram_final(struct worker *w, struct server *s, const struct scram_keys *keys)
{
	uint8_t msg[SCRAM_MSG_MAX], buf[SCRAM_MSG_MAX + 16], hash[TLS_HASH_MAX];
	struct wr final = wr_of(msg, sizeof msg), out = wr_of(buf, sizeof buf);

	if (scram_client_final(&s->login->scram, keys, hash, end_point_of(s, hash), &final) != OK) {
		cannot_answer(w, s, "SCRAM failed");
		return;
	}
	frontend_put_sasl_response(&out, msg, (uint32_t) final.len);
	put(s, &out);
}

/* The salt is known: answer with learned keys, with cached ones, or have them derived. */
static void scram_answer(struct worker *w, struct server *s)
{
	struct auth_server_decision d = decide(w, s);
	const struct scram_salt *salt = &s->login->scram.salt;
	const char *why = auth_cannot_answer(&d, AUTH_METHOD_SCRAM, salt);
	char password[AUTH_SECRET_MAX + 1];
	struct scram_keys keys;
	enum status st;

	if (why != NULL) {
		cannot_answer(w, s, why);
		return;
	}
	if (d.have == AUTH_HAVE_KEYS) {
		scram_final(w, s, &d.learned->keys);
		return;
	}
	st = saslprep(d.secret, password, sizeof password);
	if (st == OK && keys_find(w->keys, password, salt, &keys)) {
		scram_final(w, s, &keys);
		scram_wipe(&keys, sizeof keys);
	} else if (st == OK) {
		st = keys_derive(w, password, salt, KEYS_TOKEN_SERVER | s->id);
	}
	scram_wipe(password, sizeof password);
	if (st != OK)
		cannot_answer(w, s, "the SCRAM key could not be derived");
}

void server_login_derived(
	struct worker *w, uint64_t token, const struct scram_keys *keys, enum status st)
{
	struct list *it;

	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->id != (token & KEYS_TOKEN_ID) || s->state != SERVER_LOGIN)
			continue;
		if (st == OK)
			scram_final(w, s, keys);
		else
			cannot_answer(w, s, "the queue of key derivations is full");
		return;
	}
}

static void take_authentication(struct worker *w, struct server *s, struct rd body)
{
	struct auth_server_decision d = decide(w, s);
	struct server_login *l = s->login;
	struct msg_authentication m;
	const char *why = NULL;

	if (backend_read_authentication(body, &m) != OK || l->auth_ok) {
		cannot_answer(w, s, "malformed Authentication message");
		return;
	}
	switch (m.request) {
	case AUTH_OK:
		if (l->scram_begun && !scram_client_is_done(&l->scram))
			cannot_answer(w, s, "the server did not prove that it knows the password");
		else if (w->conf->server_tls.channel_binding == CHANNEL_BINDING_REQUIRE &&
			 !l->bound)
			cannot_answer(w, s, NO_BINDING);
		else
			l->auth_ok = true;
		return;
	case AUTH_CLEARTEXT_PASSWORD:
		why = auth_cannot_answer(&d, AUTH_METHOD_CLEARTEXT, NULL);
		if (why == NULL)
			answer_password(w, s, d.secret);
		break;
	case AUTH_MD5_PASSWORD:
		why = auth_cannot_answer(&d, AUTH_METHOD_MD5, NULL);
		if (why == NULL)
			answer_md5(w, s, &d, m.data);
		break;
	case AUTH_SASL:
		why = auth_cannot_answer(&d, AUTH_METHOD_SCRAM, NULL);
		if (why == NULL)
			scram_first(w, s, &m);
		break;
	case AUTH_SASL_CONTINUE:
		if (scram_client_take_first(&l->scram, m.data, m.data_len, SCRAM_ITERATIONS_MIN,
			    w->conf->scram_max_iterations) != OK)
			why = "bad SCRAM challenge (see scram_max_iterations)";
		else
			scram_answer(w, s);
		break;
	case AUTH_SASL_FINAL:
		if (scram_client_take_final(&l->scram, m.data, m.data_len) != OK)
			why = "the server did not prove that it knows the password";
		break;
	default:
		why = "the server asks for an authentication method that is not supported";
		break;
	}
	if (why != NULL)
		cannot_answer(w, s, why);
}

/* --- session begins --- */

static void take_error(struct worker *w, struct server *s, struct rd body)
{
	struct server_login *l = s->login;
	struct report r;

	if (report_read(body, 'E', &r) != OK)
		r.message = "malformed ErrorResponse";
	if (l->step == STEP_STARTUP && !l->auth_ok && !l->tls_asked &&
		w->conf->server_tls.sslmode == TLS_MODE_ALLOW && !conn_is_unix(s->conn)) {
		s->pool->wants_tls = true; /* the next attempt uses it, and begins at once */
		server_close(w, s, SERVER_END_PLAIN);
		return;
	}
	login_fails(w, s, SERVER_END_LOGIN, r.sqlstate, r.message);
}

static void setup_put(struct server *s, const char *sql)
{
	uint8_t buf[SETUP_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	frontend_put_query(&out, sql);
	if (out.bad)
		return;
	conn_put_copy(s->conn, buf, out.len);
	s->login->n_setup++;
}

static uint32_t version_num_of(const char *server_version)
{
	char *end;
	unsigned long major = strtoul(server_version, &end, 10);
	unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

	return major < 1000 && minor < 10000 ? (uint32_t)(major * 10000 + minor) : 0;
}

static void setup_done(struct worker *w, struct server *s)
{
	struct server_login *l = s->login;
	struct pool *p = s->pool;
	const struct topo_node *n = topology_node(w->topology, (uint16_t)p->node);

	s->login = NULL;
	s->ready_us = w->now_us;
	if (n != NULL) {
		s->node_system_id = n->system_id;
		s->node_start_us = n->postmaster_start_us;
	}
	if (s->in_recovery)
		worker_probe(w, p->node); /* it may not read before there is a new sample */
	p->last_error[0] = '\0';
	p->retry_at_us = 0;
	server_login_uncount(w, s);
	log_info(w->log, "server ready", "server=%lu node=%s db=%s user=%s pid=%u",
		(unsigned long)s->id, worker_node_name(w, p->node), LOG_Q(p->acc->db->name),
		LOG_Q(p->acc->user), s->backend_pid);
	s->checked_us = w->now_us;
	server_transition(w, s, SERVER_READY);
	if (s->replication) {
		replication_ready(w, s, &l->params);
	} else {
		server_tell_isolation(s);
		account_set_baseline(w, p->acc, &l->params);
		dispatch_server_free(w, s);
	}
	server_login_free(l);
}

static void begin_setup(struct worker *w, struct server *s)
{
	const struct conf_db *db = s->pool->acc->db->conf;
	const char *version = baseline_get(&s->login->params, "server_version"), *look;

	s->login->step = STEP_SETUP;
	s->version_num = version != NULL ? version_num_of(version) : 0;
	server_transition(w, s, SERVER_LOGGED_IN);
	if (s->replication) { /* it may not know SQL */
		s->login->step = STEP_DONE;
		return;
	}
	if (db != NULL && db->routing) {
		s->login->role_asked = true;
		setup_put(s, ROLE_QUERY);
	}
	if (s->version_num >= 140000)
		setup_put(s, NO_IDLE_TIMEOUT);
	if (db != NULL && db->connect_query[0] != '\0')
		setup_put(s, db->connect_query);
	look = s->version_num != 0 ? sequences_look(w, s->pool->acc, s->version_num) : NULL;
	if (look != NULL) {
		setup_put(s, look);
		s->login->look_at = s->login->n_setup;
	}
	if (db != NULL && db->routing) {
		setup_put(s, ISOLATION_QUERY);
		s->login->isolation_at = s->login->n_setup;
	}
	if (s->login->n_setup == 0)
		s->login->step = STEP_DONE;
	else
		conn_flush(s->conn);
}

static bool is_text(const uint8_t *value, uint32_t len, const char *text)
{
	return value != NULL && len == strlen(text) && memcmp(value, text, len) == 0;
}

/* After connect_query, which may set it. */
static void take_isolation(struct server *s, struct rd body)
{
	const uint8_t *value;
	uint32_t len;

	if (s->login->setup_at + 1 != s->login->isolation_at || rd_u16(&body) != 1)
		return;
	len = rd_u32(&body);
	value = rd_bytes(&body, len);
	s->plain_isolation = is_text(value, len, "read committed");
	s->serializable = is_text(value, len, "serializable");
}

static void take_role(struct server *s, struct rd body)
{
	const uint8_t *name;
	uint32_t len;
	char hex[9] = "";

	if ((s->login->setup_at != 0 && !s->login->role_alone) || rd_u16(&body) != 1)
		return;
	len = rd_u32(&body);
	name = rd_bytes(&body, len);
	if (name == NULL)
		return;
	s->login->knows_role = true;
	s->in_recovery = len == 0;
	if (len >= 8) {
		memcpy(hex, name, 8);
		s->timeline = (uint32_t)strtoul(hex, NULL, 16);
	}
}

/* A connection that is not what the topology believes is not used. */
static bool role_is_right(struct worker *w, struct server *s)
{
	const struct conf_db *db = s->pool->acc->db->conf;
	const struct topo_cluster *cluster =
		db != NULL ? topology_cluster(w->topology, (uint16_t)db->cluster_id) : NULL;

	if (!s->login->role_asked)
		return true;
	if (!s->login->knows_role)
		return false;
	if (s->in_recovery || cluster == NULL)
		return true;      /* may read; checked again for each unit */
	if (s->login->role_alone) /* what the monitor has been told holds for it as well */
		s->timeline = cluster->timeline_max;
	return topo_cluster_accepts_primary(
		cluster, (uint16_t)s->pool->node, s->timeline, s->in_recovery);
}

/* What comes answers sequences_look's query. */
static bool is_looking(const struct server_login *l)
{
	return l->step == STEP_SETUP && l->look_at == l->setup_at + 1;
}

static void take_ready(struct worker *w, struct server *s)
{
	struct server_login *l = s->login;

	if (l->step == STEP_STARTUP && l->auth_ok) {
		begin_setup(w, s);
		return;
	}
	if (l->step != STEP_SETUP || l->n_setup == 0) {
		cannot_answer(w, s, "unexpected ReadyForQuery");
		return;
	}
	if (is_looking(l))
		sequences_looked(w, s->pool->acc);
	l->setup_at++;
	if (--l->n_setup != 0)
		return;
	if (l->role_refused && !l->role_alone) {
		l->role_alone = true;
		setup_put(s, BLIND_ROLE_QUERY);
		conn_flush(s->conn);
		return;
	}
	if (role_is_right(w, s)) {
		l->step = STEP_DONE;
		return;
	}
	worker_probe(w, s->pool->node);
	login_fails(w, s, SERVER_END_ROLE, SQLSTATE_CONNECTION_FAILURE,
		"the node is not what the monitor takes it for");
}

static void take_key(struct server *s, struct rd body)
{
	struct msg_key_data k;

	if (backend_read_key_data(body, &k) != OK || k.key_len > sizeof s->backend_key)
		return; /* cannot be cancelled, otherwise fine */
	s->backend_pid = k.pid;
	s->backend_key_len = k.key_len;
	memcpy(s->backend_key, k.key, k.key_len);
}

static void take_parameter(struct server *s, struct rd body)
{
	struct msg_parameter_status p;

	if (backend_read_parameter_status(body, &p) != OK)
		return;
	if (strcmp(p.name, "in_hot_standby") == 0)
		p.value = "off"; /* clients see the primary's role, whatever server was asked */
	if (baseline_put(&s->login->params, p.name, p.value) != OK)
		return; /* more than BASELINE_MAX: clients are not told of it */
}

/* The first query was the role's, and it is not the node's state that speaks against it. */
static bool is_role_refused(const struct server_login *l, struct rd body)
{
	struct report r;

	if (!l->role_asked || l->setup_at != 0 || report_read(body, 'E', &r) != OK)
		return false;
	return strcmp(r.sqlstate, "42501") == 0 || strcmp(r.sqlstate, "0A000") == 0 ||
	       strcmp(r.sqlstate, "42883") == 0;
}

static void take_message(struct worker *w, struct server *s, const struct frame *f, struct rd body)
{
	bool in_setup = s->login->step == STEP_SETUP;

	switch (f->type) {
	case BACKEND_AUTHENTICATION:
		take_authentication(w, s, body);
		break;
	case BACKEND_PARAMETER_STATUS:
		take_parameter(s, body);
		break;
	case BACKEND_KEY_DATA:
		take_key(s, body);
		break;
	case BACKEND_READY_FOR_QUERY:
		take_ready(w, s);
		break;
	case BACKEND_ERROR_RESPONSE:
		if (is_looking(s->login))
			sequences_asked(s->pool->acc); /* for all that is known */
		else if (in_setup && is_role_refused(s->login, body))
			s->login->role_refused = true;
		else
			take_error(w, s, body);
		break;
	case BACKEND_DATA_ROW:
		if (is_looking(s->login))
			sequences_asked(s->pool->acc);
		else if (in_setup) {
			take_role(s, body);
			take_isolation(s, body);
		} else
			cannot_answer(w, s, "unexpected message during login");
		break;
	case BACKEND_NOTICE_RESPONSE:
	case BACKEND_NEGOTIATE_PROTOCOL_VERSION:
		break;
	default:
		if (!in_setup)
			cannot_answer(w, s, "unexpected message during login");
		break;
	}
}

size_t server_login_on_data(struct worker *w, struct server *s, const uint8_t *data, size_t len)
{
	size_t at = 0;
	struct frame f;
	enum status st;

	if (s->login->step == STEP_SSL_ANSWER)
		return take_ssl_answer(w, s, data, len);
	if (s->login->step < STEP_STARTUP) {
		cannot_answer(w, s, "the server spoke first");
		return len;
	}
	while (at < len && s->state != SERVER_CLOSED && s->login != NULL) {
		st = frame_peek(data + at, len - at, LOGIN_MSG_MAX, &f);
		if (st == E_AGAIN || (st == OK && !frame_is_complete(&f, len - at)))
			break;
		if (st != OK) {
			cannot_answer(w, s, "malformed message during login");
			return len;
		}
		take_message(w, s, &f, frame_body(data + at, &f));
		at += f.total;
	}
	/* A client gets it when nothing is left that would be taken for its answer. */
	if (at == len && s->state != SERVER_CLOSED && s->login != NULL &&
		s->login->step == STEP_DONE)
		setup_done(w, s);
	return at;
}
