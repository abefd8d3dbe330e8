#include "worker/kept.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct window {
	struct list link;
	char database[NAME_LEN];
	uint64_t round, since;
	size_t bytes;
	struct mail *first, **last; /* struct tell_notified, by mail.next */
};

void kept_init(struct kept *k)
{
	list_init(&k->windows);
}

static struct window *find(const struct kept *k, const char *database)
{
	struct list *it;

	list_foreach (it, &k->windows)
		if (strcmp(list_entry(it, struct window, link)->database, database) == 0)
			return list_entry(it, struct window, link);
	return NULL;
}

static void window_free(struct window *x)
{
	struct mail *next;

	for (struct mail *m = x->first; m != NULL; m = next) {
		next = m->next;
		free(m);
	}
	list_del(&x->link);
	free(x);
}

void kept_fini(struct kept *k)
{
	while (!list_is_empty(&k->windows))
		window_free(list_entry(k->windows.next, struct window, link));
}

void kept_end(struct kept *k, const char *database)
{
	struct window *x = find(k, database);

	if (x != NULL)
		window_free(x);
}

enum status kept_begin(struct kept *k, const char *database, uint64_t round, uint64_t since)
{
	struct window *x;

	kept_end(k, database);
	x = calloc(1, sizeof *x);
	if (x == NULL)
		return E_NOMEM;
	text_copy(x->database, sizeof x->database, database);
	x->round = round;
	x->since = since;
	x->last = &x->first;
	list_push_back(&k->windows, &x->link);
	return OK;
}

void kept_add(struct kept *k, struct tell_notified *t)
{
	struct window *x = find(k, t->database);

	if (x != NULL && t->number >> KEPT_ROUND_BITS != x->round)
		x = NULL; /* it came before the marker */
	if (x != NULL && x->bytes + sizeof *t + t->len > KEPT_MAX) {
		window_free(x);
		x = NULL;
	}
	if (x == NULL) {
		free(t);
		return;
	}
	x->bytes += sizeof *t + t->len;
	t->mail.next = NULL;
	*x->last = &t->mail;
	x->last = &t->mail.next;
}

bool kept_covers(const struct kept *k, const char *database, uint64_t number, uint64_t *since)
{
	const struct window *x = find(k, database);

	if (x == NULL || x->round != number >> KEPT_ROUND_BITS)
		return false;
	*since = x->since;
	return true;
}

const struct tell_notified *kept_next(
	const struct kept *k, const char *database, const struct tell_notified *after)
{
	const struct window *x = after == NULL ? find(k, database) : NULL;
	const struct mail *m = after != NULL ? after->mail.next : x != NULL ? x->first : NULL;

	return (const struct tell_notified *)(const void *)m;
}
