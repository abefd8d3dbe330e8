#include "proto/scram_client.h"

#include <stdio.h>

#include "failing_crypto.h"
#include "proto/scram_msg.h"
#include "scram_vector.h"

static const uint8_t client_rand[SCRAM_RAND_LEN] = "random of client.";
#define OWN_NONCE "cmFuZG9tIG9mIGNsaWVudC4A"

static struct scram_client client;
static char out_buf[SCRAM_MSG_MAX];
static struct wr out;

static void start(enum scram_binding binding)
{
	out = wr_of(out_buf, sizeof out_buf);
	scram_client_init(&client, binding);
}

static void send_first(void)
{
	start(SCRAM_BINDING_NONE);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
}

static enum status take_first_n(const char *msg, size_t len)
{
	send_first();
	return scram_client_take_first(
		&client, (const uint8_t *)msg, len, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX);
}

static enum status take_first(const char *msg)
{
	return take_first_n(msg, strlen(msg));
}

/* The exchange of the RFC, after its client-first (whose nonce is not of our making). */
static void restore_vector(void)
{
	start(SCRAM_BINDING_NONE);
	strcpy(client.bare, VECTOR_FIRST_BARE);
	client.bare_len = strlen(VECTOR_FIRST_BARE);
	client.own_nonce_len = strlen(VECTOR_NONCE);
	client.step = SCRAM_CLIENT_SENT_FIRST;
}

/* …and up to its client-final. */
static void restore_vector_final(void)
{
	struct scram_keys keys = vector_keys();

	restore_vector();
	ck_assert_int_eq(
		scram_client_take_first(&client, BYTES(VECTOR_SERVER_FIRST), 4096, 4096), OK);
	ck_assert_int_eq(scram_client_final(&client, &keys, NULL, 0, &out), OK);
}

START_TEST(exchange_of_the_rfc)
{
	struct scram_keys keys = vector_keys();
	struct scram_verifier v = vector_verifier();

	restore_vector();
	ck_assert_int_eq(
		scram_client_take_first(&client, BYTES(VECTOR_SERVER_FIRST), 4096, 4096), OK);
	ck_assert(scram_salt_equal(&client.salt, &v.salt));
	ck_assert_int_eq(scram_client_final(&client, &keys, NULL, 0, &out), OK);
	ck_written(out, VECTOR_FINAL);
	ck_assert(!scram_client_is_done(&client));
	ck_assert_int_eq(scram_client_take_final(&client, BYTES(VECTOR_SERVER_FINAL)), OK);
	ck_assert(scram_client_is_done(&client));
}
END_TEST

START_TEST(client_first_carries_the_binding_flag)
{
	start(SCRAM_BINDING_NONE);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
	ck_written(out, "n,,n=,r=" OWN_NONCE);
	start(SCRAM_BINDING_NOT_OFFERED);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
	ck_written(out, "y,,n=,r=" OWN_NONCE);
	start(SCRAM_BINDING_END_POINT);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
	ck_written(out, "p=tls-server-end-point,,n=,r=" OWN_NONCE);
}
END_TEST

START_TEST(nonce_must_continue_ours)
{
	ck_assert_int_eq(take_first("r=" OWN_NONCE "x,s=" VECTOR_SALT ",i=4096"), OK);
	ck_assert_int_eq(take_first("r=" OWN_NONCE ",s=" VECTOR_SALT ",i=4096"), E_PROTO);
	ck_assert_int_eq(take_first("r=x" OWN_NONCE ",s=" VECTOR_SALT ",i=4096"), E_PROTO);
	ck_assert_int_eq(take_first("r=cmFuZG9t,s=" VECTOR_SALT ",i=4096"), E_PROTO);
}
END_TEST

START_TEST(malformed_server_first_is_refused)
{
#define R "r=" OWN_NONCE "x"
#define S ",s=" VECTOR_SALT
	static const char *const bad[] = {"", "r", "r=", R, R ",", R S, R S ",", R S ",i",
		R S ",i=", R S ",i=0", R S ",i=-1", R S ",i=+1", R S ",i=04096", R S ",i=4096x",
		R S ",i=4 096", R S ",i=4096,", R S ",i=4096,x", R S ",i=0x10", R ",i=4096" S,
		R ",s=,i=4096", R ",s=AA,i=4096", R ",s=A A=,i=4096", "s=" VECTOR_SALT ",i=4096",
		R " " S ",i=4096", "e=other-error", "r=" OWN_NONCE "\xc3\xa4" S ",i=4096"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(take_first(bad[i]) == E_PROTO, "%s", bad[i]);
	ck_assert_int_eq(take_first("m=x," R S ",i=4096"), E_INVALID);
	ck_assert_int_eq(take_first(R S ",i=4096,x=y"), OK);
	ck_assert_int_eq(take_first_n(R S ",i=4096\0", strlen(R S) + 8), E_PROTO);
}
END_TEST

START_TEST(iterations_of_a_server_are_bounded)
{
	static const struct {
		const char *iterations;
		enum status want;
	} cases[] = {{"1", OK}, {"2", OK}, {"99999", OK}, {"100000", OK}, {"100001", E_LIMIT},
		{"1000000", E_LIMIT}, {"2147483647", E_LIMIT}, {"4294967297", E_LIMIT},
		{"18446744073709551617", E_LIMIT}};
	char msg[256];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(msg, sizeof msg, "%s,i=%s", R S, cases[i].iterations);
		ck_assert_int_eq(take_first(msg), cases[i].want);
	}
}
END_TEST

START_TEST(iterations_have_a_floor)
{
	send_first();
	ck_assert_int_eq(
		scram_client_take_first(&client, BYTES(R S ",i=4095"), 4096, 8192), E_LIMIT);
	send_first();
	ck_assert_int_eq(scram_client_take_first(&client, BYTES(R S ",i=4096"), 4096, 8192), OK);
	send_first();
	ck_assert_int_eq(scram_client_take_first(&client, BYTES(R S ",i=8192"), 4096, 8192), OK);
	send_first();
	ck_assert_int_eq(
		scram_client_take_first(&client, BYTES(R S ",i=8193"), 4096, 8192), E_LIMIT);
}
END_TEST

/* server-first with a nonce of `nonce_len` and a salt of `salt_len` bytes, and `pad` after them. */
static enum status take_first_of(size_t nonce_len, size_t salt_len, size_t pad)
{
	static uint8_t salt[10 * SCRAM_SALT_MAX];
	static char msg[16384];
	struct wr w = wr_of(msg, sizeof msg);

	wr_str(&w, "r=" OWN_NONCE);
	for (size_t i = strlen(OWN_NONCE); i < nonce_len; i++)
		wr_u8(&w, 'x');
	wr_str(&w, ",s=");
	base64_put(&w, salt, salt_len);
	wr_str(&w, ",i=4096,x=");
	for (size_t i = 0; i < pad; i++)
		wr_u8(&w, 'y');
	ck_assert(!w.bad);
	return take_first_n(msg, w.len);
}

START_TEST(fields_of_a_server_are_bounded)
{
	size_t rest = strlen("r=,s=,i=4096,x=") + 25 + 4;

	ck_assert_int_eq(take_first_of(25, 1, 0), OK);
	ck_assert_int_eq(take_first_of(SCRAM_NONCE_MAX - 1, 1, 0), OK);
	ck_assert_int_eq(take_first_of(SCRAM_NONCE_MAX, SCRAM_SALT_MAX, 0), OK);
	ck_assert_int_eq(take_first_of(SCRAM_NONCE_MAX + 1, 1, 0), E_LIMIT);
	ck_assert_int_eq(take_first_of(10 * SCRAM_NONCE_MAX, 1, 0), E_LIMIT);
	ck_assert_int_eq(take_first_of(25, 0, 0), E_PROTO);
	ck_assert_int_eq(take_first_of(25, SCRAM_SALT_MAX - 1, 0), OK);
	ck_assert_int_eq(take_first_of(25, SCRAM_SALT_MAX + 1, 0), E_LIMIT);
	ck_assert_int_eq(take_first_of(25, 10 * SCRAM_SALT_MAX, 0), E_LIMIT);
	ck_assert_int_eq(take_first_of(25, 1, SCRAM_MSG_MAX - rest - 1), OK);
	ck_assert_int_eq(take_first_of(25, 1, SCRAM_MSG_MAX - rest), OK);
	ck_assert_int_eq(take_first_of(25, 1, SCRAM_MSG_MAX - rest + 1), E_LIMIT);
	ck_assert_int_eq(take_first_of(25, 1, 10 * SCRAM_MSG_MAX), E_LIMIT);
}
END_TEST

START_TEST(longest_exchange_fits_client_final)
{
	struct scram_keys keys = vector_keys();
	uint8_t cbind[SCRAM_CBIND_MAX] = {0};
	char msg[SCRAM_MSG_MAX];
	struct wr w = wr_of(msg, sizeof msg);

	start(SCRAM_BINDING_END_POINT);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
	wr_str(&w, "r=" OWN_NONCE);
	while (w.len < SCRAM_NONCE_MAX + 2)
		wr_u8(&w, 'x');
	wr_str(&w, S ",i=1,x=");
	while (w.len < SCRAM_MSG_MAX)
		wr_u8(&w, 'y');
	ck_assert_int_eq(scram_client_take_first(&client, w.buf, w.len, 1, 1), OK);
	out.len = 0;
	ck_assert_int_eq(scram_client_final(&client, &keys, cbind, sizeof cbind, &out), OK);
	ck_assert(!out.bad);
	ck_assert_uint_gt(out.len, SCRAM_NONCE_MAX + BASE64_LEN(SCRAM_CBIND_MAX));
}
END_TEST

START_TEST(server_must_prove_itself)
{
	char msg[] = VECTOR_SERVER_FINAL;

	for (size_t i = 2; i < strlen(msg) - 2; i++) {
		char was = msg[i];

		msg[i] = was == 'A' ? 'B' : 'A';
		restore_vector_final();
		ck_assert_int_eq(
			scram_client_take_final(&client, (uint8_t *)msg, strlen(msg)), E_AUTH);
		ck_assert(!scram_client_is_done(&client));
		msg[i] = was;
	}
}
END_TEST

START_TEST(server_final_is_checked_to_the_end)
{
	static const struct {
		const char *msg;
		enum status want;
	} cases[] = {
		{"", E_PROTO},
		{"v", E_PROTO},
		{"v=", E_PROTO},
		{"v=6rri", E_PROTO},
		{VECTOR_SERVER_FINAL "AAAA", E_PROTO},
		{VECTOR_SERVER_FINAL ",", E_PROTO},
		{VECTOR_SERVER_FINAL ",x", E_PROTO},
		{VECTOR_SERVER_FINAL ",x=y", OK},
		{"x=y", E_PROTO},
		{"e=invalid-proof", E_AUTH},
		{"e=", E_AUTH},
		{"e=invalid-proof,", E_PROTO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		restore_vector_final();
		ck_assert_msg(scram_client_take_final(&client, (const uint8_t *)cases[i].msg,
				      strlen(cases[i].msg)) == cases[i].want,
			"%s", cases[i].msg);
		ck_assert_int_eq(scram_client_is_done(&client), cases[i].want == OK);
	}
}
END_TEST

START_TEST(each_step_is_taken_once_and_in_order)
{
	struct scram_keys keys = vector_keys();

	start(SCRAM_BINDING_NONE);
	ck_assert_int_eq(scram_client_take_final(&client, BYTES(VECTOR_SERVER_FINAL)), E_PROTO);
	ck_assert_int_eq(scram_client_first(&client, client_rand, &out), E_PROTO);
	start(SCRAM_BINDING_NONE);
	ck_assert_int_eq(scram_client_take_first(&client, BYTES(R S ",i=1"), 1, 1), E_PROTO);
	start(SCRAM_BINDING_NONE);
	ck_assert_int_eq(scram_client_final(&client, &keys, NULL, 0, &out), E_PROTO);
	ck_assert_int_eq(take_first(R S ",i=1"), OK);
	ck_assert_int_eq(scram_client_take_first(&client, BYTES(R S ",i=1"), 1, 1), E_PROTO);
	restore_vector_final();
	ck_assert_int_eq(scram_client_final(&client, &keys, NULL, 0, &out), E_PROTO);
	restore_vector_final();
	ck_assert_int_eq(scram_client_take_final(&client, BYTES(VECTOR_SERVER_FINAL)), OK);
	ck_assert_int_eq(scram_client_take_final(&client, BYTES(VECTOR_SERVER_FINAL)), E_PROTO);
	ck_assert(!scram_client_is_done(&client));
}
END_TEST

START_TEST(binding_data_is_needed_with_plus)
{
	static const struct {
		size_t len;
		enum status want;
	} cases[] = {{0, E_INVALID}, {1, OK}, {SCRAM_CBIND_MAX - 1, OK}, {SCRAM_CBIND_MAX, OK},
		{SCRAM_CBIND_MAX + 1, E_INVALID}, {10 * SCRAM_CBIND_MAX, E_INVALID}};
	static const uint8_t cbind[10 * SCRAM_CBIND_MAX];
	struct scram_keys keys = vector_keys();

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		start(SCRAM_BINDING_END_POINT);
		ck_assert_int_eq(scram_client_first(&client, client_rand, &out), OK);
		ck_assert_int_eq(scram_client_take_first(&client, BYTES(R S ",i=1"), 1, 1), OK);
		ck_assert_int_eq(scram_client_final(&client, &keys, cbind, cases[i].len, &out),
			cases[i].want);
	}
}
END_TEST

START_TEST(failed_exchange_keeps_nothing)
{
	struct scram_client zero;

	memset(&zero, 0, sizeof zero);
	zero.step = SCRAM_CLIENT_ENDED;
	restore_vector_final();
	ck_assert_int_eq(scram_client_take_final(&client, BYTES("e=x")), E_AUTH);
	ck_assert_mem_eq(&client, &zero, sizeof zero);
}
END_TEST

START_TEST(without_openssl_nothing_is_sent)
{
	struct scram_keys keys = vector_keys();
	uint8_t unused[SCRAM_KEY_LEN];

	ck_assert_int_eq(scram_hash("", 0, unused), OK); /* all is looked up */
	for (long n = 0; n < 5; n++) {
		enum status st;

		restore_vector();
		ck_assert_int_eq(
			scram_client_take_first(&client, BYTES(VECTOR_SERVER_FIRST), 4096, 4096),
			OK);
		failing_crypto_after(n);
		st = scram_client_final(&client, &keys, NULL, 0, &out);
		failing_crypto_after(-1);
		ck_assert_int_eq(st, E_NOMEM);
		ck_assert_uint_eq(out.len, 0);
		ck_assert_int_eq(client.step, SCRAM_CLIENT_ENDED);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("scram_client");

	tcase_add_test(tc, exchange_of_the_rfc);
	tcase_add_test(tc, client_first_carries_the_binding_flag);
	tcase_add_test(tc, nonce_must_continue_ours);
	tcase_add_test(tc, malformed_server_first_is_refused);
	tcase_add_test(tc, iterations_of_a_server_are_bounded);
	tcase_add_test(tc, iterations_have_a_floor);
	tcase_add_test(tc, fields_of_a_server_are_bounded);
	tcase_add_test(tc, longest_exchange_fits_client_final);
	tcase_add_test(tc, server_must_prove_itself);
	tcase_add_test(tc, server_final_is_checked_to_the_end);
	tcase_add_test(tc, each_step_is_taken_once_and_in_order);
	tcase_add_test(tc, binding_data_is_needed_with_plus);
	tcase_add_test(tc, failed_exchange_keeps_nothing);
	tcase_add_test(tc, without_openssl_nothing_is_sent);
	return unit_run("scram_client", tc);
}
