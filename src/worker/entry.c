#include "worker/entry.h"

#include <stdlib.h>

#include "worker/effects.h"
#include "worker/forward.h"
#include "worker/found_out.h"
#include "worker/prepared.h"
#include "worker/sqlstmt.h"
#include "worker/worker.h"

/* What a Close behind it has taken away was never there: it does not come back. */
static void forget_closed(struct worker *w, struct server *s, uint32_t serial)
{
	for (uint32_t i = 0; i < s->owed.n; i++) {
		const struct owed_entry *x = owed_at(&s->owed, i);
		struct close_note *n = x->ref;

		if (x->tag != OWED_TAG_CLOSE_NAME || n->stmt == NULL || n->serial != serial)
			continue;
		stmt_unref(w->stmts, n->stmt);
		n->stmt = NULL;
	}
}

static COLD void parse_lost(
	struct worker *w, struct server *s, const struct owed_entry *e, struct parse_note *note)
{
	struct client *c = s->client;
	struct stmt_name *name;

	if (c != NULL && (name = stmt_names_find(&c->names, note->name)) != NULL &&
		name->serial == note->serial)
		stmt_names_remove(&c->names, note->name);
	else
		forget_closed(w, s, note->serial);
	if (e->who != OWED_SYNTH)
		stmt_lru_remove_number(&s->stmts, note->number);
	stmt_unref(w->stmts, note->stmt);
	free(note);
}

static COLD void close_lost(struct worker *w, struct client *c, struct close_note *note)
{
	struct stmt_name *name;

	if (c != NULL && note->stmt != NULL) {
		stmt_names_remove(&c->names, note->name); /* a Parse behind it, lost as well */
		if (stmt_names_put(&c->names, note->name, note->stmt, &name) == OK)
			name->seen = note->seen;
	}
	stmt_unref(w->stmts, note->stmt);
	free(note);
}

void entry_lost(struct worker *w, struct server *s, struct owed_entry e)
{
	switch ((enum owed_tag)e.tag) {
	case OWED_TAG_PARSE_NAMED:
		parse_lost(w, s, &e, e.ref);
		break;
	case OWED_TAG_PARSE_HIDDEN:
		stmt_lru_remove_number(&s->stmts, e.no);
		stmt_unref(w->stmts, e.ref);
		break;
	case OWED_TAG_NAME_ERROR:
		free(e.ref);
		break;
	case OWED_TAG_CLOSE_NAME:
		close_lost(w, s->client, e.ref);
		break;
	case OWED_TAG_EFFECTS:
		if (s->client != NULL)
			effects_unsure(w, s->client, e.ref, false);
		effects_free(e.ref);
		break;
	case OWED_TAG_FOUND:
		found_out_free(w, e.ref);
		break;
	case OWED_TAG_SHAPE:
		prepared_lost(s, &e);
		break;
	case OWED_TAG_SQL:
		sqlstmt_lost(s, &e);
		break;
	case OWED_TAG_NONE:
		/* The Close of an evicted statement was skipped: the server still has it. */
		if (e.kind == OWED_CLOSE && e.who == OWED_HIDDEN)
			s->dirt |= CLEAN(STATEMENTS);
		break;
	case OWED_TAG_PROBE:
	case OWED_TAG_ADVANCED:
	case OWED_TAG_CHECK:
	case OWED_TAG_SETUP:
	case OWED_TAG_DIFF:
	case OWED_TAG_REDIFF:
	case OWED_TAG_WELCOME:
	case OWED_TAG_BEGIN:
	case OWED_TAG_CONFIRM:
	case OWED_TAG_RESET:
	case OWED_TAG_FLUSH:
		break;
	}
}

void entry_done(struct worker *w, struct owed_entry e)
{
	struct parse_note *note = e.ref;

	switch ((enum owed_tag)e.tag) {
	case OWED_TAG_PARSE_NAMED:
		if (note->good != 0)
			note->stmt->good = note->good;
		stmt_unref(w->stmts, note->stmt);
		free(note);
		break;
	case OWED_TAG_PARSE_HIDDEN:
		stmt_unref(w->stmts, e.ref);
		break;
	case OWED_TAG_CLOSE_NAME:
		stmt_unref(w->stmts, ((struct close_note *)e.ref)->stmt);
		free(e.ref);
		break;
	case OWED_TAG_NAME_ERROR:
	case OWED_TAG_SQL:
		free(e.ref);
		break;
	case OWED_TAG_EFFECTS:
		effects_free(e.ref);
		break;
	case OWED_TAG_SHAPE: /* prepared_told */
	case OWED_TAG_FOUND: /* found_out_done */
	case OWED_TAG_NONE:
	case OWED_TAG_PROBE:
	case OWED_TAG_ADVANCED:
	case OWED_TAG_CHECK:
	case OWED_TAG_SETUP:
	case OWED_TAG_DIFF:
	case OWED_TAG_REDIFF:
	case OWED_TAG_WELCOME:
	case OWED_TAG_BEGIN:
	case OWED_TAG_CONFIRM:
	case OWED_TAG_RESET:
	case OWED_TAG_FLUSH:
		break;
	}
}
