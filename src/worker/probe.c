#include "worker/probe.h"

#include <string.h>
#include <strings.h>

#include "worker/forward.h"

#define CATALOG "pg_catalog."
#define EQUALS  " OPERATOR(pg_catalog.=) "

/* One letter for each cause that still holds. */
static const char query[] =
	"SELECT " CATALOG "concat("
	"(SELECT 't' FROM " CATALOG "pg_depend WHERE refclassid" EQUALS
	"'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid" EQUALS CATALOG
	"pg_my_temp_schema() LIMIT 1),"
	"(SELECT 'a' FROM " CATALOG "pg_locks WHERE locktype" EQUALS
	"'advisory' AND pid" EQUALS CATALOG "pg_backend_pid() LIMIT 1),"
	"(SELECT 'h' FROM " CATALOG "pg_cursors WHERE is_holdable LIMIT 1),"
	"(SELECT 'l' FROM " CATALOG "pg_listening_channels() LIMIT 1),"
	"(SELECT 'p' FROM " CATALOG "pg_prepared_statements WHERE from_sql LIMIT 1))";

static const struct {
	char letter;
	enum pin_cause cause;
} probed[] = {{'t', PIN_TEMP}, {'a', PIN_ADVISORY_LOCK}, {'h', PIN_WITH_HOLD}, {'l', PIN_LISTEN},
	{'p', PIN_SQL_PREPARE}};

static bool starts_with_drop(const char *sql, size_t len)
{
	while (len != 0 && strchr(" \t\r\n\f", *sql) != NULL) {
		sql++;
		len--;
	}
	return len > 4 && strncasecmp(sql, "drop", 4) == 0;
}

bool probe_may_undo(
	const struct client *c, const struct sql_verdict *v, const char *sql, size_t len)
{
	const struct pins *p = &c->busy->pins;

	if (pins_has(p, PIN_TEMP) && starts_with_drop(sql, len))
		return true;
	for (uint8_t i = 0; i < v->n_effects; i++) {
		switch ((enum sql_effect_kind)v->effects[i].kind) {
		case EFFECT_ADVISORY_UNLOCK:
			return pins_has(p, PIN_ADVISORY_LOCK);
		case EFFECT_CLOSE:
			return pins_has(p, PIN_WITH_HOLD);
		case EFFECT_UNLISTEN:
			return pins_has(p, PIN_LISTEN);
		case EFFECT_DEALLOCATE:
			return pins_has(p, PIN_SQL_PREPARE);
		case EFFECT_ROLLBACK: /* undoes what was made in the block */
		case EFFECT_ROLLBACK_TO:
			return true;
		default:
			break;
		}
	}
	return false;
}

bool probe_send(struct worker *w, struct client *c)
{
	struct server *s = c->server;

	(void)w;
	if (!c->busy->probe_due || !server_is_quiet(s) || s->txn_status != 'I')
		return false;
	c->busy->probe_due = false;
	if (c->verbatim)
		return false; /* it would end the unnamed statement, which is the server's own here
			       */
	if (!pins_hold_state(&c->busy->pins) || forward_hidden(s, query, OWED_TAG_PROBE) != OK)
		return false;
	conn_flush(s->conn);
	return true;
}

void probe_row(struct worker *w, struct client *c, struct rd body)
{
	uint16_t n = rd_u16(&body);
	uint32_t len = rd_u32(&body);
	const uint8_t *held = rd_bytes(&body, len);

	if (n != 1 || held == NULL)
		return; /* the pins stay */
	if (c->server->owed.n > 1) {
		c->busy->probe_due =
			true; /* what was sent since may have made a state anew: ask again */
		return;
	}
	for (size_t i = 0; i < sizeof probed / sizeof *probed; i++)
		if (len == 0 || memchr(held, probed[i].letter, len) == NULL)
			pins_remove(&c->busy->pins, &w->sh->pins, probed[i].cause);
}
