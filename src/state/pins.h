/*
 * pins - why a client must keep its server: session state that cannot be carried to another one.
 * Owns:    nothing outside; struct pins is embedded in the client.
 * Threads: a pin set belongs to one worker; struct pin_counts is read by any thread.
 * Bounds:  one pin per cause; the statement's text is cut at PIN_TEXT_MAX.
 */
#ifndef PGWEIR_STATE_PINS_H
#define PGWEIR_STATE_PINS_H

#include <stdatomic.h>

#include "base/status.h"
#include "state/clean.h"

#define PIN_TEXT_MAX 64u /* bytes, the NUL counted */

enum pin_cause {
	PIN_TEMP,             /* temporary table, view, sequence */
	PIN_LISTEN,           /* LISTEN */
	PIN_ADVISORY_LOCK,    /* pg_advisory_lock and its like, session level */
	PIN_WITH_HOLD,        /* cursor WITH HOLD */
	PIN_LOAD,             /* LOAD of a library */
	PIN_SETSEED,          /* setseed(), SET seed */
	PIN_DBLINK,           /* dblink_connect and its like */
	PIN_SQL_PREPARE,      /* SQL-level PREPARE */
	PIN_CUSTOM_PARAMETER, /* SET of a name with a dot */
	PIN_SET_CONFIG,       /* set_config() for the session, a SET that is not understood */
	PIN_ROLE,             /* SET ROLE */
	PIN_STREAM,           /* a unit with Flush or too large to hold left its Sync open */
	PIN_REPLICATION,      /* a replication connection */
	PIN_UNKNOWN,          /* text that names a session effect not told apart */
	PIN_SEQUENCE,         /* it has advanced a sequence: see sequence_state */
	PIN_LARGE_STATEMENT,  /* a named statement too large to be kept, or judged */
	PIN_SESSION_MODE,     /* pool_mode = session */
	PIN_CAUSE_COUNT
};

/* Fixed word for SHOW PINS and metrics: "temp", "listen" … */
const char *pin_cause_name(enum pin_cause c);

/* What gives up session state. */
enum pin_undo {
	PIN_UNDO_DISCARD_ALL,
	PIN_UNDO_CLOSE_ALL,
	PIN_UNDO_ADVISORY_UNLOCK_ALL,
	PIN_UNDO_DEALLOCATE_ALL,
	PIN_UNDO_STREAM_END, /* its Sync has come */
	PIN_UNDO_DISCARD_SEQUENCES,
	PIN_UNDO_COUNT
};

/* Shared by all workers: pins now, and ever, by cause. */
struct pin_counts {
	_Atomic uint64_t now[PIN_CAUSE_COUNT];
	_Atomic uint64_t total[PIN_CAUSE_COUNT];
	_Atomic uint64_t over; /* clients ever that were pinned though max_pinned was met */
	_Atomic uint64_t cleaned[CLEAN_KIND_COUNT]; /* server connections ever, by kind */
};

struct pins {
	uint32_t causes;         /* bit per enum pin_cause: pinned by it now */
	uint32_t left;           /* CLEAN bits: what causes that were given up have left */
	uint8_t first;           /* enum pin_cause of the first, while causes != 0 */
	uint64_t since_us;       /* of the first; it counts on when the first is given up */
	char text[PIN_TEXT_MAX]; /* the first's statement up to its first string, on one line */
};

void pins_init(struct pins *p);

static inline bool pins_any(const struct pins *p)
{
	return p->causes != 0;
}
/* By something that is lost with the server; a sequence's last value is refused, not missed. */
static inline bool pins_hold_state(const struct pins *p)
{
	return (p->causes & ~(1u << PIN_SEQUENCE)) != 0;
}
static inline bool pins_has(const struct pins *p, enum pin_cause c)
{
	return (p->causes >> c & 1u) != 0;
}

/*
 * Pin for `c`; again for the same cause changes nothing. `sql`, `len`: the statement (not
 * NUL-terminated), NULL for none. Returns true if the client was free before.
 */
bool pins_add(struct pins *p, struct pin_counts *n, enum pin_cause c, uint64_t now_us,
	const char *sql, size_t len);

/* Give up one cause (its last advisory lock, say). Returns true if the client is free now. */
bool pins_remove(struct pins *p, struct pin_counts *n, enum pin_cause c);

/* `what` was done on the server. Returns true if the client was pinned and is free now. */
bool pins_undo(struct pins *p, struct pin_counts *n, enum pin_undo what);

/* CLEAN bits: what the server of this client needs now, for pins present and given up. */
uint32_t pins_after(const struct pins *p);

/* The client has left its server: no pins, nothing left. */
void pins_clear(struct pins *p, struct pin_counts *n);

#endif
