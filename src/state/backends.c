#include "state/backends.h"

static uint64_t tag_of(uint32_t node, uint32_t pid)
{
	return ((uint64_t)node * BACKENDS_PID_MAX + pid + 1) << 32;
}

static uint32_t place_of(uint64_t tag)
{
	return (uint32_t)((tag * 0x9e3779b97f4a7c15u) >> 51) & (BACKENDS_MAX - 1);
}

static bool has_tag(uint64_t v, uint64_t tag)
{
	return (v & 0xffffffff00000000u) == tag;
}

void backends_init(struct backends *b)
{
	for (uint32_t i = 0; i < BACKENDS_MAX; i++)
		atomic_init(&b->at[i], 0);
}

void backends_put(struct backends *b, uint32_t node, uint32_t pid, uint32_t client)
{
	uint64_t tag = tag_of(node, pid), v;
	uint32_t at = place_of(tag);

	if (node >= 256u || pid >= BACKENDS_PID_MAX || client == 0)
		return;
	for (uint32_t i = 0; i < BACKENDS_NEAR; i++) {
		_Atomic uint64_t *p = &b->at[(at + i) & (BACKENDS_MAX - 1)];

		v = atomic_load_explicit(p, memory_order_relaxed);
		if (has_tag(v, tag)) {
			atomic_store_explicit(p, tag | client, memory_order_release);
			return;
		}
	}
	for (uint32_t i = 0; i < BACKENDS_NEAR; i++) {
		v = 0;
		if (atomic_compare_exchange_strong(
			    &b->at[(at + i) & (BACKENDS_MAX - 1)], &v, tag | client))
			return;
	}
}

void backends_drop(struct backends *b, uint32_t node, uint32_t pid)
{
	uint64_t tag = tag_of(node, pid);
	uint32_t at = place_of(tag);

	if (node >= 256u || pid >= BACKENDS_PID_MAX)
		return;
	for (uint32_t i = 0; i < BACKENDS_NEAR; i++) {
		_Atomic uint64_t *p = &b->at[(at + i) & (BACKENDS_MAX - 1)];

		if (has_tag(atomic_load_explicit(p, memory_order_relaxed), tag))
			atomic_store_explicit(p, 0, memory_order_release);
	}
}

uint32_t backends_get(const struct backends *b, uint32_t node, uint32_t pid)
{
	uint64_t tag = tag_of(node, pid), v;
	uint32_t at = place_of(tag);

	if (node >= 256u || pid >= BACKENDS_PID_MAX)
		return 0;
	for (uint32_t i = 0; i < BACKENDS_NEAR; i++) {
		v = atomic_load_explicit(
			&b->at[(at + i) & (BACKENDS_MAX - 1)], memory_order_acquire);
		if (has_tag(v, tag))
			return (uint32_t)v;
	}
	return 0;
}
