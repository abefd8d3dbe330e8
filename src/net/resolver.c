#include "net/resolver.h"

#include <ctype.h>
#include <event2/dns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/wheel.h"
#include "net/engine.h"
#include "net/hosts.h"
#include "net/names.h"

#define DNS_TRIES         3u /* times a question is sent within timeout_ms */
#define DNS_SLACK_MS      100u
#define STALE_HOLD_US     1000000u /* after a failure with an earlier answer, ask again */
#define DNS_OPTIONS_TAKEN (DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC)

/* Two questions that are out, A and AAAA; lives until both are answered, also without its name. */
struct lookup {
	struct resolver *r;
	struct name *name; /* NULL: nobody waits for it any more; r may have gone */
	unsigned n_out;
	unsigned n_failed; /* by the DNS's fault */
	uint32_t ttl_s;
	size_t n4, n6;
	struct in_addr a4[RESOLVER_ADDRS_MAX];
	struct in6_addr a6[RESOLVER_ADDRS_MAX];
};

struct resolver_query {
	struct list all;          /* on r->queries */
	struct list link;         /* on name->waiting, unless at_once */
	struct wheel_timer timer; /* the answer that is known, or the end of patience */
	struct resolver *r;
	struct name *name; /* NULL: a literal, or what is wrong with it */
	bool at_once;      /* the answer is known */
	uint16_t port;
	enum status literal_st;
	struct net_addr literal;
	resolver_fn *fn;
	void *arg;
};

struct resolver {
	struct loop *loop;
	struct evdns_base *dns;
	struct hosts hosts;
	struct names names;
	struct list queries;
	size_t n_queries;
	uint32_t timeout_ms;
	uint32_t max_ttl_s;
	uint32_t nxdomain_ttl_s;
};

static uint64_t now_us(const struct resolver *r)
{
	return r->loop->now_us;
}

/* --- settings --- */

static void dns_option(struct resolver *r, const char *name, double value)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%.3f", value);
	(void)evdns_base_set_option(r->dns, name, text);
}

static enum status configure(struct resolver *r, const struct resolver_conf *conf)
{
	const char *file = conf->resolv_conf != NULL ? conf->resolv_conf : "/etc/resolv.conf";
	struct hosts hosts;

	if (hosts_init(&hosts, conf->hosts != NULL ? conf->hosts : "/etc/hosts") != OK)
		return E_NOMEM;
	hosts_fini(&r->hosts);
	r->hosts = hosts;
	r->timeout_ms = conf->timeout_ms;
	r->max_ttl_s = conf->max_ttl_s;
	r->nxdomain_ttl_s = conf->nxdomain_ttl_s;
	(void)evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_TAKEN, file);
	/* a little longer than a query waits, so that what has come by then is told */
	dns_option(r, "timeout:", (conf->timeout_ms + DNS_SLACK_MS) / 1000.0 / DNS_TRIES);
	(void)evdns_base_set_option(r->dns, "attempts:", "3");
	(void)evdns_base_set_option(r->dns, "max-inflight:", "256");
	return OK;
}

enum status resolver_new(struct loop *l, const struct resolver_conf *conf, struct resolver **out)
{
	enum status st;
	struct resolver *r = calloc(1, sizeof *r);

	if (r == NULL)
		return E_NOMEM;
	r->loop = l;
	list_init(&r->queries);
	if ((st = names_init(&r->names)) == OK &&
		(loop_event_base(l) == NULL ||
			(r->dns = evdns_base_new(loop_event_base(l), 0)) == NULL))
		st = E_NOMEM;
	if (st != OK || (st = configure(r, conf)) != OK) {
		resolver_free(r);
		return st;
	}
	*out = r;
	return OK;
}

enum status resolver_reload(struct resolver *r, const struct resolver_conf *conf)
{
	enum status st;

	(void)evdns_base_clear_nameservers_and_suspend(r->dns);
	evdns_base_search_clear(r->dns);
	st = configure(r, conf);
	(void)evdns_base_resume(r->dns);
	resolver_expire(r);
	return st;
}

/* --- answers --- */

static void query_free(struct resolver_query *q)
{
	wheel_del(&q->r->loop->wheel, &q->timer);
	list_del(&q->link);
	list_del(&q->all);
	q->r->n_queries--;
	if (q->name != NULL)
		q->name->n_users--;
	free(q);
}

static enum status literal_tell(
	const struct resolver_query *q, struct resolver_answer *a, struct net_addr *addrs)
{
	if (q->literal_st != OK)
		return q->literal_st;
	addrs[0] = q->literal;
	a->n_addrs = 1;
	a->ttl_s = q->r->max_ttl_s;
	return OK;
}

static enum status name_tell(
	const struct resolver_query *q, struct resolver_answer *a, struct net_addr *addrs)
{
	const struct name *n = q->name;
	bool waits = !q->at_once && n->lookup != NULL; /* its time is over */

	if (n->standing != NAME_KNOWN)
		return n->standing == NAME_NONE && !waits ? E_NOTFOUND : E_AGAIN;
	a->n_addrs = n->n_addrs;
	a->ttl_s = name_ttl_left_s(n, now_us(q->r));
	a->stale = n->stale || waits;
	for (size_t i = 0; i < n->n_addrs; i++) {
		addrs[i] = n->addrs[i];
		net_addr_set_port(&addrs[i], q->port);
	}
	return OK;
}

/* Tell what is known now, and be done with the query. */
static void query_answer(struct resolver_query *q)
{
	struct net_addr addrs[RESOLVER_ADDRS_MAX];
	struct resolver_answer a = {.addrs = addrs};
	enum status st = q->name != NULL ? name_tell(q, &a, addrs) : literal_tell(q, &a, addrs);
	resolver_fn *fn = q->fn;
	void *arg = q->arg;

	query_free(q);
	fn(arg, st, &a);
}

static void name_answer_all(struct name *n)
{
	struct list now;
	struct list *it;

	list_init(&now);
	list_splice_back(&now, &n->waiting);
	while ((it = list_pop_front(&now)) != NULL)
		query_answer(list_entry(it, struct resolver_query, link));
}

/* --- asking the DNS --- */

static size_t lookup_addrs(const struct lookup *lk, struct net_addr *out)
{
	size_t n = 0;

	for (size_t i = 0; i < lk->n4 && n < RESOLVER_ADDRS_MAX; i++, n++) {
		out[n] = (struct net_addr){.len = sizeof out[n].u.in4};
		out[n].u.in4.sin_family = AF_INET;
		out[n].u.in4.sin_addr = lk->a4[i];
	}
	for (size_t i = 0; i < lk->n6 && n < RESOLVER_ADDRS_MAX; i++, n++) {
		out[n] = (struct net_addr){.len = sizeof out[n].u.in6};
		out[n].u.in6.sin6_family = AF_INET6;
		out[n].u.in6.sin6_addr = lk->a6[i];
	}
	return n;
}

static void lookup_leave(struct lookup *lk)
{
	lk->name->lookup = NULL;
	lk->name->n_users--;
	lk->name = NULL;
}

/* Both questions are answered or have failed, or it is too late for the other. */
static void lookup_settle(struct lookup *lk)
{
	struct name *n = lk->name;
	struct resolver *r = lk->r;
	struct net_addr addrs[RESOLVER_ADDRS_MAX];
	size_t n_addrs = lookup_addrs(lk, addrs);

	lookup_leave(lk);
	if (n_addrs != 0 && name_set_addrs(n, addrs, n_addrs) == OK) {
		uint32_t ttl_s = lk->ttl_s < r->max_ttl_s ? lk->ttl_s : r->max_ttl_s;

		n->fresh_until_us = now_us(r) + ttl_s * (uint64_t)1000000;
	} else if (n_addrs == 0 && lk->n_failed == 0) {
		n->standing = NAME_NONE;
		n->stale = false;
		n->fresh_until_us = now_us(r) + r->nxdomain_ttl_s * (uint64_t)1000000;
	} else {
		n->stale = n->standing == NAME_KNOWN;
		n->fresh_until_us = n->stale ? now_us(r) + STALE_HOLD_US : 0;
		if (n->standing == NAME_NONE)
			n->standing = NAME_UNKNOWN;
	}
	name_answer_all(n);
}

static void lookup_take(struct lookup *lk, char type, size_t count, int ttl, const void *addrs)
{
	if (count > RESOLVER_ADDRS_MAX)
		count = RESOLVER_ADDRS_MAX;
	if (type == DNS_IPv4_A) {
		memcpy(lk->a4, addrs, count * sizeof lk->a4[0]);
		lk->n4 = count;
	} else if (type == DNS_IPv6_AAAA) {
		memcpy(lk->a6, addrs, count * sizeof lk->a6[0]);
		lk->n6 = count;
	}
	if (count != 0 && (uint32_t)ttl < lk->ttl_s)
		lk->ttl_s = (uint32_t)ttl;
}

/* The answer was known when it was asked, or the DNS has taken too long for all or half of it. */
static void query_on_timer(void *ctx, struct wheel_timer *t)
{
	struct resolver_query *q = list_entry(t, struct resolver_query, timer);
	struct lookup *lk = q->name != NULL ? q->name->lookup : NULL;

	(void)ctx;
	if (q->at_once || lk == NULL || lk->n4 + lk->n6 == 0) {
		query_answer(q);
		return;
	}
	lookup_settle(lk); /* its other half may still come */
}

/* evdns calls this once for each question, in any case, from the loop. */
static void on_reply(int result, char type, int count, int ttl, void *addrs, void *arg)
{
	struct lookup *lk = arg;

	if (result == DNS_ERR_NONE)
		lookup_take(lk, type, count > 0 ? (size_t)count : 0, ttl, addrs);
	else if (result != DNS_ERR_NOTEXIST && result != DNS_ERR_NODATA)
		lk->n_failed++;
	if (--lk->n_out != 0)
		return;
	if (lk->name != NULL) {
		loop_woke(lk->r->loop);
		lookup_settle(lk);
	}
	free(lk);
}

static enum status lookup_start(struct resolver *r, struct name *n)
{
	struct evdns_base *dns = r->dns;
	struct lookup *lk;

	if (n->lookup != NULL)
		return OK;
	if ((lk = calloc(1, sizeof *lk)) == NULL)
		return E_NOMEM;
	lk->r = r;
	lk->name = n;
	lk->ttl_s = UINT32_MAX;
	if (evdns_base_resolve_ipv4(dns, n->text, 0, on_reply, lk) != NULL)
		lk->n_out++;
	if (evdns_base_resolve_ipv6(dns, n->text, 0, on_reply, lk) != NULL)
		lk->n_out++;
	lk->n_failed = 2 - lk->n_out;
	if (lk->n_out == 0) {
		free(lk);
		return E_NOMEM;
	}
	n->lookup = lk;
	n->n_users++;
	return OK;
}

/* --- lookups --- */

/* Lower case, without a dot at the end. */
static enum status normalize(const char *host, char out[RESOLVER_NAME_MAX + 1])
{
	size_t len = strlen(host);

	if (len != 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > RESOLVER_NAME_MAX)
		return E_INVALID;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)host[i];

		if (!isalnum(c) && c != '-' && c != '_' && c != '.')
			return E_INVALID;
		out[i] = (char)tolower(c);
	}
	out[len] = '\0';
	return OK;
}

/* Attach the query to its name. Sets at_once if the answer is known already. */
static enum status query_find(struct resolver_query *q, const char *host)
{
	struct resolver *r = q->r;
	struct net_addr addrs[RESOLVER_ADDRS_MAX];
	char text[RESOLVER_NAME_MAX + 1];
	struct name *n;
	size_t n_addrs;
	enum status st;

	if ((st = normalize(host, text)) != OK || (st = names_get(&r->names, text, &n)) != OK)
		return st;
	n_addrs = hosts_find(&r->hosts, text, addrs, RESOLVER_ADDRS_MAX);
	q->at_once = n_addrs != 0 || name_is_fresh(n, now_us(r));
	if (n_addrs != 0) {
		n->fresh_until_us = now_us(r); /* the file is looked at each time */
		st = name_set_addrs(n, addrs, n_addrs);
	} else if (!q->at_once) {
		st = lookup_start(r, n);
	}
	if (st != OK)
		return st;
	q->name = n;
	n->n_users++;
	if (!q->at_once)
		list_push_back(&n->waiting, &q->link);
	return OK;
}

static struct resolver_query *query_new(
	struct resolver *r, uint16_t port, resolver_fn *fn, void *arg)
{
	struct resolver_query *q = calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	list_init(&q->link);
	list_init(&q->all);
	wheel_timer_init(&q->timer, query_on_timer);
	q->r = r;
	q->port = port;
	q->fn = fn;
	q->arg = arg;
	return q;
}

enum status resolver_lookup(struct resolver *r, const char *host, uint16_t port, resolver_fn *fn,
	void *arg, struct resolver_query **out)
{
	struct resolver_query *q;
	uint64_t deadline = now_us(r);

	if (r->n_queries >= RESOLVER_QUERIES_MAX)
		return E_LIMIT;
	if ((q = query_new(r, port, fn, arg)) == NULL)
		return E_NOMEM;
	q->literal_st = net_addr_parse(host, port, &q->literal);
	q->at_once = q->literal_st != E_NOTFOUND;
	if (!q->at_once) {
		enum status st = query_find(q, host);

		if (st != OK) {
			free(q);
			return st;
		}
	}
	if (!q->at_once)
		deadline += r->timeout_ms * (uint64_t)1000;
	r->n_queries++;
	list_push_back(&r->queries, &q->all);
	wheel_add(&r->loop->wheel, &q->timer, deadline);
	if (out != NULL)
		*out = q;
	return OK;
}

void resolver_cancel(struct resolver_query *q)
{
	query_free(q);
}

void resolver_expire(struct resolver *r)
{
	names_expire(&r->names);
}

void resolver_free(struct resolver *r)
{
	struct list *it, *next;
	const struct name *n;
	size_t pos = 0;

	if (r == NULL)
		return;
	list_foreach_safe (it, next, &r->queries)
		query_free(list_entry(it, struct resolver_query, all));
	while ((n = names_next(&r->names, &pos)) != NULL)
		if (n->lookup != NULL)
			lookup_leave(n->lookup);
	names_fini(&r->names);
	if (r->dns != NULL)
		evdns_base_free(r->dns, 1); /* on_reply comes for all that is out */
	hosts_fini(&r->hosts);
	free(r);
}

/* --- facts --- */

size_t resolver_n_names(const struct resolver *r)
{
	return r->names.map.n_items;
}

size_t resolver_n_queries(const struct resolver *r)
{
	return r->n_queries;
}

bool resolver_next(const struct resolver *r, size_t *pos, struct resolver_name *out)
{
	const struct name *n = names_next(&r->names, pos);

	if (n == NULL)
		return false;
	*out = (struct resolver_name){.name = n->text,
		.addrs = n->addrs,
		.n_addrs = n->standing == NAME_KNOWN ? n->n_addrs : 0,
		.ttl_s = name_ttl_left_s(n, now_us(r))};
	return true;
}
