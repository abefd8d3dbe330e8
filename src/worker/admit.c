#include "worker/admit.h"

#include <stdio.h>
#include <string.h>

#include "conf/access.h"
#include "net/listen.h"
#include "net/tls.h"
#include "proto/startup.h"
#include "worker/ask.h"
#include "worker/login.h"
#include "worker/prove.h"

#define CERT_NAME_MAX 1024u /* bytes of a certificate's CN or DN; longer ones fit nobody */

/* --- the rule --- */

struct cidr_addr admit_address(const struct client *c)
{
	struct net_addr a;

	if (conn_remote_addr(c->conn, &a) != OK)
		return cidr_addr_of(NULL, 0);
	if (a.u.sa.sa_family == AF_INET)
		return cidr_addr_of((const uint8_t *)&a.u.in4.sin_addr, 4);
	if (a.u.sa.sa_family == AF_INET6)
		return cidr_addr_of((const uint8_t *)&a.u.in6.sin6_addr, 16);
	return cidr_addr_of(NULL, 0);
}

static const struct hba_rule *rule_of(const struct worker *w, const struct client *c)
{
	const struct conf_user *user = conf_find_user(w->conf, c->login->user);
	struct hba_client client = {
		.database = c->login->database,
		.user = c->login->user,
		.roles = user != NULL ? &user->roles : NULL,
		.is_replication = c->replication == STARTUP_REPLICATION_PHYSICAL,
		.is_local = conn_is_unix(c->conn),
		.is_tls = conn_tls(c->conn) != NULL,
		.addr = admit_address(c),
	};

	return hba_find(w->access->hba, &client);
}

/* In PostgreSQL's words, which people and tools look for. */
static void refuse_by_rule(struct worker *w, struct client *c, const struct hba_rule *r)
{
	static const char *const what[2][2] = {
		{"no pg_hba.conf entry for", "pg_hba.conf rejects connection for"},
		{"no pg_hba.conf entry for replication connection from",
			"pg_hba.conf rejects replication connection for"},
	};
	const struct login *l = c->login;
	bool physical = c->replication == STARTUP_REPLICATION_PHYSICAL;
	char message[2 * NAME_LEN + 256], host[64], database[NAME_LEN + 16] = "";
	uint16_t port;

	conn_remote(c->conn, host, sizeof host, &port);
	if (!physical)
		snprintf(database, sizeof database, "database \"%s\", ", l->database);
	snprintf(message, sizeof message, "%s host \"%s\", user \"%s\", %s%s",
		what[physical][r != NULL], conn_is_unix(c->conn) ? "[local]" : host, l->user,
		database, conn_tls(c->conn) != NULL ? "SSL encryption" : "no encryption");
	login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, message,
		"The rules are those of pgweir's auth_hba_file.");
}

static void refuse_method(struct worker *w, struct client *c, const char *method, const char *why)
{
	char message[NAME_LEN + 64];

	snprintf(message, sizeof message, "%s authentication failed for user \"%s\"", method,
		c->login->user);
	log_info(w->log, "login refused", "client=%lu user=%s reason=\"%s\"", (unsigned long)c->id,
		c->login->user, why);
	login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, message, NULL);
}

/* --- certificates --- */

static bool has_certificate(const struct client *c)
{
	const struct tls *t = conn_tls(c->conn);

	return t != NULL && tls_peer_verified(t);
}

/* Does the client's certificate name its user, or one that the map lets be it? */
static bool certificate_allows(
	const struct worker *w, const struct client *c, bool by_dn, const char *map)
{
	const struct tls *t = conn_tls(c->conn);
	char name[CERT_NAME_MAX];
	enum status st =
		by_dn ? tls_peer_dn(t, name, sizeof name) : tls_peer_cn(t, name, sizeof name);

	return st == OK && access_allows(w->access, map, name, c->login->user);
}

static bool check_certificate(
	struct worker *w, struct client *c, enum hba_clientcert want, const struct hba_rule *r)
{
	if (want == HBA_CLIENTCERT_NONE)
		return true;
	if (!has_certificate(c)) {
		login_refuse(w, c, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"connection requires a valid client certificate", NULL);
		return false;
	}
	if (want == HBA_CLIENTCERT_VERIFY_CA ||
		certificate_allows(w, c, r != NULL && r->clientname_is_dn, r != NULL ? r->map : ""))
		return true;
	refuse_method(w, c, "certificate", "the certificate names another user");
	return false;
}

/* --- the user at the other end of a unix socket --- */

static void ask_peer(struct worker *w, struct client *c, const struct hba_rule *r)
{
	struct ask_peer *ask;
	uid_t uid;

	if (listen_peer_uid(conn_fd(c->conn), &uid) != OK) {
		refuse_method(w, c, "Peer", "the system does not tell who it is");
		return;
	}
	c->login->map = strdup(r->map);
	ask = c->login->map != NULL ? worker_mail(sizeof *ask, ASK_PEER) : NULL;
	if (ask == NULL) {
		client_close(w, c, CLIENT_END_MEMORY);
		return;
	}
	ask->worker = w->index;
	ask->token = client_token(c);
	ask->uid = uid;
	client_transition(w, c, CLIENT_NEEDS_KEY);
	conn_rx_pause(c->conn);
	worker_ask(w, &ask->mail);
}

void admit_peer(struct worker *w, const struct ask_peer *ask)
{
	struct client *c = client_of_token(w, ask->token);

	if (c == NULL || c->state != CLIENT_DERIVE)
		return;
	if (ask->status == OK && access_allows(w->access, c->login->map, ask->name, c->login->user))
		prove_admitted(w, c);
	else
		refuse_method(w, c, "Peer",
			ask->status != OK ? "its system user has no name"
					  : "its system user may not be this user");
}

/* --- all of it --- */

/* What PAM or LDAP is to be asked with, once the password is there. */
static bool keep_options(struct worker *w, struct client *c, const char *options)
{
	if (c->login->type != AUTH_TYPE_PAM && c->login->type != AUTH_TYPE_LDAP)
		return true;
	c->login->options = strdup(options);
	if (c->login->options == NULL)
		client_close(w, c, CLIENT_END_MEMORY);
	return c->login->options != NULL;
}

static bool by_rule(struct worker *w, struct client *c)
{
	const struct hba_rule *r = rule_of(w, c);
	struct login *l = c->login;

	if (r == NULL || r->method == AUTH_TYPE_REJECT) {
		refuse_by_rule(w, c, r);
		return false;
	}
	l->type = r->method;
	if (!check_certificate(w, c, r->clientcert, r))
		return false;
	if (l->type != AUTH_TYPE_PEER)
		return keep_options(w, c, r->options);
	ask_peer(w, c, r);
	return false;
}

bool admit_begin(struct worker *w, struct client *c)
{
	struct login *l = c->login;

	l->type = w->conf->auth_type;
	if (l->type == AUTH_TYPE_HBA)
		return by_rule(w, c);
	if (l->type == AUTH_TYPE_CERT)
		return check_certificate(w, c, HBA_CLIENTCERT_VERIFY_FULL, NULL);
	return keep_options(w, c, l->type == AUTH_TYPE_LDAP ? w->conf->auth_ldap_options : "");
}
