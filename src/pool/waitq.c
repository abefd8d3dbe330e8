#include "pool/waitq.h"

static struct waiter *waiter_of(struct list *l)
{
	return list_entry(l, struct waiter, link);
}

void waitq_init(struct waitq *q, size_t limit)
{
	list_init(&q->line);
	q->n = 0;
	q->limit = limit;
	q->deadline_min_us = UINT64_MAX;
}

void waiter_init(struct waiter *w)
{
	*w = (struct waiter){.in = NULL};
	list_init(&w->link);
}

enum status waitq_push(struct waitq *q, struct waiter *w, uint64_t since_us, uint64_t deadline_us)
{
	struct list *at = &q->line;

	PANIC_IF(w->in != NULL);
	if (q->n >= q->limit)
		return E_LIMIT;
	while (at->prev != &q->line && waiter_of(at->prev)->since_us > since_us)
		at = at->prev;
	list_insert_before(at, &w->link);
	w->in = q;
	w->since_us = since_us;
	w->deadline_us = deadline_us;
	q->n++;
	if (deadline_us < q->deadline_min_us)
		q->deadline_min_us = deadline_us;
	return OK;
}

void waitq_remove(struct waiter *w)
{
	struct waitq *q = w->in;

	if (q == NULL)
		return;
	PANIC_IF(q->n == 0);
	list_del(&w->link);
	w->in = NULL;
	if (--q->n == 0)
		q->deadline_min_us = UINT64_MAX;
}

struct waiter *waitq_first(const struct waitq *q)
{
	return q->n != 0 ? waiter_of(q->line.next) : NULL;
}

struct waiter *waitq_next(const struct waitq *q, const struct waiter *w)
{
	return w->link.next != &q->line ? waiter_of(w->link.next) : NULL;
}

struct waiter *waitq_pop(struct waitq *q)
{
	struct waiter *w = waitq_first(q);

	if (w != NULL)
		waitq_remove(w);
	return w;
}

/*
 * Deadlines mostly follow age, so the first is mostly the one; when none is due the walk has found
 * the true earliest deadline, and the next walk is not before that.
 */
struct waiter *waitq_pop_expired(struct waitq *q, uint64_t now_us)
{
	uint64_t earliest_us = UINT64_MAX;

	if (now_us < q->deadline_min_us)
		return NULL;
	for (struct waiter *w = waitq_first(q); w != NULL; w = waitq_next(q, w)) {
		if (w->deadline_us <= now_us) {
			waitq_remove(w);
			return w;
		}
		if (w->deadline_us < earliest_us)
			earliest_us = w->deadline_us;
	}
	q->deadline_min_us = earliest_us;
	return NULL;
}

uint64_t waitq_oldest_us(const struct waitq *q)
{
	return q->n != 0 ? waitq_first(q)->since_us : 0;
}
