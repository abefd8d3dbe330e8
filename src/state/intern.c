#include "state/intern.h"

/* A sweep walks the whole table, so it waits until this many objects are known to be dead … */
#define SWEEP_DEAD_MIN 16u
/* … or one in SWEEP_SHARE of the table. */
#define SWEEP_SHARE 4u
#define SWEEP_BATCH 64u

void intern_init(struct intern *in, const struct hash_key *key, size_t bytes_max,
	void (*free_fn)(void *arg, struct interned *o), void *free_arg)
{
	atomic_init(&in->n_dead, 0);
	map_init(&in->map);
	in->key = *key;
	in->bytes = 0;
	in->bytes_max = bytes_max;
	in->free_fn = free_fn;
	in->free_arg = free_arg;
	in->closing = false;
}

void intern_fini(struct intern *in)
{
	struct interned *o;

	in->closing = true; /* objects that refer to each other must not free each other */
	map_foreach (o, pos, &in->map)
		in->free_fn(in->free_arg, o);
	map_fini(&in->map);
}

static void intern_free(struct intern *in, struct interned *o)
{
	PANIC_IF(!map_remove(&in->map, o->hash, o));
	in->bytes -= o->bytes;
	in->free_fn(in->free_arg, o);
}

/* Free what other threads have dropped. Only this thread can revive a dead object, by finding it.
 */
static void intern_sweep(struct intern *in)
{
	struct interned *o, *dead[SWEEP_BATCH];
	size_t n;

	atomic_store_explicit(&in->n_dead, 0, memory_order_relaxed);
	do {
		n = 0;
		map_foreach (o, pos, &in->map) {
			if (atomic_load_explicit(&o->refs, memory_order_acquire) != 0)
				continue;
			dead[n++] = o;
			if (n == SWEEP_BATCH)
				break;
		}
		for (size_t i = 0; i < n; i++)
			intern_free(in, dead[i]);
	} while (n == SWEEP_BATCH);
}

struct interned *intern_find(struct intern *in, uint64_t hash,
	bool (*eq)(const void *item, const void *key), const void *key)
{
	struct interned *o = map_find(&in->map, hash, eq, key);

	if (o != NULL)
		intern_ref(o);
	return o;
}

static bool sweep_pays(const struct intern *in, size_t bytes)
{
	size_t n_dead = atomic_load_explicit(&in->n_dead, memory_order_relaxed);

	if (n_dead == 0)
		return false;
	return in->bytes + bytes > in->bytes_max ||
	       (n_dead >= SWEEP_DEAD_MIN && n_dead >= in->map.n_items / SWEEP_SHARE);
}

enum status intern_add(struct intern *in, uint64_t hash, struct interned *o, size_t bytes)
{
	enum status st;

	if (sweep_pays(in, bytes))
		intern_sweep(in);
	if (bytes > in->bytes_max || in->bytes > in->bytes_max - bytes)
		return E_LIMIT;
	if ((st = map_insert(&in->map, hash, o)) != OK)
		return st;
	atomic_init(&o->refs, 1);
	o->hash = hash;
	o->home = in;
	o->bytes = bytes;
	in->bytes += bytes;
	return OK;
}

void intern_unref(struct intern *in, struct interned *o)
{
	struct intern *home;
	uint32_t before;

	if (in->closing)
		return; /* `o` may be freed already */
	home = o->home; /* read before the drop: after it `o` may be freed */
	before = atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel);
	PANIC_IF(before == 0);
	if (before != 1)
		return;
	if (home == in)
		intern_free(in, o);
	else
		atomic_fetch_add_explicit(&home->n_dead, 1, memory_order_relaxed);
}
