#include "worker/prove.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/decide.h"
#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/reply.h"
#include "proto/saslprep.h"
#include "worker/keys.h"
#include "worker/login.h"

/* --- the question --- */

/* Same words for a wrong password and an unknown user. */
static void refuse_password(struct worker *w, struct client *c)
{
	char message[NAME_LEN + 64];

	snprintf(message, sizeof message, "password authentication failed for user \"%s\"",
		c->login->user);
	if (c->login->why != NULL)
		log_info(w->log, "login refused", "client=%lu user=%s reason=\"%s\"",
			(unsigned long)c->id, LOG_Q(c->login->user), c->login->why);
	login_refuse(w, c, SQLSTATE_INVALID_PASSWORD, message, NULL);
}
static enum status random_bytes(uint8_t *p, int n)
{
	return RAND_bytes(p, n) == 1 ? OK : E_NOMEM;
}

static void put_login(struct client *c, const uint8_t *p, size_t len)
{
	conn_put_copy(c->conn, p, len);
	conn_flush(c->conn);
}

static void challenge_scram(struct worker *w, struct client *c)
{
	uint8_t buf[128];
	struct wr out = wr_of(buf, sizeof buf);

	reply_put_auth_sasl(&out, false);
	client_transition(w, c, CLIENT_CHALLENGED);
	put_login(c, buf, out.len);
	conn_rx_resume(c->conn);
}

static void challenge_md5(struct worker *w, struct client *c)
{
	uint8_t buf[32];
	struct wr out = wr_of(buf, sizeof buf);

	if (random_bytes(c->login->md5_salt, sizeof c->login->md5_salt) != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	reply_put_auth_md5(&out, c->login->md5_salt);
	client_transition(w, c, CLIENT_CHALLENGED);
	put_login(c, buf, out.len);
}

/* The verifier of a plain password: from the cache, else a helper derives it. */
static void need_verifier(struct worker *w, struct client *c, const char *password)
{
	struct login *l = c->login;
	uint8_t salted[SCRAM_KEY_LEN];
	char prepared[AUTH_SECRET_MAX + 1];
	enum status st;

	st = saslprep(password, prepared, sizeof prepared);
	if (st != OK) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	if (keys_find(w->keys, prepared, &l->verifier.salt, salted)) {
		st = scram_verifier_of(salted, &l->verifier.salt, &l->verifier);
		scram_wipe(salted, sizeof salted);
		if (st == OK)
			challenge_scram(w, c);
	} else {
		st = keys_derive(w, prepared, &l->verifier.salt,
			KEYS_TOKEN_CLIENT | c->id << WORKER_SLOT_BITS | c->slot);
		if (st == OK) {
			client_transition(w, c, CLIENT_NEEDS_KEY);
			conn_rx_pause(c->conn);
		}
	}
	scram_wipe(prepared, sizeof prepared);
	if (st != OK)
		client_close(w, c, CLIENT_END_MEMORY);
}

static void ask_client(struct worker *w, struct client *c, const struct auth_user *user)
{
	struct auth_client_decision d;
	struct login *l = c->login;
	const struct auth_asked asked = {
		.conf = w->conf,
		.db = l->is_console ? NULL : conf_find_db(w->conf, l->database),
		.users = w->users,
		.type = w->conf->auth_type,
		.name = l->user,
		.user = user,
		.mock_secret = w->sh->mock_secret,
	};

	if (auth_decide_client(&asked, &d) != OK) {
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
	else if (d.ask == AUTH_ASK_SCRAM && d.derive)
		need_verifier(w, c, d.password);
	else if (d.ask == AUTH_ASK_SCRAM)
		challenge_scram(w, c);
	else if (d.doomed)
		refuse_password(w, c);
	else
		login_proved(w, c);
	scram_wipe(&d, sizeof d);
}

void prove_begin(struct worker *w, struct client *c)
{
	ask_client(w, c, auth_users_find(w->users, c->login->user));
}

/* --- the answer --- */

static void take_md5(struct worker *w, struct client *c, struct rd body)
{
	struct login *l = c->login;
	struct md5auth expected;
	const char *got;

	if (frontend_read_password(body, &got) != OK) {
		login_refuse_protocol(w, c, "invalid password packet");
		return;
	}
	if (l->doomed || md5auth_response(l->md5_hash.text, l->md5_salt, &expected) != OK ||
		!md5auth_equal(&expected, got))
		refuse_password(w, c);
	else
		login_proved(w, c);
}

static void take_scram_status(struct worker *w, struct client *c, enum status st)
{
	switch (st) {
	case E_AUTH:
		refuse_password(w, c);
		break;
	case E_INVALID:
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"SASL authentication failed: mechanism or channel binding not offered",
			NULL);
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
	static const struct scram_offer no_plus = {.plus = false};
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
		st = random_bytes(rand, sizeof rand);
	if (st == OK)
		st = scram_server_first(c->login->scram, &no_plus, in.mechanism, in.data,
			in.data_len, rand, &first);
	if (st != OK || first.bad) {
		take_scram_status(w, c, st != OK ? st : E_LIMIT);
		return;
	}
	reply_put_auth_sasl_continue(&out, buf, first.len);
	put_login(c, msg, out.len);
}

static void take_scram_final(struct worker *w, struct client *c, struct rd body)
{
	static const struct scram_offer no_plus = {.plus = false};
	struct login *l = c->login;
	uint8_t buf[128], msg[160];
	struct wr final = wr_of(buf, sizeof buf), out = wr_of(msg, sizeof msg);
	enum status st;

	l->learned = malloc(sizeof *l->learned);
	if (l->learned == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	l->learned->salt = l->verifier.salt;
	st = scram_server_final(l->scram, &no_plus, body.p, body.left, &final, &l->learned->keys);
	if (st == OK && l->doomed)
		st = E_AUTH;
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
	if (c->login->ask == AUTH_ASK_MD5)
		take_md5(w, c, body);
	else if (c->login->scram == NULL)
		take_scram_first(w, c, body);
	else
		take_scram_final(w, c, body);
	return f.total;
}

/* --- what a helper has derived --- */

/* The client that a token of keys_derive names, if it is still there. */
static struct client *client_of_token(struct worker *w, uint64_t token)
{
	uint32_t slot = (uint32_t)token & (WORKER_SLOTS_MAX - 1);
	struct client *c = slot < w->n_slots ? w->slots[slot] : NULL;

	return c != NULL && c->id == (token & KEYS_TOKEN_ID) >> WORKER_SLOT_BITS ? c : NULL;
}

void prove_derived(
	struct worker *w, uint64_t token, const uint8_t salted[SCRAM_KEY_LEN], enum status st)
{
	struct client *c = client_of_token(w, token);

	if (c == NULL || c->state != CLIENT_DERIVE)
		return;
	if (st == OK)
		st = scram_verifier_of(salted, &c->login->verifier.salt, &c->login->verifier);
	if (st != OK) {
		login_refuse(w, c, SQLSTATE_INSUFFICIENT_RESOURCES, "too many logins at once",
			"The queue of key derivations is full; SCRAM verifiers in auth_file avoid "
			"it.");
		return;
	}
	challenge_scram(w, c);
}
