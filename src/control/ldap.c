#include "control/ldap.h"

#include <config.h>

#ifdef HAVE_LDAP

#include <errno.h>
#include <ldap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "auth/ldap_name.h"

#define TEXT_MAX    4096u /* bytes of a DN, a filter, a list of URLs */
#define ENTRIES_MAX 2     /* one is wanted: a second one tells that there is none */

struct session {
	const struct verify_question *q;
	struct verify_answer *out;
	LDAP *ld;
	int n_urls;
	struct ldap_conncb connected;
};

/* --- telling --- */

/* What has gone wrong, in libldap's words, and the server's if there are any. */
static void say(struct session *s, enum verify_result result, const char *doing, int rc)
{
	char *more = NULL;

	if (s->ld != NULL)
		(void)ldap_get_option(s->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
	verify_say(s->out, result, "%s: %s%s%s", doing, ldap_err2string(rc),
		more != NULL && *more != '\0' ? ": " : "", more != NULL ? more : "");
	ldap_memfree(more);
}

static enum verify_result result_of_failure(const struct session *s, int rc)
{
	return rc == LDAP_TIMEOUT || verify_left_us(s->q) == 0 ? VERIFY_TIMED_OUT : VERIFY_FAILED;
}

/* For the caller's `return`. */
static bool fail(struct session *s, const char *doing, int rc)
{
	say(s, result_of_failure(s, rc), doing, rc);
	return false;
}

/* --- the deadline, below TLS: libldap's handshake blocks for as long as the server likes --- */

/* OK, or E_IO with errno. */
static enum status wait_for(Sockbuf_IO_Desc *d, short events)
{
	const struct session *s = d->sbiod_pvt;
	uint64_t left_ms = (verify_left_us(s->q) + 999) / 1000;
	struct pollfd p = {.events = events};
	int n;

	if (ber_sockbuf_ctrl(d->sbiod_sb, LBER_SB_OPT_GET_FD, &p.fd) != 1)
		return OK; /* what comes next will tell */
	do
		n = poll(&p, 1, (int)left_ms);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0 ? OK : E_IO;
}

static int io_setup(Sockbuf_IO_Desc *d, void *session)
{
	d->sbiod_pvt = session;
	return 0;
}

static int io_ctrl(Sockbuf_IO_Desc *d, int option, void *arg)
{
	return LBER_SBIOD_CTRL_NEXT(d, option, arg);
}

static ber_slen_t io_read(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	return wait_for(d, POLLIN) == OK ? LBER_SBIOD_READ_NEXT(d, buf, len) : -1;
}

static ber_slen_t io_write(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	return wait_for(d, POLLOUT) == OK ? LBER_SBIOD_WRITE_NEXT(d, buf, len) : -1;
}

static int on_connected(
	LDAP *ld, Sockbuf *sb, LDAPURLDesc *url, struct sockaddr *addr, struct ldap_conncb *cb)
{
	static const Sockbuf_IO io = {.sbi_setup = io_setup,
		.sbi_ctrl = io_ctrl,
		.sbi_read = io_read,
		.sbi_write = io_write};

	(void)ld;
	(void)url;
	(void)addr;
	return ber_sockbuf_add_io(
		sb, (Sockbuf_IO *)(uintptr_t)&io, LBER_SBIOD_LEVEL_PROVIDER + 1, cb->lc_arg);
}

static void on_disconnected(LDAP *ld, Sockbuf *sb, struct ldap_conncb *cb)
{
	(void)ld;
	(void)sb;
	(void)cb;
}

/* --- connections --- */

/* What is left is for the next step; each of several servers gets its part of it to answer in. */
static bool set_times(struct session *s, int n)
{
	uint64_t left_us = verify_left_us(s->q), part_us = left_us / (uint64_t)n;
	struct timeval left = {
		.tv_sec = (time_t)(left_us / 1000000u), .tv_usec = (long)(left_us % 1000000u)};
	struct timeval part = {
		.tv_sec = (time_t)(part_us / 1000000u), .tv_usec = (long)(part_us % 1000000u)};
	int rc;

	if (part_us == 0)
		return fail(s, "no time is left", LDAP_TIMEOUT);
	rc = ldap_set_option(s->ld, LDAP_OPT_NETWORK_TIMEOUT, &part);
	if (rc == LDAP_OPT_SUCCESS)
		rc = ldap_set_option(s->ld, LDAP_OPT_TIMEOUT, &left);
	return rc == LDAP_OPT_SUCCESS || fail(s, "setting a timeout", rc);
}

static int count_words(const char *text)
{
	int n = 1;

	for (; *text != '\0'; text++)
		n += *text == ' ';
	return n;
}

/* The servers of the domain that ldapbasedn names, by DNS (SRV). */
static enum status urls_of_domain(struct session *s, char *urls, size_t cap)
{
	const struct method_options *o = s->q->options;
	char *domain = NULL, *hosts = NULL;
	enum status st = E_NOTFOUND;

	if (ldap_dn2domain(o->ldapbasedn, &domain) == 0 && domain != NULL && *domain != '\0' &&
		ldap_domain2hostlist(domain, &hosts) == LDAP_SUCCESS)
		st = ldap_name_urls(o, hosts, true, urls, cap);
	ldap_memfree(domain);
	ldap_memfree(hosts);
	return st;
}

static bool find_urls(struct session *s, char *urls, size_t cap)
{
	const struct method_options *o = s->q->options;
	enum status st;

	if (o->ldapserver != NULL && *o->ldapserver != '\0')
		st = ldap_name_urls(o, o->ldapserver, false, urls, cap);
	else
		st = urls_of_domain(s, urls, cap);
	if (st == OK && *urls != '\0')
		return true;
	verify_say(s->out, VERIFY_FAILED, "DNS knows no LDAP server of ldapbasedn");
	return false;
}

static bool connect_it(struct session *s)
{
	const int version = LDAP_VERSION3;
	char urls[TEXT_MAX];
	int rc;

	if (!find_urls(s, urls, sizeof urls))
		return false;
	s->n_urls = count_words(urls);
	rc = ldap_initialize(&s->ld, urls);
	if (rc == LDAP_SUCCESS)
		rc = ldap_set_option(s->ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	if (rc == LDAP_SUCCESS)
		rc = ldap_set_option(s->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	if (rc == LDAP_SUCCESS)
		rc = ldap_set_option(s->ld, LDAP_OPT_CONNECT_CB, &s->connected);
	if (rc != LDAP_SUCCESS)
		return fail(s, "preparing the connection", rc);
	if (!s->q->options->ldaptls)
		return true;
	if (!set_times(s, s->n_urls))
		return false;
	rc = ldap_start_tls_s(s->ld, NULL, NULL);
	return rc == LDAP_SUCCESS || fail(s, "starting TLS", rc);
}

/* --- steps --- */

static int simple_bind(struct session *s, const char *dn, const char *password)
{
	/* libldap does not write to it */
	struct berval cred = {.bv_len = strlen(password), .bv_val = (char *)(uintptr_t)password};

	return ldap_sasl_bind_s(s->ld, dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL);
}

static int scope_of(enum method_scope scope)
{
	switch (scope) {
	case METHOD_SCOPE_BASE:
		return LDAP_SCOPE_BASE;
	case METHOD_SCOPE_ONE:
		return LDAP_SCOPE_ONELEVEL;
	case METHOD_SCOPE_SUB:
		break;
	}
	return LDAP_SCOPE_SUBTREE;
}

/* The DN of the one entry that was found. */
static bool take_entry(struct session *s, LDAPMessage *found, char *dn, size_t cap)
{
	int n = ldap_count_entries(s->ld, found);
	char *text;
	bool fits;

	if (n != 1) {
		verify_say(s->out, VERIFY_DENIED, "the search finds %s entry of that name",
			n == 0 ? "no" : "more than one");
		return false;
	}
	text = ldap_get_dn(s->ld, ldap_first_entry(s->ld, found));
	fits = text != NULL && strlen(text) < cap;
	if (fits)
		memcpy(dn, text, strlen(text) + 1);
	else
		verify_say(s->out, VERIFY_FAILED, "the entry's DN is too long");
	ldap_memfree(text);
	return fits;
}

static bool search(struct session *s, char *dn, size_t cap)
{
	const struct method_options *o = s->q->options;
	char none[] = LDAP_NO_ATTRS, *attributes[] = {none, NULL};
	LDAPMessage *found = NULL;
	char filter[TEXT_MAX];
	bool ok;
	int rc;

	if (ldap_name_filter(o, s->q->ask->user, filter, sizeof filter) != OK) {
		verify_say(s->out, VERIFY_FAILED, "the filter is too long");
		return false;
	}
	if (!set_times(s, s->n_urls))
		return false;
	rc = simple_bind(s, o->ldapbinddn != NULL ? o->ldapbinddn : "",
		o->ldapbindpasswd != NULL ? o->ldapbindpasswd : "");
	if (rc != LDAP_SUCCESS)
		return fail(s, "binding with ldapbinddn", rc);
	if (!set_times(s, 1))
		return false;
	rc = ldap_search_ext_s(s->ld, o->ldapbasedn, scope_of(o->ldapscope), filter, attributes, 0,
		NULL, NULL, NULL, ENTRIES_MAX, &found);
	if (rc == LDAP_SUCCESS || rc == LDAP_SIZELIMIT_EXCEEDED)
		ok = take_entry(s, found, dn, cap);
	else
		ok = fail(s, "searching", rc);
	ldap_msgfree(found);
	return ok;
}

static bool make_name(struct session *s, char *dn, size_t cap)
{
	enum status st = ldap_name_bind(s->q->options, s->q->ask->user, dn, cap);

	if (st == E_INVALID)
		verify_say(s->out, VERIFY_DENIED,
			"the user's name has a character that means something in a DN");
	else if (st != OK)
		verify_say(s->out, VERIFY_FAILED, "the name to bind with is too long");
	return st == OK;
}

/* The answer to the user's own bind. */
static void judge(struct session *s, int rc)
{
	switch (rc) {
	case LDAP_SUCCESS:
		s->out->result = VERIFY_ACCEPTED;
		return;
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_INSUFFICIENT_ACCESS:
	case LDAP_CONSTRAINT_VIOLATION: /* the account is locked */
	case LDAP_UNWILLING_TO_PERFORM: /* … in other servers' words */
		say(s, VERIFY_DENIED, "the server refuses the password", rc);
		return;
	default:
		say(s, result_of_failure(s, rc), "binding as the user", rc);
		return;
	}
}

static void run(struct session *s)
{
	bool searches = s->q->options->ldapbasedn != NULL;
	char dn[TEXT_MAX];

	if ((!searches && !make_name(s, dn, sizeof dn)) || !connect_it(s) ||
		(searches && !search(s, dn, sizeof dn)) || !set_times(s, searches ? 1 : s->n_urls))
		return;
	judge(s, simple_bind(s, dn, s->q->ask->password));
}

void ldap_prepare_process(void)
{
	int version;

	(void)ldap_get_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version);
}

void ldap_verify(const struct verify_question *q, struct verify_answer *out)
{
	struct session s = {.q = q,
		.out = out,
		.connected = {.lc_add = on_connected, .lc_del = on_disconnected}};

	s.connected.lc_arg = &s;

	run(&s);
	if (s.ld != NULL)
		(void)ldap_unbind_ext_s(s.ld, NULL, NULL);
}

#endif
