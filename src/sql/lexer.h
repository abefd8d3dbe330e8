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
 * client_encoding is one in which the second byte of a character may be an ASCII byte, or unknown:
 * a text with bytes >= 0x80 cannot be lexed as it is (encoding.h). No such flag: another encoding,
 * in which bytes below 0x80 are ASCII (LATIN*, WIN*, KOI8*, ISO*, EUC_*, SQL_ASCII).
 */
#define SQL_ENC_UNSAFE  0x04u
#define SQL_ENC_SJIS    0x08u /* with it: SJIS, SHIFT_JIS_2004 */
#define SQL_ENC_DOUBLE  0x10u /* … BIG5, GBK, UHC: two bytes if the first is >= 0x80 */
#define SQL_ENC_GB18030 0x20u /* … two or four bytes */

/* A piece of the text. Offsets, so that it survives a move of the text. */
struct sql_view {
	uint32_t off;
	uint32_t len;
};

enum token_kind {
	TOKEN_WORD,    /* unquoted identifier or key word */
	TOKEN_QUOTED,  /* "identifier" */
	TOKEN_UQUOTED, /* U&"identifier" (a following UESCAPE clause is not part of it) */
	TOKEN_PUNCT,   /* one of , ( ) [ ] . ; : in `c`; or :: .. := with c = 0 */
	TOKEN_OP,      /* operator; of one character when `c` is set */
	TOKEN_STRING,  /* 'literal' read with standard_conforming_strings = on; N'literal' */
	TOKEN_ESTRING, /* E'literal', or 'literal' with standard_conforming_strings = off */
	TOKEN_USTRING, /* U&'literal' */
	TOKEN_DOLLAR,  /* $tag$literal$tag$ */
	TOKEN_BIT,     /* B'..' or X'..' */
	TOKEN_INTEGER, /* digits only (hexadecimal, octal, binary, with _ as well) */
	TOKEN_FLOAT,
	TOKEN_PARAM,   /* $1 */
	TOKEN_COMMENT, /* never given out */
	TOKEN_OTHER,   /* a character that starts no token: the server's grammar refuses it */
	TOKEN_BAD,     /* unterminated literal or comment, or a NUL: runs to the end of the text */
	TOKEN_END,     /* end of text; len 0 */
};

struct token {
	uint8_t kind;  /* enum token_kind */
	uint8_t c;     /* the character of a token that is one character long, else 0 */
	uint16_t word; /* enum word of a TOKEN_WORD (word.h), NOT_A_WORD otherwise */
	uint32_t off;
	uint32_t len;
	/*
	 * word_hash of a TOKEN_WORD's folded text, of a TOKEN_QUOTED's name, of what stands in a
	 * TOKEN_UQUOTED; else 0. Of all of a name, also where the server cuts it (SQL_NAME_MAX).
	 */
	uint64_t hash;
};

struct lexer {
	const uint8_t *text;
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* on the NUL behind the text */
	uint32_t opts;      /* SQL_STD_STRINGS */
};

/*
 * text[len] must be a NUL, as it is in a message; the lexer looks at it, but not behind it. len
 * above SQL_LEN_MAX is our bug.
 */
void lexer_init(struct lexer *lx, const char *text, size_t len, uint32_t opts);

/*
 * For a view that begins and ends with tokens of a text lexed before: positions stay those of
 * the text. What comes at or behind the view's end (lexer_is_inside is false) is not part of it.
 */
void lexer_init_view(struct lexer *lx, const char *text, struct sql_view view, uint32_t opts);

/* Does the token begin inside the view that the lexer was made for? */
static inline bool lexer_is_inside(const struct lexer *lx, const struct token *t)
{
	return lx->text + t->off < lx->end;
}

/*
 * The next token. Between the end of one token and the start of the next lie only blanks and
 * comments. After TOKEN_BAD comes TOKEN_END, after TOKEN_END always TOKEN_END.
 */
void lexer_next(struct lexer *lx, struct token *t);

/*
 * Behind the comment whose two dashes, or slash and star, are at `p`; a line comment ends on its
 * newline. end: the text's, a NUL. NULL: it is not closed.
 */
const uint8_t *lexer_comment_end(const uint8_t *p, const uint8_t *end);

/* Bytes that may continue an identifier, folded as the server folds them; 0: may not. */
extern const uint8_t lexer_folded[256];

/* May the byte continue an identifier? */
static inline bool lexer_goes_on(uint8_t c)
{
	return lexer_folded[c] != 0;
}

enum text_bytes {
	TEXT_ASCII, /* no byte >= 0x80 */
	TEXT_HIGH,  /* some; with `utf8` they are valid UTF-8 */
	TEXT_BAD,   /* a NUL, or not valid UTF-8: the server refuses it */
};

/* Inspect all bytes; UTF-8 as PostgreSQL checks it (no surrogates, up to U+10FFFF). */
enum text_bytes lexer_inspect(const char *text, size_t len, bool utf8);

/*
 * Length of the UTF-8 sequence at p, a byte >= 0x80, of which `left` bytes are there; 0: it is not
 * valid.
 */
size_t lexer_utf8_len(const uint8_t *p, size_t left);

/* Is the token a string literal of any kind (bit strings are none)? */
static inline bool token_is_string(const struct token *t)
{
	return t->kind == TOKEN_STRING || t->kind == TOKEN_ESTRING || t->kind == TOKEN_USTRING ||
	       t->kind == TOKEN_DOLLAR;
}

/* A literal of any kind, or a parameter: what statistics leave out. */
static inline bool token_is_value(const struct token *t)
{
	return token_is_string(t) || t->kind == TOKEN_BIT || t->kind == TOKEN_INTEGER ||
	       t->kind == TOKEN_FLOAT || t->kind == TOKEN_PARAM;
}

#endif
