/*
 * namefilter - "this name is none of them", in five instructions for most names, else in fifteen.
 * Two tables: which lengths there are for a first letter; and bits, of which a name's is found from
 * its last eight bytes. Both without regard to case. A "yes" says nothing: names share places.
 * Owns:    nothing; who makes the tables owns them.
 */
#ifndef PGWEIR_SQL_NAMEFILTER_H
#define PGWEIR_SQL_NAMEFILTER_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NAMEFILTER_LEN_MAX 63u /* bytes of a name; longer ones are cut by who looks them up */

#define NAMEFILTER_FIRST(c) ((uint8_t)((c)&31)) /* what it heeds of a name's first byte */

struct namefilter {
	uint64_t lengths[32]; /* a bit for each length, by NAMEFILTER_FIRST */
	uint64_t *bits;       /* 1 << (64 - shift) of them */
	uint32_t shift;       /* at most 58 */
};

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

/*
 * The name's length. Under one that may have been cut (between characters, of up to four bytes)
 * come longer ones, too, and they are looked for by what is left of their length.
 */
static inline void namefilter_add_length(struct namefilter *f, const char *name, size_t len)
{
	f->lengths[NAMEFILTER_FIRST(name[0])] |=
		len < NAMEFILTER_LEN_MAX - 3 ? (uint64_t)1 << len : UINT64_MAX;
}

static inline void namefilter_add_key(struct namefilter *f, uint64_t key)
{
	f->bits[key >> f->shift >> 6] |= (uint64_t)1 << (key >> f->shift & 63);
}

/*
 * May it have the name of `len` bytes, above 0, that ends before `end`? first: NAMEFILTER_FIRST of
 * its first byte. Eight bytes before `end` must be readable. Of a name that is too long
 * (NAMEFILTER_LEN_MAX) it says yes where the name that is left of it may be there.
 */
static inline bool namefilter_may_have(
	const struct namefilter *f, uint8_t first, const uint8_t *end, size_t len)
{
	uint64_t place;

	if (__builtin_expect((f->lengths[first] & (uint64_t)1 << (len & 63)) == 0, 1))
		return false;
	if (len > NAMEFILTER_LEN_MAX)
		return true;
	place = namefilter_key(end, len) >> f->shift;
	return f->bits[place >> 6] >> (place & 63) & 1;
}

#endif
