/* Unit tests of net/addr. */
#include "net/addr.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

struct literal {
	const char *host;
	const char *text; /* as it is printed; NULL: the same */
	enum status st;
};

START_TEST(literals_are_parsed_and_printed)
{
	static const struct literal cases[] = {
		{"10.0.0.1", NULL, OK},
		{"::1", NULL, OK},
		{"0:0::0:1", "::1", OK},
		{"fe80::1%lo", NULL, OK},
		{"fe80::1%nosuchif0", NULL, E_NOTFOUND},
		{"/run/postgresql", "/run/postgresql/.s.PGSQL.5432", OK},
		{"@pg", "@pg/.s.PGSQL.5432", OK},
		{"localhost", NULL, E_NOTFOUND},
		{"127.1", NULL, E_NOTFOUND},
		{"1.2.3.4.5", NULL, E_NOTFOUND},
		{"300.1.1.1", NULL, E_NOTFOUND},
		{"", NULL, E_NOTFOUND},
		{"[::1]", NULL, E_NOTFOUND},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct literal *k = &cases[i];
		char text[NET_ADDR_TEXT_MAX];
		struct net_addr a;

		ck_assert_msg(net_addr_parse(k->host, 5432, &a) == k->st, "%s", k->host);
		if (k->st != OK)
			continue;
		ck_assert_str_eq(net_addr_format(&a, text, sizeof text),
			k->text != NULL ? k->text : k->host);
		ck_assert_uint_eq(net_addr_port(&a), net_addr_is_unix(&a) ? 0 : 5432);
	}
}
END_TEST

START_TEST(path_has_the_system_s_limit)
{
	const size_t suffix = strlen("/.s.PGSQL.65535"), max = sizeof(struct sockaddr_un) - 2 - 1;
	char dir[200];
	struct net_addr a;

	memset(dir, 'a', sizeof dir);
	dir[0] = '/';
	dir[max - suffix] = '\0';
	ck_assert_int_eq(net_addr_parse(dir, 65535, &a), OK);
	ck_assert_uint_eq(strlen(a.u.un.sun_path), max);
	dir[max - suffix] = 'a';
	dir[max - suffix + 1] = '\0';
	ck_assert_int_eq(net_addr_parse(dir, 65535, &a), E_LIMIT);
}
END_TEST

START_TEST(abstract_name_has_no_nul_at_its_end)
{
	struct net_addr a;

	ck_assert_int_eq(net_addr_parse("@x", 1, &a), OK);
	ck_assert_int_eq(a.u.un.sun_path[0], '\0');
	ck_assert_uint_eq(a.len, offsetof(struct sockaddr_un, sun_path) + strlen("@x/.s.PGSQL.1"));
}
END_TEST

START_TEST(addresses_are_equal_with_their_ports)
{
	struct net_addr a, b;

	ck_assert_int_eq(net_addr_parse("10.0.0.1", 1, &a), OK);
	ck_assert_int_eq(net_addr_parse("10.0.0.1", 2, &b), OK);
	ck_assert(!net_addr_equal(&a, &b));
	net_addr_set_port(&b, 1);
	ck_assert(net_addr_equal(&a, &b));
	ck_assert_int_eq(net_addr_parse("::1", 1, &b), OK);
	ck_assert(!net_addr_equal(&a, &b));
}
END_TEST

START_TEST(foreign_families_are_refused)
{
	const struct sockaddr sa = {.sa_family = AF_APPLETALK};
	const struct sockaddr_in in = {.sin_family = AF_INET};
	const struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr a;

	ck_assert_int_eq(net_addr_set(&a, &sa, sizeof sa), E_INVALID);
	ck_assert_int_eq(net_addr_set(&a, (const struct sockaddr *)&in, sizeof in - 1), E_INVALID);
	ck_assert_int_eq(net_addr_set(&a, (const struct sockaddr *)&in, sizeof in), OK);
	ck_assert_int_eq(net_addr_set(&a, (const struct sockaddr *)&un,
				 offsetof(struct sockaddr_un, sun_path)),
		OK);
	ck_assert_str_eq(net_addr_format(&a, text, sizeof text), "unix");
	a = (struct net_addr){0};
	ck_assert_str_eq(net_addr_format(&a, text, sizeof text), "");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("addr");

	tcase_add_test(tc, literals_are_parsed_and_printed);
	tcase_add_test(tc, path_has_the_system_s_limit);
	tcase_add_test(tc, abstract_name_has_no_nul_at_its_end);
	tcase_add_test(tc, addresses_are_equal_with_their_ports);
	tcase_add_test(tc, foreign_families_are_refused);
	return unit_run("addr", tc);
}
