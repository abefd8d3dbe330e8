#include "proto/startup.h"

#include <strings.h>

#define REQUEST_CODE(n) STARTUP_VERSION(1234, n)

enum {
	CODE_CANCEL = REQUEST_CODE(5678),
	CODE_SSL = REQUEST_CODE(5679),
	CODE_GSSENC = REQUEST_CODE(5680),
};

enum status startup_peek(const uint8_t *p, size_t avail, uint32_t *len)
{
	struct rd r = rd_of(p, avail);
	uint32_t n = rd_u32(&r);

	if (r.bad)
		return E_AGAIN;
	if (n < STARTUP_HEAD_LEN)
		return E_PROTO;
	if (n > STARTUP_LEN_MAX)
		return E_LIMIT;
	*len = n;
	return OK;
}

/* Is `s` the beginning of `word`, `min` letters at least? Case does not matter. */
static bool is_short_for(const char *s, const char *word, size_t min)
{
	size_t n = strlen(s);

	return n >= min && n <= strlen(word) && strncasecmp(s, word, n) == 0;
}

/* As PostgreSQL: "database", or a boolean in any of the ways that it may be written. */
static enum startup_replication read_replication(const char *s)
{
	if (strcmp(s, "database") == 0)
		return STARTUP_REPLICATION_DATABASE;
	if (is_short_for(s, "true", 1) || is_short_for(s, "yes", 1) || is_short_for(s, "on", 2) ||
		strcmp(s, "1") == 0)
		return STARTUP_REPLICATION_PHYSICAL;
	if (is_short_for(s, "false", 1) || is_short_for(s, "no", 1) || is_short_for(s, "off", 2) ||
		strcmp(s, "0") == 0)
		return STARTUP_REPLICATION_OFF;
	return STARTUP_REPLICATION_INVALID;
}

static enum startup_param_kind kind_of(const char *name)
{
	static const char *const login[] = {"user", "database", "options", "replication"};

	if (strncmp(name, "_pq_.", 5) == 0)
		return STARTUP_PARAM_PQ;
	for (size_t i = 0; i < sizeof login / sizeof login[0]; i++)
		if (strcmp(name, login[i]) == 0)
			return STARTUP_PARAM_LOGIN;
	return STARTUP_PARAM_SETTING;
}

bool startup_param_next(struct rd *params, struct startup_param *out)
{
	out->name = rd_cstr(params);
	if (out->name[0] == '\0')
		return false;
	out->value = rd_cstr(params);
	out->kind = kind_of(out->name);
	return !params->bad;
}

static void note_login(struct startup *s, const struct startup_param *p)
{
	switch (p->name[0]) {
	case 'u':
		s->user = p->value;
		break;
	case 'd':
		s->database = p->value;
		break;
	case 'o':
		s->options = p->value;
		break;
	default:
		s->replication_text = p->value;
		s->replication = read_replication(p->value);
		break;
	}
}

static enum status read_message(struct rd r, struct startup *out)
{
	struct startup_param p;

	if (startup_major(out) != 3)
		return E_INVALID;
	out->params = r;
	while (startup_param_next(&r, &p)) {
		if (p.kind == STARTUP_PARAM_PQ)
			out->n_pq++;
		else if (p.kind == STARTUP_PARAM_LOGIN)
			note_login(out, &p);
	}
	if (r.bad || r.left != 0)
		return E_PROTO;
	if (out->database[0] == '\0')
		out->database = out->user;
	return OK;
}

static enum status read_cancel(struct rd r, struct startup *out)
{
	out->cancel_pid = rd_u32(&r);
	out->cancel_key_len = (uint32_t)r.left;
	out->cancel_key = r.p;
	if (r.bad || r.left < STARTUP_KEY_MIN || r.left > STARTUP_KEY_MAX)
		return E_PROTO;
	return OK;
}

static enum status read_packet(struct rd r, struct startup *out)
{
	out->version = rd_u32(&r);
	switch (out->version) {
	case CODE_SSL:
		out->kind = STARTUP_SSL_REQUEST;
		return r.left == 0 ? OK : E_PROTO;
	case CODE_GSSENC:
		out->kind = STARTUP_GSSENC_REQUEST;
		return r.left == 0 ? OK : E_PROTO;
	case CODE_CANCEL:
		out->kind = STARTUP_CANCEL_REQUEST;
		return read_cancel(r, out);
	default:
		out->kind = STARTUP_MESSAGE;
		return read_message(r, out);
	}
}

enum status startup_read(const uint8_t *p, size_t avail, struct startup *out, uint32_t *len)
{
	enum status st = startup_peek(p, avail, len);

	if (st != OK)
		return st;
	if (avail < *len)
		return E_AGAIN;
	*out = (struct startup){
		.user = "",
		.database = "",
		.options = "",
		.replication_text = "",
		.params = rd_of(NULL, 0),
	};
	return read_packet(rd_of(p + 4, *len - 4u), out);
}

bool startup_needs_negotiation(const struct startup *s, uint32_t newest)
{
	return s->version > newest || s->n_pq != 0;
}

void startup_put_negotiation(struct wr *w, const struct startup *s, uint32_t newest)
{
	struct rd params = s->params;
	struct startup_param p;
	size_t mark = wr_msg(w, 'v');

	wr_u32(w, s->version < newest ? s->version : newest);
	wr_u32(w, s->n_pq);
	while (startup_param_next(&params, &p))
		if (p.kind == STARTUP_PARAM_PQ)
			wr_cstr(w, p.name);
	wr_end(w, mark);
}

size_t startup_begin(struct wr *w, uint32_t version)
{
	size_t mark = w->len;

	wr_u32(w, 0);
	wr_u32(w, version);
	return mark;
}

void startup_put_param(struct wr *w, const char *name, const char *value)
{
	if (name[0] == '\0')
		w->bad = true;
	wr_cstr(w, name);
	wr_cstr(w, value);
}

void startup_end(struct wr *w, size_t mark)
{
	wr_u8(w, 0);
	if (w->len - mark > STARTUP_LEN_MAX)
		w->bad = true;
	wr_end(w, mark);
}

void startup_put_ssl_request(struct wr *w)
{
	wr_u32(w, STARTUP_HEAD_LEN);
	wr_u32(w, CODE_SSL);
}

void startup_put_cancel(struct wr *w, uint32_t pid, const uint8_t *key, size_t key_len)
{
	size_t mark = startup_begin(w, CODE_CANCEL);

	PANIC_IF(key_len < STARTUP_KEY_MIN || key_len > STARTUP_KEY_MAX);
	wr_u32(w, pid);
	wr_bytes(w, key, key_len);
	wr_end(w, mark);
}
