/*
 * intern - one worker's table of immutable, reference-counted objects: equal content, equal
 * pointer. The ground under settings and stmts. Owns:    its objects until their last reference is
 * gone. Threads: all calls from the worker's thread, with that worker's table. Objects may also be
 * held by another thread (they travel with a connection): it drops them with *its own* table as
 *          `in`, and the home table frees what it finds dead at its next additions.
 * Bounds:  `bytes_max` bytes of live objects; intern_add reports E_LIMIT beyond.
 * Life:    a table outlives every thread that may hold one of its objects.
 */
#ifndef PGWEIR_STATE_INTERN_H
#define PGWEIR_STATE_INTERN_H

#include <stdatomic.h>

#include "base/map.h"
#include "base/status.h"

struct intern;

/* First member of every interned object. */
struct interned {
	/* by any thread */
	_Atomic uint32_t refs;
	/* set once, by the home table's thread */
	uint64_t hash;
	struct intern *home;
	size_t bytes; /* counted against the home table */
};

struct intern {
	/* by any thread */
	_Atomic uint32_t n_dead; /* objects whose last reference went in another thread: a hint */
	/* by the worker's thread */
	struct map map;
	struct hash_key key;
	size_t bytes; /* of live objects and of dead ones not yet found */
	size_t bytes_max;
	bool closing; /* in intern_fini */
	void (*free_fn)(void *arg, struct interned *o);
	void *free_arg;
};

/* free_fn(arg, o) frees an object that left the table; in the home thread only. */
void intern_init(struct intern *in, const struct hash_key *key, size_t bytes_max,
	void (*free_fn)(void *arg, struct interned *o), void *free_arg);

/* Frees all objects, referenced or not: the threads that held them have ended. */
void intern_fini(struct intern *in);

/* A new reference to the object for which eq is true, or NULL. */
struct interned *intern_find(struct intern *in, uint64_t hash,
	bool (*eq)(const void *item, const void *key), const void *key);

/*
 * Add `o`, of which intern_find has shown that there is no equal; it starts with one reference,
 * the caller's. Errors: E_NOMEM, E_LIMIT; `o` is then still the caller's.
 */
enum status intern_add(struct intern *in, uint64_t hash, struct interned *o, size_t bytes) MUST_USE;

static inline void intern_ref(struct interned *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
}

/* Drop a reference; `in` is the table of the calling thread, not always o's home. */
void intern_unref(struct intern *in, struct interned *o);

#endif
