/* Unit tests of net/conn with TLS: two conns of one loop talk over loopback. */
#include "net_calls.h"
#include "net_unit.h"
#include "tls_unit.h"

SEEN_OPS;

static struct pki pki;
static struct tls_ctx *server_ctx, *client_ctx;

static void setup(void)
{
	const struct tls_conf cc = {0};
	struct tls_conf sc;

	pki_new(&pki);
	sc = pki_server(&pki);
	server_ctx = ctx_for_test(&sc);
	client_ctx = ctx_for_test(&cc);
}

static void teardown(void)
{
	tls_ctx_unref(server_ctx);
	tls_ctx_unref(client_ctx);
	pki_free(&pki);
}

struct both {
	struct loop *l;
	struct seen a, b; /* TLS client and server */
};

static void both_open(struct both *t, bool shake)
{
	int fd[2];

	memset(t, 0, sizeof *t);
	t->l = loop_for_test();
	pair_tcp(fd);
	seen_open(t->l, fd[0], &t->a);
	seen_open(t->l, fd[1], &t->b);
	if (!shake)
		return;
	ck_assert_int_eq(conn_tls_accept(t->b.c, server_ctx), OK);
	ck_assert_int_eq(conn_tls_connect(t->a.c, client_ctx, "db.example"), OK);
	ck_assert_uint_eq(t->a.n_ready + t->b.n_ready, 0);
	turn_until(t->l, t->a.n_ready == 1 && t->b.n_ready == 1);
	turns(t->l, 3); /* tickets */
}

static void both_close(struct both *t)
{
	conn_free(t->a.c);
	conn_free(t->b.c);
	turns(t->l, 2);
	ck_assert_uint_eq(loop_bufpool(t->l)->used_bytes, 0);
	loop_free(t->l);
}

START_TEST(ssl_request_is_answered_and_the_stream_encrypted)
{
	struct both t;
	char text[128];

	both_open(&t, false);
	t.b.on_data_do = TLS_ACCEPT;
	t.b.tls_ctx = server_ctx;
	t.a.record = true;
	conn_put(t.a.c, "SSLReq.8", 8);
	conn_flush(t.a.c);
	turn_until(t.l, t.a.total == 1);
	ck_assert_int_eq(t.a.got[0], 'S');
	ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), OK);
	turn_until(t.l, t.a.n_ready == 1 && t.b.n_ready == 1);
	conn_put(t.a.c, "hello", 5);
	conn_flush(t.a.c);
	turn_until(t.l, t.b.total == 13);
	ck_assert_int_eq(
		strncmp(tls_describe(conn_tls(t.b.c), text, sizeof text), "TLSv1.3/", 8), 0);
	ck_assert_uint_gt(conn_memory(t.b.c), TLS_STREAM_MEMORY);
	ck_assert_int_eq(conn_tls_accept(t.b.c, server_ctx), E_PROTO); /* once only */
	both_close(&t);
}
END_TEST

/* CVE-2021-23214 and its kin: bytes sent with the SSLRequest must not be taken for encrypted ones.
 */
START_TEST(bytes_stuffed_behind_the_request_end_the_connection)
{
	struct both t;

	both_open(&t, false);
	t.b.on_data_do = TLS_ACCEPT;
	t.b.tls_ctx = server_ctx;
	t.b.leave = 7;
	conn_put(t.a.c, "SSLReq.8stuffed", 15);
	conn_flush(t.a.c);
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_int_eq(t.b.why, CONN_END_TLS);
	ck_assert_str_eq(conn_error_text(t.b.c), "unencrypted bytes in front of the TLS handshake");
	ck_assert_uint_eq(t.b.n_data, 1);
	both_close(&t);
	/* and as a client: the server's 'S' came with more */
	both_open(&t, false);
	t.a.leave_all = true;
	conn_put(t.b.c, "Sx", 2);
	conn_flush(t.b.c);
	turn_until(t.l, t.a.n_data == 1);
	conn_consume(t.a.c, 1);
	ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), E_PROTO);
	conn_consume(t.a.c, 1);
	ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), OK);
	both_close(&t);
}
END_TEST

START_TEST(failed_handshake_tells_why)
{
	const struct tls_conf vc = {.verify = TLS_VERIFY_FULL, .ca_file = pki.ca};
	struct tls_ctx *verify = ctx_for_test(&vc);
	struct both t;

	both_open(&t, false);
	ck_assert_int_eq(conn_tls_accept(t.b.c, server_ctx), OK);
	ck_assert_int_eq(conn_tls_connect(t.a.c, verify, "wrong.example"), OK);
	turn_until(t.l, t.a.n_end == 1 && t.b.n_end == 1);
	ck_assert_int_eq(t.a.why, CONN_END_TLS);
	ck_assert_str_eq(conn_error_text(t.a.c), "certificate verify failed: hostname mismatch");
	ck_assert_uint_eq(t.a.n_ready, 0);
	both_close(&t);
	/* junk instead of a hello */
	both_open(&t, false);
	ck_assert_int_eq(conn_tls_accept(t.b.c, server_ctx), OK);
	conn_put(t.a.c, "no hello at all", 15);
	conn_flush(t.a.c);
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_int_eq(t.b.why, CONN_END_TLS);
	both_close(&t);
	/* nobody there any more */
	both_open(&t, false);
	ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), OK);
	conn_free(t.b.c);
	t.b.c = NULL;
	turn_until(t.l, t.a.n_end == 1);
	ck_assert_int_ne(t.a.why, CONN_END_TLS);
	both_close(&t);
	tls_ctx_unref(verify);
}
END_TEST

START_TEST(encrypted_round_trip_costs_one_recv_and_one_send)
{
	struct both t;

	both_open(&t, true);
	t.b.echo_to = t.b.c;
	no_calls_yet();
	for (unsigned i = 1; i <= 100; i++) {
		conn_put(t.a.c, "pi", 2);
		conn_put_copy(t.a.c, "ng", 2);
		conn_flush(t.a.c);
		turn_until(t.l, t.a.total == 4 * i);
	}
	ck_assert_uint_eq(n_send, calls(200));
	ck_assert_uint_eq(n_recv, calls(200));
	ck_assert_uint_eq(conn_bytes_in(t.a.c), 400);
	ck_assert_uint_eq(conn_bytes_out(t.a.c), 400);
	both_close(&t);
}
END_TEST

static void put_random(struct conn *c, size_t len, uint64_t *rnd, uint64_t *sum)
{
	static uint8_t buf[200000];

	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(unit_random(rnd) >> 11);
	*sum = sum_of(*sum, buf, len);
	for (size_t at = 0; at < len;) {
		size_t n = 1 + unit_random(rnd) % 30000;

		if (n > len - at)
			n = len - at;
		if (n % 2 == 0)
			conn_put(c, buf + at, n);
		else
			conn_put_copy(c, buf + at, n);
		at += n;
	}
	conn_flush(c);
}

START_TEST(bulk_goes_both_ways_at_once)
{
	struct both t;
	uint64_t rnd = 9, sum_a = 0, sum_b = 0, sent = 0;

	both_open(&t, true);
	for (unsigned i = 0; i < 100; i++) {
		size_t n = 1 + unit_random(&rnd) % 200000;

		put_random(t.a.c, n, &rnd, &sum_b);
		put_random(t.b.c, n, &rnd, &sum_a);
		sent += n;
		t.a.leave = unit_random(&rnd) % 3000;
		t.b.leave = unit_random(&rnd) % 40000;
		if (i % 5 == 0)
			conn_rx_pause(t.b.c);
		turns(t.l, 1);
		conn_rx_resume(t.b.c);
	}
	t.a.leave = t.b.leave = 0;
	conn_rx_resume(t.a.c);
	turn_until(t.l, t.a.total == sent && t.b.total == sent);
	ck_assert_uint_eq(t.a.sum, sum_a);
	ck_assert_uint_eq(t.b.sum, sum_b);
	turn_until(t.l, conn_out_len(t.a.c) == 0 && conn_out_len(t.b.c) == 0);
	both_close(&t);
}
END_TEST

/* All records have come with one read; nothing new arrives while the owner takes them one by one.
 */
START_TEST(paused_owner_gets_the_records_that_were_read_ahead)
{
	const struct conn_limits tight = {.rx_keep_max = 100, .out_max = 1u << 20};
	struct both t;

	both_open(&t, true);
	conn_set_limits(t.b.c, &tight);
	for (unsigned i = 0; i < 50; i++) {
		conn_put(t.a.c, "0123456789", 10);
		conn_flush(t.a.c);
	}
	while (t.b.total < 500) {
		uint64_t before = t.b.total;

		t.b.on_data_do = PAUSE;
		conn_rx_resume(t.b.c);
		turn_until(t.l, t.b.total > before);
		turns(t.l, 2);
		ck_assert_uint_le(t.b.total - before, 100);
	}
	ck_assert_uint_eq(t.b.total, 500);
	/* more kept than allowed */
	t.b.leave_all = true;
	conn_rx_resume(t.b.c);
	put_random(t.a.c, 101, &(uint64_t){1}, &(uint64_t){0});
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_int_eq(t.b.why, CONN_END_LIMIT);
	both_close(&t);
}
END_TEST

START_TEST(end_of_an_encrypted_stream_comes_after_its_bytes)
{
	struct both t;

	both_open(&t, true);
	conn_put(t.a.c, "bye", 3);
	conn_free_flushed(t.a.c, 1000); /* with close_notify */
	t.a.c = NULL;
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_uint_eq(t.b.total, 3);
	ck_assert_int_eq(t.b.why, CONN_END_EOF);
	both_close(&t);
	/* without it */
	both_open(&t, true);
	conn_put(t.a.c, "bye", 3);
	conn_flush(t.a.c);
	conn_free(t.a.c);
	t.a.c = NULL;
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_uint_eq(t.b.total, 3);
	ck_assert_int_eq(t.b.why, CONN_END_EOF);
	both_close(&t);
	/* found in the same read as the bytes, by an owner that pauses for them */
	both_open(&t, true);
	t.b.on_data_do = PAUSE;
	t.b.leave = 1;
	conn_put(t.a.c, "bye", 3);
	conn_free_flushed(t.a.c, 1000);
	t.a.c = NULL;
	turn_until(t.l, t.b.n_hangup == 1);
	ck_assert_uint_eq(t.b.n_end, 0);
	t.b.leave = 0;
	conn_rx_resume(t.b.c);
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_uint_eq(t.b.total, 3);
	ck_assert_int_eq(t.b.why, CONN_END_EOF);
	both_close(&t);
	/* while paused */
	both_open(&t, true);
	conn_rx_pause(t.b.c);
	conn_put(t.a.c, "bye", 3);
	conn_free_flushed(t.a.c, 1000);
	t.a.c = NULL;
	turn_until(t.l, t.b.n_hangup == 1);
	ck_assert_uint_eq(t.b.n_data, 0);
	conn_rx_resume(t.b.c);
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_uint_eq(t.b.total, 3);
	both_close(&t);
	/* reset */
	both_open(&t, true);
	close_with_reset(dup(conn_fd(t.a.c)));
	ck_assert_int_eq(setsockopt(conn_fd(t.a.c), SOL_SOCKET, SO_LINGER,
				 &(struct linger){.l_onoff = 1}, sizeof(struct linger)),
		0);
	conn_put(t.a.c, "bye", 3);
	conn_flush(t.a.c);
	conn_free(t.a.c);
	t.a.c = NULL;
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_int_eq(t.b.why, CONN_END_RESET);
	ck_assert_uint_eq(t.b.total, 3);
	both_close(&t);
}
END_TEST

START_TEST(broken_record_ends_the_connection)
{
	struct both t;

	both_open(&t, true);
	write_all(conn_fd(t.a.c), "\x17\x03\x03\x00\x13garbage in a record", 24);
	turn_until(t.l, t.b.n_end == 1);
	ck_assert_int_eq(t.b.why, CONN_END_TLS);
	ck_assert_str_ne(conn_error_text(t.b.c), "");
	both_close(&t);
}
END_TEST

static void check_free_in(enum deed deed)
{
	struct both t;

	/* in on_ready */
	both_open(&t, false);
	t.b.on_ready_do = deed;
	ck_assert_int_eq(conn_tls_accept(t.b.c, server_ctx), OK);
	ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), OK);
	turn_until(t.l, t.b.c == NULL);
	both_close(&t);
	/* in on_data, with more to read */
	both_open(&t, true);
	t.b.on_data_do = deed;
	put_random(t.a.c, 200000, &(uint64_t){1}, &(uint64_t){0});
	turn_until(t.l, t.b.c == NULL);
	turns(t.l, 3);
	both_close(&t);
	/* in on_end */
	both_open(&t, true);
	t.b.on_end_do = deed;
	conn_free(t.a.c);
	t.a.c = NULL;
	turn_until(t.l, t.b.c == NULL);
	both_close(&t);
}

START_TEST(freeing_inside_every_callback)
{
	check_free_in(FREE);
	check_free_in(FREE_FLUSHED);
}
END_TEST

START_TEST(freeing_during_the_handshake)
{
	for (unsigned n = 0; n < 8; n++) {
		struct both t;

		both_open(&t, false);
		ck_assert_int_eq(conn_tls_accept(t.b.c, server_ctx), OK);
		ck_assert_int_eq(conn_tls_connect(t.a.c, client_ctx, NULL), OK);
		turns(t.l, n / 2);
		if (n % 2 == 0) {
			conn_free(t.a.c);
		} else {
			conn_put(t.a.c, "FATAL", 5);
			conn_free_flushed(t.a.c, 100);
		}
		t.a.c = NULL;
		turn_until(t.l, t.b.n_end == 1);
		ck_assert_uint_eq(t.b.total, n % 2 == 1 && t.b.n_ready == 1 ? t.b.total : 0);
		both_close(&t);
	}
}
END_TEST

/* Bytes kept, in the TLS stream, in the socket and waiting to be sent: all go along. */
START_TEST(encrypted_connection_travels_with_all_its_bytes)
{
	struct both t;
	struct seen s = {0};
	struct loop *other = loop_for_test();
	uint64_t rnd = 21, sum_b = 0, sum_a = 0;
	size_t to_a = 0, to_b = 0;

	both_open(&t, true);
	for (unsigned i = 0; i < 20; i++) {
		struct loop *from = i % 2 == 0 ? t.l : other;
		struct loop *to = i % 2 == 0 ? other : t.l;

		t.b.leave = i % 3 * 1000;
		put_random(t.a.c, 150000, &rnd, &sum_b);
		to_b += 150000;
		turns(t.l, 1);
		conn_rx_pause(t.b.c);
		put_random(t.b.c, 199999, &rnd, &sum_a);
		to_a += 199999;
		t.b.n_detached = 0;
		conn_detach(t.b.c, seen_detached, &t.b);
		turn_until(from, t.b.n_detached == 1);
		ck_assert_int_eq(conn_attach(t.b.c, to, &seen_ops, &t.b), OK);
		turns(to, 2);
	}
	t.b.leave = 0;
	conn_rx_resume(t.b.c);
	while (t.a.total < to_a || t.b.total < to_b) {
		turns(t.l, 1);
		turns(other, 1);
	}
	ck_assert_uint_eq(t.b.sum, sum_b);
	ck_assert_uint_eq(t.a.sum, sum_a);
	ck_assert_uint_eq(s.n_end, 0);
	both_close(&t);
	loop_free(other);
}
END_TEST

START_TEST(output_above_the_limit_ends_an_encrypted_connection)
{
	const struct conn_limits tight = {.rx_keep_max = 1000, .out_max = 100000};
	struct both t;

	both_open(&t, true);
	conn_set_limits(t.b.c, &tight);
	conn_rx_pause(t.a.c);
	for (unsigned i = 0; i < 100; i++)
		put_random(t.b.c, 199999, &(uint64_t){1}, &(uint64_t){0});
	ck_assert_uint_eq(t.b.n_end, 0);
	turns(t.l, 1);
	ck_assert_uint_eq(t.b.n_end, 1);
	ck_assert_int_eq(t.b.why, CONN_END_LIMIT);
	both_close(&t);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conn_tls");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, ssl_request_is_answered_and_the_stream_encrypted);
	tcase_add_test(tc, bytes_stuffed_behind_the_request_end_the_connection);
	tcase_add_test(tc, failed_handshake_tells_why);
	tcase_add_test(tc, encrypted_round_trip_costs_one_recv_and_one_send);
	tcase_add_test(tc, bulk_goes_both_ways_at_once);
	tcase_add_test(tc, paused_owner_gets_the_records_that_were_read_ahead);
	tcase_add_test(tc, end_of_an_encrypted_stream_comes_after_its_bytes);
	tcase_add_test(tc, broken_record_ends_the_connection);
	tcase_add_test(tc, freeing_inside_every_callback);
	tcase_add_test(tc, freeing_during_the_handshake);
	tcase_add_test(tc, encrypted_connection_travels_with_all_its_bytes);
	tcase_add_test(tc, output_above_the_limit_ends_an_encrypted_connection);
	return net_run("conn_tls", tc);
}
