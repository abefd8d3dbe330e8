#include "conf/access.h"

#include "conf/method_options.h"

#include "fixture.h"

static struct access *make(const char *rules, const char *maps)
{
	static const struct conf_reader reader = {.read = fixture_read};
	const struct hba_source src = {
		.file = "hba", .text = rules, .len = strlen(rules), .reader = &reader};
	struct access *a = calloc(1, sizeof *a);

	ck_assert_ptr_nonnull(a);
	fixture_init();
	ck_assert_int_eq(hba_parse(&src, &a->hba, &fixture_found), OK);
	if (maps != NULL)
		ck_assert_int_eq(
			ident_parse(maps, strlen(maps), "ident", &a->ident, &fixture_found), OK);
	return a;
}

START_TEST(without_maps_only_equal_names_are_allowed)
{
	struct access *a = make("", NULL);

	ck_assert(access_allows(a, "", "ann", "ann"));
	ck_assert(!access_allows(a, "", "ann", "bob"));
	ck_assert(!access_allows(a, "m", "ann", "ann"));
	access_free(a);
	a = make("", "m ann bob\n");
	ck_assert(access_allows(a, "m", "ann", "bob"));
	ck_assert(access_allows(a, "", "ann", "ann"));
	ck_assert(!access_allows(a, "m", "ann", "ann"));
	access_free(a);
	fixture_fini();
}
END_TEST

START_TEST(passwords_in_the_clear_are_warned_of)
{
	struct conf conf = {.client_tls = {.ca_file = "", .sslmode = TLS_MODE_PREFER}};
	struct access *a =
		make("local all all pam\n"
		     "hostssl all all all pam\n"
		     "host all all all pam\n"
		     "hostnossl all all all ldap ldapserver=127.0.0.1 ldapprefix=\"cn=\"\n"
		     "local all all ldap ldapserver=h ldapprefix=\"cn=\"\n"
		     "local all all ldap ldapserver=h ldapprefix=\"cn=\" ldaptls=1\n"
		     "local all all md5\n",
			NULL);

	access_check(a, &conf, &fixture_found);
	ck_assert(fixture_has(FINDING_WARNING, "hba:3: method = pam: clients send"));
	ck_assert(fixture_has(FINDING_WARNING, "hba:4: method = ldap: clients send"));
	ck_assert(
		fixture_has(FINDING_WARNING, "hba:5: method = ldap: passwords go on to the LDAP"));
	ck_assert_uint_eq(fixture_found.n - fixture_found.n_errors, 3);
	fixture_fini();
	fixture_init();
	conf.client_tls.sslmode = TLS_MODE_REQUIRE;
	access_check(a, &conf, &fixture_found);
	ck_assert_uint_eq(fixture_found.n - fixture_found.n_errors, 1);
	access_free(a);
	fixture_fini();
}
END_TEST

START_TEST(methods_that_the_build_lacks_are_refused)
{
	struct conf conf = {.client_tls = {.ca_file = "", .sslmode = TLS_MODE_REQUIRE}};
	struct access *a =
		make("local all all pam\nlocal all all ldap ldapserver=::1 ldapsuffix=@x\n", NULL);
	bool no_pam = method_options_lacks(AUTH_TYPE_PAM) != NULL;
	bool no_ldap = method_options_lacks(AUTH_TYPE_LDAP) != NULL;

	access_check(a, &conf, &fixture_found);
	ck_assert_uint_eq(fixture_found.n, (size_t)no_pam + no_ldap);
	ck_assert(
		no_pam == fixture_has(FINDING_ERROR, "hba:1: method = pam: this build of pgweir"));
	ck_assert(no_ldap == fixture_has(FINDING_ERROR, "hba:2: method = ldap: this build of"));
	access_free(a);
	fixture_fini();
}
END_TEST

START_TEST(certificates_need_a_ca_and_maps_their_lines)
{
	struct conf conf = {.client_tls = {.ca_file = ""}};
	struct access *a = make("hostssl all all all cert map=m\n"
				"hostssl all all all md5 clientcert=verify-ca\n"
				"local all all peer map=none\n",
		"m a b\n");

	access_check(a, &conf, &fixture_found);
	ck_assert_uint_eq(fixture_found.n_errors, 2);
	ck_assert(fixture_has(FINDING_ERROR, "hba:1: method: expected client_tls_ca_file"));
	ck_assert(fixture_has(FINDING_ERROR, "hba:2: clientcert: expected client_tls_ca_file"));
	ck_assert(fixture_has(FINDING_NOTE, "hba:3: map = none: auth_ident_file has no such map"));
	ck_assert(!fixture_has(FINDING_NOTE, "hba:1:"));
	fixture_fini();
	fixture_init();
	conf.client_tls.ca_file = "ca";
	access_check(a, &conf, &fixture_found);
	ck_assert_uint_eq(fixture_found.n_errors, 0);
	access_free(a);
	access_free(NULL);
	fixture_fini();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("access");

	tcase_add_test(tc, without_maps_only_equal_names_are_allowed);
	tcase_add_test(tc, passwords_in_the_clear_are_warned_of);
	tcase_add_test(tc, methods_that_the_build_lacks_are_refused);
	tcase_add_test(tc, certificates_need_a_ca_and_maps_their_lines);
	return unit_run("access", tc);
}
