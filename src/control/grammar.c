#include "control/grammar.h"

#include <string.h>

#include "base/text.h"

enum argument {
	ARG_NONE,
	ARG_OPTIONAL,
	ARG_NEEDED,
	ARG_SETTING, /* name = value, name TO value */
	ARG_ROUTE,   /* ROUTE [IN name] statement */
	ARG_DRY_RUN, /* none, or the words DRY RUN */
};

static const struct {
	const char *word;
	enum verb verb;
	enum argument argument;
} words[] = {
	{"show", VERB_SHOW, ARG_NEEDED},
	{"select", VERB_SHOW, ARG_NEEDED},
	{"set", VERB_SET, ARG_SETTING},
	{"pause", VERB_PAUSE, ARG_OPTIONAL},
	{"reset", VERB_RESET, ARG_NEEDED},
	{"resume", VERB_RESUME, ARG_OPTIONAL},
	{"suspend", VERB_SUSPEND, ARG_NONE},
	{"disable", VERB_DISABLE, ARG_OPTIONAL},
	{"enable", VERB_ENABLE, ARG_OPTIONAL},
	{"reconnect", VERB_RECONNECT, ARG_OPTIONAL},
	{"kill", VERB_KILL, ARG_OPTIONAL},
	{"kill_client", VERB_KILL_CLIENT, ARG_NEEDED},
	{"wait_close", VERB_WAIT_CLOSE, ARG_OPTIONAL},
	{"reload", VERB_RELOAD, ARG_DRY_RUN},
	{"shutdown", VERB_SHUTDOWN, ARG_OPTIONAL},
	{"switchover", VERB_SWITCHOVER, ARG_OPTIONAL},
	{"explain", VERB_EXPLAIN, ARG_ROUTE},
};

const char *verb_tag(enum verb v)
{
	switch (v) {
	case VERB_EMPTY:
		break;
	case VERB_SHOW:
		return "SHOW";
	case VERB_SET:
		return "SET";
	case VERB_PAUSE:
		return "PAUSE";
	case VERB_RESUME:
		return "RESUME";
	case VERB_SUSPEND:
		return "SUSPEND";
	case VERB_DISABLE:
		return "DISABLE";
	case VERB_ENABLE:
		return "ENABLE";
	case VERB_RECONNECT:
		return "RECONNECT";
	case VERB_KILL:
		return "KILL";
	case VERB_KILL_CLIENT:
		return "KILL_CLIENT";
	case VERB_WAIT_CLOSE:
		return "WAIT_CLOSE";
	case VERB_RELOAD:
		return "RELOAD";
	case VERB_SHUTDOWN:
		return "SHUTDOWN";
	case VERB_RESET:
		return "RESET";
	case VERB_SWITCHOVER:
		return "SWITCHOVER";
	case VERB_EXPLAIN:
		return "EXPLAIN";
	}
	return "";
}

/* --- characters; the locale has no say --- */

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_word(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '.' || c == '-' || (unsigned char)c >= 0x80;
}

/* Past blanks and comments. A comment without its end goes to the end of the text. */
static const char *skip(const char *p)
{
	const char *end;

	for (;;) {
		if (is_blank(*p)) {
			p++;
		} else if (p[0] == '-' && p[1] == '-') {
			p += strcspn(p, "\n");
		} else if (p[0] == '/' && p[1] == '*') {
			end = strstr(p + 2, "*/");
			p = end != NULL ? end + 2 : p + strlen(p);
		} else {
			return p;
		}
	}
}

static bool is_end(const char *p)
{
	p = skip(p);
	while (*p == ';')
		p = skip(p + 1);
	return *p == '\0';
}

/* A quoted piece, its quote doubled inside; E_INVALID without the closing one. */
static enum status read_quoted(const char **pp, char *to, size_t cap)
{
	const char *p = *pp;
	char quote = *p++;
	size_t n = 0;

	for (;; p++) {
		if (*p == '\0')
			return E_INVALID;
		if (*p == quote && *++p != quote)
			break;
		if (n + 1 >= cap)
			return E_LIMIT;
		to[n++] = *p;
	}
	to[n] = '\0';
	*pp = p;
	return OK;
}

/* A name: plain (folded) or quoted. */
static enum status read_name(const char **pp, char *to, size_t cap)
{
	const char *p = *pp;
	size_t n = 0;

	enum status st;

	if (*p == '"' || *p == '\'') {
		st = read_quoted(pp, to, cap);
		return st == OK && *to == '\0' ? E_INVALID : st; /* "" would mean all */
	}
	for (; is_word(*p) && !(p[0] == '-' && p[1] == '-'); p++) {
		if (n + 1 >= cap)
			return E_LIMIT;
		to[n++] = lower(*p);
	}
	to[n] = '\0';
	*pp = p;
	return n != 0 ? OK : E_INVALID;
}

/* SET's value: quoted, or everything up to the end, as it is. */
static enum status read_value(const char **pp, char *to, size_t cap)
{
	const char *p = *pp;
	size_t n;

	if (*p == '"' || *p == '\'')
		return read_quoted(pp, to, cap);
	n = strlen(p);
	while (n > 0 && (is_blank(p[n - 1]) || p[n - 1] == ';'))
		n--;
	if (n == 0)
		return E_INVALID;
	if (n >= cap)
		return E_LIMIT;
	memcpy(to, p, n);
	to[n] = '\0';
	*pp = p + strlen(p);
	return OK;
}

/* What stands between SET's name and value: "=" or "TO". */
static bool skip_assign(const char **pp)
{
	const char *p = skip(*pp);

	if (*p == '=')
		p++;
	else if (lower(p[0]) == 't' && lower(p[1]) == 'o' && !is_word(p[2]))
		p += 2;
	else
		return false;
	*pp = skip(p);
	return true;
}

/* Past a word of the language's own, if it is there. `word` is in lower case. */
static bool skip_word(const char **pp, const char *word)
{
	const char *p = *pp;

	for (; *word != '\0'; p++, word++)
		if (lower(*p) != *word)
			return false;
	if (is_word(*p))
		return false;
	*pp = p;
	return true;
}

static enum status read_dry_run(const char *p, struct console_command *out)
{
	if (!skip_word(&p, "dry"))
		return E_INVALID;
	p = skip(p);
	if (!skip_word(&p, "run") || !is_end(p))
		return E_INVALID;
	text_copy(out->name, sizeof out->name, "dry run");
	return OK;
}

/* A comment that the statement begins with may be a hint: it is kept. */
static enum status read_route(const char *p, struct console_command *out)
{
	const char *in;
	enum status st;

	if (!skip_word(&p, "route"))
		return E_INVALID;
	in = skip(p);
	if (skip_word(&in, "in")) {
		in = skip(in);
		st = read_name(&in, out->name, sizeof out->name);
		if (st != OK)
			return st;
		p = in;
	}
	while (is_blank(*p))
		p++;
	if (is_end(p))
		return E_INVALID;
	if (strlen(p) >= sizeof out->sql)
		return E_LIMIT;
	text_copy(out->sql, sizeof out->sql, p);
	return OK;
}

static enum status read_argument(const char *p, enum argument kind, struct console_command *out)
{
	enum status st;

	if (kind == ARG_ROUTE)
		return read_route(p, out);
	if (is_end(p))
		return kind == ARG_NEEDED || kind == ARG_SETTING ? E_INVALID : OK;
	if (kind == ARG_NONE)
		return E_INVALID;
	if (kind == ARG_DRY_RUN)
		return read_dry_run(p, out);
	st = read_name(&p, out->name, sizeof out->name);
	if (st == OK && kind == ARG_SETTING) {
		if (!skip_assign(&p))
			return E_INVALID;
		st = read_value(&p, out->value, sizeof out->value);
	}
	if (st != OK)
		return st;
	return is_end(p) ? OK : E_INVALID;
}

enum status grammar_read(const char *sql, struct console_command *out)
{
	const char *p = skip(sql);
	char word[16];

	memset(out, 0, sizeof *out);
	text_copy(out->text, sizeof out->text, sql);
	out->verb = VERB_EMPTY;
	if (is_end(p))
		return OK;
	if (*p == '"' || *p == '\'' || read_name(&p, word, sizeof word) != OK)
		return E_INVALID;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		out->verb = words[i].verb;
		return read_argument(skip(p), words[i].argument, out);
	}
	return E_INVALID;
}
