#include "worker/savepoints.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum status savepoints_push(
	struct savepoints **s, const struct settings_txn *x, const char *name, uint32_t n_ops)
{
	struct savepoint *p;

	if (*s == NULL)
		*s = calloc(1, sizeof **s);
	if (*s == NULL)
		return E_NOMEM;
	if ((*s)->n == SAVEPOINTS_MAX || strlen(name) >= sizeof p->name)
		return E_LIMIT;
	p = &(*s)->at[(*s)->n++];
	text_copy(p->name, sizeof p->name, name);
	p->set = settings_ref(x->current);
	p->n_ops = n_ops;
	return OK;
}

/* Forget all from `keep` on. */
static void cut(struct savepoints *s, struct settings_txn *x, uint32_t keep)
{
	while (s->n > keep)
		settings_unref(x->table, s->at[--s->n].set);
}

/* The youngest of that name; s->n if there is none. */
static uint32_t find(const struct savepoints *s, const char *name)
{
	for (uint32_t i = s->n; i > 0; i--)
		if (strcmp(s->at[i - 1].name, name) == 0)
			return i - 1;
	return s->n;
}

void savepoints_rollback(
	struct savepoints *s, struct settings_txn *x, const char *name, uint32_t *n_ops)
{
	uint32_t i = s != NULL ? find(s, name) : 0;

	if (s == NULL || i == s->n)
		return;
	settings_unref(x->table, x->current);
	x->current = settings_ref(s->at[i].set);
	*n_ops = s->at[i].n_ops;
	cut(s, x, i + 1); /* the savepoint itself stays */
}

void savepoints_release(struct savepoints *s, struct settings_txn *x, const char *name)
{
	if (s != NULL)
		cut(s, x, find(s, name));
}

void savepoints_found(struct savepoints *s, const struct settings_txn *x)
{
	for (uint32_t i = 0; s != NULL && i < s->n; i++) {
		settings_unref(x->table, s->at[i].set);
		s->at[i].set = settings_ref(x->current);
	}
}

void savepoints_clear(struct savepoints **s, struct settings_txn *x)
{
	if (*s == NULL)
		return;
	cut(*s, x, 0);
	free(*s);
	*s = NULL;
}
