#include "control/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "net/resolver.h"

#define LOOKUP_TIMEOUT_MS 5000u
#define AGAIN_MIN_US      1000000u /* between two look-ups of a name */
/* The nodes by id, then the peers, then the names of which each address is a node. */
#define FIRST_SPREAD (NODES_MAX + PEERS_MAX)
#define LOOKUPS_MAX  (FIRST_SPREAD + CONF_SPREADS_MAX)

struct lookup {
	struct resolve *r;
	uint32_t index;
	bool used;
	bool spreads;   /* each of its addresses is a node, should it have several */
	char host[256]; /* as long as conf allows; the resolver refuses what is no name */
	uint16_t port;
	struct resolver_query *query; /* under way, or NULL */
	struct wheel_timer timer;     /* the next one */
	uint64_t asked_us;
	char error[80]; /* the last one of a name without an entry in node_addrs */
};

struct resolve {
	struct env *env;
	const struct resolve_ops *ops;
	void *arg;
	struct resolver *resolver;
	struct wheel_timer publish;
	struct node_addrs *next; /* what is to be published; a copy is */
	bool changed[NODES_MAX];
	struct lookup lookups[LOOKUPS_MAX];
};

static void lookup_start(struct lookup *l);

/* --- publication --- */

static bool publish(struct resolve *r)
{
	struct shared *sh = r->env->shared;
	struct node_addrs *copy = malloc(sizeof *copy);
	const struct node_addrs *old;

	if (copy == NULL)
		return false;
	r->next->generation++;
	*copy = *r->next;
	old = atomic_exchange(&sh->addrs, copy);
	snap_retire(&sh->snap, (void *)(uintptr_t)old, free);
	return true;
}

static void on_publish(void *ctx, struct wheel_timer *t)
{
	struct resolve *r = list_entry(t, struct resolve, publish);

	(void)ctx;
	if (!publish(r)) {
		env_timer(r->env, t, AGAIN_MIN_US);
		return;
	}
	for (uint32_t i = 0; i < NODES_MAX; i++) {
		if (!r->changed[i])
			continue;
		r->changed[i] = false;
		r->ops->on_change(r->arg, i);
	}
}

static void mark_changed(struct resolve *r, uint32_t index)
{
	if (index < NODES_MAX)
		r->changed[index] = true;
	env_timer(r->env, &r->publish, 0);
}

/* --- one name --- */

/* NULL: it is a name whose addresses have nodes of their own. */
static struct node_addr *addr_of(const struct lookup *l)
{
	struct node_addrs *next = l->r->next;

	if (l->index >= FIRST_SPREAD)
		return NULL;
	return l->index < NODES_MAX ? &next->node[l->index] : &next->peer[l->index - NODES_MAX];
}

static void set_addr(struct node_addr *to, uint32_t i, const struct net_addr *a)
{
	memset(&to->addr[i], 0, sizeof to->addr[i]);
	memcpy(&to->addr[i], &a->u, a->len);
	to->addr_len[i] = a->len;
}

static bool has_addr(const struct node_addr *in, const struct net_addr *a)
{
	for (uint32_t i = 0; i < in->n; i++)
		if (in->addr_len[i] == a->len && memcmp(&in->addr[i], &a->u, a->len) == 0)
			return true;
	return false;
}

/* Servers of names rotate their answers: another order is no change. */
static bool is_same(const struct node_addr *now, const struct net_addr *addrs, uint32_t n)
{
	if (now->n != n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!has_addr(now, &addrs[i]))
			return false;
	return true;
}

static void take_addrs(struct lookup *l, const struct net_addr *addrs, size_t n)
{
	struct node_addr *to = addr_of(l);
	uint32_t keep = n < ADDRS_MAX ? (uint32_t)n : ADDRS_MAX;

	if (to == NULL)
		return;
	if (is_same(to, addrs, keep)) {
		if (to->error[0] != '\0') {
			to->error[0] = '\0';
			mark_changed(l->r, l->index);
		}
		return;
	}
	for (uint32_t i = 0; i < keep; i++)
		set_addr(to, i, &addrs[i]);
	to->n = keep;
	to->error[0] = '\0';
	mark_changed(l->r, l->index);
}

static const char *error_text(enum status st)
{
	switch (st) {
	case E_NOTFOUND:
		return "no such host name";
	case E_LIMIT:
		return "the path of the socket is too long";
	case E_INVALID:
		return "not a host name";
	default:
		return "the name service does not answer";
	}
}

/* How many nodes the name stands for. */
static uint32_t n_spread(const struct lookup *l)
{
	const struct conf_spread *s = conf_find_spread(env_conf(l->r->env)->spreads, l->host);

	return s != NULL ? (uint32_t)s->n_addrs : 0;
}

/* Old addresses, if there are any, go on being used. */
static void take_error(struct lookup *l, enum status st)
{
	struct node_addr *to = addr_of(l);
	struct log *log = l->r->env->shared->log;
	const char *text = error_text(st);
	char name[256];

	if (strcmp(to != NULL ? to->error : l->error, text) == 0)
		return;
	log_warn(log, "host name not resolved", "host=%s reason=\"%s\" addresses_kept=%u",
		log_q(name, sizeof name, l->host), text, to != NULL ? to->n : n_spread(l));
	if (to == NULL) {
		text_copy(l->error, sizeof l->error, text);
		return;
	}
	text_copy(to->error, sizeof to->error, text);
	mark_changed(l->r, l->index);
}

static void on_answer(void *arg, enum status st, const struct resolver_answer *a)
{
	struct lookup *l = arg;
	uint64_t again_us = AGAIN_MIN_US;

	l->query = NULL;
	if (st == OK && a->stale) {
		if (addr_of(l) != NULL && addr_of(l)->n == 0)
			take_addrs(l, a->addrs, a->n_addrs);
		take_error(l, E_AGAIN);
	} else if (st == OK) {
		l->error[0] = '\0';
		take_addrs(l, a->addrs, a->n_addrs);
		if (l->spreads && l->r->ops->on_name != NULL)
			l->r->ops->on_name(l->r->arg, l->host, a->addrs, a->n_addrs);
		again_us = (uint64_t)a->ttl_s * 1000000u;
	} else {
		take_error(l, st);
	}
	env_timer(l->r->env, &l->timer, again_us > AGAIN_MIN_US ? again_us : AGAIN_MIN_US);
}

static void lookup_start(struct lookup *l)
{
	enum status st;

	if (l->query != NULL)
		return;
	l->asked_us = env_now_us(l->r->env);
	st = resolver_lookup(l->r->resolver, l->host, l->port, on_answer, l, &l->query);
	if (st == OK)
		return;
	take_error(l, st);
	env_timer(l->r->env, &l->timer, AGAIN_MIN_US);
}

static void on_timer(void *ctx, struct wheel_timer *t)
{
	(void)ctx;
	lookup_start(list_entry(t, struct lookup, timer));
}

static void lookup_stop(struct lookup *l)
{
	struct node_addr *to = addr_of(l);

	if (!l->used)
		return;
	if (l->query != NULL)
		resolver_cancel(l->query);
	l->query = NULL;
	wheel_del(&l->r->env->wheel, &l->timer);
	l->used = false;
	if (to == NULL)
		return;
	memset(to, 0, sizeof *to);
	mark_changed(l->r, l->index);
}

static void lookup_begin(struct lookup *l, const char *host, uint16_t port)
{
	struct net_addr literal;

	l->used = true;
	l->port = port;
	text_copy(l->host, sizeof l->host, host);
	if (net_addr_parse(host, port, &literal) == OK)
		take_addrs(l, &literal, 1); /* for good */
	else
		lookup_start(l);
}

/* --- interface --- */

static struct resolver_conf resolver_conf_of(const struct conf *conf)
{
	return (struct resolver_conf){
		.resolv_conf = *conf->resolv_conf != '\0' ? conf->resolv_conf : NULL,
		.timeout_ms = LOOKUP_TIMEOUT_MS,
		.max_ttl_s = (uint32_t)(conf->dns_max_ttl_us / 1000000u),
		.nxdomain_ttl_s = (uint32_t)(conf->dns_nxdomain_ttl_us / 1000000u),
	};
}

/* host: NULL if there is no such node, peer or name now. */
static void lookup_update(struct lookup *l, const char *host, uint16_t port)
{
	if (host != NULL && l->used && strcmp(host, l->host) == 0 && port == l->port)
		return;
	lookup_stop(l);
	if (host != NULL)
		lookup_begin(l, host, port);
}

static void update_node(struct lookup *l, const struct conf_node *node)
{
	const char *host = NULL;

	if (node != NULL)
		host = *node->address != '\0' ? node->address : node->host;
	l->spreads = node != NULL && *node->address == '\0' &&
		     node->cluster_id != CONF_NO_CLUSTER && !node->is_unix;
	lookup_update(l, host, node != NULL ? node->port : 0);
}

static void update_spread(struct lookup *l, const struct conf_spread *s)
{
	l->spreads = s != NULL;
	lookup_update(l, s != NULL ? s->host : NULL, 0);
}

void resolve_conf_changed(struct resolve *r)
{
	const struct conf *conf = env_conf(r->env);
	struct resolver_conf rc = resolver_conf_of(conf);
	size_t n_spreads = conf->spreads != NULL ? conf->spreads->n : 0;

	if (resolver_reload(r->resolver, &rc) != OK)
		log_warn(r->env->shared->log, "name service settings not taken over",
			"reason=memory");
	for (uint32_t i = 0; i < NODES_MAX; i++)
		update_node(&r->lookups[i], conf->node_by_id[i]);
	for (uint32_t i = 0; i < CONF_SPREADS_MAX; i++)
		update_spread(&r->lookups[FIRST_SPREAD + i],
			i < n_spreads ? &conf->spreads->of[i] : NULL);
	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		const struct conf_peer *peer = i < conf->n_peers ? &conf->peers[i] : NULL;

		lookup_update(&r->lookups[NODES_MAX + i], peer != NULL ? peer->host : NULL,
			peer != NULL ? peer->port : 0);
	}
	/* Who is answered next (RELOAD, say) finds the literal addresses; the timer tells the rest.
	 */
	if (wheel_is_armed(&r->publish))
		(void)publish(r);
}

/* The lookup that tells where a node is: its own, or that of the name that it is one address of. */
static struct lookup *lookup_of(struct resolve *r, uint32_t node)
{
	const struct conf_node *n = env_conf(r->env)->node_by_id[node];

	for (uint32_t i = FIRST_SPREAD; n != NULL && *n->address != '\0' && i < LOOKUPS_MAX; i++)
		if (r->lookups[i].used && strcmp(r->lookups[i].host, n->host) == 0)
			return &r->lookups[i];
	return &r->lookups[node];
}

void resolve_again(struct resolve *r, uint32_t node)
{
	struct lookup *l = lookup_of(r, node);
	struct net_addr literal;

	if (!l->used || l->query != NULL || net_addr_parse(l->host, l->port, &literal) == OK)
		return;
	wheel_add(&r->env->wheel, &l->timer, l->asked_us + AGAIN_MIN_US);
}

struct resolver *resolve_resolver(struct resolve *r)
{
	return r->resolver;
}

enum status resolve_new(
	struct env *env, const struct resolve_ops *ops, void *arg, struct resolve **out)
{
	struct resolver_conf rc = resolver_conf_of(env_conf(env));
	struct resolve *r = calloc(1, sizeof *r);
	enum status st = E_NOMEM;

	if (r == NULL)
		return E_NOMEM;
	r->env = env;
	r->ops = ops;
	r->arg = arg;
	wheel_timer_init(&r->publish, on_publish);
	for (uint32_t i = 0; i < LOOKUPS_MAX; i++) {
		r->lookups[i].r = r;
		r->lookups[i].index = i;
		wheel_timer_init(&r->lookups[i].timer, on_timer);
	}
	r->next = calloc(1, sizeof *r->next);
	if (r->next == NULL || (st = resolver_new(env->loop, &rc, &r->resolver)) != OK) {
		free(r->next);
		free(r);
		return st;
	}
	*out = r;
	return OK;
}

void resolve_free(struct resolve *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < LOOKUPS_MAX; i++)
		lookup_stop(&r->lookups[i]);
	wheel_del(&r->env->wheel, &r->publish);
	resolver_free(r->resolver);
	free(r->next);
	free(r);
}
