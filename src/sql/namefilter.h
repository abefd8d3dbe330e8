/*
 * namefilter - "this name is none of them", in a dozen instructions and one memory access.
 * A table of bits; a name's bit is found from its last eight bytes and its length, without regard
 * to case. A bit that is set says nothing: names share bits. Who fills and reads the table owns it.
 */
#ifndef PGWEIR_SQL_NAMEFILTER_H
#define PGWEIR_SQL_NAMEFILTER_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The last bytes of the name that ends before `end`: eight bytes before `end` must be readable. */
static inline uint64_t namefilter_tail(const uint8_t *end, size_t len)
{
	uint64_t tail;

	memcpy(&tail, end - sizeof tail, sizeof tail);
	tail = le64toh(tail);
	return len < sizeof tail ? tail >> (64 - 8 * len) : tail;
}

/* Where the name's bit is found: the high bits are the good ones. `len` is above 0. */
static inline uint64_t namefilter_key(const uint8_t *end, size_t len)
{
	uint64_t tail = namefilter_tail(end, len) | 0x2020202020202020u;

	return (tail ^ len) * 0x9e3779b97f4a7c15u;
}

/* The same of a name in memory of its own, before which nothing may be read. */
static inline uint64_t namefilter_key_of(const char *name, size_t len)
{
	uint8_t copy[sizeof(uint64_t)] = {0};
	size_t n = len < sizeof copy ? len : sizeof copy;

	memcpy(copy + sizeof copy - n, name + len - n, n);
	return namefilter_key(copy + sizeof copy, len);
}

/* bits: a table of 1 << (64 - shift) bits. */
static inline void namefilter_add(uint64_t *bits, uint32_t shift, uint64_t key)
{
	bits[key >> shift >> 6] |= (uint64_t)1 << (key >> shift & 63);
}

static inline bool namefilter_may_have(const uint64_t *bits, uint32_t shift, uint64_t key)
{
	return bits[key >> shift >> 6] >> (key >> shift & 63) & 1;
}

#endif
