#include "state/owed.h"

#include <stdlib.h>

#include "proto/frame.h"

#define OWED_CAP_MIN 16u

void owed_init(struct owed *q)
{
	*q = (struct owed){0};
}

void owed_fini(struct owed *q)
{
	free(q->ring);
	owed_init(q);
}

enum status owed_grow(struct owed *q)
{
	uint32_t cap = q->cap != 0 ? q->cap * 2 : OWED_CAP_MIN;
	struct owed_entry *ring;

	if (cap > OWED_MAX)
		return E_LIMIT;
	ring = malloc(cap * sizeof *ring);
	if (ring == NULL)
		return E_NOMEM;
	for (uint32_t i = 0; i < q->n; i++)
		ring[i] = *owed_at(q, i);
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
	return OK;
}

static struct owed_entry take_head(struct owed *q)
{
	struct owed_entry e;

	PANIC_IF(q->n == 0);
	e = *owed_head(q);
	q->head++;
	q->n--;
	if (e.who == OWED_CLIENT && owed_ends_in_ready(e.kind))
		q->n_client--;
	return e;
}

/* What they fenced has ended: nothing more is owed for it. */
static inline void drop_fences(struct owed *q)
{
	while (q->n != 0 && owed_head(q)->kind == OWED_COPY_END)
		(void)take_head(q);
}

struct owed_entry owed_pop(struct owed *q)
{
	struct owed_entry e = take_head(q);

	drop_fences(q);
	return e;
}

/* A statement of the head has ended. In a Query another may follow, with a COPY of its own. */
static void end_copy(struct owed *q)
{
	q->in_copy = false;
	if (q->n > 1 && owed_head(q)->kind == OWED_QUERY && owed_at(q, 1)->kind == OWED_COPY_END) {
		*owed_at(q, 1) = *owed_head(q);
		q->head++;
		q->n--;
	}
}

/*
 * The server entered COPY FROM STDIN with the head's message: it ignores every Sync up to the
 * CopyDone or CopyFail, those included that were sent before we knew.
 */
static void owed_enter_copy(struct owed *q)
{
	uint32_t kept = 1;
	bool fenced = false;

	for (uint32_t i = 1; i < q->n; i++) {
		struct owed_entry e = *owed_at(q, i);

		if (e.kind == OWED_COPY_END)
			fenced = true;
		if (!fenced && e.kind == OWED_SYNC) {
			if (e.who == OWED_CLIENT)
				q->n_client--;
			continue;
		}
		*owed_at(q, kept++) = e;
	}
	q->n = kept;
	q->in_copy = !fenced;
}

void owed_hide_head(struct owed *q, uint16_t tag)
{
	struct owed_entry *e = owed_head(q);

	PANIC_IF(e == NULL);
	PANIC_IF(e->who != OWED_CLIENT || !owed_ends_in_ready(e->kind));
	e->who = OWED_HIDDEN;
	e->tag = tag;
	q->n_client--;
}

void owed_hide_client(struct owed *q, uint16_t tag)
{
	for (uint32_t i = 0; i < q->n; i++) {
		struct owed_entry *e = owed_at(q, i);

		if (e->who != OWED_CLIENT)
			continue;
		e->who = OWED_HIDDEN;
		e->query = 0;
		if (owed_ends_in_ready(e->kind))
			e->tag = tag;
	}
	q->n_client = 0;
}

static enum owed_step step_of(const struct owed_entry *e)
{
	return e->who == OWED_HIDDEN ? OWED_DROP : OWED_PASS;
}

/* Messages that answer something, as bits. */
enum {
	M_PARSED = 1 << 0,
	M_BOUND = 1 << 1,
	M_CLOSED = 1 << 2,
	M_PARAMS = 1 << 3,
	M_NO_DATA = 1 << 4,
	M_COLUMNS = 1 << 5,
	M_ROW = 1 << 6,
	M_COMPLETE = 1 << 7,
	M_EMPTY = 1 << 8,
	M_SUSPENDED = 1 << 9,
	M_COPY_BEGIN = 1 << 10,
	M_COPY = 1 << 11,
	M_FUNCTION = 1 << 12,
	M_READY = 1 << 13,
};

static const uint16_t message[256] = {
	['1'] = M_PARSED,
	['2'] = M_BOUND,
	['3'] = M_CLOSED,
	['t'] = M_PARAMS,
	['n'] = M_NO_DATA,
	['T'] = M_COLUMNS,
	['D'] = M_ROW,
	['C'] = M_COMPLETE,
	['I'] = M_EMPTY,
	['s'] = M_SUSPENDED,
	['G'] = M_COPY_BEGIN,
	['H'] = M_COPY_BEGIN,
	['W'] = M_COPY_BEGIN,
	['d'] = M_COPY,
	['c'] = M_COPY,
	['V'] = M_FUNCTION,
	['Z'] = M_READY,
};

/* What answers each kind, and which of it comes last. */
static const struct {
	uint16_t all, last;
} replies[] = {
	[OWED_QUERY] = {M_COLUMNS | M_ROW | M_COMPLETE | M_EMPTY | M_COPY_BEGIN | M_COPY | M_READY,
		M_READY},
	[OWED_FUNCTION] = {M_FUNCTION | M_READY, M_READY},
	[OWED_PARSE] = {M_PARSED, M_PARSED},
	[OWED_BIND] = {M_BOUND, M_BOUND},
	[OWED_DESCRIBE] = {M_PARAMS | M_COLUMNS | M_NO_DATA, M_COLUMNS | M_NO_DATA},
	[OWED_EXECUTE] = {M_ROW | M_COMPLETE | M_EMPTY | M_SUSPENDED | M_COPY_BEGIN | M_COPY,
		M_COMPLETE | M_EMPTY | M_SUSPENDED},
	[OWED_CLOSE] = {M_CLOSED, M_CLOSED},
	[OWED_SYNC] = {M_READY, M_READY},
	[OWED_COPY_END] = {0, 0},
};

/* Does `type` belong to what answers `kind`; *ends if it is the last of it. */
static bool reply_fits(uint8_t kind, char type, bool *ends)
{
	uint16_t m = message[(uint8_t)type];

	*ends = (replies[kind].last & m) != 0;
	return (replies[kind].all & m) != 0;
}

/* Their coming changes nothing here but the queue. */
#define M_PLAIN                                                                                  \
	(M_PARSED | M_BOUND | M_CLOSED | M_PARAMS | M_NO_DATA | M_COLUMNS | M_ROW | M_COMPLETE | \
		M_EMPTY | M_SUSPENDED)

size_t owed_pass_run(struct owed *q, const uint8_t *data, size_t len, uint32_t len_max)
{
	size_t at = 0;
	struct frame f;

	while (q->n != 0 && frame_peek(data + at, len - at, len_max, &f) == OK) {
		const struct owed_entry *e = owed_head(q);
		uint16_t m = message[f.type] & M_PLAIN & replies[e->kind].all;

		if (m == 0 || e->who != OWED_CLIENT || e->tag != 0 ||
			!frame_is_complete(&f, len - at))
			break;
		if (m == M_COMPLETE) {
			if (e->query != 0 && q->completed != NULL)
				q->completed(q->arg, e, data + at + FRAME_HEAD_LEN,
					f.total - FRAME_HEAD_LEN);
			end_copy(q);
		}
		at += f.total;
		if ((replies[e->kind].last & m) != 0) { /* no ReadyForQuery: not of n_client */
			q->head++;
			q->n--;
			drop_fences(q);
		}
	}
	return at;
}

enum owed_step owed_on_reply(struct owed *q, char type, bool *ends)
{
	struct owed_entry *e;

	*ends = false;
	if (type == 'A')
		return OWED_PASS;
	e = owed_head(q);
	if (e == NULL)
		return type == 'N' || type == 'S' || type == 'E' ? OWED_PASS : OWED_BAD;
	if (type == 'N' || type == 'S')
		return step_of(e);
	if (type == 'E') {
		if (e->kind != OWED_QUERY && e->kind != OWED_FUNCTION && e->kind != OWED_SYNC)
			q->skipping = true;
		q->in_copy = false;
		return step_of(e);
	}
	if (e->who == OWED_SYNTH || !reply_fits(e->kind, type, ends))
		return OWED_BAD;
	if (type == 'G' || type == 'W')
		owed_enter_copy(q);
	else if (type == 'C')
		end_copy(q);
	return step_of(e);
}

bool owed_pop_skipped(struct owed *q, struct owed_entry *out)
{
	struct owed_entry *e = owed_head(q);

	if (!q->skipping || e == NULL)
		return false;
	if (e->kind == OWED_SYNC) {
		q->skipping = false;
		return false;
	}
	*out = owed_pop(q);
	return true;
}
