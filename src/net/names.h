/*
 * names - the resolver's cache: host names with their addresses. Pure: the time comes in.
 * Owns:   the names and addresses; a name lives as long as somebody uses it (n_users), and else
 *         until another one takes its place.
 * Bounds: NAMES_MAX names; the longest unused one makes room.
 */
#ifndef PGWEIR_NET_NAMES_H
#define PGWEIR_NET_NAMES_H

#include "base/list.h"
#include "base/map.h"
#include "net/addr.h"

#define NAMES_MAX 4096u

enum name_standing {
	NAME_UNKNOWN, /* not asked yet, or asked in vain */
	NAME_KNOWN,   /* has addresses */
	NAME_NONE,    /* the DNS says that there is no such name, or no address */
};

struct name {
	/* by names */
	struct list lru; /* the longest unused one is in front */
	uint64_t hash;
	struct net_addr *addrs;
	size_t n_addrs; /* 0 unless NAME_KNOWN, or it was so before */
	/* by the resolver */
	enum name_standing standing;
	bool stale; /* the DNS failed when last asked */
	uint64_t fresh_until_us;
	unsigned n_users;
	struct list waiting;
	struct lookup *lookup;
	char text[];
};

struct names {
	struct hash_key key;
	struct map map;
	struct list lru;
};

enum status names_init(struct names *ns) MUST_USE; /* E_IO: no random numbers */
void names_fini(struct names *ns);                 /* nobody uses any name */

/*
 * Find or add `text`, lower case, and count it as used now. Borrowed until the next names_get,
 * unless n_users is raised. Errors: E_LIMIT all are in use; E_NOMEM.
 */
enum status names_get(struct names *ns, const char *text, struct name **out) MUST_USE;

/* It has these addresses now; E_NOMEM: it has those of before. */
enum status name_set_addrs(struct name *n, const struct net_addr *addrs, size_t n_addrs) MUST_USE;

uint32_t name_ttl_left_s(const struct name *n, uint64_t now_us);
bool name_is_fresh(const struct name *n, uint64_t now_us);
void names_expire(struct names *ns); /* none is fresh any more */

/* The next name at or after *pos, NULL at the end. Start with 0. */
const struct name *names_next(const struct names *ns, size_t *pos);

#endif
