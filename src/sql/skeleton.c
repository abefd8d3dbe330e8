#include "sql/skeleton.h"

#include <endian.h>
#include <string.h>

#include "sql/word.h"

#define EACH(c)       (0x0101010101010101u * (c)) /* the byte, eight times */
#define MARK_VALUE    '\'' /* never hashed otherwise: it always begins a value */
#define MARK_COMMENT  ' '  /* a comment parts tokens as a blank does */
#define NOT_TO_BE_HAD NULL

struct skeleton {
	const uint8_t *text, *end;
	const uint8_t *since; /* behind the last value, comment or quoted name: words begin there */
	uint32_t opts;
};

static inline uint64_t mix(uint64_t h, uint64_t eight)
{
	h = word_hash_step(h, eight);
	return h ^ h >> 32;
}

/* The same as load, of the last seven bytes or fewer; zeroes behind the end. */
static uint64_t load_last(const struct skeleton *s, const uint8_t *p)
{
	size_t left = (size_t)(s->end - p);
	uint64_t eight = 0;

	if (s->end - s->text >= 8) {
		memcpy(&eight, s->end - 8, 8);
		return le64toh(eight) >> (64 - 8 * left);
	}
	while (left-- > 0)
		eight = eight << 8 | p[left];
	return eight;
}

/* The bytes at `p`, which is before the end, the first one lowest. */
static inline uint64_t load(const struct skeleton *s, const uint8_t *p)
{
	uint64_t eight;

	if (s->end - p < 8)
		return load_last(s, p);
	memcpy(&eight, p, 8);
	return le64toh(eight);
}

/*
 * The high bit of each byte that may begin a value, a comment or a quoted name, or lies between
 * those: !"#$%&' and -./0123456789. No other bit.
 */
static inline uint64_t specials(uint64_t eight)
{
	uint64_t low = eight & EACH(0x7fu);
	uint64_t found = ((low + EACH(0x80u - 0x21u)) & ~(low + EACH(0x80u - 0x28u))) |
			 ((low + EACH(0x80u - 0x2du)) & ~(low + EACH(0x80u - 0x3au)));

	return found & ~eight & EACH(0x80u);
}

/* Does a word go on at `p`? */
static inline bool in_word(const struct skeleton *s, const uint8_t *p)
{
	return p > s->since && lexer_goes_on(p[-1]);
}

static inline bool is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const uint8_t *blanks_end(const uint8_t *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/* Behind the digits at `p`, if they are a number for sure; else `p`. */
static inline const uint8_t *digits_end(const uint8_t *p)
{
	const uint8_t *end = p;

	while (*end >= '0' && *end <= '9')
		end++;
	return *end == ' ' || *end == ',' || *end == ')' || *end == '\0' || *end == ';' ? end : p;
}

static struct lexer lexer_at(const struct skeleton *s, const uint8_t *p)
{
	struct sql_view rest = {(uint32_t)(p - s->text), (uint32_t)(s->end - p)};
	struct lexer lx;

	lexer_init_view(&lx, (const char *)s->text, rest, s->opts);
	return lx;
}

/* The values that follow a value of a list that ends at `p`, as the fingerprint folds them. */
static __attribute__((noinline)) const uint8_t *list_end(const struct skeleton *s, const uint8_t *p)
{
	struct lexer lx;
	struct token t;

	for (;;) {
		const uint8_t *next = blanks_end(p);

		if (*next == ',') {
			const uint8_t *digits = blanks_end(next + 1), *end = digits_end(digits);

			if (end != digits) {
				p = end;
				continue;
			}
		} else if (*next == ')') {
			return p;
		}
		lx = lexer_at(s, p);
		lexer_next(&lx, &t);
		if (t.c != ',')
			return p;
		lexer_next(&lx, &t);
		if (!token_is_value(&t))
			return p;
		p = lx.p;
	}
}

/* Does a parenthesis or bracket come before the token at `p`? */
static inline bool is_opened(const struct skeleton *s, const uint8_t *p)
{
	while (p > s->since && is_blank(p[-1]))
		p--;
	return p > s->since && (p[-1] == '(' || p[-1] == '[');
}

/* Any value at `p`, by the lexer. */
static __attribute__((noinline)) const uint8_t *lexed_end(
	const struct skeleton *s, const uint8_t *p)
{
	struct lexer lx = lexer_at(s, p);
	struct token t;

	lexer_next(&lx, &t);
	return token_is_value(&t) ? lx.p : NOT_TO_BE_HAD;
}

/* Behind the value that begins at `p`, and its list. */
static inline const uint8_t *value_end(const struct skeleton *s, const uint8_t *p)
{
	const uint8_t *end = digits_end(p);

	if (end == p)
		end = lexed_end(s, p);
	return end != NOT_TO_BE_HAD && is_opened(s, p) ? list_end(s, end) : end;
}

/* A string with its quote at `p`; it may begin with a letter before that. */
static const uint8_t *string_end(const struct skeleton *s, const uint8_t *p)
{
	const uint8_t *letter = p - 1;

	if (letter < s->since)
		return value_end(s, p);
	if (*letter == '&' && letter > s->since && (letter[-1] | 0x20) == 'u')
		return NOT_TO_BE_HAD;
	if (memchr("eEbBxXnN", *letter, 8) != NULL && !in_word(s, letter))
		p = letter;
	return value_end(s, p);
}

/* Behind the quoted name at `p`, which is hashed into *hash. */
static const uint8_t *quoted_end(const uint8_t *p, uint64_t *hash)
{
	uint64_t h = *hash;

	for (;;) {
		uint8_t c = *++p;

		if (c == '"' && *++p != '"')
			break;
		if (c == '\0')
			return NOT_TO_BE_HAD;
		h = word_hash_step(h, c);
	}
	*hash = h;
	return p;
}

/*
 * Behind the value, name or comment that begins at the special byte at `p`, hashed into *h together
 * with the bytes `before` it, of `shift` bits; `p`: nothing begins there, nothing is hashed.
 */
static inline const uint8_t *special_end(
	const struct skeleton *s, const uint8_t *p, uint64_t before, unsigned shift, uint64_t *h)
{
	const uint8_t *end = p;
	uint8_t mark = MARK_VALUE;

	if (*p == '$' || (*p >= '0' && *p <= '9')) {
		if (!in_word(s, p))
			end = value_end(s, p);
	} else if (*p == '"') {
		mark = '"';
		end = quoted_end(p, h);
	} else if (*p == '\'') {
		end = string_end(s, p);
	} else if (*p == '.') {
		if (p[1] >= '0' && p[1] <= '9')
			end = in_word(s, p) ? NOT_TO_BE_HAD : value_end(s, p);
		else if (p[1] == '.') /* no fraction begins at the second */
			end = NOT_TO_BE_HAD;
	} else if ((*p == '-' && p[1] == '-') || (*p == '/' && p[1] == '*')) {
		mark = MARK_COMMENT;
		end = lexer_comment_end(p, s->end);
	}
	if (end != p)
		*h = mix(*h, before | (uint64_t)mark << shift);
	return end;
}

uint64_t sql_skeleton(const char *sql, size_t len, uint32_t opts)
{
	const uint8_t *p = (const uint8_t *)sql, *at, *after;
	struct skeleton s = {.text = p, .end = p + len, .since = p, .opts = opts & SQL_STD_STRINGS};
	uint64_t h = WORD_HASH_SEED + s.opts;

	if (len > SQL_LEN_MAX)
		return 0;
	while (p < s.end) {
		uint64_t eight = load(&s, p), found = specials(eight);

		for (at = after = NULL; found != 0 && after == at; found &= found - 1) {
			unsigned shift = (unsigned)__builtin_ctzll(found) & ~7u;

			at = p + shift / 8;
			after = special_end(&s, at, eight & ((1ull << shift) - 1), shift, &h);
		}
		if (after == at) {
			h = mix(h, eight);
			p += 8;
		} else if (after == NOT_TO_BE_HAD) {
			return 0;
		} else {
			p = s.since = after;
		}
	}
	return h != 0 ? h : 1;
}
