#include "base/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define US_PER_S       UINT64_C(1000000)
#define FRACTION_ONE   UINT64_C(1000000000) /* a fraction is kept in billionths */
#define FRACTION_CHARS 9u

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{"us", 1},
	{"ms", 1000},
	{"s", US_PER_S},
	{"", US_PER_S},
	{"min", 60 * US_PER_S},
	{"h", 3600 * US_PER_S},
	{"d", 86400 * US_PER_S},
	{NULL, 0},
};

static const struct unit size_units[] = {
	{"", 1},
	{"B", 1},
	{"kB", UINT64_C(1) << 10},
	{"MB", UINT64_C(1) << 20},
	{"GB", UINT64_C(1) << 30},
	{NULL, 0},
};

bool value_parse_bool(const char *text, bool *out)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"0", false}, {"1", true}, {"off", false}, {"on", true}, {"no", false},
		{"yes", true}, {"false", false}, {"true", true}};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcasecmp(text, words[i].word) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

/* Digits of `base` at *p, which moves behind them. False: none, or too large. */
static bool read_digits(const char **p, unsigned base, uint64_t *out)
{
	const char *at = *p;
	uint64_t v = 0;

	for (; *at >= '0' && *at < (char)('0' + base); at++)
		if (__builtin_mul_overflow(v, base, &v) ||
			__builtin_add_overflow(v, (uint64_t)(*at - '0'), &v))
			return false;
	if (at == *p)
		return false;
	*p = at;
	*out = v;
	return true;
}

bool value_parse_uint(const char *text, uint64_t *out)
{
	uint64_t v;

	if (!read_digits(&text, 10, &v) || *text != '\0')
		return false;
	*out = v;
	return true;
}

bool value_parse_octal(const char *text, uint32_t *out)
{
	uint64_t v;

	if (!read_digits(&text, 8, &v) || *text != '\0' || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* "25" behind the point, as billionths. */
static bool read_fraction(const char **p, uint64_t *out)
{
	uint64_t v = 0, digit = FRACTION_ONE;
	const char *at = *p;

	for (; *at >= '0' && *at <= '9'; at++) {
		digit /= 10;
		v += (uint64_t)(*at - '0') * digit;
	}
	if (at == *p || at - *p > (ptrdiff_t)FRACTION_CHARS)
		return false;
	*p = at;
	*out = v;
	return true;
}

static bool find_unit(const struct unit *units, const char *name, uint64_t *factor)
{
	for (; units->name != NULL; units++) {
		if (strcasecmp(units->name, name) == 0) {
			*factor = units->factor;
			return true;
		}
	}
	return false;
}

static bool parse_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t whole = 0, fraction = 0, factor;

	if (*text != '.' && !read_digits(&text, 10, &whole))
		return false;
	if (*text == '.') {
		text++;
		if (!read_fraction(&text, &fraction))
			return false;
	}
	text += strspn(text, " \t");
	if (!find_unit(units, text, &factor) || __builtin_mul_overflow(whole, factor, &whole))
		return false;
	/* factor is at most a day in µs, 10^11: times a billionth's 10^9 it would not fit */
	fraction = fraction / 1000 * factor / (FRACTION_ONE / 1000) +
		   fraction % 1000 * factor / FRACTION_ONE;
	if (__builtin_add_overflow(whole, fraction, &whole))
		return false;
	*out = whole;
	return true;
}

bool value_parse_time(const char *text, uint64_t *out_us)
{
	return parse_with_unit(text, time_units, out_us);
}

bool value_parse_size(const char *text, uint64_t *out)
{
	return parse_with_unit(text, size_units, out);
}

const char *value_format_time(uint64_t us, char buf[VALUE_TEXT_MAX])
{
	int len = snprintf(
		buf, VALUE_TEXT_MAX, "%" PRIu64 ".%06" PRIu64, us / US_PER_S, us % US_PER_S);

	while (buf[len - 1] == '0') /* the point is not */
		buf[--len] = '\0';
	if (buf[len - 1] == '.')
		buf[--len] = '\0';
	return buf;
}

const char *value_format_time_unit(uint64_t us, char buf[VALUE_TEXT_MAX])
{
	if (us % US_PER_S == 0)
		(void)snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64 "s", us / US_PER_S);
	else if (us % 1000 == 0)
		(void)snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64 "ms", us / 1000);
	else
		(void)snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64 "us", us);
	return buf;
}

const char *value_format_size(uint64_t bytes, char buf[VALUE_TEXT_MAX])
{
	const struct unit *best = &size_units[0];

	for (const struct unit *u = &size_units[2]; u->name != NULL; u++)
		if (bytes != 0 && bytes % u->factor == 0)
			best = u;
	(void)snprintf(buf, VALUE_TEXT_MAX, "%" PRIu64 "%s", bytes / best->factor, best->name);
	return buf;
}
