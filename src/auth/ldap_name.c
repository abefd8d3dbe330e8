#include "auth/ldap_name.h"

#include <stdio.h>
#include <string.h>

#include "base/wr.h"

#define PLACEHOLDER "$username"
#define LDAP_PORT   389u
#define LDAPS_PORT  636u

static enum status ended(struct wr *out)
{
	wr_u8(out, '\0');
	return out->bad ? E_LIMIT : OK;
}

static void put_escaped(struct wr *out, char c)
{
	char hex[4];

	(void)snprintf(hex, sizeof hex, "\\%02x", (unsigned char)c);
	wr_str(out, hex);
}

/* --- names to bind with --- */

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool is_special_in_dn(char c)
{
	return is_control(c) || strchr("\"+,;<>\\=#", c) != NULL;
}

static void put_dn_value(struct wr *out, const char *user)
{
	for (const char *p = user; *p != '\0'; p++) {
		bool is_edge = p == user || p[1] == '\0';

		if (is_special_in_dn(*p) || (*p == ' ' && is_edge))
			put_escaped(out, *p);
		else
			wr_u8(out, (uint8_t)*p);
	}
}

static bool ends_with_equals(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == ' ')
		len--;
	return len > 0 && text[len - 1] == '=';
}

enum status ldap_name_bind(const struct method_options *o, const char *user, char *out, size_t cap)
{
	const char *prefix = o->ldapprefix != NULL ? o->ldapprefix : "";
	struct wr w = wr_of(out, cap);

	wr_str(&w, prefix);
	if (ends_with_equals(prefix)) {
		put_dn_value(&w, user);
	} else {
		for (const char *p = user; *p != '\0'; p++)
			if (is_special_in_dn(*p))
				return E_INVALID;
		wr_str(&w, user);
	}
	wr_str(&w, o->ldapsuffix != NULL ? o->ldapsuffix : "");
	return ended(&w);
}

/* --- filters --- */

static void put_filter_value(struct wr *out, const char *user)
{
	for (; *user != '\0'; user++) {
		if (is_control(*user) || (unsigned char)*user >= 0x80 ||
			strchr("*()\\", *user) != NULL)
			put_escaped(out, *user);
		else
			wr_u8(out, (uint8_t)*user);
	}
}

enum status ldap_name_filter(
	const struct method_options *o, const char *user, char *out, size_t cap)
{
	const char *filter = o->ldapsearchfilter, *at;
	struct wr w = wr_of(out, cap);

	if (filter == NULL) {
		wr_u8(&w, '(');
		wr_str(&w, o->ldapsearchattribute != NULL ? o->ldapsearchattribute : "uid");
		wr_u8(&w, '=');
		put_filter_value(&w, user);
		wr_u8(&w, ')');
		return ended(&w);
	}
	for (; (at = strstr(filter, PLACEHOLDER)) != NULL; filter = at + strlen(PLACEHOLDER)) {
		wr_bytes(&w, filter, (size_t)(at - filter));
		put_filter_value(&w, user);
	}
	wr_str(&w, filter);
	return ended(&w);
}

/* --- servers --- */

static bool is_bare_ipv6(const char *host, size_t len)
{
	const char *colon = memchr(host, ':', len);

	return *host != '[' && colon != NULL &&
	       memchr(colon + 1, ':', len - (size_t)(colon + 1 - host)) != NULL;
}

static void put_url(
	struct wr *out, const struct method_options *o, const char *host, size_t len, bool has_port)
{
	unsigned port = o->ldapport != 0 ? o->ldapport : o->is_ldaps ? LDAPS_PORT : LDAP_PORT;
	bool brackets = is_bare_ipv6(host, len);
	char text[16];

	wr_str(out, o->is_ldaps ? "ldaps://" : "ldap://");
	wr_str(out, brackets ? "[" : "");
	wr_bytes(out, host, len);
	wr_str(out, brackets ? "]" : "");
	if (has_port)
		return;
	(void)snprintf(text, sizeof text, ":%u", port);
	wr_str(out, text);
}

enum status ldap_name_urls(
	const struct method_options *o, const char *hosts, bool has_ports, char *out, size_t cap)
{
	struct wr w = wr_of(out, cap);
	size_t len;

	for (hosts += strspn(hosts, " "); *hosts != '\0'; hosts += strspn(hosts, " ")) {
		len = strcspn(hosts, " ");
		wr_str(&w, w.len != 0 ? " " : "");
		put_url(&w, o, hosts, len, has_ports);
		hosts += len;
	}
	return ended(&w);
}
