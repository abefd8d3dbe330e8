/* Unit tests of net/resolver, against a DNS server of their own that misbehaves by name. */
#include <pthread.h>
#include <stdatomic.h>

#include "net/names.h"
#include "net/resolver.h"
#include "net_unit.h"

SEEN_OPS;

/* --- the server --- */

enum { TYPE_A = 1, TYPE_AAAA = 28 };

struct dns {
	int fd;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic unsigned n_asked; /* questions for A */
	_Atomic int mood;         /* of change.test */
	char resolv_conf[64], hosts[64];
};

enum { MOOD_FIRST, MOOD_SECOND, MOOD_SILENT, MOOD_FAIL, MOOD_NONE };

struct reply {
	uint8_t buf[512];
	size_t len;
};

static void put(struct reply *r, const void *p, size_t len)
{
	memcpy(r->buf + r->len, p, len);
	r->len += len;
}

static void put_rr(struct reply *r, uint8_t type, uint32_t ttl, const void *data, uint8_t len)
{
	const uint8_t head[] = {0xc0, 12, 0, type, 0, 1, (uint8_t)(ttl >> 24), (uint8_t)(ttl >> 16),
		(uint8_t)(ttl >> 8), (uint8_t)ttl, 0, len};

	put(r, head, sizeof head);
	put(r, data, len);
	r->buf[7]++;
}

static void put_a(struct reply *r, uint32_t ttl, uint8_t last)
{
	put_rr(r, TYPE_A, ttl, (uint8_t[]){10, 1, 1, last}, 4);
}

static void put_aaaa(struct reply *r, uint32_t ttl, uint8_t last)
{
	uint8_t a[16] = {0xfd, [15] = last};

	put_rr(r, TYPE_AAAA, ttl, a, sizeof a);
}

/* The name of a question, in dots and lower case; returns the bytes it takes. */
static size_t question_name(const uint8_t *q, char *out)
{
	size_t at = 0;

	while (q[at] != 0) {
		for (uint8_t i = 1; i <= q[at]; i++)
			*out++ =
				(char)(q[at + i] | (q[at + i] >= 'A' && q[at + i] <= 'Z' ? 32 : 0));
		*out++ = '.';
		at += q[at] + 1u;
	}
	out[-1] = '\0';
	return at + 1;
}

/* Fill in the answer. Returns false for none at all. */
static bool dns_answer(struct dns *d, const char *name, uint8_t type, struct reply *r)
{
	int mood = MOOD_FIRST;
	bool a = type == TYPE_A;

	if (a)
		atomic_fetch_add(&d->n_asked, 1);
	if (strcmp(name, "one.test") == 0 && a)
		put_a(r, 7, 1);
	else if (strcmp(name, "many.test") == 0)
		for (uint8_t i = 1; i <= 3; i++)
			a ? put_a(r, 100, i) : put_aaaa(r, 50, i);
	else if (strcmp(name, "six.test") == 0 && !a)
		put_aaaa(r, 9, 6);
	else if (strcmp(name, "half.test") == 0 && a)
		put_a(r, 9, 5);
	else if (strcmp(name, "half.test") == 0)
		return false;
	else if (strcmp(name, "silent.test") == 0)
		return false;
	else if (strcmp(name, "none.test") == 0)
		r->buf[3] |= 3;
	else if (strcmp(name, "fail.test") == 0)
		r->buf[3] |= 2;
	else if (strcmp(name, "change.test") == 0)
		mood = atomic_load(&d->mood) + 100;
	if (mood == MOOD_SILENT + 100)
		return false;
	if (mood == MOOD_FAIL + 100)
		r->buf[3] |= 2;
	if (mood == MOOD_NONE + 100)
		r->buf[3] |= 3;
	if ((mood == MOOD_FIRST + 100 || mood == MOOD_SECOND + 100) && a)
		put_a(r, 1, (uint8_t)(mood - 100 + 1));
	return true;
}

static void *dns_run(void *arg)
{
	struct dns *d = arg;

	while (!atomic_load(&d->stop)) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof from;
		struct pollfd p = {.fd = d->fd, .events = POLLIN};
		uint8_t q[512];
		char name[512];
		struct reply r = {.len = 0};
		size_t name_len;
		ssize_t n;

		if (poll(&p, 1, 20) <= 0)
			continue;
		n = recvfrom(d->fd, q, sizeof q, 0, (struct sockaddr *)&from, &from_len);
		if (n < 17)
			continue;
		name_len = question_name(q + 12, name);
		put(&r, q, 12 + name_len + 4);
		memset(r.buf + 2, 0, 10);
		r.buf[2] = 0x81;
		r.buf[3] = 0x80;
		r.buf[5] = 1;
		if (dns_answer(d, name, q[12 + name_len + 1], &r))
			sendto(d->fd, r.buf, r.len, 0, (struct sockaddr *)&from, from_len);
	}
	return NULL;
}

static struct dns dns;

static void write_file(char path[64], const char *text)
{
	FILE *f;

	if (path[0] == '\0') {
		strcpy(path, "/tmp/pgweir-dns-XXXXXX");
		close(mkstemp(path));
	}
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	socklen_t len = sizeof sin;
	char text[64];

	memset(&dns, 0, sizeof dns);
	dns.fd = socket(AF_INET, SOCK_DGRAM, 0);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(dns.fd, (struct sockaddr *)&sin, sizeof sin), 0);
	ck_assert_int_eq(getsockname(dns.fd, (struct sockaddr *)&sin, &len), 0);
	snprintf(text, sizeof text, "nameserver 127.0.0.1:%u\n", ntohs(sin.sin_port));
	write_file(dns.resolv_conf, text);
	write_file(dns.hosts, "10.9.9.9 file.test\n");
	ck_assert_int_eq(pthread_create(&dns.thread, NULL, dns_run, &dns), 0);
}

static void teardown(void)
{
	atomic_store(&dns.stop, true);
	pthread_join(dns.thread, NULL);
	close(dns.fd);
	unlink(dns.resolv_conf);
	unlink(dns.hosts);
}

/* --- the client --- */

struct asked {
	unsigned n;
	enum status st;
	char addrs[512];
	uint32_t ttl_s;
	bool stale;
};

static void on_answer(void *arg, enum status st, const struct resolver_answer *a)
{
	struct asked *k = arg;

	k->n++;
	k->st = st;
	k->ttl_s = a->ttl_s;
	k->stale = a->stale;
	k->addrs[0] = '\0';
	ck_assert((st == OK) == (a->n_addrs != 0));
	for (size_t i = 0; i < a->n_addrs; i++) {
		char text[NET_ADDR_TEXT_MAX];

		strcat(k->addrs, i == 0 ? "" : " ");
		strcat(k->addrs, net_addr_format(&a->addrs[i], text, sizeof text));
		ck_assert_uint_eq(
			net_addr_port(&a->addrs[i]), net_addr_is_unix(&a->addrs[i]) ? 0 : 5432);
	}
}

static void quiet(int severity, const char *text)
{
	(void)severity;
	(void)text;
}

static struct resolver_conf conf_for_test(void)
{
	return (struct resolver_conf){.resolv_conf = dns.resolv_conf,
		.hosts = dns.hosts,
		.timeout_ms = 600,
		.max_ttl_s = 60,
		.nxdomain_ttl_s = 30};
}

static struct resolver *resolver_for_test(struct loop *l, const struct resolver_conf *conf)
{
	struct resolver *r;

	loop_set_log(quiet);
	ck_assert_int_eq(resolver_new(l, conf, &r), OK);
	return r;
}

static struct asked ask(struct loop *l, struct resolver *r, const char *host)
{
	struct asked k = {0};

	ck_assert_int_eq(resolver_lookup(r, host, 5432, on_answer, &k, NULL), OK);
	ck_assert_uint_eq(k.n, 0); /* never from inside */
	turn_until(l, k.n == 1);
	return k;
}

START_TEST(names_have_the_addresses_that_the_dns_tells)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct asked k;

	k = ask(l, r, "one.test");
	ck_assert_int_eq(k.st, OK);
	ck_assert_str_eq(k.addrs, "10.1.1.1");
	ck_assert_uint_ge(k.ttl_s, 6);
	ck_assert_uint_le(k.ttl_s, 7);
	ck_assert(!k.stale);
	k = ask(l, r, "many.test");
	ck_assert_str_eq(k.addrs, "10.1.1.1 10.1.1.2 10.1.1.3 fd00::1 fd00::2 fd00::3");
	ck_assert_uint_ge(k.ttl_s, 49);
	ck_assert_uint_le(k.ttl_s, 50);
	k = ask(l, r, "six.test");
	ck_assert_str_eq(k.addrs, "fd00::6");
	k = ask(l, r, "none.test");
	ck_assert_int_eq(k.st, E_NOTFOUND);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(literals_and_the_hosts_file_need_no_dns)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	char path[200];
	struct asked k;

	ck_assert_str_eq(ask(l, r, "192.0.2.1").addrs, "192.0.2.1");
	ck_assert_str_eq(ask(l, r, "2001:db8::1").addrs, "2001:db8::1");
	ck_assert_str_eq(ask(l, r, "/run/pg").addrs, "/run/pg/.s.PGSQL.5432");
	ck_assert_uint_eq(resolver_n_names(r), 0);
	ck_assert_str_eq(ask(l, r, "file.test").addrs, "10.9.9.9");
	ck_assert_str_eq(ask(l, r, "FILE.test.").addrs, "10.9.9.9");
	ck_assert_uint_eq(resolver_n_names(r), 1);
	write_file(dns.hosts, "10.9.9.10 file.test # moved\n");
	ck_assert_str_eq(ask(l, r, "file.test").addrs, "10.9.9.10");
	ck_assert_str_eq(ask(l, r, "localhost").addrs, "127.0.0.1 ::1");
	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	k = ask(l, r, path);
	ck_assert_int_eq(k.st, E_LIMIT);
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 0);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(what_is_no_host_name_is_refused)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	char longest[RESOLVER_NAME_MAX + 2];
	struct asked k = {0};

	ck_assert_int_eq(resolver_lookup(r, "", 1, on_answer, &k, NULL), E_INVALID);
	ck_assert_int_eq(resolver_lookup(r, ".", 1, on_answer, &k, NULL), E_INVALID);
	ck_assert_int_eq(resolver_lookup(r, "a b", 1, on_answer, &k, NULL), E_INVALID);
	ck_assert_int_eq(resolver_lookup(r, "a:1", 1, on_answer, &k, NULL), E_INVALID);
	memset(longest, 'a', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ck_assert_int_eq(resolver_lookup(r, longest, 1, on_answer, &k, NULL), E_INVALID);
	turns(l, 3);
	ck_assert_uint_eq(k.n, 0);
	ck_assert_uint_eq(resolver_n_queries(r), 0);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(fresh_answers_are_not_asked_for_again)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct asked a = {0}, b = {0};

	/* at the same time: one question */
	ck_assert_int_eq(resolver_lookup(r, "one.test", 5432, on_answer, &a, NULL), OK);
	ck_assert_int_eq(resolver_lookup(r, "One.Test", 5432, on_answer, &b, NULL), OK);
	ck_assert_uint_eq(resolver_n_queries(r), 2);
	turn_until(l, a.n == 1 && b.n == 1);
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 1);
	ask(l, r, "one.test");
	ask(l, r, "none.test");
	ask(l, r, "none.test");
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 2);
	resolver_expire(r);
	ask(l, r, "one.test");
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 3);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(ttl_ends_and_has_a_ceiling)
{
	struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r;

	conf.max_ttl_s = 1;
	conf.nxdomain_ttl_s = 0;
	r = resolver_for_test(l, &conf);
	ck_assert_uint_le(ask(l, r, "many.test").ttl_s, 1);
	ask(l, r, "none.test");
	ask(l, r, "none.test");
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 3);
	usleep(1100000);
	turns(l, 1);
	ask(l, r, "many.test");
	ck_assert_uint_eq(atomic_load(&dns.n_asked), 4);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(failure_is_told_within_the_timeout)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	uint64_t start = clock_now_us();
	struct asked k = ask(l, r, "silent.test");

	ck_assert_int_eq(k.st, E_AGAIN);
	ck_assert_uint_lt(clock_now_us() - start, 2000000);
	k = ask(l, r, "fail.test");
	ck_assert_int_eq(k.st, E_AGAIN);
	k = ask(l, r, "half.test"); /* AAAA never comes */
	ck_assert_int_eq(k.st, OK);
	ck_assert_str_eq(k.addrs, "10.1.1.5");
	ck_assert_uint_eq(resolver_n_queries(r), 0);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(earlier_answer_is_served_while_the_dns_fails)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct asked k;

	ck_assert_str_eq(ask(l, r, "change.test").addrs, "10.1.1.1");
	for (int mood = MOOD_SILENT; mood <= MOOD_FAIL; mood++) {
		atomic_store(&dns.mood, mood);
		resolver_expire(r);
		k = ask(l, r, "change.test");
		ck_assert_int_eq(k.st, OK);
		ck_assert(k.stale);
		ck_assert_str_eq(k.addrs, "10.1.1.1");
	}
	atomic_store(&dns.mood, MOOD_SECOND);
	resolver_expire(r);
	turn_until(l, (k = ask(l, r, "change.test")).stale == false);
	ck_assert_str_eq(k.addrs, "10.1.1.2");
	/* that there is no such name is an answer */
	atomic_store(&dns.mood, MOOD_NONE);
	resolver_expire(r);
	ck_assert_int_eq(ask(l, r, "change.test").st, E_NOTFOUND);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(reload_asks_the_new_name_servers)
{
	struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r;
	char dead[64] = "";
	struct asked k;

	write_file(dead, "nameserver 127.0.0.1:9\n");
	conf.resolv_conf = dead;
	r = resolver_for_test(l, &conf);
	ck_assert_int_eq(ask(l, r, "one.test").st, E_AGAIN);
	conf = conf_for_test();
	ck_assert_int_eq(resolver_reload(r, &conf), OK);
	turn_until(l, (k = ask(l, r, "one.test")).st == OK);
	ck_assert_str_eq(k.addrs, "10.1.1.1");
	unlink(dead);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(cancelled_lookup_is_not_answered)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct resolver_query *q[3];
	struct asked k = {0}, other = {0};

	ck_assert_int_eq(resolver_lookup(r, "one.test", 1, on_answer, &k, &q[0]), OK);
	ck_assert_int_eq(resolver_lookup(r, "10.0.0.1", 1, on_answer, &k, &q[1]), OK);
	ck_assert_int_eq(resolver_lookup(r, "file.test", 1, on_answer, &k, &q[2]), OK);
	ck_assert_int_eq(resolver_lookup(r, "one.test", 5432, on_answer, &other, NULL), OK);
	for (unsigned i = 0; i < 3; i++)
		resolver_cancel(q[i]);
	turn_until(l, other.n == 1);
	turns(l, 3);
	ck_assert_uint_eq(k.n, 0);
	resolver_free(r);
	loop_free(l);
}
END_TEST

START_TEST(resolver_may_go_with_lookups_under_way)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct asked k = {0};

	ck_assert_int_eq(resolver_lookup(r, "silent.test", 1, on_answer, &k, NULL), OK);
	ck_assert_int_eq(resolver_lookup(r, "one.test", 1, on_answer, &k, NULL), OK);
	ck_assert_int_eq(resolver_lookup(r, "10.0.0.1", 1, on_answer, &k, NULL), OK);
	usleep(50000);
	resolver_free(r);
	turns(l, 3);
	ck_assert_uint_eq(k.n, 0);
	r = resolver_for_test(l, &conf);
	ck_assert_int_eq(resolver_lookup(r, "silent.test", 1, on_answer, &k, NULL), OK);
	turns(l, 1);
	resolver_free(r);
	resolver_free(NULL);
	loop_free(l); /* without another turn */
}
END_TEST

START_TEST(cache_is_bounded_and_listed)
{
	const struct resolver_conf conf = conf_for_test();
	struct loop *l = loop_for_test();
	struct resolver *r = resolver_for_test(l, &conf);
	struct resolver_name name;
	size_t pos = 0, n = 0;
	struct asked k = {0};
	char host[32];

	write_file(dns.hosts, "10.9.9.9 file.test\n");
	ask(l, r, "one.test");
	ck_assert(resolver_next(r, &pos, &name));
	ck_assert_str_eq(name.name, "one.test");
	ck_assert_uint_eq(name.n_addrs, 1);
	ck_assert_uint_le(name.ttl_s, 7);
	ck_assert(!resolver_next(r, &pos, &name));
	for (unsigned i = 0; i < NAMES_MAX + 100; i++) {
		struct resolver_query *q;
		enum status st;

		snprintf(host, sizeof host, "n%u.localhost", i);
		st = resolver_lookup(r, host, 5432, on_answer, &k, &q);
		ck_assert_int_eq(st, OK);
		resolver_cancel(q);
		ck_assert_uint_le(resolver_n_names(r), NAMES_MAX);
	}
	for (pos = 0; resolver_next(r, &pos, &name); n++)
		ck_assert_str_ne(name.name, "one.test"); /* the longest unused has gone */
	ck_assert_uint_eq(n, NAMES_MAX);
	resolver_free(r);
	loop_free(l);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("resolver");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_have_the_addresses_that_the_dns_tells);
	tcase_add_test(tc, literals_and_the_hosts_file_need_no_dns);
	tcase_add_test(tc, what_is_no_host_name_is_refused);
	tcase_add_test(tc, fresh_answers_are_not_asked_for_again);
	tcase_add_test(tc, ttl_ends_and_has_a_ceiling);
	tcase_add_test(tc, failure_is_told_within_the_timeout);
	tcase_add_test(tc, earlier_answer_is_served_while_the_dns_fails);
	tcase_add_test(tc, reload_asks_the_new_name_servers);
	tcase_add_test(tc, cancelled_lookup_is_not_answered);
	tcase_add_test(tc, resolver_may_go_with_lookups_under_way);
	tcase_add_test(tc, cache_is_bounded_and_listed);
	return unit_run("resolver", tc);
}
