#include "worker/prove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/decide.h"
#include "base/text.h"
#include "conf/effective.h"
#include "net/tls.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/reply.h"
#include "proto/saslprep.h"
#include "worker/admit.h"
#include "worker/ask.h"
#include "worker/external.h"
#include "worker/keys.h"
#include "worker/login.h"

/* --- whose secret it is --- */

static const struct conf_db *db_of(const struct worker *w, const struct client *c)
{
	return c->login->is_console ? NULL : conf_find_db(w->conf, c->login->database);
}

/*
 * Who it is, of auth_file or of what auth_query has told. room: for a verifier.
 * Errors: E_INVALID a malformed verifier; E_NOMEM.
 */
static enum status find_user(struct worker *w, const struct client *c, struct auth_asked *asked,
	struct auth_user *room, struct scram_verifier *verifier)
{
	const struct login *l = c->login;

	*asked = (struct auth_asked){
		.conf = w->conf,
		.db = db_of(w, c),
		.usual = auth_users_usual(w->users),
		.type = l->type,
		.name = l->user,
		.user = auth_users_find(w->users, l->user),
		.mock_secret = w->sh->mock_secret,
	};
	if (asked->user != NULL || l->told == NULL)
		return OK;
	asked->usual = l->told->usual;
	if (l->told->status != OK)
		return OK;
	asked->user = room;
	return auth_user_of(l->user, l->told->secret, verifier, room);
}

/* The console has the global keys alone. */
static bool can_look_up(const struct worker *w, const struct client *c)
{
	const struct login *l = c->login;
	const struct conf_db *db = db_of(w, c);

	return l->type != AUTH_TYPE_ANY && !external_is(l->type) && (db != NULL || l->is_console) &&
	       *conf_auth_user(w->conf, db) != '\0' &&
	       *conf_auth_dbname(w->conf, db, l->is_console ? "" : l->database) != '\0';
}

static struct ask_secret *secret_ask(
	struct worker *w, const struct client *c, enum secret_want want)
{
	struct ask_secret *ask = worker_mail(sizeof *ask, ASK_SECRET);

	if (ask == NULL)
		return NULL;
	ask->worker = w->index;
	ask->token = client_token(c);
	ask->want = want;
	ask->is_console = c->login->is_console;
	ask->serial = c->login->told != NULL ? c->login->told->serial : 0;
	text_copy(ask->user, sizeof ask->user, c->login->user);
	text_copy(ask->database, sizeof ask->database, ask->is_console ? "" : c->login->database);
	return ask;
}

static void look_up(struct worker *w, struct client *c, enum secret_want want)
{
	struct ask_secret *ask = secret_ask(w, c, want);

	if (ask == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	client_transition(w, c, CLIENT_NEEDS_SECRET);
	conn_rx_pause(c->conn);
	worker_ask(w, &ask->mail);
}

/* A proof has failed that cannot be tried again: the next one is checked against what holds then.
 */
static void doubt_secret(struct worker *w, struct client *c)
{
	struct ask_secret *ask = c->login->told != NULL ? secret_ask(w, c, SECRET_WANT_NONE) : NULL;

	if (ask != NULL)
		worker_ask(w, &ask->mail);
}

/* --- the question --- */

/* PostgreSQL's words; the same for a wrong password and an unknown user. */
void prove_refuse(struct worker *w, struct client *c)
{
	bool is_external = external_is(c->login->type);
	char message[NAME_LEN + 64];

	atomic_fetch_add(&w->sh->logins[LOGINS_REFUSED], 1);
	snprintf(message, sizeof message, "%s authentication failed for user \"%s\"",
		is_external ? external_name(c->login->type) : "password", c->login->user);
	if (c->login->why != NULL)
		log_info(w->log, "login refused", "client=%lu user=%s reason=\"%s\"",
			(unsigned long)c->id, LOG_Q(c->login->user), c->login->why);
	login_refuse(w, c,
		is_external ? SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION
			    : SQLSTATE_INVALID_PASSWORD,
		message, NULL);
}

void prove_refuse_delayed(struct worker *w, struct client *c)
{
	if (w->conf->login_failure_delay_us == 0) {
		prove_refuse(w, c);
		return;
	}
	client_transition(w, c, CLIENT_NEEDS_DELAY);
	conn_rx_pause(c->conn);
	client_watch(w, c);
}

static void put_login(struct client *c, const uint8_t *p, size_t len)
{
	conn_put_copy(c->conn, p, len);
	conn_flush(c->conn);
}

/* Over TLS the proof can be bound to our certificate. */
static void find_binding(struct client *c)
{
	const struct tls *t = conn_tls(c->conn);
	struct login *l = c->login;

	_Static_assert(SCRAM_CBIND_MAX >= TLS_HASH_MAX, "any hash fits");
	if (t == NULL || tls_server_end_point(t, l->cbind, &l->cbind_len) != OK)
		l->cbind_len = 0;
}

static struct scram_offer offer_of(const struct login *l)
{
	return (struct scram_offer){
		.plus = l->cbind_len != 0, .cbind = l->cbind, .cbind_len = l->cbind_len};
}

static void challenge_scram(struct worker *w, struct client *c)
{
	uint8_t buf[128];
	struct wr out = wr_of(buf, sizeof buf);

	find_binding(c);
	reply_put_auth_sasl(&out, offer_of(c->login).plus);
	client_transition(w, c, CLIENT_CHALLENGED);
	put_login(c, buf, out.len);
	conn_rx_resume(c->conn);
}

static void challenge_plain(struct worker *w, struct client *c)
{
	uint8_t buf[16];
	struct wr out = wr_of(buf, sizeof buf);

	reply_put_auth_cleartext(&out);
	client_transition(w, c, CLIENT_CHALLENGED);
	put_login(c, buf, out.len);
	conn_rx_resume(c->conn);
}

static void challenge_md5(struct worker *w, struct client *c)
{
	uint8_t buf[32];
	struct wr out = wr_of(buf, sizeof buf);

	if (entropy_take(&w->entropy, c->login->md5_salt, sizeof c->login->md5_salt) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	reply_put_auth_md5(&out, c->login->md5_salt);
	client_transition(w, c, CLIENT_CHALLENGED);
	put_login(c, buf, out.len);
	conn_rx_resume(c->conn);
}

/*
 * The keys of a password and the salt in l->verifier: from the cache, else a helper derives
 * it. OK: `keys` are set; E_AGAIN: prove_derived will be told; else the client is closed.
 */
static enum status find_keys(
	struct worker *w, struct client *c, const char *password, struct scram_keys *keys)
{
	const struct scram_salt *salt = &c->login->verifier.salt;
	char prepared[AUTH_SECRET_MAX + 1];
	enum status st = saslprep(password, prepared, sizeof prepared);

	if (st == OK && !keys_find(w->keys, prepared, salt, keys)) {
		st = keys_derive(w, prepared, salt, KEYS_TOKEN_CLIENT | client_token(c));
		if (st == OK) {
			client_transition(w, c, CLIENT_NEEDS_KEY);
			conn_rx_pause(c->conn);
			st = E_AGAIN;
		}
	}
	scram_wipe(prepared, sizeof prepared);
	if (st != OK && st != E_AGAIN)
		client_close(w, c, CLIENT_END_MEMORY);
	return st;
}

static void challenge_scram_with(struct worker *w, struct client *c, const struct scram_keys *keys)
{
	struct login *l = c->login;

	if (scram_verifier_of(keys, &l->verifier.salt, &l->verifier) == OK)
		challenge_scram(w, c);
	else
		client_close(w, c, CLIENT_END_MEMORY);
}

/* The verifier of a plain password. */
static void need_verifier(struct worker *w, struct client *c, const char *password)
{
	struct scram_keys keys;

	if (find_keys(w, c, password, &keys) == OK)
		challenge_scram_with(w, c, &keys);
	scram_wipe(&keys, sizeof keys);
}

static void refuse_malformed(struct worker *w, struct client *c)
{
	log_warn(w->log, "auth_query failed", "user=%s reason=\"a malformed SCRAM verifier\"",
		c->login->user);
	login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
		"the user's secret is malformed",
		"It comes from auth_query, which is to answer with a secret as pg_authid has it.");
}

static void ask_client(struct worker *w, struct client *c)
{
	struct auth_client_decision d;
	struct login *l = c->login;
	struct scram_verifier verifier;
	struct auth_asked asked;
	struct auth_user room;
	enum status st = find_user(w, c, &asked, &room, &verifier);

	if (st == E_INVALID) {
		refuse_malformed(w, c);
		return;
	}
	if (st != OK || auth_decide_client(&asked, &d) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	l->ask = d.ask;
	l->doomed = d.doomed;
	l->why = d.why;
	l->md5_hash = d.hash;
	l->verifier = d.verifier;
	if (d.ask == AUTH_ASK_MD5)
		challenge_md5(w, c);
	else if (d.ask == AUTH_ASK_PLAIN)
		challenge_plain(w, c);
	else if (d.ask == AUTH_ASK_SCRAM && d.derive)
		need_verifier(w, c, d.password);
	else if (d.ask == AUTH_ASK_SCRAM)
		challenge_scram(w, c);
	else if (d.doomed)
		prove_refuse_delayed(w, c);
	else
		login_proved(w, c);
	scram_wipe(&d, sizeof d);
	scram_wipe(&verifier, sizeof verifier);
}

void prove_admitted(struct worker *w, struct client *c)
{
	if (auth_users_find(w->users, c->login->user) == NULL && can_look_up(w, c))
		look_up(w, c, SECRET_WANT_ANY);
	else
		ask_client(w, c);
}

void prove_begin(struct worker *w, struct client *c)
{
	if (admit_begin(w, c))
		prove_admitted(w, c);
}

/* --- the answer --- */

/* It is wrong by what auth_query has told, but that may not hold any more: ask once more. */
static bool try_again(struct worker *w, struct client *c)
{
	struct login *l = c->login;

	if (l->told == NULL || l->asked_again)
		return false;
	l->asked_again = true;
	look_up(w, c, SECRET_WANT_NEWER);
	return true;
}

static void check_md5(struct worker *w, struct client *c)
{
	struct login *l = c->login;
	struct md5auth expected;

	if (!l->doomed && md5auth_response(l->md5_hash.text, l->md5_salt, &expected) == OK &&
		md5auth_equal(&expected, l->answer))
		login_proved(w, c);
	else if (!try_again(w, c))
		prove_refuse_delayed(w, c);
}

/* By what auth_query says now. */
static void recheck_md5(struct worker *w, struct client *c)
{
	struct auth_client_decision d;
	struct login *l = c->login;
	struct scram_verifier verifier;
	struct auth_asked asked;
	struct auth_user room;

	l->doomed = find_user(w, c, &asked, &room, &verifier) != OK ||
		    auth_decide_client(&asked, &d) != OK || d.doomed || d.ask != AUTH_ASK_MD5;
	if (!l->doomed)
		l->md5_hash = d.hash;
	check_md5(w, c);
	scram_wipe(&d, sizeof d);
	scram_wipe(&verifier, sizeof verifier);
}

static void plain_checked(struct worker *w, struct client *c, bool accepted)
{
	struct login *l = c->login;

	if (accepted && !l->doomed) {
		l->password = l->answer;
		l->answer = NULL;
		login_proved(w, c);
	} else if (!try_again(w, c)) {
		prove_refuse_delayed(w, c);
	}
}

static void check_plain(struct worker *w, struct client *c)
{
	struct login *l = c->login;
	struct scram_keys keys;
	struct auth_plain_check check;
	struct scram_verifier verifier;
	struct auth_asked asked;
	struct auth_user room;
	enum status st = find_user(w, c, &asked, &room, &verifier);

	if (st == E_INVALID) {
		refuse_malformed(w, c);
		return;
	}
	if (st == OK)
		st = auth_check_plain(&asked, l->answer, &check);
	if (st != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	l->doomed = asked.user == NULL || asked.user->kind == SECRET_NONE;
	l->verifier = check.verifier;
	if (check.done)
		plain_checked(w, c, check.accepted);
	else if (find_keys(w, c, l->answer, &keys) == OK)
		plain_checked(w, c, scram_verifier_accepts(&l->verifier, &keys));
	scram_wipe(&keys, sizeof keys);
	scram_wipe(&verifier, sizeof verifier);
}

/* The answer to md5 and plain. */
static void take_password(struct worker *w, struct client *c, struct rd body)
{
	struct login *l = c->login;
	const char *got;

	if (frontend_read_password(body, &got) != OK) {
		login_refuse_protocol(w, c, "invalid password packet");
		return;
	}
	if (strlen(got) > AUTH_SECRET_MAX) { /* longer than any secret */
		prove_refuse_delayed(w, c);
		return;
	}
	l->answer = strdup(got);
	if (l->answer == NULL)
		client_close(w, c, CLIENT_END_MEMORY);
	else if (l->ask == AUTH_ASK_MD5)
		check_md5(w, c);
	else if (external_is(l->type))
		external_begin(w, c);
	else
		check_plain(w, c);
}

static void take_scram_status(struct worker *w, struct client *c, enum status st)
{
	switch (st) {
	case E_AUTH:
		prove_refuse_delayed(w, c);
		break;
	case E_INVALID:
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"SASL authentication failed: mechanism or channel binding is not what was "
			"offered",
			"Somebody between client and pgweir may have changed the offer.");
		break;
	case E_NOMEM:
		client_close(w, c, CLIENT_END_MEMORY);
		break;
	default:
		login_refuse_protocol(w, c, "malformed SCRAM message");
		break;
	}
}

/* Who has sent nothing of it yet costs nothing for it. */
static enum status begin_scram(struct login *l)
{
	l->scram = malloc(sizeof *l->scram);
	if (l->scram == NULL)
		return E_NOMEM;
	scram_server_init(l->scram, &l->verifier);
	return OK;
}

static void take_scram_first(struct worker *w, struct client *c, struct rd body)
{
	const struct scram_offer offer = offer_of(c->login);
	uint8_t buf[SCRAM_SERVER_FIRST_MAX], msg[SCRAM_SERVER_FIRST_MAX + 32];
	uint8_t rand[SCRAM_RAND_LEN];
	struct wr first = wr_of(buf, sizeof buf), out = wr_of(msg, sizeof msg);
	struct msg_sasl_initial in;
	enum status st;

	if (frontend_read_sasl_initial(body, &in) != OK || in.data == NULL) {
		login_refuse_protocol(w, c, "malformed SASLInitialResponse");
		return;
	}
	st = begin_scram(c->login);
	if (st == OK)
		st = entropy_take(&w->entropy, rand, sizeof rand);
	if (st == OK)
		st = scram_server_first(
			c->login->scram, &offer, in.mechanism, in.data, in.data_len, rand, &first);
	if (st != OK || first.bad) {
		take_scram_status(w, c, st != OK ? st : E_LIMIT);
		return;
	}
	reply_put_auth_sasl_continue(&out, buf, first.len);
	put_login(c, msg, out.len);
}

static void take_scram_final(struct worker *w, struct client *c, struct rd body)
{
	struct login *l = c->login;
	const struct scram_offer offer = offer_of(l);
	uint8_t buf[128], msg[160];
	struct wr final = wr_of(buf, sizeof buf), out = wr_of(msg, sizeof msg);
	enum status st;

	l->learned = malloc(sizeof *l->learned);
	if (l->learned == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	l->learned->salt = l->verifier.salt;
	st = scram_server_final(l->scram, &offer, body.p, body.left, &final, &l->learned->keys);
	if (st == OK && l->doomed)
		st = E_AUTH;
	if (st == E_AUTH)
		doubt_secret(w, c);
	if (st != OK || final.bad) {
		take_scram_status(w, c, st != OK ? st : E_LIMIT);
		return;
	}
	reply_put_auth_sasl_final(&out, buf, final.len);
	conn_put_copy(c->conn, msg, out.len);
	login_proved(w, c);
}

size_t prove_data(struct worker *w, struct client *c, const uint8_t *data, size_t len)
{
	struct frame f;
	enum status st = frame_peek(data, len, LOGIN_RX_MAX - FRAME_HEAD_LEN, &f);
	struct rd body;

	if (st == E_AGAIN)
		return 0;
	if (st != OK || f.type != FRONTEND_PASSWORD) {
		login_refuse_protocol(w, c, "expected a password response");
		return len;
	}
	if (!frame_is_complete(&f, len))
		return 0;
	body = frame_body(data, &f);
	if (c->login->ask != AUTH_ASK_SCRAM)
		take_password(w, c, body);
	else if (c->login->scram == NULL)
		take_scram_first(w, c, body);
	else
		take_scram_final(w, c, body);
	return f.total;
}

/* --- what a helper has derived --- */

void prove_derived(struct worker *w, uint64_t token, const struct scram_keys *keys, enum status st)
{
	struct client *c = client_of_token(w, token & KEYS_TOKEN_ID);

	if (c == NULL || c->state != CLIENT_DERIVE)
		return;
	if (st != OK)
		login_refuse(w, c, SQLSTATE_INSUFFICIENT_RESOURCES, "too many logins at once",
			"The queue of key derivations is full; SCRAM verifiers in auth_file avoid "
			"it.");
	else if (c->login->ask == AUTH_ASK_PLAIN)
		plain_checked(w, c, scram_verifier_accepts(&c->login->verifier, keys));
	else
		challenge_scram_with(w, c, keys);
}

/* --- what auth_query has told --- */

static void refuse_lookup(struct worker *w, struct client *c, const char *sqlstate)
{
	char message[NAME_LEN + 64], detail[64];
	struct report r = report_of("FATAL",
		*sqlstate == '\0' || strncmp(sqlstate, "08", 2) == 0 ||
				strncmp(sqlstate, "57", 2) == 0
			? SQLSTATE_CANNOT_CONNECT_NOW
			: SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
		message);

	snprintf(message, sizeof message, "the password of user \"%s\" cannot be looked up",
		c->login->user);
	snprintf(detail, sizeof detail, "auth_query failed with SQLSTATE %s.", sqlstate);
	if (*sqlstate != '\0')
		r.detail = detail;
	r.hint = "See auth_query, auth_user and auth_dbname; the log of pgweir has the reason.";
	client_fatal(w, c, &r, CLIENT_END_LOGIN);
}

static void take_told(struct worker *w, struct client *c, struct ask_secret *told)
{
	struct login *l = c->login;

	if (l->told != NULL)
		scram_wipe(l->told, sizeof *l->told);
	free(l->told);
	l->told = told;
	conn_rx_resume(c->conn);
	if (told->status == E_IO)
		refuse_lookup(w, c, told->sqlstate);
	else if (l->answer == NULL)
		ask_client(w, c);
	else if (l->ask == AUTH_ASK_PLAIN)
		check_plain(w, c);
	else
		recheck_md5(w, c);
}

void prove_told(struct worker *w, struct ask_secret *told)
{
	struct client *c = client_of_token(w, told->token);

	if (c != NULL && c->state == CLIENT_LOOKUP) {
		take_told(w, c, told);
		return;
	}
	scram_wipe(told, sizeof *told);
	free(told);
}
