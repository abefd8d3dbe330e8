#include "control/grammar.h"

#include <string.h>

enum argument {
	ARG_NONE,
	ARG_OPTIONAL,
	ARG_NEEDED,
	ARG_SETTING, /* name = value, name TO value */
};

static const struct verb {
	const char *word;
	enum command command;
	enum argument argument;
} verbs[] = {
	{"show", COMMAND_SHOW, ARG_NEEDED},
	{"select", COMMAND_SHOW, ARG_NEEDED},
	{"set", COMMAND_SET, ARG_SETTING},
	{"pause", COMMAND_PAUSE, ARG_OPTIONAL},
	{"resume", COMMAND_RESUME, ARG_OPTIONAL},
	{"suspend", COMMAND_SUSPEND, ARG_NONE},
	{"disable", COMMAND_DISABLE, ARG_OPTIONAL},
	{"enable", COMMAND_ENABLE, ARG_OPTIONAL},
	{"reconnect", COMMAND_RECONNECT, ARG_OPTIONAL},
	{"kill", COMMAND_KILL, ARG_OPTIONAL},
	{"kill_client", COMMAND_KILL_CLIENT, ARG_NEEDED},
	{"wait_close", COMMAND_WAIT_CLOSE, ARG_OPTIONAL},
	{"reload", COMMAND_RELOAD, ARG_NONE},
	{"shutdown", COMMAND_SHUTDOWN, ARG_OPTIONAL},
};

const char *command_tag(enum command c)
{
	switch (c) {
	case COMMAND_EMPTY:
		break;
	case COMMAND_SHOW:
		return "SHOW";
	case COMMAND_SET:
		return "SET";
	case COMMAND_PAUSE:
		return "PAUSE";
	case COMMAND_RESUME:
		return "RESUME";
	case COMMAND_SUSPEND:
		return "SUSPEND";
	case COMMAND_DISABLE:
		return "DISABLE";
	case COMMAND_ENABLE:
		return "ENABLE";
	case COMMAND_RECONNECT:
		return "RECONNECT";
	case COMMAND_KILL:
		return "KILL";
	case COMMAND_KILL_CLIENT:
		return "KILL_CLIENT";
	case COMMAND_WAIT_CLOSE:
		return "WAIT_CLOSE";
	case COMMAND_RELOAD:
		return "RELOAD";
	case COMMAND_SHUTDOWN:
		return "SHUTDOWN";
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

	if (*p == '"' || *p == '\'')
		return read_quoted(pp, to, cap);
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

static enum status read_argument(const char *p, enum argument kind, struct console_command *out)
{
	enum status st;

	if (is_end(p))
		return kind == ARG_NONE || kind == ARG_OPTIONAL ? OK : E_INVALID;
	if (kind == ARG_NONE)
		return E_INVALID;
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
	out->command = COMMAND_EMPTY;
	if (is_end(p))
		return OK;
	if (*p == '"' || *p == '\'' || read_name(&p, word, sizeof word) != OK)
		return E_INVALID;
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(verbs[i].word, word) != 0)
			continue;
		out->command = verbs[i].command;
		return read_argument(skip(p), verbs[i].argument, out);
	}
	return E_INVALID;
}
