#include "net/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum status names_init(struct names *ns)
{
	map_init(&ns->map);
	list_init(&ns->lru);
	return getrandom(&ns->key, sizeof ns->key, 0) == sizeof ns->key ? OK : E_IO;
}

static void name_free(struct names *ns, struct name *n)
{
	PANIC_IF(n->n_users != 0);
	map_remove(&ns->map, n->hash, n);
	list_del(&n->lru);
	free(n->addrs);
	free(n);
}

void names_fini(struct names *ns)
{
	struct list *it, *next;

	list_foreach_safe (it, next, &ns->lru)
		name_free(ns, list_entry(it, struct name, lru));
	map_fini(&ns->map);
}

static bool name_matches(const void *item, const void *key)
{
	const struct name *n = item;

	return strcmp(n->text, key) == 0;
}

/* Make room for one more. Returns false if all are in use. */
static bool evict(struct names *ns)
{
	struct list *it;

	if (ns->map.n_items < NAMES_MAX)
		return true;
	list_foreach (it, &ns->lru) {
		struct name *n = list_entry(it, struct name, lru);

		if (n->n_users == 0) {
			name_free(ns, n);
			return true;
		}
	}
	return false;
}

static enum status name_add(struct names *ns, const char *text, uint64_t hash, struct name **out)
{
	size_t len = strlen(text);
	struct name *n;

	if (!evict(ns))
		return E_LIMIT;
	if ((n = calloc(1, sizeof *n + len + 1)) == NULL)
		return E_NOMEM;
	n->hash = hash;
	list_init(&n->lru);
	list_init(&n->waiting);
	memcpy(n->text, text, len + 1);
	if (map_insert(&ns->map, hash, n) != OK) {
		free(n);
		return E_NOMEM;
	}
	*out = n;
	return OK;
}

enum status names_get(struct names *ns, const char *text, struct name **out)
{
	uint64_t hash = hash_bytes(&ns->key, text, strlen(text));
	struct name *n = map_find(&ns->map, hash, name_matches, text);
	enum status st;

	if (n == NULL && (st = name_add(ns, text, hash, &n)) != OK)
		return st;
	list_del(&n->lru);
	list_push_back(&ns->lru, &n->lru);
	*out = n;
	return OK;
}

enum status name_set_addrs(struct name *n, const struct net_addr *addrs, size_t n_addrs)
{
	struct net_addr *copy = malloc(n_addrs * sizeof *addrs);

	if (copy == NULL)
		return E_NOMEM;
	memcpy(copy, addrs, n_addrs * sizeof *addrs);
	free(n->addrs);
	n->addrs = copy;
	n->n_addrs = n_addrs;
	n->standing = NAME_KNOWN;
	n->stale = false;
	return OK;
}

bool name_is_fresh(const struct name *n, uint64_t now_us)
{
	return n->standing != NAME_UNKNOWN && n->fresh_until_us > now_us;
}

uint32_t name_ttl_left_s(const struct name *n, uint64_t now_us)
{
	return name_is_fresh(n, now_us) ? (uint32_t)((n->fresh_until_us - now_us) / 1000000u) : 0;
}

void names_expire(struct names *ns)
{
	struct list *it;

	list_foreach (it, &ns->lru)
		list_entry(it, struct name, lru)->fresh_until_us = 0;
}

const struct name *names_next(const struct names *ns, size_t *pos)
{
	return map_next(&ns->map, pos);
}
