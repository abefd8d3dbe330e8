/*
 * Start-up packets and the options in them. Every pointer lies inside the packet; built from what
 * was read it is the same packet again; options never need more room than their text.
 */
#include "fuzz_proto.h"
#include "proto/options.h"
#include "proto/startup.h"

static uint8_t built[2 * STARTUP_LEN_MAX];

static void try_options(const char *text)
{
	static char buf[STARTUP_LEN_MAX];
	struct rd all = rd_of(buf, strlen(text) + 1);
	const char *name, *value;
	struct options o;
	enum status st;

	PANIC_IF(all.left > sizeof buf);
	options_init(&o, text, buf, all.left);
	while ((st = options_next(&o, &name, &value)) == OK) {
		fuzz_inside_str(all, name, strlen(name));
		fuzz_inside_str(all, value, strlen(value));
		PANIC_IF(strchr(name, '-') != NULL || strchr(name, '=') != NULL);
	}
	PANIC_IF(st != E_NOTFOUND && st != E_INVALID);
	PANIC_IF(options_next(&o, &name, &value) != st);
}

static void try_message(const struct startup *s, const uint8_t *packet, size_t len)
{
	struct rd all = rd_of(packet, len), it = s->params;
	struct wr w = wr_of(built, sizeof built);
	size_t mark = startup_begin(&w, s->version);
	struct startup_param p;
	uint32_t n_pq = 0;

	while (startup_param_next(&it, &p)) {
		fuzz_inside_str(all, p.name, strlen(p.name));
		fuzz_inside_str(all, p.value, strlen(p.value));
		startup_put_param(&w, p.name, p.value);
		n_pq += p.kind == STARTUP_PARAM_PQ;
	}
	startup_end(&w, mark);
	fuzz_same(&w, packet, len);
	PANIC_IF(n_pq != s->n_pq);
	PANIC_IF(s->database[0] == '\0' && s->user[0] != '\0');
	try_options(s->options);

	w = wr_of(built, sizeof built);
	startup_put_negotiation(&w, s, STARTUP_V3_2);
	PANIC_IF(w.bad);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wr w = wr_of(built, sizeof built);
	struct startup s;
	uint32_t len;

	if (startup_read(data, size, &s, &len) != OK)
		return 0;
	PANIC_IF(len > size || len < STARTUP_HEAD_LEN || len > STARTUP_LEN_MAX);
	switch (s.kind) {
	case STARTUP_MESSAGE:
		try_message(&s, data, len);
		return 0;
	case STARTUP_CANCEL_REQUEST:
		fuzz_inside(rd_of(data, len), s.cancel_key, s.cancel_key_len);
		startup_put_cancel(&w, s.cancel_pid, s.cancel_key, s.cancel_key_len);
		break;
	case STARTUP_SSL_REQUEST:
		startup_put_ssl_request(&w);
		break;
	case STARTUP_GSSENC_REQUEST:
		return 0;
	}
	fuzz_same(&w, data, len);
	return 0;
}
