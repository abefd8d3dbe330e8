/*
 * Options of pam and ldap. What is accepted goes together and can be asked with; a user's name
 * stays one value of the DN and of the filter that are made of it. The first line is the name.
 */
#include "auth/ldap_name.h"
#include "conf/method_options.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_together(const struct method_options *o)
{
	bool is_simple = o->ldapprefix != NULL || o->ldapsuffix != NULL;

	PANIC_IF(is_simple == (o->ldapbasedn != NULL));
	PANIC_IF(o->ldapsearchattribute != NULL && o->ldapsearchfilter != NULL);
	PANIC_IF(o->is_ldaps && o->ldaptls);
	PANIC_IF(o->ldapport > 65535);
	PANIC_IF(o->ldapserver == NULL && *o->ldapbasedn == '\0');
}

/* Of a filter made of one attribute: one pair of brackets, no wildcard. */
static void check_filter(const char *filter)
{
	size_t len = strlen(filter);

	PANIC_IF(strchr(filter + 1, '(') != NULL || strchr(filter, '*') != NULL);
	PANIC_IF(strchr(filter, ')') != filter + len - 1);
}

static void check_names(const struct method_options *o, const char *user)
{
	const struct method_options dn = {.ldapprefix = "cn=", .ldapsuffix = ",dc=x"};
	char out[8192];

	if (o->ldapbasedn == NULL)
		(void)!ldap_name_bind(o, user, out, sizeof out);
	else if (ldap_name_filter(o, user, out, sizeof out) == OK && o->ldapsearchfilter == NULL)
		check_filter(out);
	if (ldap_name_bind(&dn, user, out, sizeof out) == OK)
		PANIC_IF(strcspn(out + 3, "=,+;<>\"#") != strlen(out) - 3 - strlen(",dc=x"));
	if (o->ldapserver != NULL && ldap_name_urls(o, o->ldapserver, false, out, sizeof out) == OK)
		PANIC_IF(*out != '\0' && strncmp(out, "ldap", 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct method_options_error err = {.expected = NULL};
	struct method_options o;
	char *text, *line;
	struct arena a;

	arena_init(&a);
	text = arena_strndup(&a, (const char *)data, size);
	PANIC_IF(text == NULL);
	line = text + strcspn(text, "\n");
	if (*line != '\0')
		*line++ = '\0';
	if (method_options_read(AUTH_TYPE_LDAP, line, &a, &o, &err) == OK) {
		check_together(&o);
		check_names(&o, text);
	} else {
		PANIC_IF(err.expected == NULL || strlen(err.key) >= sizeof err.key);
	}
	if (method_options_read(AUTH_TYPE_PAM, line, &a, &o, &err) == OK)
		PANIC_IF(o.pamservice != NULL && strchr(o.pamservice, '/') != NULL);
	arena_fini(&a);
	return 0;
}
