#include "control/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "control/reload.h"

#define SPREAD_ADDRS_MAX 64u /* of one answer that are looked at; the resolver brings 32 */

struct spread {
	struct env *env;
	struct reload *reload;
	struct reload_request request;
	bool again; /* something has changed since the load under way began */
	struct conf_spreads wanted;
};

/* --- which of its addresses --- */

static size_t n_of_family(const struct net_addr *addrs, size_t n, int family)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += addrs[i].u.sa.sa_family == family;
	return found;
}

/* `now`: what the name stands for at present, or NULL. */
static int family_of(const struct conf_spread *now, const struct net_addr *addrs, size_t n)
{
	size_t n4 = n_of_family(addrs, n, AF_INET), n6 = n_of_family(addrs, n, AF_INET6);
	bool was6 = now != NULL && strchr(now->addr[0], ':') != NULL;

	if (now != NULL && (was6 ? n6 : n4) != 0)
		return was6 ? AF_INET6 : AF_INET;
	return n4 >= n6 ? AF_INET : AF_INET6;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* In an order of their own: servers of names rotate their answers. */
static void take_family(const struct net_addr *addrs, size_t n, int family, struct conf_spread *out)
{
	char text[SPREAD_ADDRS_MAX][CONF_ADDR_MAX + 1], one[NET_ADDR_TEXT_MAX];
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < SPREAD_ADDRS_MAX; i++) {
		if (addrs[i].u.sa.sa_family != family)
			continue;
		text_copy(
			text[kept++], sizeof text[0], net_addr_format(&addrs[i], one, sizeof one));
	}
	qsort(text, kept, sizeof text[0], compare);
	out->n_addrs = 0;
	for (size_t i = 0; i < kept && out->n_addrs < CONF_DB_NODES_MAX; i++)
		if (i == 0 || strcmp(text[i], text[i - 1]) != 0)
			memcpy(out->addr[out->n_addrs++], text[i], sizeof text[i]);
}

static bool is_equal(const struct conf_spread *a, const struct conf_spread *b)
{
	if (a->n_addrs != b->n_addrs)
		return false;
	for (size_t i = 0; i < a->n_addrs; i++)
		if (strcmp(a->addr[i], b->addr[i]) != 0)
			return false;
	return true;
}

/* --- the configuration that follows from it --- */

static void ask(struct spread *s)
{
	s->again = !list_is_empty(&s->request.link);
	if (!s->again)
		reload_ask(s->reload, &s->request);
}

static void on_done(struct reload_request *r, enum status st, const char *text)
{
	struct spread *s = list_entry(r, struct spread, request);

	(void)st; /* the log has it; the next answer asks again */
	(void)text;
	if (s->again)
		ask(s);
}

/* The name's place in `wanted`; one that no database has use for any more makes way. NULL: full. */
static struct conf_spread *place_of(struct spread *s, const char *host)
{
	struct conf_spreads *w = &s->wanted;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->of[i].host, host) == 0)
			return &w->of[i];
	if (w->n < CONF_SPREADS_MAX)
		return &w->of[w->n++];
	for (size_t i = 0; i < w->n; i++)
		if (conf_find_spread(env_conf(s->env)->spreads, w->of[i].host) == NULL)
			return &w->of[i];
	return NULL;
}

void spread_take(struct spread *s, const char *host, const struct net_addr *addrs, size_t n)
{
	const struct conf_spread *now = conf_find_spread(env_conf(s->env)->spreads, host);
	struct log *log = s->env->shared->log;
	struct conf_spread next, *place;
	int family = family_of(now, addrs, n);
	size_t n_family = n_of_family(addrs, n, family);
	char name[512];

	if (n_family == 0 || (now == NULL && n_family < 2))
		return;
	memset(&next, 0, sizeof next);
	text_copy(next.host, sizeof next.host, host);
	take_family(addrs, n, family, &next);
	place = place_of(s, host);
	if (place == NULL) {
		log_warn(log, "name not spread over nodes", "host=%s reason=\"more than %u names\"",
			log_q(name, sizeof name, host), CONF_SPREADS_MAX);
		return;
	}
	if (now != NULL && is_equal(now, &next) && is_equal(place, &next))
		return;
	*place = next;
	log_info(log, "addresses of a name", "host=%s nodes=%zu addresses=%zu",
		log_q(name, sizeof name, host), next.n_addrs, n_family);
	ask(s);
}

/* --- life --- */

enum status spread_new(struct env *env, struct reload *reload, struct spread **out)
{
	struct spread *s = calloc(1, sizeof *s);

	if (s == NULL)
		return E_NOMEM;
	s->env = env;
	s->reload = reload;
	list_init(&s->request.link);
	s->request.spreads = &s->wanted;
	s->request.done = on_done;
	*out = s;
	return OK;
}

void spread_free(struct spread *s)
{
	if (s == NULL)
		return;
	reload_cancel(&s->request);
	free(s);
}
