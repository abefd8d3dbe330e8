#include "state/pins.h"

_Static_assert(PIN_CAUSE_COUNT <= 32, "causes are bits of an uint32_t");

#define BIT(cause) (1u << (cause))

/* What the state that a cause stands for needs, where its client has left it. */
static const struct {
	const char *name;
	uint32_t clean;
} causes[PIN_CAUSE_COUNT] = {
	[PIN_TEMP] = {"temp", CLEAN(TEMP)},
	[PIN_LISTEN] = {"listen", CLEAN(CHANNELS)},
	[PIN_ADVISORY_LOCK] = {"advisory_lock", CLEAN(LOCKS)},
	[PIN_WITH_HOLD] = {"with_hold", CLEAN(CURSORS)},
	[PIN_LOAD] = {"load", CLEAN(CLOSE)},
	[PIN_SETSEED] = {"setseed", CLEAN(SEED)},
	[PIN_DBLINK] = {"dblink", CLEAN(CLOSE)},
	[PIN_SQL_PREPARE] = {"sql_prepare", CLEAN(STATEMENTS)},
	[PIN_CUSTOM_PARAMETER] = {"custom_parameter", CLEAN(CLOSE)},
	[PIN_SET_CONFIG] = {"set_config", CLEAN(CLOSE)}, /* its name may have been a custom one */
	[PIN_ROLE] = {"role", CLEAN(ALL)},
	[PIN_STREAM] = {"stream", 0},
	[PIN_REPLICATION] = {"replication", CLEAN(CLOSE)},
	[PIN_UNKNOWN] = {"unknown", CLEAN(CLOSE)},
	[PIN_SEQUENCE] = {"sequence", 0},
	[PIN_LARGE_STATEMENT] = {"large_statement", CLEAN(CLOSE)}, /* what it does nobody knows */
	[PIN_SESSION_MODE] = {"session_mode", 0}, /* server_reset_query, the caller's */
};

/* What stays on the server though the client has given it up, by DISCARD ALL say. */
#define STAYS (CLEAN(CLOSE) | CLEAN(SEED))

/*
 * What DISCARD ALL leaves alone: pins that are not of session state. It ends the session in the
 * eyes of every pool of connections, so a client is let go even where the server keeps a trace
 * (and must be closed).
 */
#define NOT_DISCARDED (BIT(PIN_STREAM) | BIT(PIN_REPLICATION) | BIT(PIN_SESSION_MODE))

static const uint32_t undone[PIN_UNDO_COUNT] = {
	[PIN_UNDO_DISCARD_ALL] = ~NOT_DISCARDED,
	[PIN_UNDO_CLOSE_ALL] = BIT(PIN_WITH_HOLD),
	[PIN_UNDO_ADVISORY_UNLOCK_ALL] = BIT(PIN_ADVISORY_LOCK),
	[PIN_UNDO_DEALLOCATE_ALL] = BIT(PIN_SQL_PREPARE) | BIT(PIN_LARGE_STATEMENT),
	[PIN_UNDO_STREAM_END] = BIT(PIN_STREAM),
	[PIN_UNDO_DISCARD_SEQUENCES] = BIT(PIN_SEQUENCE),
};

const char *pin_cause_name(enum pin_cause c)
{
	return (unsigned)c < PIN_CAUSE_COUNT ? causes[c].name : "?";
}

void pins_init(struct pins *p)
{
	*p = (struct pins){.causes = 0};
}

/*
 * The start of `sql` on one line, without what may hold a secret: it ends where the first string
 * begins. Cut between characters if it is UTF-8.
 */
static void text_set(char text[PIN_TEXT_MAX], const char *sql, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && n < PIN_TEXT_MAX - 1; i++) {
		unsigned char ch = (unsigned char)sql[i];
		bool blank = ch <= ' ' || ch == 0x7f;

		if (ch == '\'' || ch == '$')
			break;
		if (blank && (n == 0 || text[n - 1] == ' '))
			continue;
		text[n++] = blank ? ' ' : (char)ch;
	}
	if (n == PIN_TEXT_MAX - 1)
		while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
			n--;
	if (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0xc0)
		n--;
	text[n] = '\0';
}

bool pins_add(struct pins *p, struct pin_counts *n, enum pin_cause c, uint64_t now_us,
	const char *sql, size_t len)
{
	bool was_free = p->causes == 0;

	PANIC_IF((unsigned)c >= PIN_CAUSE_COUNT);
	if (pins_has(p, c))
		return false;
	p->causes |= BIT(c);
	atomic_fetch_add_explicit(&n->now[c], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&n->total[c], 1, memory_order_relaxed);
	if (was_free) {
		p->first = (uint8_t)c;
		p->since_us = now_us;
		text_set(p->text, sql, sql != NULL ? len : 0);
	}
	return was_free;
}

/* Give up those of `gone` that are there. Returns true if the client was pinned and is free now. */
static bool give_up(struct pins *p, struct pin_counts *n, uint32_t gone)
{
	gone &= p->causes;
	if (gone == 0)
		return false;
	for (unsigned c = 0; c < PIN_CAUSE_COUNT; c++) {
		if ((gone & BIT(c)) == 0)
			continue;
		atomic_fetch_sub_explicit(&n->now[c], 1, memory_order_relaxed);
		p->left |= causes[c].clean & STAYS;
	}
	p->causes &= ~gone;
	return p->causes == 0;
}

bool pins_remove(struct pins *p, struct pin_counts *n, enum pin_cause c)
{
	PANIC_IF((unsigned)c >= PIN_CAUSE_COUNT);
	return give_up(p, n, BIT(c));
}

bool pins_undo(struct pins *p, struct pin_counts *n, enum pin_undo what)
{
	PANIC_IF((unsigned)what >= PIN_UNDO_COUNT);
	return give_up(p, n, undone[what]);
}

uint32_t pins_after(const struct pins *p)
{
	uint32_t after = p->left;

	for (uint32_t left = p->causes; left != 0; left &= left - 1)
		after |= causes[__builtin_ctz(left)].clean;
	return after;
}

void pins_clear(struct pins *p, struct pin_counts *n)
{
	(void)give_up(p, n, p->causes);
	pins_init(p);
}
