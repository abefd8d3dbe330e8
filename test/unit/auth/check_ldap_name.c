#include "auth/ldap_name.h"

#include <string.h>

#include "../unit.h"

static char out[256];

static const char *bind_name(const char *prefix, const char *suffix, const char *user)
{
	const struct method_options o = {.ldapprefix = prefix, .ldapsuffix = suffix};

	ck_assert_int_eq(ldap_name_bind(&o, user, out, sizeof out), OK);
	return out;
}

static const char *filter(const char *attribute, const char *text, const char *user)
{
	const struct method_options o = {
		.ldapsearchattribute = attribute, .ldapsearchfilter = text};

	ck_assert_int_eq(ldap_name_filter(&o, user, out, sizeof out), OK);
	return out;
}

START_TEST(a_name_stays_one_value_of_a_dn)
{
	ck_assert_str_eq(bind_name("cn=", ",dc=net", "ann"), "cn=ann,dc=net");
	ck_assert_str_eq(bind_name("cn= ", NULL, "ann b"), "cn= ann b");
	ck_assert_str_eq(
		bind_name("cn=", ",dc=net", "ann,ou=admins"), "cn=ann\\2cou\\3dadmins,dc=net");
	ck_assert_str_eq(
		bind_name("cn=", "", "\"+;<>\\\x01\x7f"), "cn=\\22\\2b\\3b\\3c\\3e\\5c\\01\\7f");
	ck_assert_str_eq(bind_name("cn=", "", " #a "), "cn=\\20\\23a\\20");
	ck_assert_str_eq(bind_name("cn=", "", "  a"), "cn=\\20 a");
	ck_assert_str_eq(bind_name("cn=", "", "j\xc3\xb6rg"), "cn=j\xc3\xb6rg");
	ck_assert_str_eq(bind_name("cn=", ",dc=net", ""), "cn=,dc=net");
}
END_TEST

START_TEST(a_name_beside_a_domain_is_taken_as_it_is)
{
	static const char *const refused[] = {
		"a,b", "cn=a", "a+b", "a;b", "a\"b", "a<b", "a>b", "X\\a", "#a", "a\nb"};
	const struct method_options o = {.ldapprefix = "", .ldapsuffix = "@example.net"};

	ck_assert_str_eq(bind_name(NULL, "@example.net", "ann"), "ann@example.net");
	ck_assert_str_eq(bind_name("EXAMPLE\\", NULL, "ann.b"), "EXAMPLE\\ann.b");
	ck_assert_str_eq(bind_name("", "", "ann@example.net"), "ann@example.net");
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		ck_assert_int_eq(ldap_name_bind(&o, refused[i], out, sizeof out), E_INVALID);
}
END_TEST

START_TEST(a_name_stays_one_value_of_a_filter)
{
	ck_assert_str_eq(filter(NULL, NULL, "ann"), "(uid=ann)");
	ck_assert_str_eq(filter("cn", NULL, "*"), "(cn=\\2a)");
	ck_assert_str_eq(filter("cn", NULL, "a)(uid=*"), "(cn=a\\29\\28uid=\\2a)");
	ck_assert_str_eq(filter(NULL, NULL, "\\2a\n\xff"), "(uid=\\5c2a\\0a\\ff)");
	ck_assert_str_eq(filter(NULL, "(|(uid=$username)(mail=$username@x))", "a*"),
		"(|(uid=a\\2a)(mail=a\\2a@x))");
	ck_assert_str_eq(filter(NULL, "(uid=$username)", "$username"), "(uid=$username)");
}
END_TEST

START_TEST(servers_become_urls)
{
	struct method_options o = {.ldapport = 0};

	ck_assert_int_eq(ldap_name_urls(&o, " a  b.net ", false, out, sizeof out), OK);
	ck_assert_str_eq(out, "ldap://a:389 ldap://b.net:389");
	ck_assert_int_eq(ldap_name_urls(&o, "::1 [::2]", false, out, sizeof out), OK);
	ck_assert_str_eq(out, "ldap://[::1]:389 ldap://[::2]:389");
	o.is_ldaps = true;
	ck_assert_int_eq(ldap_name_urls(&o, "a", false, out, sizeof out), OK);
	ck_assert_str_eq(out, "ldaps://a:636");
	o.ldapport = 7;
	ck_assert_int_eq(ldap_name_urls(&o, "a", false, out, sizeof out), OK);
	ck_assert_str_eq(out, "ldaps://a:7");
	ck_assert_int_eq(ldap_name_urls(&o, "a:8 b:9", true, out, sizeof out), OK);
	ck_assert_str_eq(out, "ldaps://a:8 ldaps://b:9");
	ck_assert_int_eq(ldap_name_urls(&o, "", false, out, sizeof out), OK);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(what_does_not_fit_is_told)
{
	const struct method_options o = {.ldapprefix = "cn=", .ldapsuffix = ""};

	for (size_t cap = 1; cap < sizeof "cn=ann"; cap++) {
		ck_assert_int_eq(ldap_name_bind(&o, "ann", out, cap), E_LIMIT);
		ck_assert_int_eq(ldap_name_filter(&o, "ann", out, cap), E_LIMIT);
		ck_assert_int_eq(ldap_name_urls(&o, "ann", false, out, cap), E_LIMIT);
	}
	ck_assert_int_eq(ldap_name_bind(&o, "ann", out, sizeof "cn=ann"), OK);
	ck_assert_int_eq(ldap_name_bind(&o, ",", out, sizeof "cn=\\2c" - 1), E_LIMIT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ldap_name");

	tcase_add_test(tc, a_name_stays_one_value_of_a_dn);
	tcase_add_test(tc, a_name_beside_a_domain_is_taken_as_it_is);
	tcase_add_test(tc, a_name_stays_one_value_of_a_filter);
	tcase_add_test(tc, servers_become_urls);
	tcase_add_test(tc, what_does_not_fit_is_told);
	return unit_run("ldap_name", tc);
}
