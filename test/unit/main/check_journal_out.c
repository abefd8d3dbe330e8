#include "main/journal_out.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../unit.h"

static char folder[] = "/tmp/check_journal_out_XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int journal = -1;

static void init(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(journal, (struct sockaddr *)&address, sizeof address), 0);
}

static void fini(void)
{
	close(journal);
	unlink(address.sun_path);
	rmdir(folder);
}

static const char *entry(enum log_level lv, const char *text, const char *kv)
{
	static char got[8192];
	int fd = journal_out_open(address.sun_path);
	ssize_t n;

	ck_assert_int_ge(fd, 0);
	ck_assert(journal_out_put(fd, lv, text, kv));
	n = recv(journal, got, sizeof got - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	close(fd);
	return got;
}

START_TEST(pairs_become_fields)
{
	ck_assert_str_eq(entry(LOG_WARN, "server closed", "server=7 node=h:5432 sock-dir=a"),
		"SYSLOG_IDENTIFIER=pgweir\nPRIORITY=4\n"
		"MESSAGE=server closed server=7 node=h:5432 sock-dir=a\n"
		"PGWEIR_EVENT=server closed\nPGWEIR_SERVER=7\nPGWEIR_NODE=h:5432\n"
		"PGWEIR_SOCK_DIR=a\n");
}
END_TEST

START_TEST(quoted_values_lose_their_quotes)
{
	const char *got = entry(LOG_ERROR, "t", "db=\"a \\\"b\\\" c=d\" user=u left=");

	ck_assert_ptr_nonnull(strstr(got, "PRIORITY=3\n"));
	ck_assert_ptr_nonnull(
		strstr(got, "\nPGWEIR_DB=a \"b\" c=d\nPGWEIR_USER=u\nPGWEIR_LEFT=\n"));
}
END_TEST

START_TEST(event_without_pairs_is_a_message)
{
	ck_assert_str_eq(entry(LOG_DEBUG, "words", ""),
		"SYSLOG_IDENTIFIER=pgweir\nPRIORITY=7\nMESSAGE=words\nPGWEIR_EVENT=words\n");
}
END_TEST

START_TEST(longest_line_fits)
{
	char kv[LOG_LINE_MAX];

	for (size_t i = 0; i + 1 < sizeof kv; i++) /* as many fields as can be */
		kv[i] = "a=1 "[i % 4];
	kv[sizeof kv - 1] = '\0';
	ck_assert_ptr_nonnull(strstr(entry(LOG_INFO, "many", kv), "\nPGWEIR_A=1\n"));
}
END_TEST

START_TEST(journal_that_does_not_read_is_not_waited_for)
{
	int fd = journal_out_open(address.sun_path);
	unsigned n = 0;

	while (n < 100000 && journal_out_put(fd, LOG_INFO, "text", "n=1"))
		n++;
	ck_assert_uint_lt(n, 100000);
	close(fd);
	ck_assert_int_eq(journal_out_open("/nonexistent/socket"), -1);
}
END_TEST

START_TEST(stderr_is_the_journal_if_the_manager_says_so)
{
	char stream[64];
	struct stat sb;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	unsetenv("JOURNAL_STREAM");
	ck_assert(!journal_out_is_at(fds[1]));
	ck_assert_int_eq(fstat(fds[1], &sb), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)sb.st_dev,
		(unsigned long long)sb.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert(journal_out_is_at(fds[1]));
	ck_assert(!journal_out_is_at(journal)); /* 2> somewhere else */
	setenv("JOURNAL_STREAM", "nonsense", 1);
	ck_assert(!journal_out_is_at(fds[1]));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("journal_out");

	tcase_add_checked_fixture(tc, init, fini);
	tcase_add_test(tc, pairs_become_fields);
	tcase_add_test(tc, quoted_values_lose_their_quotes);
	tcase_add_test(tc, event_without_pairs_is_a_message);
	tcase_add_test(tc, longest_line_fits);
	tcase_add_test(tc, journal_that_does_not_read_is_not_waited_for);
	tcase_add_test(tc, stderr_is_the_journal_if_the_manager_says_so);
	return unit_run("journal_out", tc);
}
