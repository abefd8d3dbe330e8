#include "worker/reported.h"

#include <string.h>

#include "proto/backend.h"
#include "proto/reply.h"
#include "state/settings_class.h"
#include "worker/effects.h"
#include "worker/forward.h"
#include "worker/worker.h"

/* A reported parameter has changed under the client's own statement: its settings follow. */
static void follow_parameter(
	struct worker *w, struct client *c, const struct msg_parameter_status *p)
{
	const char *base = baseline_get(&c->acc->baseline, p->name);
	struct settings *before = c->set.current;
	enum status st;

	if (base == NULL || settings_class_of(p->name) != SETTINGS_CARRIED ||
		strcmp(p->name, "session_authorization") == 0 ||
		strcmp(p->name, "is_superuser") == 0)
		return;
	if (strcmp(base, p->value) == 0 && settings_get(c->set.login, p->name) == NULL)
		st = settings_txn_reset(&c->set, p->name);
	else
		st = settings_txn_set(&c->set, p->name, p->value);
	if (st != OK)
		pins_add(&c->busy->pins, &w->sh->pins, PIN_SET_CONFIG, w->now_us, p->name,
			strlen(p->name));
	if (c->set.current != before) {
		c->busy->has_reported = true;
		effects_behind(c, c->server);
		client_settings_changed(w, c);
	}
}

/* Does what the start-up packet said decide what a parameter is after a RESET? */
static bool login_tells(const struct client *c, const char *name)
{
	const struct settings *login = c->set.login;
	const char *value = settings_get(login, name), *now = settings_get(c->set.current, name);

	if (value != NULL)
		return now != NULL && strcmp(value, now) == 0;
	return (strcmp(name, "is_superuser") == 0 || strcmp(name, "session_authorization") == 0) &&
	       (settings_get(login, "role") != NULL ||
		       settings_get(login, "session_authorization") != NULL);
}

/*
 * A RESET: the server has gone back to its own default, the client goes back to what its start-up
 * packet said, which the server is about to be told.
 */
static COLD void put_login_value(struct worker *w, struct client *c, const char *name)
{
	const struct welcome *x = account_welcome(c->acc, c->set.login);
	const char *value = x != NULL ? welcome_value(x, &name) : NULL;
	uint8_t buf[1024];
	struct wr out = wr_of(buf, sizeof buf);

	if (value == NULL || strlen(name) + strlen(value) + 16 > sizeof buf)
		return; /* the server's answer will tell */
	reply_put_parameter_status(&out, name, value);
	pass_own(w, c, &out);
}

/* The server may have nothing to report, where its own default is what it had. */
void reported_put_login(struct worker *w, struct client *c)
{
	const struct settings *login = c->set.login;

	for (size_t i = 0; i < settings_n(login); i++)
		if (login_tells(c, settings_name(login, i)))
			put_login_value(w, c, settings_name(login, i));
	if (login_tells(c, "is_superuser")) {
		put_login_value(w, c, "is_superuser");
		put_login_value(w, c, "session_authorization");
	}
}

/* Has the server gone back to its own default by a RESET, and not by a SET that names that? */
static bool is_base(const struct client *c, const struct msg_parameter_status *p)
{
	const char *base = baseline_get(&c->acc->baseline, p->name);

	return base != NULL && strcmp(base, p->value) == 0 &&
	       (settings_get(c->set.login, p->name) == NULL ||
		       settings_get(c->server->settings, p->name) == NULL);
}

void reported_came(struct walk *k, const struct frame *f, enum owed_step step)
{
	struct server *s = k->s;
	struct client *c = s->client;
	struct owed_entry *head = owed_head(&s->owed);
	struct msg_parameter_status p;

	if (backend_read_parameter_status(frame_body(k->data + k->at, f), &p) != OK) {
		server_close(k->w, s, SERVER_END_PROTOCOL);
		return;
	}
	if (strcmp(p.name, "in_hot_standby") == 0) { /* of the server, not of the client */
		if (s->in_recovery && strcmp(p.value, "off") == 0) {
			s->close_needed = true;
			worker_probe(k->w, s->pool->node);
		}
		walk_skip(k, f->total);
		if (s->close_needed && s->state == SERVER_IDLE)
			server_close(k->w, s, SERVER_END_ROLE);
		return;
	}
	if ((step == OWED_DROP && (head == NULL || head->tag != OWED_TAG_REDIFF)) || c == NULL) {
		if (c != NULL && head != NULL && head->tag == OWED_TAG_WELCOME &&
			baseline_put(&c->busy->learned, p.name, p.value) != OK)
			pass_no_memory(k->w, c);
		walk_skip(k, f->total);
		return;
	}
	if (head != NULL && head->tag != OWED_TAG_REDIFF) {
		if (c->busy->rediff && login_tells(c, p.name) && is_base(c, &p)) {
			walk_skip(k, f->total);
			put_login_value(k->w, c, p.name);
			return;
		}
		follow_parameter(k->w, c, &p);
	}
	k->at += f->total;
}
