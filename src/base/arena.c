#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN _Alignof(max_align_t)

struct arena_block {
	struct arena_block *next;
	size_t len; /* of data */
	_Alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){.blocks = NULL};
}

void arena_fini(struct arena *a)
{
	struct arena_block *next;

	for (struct arena_block *b = a->blocks; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	arena_init(a);
}

void arena_wipe(struct arena *a)
{
	for (struct arena_block *b = a->blocks; b != NULL; b = b->next)
		explicit_bzero(b->data, b->len);
}

static struct arena_block *block_new(struct arena *a, size_t len)
{
	struct arena_block *b = calloc(1, sizeof *b + len);

	if (b == NULL)
		return NULL;
	b->len = len;
	a->total += sizeof *b + len;
	return b;
}

/* A piece too large for the newest block's rest; the newest stays the one that is filled up. */
static void *take_own_block(struct arena *a, size_t len)
{
	struct arena_block *b = block_new(a, len);

	if (b == NULL)
		return NULL;
	if (a->blocks == NULL) {
		a->blocks = b;
		return b->data;
	}
	b->next = a->blocks->next;
	a->blocks->next = b;
	return b->data;
}

static void *take_here(struct arena *a, size_t len)
{
	uint8_t *p = a->blocks->data + (ARENA_BLOCK - a->left);

	a->left -= len;
	return p;
}

void *arena_take(struct arena *a, size_t len)
{
	struct arena_block *b;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = len == 0 ? ALIGN : (len + ALIGN - 1) / ALIGN * ALIGN;
	if (len <= a->left)
		return take_here(a, len);
	if (len > ARENA_BLOCK / 4)
		return take_own_block(a, len);
	if ((b = block_new(a, ARENA_BLOCK)) == NULL)
		return NULL;
	b->next = a->blocks;
	a->blocks = b;
	a->left = ARENA_BLOCK;
	return take_here(a, len);
}

void *arena_take_array(struct arena *a, size_t n, size_t size)
{
	size_t len;

	if (__builtin_mul_overflow(n, size, &len))
		return NULL;
	return arena_take(a, len);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = len < SIZE_MAX ? arena_take(a, len + 1) : NULL;

	if (copy != NULL && len != 0)
		memcpy(copy, s, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *text;
	int len;

	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0 || (text = arena_take(a, (size_t)len + 1)) == NULL)
		return NULL;
	(void)vsnprintf(text, (size_t)len + 1, fmt, ap);
	return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(a, fmt, ap);
	va_end(ap);
	return text;
}
