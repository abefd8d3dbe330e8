#include "pool/share.h"

#include <stdlib.h>
#include <string.h>

#include "pool/registry.h"

struct share {
	struct hash_key key;
	uint16_t n_workers;
	struct registry pools, databases, users;
	struct share_node nodes[SHARE_NODES_MAX];
};

/* --- entries --- */

static bool database_equals(const void *entry, const void *key)
{
	return strcmp(((const struct share_database *)entry)->name, key) == 0;
}

static enum status database_make(const void *key, void **entry)
{
	struct share_database *d = calloc(1, sizeof *d);

	if (d == NULL)
		return E_NOMEM;
	budget_init(&d->open, 0);
	budget_init(&d->clients, 0);
	memcpy(d->name, key, strlen(key));
	*entry = d;
	return OK;
}

static bool user_equals(const void *entry, const void *key)
{
	return strcmp(((const struct share_user *)entry)->name, key) == 0;
}

static enum status user_make(const void *key, void **entry)
{
	struct share_user *u = calloc(1, sizeof *u);

	if (u == NULL)
		return E_NOMEM;
	budget_init(&u->open, 0);
	budget_init(&u->clients, 0);
	memcpy(u->name, key, strlen(key));
	*entry = u;
	return OK;
}

struct pool_key {
	struct share *share;
	struct share_database *db;
	struct share_user *user;
	uint16_t node;
};

static bool pool_equals(const void *entry, const void *key)
{
	const struct share_pool *p = entry;
	const struct pool_key *k = key;

	return p->db == k->db && p->user == k->user && p->node_id == k->node;
}

static enum status pool_make(const void *key, void **entry)
{
	const struct pool_key *k = key;
	size_t len = sizeof(struct share_pool) + k->share->n_workers * sizeof(struct share_slot);
	struct share_pool *p = aligned_alloc(_Alignof(struct share_pool), len);

	if (p == NULL)
		return E_NOMEM;
	memset(p, 0, len);
	p->db = k->db;
	p->user = k->user;
	p->node = &k->share->nodes[k->node];
	p->node_id = k->node;
	p->n_workers = k->share->n_workers;
	budget_init(&p->open, 0);
	budget_init(&p->pinned, 0);
	*entry = p;
	return OK;
}

static const struct registry_kind databases = {database_equals, database_make, free};
static const struct registry_kind users = {user_equals, user_make, free};
static const struct registry_kind pools = {pool_equals, pool_make, free};

/* --- the registry --- */

enum status share_new(
	unsigned n_workers, size_t capacity, const struct hash_key *key, struct share **out)
{
	struct share *s = calloc(1, sizeof *s);

	PANIC_IF(n_workers == 0 || n_workers > BUDGET_WORKERS_MAX);
	if (s == NULL)
		return E_NOMEM;
	s->key = *key;
	s->n_workers = (uint16_t)n_workers;
	for (unsigned i = 0; i < SHARE_NODES_MAX; i++) {
		budget_init(&s->nodes[i].open, 0);
		budget_init(&s->nodes[i].logins, 0);
	}
	if (registry_init(&s->pools, &pools, capacity) != OK ||
		registry_init(&s->databases, &databases, capacity) != OK ||
		registry_init(&s->users, &users, capacity) != OK) {
		share_free(s);
		return E_NOMEM;
	}
	*out = s;
	return OK;
}

void share_free(struct share *s)
{
	if (s == NULL)
		return;
	registry_fini(&s->pools);
	registry_fini(&s->databases);
	registry_fini(&s->users);
	free(s);
}

static enum status named_get(struct share *s, struct registry *g, const char *name, void **out)
{
	size_t len = strlen(name);

	if (len >= SHARE_NAME_MAX)
		return E_LIMIT;
	return registry_get(g, hash_bytes(&s->key, name, len), name, out);
}

enum status share_database_get(struct share *s, const char *name, struct share_database **out)
{
	void *entry;
	enum status st = named_get(s, &s->databases, name, &entry);

	if (st == OK)
		*out = entry;
	return st;
}

enum status share_user_get(struct share *s, const char *name, struct share_user **out)
{
	void *entry;
	enum status st = named_get(s, &s->users, name, &entry);

	if (st == OK)
		*out = entry;
	return st;
}

struct share_node *share_node_get(struct share *s, uint16_t node)
{
	PANIC_IF(node >= SHARE_NODES_MAX);
	return &s->nodes[node];
}

enum status share_pool_get(
	struct share *s, const char *db, const char *user, uint16_t node, struct share_pool **out)
{
	struct pool_key k = {.share = s, .node = node};
	uintptr_t id[3];
	void *entry;
	enum status st;

	PANIC_IF(node >= SHARE_NODES_MAX);
	if ((st = share_database_get(s, db, &k.db)) != OK ||
		(st = share_user_get(s, user, &k.user)) != OK)
		return st;
	id[0] = (uintptr_t)k.db;
	id[1] = (uintptr_t)k.user;
	id[2] = node;
	if ((st = registry_get(&s->pools, hash_bytes(&s->key, id, sizeof id), &k, &entry)) == OK)
		*out = entry;
	return st;
}

struct share_pool *share_pool_next(struct share *s, size_t *pos)
{
	return registry_next(&s->pools, pos);
}

/* --- fair shares of a node --- */

struct share_fair share_fair_of(const struct share_node *n)
{
	/* Two counts that change together may be seen halfway: below zero for a moment. */
	int32_t n_pools = atomic_load(&n->n_pools), n_hungry = atomic_load(&n->n_hungry);

	return (struct share_fair){
		.limit = budget_limit(&n->open),
		.n_pools = n_pools > 0 ? (uint32_t)n_pools : 1,
		.n_hungry = n_hungry > 0 ? (uint32_t)n_hungry : 0,
	};
}

bool share_is_below(const struct share_fair *f, uint32_t n_open)
{
	return f->limit != 0 && (n_open == 0 || n_open < f->limit / f->n_pools);
}

bool share_gives_back(const struct share_fair *f, uint32_t n_open)
{
	return f->limit != 0 && f->n_hungry != 0 && n_open > f->limit / f->n_pools;
}

bool share_pool_gives_back(const struct share_pool *p)
{
	const struct share_fair f = share_fair_of(p->node);

	return atomic_load(&p->owed) > 0 || share_gives_back(&f, budget_n(&p->open));
}

/* --- opening and closing --- */

static void claim_add(struct share_pool *p)
{
	if (atomic_fetch_add(&p->claims, 1) == 0)
		atomic_fetch_add(&p->node->n_pools, 1);
}

static void claim_drop(struct share_pool *p)
{
	if (atomic_fetch_sub(&p->claims, 1) == 1)
		atomic_fetch_sub(&p->node->n_pools, 1);
}

/* Everybody may have an idle server of a pool above its share. */
static void hunger_begin(struct share_pool *p, unsigned self, uint64_t *wake)
{
	if (p->slots[self].hungry)
		return;
	p->slots[self].hungry = true;
	claim_add(p);
	if (atomic_fetch_add(&p->n_hungry, 1) == 0)
		atomic_fetch_add(&p->node->n_hungry, 1);
	*wake |= UINT64_MAX >> (64 - p->n_workers);
}

/* With the last hungry pool the others may grow again. */
static void hunger_end(struct share_pool *p, unsigned self, uint64_t *wake)
{
	if (!p->slots[self].hungry)
		return;
	p->slots[self].hungry = false;
	claim_drop(p);
	if (atomic_fetch_sub(&p->n_hungry, 1) == 1 && atomic_fetch_sub(&p->node->n_hungry, 1) == 1)
		budget_wake(&p->node->open, wake);
}

/* A pool that has its share leaves the node's budget to those that are hungry. */
static bool must_yield(const struct share_pool *p)
{
	const struct share_fair f = share_fair_of(p->node);

	return f.limit != 0 && f.n_hungry != 0 && !share_is_below(&f, budget_n(&p->open));
}

/* The same, looked at again after the worker was noted. */
static bool yields(struct share_pool *p, unsigned self)
{
	if (!must_yield(p))
		return false;
	budget_note_starved(&p->node->open, self);
	return must_yield(p);
}

enum status share_open(
	struct share_pool *p, unsigned self, uint32_t extra, enum share_full *full, uint64_t *wake)
{
	const struct budget_want set[] = {
		[SHARE_FULL_POOL] = {.b = &p->open, .extra = extra},
		[SHARE_FULL_DATABASE] = {.b = &p->db->open},
		[SHARE_FULL_USER] = {.b = &p->user->open},
		[SHARE_FULL_NODE] = {.b = &p->node->open},
	};
	struct share_fair f;
	int i = SHARE_FULL_NODE;

	if (atomic_load(&p->owed) > 0) {
		*full = SHARE_FULL_POOL;
		return E_AGAIN; /* its worker tries again when it looks at its lines */
	}
	if (!yields(p, self))
		i = budget_acquire_or_wait(set, sizeof set / sizeof set[0], self, wake);
	if (i < 0) {
		claim_add(p);
		hunger_end(p, self, wake);
		return OK;
	}
	*full = (enum share_full)i;
	f = share_fair_of(p->node);
	if (i == SHARE_FULL_NODE && share_is_below(&f, budget_n(&p->open)))
		hunger_begin(p, self, wake);
	else
		hunger_end(p, self, wake);
	return E_AGAIN;
}

enum status share_open_elsewhere(struct share_pool *p, uint64_t *wake)
{
	struct budget_want set[] = {
		{.b = &p->open},
		{.b = &p->db->open},
		{.b = &p->user->open},
		{.b = &p->node->open},
	};

	if (budget_acquire_or_wait(set, sizeof set / sizeof set[0], 0, wake) >= 0)
		return E_AGAIN;
	claim_add(p);
	return OK;
}

void share_take_over(struct share_pool *p)
{
	budget_take_over(&p->open);
	budget_take_over(&p->db->open);
	budget_take_over(&p->user->open);
	budget_take_over(&p->node->open);
	claim_add(p);
}

void share_owe(struct share_pool *p, int by)
{
	atomic_fetch_add(&p->owed, by);
}

void share_close(struct share_pool *p, uint64_t *wake)
{
	claim_drop(p);
	budget_release(&p->node->open, wake);
	budget_release(&p->user->open, wake);
	budget_release(&p->db->open, wake);
	budget_release(&p->open, wake);
}

void share_sated(struct share_pool *p, unsigned self, uint64_t *wake)
{
	hunger_end(p, self, wake);
}

uint32_t share_reserve(uint32_t reserve_pool_size, uint64_t reserve_pool_timeout_us,
	uint64_t oldest_waiter_us, uint64_t now_us)
{
	if (reserve_pool_timeout_us == 0 || oldest_waiter_us == 0 || now_us < oldest_waiter_us)
		return 0;
	return now_us - oldest_waiter_us >= reserve_pool_timeout_us ? reserve_pool_size : 0;
}

uint64_t share_retry_us(uint64_t retry_us, uint64_t random)
{
	return retry_us + random % (retry_us / 8 + 1);
}

/* --- publish, then look again --- */

unsigned share_find_idle(const struct share_pool *p, unsigned self)
{
	for (unsigned k = 1; k < p->n_workers; k++) {
		unsigned w = (self + k) % p->n_workers;

		if (atomic_load(&p->slots[w].n_idle) != 0)
			return w;
	}
	return SHARE_NONE;
}

unsigned share_longest_waiter(const struct share_pool *p)
{
	uint64_t oldest_us = UINT64_MAX;
	unsigned longest = SHARE_NONE;

	for (unsigned w = 0; w < p->n_workers; w++) {
		uint64_t since_us = atomic_load(&p->slots[w].oldest_waiter_us);

		if (since_us != 0 && since_us < oldest_us) {
			oldest_us = since_us;
			longest = w;
		}
	}
	return longest;
}

/*
 * Would the worker, with one server more, still have no greater share than `giver` with one less?
 * One that has none is not asked for its load: it is known only from where servers become free.
 */
static bool is_poorer(const struct share_slot *x, const struct share_slot *giver)
{
	int32_t coming = atomic_load_explicit(&x->n_coming, memory_order_relaxed);
	uint64_t mine = atomic_load_explicit(&x->n_servers, memory_order_relaxed);
	uint64_t its = atomic_load_explicit(&giver->n_servers, memory_order_relaxed);
	uint64_t my_load = atomic_load_explicit(&x->load, memory_order_relaxed);
	uint64_t its_load = atomic_load_explicit(&giver->load, memory_order_relaxed);

	mine += coming > 0 ? (uint64_t)coming : 0;
	if (mine == 0)
		return its > 1;
	return its != 0 && (mine + 1) * its_load <= (its - 1) * my_load;
}

bool share_lends(
	const struct share_pool *p, unsigned self, unsigned to, uint64_t idle_us, uint64_t now_us)
{
	uint64_t since_us = atomic_load(&p->slots[to].oldest_waiter_us);

	return since_us != 0 &&
	       (idle_us >= SHARE_PATIENCE_US || now_us >= since_us + SHARE_LULL_US ||
		       is_poorer(&p->slots[to], &p->slots[self]));
}

unsigned share_whose_turn(const struct share_pool *p, unsigned self, uint64_t now_us)
{
	uint64_t own_us = atomic_load(&p->slots[self].oldest_waiter_us), other_us;
	unsigned other = share_longest_waiter(p);

	if (other == self || other == SHARE_NONE)
		return other;
	if (own_us == 0)
		return share_lends(p, self, other, 0, now_us) ? other : SHARE_NONE;
	other_us = atomic_load(&p->slots[other].oldest_waiter_us);
	if (other_us == 0 || own_us <= other_us + SHARE_PATIENCE_US)
		return self;
	if (is_poorer(&p->slots[other], &p->slots[self]))
		return other;
	if (now_us - other_us <= 2 * (now_us - own_us) + SHARE_UNFAIR_US)
		return self;
	return atomic_load_explicit(&p->slots[other].n_coming, memory_order_relaxed) > 0 ? self
											 : other;
}

uint32_t share_n_idle(const struct share_pool *p)
{
	uint32_t n = 0;

	for (unsigned w = 0; w < p->n_workers; w++)
		n += atomic_load_explicit(&p->slots[w].n_idle, memory_order_relaxed);
	return n;
}

uint64_t share_oldest_waiter_us(const struct share_pool *p)
{
	unsigned w = share_longest_waiter(p);

	return w != SHARE_NONE ? atomic_load(&p->slots[w].oldest_waiter_us) : 0;
}
