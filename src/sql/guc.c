#include "sql/guc.h"

#include <string.h>

#include "sql/lexer.h"

static bool is_in(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (name[0] == **list && strcmp(name, *list) == 0)
			return true;
	return false;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool starts_part(char c)
{
	c = fold(c);
	return (c >= 'a' && c <= 'z') || c == '_' || (unsigned char)c >= 0x80;
}

bool guc_name_is_valid(const char *name, size_t len)
{
	bool at_start = true;

	for (size_t i = 0; i < len; i++) {
		if (at_start ? !starts_part(name[i])
			     : !lexer_goes_on((uint8_t)name[i]) && name[i] != '.')
			return false;
		at_start = name[i] == '.';
	}
	return !at_start;
}

enum status guc_name_fold(const char *name, size_t len, char *buf)
{
	if (len > GUC_NAME_MAX)
		return E_LIMIT;
	if (!guc_name_is_valid(name, len))
		return E_INVALID;
	for (size_t i = 0; i < len; i++)
		buf[i] = fold(name[i]);
	buf[len] = '\0';
	return OK;
}

bool guc_is_list_quoted(const char *name)
{
	static const char *const names[] = {"search_path", "temp_tablespaces",
		"local_preload_libraries", "session_preload_libraries", "shared_preload_libraries",
		"unix_socket_directories", NULL};

	return is_in(name, names);
}

enum guc_scope guc_scope_of(const char *name)
{
	static const char *const transaction[] = {
		"transaction_isolation", "transaction_read_only", "transaction_deferrable", NULL};
	static const char *const role[] = {"role", "session_authorization", NULL};

	if (strchr(name, '.') != NULL)
		return GUC_CUSTOM;
	if (is_in(name, role))
		return GUC_ROLE;
	if (is_in(name, transaction))
		return GUC_TRANSACTION;
	return strcmp(name, "seed") == 0 ? GUC_SEED : GUC_SESSION;
}

bool guc_is_same_everywhere(const char *name)
{
	static const char *const names[] = {"application_name", "array_nulls", "bytea_output",
		"client_encoding", "client_min_messages", "constraint_exclusion", "datestyle",
		"default_tablespace", "default_text_search_config",
		"default_transaction_deferrable", "default_transaction_isolation",
		"default_transaction_read_only", "escape_string_warning", "extra_float_digits",
		"idle_in_transaction_session_timeout", "integer_datetimes", "intervalstyle",
		"is_superuser", "lc_collate", "lc_ctype", "lc_messages", "lc_monetary",
		"lc_numeric", "lc_time", "lock_timeout", "max_identifier_length", "role",
		"row_security", "search_path", "server_encoding", "server_version",
		"server_version_num", "session_authorization", "standard_conforming_strings",
		"statement_timeout", "timezone", "transaction_deferrable", "transaction_isolation",
		"work_mem", "xmlbinary", "xmloption", NULL};

	return guc_scope_of(name) == GUC_CUSTOM || is_in(name, names);
}

static bool is_blank(char c)
{
	return c != '\0' && strchr(" \t\n\r\f\v", c) != NULL;
}

/*
 * The next word of `options`, unescaped, to buf: blanks separate, a backslash takes the next
 * character as it is (pg_split_opts).
 */
static enum status next_word(struct guc_options *it, char *buf, size_t cap)
{
	size_t n = 0;

	while (is_blank(*it->p))
		it->p++;
	if (*it->p == '\0')
		return E_NOTFOUND;
	for (; *it->p != '\0' && !is_blank(*it->p); it->p++) {
		if (*it->p == '\\' && *++it->p == '\0')
			break;
		if (n + 1 >= cap)
			return E_LIMIT;
		buf[n++] = *it->p;
	}
	buf[n] = '\0';
	return OK;
}

/* Split "name=value" in place, as ParseLongOption does. */
static enum status split_assignment(char *text, struct guc_option *out)
{
	char *equals = strchr(text, '=');

	if (equals == NULL)
		return E_INVALID;
	*equals = '\0';
	for (char *p = text; p < equals; p++)
		*p = *p == '-' ? '_' : fold(*p);
	if (!guc_name_is_valid(text, (size_t)(equals - text)))
		return E_INVALID;
	out->name = text;
	out->value = equals + 1;
	return OK;
}

enum status guc_options_next(struct guc_options *it, char *buf, size_t cap, struct guc_option *out)
{
	enum status st = next_word(it, buf, cap);

	if (st == OK && strcmp(buf, "-c") == 0) {
		st = next_word(it, buf, cap);
		return st == OK ? split_assignment(buf, out) : st == E_NOTFOUND ? E_INVALID : st;
	}
	if (st != OK)
		return st;
	if (buf[0] == '-' && (buf[1] == 'c' || buf[1] == '-'))
		return split_assignment(buf + 2, out);
	return E_INVALID;
}
