#include "base/wheel.h"

#define SLOT_BITS 6u
#define SLOT_MASK (WHEEL_SLOTS - 1u)
#define TOP       (WHEEL_LEVELS - 1u)

#define LOOKED_AT_MAX 16u /* timers of a slot whose earliest deadline is looked for */

_Static_assert(WHEEL_SLOTS == 1u << SLOT_BITS, "a slot's index is a group of bits of its tick");

/*
 * A tick is read as groups of six bits. A timer stands on the level of the highest group in which
 * its tick differs from now_tick, in the slot that this group names: thus all timers of a level
 * are due before all of the next one, and their slots lie ahead of now_tick's own. The top level
 * takes whatever differs above as well and goes round. When now_tick enters a slot, its timers
 * go down by a level or more, or are due.
 */
static unsigned level_of(uint64_t now_tick, uint64_t tick)
{
	unsigned level = (63u - (unsigned)__builtin_clzll(now_tick ^ tick)) / SLOT_BITS;

	return level < TOP ? level : TOP;
}

static uint64_t first_tick_after(uint64_t deadline_us)
{
	return deadline_us / WHEEL_TICK_US + (deadline_us % WHEEL_TICK_US != 0);
}

/* Link an unlinked timer where it belongs at now_tick. */
static void place(struct wheel *w, struct wheel_timer *t)
{
	const uint64_t top_shift = TOP * SLOT_BITS;
	uint64_t tick = first_tick_after(t->deadline_us);
	uint64_t last = ((w->now_tick >> top_shift) + SLOT_MASK) << top_shift;
	unsigned level, slot;

	if (tick <= w->now_tick) {
		list_push_back(&w->due, &t->link);
		return;
	}
	if (tick > last)
		tick = last; /* placed anew when now_tick gets there */
	level = level_of(w->now_tick, tick);
	slot = (unsigned)(tick >> (level * SLOT_BITS)) & SLOT_MASK;
	list_push_back(&w->slots[level][slot], &t->link);
	w->occupied[level] |= (uint64_t)1 << slot;
}

/* The occupied slots of a level, bit 0 being the one in which now_tick is. */
static uint64_t slots_ahead(const struct wheel *w, unsigned level)
{
	unsigned here = (unsigned)(w->now_tick >> (level * SLOT_BITS)) & SLOT_MASK;
	uint64_t bits = w->occupied[level];

	return bits >> here | bits << (-here & SLOT_MASK);
}

/* First tick of the slot that lies `ahead` slots before us on a level. */
static uint64_t slot_start(const struct wheel *w, unsigned level, unsigned ahead)
{
	unsigned shift = level * SLOT_BITS;

	return ((w->now_tick >> shift) + ahead) << shift;
}

void wheel_init(struct wheel *w, uint64_t now_us)
{
	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
			list_init(&w->slots[level][slot]);
		w->occupied[level] = 0;
	}
	list_init(&w->due);
	w->now_tick = now_us / WHEEL_TICK_US;
	w->n_armed = 0;
	w->next_us = 0;
	w->next_known = false;
}

void wheel_timer_init(struct wheel_timer *t, void (*fn)(void *ctx, struct wheel_timer *t))
{
	PANIC_IF(fn == NULL);
	list_init(&t->link);
	t->deadline_us = 0;
	t->fn = fn;
}

void wheel_add(struct wheel *w, struct wheel_timer *t, uint64_t deadline_us)
{
	if (wheel_is_armed(t))
		list_del(&t->link);
	else
		w->n_armed++;
	t->deadline_us = deadline_us;
	place(w, t);
	if (deadline_us < w->next_us)
		w->next_us = deadline_us;
}

void wheel_del(struct wheel *w, struct wheel_timer *t)
{
	if (!wheel_is_armed(t))
		return;
	list_del(&t->link); /* its slot's bit may stay set: wheel_advance clears it in passing */
	w->n_armed--;
	w->next_known = false;
}

/* Enter the slot that begins at now_tick on `level`. */
static void enter_slot(struct wheel *w, unsigned level)
{
	unsigned slot = (unsigned)(w->now_tick >> (level * SLOT_BITS)) & SLOT_MASK;
	struct list batch, *node;

	w->occupied[level] &= ~((uint64_t)1 << slot);
	if (level == 0) {
		list_splice_back(&w->due, &w->slots[0][slot]);
		return;
	}
	list_init(&batch);
	list_splice_back(&batch, &w->slots[level][slot]);
	while ((node = list_pop_front(&batch)) != NULL)
		place(w, list_entry(node, struct wheel_timer, link));
}

/* Go to tick `to`, by one step per slot that may hold timers, and gather what is due by then. */
static void advance(struct wheel *w, uint64_t to)
{
	while (w->now_tick < to) {
		unsigned level = 0;
		uint64_t start;

		while (level < WHEEL_LEVELS && w->occupied[level] == 0)
			level++;
		if (level == WHEEL_LEVELS)
			break;
		start = slot_start(w, level, (unsigned)__builtin_ctzll(slots_ahead(w, level)));
		if (start > to)
			break;
		w->now_tick = start;
		enter_slot(w, level);
	}
	if (w->now_tick < to)
		w->now_tick = to;
}

size_t wheel_run_due(struct wheel *w, uint64_t now_us, size_t max, void *ctx)
{
	struct list batch, *node;
	size_t n = 0;

	w->next_known = false;
	advance(w, now_us / WHEEL_TICK_US);
	list_init(&batch);
	list_splice_back(&batch, &w->due);
	while (n < max && (node = list_pop_front(&batch)) != NULL) {
		struct wheel_timer *t = list_entry(node, struct wheel_timer, link);

		w->n_armed--;
		n++;
		t->fn(ctx, t);
	}
	/* What was left goes ahead of what the callbacks armed for the next run. */
	list_splice_back(&batch, &w->due);
	list_splice_back(&w->due, &batch);
	return n;
}

/*
 * The first tick at which a timer of this slot, which begins at `start`, is due. Among many it is
 * not looked for: the slot's beginning is early enough, and then they go down a level.
 */
static uint64_t first_due(const struct list *slot, uint64_t start)
{
	uint64_t first = UINT64_MAX;
	unsigned n = 0;
	struct list *it;

	list_foreach (it, slot) {
		uint64_t tick =
			first_tick_after(list_entry(it, struct wheel_timer, link)->deadline_us);

		if (n++ == LOOKED_AT_MAX)
			return start;
		if (tick < first)
			first = tick;
	}
	return first > start ? first : start;
}

static uint64_t find_next_us(const struct wheel *w)
{
	if (!list_is_empty(&w->due))
		return w->now_tick * WHEEL_TICK_US;
	for (unsigned level = 0; level < WHEEL_LEVELS && w->n_armed != 0; level++) {
		uint64_t bits = slots_ahead(w, level);

		for (; bits != 0; bits &= bits - 1) {
			uint64_t start = slot_start(w, level, (unsigned)__builtin_ctzll(bits));
			unsigned slot = (unsigned)(start >> (level * SLOT_BITS)) & SLOT_MASK;

			if (!list_is_empty(&w->slots[level][slot]))
				return (level < TOP ? first_due(&w->slots[level][slot], start)
						    : start) *
				       WHEEL_TICK_US;
		}
	}
	return UINT64_MAX;
}

uint64_t wheel_next_us(struct wheel *w)
{
	if (!w->next_known) {
		w->next_us = find_next_us(w);
		w->next_known = true;
	}
	return w->next_us;
}
