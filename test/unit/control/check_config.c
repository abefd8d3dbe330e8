#include "control/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include "control_unit.h"

static char dir[] = "/tmp/check_config_XXXXXX";
static struct findings found;
static struct config_set set;
static const struct hash_key key = {1, 2};

static const char *path(const char *name)
{
	static char paths[4][256];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(paths[next], sizeof paths[next], "%s/%s", dir, name);
	return paths[next];
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	findings_init(&found);
	memset(&set, 0, sizeof set);
}

static void teardown(void)
{
	findings_fini(&found);
	config_set_fini(&set);
	unlink(path("c.ini"));
	unlink(path("users"));
	rmdir(dir);
}

/* The configuration with these lines, loaded. */
static enum status load(const char *lines)
{
	char text[2048];

	snprintf(text, sizeof text,
		"[databases]\napp = host=10.0.0.1\n[pgweir]\nlisten_addr = 127.0.0.1\n%s", lines);
	put("c.ini", text);
	return config_load(&(struct config_from){.path = path("c.ini")}, NULL, &key, &set, &found);
}

static bool has_found(const char *what)
{
	char line[FINDING_LINE_MAX];

	for (size_t i = 0; i < found.n; i++)
		if (strstr(finding_format(&found.items[i], line, sizeof line), what) != NULL)
			return true;
	return false;
}

START_TEST(configuration_without_users_and_tls)
{
	ck_assert_int_eq(load(""), OK);
	ck_assert_uint_eq(set.conf->n_dbs, 1);
	ck_assert_uint_eq(auth_users_count(set.users), 0);
	ck_assert_ptr_null(set.tls->client);
}
END_TEST

START_TEST(users_come_from_auth_file)
{
	char lines[512];

	put("users", "\"a\" \"secret\"\n\"b\" \"\"\n");
	snprintf(lines, sizeof lines, "auth_file = %s\n", path("users"));
	ck_assert_int_eq(load(lines), OK);
	ck_assert_uint_eq(auth_users_count(set.users), 2);
	ck_assert_str_eq(auth_users_find(set.users, "a")->secret, "secret");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_told)
{
	ck_assert_int_eq(
		config_load(&(struct config_from){.path = path("none")}, NULL, &key, &set, &found),
		E_INVALID);
	ck_assert(has_found("No such file"));
	ck_assert_int_eq(load("auth_file = /nonexistent/users\n"), E_INVALID);
	ck_assert(has_found("auth_file = /nonexistent/users: cannot be read: No such file"));
	ck_assert_ptr_null(set.conf);
	ck_assert_int_eq(load("auth_file = /\n"), E_INVALID); /* a directory */
	ck_assert(has_found("Is a directory"));
}
END_TEST

START_TEST(all_errors_are_told_at_once)
{
	ck_assert_int_eq(load("auth_file = /nonexistent/users\nclient_tls_sslmode = require\n"
			      "client_tls_cert_file = /nonexistent/cert\n"
			      "client_tls_key_file = /nonexistent/key\n"),
		E_INVALID);
	ck_assert(has_found("/nonexistent/users"));
	ck_assert(has_found("/nonexistent/cert"));
	ck_assert_uint_eq(found.n_errors, 2);
}
END_TEST

START_TEST(errors_of_users_are_told_without_secrets)
{
	char lines[512];

	put("users", "\"a\" \"xy\"\"zzy\n");
	snprintf(lines, sizeof lines, "auth_file = %s\n", path("users"));
	ck_assert_int_eq(load(lines), E_INVALID);
	ck_assert_uint_ge(found.n_errors, 1);
	ck_assert(!has_found("zzy"));
}
END_TEST

START_TEST(server_side_tls_needs_no_files)
{
	ck_assert_int_eq(
		load("server_tls_sslmode = require\nserver_tls_protocols = tlsv1.3\n"), OK);
	ck_assert_ptr_nonnull(set.tls->server);
	ck_assert_ptr_null(set.tls->client);
}
END_TEST

START_TEST(files_of_any_size_up_to_the_bound)
{
	FILE *f = fopen(path("users"), "w");
	char lines[512];

	for (unsigned i = 0; i < 20000; i++)
		fprintf(f, "\"user%06u\" \"secret\"\n", i);
	fclose(f);
	snprintf(lines, sizeof lines, "auth_file = %s\n", path("users"));
	ck_assert_int_eq(load(lines), OK);
	ck_assert_uint_eq(auth_users_count(set.users), 20000);
	config_set_fini(&set);
	ck_assert_int_eq(truncate(path("users"), CONF_FILE_MAX + 1), 0);
	ck_assert_int_eq(load(lines), E_INVALID);
	ck_assert(has_found("limit"));
}
END_TEST

struct told {
	unsigned n_notes, n_errors, n;
	char last[LOG_LINE_MAX];
};

static void note_line(void *arg, enum log_level lv, const char *text, const char *kv)
{
	struct told *t = arg;

	t->n_notes += lv == LOG_INFO;
	t->n_errors += lv == LOG_ERROR;
	t->n++;
	snprintf(t->last, sizeof t->last, "%s %s", text, kv);
}

static uint64_t one_second(void)
{
	return 1;
}

/* The bound of a log site leaves out lines of which nothing tells if it never logs again. */
START_TEST(findings_beyond_what_is_logged_are_counted)
{
	struct told t = {0};
	struct log log = {
		.level = LOG_INFO, .sink = note_line, .sink_arg = &t, .now_s = one_second};
	struct finding_at at = {.key = "key"};

	for (unsigned i = 0; i < LOG_SITE_BURST + 2; i++)
		findings_add(&found, FINDING_NOTE, &at, "a note");
	findings_add(&found, FINDING_ERROR, &at, "an error");
	found.n_left_out = 3;
	config_log_findings(&log, &found);
	ck_assert_uint_eq(t.n_notes, LOG_SITE_BURST);
	ck_assert_uint_eq(t.n_errors, 1);
	ck_assert_uint_eq(t.n, LOG_SITE_BURST + 2);
	ck_assert_ptr_nonnull(strstr(t.last, "more findings n=5 "));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, configuration_without_users_and_tls);
	tcase_add_test(tc, users_come_from_auth_file);
	tcase_add_test(tc, a_file_that_cannot_be_read_is_told);
	tcase_add_test(tc, all_errors_are_told_at_once);
	tcase_add_test(tc, errors_of_users_are_told_without_secrets);
	tcase_add_test(tc, server_side_tls_needs_no_files);
	tcase_add_test(tc, files_of_any_size_up_to_the_bound);
	tcase_add_test(tc, findings_beyond_what_is_logged_are_counted);
	return unit_run("config", tc);
}
