#include "control/target.h"

#include <string.h>

#include "auth/users.h"
#include "conf/effective.h"

const char *target_listed_password(const struct env *env, const char *user)
{
	const struct auth_user *u = auth_users_find(env_users(env), user);

	return u != NULL && u->kind == SECRET_PLAIN ? u->secret : "";
}

/* The monitor's password: configured, else a plain line of auth_file. */
static const char *password_of(const struct env *env, const struct conf_db *db, const char *user)
{
	const char *password = conf_monitor_password(env_conf(env), db);

	return *password != '\0' ? password : target_listed_password(env, user);
}

static const char *dbname_of(const struct conf *conf, const struct conf_db *db)
{
	const char *dbname = conf_monitor_dbname(conf, db);

	return *dbname != '\0' ? dbname : "postgres"; /* a "*" entry names no database */
}

static enum status address_of(
	const struct env *env, uint32_t node, uint32_t try_no, struct target *out)
{
	const struct node_addr *a = &env_addrs(env)->node[node];
	struct net_addr addr;
	uint32_t i;

	if (a->n == 0) {
		out->error = *a->error != '\0' ? a->error : "the name is being looked up";
		return E_NOTFOUND;
	}
	i = try_no % a->n;
	if (net_addr_set(&addr, (const struct sockaddr *)&a->addr[i], a->addr_len[i]) != OK) {
		out->error = "an address of an unknown family";
		return E_NOTFOUND;
	}
	if (!net_addr_is_unix(&addr))
		net_addr_format(&addr, out->hostaddr, sizeof out->hostaddr);
	return OK;
}

bool target_is_current(const struct env *env, uint32_t node, const char *hostaddr)
{
	const struct node_addr *a = &env_addrs(env)->node[node];
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr addr;

	for (uint32_t i = 0; i < a->n; i++)
		if (net_addr_set(&addr, (const struct sockaddr *)&a->addr[i], a->addr_len[i]) ==
				OK &&
			strcmp(net_addr_format(&addr, text, sizeof text), hostaddr) == 0)
			return true;
	return *hostaddr == '\0' || a->n == 0;
}

enum status target_make_as(struct env *env, const struct conf_node *node, uint32_t try_no,
	const struct target_who *who, struct target *out)
{
	enum status st;

	memset(out, 0, sizeof *out);
	if ((st = address_of(env, node->id, try_no, out)) != OK)
		return st;
	out->pq = (struct pq_target){
		.host = node->host,
		.hostaddr = out->hostaddr,
		.port = node->port,
		.dbname = who->dbname,
		.user = who->user,
		.password = who->password,
		.tls = &env_conf(env)->server_tls,
	};
	return OK;
}

enum status target_make(struct env *env, const struct conf_cluster *cl,
	const struct conf_node *node, uint32_t try_no, const char *dbname, struct target *out)
{
	const struct conf *conf = env_conf(env);
	struct target_who who = {
		.dbname = dbname != NULL ? dbname : dbname_of(conf, cl->db),
		.user = conf_monitor_user(conf, cl->db),
	};

	if (*who.user == '\0') {
		memset(out, 0, sizeof *out);
		out->error = "no user to watch the node as: set monitor_user";
		return E_NOTFOUND;
	}
	who.password = password_of(env, cl->db, who.user);
	return target_make_as(env, node, try_no, &who, out);
}

static uint64_t mix(const struct env *env, uint64_t h, const char *s)
{
	return (h ^ hash_bytes(&env->shared->hash_key, s, strlen(s))) * 0x9e3779b97f4a7c15u;
}

uint64_t target_hash(
	const struct env *env, const struct conf_cluster *cl, const struct conf_node *node)
{
	const struct conf *conf = env_conf(env);
	const char *user = conf_monitor_user(conf, cl->db);
	const struct conf_tls *tls = &conf->server_tls;
	uint64_t h = (uint64_t)tls->sslmode << 32 | (uint64_t)tls->channel_binding << 40 |
		     (uint64_t)tls->negotiation << 48 | (uint64_t)tls->protocols << 56 | node->port;

	h = mix(env, h, node->host);
	h = mix(env, h, node->address);
	h = mix(env, h, user);
	h = mix(env, h, password_of(env, cl->db, user));
	h = mix(env, h, dbname_of(conf, cl->db));
	h = mix(env, h, tls->ca_file);
	h = mix(env, h, tls->cert_file);
	return mix(env, h, tls->key_file);
}
