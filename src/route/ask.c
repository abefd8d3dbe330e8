#include "route/ask.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/value.h"

static const char *const names[ASK_PARAMS] = {
	[ASK_CONSISTENCY] = "pgweir.consistency",
	[ASK_LAST_LSN] = "pgweir.last_lsn",
	[ASK_MAX_LAG] = "pgweir.max_lag",
	[ASK_MIN_LSN] = "pgweir.min_lsn",
	[ASK_ROUTE] = "pgweir.route",
};

static const char *const modes[] = {
	[CHOOSE_EVENTUAL] = "eventual",
	[CHOOSE_SESSION_MARKS] = "session",
	[CHOOSE_DATABASE_MARKS] = "database",
	[CHOOSE_STRONG] = "strong",
};

static const char *const routes[] = {
	[CHOOSE_ROUTE_AUTO] = "auto",
	[CHOOSE_ROUTE_PRIMARY] = "primary",
	[CHOOSE_ROUTE_REPLICA] = "replica",
};

#define N_MODES  (sizeof modes / sizeof modes[0])
#define N_ROUTES (sizeof routes / sizeof routes[0])

const char *ask_name(enum ask_param p)
{
	return names[p];
}

enum ask_param ask_find(const char *name)
{
	unsigned p = 0;

	while (p < ASK_PARAMS && strcmp(names[p] + strlen("pgweir."), name) != 0)
		p++;
	return (enum ask_param)p;
}

const char *ask_values(enum ask_param p)
{
	switch (p) {
	case ASK_CONSISTENCY:
		return "Available values: eventual, session, database, strong.";
	case ASK_ROUTE:
		return "Available values: auto, primary, replica.";
	case ASK_MAX_LAG:
		return "A time, such as 200ms or 2s; without a unit it is in seconds.";
	case ASK_MIN_LSN:
		return "A WAL position, such as 16/B374D848 or 16/B374D848@2 (with its timeline).";
	case ASK_LAST_LSN:
	case ASK_PARAMS:
		break;
	}
	return "";
}

const char *ask_consistency_name(enum choose_consistency c)
{
	return modes[c];
}

/* Position of the word plus one; 0: it is not there. */
static uint8_t word_no(const char *const *words, size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(words[i], value) == 0)
			return (uint8_t)(i + 1);
	return 0;
}

static enum status put_word(uint8_t *place, uint8_t no)
{
	if (no == 0)
		return E_INVALID;
	*place = no;
	return OK;
}

enum status ask_put(struct ask *a, enum ask_param p, const char *value)
{
	struct wal_point at = {0, 0};

	switch (p) {
	case ASK_CONSISTENCY:
		return put_word(&a->consistency, word_no(modes, N_MODES, value));
	case ASK_ROUTE:
		return put_word(&a->route, word_no(routes, N_ROUTES, value));
	case ASK_MAX_LAG:
		if (!value_parse_time(value, &a->max_lag_us))
			return E_INVALID;
		a->has_max_lag = true;
		return OK;
	case ASK_MIN_LSN:
		if (*value != '\0' && wal_point_parse(value, &at) != OK)
			return E_INVALID;
		a->min_lsn = at;
		return OK;
	case ASK_LAST_LSN:
	case ASK_PARAMS:
		break;
	}
	return E_INVALID;
}

void ask_take(struct ask *a, enum ask_param p, const struct ask *from)
{
	switch (p) {
	case ASK_CONSISTENCY:
		a->consistency = from->consistency;
		break;
	case ASK_ROUTE:
		a->route = from->route;
		break;
	case ASK_MAX_LAG:
		a->has_max_lag = from->has_max_lag;
		a->max_lag_us = from->max_lag_us;
		break;
	case ASK_MIN_LSN:
		a->min_lsn = from->min_lsn;
		break;
	case ASK_LAST_LSN:
	case ASK_PARAMS:
		break;
	}
}

void ask_format(const struct ask *a, enum ask_param p, char text[ASK_VALUE_MAX])
{
	text[0] = '\0';
	switch (p) {
	case ASK_CONSISTENCY:
		if (a->consistency != 0)
			text_copy(text, ASK_VALUE_MAX, modes[a->consistency - 1]);
		break;
	case ASK_ROUTE:
		if (a->route != 0)
			text_copy(text, ASK_VALUE_MAX, routes[a->route - 1]);
		break;
	case ASK_MAX_LAG:
		if (a->has_max_lag)
			(void)value_format_time_unit(a->max_lag_us, text);
		break;
	case ASK_MIN_LSN:
		if (a->min_lsn.lsn != 0)
			wal_point_format(a->min_lsn, text);
		break;
	case ASK_LAST_LSN:
	case ASK_PARAMS:
		break;
	}
}

void ask_merge(struct ask *a, const struct ask *over)
{
	if (over->consistency != 0)
		a->consistency = over->consistency;
	if (over->route != 0)
		a->route = over->route;
	if (over->has_max_lag)
		ask_take(a, ASK_MAX_LAG, over);
	if (over->min_lsn.lsn != 0)
		a->min_lsn = over->min_lsn;
}

/* --- hints --- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* One word of a hint. False: it is none. */
static bool take_word(struct ask *a, const char *word)
{
	char name[ASK_VALUE_MAX];
	const char *value = strchr(word, '=');
	enum ask_param p;

	if (value == NULL) /* primary, replica, auto */
		return ask_put(a, ASK_ROUTE, word) == OK;
	text_copy(name, sizeof name, word);
	name[value - word] = '\0';
	p = ask_find(name);
	return p != ASK_MIN_LSN && p != ASK_PARAMS && ask_put(a, p, value + 1) == OK;
}

/* The words from p to end. */
static void take_words(const char *p, const char *end, struct ask *a, char unknown[ASK_VALUE_MAX])
{
	char word[ASK_VALUE_MAX];

	while (p < end) {
		size_t n = 0;

		if (is_blank(*p) || *p == ',') {
			p++;
			continue;
		}
		for (; p < end && !is_blank(*p) && *p != ','; p++)
			if (n + 1 < sizeof word)
				word[n++] = *p;
		word[n] = '\0';
		if (!take_word(a, word) && unknown[0] == '\0')
			text_copy(unknown, ASK_VALUE_MAX, word);
	}
}

/* The end of the comment that begins at p, behind its last slash; NULL: it has none. */
static const char *comment_end(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p + 1 < end) {
		if (p[0] == '/' && p[1] == '*') {
			depth++;
			p += 2;
		} else if (p[0] == '*' && p[1] == '/') {
			p += 2;
			if (--depth == 0)
				return p;
		} else {
			p++;
		}
	}
	return NULL;
}

bool ask_read_hints(const char *sql, size_t len, struct ask *out, char unknown[ASK_VALUE_MAX])
{
	static const char key[] = "pgweir:";
	const char *p = sql, *end = sql + len, *inside, *after;
	bool found = false;

	*out = (struct ask){0};
	unknown[0] = '\0';
	while ((p = skip_blanks(p, end)) + 1 < end && p[0] == '/' && p[1] == '*') {
		after = comment_end(p, end);
		if (after == NULL)
			break;
		inside = skip_blanks(p + 2, after - 2);
		if ((size_t)(after - 2 - inside) >= sizeof key - 1 &&
			strncasecmp(inside, key, sizeof key - 1) == 0) {
			take_words(inside + sizeof key - 1, after - 2, out, unknown);
			found = true;
		}
		p = after;
	}
	return found;
}
