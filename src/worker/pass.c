#include "worker/pass.h"

#include <stdlib.h>

#include "conf/conf.h"
#include "worker/hold.h"
#include "worker/server.h"
#include "worker/worker.h"

static struct bufpool *pool_of(struct worker *w)
{
	return loop_bufpool(w->loop);
}

void pass_no_memory(struct worker *w, struct client *c)
{
	client_close(w, c, CLIENT_END_MEMORY);
}

void pass_held(struct worker *w, struct client *c)
{
	if (c->busy->hold != NULL && hold_len(c->busy->hold) != 0)
		hold_pass(c->busy->hold, pool_of(w), c->conn);
	c->busy->holding = false;
}

void pass_ends(struct client *c)
{
	if (c->busy->hold == NULL || hold_len(c->busy->hold) == 0)
		c->busy->holding = false;
}

void pass_bytes(struct worker *w, struct client *c, const void *p, size_t len, bool borrowed)
{
	enum status st = OK;

	if (c->busy->holding && c->busy->hold == NULL) {
		c->busy->hold = calloc(1, sizeof *c->busy->hold);
		if (c->busy->hold == NULL)
			c->busy->holding = false; /* it cannot be held, so it goes out */
	}
	if (!c->busy->holding) {
		if (c->busy->unit_writes) /* whoever the client tells of it shall find it */
			mark_board_write(c->acc->board, mark_clock_load(&w->sh->clock));
		if (borrowed)
			conn_put(c->conn, p, len);
		else
			conn_put_copy(c->conn, p, len);
		return;
	}
	st = borrowed ? hold_put(c->busy->hold, pool_of(w), p, len)
		      : hold_put_copy(c->busy->hold, pool_of(w), p, len);
	if (st != OK)
		pass_no_memory(w, c);
	else if (hold_len(c->busy->hold) > w->conf->replay_window)
		pass_held(w, c);
}

void pass_own(struct worker *w, struct client *c, const struct wr *out)
{
	PANIC_IF(out->bad);
	pass_bytes(w, c, out->buf, out->len, false);
}

void pass_report(struct worker *w, struct client *c, const struct report *r)
{
	uint8_t buf[REPORT_OWN_MAX];
	struct wr out = wr_of(buf, sizeof buf);

	report_put(&out, 'E', r);
	pass_own(w, c, &out);
	client_note_error(w, c, r, c->server != NULL ? c->server->trace : "");
}
