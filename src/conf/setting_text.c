#include "conf/setting_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/value.h"
#include "conf/conf.h"
#include "conf/setting_value.h"

/* --- what is expected --- */

/* Where the next piece goes; what does not fit is cut. */
struct text {
	char *at;
	size_t left; /* with the NUL: at least 1 */
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct text *t, const char *fmt, ...)
{
	size_t len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	len = n < 0 ? 0 : (size_t)n;
	if (len >= t->left)
		len = t->left - 1;
	t->at += len;
	t->left -= len;
	*t->at = '\0';
}

/* "a, b, c" */
static void put_words(struct text *t, const struct setting_word *words)
{
	const char *comma = "";

	for (; words->name != NULL; words++) {
		put(t, "%s%s", comma, words->name);
		comma = ", ";
	}
}

static void put_range(
	struct text *t, const struct setting *s, const char *(*format)(uint64_t v, char *text))
{
	char from[VALUE_TEXT_MAX], to[VALUE_TEXT_MAX];

	if (s->type == SETTING_TIME && s->min == 0 && s->max == SETTING_TIME_MAX)
		return;
	put(t, ", from %s to %s", format(s->min, from), format(s->max, to));
}

static void put_expected(struct text *t, const struct setting *s)
{
	switch (s->type) {
	case SETTING_BOOL:
		put(t, "on or off (also 1 and 0, yes and no, true and false)");
		break;
	case SETTING_INT:
		put(t, "a whole number%s%s from %" PRIu64 " to %" PRIu64,
			s->unit != NULL ? " of " : "", s->unit != NULL ? s->unit : "", s->min,
			s->max);
		if (s->words != NULL)
			put(t, ", or %s", s->words->name);
		break;
	case SETTING_PORT:
		put(t, "a port number from %" PRIu64 " to %" PRIu64, s->min, s->max);
		break;
	case SETTING_OCTAL:
		put(t, "permission bits in octal, from 0 to 0%" PRIo64, s->max);
		break;
	case SETTING_TIME:
		put(t, "seconds, or a number with us, ms, s, min, h or d");
		put_range(t, s, value_format_time_unit);
		break;
	case SETTING_SIZE:
		put(t, "bytes, or a number with kB, MB or GB");
		put_range(t, s, value_format_size);
		break;
	case SETTING_ENUM:
		put(t, "one of ");
		put_words(t, s->words);
		break;
	case SETTING_MASK:
		put(t, "one or more, joined by commas, of ");
		put_words(t, s->words);
		break;
	case SETTING_STRING:
		if (s->max != 0)
			put(t, "a text of at most %" PRIu64 " bytes", s->max);
		else
			put(t, "a text");
		break;
	case SETTING_LIST:
		put(t, "names joined by commas");
		break;
	case SETTING_NONE:
		put(t, "anything");
		break;
	}
}

const char *setting_expected(const struct setting *s, char *buf, size_t cap)
{
	struct text t = {.at = buf, .left = cap};

	put_expected(&t, s);
	return buf;
}

/* --- showing a value --- */

static const char *word_of(const struct setting_word *words, uint64_t value)
{
	for (; words != NULL && words->name != NULL; words++)
		if (words->value == value)
			return words->name;
	return NULL;
}

static void format_number(const struct setting *s, uint64_t v, struct text *t)
{
	const char *word = word_of(s->words, v);

	if (word != NULL)
		put(t, "%s", word);
	else if (s->def == NULL && v == CONF_UNSET)
		return;
	else
		put(t, "%" PRIu64, v);
}

static void format_mask(const struct setting *s, uint64_t v, struct text *t)
{
	const char *comma = "";

	if (word_of(s->words, v) != NULL) {
		put(t, "%s", word_of(s->words, v));
		return;
	}
	for (uint64_t bit = 1; bit <= v; bit <<= 1) {
		if ((v & bit) == 0)
			continue;
		put(t, "%s%s", comma, word_of(s->words, bit));
		comma = ",";
	}
}

static void format_time(const struct setting *s, uint64_t v, struct text *t)
{
	char text[VALUE_TEXT_MAX];

	if (s->def != NULL || v != CONF_UNSET_US)
		put(t, "%s", value_format_time(v, text));
}

static void put_value(struct text *t, const struct setting *s, const void *base)
{
	struct conf_list list;

	switch (s->type) {
	case SETTING_BOOL:
	case SETTING_INT:
	case SETTING_PORT:
	case SETTING_SIZE:
		format_number(s, setting_number(s, base), t);
		break;
	case SETTING_OCTAL:
		put(t, "0%03" PRIo64, setting_number(s, base));
		break;
	case SETTING_TIME:
		format_time(s, setting_number(s, base), t);
		break;
	case SETTING_ENUM:
		if (word_of(s->words, setting_number(s, base)) != NULL)
			put(t, "%s", word_of(s->words, setting_number(s, base)));
		break;
	case SETTING_MASK:
		format_mask(s, setting_number(s, base), t);
		break;
	case SETTING_STRING:
		if ((s->flags & SETTING_SECRET) == 0)
			put(t, "%s", setting_string(s, base));
		else if (*setting_string(s, base) != '\0')
			put(t, "***");
		break;
	case SETTING_LIST:
		list = setting_list(s, base);
		for (size_t i = 0; i < list.n; i++)
			put(t, "%s%s", i > 0 ? ", " : "", list.items[i]);
		break;
	case SETTING_NONE:
		break;
	}
}

const char *setting_format(const struct setting *s, const void *base, char *buf, size_t cap)
{
	struct text t = {.at = buf, .left = cap};

	*buf = '\0';
	put_value(&t, s, base);
	return buf;
}
