#include "state/query_stats.h"

#include <stdlib.h>

#define CHAINS    16384u /* power of two; more than records */
#define LOOK_MAX  8u     /* records looked at for one to give up */
#define INDEX(h)  (((h)&0xffffu) - 1u)
#define SERIAL(h) ((h) >> 16)

_Static_assert(CHAINS > QUERY_STATS_MAX, "chains are short");
_Static_assert(QUERY_STATS_MAX < 0xffff, "an index, and one more, fit a handle");

struct query_stats {
	uint32_t limit;
	uint32_t n;    /* records */
	uint32_t hand; /* looked at next, to be given up */
	struct query_sums others;
	struct query_record *at[QUERY_STATS_MAX]; /* NULL: none */
	uint16_t serial[QUERY_STATS_MAX];         /* changes when the record does */
	uint16_t chain[CHAINS];                   /* index + 1 of its first record; 0: none */
};

static uint32_t chain_of(uint64_t fingerprint, const void *owner, bool replica)
{
	uint64_t h = fingerprint ^ ((uint64_t)(uintptr_t)owner >> 4) ^ (uint64_t)replica << 13;

	return (uint32_t)(h ^ h >> 32) & (CHAINS - 1);
}

enum status query_stats_new(struct query_stats **out)
{
	*out = calloc(1, sizeof **out);
	return *out != NULL ? OK : E_NOMEM;
}

void query_stats_free(struct query_stats *q)
{
	if (q == NULL)
		return;
	query_stats_reset(q);
	free(q);
}

static uint32_t handle_of(const struct query_stats *q, uint32_t index)
{
	return (uint32_t)q->serial[index] << 16 | (index + 1);
}

static void sums_add(struct query_sums *to, const struct query_sums *from)
{
	to->calls += from->calls;
	to->errors += from->errors;
	to->rows += from->rows;
	to->queue_us += from->queue_us;
	to->server_us += from->server_us;
}

/* Out of its chain; its place is free and handles to it are void. */
static void give_up(struct query_stats *q, uint32_t index)
{
	struct query_record *r = q->at[index];
	uint32_t chain = chain_of(r->fingerprint, r->owner, r->replica);
	uint32_t at = q->chain[chain];

	if (at == index + 1) {
		q->chain[chain] = (uint16_t)r->next;
	} else {
		while (q->at[at - 1]->next != index + 1)
			at = q->at[at - 1]->next;
		q->at[at - 1]->next = r->next;
	}
	free(r);
	q->at[index] = NULL;
	q->serial[index]++;
	q->n--;
}

void query_stats_reset(struct query_stats *q)
{
	for (uint32_t i = 0; i < QUERY_STATS_MAX; i++)
		if (q->at[i] != NULL)
			give_up(q, i);
	q->others = (struct query_sums){0};
	q->hand = 0;
}

void query_stats_limit(struct query_stats *q, uint32_t limit)
{
	if (limit < q->limit)
		query_stats_reset(q);
	q->limit = limit < QUERY_STATS_MAX ? limit : QUERY_STATS_MAX;
}

void query_stats_forget(struct query_stats *q, const void *owner)
{
	for (uint32_t i = 0; i < q->limit; i++)
		if (q->at[i] != NULL && q->at[i]->owner == owner)
			give_up(q, i);
}

void query_stats_forget_repeats(struct query_stats *q)
{
	for (uint32_t i = 0; i < q->limit; i++)
		if (q->at[i] != NULL)
			q->at[i]->repeats = (struct query_repeats){0};
}

uint32_t query_stats_find(
	const struct query_stats *q, uint64_t fingerprint, const void *owner, bool replica)
{
	uint32_t at = q->chain[chain_of(fingerprint, owner, replica)];

	while (at != 0) {
		const struct query_record *r = q->at[at - 1];

		if (r->fingerprint == fingerprint && r->owner == owner && r->replica == replica)
			return handle_of(q, at - 1);
		at = r->next;
	}
	return 0;
}

/* A free place; at the limit, that of the one unused for longest of the next few. */
static uint32_t place(struct query_stats *q)
{
	uint32_t best = q->limit;

	for (uint32_t i = 0; i < q->limit && (q->n < q->limit || i < LOOK_MAX); i++) {
		uint32_t at = q->hand;

		q->hand = (q->hand + 1) % q->limit;
		if (q->at[at] == NULL)
			return at;
		if (best == q->limit || q->at[at]->used_us < q->at[best]->used_us)
			best = at;
	}
	sums_add(&q->others, &q->at[best]->sums);
	give_up(q, best);
	return best;
}

uint32_t query_stats_add(struct query_stats *q, uint64_t fingerprint, const void *owner,
	bool replica, uint64_t now_us)
{
	struct query_record *r;
	uint16_t *chain = &q->chain[chain_of(fingerprint, owner, replica)];
	uint32_t index;

	if (q->limit == 0 || (r = calloc(1, sizeof *r)) == NULL)
		return 0;
	index = place(q);
	r->fingerprint = fingerprint;
	r->owner = owner;
	r->replica = replica;
	r->used_us = now_us;
	r->next = *chain;
	*chain = (uint16_t)(index + 1);
	q->at[index] = r;
	q->n++;
	return handle_of(q, index);
}

struct query_record *query_stats_get(struct query_stats *q, uint32_t handle)
{
	uint32_t index = INDEX(handle);

	if (handle == 0 || index >= QUERY_STATS_MAX || q->serial[index] != SERIAL(handle))
		return NULL;
	return q->at[index];
}

void query_record_count(struct query_record *r, const struct query_sums *once, uint64_t now_us)
{
	sums_add(&r->sums, once);
	r->used_us = now_us;
	if (once->server_us > r->max_us)
		r->max_us = once->server_us;
	r->hist[hist_bucket(once->server_us)]++;
}

const struct query_sums *query_stats_others(const struct query_stats *q)
{
	return &q->others;
}

uint32_t query_stats_n(const struct query_stats *q)
{
	return q->n;
}

const struct query_record *query_stats_next(const struct query_stats *q, uint32_t *pos)
{
	while (*pos < QUERY_STATS_MAX) {
		const struct query_record *r = q->at[(*pos)++];

		if (r != NULL)
			return r;
	}
	return NULL;
}
