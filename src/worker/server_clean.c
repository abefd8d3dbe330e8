#include "worker/server_clean.h"

#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "conf/conf.h"
#include "worker/forward.h"
#include "worker/worker.h"

/* From -1 to 1. */
static double random_seed(struct worker *w)
{
	uint64_t x;

	if (getentropy(&x, sizeof x) != 0)
		x = worker_random(w);
	return (double)(x >> 11) / (double)(UINT64_C(1) << 52) - 1.0;
}

static bool wants_reset_query(const struct worker *w, const struct server *s)
{
	return (s->pool->acc->mode == POOL_MODE_SESSION || w->conf->server_reset_query_always) &&
	       w->conf->server_reset_query[0] != '\0' && !s->is_reset_done;
}

static void count(struct worker *w, uint32_t kinds)
{
	for (; kinds != 0; kinds &= kinds - 1)
		atomic_fetch_add_explicit(
			&w->sh->pins.cleaned[__builtin_ctz(kinds)], 1, memory_order_relaxed);
}

static bool clean_one(struct worker *w, struct server *s, bool resets)
{
	char text[CLEAN_SQL_MAX];
	const char *sql = text;

	if (s->dirt & CLEAN(CLOSE)) {
		count(w, CLEAN(CLOSE));
		server_close(w, s, SERVER_END_PIN);
		return true;
	}
	if (resets && strcasecmp(w->conf->server_reset_query, "DISCARD ALL") == 0)
		s->dirt &= ~CLEANED_BY_DISCARD;
	if (s->dirt != 0) {
		s->cleaning = clean_sql(s->dirt, random_seed(w), text);
		s->dirt &= ~s->cleaning;
	} else if (resets) {
		s->cleaning = CLEAN(RESET_QUERY);
		s->is_reset_done = true;
		sql = w->conf->server_reset_query;
	} else { /* DISCARD ALL does it, and is done */
		s->is_reset_done = false;
		return false;
	}
	server_transition(w, s, SERVER_LEFT);
	if (forward_hidden(s, sql, OWED_TAG_RESET) != OK) {
		server_close(w, s, SERVER_END_MEMORY);
		return true;
	}
	conn_flush(s->conn);
	server_watch(w, s);
	return true;
}

bool server_clean_next(struct worker *w, struct server *s)
{
	bool resets = wants_reset_query(w, s);

	if (s->dirt != 0 || resets)
		return clean_one(w, s, resets);
	s->is_reset_done = false;
	return false;
}

void server_clean_told(struct server *s, const char *tag)
{
	if ((s->cleaning & CLEAN(RESET_QUERY)) == 0)
		return;
	if (strcmp(tag, "DISCARD ALL") == 0)
		s->cleaning |= CLEAN(ALL);
	else if (strcmp(tag, "DEALLOCATE ALL") == 0)
		s->cleaning |= CLEAN(STATEMENTS);
	else if (strcmp(tag, "SET") == 0 || strcmp(tag, "RESET") == 0)
		s->dirt |= CLEAN(SETTINGS); /* which ones is not known: all */
}

void server_clean_done(struct worker *w, struct server *s)
{
	uint32_t done = s->cleaning;

	s->cleaning = 0;
	if (done & (CLEAN(ALL) | CLEAN(SETTINGS))) {
		struct settings *has = done & CLEAN(ALL)
					       ? settings_empty(w->settings)
					       : settings_roles_of(w->settings, s->settings);

		server_set_settings(w, s, has);
		settings_unref(w->settings, has);
		s->is_bare = true;
	}
	if (done & (CLEAN(ALL) | CLEAN(STATEMENTS))) {
		stmt_lru_clear(&s->stmts);
		stmt_names_clear(&s->real);
	}
	if (done & CLEAN(ALL)) {
		s->seq_client = 0;
		s->seq_mixed = false;
		s->seq_set = false;
	}
	count(w, done & CLEAN(RESET_QUERY) ? CLEAN(RESET_QUERY) : done);
	server_release(w, s);
}
