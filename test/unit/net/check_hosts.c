/* Unit tests of net/hosts. */
#include "net/hosts.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
	int fd;

	strcpy(path, "/tmp/pgweir-hosts-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void teardown(void)
{
	unlink(path);
}

static void write_hosts(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

/* The addresses of a name as one text. */
static const char *found(struct hosts *h, const char *name)
{
	static char all[512];
	struct net_addr a[8];
	size_t n = hosts_find(h, name, a, 8);

	all[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char text[NET_ADDR_TEXT_MAX];

		strcat(all, i == 0 ? "" : " ");
		strcat(all, net_addr_format(&a[i], text, sizeof text));
		ck_assert_uint_eq(net_addr_port(&a[i]), 0);
	}
	return all;
}

START_TEST(file_is_read_as_hosts_5_says)
{
	struct hosts h;

	write_hosts("# comment with db\n"
		    "10.0.0.1 db db.example\t# first\n"
		    "  10.0.0.2\tdb\r\n"
		    "fd00::1 DB other\n"
		    "\n"
		    "junk db\n"
		    "/dir db\n"
		    "10.0.0.3\n"
		    "10.0.0.4 dbx xdb #db\n"
		    "10.0.0.5 last");
	ck_assert_int_eq(hosts_init(&h, path), OK);
	ck_assert_str_eq(found(&h, "db"), "10.0.0.1 10.0.0.2 fd00::1");
	ck_assert_str_eq(found(&h, "Db.Example"), "10.0.0.1");
	ck_assert_str_eq(found(&h, "other"), "fd00::1");
	ck_assert_str_eq(found(&h, "last"), "10.0.0.5");
	ck_assert_str_eq(found(&h, "10.0.0.3"), "");
	ck_assert_str_eq(found(&h, "first"), "");
	ck_assert_str_eq(found(&h, ""), "");
	hosts_fini(&h);
}
END_TEST

START_TEST(changed_file_is_read_again)
{
	struct hosts h;

	write_hosts("10.0.0.1 db\n");
	ck_assert_int_eq(hosts_init(&h, path), OK);
	ck_assert_str_eq(found(&h, "db"), "10.0.0.1");
	write_hosts("10.0.0.22 db\n");
	ck_assert_str_eq(found(&h, "db"), "10.0.0.22");
	unlink(path);
	ck_assert_str_eq(found(&h, "db"), "");
	write_hosts("10.0.0.3 db\n");
	ck_assert_str_eq(found(&h, "db"), "10.0.0.3");
	hosts_fini(&h);
}
END_TEST

START_TEST(localhost_needs_no_entry)
{
	struct hosts h;

	write_hosts("");
	ck_assert_int_eq(hosts_init(&h, path), OK);
	ck_assert_str_eq(found(&h, "localhost"), "127.0.0.1 ::1");
	ck_assert_str_eq(found(&h, "db.localhost"), "127.0.0.1 ::1");
	ck_assert_str_eq(found(&h, "notlocalhost"), "");
	write_hosts("127.0.0.9 localhost\n");
	ck_assert_str_eq(found(&h, "localhost"), "127.0.0.9");
	hosts_fini(&h);
}
END_TEST

START_TEST(no_more_than_asked_for)
{
	struct hosts h;
	struct net_addr a[2];

	write_hosts("10.0.0.1 db\n10.0.0.2 db\n10.0.0.3 db\n::1 db\n");
	ck_assert_int_eq(hosts_init(&h, path), OK);
	ck_assert_uint_eq(hosts_find(&h, "db", a, 2), 2);
	ck_assert_uint_eq(hosts_find(&h, "db", a, 0), 0);
	hosts_fini(&h);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hosts");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, file_is_read_as_hosts_5_says);
	tcase_add_test(tc, changed_file_is_read_again);
	tcase_add_test(tc, localhost_needs_no_entry);
	tcase_add_test(tc, no_more_than_asked_for);
	return unit_run("hosts", tc);
}
