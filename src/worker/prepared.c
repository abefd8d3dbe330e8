#include "worker/prepared.h"

#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/frontend.h"
#include "proto/shape.h"
#include "state/settings_class.h"
#include "worker/forward.h"

struct prepared_note *prepared_note_new(
	const struct client *c, const char *name, const char *portal, uint64_t number)
{
	size_t name_len = strlen(name) + 1, portal_len = strlen(portal) + 1;
	struct prepared_note *note = malloc(sizeof *note + name_len + portal_len);

	if (note == NULL)
		return NULL;
	note->number = number;
	note->serial = c->unnamed_serial;
	memcpy(note->name, name, name_len);
	note->portal = memcpy(note->name + name_len, portal, portal_len);
	return note;
}

/* --- units that describe --- */

static bool is_described(const struct frame *f, const uint8_t *p, const struct msg_bind *bind)
{
	struct msg_target m;

	if (f->type != FRONTEND_DESCRIBE || frontend_read_target(frame_body(p, f), &m) != OK)
		return false;
	return strcmp(m.name, m.kind == 'S' ? bind->stmt : bind->portal) == 0;
}

bool prepared_describes(const uint8_t *unit, uint32_t len, const uint8_t *at)
{
	struct msg_bind bind;
	struct frame f;

	if (unit == NULL || frame_peek(at, len - (size_t)(at - unit), FRAME_LEN_MAX, &f) != OK ||
		f.type != FRONTEND_BIND ||
		frontend_read_bind(frame_body(at, &f), frame_body_len(&f), &bind) != OK)
		return false;
	for (const uint8_t *p = unit, *end = unit + len; p < end; p += f.total) {
		if (frame_peek(p, (size_t)(end - p), FRAME_LEN_MAX, &f) != OK)
			return false;
		if (is_described(&f, p, &bind))
			return true;
		if (p > at && f.type == FRONTEND_EXECUTE &&
			strcmp((const char *)p + FRAME_HEAD_LEN, bind.portal) == 0)
			return false;
	}
	return false;
}

/* --- what only one transaction can parse --- */

static bool sets_for_parsing(const char *sql, uint32_t opts, const struct sql_effect *e)
{
	char name[SETTINGS_NAME_MAX + 1];
	size_t len;

	switch ((enum sql_effect_kind)e->kind) {
	case EFFECT_RESET_ALL:
	case EFFECT_ROLE: /* "$user" in search_path, policies */
	case EFFECT_RUNS:
		return true;
	case EFFECT_SET:
	case EFFECT_SET_CONFIG:
	case EFFECT_RESET:
		break;
	default:
		return false;
	}
	if (sql_effect_name(sql, opts, e, name, sizeof name, &len) != OK)
		return true;
	return strchr(name, '.') == NULL && settings_is_for_parsing(name);
}

bool prepared_differs(const char *sql, uint32_t opts, const struct sql_verdict *v)
{
	for (uint8_t i = 0; i < v->n_effects; i++)
		if (sets_for_parsing(sql, opts, &v->effects[i]))
			return true;
	return (v->flags & SQLV_LOST) != 0;
}

void prepared_drop_odd(struct server *s)
{
	for (uint32_t i = 1; i <= s->stmts.cap; i++) {
		struct stmt_lru_entry *e = &s->stmts.entries[i];

		if (e->stmt != NULL && e->is_odd)
			e->is = (struct stmt_seen){0};
	}
	s->has_odd = false;
}

/* --- what is told --- */

void prepared_ddl_found(struct worker *w, const struct stmt_lru_entry *entry)
{
	uint64_t no = entry->is.ddl - 1;

	/* Once: what is parsed after it is counted as younger. */
	atomic_compare_exchange_strong(&w->sh->ddl_no, &no, no + 1);
}

static struct stmt_seen *seen_of(
	struct client *c, const struct prepared_note *note, const struct stmt_lru_entry *entry)
{
	struct stmt_name *name;

	if (note->name[0] == '\0')
		return c->unnamed != NULL && c->unnamed_serial == note->serial ? &c->unnamed->seen
									       : NULL;
	name = stmt_names_find(&c->names, note->name);
	return name != NULL && entry != NULL && name->stmt == entry->stmt ? &name->seen : NULL;
}

static void go_on(struct client *c)
{
	c->busy->checking = false;
	if (c->busy->stalled)
		conn_rx_resume(c->conn);
}

/* The answer to a Describe of ours: what does the server have for what the client knows? */
static bool was_asked(struct client *c, const struct stmt_seen *seen, uint64_t shape)
{
	go_on(c);
	return !c->busy->holding || !c->server->in_recovery || seen == NULL || seen->shape == 0 ||
	       seen->shape == shape;
}

bool prepared_told(
	struct worker *w, struct server *s, struct owed_entry *e, bool has_rows, struct rd body)
{
	struct client *c = s->client;
	struct prepared_note *note = e->ref;
	struct stmt_lru_entry *entry;
	struct stmt_seen *seen = NULL;
	uint64_t shape = SHAPE_NO_DATA;
	bool fits = true;

	if (has_rows && shape_read(&w->sh->hash_key, body, &shape) != OK)
		shape = 0; /* not known */
	if (note == NULL) {
		if (c != NULL && c->unnamed != NULL && c->unnamed_serial == (uint32_t)e->no)
			c->unnamed->seen.shape = shape;
		return true;
	}
	entry = stmt_lru_numbered(&s->stmts, note->number);
	if (entry != NULL)
		entry->is.shape = shape;
	if (c != NULL)
		seen = seen_of(c, note, entry);
	if (c != NULL && e->who == OWED_HIDDEN)
		fits = was_asked(c, seen, shape);
	else if (seen != NULL)
		seen->shape = entry != NULL && entry->executes ? 0 : shape;
	free(note);
	e->ref = NULL;
	return fits;
}

void prepared_lost(struct server *s, struct owed_entry *e)
{
	if (e->who == OWED_HIDDEN && s->client != NULL)
		go_on(s->client);
	free(e->ref);
	e->ref = NULL;
}

/* --- sending again --- */

void prepared_keep(struct server *s, const uint8_t *p, uint32_t len)
{
	uint32_t cap = 512;
	uint8_t *kept;

	s->kept_len = 0;
	if (len > PREPARED_KEEP_MAX)
		return;
	if (len > s->kept_cap) {
		while (cap < len)
			cap *= 2;
		kept = realloc(s->kept, cap);
		if (kept == NULL)
			return;
		s->kept = kept;
		s->kept_cap = cap;
	}
	memcpy(s->kept, p, len);
	s->kept_len = len;
}

/* The number of the statement that a Bind or Describe of the client's is about; 0: none. */
static uint64_t number_of(const struct owed_entry *e)
{
	if (e->who != OWED_CLIENT || (e->kind != OWED_BIND && e->kind != OWED_DESCRIBE) ||
		(e->tag == OWED_TAG_SHAPE && e->ref == NULL))
		return 0;
	return e->no & ~PREPARED_FIRST;
}

bool prepared_is_stale(
	struct worker *w, struct server *s, const struct owed_entry *e, const struct report *r)
{
	uint64_t number = number_of(e);
	struct stmt_lru_entry *entry;

	if (number == 0 || !report_has(r, SQLSTATE_FEATURE_NOT_SUPPORTED) || r->routine == NULL ||
		strcmp(r->routine, "RevalidateCachedQuery") != 0)
		return false;
	entry = stmt_lru_numbered(&s->stmts, number);
	if (entry != NULL) {
		prepared_ddl_found(w, entry);
		entry->is = (struct stmt_seen){0};
	}
	return true;
}

bool prepared_may_resend(const struct client *c, const struct server *s, const struct owed_entry *e)
{
	if (s->kept_len == 0 || !(e->no & PREPARED_FIRST) || s->owed.n_client != 1 ||
		s->txn_status != 'I' || c->txn != TXN_NONE || c->busy->streaming)
		return false;
	return e->kind == OWED_DESCRIBE || prepared_describes(s->kept, s->kept_len, s->kept);
}
