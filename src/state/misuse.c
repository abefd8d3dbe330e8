#include "state/misuse.h"

#include <string.h>

#include "base/text.h"

static bool is(const struct misuse *m, const struct misuse_key *key, const char *application_name)
{
	return m->key.fingerprint == key->fingerprint && m->key.owner == key->owner &&
	       m->key.kind == key->kind && m->key.detail == key->detail &&
	       strncmp(m->application_name, application_name, MISUSE_APP_MAX - 1) == 0;
}

static struct misuse *place(struct misuse_table *t)
{
	struct misuse *oldest = &t->at[0];

	if (t->n < MISUSE_MAX)
		return &t->at[t->n++];
	for (uint32_t i = 1; i < t->n; i++)
		if (t->at[i].seen_us < oldest->seen_us)
			oldest = &t->at[i];
	return oldest;
}

void misuse_note(struct misuse_table *t, const struct misuse_key *key,
	const struct misuse_client *who, uint64_t us, uint64_t now_us)
{
	struct misuse *m = NULL;

	for (uint32_t i = 0; i < t->n && m == NULL; i++)
		if (is(&t->at[i], key, who->application_name))
			m = &t->at[i];
	if (m == NULL) {
		m = place(t);
		*m = (struct misuse){.key = *key};
		text_copy(m->application_name, sizeof m->application_name, who->application_name);
	}
	m->client = who->id;
	text_copy(m->addr, sizeof m->addr, who->addr);
	m->n++;
	m->us += us;
	if (us > m->longest_us)
		m->longest_us = us;
	m->seen_us = now_us;
}

void misuse_forget(struct misuse_table *t, const void *owner)
{
	for (uint32_t i = 0; i < t->n;)
		if (t->at[i].key.owner == owner)
			t->at[i] = t->at[--t->n];
		else
			i++;
}

void misuse_forget_kind(struct misuse_table *t, enum misuse_kind kind)
{
	for (uint32_t i = 0; i < t->n;)
		if (t->at[i].key.kind == kind)
			t->at[i] = t->at[--t->n];
		else
			i++;
}
