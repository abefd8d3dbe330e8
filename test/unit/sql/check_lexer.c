#include "sql/lexer.h"

#include <stdio.h>
#include <string.h>

#include "sql/word.h"

#include "../unit.h"

/* One letter a token kind. */
static const char letters[] = {[TOKEN_WORD] = 'w',
	[TOKEN_QUOTED] = 'q',
	[TOKEN_UQUOTED] = 'u',
	[TOKEN_PUNCT] = 'p',
	[TOKEN_OP] = 'o',
	[TOKEN_STRING] = 's',
	[TOKEN_ESTRING] = 'e',
	[TOKEN_USTRING] = 'U',
	[TOKEN_DOLLAR] = 'd',
	[TOKEN_BIT] = 'b',
	[TOKEN_INTEGER] = 'i',
	[TOKEN_FLOAT] = 'f',
	[TOKEN_PARAM] = '$',
	[TOKEN_COMMENT] = 'C',
	[TOKEN_OTHER] = '?',
	[TOKEN_BAD] = '!'};

/* "w:select i:1", token by token, joined by blanks. */
static const char *lexed(const char *text, uint32_t opts)
{
	static char out[1024];
	struct lexer lx;
	struct token t;
	size_t n = 0;

	lexer_init(&lx, text, strlen(text), opts);
	out[0] = '\0';
	for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t)) {
		ck_assert_uint_lt(n + t.len + 8, sizeof out);
		n += (size_t)snprintf(out + n, sizeof out - n, "%s%c:%.*s", n != 0 ? " " : "",
			letters[t.kind], (int)t.len, text + t.off);
	}
	return out;
}

struct sample {
	const char *text;
	const char *tokens;
};

/* clang-format off */
static const struct sample samples[] = {
	{"", ""},
	{" \t\n\r\f\v", ""},
	{"select 1", "w:select i:1"},
	{"a.b,(c)[1];", "w:a p:. w:b p:, p:( w:c p:) p:[ i:1 p:] p:;"},
	/* comments */
	{"1--x\n2", "i:1 i:2"},
	{"1--x\r2", "i:1 i:2"},
	{"--", ""},
	{"1 --x", "i:1"},
	{"1/*x*/2", "i:1 i:2"},
	{"/* /* */ */ 1", "i:1"},
	{"/* /* */ 1", "!:/* /* */ 1"},
	{"/*/", "!:/*/"},
	{"/**/1", "i:1"},
	{"/***/1", "i:1"},
	{"/*/**/*/1", "i:1"},
	{"/*//**/*/1", "i:1"},
	{"/* -- */ 1", "i:1"},
	{"-- /*\n1", "i:1"},
	/* words */
	{"_a$1 \xc3\xa9t\xc3\xa9", "w:_a$1 w:\xc3\xa9t\xc3\xa9"},
	{"a\xc2\xa0" "b", "w:a\xc2\xa0" "b"}, /* a no-break space is no blank */
	{"x$$, y$$", "w:x$$ p:, w:y$$"},
	{"SELECT", "w:SELECT"},
	/* strings */
	{"'a''b'", "s:'a''b'"},
	{"'a\\'", "s:'a\\'"},
	{"'a", "!:'a"},
	{"'a'''", "s:'a'''"},
	{"'a''", "!:'a''"},
	{"'a' 'b'", "s:'a' s:'b'"},
	{"'a'\n'b'", "s:'a'\n'b'"},
	{"'a' \t\r 'b'", "s:'a' \t\r 'b'"},
	{"'a' --x\n 'b' 'c'", "s:'a' --x\n 'b' s:'c'"},
	{"'a'\n--x\n--y\n'b'", "s:'a'\n--x\n--y\n'b'"},
	{"'a' --'b'", "s:'a'"},
	{"'a' --x\r'b'", "s:'a' --x\r'b'"},
	{"'a'\n/*x*/'b'", "s:'a' s:'b'"},
	{"'a'\n", "s:'a'"},
	{"e'a\\'b'", "e:e'a\\'b'"},
	{"E'a\\\\'", "e:E'a\\\\'"},
	{"E'a\\", "!:E'a\\"},
	{"E'a\\'", "!:E'a\\'"},
	{"E'a'\n'\\''", "e:E'a'\n'\\''"},
	{"ne'a'", "w:ne s:'a'"},
	{"name'a\\'", "w:name s:'a\\'"},
	{"e 'a'", "w:e s:'a'"},
	{"N'a\\'", "s:N'a\\'"},
	{"b'01' X'fF'", "b:b'01' b:X'fF'"},
	{"B'1''0'", "b:B'1' s:'0'"},
	{"B'1'\n'0'", "b:B'1'\n'0'"},
	{"U&'a\\'", "U:U&'a\\'"},
	{"u&'a''b' uescape '!'", "U:u&'a''b' w:uescape s:'!'"},
	{"u &'a'", "w:u o:& s:'a'"},
	{"u&a", "w:u o:& w:a"},
	{"xu&'a'", "w:xu o:& s:'a'"},
	{"e&'a'", "w:e o:& s:'a'"},
	/* quoted names */
	{"\"a\"\"b\" \"\"", "q:\"a\"\"b\" q:\"\""},
	{"\"a", "!:\"a"},
	{"\"a\"\"", "!:\"a\"\""},
	{"\"", "!:\""},
	{"\"\"", "q:\"\""},
	{"\"\"\"\"", "q:\"\"\"\""},
	{"\"\"\"", "!:\"\"\""},
	{"U&\"a\"\"\\\"b", "u:U&\"a\"\"\\\" w:b"},
	{"u&\"", "!:u&\""},
	{"\"a\"\n\"b\"", "q:\"a\" q:\"b\""},
	/* dollar quotes */
	{"$$a$$", "d:$$a$$"},
	{"$a$b$$a$", "d:$a$b$$a$"},
	{"$a$b$A$ $a$", "d:$a$b$A$ $a$"},
	{"$a$x$ab$a$", "d:$a$x$ab$a$"},
	{"$$x$a$$", "d:$$x$a$$"},
	{"$\xc3\xa9$x$\xc3\xa9$", "d:$\xc3\xa9$x$\xc3\xa9$"},
	{"$a$b", "!:$a$b"},
	{"$$", "!:$$"},
	{"$1 $12a", "$:$1 $:$12 w:a"},
	{"$1$ $1$", "$:$1 ?:$ $:$1 ?:$"},
	{"$a 1", "?:$ w:a i:1"},
	{"$", "?:$"},
	{"$a", "?:$ w:a"},
	{"a$b$c$b$", "w:a$b$c$b$"},
	/* numbers */
	{"1 1.5 1. .5 1e5 1.e5 .5E-3 1E+2", "i:1 f:1.5 f:1. f:.5 f:1e5 f:1.e5 f:.5E-3 f:1E+2"},
	{"1e 1e+ 1.5ex", "i:1 w:e i:1 w:e o:+ f:1.5 w:ex"},
	{"1..2", "i:1 p:.. i:2"},
	{"1for 0x1F 0xg 0b12 0o78", "i:1 w:for i:0x1F i:0 w:xg i:0b1 i:2 i:0o7 i:8"},
	{"1_000 1__0 1_", "i:1_000 i:1 w:__0 i:1 w:_"},
	{"0b'1'", "i:0 b:b'1'"},
	{"a.5", "w:a f:.5"},
	{"a.b", "w:a p:. w:b"},
	{"1.5.6", "f:1.5 f:.6"},
	/* operators */
	{"a<=b a=>b a<>b a!=b", "w:a o:<= w:b w:a o:=> w:b w:a o:<> w:b w:a o:!= w:b"},
	{"1+-2", "i:1 o:+ o:- i:2"},
	{"a*-b", "w:a o:* o:- w:b"},
	{"a@-b", "w:a o:@- w:b"},
	{"a->>b", "w:a o:->> w:b"},
	{"a=-1", "w:a o:= o:- i:1"},
	{"a+/*x*/b", "w:a o:+ w:b"},
	{"a+--x\nb", "w:a o:+ w:b"},
	{"a@!@b", "w:a o:@!@ w:b"},
	{"a?b", "w:a o:? w:b"},
	{"~~* !~", "o:~~* o:!~"},
	{"a::int := : b", "w:a p::: w:int p::= p:: w:b"},
	{"<@-+", "o:<@-+"},
	{"--+", ""},
	{"*/", "o:*/"},
	/* others */
	{"\\ a", "?:\\ w:a"},
	{"{}", "?:{ ?:}"},
	{"\x01", "?:\x01"},
};
/* clang-format on */

START_TEST(tokens_are_those_of_the_server)
{
	const struct sample *s = &samples[_i];

	ck_assert_str_eq(lexed(s->text, SQL_STD_STRINGS), s->tokens);
}
END_TEST

START_TEST(backslashes_escape_without_standard_strings)
{
	ck_assert_str_eq(lexed("'a\\'b' c", 0), "e:'a\\'b' w:c");
	ck_assert_str_eq(lexed("N'a\\'b' c", 0), "e:N'a\\'b' w:c");
	ck_assert_str_eq(lexed("U&'a\\' c", 0), "U:U&'a\\' w:c");
	ck_assert_str_eq(lexed("\"a\\\" c", 0), "q:\"a\\\" w:c");
	ck_assert_str_eq(lexed("$$a\\$$ c", 0), "d:$$a\\$$ w:c");
}
END_TEST

static struct token first(const char *text)
{
	struct lexer lx;
	struct token t;

	lexer_init(&lx, text, strlen(text), SQL_STD_STRINGS);
	lexer_next(&lx, &t);
	return t;
}

START_TEST(hash_is_that_of_the_folded_name)
{
	ck_assert_uint_eq(first("NextVal").hash, word_hash("nextval", 7));
	ck_assert_uint_eq(first("\"nextval\"").hash, word_hash("nextval", 7));
	ck_assert_uint_eq(first("\"a\"\"b\"").hash, word_hash("a\"b", 3));
	ck_assert_uint_ne(first("\"NextVal\"").hash, word_hash("nextval", 7));
	ck_assert_uint_eq(first("\xc3\x89").hash, word_hash("\xc3\x89", 2)); /* É stays É */
	ck_assert_uint_eq(first("1").hash, 0);
	ck_assert_uint_eq(first("(").hash, 0);
}
END_TEST

START_TEST(key_words_are_known_unless_quoted)
{
	ck_assert_int_eq(first("sElEcT").word, WORD_SELECT);
	ck_assert_int_eq(first("\"select\"").word, NOT_A_WORD);
	ck_assert_int_eq(first("selects").word, NOT_A_WORD);
	ck_assert_int_eq(first("begin").word, WORD_BEGIN);
	ck_assert_int_eq(first("update").word, WORD_UPDATE);
	ck_assert_int_eq(first("nextval").word, WORD_NEXTVAL);
	ck_assert_int_eq(first("explain").word, WORD_EXPLAIN);
}
END_TEST

START_TEST(nul_ends_the_text_as_bad)
{
	static const char *const texts[] = {"a\0b", "'a\0b", "\"a\0b", "a\0"};
	static const size_t lens[] = {3, 4, 4, 2};

	for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
		struct lexer lx;
		struct token t;
		bool bad = false;

		lexer_init(&lx, texts[i], lens[i], SQL_STD_STRINGS);
		for (lexer_next(&lx, &t); t.kind != TOKEN_END; lexer_next(&lx, &t))
			bad = bad || t.kind == TOKEN_BAD;
		ck_assert(bad);
		lexer_next(&lx, &t);
		ck_assert_int_eq(t.kind, TOKEN_END);
	}
}
END_TEST

START_TEST(view_is_lexed_as_part_of_its_text)
{
	const char *text = "SET a = 'x', b ;";
	struct lexer lx;
	struct token t;

	lexer_init_view(&lx, text, (struct sql_view){.off = 8, .len = 6}, SQL_STD_STRINGS);
	lexer_next(&lx, &t);
	ck_assert_int_eq(t.kind, TOKEN_STRING);
	ck_assert_uint_eq(t.off, 8);
	lexer_next(&lx, &t);
	ck_assert(t.c == ',' && lexer_is_inside(&lx, &t));
	lexer_next(&lx, &t);
	ck_assert(t.kind == TOKEN_WORD && lexer_is_inside(&lx, &t));
	lexer_next(&lx, &t);
	ck_assert(!lexer_is_inside(&lx, &t));
}
END_TEST

/* What stands behind a view must not stop it from ending. */
START_TEST(view_ends_whatever_follows_it)
{
	static const char *const texts[] = {
		"ab--x\n", "ab /*", "ab'c", "ab$$", "ab\"c", "ab.c", "abc"};

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct lexer lx;
		struct token t;
		unsigned n = 0;

		lexer_init_view(&lx, texts[i], (struct sql_view){.off = 0, .len = 2}, 0);
		for (lexer_next(&lx, &t); lexer_is_inside(&lx, &t); lexer_next(&lx, &t))
			n++;
		ck_assert_uint_eq(n, 1);
	}
}
END_TEST

struct bytes {
	const char *text;
	enum text_bytes as_utf8;
	enum text_bytes as_other;
};

START_TEST(encoding_is_checked_as_the_server_does)
{
	/* clang-format off */
	static const struct bytes cases[] = {
		{"", TEXT_ASCII, TEXT_ASCII},
		{"SELECT 'eight or more bytes'", TEXT_ASCII, TEXT_ASCII},
		{"\xc3\xa9", TEXT_HIGH, TEXT_HIGH},
		{"12345678\xe2\x82\xac", TEXT_HIGH, TEXT_HIGH},
		{"\xf0\x9f\x98\x80 and so on, longer", TEXT_HIGH, TEXT_HIGH},
		{"\xf4\x8f\xbf\xbf", TEXT_HIGH, TEXT_HIGH},
		{"\xf4\x90\x80\x80", TEXT_BAD, TEXT_HIGH},  /* above U+10FFFF */
		{"\xc0\x80", TEXT_BAD, TEXT_HIGH},          /* not the shortest form */
		{"\xc1\xbf", TEXT_BAD, TEXT_HIGH},
		{"\xe0\x9f\xbf", TEXT_BAD, TEXT_HIGH},
		{"\xf0\x8f\xbf\xbf", TEXT_BAD, TEXT_HIGH},
		{"\xed\xa0\x80", TEXT_BAD, TEXT_HIGH},      /* a surrogate */
		{"\xc3", TEXT_BAD, TEXT_HIGH},              /* cut */
		{"\xe2\x82", TEXT_BAD, TEXT_HIGH},
		{"\xe2\x82x", TEXT_BAD, TEXT_HIGH},
		{"\xf0\x9f\x98", TEXT_BAD, TEXT_HIGH},
		{"\x80", TEXT_BAD, TEXT_HIGH},
		{"\xff\xd8", TEXT_BAD, TEXT_HIGH},
		{"1234567\xff", TEXT_BAD, TEXT_HIGH},
	};
	/* clang-format on */

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct bytes *c = &cases[i];

		ck_assert_int_eq(lexer_inspect(c->text, strlen(c->text), true), c->as_utf8);
		ck_assert_int_eq(lexer_inspect(c->text, strlen(c->text), false), c->as_other);
	}
	for (size_t nul = 0; nul < 20; nul++) {
		char text[20];

		memset(text, 'a', sizeof text);
		text[nul] = '\0';
		ck_assert_int_eq(lexer_inspect(text, sizeof text, true), TEXT_BAD);
		ck_assert_int_eq(lexer_inspect(text, sizeof text, false), TEXT_BAD);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lexer");

	tcase_add_loop_test(
		tc, tokens_are_those_of_the_server, 0, (int)(sizeof samples / sizeof samples[0]));
	tcase_add_test(tc, backslashes_escape_without_standard_strings);
	tcase_add_test(tc, hash_is_that_of_the_folded_name);
	tcase_add_test(tc, key_words_are_known_unless_quoted);
	tcase_add_test(tc, nul_ends_the_text_as_bad);
	tcase_add_test(tc, view_is_lexed_as_part_of_its_text);
	tcase_add_test(tc, view_ends_whatever_follows_it);
	tcase_add_test(tc, encoding_is_checked_as_the_server_does);
	return unit_run("lexer", tc);
}
