#include "conf/variables.h"

#include <ctype.h>

#include "../failing_alloc.h"
#include "conf/own.h"
#include "conf/setting_value.h"
#include "conf/settings.h"
#include "fixture.h"

#define VARS_MAX 512u

static const char *vars[VARS_MAX + 1];
static struct conf_reader reader = {.read = fixture_read, .environment = vars};

static enum status load_with(const char *text, struct conf **out)
{
	fixture_files[0] = (struct fixture_file){"t.ini", text};
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	return conf_load(&reader, text != NULL ? "t.ini" : "", NULL, out, &fixture_found);
}

/* Load `text` (NULL: no file) with these variables, up to a NULL. */
#define LOAD(text, out, ...)                                 \
	(memcpy(vars, (const char *[]){__VA_ARGS__, NULL},   \
		 sizeof(const char *[]){__VA_ARGS__, NULL}), \
		load_with(text, out))

#define LOAD_OK(text, out, ...) \
	ck_assert_msg(LOAD(text, out, __VA_ARGS__) == OK, "%s", fixture_lines())

static void assert_error(struct conf *c, const char *expected)
{
	ck_assert_ptr_null(c);
	ck_assert_msg(fixture_has(FINDING_ERROR, expected), "%s", fixture_lines());
}

START_TEST(variables_count_over_the_file)
{
	struct conf *c;

	LOAD_OK("[databases]\na = host=h\n[pgbouncer]\nlisten_port = 1\npool_mode = session\n", &c,
		"HOME=/", "PGWEIR_LISTEN_PORT=6543", "PGWEIR_MAX_CLIENT_CONN=7");
	ck_assert(c->is_pgbouncer);
	ck_assert_uint_eq(c->listen_port, 6543);
	ck_assert_uint_eq(c->max_client_conn, 7);
	ck_assert_int_eq(c->pool_mode, POOL_MODE_SESSION);
	ck_assert(!fixture_has(FINDING_NOTE, "given again"));
	conf_free(c);
}
END_TEST

START_TEST(variables_alone_are_a_configuration)
{
	struct conf *c;

	LOAD_OK(NULL, &c, "PGWEIR_DATABASE_app=host=one,two user=me", "PGWEIR_AUTH_TYPE=any",
		"PGWEIR_USER_bob=pool_size=3", "PGWEIR_PEER_7=host=sibling", "PGWEIR_PEER_ID=5",
		"PGWEIR_DATABASES=* = host=rest\n\n; a comment\n\"odd name\" = dbname=x\n");
	ck_assert(!c->is_pgbouncer);
	ck_assert_uint_eq(c->n_dbs, 3);
	ck_assert_str_eq(c->fallback->nodes[0].node->host, "rest");
	ck_assert_str_eq(conf_find_db(c, "odd name")->dbname, "x");
	ck_assert_uint_eq(conf_find_db(c, "app")->n_nodes, 2);
	ck_assert_uint_eq(conf_find_user(c, "bob")->pool_size, 3);
	ck_assert_str_eq(conf_find_peer(c, 7)->host, "sibling");
	ck_assert_uint_eq(c->peer_id, 5);
	conf_free(c);
}
END_TEST

START_TEST(one_key_of_an_entry_is_added_to_it)
{
	struct conf *c;

	LOAD_OK("[databases]\napp = host=h pool_size=4\n[users]\nbob = pool_size=2\n[pgweir]\n", &c,
		"PGWEIR_DATABASE_app__POOL_SIZE=9", "PGWEIR_DATABASE_a__b__HOST=two",
		"PGWEIR_USER_bob__POOL_MODE=session", "PGWEIR_DATABASE_two__DBNAME=a b'c",
		"PGWEIR_DATABASE_two=host=three");
	ck_assert_uint_eq(conf_find_db(c, "app")->pool_size, 9);
	ck_assert_str_eq(conf_find_db(c, "app")->nodes[0].node->host, "h");
	ck_assert_str_eq(conf_find_db(c, "a__b")->nodes[0].node->host, "two");
	ck_assert_str_eq(conf_find_db(c, "two")->dbname, "a b'c");
	ck_assert_str_eq(conf_find_db(c, "two")->nodes[0].node->host, "three");
	ck_assert_uint_eq(conf_find_user(c, "bob")->pool_size, 2);
	ck_assert_int_eq(conf_find_user(c, "bob")->pool_mode, POOL_MODE_SESSION);
	conf_free(c);
}
END_TEST

START_TEST(an_entry_of_a_variable_replaces_that_of_the_file)
{
	struct conf *c;

	LOAD_OK("[databases]\napp = host=h pool_size=4\n[pgweir]\n", &c,
		"PGWEIR_DATABASE_app=host=other");
	ck_assert_uint_eq(c->n_dbs, 1);
	ck_assert_str_eq(c->dbs[0].nodes[0].node->host, "other");
	ck_assert_uint_eq(c->dbs[0].pool_size, CONF_UNSET);
	ck_assert(!fixture_has(FINDING_NOTE, "given again"));
	conf_free(c);
}
END_TEST

START_TEST(value_may_be_in_a_file)
{
	struct conf *c;

	fixture_files[1] = (struct fixture_file){"secret", "s3cret \n"};
	fixture_files[2] = (struct fixture_file){"dbs", "app = host=h\ntwo = host=i\r\n"};
	LOAD_OK(NULL, &c, "PGWEIR_MONITOR_PASSWORD_FILE=secret", "PGWEIR_DATABASES_FILE=dbs",
		"PGWEIR_DATABASE_app__USER=me", "PGWEIR_DATABASE_app__PASSWORD_FILE=secret",
		"PGWEIR_AUTH_FILE=/users.txt");
	ck_assert_str_eq(c->monitor_password, "s3cret ");
	ck_assert_str_eq(conf_find_db(c, "app")->password, "s3cret ");
	ck_assert_str_eq(conf_find_db(c, "two")->nodes[0].node->host, "i");
	ck_assert_str_eq(c->auth_file, "/users.txt");
	conf_free(c);
}
END_TEST

START_TEST(wrong_value_is_told_by_the_name_of_the_variable)
{
	struct conf *c;

	fixture_files[1] =
		(struct fixture_file){"dbs", "app = host=h\n[users]\napp = nonsense=1\n"};
	ck_assert_int_eq(LOAD(NULL, &c, "PGWEIR_LISTEN_PORT=lots",
				 "PGWEIR_DATABASE_app__POOL_SIZE=x", "PGWEIR_ADMIN_PORT_FILE=gone",
				 "PGWEIR_DATABASES_FILE=dbs", "PGWEIR_DATABASE_new=host"),
		E_INVALID);
	assert_error(c, "PGWEIR_LISTEN_PORT: listen_port = lots: expected a");
	assert_error(c, "PGWEIR_DATABASE_app__POOL_SIZE: app: pool_size = x: expected a");
	assert_error(c, "PGWEIR_ADMIN_PORT_FILE: cannot read gone: No such file");
	assert_error(c, "PGWEIR_DATABASES_FILE:2: expected a line of [databases]");
	assert_error(c, "PGWEIR_DATABASES_FILE:3: app: nonsense: unknown key");
	assert_error(c, "PGWEIR_DATABASE_new: new: ");
	ck_assert_uint_eq(fixture_found.n_errors, 6);
}
END_TEST

START_TEST(unknown_variable_is_told_what_is_near)
{
	struct conf *c;

	ck_assert_int_eq(
		LOAD("[pgweir]\n", &c, "PGWEIR_LISTN_PORT=1", "PGWEIR_listen_port=1",
			"PGWEIR_DATABASE_app__POOL_SISE=2", "PGWEIR_NOBODY_KNOWS_THIS=hush",
			"PGWEIR_MONITOR_PASWORD_FILE=x", "PGWEIR_=1", "PGWEIR_DATABASE_=1"),
		E_INVALID);
	assert_error(c, "PGWEIR_LISTN_PORT: unknown variable; expected PGWEIR_LISTEN_PORT?");
	assert_error(c, "PGWEIR_listen_port: unknown variable; expected PGWEIR_LISTEN_PORT?");
	assert_error(c, "PGWEIR_DATABASE_app__POOL_SISE: unknown variable; expected "
			"PGWEIR_DATABASE_app__POOL_SIZE?");
	assert_error(c, "PGWEIR_NOBODY_KNOWS_THIS: unknown variable; pgweir --help-config");
	assert_error(c, "PGWEIR_MONITOR_PASWORD_FILE: unknown variable; expected "
			"PGWEIR_MONITOR_PASSWORD");
	assert_error(c, "PGWEIR_: unknown variable");
	assert_error(c, "PGWEIR_DATABASE_: unknown variable");
	ck_assert_uint_eq(fixture_found.n_errors, 7);
	ck_assert(!fixture_has(FINDING_ERROR, "hush"));
}
END_TEST

/* A service pgweir, pgweir-stats or pgweir-primary in the same namespace is no mistake. */
START_TEST(variables_that_kubernetes_sets_for_services_are_left_alone)
{
	struct conf *c;
	const char *const theirs[] = {"PGWEIR_SERVICE_HOST=10.0.0.1",
		"PGWEIR_PORT=tcp://10.0.0.1:6432", "PATH=/bin", NULL};

	LOAD_OK("[databases]\na = host=h\n[pgweir]\n", &c, "PGWEIR_SERVICE_HOST=10.0.0.1",
		"PGWEIR_SERVICE_PORT=6432", "PGWEIR_SERVICE_PORT_POSTGRES=6432",
		"PGWEIR_PORT=tcp://10.0.0.1:6432", "PGWEIR_PORT_6432_TCP=tcp://10.0.0.1:6432",
		"PGWEIR_PORT_6432_TCP_PROTO=tcp", "PGWEIR_PORT_6432_TCP_PORT=6432",
		"PGWEIR_PORT_6432_TCP_ADDR=10.0.0.1", "PGWEIR_STATS_PORT=tcp://10.0.0.2:7432",
		"PGWEIR_PRIMARY_SERVICE_HOST=10.0.0.3", "PGWEIR_PRIMARY_PORT_5432_TCP_ADDR=x");
	ck_assert_uint_eq(c->stats_port, 0);
	conf_free(c);
	ck_assert(!variables_any(theirs));
	ck_assert(!variables_any(vars));
	vars[0] = "PGWEIR_LISTEN_PORT=1";
	ck_assert(variables_any(vars));
}
END_TEST

START_TEST(origin_of_a_value_is_kept_through_set)
{
	struct conf *c, *d;

	LOAD_OK("[databases]\na = host=h\n[pgweir]\nlisten_port = 1\nadmin_users = a\n", &c,
		"PGWEIR_LISTEN_PORT=6543", "PGWEIR_QUERY_TIMEOUT=5",
		"PGWEIR_DATABASE_a__POOL_SIZE=2");
	ck_assert_int_eq(conf_set(c, "query_timeout", "9", &d, &fixture_found), OK);
	conf_free(c);
	ck_assert_int_eq(source_find(&d->own->source, "listen_port")->origin, SOURCE_ENVIRONMENT);
	ck_assert_str_eq(source_find(&d->own->source, "listen_port")->file, "PGWEIR_LISTEN_PORT");
	ck_assert_int_eq(source_find(&d->own->source, "admin_users")->origin, SOURCE_FILE);
	ck_assert_int_eq(source_find(&d->own->source, "query_timeout")->origin, SOURCE_SET);
	ck_assert_ptr_null(source_find(&d->own->source, "pool_mode"));
	ck_assert_uint_eq(d->query_timeout_us, 9000000);
	ck_assert_uint_eq(d->dbs[0].pool_size, 2);
	conf_free(d);
}
END_TEST

/* Every key can be given by a variable, and none is taken for an entry of a section. */
START_TEST(every_key_has_its_variable)
{
	static char texts[VARS_MAX][256];
	size_t n = 0;
	struct conf *c;

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		const char *def = setting_default(s, false);
		char *name = texts[n] + sizeof "PGWEIR_" - 1;

		if (s->scope != SETTING_GLOBAL || s->alias_of != NULL || def == NULL)
			continue;
		ck_assert_uint_lt(n, VARS_MAX);
		snprintf(texts[n], sizeof texts[n], "PGWEIR_%s=%s", s->name, def);
		for (; *name != '='; name++)
			*name = (char)toupper((unsigned char)*name);
		vars[n] = texts[n];
		n++;
	}
	vars[n] = NULL;
	ck_assert_uint_gt(n, 100);
	ck_assert_msg(load_with("[pgweir]\n", &c) == OK, "%s", fixture_lines());
	ck_assert_uint_eq(c->own->source.n[SECTION_PGWEIR], n);
	ck_assert_uint_eq(c->n_dbs + c->n_users + c->n_peers, 0);
	conf_free(c);
}
END_TEST

/* With what some values of others need beside them. */
#define ENTRIES                                                                             \
	"[databases]\na = host=h routing=on\n[users]\nb =\n[peers]\n1 = host=p\n[pgweir]\n" \
	"client_tls_cert_file = c\nclient_tls_key_file = k\nclient_tls_ca_file = ca\n"      \
	"server_tls_cert_file = c\nserver_tls_key_file = k\nserver_tls_sslmode = require\n" \
	"stats_tls_cert_file = c\nstats_tls_key_file = k\nproxy_protocol_trusted = 10.0.0.1\n"

/* Where the row's field is. */
static const void *base_of(const struct conf *c, const struct setting *s)
{
	switch (s->scope) {
	case SETTING_GLOBAL:
		return c;
	case SETTING_DB:
		return &c->dbs[0];
	case SETTING_USER:
		return &c->users[0];
	case SETTING_PEER:
		return &c->peers[0];
	}
	return NULL;
}

/* The `i`th text to try as another value than the default; NULL: there is no more. */
static const char *another_value(const struct setting *s, unsigned i, char buf[64])
{
	static const char *const texts[] = {"x", "127.0.0.1", "/x", "a:b", "5", "UTF8", "SELECT $1",
		"ldapserver=x ldapprefix=y"};

	switch (s->type) {
	case SETTING_BOOL:
		return i == 0 ? "0" : i == 1 ? "1" : NULL;
	case SETTING_ENUM:
	case SETTING_MASK:
		return s->words[i].name;
	case SETTING_INT:
	case SETTING_OCTAL:
	case SETTING_PORT:
	case SETTING_TIME:
	case SETTING_SIZE:
		if (i > 3)
			return NULL;
		snprintf(buf, 64, s->type == SETTING_OCTAL ? "%llo%s" : "%llu%s",
			(unsigned long long)(i < 2 ? s->max / (i + 1) : s->min + i - 2),
			s->type == SETTING_TIME ? "us" : "");
		return buf;
	case SETTING_STRING:
	case SETTING_LIST:
		return i < sizeof texts / sizeof *texts ? texts[i] : NULL;
	case SETTING_NONE:
		break;
	}
	return NULL;
}

/* A variable with the text sets the field to what the text says, and that is not what it was. */
static bool sets(const struct setting *s, const struct conf *plain, const char *text)
{
	static const char *const prefix[] = {[SETTING_GLOBAL] = "",
		[SETTING_DB] = "DATABASE_a__",
		[SETTING_USER] = "USER_b__",
		[SETTING_PEER] = "PEER_1__"};
	char var[256], *name = var + sizeof "PGWEIR_" - 1 + strlen(prefix[s->scope]);
	union {
		struct conf conf;
		struct conf_db db;
		struct conf_user user;
		struct conf_peer peer;
	} want = {0};
	struct arena a;
	struct conf *c;
	bool is_set;

	snprintf(var, sizeof var, "PGWEIR_%s%s=%s", prefix[s->scope], s->name, text);
	for (; *name != '='; name++)
		*name = (char)toupper((unsigned char)*name);
	if (LOAD(ENTRIES, &c, var) != OK)
		return false;
	arena_init(&a);
	ck_assert_int_eq(setting_parse(s, text, &want, &a), OK);
	is_set = setting_is_equal(s, &want, base_of(c, s)) &&
		 !setting_is_equal(s, base_of(plain, s), base_of(c, s));
	arena_fini(&a);
	conf_free(c);
	return is_set;
}

/* Each key's variable sets that key, of [pgweir] and of an entry. */
START_TEST(each_variable_sets_its_own_key)
{
	struct conf *plain;
	unsigned n = 0;

	LOAD_OK(ENTRIES, &plain, NULL);
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		char buf[64];
		const char *text;

		if (s->alias_of != NULL || s->type == SETTING_NONE)
			continue;
		for (unsigned at = 0;; at++) {
			text = another_value(s, at, buf);
			ck_assert_msg(text != NULL, "%s is set by no value", s->name);
			if (sets(s, plain, text))
				break;
		}
		n++;
	}
	ck_assert_uint_gt(n, 200);
	conf_free(plain);
}
END_TEST

START_TEST(no_memory_is_survived)
{
	struct conf *c;
	enum status st = E_NOMEM;
	long n = 0;

	fixture_files[1] = (struct fixture_file){"secret", "s3cret\n"};
	for (; st != OK; n++) {
		failing_alloc_after(n);
		st = LOAD(NULL, &c, "PGWEIR_DATABASE_app=host=h", "PGWEIR_DATABASE_app__USER=u",
			"PGWEIR_DATABASES=b = host=i", "PGWEIR_DATABASE_app__PASSWORD_FILE=secret");
		failing_alloc_after(-1);
		ck_assert(st == OK || (st == E_NOMEM && c == NULL));
		ck_assert_int_lt(n, 10000);
	}
	ck_assert_int_eq(st, OK);
	ck_assert_int_gt(n, 2);
	conf_free(c);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("variables");

	tcase_add_checked_fixture(tc, fixture_init, fixture_fini);
	tcase_add_test(tc, variables_count_over_the_file);
	tcase_add_test(tc, variables_alone_are_a_configuration);
	tcase_add_test(tc, one_key_of_an_entry_is_added_to_it);
	tcase_add_test(tc, an_entry_of_a_variable_replaces_that_of_the_file);
	tcase_add_test(tc, value_may_be_in_a_file);
	tcase_add_test(tc, wrong_value_is_told_by_the_name_of_the_variable);
	tcase_add_test(tc, unknown_variable_is_told_what_is_near);
	tcase_add_test(tc, variables_that_kubernetes_sets_for_services_are_left_alone);
	tcase_add_test(tc, origin_of_a_value_is_kept_through_set);
	tcase_add_test(tc, every_key_has_its_variable);
	tcase_add_test(tc, each_variable_sets_its_own_key);
	tcase_add_test(tc, no_memory_is_survived);
	return unit_run("variables", tc);
}
