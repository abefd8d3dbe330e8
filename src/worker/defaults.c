#include "worker/defaults.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "conf/conf.h"
#include "worker/server.h"
#include "worker/worker.h"

struct defaults {
	uint32_t n;
	struct {
		bool of_database;
		char name[NAME_LEN];
	} at[DEFAULTS_MAX];
};

void defaults_note(struct client *c, bool of_database, const char *name)
{
	struct defaults *d = c->busy->defaults;

	if (d == NULL)
		c->busy->defaults = d = calloc(1, sizeof *d);
	if (d == NULL)
		return;             /* with the next server connections, then */
	if (d->n == DEFAULTS_MAX) { /* the last one stands for all */
		d->at[DEFAULTS_MAX - 1].name[0] = '\0';
		return;
	}
	d->at[d->n].of_database = of_database;
	text_copy(d->at[d->n++].name, NAME_LEN, name != NULL ? name : "");
}

void defaults_forget(struct client *c)
{
	free(c->busy->defaults);
	c->busy->defaults = NULL;
}

/* --- all workers --- */

static bool concerns(const struct tell_defaults *t, const struct account *acc)
{
	const struct conf_db *conf = acc->db->conf;
	const char *name = acc->db->dbname;

	if (t->name[0] == '\0')
		return true;
	if (!t->of_database)
		name = conf != NULL && conf->user[0] != '\0' ? conf->user : acc->user;
	return strcmp(name, t->name) == 0;
}

static void forget_baselines(struct worker *w, const struct tell_defaults *t)
{
	struct list *it, *ia;

	list_foreach (it, &w->dbase_list)
		list_foreach (ia, &list_entry(it, struct dbase, link)->account_list) {
			struct account *acc = list_entry(ia, struct account, link);

			if (concerns(t, acc))
				acc->has_baseline = false; /* who logs in waits for a server */
		}
}

void defaults_told(struct worker *w, const struct tell_defaults *t)
{
	struct list *it, *tmp;

	forget_baselines(w, t);
	list_foreach (it, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		s->close_needed = s->close_needed || concerns(t, s->pool->acc);
	}
	/* What is opened in place of the closed ones is new. */
	list_foreach_safe (it, tmp, &w->servers) {
		struct server *s = list_entry(it, struct server, link);

		if (s->close_needed && s->state == SERVER_IDLE)
			server_close(w, s, SERVER_END_OUTDATED);
	}
}

/* --- one transaction --- */

static void tell(struct worker *w, uint32_t to, const struct tell_defaults *what)
{
	struct tell_defaults *t = worker_mail(sizeof *t, TELL_DEFAULTS);

	if (t == NULL)
		return;
	t->of_database = what->of_database;
	text_copy(t->name, sizeof t->name, what->name);
	worker_tell(w, to, &t->mail);
}

COLD void defaults_committed(struct worker *w, struct client *c)
{
	const struct defaults *d = c->busy->defaults;

	for (uint32_t i = 0; i < d->n; i++) {
		struct tell_defaults t = {.of_database = d->at[i].of_database};

		text_copy(t.name, sizeof t.name, d->at[i].name);
		for (uint32_t to = 0; to < w->sh->n_workers; to++)
			if (to != w->index)
				tell(w, to, &t);
		defaults_told(w, &t);
	}
	defaults_forget(c);
}
