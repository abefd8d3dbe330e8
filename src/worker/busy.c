#include "worker/busy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "worker/advanced.h"
#include "worker/client.h"
#include "worker/defaults.h"
#include "worker/effects.h"
#include "worker/found_out.h"
#include "worker/hold.h"
#include "worker/savepoints.h"
#include "worker/worker.h"

#define BUSY_REST_US     100000u /* a client that goes on within this keeps its part */
#define BUSY_LOOKS_MIN   256u    /* parts looked at by one busy_look; a quarter, if more are lent */
#define BUSY_LOOKS_MAX   4096u   /* … and at most so many */
#define BUSY_TRIM_US     3000000u /* chunks that were empty all this time go back to the system */
#define BUSY_EMPTY_KEPT  1u       /* … but for so many */
#define BUSY_CHUNK_LEN   65536u   /* bytes */
#define BUSY_CHUNK_PARTS ((BUSY_CHUNK_LEN - sizeof(struct busy_chunk)) / sizeof(struct busy))

struct busy_pool {
	struct list lent;   /* parts that clients have, the one looked at longest ago first */
	struct list chunks; /* with spare parts, and some that are lent */
	struct list empty;  /* all of whose parts are spare */
	uint32_t n_lent;    /* parts */
	uint32_t n_chunks;  /* all of them */
	uint32_t n_empty;
	uint32_t n_empty_low; /* the least of it since `low_since_us` */
	uint64_t low_since_us;
};

struct busy_chunk {
	struct list link;  /* the pool's `chunks` or `empty`; on none if all its parts are lent */
	struct list spare; /* parts; never lent, or given back */
	uint32_t n_lent;
	uint32_t n_made; /* the rest of its memory has not been touched yet */
	struct busy parts[];
};

const struct busy busy_none = {
	.shadow_index = -1,
	.avoid_node = NODES_MAX,
	.seq_check = ADVANCED_UNKNOWN,
};

/* client->busy of a client at rest; nobody writes to it. */
static struct busy *nothing(void)
{
	union {
		const struct busy *read;
		struct busy *as_lent;
	} none = {.read = &busy_none};

	return none.as_lent;
}

/* --- chunks --- */

enum status busy_pool_new(struct busy_pool **out)
{
	struct busy_pool *p = calloc(1, sizeof *p);

	if (p == NULL)
		return E_NOMEM;
	list_init(&p->lent);
	list_init(&p->chunks);
	list_init(&p->empty);
	*out = p;
	return OK;
}

static struct busy_chunk *chunk_new(struct busy_pool *p)
{
	void *at = mmap(
		NULL, BUSY_CHUNK_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct busy_chunk *k = at;

	if (at == MAP_FAILED)
		return NULL;
	list_init(&k->spare);
	list_push_front(&p->empty, &k->link);
	p->n_chunks++;
	p->n_empty++;
	return k;
}

static void chunk_free(struct busy_pool *p, struct busy_chunk *k)
{
	PANIC_IF(k->n_lent != 0);
	for (uint32_t i = 0; i < k->n_made; i++) {
		free(k->parts[i].hold);
		free(k->parts[i].deferred);
	}
	list_del(&k->link);
	p->n_chunks--;
	p->n_empty--;
	munmap(k, BUSY_CHUNK_LEN);
}

/* Those in use first, so that others become empty. NULL: no memory. */
static struct busy_chunk *chunk_with_spare(struct busy_pool *p)
{
	if (!list_is_empty(&p->chunks))
		return list_entry(p->chunks.next, struct busy_chunk, link);
	if (!list_is_empty(&p->empty))
		return list_entry(p->empty.next, struct busy_chunk, link);
	return chunk_new(p);
}

static struct busy *part_take(struct busy_pool *p)
{
	struct busy_chunk *k = chunk_with_spare(p);
	struct list *it;
	struct busy *b;

	if (k == NULL)
		return NULL;
	it = list_pop_front(&k->spare);
	b = it != NULL ? list_entry(it, struct busy, link) : &k->parts[k->n_made++];
	if (k->n_lent++ == 0) {
		list_del(&k->link);
		list_push_front(&p->chunks, &k->link);
		p->n_empty--;
		if (p->n_empty < p->n_empty_low)
			p->n_empty_low = p->n_empty;
	}
	if (k->n_lent == BUSY_CHUNK_PARTS)
		list_del(&k->link);
	b->chunk = k;
	p->n_lent++;
	return b;
}

static void part_give(struct busy_pool *p, struct busy *b)
{
	struct busy_chunk *k = b->chunk;

	list_push_front(&k->spare, &b->link);
	if (k->n_lent-- == BUSY_CHUNK_PARTS)
		list_push_front(&p->chunks, &k->link);
	if (k->n_lent == 0) {
		list_del(&k->link);
		list_push_front(&p->empty, &k->link);
		p->n_empty++;
	}
	p->n_lent--;
}

/* What nobody has needed for BUSY_TRIM_US. */
static void trim(struct busy_pool *p, uint64_t now_us)
{
	if (now_us - p->low_since_us < BUSY_TRIM_US)
		return;
	for (; p->n_empty_low > BUSY_EMPTY_KEPT; p->n_empty_low--)
		chunk_free(p, list_entry(p->empty.prev, struct busy_chunk, link));
	p->n_empty_low = p->n_empty;
	p->low_since_us = now_us;
}

void busy_pool_free(struct busy_pool *p)
{
	if (p == NULL)
		return;
	PANIC_IF(p->n_lent != 0);
	while (!list_is_empty(&p->empty))
		chunk_free(p, list_entry(p->empty.next, struct busy_chunk, link));
	free(p);
}

size_t busy_pool_bytes(const struct busy_pool *p)
{
	return (size_t)p->n_chunks * BUSY_CHUNK_LEN;
}

/* --- lending --- */

enum status busy_begin(struct worker *w, struct client *c)
{
	struct busy *b;
	struct busy_chunk *k;
	struct hold *hold;
	struct deferred *deferred;

	PANIC_IF(c->busy != NULL && busy_is_lent(c->busy));
	b = part_take(w->busy);
	if (b == NULL)
		return E_NOMEM;
	k = b->chunk;
	hold = b->hold;
	deferred = b->deferred;
	*b = busy_none;
	b->chunk = k;
	b->hold = hold;
	b->deferred = deferred;
	b->client = c;
	waiter_init(&b->waiter);
	list_push_back(&w->busy->lent, &b->link);
	c->busy = b;
	return OK;
}

void busy_end(struct worker *w, struct client *c)
{
	struct busy *b = c->busy;

	if (!busy_is_lent(b))
		return;
	PANIC_IF(waiter_waits(&b->waiter));
	PANIC_IF(b->signals != NULL);
	PANIC_IF(b->pin_counted);
	savepoints_clear(&b->savepoints, &c->set);
	found_out_forget(w, c);
	defaults_forget(c);
	effects_free(b->bound);
	free(b->expected);
	baseline_fini(&b->learned);
	if (b->hold != NULL)
		hold_drop(b->hold, loop_bufpool(w->loop));
	if (b->deferred != NULL)
		memset(b->deferred, 0, offsetof(struct deferred, journal.bytes));
	b->client = NULL;
	c->busy = nothing();
	list_del(&b->link);
	part_give(w->busy, b);
}

/* --- coming to rest --- */

bool busy_is_over(const struct client *c)
{
	static const uint8_t zero[offsetof(struct busy, n_kept_end)];
	const struct busy *b = c->busy;

	return c->state == CLIENT_IDLE && c->txn == TXN_NONE && c->server == NULL &&
	       conn_rx_len(c->conn) == 0 && b->unit.len == 0 && !waiter_waits(&b->waiter) &&
	       b->learned.n == 0 && b->pins.causes == 0 && b->pins.left == 0 &&
	       memcmp(&b->wanted, zero,
		       offsetof(struct busy, n_kept_end) - offsetof(struct busy, wanted)) == 0;
}

static bool is_at_rest(const struct worker *w, const struct client *c)
{
	uint64_t since = c->state_since_us > c->request_us ? c->state_since_us : c->request_us;

	return w->now_us - since >= BUSY_REST_US && busy_is_over(c);
}

static uint32_t looks(const struct busy_pool *p)
{
	uint32_t n = p->n_lent / 4 > BUSY_LOOKS_MIN ? p->n_lent / 4 : BUSY_LOOKS_MIN;

	if (n > p->n_lent)
		return p->n_lent;
	return n < BUSY_LOOKS_MAX ? n : BUSY_LOOKS_MAX;
}

void busy_look(struct worker *w)
{
	struct busy_pool *p = w->busy;

	for (uint32_t n = looks(p); n > 0; n--) {
		struct busy *b = list_entry(p->lent.next, struct busy, link);

		if (is_at_rest(w, b->client)) {
			busy_end(w, b->client);
		} else {
			list_del(&b->link);
			list_push_back(&p->lent, &b->link);
		}
	}
	trim(p, w->now_us);
}
