#include "worker/pinning.h"

#include "conf/conf.h"
#include "conf/effective.h"
#include "worker/line.h"
#include "worker/server.h"
#include "worker/waits.h"
#include "worker/worker.h"

/* It has a place in the pool's budget of pins. */
static void counted(struct worker *w, struct client *c, struct pool *p, enum pin_cause cause)
{
	c->busy->pin_counted = true;
	c->busy->pin_pool = p;
	c->busy->pin_cause = (uint8_t)cause;
	c->busy->pinned_us = w->now_us;
}

bool pinning_take(struct worker *w, struct client *c, struct pool *p)
{
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;
	int full;

	if (c->busy->pin_counted || c->busy->unit.pins == 0 || c->acc->mode == POOL_MODE_SESSION)
		return true;
	full = c->acc->pinned_max == 0 ? 0 : budget_acquire_or_wait(&want, 1, w->index, &wake);
	worker_wake(w, wake);
	if (full >= 0) {
		line_stand(w, c, p, true);
		return false;
	}
	counted(w, c, p, (enum pin_cause)__builtin_ctz(c->busy->unit.pins));
	return true;
}

void pinning_release(struct worker *w, struct client *c)
{
	uint64_t wake = 0;

	if (!c->busy->pin_counted)
		return;
	c->busy->pin_counted = false;
	waits_unpinned(w, c);
	budget_release(&c->busy->pin_pool->share->pinned, &wake);
	if (waitq_len(&c->busy->pin_pool->pin_line) != 0)
		wake |= 1ull << w->index;
	worker_wake(w, wake);
}

void pinning_found(struct worker *w, struct client *c)
{
	struct pool *p = c->server->pool;
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;

	if (c->acc->mode == POOL_MODE_SESSION || c->busy->streaming || c->replication)
		return;
	if (c->acc->pinned_max == 0 || budget_try_acquire(&want, 1, &wake) >= 0) {
		budget_take_over(&p->share->pinned);
		atomic_fetch_add_explicit(&w->sh->pins.over, 1, memory_order_relaxed);
	}
	worker_wake(w, wake);
	counted(w, c, p, (enum pin_cause)c->busy->pins.first);
}

/* A place for as long as the client's next unit takes to come; there need not be one. */
static bool take_sequence_place(struct worker *w, struct client *c)
{
	struct pool *p = c->server->pool;
	struct budget_want want = {.b = &p->share->pinned};
	uint64_t wake = 0;

	if (c->busy->pin_counted)
		return true;
	if (c->acc->pinned_max == 0 || budget_try_acquire(&want, 1, &wake) >= 0)
		return false;
	worker_wake(w, wake);
	counted(w, c, p, PIN_SEQUENCE);
	return true;
}

void pinning_keep_sequence(struct worker *w, struct client *c)
{
	enum sequence_state state;

	if (!server_is_quiet(c->server) || c->server->txn_status != 'I' || c->db->conf == NULL)
		return;
	state = conf_sequence_state(w->conf, c->db->conf);
	if (!c->busy->seq_advanced) {
		if (c->busy->seq_kept)
			pins_remove(&c->busy->pins, &w->sh->pins, PIN_SEQUENCE);
		c->busy->seq_kept = false;
		return;
	}
	c->busy->seq_advanced = false;
	if (c->acc->mode == POOL_MODE_SESSION || state == SEQUENCE_STATE_OFF ||
		pins_has(&c->busy->pins, PIN_SEQUENCE))
		return;
	if (state == SEQUENCE_STATE_AFFINITY &&
		(server_is_outdated(w, c->server) || !take_sequence_place(w, c)))
		return;
	pins_add(&c->busy->pins, &w->sh->pins, PIN_SEQUENCE, w->now_us, NULL, 0);
	c->busy->seq_kept = state == SEQUENCE_STATE_AFFINITY;
}
