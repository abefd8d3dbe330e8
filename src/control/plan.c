#include "control/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/users.h"
#include "base/arena.h"
#include "conf/diff.h"
#include "conf/setting_text.h"

#define AT_RESTART "at the next start"
#define TAIL_ROOM  48u /* bytes of a text that are kept for the count at its end */

struct plan {
	struct arena arena;
	struct plan_change *at;
	size_t n, n_left_out;
	bool no_memory;
};

/* --- collecting --- */

static void add(struct plan *p, const struct plan_change *c)
{
	struct plan_change *to;

	if (p->n == PLAN_MAX) {
		p->n_left_out++;
		return;
	}
	to = &p->at[p->n];
	to->what = arena_strdup(&p->arena, c->what);
	to->name = arena_strdup(&p->arena, c->name);
	to->key = arena_strdup(&p->arena, c->key);
	to->from = arena_strdup(&p->arena, c->from);
	to->to = arena_strdup(&p->arena, c->to);
	to->effect = c->effect; /* constant */
	if (to->what == NULL || to->name == NULL || to->key == NULL || to->from == NULL ||
		to->to == NULL)
		p->no_memory = true;
	else
		p->n++;
}

static void on_change(void *arg, const struct conf_change *ch)
{
	add(arg, &(struct plan_change){ch->what, ch->name, ch->key, ch->from, ch->to, ch->effect});
}

/* What is fixed at the start is the same in both snapshots; the findings tell it. */
static void add_restarts(struct plan *p, const struct conf *conf, const struct findings *found)
{
	char present[512];

	for (size_t i = 0; i < found->n; i++) {
		const struct finding *f = &found->items[i];
		const struct setting *s = settings_find(SETTING_GLOBAL, f->key);

		if (f->kind == FINDING_RESTART && s != NULL)
			add(p, &(struct plan_change){"setting", f->key, "",
				       setting_format(s, conf, present, sizeof present),
				       f->value != NULL ? f->value : "***", AT_RESTART});
	}
}

/* Secrets themselves are never told. */
static void add_users(struct plan *p, const struct auth_users *a, const struct auth_users *b)
{
	const struct auth_user *x, *y;

	for (size_t i = 0; (x = auth_users_at(a, i)) != NULL; i++) {
		y = auth_users_find(b, x->name);
		if (y == NULL)
			add(p, &(struct plan_change){
				       "auth_file", x->name, "", "listed", "", "new clients"});
		else if (strcmp(x->secret, y->secret) != 0)
			add(p, &(struct plan_change){"auth_file", x->name, "secret", "***", "***",
				       "new clients"});
	}
	for (size_t i = 0; (y = auth_users_at(b, i)) != NULL; i++)
		if (auth_users_find(a, y->name) == NULL)
			add(p, &(struct plan_change){
				       "auth_file", y->name, "", "", "listed", "new clients"});
}

enum status plan_new(const struct conf *conf, const struct auth_users *users,
	const struct config_set *next, const struct findings *found, struct plan **out)
{
	struct plan *p = calloc(1, sizeof *p);

	*out = NULL;
	if (p == NULL)
		return E_NOMEM;
	arena_init(&p->arena);
	p->at = arena_take_array(&p->arena, PLAN_MAX, sizeof *p->at);
	if (p->at == NULL)
		p->no_memory = true;
	else
		add_restarts(p, conf, found);
	if (!p->no_memory && conf_diff(conf, next->conf, on_change, p) != OK)
		p->no_memory = true;
	if (!p->no_memory)
		add_users(p, users, next->users);
	if (p->no_memory) {
		plan_free(p);
		return E_NOMEM;
	}
	*out = p;
	return OK;
}

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	arena_fini(&p->arena);
	free(p);
}

/* --- telling --- */

size_t plan_n(const struct plan *p)
{
	return p->n;
}

size_t plan_n_left_out(const struct plan *p)
{
	return p->n_left_out;
}

const struct plan_change *plan_at(const struct plan *p, size_t i)
{
	return &p->at[i];
}

/* "database app pool_size: 20 -> 30 (at once)" */
static int one_text(const struct plan_change *c, bool is_first, char *buf, size_t cap)
{
	bool is_setting = strcmp(c->what, "setting") == 0;

	return snprintf(buf, cap, "%s%s%s%s%s%s: %s -> %s (%s)", is_first ? "" : "; ",
		is_setting ? "" : c->what, is_setting ? "" : " ", c->name,
		*c->key != '\0' ? " " : "", c->key, *c->from != '\0' ? c->from : "\"\"",
		*c->to != '\0' ? c->to : "\"\"", c->effect);
}

const char *plan_text(const struct plan *p, char *buf, size_t cap)
{
	size_t len = 0, told = 0, all = p->n + p->n_left_out;

	buf[0] = '\0';
	for (; told < p->n; told++) {
		int n = one_text(&p->at[told], told == 0, buf + len, cap - len);

		if (n < 0 || (size_t)n >= cap - len - TAIL_ROOM)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	if (told < all)
		(void)snprintf(
			buf + len, cap - len, "%s%zu more", told != 0 ? "; and " : "", all - told);
	return buf;
}
