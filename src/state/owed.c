#include "state/owed.h"

#include <stdlib.h>

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

static bool ends_in_ready(uint8_t kind)
{
	return kind == OWED_QUERY || kind == OWED_FUNCTION || kind == OWED_SYNC;
}

bool owed_is_ignored(const struct owed *q, enum owed_kind kind)
{
	if (kind == OWED_COPY_END)
		return q->n == 0;
	if (q->in_copy)
		return kind == OWED_SYNC;
	return q->skipping && kind != OWED_SYNC;
}

static enum status owed_grow(struct owed *q)
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

enum status owed_push(struct owed *q, struct owed_entry e)
{
	enum status st;

	PANIC_IF(owed_is_ignored(q, e.kind));
	if (q->n == q->cap && (st = owed_grow(q)) != OK)
		return st;
	q->ring[(q->head + q->n++) & (q->cap - 1)] = e;
	if (e.kind == OWED_SYNC)
		q->skipping = false;
	if (e.kind == OWED_COPY_END)
		q->in_copy = false;
	if (e.who == OWED_CLIENT && ends_in_ready(e.kind))
		q->n_client++;
	return OK;
}

struct owed_entry owed_pop(struct owed *q)
{
	struct owed_entry e;

	PANIC_IF(q->n == 0);
	e = *owed_head(q);
	q->head++;
	q->n--;
	if (e.who == OWED_CLIENT && ends_in_ready(e.kind))
		q->n_client--;
	return e;
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

static enum owed_step step_of(const struct owed_entry *e)
{
	return e->who == OWED_HIDDEN ? OWED_DROP : OWED_PASS;
}

/* Does `type` belong to what answers `kind`; *ends if it is the last of it. */
static bool reply_fits(uint8_t kind, char type, bool *ends)
{
	switch ((enum owed_kind)kind) {
	case OWED_QUERY:
		*ends = type == 'Z';
		return *ends || type == 'T' || type == 'D' || type == 'C' || type == 'I' ||
		       type == 'G' || type == 'H' || type == 'W' || type == 'd' || type == 'c';
	case OWED_FUNCTION:
		*ends = type == 'Z';
		return *ends || type == 'V';
	case OWED_PARSE:
		*ends = type == '1';
		return *ends;
	case OWED_BIND:
		*ends = type == '2';
		return *ends;
	case OWED_CLOSE:
		*ends = type == '3';
		return *ends;
	case OWED_DESCRIBE:
		*ends = type == 'T' || type == 'n';
		return *ends || type == 't';
	case OWED_EXECUTE:
		*ends = type == 'C' || type == 'I' || type == 's';
		return *ends || type == 'D' || type == 'G' || type == 'H' || type == 'W' ||
		       type == 'd' || type == 'c';
	case OWED_SYNC:
		*ends = type == 'Z';
		return *ends;
	case OWED_COPY_END:
		break;
	}
	return false;
}

enum owed_step owed_on_reply(struct owed *q, char type, bool *ends)
{
	struct owed_entry *e;

	*ends = false;
	while ((e = owed_head(q)) != NULL && e->kind == OWED_COPY_END)
		(void)owed_pop(q);
	if (type == 'A')
		return OWED_PASS;
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
		q->in_copy = false;
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
