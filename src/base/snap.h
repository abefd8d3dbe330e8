/*
 * snap - immutable snapshots behind an atomic pointer, freed when no reader can hold them.
 * Quiescent-state based: a reader may use what it loaded until its next snap_quiescent or
 * snap_offline; a sleeping reader is offline and counts as passed.
 * Threads: one writer (the control thread) publishes and reclaims; up to SNAP_READERS_MAX readers.
 *          The writer may read without being one of them: nobody else frees.
 * Owns:    retired snapshots until they are freed.
 */
#ifndef PGWEIR_BASE_SNAP_H
#define PGWEIR_BASE_SNAP_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/status.h"

#define SNAP_READERS_MAX 80u /* 64 workers and a few service threads */

struct snap_reader {
	_Alignas(64) _Atomic uint64_t seen; /* epoch seen; UINT64_MAX while offline */
};

struct snap_domain {
	_Atomic uint64_t epoch;
	_Atomic uint32_t n_readers;
	struct snap_reader readers[SNAP_READERS_MAX];
	struct list retired; /* writer only */
}; /* on the heap by aligned_alloc: a reader has a cache line of its own */

void snap_domain_init(struct snap_domain *d);
void snap_domain_fini(struct snap_domain *d); /* frees all retired; no reader is left */

/* Register the calling thread; starts offline. NULL at SNAP_READERS_MAX. */
struct snap_reader *snap_register(struct snap_domain *d) MUST_USE;

/* Reader: nothing loaded before this call is used after it. */
void snap_quiescent(struct snap_domain *d, struct snap_reader *r);
void snap_offline(struct snap_reader *r);                       /* before sleeping */
void snap_online(struct snap_domain *d, struct snap_reader *r); /* after it, before loading */

/*
 * Writer: free `p` with `free_fn` once every reader has passed. Call after the atomic pointer
 * was exchanged. Without memory for the note it waits for the readers here instead.
 */
void snap_retire(struct snap_domain *d, void *p, void (*free_fn)(void *p));
void snap_reclaim(struct snap_domain *d); /* writer: free what can be freed; call now and then */

#endif
