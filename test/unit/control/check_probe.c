#include <string.h>

#include "control/probe.h"
#include "unit.h"

START_TEST(identity_is_read)
{
	const char *good[] = {"7710890762120288034", "1700000000123456", "16777216", "8192", "97"};
	struct roles_answer a = {0};

	ck_assert_int_eq(probe_read_identity(good, &a), OK);
	ck_assert_uint_eq(a.system_id, 7710890762120288034u);
	ck_assert_int_eq(a.postmaster_start_us, 1700000000123456);
	ck_assert_uint_eq(a.wal.segment_size, 16777216);
	ck_assert_uint_eq(a.wal.block_size, 8192);
	ck_assert_uint_eq(a.connections_max, 97);
}
END_TEST

START_TEST(bad_identity_is_refused)
{
	static const char *const bad[] = {
		NULL, "", "-1", "x", "1x", "99999999999999999999999", " 1", "0", "12"};
	const char *values[] = {"1", "1", "16777216", "8192", "97"};
	struct roles_answer a;

	for (size_t column = 0; column < 5; column++)
		for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
			const char *kept = values[column];
			bool fine = (i == 8 && (column < 2 || column == 4)) ||
				    (i == 7 && (column == 1 || column == 4));

			values[column] = bad[i];
			ck_assert_msg((probe_read_identity(values, &a) == OK) == fine, "%zu %zu",
				column, i);
			values[column] = kept;
		}
}
END_TEST

START_TEST(primary_is_read)
{
	const char *v[] = {"f", "0/5000060", "000000020000000000000005", "f", "0/5000040", "200ms"};
	struct roles_answer a = {0};
	bool hidden = true;

	ck_assert_int_eq(probe_read_sample(v, &a, &hidden), OK);
	ck_assert(!a.in_recovery && !hidden);
	ck_assert_uint_eq(a.timeline, 2);
	ck_assert_uint_eq(a.lsn, 0x5000060);
	ck_assert_uint_eq(a.flushed_lsn, 0x5000040);
	ck_assert_uint_eq(a.wal_writer_delay_us, 200000);
	v[5] = "10s";
	ck_assert_int_eq(probe_read_sample(v, &a, &hidden), OK);
	ck_assert_uint_eq(a.wal_writer_delay_us, 10000000);
}
END_TEST

START_TEST(replica_is_read)
{
	const char *v[] = {"t", "1/2", "7", "t", NULL, "1ms"};
	struct roles_answer a = {0};
	bool hidden = false;

	ck_assert_int_eq(probe_read_sample(v, &a, &hidden), OK);
	ck_assert(a.in_recovery && hidden);
	ck_assert_uint_eq(a.timeline, 7);
	ck_assert_uint_eq(a.lsn, 0x100000002u);
	v[1] = v[2] = NULL; /* it has replayed nothing yet, and receives nothing */
	ck_assert_int_eq(probe_read_sample(v, &a, &hidden), OK);
	ck_assert_uint_eq(a.timeline, 0);
	ck_assert_uint_eq(a.lsn, 0);
}
END_TEST

START_TEST(bad_sample_is_refused)
{
	static const char *const bad[][6] = {
		{NULL, "0/1", "000000010000000000000001", "f", "0/1", "1s"},
		{"true", "0/1", "000000010000000000000001", "f", "0/1", "1s"},
		{"f", NULL, "000000010000000000000001", "f", "0/1", "1s"},
		{"f", "0/1", NULL, "f", "0/1", "1s"},
		{"f", "0/1", "1", "f", "0/1", "1s"},
		{"f", "0/1", "00000001000000000000000x", "f", "0/1", "1s"},
		{"f", "01", "000000010000000000000001", "f", "0/1", "1s"},
		{"f", "0/1", "000000010000000000000001", NULL, "0/1", "1s"},
		{"t", "0/1", "x", "f", "0/1", "1s"},
		{"t", "0/1", "4294967296", "f", "0/1", "1s"},
		{"f", "0/1", "000000010000000000000001", "f", NULL, "1s"},
		{"f", "0/1", "000000010000000000000001", "f", "x", "1s"},
		{"f", "0/1", "000000010000000000000001", "f", "0/1", "ms"},
		{"t", "0/1", "1", "f", NULL, NULL},
	};
	struct roles_answer a;
	bool hidden;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(probe_read_sample(bad[i], &a, &hidden) == E_PROTO, "%zu", i);
}
END_TEST

START_TEST(sqlstate_tells_what_is_wrong)
{
	ck_assert_int_eq(probe_error_of(""), ROLES_ERR_CONNECT);
	ck_assert_int_eq(probe_error_of("57P03"), ROLES_ERR_STARTUP);
	ck_assert_int_eq(probe_error_of("57P01"), ROLES_ERR_CONNECT);
	ck_assert_int_eq(probe_error_of("28P01"), ROLES_ERR_LOGIN);
	ck_assert_int_eq(probe_error_of("28000"), ROLES_ERR_LOGIN);
	ck_assert_int_eq(probe_error_of("3D000"), ROLES_ERR_LOGIN);
	ck_assert_int_eq(probe_error_of("42501"), ROLES_ERR_LOGIN);
	ck_assert_int_eq(probe_error_of("53300"), ROLES_ERR_QUERY);
	ck_assert_int_eq(probe_error_of("57014"), ROLES_ERR_QUERY);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("probe");

	tcase_add_test(tc, identity_is_read);
	tcase_add_test(tc, bad_identity_is_refused);
	tcase_add_test(tc, primary_is_read);
	tcase_add_test(tc, replica_is_read);
	tcase_add_test(tc, bad_sample_is_refused);
	tcase_add_test(tc, sqlstate_tells_what_is_wrong);
	return unit_run("probe", tc);
}
