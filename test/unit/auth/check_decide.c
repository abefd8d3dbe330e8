#include "auth/decide.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

#define VERIFIER                                        \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"  \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define HASH "md50123456789abcdef0123456789abcdef"

#define ALL_KINDS                                                                   \
	"\"plain\" \"secret\"\n\"hash\" \"" HASH "\"\n\"scram\" \"" VERIFIER "\"\n" \
	"\"none\" \"\"\n"

static const uint8_t secret[SCRAM_KEY_LEN] = {1, 2, 3};
static struct conf conf;
static struct conf_db db, forced;
static struct auth_users *users;
static const char *own_secret;

static struct auth_users *users_of(const char *text)
{
	const struct hash_key key = {3, 4};
	struct auth_users *u;
	struct findings found;

	findings_init(&found);
	ck_assert_int_eq(auth_users_parse(text, strlen(text), "f", &key, &u, &found), OK);
	findings_fini(&found);
	return u;
}

static void setup(void)
{
	conf = (struct conf){.scram_iterations = 5000};
	db = (struct conf_db){.name = "db", .user = "", .password = ""};
	forced = (struct conf_db){.name = "forced", .user = "plain", .password = ""};
	users = users_of(ALL_KINDS);
}

static void teardown(void)
{
	auth_users_free(users);
}

static enum status ask(const struct conf *c, const struct conf_db *asked_db, const char *name,
	const uint8_t *mock_secret, struct auth_client_decision *d)
{
	const struct auth_asked asked = {
		.conf = c,
		.db = asked_db,
		.usual = auth_users_usual(users),
		.type = c->auth_type,
		.name = name,
		.user = auth_users_find(users, name),
		.mock_secret = mock_secret,
	};

	return auth_decide_client(&asked, d);
}

static struct auth_client_decision decide(enum auth_type type, const char *name)
{
	struct auth_client_decision d;

	conf.auth_type = type;
	ck_assert_int_eq(ask(&conf, &db, name, secret, &d), OK);
	ck_assert(d.doomed == (d.why != NULL));
	return d;
}

START_TEST(each_auth_type_asks_each_secret_as_pgbouncer_does)
{
	static const struct {
		enum auth_type type;
		const char *user;
		enum auth_ask ask;
		bool doomed, derive;
	} cases[] = {
		{AUTH_TYPE_TRUST, "plain", AUTH_ASK_NOTHING, false, false},
		{AUTH_TYPE_TRUST, "none", AUTH_ASK_NOTHING, false, false},
		{AUTH_TYPE_TRUST, "nobody", AUTH_ASK_NOTHING, true, false},
		{AUTH_TYPE_CERT, "none", AUTH_ASK_NOTHING, false, false},
		{AUTH_TYPE_CERT, "nobody", AUTH_ASK_NOTHING, true, false},
		{AUTH_TYPE_PEER, "none", AUTH_ASK_NOTHING, false, false},
		{AUTH_TYPE_PEER, "nobody", AUTH_ASK_NOTHING, true, false},
		{AUTH_TYPE_ANY, "nobody", AUTH_ASK_NOTHING, true, false},
		{AUTH_TYPE_MD5, "plain", AUTH_ASK_MD5, false, false},
		{AUTH_TYPE_MD5, "hash", AUTH_ASK_MD5, false, false},
		{AUTH_TYPE_MD5, "scram", AUTH_ASK_SCRAM, false, false},
		{AUTH_TYPE_MD5, "none", AUTH_ASK_MD5, true, false},
		{AUTH_TYPE_MD5, "nobody", AUTH_ASK_MD5, true, false},
		{AUTH_TYPE_SCRAM, "plain", AUTH_ASK_SCRAM, false, true},
		{AUTH_TYPE_SCRAM, "hash", AUTH_ASK_SCRAM, true, false},
		{AUTH_TYPE_SCRAM, "scram", AUTH_ASK_SCRAM, false, false},
		{AUTH_TYPE_SCRAM, "none", AUTH_ASK_SCRAM, true, false},
		{AUTH_TYPE_SCRAM, "nobody", AUTH_ASK_SCRAM, true, false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct auth_client_decision d = decide(cases[i].type, cases[i].user);

		ck_assert_int_eq(d.ask, cases[i].ask);
		ck_assert_int_eq(d.doomed, cases[i].doomed);
		ck_assert_int_eq(d.derive, cases[i].derive);
		/* only a listed verifier can accept anything as it stands */
		if (d.ask == AUTH_ASK_SCRAM)
			ck_assert(d.verifier.mock == (d.doomed || d.derive));
		if (d.ask == AUTH_ASK_MD5)
			ck_assert(md5auth_is_hash(d.hash.text));
	}
}
END_TEST

START_TEST(auth_type_any_needs_a_user_of_the_database)
{
	struct auth_client_decision d;

	conf.auth_type = AUTH_TYPE_ANY;
	ck_assert_int_eq(ask(&conf, &forced, "nobody", secret, &d), OK);
	ck_assert(!d.doomed);
	ck_assert_int_eq(d.ask, AUTH_ASK_NOTHING);
	ck_assert_int_eq(ask(&conf, NULL, "nobody", secret, &d), OK);
	ck_assert(!d.doomed); /* the console */
}
END_TEST

START_TEST(md5_is_checked_against_the_hash_of_the_secret)
{
	struct md5auth expected;

	ck_assert_int_eq(md5auth_hash("secret", "plain", &expected), OK);
	ck_assert_str_eq(decide(AUTH_TYPE_MD5, "plain").hash.text, expected.text);
	ck_assert_str_eq(decide(AUTH_TYPE_MD5, "hash").hash.text, HASH);
}
END_TEST

START_TEST(verifier_is_the_listed_one)
{
	struct scram_verifier v;

	ck_assert_int_eq(scram_verifier_read(VERIFIER, &v), OK);
	for (int i = 0; i < 2; i++) {
		struct auth_client_decision d =
			decide(i == 0 ? AUTH_TYPE_MD5 : AUTH_TYPE_SCRAM, "scram");

		ck_assert(scram_salt_equal(&d.verifier.salt, &v.salt));
		ck_assert_mem_eq(d.verifier.stored_key, v.stored_key, SCRAM_KEY_LEN);
		ck_assert_mem_eq(d.verifier.server_key, v.server_key, SCRAM_KEY_LEN);
	}
}
END_TEST

START_TEST(derivation_gives_a_verifier_that_accepts_the_password)
{
	struct auth_client_decision d = decide(AUTH_TYPE_SCRAM, "plain");
	struct auth_client_decision again = decide(AUTH_TYPE_SCRAM, "plain");
	struct scram_keys keys;
	struct scram_verifier v;

	ck_assert_str_eq(d.password, "secret");
	ck_assert_uint_eq(d.verifier.salt.iterations, 5000);
	ck_assert_int_eq(scram_derive("secret", &d.verifier.salt, &keys), OK);
	ck_assert_int_eq(scram_verifier_of(&keys, &d.verifier.salt, &v), OK);
	ck_assert(scram_verifier_accepts(&v, &keys));
	/* the salt is the same at the next login: the derived key can be cached */
	ck_assert(scram_salt_equal(&again.verifier.salt, &d.verifier.salt));
}
END_TEST

START_TEST(unknown_user_looks_like_a_known_one)
{
	struct auth_client_decision a = decide(AUTH_TYPE_SCRAM, "nobody");
	struct auth_client_decision b = decide(AUTH_TYPE_SCRAM, "nobody");
	struct auth_client_decision c = decide(AUTH_TYPE_SCRAM, "someone");

	ck_assert(scram_salt_equal(&a.verifier.salt, &b.verifier.salt));
	ck_assert(!scram_salt_equal(&a.verifier.salt, &c.verifier.salt));
	ck_assert_uint_eq(a.verifier.salt.iterations, 4096); /* as the listed verifiers */
	ck_assert_uint_eq(a.verifier.salt.len, SCRAM_SALT_LEN);
	auth_users_free(users);
	users = users_of("\"plain\" \"secret\"\n");
	ck_assert_uint_eq(decide(AUTH_TYPE_SCRAM, "nobody").verifier.salt.iterations,
		decide(AUTH_TYPE_SCRAM, "plain").verifier.salt.iterations);
	auth_users_free(users);
	users = users_of("\"scram\" \"" VERIFIER "\"\n");
	ck_assert_int_eq(decide(AUTH_TYPE_MD5, "nobody").ask, AUTH_ASK_SCRAM);
	ck_assert_int_eq(decide(AUTH_TYPE_MD5, "scram").ask, AUTH_ASK_SCRAM);
}
END_TEST

START_TEST(hash_of_an_unknown_user_depends_on_the_secret)
{
	static const uint8_t other[SCRAM_KEY_LEN] = {9};
	struct auth_client_decision a = decide(AUTH_TYPE_MD5, "nobody"), b;

	ck_assert_str_eq(a.hash.text, decide(AUTH_TYPE_MD5, "nobody").hash.text);
	ck_assert_int_eq(ask(&conf, &db, "nobody", other, &b), OK);
	ck_assert_str_ne(a.hash.text, b.hash.text);
}
END_TEST

static struct auth_plain_check plain_check(
	const char *name, const char *password, enum status expected)
{
	const struct auth_asked asked = {
		.conf = &conf,
		.db = &db,
		.usual = auth_users_usual(users),
		.type = AUTH_TYPE_PLAIN,
		.name = name,
		.user = auth_users_find(users, name),
		.mock_secret = secret,
	};
	struct auth_plain_check check;

	ck_assert_int_eq(auth_check_plain(&asked, password, &check), expected);
	return check;
}

START_TEST(a_password_in_the_clear_is_checked_by_each_kind_of_secret)
{
	struct scram_verifier v;
	struct md5auth hash;
	char line[100];

	ck_assert_int_eq(decide(AUTH_TYPE_PLAIN, "plain").ask, AUTH_ASK_PLAIN);
	ck_assert_int_eq(decide(AUTH_TYPE_PLAIN, "nobody").ask, AUTH_ASK_PLAIN);
	ck_assert(decide(AUTH_TYPE_PLAIN, "nobody").doomed);
	ck_assert(plain_check("plain", "secret", OK).accepted);
	ck_assert(!plain_check("plain", "secre", OK).accepted);
	ck_assert(!plain_check("plain", "", OK).accepted);
	ck_assert(!plain_check("hash", HASH, OK).accepted); /* the hash is not the password */
	ck_assert(plain_check("hash", "x", OK).done);
	ck_assert_int_eq(scram_verifier_read(VERIFIER, &v), OK);
	ck_assert(!plain_check("scram", "x", OK).done);
	ck_assert_mem_eq(
		plain_check("scram", "x", OK).verifier.stored_key, v.stored_key, SCRAM_KEY_LEN);
	ck_assert(!plain_check("none", "", OK).accepted);
	ck_assert(!plain_check("nobody", "", OK).accepted);
	ck_assert(plain_check("nobody", "x", OK).verifier.mock);
	auth_users_free(users);
	ck_assert_int_eq(md5auth_hash("pw", "u", &hash), OK);
	snprintf(line, sizeof line, "\"u\" \"%s\"\n", hash.text);
	users = users_of(line);
	ck_assert(plain_check("u", "pw", OK).accepted);
	ck_assert(!plain_check("u", "pW", OK).accepted);
}
END_TEST

static struct auth_server_decision server(
	const struct conf_db *for_db, const char *user, const struct auth_learned *learned)
{
	const struct auth_own own = {.secret = own_secret, .learned = learned};
	struct auth_server_decision d;

	auth_decide_server(for_db, users, user, &own, &d);
	return d;
}

START_TEST(server_login_takes_the_entry_then_the_file_then_learned_keys)
{
	struct auth_learned learned = {.salt = {.iterations = 1}};
	struct auth_server_decision d;

	d = server(&db, "plain", &learned);
	ck_assert_int_eq(d.have, AUTH_HAVE_PASSWORD);
	ck_assert_str_eq(d.secret, "secret");
	ck_assert_str_eq(d.user, "plain");
	d = server(&db, "hash", &learned);
	ck_assert_int_eq(d.have, AUTH_HAVE_MD5);
	ck_assert_str_eq(d.secret, HASH);
	d = server(&db, "scram", &learned);
	ck_assert_int_eq(d.have, AUTH_HAVE_KEYS);
	ck_assert_ptr_eq(d.learned, &learned);
	ck_assert_int_eq(server(&db, "scram", NULL).have, AUTH_HAVE_VERIFIER);
	ck_assert_int_eq(server(&db, "none", &learned).have, AUTH_HAVE_NOTHING);
	ck_assert_int_eq(server(&db, "nobody", &learned).have, AUTH_HAVE_KEYS);
	ck_assert_int_eq(server(&db, "nobody", NULL).have, AUTH_HAVE_NOTHING);
	d = server(&forced, "scram", &learned);
	ck_assert_int_eq(d.have, AUTH_HAVE_PASSWORD);
	ck_assert_str_eq(d.user, "plain");
	forced.password = "entry";
	ck_assert_str_eq(server(&forced, "scram", &learned).secret, "entry");
	forced.password = HASH;
	ck_assert_int_eq(server(&forced, "scram", &learned).have, AUTH_HAVE_MD5);
	forced.user = "scram";
	forced.password = "";
	ck_assert_int_eq(server(&forced, "scram", &learned).have, AUTH_HAVE_VERIFIER);
	own_secret = HASH;
	ck_assert_str_eq(server(&db, "plain", NULL).secret, "secret");
	ck_assert_int_eq(server(&db, "nobody", NULL).have, AUTH_HAVE_MD5);
	ck_assert_int_eq(server(&forced, "nobody", NULL).have, AUTH_HAVE_VERIFIER);
	own_secret = "given";
	ck_assert_str_eq(server(&db, "plain", NULL).secret, "secret");
	ck_assert_str_eq(server(&db, "scram", &learned).secret, "given");
	own_secret = VERIFIER;
	ck_assert_int_eq(server(&db, "nobody", &learned).have, AUTH_HAVE_KEYS);
	own_secret = NULL;
	db.password = "not without a user";
	ck_assert_str_eq(server(&db, "plain", NULL).secret, "secret");
}
END_TEST

START_TEST(what_cannot_be_answered_is_said_with_the_way_out)
{
	struct auth_learned learned = {.salt = {.iterations = 4096, .len = 1, .bytes = {7}}};
	struct scram_salt same = learned.salt, other = learned.salt;
	static const enum auth_method methods[] = {
		AUTH_METHOD_CLEARTEXT, AUTH_METHOD_MD5, AUTH_METHOD_SCRAM};
	struct auth_server_decision keys = server(&db, "scram", &learned);

	for (int i = 0; i < 3; i++) {
		struct auth_server_decision d = server(&db, "plain", NULL);

		ck_assert_ptr_null(auth_cannot_answer(&d, methods[i], &same));
		d = server(&db, "hash", NULL);
		ck_assert((auth_cannot_answer(&d, methods[i], NULL) == NULL) == (i == 1));
		d = server(&db, "none", NULL);
		ck_assert_ptr_nonnull(
			strstr(auth_cannot_answer(&d, methods[i], NULL), "auth_file"));
		d = server(&db, "scram", NULL);
		ck_assert_ptr_nonnull(
			strstr(auth_cannot_answer(&d, methods[i], NULL), "logged in"));
		ck_assert((auth_cannot_answer(&keys, methods[i], NULL) == NULL) == (i == 2));
	}
	ck_assert_ptr_null(auth_cannot_answer(&keys, AUTH_METHOD_SCRAM, &same));
	other.iterations++;
	ck_assert_ptr_nonnull(
		strstr(auth_cannot_answer(&keys, AUTH_METHOD_SCRAM, &other), "pg_authid"));
	other = same;
	other.bytes[0]++;
	ck_assert_ptr_nonnull(
		strstr(auth_cannot_answer(&keys, AUTH_METHOD_SCRAM, &other), "pg_authid"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("decide");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_auth_type_asks_each_secret_as_pgbouncer_does);
	tcase_add_test(tc, auth_type_any_needs_a_user_of_the_database);
	tcase_add_test(tc, md5_is_checked_against_the_hash_of_the_secret);
	tcase_add_test(tc, verifier_is_the_listed_one);
	tcase_add_test(tc, derivation_gives_a_verifier_that_accepts_the_password);
	tcase_add_test(tc, unknown_user_looks_like_a_known_one);
	tcase_add_test(tc, a_password_in_the_clear_is_checked_by_each_kind_of_secret);
	tcase_add_test(tc, hash_of_an_unknown_user_depends_on_the_secret);
	tcase_add_test(tc, server_login_takes_the_entry_then_the_file_then_learned_keys);
	tcase_add_test(tc, what_cannot_be_answered_is_said_with_the_way_out);
	return unit_run("decide", tc);
}
