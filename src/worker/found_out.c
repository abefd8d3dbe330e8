#include "worker/found_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/wr.h"
#include "state/settings_class.h"
#include "worker/custom.h"
#include "worker/effects.h"
#include "worker/forward.h"
#include "worker/savepoints.h"
#include "worker/worker.h"

#define QUERY_TEXT_MAX 512u /* around the names */
#define NAME_TEXT_MAX  (SETTINGS_NAME_MAX + 6u)

/* In client.doubt_names: what is asked of a name. */
#define ASK_TRACE "t"
#define ASK_VALUE "v"

/* One query under way. Names and values are those of the answer, copied. */
struct found_note {
	struct settings_table *table;
	struct settings *names; /* asked for; NULL: none */
	struct settings *found; /* all that was told */
	bool all;
	bool bad; /* the answer could not be kept */
};

/* --- what is to be asked --- */

static COLD void give_up(struct worker *w, struct client *c, const char *what)
{
	pins_add(&c->busy->pins, &w->sh->pins, PIN_SET_CONFIG, w->now_us, what, strlen(what));
}

void found_out_doubt(struct worker *w, struct client *c, const char *name, bool value)
{
	struct settings *more;
	const char *has;

	if (c->busy->doubt_names == NULL)
		c->busy->doubt_names = settings_empty(w->settings);
	has = settings_get(c->busy->doubt_names, name);
	if (has != NULL && (!value || *has == *ASK_VALUE))
		return;
	if (settings_n(c->busy->doubt_names) >= CUSTOM_NAMES_MAX ||
		settings_put(w->settings, c->busy->doubt_names, name, value ? ASK_VALUE : ASK_TRACE,
			&more) != OK) {
		give_up(w, c, name);
		return;
	}
	settings_unref(w->settings, c->busy->doubt_names);
	c->busy->doubt_names = more;
}

void found_out_doubt_all(struct client *c)
{
	c->busy->doubt_all = true;
	c->busy->parse_differs = true;
}

void found_out_doubt_everything(struct worker *w, struct client *c)
{
	found_out_doubt_all(c);
	found_out_doubt(w, c, "role", true);
	found_out_doubt(w, c, "session_authorization", true);
	for (size_t i = 0; i < settings_n(c->custom); i++)
		found_out_doubt(w, c, settings_name(c->custom, i), true);
}

void found_out_forget(struct worker *w, struct client *c)
{
	settings_unref(w->settings, c->busy->doubt_names);
	c->busy->doubt_names = NULL;
	c->busy->doubt_all = false;
}

/* --- asking --- */

/* Names are folded and valid (guc.h): letters, digits, _, $ and dots. */
static void write_query(struct wr *out, const struct settings *names, bool all)
{
	size_t n = names != NULL ? settings_n(names) : 0;

	if (n != 0)
		wr_str(out, "SELECT n, pg_catalog.current_setting(n, true) FROM (VALUES ");
	for (size_t i = 0; i < n; i++) {
		wr_str(out, i == 0 ? "('" : ", ('");
		wr_str(out, settings_name(names, i));
		wr_str(out, "'::pg_catalog.text)");
	}
	if (n != 0)
		wr_str(out, ") v(n)");
	if (n != 0 && all)
		wr_str(out, " UNION ALL ");
	if (all)
		wr_str(out, "SELECT name, pg_catalog.current_setting(name, true)"
			    " FROM pg_catalog.pg_settings"
			    " WHERE source OPERATOR(pg_catalog.=) 'session'");
	wr_u8(out, 0);
}

static struct found_note *note_new(struct worker *w, struct client *c)
{
	struct found_note *n = calloc(1, sizeof *n);

	if (n == NULL)
		return NULL;
	n->table = w->settings;
	n->found = settings_empty(w->settings);
	n->names = c->busy->doubt_names;
	n->all = c->busy->doubt_all;
	c->busy->doubt_names = NULL;
	c->busy->doubt_all = false;
	return n;
}

void found_out_free(struct worker *w, struct found_note *n)
{
	if (n == NULL)
		return;
	settings_unref(w->settings, n->names);
	settings_unref(w->settings, n->found);
	free(n);
}

static enum status ask(struct worker *w, struct client *c)
{
	size_t n = c->busy->doubt_names != NULL ? settings_n(c->busy->doubt_names) : 0;
	size_t cap = QUERY_TEXT_MAX + n * (NAME_TEXT_MAX + 32u);
	char *text = malloc(cap);
	struct found_note *note = text != NULL ? note_new(w, c) : NULL;
	struct wr out = wr_of(text, cap);
	enum status st = E_NOMEM;

	if (note != NULL) {
		write_query(&out, note->names, note->all);
		PANIC_IF(out.bad);
		st = forward_hidden_ref(c->server, text, OWED_TAG_FOUND, note);
		if (st != OK)
			found_out_free(w, note);
	}
	free(text);
	return st;
}

bool found_out_send(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	if (!found_out_is_due(c) || !server_is_quiet(s) || s->txn_status != 'I' ||
		c->busy->streaming || c->busy->body_left != 0 || c->busy->sent_len != 0)
		return false;
	/* Session mode: the server stays with its client, and is cleaned after it. */
	if (c->verbatim)
		return false;
	if (c->busy->prefix_due && forward_prefix(w, c) != OK) {
		give_up(w, c, "what has been set");
		return false;
	}
	if (ask(w, c) != OK) {
		found_out_forget(w, c);
		give_up(w, c, "what has been set");
		return false;
	}
	w->counts.found_out++;
	conn_flush(s->conn);
	return true;
}

/* --- the answer --- */

/* A column's text, NUL-terminated in *buf, which grows. NULL: it is NULL, or no memory (*bad). */
static char *column(struct rd *body, bool *bad)
{
	uint32_t len = rd_u32(body);
	const uint8_t *p;
	char *text;

	if (len == UINT32_MAX)
		return NULL;
	p = rd_bytes(body, len);
	text = p != NULL ? malloc(len + 1u) : NULL;
	if (text == NULL) {
		*bad = true;
		return NULL;
	}
	memcpy(text, p, len);
	text[len] = '\0';
	return text;
}

void found_out_row(struct found_note *n, struct rd body)
{
	struct settings *more;
	char *name, *value;

	if (rd_u16(&body) != 2) {
		n->bad = true;
		return;
	}
	name = column(&body, &n->bad);
	value = column(&body, &n->bad);
	if (name != NULL && value != NULL) {
		if (settings_put(n->table, n->found, name, value, &more) != OK) {
			n->bad = true;
		} else {
			settings_unref(n->table, n->found);
			n->found = more;
		}
	}
	free(name);
	free(value);
}

/* What the client has set, as it is put together anew. */
struct result {
	struct worker *w;
	struct settings *set;
	bool bad;
};

static void put(struct result *r, const char *name, const char *value)
{
	struct settings *s;
	enum status st = value != NULL ? settings_put(r->w->settings, r->set, name, value, &s)
				       : settings_drop(r->w->settings, r->set, name, &s);

	if (st != OK) {
		r->bad = true;
		return;
	}
	settings_unref(r->w->settings, r->set);
	r->set = s;
}

/* Is the value what a new login has? */
static bool is_default(const struct client *c, const char *name, const char *value)
{
	const char *user, *now;

	if (settings_get(c->set.login, name) != NULL)
		return false;
	if (strcmp(name, "role") == 0) {
		/* The login may have another one, by ALTER ROLE … SET role, which nobody tells. */
		now = settings_get(c->set.current, name);
		return strcmp(value, "none") == 0 && (now == NULL || strcmp(now, value) != 0);
	}
	user = baseline_get(&c->acc->baseline, name);
	return strcmp(name, "session_authorization") == 0 && user != NULL &&
	       strcmp(user, value) == 0;
}

/* Ordinary parameters that the server does not list any more have been reset. */
static void drop_unlisted(struct result *r, const struct client *c, const struct found_note *n)
{
	const struct settings *was = c->set.current;

	for (size_t i = 0; i < settings_n(was); i++) {
		const char *name = settings_name(was, i);

		if (settings_class_of(name) == SETTINGS_CARRIED &&
			settings_get(n->found, name) == NULL && !settings_needs_superuser(name))
			put(r, name, NULL);
	}
}

static void take_listed(struct result *r, struct client *c, const struct found_note *n)
{
	for (size_t i = 0; i < settings_n(n->found); i++) {
		const char *name = settings_name(n->found, i);
		const char *value = settings_value(n->found, i);

		if (n->names != NULL && settings_get(n->names, name) != NULL)
			continue;
		if (settings_class_of(name) == SETTINGS_TXN)
			continue;
		/* Our own, on every server: see put_bare. */
		if (strcmp(name, "idle_session_timeout") == 0 && strcmp(value, "0") == 0 &&
			settings_get(c->set.current, name) == NULL)
			continue;
		if (custom_is_name(name)) {
			(void)custom_sent(r->w, c, c->server, name);
			custom_seen(r->w, c, name);
		}
		effects_check_value(r->w, c, name, value);
		put(r, name, value);
	}
}

static void take_asked(struct result *r, struct client *c, const struct found_note *n)
{
	for (size_t i = 0; n->names != NULL && i < settings_n(n->names); i++) {
		const char *name = settings_name(n->names, i);
		const char *value = settings_get(n->found, name);
		bool wanted = *settings_value(n->names, i) == *ASK_VALUE;

		if (value == NULL) {
			if (owed_is_empty(&c->server->owed))
				custom_missing(r->w, c, c->server, name);
			continue;
		}
		if (custom_is_name(name)) {
			(void)custom_sent(r->w, c, c->server, name);
			custom_seen(r->w, c, name);
		}
		if (wanted)
			put(r, name, is_default(c, name, value) ? NULL : value);
	}
}

static void apply(struct worker *w, struct client *c, const struct found_note *n)
{
	struct result r = {.w = w, .set = settings_ref(c->set.current)};

	if (n->all) {
		drop_unlisted(&r, c, n);
		take_listed(&r, c, n);
	}
	take_asked(&r, c, n);
	if (r.bad) {
		give_up(w, c, "what has been set");
	} else if (r.set != c->set.current) {
		settings_txn_found(&c->set, r.set);
		savepoints_found(c->busy->savepoints, &c->set);
		client_settings_changed(w, c);
	}
	settings_unref(w->settings, r.set);
}

void found_out_done(struct worker *w, struct server *s, struct found_note *n, bool failed)
{
	struct client *c = s->client;

	if (c != NULL && (failed || n->bad))
		give_up(w, c, "what has been set");
	else if (c != NULL)
		apply(w, c, n);
	else /* it has left before the answer: what is set there is not known */
		s->dirt |= CLEAN(ALL);
	found_out_free(w, n);
}
