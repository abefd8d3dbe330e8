#include "conf/diff.h"

#include "../failing_alloc.h"
#include "fixture.h"

static char told[8000];

static void setup(void)
{
	fixture_init();
	told[0] = '\0';
}

static void tell(void *arg, const struct conf_change *ch)
{
	size_t len = strlen(told);

	(void)arg;
	snprintf(told + len, sizeof told - len, "%s %s%s%s: %s -> %s\n", ch->what, ch->name,
		*ch->key != '\0' ? " " : "", ch->key, ch->from, ch->to);
}

START_TEST(every_difference_is_told_and_nothing_else)
{
	struct conf *a = fixture_conf("[pgweir]\n"
				      "max_client_conn = 5\n"
				      "monitor_password = hidden1\n"
				      "admin_users = a\n"
				      "[databases]\n"
				      "gone = host=h1\n"
				      "kept = host=h2 pool_size=3 password=hidden2 user=u\n"
				      "same = host=h2\n"
				      "[users]\n"
				      "bye = pool_size=1\n"
				      "u = pool_size=1\n"
				      "[peers]\n"
				      "1 = host=h\n"
				      "2 = host=h\n");
	struct conf *b;

	ck_assert_int_eq(fixture_load("[pgweir]\n"
				      "max_client_conn = 6\n"
				      "monitor_password = hidden3\n"
				      "admin_users = a, b\n"
				      "[databases]\n"
				      "kept = host=h3 password=hidden4 user=u\n"
				      "new = host=h2\n"
				      "same = host=h2\n"
				      "[users]\n"
				      "hello = pool_size=1\n"
				      "u = pool_size=2\n"
				      "[peers]\n"
				      "2 = host=i\n"
				      "3 = host=h\n",
				 a, &b),
		OK);

	ck_assert_int_eq(conf_diff(a, b, tell, NULL), OK);
	ck_assert_str_eq(told, "setting admin_users: a -> a, b\n"
			       "setting max_client_conn: 5 -> 6\n"
			       "setting monitor_password: *** -> ***\n"
			       "database gone: configured -> \n"
			       "database kept host: h2 -> h3\n"
			       "database kept password: *** -> ***\n"
			       "database kept pool_size: 3 -> \n"
			       "database new:  -> configured\n"
			       "user bye: configured -> \n"
			       "user hello:  -> configured\n"
			       "user u pool_size: 1 -> 2\n"
			       "peer 1: configured -> \n"
			       "peer 2 host: h -> i\n"
			       "peer 3:  -> configured\n"
			       "node h1:5432: configured -> \n"
			       "node h3:5432:  -> configured\n");
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(equal_snapshots_differ_in_nothing)
{
	static const char text[] =
		"[pgweir]\nadmin_users=a\n[databases]\na=host=h,i\n[users]\nu=\n";
	struct conf *a = fixture_conf(text), *b;
	enum status st;

	ck_assert_int_eq(fixture_load(text, a, &b), OK);
	ck_assert_int_eq(conf_diff(a, b, tell, NULL), OK);
	ck_assert_str_eq(told, "");
	failing_alloc_after(0);
	st = conf_diff(a, b, tell, NULL);
	failing_alloc_after(-1);
	ck_assert_int_eq(st, E_NOMEM);
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(files_with_other_contents_are_told_while_they_have_their_names)
{
	struct conf *a = fixture_conf("[pgweir]\nauth_hba_file = h\nserver_tls_ca_file = a\n");
	struct conf *b = fixture_conf("[pgweir]\nauth_hba_file = h\nserver_tls_ca_file = b\n");

	for (unsigned i = 0; i < CONF_FILES; i++) {
		a->file_marks[i] = 7;
		b->file_marks[i] = 7;
	}
	b->file_marks[CONF_FILE_HBA] = 8;
	b->file_marks[CONF_FILE_SERVER_CA] = 8;   /* told as the setting that it is */
	b->file_marks[CONF_FILE_CLIENT_CERT] = 0; /* not in use any more */
	a->file_marks[CONF_FILE_IDENT] = 0;
	b->file_marks[CONF_FILE_PATRONI_CA] = 8;
	ck_assert_int_eq(conf_diff(a, b, tell, NULL), OK);
	ck_assert_str_eq(told, "setting server_tls_ca_file: a -> b\n"
			       "file auth_hba_file contents: old -> new\n"
			       "file patroni_tls_ca_file contents: old -> new\n");
	conf_free(a);
	conf_free(b);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("diff");

	tcase_add_checked_fixture(tc, setup, fixture_fini);
	tcase_add_test(tc, every_difference_is_told_and_nothing_else);
	tcase_add_test(tc, files_with_other_contents_are_told_while_they_have_their_names);
	tcase_add_test(tc, equal_snapshots_differ_in_nothing);
	return unit_run("diff", tc);
}
