#include "auth/users.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

#include "../failing_alloc.h"
#include "../unit.h"

/* The verifier of "pencil" with 4096 iterations. */
#define VERIFIER                                        \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"  \
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define HASH "md50123456789abcdef0123456789abcdef"

static const struct hash_key key = {1, 2};
static struct findings found;

static void setup(void)
{
	findings_init(&found);
}

static void teardown(void)
{
	findings_fini(&found);
}

static enum status parse(const char *text, struct auth_users **out)
{
	findings_fini(&found);
	findings_init(&found);
	return auth_users_parse(text, strlen(text), "users.txt", &key, out, &found);
}

static struct auth_users *users_of(const char *text)
{
	struct auth_users *u;

	ck_assert_int_eq(parse(text, &u), OK);
	return u;
}

static void assert_error(const char *text, const char *line)
{
	struct auth_users *u;
	char buf[FINDING_LINE_MAX];

	ck_assert_int_eq(parse(text, &u), E_INVALID);
	ck_assert_ptr_null(u);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_str_eq(finding_format(&found.items[0], buf, sizeof buf), line);
}

START_TEST(secrets_are_told_apart_by_their_form)
{
	ck_assert_int_eq(secret_kind_of(""), SECRET_NONE);
	ck_assert_int_eq(secret_kind_of("md5"), SECRET_PLAIN);
	ck_assert_int_eq(secret_kind_of(HASH), SECRET_MD5);
	ck_assert_int_eq(secret_kind_of(HASH "0"), SECRET_PLAIN);
	ck_assert_int_eq(secret_kind_of(VERIFIER), SECRET_SCRAM);
	ck_assert_int_eq(secret_kind_of("SCRAM-SHA-256$"), SECRET_SCRAM);
	ck_assert_int_eq(secret_kind_of("SCRAM-SHA-256"), SECRET_PLAIN);
}
END_TEST

START_TEST(users_are_found_by_name)
{
	struct auth_users *u = users_of("\"plain\" \"pa\"\"ss\"\n"
					"\"hash\" \"" HASH "\"\n"
					"\"scram\" \"" VERIFIER "\" comment\n"
					"\"none\" \"\"\n"
					"\"odd \"\"name\"\"\" \"x\"\n");

	ck_assert_uint_eq(auth_users_count(u), 5);
	ck_assert_str_eq(auth_users_find(u, "plain")->secret, "pa\"ss");
	ck_assert_int_eq(auth_users_find(u, "plain")->kind, SECRET_PLAIN);
	ck_assert_int_eq(auth_users_find(u, "hash")->kind, SECRET_MD5);
	ck_assert_int_eq(auth_users_find(u, "scram")->kind, SECRET_SCRAM);
	ck_assert_uint_eq(auth_users_find(u, "scram")->verifier->salt.iterations, 4096);
	ck_assert_ptr_null(auth_users_find(u, "plain")->verifier);
	ck_assert_int_eq(auth_users_find(u, "none")->kind, SECRET_NONE);
	ck_assert_str_eq(auth_users_find(u, "odd \"name\"")->secret, "x");
	ck_assert_ptr_null(auth_users_find(u, "Plain"));
	ck_assert_ptr_null(auth_users_find(u, ""));
	ck_assert_str_eq(auth_users_at(u, 2)->name, "scram");
	ck_assert_ptr_null(auth_users_at(u, 5));
	auth_users_free(u);
}
END_TEST

START_TEST(empty_file_has_no_users)
{
	struct auth_users *u = users_of("");

	ck_assert_uint_eq(auth_users_count(u), 0);
	ck_assert_ptr_null(auth_users_find(u, "any"));
	ck_assert(!auth_users_usual(u).md5);
	ck_assert_uint_eq(auth_users_usual(u).iterations, 0);
	auth_users_free(u);
	auth_users_free(NULL);
}
END_TEST

START_TEST(user_listed_twice_has_the_last_secret)
{
	struct auth_users *u = users_of("\"a\" \"1\"\n\"b\" \"2\"\n\"a\" \"" HASH "\"\n");

	ck_assert_uint_eq(auth_users_count(u), 2);
	ck_assert_int_eq(auth_users_find(u, "a")->kind, SECRET_MD5);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_int_eq(found.items[0].kind, FINDING_NOTE);
	ck_assert_uint_eq(found.items[0].line, 3);
	auth_users_free(u);
}
END_TEST

START_TEST(errors_name_line_and_user_but_no_secret)
{
	static char text[4000];

	assert_error("\n\"a\" hidden\n",
		"users.txt:2: a: expected the secret in double quotes behind the user");
	assert_error("a hidden\n",
		"users.txt:1: expected \"user\" \"secret\", a quote in either doubled");
	assert_error("\"a\" \"SCRAM-SHA-256$4096:hidden\"",
		"users.txt:1: a: expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, as in "
		"the server's pg_authid");
	assert_error("\"\" \"hidden\"", "users.txt:1: expected a user's name of 1 to 127 bytes");
	snprintf(text, sizeof text, "\"a\" \"%01024d\"", 0);
	assert_error(text, "users.txt:1: a: expected a secret of at most 1023 bytes");
	snprintf(text, sizeof text, "\"%0128d\" \"x\"", 0);
	ck_assert_int_eq(parse(text, &(struct auth_users *){NULL}), E_INVALID);
	snprintf(text, sizeof text, "\"%0127d\" \"%01023d\"", 0, 0);
	auth_users_free(users_of(text));
}
END_TEST

START_TEST(all_errors_are_told)
{
	struct auth_users *u;

	ck_assert_int_eq(parse("x\n\"a\" \"b\"\n\"c\"\n\"\" \"\"\n", &u), E_INVALID);
	ck_assert_uint_eq(found.n_errors, 3);
}
END_TEST

START_TEST(usual_user_is_the_most_frequent_kind)
{
	struct auth_users *u =
		users_of("\"a\" \"x\"\n\"b\" \"" HASH "\"\n\"c\" \"" VERIFIER "\"\n");

	ck_assert(auth_users_usual(u).md5);
	ck_assert_uint_eq(auth_users_usual(u).iterations, 4096);
	auth_users_free(u);
	u = users_of("\"a\" \"x\"\n\"c\" \"" VERIFIER "\"\n");
	ck_assert(!auth_users_usual(u).md5);
	auth_users_free(u);
}
END_TEST

START_TEST(usual_iterations_are_the_most_frequent)
{
	static const unsigned iterations[] = {5, 7, 7, 5, 9, 7};
	char text[4000];
	size_t len = 0;
	struct auth_users *u;

	for (unsigned i = 0; i < 6; i++)
		len += (size_t)snprintf(text + len, sizeof text - len,
			"\"u%u\" \"SCRAM-SHA-256$%u%s\"\n", i, iterations[i],
			strchr(VERIFIER, ':'));
	u = users_of(text);
	ck_assert_uint_eq(auth_users_usual(u).iterations, 7);
	auth_users_free(u);
}
END_TEST

START_TEST(ten_thousand_users_are_found)
{
	static char text[400000];
	size_t len = 0;
	struct auth_users *u;
	char name[32];

	for (unsigned i = 0; i < 10000; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "\"u%u\" \"p%u\"\n", i, i);
	u = users_of(text);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof name, "u%u", i);
		ck_assert_str_eq(auth_users_find(u, name)->secret + 1, name + 1);
	}
	ck_assert_ptr_null(auth_users_find(u, "u10000"));
	auth_users_free(u);
}
END_TEST

START_TEST(installed_example_lists_nobody)
{
	const char *srcdir = getenv("srcdir");
	static char text[8192];
	char path[4096];
	size_t len;
	FILE *f;

	snprintf(path, sizeof path, "%s/etc/userlist.txt", srcdir != NULL ? srcdir : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = '\0';
	auth_users_free(users_of(text));
	ck_assert_uint_eq(found.n, 0);
}
END_TEST

START_TEST(users_are_bounded)
{
	static const char line[] = "\"\" \"\"\n";
	size_t len = sizeof line - 1, n = AUTH_USERS_MAX + 1;
	char *text = malloc(n * len);
	struct auth_users *u;

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, line, len);
	ck_assert_int_eq(auth_users_parse(text, n * len, "f", &key, &u, &found), E_INVALID);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_str_eq(found.items[0].text, "expected at most 1000000 users");
	free(text);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
	static char text[6000];

	/* the padding moves the place where the arena asks for a new block through all of it */
	for (int pad = 1; pad < 1000; pad += 16) {
		struct auth_users *u = NULL;
		enum status st = E_NOMEM;

		snprintf(text, sizeof text,
			"\"p\" \"%01023d\"\n\"q\" \"%01023d\"\n\"r\" \"%01000d\"\n"
			"\"s\" \"%0*d\"\n\"b\" \"" VERIFIER "\"\n\"a\" \"y\"\n",
			0, 0, 0, pad, 0);
		for (long n = 0; st != OK; n++) {
			failing_alloc_after(n);
			st = parse(text, &u);
			failing_alloc_after(-1);
			ck_assert(st == OK || (st == E_NOMEM && u == NULL));
			ck_assert_int_lt(n, 1000);
		}
		auth_users_free(u);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("users");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, secrets_are_told_apart_by_their_form);
	tcase_add_test(tc, users_are_found_by_name);
	tcase_add_test(tc, empty_file_has_no_users);
	tcase_add_test(tc, user_listed_twice_has_the_last_secret);
	tcase_add_test(tc, errors_name_line_and_user_but_no_secret);
	tcase_add_test(tc, all_errors_are_told);
	tcase_add_test(tc, usual_user_is_the_most_frequent_kind);
	tcase_add_test(tc, usual_iterations_are_the_most_frequent);
	tcase_add_test(tc, ten_thousand_users_are_found);
	tcase_add_test(tc, installed_example_lists_nobody);
	tcase_add_test(tc, users_are_bounded);
	tcase_add_test(tc, every_allocation_may_fail);
	return unit_run("users", tc);
}
