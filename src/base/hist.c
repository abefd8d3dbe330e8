#include "base/hist.h"

/*
 * Bucket i holds the durations above 2^(i/4) and up to 2^((i+1)/4). The four bounds inside one
 * power of two, as 32-bit mantissas: floor(2^(31 + k/4)).
 */
static const uint32_t mantissa[4] = {2147483648u, 2553802833u, 3037000499u, 3611622602u};

_Static_assert(HIST_BUCKETS == 4 * 32, "4 buckets for each bit of a 32-bit number of microseconds");

unsigned hist_bucket(uint64_t us)
{
	uint32_t m;
	unsigned zeros, i;

	if (us > UINT32_MAX)
		return HIST_BUCKETS - 1;
	if (us <= 1)
		return 0;
	zeros = (unsigned)__builtin_clz((uint32_t)us);
	m = (uint32_t)us << zeros;
	i = 4 * (31 - zeros) - 1;
	return i + (m > mantissa[0]) + (m > mantissa[1]) + (m > mantissa[2]) + (m > mantissa[3]);
}

/* There is one writer, so that a load and a store do: no locked instruction. */
static void add_relaxed(_Atomic uint64_t *to, uint64_t n)
{
	uint64_t old = atomic_load_explicit(to, memory_order_relaxed);

	atomic_store_explicit(to, old + n, memory_order_relaxed);
}

void hist_add(struct hist *h, uint64_t us)
{
	add_relaxed(&h->n[hist_bucket(us)], 1);
	add_relaxed(&h->sum_us, us);
}

void hist_sum_add(struct hist_sum *into, const struct hist *h)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		uint64_t n = atomic_load_explicit(&h->n[i], memory_order_relaxed);

		into->n[i] += n;
		into->count += n;
	}
	into->sum_us += atomic_load_explicit(&h->sum_us, memory_order_relaxed);
}

uint64_t hist_bucket_max_us(unsigned i)
{
	unsigned quarters = i + 1;

	PANIC_IF(i >= HIST_BUCKETS);
	if (quarters == HIST_BUCKETS)
		return (uint64_t)1 << 32;
	return mantissa[quarters % 4] >> (31 - quarters / 4);
}

uint64_t hist_quantile_us(const struct hist_sum *s, double q)
{
	uint64_t seen = 0;
	double rank = q * (double)s->count;

	if (s->count == 0)
		return 0;
	for (unsigned i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += s->n[i];
		if ((double)seen >= rank)
			return hist_bucket_max_us(i);
	}
	return hist_bucket_max_us(HIST_BUCKETS - 1);
}
