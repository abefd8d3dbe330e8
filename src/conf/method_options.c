#include "conf/method_options.h"

#include <config.h>
#include <stddef.h>
#include <string.h>

#include "base/value.h"
#include "conf/chars.h"

#define PORT_MAX 65535u

struct reading {
	struct method_options *o;
	struct arena *a;
	struct method_options_error *err;
	bool no_memory;
};

/* For the caller's `return`. */
static bool wrong(struct reading *r, const char *key, const char *expected)
{
	size_t len = strlen(key);

	if (len >= sizeof r->err->key)
		len = 0; /* no name of an option: it may be part of a password */
	memcpy(r->err->key, key, len);
	r->err->key[len] = '\0';
	r->err->expected = expected;
	return false;
}

/* --- values --- */

static bool set_switch(struct reading *r, const char *name, const char *value, bool *out)
{
	*out = strcmp(value, "1") == 0;
	return *out || strcmp(value, "0") == 0 || wrong(r, name, "0 or 1");
}

static bool set_scheme(struct reading *r, const char *name, const char *value)
{
	r->o->is_ldaps = strcmp(value, "ldaps") == 0;
	return r->o->is_ldaps || strcmp(value, "ldap") == 0 || wrong(r, name, "ldap or ldaps");
}

static bool set_port(struct reading *r, const char *name, const char *value)
{
	uint64_t port;

	if (!value_parse_uint(value, &port) || port == 0 || port > PORT_MAX)
		return wrong(r, name, "a port number from 1 to 65535");
	r->o->ldapport = (uint32_t)port;
	return true;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_made_of(const char *text, const char *others)
{
	for (; *text != '\0'; text++)
		if (!is_letter_or_digit(*text) && strchr(others, *text) == NULL)
			return false;
	return true;
}

static bool set_server(struct reading *r, const char *name, const char *value)
{
	if (!is_made_of(value, " -._:[]"))
		return wrong(r, name, "names or addresses of LDAP servers, apart by blanks");
	r->o->ldapserver = value + strspn(value, " ");
	return true;
}

static bool set_attribute(struct reading *r, const char *name, const char *value)
{
	if (*value == '\0' || !is_made_of(value, "-;."))
		return wrong(r, name, "the name of an attribute");
	r->o->ldapsearchattribute = value;
	return true;
}

static bool set_filter(struct reading *r, const char *name, const char *value)
{
	if (strstr(value, "$username") == NULL)
		return wrong(r, name, "a filter with $username in it");
	r->o->ldapsearchfilter = value;
	return true;
}

/* --- ldapurl: scheme://host:port/basedn?attribute,…?scope?filter?extension,… --- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `len` bytes without their percent signs; NULL: malformed, or no memory, which is noted. */
static const char *decoded(struct reading *r, const char *p, size_t len)
{
	char *out = arena_strndup(r->a, p, len), *to = out;
	const char *from = out;

	if (out == NULL) {
		r->no_memory = true;
		return NULL;
	}
	while (*from != '\0') {
		int high = -1, low = -1, byte = (unsigned char)*from++;

		if (byte == '%') {
			high = hex_digit(*from);
			low = high >= 0 ? hex_digit(from[1]) : -1;
			byte = 16 * high + low;
			if (low < 0 || byte == 0)
				return NULL;
			from += 2;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	return out;
}

static bool set_url_host(struct reading *r, const char *p, size_t len)
{
	const char *host = decoded(r, p, len), *colon;
	size_t host_len;

	if (host == NULL)
		return wrong(r, "ldapurl", "% before two hexadecimal digits");
	colon = strrchr(host, ':');
	if (colon != NULL && strchr(colon, ']') != NULL)
		colon = NULL; /* of an IPv6 address */
	if (colon != NULL && !set_port(r, "ldapurl", colon + 1))
		return false;
	host_len = colon != NULL ? (size_t)(colon - host) : strlen(host);
	if (host_len == 0)
		return true;
	host = arena_strndup(r->a, host, host_len);
	r->no_memory |= host == NULL;
	return host != NULL && set_server(r, "ldapurl", host);
}

static bool set_url_scope(struct reading *r, const char *value)
{
	static const char *const words[] = {[METHOD_SCOPE_BASE] = "base",
		[METHOD_SCOPE_ONE] = "one",
		[METHOD_SCOPE_SUB] = "sub"};

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(value, words[i]) == 0) {
			r->o->ldapscope = (enum method_scope)i;
			return true;
		}
	}
	return *value == '\0' || wrong(r, "ldapurl", "base, one or sub as its scope");
}

/* The i-th part behind the host, decoded. */
static bool set_url_part(struct reading *r, unsigned i, const char *value)
{
	char *comma;

	switch (i) {
	case 0:
		r->o->ldapbasedn = value;
		return true;
	case 1:
		if (*value == '\0')
			return true;
		if ((comma = strchr(value, ',')) != NULL) { /* the first one counts */
			value = arena_strndup(r->a, value, (size_t)(comma - value));
			r->no_memory |= value == NULL;
		}
		return value != NULL && set_attribute(r, "ldapurl", value);
	case 2:
		return set_url_scope(r, value);
	case 3:
		return *value == '\0' || set_filter(r, "ldapurl", value);
	default:
		return strchr(value, '!') == NULL || wrong(r, "ldapurl", "no critical extension");
	}
}

static bool set_url(struct reading *r, const char *url)
{
	static const char *const schemes[] = {"ldap://", "ldaps://"};
	size_t len, is_ldaps = strncmp(url, schemes[1], strlen(schemes[1])) == 0;

	if (strncmp(url, schemes[is_ldaps], strlen(schemes[is_ldaps])) != 0)
		return wrong(r, "ldapurl", "ldap:// or ldaps:// at its beginning");
	r->o->is_ldaps = is_ldaps;
	r->o->ldapscope = METHOD_SCOPE_BASE;
	r->o->ldapbasedn = "";
	url += strlen(schemes[is_ldaps]);
	len = strcspn(url, "/?");
	if (!set_url_host(r, url, len))
		return false;
	url += len;
	if (*url == '?')
		return wrong(r, "ldapurl", "/ behind the host");
	for (unsigned i = 0; *url != '\0'; i++) {
		const char *part = decoded(r, url + 1, len = strcspn(url + 1, "?"));

		if (part == NULL)
			return wrong(r, "ldapurl", "% before two hexadecimal digits");
		if (i > 4)
			return wrong(r, "ldapurl", "at most four question marks");
		if (!set_url_part(r, i, part))
			return false;
		url += 1 + len;
	}
	return true;
}

/* --- names --- */

static const struct {
	const char *name;
	size_t offset; /* of a text that is taken as it is */
} ldap_texts[] = {
	{"ldapprefix", offsetof(struct method_options, ldapprefix)},
	{"ldapsuffix", offsetof(struct method_options, ldapsuffix)},
	{"ldapbasedn", offsetof(struct method_options, ldapbasedn)},
	{"ldapbinddn", offsetof(struct method_options, ldapbinddn)},
	{"ldapbindpasswd", offsetof(struct method_options, ldapbindpasswd)},
};

static bool set_ldap(struct reading *r, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof ldap_texts / sizeof *ldap_texts; i++) {
		if (strcmp(name, ldap_texts[i].name) == 0) {
			memcpy((char *)r->o + ldap_texts[i].offset, &value, sizeof value);
			return true;
		}
	}
	if (strcmp(name, "ldapserver") == 0)
		return set_server(r, name, value);
	if (strcmp(name, "ldapport") == 0)
		return set_port(r, name, value);
	if (strcmp(name, "ldapscheme") == 0)
		return set_scheme(r, name, value);
	if (strcmp(name, "ldaptls") == 0)
		return set_switch(r, name, value, &r->o->ldaptls);
	if (strcmp(name, "ldapsearchattribute") == 0)
		return set_attribute(r, name, value);
	if (strcmp(name, "ldapsearchfilter") == 0)
		return set_filter(r, name, value);
	if (strcmp(name, "ldapurl") == 0)
		return set_url(r, value);
	return wrong(r, name,
		"ldapserver, ldapport, ldapscheme, ldaptls, ldapprefix, ldapsuffix, ldapbasedn, "
		"ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter or ldapurl");
}

static bool set_pam(struct reading *r, const char *name, const char *value)
{
	if (strcmp(name, "pam_use_hostname") == 0)
		return set_switch(r, name, value, &r->o->pam_use_hostname);
	if (strcmp(name, "pamservice") != 0)
		return wrong(r, name, "pamservice or pam_use_hostname");
	if (*value == '\0' || strchr(value, '/') != NULL)
		return wrong(r, name, "the name of a PAM service");
	r->o->pamservice = value;
	return true;
}

/* --- what goes together --- */

static bool is_given(const char *text)
{
	return text != NULL && *text != '\0';
}

static bool check_ldap(struct reading *r)
{
	const struct method_options *o = r->o;
	bool is_simple = o->ldapprefix != NULL || o->ldapsuffix != NULL;

	if (is_simple &&
		(o->ldapbasedn != NULL || o->ldapbinddn != NULL || o->ldapbindpasswd != NULL ||
			o->ldapsearchattribute != NULL || o->ldapsearchfilter != NULL))
		return wrong(r, o->ldapprefix != NULL ? "ldapprefix" : "ldapsuffix",
			"no ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, "
			"ldapsearchfilter or ldapurl with it: a simple bind does not search");
	if (!is_simple && o->ldapbasedn == NULL)
		return wrong(
			r, "", "ldapbasedn, ldapprefix, ldapsuffix or ldapurl with method ldap");
	if (o->ldapsearchattribute != NULL && o->ldapsearchfilter != NULL)
		return wrong(r, "ldapsearchfilter", "no ldapsearchattribute with it");
	if (!is_given(o->ldapserver) && !is_given(o->ldapbasedn))
		return wrong(r, "ldapserver", "one, or an ldapbasedn whose domain names it");
	if (o->is_ldaps && o->ldaptls)
		return wrong(r, "ldaptls", "no ldaps with it: that is TLS already");
	return true;
}

/* --- the text --- */

static bool is_between(char c)
{
	return char_is_space(c) || c == ',';
}

/* name= at *p, which moves behind it. NULL: malformed. */
static const char *read_name(struct reading *r, const char **p)
{
	size_t len = 0;
	const char *name;

	while ((*p)[len] == '_' || is_letter_or_digit((*p)[len]))
		len++;
	if (len == 0 || (*p)[len] != '=')
		return NULL;
	name = arena_strndup(r->a, *p, len);
	r->no_memory |= name == NULL;
	*p += len + 1;
	return name;
}

static const char *read_plain(struct reading *r, const char **p)
{
	size_t len = 0;
	const char *value;

	while ((*p)[len] != '\0' && !is_between((*p)[len]))
		len++;
	value = arena_strndup(r->a, *p, len);
	r->no_memory |= value == NULL;
	*p += len;
	return value;
}

/* Behind the opening quote. */
static const char *read_quoted(struct reading *r, const char **p)
{
	const char *begin = *p, *end = strchr(begin, '"'), *value;

	while (end != NULL && end[1] == '"')
		end = strchr(end + 2, '"');
	if (end == NULL || (end[1] != '\0' && !is_between(end[1])))
		return NULL;
	*p = end + 1;
	value = chars_undouble(begin, (size_t)(end - begin), '"', r->a);
	r->no_memory |= value == NULL;
	return value;
}

static bool read_all(struct reading *r, enum auth_type method, const char *p)
{
	static const char *const form = "name=value or name=\"value\", apart by blanks";
	const char *name, *value;

	for (;;) {
		while (is_between(*p))
			p++;
		if (*p == '\0')
			return method != AUTH_TYPE_LDAP || check_ldap(r);
		if ((name = read_name(r, &p)) == NULL)
			return wrong(r, "", form);
		value = *p == '"' ? (p++, read_quoted(r, &p)) : read_plain(r, &p);
		if (value == NULL)
			return wrong(r, name, form);
		if (!(method == AUTH_TYPE_LDAP ? set_ldap : set_pam)(r, name, value))
			return false;
	}
}

enum status method_options_read(enum auth_type method, const char *text, struct arena *a,
	struct method_options *out, struct method_options_error *err)
{
	struct reading r = {.o = out, .a = a, .err = err};
	bool ok;

	*out = (struct method_options){.ldapscope = METHOD_SCOPE_SUB};
	if (strlen(text) > METHOD_OPTIONS_MAX)
		ok = wrong(&r, "", "options of at most 1023 bytes");
	else
		ok = read_all(&r, method, text);
	if (r.no_memory)
		return E_NOMEM;
	return ok ? OK : E_INVALID;
}

/* --- what a set of options means --- */

static bool is_loopback(const char *host, size_t len)
{
	static const char *const names[] = {"localhost", "::1", "[::1]"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (len == strlen(names[i]) && memcmp(host, names[i], len) == 0)
			return true;
	return strncmp(host, "127.", 4) == 0;
}

bool method_options_is_open(const struct method_options *o)
{
	const char *host = o->ldapserver;

	if (o->is_ldaps || o->ldaptls)
		return false;
	while (host != NULL && *host != '\0') {
		size_t len = strcspn(host, " ");

		if (!is_loopback(host, len))
			return true;
		host += len;
		host += strspn(host, " ");
	}
	return host == NULL;
}

const char *method_options_lacks(enum auth_type method)
{
#ifndef HAVE_PAM
	if (method == AUTH_TYPE_PAM)
		return "this build of pgweir lacks PAM: it was configured without libpam";
#endif
#ifndef HAVE_LDAP
	if (method == AUTH_TYPE_LDAP)
		return "this build of pgweir lacks LDAP: it was configured without libldap";
#endif
	(void)method;
	return NULL;
}
