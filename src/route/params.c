#include "route/params.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NAME_LEN 64u /* NAMEDATALEN of PostgreSQL */

/* What holds to the end of the session, and what holds now (SET LOCAL). */
struct layer {
	struct ask session, now;
};

struct savepoint {
	char name[NAME_LEN];
	struct layer was;
};

struct params {
	struct ask login;
	struct layer committed, current;
	struct savepoint *savepoints; /* of PARAMS_SAVEPOINTS_MAX; NULL until there is one */
	uint32_t n_savepoints;
};

struct params *params_new(void)
{
	return calloc(1, sizeof(struct params));
}

void params_free(struct params *p)
{
	if (p == NULL)
		return;
	free(p->savepoints);
	free(p);
}

const struct ask *params_now(const struct params *p)
{
	return &p->current.now;
}

const struct ask *params_login(const struct params *p)
{
	return &p->login;
}

/* One parameter, from `from`, to where SET puts it. */
static void put(
	struct params *p, enum ask_param which, const struct ask *from, bool local, bool in_txn)
{
	if (local && !in_txn)
		return;
	ask_take(&p->current.now, which, from);
	if (!local)
		ask_take(&p->current.session, which, from);
	if (!in_txn)
		p->committed = p->current;
}

enum status params_start(struct params *p, enum ask_param which, const char *value)
{
	enum status st = ask_put(&p->login, which, value);

	if (st == OK)
		put(p, which, &p->login, false, false);
	return st;
}

enum status params_set(
	struct params *p, enum ask_param which, const char *value, bool local, bool in_txn)
{
	struct ask a = {0};
	enum status st = ask_put(&a, which, value);

	if (st == OK)
		put(p, which, &a, local, in_txn);
	return st;
}

void params_reset(struct params *p, enum ask_param which, bool local, bool in_txn)
{
	put(p, which, &p->login, local, in_txn);
}

void params_reset_all(struct params *p, bool in_txn)
{
	for (unsigned i = 0; i < ASK_PARAMS; i++)
		put(p, (enum ask_param)i, &p->login, false, in_txn);
}

static void end(struct params *p, const struct ask *holds)
{
	const struct ask a = *holds;

	p->committed = (struct layer){.session = a, .now = a};
	p->current = p->committed;
	p->n_savepoints = 0;
}

void params_commit(struct params *p)
{
	end(p, &p->current.session);
}

void params_rollback(struct params *p)
{
	end(p, &p->committed.session);
}

bool params_is_pending(const struct params *p)
{
	return memcmp(&p->current, &p->committed, sizeof p->current) != 0 || p->n_savepoints != 0;
}

/* The youngest of that name; n_savepoints if there is none. */
static uint32_t find(const struct params *p, const char *name)
{
	for (uint32_t i = p->n_savepoints; i > 0; i--)
		if (strcmp(p->savepoints[i - 1].name, name) == 0)
			return i - 1;
	return p->n_savepoints;
}

void params_savepoint(struct params *p, const char *name)
{
	struct savepoint *s;

	if (p->savepoints == NULL)
		p->savepoints = calloc(PARAMS_SAVEPOINTS_MAX, sizeof *p->savepoints);
	if (p->savepoints == NULL || p->n_savepoints == PARAMS_SAVEPOINTS_MAX)
		return;
	s = &p->savepoints[p->n_savepoints++];
	text_copy(s->name, sizeof s->name, name);
	s->was = p->current;
}

/* One that is not known was made when nothing was set yet. */
void params_rollback_to(struct params *p, const char *name)
{
	uint32_t i = find(p, name);

	if (i < p->n_savepoints) {
		p->current = p->savepoints[i].was;
		p->n_savepoints = i + 1; /* the savepoint itself stays */
	} else if (p->n_savepoints == PARAMS_SAVEPOINTS_MAX) {
		p->current = p->savepoints[PARAMS_SAVEPOINTS_MAX - 1].was;
	} else {
		p->current = p->committed;
		p->n_savepoints = 0;
	}
}

void params_release(struct params *p, const char *name)
{
	p->n_savepoints = find(p, name);
}
