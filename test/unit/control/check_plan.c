#include "control/plan.h"

#include "auth/users.h"
#include "control_unit.h"

static const struct hash_key key = {1, 2};
static struct findings found;
static struct conf *present;
static struct auth_users *users;
static struct config_set next;

static enum status read_text(void *arg, const char *path, char **data, size_t *len)
{
	(void)path;
	*len = strlen(arg);
	*data = strdup(arg);
	return OK;
}

static struct conf *load(const char *text, const struct conf *previous)
{
	struct conf_reader reader = {.read = read_text, .arg = (void *)(uintptr_t)text};
	struct conf *conf = NULL;

	ck_assert_int_eq(conf_load(&reader, "test.ini", previous, &conf, &found), OK);
	return conf;
}

static struct auth_users *parse(const char *text)
{
	struct auth_users *u = NULL;

	ck_assert_int_eq(auth_users_parse(text, strlen(text), "users", &key, &u, &found), OK);
	return u;
}

static struct plan *plan(const char *from, const char *to)
{
	struct plan *p;

	present = load(from, NULL);
	next.conf = load(to, present);
	users = parse("\"bye\" \"x\"\n\"kept\" \"x\"\n\"new\" \"x\"\n");
	next.users = parse("\"hello\" \"x\"\n\"kept\" \"x\"\n\"new\" \"hidden\"\n");
	ck_assert_int_eq(plan_new(present, users, &next, &found, &p), OK);
	return p;
}

static void setup(void)
{
	findings_init(&found);
	memset(&next, 0, sizeof next);
}

static void teardown(void)
{
	findings_fini(&found);
	conf_free(present);
	conf_free(next.conf);
	auth_users_free(users);
	auth_users_free(next.users);
}

#define FROM "[databases]\na = host=h\n[pgweir]\nlisten_addr = 127.0.0.1\n"

START_TEST(everything_is_told_with_its_effect_and_no_secret)
{
	char text[1024];
	struct plan *p = plan(FROM "max_client_conn = 5\ntcp_keepalive = 1\n",
		"[databases]\na = host=h pool_size=7 user=u password=hidden\n"
		"[pgweir]\nlisten_addr = 127.0.0.1\nmax_client_conn = 6\nlisten_port = 7000\n"
		"tcp_keepalive = 0\nquery_timeout = 3\nclient_tls_ciphers = fast\n");

	ck_assert_str_eq(plan_text(p, text, sizeof text),
		"listen_port: 6432 -> 7000 (at the next start); "
		"client_tls_ciphers: default -> fast (new clients); "
		"max_client_conn: 5 -> 6 (new clients); query_timeout: 0 -> 3 (at once); "
		"tcp_keepalive: 1 -> 0 (new connections); "
		"database a password: \"\" -> *** (server connections are replaced as they become "
		"free); database a pool_size: \"\" -> 7 (at once); "
		"database a user: \"\" -> u (server connections are replaced as they become free); "
		"auth_file bye: listed -> \"\" (new clients); "
		"auth_file new secret: *** -> *** (new clients); "
		"auth_file hello: \"\" -> listed (new clients)");
	ck_assert_uint_eq(plan_n(p), 11);
	ck_assert_uint_eq(plan_n_left_out(p), 0);
	ck_assert_str_eq(plan_at(p, 0)->to, "7000");
	plan_free(p);
}
END_TEST

START_TEST(a_text_that_is_cut_counts_what_is_missing)
{
	char text[100];
	struct plan *p = plan(FROM, FROM "max_client_conn = 6\n");

	ck_assert_str_eq(plan_text(p, text, sizeof text),
		"max_client_conn: 10000 -> 6 (new clients); and 3 more");
	plan_free(p);
}
END_TEST

START_TEST(number_of_changes_is_bounded)
{
	static char big[100000];
	size_t len = (size_t)snprintf(big, sizeof big, "%s[users]\n", FROM);
	struct plan *p;

	for (unsigned i = 0; i < PLAN_MAX + 7; i++)
		len += (size_t)snprintf(big + len, sizeof big - len, "u%u =\n", i);
	p = plan(FROM, big);
	ck_assert_uint_eq(plan_n(p), PLAN_MAX);
	ck_assert_uint_eq(plan_n_left_out(p), 10);
	plan_free(p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("plan");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, everything_is_told_with_its_effect_and_no_secret);
	tcase_add_test(tc, a_text_that_is_cut_counts_what_is_missing);
	tcase_add_test(tc, number_of_changes_is_bounded);
	return unit_run("plan", tc);
}
