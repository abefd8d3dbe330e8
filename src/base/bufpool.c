#include "base/bufpool.h"

#include <stdlib.h>

/*
 * A buffer on a free list carries the list node in its first bytes; under AddressSanitizer the
 * rest of it is poisoned, so that its last taker is caught when it touches it again.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUFPOOL_POISON 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define BUFPOOL_POISON 1
#endif

#ifdef BUFPOOL_POISON
#include <sanitizer/asan_interface.h>
#define POISON(p, len)   ASAN_POISON_MEMORY_REGION(p, len)
#define UNPOISON(p, len) ASAN_UNPOISON_MEMORY_REGION(p, len)
#else
#define POISON(p, len)   ((void)0)
#define UNPOISON(p, len) ((void)0)
#endif

#define BUFPOOL_MIN_BITS 10u

_Static_assert(BUFPOOL_MIN == 1u << BUFPOOL_MIN_BITS, "the smallest class");
_Static_assert(BUFPOOL_MAX == BUFPOOL_MIN << (BUFPOOL_CLASSES - 1), "a class per power of two");
_Static_assert(BUFPOOL_MIN >= sizeof(struct list), "a free buffer holds its list node");

/* Index of the smallest class that holds `len` bytes, len <= BUFPOOL_MAX. */
static unsigned class_of(size_t len)
{
	unsigned bits;

	if (len <= BUFPOOL_MIN)
		return 0;
	bits = 64u - (unsigned)__builtin_clzll((unsigned long long)len - 1u);
	return bits - BUFPOOL_MIN_BITS;
}

void bufpool_init(struct bufpool *p, size_t keep_max)
{
	for (unsigned i = 0; i < BUFPOOL_CLASSES; i++)
		list_init(&p->free[i]);
	p->free_bytes = 0;
	p->used_bytes = 0;
	p->keep_max = keep_max;
}

void bufpool_fini(struct bufpool *p)
{
	PANIC_IF(p->used_bytes != 0);
	for (unsigned i = 0; i < BUFPOOL_CLASSES; i++) {
		struct list *node;

		while ((node = list_pop_front(&p->free[i])) != NULL) {
			UNPOISON(node, (size_t)BUFPOOL_MIN << i);
			free(node);
		}
	}
	p->free_bytes = 0;
}

uint8_t *bufpool_take(struct bufpool *p, size_t len, size_t *cap)
{
	unsigned class;
	size_t size;
	void *buf;

	if (len > BUFPOOL_MAX)
		return NULL;
	class = class_of(len);
	size = (size_t)BUFPOOL_MIN << class;
	buf = list_pop_front(&p->free[class]);
	if (buf != NULL) {
		UNPOISON(buf, size);
		p->free_bytes -= size;
	} else if ((buf = malloc(size)) == NULL) {
		return NULL;
	}
	p->used_bytes += size;
	*cap = size;
	return buf;
}

void bufpool_give(struct bufpool *p, uint8_t *buf, size_t cap)
{
	struct list *node = (void *)buf;

	if (buf == NULL)
		return;
	PANIC_IF(cap < BUFPOOL_MIN || cap > BUFPOOL_MAX || (cap & (cap - 1)) != 0);
	PANIC_IF(cap > p->used_bytes);
	p->used_bytes -= cap;
	if (cap > p->keep_max || p->free_bytes > p->keep_max - cap) {
		free(buf);
		return;
	}
	list_push_front(&p->free[class_of(cap)], node); /* newest first: its bytes are cached */
	p->free_bytes += cap;
	POISON(buf + sizeof *node, cap - sizeof *node);
}

void bufpool_let_go(struct bufpool *p, size_t cap)
{
	PANIC_IF(cap > p->used_bytes);
	p->used_bytes -= cap;
}

void bufpool_adopt(struct bufpool *p, size_t cap)
{
	p->used_bytes += cap;
}
