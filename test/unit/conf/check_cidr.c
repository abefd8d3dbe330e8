#include "conf/cidr.h"

#include "../unit.h"

static bool has(const char *net, const char *addr)
{
	struct cidr_addr a;
	struct cidr n;

	ck_assert_int_eq(cidr_parse(net, &n), OK);
	ck_assert_int_eq(cidr_addr_parse(addr, &a), OK);
	return cidr_has(&n, &a);
}

START_TEST(networks_hold_their_addresses_and_no_others)
{
	ck_assert(has("10.0.0.0/8", "10.255.0.1"));
	ck_assert(!has("10.0.0.0/8", "11.0.0.1"));
	ck_assert(has("192.168.1.129/25", "192.168.1.255"));
	ck_assert(!has("192.168.1.129/25", "192.168.1.127"));
	ck_assert(has("10.0.0.1", "10.0.0.1"));
	ck_assert(!has("10.0.0.1", "10.0.0.2"));
	ck_assert(has("0.0.0.0/0", "255.1.2.3"));
	ck_assert(has("::/0", "fe80::1"));
	ck_assert(has("2001:db8::/33", "2001:db8:7fff::1"));
	ck_assert(!has("2001:db8::/33", "2001:db8:8000::1"));
}
END_TEST

START_TEST(families_do_not_mix_but_a_mapped_address_is_ipv4)
{
	ck_assert(!has("::/0", "10.0.0.1"));
	ck_assert(!has("0.0.0.0/0", "::1"));
	ck_assert(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	ck_assert(has("::ffff:10.0.0.0/104", "10.1.2.3"));
}
END_TEST

START_TEST(what_is_no_network_is_refused)
{
	static const char *const wrong[] = {"", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",
		"10.0.0.0/08", "10.0.0.0/8x", "10.0.0.0/ 8", "::/129", "::ffff:1.2.3.4/95",
		"localhost", "10.0.0.0/4294967304",
		"1111111111111111111111111111111111111111111111111111111111111111111111111/1"};
	struct cidr n;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(cidr_parse(wrong[i], &n) == E_INVALID, "%s", wrong[i]);
}
END_TEST

START_TEST(masks_are_of_the_same_family)
{
	struct cidr_addr mask4, mask6, in, out;
	struct cidr n;

	ck_assert_int_eq(cidr_parse("10.1.0.0", &n), OK);
	ck_assert_int_eq(cidr_addr_parse("255.255.0.0", &mask4), OK);
	ck_assert_int_eq(cidr_addr_parse("ffff::", &mask6), OK);
	ck_assert_int_eq(cidr_addr_parse("10.1.9.9", &in), OK);
	ck_assert_int_eq(cidr_addr_parse("10.2.0.0", &out), OK);
	ck_assert_int_eq(cidr_set_mask(&n, &mask6), E_INVALID);
	ck_assert_int_eq(cidr_set_mask(&n, &mask4), OK);
	ck_assert(cidr_has(&n, &in) && !cidr_has(&n, &out));
}
END_TEST

START_TEST(no_address_is_in_no_network)
{
	struct cidr_addr none = cidr_addr_of(NULL, 0);
	struct cidr n;

	ck_assert_int_eq(cidr_parse("0.0.0.0/0", &n), OK);
	ck_assert(!cidr_has(&n, &none));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("cidr");

	tcase_add_test(tc, networks_hold_their_addresses_and_no_others);
	tcase_add_test(tc, families_do_not_mix_but_a_mapped_address_is_ipv4);
	tcase_add_test(tc, what_is_no_network_is_refused);
	tcase_add_test(tc, masks_are_of_the_same_family);
	tcase_add_test(tc, no_address_is_in_no_network);
	return unit_run("cidr", tc);
}
