#include "worker/line.h"

#include <stdio.h>

#include "conf/conf.h"
#include "route/choose.h"
#include "worker/dispatch.h"
#include "worker/pick.h"
#include "worker/server.h"
#include "worker/unit.h"
#include "worker/waits.h"
#include "worker/worker.h"

struct client *line_client(struct waiter *x)
{
	return list_entry(x, struct busy, waiter)->client;
}

static void pool_waiters_changed(struct worker *w, struct pool *p)
{
	bool waits = waitq_len(&p->line) != 0 || waitq_len(&p->pin_line) != 0;
	uint64_t wake = 0;

	share_publish_waiter(p->share, w->index, waitq_oldest_us(&p->line));
	if (waitq_len(&p->line) == 0)
		share_sated(p->share, w->index, &wake);
	worker_wake(w, wake);
	if (waits && list_is_empty(&p->waiting_link))
		list_push_back(&w->waiting_pools, &p->waiting_link);
	else if (!waits)
		list_del(&p->waiting_link);
}

static void nowhere_changed(struct worker *w, struct account *acc)
{
	if (waitq_len(&acc->nowhere) == 0)
		list_del(&acc->nowhere_link);
	else if (list_is_empty(&acc->nowhere_link))
		list_push_back(&w->waiting_accounts, &acc->nowhere_link);
}

static void arm_fresh(struct worker *w)
{
	const struct waiter *first = waitq_first(&w->fresh);

	if (first == NULL)
		wheel_del(&w->wheel, &w->fresh_timer);
	else
		wheel_add(&w->wheel, &w->fresh_timer, first->deadline_us);
}

static void leave_fresh(struct worker *w, struct client *c)
{
	waitq_remove(&c->busy->waiter);
	mark_clock_wait_end(&w->sh->clock, c->busy->fresh_cluster);
	if (waitq_len(&w->fresh) == 0)
		arm_fresh(w);
}

void line_leave(struct worker *w, struct client *c)
{
	struct pool *p = c->busy->line_pool;

	if (c->busy->wanted != NULL) {
		c->busy->wanted->wanted_by = NULL;
		c->busy->wanted = NULL;
	}
	if (!waiter_waits(&c->busy->waiter))
		return;
	if (c->busy->waiter.in == &w->fresh) {
		leave_fresh(w, c);
		return;
	}
	waitq_remove(&c->busy->waiter);
	c->busy->line_pool = NULL;
	c->busy->wants_pin = false;
	if (p != NULL)
		pool_waiters_changed(w, p);
	else
		nowhere_changed(w, c->acc);
}

void line_stop(struct worker *w, struct client *c)
{
	line_leave(w, c);
	if (c->state == CLIENT_WAITING)
		client_transition(w, c, CLIENT_UNQUEUED);
}

void line_note_wait(struct worker *w, struct client *c)
{
	uint64_t us = c->busy->wait_begun_us != 0 ? w->now_us - c->busy->wait_begun_us : 0;

	c->busy->wait_begun_us = 0;
	c->busy->wait_told = false;
	waits_end(w, c);
	if (c->state == CLIENT_WELCOME)
		return; /* a login is no unit */
	c->busy->queued_us = us;
	hist_add(&c->acc->wait, us);
	c->db->stats.wait_us += us;
}

static void refuse_full(struct worker *w, struct client *c)
{
	struct report r = report_of(
		"ERROR", SQLSTATE_TOO_MANY_CONNECTIONS, "too many units are waiting already");

	r.hint = "Raise the pool's size (pool_size), or lower query_wait_timeout.";
	if (c->state != CLIENT_WELCOME) {
		unit_refuse(w, c, &r);
		return;
	}
	r.severity = "FATAL";
	r.severity_v = "FATAL";
	client_fatal(w, c, &r, CLIENT_END_LIMIT);
}

void line_stand(struct worker *w, struct client *c, struct pool *p, bool wants_pin)
{
	struct waitq *q = p == NULL ? &c->acc->nowhere : wants_pin ? &p->pin_line : &p->line;
	uint64_t since = c->busy->wait_begun_us != 0 ? c->busy->wait_begun_us : w->now_us;
	uint64_t timeout = c->acc->query_wait_timeout_us;

	c->busy->wait_begun_us = since;
	if (waitq_push(q, &c->busy->waiter, since, timeout != 0 ? since + timeout : UINT64_MAX) !=
		OK) {
		refuse_full(w, c);
		return;
	}
	c->busy->line_pool = p;
	c->busy->wants_pin = wants_pin;
	waits_begin(w, c, p);
	if (c->state == CLIENT_IDLE)
		client_transition(w, c, CLIENT_QUEUED);
	if (p != NULL)
		pool_waiters_changed(w, p);
	else
		nowhere_changed(w, c->acc);
}

void line_stand_fresh(struct worker *w, struct client *c, uint64_t deadline_us)
{
	uint64_t since = c->busy->wait_begun_us != 0 ? c->busy->wait_begun_us : w->now_us;

	c->busy->wait_begun_us = since;
	if (waitq_push(&w->fresh, &c->busy->waiter, since, deadline_us) != OK) {
		refuse_full(w, c);
		return;
	}
	c->busy->line_pool = NULL;
	c->busy->wants_pin = false;
	waits_begin(w, c, NULL);
	c->busy->fresh_cluster = (uint16_t)c->db->conf->cluster_id;
	if (c->state == CLIENT_IDLE)
		client_transition(w, c, CLIENT_QUEUED);
	if (mark_clock_wait_begin(&w->sh->clock, c->busy->fresh_cluster))
		w->sh->control.wake(w->sh->control.wake_arg);
	if (!wheel_is_armed(&w->fresh_timer))
		arm_fresh(w);
}

void line_look_fresh(struct worker *w)
{
	struct waiter *x = waitq_first(&w->fresh), *next;

	for (; x != NULL; x = next) {
		next = waitq_next(&w->fresh, x);
		if (x->deadline_us <= w->now_us || !pick_waits_fresh(w, line_client(x)))
			dispatch_choose_anew(w, line_client(x));
	}
	arm_fresh(w);
}

static const char *wait_hint(const struct client *c, const struct pool *p)
{
	if (c->busy->wants_pin)
		return "All places for pinned clients of the pool are taken: see max_pinned and "
		       "SHOW PINS.";
	if (c->db->paused)
		return "The database is paused; RESUME ends it.";
	if (p == NULL)
		return choose_hint_text(c->busy->route_hint);
	return "No server of the pool became free within query_wait_timeout: see pool_size, "
	       "reserve_pool_size and SHOW POOLS.";
}

static void wait_timed_out(struct worker *w, struct client *c, struct pool *p)
{
	bool no_node = p == NULL || (p->last_error[0] != '\0' && p->n_active == 0);
	struct report r = report_of("ERROR",
		no_node ? SQLSTATE_CANNOT_CONNECT_NOW : SQLSTATE_TOO_MANY_CONNECTIONS,
		"query_wait_timeout");
	char detail[192];

	r.hint = wait_hint(c, p);
	if (p != NULL && p->last_error[0] != '\0') {
		snprintf(detail, sizeof detail, "The last login to %s failed: %s",
			worker_node_name(w, p->node), p->last_error);
		r.detail = detail;
	}
	c->db->stats.timeouts++;
	line_stop(w, c);
	line_note_wait(w, c);
	if (c->state == CLIENT_WELCOME) {
		r.severity = "FATAL";
		r.severity_v = "FATAL";
		client_fatal(w, c, &r, CLIENT_END_TIMEOUT);
	} else {
		unit_refuse(w, c, &r);
	}
}

void line_expire(struct worker *w, struct waitq *q, struct pool *p)
{
	struct waiter *x;

	for (;;) {
		x = waitq_first(q);
		if (x == NULL || x->deadline_us > w->now_us)
			break;
		wait_timed_out(w, line_client(x), p);
	}
}

void line_tell(struct worker *w, struct waitq *q)
{
	uint64_t notify_us = w->conf->query_wait_notify_us;
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);
	struct report r = report_of("NOTICE", SQLSTATE_SUCCESSFUL_COMPLETION,
		"No server connection available in postgres backend, client being queued");

	r.hint = "See query_wait_notify, and SHOW POOLS on the console.";
	if (notify_us == 0)
		return;
	report_put(&out, 'N', &r);
	for (struct waiter *x = waitq_first(q); x != NULL; x = waitq_next(q, x)) {
		struct client *c = line_client(x);

		if (w->now_us - x->since_us < notify_us)
			break; /* the line is in order of age */
		if (c->busy->wait_told || c->state != CLIENT_WAITING)
			continue;
		c->busy->wait_told = true;
		conn_put_copy(c->conn, buf, out.len);
		conn_flush(c->conn);
	}
}
