/*
 * arena - memory that is taken piece by piece and freed all at once: for snapshots, which are
 * built once and then only read. One thread.
 * Owns:   its blocks; what is taken lives until arena_fini. Growing is amortised: 4 KiB a time.
 * Bounds: the caller's; every taking function returns NULL without memory.
 */
#ifndef PGWEIR_BASE_ARENA_H
#define PGWEIR_BASE_ARENA_H

#include <stdarg.h>

#include "base/status.h"

#define ARENA_BLOCK 4096u /* bytes; larger pieces get a block of their own */

struct arena_block;

struct arena {
	struct arena_block *blocks; /* newest first */
	size_t left;                /* bytes free in the newest */
	size_t total;               /* bytes allocated from the system */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
void arena_wipe(struct arena *a); /* zero all that was taken: secrets, before arena_fini */

/* `len` zeroed bytes, aligned for any type; NULL: no memory. len 0 gives a valid pointer. */
void *arena_take(struct arena *a, size_t len) MUST_USE;

/* `n` zeroed elements; NULL also if n * size overflows. */
void *arena_take_array(struct arena *a, size_t n, size_t size) MUST_USE;

/* A copy of the first `len` bytes of `s`, NUL-terminated. */
char *arena_strndup(struct arena *a, const char *s, size_t len) MUST_USE;
char *arena_strdup(struct arena *a, const char *s) MUST_USE;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF_LIKE(2, 0) MUST_USE;

#endif
