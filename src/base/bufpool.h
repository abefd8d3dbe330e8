/*
 * bufpool - byte buffers in powers of two from 1 KiB to 1 MiB, kept on free lists so that steady
 * traffic allocates nothing. One thread.
 * Owns:   the free buffers, at most `keep_max` bytes of them; a buffer taken is the taker's until
 *         it is given back.
 */
#ifndef PGWEIR_BASE_BUFPOOL_H
#define PGWEIR_BASE_BUFPOOL_H

#include "base/list.h"
#include "base/status.h"

#define BUFPOOL_MIN     1024u
#define BUFPOOL_MAX     (1u << 20)
#define BUFPOOL_CLASSES 11u

struct bufpool {
	struct list free[BUFPOOL_CLASSES];
	size_t free_bytes;
	size_t used_bytes; /* handed out */
	size_t keep_max;
};

void bufpool_init(struct bufpool *p, size_t keep_max);
void bufpool_fini(struct bufpool *p);

/*
 * A buffer of at least `len` bytes (0..BUFPOOL_MAX); its size, a power of two, goes to *cap.
 * NULL: no memory, or len above BUFPOOL_MAX.
 */
uint8_t *bufpool_take(struct bufpool *p, size_t len, size_t *cap) MUST_USE;

/* Give back a buffer with the `cap` that bufpool_take told. NULL is allowed. */
void bufpool_give(struct bufpool *p, uint8_t *buf, size_t cap);

/*
 * A buffer that changes threads with its holder changes pools: the old pool lets go of it, in its
 * thread, and the new one adopts it, in its own.
 */
void bufpool_let_go(struct bufpool *p, size_t cap);
void bufpool_adopt(struct bufpool *p, size_t cap);

#endif
