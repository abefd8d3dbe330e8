#include "worker/sequences.h"

#include "worker/advanced.h"
#include "worker/dbase.h"
#include "worker/forward.h"
#include "worker/worker.h"

/* A stored expression calls currval or lastval. Without a backslash: standard_conforming_strings.
 */
#define ASKS(expr) expr "::pg_catalog.text OPERATOR(pg_catalog.~) ':funcid (1575|2559) '"

/* Some row of the catalog has one in that column. */
#define IN(catalog, column) \
	" OR EXISTS (SELECT FROM pg_catalog." catalog " c WHERE " ASKS("c." column) ")"

/* Some function that is not initdb's, by its source, its defaults or (or_body) its parsed body. */
#define IN_FUNCTIONS(or_body)                                          \
	"SELECT 1 WHERE EXISTS (SELECT FROM pg_catalog.pg_proc p"      \
	" WHERE p.oid OPERATOR(pg_catalog.>=) '16384'::pg_catalog.oid" \
	" AND (p.prosrc OPERATOR(pg_catalog.~*) 'currval|lastval'"     \
	" OR " ASKS("p.proargdefaults") or_body "))"

#define ELSEWHERE                     \
	IN("pg_attrdef", "adbin")     \
	IN("pg_rewrite", "ev_action") \
	IN("pg_rewrite", "ev_qual")   \
	IN("pg_constraint", "conbin") \
	IN("pg_trigger", "tgqual")    \
	IN("pg_policy", "polqual")    \
	IN("pg_policy", "polwithcheck")

static const char look_13[] = IN_FUNCTIONS("") ELSEWHERE;
static const char look_14[] = IN_FUNCTIONS(" OR " ASKS("p.prosqlbody")) ELSEWHERE;

void sequences_asked(struct account *acc)
{
	atomic_store_explicit(&acc->shared->seq_asked, true, memory_order_relaxed);
}

static bool is_asked(struct worker *w, struct client *c)
{
	struct dbase *db = c->db;

	if (!db->seq_asked &&
		atomic_load_explicit(&c->acc->shared->seq_asked, memory_order_relaxed)) {
		db->seq_asked = true;
		dbase_follow_sequences(w, db);
	}
	return db->seq_asked;
}

const char *sequences_look(const struct worker *w, const struct account *acc, uint32_t version_num)
{
	uint64_t looked_us =
		atomic_load_explicit(&acc->shared->seq_looked_us, memory_order_relaxed);

	if (atomic_load_explicit(&acc->shared->seq_asked, memory_order_relaxed) ||
		(looked_us != 0 && w->now_us < looked_us + SEQUENCES_LOOK_US))
		return NULL;
	return version_num >= 140000 ? look_14 : look_13;
}

void sequences_looked(struct worker *w, struct account *acc)
{
	atomic_store_explicit(&acc->shared->seq_looked_us, w->now_us, memory_order_relaxed);
}

bool sequences_are_own(const struct client *c, const struct server *s)
{
	return s->seq_client == c->id && !s->seq_mixed;
}

/* It has advanced something in its open transaction, and may ask for that yet. */
static bool keeps_its_own(const struct client *c, const struct server *s)
{
	return c->busy->seq_advanced && s->seq_client == c->id && s->txn_status == 'T' &&
	       c->busy->unit.cls >= SQL_WRITE;
}

enum status sequences_ahead(struct worker *w, struct client *c, uint32_t flags)
{
	struct server *s = c->server;
	bool is_own;

	if (s->seq_client == 0 || sequences_are_own(c, s) || s->txn_status == 'E' || c->verbatim)
		return OK;
	is_own = c->busy->seq_check == ADVANCED_OWN;
	c->busy->seq_check = ADVANCED_UNKNOWN;
	if (is_own)
		return OK;
	if ((flags & SQLV_USES_SEQ) == 0 && (!is_asked(w, c) || keeps_its_own(c, s)))
		return OK;
	s->seq_client = 0;
	s->seq_mixed = false;
	s->seq_set = false;
	return forward_hidden(s, "DISCARD SEQUENCES", OWED_TAG_SETUP);
}

void sequences_sent(struct worker *w, struct client *c, uint32_t flags)
{
	struct server *s = c->server;

	if (flags & SQLV_DDL) /* what it makes may ask */
		atomic_store_explicit(&c->acc->shared->seq_looked_us, 0, memory_order_relaxed);
	if ((flags & SQLV_MAY_ADVANCE) == 0)
		return;
	(void)is_asked(w, c); /* else it is not followed */
	s->seq_mixed = s->seq_mixed || (s->seq_client != 0 && s->seq_client != c->id);
	s->seq_client = c->id;
	c->seq_server_id = s->id;
	c->busy->seq_advanced = true;
}
