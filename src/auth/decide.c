#include "auth/decide.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

/* --- clients --- */

struct asking {
	const struct auth_asked *in;
	struct auth_client_decision *out;
};

static const char unknown_user[] = "neither auth_file nor auth_query knows the user";

static void doom(struct auth_client_decision *d, const char *why)
{
	d->doomed = true;
	d->why = why;
}

static void mock_scram(struct asking *q)
{
	uint32_t usual = q->in->usual.iterations;

	q->out->ask = AUTH_ASK_SCRAM;
	scram_verifier_mock(q->in->mock_secret, q->in->name,
		usual != 0 ? usual : q->in->conf->scram_iterations, &q->out->verifier);
}

/* A hash that nobody knows, so that the same is computed as for a known user. */
static enum status mock_md5(struct asking *q)
{
	char password[2 * SCRAM_SALT_LEN + 1];
	struct scram_verifier v;

	scram_verifier_mock(q->in->mock_secret, q->in->name, 1, &v);
	for (size_t i = 0; i < SCRAM_SALT_LEN; i++)
		(void)snprintf(password + 2 * i, 3, "%02x", v.salt.bytes[i]);
	q->out->ask = AUTH_ASK_MD5;
	return md5auth_hash(password, q->in->name, &q->out->hash);
}

/* As most users are asked, with no right answer. */
static enum status refuse_later(struct asking *q, const char *why)
{
	doom(q->out, why);
	if (q->in->type == AUTH_TYPE_MD5 && q->in->usual.md5)
		return mock_md5(q);
	mock_scram(q);
	return OK;
}

/* The salt of a name is the one that it would have if it were unknown. */
static enum status derive_later(struct asking *q, const char *password)
{
	q->out->ask = AUTH_ASK_SCRAM;
	q->out->derive = true;
	q->out->password = password;
	scram_verifier_mock(
		q->in->mock_secret, q->in->name, q->in->conf->scram_iterations, &q->out->verifier);
	return OK;
}

static enum status ask_md5_hash(struct asking *q, const char *hash)
{
	q->out->ask = AUTH_ASK_MD5;
	(void)snprintf(q->out->hash.text, sizeof q->out->hash.text, "%s", hash);
	return OK;
}

static enum status ask_verifier(struct asking *q, const struct scram_verifier *v)
{
	q->out->ask = AUTH_ASK_SCRAM;
	q->out->verifier = *v;
	return OK;
}

static enum status ask_secret(struct asking *q, const struct auth_user *user)
{
	bool md5 = q->in->type == AUTH_TYPE_MD5;

	switch (user->kind) {
	case SECRET_NONE:
		return refuse_later(q, "the user's secret is empty");
	case SECRET_PLAIN:
		if (!md5)
			return derive_later(q, user->secret);
		q->out->ask = AUTH_ASK_MD5;
		return md5auth_hash(user->secret, user->name, &q->out->hash);
	case SECRET_MD5:
		return md5 ? ask_md5_hash(q, user->secret)
			   : refuse_later(q, "the user's secret is an md5 hash, which cannot serve "
					     "scram-sha-256");
	case SECRET_SCRAM:
		return ask_verifier(q, user->verifier);
	}
	return E_INVALID;
}

enum status auth_decide_client(const struct auth_asked *in, struct auth_client_decision *out)
{
	struct asking q = {in, out};

	memset(out, 0, sizeof *out);
	out->ask = AUTH_ASK_NOTHING;
	switch (in->type) {
	case AUTH_TYPE_ANY:
		if (in->db != NULL && *in->db->user == '\0')
			doom(out, "auth_type any needs user= in the database's entry");
		return OK;
	case AUTH_TYPE_TRUST:
	case AUTH_TYPE_CERT: /* these two are proved elsewhere */
	case AUTH_TYPE_PEER:
		if (in->user == NULL)
			doom(out, unknown_user);
		return OK;
	case AUTH_TYPE_PLAIN:
		out->ask = AUTH_ASK_PLAIN;
		if (in->user == NULL)
			doom(out, unknown_user);
		return OK;
	case AUTH_TYPE_MD5:
	case AUTH_TYPE_SCRAM:
		if (in->user == NULL)
			return refuse_later(&q, unknown_user);
		return ask_secret(&q, in->user);
	case AUTH_TYPE_PAM: /* these two know their users themselves */
	case AUTH_TYPE_LDAP:
		out->ask = AUTH_ASK_PLAIN;
		return OK;
	case AUTH_TYPE_HBA:
	case AUTH_TYPE_REJECT:
		break; /* nothing that is asked here */
	}
	return E_INVALID;
}

/* --- passwords in the clear --- */

static bool is_same(const char *a, const char *b)
{
	size_t len = strlen(a);

	return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

static enum status check_md5(
	const char *name, const char *hash, const char *password, struct auth_plain_check *out)
{
	struct md5auth got;
	enum status st = md5auth_hash(password, name, &got);

	out->done = true;
	out->accepted = st == OK && is_same(got.text, hash);
	return st;
}

/* Nobody's password; the time is that of a known user's check. */
static enum status check_mock(struct asking *q, const char *password, struct auth_plain_check *out)
{
	enum status st = refuse_later(q, unknown_user);

	if (st == OK && q->out->ask == AUTH_ASK_MD5)
		st = check_md5(q->in->name, q->out->hash.text, password, out);
	out->accepted = false;
	out->verifier = q->out->verifier;
	return st;
}

enum status auth_check_plain(
	const struct auth_asked *in, const char *password, struct auth_plain_check *out)
{
	struct auth_client_decision unused = {.why = NULL};
	struct asking q = {in, &unused};

	memset(out, 0, sizeof *out);
	switch (in->user != NULL ? in->user->kind : SECRET_NONE) {
	case SECRET_NONE:
		return check_mock(&q, password, out);
	case SECRET_PLAIN:
		out->done = true;
		out->accepted = is_same(in->user->secret, password);
		return OK;
	case SECRET_MD5:
		return check_md5(in->name, in->user->secret, password, out);
	case SECRET_SCRAM:
		out->verifier = *in->user->verifier;
		return OK;
	}
	return E_INVALID;
}

/* --- servers --- */

static void have_secret(
	struct auth_server_decision *d, const char *secret, const struct auth_learned *learned)
{
	switch (secret_kind_of(secret)) {
	case SECRET_NONE:
		return;
	case SECRET_PLAIN:
		d->have = AUTH_HAVE_PASSWORD;
		d->secret = secret;
		return;
	case SECRET_MD5:
		d->have = AUTH_HAVE_MD5;
		d->secret = secret;
		return;
	case SECRET_SCRAM:
		d->have = learned != NULL ? AUTH_HAVE_KEYS : AUTH_HAVE_VERIFIER;
		d->learned = learned;
		return;
	}
}

void auth_decide_server(const struct conf_db *db, const struct auth_users *users,
	const char *client_user, const struct auth_own *own, struct auth_server_decision *out)
{
	static const struct auth_own nothing = {.secret = NULL};
	bool has_user = *db->user != '\0';
	const struct auth_user *user;

	*out = (struct auth_server_decision){.have = AUTH_HAVE_NOTHING};
	out->user = has_user ? db->user : client_user;
	if (has_user && *db->password != '\0') {
		have_secret(out, db->password, NULL);
		return;
	}
	if (has_user)
		own = &nothing;
	user = auth_users_find(users, out->user);
	if (user != NULL && (user->kind == SECRET_PLAIN || own->secret == NULL ||
				    secret_kind_of(own->secret) != SECRET_PLAIN))
		have_secret(out, user->secret, own->learned);
	else if (own->secret != NULL)
		have_secret(out, own->secret, own->learned);
	else if (own->learned != NULL) { /* of a client that came with a take-over */
		out->have = AUTH_HAVE_KEYS;
		out->learned = own->learned;
	}
}

static const char *keys_cannot_answer(
	const struct auth_learned *learned, enum auth_method method, const struct scram_salt *salt)
{
	if (method != AUTH_METHOD_SCRAM)
		return "the server asks for a password, but only SCRAM keys are known: set "
		       "password_encryption there, or list the password";
	if (salt != NULL && !scram_salt_equal(salt, &learned->salt))
		return "the user's verifier is not the server's own (another salt or "
		       "iterations): copy the one in its pg_authid";
	return NULL;
}

const char *auth_cannot_answer(const struct auth_server_decision *d, enum auth_method method,
	const struct scram_salt *salt)
{
	switch (d->have) {
	case AUTH_HAVE_NOTHING:
		return "the server asks for a password, but none is known for the user: list it in "
		       "auth_file, or set password= in the database's entry";
	case AUTH_HAVE_PASSWORD:
		return NULL;
	case AUTH_HAVE_MD5:
		if (method == AUTH_METHOD_MD5)
			return NULL;
		return "only an md5 hash is known for the user, which serves md5 alone: list the "
		       "password, or the server's SCRAM verifier";
	case AUTH_HAVE_VERIFIER:
		return "only a SCRAM verifier is known for the user, which serves servers once the "
		       "user has logged in here with a password";
	case AUTH_HAVE_KEYS:
		return keys_cannot_answer(d->learned, method, salt);
	}
	return "unknown kind of secret";
}
