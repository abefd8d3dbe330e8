#include "control/access_load.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define OWN_MAX 1024u /* addresses of the system that samehost and samenet know */

/* --- the system's addresses --- */

static struct cidr_addr address_of(const struct sockaddr *sa)
{
	const void *p = sa;

	if (sa == NULL)
		return cidr_addr_of(NULL, 0);
	if (sa->sa_family == AF_INET)
		return cidr_addr_of((const uint8_t *)&((const struct sockaddr_in *)p)->sin_addr, 4);
	if (sa->sa_family == AF_INET6)
		return cidr_addr_of(
			(const uint8_t *)&((const struct sockaddr_in6 *)p)->sin6_addr, 16);
	return cidr_addr_of(NULL, 0);
}

/* Without them samehost and samenet fit nobody. */
static size_t own_addresses(struct cidr *nets)
{
	struct ifaddrs *all = NULL;
	size_t n = 0;

	if (getifaddrs(&all) != 0)
		return 0;
	for (struct ifaddrs *i = all; i != NULL && n < OWN_MAX; i = i->ifa_next) {
		struct cidr_addr mask = address_of(i->ifa_netmask);

		nets[n].addr = address_of(i->ifa_addr);
		if (nets[n].addr.len != 0 && cidr_set_mask(&nets[n], &mask) == OK)
			n++;
	}
	freeifaddrs(all);
	return n;
}

/* --- files --- */

static enum status read_text(const struct conf_reader *reader, const char *key, const char *path,
	char **text, size_t *len, struct findings *found)
{
	struct finding_at at = {.key = key, .value = path};
	enum status st;

	errno = 0;
	st = reader->read(reader->arg, path, text, len);
	if (st == OK || st == E_NOMEM)
		return st;
	findings_add(found, FINDING_ERROR, &at, "cannot be read: %s",
		st == E_IO && errno != 0 ? strerror(errno) : status_name(st));
	return E_INVALID;
}

static enum status load_hba(const struct conf *conf, const struct conf_reader *reader,
	struct access *a, struct findings *found)
{
	struct hba_own own = {.n = 0};
	struct hba_source src = {.file = conf->auth_hba_file, .reader = reader, .own = &own};
	struct cidr *nets;
	enum status st;
	char *text;

	st = read_text(reader, "auth_hba_file", conf->auth_hba_file, &text, &src.len, found);
	if (st != OK)
		return st;
	nets = calloc(OWN_MAX, sizeof *nets);
	if (nets != NULL) {
		own = (struct hba_own){.n = own_addresses(nets), .nets = nets};
		src.text = text;
		st = hba_parse(&src, &a->hba, found);
	} else {
		st = E_NOMEM;
	}
	free(nets);
	explicit_bzero(text, src.len); /* ldapbindpasswd */
	free(text);
	return st;
}

static enum status load_ident(const struct conf *conf, const struct conf_reader *reader,
	struct access *a, struct findings *found)
{
	enum status st;
	char *text;
	size_t len;

	st = read_text(reader, "auth_ident_file", conf->auth_ident_file, &text, &len, found);
	if (st != OK)
		return st;
	st = ident_parse(text, len, conf->auth_ident_file, &a->ident, found);
	free(text);
	return st;
}

enum status access_load(const struct conf *conf, const struct conf_reader *reader,
	struct access **out, struct findings *found)
{
	struct access *a = calloc(1, sizeof *a);
	enum status st_hba = OK, st_ident = OK;
	size_t n_errors = found->n_errors;

	*out = NULL;
	if (a == NULL)
		return E_NOMEM;
	if (conf->auth_type == AUTH_TYPE_HBA) {
		st_hba = load_hba(conf, reader, a, found);
		if (*conf->auth_ident_file != '\0')
			st_ident = load_ident(conf, reader, a, found);
	}
	if (st_hba == OK && st_ident == OK)
		access_check(a, conf, found);
	if (st_hba == OK && st_ident == OK && found->n_errors == n_errors) {
		*out = a;
		return OK;
	}
	access_free(a);
	return st_hba == E_NOMEM || st_ident == E_NOMEM ? E_NOMEM : E_INVALID;
}
