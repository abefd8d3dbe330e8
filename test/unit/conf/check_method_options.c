#include "conf/method_options.h"

#include <stdio.h>
#include <string.h>

#include "../unit.h"

static struct arena arena;
static struct method_options o;
static struct method_options_error err;

static void setup(void)
{
	arena_init(&arena);
}

static void teardown(void)
{
	arena_fini(&arena);
}

static void ldap(const char *text)
{
	ck_assert_msg(method_options_read(AUTH_TYPE_LDAP, text, &arena, &o, &err) == OK,
		"%s: %s %s", text, err.key, err.expected);
}

static void assert_wrong(
	enum auth_type method, const char *text, const char *key, const char *expected)
{
	ck_assert_msg(method_options_read(method, text, &arena, &o, &err) == E_INVALID, "%s", text);
	ck_assert_msg(strcmp(err.key, key) == 0, "%s: %s", text, err.key);
	ck_assert_msg(strncmp(err.expected, expected, strlen(expected)) == 0, "%s: %s", text,
		err.expected);
}

START_TEST(texts_are_quoted_or_not)
{
	ldap("ldapserver=h,ldapprefix=\"cn=\"\tldapsuffix=\", \"\"a\"\"\"");
	ck_assert_str_eq(o.ldapserver, "h");
	ck_assert_str_eq(o.ldapprefix, "cn=");
	ck_assert_str_eq(o.ldapsuffix, ", \"a\"");
	ck_assert_ptr_null(o.ldapbasedn);
	ck_assert(!o.is_ldaps && !o.ldaptls);
	ck_assert_int_eq(o.ldapscope, METHOD_SCOPE_SUB);
	ldap("ldapserver=a ldapserver=\" b c\" ldapprefix=\"\"");
	ck_assert_str_eq(o.ldapserver, "b c");
	ck_assert_str_eq(o.ldapprefix, "");
}
END_TEST

START_TEST(all_options_of_a_search)
{
	ldap("ldapserver=h ldapport=3890 ldapscheme=ldaps ldapbasedn=\"dc=a,dc=b\" "
	     "ldapbinddn=\"cn=x\" ldapbindpasswd=\"p w\" ldapsearchattribute=sAMAccountName");
	ck_assert_uint_eq(o.ldapport, 3890);
	ck_assert(o.is_ldaps);
	ck_assert_str_eq(o.ldapbasedn, "dc=a,dc=b");
	ck_assert_str_eq(o.ldapbinddn, "cn=x");
	ck_assert_str_eq(o.ldapbindpasswd, "p w");
	ck_assert_str_eq(o.ldapsearchattribute, "sAMAccountName");
	ldap("ldaptls=1 ldapbasedn=dc=b ldapsearchfilter=\"(uid=$username)\"");
	ck_assert(o.ldaptls);
	ck_assert_str_eq(o.ldapsearchfilter, "(uid=$username)");
	ldap("ldaptls=0 ldapbasedn=dc=b ldapscheme=ldap");
	ck_assert(!o.ldaptls && !o.is_ldaps);
}
END_TEST

START_TEST(urls)
{
	ldap("ldapurl=\"ldap://h:3890/dc=a,dc=b?cn,mail?sub\"");
	ck_assert_str_eq(o.ldapserver, "h");
	ck_assert_uint_eq(o.ldapport, 3890);
	ck_assert_str_eq(o.ldapbasedn, "dc=a,dc=b");
	ck_assert_str_eq(o.ldapsearchattribute, "cn");
	ck_assert_int_eq(o.ldapscope, METHOD_SCOPE_SUB);
	ldap("ldapurl=\"ldaps://[::1]/dc=a%2cb%20c??one?(%7c(uid=$username)(cn=$username))?x\"");
	ck_assert(o.is_ldaps);
	ck_assert_str_eq(o.ldapserver, "[::1]");
	ck_assert_uint_eq(o.ldapport, 0);
	ck_assert_str_eq(o.ldapbasedn, "dc=a,b c");
	ck_assert_ptr_null(o.ldapsearchattribute);
	ck_assert_int_eq(o.ldapscope, METHOD_SCOPE_ONE);
	ck_assert_str_eq(o.ldapsearchfilter, "(|(uid=$username)(cn=$username))");
	ldap("ldapurl=\"ldap://[::1]:7/dc=a\"");
	ck_assert_str_eq(o.ldapserver, "[::1]");
	ck_assert_uint_eq(o.ldapport, 7);
	ck_assert_int_eq(o.ldapscope, METHOD_SCOPE_BASE);
	ldap("ldapurl=ldap:///dc=a ldaptls=1");
	ck_assert_ptr_null(o.ldapserver);
	ldap("ldapurl=ldap://h ldapbasedn=dc=z");
	ck_assert_str_eq(o.ldapbasedn, "dc=z");
}
END_TEST

START_TEST(what_is_wrong_is_told_by_its_key)
{
	static const struct {
		const char *text, *key, *expected;
	} wrong[] = {
		{"", "", "ldapbasedn, ldapprefix, ldapsuffix or ldapurl"},
		{"ldapserver=h", "", "ldapbasedn, ldapprefix, ldapsuffix or ldapurl"},
		{"ldapprefix=\"cn=\"", "ldapserver", "one, or an ldapbasedn"},
		{"ldapserver=\"\" ldapsuffix=x", "ldapserver", "one, or an ldapbasedn"},
		{"ldapurl=ldap://", "ldapserver", "one, or an ldapbasedn"},
		{"ldapserver=h ldapprefix=a ldapbasedn=b", "ldapprefix", "no ldapbasedn"},
		{"ldapserver=h ldapsuffix=a ldapbinddn=b", "ldapsuffix", "no ldapbasedn"},
		{"ldapserver=h ldapprefix=a ldapbindpasswd=b", "ldapprefix", "no ldapbasedn"},
		{"ldapserver=h ldapprefix=a ldapsearchattribute=b", "ldapprefix", "no ldapbasedn"},
		{"ldapserver=h ldapprefix=a ldapsearchfilter=$username", "ldapprefix", "no ldapb"},
		{"ldapurl=ldap://h/dc=a ldapprefix=a", "ldapprefix", "no ldapbasedn"},
		{"ldapbasedn=a ldapsearchattribute=b ldapsearchfilter=$username",
			"ldapsearchfilter", "no ldapsearchattribute"},
		{"ldapbasedn=a ldapsearchfilter=(uid=x)", "ldapsearchfilter", "a filter with"},
		{"ldapbasedn=a ldapsearchattribute=\"a=b\"", "ldapsearchattribute", "the name"},
		{"ldapbasedn=a ldapsearchattribute=\"\"", "ldapsearchattribute", "the name"},
		{"ldapserver=h/x", "ldapserver", "names or addresses"},
		{"ldapport=0", "ldapport", "a port"},
		{"ldapport=65536", "ldapport", "a port"},
		{"ldapport=x", "ldapport", "a port"},
		{"ldaptls=on", "ldaptls", "0 or 1"},
		{"ldapscheme=ldapi", "ldapscheme", "ldap or ldaps"},
		{"ldapbasedn=a ldapscheme=ldaps ldaptls=1", "ldaptls", "no ldaps"},
		{"ldaport=1", "ldaport", "ldapserver, ldapport"},
		{"pamservice=x", "pamservice", "ldapserver, ldapport"},
		{"a_name_that_is_longer_than_any_option_has_ever_been=1", "", "ldapserver"},
		{"ldapurl=http://h/dc=a", "ldapurl", "ldap:// or"},
		{"ldapurl=ldap://h:0/dc=a", "ldapurl", "a port"},
		{"ldapurl=ldap://h%/dc=a", "ldapurl", "% before"},
		{"ldapurl=ldap://h/dc=a%0", "ldapurl", "% before"},
		{"ldapurl=ldap://h/dc=a%00", "ldapurl", "% before"},
		{"ldapurl=ldap://h%20;x/dc=a", "ldapurl", "names or addresses"},
		{"ldapurl=ldap://h?cn", "ldapurl", "/ behind"},
		{"ldapurl=ldap://h/dc=a?a*", "ldapurl", "the name of an attribute"},
		{"ldapurl=ldap://h/dc=a??all", "ldapurl", "base, one or sub"},
		{"ldapurl=ldap://h/dc=a??sub?(cn=x)", "ldapurl", "a filter with"},
		{"ldapurl=ldap://h/dc=a????\x21x", "ldapurl", "no critical"},
		{"ldapurl=ldap://h/dc=a????x?y", "ldapurl", "at most four"},
		{"hush", "", "name=value"},
		{"=x", "", "name=value"},
		{"ldapbasedn=\"a", "ldapbasedn", "name=value"},
		{"ldapbasedn=\"a\"b", "ldapbasedn", "name=value"},
		{"ldapbasedn =a", "", "name=value"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_wrong(AUTH_TYPE_LDAP, wrong[i].text, wrong[i].key, wrong[i].expected);
	assert_wrong(AUTH_TYPE_PAM, "ldapserver=h", "ldapserver", "pamservice or");
	assert_wrong(AUTH_TYPE_PAM, "pamservice=../x", "pamservice", "the name");
	assert_wrong(AUTH_TYPE_PAM, "pamservice=\"\"", "pamservice", "the name");
	assert_wrong(AUTH_TYPE_PAM, "pam_use_hostname=yes", "pam_use_hostname", "0 or 1");
}
END_TEST

START_TEST(options_of_pam)
{
	ck_assert_int_eq(method_options_read(AUTH_TYPE_PAM, "", &arena, &o, &err), OK);
	ck_assert_ptr_null(o.pamservice);
	ck_assert(!o.pam_use_hostname);
	ck_assert_int_eq(method_options_read(AUTH_TYPE_PAM, "pamservice=weir pam_use_hostname=1",
				 &arena, &o, &err),
		OK);
	ck_assert_str_eq(o.pamservice, "weir");
	ck_assert(o.pam_use_hostname);
}
END_TEST

START_TEST(the_text_has_a_limit)
{
	char text[METHOD_OPTIONS_MAX + 2];

	memset(text, ' ', sizeof text);
	memcpy(text, "ldapbasedn=a", strlen("ldapbasedn=a"));
	text[METHOD_OPTIONS_MAX] = '\0';
	ldap(text);
	text[METHOD_OPTIONS_MAX] = ' ';
	text[METHOD_OPTIONS_MAX + 1] = '\0';
	assert_wrong(AUTH_TYPE_LDAP, text, "", "options of at most 1023 bytes");
}
END_TEST

START_TEST(whether_a_server_is_asked_in_the_clear)
{
	static const struct {
		const char *text;
		bool is_open;
	} cases[] = {
		{"ldapserver=h ldapprefix=x", true},
		{"ldapbasedn=dc=x", true},
		{"ldapserver=h ldapprefix=x ldaptls=1", false},
		{"ldapserver=h ldapprefix=x ldapscheme=ldaps", false},
		{"ldapserver=127.0.0.1 ldapprefix=x", false},
		{"ldapserver=localhost ldapprefix=x", false},
		{"ldapserver=::1 ldapprefix=x", false},
		{"ldapurl=ldap://[::1]/dc=a", false},
		{"ldapserver=\"localhost h\" ldapprefix=x", true},
		{"ldapserver=\"127.0.0.1 h\" ldapprefix=x", true},
		{"ldapserver=\"127.0.0.1 ::1\" ldapprefix=x", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ldap(cases[i].text);
		ck_assert_msg(method_options_is_open(&o) == cases[i].is_open, "%s", cases[i].text);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("method_options");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, texts_are_quoted_or_not);
	tcase_add_test(tc, all_options_of_a_search);
	tcase_add_test(tc, urls);
	tcase_add_test(tc, what_is_wrong_is_told_by_its_key);
	tcase_add_test(tc, options_of_pam);
	tcase_add_test(tc, the_text_has_a_limit);
	tcase_add_test(tc, whether_a_server_is_asked_in_the_clear);
	return unit_run("method_options", tc);
}
