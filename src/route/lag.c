#include "route/lag.h"

void lag_init(struct lag_history *h, uint64_t span_us)
{
	/* All neighbours but the newest pair are at least `spacing` apart. */
	h->spacing_us = span_us / (LAG_SAMPLES - 2) + 1;
	lag_clear(h);
}

void lag_clear(struct lag_history *h)
{
	h->head = 0;
	h->n = 0;
}

/* Sample i, 0 being the oldest. */
static struct lag_sample *sample(struct lag_history *h, uint32_t i)
{
	return &h->s[(h->head + i) % LAG_SAMPLES];
}

static const struct lag_sample *sample_const(const struct lag_history *h, uint32_t i)
{
	return &h->s[(h->head + i) % LAG_SAMPLES];
}

void lag_push(struct lag_history *h, uint64_t lsn, uint64_t sent_us)
{
	if (h->n >= 1) {
		const struct lag_sample *newest = sample(h, h->n - 1);

		if (sent_us < newest->sent_us || lsn < newest->lsn)
			return;
	}
	if (h->n >= 2 &&
		sample(h, h->n - 1)->sent_us - sample(h, h->n - 2)->sent_us < h->spacing_us)
		h->n--; /* the newest is too near to the one before: this one takes its place */
	if (h->n == LAG_SAMPLES) {
		h->head = (h->head + 1) % LAG_SAMPLES;
		h->n--;
	}
	*sample(h, h->n) = (struct lag_sample){.lsn = lsn, .sent_us = sent_us};
	h->n++;
}

/* How many of the oldest samples are at or below `lsn`. */
static uint32_t n_replayed(const struct lag_history *h, uint64_t lsn)
{
	uint32_t lo = 0, hi = h->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (sample_const(h, mid)->lsn <= lsn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct lag lag_of(const struct lag_history *h, uint64_t replay_lsn)
{
	uint32_t n = n_replayed(h, replay_lsn);
	const struct lag_sample *newest, *fresh;

	if (h->n == 0)
		return (struct lag){.known = false};
	newest = sample_const(h, h->n - 1);
	fresh = sample_const(h, n != 0 ? n - 1 : 0);
	return (struct lag){
		.bytes = newest->lsn > replay_lsn ? newest->lsn - replay_lsn : 0,
		.us = newest->sent_us - fresh->sent_us,
		.known = n != 0,
	};
}
