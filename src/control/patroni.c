#include "control/patroni.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "net/addr.h"
#include "net/conn.h"
#include "net/tls.h"
#include "proto/base64.h"

#define STATUS_LEN  12u /* "HTTP/1.0 200" */
#define REQUEST_MAX 1024u
#define AUTH_MAX    (BASE64_LEN(300u) + 1) /* of patroni_auth */

/* The API beside one node. */
struct api {
	struct patroni *of;
	uint32_t node;
	uint16_t port;
	enum topo_leader leader; /* as told last */
	bool is_told;            /* … to the log: not before the first answer or failure */
	struct conn *conn;       /* a question is under way, or NULL */
	uint64_t asked_us;
	struct wheel_timer timer; /* looks every PATRONI_FAST_US what is due */
};

struct patroni {
	struct env *env;
	const struct patroni_ops *ops;
	void *arg;
	struct api *apis[NODES_MAX];
};

/* --- answers --- */

enum topo_leader patroni_read_status(const uint8_t *data, size_t len)
{
	if (len < STATUS_LEN || memcmp(data, "HTTP/1.", 7) != 0 || data[8] != ' ')
		return TOPO_LEADER_UNKNOWN;
	if (memcmp(data + 9, "200", 3) == 0)
		return TOPO_LEADER_YES;
	return memcmp(data + 9, "503", 3) == 0 ? TOPO_LEADER_NO : TOPO_LEADER_UNKNOWN;
}

static const char *leader_word(enum topo_leader leader)
{
	switch (leader) {
	case TOPO_LEADER_YES:
		return "yes";
	case TOPO_LEADER_NO:
		return "no";
	case TOPO_LEADER_UNKNOWN:
		break;
	}
	return "unknown";
}

static void take(struct api *a, enum topo_leader leader, const char *why)
{
	const struct conf_node *node = env_conf(a->of->env)->node_by_id[a->node];
	struct log *log = a->of->env->shared->log;
	const char *was = leader_word(a->leader);
	char name[512], text[2 * TLS_ERR_MAX];

	conn_free(a->conn);
	a->conn = NULL;
	if (leader == a->leader && a->is_told)
		return;
	a->is_told = true;
	a->leader = leader;
	log_q(name, sizeof name, node != NULL ? node->name : "");
	if (leader == TOPO_LEADER_UNKNOWN)
		log_warn(log, "patroni does not tell", "node=%s api_port=%u was=%s reason=%s", name,
			a->port, was, log_q(text, sizeof text, why));
	else
		log_info(log, "patroni tells", "node=%s api_port=%u leader=%s was=%s reason=%s",
			name, a->port, leader_word(leader), was, log_q(text, sizeof text, why));
	a->of->ops->on_leader(a->of->arg, a->node, leader);
}

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
	static const char *const why[] = {
		[TOPO_LEADER_UNKNOWN] = "an answer that is neither 200 nor 503",
		[TOPO_LEADER_NO] = "it answers 503: this member has not the leader lock",
		[TOPO_LEADER_YES] = "it answers 200: this member has the leader lock",
	};
	enum topo_leader leader;

	if (len < STATUS_LEN)
		return 0;
	leader = patroni_read_status(data, len);
	take(arg, leader,
		memcmp(data + 9, "401", 3) == 0 ? "it refuses patroni_auth" : why[leader]);
	return 0;
}

static void on_end(void *arg, enum conn_end why)
{
	struct api *a = arg;
	char text[TLS_ERR_MAX];

	switch (why) {
	case CONN_END_TLS:
		snprintf(text, sizeof text, "%s", conn_error_text(a->conn));
		take(a, TOPO_LEADER_UNKNOWN, text);
		break;
	case CONN_END_CONNECT:
		take(a, TOPO_LEADER_UNKNOWN, "could not connect");
		break;
	case CONN_END_EOF:
	case CONN_END_RESET:
	case CONN_END_LIMIT:
		take(a, TOPO_LEADER_UNKNOWN, "the connection was closed");
		break;
	}
}

static const char *host_of(const struct api *a)
{
	const struct conf_node *node = env_conf(a->of->env)->node_by_id[a->node];

	return node != NULL && !node->is_unix ? node->host : "localhost";
}

/* The value of patroni_auth as the header has it. */
static void put_auth(const struct conf *conf, char out[AUTH_MAX])
{
	struct wr w = wr_of((uint8_t *)out, AUTH_MAX - 1);

	base64_put(&w, (const uint8_t *)conf->patroni_auth, strlen(conf->patroni_auth));
	out[w.bad ? 0 : w.len] = '\0';
}

static void send_request(struct api *a)
{
	const struct conf *conf = env_conf(a->of->env);
	bool named = *conf->patroni_auth != '\0';
	char request[REQUEST_MAX], auth[AUTH_MAX];
	int n;

	put_auth(conf, auth);
	n = snprintf(request, sizeof request,
		"GET /leader HTTP/1.0\r\nHost: %s:%u\r\nUser-Agent: pgweir\r\n%s%s%s"
		"Connection: close\r\n\r\n",
		host_of(a), a->port, named ? "Authorization: Basic " : "", auth,
		named ? "\r\n" : "");
	if (n > 0 && (size_t)n < sizeof request) {
		conn_put_copy(a->conn, request, (size_t)n);
		conn_flush(a->conn);
	}
	explicit_bzero(auth, sizeof auth);
	explicit_bzero(request, sizeof request);
}

/* Connected; and again when TLS is on. */
static void on_ready(void *arg)
{
	struct api *a = arg;
	const struct tls_set *tls =
		atomic_load_explicit(&a->of->env->shared->tls, memory_order_acquire);

	if (tls == NULL || tls->patroni == NULL || conn_tls(a->conn) != NULL)
		send_request(a);
	else if (conn_tls_connect(a->conn, tls->patroni, host_of(a)) != OK)
		take(a, TOPO_LEADER_UNKNOWN, "no memory for TLS");
}

static const struct conn_ops api_ops = {
	.on_data = on_data,
	.on_ready = on_ready,
	.on_end = on_end,
};

/* --- questions --- */

/* Of a node that is reached by a unix socket the API is on this machine. */
static enum status address_of(const struct api *a, struct net_addr *out)
{
	const struct node_addr *known = &env_addrs(a->of->env)->node[a->node];

	if (known->n == 0 || net_addr_set(out, (const struct sockaddr *)&known->addr[0],
				     known->addr_len[0]) != OK)
		return E_NOTFOUND;
	if (net_addr_is_unix(out))
		return net_addr_parse("127.0.0.1", a->port, out);
	net_addr_set_port(out, a->port);
	return OK;
}

static void ask(struct api *a)
{
	static const struct conn_limits limits = {
		.rx_keep_max = PATRONI_HEAD_MAX, .out_max = PATRONI_HEAD_MAX};
	struct net_addr addr;

	a->asked_us = env_now_us(a->of->env);
	if (address_of(a, &addr) != OK) {
		take(a, TOPO_LEADER_UNKNOWN, "the host's name is not resolved");
		return;
	}
	if (conn_connect(a->of->env->loop, &addr.u.sa, addr.len, &api_ops, a, &limits, &a->conn) ==
		OK)
		return;
	a->conn = NULL;
	take(a, TOPO_LEADER_UNKNOWN, "could not connect");
}

/* The node says that it is the primary, Patroni says no, or the other way round: it is changing. */
static bool is_changing(const struct api *a)
{
	const struct topo_node *n = topology_node(env_topology(a->of->env), (uint16_t)a->node);

	if (n == NULL || n->health != TOPO_UP || a->leader == TOPO_LEADER_UNKNOWN)
		return false;
	return (n->role == TOPO_ROLE_PRIMARY) != (a->leader == TOPO_LEADER_YES);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	struct api *a = list_entry(t, struct api, timer);
	struct env *env = a->of->env;
	uint64_t since_us = env_now_us(env) - a->asked_us;

	(void)ctx;
	env_timer(env, t, PATRONI_FAST_US);
	if (a->conn != NULL && since_us >= env_conf(env)->node_timeout_us)
		take(a, TOPO_LEADER_UNKNOWN, "no answer within node_timeout");
	else if (a->conn == NULL &&
		 (a->asked_us == 0 || since_us >= PATRONI_EVERY_US || is_changing(a)))
		ask(a);
}

/* --- configuration, life --- */

static void api_free(struct api *a)
{
	if (a == NULL)
		return;
	wheel_del(&a->of->env->wheel, &a->timer);
	conn_free(a->conn);
	free(a);
}

static enum status api_update(struct patroni *p, uint32_t node, uint16_t port)
{
	struct api *a = p->apis[node];

	if (a != NULL && a->port != port) {
		if (a->leader != TOPO_LEADER_UNKNOWN)
			p->ops->on_leader(p->arg, node, TOPO_LEADER_UNKNOWN);
		api_free(a);
		a = p->apis[node] = NULL;
	}
	if (a != NULL || port == 0)
		return OK;
	if ((a = calloc(1, sizeof *a)) == NULL)
		return E_NOMEM;
	a->of = p;
	a->node = node;
	a->port = port;
	wheel_timer_init(&a->timer, on_timer);
	env_timer(p->env, &a->timer, 0);
	p->apis[node] = a;
	return OK;
}

enum status patroni_conf_changed(struct patroni *p)
{
	const struct conf *conf = env_conf(p->env);
	enum status st = OK;

	for (uint32_t i = 0; i < NODES_MAX && st == OK; i++) {
		const struct conf_node *node = conf->node_by_id[i];
		bool used = node != NULL && node->cluster_id != CONF_NO_CLUSTER;

		st = api_update(p, i, used ? node->patroni_port : 0);
	}
	return st;
}

enum status patroni_new(
	struct env *env, const struct patroni_ops *ops, void *arg, struct patroni **out)
{
	struct patroni *p = calloc(1, sizeof *p);

	if (p == NULL)
		return E_NOMEM;
	p->env = env;
	p->ops = ops;
	p->arg = arg;
	*out = p;
	return OK;
}

void patroni_free(struct patroni *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		api_free(p->apis[i]);
	free(p);
}
