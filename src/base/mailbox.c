#include "base/mailbox.h"

void mailbox_init(struct mailbox *mb, void (*wake)(void *arg), void *wake_arg)
{
	PANIC_IF(wake == NULL);
	atomic_init(&mb->head, NULL);
	mb->wake = wake;
	mb->wake_arg = wake_arg;
}

void mailbox_post(struct mailbox *mb, struct mail *m)
{
	struct mail *newest = atomic_load_explicit(&mb->head, memory_order_relaxed);

	/* From the exchange on, `m` is the reader's: only the local tells whether to wake it. */
	do {
		m->next = newest;
	} while (!atomic_compare_exchange_weak_explicit(
		&mb->head, &newest, m, memory_order_release, memory_order_relaxed));
	if (newest == NULL)
		mb->wake(mb->wake_arg);
}

struct mail *mailbox_take(struct mailbox *mb)
{
	struct mail *newest, *oldest = NULL;

	if (atomic_load_explicit(&mb->head, memory_order_relaxed) == NULL)
		return NULL; /* spares the locked instruction */
	newest = atomic_exchange_explicit(&mb->head, NULL, memory_order_acquire);
	while (newest != NULL) {
		struct mail *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}
