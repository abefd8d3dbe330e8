/*
 * wheel - hierarchical timing wheel with embedded timers; O(1) add and delete, no allocation.
 * Owns:    the order of timers; a timer is borrowed from wheel_add until it fires or wheel_del.
 * Coarse:  a tick is WHEEL_TICK_US; a timer fires at or up to one tick after its deadline, never
 *          before it.
 * Touches: no clock; the time comes in.
 */
#ifndef PGWEIR_BASE_WHEEL_H
#define PGWEIR_BASE_WHEEL_H

#include "base/list.h"
#include "base/status.h"

#define WHEEL_TICK_US 1000u /* 1 ms */
#define WHEEL_LEVELS  6u
#define WHEEL_SLOTS   64u /* per level: 64^6 ms is over two years; later deadlines are capped */

struct wheel_timer {
	struct list link; /* linked while armed */
	uint64_t deadline_us;
	void (*fn)(void *ctx, struct wheel_timer *t); /* set once by the owner */
};

struct wheel {
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
	uint64_t occupied[WHEEL_LEVELS]; /* bit per non-empty slot; may be stale-set, never
					    stale-clear */
	struct list due;                 /* reached, not yet fired */
	uint64_t now_tick;
	size_t n_armed;
	uint64_t next_us; /* nothing is due before, if next_known */
	bool next_known;
};

void wheel_init(struct wheel *w, uint64_t now_us);
void wheel_timer_init(struct wheel_timer *t, void (*fn)(void *ctx, struct wheel_timer *t));

/* Arm, or move if armed. A deadline in the past fires at the next wheel_run. */
void wheel_add(struct wheel *w, struct wheel_timer *t, uint64_t deadline_us);
void wheel_del(struct wheel *w, struct wheel_timer *t); /* no-op if not armed */

static inline bool wheel_is_armed(const struct wheel_timer *t)
{
	return !list_is_empty(&t->link);
}

/*
 * Fire what is due at `now_us`, at most `max` timers; each is disarmed before its fn is called,
 * which may add and delete any timer, itself included. Returns the number fired; when it equals
 * `max` more may be due.
 */
size_t wheel_run_due(struct wheel *w, uint64_t now_us, size_t max, void *ctx);

static inline size_t wheel_run(struct wheel *w, uint64_t now_us, size_t max, void *ctx)
{
	if (w->next_known && now_us < w->next_us)
		return 0;
	return wheel_run_due(w, now_us, max, ctx);
}

/*
 * A time at or before the earliest deadline's firing, to sleep until; UINT64_MAX if none is armed.
 * It is that time itself, so that nobody wakes for nothing, where few timers are due about then.
 */
uint64_t wheel_next_us(struct wheel *w);

#endif
