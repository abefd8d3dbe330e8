#include "proto/scram_server.h"

#include <stdio.h>

#include "failing_crypto.h"
#include "proto/scram_client.h"
#include "proto/scram_msg.h"
#include "scram_vector.h"

static const struct scram_offer plain_offer = {.plus = false};
static const uint8_t cbind[SCRAM_CBIND_MAX] = "hash of a certificate";
static const struct scram_offer plus_offer = {.plus = true, .cbind = cbind, .cbind_len = 32};
static const uint8_t server_rand[SCRAM_RAND_LEN] = "random of server.";
static const uint8_t client_rand[SCRAM_RAND_LEN] = "random of client.";

static struct scram_server server;
static char out_buf[SCRAM_SERVER_FIRST_MAX];
static struct wr out;

static void start(const struct scram_verifier *v)
{
	out = wr_of(out_buf, sizeof out_buf);
	scram_server_init(&server, v);
}

/* client-first, given as text, to a fresh exchange. */
static enum status first_n(
	const struct scram_offer *offer, const char *mechanism, const char *msg, size_t len)
{
	struct scram_verifier v = vector_verifier();

	start(&v);
	return scram_server_first(
		&server, offer, mechanism, (const uint8_t *)msg, len, server_rand, &out);
}

static enum status first(const struct scram_offer *offer, const char *mechanism, const char *msg)
{
	return first_n(offer, mechanism, msg, strlen(msg));
}

static enum status final(const struct scram_offer *offer, const char *msg, struct scram_keys *keys)
{
	out = wr_of(out_buf, sizeof out_buf);
	return scram_server_final(&server, offer, (const uint8_t *)msg, strlen(msg), &out, keys);
}

/* The exchange of the RFC, after its server-first (whose nonce is not of our making). */
static void restore_vector(void)
{
	struct scram_verifier v = vector_verifier();

	start(&v);
	strcpy(server.first_bare, VECTOR_FIRST_BARE);
	server.first_bare_len = strlen(VECTOR_FIRST_BARE);
	strcpy(server.server_first, VECTOR_SERVER_FIRST);
	server.server_first_len = strlen(VECTOR_SERVER_FIRST);
	server.nonce_len = strlen(VECTOR_NONCES);
	server.step = SCRAM_SERVER_SENT_FIRST;
}

START_TEST(proof_of_the_rfc_is_accepted)
{
	struct scram_keys k, want = vector_keys();

	restore_vector();
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, &k), OK);
	ck_written(out, VECTOR_SERVER_FINAL);
	ck_assert_mem_eq(&k, &want, sizeof k); /* with these we can log in as the user */
}
END_TEST

START_TEST(server_first_joins_nonces_salt_and_iterations)
{
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,,n=,r=abc"), OK);
	ck_written(out, "r=abccmFuZG9tIG9mIHNlcnZlci4A,s=" VECTOR_SALT ",i=4096");
}
END_TEST

START_TEST(wrong_proofs_are_refused)
{
	static const char digits[] = "ABCDEFGH";

	for (size_t i = 0; i < strlen(VECTOR_PROOF) - 2; i++) {
		char msg[] = VECTOR_FINAL;
		char *c = msg + strlen(msg) - strlen(VECTOR_PROOF) + i;
		struct scram_keys k;

		*c = digits[*c == 'A' ? 1 : 0];
		restore_vector();
		ck_assert_int_eq(final(&plain_offer, msg, &k), E_AUTH);
		ck_assert_uint_eq(out.len, 0);
	}
}
END_TEST

START_TEST(mock_refuses_even_the_right_proof)
{
	restore_vector();
	server.verifier.mock = true;
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, NULL), E_AUTH);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(each_step_is_taken_once)
{
	struct scram_verifier v = vector_verifier();

	start(&v);
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, NULL), E_PROTO);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,,n=,r=abc"), OK);
	ck_assert_int_eq(scram_server_first(&server, &plain_offer, SCRAM_MECHANISM,
				 BYTES("n,,n=,r=abc"), server_rand, &out),
		E_PROTO);
	restore_vector();
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, NULL), OK);
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, NULL), E_PROTO);
}
END_TEST

START_TEST(secrets_are_wiped_at_the_end)
{
	static const struct scram_verifier zero;

	restore_vector();
	ck_assert_int_eq(final(&plain_offer, VECTOR_FINAL, NULL), OK);
	ck_assert_mem_eq(&server.verifier, &zero, sizeof zero);
	restore_vector();
	ck_assert_int_eq(final(&plain_offer, "x", NULL), E_PROTO);
	ck_assert_mem_eq(&server.verifier, &zero, sizeof zero);
	ck_assert_int_eq(server.step, SCRAM_SERVER_ENDED);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "x"), E_PROTO);
	ck_assert_mem_eq(&server.verifier, &zero, sizeof zero);
}
END_TEST

START_TEST(mechanism_must_have_been_offered)
{
	static const char *const others[] = {
		"", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256-", "SCRAM-SHA-256-PLUS-PLUS"};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_int_eq(first(&plus_offer, others[i], "n,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(
		first(&plain_offer, SCRAM_MECHANISM_PLUS, "p=tls-server-end-point,,n=,r=abc"),
		E_INVALID);
	ck_assert_int_eq(
		first(&plus_offer, SCRAM_MECHANISM_PLUS, "p=tls-server-end-point,,n=,r=abc"), OK);
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM, "n,,n=,r=abc"), OK);
}
END_TEST

START_TEST(taking_plus_off_the_list_is_noticed)
{
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "y,,n=,r=abc"), OK);
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM, "y,,n=,r=abc"), E_INVALID);
}
END_TEST

START_TEST(binding_flag_must_fit_the_mechanism)
{
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM_PLUS, "n,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM_PLUS, "y,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(
		first(&plus_offer, SCRAM_MECHANISM, "p=tls-server-end-point,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(
		first(&plus_offer, SCRAM_MECHANISM_PLUS, "p=tls-unique,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(
		first(&plus_offer, SCRAM_MECHANISM_PLUS, "p=tls-server-end-points,,n=,r=a"),
		E_PROTO);
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM_PLUS, "p,,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(first(&plus_offer, SCRAM_MECHANISM_PLUS, "p=tls"), E_INVALID);
}
END_TEST

START_TEST(authzid_and_mandatory_extensions_are_not_served)
{
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,a=root,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,,m=x,n=,r=abc"), E_INVALID);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,,n=,m=x,r=abc"), E_INVALID);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, "n,,n=,r=abc,x=y,Z=,A=b"), OK);
}
END_TEST

START_TEST(malformed_client_first_is_refused)
{
	static const char *const bad[] = {"n", "n,", "n,,", "n,,n", "n,,n=", "n,,n=,", "n,,n=,r",
		"n,,n=,r=", "n,,r=abc", "n,,n=,r=abc,", "n,,n=,r=abc,x", "n,,n=,r=abc,1=2",
		"n,,n=,r=abc,[=2", "n,,n=,r=abc,{=2", "n,,n=,r=a c", "n,,n=,r=a\x7f",
		"n,,n=,r=\xc3\xa4", "n,b,n=,r=abc", "nn=,r=abc", "z,,n=,r=abc", ",,n=,r=abc",
		"n,,n=,p=abc", "n,,n=,,r=abc"};
	char nul[] = "n,,n=,r=a?c";

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(
			first(&plain_offer, SCRAM_MECHANISM, bad[i]) == E_PROTO, "%s", bad[i]);
	ck_assert_int_eq(first(&plain_offer, SCRAM_MECHANISM, ""), E_PROTO);
	nul[9] = '\0';
	ck_assert_int_eq(first_n(&plain_offer, SCRAM_MECHANISM, nul, 11), E_PROTO);
}
END_TEST

/* client-first with a field of `len` characters at the place of the %s. */
static enum status first_with(const char *format, size_t len)
{
	static char field[16384], msg[20000];

	memset(field, 'x', len);
	field[len] = '\0';
	snprintf(msg, sizeof msg, format, field);
	return first(&plain_offer, SCRAM_MECHANISM, msg);
}

START_TEST(nonce_is_bounded)
{
	size_t max = SCRAM_NONCE_MAX - BASE64_LEN(SCRAM_RAND_LEN);

	ck_assert_int_eq(first_with("n,,n=,r=%s", 1), OK);
	ck_assert_int_eq(first_with("n,,n=,r=%s", max - 1), OK);
	ck_assert_int_eq(first_with("n,,n=,r=%s", max), OK);
	ck_assert_uint_eq(server.nonce_len, SCRAM_NONCE_MAX);
	ck_assert_int_eq(first_with("n,,n=,r=%s", max + 1), E_LIMIT);
	ck_assert_int_eq(first_with("n,,n=,r=%s", 10 * max), E_LIMIT);
}
END_TEST

START_TEST(message_is_bounded)
{
	size_t max = SCRAM_MSG_MAX - strlen("n,,n=,r=abc");

	ck_assert_int_eq(first_with("n,,n=%s,r=abc", 0), OK);
	ck_assert_int_eq(first_with("n,,n=%s,r=abc", max - 1), OK);
	ck_assert_int_eq(first_with("n,,n=%s,r=abc", max), OK);
	ck_assert_int_eq(first_with("n,,n=%s,r=abc", max + 1), E_LIMIT);
	ck_assert_int_eq(first_with("n,,n=%s,r=abc", 10 * max), E_LIMIT);
}
END_TEST

START_TEST(longest_salt_nonce_and_iterations_fit_server_first)
{
	struct scram_verifier v = vector_verifier();
	char msg[SCRAM_MSG_MAX] = "n,,n=,r=";

	memset(msg + 8, 'r', SCRAM_NONCE_MAX - BASE64_LEN(SCRAM_RAND_LEN));
	v.salt.len = SCRAM_SALT_MAX;
	v.salt.iterations = SCRAM_ITERATIONS_TOP;
	start(&v);
	ck_assert_int_eq(scram_server_first(&server, &plain_offer, SCRAM_MECHANISM, (uint8_t *)msg,
				 strlen(msg), server_rand, &out),
		OK);
	ck_assert(!out.bad);
}
END_TEST

START_TEST(malformed_client_final_is_refused)
{
#define NONCES "r=" VECTOR_NONCES
#define PROOF  "p=" VECTOR_PROOF
	static const char *const bad[] = {"", "c=biws", "c=biws," NONCES, "c=biws," NONCES ",",
		"c=biws," NONCES ",p=", "c=biws," PROOF, NONCES "," PROOF,
		"c=eSws," NONCES "," PROOF, "c=biw=," NONCES "," PROOF, "c=," NONCES "," PROOF,
		"c=biws,r=" VECTOR_NONCE "," PROOF, "c=biws,r=," PROOF, "c=biws," NONCES "x," PROOF,
		"c=biws," NONCES "," PROOF ",", "c=biws," NONCES "," PROOF ",x=y",
		"c=biws," NONCES ",x," PROOF, "c=biws," NONCES ",p=dHzb",
		"c=biws," NONCES "," PROOF "AAAA",
		"c=biws," NONCES ",p="
		"!HzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"c=biws," NONCES ",x=y", "c=biws," NONCES ",p"};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		restore_vector();
		ck_assert_msg(final(&plain_offer, bad[i], NULL) == E_PROTO, "%s", bad[i]);
		ck_assert_uint_eq(out.len, 0);
	}
}
END_TEST

START_TEST(long_client_final_is_refused)
{
	static char msg[10 * SCRAM_MSG_MAX + 1];

	memset(msg, 'x', sizeof msg - 1);
	restore_vector();
	ck_assert_int_eq(final(&plain_offer, msg, NULL), E_LIMIT);
	msg[SCRAM_MSG_MAX + 1] = '\0';
	restore_vector();
	ck_assert_int_eq(final(&plain_offer, msg, NULL), E_LIMIT);
	msg[SCRAM_MSG_MAX] = '\0';
	restore_vector();
	ck_assert_int_eq(final(&plain_offer, msg, NULL), E_PROTO);
}
END_TEST

/* client-final of our client for `server`, which has answered `out`. */
static enum status login(enum scram_binding binding, const struct scram_offer *offer,
	const uint8_t *client_cbind, size_t client_cbind_len)
{
	bool plus = binding == SCRAM_BINDING_END_POINT;
	struct scram_verifier v = vector_verifier();
	struct scram_keys keys = vector_keys();
	uint8_t buf[SCRAM_MSG_MAX];
	struct wr w = wr_of(buf, sizeof buf);
	struct scram_client c;
	enum status st;

	start(&v);
	scram_client_init(&c, binding);
	ck_assert_int_eq(scram_client_first(&c, client_rand, &w), OK);
	st = scram_server_first(&server, offer, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM,
		w.buf, w.len, server_rand, &out);
	if (st != OK)
		return st;
	ck_assert_int_eq(scram_client_take_first(&c, out.buf, out.len, 1, 4096), OK);
	w.len = out.len = 0;
	ck_assert_int_eq(scram_client_final(&c, &keys, client_cbind, client_cbind_len, &w), OK);
	st = scram_server_final(&server, offer, w.buf, w.len, &out, NULL);
	if (st == OK)
		ck_assert_int_eq(scram_client_take_final(&c, out.buf, out.len), OK);
	return st;
}

START_TEST(binding_to_the_certificate_is_checked)
{
	uint8_t other[SCRAM_CBIND_MAX];

	memcpy(other, cbind, sizeof other);
	other[31] ^= 1;
	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &plus_offer, cbind, 32), OK);
	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &plus_offer, other, 32), E_PROTO);
	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &plus_offer, cbind, 31), E_PROTO);
	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &plus_offer, cbind, 33), E_PROTO);
}
END_TEST

START_TEST(binding_data_may_be_as_long_as_sha_512)
{
	struct scram_offer offer = {.plus = true, .cbind = cbind, .cbind_len = SCRAM_CBIND_MAX};

	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &offer, cbind, SCRAM_CBIND_MAX), OK);
}
END_TEST

START_TEST(login_without_binding_with_and_without_tls)
{
	ck_assert_int_eq(login(SCRAM_BINDING_NONE, &plain_offer, NULL, 0), OK);
	ck_assert_int_eq(login(SCRAM_BINDING_NONE, &plus_offer, NULL, 0), OK);
	ck_assert_int_eq(login(SCRAM_BINDING_NOT_OFFERED, &plain_offer, NULL, 0), OK);
	ck_assert_int_eq(login(SCRAM_BINDING_NOT_OFFERED, &plus_offer, NULL, 0), E_INVALID);
	ck_assert_int_eq(login(SCRAM_BINDING_END_POINT, &plain_offer, cbind, 32), E_INVALID);
}
END_TEST

START_TEST(without_openssl_nobody_is_let_in)
{
	uint8_t unused[SCRAM_KEY_LEN];

	ck_assert_int_eq(scram_hash("", 0, unused), OK); /* all is looked up */
	for (long n = 0; n < 5; n++) {
		struct scram_keys k;
		enum status st;

		restore_vector();
		failing_crypto_after(n);
		st = final(&plain_offer, VECTOR_FINAL, &k);
		failing_crypto_after(-1);
		ck_assert_int_eq(st, E_NOMEM);
		ck_assert_uint_eq(out.len, 0);
		ck_assert_int_eq(server.step, SCRAM_SERVER_ENDED);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("scram_server");

	tcase_add_test(tc, proof_of_the_rfc_is_accepted);
	tcase_add_test(tc, server_first_joins_nonces_salt_and_iterations);
	tcase_add_test(tc, wrong_proofs_are_refused);
	tcase_add_test(tc, mock_refuses_even_the_right_proof);
	tcase_add_test(tc, each_step_is_taken_once);
	tcase_add_test(tc, secrets_are_wiped_at_the_end);
	tcase_add_test(tc, mechanism_must_have_been_offered);
	tcase_add_test(tc, taking_plus_off_the_list_is_noticed);
	tcase_add_test(tc, binding_flag_must_fit_the_mechanism);
	tcase_add_test(tc, authzid_and_mandatory_extensions_are_not_served);
	tcase_add_test(tc, malformed_client_first_is_refused);
	tcase_add_test(tc, nonce_is_bounded);
	tcase_add_test(tc, message_is_bounded);
	tcase_add_test(tc, longest_salt_nonce_and_iterations_fit_server_first);
	tcase_add_test(tc, malformed_client_final_is_refused);
	tcase_add_test(tc, long_client_final_is_refused);
	tcase_add_test(tc, binding_to_the_certificate_is_checked);
	tcase_add_test(tc, binding_data_may_be_as_long_as_sha_512);
	tcase_add_test(tc, login_without_binding_with_and_without_tls);
	tcase_add_test(tc, without_openssl_nobody_is_let_in);
	return unit_run("scram_server", tc);
}
