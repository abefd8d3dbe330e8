/*
 * lexer - PostgreSQL's lexical rules as a token iterator over one text. Tokens are views.
 * Owns:    nothing; the text is borrowed for as long as the lexer is used.
 * Touches: nothing else; no allocation, no recursion, one pass.
 * Bounds:  text of at most SQL_LEN_MAX bytes; every call of lexer_next makes progress.
 * Source:  PostgreSQL src/backend/parser/scan.l (behaviour of versions 13 to 18, see lexer.c
 *          where they differ) and the manual's chapter "Lexical Structure".
 */
#ifndef PGWEIR_SQL_LEXER_H
#define PGWEIR_SQL_LEXER_H

#include "base/status.h"

#define SQL_NAME_MAX 63u        /* bytes of an identifier; PostgreSQL's NAMEDATALEN - 1 */
#define SQL_LEN_MAX  (1u << 20) /* bytes; 1 MiB lexes in about 2 ms, longer texts are not judged */

/* How the server will read a text; the caller has it from the client's ParameterStatus values. */
#define SQL_STD_STRINGS 0x1u /* standard_conforming_strings = on */
#define SQL_ENC_UTF8    0x2u /* client_encoding = UTF8: the text is validated */
/*
 * client_encoding is SJIS, BIG5, GBK, UHC, GB18030, JOHAB or unknown: the second byte of a
 * character may be an ASCII byte, so nothing can be lexed. Neither flag: another encoding, in
 * which bytes below 0x80 are ASCII (LATIN*, WIN*, KOI8*, ISO*, EUC_*, SQL_ASCII).
 */
#define SQL_ENC_UNSAFE 0x4u

/* A piece of the text. Offsets, so that it survives a move of the text. */
struct sql_view {
	uint32_t off;
	uint32_t len;
};

enum token_kind {
	TOKEN_END,     /* end of text; len 0 */
	TOKEN_BAD,     /* unterminated literal or comment, or a NUL: runs to the end of the text */
	TOKEN_WORD,    /* unquoted identifier or key word */
	TOKEN_QUOTED,  /* "identifier" */
	TOKEN_UQUOTED, /* U&"identifier" (a following UESCAPE clause is not part of it) */
	TOKEN_STRING,  /* 'literal' read with standard_conforming_strings = on */
	TOKEN_ESTRING, /* E'literal', or 'literal' with standard_conforming_strings = off */
	TOKEN_USTRING, /* U&'literal' */
	TOKEN_DOLLAR,  /* $tag$literal$tag$ */
	TOKEN_BIT,     /* B'..' or X'..' */
	TOKEN_INTEGER, /* digits only (hexadecimal, octal, binary, with _ as well) */
	TOKEN_FLOAT,
	TOKEN_PARAM, /* $1 */
	TOKEN_OP,    /* operator; of one character when `c` is set */
	TOKEN_PUNCT, /* one of , ( ) [ ] . ; : in `c`; or :: .. := with c = 0 */
	TOKEN_OTHER, /* a character that starts no token: the server's grammar refuses it */
};

#define TOKEN_HIGH 0x1u /* an identifier with bytes >= 0x80 */
#define TOKEN_LONG 0x2u /* an identifier longer than SQL_NAME_MAX bytes: the server cuts it */

struct token {
	uint8_t kind;  /* enum token_kind */
	uint8_t c;     /* the character of a token that is one character long, else 0 */
	uint8_t flags; /* TOKEN_HIGH, TOKEN_LONG */
	uint16_t word; /* enum word of a TOKEN_WORD (word.h), NOT_A_WORD otherwise */
	uint32_t off;
	uint32_t len;
	uint64_t
		hash; /* word_hash of a TOKEN_WORD's folded text or a TOKEN_QUOTED's name, else 0 */
};

struct lexer {
	const uint8_t *text;
	uint32_t len;
	uint32_t pos;
	uint32_t opts; /* SQL_STD_STRINGS */
};

/* len above SQL_LEN_MAX is our bug. */
void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t opts);

/*
 * The next token. Between the end of one token and the start of the next lie only blanks and
 * comments. After TOKEN_BAD comes TOKEN_END, after TOKEN_END always TOKEN_END.
 */
void lexer_next(struct lexer *lx, struct token *t);

/* Is `text` valid UTF-8 without a NUL, as PostgreSQL checks it (no surrogates, up to U+10FFFF)? */
bool lexer_utf8_is_valid(const char *text, size_t len);

/* Is the token a string literal of any kind (bit strings are none)? */
static inline bool token_is_string(const struct token *t)
{
	return t->kind == TOKEN_STRING || t->kind == TOKEN_ESTRING || t->kind == TOKEN_USTRING ||
	       t->kind == TOKEN_DOLLAR;
}

#endif
