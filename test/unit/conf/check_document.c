#include "conf/document.h"

#include <string.h>

#include "conf/setting_text.h"
#include "conf/settings.h"

#include "fixture.h"

static char page[262144];

static void setup(void)
{
	fixture_init();
	page[0] = '\0';
}

static void append(void *arg, const char *text)
{
	size_t *len = arg;
	size_t n = strlen(text);

	ck_assert_uint_lt(*len + n, sizeof page);
	memcpy(page + *len, text, n + 1);
	*len += n;
}

static size_t page_len;
static const struct document_out out = {.put = append, .arg = &page_len};

static const char *help(const char *key, enum status expected)
{
	page_len = 0;
	page[0] = '\0';
	ck_assert_int_eq(document_help(&out, key), expected);
	return page;
}

START_TEST(help_lists_every_key)
{
	help(NULL, OK);
	for (size_t i = 0; i < n_settings; i++) {
		char name[80];

		snprintf(name, sizeof name, "\n  %s ", settings[i].name);
		ck_assert_msg(strstr(page, name) != NULL, "%s", name);
	}
	ck_assert_ptr_nonnull(strstr(page, "[databases]\n\n Where to, and as whom\n"));
	ck_assert_ptr_nonnull(strstr(page, "\n  max_client_conn              client connections in "
					   "all (10000)\n"));
}
END_TEST

START_TEST(help_tells_all_about_a_key_in_each_section)
{
	ck_assert_str_eq(help("pool_mode", OK),
		"[pgweir] pool_mode\n"
		"  when a server connection can go to another client\n"
		"  Value:    one of session, transaction, statement\n"
		"  Default:  transaction\n"
		"            session in a file with [pgbouncer]\n"
		"  Origin:   PgBouncer, same meaning\n"
		"  Changed:  by a reload, or SET on the console\n"
		"[databases] pool_mode\n"
		"  when a server connection can go to another client\n"
		"  Value:    one of session, transaction, statement\n"
		"  Default:  not set\n"
		"  Origin:   PgBouncer, same meaning\n"
		"  Changed:  by a reload\n"
		"[users] pool_mode\n"
		"  when a server connection can go to another client\n"
		"  Value:    one of session, transaction, statement\n"
		"  Default:  not set\n"
		"  Origin:   PgBouncer, same meaning\n"
		"  Changed:  by a reload\n");
	ck_assert_ptr_nonnull(strstr(help("workers", OK), "Changed:  by a restart\n"));
	ck_assert_ptr_nonnull(strstr(help("workers", OK), "Origin:   pgweir\n"));
	ck_assert_ptr_nonnull(strstr(help("pkt_buf", OK), "without effect here: buffers"));
}
END_TEST

START_TEST(help_on_an_unknown_key_names_a_near_one)
{
	ck_assert_str_eq(help("pool_mod", E_NOTFOUND),
		"There is no key pool_mod; the nearest is pool_mode.\n");
	ck_assert_str_eq(help("zzzzzzzzzz", E_NOTFOUND), "There is no key zzzzzzzzzz.\n");
}
END_TEST

START_TEST(show_has_a_row_for_every_global_key_in_order)
{
	struct conf *c = fixture_conf("[pgbouncer]\npool_mode=transaction\nmonitor_password=x\n"
				      "pkt_buf=1\nadmin_users=a,b\nquery_timeout=100ms\n");
	struct document_row row, prev = {.key = ""};
	char buf[SETTING_TEXT_MAX];
	size_t pos = 0, n = 0, n_global = 0, n_seen = 0;

	while (document_show(c, &pos, &row, buf, sizeof buf)) {
		ck_assert_int_lt(strcmp(prev.key, row.key), 0);
		ck_assert_ptr_nonnull(row.def);
		prev = row;
		n++;
#define ROW(key_, value_, def_, changeable_)                      \
	if (strcmp(row.key, key_) == 0) {                         \
		ck_assert_str_eq(row.value, value_);              \
		ck_assert_str_eq(row.def, def_);                  \
		ck_assert_int_eq(row.is_changeable, changeable_); \
		n_seen++;                                         \
	}
		ROW("pool_mode", "transaction", "session", true);
		ROW("monitor_password", "***", "", true);
		ROW("pkt_buf", "4096", "4096", false);
		ROW("admin_users", "a, b", "", true);
		ROW("query_timeout", "0.1", "0", true);
		ROW("listen_port", "6432", "6432", false);
		ROW("max_client_conn", "100", "100", true);
		ROW("unix_socket_mode", "0777", "0777", false);
#undef ROW
	}
	for (size_t i = 0; i < n_settings; i++)
		n_global += settings[i].scope == SETTING_GLOBAL && settings[i].alias_of == NULL;
	ck_assert_uint_eq(n, n_global);
	ck_assert_uint_eq(n_seen, 8);
	ck_assert(!document_show(c, &pos, &row, buf, sizeof buf));
	conf_free(c);
}
END_TEST

/* The example with each line's ; taken off is a file that loads and holds the defaults. */
START_TEST(example_file_says_the_defaults)
{
	static char text[sizeof page];
	struct conf *a = fixture_conf("[pgweir]\n"), *b;
	size_t len = (size_t)snprintf(text, sizeof text, "[pgweir]\n"), n = 0;
	char *line, *rest = page;

	page_len = 0;
	document_ini(&out);
	while ((line = strsep(&rest, "\n")) != NULL) {
		ck_assert_uint_le(strlen(line), 80);
		if (line[0] != ';' || line[1] == ';')
			continue;
		len += (size_t)snprintf(text + len, sizeof text - len, "%s\n", line + 1);
		n++;
	}
	ck_assert_uint_gt(n, 100);
	b = fixture_conf(text);
	for (size_t i = 0; i < n_settings; i++) {
		char x[1000], y[1000];

		if (settings[i].scope != SETTING_GLOBAL)
			continue;
		ck_assert_str_eq(setting_format(&settings[i], a, x, sizeof x),
			setting_format(&settings[i], b, y, sizeof y));
	}
	conf_free(a);
	conf_free(b);
}
END_TEST

START_TEST(manual_has_an_item_for_every_key)
{
	size_t n = 0;

	page_len = 0;
	document_man(&out);
	for (const char *p = page; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		n++;
	ck_assert_uint_eq(n, n_settings);
	ck_assert_ptr_nonnull(strstr(page, ".Ss [users]: Limits\n"));
	ck_assert_ptr_nonnull(strstr(page, "\nA change needs a restart.\n"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("document");

	tcase_add_checked_fixture(tc, setup, fixture_fini);
	tcase_add_test(tc, help_lists_every_key);
	tcase_add_test(tc, help_tells_all_about_a_key_in_each_section);
	tcase_add_test(tc, help_on_an_unknown_key_names_a_near_one);
	tcase_add_test(tc, show_has_a_row_for_every_global_key_in_order);
	tcase_add_test(tc, example_file_says_the_defaults);
	tcase_add_test(tc, manual_has_an_item_for_every_key);
	return unit_run("document", tc);
}
