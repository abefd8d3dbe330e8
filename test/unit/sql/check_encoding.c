/* Names of encodings, and texts in those whose characters hide ASCII bytes. */
#include "sql/encoding.h"

#include <string.h>

#include "sql/classify.h"

#include "names.h"

#define SJIS (SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_SJIS)
#define BIG5 (SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_DOUBLE)
#define GB   (SQL_STD_STRINGS | SQL_ENC_UNSAFE | SQL_ENC_GB18030)

START_TEST(names_are_taken_as_the_server_takes_them)
{
	static const struct {
		const char *name;
		uint32_t opts;
	} cases[] = {
		{"UTF8", SQL_ENC_UTF8},
		{"utf-8", SQL_ENC_UTF8},
		{"Unicode", SQL_ENC_UTF8},
		{"LATIN1", 0},
		{"iso-8859-15", 0},
		{"EUC_JIS_2004", 0},
		{"WIN1252", 0},
		{"windows-874", 0},
		{"SQL_ASCII", 0},
		{"KOI8U", 0},
		{"MULE_INTERNAL", 0},
		{"SJIS", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
		{"Shift-JIS", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
		{"SHIFT_JIS_2004", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
		{"big-5", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
		{"GBK", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
		{"windows-949", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
		{"g b 1 8 0 3 0", SQL_ENC_UNSAFE | SQL_ENC_GB18030},
		{"JOHAB", SQL_ENC_UNSAFE},
		{"of tomorrow", SQL_ENC_UNSAFE},
		{"", SQL_ENC_UNSAFE},
		{"a name that is longer than any that the server has ever had", SQL_ENC_UNSAFE},
		{NULL, SQL_ENC_UNSAFE},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		ck_assert_msg(encoding_opts(cases[i].name) == cases[i].opts, "%s", cases[i].name);
}
END_TEST

START_TEST(characters_are_masked_whole)
{
	char to[16];

	ck_assert(encoding_mask(to, "a\x95\\'\xb1'", 6, SJIS)); /* one of two bytes, one of one */
	ck_assert_str_eq(to, "a\x80\x80'\x80'");
	ck_assert(encoding_mask(to, "\xa5\\x", 3, BIG5));
	ck_assert_str_eq(to, "\x80\x80x");
	ck_assert(encoding_mask(to, "\x81\x30\x81\x30\x81\\", 6, GB));
	ck_assert_str_eq(to, "\x80\x80\x80\x80\x80\x80");
	ck_assert(!encoding_mask(to, "a\x95", 2, SJIS));
	ck_assert(!encoding_mask(to, "a\x81\x30\x81", 4, GB));
	ck_assert(!encoding_mask(to, "a\x81\x30\n;", 5, GB));
	ck_assert(!encoding_mask(to, "a\xa5';", 4, BIG5));
	ck_assert(!encoding_mask(to, "a", 1, SQL_ENC_UNSAFE));
}
END_TEST

struct text {
	const char *sql;
	uint32_t opts;
	enum sql_class cls;
	enum sql_cause cause;
};

/* clang-format off */
static const struct text texts[] = {
	/* no character of several bytes: read as anywhere */
	{"SELECT a FROM t", SQL_STD_STRINGS | SQL_ENC_UNSAFE, SQL_READ, CAUSE_NONE},
	{"SELECT writer(1)", SJIS, SQL_WRITE, CAUSE_FUNCTION},
	{"SELECT E'\\'' || writer(1)", SJIS, SQL_WRITE, CAUSE_FUNCTION},
	/* 0x5c as a second byte */
	{"SELECT '\x95\\'", SJIS, SQL_READ, CAUSE_NONE},
	{"SELECT E'\x95\\', writer(1)", SJIS, SQL_WRITE, CAUSE_FUNCTION},
	{"SELECT E'\x95\\\\', writer(1), '", SJIS, SQL_READ, CAUSE_NONE},
	{"SELECT '\x95\\', writer(1)", SQL_ENC_UNSAFE | SQL_ENC_SJIS, SQL_WRITE, CAUSE_FUNCTION},
	{"SELECT E'\xb1\\', writer(1)'", SJIS, SQL_READ, CAUSE_NONE},
	{"SELECT '\xa5\\' FROM t; DELETE FROM t", BIG5, SQL_WRITE, CAUSE_VERB},
	{"SELECT E'\x81\x30\x81\x30\\'', 1", GB, SQL_READ, CAUSE_NONE},
	/* a name that cannot be compared */
	{"SELECT \x95\\ FROM t", SJIS, SQL_READ, CAUSE_NAME},
	{"SELECT 1 AS \x95\\" "E'\\'; SET x = 1; --'", SJIS, SQL_UNKNOWN, CAUSE_ENCODING},
	/* nothing is known of its characters */
	{"SELECT '\x95\\'", SQL_STD_STRINGS | SQL_ENC_UNSAFE, SQL_UNKNOWN, CAUSE_ENCODING},
	/* what would have to be read again from the bytes */
	{"SET application_name = '\x95\\'", SJIS, SQL_UNKNOWN, CAUSE_ENCODING},
	{"SET application_name = 'x'", SJIS, SQL_SESSION, CAUSE_SETTING},
};
/* clang-format on */

START_TEST(texts_are_read_by_character)
{
	struct catalog *catalog = names_catalog_without("operator");
	struct sql_verdict v;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		const struct text *t = &texts[i];

		sql_classify(t->sql, strlen(t->sql), t->opts, catalog, &v);
		ck_assert_msg(v.cls == t->cls && v.cause == t->cause, "%zu: %s, %s: %s", i,
			sql_class_name((enum sql_class)v.cls),
			sql_cause_text((enum sql_cause)v.cause), t->sql);
	}
	catalog_free(catalog);
}
END_TEST

START_TEST(long_texts_with_such_characters_are_not_read)
{
	static char text[ENCODING_TEXT_MAX + 16] = "SELECT '\x95\\'";
	struct catalog *catalog = names_catalog();
	struct sql_verdict v;

	memset(text + 11, ' ', ENCODING_TEXT_MAX - 11);
	sql_classify(text, ENCODING_TEXT_MAX, SJIS, catalog, &v);
	ck_assert_int_eq(v.cause, CAUSE_NONE);
	text[ENCODING_TEXT_MAX] = ' ';
	sql_classify(text, ENCODING_TEXT_MAX + 1, SJIS, catalog, &v);
	ck_assert_int_eq(v.cause, CAUSE_ENCODING);
	ck_assert_int_eq(v.effects[0].kind, EFFECT_UNKNOWN);
	catalog_free(catalog);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("encoding");

	tcase_add_test(tc, names_are_taken_as_the_server_takes_them);
	tcase_add_test(tc, characters_are_masked_whole);
	tcase_add_test(tc, texts_are_read_by_character);
	tcase_add_test(tc, long_texts_with_such_characters_are_not_read);
	return unit_run("encoding", tc);
}
