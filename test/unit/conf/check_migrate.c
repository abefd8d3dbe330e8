#include "conf/migrate.h"

#include "conf/diff.h"
#include "fixture.h"

static char written[16384];
static char told[4096];

static void put(void *arg, const char *text)
{
	size_t len = strlen(written);

	(void)arg;
	snprintf(written + len, sizeof written - len, "%s", text);
}

static void tell(void *arg, const struct conf_change *ch)
{
	size_t len = strlen(told);

	(void)arg;
	snprintf(told + len, sizeof told - len, "%s %s %s: %s -> %s\n", ch->what, ch->name, ch->key,
		ch->from, ch->to);
}

static void setup(void)
{
	fixture_init();
	written[0] = told[0] = '\0';
}

/* What `old` and what is made of it have differently. */
static void migrate(const char *old)
{
	struct document_out out = {.put = put};
	struct conf *before = fixture_conf(old), *after = NULL;

	migrate_write(before, "old.ini", &out);
	ck_assert_int_eq(fixture_load(written, before, &after), OK);
	ck_assert(before->is_pgbouncer && !after->is_pgbouncer);
	ck_assert_int_eq(conf_diff(before, after, tell, NULL), OK);
	conf_free(before);
	conf_free(after);
}

START_TEST(entries_stay_what_they_are_whatever_their_names)
{
	migrate("[databases]\n"
		"a = host=h,i port=1,2 password='it''s' user=u\n"
		"\"b \"\"c\" = host=h\n"
		"* =\n"
		"\"=;[x]\" = dbname=y\n"
		"[users]\n"
		"\"o'brien\" = pool_size=3\n"
		"[peers]\n"
		"1 = host=h\n"
		"[pgbouncer]\n"
		"listen_addr = *\n"
		"peer_id = 1\n"
		"auth_type = md5\npool_mode = transaction\nrouting = off\nmax_client_conn = 5\n"
		"syslog_ident = x\n");
	ck_assert_str_eq(told, "");
	ck_assert_ptr_nonnull(strstr(written, ";; t.ini:11: kept\nlisten_addr = *\n"));
	ck_assert_ptr_nonnull(strstr(written, "[databases]\n\n;; t.ini:2: kept\n;; its hosts"));
}
END_TEST

START_TEST(of_defaults_only_what_clients_do_not_notice_changes)
{
	migrate("[databases]\n[pgbouncer]\nlisten_addr = *\n");
	ck_assert_str_eq(told, "setting max_client_conn : 100 -> 10000\n"
			       "setting syslog_ident : pgbouncer -> pgweir\n");
	ck_assert_ptr_nonnull(strstr(written, "\npool_mode = session\n"));
	ck_assert_ptr_nonnull(strstr(written, "\n;max_client_conn = 100\n"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("migrate");

	tcase_add_checked_fixture(tc, setup, fixture_fini);
	tcase_add_test(tc, entries_stay_what_they_are_whatever_their_names);
	tcase_add_test(tc, of_defaults_only_what_clients_do_not_notice_changes);
	return unit_run("migrate", tc);
}
