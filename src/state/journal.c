#include "state/journal.h"

#include <string.h>

struct entry {
	enum journal_kind kind;
	const char *sql, *name;
	uint32_t at, end;
};

/* The entry at `at`; false: there is none. */
static bool entry_at(const struct journal *j, uint32_t at, struct entry *out)
{
	if (at >= j->len)
		return false;
	out->at = at;
	out->kind = (enum journal_kind)j->bytes[at];
	out->sql = j->bytes + at + 1;
	out->name = out->sql + strlen(out->sql) + 1;
	out->end = (uint32_t)(out->name + strlen(out->name) + 1 - j->bytes);
	PANIC_IF(out->end > j->len);
	return true;
}

void journal_clear(struct journal *j)
{
	j->len = 0;
	j->n = 0;
}

enum status journal_put(
	struct journal *j, enum journal_kind kind, const char *sql, size_t len, const char *name)
{
	size_t name_len = strlen(name);
	char *p = j->bytes + j->len;

	if (len > JOURNAL_MAX || name_len > JOURNAL_MAX ||
		1 + len + 1 + name_len + 1 > JOURNAL_MAX - j->len || memchr(sql, '\0', len) != NULL)
		return E_LIMIT;
	*p++ = (char)kind;
	memcpy(p, sql, len);
	p += len;
	*p++ = '\0';
	memcpy(p, name, name_len + 1);
	j->len += (uint32_t)(1 + len + 1 + name_len + 1);
	j->n++;
	return OK;
}

static void count(struct journal *j)
{
	struct entry e;

	j->n = 0;
	for (uint32_t at = 0; entry_at(j, at, &e); at = e.end)
		j->n++;
}

void journal_cut(struct journal *j, uint32_t len)
{
	PANIC_IF(len > j->len);
	j->len = len;
	count(j);
}

/* The youngest savepoint of that name. */
static bool find_savepoint(const struct journal *j, const char *name, struct entry *out)
{
	struct entry e;
	bool found = false;

	for (uint32_t at = 0; entry_at(j, at, &e); at = e.end)
		if (e.kind == JOURNAL_SAVEPOINT && strcmp(e.name, name) == 0) {
			*out = e;
			found = true;
		}
	return found;
}

void journal_rollback_to(struct journal *j, const char *name)
{
	struct entry e;

	if (find_savepoint(j, name, &e))
		journal_cut(j, e.end); /* the savepoint itself stays */
}

/* From `from` on keep the entries of one kind alone. */
static void keep(struct journal *j, uint32_t from, enum journal_kind kind)
{
	uint32_t to = from;
	struct entry e;

	for (uint32_t at = from; entry_at(j, at, &e); at = e.end) {
		if (e.kind != kind)
			continue;
		memmove(j->bytes + to, j->bytes + e.at, e.end - e.at);
		to += e.end - e.at;
	}
	journal_cut(j, to);
}

void journal_release(struct journal *j, const char *name)
{
	struct entry e;

	if (find_savepoint(j, name, &e))
		keep(j, e.at, JOURNAL_SET);
}

void journal_chain(struct journal *j)
{
	keep(j, 0, JOURNAL_BEGIN);
}

const char *journal_next(const struct journal *j, uint32_t *at)
{
	struct entry e;

	if (!entry_at(j, *at, &e))
		return NULL;
	*at = e.end;
	return e.sql;
}
