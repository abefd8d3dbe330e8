#include "control/pq_params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/tls.h"

#define NO_FILE "/dev/null/none" /* cannot exist: keeps libpq out of the home directory */

void pq_params_fini(struct pq_params *p)
{
	for (size_t i = 0; i < p->n; i++) {
		explicit_bzero(p->values[i], strlen(p->values[i]));
		free(p->values[i]);
	}
	memset(p, 0, sizeof *p);
}

static bool add(struct pq_params *p, const char *key, const char *value)
{
	PANIC_IF(p->n == PQ_PARAMS_MAX);
	p->values[p->n] = strdup(value);
	if (p->values[p->n] == NULL)
		return false;
	p->keys[p->n++] = key;
	return true;
}

static const char *sslmode_name(enum tls_mode mode)
{
	switch (mode) {
	case TLS_MODE_DISABLE:
		return "disable";
	case TLS_MODE_ALLOW:
		return "allow";
	case TLS_MODE_PREFER:
		return "prefer";
	case TLS_MODE_REQUIRE:
		return "require";
	case TLS_MODE_VERIFY_CA:
		return "verify-ca";
	case TLS_MODE_VERIFY_FULL:
		break;
	}
	return "verify-full";
}

/* libpq before 16 knows no "system", and never takes it with verify-ca. */
static const char *root_certificates(const struct conf_tls *tls)
{
	const char *file;

	if (tls->sslmode < TLS_MODE_VERIFY_CA)
		return NO_FILE;
	if (!tls_ca_is_system(tls->ca_file))
		return tls->ca_file;
	file = tls_system_ca_file();
	return file != NULL ? file : "system";
}

static const char *binding_name(enum channel_binding b)
{
	switch (b) {
	case CHANNEL_BINDING_DISABLE:
		return "disable";
	case CHANNEL_BINDING_PREFER:
		return "prefer";
	case CHANNEL_BINDING_REQUIRE:
		return "require";
	}
	return "require";
}

static bool add_tls(struct pq_params *p, const struct conf_tls *tls)
{
	bool has_cert = *tls->cert_file != '\0';
	bool has_1_2 = (tls->protocols & TLS_PROTOCOL_1_2) != 0;
	bool has_1_3 = (tls->protocols & TLS_PROTOCOL_1_3) != 0;

	return add(p, "sslmode", sslmode_name(tls->sslmode)) &&
	       /* it verifies in "require", too, as soon as it is given a root certificate */
	       add(p, "sslrootcert", root_certificates(tls)) &&
	       add(p, "sslcert", has_cert ? tls->cert_file : NO_FILE) &&
	       add(p, "sslkey", has_cert ? tls->key_file : NO_FILE) && add(p, "sslcrl", NO_FILE) &&
	       add(p, "channel_binding", binding_name(tls->channel_binding)) &&
	       add(p, "ssl_min_protocol_version", has_1_2 ? "TLSv1.2" : "TLSv1.3") &&
	       add(p, "ssl_max_protocol_version", has_1_3 ? "TLSv1.3" : "TLSv1.2") &&
	       add(p, "gssencmode", "disable");
}

/*
 * What ALTER ROLE or ALTER DATABASE may have set must not change what our queries mean: they run
 * on replicas, where serializable is refused, and read names as they are stored (SQL_ASCII).
 */
static bool add_session(struct pq_params *p, const struct pq_target *t)
{
	char options[320];

	snprintf(options, sizeof options,
		"-c search_path=pg_catalog -c default_transaction_read_only=on"
		" -c default_transaction_isolation=read\\ committed"
		" -c default_transaction_deferrable=off -c client_min_messages=warning"
		" -c statement_timeout=%llu",
		(unsigned long long)(t->statement_timeout_us / 1000u));
	return add(p, "options", options) && add(p, "client_encoding", "SQL_ASCII") &&
	       add(p, "application_name", t->application != NULL ? t->application : PQ_APPLICATION);
}

/* Before libpq 17 there is no such option: it asks first. */
static bool add_negotiation(struct pq_params *p, const struct conf_tls *tls, int version)
{
	return tls->negotiation != TLS_NEGOTIATION_DIRECT || version < 170000 ||
	       add(p, "sslnegotiation", "direct");
}

enum status pq_params_set(struct pq_params *p, const struct pq_target *t, int version)
{
	char port[8];
	bool ok;

	snprintf(port, sizeof port, "%u", t->port);
	ok = add(p, "host", t->host) && add(p, "port", port) && add(p, "user", t->user) &&
	     add(p, "dbname", t->dbname) && add(p, "passfile", NO_FILE) && add_session(p, t) &&
	     add_tls(p, t->tls) && add_negotiation(p, t->tls, version);
	if (ok && *t->hostaddr != '\0')
		ok = add(p, "hostaddr", t->hostaddr);
	if (ok && *t->password != '\0')
		ok = add(p, "password", t->password);
	return ok ? OK : E_NOMEM;
}

enum status pq_params_add(struct pq_params *p, const char *key, const char *value)
{
	return add(p, key, value) ? OK : E_NOMEM;
}
