#include "main/syslog_out.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

#include "../unit.h"

#define BURST 1000u

static char folder[] = "/tmp/check_syslog_out_XXXXXX";
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int syslogd = -1;
static struct syslog_out out;

static void begin(int type)
{
	syslogd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(syslogd, (struct sockaddr *)&address, sizeof address), 0);
	if (type == SOCK_STREAM)
		ck_assert_int_eq(listen(syslogd, 1), 0);
}

static void end(void)
{
	close(syslogd);
	unlink(address.sun_path);
}

static void init(void)
{
	strcpy(folder + sizeof folder - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(address.sun_path, sizeof address.sun_path, "%s/log", folder);
	begin(SOCK_DGRAM);
	out = (struct syslog_out)SYSLOG_OUT_INIT;
	out.path = address.sun_path;
	syslog_out_open(&out, "weir", "local2");
}

static void fini(void)
{
	close(out.fd);
	end();
	rmdir(folder);
}

/* What has come next, "" if nothing has. */
static const char *taken(int fd)
{
	static char got[8192];
	ssize_t n = recv(fd, got, sizeof got - 1, MSG_DONTWAIT);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

/* Behind <priority>, time and name. */
static const char *text_of(const char *entry)
{
	const char *text = strstr(entry, "]: ");

	return text != NULL ? text + 3 : "";
}

START_TEST(line_has_priority_time_name_and_pid)
{
	char month[4], tail[64];
	int priority, day, h, m, s;
	long pid;

	syslog_out_put(&out, LOG_WARN, "server closed", "server=7");
	ck_assert_int_eq(sscanf(taken(syslogd), "<%d>%3s %2d %d:%d:%d weir[%ld]: %63[^\n]",
				 &priority, month, &day, &h, &m, &s, &pid, tail),
		8);
	ck_assert_int_eq(priority, 18 * 8 + 4);
	ck_assert_int_eq(pid, getpid());
	ck_assert_str_eq(tail, "server closed server=7");
	syslog_out_open(&out, "other", "nonsense");
	syslog_out_put(&out, LOG_ERROR, "text", "");
	ck_assert_ptr_nonnull(strstr(taken(syslogd), "other["));
}
END_TEST

START_TEST(who_does_not_read_is_waited_for_a_moment_and_told_what_is_lost)
{
	unsigned n = 0;
	char lost[64];

	for (unsigned i = 0; i < BURST; i++)
		syslog_out_put(&out, LOG_INFO, "text", "");
	ck_assert_uint_lt(out.waited_us, 1000000);
	while (strcmp(text_of(taken(syslogd)), "text") == 0)
		n++;
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_lt(n, BURST);
	snprintf(lost, sizeof lost, "syslog took no lines, which are lost to it lines=%u",
		BURST - n);
	syslog_out_put(&out, LOG_INFO, "text", "");
	ck_assert_str_eq(text_of(taken(syslogd)), lost);
	ck_assert_str_eq(text_of(taken(syslogd)), "text");
	ck_assert_str_eq(taken(syslogd), "");
}
END_TEST

static void *read_all(void *arg)
{
	unsigned *n = arg;
	char got[8192];

	while (recv(syslogd, got, sizeof got, 0) > 0)
		++*n;
	return NULL;
}

START_TEST(who_reads_gets_all_of_a_burst_that_is_longer_than_its_queue)
{
	struct timeval patience = {.tv_sec = 1};
	unsigned n = 0;
	pthread_t t;

	ck_assert_int_eq(
		setsockopt(syslogd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, read_all, &n), 0);
	for (unsigned i = 0; i < BURST / 10; i++)
		syslog_out_put(&out, LOG_INFO, "text", "");
	pthread_join(t, NULL);
	ck_assert_uint_eq(n + out.n_lost, BURST / 10);
	/* a machine that does not let the reader run for 5 ms is told of the others */
	ck_assert_uint_gt(n, 20);
}
END_TEST

START_TEST(one_that_begins_anew_is_found)
{
	syslog_out_put(&out, LOG_INFO, "before", "");
	ck_assert_str_eq(text_of(taken(syslogd)), "before");
	end();
	syslog_out_put(&out, LOG_INFO, "while there is none", "");
	begin(SOCK_DGRAM);
	syslog_out_put(&out, LOG_INFO, "after", "");
	ck_assert_str_eq(
		text_of(taken(syslogd)), "syslog took no lines, which are lost to it lines=1");
	ck_assert_str_eq(text_of(taken(syslogd)), "after");
}
END_TEST

START_TEST(lines_of_a_stream_end_with_nul)
{
	char got[256];
	int fd;

	end();
	begin(SOCK_STREAM);
	syslog_out_put(&out, LOG_INFO, "one", "");
	syslog_out_put(&out, LOG_INFO, "two", "");
	fd = accept(syslogd, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	memset(got, 1, sizeof got);
	ck_assert_int_gt(recv(fd, got, sizeof got, 0), 0);
	ck_assert_str_eq(text_of(got), "one");
	ck_assert_str_eq(text_of(got + strlen(got) + 1), "two");
	close(fd);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("syslog_out");

	tcase_add_checked_fixture(tc, init, fini);
	tcase_add_test(tc, line_has_priority_time_name_and_pid);
	tcase_add_test(tc, who_does_not_read_is_waited_for_a_moment_and_told_what_is_lost);
	tcase_add_test(tc, who_reads_gets_all_of_a_burst_that_is_longer_than_its_queue);
	tcase_add_test(tc, one_that_begins_anew_is_found);
	tcase_add_test(tc, lines_of_a_stream_end_with_nul);
	return unit_run("syslog_out", tc);
}
