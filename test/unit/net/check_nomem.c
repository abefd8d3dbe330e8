/*
 * Unit tests of net/ without memory: each allocation of a scene is made to fail in turn, and what
 * was promised must hold: an error or a told end, nothing leaked, nothing torn.
 */
#include "failing_alloc.h"
#include "net/hosts.h"
#include "net/listen.h"
#include "net/resolver.h"
#include "net_unit.h"
#include "tls_unit.h"

SEEN_OPS;

/* Check's assertions allocate, so the owners of these scenes only note. */
static size_t note_data(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

static void note_ready(void *arg)
{
	((struct seen *)arg)->n_ready++;
}

static void note_end(void *arg, enum conn_end why)
{
	struct seen *s = arg;

	s->n_end++;
	s->why = why;
}

static void note_detached(void *arg, struct conn *c)
{
	(void)c;
	((struct seen *)arg)->n_detached++;
}

static const struct conn_ops note_ops = {
	.on_data = note_data, .on_ready = note_ready, .on_end = note_end};

/* Run a scene with 0, 1, 2 … allocations until it no longer meets a failure. */
static void for_each_failure(bool (*scene)(long n))
{
	long n = 0;

	while (!scene(n))
		ck_assert_int_lt(++n, 10000);
	ck_assert_int_gt(n, 0);
}

static bool scene_loop(long n)
{
	const struct loop_conf conf = {
		.engine = TEST_ENGINE, .rx_len = RX_LEN, .turn_budget = RX_LEN};
	struct loop *l = NULL;
	enum status st;

	failing_alloc_after(n);
	st = loop_new(&conf, &l);
	failing_alloc_after(-1);
	if (st != OK) {
		ck_assert_int_eq(st, E_NOMEM);
		return false;
	}
	loop_free(l);
	return true;
}

START_TEST(loop_is_made_or_not)
{
	for_each_failure(scene_loop);
}
END_TEST

/* Open a conn, keep bytes, queue output, hand it over, listen. */
static bool scene_conn(long n)
{
	struct loop *l = loop_for_test(), *other = loop_for_test();
	struct seen s = {0};
	static char junk[400000];
	bool whole = false;
	enum status st;
	int fd[2];

	pair_tcp(fd);
	failing_alloc_after(n);
	st = conn_new(l, fd[0], &note_ops, &s, &test_limits, &s.c);
	if (st != OK)
		goto out;
	(void)!write(fd[1], junk, 10000);
	for (unsigned i = 0; i < 5; i++)
		(void)!loop_turn(l, 0);
	for (unsigned i = 0; i < 20 && s.n_end == 0; i++) {
		conn_put(s.c, junk, sizeof junk);
		conn_flush(s.c);
	}
	(void)!loop_turn(l, 0);
	if (s.n_end == 0) {
		conn_detach(s.c, note_detached, &s);
		(void)!loop_turn(l, 0);
		st = conn_attach(s.c, other, &note_ops, &s);
		if (st == OK)
			(void)!loop_turn(other, 0);
	}
	whole = st == OK && s.n_end == 0;
	if (st != OK)
		conn_free_detached(s.c);
	else
		conn_free(s.c);
out:
	failing_alloc_after(-1);
	ck_assert(st == OK || st == E_NOMEM);
	ck_assert(s.n_end == 0 || s.why == CONN_END_LIMIT);
	close(fd[1]);
	loop_free(l);
	loop_free(other);
	return whole;
}

START_TEST(connection_ends_by_its_limit)
{
	for_each_failure(scene_conn);
}
END_TEST

static struct pki pki;

/* OpenSSL's own allocations are not wrapped; ours around it are. */
static bool scene_tls(long n)
{
	const struct tls_conf sc = pki_server(&pki), cc = {0};
	struct tls_ctx *sctx = NULL, *cctx = NULL;
	struct loop *l = loop_for_test();
	struct seen a = {0}, b = {0};
	char err[TLS_ERR_MAX];
	bool whole = false;
	enum status st;
	int fd[2];

	pair_tcp(fd);
	ck_assert_int_eq(conn_new(l, fd[0], &note_ops, &a, &test_limits, &a.c), OK);
	ck_assert_int_eq(conn_new(l, fd[1], &note_ops, &b, &test_limits, &b.c), OK);
	failing_alloc_after(n);
	if ((st = tls_ctx_new(&sc, &sctx, err)) == OK &&
		(st = tls_ctx_new(&cc, &cctx, err)) == OK &&
		(st = conn_tls_accept(b.c, sctx)) == OK &&
		(st = conn_tls_connect(a.c, cctx, "db.example")) == OK) {
		for (unsigned i = 0; i < 200 && a.n_ready + b.n_ready < 2 && a.n_end + b.n_end == 0;
			i++)
			(void)!loop_turn(l, loop_now_us(l) + 10000);
		whole = true;
	}
	failing_alloc_after(-1);
	ck_assert(st == OK || st == E_NOMEM);
	if (TEST_ENGINE == LOOP_URING && whole && a.n_end + b.n_end != 0)
		whole = false; /* what is sent is copied, for which there was no memory */
	ck_assert(!whole || a.n_ready + b.n_ready == 2);
	conn_free(a.c);
	conn_free(b.c);
	tls_ctx_unref(sctx);
	tls_ctx_unref(cctx);
	loop_free(l);
	return whole;
}

START_TEST(tls_starts_or_not)
{
	pki_new(&pki);
	for_each_failure(scene_tls);
	pki_free(&pki);
}
END_TEST

static void on_answer(void *arg, enum status st, const struct resolver_answer *a)
{
	unsigned *n = arg;

	(void)a;
	*n += st == OK ? 1 : 100;
}

static void on_accept(void *arg, int fd, const struct net_addr *from)
{
	(void)arg;
	(void)from;
	close(fd);
}

static bool scene_control(long n)
{
	static const struct listener_ops ops = {.on_accept = on_accept};
	const struct resolver_conf conf = {.resolv_conf = "/dev/null",
		.hosts = "/dev/null",
		.timeout_ms = 100,
		.max_ttl_s = 1,
		.nxdomain_ttl_s = 1};
	struct loop *l = loop_for_test();
	struct resolver *r = NULL;
	struct listener *ln = NULL;
	struct resolver_query *q = NULL;
	unsigned n_answers = 0;
	enum status st;
	int fd[2];

	pair_unix(fd);
	failing_alloc_after(n);
	if ((st = listener_new(l, fd[0], &ops, NULL, &ln)) == OK &&
		(st = resolver_new(l, &conf, &r)) == OK && (st = resolver_reload(r, &conf)) == OK &&
		(st = resolver_lookup(r, "10.0.0.1", 1, on_answer, &n_answers, NULL)) == OK &&
		(st = resolver_lookup(r, "localhost", 1, on_answer, &n_answers, NULL)) == OK)
		st = resolver_lookup(r, "name.invalid", 1, on_answer, &n_answers, &q);
	for (unsigned i = 0; i < 3; i++)
		(void)!loop_turn(l, 0);
	failing_alloc_after(-1);
	ck_assert(st == OK || st == E_NOMEM);
	ck_assert_uint_le(n_answers, 2);
	resolver_free(r);
	listener_free(ln);
	close(fd[0]);
	close(fd[1]);
	loop_free(l);
	return st == OK && n_answers == 2;
}

START_TEST(resolver_and_listener_report_it)
{
	for_each_failure(scene_control);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("nomem");

	tcase_add_test(tc, loop_is_made_or_not);
	tcase_add_test(tc, connection_ends_by_its_limit);
	tcase_add_test(tc, tls_starts_or_not);
	if (TEST_ENGINE == LOOP_EPOLL)
		tcase_add_test(tc, resolver_and_listener_report_it);
	return net_run("nomem", tc);
}
