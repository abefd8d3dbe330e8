/*
 * SCRAM. The first byte of the input chooses:
 *   's'  client-first and client-final, split at the first newline, for our server: no proof of
 *        an unknown user is ever right.
 *   'c'  server-first and server-final, likewise, for our client: salt and iterations are within
 *        their bounds, and the server proves nothing without the key.
 *   't'  an exchange of our client with our server in which the rest of the input, triples of
 *        place and change, changes bytes on the way: it succeeds exactly if nothing was changed.
 *   'v'  a verifier: what is read is written as the same text.
 *   else base64: what is read is written as the same text.
 */
#include "fuzz_proto.h"
#include "proto/base64.h"
#include "proto/scram_client.h"
#include "proto/scram_server.h"

#define ITERATIONS_MIN 2u
#define ITERATIONS_MAX 4096u

static const uint8_t secret[SCRAM_KEY_LEN] = "a secret for the salts of nobody";
static const uint8_t client_rand[SCRAM_RAND_LEN] = "random of client.";
static const uint8_t server_rand[SCRAM_RAND_LEN] = "random of server.";
static const uint8_t cbind[32] = "the hash of a certificate, say.";
static const struct scram_offer offer = {true, cbind, sizeof cbind};

/* Split `in` at the first newline. */
static struct rd cut_line(struct rd *in)
{
	const uint8_t *end = in->left != 0 ? memchr(in->p, '\n', in->left) : NULL;
	struct rd line = *in;

	if (end != NULL)
		line.left = (size_t)(end - in->p);
	rd_skip(in, line.left + (end != NULL));
	return line;
}

static void try_server(struct rd in)
{
	bool plus = rd_u8(&in) == '+';
	struct rd first = cut_line(&in);
	uint8_t buf[SCRAM_MSG_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct scram_verifier v;
	struct scram_server s;
	enum status st;

	scram_verifier_mock(secret, "nobody", 4096, &v);
	scram_server_init(&s, &v);
	st = scram_server_first(&s, &offer, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM, first.p,
		first.left, server_rand, &out);
	PANIC_IF(out.bad || (st == OK) != (out.len > 0));
	PANIC_IF(st == OK && s.nonce_len > SCRAM_NONCE_MAX);
	out.len = 0;
	PANIC_IF(scram_server_final(&s, &offer, in.p, in.left, &out, NULL) == OK);
	PANIC_IF(out.len != 0);
}

static void try_client(struct rd in)
{
	static const struct scram_keys keys = {.client_key = "ck", .server_key = "sk"};
	struct rd first = cut_line(&in);
	uint8_t buf[SCRAM_MSG_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct scram_client c;

	scram_client_init(&c, SCRAM_BINDING_NONE);
	PANIC_IF(scram_client_first(&c, client_rand, &out) != OK);
	if (scram_client_take_first(&c, first.p, first.left, ITERATIONS_MIN, ITERATIONS_MAX) != OK)
		return;
	PANIC_IF(c.salt.iterations < ITERATIONS_MIN || c.salt.iterations > ITERATIONS_MAX);
	PANIC_IF(c.salt.len == 0 || c.salt.len > SCRAM_SALT_MAX);
	PANIC_IF(c.nonce_len > SCRAM_NONCE_MAX);
	PANIC_IF(scram_client_final(&c, &keys, NULL, 0, &out) != OK || out.bad);
	PANIC_IF(scram_client_take_final(&c, in.p, in.left) == OK);
	PANIC_IF(scram_client_is_done(&c));
}

/* The way between the two, and what changes on it. */
struct wire {
	struct rd changes; /* triples: place (2 bytes, counted from the start), change */
	uint32_t n_passed;
	uint32_t n_changed;
};

/* Change one byte of a message, if the next place lies in it. */
static void pass(struct wire *x, struct wr *msg)
{
	struct rd r = x->changes;
	uint32_t place = rd_u16(&r);
	uint8_t change = rd_u8(&r);

	if (!r.bad && place >= x->n_passed && place - x->n_passed < msg->len && change != 0) {
		msg->buf[place - x->n_passed] ^= change;
		x->changes = r;
		x->n_changed++;
	}
	x->n_passed += (uint32_t)msg->len;
}

static enum status exchange(struct wire *x, bool plus, struct scram_client *c,
	struct scram_server *s, const struct scram_keys *keys)
{
	const struct scram_offer o = {plus, cbind, sizeof cbind};
	uint8_t up_buf[SCRAM_MSG_MAX], down_buf[SCRAM_MSG_MAX];
	struct wr up = wr_of(up_buf, sizeof up_buf), down = wr_of(down_buf, sizeof down_buf);
	enum status st;

	if ((st = scram_client_first(c, client_rand, &up)) != OK)
		return st;
	pass(x, &up);
	st = scram_server_first(s, &o, plus ? SCRAM_MECHANISM_PLUS : SCRAM_MECHANISM, up.buf,
		up.len, server_rand, &down);
	if (st != OK)
		return st;
	pass(x, &down);
	if ((st = scram_client_take_first(c, down.buf, down.len, 1, ITERATIONS_MAX)) != OK)
		return st;
	up.len = down.len = 0;
	if ((st = scram_client_final(c, keys, cbind, sizeof cbind, &up)) != OK)
		return st;
	pass(x, &up);
	if ((st = scram_server_final(s, &o, up.buf, up.len, &down, NULL)) != OK)
		return st;
	pass(x, &down);
	return scram_client_take_final(c, down.buf, down.len);
}

static void try_tampering(struct rd in)
{
	struct scram_salt salt = {.iterations = ITERATIONS_MIN, .len = 8, .bytes = "saltsalt"};
	bool plus = rd_u8(&in) == '+';
	struct wire x = {.changes = in};
	struct scram_verifier v;
	struct scram_keys keys;
	struct scram_client c;
	struct scram_server s;
	enum status st;

	PANIC_IF(scram_derive("pw", &salt, &keys) != OK);
	PANIC_IF(scram_verifier_of(&keys, &salt, &v) != OK);
	scram_server_init(&s, &v);
	scram_client_init(&c, plus ? SCRAM_BINDING_END_POINT : SCRAM_BINDING_NOT_OFFERED);
	st = exchange(&x, plus, &c, &s, &keys);
	PANIC_IF((st == OK) != (x.n_changed == 0));
	PANIC_IF(scram_client_is_done(&c) != (st == OK));
}

static void try_verifier(struct rd in)
{
	char text[2048], again[SCRAM_VERIFIER_MAX];
	struct wr w = wr_of(again, sizeof again);
	struct scram_verifier v;

	if (in.left >= sizeof text)
		return;
	memcpy(text, in.p, in.left);
	text[in.left] = '\0';
	if (scram_verifier_read(text, &v) != OK)
		return;
	scram_verifier_put(&w, &v);
	fuzz_same(&w, (const uint8_t *)text, strlen(text) + 1);
}

static void try_base64(struct rd in)
{
	uint8_t raw[512], again[BASE64_LEN(sizeof raw)];
	struct wr w = wr_of(again, sizeof again);
	size_t len;

	if (base64_read((const char *)in.p, in.left, raw, sizeof raw, &len) != OK)
		return;
	base64_put(&w, raw, len);
	fuzz_same(&w, in.p, in.left);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rd in = rd_of(data, size);

	if (size > FUZZ_INPUT_MAX)
		return 0;
	switch (rd_u8(&in)) {
	case 's':
		try_server(in);
		break;
	case 'c':
		try_client(in);
		break;
	case 't':
		try_tampering(in);
		break;
	case 'v':
		try_verifier(in);
		break;
	default:
		try_base64(in);
		break;
	}
	return 0;
}
