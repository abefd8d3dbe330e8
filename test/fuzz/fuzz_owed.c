/*
 * What a server owes: whatever is sent, and whatever the server says in whatever order, the client
 * is given no more ReadyForQuery than its messages call for, the count of them agrees with the
 * entries, entries end in the order in which they were pushed, and an entry of ours is never
 * ended by the server.
 */
#include "state/owed.h"

#define N_KINDS 9u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct owed q;
	uint64_t pushed, popped; /* numbers of entries: the next one, and the last one taken off */
	uint32_t ready_due, ready_passed;
};

static bool ends_in_ready(const struct owed_entry *e)
{
	return e->kind == OWED_QUERY || e->kind == OWED_FUNCTION || e->kind == OWED_SYNC;
}

static void popped(struct run *r, const struct owed_entry *e)
{
	PANIC_IF(e->no <= r->popped);
	r->popped = e->no;
}

static void answer_synthetic(struct run *r)
{
	struct owed_entry e;

	while (owed_head(&r->q) != NULL && owed_head(&r->q)->who == OWED_SYNTH) {
		e = owed_pop(&r->q);
		popped(r, &e);
	}
}

static void send(struct run *r, uint8_t byte)
{
	struct owed_entry e = {.kind = (uint8_t)(byte % N_KINDS + 1),
		.who = (uint8_t)(byte / N_KINDS % 3),
		.no = r->pushed + 1};

	if (owed_is_ignored(&r->q, (enum owed_kind)e.kind))
		return;
	if (e.who == OWED_SYNTH && (ends_in_ready(&e) || e.kind == OWED_COPY_END))
		return;
	if (owed_push(&r->q, e) != OK)
		return;
	r->pushed++;
	if (e.who == OWED_CLIENT && ends_in_ready(&e))
		r->ready_due++;
}

/* The server says `type`. False: it is out of step, and closed. */
static bool reply(struct run *r, char type)
{
	enum owed_step step;
	struct owed_entry e;
	bool ends;

	if (type != 'N' && type != 'A')
		answer_synthetic(r);
	step = owed_on_reply(&r->q, type, &ends);
	PANIC_IF(ends && (step == OWED_BAD || type == 'E' || owed_is_empty(&r->q)));
	if (step == OWED_BAD)
		return false;
	if (ends) {
		e = owed_pop(&r->q);
		popped(r, &e);
		PANIC_IF(e.who == OWED_SYNTH);
		PANIC_IF((step == OWED_DROP) != (e.who == OWED_HIDDEN));
		PANIC_IF((type == 'Z') != ends_in_ready(&e));
	}
	if (type == 'Z' && step == OWED_PASS)
		r->ready_passed++;
	PANIC_IF(type == 'Z' && !ends);
	while (owed_pop_skipped(&r->q, &e)) {
		popped(r, &e);
		PANIC_IF(e.kind == OWED_SYNC);
	}
	return true;
}

static void check(const struct run *r)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < r->q.n; i++) {
		const struct owed_entry *e = owed_at(&r->q, i);

		n += e->who == OWED_CLIENT && ends_in_ready(e);
		PANIC_IF(e->no <= r->popped);
		PANIC_IF(i != 0 && e->no <= owed_at(&r->q, i - 1)->no);
	}
	PANIC_IF(n != r->q.n_client);
	PANIC_IF(r->ready_passed + n > r->ready_due);
	PANIC_IF(r->q.n > OWED_MAX || r->q.n > r->q.cap);
}

/* A byte of the upper half is a message to the server, one of the lower half one from it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = {.pushed = 0};

	if (size > 4096)
		return 0;
	owed_init(&r.q);
	for (size_t i = 0; i < size; i++) {
		if (data[i] >= 0x80)
			send(&r, data[i] & 0x7f);
		else if (!reply(&r, (char)data[i]))
			break;
		check(&r);
	}
	owed_fini(&r.q);
	return 0;
}
