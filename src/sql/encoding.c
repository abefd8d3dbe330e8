#include "sql/encoding.h"

#include <string.h>

#include "sql/lexer.h"

#define NAME_MAX_LEN 32u /* bytes of a name without punctuation; the server's longest have 15 */

struct name {
	const char *name;
	uint32_t opts;
};

/* Names that mean one encoding; as the server's, without anything but letters and digits. */
static const struct name whole[] = {
	{"utf8", SQL_ENC_UTF8},
	{"unicode", SQL_ENC_UTF8},
	{"sjis", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"mskanji", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"shiftjis", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"shiftjis2004", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"win932", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"windows932", SQL_ENC_UNSAFE | SQL_ENC_SJIS},
	{"big5", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"win950", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"windows950", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"gbk", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"win936", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"windows936", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"uhc", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"win949", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"windows949", SQL_ENC_UNSAFE | SQL_ENC_DOUBLE},
	{"gb18030", SQL_ENC_UNSAFE | SQL_ENC_GB18030},
	{"sqlascii", 0},
	{"muleinternal", 0},
	{"win", 0},
	{"alt", 0},
	{"abc", 0},
	{"tcvn", 0},
	{"tcvn5712", 0},
	{"vscii", 0},
	{"win866", 0},
	{"windows866", 0},
	{"win874", 0},
	{"windows874", 0},
};

/* Families in which every byte of a long character is >= 0x80, or all characters have one. */
static const char *const families[] = {"latin", "iso8859", "koi8", "euc", "win125", "windows125"};

/* Letters in lower case and digits of `name`; false: too long for any. */
static bool clean(char *to, const char *name)
{
	size_t n = 0;

	for (; *name != '\0'; name++) {
		char c = *name >= 'A' && *name <= 'Z' ? (char)(*name | 0x20) : *name;

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
			continue;
		if (n == NAME_MAX_LEN)
			return false;
		to[n++] = c;
	}
	to[n] = '\0';
	return true;
}

uint32_t encoding_opts(const char *name)
{
	char cleaned[NAME_MAX_LEN + 1];

	if (name == NULL || !clean(cleaned, name))
		return SQL_ENC_UNSAFE;
	for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
		if (strcmp(cleaned, whole[i].name) == 0)
			return whole[i].opts;
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		if (strncmp(cleaned, families[i], strlen(families[i])) == 0)
			return 0;
	return SQL_ENC_UNSAFE; /* JOHAB among them: a second byte of it may be a semicolon */
}

/*
 * Bytes of the character at p, the first of which is >= 0x80; 0: there is none such. Of the `left`
 * bytes the first is there.
 */
static size_t char_len(const uint8_t *p, size_t left, uint32_t opts)
{
	if ((opts & SQL_ENC_SJIS) != 0 && p[0] >= 0xa1 && p[0] <= 0xdf)
		return 1;
	if ((opts & SQL_ENC_GB18030) != 0 && left >= 4 && p[1] >= '0' && p[1] <= '9')
		return p[2] >= 0x81 && p[3] >= '0' && p[3] <= '9' ? 4 : 0;
	return left >= 2 && p[1] >= 0x40 ? 2 : 0;
}

bool encoding_mask(char *to, const char *text, size_t len, uint32_t opts)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t n;

	if ((opts & (SQL_ENC_SJIS | SQL_ENC_DOUBLE | SQL_ENC_GB18030)) == 0)
		return false;
	for (size_t i = 0; i < len; i += n) {
		n = p[i] < 0x80 ? 1 : char_len(p + i, len - i, opts);
		if (n == 0)
			return false;
		if (p[i] < 0x80)
			to[i] = text[i];
		else
			memset(to + i, 0x80, n);
	}
	to[len] = '\0';
	return true;
}
