/*
 * The classifier on any bytes. Whatever stands before it, a write is never for a replica; two
 * texts are for a replica together only if each is; without a catalog nothing is; views of the
 * verdict lie in the text, and what they name can be asked for. Plain statements, which are not
 * walked, have the verdict that walking gives.
 */
#include "sql/calls.h"
#include "sql/classify.h"
#include "sql/fingerprint.h"
#include "sql/guc.h"

#include <stdlib.h>
#include <string.h>

#define INPUT_LEN_MAX 65536u

static const char write_after[] = "\n; DELETE FROM t";
static const char lock_after[] = "\n; SELECT 1 FROM t FOR UPDATE";
static const char call_after[] = "\n; SELECT writer(1)";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct catalog *catalog_new(bool operators)
{
	static const char *const rows[][2] = {{"encoding", "UTF8"}, {"function", "writer"},
		{"attribute", "writer"}, {"view", "v"}, {"type", "d"}, {"operator", "@!@"},
		{"builtin", "nextval"}, {"advances", "t"}, {"relation", "u"}, {"sets", "setter"},
		{"relation_sets_custom", "s"}, {"attribute", "a"}};
	struct catalog_builder *b = catalog_builder_new();
	struct catalog *c;

	PANIC_IF(b == NULL);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (operators || strcmp(rows[i][0], "operator") != 0)
			PANIC_IF(catalog_builder_add(b, rows[i][0], rows[i][1]) != OK);
	c = catalog_freeze(b);
	PANIC_IF(c == NULL);
	return c;
}

static void check_view(struct sql_view v, size_t size)
{
	PANIC_IF(v.off > size || v.len > size - v.off);
}

/* Everything that the verdict tells can be asked for. */
static void check_verdict(const char *text, size_t size, uint32_t opts, const struct sql_verdict *v)
{
	char buf[256];
	size_t len;

	check_view(v->at, size);
	PANIC_IF(v->n_effects > SQL_EFFECTS_MAX || v->cls > SQL_UNKNOWN || v->cause >= CAUSE_COUNT);
	PANIC_IF((v->cause == CAUSE_NONE) != ((v->flags & SQLV_REPLICA) != 0));
	PANIC_IF(
		(v->flags & SQLV_REPLICA) != 0 &&
		(v->cls > SQL_TXN || (v->flags & (SQLV_MAY_ADVANCE | SQLV_BODY | SQLV_LOST)) != 0));
	for (unsigned i = 0; i < v->n_effects; i++) {
		const struct sql_effect *e = &v->effects[i];

		PANIC_IF(e->kind == EFFECT_NONE || e->kind >= EFFECT_COUNT);
		PANIC_IF(e->stmt >= v->n_stmts && size <= SQL_LEN_MAX &&
			 (opts & SQL_ENC_UNSAFE) == 0);
		PANIC_IF(sql_effect_pin(e) >= SQL_PIN_COUNT);
		check_view(e->name, size);
		check_view(e->value, size);
		if (sql_effect_name(text, opts, e, buf, sizeof buf, &len) == OK)
			PANIC_IF(len >= sizeof buf || strlen(buf) > len);
		if (sql_effect_value(text, opts, e, buf, sizeof buf, &len) == OK)
			PANIC_IF(len >= sizeof buf);
	}
}

static uint32_t judge(const char *text, size_t size, uint32_t opts, const struct catalog *c)
{
	struct sql_verdict v;

	sql_classify(text, size, opts, c, &v);
	check_verdict(text, size, opts, &v);
	return v.flags;
}

/* `text` with `tail` behind it, judged. */
static uint32_t judge_with(char *buf, const char *text, size_t size, const char *tail,
	uint32_t opts, const struct catalog *c)
{
	memcpy(buf, text, size);
	strcpy(buf + size, tail);
	return judge(buf, size + strlen(tail), opts, c);
}

static void check(const char *text, size_t size, uint32_t opts, const struct catalog *c)
{
	char *buf = malloc(2 * size + 64);
	uint32_t alone = judge(text, size, opts, c);
	struct sql_verdict v;

	PANIC_IF(buf == NULL);
	sql_classify(text, size, opts, NULL, &v);
	PANIC_IF((v.flags & SQLV_REPLICA) != 0 && v.n_stmts > 0);
	PANIC_IF((judge_with(buf, text, size, write_after, opts, c) & SQLV_REPLICA) != 0);
	PANIC_IF((judge_with(buf, text, size, lock_after, opts, c) & SQLV_REPLICA) != 0);
	PANIC_IF((judge_with(buf, text, size, call_after, opts, c) & SQLV_REPLICA) != 0);
	if ((judge_with(buf, text, size, "\n; SELECT 1", opts, c) & SQLV_REPLICA) != 0)
		PANIC_IF((alone & SQLV_REPLICA) == 0);
	PANIC_IF(sql_fingerprint(text, size, opts) == 0);
	free(buf);
}

/* Where no operator is dangerous most texts go a shorter way: to the same verdict. */
static void check_plain(const char *text, size_t size, uint32_t opts, const struct catalog *plain)
{
	struct sql_verdict a, b;

	sql_classify(text, size, opts, plain, &a);
	sql_classify_walking(text, size, opts, plain, &b);
	PANIC_IF(a.cls != b.cls || a.cause != b.cause || a.flags != b.flags);
	PANIC_IF(a.n_effects != b.n_effects || a.n_stmts != b.n_stmts);
	PANIC_IF(a.at.off != b.at.off || a.at.len != b.at.len);
	PANIC_IF(memcmp(a.effects, b.effects, a.n_effects * sizeof a.effects[0]) != 0);
}

/* Arguments of calls lie in the text, and the walk ends. */
static void check_calls(const char *text, size_t size, uint32_t opts)
{
	struct sql_call call;
	struct lexer lx;
	struct token t;
	enum status st;

	if (size > SQL_LEN_MAX)
		return;
	lexer_init(&lx, text, size, opts);
	while ((st = sql_call_next(&lx, &call)) != E_NOTFOUND) {
		if (st != OK)
			continue;
		check_view(call.arg, size);
		if (sql_call_number(text, opts, &call, &t) == OK)
			PANIC_IF(t.off < call.arg.off || t.len > call.arg.len);
	}
}

static void check_options(const char *text)
{
	struct guc_options it = {text};
	struct guc_option o;
	char buf[64];

	while (guc_options_next(&it, buf, sizeof buf, &o) == OK) {
		PANIC_IF(!guc_name_is_valid(o.name, strlen(o.name)));
		PANIC_IF(o.name < buf || o.value <= o.name || o.value >= buf + sizeof buf);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* made once; a fuzz target is a program of its own */
	static struct catalog *catalog, *plain, *blind;
	char *text;

	if (size > INPUT_LEN_MAX)
		return 0;
	if (catalog == NULL) {
		catalog = catalog_new(true);
		plain = catalog_new(false);
		blind = catalog_new_blind();
		PANIC_IF(blind == NULL);
	}
	text = malloc(size + 1);
	PANIC_IF(text == NULL);
	if (size != 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check(text, size, SQL_STD_STRINGS | SQL_ENC_UTF8, catalog);
	check(text, size, SQL_STD_STRINGS, catalog);
	check(text, size, SQL_ENC_UTF8, catalog);
	check(text, size, SQL_ENC_UNSAFE, catalog);
	check(text, size, SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_SJIS, catalog);
	check(text, size, SQL_ENC_UNSAFE | SQL_ENC_DOUBLE, catalog);
	check(text, size, SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_GB18030, catalog);
	for (uint32_t opts = 0; opts < 8; opts++) {
		check_plain(text, size, opts, plain);
		check_plain(text, size, opts, blind);
	}
	check_calls(text, size, SQL_STD_STRINGS);
	check_calls(text, size, 0);
	check_options(text);
	free(text);
	return 0;
}
