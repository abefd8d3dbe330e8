#include "conf/check.h"

#include <string.h>

#include "conf/cidr.h"
#include "conf/effective.h"
#include "conf/method_options.h"
#include "conf/own.h"

static struct finding_at at_key(const struct conf *c, const char *key)
{
	return source_at(&c->own->source, key);
}

static void error_at_key(
	const struct conf *c, const char *key, const char *expected, struct findings *found)
{
	struct finding_at at = at_key(c, key);

	findings_add(found, FINDING_ERROR, &at, "expected %s", expected);
}

static void check_listening(const struct conf *c, struct findings *found)
{
	if (c->listen_addr.n == 0 && *c->unix_socket_dir == '\0')
		error_at_key(c, "listen_addr", "an address, or unix_socket_dir: nobody can connect",
			found);
	if (c->admin_port != 0 && c->admin_port == c->listen_port)
		error_at_key(c, "admin_port", "another port than listen_port", found);
	if (c->stats_port != 0 && c->stats_port == c->listen_port)
		error_at_key(c, "stats_port", "another port than listen_port", found);
	if (c->stats_port != 0 && c->stats_port == c->admin_port)
		error_at_key(c, "stats_port", "another port than admin_port", found);
}

static void check_tls(const struct conf *c, struct findings *found)
{
	const struct conf_tls *cl = &c->client_tls, *sv = &c->server_tls;

	if (cl->sslmode != TLS_MODE_DISABLE && (*cl->cert_file == '\0' || *cl->key_file == '\0'))
		error_at_key(c, "client_tls_sslmode",
			"client_tls_cert_file and client_tls_key_file with it", found);
	if (cl->sslmode >= TLS_MODE_VERIFY_CA && *cl->ca_file == '\0')
		error_at_key(c, "client_tls_sslmode", "client_tls_ca_file with it", found);
	if ((*sv->cert_file == '\0') != (*sv->key_file == '\0'))
		error_at_key(c,
			*sv->cert_file != '\0' ? "server_tls_cert_file" : "server_tls_key_file",
			"server_tls_cert_file and server_tls_key_file together", found);
	if ((*c->stats_tls_cert_file == '\0') != (*c->stats_tls_key_file == '\0'))
		error_at_key(c,
			*c->stats_tls_cert_file != '\0' ? "stats_tls_cert_file"
							: "stats_tls_key_file",
			"stats_tls_cert_file and stats_tls_key_file together", found);
}

static void check_patroni(const struct conf *c, struct findings *found)
{
	const char *colon = strchr(c->patroni_auth, ':');

	if (*c->patroni_auth != '\0' && (colon == NULL || colon == c->patroni_auth))
		error_at_key(c, "patroni_auth", "user:password", found);
}

static void check_proxies(const struct conf *c, struct findings *found)
{
	const struct conf_list *trusted = &c->proxy_protocol_trusted;
	struct finding_at at = at_key(c, "proxy_protocol_trusted");
	struct cidr net;

	if (c->proxy_protocol != PROXY_PROTOCOL_OFF && trusted->n == 0)
		error_at_key(c, "proxy_protocol",
			"proxy_protocol_trusted with it: the networks of the proxies", found);
	for (size_t i = 0; i < trusted->n; i++) {
		at.value = trusted->items[i];
		if (cidr_parse(at.value, &net) != OK)
			findings_add(found, FINDING_ERROR, &at,
				"expected addresses or networks, such as 10.0.0.0/8");
	}
}

static void check_binding(const struct conf *c, struct findings *found)
{
	if (c->server_tls.negotiation == TLS_NEGOTIATION_DIRECT &&
		c->server_tls.sslmode < TLS_MODE_REQUIRE)
		error_at_key(c, "server_tls_sslnegotiation",
			"server_tls_sslmode = require, verify-ca or verify-full with direct",
			found);
	if (c->server_tls.channel_binding == CHANNEL_BINDING_REQUIRE &&
		c->server_tls.sslmode < TLS_MODE_REQUIRE)
		error_at_key(c, "server_channel_binding",
			"server_tls_sslmode = require, verify-ca or verify-full with it", found);
}

static enum status check_ldap_options(const struct conf *c, struct findings *found)
{
	struct finding_at at = at_key(c, "auth_ldap_options");
	struct method_options_error err;
	struct method_options o;
	enum status st =
		method_options_read(AUTH_TYPE_LDAP, c->auth_ldap_options, &c->own->arena, &o, &err);

	if (st != E_INVALID)
		return st;
	if (*c->auth_ldap_options == '\0')
		error_at_key(c, "auth_type", "auth_ldap_options with ldap", found);
	else
		findings_add(found, FINDING_ERROR, &at, "%s%sexpected %s", err.key,
			*err.key != '\0' ? ": " : "", err.expected);
	return OK;
}

static enum status check_external(const struct conf *c, struct findings *found)
{
	const char *lacks = method_options_lacks(c->auth_type);
	struct finding_at at = at_key(c, "auth_type");

	if (lacks != NULL)
		findings_add(found, FINDING_ERROR, &at, "%s", lacks);
	if (strchr(c->auth_pam_service, '/') != NULL || *c->auth_pam_service == '\0')
		error_at_key(c, "auth_pam_service", "the name of a PAM service", found);
	if (c->auth_type == AUTH_TYPE_LDAP || *c->auth_ldap_options != '\0')
		return check_ldap_options(c, found);
	return OK;
}

static void check_auth(const struct conf *c, struct findings *found)
{
	struct finding_at at = at_key(c, "auth_file");

	if (c->auth_type == AUTH_TYPE_HBA && *c->auth_hba_file == '\0')
		error_at_key(c, "auth_type", "auth_hba_file with hba", found);
	if (c->auth_type == AUTH_TYPE_CERT && c->client_tls.sslmode != TLS_MODE_VERIFY_FULL)
		error_at_key(c, "auth_type", "client_tls_sslmode = verify-full with cert", found);
	if (*c->auth_query != '\0' && strstr(c->auth_query, "$1") == NULL)
		error_at_key(c, "auth_query", "$1, where the user's name goes", found);
	if (c->auth_type == AUTH_TYPE_ANY || c->auth_type == AUTH_TYPE_PAM ||
		c->auth_type == AUTH_TYPE_LDAP || *c->auth_file != '\0' || *c->auth_user != '\0')
		return;
	findings_add(found, FINDING_NOTE, &at, "not set: nobody can log in");
}

enum status check_globals(const struct conf *c, struct findings *found)
{
	check_listening(c, found);
	check_proxies(c, found);
	check_tls(c, found);
	check_patroni(c, found);
	check_binding(c, found);
	check_auth(c, found);
	if (c->n_peers != 0 && c->peer_id == 0)
		findings_add(found, FINDING_NOTE, &(struct finding_at){.key = "[peers]"},
			"no effect without peer_id");
	if (c->n_dbs == 0)
		findings_add(found, FINDING_NOTE, &(struct finding_at){.key = "[databases]"},
			"empty: there is nothing to connect to");
	return check_external(c, found);
}

void check_db(const struct conf *c, const struct conf_db *db, const struct finding_at *at,
	struct findings *found)
{
	if (*db->auth_query != '\0' && strstr(db->auth_query, "$1") == NULL)
		findings_add(found, FINDING_ERROR, at,
			"expected $1 in auth_query, where the user's name goes");
	if (db->route != ROUTE_AUTO && !db->routing)
		findings_add(found, FINDING_ERROR, at, "expected routing=on with route=");
	if (db->primary_reads == PRIMARY_READS_SHARE && db->route != ROUTE_AUTO)
		findings_add(
			found, FINDING_ERROR, at, "expected route=auto with primary_reads=share");
	if (db->transaction_reads == TRANSACTION_READS_REPLICA &&
		(db->route != ROUTE_AUTO || !db->routing))
		findings_add(found, FINDING_ERROR, at,
			"expected routing=on and route=auto with transaction_reads=replica");
	if (*db->patroni_port != '\0' && !db->routing)
		findings_add(found, FINDING_NOTE, at, "patroni_port has no effect without routing");
	if (*db->zone != '\0' && *c->zone == '\0')
		findings_add(
			found, FINDING_NOTE, at, "zone has no effect: the global zone is not set");
	if (db->routing && *conf_monitor_user(c, db) == '\0')
		findings_add(found, FINDING_WARNING, at,
			"routing has to ask the nodes who they are: nobody is served without "
			"monitor_user");
	if (*db->password != '\0' && *db->user == '\0')
		findings_add(found, FINDING_NOTE, at, "password has no effect without user");
	if (c->auth_type == AUTH_TYPE_ANY && *db->user == '\0')
		findings_add(found, FINDING_NOTE, at,
			"with auth_type any nobody can log in here without user");
}
