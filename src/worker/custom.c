#include "worker/custom.h"

#include <string.h>

#include "conf/effective.h"
#include "worker/line.h"
#include "worker/worker.h"

bool custom_is_name(const char *name)
{
	return strchr(name, '.') != NULL;
}

bool custom_fits_other(struct worker *w, const struct client *c, const struct server *s)
{
	return settings_has_names(c->custom, s->names) ||
	       conf_custom_parameters(w->conf, c->db->conf) == CUSTOM_PARAMETERS_SHARED;
}

/* *place gets `name`. False: there are too many. */
static bool add_name(struct worker *w, struct settings **place, const char *name)
{
	struct settings *more;

	if (settings_get(*place, name) != NULL)
		return true;
	if (settings_n(*place) >= CUSTOM_NAMES_MAX ||
		settings_put(w->settings, *place, name, "", &more) != OK)
		return false;
	settings_unref(w->settings, *place);
	*place = more;
	return true;
}

static bool add_names(struct worker *w, struct settings **place, const struct settings *names)
{
	struct settings *all;

	if (settings_put_names(w->settings, *place, names, &all) != OK)
		return false;
	settings_unref(w->settings, *place);
	*place = all;
	return true;
}

static COLD void pin(struct worker *w, struct client *c, const char *name)
{
	pins_add(&c->busy->pins, &w->sh->pins, PIN_CUSTOM_PARAMETER, w->now_us, name, strlen(name));
}

bool custom_sent(struct worker *w, struct client *c, struct server *s, const char *name)
{
	if (!add_name(w, &s->names, name)) /* not known any more: it is closed after this client */
		pin(w, c, name);
	return settings_get(c->custom, name) != NULL;
}

void custom_seen(struct worker *w, struct client *c, const char *name)
{
	if (!add_name(w, &c->custom, name))
		pin(w, c, name);
	if (c->server != NULL && settings_get(c->server->names, name) != NULL)
		(void)add_name(w, &c->server->made, name); /* else it is made once more */
}

void custom_missing(struct worker *w, struct client *c, struct server *s, const char *name)
{
	struct settings *less;

	if (settings_get(c->custom, name) != NULL || settings_get(s->names, name) == NULL ||
		settings_drop(w->settings, s->names, name, &less) != OK)
		return;
	settings_unref(w->settings, s->names);
	s->names = less;
}

void custom_given(struct worker *w, struct client *c, struct server *s)
{
	if (custom_is_due(c, s) &&
		(!add_names(w, &s->names, c->custom) || !add_names(w, &s->made, c->custom)))
		pin(w, c, settings_name(c->custom, 0));
}

void custom_not_made(struct worker *w, struct server *s)
{
	settings_unref(w->settings, s->made);
	s->made = settings_empty(w->settings);
}

enum status custom_login(struct worker *w, struct client *c)
{
	for (size_t i = 0; i < settings_n(c->set.login); i++) {
		const char *name = settings_name(c->set.login, i);

		if (custom_is_name(name) && !add_name(w, &c->custom, name))
			return E_LIMIT;
	}
	return OK;
}

struct server *custom_misfit(struct worker *w, struct pool *p)
{
	struct waiter *x = waitq_first(&p->line);
	struct list *it;

	if (x == NULL)
		return NULL;
	list_foreach (it, &p->idle) {
		struct server *s = list_entry(it, struct server, pool_link);

		if (s->wanted_by == NULL &&
			(server_is_outdated(w, s) || !custom_fits(w, line_client(x), s)))
			return s;
	}
	return NULL;
}
