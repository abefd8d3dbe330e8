/*
 * repeats - how often one client has run one statement in a row: within one transaction, or within
 * a short time. Other statements may come between. Owns:   a table of REPEATS series. Two that fall
 * on the same place displace each other: a series may be counted short, never long. Bounds: 32
 * bytes each. Pure; one thread.
 */
#ifndef PGWEIR_STATE_REPEATS_H
#define PGWEIR_STATE_REPEATS_H

#include "base/status.h"

#define REPEATS 2048u /* power of two */

struct repeats {
	struct repeat {
		uint64_t client, fingerprint;
		uint64_t since_us; /* of the series: its transaction's begin, or its first execution
				    */
		uint32_t n;
		bool in_txn;
	} at[REPEATS];
};

/*
 * One more execution; returns which of its series it is, from 1.
 * txn_us: when the client's open transaction began, 0: there is none. Then a series is of at most
 * window_us.
 */
static inline uint32_t repeats_note(struct repeats *t, uint64_t client, uint64_t fingerprint,
	uint64_t txn_us, uint64_t now_us, uint64_t window_us)
{
	uint64_t h = (client * 0x9e3779b97f4a7c15u) ^ fingerprint;
	struct repeat *r = &t->at[(h ^ h >> 32) & (REPEATS - 1)];
	bool in_txn = txn_us != 0;

	if (r->client != client || r->fingerprint != fingerprint || r->in_txn != in_txn ||
		(in_txn ? r->since_us != txn_us : now_us - r->since_us > window_us))
		*r = (struct repeat){.client = client,
			.fingerprint = fingerprint,
			.since_us = in_txn ? txn_us : now_us,
			.in_txn = in_txn};
	return ++r->n;
}

#endif
